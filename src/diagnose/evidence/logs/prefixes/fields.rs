//! Fields: the error behind a message, where a logger puts both into one line.

use super::super::records;
use super::starts::{is_small, started};
use super::words::STARTS;

/// The error behind a message of logrus, go-kit or klog: `msg="failed to start" error="fork/exec ..`,
/// `"Failed to start" pod="a/b" err="fork/exec ..`. A quote in any of the texts is written `\"`, so what
/// others chose cannot look like a field.
pub(super) fn error_field(text: &str) -> Option<&str> {
    let Some(message) = text.strip_prefix("msg=\"").or_else(|| text.strip_prefix('"')) else {
        return behind_failure(text);
    };
    let is_escaped = |at: usize| message.get(..at).is_some_and(|before| before.ends_with('\\'));
    let (end, _) = message.match_indices('"').find(|(at, _)| !is_escaped(*at))?;
    let rest = message.get(end + 1..)?;
    [" error=\"", " err=\""].iter().find_map(|field| Some(rest.split_once(field)?.1))
}

/// The error behind a message without quotes: "command failed\t{\"cmd\": \"ls\", \"error\": \"fork/exec .." of
/// zap, "run failed error=\"fork/exec .." of zerolog and hclog, "Exception while running command
/// {:e=>#<Errno::ENOMEM: .." of Logstash. The message has to be few own words, since it ends where the
/// first field seems to begin; without zap's tab, of a program that did not start.
fn behind_failure(text: &str) -> Option<&str> {
    let at = text.find(['=', '{'])?;
    let (before, rest) = text.split_at_checked(at)?;
    let (message, fields) = if rest.starts_with('{') {
        (before, rest)
    } else {
        text.split_at_checked(before.rfind([' ', '\t'])? + 1)?
    };
    let is_of_zap = fields.starts_with('{') && message.ends_with('\t');
    let may_be = !fields.starts_with('{') || fields.starts_with("{:") || is_of_zap;
    let message = message.trim_end_matches([' ', '\t', ':']);
    (may_be && is_failure(message, is_of_zap)).then(|| records::error_of(fields))?
}

/// "running driver failed", "failed to launch command"; of any verb, if that may be.
fn is_failure(message: &str, any: bool) -> bool {
    let failed = ["failed", "failure", "error"].iter().find_map(|of| message.strip_suffix(of));
    let is_start = |what: &str| STARTS.contains(&what.split(' ').next().unwrap_or_default());
    failed
        .and_then(|what| what.strip_suffix(' '))
        .is_some_and(|what| is_small(what) && (any || is_start(what)))
        || started(message).is_some_and(|of| of.is_plain())
}
