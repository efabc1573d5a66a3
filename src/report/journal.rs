//! Journal: one event as an entry of the systemd journal.
//!
//! An entry has the text line as `MESSAGE` and a `PRIORITY` (2 when memory or tasks ran out, 4 for
//! what an admin should see, 5 for the rest); `LEAKWATCH_EVENT`, `LEAKWATCH_PID` and `LEAKWATCH_COMM` to
//! filter by, `LEAKWATCH_UNIT` or `LEAKWATCH_CONTAINER` where the process belongs to one; and `LEAKWATCH_JSON`, the event as `--format json` has it. `OBJECT_PID` is the root of
//! the tree: so the journal files the entry under that server's unit too, and `journalctl -u
//! apache2` shows what leakwatch did to Apache.

use super::events::text::write_message;
use super::events::{EventFormat, record, write_event};
use super::words::Style;
use crate::core::model::event::Event;
use crate::core::model::order::{Outcome, OutcomeResult, Regret};
use crate::core::model::process::{Comm, ProcId};
use crate::core::unit_names::UnitNames;
use std::io::{self, Write};

/// Writes the entry of an event of the sample at `t`; nothing where text has no line for it.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_entry(
    out: &mut Vec<u8>,
    t: f64,
    event: &Event,
    names: &UnitNames,
    style: Style,
) -> io::Result<()> {
    out.write_all(b"MESSAGE=")?;
    let start = out.len();
    write_message(out, event, names, Style { colour: false, ..style })?;
    if out.len() == start {
        out.clear();
        return Ok(());
    }
    writeln!(out, "PRIORITY={}", level(event))?;
    out.write_all(b"SYSLOG_IDENTIFIER=leakwatch\n")?;
    let (process, root) = about(event);
    if let Some((id, comm)) = process {
        writeln!(out, "LEAKWATCH_PID={}\nLEAKWATCH_COMM={comm}", id.pid)?;
    }
    if let Some(name) = event.subject().and_then(|id| names.of(id)) {
        match name.container() {
            Some(container) => writeln!(out, "LEAKWATCH_CONTAINER={container}")?,
            None => writeln!(out, "LEAKWATCH_UNIT={name}")?,
        }
    }
    if let Some(root) = root {
        writeln!(out, "OBJECT_PID={}", root.pid)?;
    }
    writeln!(out, "LEAKWATCH_EVENT={}", record::name(event))?;
    out.write_all(b"LEAKWATCH_JSON=")?;
    write_event(out, t, event, names, EventFormat::Json, style)
}

/// The event's level of syslog(3).
pub fn level(event: &Event) -> u8 {
    match event {
        Event::MemoryFailure(_) => 2,
        Event::SignalFailed { .. } => 3,
        Event::Leak(_) | Event::Order(_) | Event::NotEnded { .. } | Event::Regretted(_) => 4,
        Event::Outcome(Outcome { result: OutcomeResult::Stayed, .. }) => 4,
        Event::Outcome(_)
        | Event::Growing(_)
        | Event::Forecast { .. }
        | Event::VerdictCleared { .. }
        | Event::ForecastCleared { .. } => 5,
    }
}

/// The process that an event is about, and the root of its tree.
fn about(event: &Event) -> (Option<(ProcId, Comm)>, Option<ProcId>) {
    match event {
        Event::Leak(f) | Event::Growing(f) => (Some((f.id, f.comm)), Some(f.root)),
        Event::VerdictCleared { id, comm, root, .. } | Event::NotEnded { id, comm, root, .. } => {
            (Some((*id, *comm)), Some(*root))
        }
        Event::Order(order)
        | Event::SignalFailed { order, .. }
        | Event::Outcome(Outcome { order, .. })
        | Event::Regretted(Regret { order, .. }) => {
            (Some((order.victim, order.comm)), Some(order.root))
        }
        Event::Forecast { root, comm, .. } | Event::ForecastCleared { root, comm, .. } => {
            (root.map(|root| (root, *comm)), *root)
        }
        Event::MemoryFailure(sign) => (None, sign.root),
    }
}

/// Puts a level of syslog(3) before each line that goes to the journal, as in sd-daemon(3): 5 for
/// messages about leakwatch itself, 6 for tables and greetings.
pub struct Leveled<W> {
    out: W,
    on: bool,
    begun: bool,
}

impl<W: Write> Leveled<W> {
    /// Writes to `out`; unchanged unless `on`.
    pub fn new(out: W, on: bool) -> Self {
        Self { out, on, begun: false }
    }

    /// Where it wrote to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

impl<W: Write> Write for Leveled<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if !self.on {
            return self.out.write(bytes);
        }
        for line in bytes.split_inclusive(|b| *b == b'\n') {
            if !self.begun {
                let own = line.starts_with(b"leakwatch: ");
                self.out.write_all(if own { b"<5>" } else { b"<6>" })?;
            }
            self.out.write_all(line)?;
            self.begun = !line.ends_with(b"\n");
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::{CeilingKind, MemoryFailure, MemoryFailureKind, Place};
    use crate::core::model::process::Program;
    use crate::core::model::sample::Sample;

    #[test]
    fn an_entry_has_a_line_for_people_and_fields_to_filter_by() {
        let sign = MemoryFailure {
            kind: MemoryFailureKind::OomKill,
            ceiling: CeilingKind::CgroupMemory,
            root: Some(ProcId { pid: 812, start: 7 }),
            place: Place::new("/web"),
            count: 1,
        };
        let mut entry = Vec::new();
        let named = "container shop-php".to_owned();
        let program = Program { id: sign.root.unwrap(), unit: Some(named), ..Program::unknown() };
        let mut names = UnitNames::default();
        names.observe(&Sample { programs: vec![program], ..Sample::default() });
        let event = Event::MemoryFailure(sign);
        write_entry(&mut entry, 1e9, &event, &names, Style::default()).unwrap();
        let entry = String::from_utf8(entry).unwrap();
        let value = |key: &str| {
            entry.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('=')).unwrap()
        };
        assert!(value("MESSAGE").starts_with("FAILING   machine"), "{entry}");
        assert_eq!((value("PRIORITY"), value("OBJECT_PID")), ("2", "812"));
        assert_eq!(value("LEAKWATCH_EVENT"), "memory_failure");
        let json: serde_json::Value = serde_json::from_str(value("LEAKWATCH_JSON")).unwrap();
        assert_eq!(json["place"], "/web");
        assert_eq!(
            (value("LEAKWATCH_CONTAINER"), &json["container"]),
            ("shop-php", &"shop-php".into())
        );
    }

    #[test]
    fn lines_for_the_journal_get_a_level_and_others_stay_as_they_are() {
        let mut out = Vec::new();
        let mut lines = Leveled::new(&mut out, true);
        for part in ["leakwatch: gone\n  a ", "table\n\n"] {
            lines.write_all(part.as_bytes()).unwrap();
        }
        assert_eq!(out, b"<5>leakwatch: gone\n<6>  a table\n<6>\n");
        let mut out = Vec::new();
        Leveled::new(&mut out, false).write_all(b"leakwatch: gone\n").unwrap();
        assert_eq!(out, b"leakwatch: gone\n");
    }
}
