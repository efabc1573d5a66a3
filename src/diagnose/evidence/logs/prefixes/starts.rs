//! Starts: what programs say of another that they could not start.

use super::words::{DOES, MOST_STARTED, OTHERS_WORDS, STARTS, THINGS};

/// What follows a program's word that it could not start another: "failed to exec du - fork/exec ..",
/// "Failed to call 'git gc': ..", "Failed to execute /bin/x. Error: '..", "Cannot start container a: ..".
pub(super) fn of_a_start(text: &str) -> Option<&str> {
    let Started(words) = started(text)?;
    let ends = [": ", " - "].into_iter().filter_map(|end| Some((words.find(end)?, end)));
    let (at, end) = ends.min()?;
    let (words, rest) = words.split_at_checked(at)?;
    let rest = rest.get(end.len()..)?.trim_start_matches('\'');
    Started(words).is_plain().then_some(rest)
}

/// What follows "error reading process: fork/exec ..", in Go's words alone: what was read is one of few
/// things, of which none has a name that others chose.
pub(super) fn of_go(text: &str) -> Option<&str> {
    let Started(started) = after_failure(text, &DOES)?;
    let (words, rest) = started.split_once(": ")?;
    let is_thing = words.rsplit(' ').next().is_some_and(|last| THINGS.contains(&last));
    (is_thing && is_small(words) && rest.starts_with("fork/exec /")).then_some(rest)
}

/// Whether those are few small words.
pub(super) fn is_small(words: &str) -> bool {
    let small = |word: &str| word.bytes().all(|b| b.is_ascii_lowercase() || b"-_".contains(&b));
    words.split(' ').count() <= MOST_STARTED && words.split(' ').all(small)
}

/// What a program says that it could not start.
pub(super) struct Started<'t>(&'t str);

/// What follows "Failed to exec ", "Cannot start ", "Exception while running ".
pub(super) fn started(text: &str) -> Option<Started<'_>> {
    after_failure(text, &STARTS)
}

/// What follows a failure to do one of these.
fn after_failure<'t>(text: &'t str, verbs: &[&str]) -> Option<Started<'t>> {
    let not = [
        "ailed to ",
        "ail to ",
        "rror ",
        "annot ",
        "ould not ",
        "nable to ",
        "rror while ",
        "xception while ",
    ];
    let rest = text.strip_prefix(|c: char| c.is_ascii_alphabetic())?;
    not.iter().find_map(|words| {
        let (verb, rest) = rest.strip_prefix(words)?.split_once(' ')?;
        verbs.contains(&verb).then_some(Started(rest))
    })
}

impl Started<'_> {
    /// Whether that is few own words.
    pub(super) fn is_plain(&self) -> bool {
        let plain = |c: char| c.is_ascii_alphanumeric() || "_-./':".contains(c);
        let is_others = |word: &str| word != "command" && OTHERS_WORDS.contains(&word);
        let is_own = |word: &str| word.chars().all(plain) && !is_others(&word.to_ascii_lowercase());
        let words = self.0.split(' ');
        words.clone().count() <= MOST_STARTED && words.into_iter().all(is_own)
    }
}
