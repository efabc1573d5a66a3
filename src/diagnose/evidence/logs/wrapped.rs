//! Wrapped: lines that something else than their program wrote down: Docker's JSON, the logs of
//! Kubernetes' containers, the output of docker compose and pm2, PostgreSQL's tables of commas.

use super::output_parts;
use super::records::strings::unescaped;
use super::timestamp::Stamps;

/// Fields of PostgreSQL's csvlog before the message, and of those the severity.
const BEFORE_MESSAGE: usize = 13;
const SEVERITIES: [&str; 8] =
    ["LOG", "INFO", "NOTICE", "WARNING", "ERROR", "FATAL", "PANIC", "DEBUG"];
/// Names of services of docker compose.
const LONGEST_NAME: usize = 64;

/// A line taken out of what holds it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Unwrapped<'a> {
    /// When it was written down.
    pub(super) t: Option<f64>,
    /// Whose it is, where that is said.
    pub(super) tag: Option<&'a str>,
    /// The program's own line, which may have a time of its own.
    pub(super) line: &'a str,
}

/// The line of a program inside a line, if it is wrapped in one of the ways known.
pub(super) fn unwrapped<'a>(line: &'a str, stamps: &Stamps) -> Option<Unwrapped<'a>> {
    kubernetes(line, stamps).or_else(|| compose(line)).or_else(|| postgres_csv(line, stamps))
}

/// `{"log":"fork: ..\n","stream":"stderr","time":"2026-11-24T10:00:00Z"}`: when, and the line itself.
pub(super) fn of_docker(line: &str, stamps: &Stamps) -> Option<(Option<f64>, String)> {
    let (inner, _, rest) = output_parts::of_docker(line)?;
    let (_, time) = rest.split_once("\"time\":\"")?;
    Some((stamps.split(time).t, unescaped(inner).trim_end_matches('\n').to_owned()))
}

/// `2026-11-24T10:00:00.123456789Z stderr F fork: ..`.
fn kubernetes<'a>(line: &'a str, stamps: &Stamps) -> Option<Unwrapped<'a>> {
    let (_, _, inner) = output_parts::of_kubernetes(line)?;
    Some(Unwrapped { t: Some(stamps.split(line).t?), tag: None, line: inner })
}

/// `celery-1  | fork: ..`, with an underscore before version 2; of pm2 `0|celery  | fork: ..`.
fn compose(line: &str) -> Option<Unwrapped<'_>> {
    let (name, rest) = line.split_once("| ")?;
    let named = name.trim_end();
    let of_pm2 = named.split_once('|').map(|(nth, service)| (service, nth));
    let (service, nth) = of_pm2.or_else(|| named.rsplit_once(['-', '_']))?;
    let is_nth = (1..=4).contains(&nth.len()) && nth.bytes().all(|byte| byte.is_ascii_digit());
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let is_service = !service.is_empty() && service.len() <= LONGEST_NAME;
    let is_named = is_nth && is_service && service.chars().all(plain) && name.ends_with(' ');
    is_named.then_some(Unwrapped { t: None, tag: Some(service), line: rest })
}

/// `2026-11-24 10:00:00.123 UTC,"user","db",812,..,LOG,00000,"could not fork ..",..`: of the 23 to 26
/// fields the message alone. User, database and statement are the client's, so all fields are read.
fn postgres_csv<'a>(line: &'a str, stamps: &Stamps) -> Option<Unwrapped<'a>> {
    if !SEVERITIES.iter().any(|severity| line.contains(&format!(",{severity},"))) {
        return None;
    }
    let t = stamps.split(line).t?;
    let mut rest = line;
    let mut fields = [""; BEFORE_MESSAGE];
    for field in &mut fields {
        let (text, behind) = field_of(rest);
        (*field, rest) = (text, behind?);
    }
    let [.., number, _, _, _, _, severity, state] = fields;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let is_it = is_number && SEVERITIES.contains(&severity) && state.len() == 5;
    is_it.then(|| Unwrapped { t: Some(t), tag: None, line: field_of(rest).0 })
}

