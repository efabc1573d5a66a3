//! Records: lines that a logger writes as fields: JSON (zap, logrus, pino, Logback), logfmt (Grafana,
//! Prometheus, Docker) and Ruby's hashes (Logstash).
//!
//! Whatever others chose stands in strings, where a quote is written `\"`. So a key that stands outside of
//! strings, at the top or below `err`, is the logger's own, and so is the beginning of its message. What
//! follows a line break in a string may be others' again, but for the frames of a traceback.

mod json;
mod keys;
mod logfmt;
mod ruby;
pub(super) mod strings;

use super::timestamp::Stamps;
use keys::{ERRORS, FAILED, LETTER, LEVELS, MESSAGES, TIMES, key};
use strings::unescaped;

const PINO_WARN: u32 = 40;
/// Unix times are above this, and below a hundred times it.
const UNIX_FROM: f64 = 1e9;
/// What loggers count since 1970 in a second: seconds, milli-, micro- and nanoseconds.
const UNITS: [f64; 4] = [1.0, 1e3, 1e6, 1e9];
/// The most errors of a record that are looked at: of 4 KiB of them each took its time.
const MOST_ERRORS: usize = 4;

/// A string or number of a record, or of an object in it, with its escapes.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Field<'a> {
    /// The key of the object that it is in; none at the top.
    parent: &'a str,
    key: &'a str,
    value: &'a str,
}

/// What a line logs.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    /// When, if it tells.
    pub(super) t: Option<f64>,
    /// Whether it has a time of its own, if only one that cannot be read.
    pub(super) has_time: bool,
    /// What failed, the most telling first; nothing where the record is of no failure.
    pub(super) said: Vec<RecordText>,
}

/// A message, and the frames of a traceback before it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RecordText {
    pub(super) above: String,
    pub(super) line: String,
}

impl Record {
    /// What a line logs, if it is a record with a level. It may be cut at its end.
    pub(super) fn of(line: &str, stamps: &Stamps) -> Option<Self> {
        let mut record = Unread::of(line)?;
        let failed = record.failed? && !record.is_ambiguous;
        record.errors.sort_by_key(|(rank, _)| *rank);
        record.errors.truncate(if failed { MOST_ERRORS } else { 0 });
        let said =
            record.errors.iter().filter_map(|(_, raw)| RecordText::of(&unescaped(raw))).collect();
        let t = record.times.iter().find_map(|(_, time)| time_of(time, stamps));
        Some(Self { t, has_time: !record.times.is_empty(), said })
    }
}

/// The time that a string or number tells, if it is not to come.
fn time_of(time: &str, stamps: &Stamps) -> Option<f64> {
    let t = match time.parse::<f64>() {
        Ok(number) => {
            let is_unix = |t: &f64| (UNIX_FROM..100.0 * UNIX_FROM).contains(t);
            UNITS.iter().map(|unit| number / unit).find(is_unix)
        }
        Err(_) => stamps.split(time).t,
    };
    t.filter(|t| !stamps.is_to_come(*t))
}

/// The error among fields that stand behind a message, with its escapes.
pub(super) fn error_of(fields: &str) -> Option<&str> {
    let record = Unread::of(fields).filter(|record| !record.is_ambiguous)?;
    let own = |(rank, _): &&(usize, &str)| !MESSAGES.contains(&key(*rank));
    record.errors.iter().filter(own).min_by_key(|(rank, _)| *rank).map(|(_, error)| *error)
}

