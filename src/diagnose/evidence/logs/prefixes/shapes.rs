//! Shapes: what a word in a prefix is, by its characters alone.

use super::words::{LEVELS, OTHERS_WORDS};

/// A number of a line or a process, of several digits.
pub(super) fn is_number(word: &str) -> bool {
    !word.is_empty()
        && word.len() < 12
        && word.bytes().all(|b| b.is_ascii_digit() || b"#/".contains(&b))
}

/// rspamd's "#1864(main)".
pub(super) fn is_numbered(word: &str) -> bool {
    let parts = word.strip_prefix('#').and_then(|word| word.strip_suffix(')')?.split_once('('));
    parts.is_some_and(|(number, name)| is_number(number) && is_name(name))
}

/// The name of a program, a module or an exception: no blanks, no quotes, not one whose value others
/// choose.
pub(super) fn is_name(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.+$#@/()<>*-[]:`'".contains(c);
    let lower = word.trim_start_matches(['<', '[', '(']).to_ascii_lowercase();
    // What begins with a quote is quoted: "KeyError: 'OSError: ..".
    let is_quoted = word.starts_with('\'');
    !word.is_empty()
        && !is_quoted
        && word.chars().all(plain)
        && !OTHERS_WORDS.contains(&lower.as_str())
        && !says_name(&lower)
}

/// Whether an exception of that name, in small letters, says a name that others may have chosen: a key, a
/// file, a host that is not there.
fn says_name(lower: &str) -> bool {
    let ends = ["notfound", "notfounderror", "notfoundexception", "doesnotexist", "keyerror"];
    let begins = ["nosuchfile", "nosuchkey", "unknown"];
    let last = lower.rsplit(['.', ':', '$', '/']).next().unwrap_or(lower);
    ends.iter().any(|end| last.ends_with(end)) || begins.iter().any(|begin| last.starts_with(begin))
}

/// "org.apache.catalina.core.StandardServer", "MY-010116"; not "v1.2" and no address.
pub(super) fn is_class(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.$-".contains(c);
    let starts = word.starts_with(|c: char| c.is_ascii_alphabetic());
    starts
        && word.contains('.')
        && word.chars().all(plain)
        && !says_name(&word.to_ascii_lowercase())
}

/// PostgreSQL's "app@shop" before the level, or "user=app,db=shop".
pub(super) fn is_session(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-@[],=".contains(c);
    let is_either = word.matches('@').count() == 1 || word.starts_with("user=");
    is_either && word.chars().all(plain)
}

/// A time behind another prefix: "2026-11-24", "10:00:00.000", "UTC".
pub(super) fn is_time(word: &str) -> bool {
    let zones = ["UTC", "GMT", "CET", "CEST"];
    let plain = |c: char| c.is_ascii_digit() || "-:.,+TZ".contains(c);
    let is_digit = |c: char| c.is_ascii_digit();
    zones.contains(&word) || (word.starts_with(is_digit) && word.chars().all(plain))
}

/// Sidekiq's thread, and the place in a source that Ruby names: "/x/cluster.rb:100:in".
pub(super) fn is_thread(word: &str) -> bool {
    let is_place = word.ends_with(":in") && word.contains(".rb:")
        // gitea: "...ters/private/hook.go:428:HookPostReceive()".
        || word.ends_with("()") && word.contains(".go:")
        // zap: "backup/run.go:55".
        || word.rsplit_once(".go:").is_some_and(|(_, line)| is_number(line));
    (word.starts_with("TID-") || is_place) && !word.contains(['"', '=', '?'])
}

/// Kamailio's "<core>", Erlang's "<0.231.0>", ClickHouse's "<Error>", rspamd's "<e7cd9c>;"; not a name of
/// who chats.
pub(super) fn is_in_angles(word: &str) -> bool {
    let inside = word.strip_prefix('<').and_then(|word| word.strip_suffix('>'));
    let is_id = |inside: &str| inside.bytes().all(|b| b.is_ascii_hexdigit() || b == b'.');
    inside.is_some_and(|inside| {
        inside == "core" || LEVELS.contains(&inside) || (is_id(inside) && inside.len() > 4)
    })
}
