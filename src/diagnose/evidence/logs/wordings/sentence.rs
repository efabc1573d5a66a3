//! Sentence: what a program that no row knows says in its own log, if its sentence says that it failed to
//! make something and ends in the system's words for the error.
//!
//! Who can put words into a log can end them in those words too. So the failure has to begin the message,
//! as with the rows, and what follows has to be plain: no paths or addresses, quotes only around one word,
//! and nothing behind a word such as "user", where programs write what others chose: that would need
//! blanks to look like an error. What was to be done is one of few verbs: a name is looked up, parsed or
//! sent, but hardly ever forked, mapped or allocated.

mod containers;
mod words;

use super::super::prefixes::OTHERS_WORDS;
use super::reasons::is_next_step;
use crate::diagnose::findings::{Failure, MissingResource};
use containers::refused_container;
pub(super) use words::FAILED_TO;
use words::{BOUNDED, CALLS, FORKS, MAKES, OF_OTHERS, PREPOSITIONS, TAKES_MEMORY, TASKS};

/// The system's words for the two errors, as `in_english` has them, and their numbers.
const ERRORS: [(&str, MissingResource, &str); 3] = [
    ("Cannot allocate memory", MissingResource::Memory, "12"),
    // musl's.
    ("Out of memory", MissingResource::Memory, "12"),
    ("Resource temporarily unavailable", MissingResource::Tasks, "11"),
];
/// The most words of a piece between colons, and the most pieces.
const MOST_WORDS: usize = 12;
const MOST_PIECES: usize = 4;
/// What stands between a sentence and its error.
const AROUND: [char; 5] = [' ', ':', '-', ',', '='];

/// What failed, by a message's words from `head` on. `quoted` is whether a quote stands before it, and `tag`
/// who says it.
pub(super) fn failure(head: &str, quoted: bool, tag: &str) -> Option<Failure> {
    if let Some(failure) = refused_container(head, tag) {
        return Some(failure);
    }
    if is_amount(head) {
        return Some(Failure::NoMemory);
    }
    let (sentence, missing) = ERRORS.iter().find_map(|(words, missing, number)| {
        Some((before(head, words, number, quoted)?, *missing))
    })?;
    let pieces: Vec<&str> = sentence.split(": ").collect();
    if pieces.len() > MOST_PIECES || !pieces.iter().all(|piece| is_plain(piece)) {
        return None;
    }
    let first = pieces.first()?;
    let takes_memory = is_call(first)
        || is_delimited(first)
        || is_short_failure(first)
        || what_failed(first)
            .is_some_and(|(verb, _)| begins(verb, &TAKES_MEMORY) || tag.starts_with("systemd"));
    let makes = what_failed(first).is_some_and(|(verb, _)| begins(verb, &MAKES));
    if pieces.iter().any(|piece| is_of_task(piece)) {
        let begins_with_it = makes || takes_memory || is_of_task(first);
        return begins_with_it.then_some(Failure::ForkFailed(missing));
    }
    (takes_memory && missing == MissingResource::Memory).then_some(Failure::NoMemory)
}

/// "Cannot allocate 805306368 bytes": an amount, of no memory that has a limit of the program's own.
fn is_amount(head: &str) -> bool {
    let Some(("allocate", object)) = what_failed(head) else { return false };
    let mut words = object.split(' ');
    let is_number = words.next().is_some_and(|word| word.parse::<u64>().is_ok());
    let units = ["bytes", "byte", "KB", "KiB", "MB", "MiB", "GB", "GiB", "kilobytes", "megabytes"];
    let unit = words.next().unwrap_or_default().trim_end_matches(['.', ':', ',', '!']);
    let plain = |word: &str| word.to_ascii_lowercase();
    is_number
        && units.contains(&unit)
        && !words.any(|word| BOUNDED.iter().any(|of| plain(word).contains(of)))
}

/// Whether a function that makes a process or thread stands last before a message: "do_fork: ".
pub(super) fn is_called_before(prefixes: &str) -> bool {
    let call = prefixes.trim_end_matches([' ', ':']).rsplit([' ', '"', '(']).next();
    call.is_some_and(names_call)
}