/// What was read of a record so far.
#[derive(Default)]
struct Unread<'a> {
    /// By the rank of their keys, as the errors.
    times: Vec<(usize, &'a str)>,
    /// Whether all levels that it has are of failures.
    failed: Option<bool>,
    levels: Vec<usize>,
    /// Whether a key stands there twice: which of both is the logger's is not known.
    is_ambiguous: bool,
    errors: Vec<(usize, &'a str)>,
}

impl<'a> Unread<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let mut record = Self::default();
        if let Some(rest) = text.strip_prefix("{:") {
            ruby::fields(rest).for_each(|field| record.take(field));
        } else if let Some(rest) = text.strip_prefix('{').map(str::trim_start) {
            let fields = json::JsonFields::of(rest.starts_with('"').then_some(rest)?);
            fields.for_each(|field| record.take(field));
        } else {
            logfmt::fields(text)?.into_iter().for_each(|field| record.take(field));
        }
        Some(record)
    }

    fn take(&mut self, Field { parent, key, value }: Field<'a>) {
        let is = |name: &&str| match name.split_once('.') {
            Some((above, below)) if !parent.is_empty() => {
                above.eq_ignore_ascii_case(parent) && below.eq_ignore_ascii_case(key)
            }
            _ => parent.is_empty() && name.eq_ignore_ascii_case(key),
        };
        let is_in = |of: &[(usize, &str)], rank| of.iter().any(|(other, _)| *other == rank);
        if let Some(rank) = ERRORS.iter().position(is) {
            self.is_ambiguous |= is_in(&self.errors, rank);
            self.errors.push((rank, value));
        } else if let Some(rank) = LEVELS.iter().position(is) {
            self.is_ambiguous |= self.levels.contains(&rank);
            self.levels.push(rank);
            let level = value.trim_start_matches(':').to_ascii_lowercase();
            self.level(
                FAILED.contains(&&*level)
                    || value.parse().is_ok_and(|level: u32| level >= PINO_WARN),
            );
        } else if is(&LETTER) && matches!(value, "F" | "E" | "W" | "I" | "D") {
            self.is_ambiguous |= self.levels.contains(&LEVELS.len());
            self.levels.push(LEVELS.len());
            self.level(["F", "E", "W"].contains(&value));
        } else if let Some(rank) = TIMES.iter().position(is) {
            self.is_ambiguous |= is_in(&self.times, rank);
            self.times.push((rank, value));
        }
    }

    fn level(&mut self, failed: bool) {
        self.failed = Some(failed && self.failed != Some(false));
    }
}

