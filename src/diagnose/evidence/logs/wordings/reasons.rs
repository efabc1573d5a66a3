//! Reasons: what a fork lacked, as a message says it.

use crate::diagnose::findings::MissingResource;

/// How each resource is named, in English, by number and by macro.
const MEMORY: [&str; 17] = [
    "errno: 12",
    "Cannot allocate memory",
    "ENOMEM",
    "Errno 12]",
    "errno 12",
    "errno=12",
    "errno= 12",
    "error=12",
    "error = 12",
    "error 12",
    "(12)",
    "[12]",
    "code: 12",
    "out of memory",
    "Out of memory",
    "Not enough memory",
    "not enough memory",
];
const TASKS: [&str; 15] = [
    "errno: 11",
    "Resource temporarily unavailable",
    "EAGAIN",
    "Errno 11]",
    "errno 11",
    "errno=11",
    "errno= 11",
    "error=11",
    "error = 11",
    "error 11",
    "(11)",
    "[11]",
    "code: 11",
    "No child processes",
    "ulimit -u",
];

/// The resource that a message names, at its end or before what its program adds there. What follows in
/// other words ("from 10.0.0.7") shows that the error is part of somebody's name.
pub(super) fn missing_at_end(text: &str) -> Option<MissingResource> {
    let at_end = |words: &[&str]| {
        words.iter().any(|word| {
            let Some((before, tail)) = text.rsplit_once(word) else { return false };
            // Java's guess.
            is_tail(tail) && !before.ends_with("possibly ")
        })
    };
    if at_end(&MEMORY) {
        Some(MissingResource::Memory)
    } else if at_end(&TASKS) {
        Some(MissingResource::Tasks)
    } else {
        None
    }
}

/// What programs add behind an error: a place in a source, a number, what comes next.
fn is_tail(tail: &str) -> bool {
    let begins = |words: &[&str]| words.iter().any(|word| tail.starts_with(word));
    tail.trim().is_empty()
        || tail.starts_with(['.', ')', ']', '\'', '"', '!', ';', ':', '>', '}'])
        || begins(&[", rootInodeErr: ", " at ", " (", " [", " in ", " -- ", " - ", " <", " \\"])
        || tail.strip_prefix(", ").is_some_and(is_next_step)
}

/// What a program says that it does next: "giving up", "scheduling broken".
pub(super) fn is_next_step(text: &str) -> bool {
    let text = text.trim_end_matches(['.', '!', ' ']);
    text.split(' ').count() <= 4 && text.chars().all(|c| c.is_ascii_lowercase() || c == ' ')
}

/// The same before the words: Apache's "(11)Resource temporarily unavailable: fork: ..".
pub(super) fn missing_before(text: &str, head: &str) -> Option<MissingResource> {
    let mut before = text.get(..text.len() - head.len())?;
    // Where it goes to syslog, behind "[mpm_prefork:alert] [pid 904:tid 139] ".
    while let Some((_, rest)) = before.strip_prefix('[').and_then(|text| text.split_once("] ")) {
        before = rest;
    }
    missing_at_end(before.trim_end_matches([' ', ':']).rsplit(": ").next()?).or_else(|| {
        let has = |words: &[&str]| words.iter().any(|word| before.starts_with(word));
        if has(&["(12)", "[12]"]) {
            Some(MissingResource::Memory)
        } else {
            has(&["(11)", "[11]"]).then_some(MissingResource::Tasks)
        }
    })
}