/// The sentence before the error's words, if little or nothing follows those.
fn before<'t>(head: &'t str, words: &str, number: &str, quoted: bool) -> Option<&'t str> {
    let at = head.rfind(words)?;
    let (mut before, mut tail) = (head.get(..at)?, head.get(at + words.len()..)?);
    // "[12] Cannot ..", "12: Cannot ..", "(12) Cannot ..".
    for form in [
        format!("[{number}] "),
        format!("({number}) "),
        format!("errno {number}, "),
        format!("{number}: "),
        format!("{number} "),
    ] {
        before = before.strip_suffix(&form).unwrap_or(before);
    }
    // Rust's "Os { code: 12, kind: OutOfMemory, message: \"Cannot ..\" }".
    if let Some((sentence, kind)) = before.rsplit_once(&format!("Os {{ code: {number}, kind: ")) {
        let kind = kind.strip_suffix(", message: \"")?;
        let is_kind = kind.bytes().all(|byte| byte.is_ascii_alphabetic());
        let is_it = is_kind && ends(tail.strip_prefix("\" }")?, quoted);
        return is_it.then(|| sentence.trim_end_matches(AROUND)).filter(|left| !left.is_empty());
    }
    let opened = [('(', ')'), ('[', ']'), ('\'', '\''), ('"', '"')];
    let bracket = opened.iter().find(|(open, _)| before.ends_with(*open));
    if let Some((open, close)) = bracket {
        (before, tail) = (before.strip_suffix(*open)?, tail.strip_prefix(*close)?);
    } else if !before.ends_with([' ', '=']) {
        return None;
    }
    let sentence = before.trim_end_matches(AROUND);
    // "with error code 12", "errno=12".
    let mut numbered = sentence.strip_suffix(number).map(|rest| rest.trim_end_matches(AROUND));
    let mut word = numbered.unwrap_or(sentence);
    while let Some(rest) = numbered {
        word = rest;
        let known = ["errno", "error", "code", "with", "rc", "status"];
        let shorter = known.iter().find_map(|known| rest.strip_suffix(known)?.strip_suffix(' '));
        numbered = shorter.map(|rest| rest.trim_end_matches(AROUND));
    }
    (ends(tail, quoted) && !word.is_empty()).then_some(word)
}

/// What may follow the error: a place in a source, its number, what the program does next in few words.
fn ends(tail: &str, quoted: bool) -> bool {
    // Rust's number of it.
    let numbered = [" (os error 12)", " (os error 11)"];
    let tail = numbered.iter().find_map(|number| tail.strip_prefix(number)).unwrap_or(tail);
    let tail = tail.trim_end();
    tail.chars().all(|c| ".!;:,-".contains(c))
        || (quoted && tail.starts_with(['"', '\'']))
        || [" (12)", " (11)", " [12]", " [11]"].contains(&tail)
        || [" at /", " in /", " at line ", " (errno ", " (errno=", " (errno:"]
            .iter()
            .any(|place| tail.starts_with(place))
        || [", ", " -- "].iter().any(|by| tail.strip_prefix(by).is_some_and(is_next_step))
}

/// The verb of what failed, and what follows it.
fn what_failed(piece: &str) -> Option<(&str, &str)> {
    let rest = FAILED_TO.iter().find_map(|words| {
        let begin = piece.get(..words.len())?;
        begin.eq_ignore_ascii_case(words).then(|| piece.get(words.len()..))?
    })?;
    Some(rest.split_once(' ').unwrap_or((rest, "")))
}

/// "ioctl(KVM_CREATE_VM) failed", "mmap failed", "shm_open error".
fn is_call(piece: &str) -> bool {
    let Some(name) = ["failed", "failure", "error"]
        .iter()
        .find_map(|failed| piece.strip_suffix(failed)?.strip_suffix(' '))
    else {
        return false;
    };
    let (name, inside) = name.split_once('(').unwrap_or((name, ")"));
    let is_name =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:.".contains(&b));
    is_name
        && inside.ends_with(')')
        && (inside.len() > 1 || name.contains('_') || name.contains("map"))
        || ["malloc", "mmap", "allocation", "calloc", "realloc"].contains(&name)
}

