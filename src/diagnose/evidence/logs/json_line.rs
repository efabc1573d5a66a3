//! JSON lines: what a program logs as one object a line (zap, logrus, pino, Logback's encoder).
//!
//! Whatever others chose stands in strings, where a quote is written `\\"`. So a key that stands outside of
//! strings, at the top or below `err`, is the logger's own, and so is the beginning of its message.

/// Keys of what failed, the most telling first: "err.message" is a key below another.
const ERRORS: [&str; 8] = [
    "stack_trace",
    "error.stack_trace",
    "error",
    "err.message",
    "err",
    "exception",
    "msg",
    "message",
];
const LEVELS: [&str; 7] = ["s", "level", "severity", "lvl", "log.level", "levelname", "loglevel"];
const TIMES: [&str; 7] =
    ["t.$date", "@timestamp", "timestamp", "time", "ts", "asctime", "datetime"];
/// Levels of what may have failed; pino's are numbers.
const FAILED: [&str; 16] = [
    "e",
    "f",
    "w",
    "error",
    "err",
    "fatal",
    "critical",
    "crit",
    "panic",
    "emerg",
    "emergency",
    "alert",
    "severe",
    "warn",
    "warning",
    "dpanic",
];
const PINO_WARN: f64 = 40.0;

/// The time that such a line tells, as it is written, and what failed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Logged<'a> {
    pub(super) time: Option<&'a str>,
    pub(super) error: &'a str,
}

/// What a line logs, if it is such an object and of a level of failures. It may be cut at its end.
pub(super) fn logged(line: &str) -> Option<Logged<'_>> {
    let rest = line.strip_prefix('{').filter(|rest| rest.trim_start().starts_with('"'))?;
    let (mut time, mut failed, mut error) = (None, false, None);
    for Field { parent, key, value } in Fields::of(rest) {
        let is = |name: &&str| match name.split_once('.') {
            Some((above, below)) if !parent.is_empty() => (above, below) == (parent, key),
            _ => parent.is_empty() && *name == key,
        };
        if LEVELS.iter().any(is) {
            let level = value.to_ascii_lowercase();
            failed |= FAILED.contains(&&*level)
                || value.parse().is_ok_and(|level: f64| level >= PINO_WARN);
        } else if TIMES.iter().any(is) {
            time = time.or(Some(value));
        } else if let Some(rank) = ERRORS.iter().position(is) {
            error = error.filter(|(other, _)| *other < rank).or(Some((rank, value)));
        }
    }
    let (_, error) = error.filter(|_| failed)?;
    Some(Logged { time, error })
}

/// A string or number of an object, or of one in it.
struct Field<'a> {
    /// The key of the object that it is in; none at the top.
    parent: &'a str,
    key: &'a str,
    value: &'a str,
}

/// Goes through an object's fields. Of deeper ones none is told.
struct Fields<'a> {
    rest: &'a str,
    parents: Vec<&'a str>,
}

/// Objects in objects that are gone into.
const DEEPEST: usize = 32;

impl<'a> Fields<'a> {
    fn of(rest: &'a str) -> Self {
        Self { rest, parents: Vec::new() }
    }

    /// The string at the beginning of what is left, without its quotes; a cut one to the end.
    fn string(&mut self) -> Option<&'a str> {
        let text = self.rest.strip_prefix('"')?;
        let mut is_escaped = false;
        let end = text.bytes().position(|byte| {
            let ends = byte == b'"' && !is_escaped;
            is_escaped = byte == b'\\' && !is_escaped;
            ends
        });
        let (string, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
        self.rest = rest.strip_prefix('"').unwrap_or(rest);
        Some(string)
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        loop {
            self.rest = self.rest.trim_start_matches([' ', ',']);
            if let Some(rest) = self.rest.strip_prefix('}') {
                self.rest = rest;
                self.parents.pop()?;
                continue;
            }
            let key = self.string()?;
            self.rest = self.rest.trim_start().strip_prefix(':')?.trim_start();
            if let Some(rest) = self.rest.strip_prefix('{') {
                self.rest = rest;
                self.parents.push(key);
                if self.parents.len() > DEEPEST {
                    return None;
                }
                continue;
            }
            let value = if self.rest.starts_with('"') {
                self.string()?
            } else if self.rest.starts_with('[') {
                self.skip_list()?;
                continue;
            } else {
                let end = self.rest.find([',', '}']).unwrap_or(self.rest.len());
                let (value, rest) = self.rest.split_at_checked(end)?;
                self.rest = rest;
                value.trim_end()
            };
            match self.parents[..] {
                [] => return Some(Field { parent: "", key, value }),
                [parent] => return Some(Field { parent, key, value }),
                _ => {}
            }
        }
    }
}

impl Fields<'_> {
    /// Passes over a list, whatever is in it.
    fn skip_list(&mut self) -> Option<()> {
        let mut depth = 0_usize;
        loop {
            let first = self.rest.chars().next()?;
            if first == '"' {
                self.string()?;
                continue;
            }
            self.rest = self.rest.get(first.len_utf8()..)?;
            match first {
                '[' => depth += 1,
                ']' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                return Some(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_a_logger_says_is_told_from_what_others_chose() {
        for (line, found) in [
            (
                r#"{"level":"error","ts":"T","msg":"a","error":"fork: x"}"#,
                Some((Some("T"), "fork: x")),
            ),
            (
                r#"{"time":7,"level":50,"err":{"type":"E","message":"fork: x"},"msg":"a"}"#,
                Some((Some("7"), "fork: x")),
            ),
            (
                r#"{"@timestamp":"T","message":"a","level":"WARN","stack_trace":"fork: x\n\tat y"#,
                Some((Some("T"), r"fork: x\n\tat y")),
            ),
            (r#"{"level":"error","tags":["a]\"",["b"]],"msg":"fork: x"}"#, Some((None, "fork: x"))),
            (r#"{"level":"info","msg":"fork: x"}"#, None),
            (r#"{"msg":"fork: x"}"#, None),
            (
                r#"{"level":"error","user":"a\",\"error\":\"fork: x","msg":"no"}"#,
                Some((None, "no")),
            ),
            (
                r#"{"level":"error","req":{"error":"fork: x","b":{"msg":"fork: x"}},"msg":"no"}"#,
                Some((None, "no")),
            ),
            (
                r#"{"t":{"$date":"T"},"s":"E","msg":"fork: x","attr":{"error":"no"}}"#,
                Some((Some("T"), "fork: x")),
            ),
            (r#"{"level":"error"}"#, None),
            ("{local_task.py:225} INFO - fork: x", None),
        ] {
            let found = found.map(|(time, error)| Logged { time, error });
            assert_eq!(logged(line), found, "{line}");
        }
    }

    proptest! {
        #[test]
        fn any_line_is_borne(line in r#"\{"[a-z":{}\[\],\\ 0-9]{0,60}"#) {
            if let Some(Logged { error, .. }) = logged(&line) {
                prop_assert!(line.contains(error));
            }
        }
    }
}
