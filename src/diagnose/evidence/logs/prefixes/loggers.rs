//! Loggers: forms of lines that one program or library alone writes.

use super::LONGEST;
use super::shapes::{is_name, is_number};

/// Ansible: "p=812 u=root n=ansible | ERROR! Unexpected Exception: ..".
pub(super) fn of_ansible(text: &str) -> Option<Option<&str>> {
    let (by, rest) = text.strip_prefix("p=")?.split_once('|')?;
    let (pid, by) = by.split_once(" u=")?;
    let user = by.split(' ').next()?;
    let rest = rest.trim_start().trim_start_matches("ERROR! Unexpected Exception: ");
    Some((is_number(pid) && is_name(user) && by.len() <= LONGEST).then_some(rest))
}

/// kubelet, of its node: what others chose there are names of objects, without blanks.
pub(super) fn of_an_event(text: &str) -> Option<Option<&str>> {
    let forms = [
        ("\"Event occurred\" object=\"", " reason=\"SystemOOM\" message=\""),
        ("Event(v1.ObjectReference{Kind:\"Node\", ", "): type: 'Warning' reason: 'SystemOOM' "),
    ];
    let behind = |(begins, ends)| text.strip_prefix(begins)?.split_once(ends);
    forms.into_iter().find_map(behind).map(|(_, rest)| Some(rest))
}

/// A span of Rust's tracing, which may hold what others chose: "request{id=7}: shop::db: failed to ..". Its own
/// "}:" follows that, so a text with one alone has no other.
pub(super) fn of_a_span(text: &str) -> Option<Option<&str>> {
    let (name, _) = text.split_once('{')?;
    let (_, rest) = text.split_once("}: ").filter(|_| is_identifier(name))?;
    let is_only = text.matches("}:").count() == 1;
    let target = rest.split(' ').next().unwrap_or_default();
    Some((is_only && target.contains("::") && target.ends_with(':')).then_some(rest))
}

/// LXC, behind the level: "start - start.c:lxc_spawn:1746 - ".
pub(super) fn of_lxc(text: &str) -> Option<Option<&str>> {
    let (module, rest) = text.split_once(" - ")?;
    let (place, rest) = rest.split_once(" - ").filter(|_| is_name(module))?;
    let (file, line) = place.rsplit_once(':')?;
    let (file, function) = file.split_once(".c:")?;
    Some((is_number(line) && is_name(file) && is_name(function)).then_some(rest))
}

/// A name in a program's source.
fn is_identifier(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}