impl RecordText {
    /// What a string says: its first line, or what a traceback at its beginning was raised with.
    fn of(text: &str) -> Option<Self> {
        let text = text.trim_start();
        let Some(frames) = text.strip_prefix("Traceback (most recent call last):\n") else {
            let line = text.lines().next()?.trim_end().to_owned();
            return Some(Self { above: String::new(), line });
        };
        let is_frame = |line: &&str| line.starts_with([' ', '\t']);
        let above: Vec<&str> = frames.lines().take_while(is_frame).collect();
        let line = frames.lines().find(|line| !is_frame(line))?.to_owned();
        Some(Self { above: above.join("\n"), line })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    /// 2026-11-24 10:00:00 UTC.
    const T: f64 = 1_795_514_400.0;

    fn of(line: &str) -> Option<(Option<f64>, Vec<String>)> {
        let stamps = Stamps::new(TimeZone::UTC, T + 3600.0, 0.0);
        let record = Record::of(line, &stamps)?;
        assert!(record.said.len() <= MOST_ERRORS && record.has_time >= record.t.is_some());
        Some((record.t, record.said.into_iter().map(|said| said.line).collect()))
    }

    #[test]
    fn what_a_logger_says_is_told_from_what_others_chose() {
        for (line, t, said) in [
            (
                r#"{"level":"error","ts":"2026-11-24T10:00:00Z","msg":"a","error":"fork: x"}"#,
                Some(T),
                &["fork: x", "a"][..],
            ),
            (
                r#"{"time":1795514400000,"level":50,"err":{"type":"E","message":"fork: x"},"msg":"a"}"#,
                Some(T),
                &["fork: x", "a"],
            ),
            (
                r#"{"@timestamp":"2026-11-24T10:00:00Z","message":"a","level":"WARN","stack_trace":"fork: x\n\tat y"#,
                Some(T),
                &["fork: x", "a"],
            ),
            (r#"{"level":"error","tags":["a]\"",["b"]],"msg":"fork: x"}"#, None, &["fork: x"]),
            (r#"{"level":"error","user":"a\",\"error\":\"fork: x","msg":"no"}"#, None, &["no"]),
            (
                r#"{"level":"error","req":{"error":"fork: x","b":{"msg":"fork: x"}},"msg":"no"}"#,
                None,
                &["no"],
            ),
            (
                r#"{"t":{"$date":"2026-11-24T10:00:00Z"},"s":"E","msg":"fork: x","attr":{"error":"no"}}"#,
                Some(T),
                &["fork: x"],
            ),
            (
                r#"{"level":"ERROR","message":"a","stacktrace": ["b: \"c\"","at d"]}"#,
                None,
                &["b: \"c\"", "a"],
            ),
            (r#"{"level":"error"}"#, None, &[]),
            (r#"{"level":"error","msg":"a\nfork: x"}"#, None, &["a"]),
            (
                r#"{:timestamp=>"2026-11-24T10:00:00Z", :user=>"a\", :error=>\"fork: x", :level=>:warn, :e=>#<E: fork: "y>}"#,
                Some(T),
                &["E: fork: \"y"],
            ),
            (r#"{:level=>:warn, :e=>#<E: a>, :error=>"fork: x">}"#, None, &["E: a"]),
            (
                r#"level=error t=2026-11-24T10:00:00Z msg="a \" error=" error="fork: x" b=1"#,
                Some(T),
                &["fork: x", "a \" error="],
            ),
        ] {
            let said = said.iter().map(|said| (*said).to_owned()).collect();
            assert_eq!(of(line), Some((t, said)), "{line}");
        }
        for line in [
            r#"{"level":"info","msg":"fork: x"}"#,
            r#"level=info msg="fork: x""#,
            r#"ts=T level=info msg="hi" error="fork: x""#,
            r#"{"level":"info","severity":"error","msg":"fork: x"}"#,
            r#"{"level":"error","severity":"info","msg":"fork: x"}"#,
            r#"{"level":"error","error":"a","error":"fork: x"}"#,
            r#"{"level":"error","level":"error","error":"fork: x"}"#,
            r#"{"level":"error","time":1,"time":2,"error":"fork: x"}"#,
            r#"{"level":"inf","msg":"fork: x"}"#,
            r#"{"level":"Infinity","msg":"fork: x"}"#,
            r#"{"level":1e9,"msg":"fork: x"}"#,
            r#"{"level":"error","e":"fork: x","event":"fork: x","error":["fork: x"]}"#,
        ] {
            assert_eq!(of(line).map(|(_, said)| said), Some(Vec::new()), "{line}");
        }
        for line in [
            r#"{"s":"error","msg":"fork: x"}"#,
            r#"{"s":50,"msg":"fork: x"}"#,
            r#"{:error=>Foo, :level=>:error, :message=>"fork: x"}"#,
            r#"{:a=>[Foo], :level=>:error, :message=>"fork: x"}"#,
            r#"{:a=>{:b=>#<X a>}, :level=>:error, :message=>"fork: x"}"#,
            r#"{:e=>#<X a>, :level=>:error, :message=>"fork: x"}"#,
            r#"{"msg":"fork: x"}"#,
            "{local_task.py:225} INFO - fork: x",
            r#"{:message=>"fork: x"}"#,
            r#"level=error by joe error="fork: x""#,
            "level=error: x",
            "fork: x",
        ] {
            assert_eq!(of(line), None, "{line}");
        }
    }

    #[test]
    fn of_several_times_the_first_that_can_be_read_counts() {
        for (times, t) in [
            (r#""time":"soon","ts":1795514400"#, Some(T)),
            (r#""ts":1795514400000"#, Some(T)),
            (r#""ts":1795514400000000"#, Some(T)),
            (r#""ts":1795514400000000000"#, Some(T)),
            (r#""time":"2030-11-24T10:00:00Z","t":"2026-11-24T10:00:00Z""#, Some(T)),
            (r#""time":"inf""#, None),
            (r#""time":7"#, None),
        ] {
            let line = format!(r#"{{"level":"error",{times},"msg":"a"}}"#);
            assert_eq!(of(&line), Some((t, vec!["a".to_owned()])), "{line}");
        }
    }

    #[test]
    fn a_traceback_in_a_string_ends_with_what_was_raised() {
        let text = "Traceback (most recent call last):\n  File \"a.py\", line 7\n    os.fork()\nE: x\nE: y";
        let said = RecordText::of(text).unwrap();
        assert_eq!((&*said.above, &*said.line), ("  File \"a.py\", line 7\n    os.fork()", "E: x"));
        assert_eq!(
            RecordText::of("a\nTraceback (most recent call last):\n  b\nE: x").unwrap().line,
            "a"
        );
    }

    proptest! {
        #[test]
        fn any_line_is_borne(line in r#"(\{"|\{:|a=)[a-z":=>#<\[\]{},\\ 0-9]{0,60}"#) {
            of(&line);
        }
    }
}
