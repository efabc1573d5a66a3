//! Events: what `--format json` says, one JSON object a line.

use std::time::Instant;

use serde_json::Value;

use super::lines::Lines;

/// One event and when it arrived.
#[derive(Clone, Debug)]
pub struct Event {
    pub at: Instant,
    pub json: Value,
}

impl Event {
    pub fn name(&self) -> &str {
        self.text("event")
    }

    pub fn text(&self, key: &str) -> &str {
        self.json[key].as_str().unwrap_or_else(|| panic!("no text '{key}' in {}", self.json))
    }

    pub fn pid(&self) -> u32 {
        let pid = self.json["pid"].as_u64().and_then(|pid| u32::try_from(pid).ok());
        pid.unwrap_or_else(|| panic!("no pid in {}", self.json))
    }
}

/// Every event so far. Panics on a line that is none, so each test checks that all are.
pub fn all(out: &Lines) -> Vec<Event> {
    let parse = |text: &str| {
        let json: Value =
            serde_json::from_str(text).unwrap_or_else(|e| panic!("not JSON ({e}): {text}"));
        assert_eq!(json["schema"], 1, "the event's schema: {json}");
        json
    };
    out.all().iter().map(|line| Event { at: line.at, json: parse(&line.text()) }).collect()
}

/// The events of that name so far.
pub fn named(out: &Lines, name: &str) -> Vec<Event> {
    all(out).into_iter().filter(|event| event.name() == name).collect()
}

/// Whether this line is such an event; for awaiting one.
pub fn is(line: &str, name: &str) -> bool {
    serde_json::from_str::<Value>(line).is_ok_and(|json| json["event"] == name)
}