/// "cannot read directory '/sys/x'": whatever failed, on something in quotes, which what others chose
/// cannot leave: the closing quote would then be the line's last.
fn is_delimited(piece: &str) -> bool {
    what_failed(piece).is_some_and(|(_, object)| object.ends_with(['\'', '"']))
}

/// "socket reading error", "a-cli exec failed": few small words, and that it failed.
fn is_short_failure(piece: &str) -> bool {
    let mut words: Vec<&str> = piece.split(' ').collect();
    let fails = words.pop().is_some_and(|word| ["failed", "failure", "error"].contains(&word));
    let small = |c: char| c.is_ascii_lowercase() || c == '-' || c == '_';
    let is_it = |word: &&str| word.chars().all(small) && !PREPOSITIONS.contains(word);
    fails && (2..=4).contains(&words.len()) && words.iter().all(is_it)
}

/// Whether a piece says that a process or thread was not made.
fn is_of_task(piece: &str) -> bool {
    if let Some((verb, rest)) = what_failed(piece) {
        let object = rest.split(' ').take_while(|word| !PREPOSITIONS.contains(word));
        let is_number = |word: &str| word.trim_matches(['#', '(', ')']).parse::<u32>().is_ok();
        let noun = object.filter(|word| !is_number(word)).last().unwrap_or_default();
        let noun = noun.trim_matches(['(', ')', ',']).to_ascii_lowercase();
        return begins(verb, &FORKS) || (begins(verb, &MAKES) && TASKS.contains(&&*noun));
    }
    let mut words = piece.split([' ', '(']);
    let first = words.next().unwrap_or_default();
    let rest = piece.get(first.len()..).unwrap_or_default().to_ascii_lowercase();
    let fails = rest.contains("fail") || rest.contains("error");
    let is_bare = rest.trim_matches(|c: char| "() ".contains(c) || c.is_ascii_digit()).is_empty();
    let is_creation =
        ["thread creation", "process creation", "creation of thread", "creating thread"]
            .iter()
            .any(|begin| {
                piece.get(..begin.len()).is_some_and(|text| text.eq_ignore_ascii_case(begin))
            });
    (names_call(first) && (fails || is_bare)) || (is_creation && fails)
}

/// Whether that is one of the calls, or a function that is named after one.
fn names_call(word: &str) -> bool {
    let word = word.trim_end_matches(['(', ')', ':']).to_ascii_lowercase();
    let is_name = word.bytes().all(|b| b.is_ascii_alphanumeric() || b"_:.-".contains(&b));
    let of_fork = |part: &str| part == "fork" || part == "vfork" || part == "spawn";
    is_name
        && (word.split(['_', ':', '.', '-']).any(of_fork)
            || CALLS.iter().skip(1).any(|call| word.contains(call)))
}

fn begins(verb: &str, stems: &[&str]) -> bool {
    let verb = verb.to_ascii_lowercase();
    stems.iter().any(|stem| verb.starts_with(stem))
}

/// Whether a piece is the program's own words: few, of letters and numbers, and none where programs write
/// what others chose.
fn is_plain(piece: &str) -> bool {
    let is_quoted = |word: &&str| {
        let quotes = ['\'', '"'].iter().find(|quote| word.starts_with(**quote));
        quotes.is_some_and(|quote| {
            word.len() > 1 && word.matches(*quote).count() == 2 && word.ends_with(*quote)
        })
    };
    let words = piece.split(' ').filter(|word| !word.is_empty() && !is_quoted(word));
    let words: Vec<&str> = words.collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.,#()+-&':".contains(c);
    let is_slot = |word: &str| {
        let word = word.to_ascii_lowercase();
        OTHERS_WORDS.iter().filter(|word| !PREPOSITIONS.contains(word)).any(|other| *other == word)
            || OF_OTHERS.contains(&&*word)
    };
    let before_last = words.iter().take(words.len().saturating_sub(1));
    words.len() <= MOST_WORDS
        && words.iter().all(|word| word.chars().all(plain) && !word.contains(".."))
        && !before_last.into_iter().any(|word| is_slot(word))
        && !piece.split(['(', ',']).any(|part| part.trim().ends_with("said"))
}

#[cfg(test)]
mod tests;