/// The first field, without its quotes, and what follows its comma.
fn field_of(text: &str) -> (&str, Option<&str>) {
    let Some(quoted) = text.strip_prefix('"') else {
        return text.split_once(',').map_or((text, None), |(field, rest)| (field, Some(rest)));
    };
    let mut from = 0;
    while let Some(at) = quoted.get(from..).and_then(|rest| rest.find('"')).map(|at| from + at) {
        let (field, behind) = quoted.split_at_checked(at).unwrap_or((quoted, ""));
        let behind = behind.get(1..).unwrap_or_default();
        // A doubled quote is one of the text.
        if !behind.starts_with('"') {
            return (field, behind.strip_prefix(','));
        }
        from = at + 2;
    }
    // A message of several lines ends in a later one.
    (quoted, None)
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn inner(line: &str) -> Option<(Option<f64>, Option<&str>, &str)> {
        let stamps = Stamps::new(TimeZone::UTC, 1_795_521_600.0, 0.0);
        unwrapped(line, &stamps).map(|found| (found.t, found.tag, found.line))
    }

    #[test]
    fn a_programs_own_line_is_taken_out_of_what_holds_it() {
        let t = Some(1_795_514_400.0);
        for (line, found) in [
            ("2026-11-24T10:00:00.000000000Z stderr F fork: x", Some((t, None, "fork: x"))),
            ("2026-11-24T11:00:00.000+01:00 stdout P fork: x", Some((t, None, "fork: x"))),
            (
                "2026-11-24T15:30:00.1+05:30 stderr F Z stdout F x",
                Some((Some(1_795_514_400.1), None, "Z stdout F x")),
            ),
            ("2026-11-24T10:00:00Z h app: Z stderr F fork: x", None),
            ("celery-1  | fork: x", Some((None, Some("celery"), "fork: x"))),
            ("my_app_web_12 | fork: x", Some((None, Some("my_app_web"), "fork: x"))),
            ("0|index    | fork: x", Some((None, Some("index"), "fork: x"))),
            ("GET /a-1 | fork: x", None),
            ("a-1| fork: x", None),
            (
                "2026-11-24 10:00:00 UTC,,,812,,6743a1b0.32c,3,,2026-11-24 09:00:00 UTC,,0,LOG,00000,\"could not fork \"\"x\"\"\",,",
                Some((t, None, "could not fork \"\"x\"\"")),
            ),
            (
                "2026-11-24 10:00:00 UTC,\"x,,1,,,3,,,,0,LOG,00000,\"\"fork\",\"db\",812,,6743.32c,3,,a,,0,ERROR,42601,\"y\",,\"fork\"",
                Some((t, None, "y")),
            ),
            ("2026-11-24 10:00:00 INFO a,LOG,b", None),
        ] {
            assert_eq!(inner(line), found, "{line}");
        }
    }

    #[test]
    fn a_line_in_dockers_json_is_taken_out_without_its_escapes() {
        let stamps = Stamps::new(TimeZone::UTC, 1_795_521_600.0, 0.0);
        let line = r#"{"log":"{\"a\":\"b\"}\n","stream":"stderr","time":"2026-11-24T10:00:00Z"}"#;
        let inner = (Some(1_795_514_400.0), "{\"a\":\"b\"}".to_owned());
        assert_eq!(of_docker(line, &stamps), Some(inner));
        assert_eq!(of_docker(r#"{"log":"a","b":"c"}"#, &stamps), None);
    }

    proptest! {
        #[test]
        fn any_line_is_borne(line in "(2026-11-24 10:00:00 UTC)?[\"a,]{0,40},(LOG|x),.{0,20}") {
            if let Some((_, _, found)) = inner(&line) {
                prop_assert!(line.contains(found));
            }
        }
    }
}
