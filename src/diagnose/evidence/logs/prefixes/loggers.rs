//! Loggers: forms of lines that one program or library alone writes.

use super::LONGEST;
use super::shapes::{is_name, is_number};

/// What it says of its own failure.
const OF_ANSIBLE: [&str; 2] =
    ["ERROR! Unexpected Exception: ", "ERROR! Unexpected Exception, this is probably a bug: "];
/// A span with what is behind it in bytes: syslogs cut lines at 1024, and so do we at 4096, before an own "}:" that may
/// come.
const LONGEST_SPAN: usize = 800;

/// Ansible: "p=812 u=root n=ansible | ERROR! Unexpected Exception: ..". All else is what a machine answered.
pub(super) fn of_ansible(text: &str) -> Option<Option<&str>> {
    let (by, rest) = text.strip_prefix("p=")?.split_once('|')?;
    let (pid, by) = by.split_once(" u=")?;
    let user = by.split(' ').next()?;
    let rest = OF_ANSIBLE.iter().find_map(|own| rest.trim_start().strip_prefix(own));
    Some(rest.filter(|_| is_number(pid) && is_name(user) && by.len() <= LONGEST))
}

/// Whether that line of Ansible's log begins what a machine answered, of which each further line is one without time.
pub(in super::super) fn is_answer_of_ansible(text: &str) -> bool {
    text.starts_with("p=") && matches!(of_ansible(text), Some(None))
}

/// A span of Rust's tracing, which may hold what others chose: "request{id=7}: shop::db: failed to ..". Its own
/// "}:" follows that, so a text with one alone has no other.
pub(super) fn of_a_span(text: &str) -> Option<Option<&str>> {
    let (name, _) = text.split_once('{')?;
    let (_, rest) = text.split_once("}: ").filter(|_| is_identifier(name))?;
    let is_only = text.matches("}:").count() == 1 && text.len() < LONGEST_SPAN;
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
