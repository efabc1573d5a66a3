//! Forms: how programs and loggers begin a line, each a function.

use super::LONGEST;
use super::loggers::{of_a_span, of_ansible, of_lxc};
use super::shapes::{
    is_class, is_in_angles, is_name, is_number, is_numbered, is_session, is_thread, is_time,
};
use super::starts::{of_a_start, of_go};
use super::words::{AROUND_A_WORD, LEVELS, LINES, OWN_ERRORS, PHRASES};

/// Nothing where a text has not this form. Else what is left behind the prefix, or nothing where it only
/// looks like one: then no other form fits either.
type Form = fn(&str) -> Option<Option<&str>>;

/// In the order in which they are tried.
pub(super) const FORMS: [Form; 18] = [
    of_a_phrase,
    of_a_pair,
    of_brackets,
    of_a_thread,
    of_a_numbered_level,
    of_words,
    of_a_place,
    of_a_line,
    of_passenger,
    of_a_bar,
    of_a_job,
    of_puppet,
    of_r,
    of_a_field,
    of_own_error,
    of_ansible,
    of_a_span,
    of_lxc,
];

fn of_a_phrase(text: &str) -> Option<Option<&str>> {
    let rest = PHRASES.iter().find_map(|phrase| text.strip_prefix(phrase))?;
    Some(Some(rest.trim_start()))
}

/// logrus: `time="2026-11-24T10:00:00Z" level=info msg="..`
fn of_a_pair(text: &str) -> Option<Option<&str>> {
    let behind = |keys: &[&str]| keys.iter().find_map(|key| text.strip_prefix(key));
    if let Some(rest) = behind(&["time=\""]) {
        return Some(rest.split_once("\" ").map(|(_, rest)| rest));
    }
    if let Some(rest) = behind(&["time=", "ts=", "caller=", "component=", "level="]) {
        return Some(rest.split_once(' ').map(|(_, rest)| rest));
    }
    behind(&["msg=\"", "error=\"", "err=\""]).map(Some)
}

fn of_brackets(text: &str) -> Option<Option<&str>> {
    let rest = bracketed(text, '[', ']').or_else(|| bracketed(text, '(', ')'))?;
    Some(Some(rest.trim_start_matches([' ', ':'])))
}

/// Java's `Exception in thread "main" `, Rust's `thread 'main' panicked at '`.
fn of_a_thread(text: &str) -> Option<Option<&str>> {
    let behind = |begins: &str, ends: &str| {
        text.strip_prefix(begins).map(|rest| rest.split_once(ends).map(|(_, rest)| rest))
    };
    behind("Exception in thread \"", "\" ").or_else(|| behind("thread '", "' panicked at '"))
}

/// Asterisk: "WARNING[2818][C-00003345] pbx.c: ". PHP's PDO: "SQLSTATE[HY000] [1135] ".
fn of_a_numbered_level(text: &str) -> Option<Option<&str>> {
    let behind = |level: &&str| text.strip_prefix(*level).filter(|rest| rest.starts_with('['));
    LEVELS.iter().chain(&["SQLSTATE"]).find_map(behind).map(Some)
}

fn of_words(text: &str) -> Option<Option<&str>> {
    let of_words = of_a_word(text).or_else(|| of_a_call(text));
    of_words.or_else(|| of_a_start(text)).or_else(|| of_go(text)).map(Some)
}

/// Airflow's "{local_task.py:225} ", ClickHouse's number of the query.
fn of_a_place(text: &str) -> Option<Option<&str>> {
    let (place, rest) = text.strip_prefix('{')?.split_once("} ")?;
    let is_query = place.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    let file_and_line = place.split_once(':');
    let is_place = file_and_line.is_some_and(|(file, line)| is_class(file) && is_number(line));
    Some((is_place || (is_query && is_of_clickhouse(rest))).then_some(rest))
}

/// What ClickHouse writes behind the number of the query: "<Error> executeQuery: ".
fn is_of_clickhouse(text: &str) -> bool {
    let Some((level, rest)) = text.strip_prefix('<').and_then(|text| text.split_once("> ")) else {
        return false;
    };
    let name = rest.split_once(": ").map(|(name, _)| name.strip_prefix("void ").unwrap_or(name));
    LEVELS.contains(&level) && name.is_some_and(is_name)
}

/// A shell's "line 7: ", in its user's language.
fn of_a_line(text: &str) -> Option<Option<&str>> {
    let rest = LINES.iter().find_map(|line| text.strip_prefix(line)?.strip_prefix(' '))?;
    let numbered = rest.split_once(": ").filter(|(number, _)| is_number(number.trim_end()));
    Some(numbered.map(|(_, rest)| rest.trim_start()))
}

/// Passenger: "App 18926 stderr: ".
fn of_passenger(text: &str) -> Option<Option<&str>> {
    let (number, rest) = text.strip_prefix("App ")?.split_once(' ')?;
    let output = ["stderr: ", "stdout: ", "output: "];
    let rest = output.iter().find_map(|from| rest.strip_prefix(from));
    Some(rest.filter(|_| is_number(number)))
}

/// Open vSwitch, NLog: "|00001|ovs_thread(main)|EMER|pthread_create ..". Groups of Python's exceptions:
/// "    | RuntimeError: ..".
fn of_a_bar(text: &str) -> Option<Option<&str>> {
    Some(Some(text.strip_prefix('|')?.trim_start()))
}

/// Bareos, Bacula: "bareos-dir JobId 7: ".
fn of_a_job(text: &str) -> Option<Option<&str>> {
    let (_, rest) = text.split_once(" JobId ").filter(|(name, _)| is_name(name))?;
    let numbered = rest.split_once(": ").filter(|(number, _)| is_number(number));
    Some(numbered.map(|(_, rest)| rest))
}

/// Puppet: "(/Stage[main]/Ntp/Service[ntp]) Could not evaluate: ..".
fn of_puppet(text: &str) -> Option<Option<&str>> {
    let rest = text.strip_prefix("(/Stage[")?;
    Some(rest.split_once(") Could not evaluate: ").map(|(_, rest)| rest))
}

/// R: "Error in mcfork(detached) : ..".
fn of_r(text: &str) -> Option<Option<&str>> {
    let is_call = |call: &str| {
        let name = call.strip_suffix(')').and_then(|call| Some(call.split_once('(')?.0));
        call.len() <= LONGEST && name.is_some_and(is_name)
    };
    let called = text.strip_prefix("Error in ")?.split_once(" : ");
    Some(called.filter(|(call, _)| is_call(call)).map(|(_, rest)| rest))
}

fn of_a_field(text: &str) -> Option<Option<&str>> {
    let (field, rest) = text.split_once('|')?;
    let is_field = is_name(field) && field.len() <= LONGEST && !rest.starts_with(' ');
    is_field.then_some(Some(rest))
}

/// "STL Exception: ", "OS error: ".
fn of_own_error(text: &str) -> Option<Option<&str>> {
    let (_, rest) = text.split_once(' ').filter(|(own, _)| OWN_ERRORS.contains(own))?;
    let of = ["Error: ", "error: ", "Exception: ", "exception: "];
    of.iter().find_map(|of| rest.strip_prefix(of)).map(Some)
}

/// The name of a program or a module, a level, a number or a time, as the first word.
pub(super) fn of_the_first_word(text: &str) -> Option<&str> {
    let (word, rest) = text.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    // pm2: "PM2        | ".
    if let Some(rest) = rest.strip_prefix("| ") {
        return is_name(word).then_some(rest);
    }
    let bare = word.trim_end_matches([':', '|', ';']);
    // netdata: "netdata ERROR : PLUGIN[cgroup] : CGROUP: ".
    let level = rest.split_once(" : ").is_some_and(|(level, _)| LEVELS.contains(&level));
    let named = word.len() > bare.len() || level || rest.starts_with(": ");
    let is_prefix = word == ":"
        || word.len() <= LONGEST
            && (LEVELS.contains(&bare)
                || is_number(bare.trim_start_matches(['*', '#']))
                || bare.strip_prefix("pid:").is_some_and(is_number)
                || is_numbered(bare)
                || (named && is_name(bare))
                || is_in_angles(bare)
                || is_class(bare)
                || is_time(bare)
                || is_thread(bare)
                || is_session(bare));
    let is_raised = is_session(bare) && is_raised(rest) || is_raised(text);
    (is_prefix && !is_raised).then_some(rest)
}

/// Whether a client may have chosen what PostgreSQL says: RAISE does so at every level up to ERROR, and at
/// LOG. Behind those it has two blanks.
fn is_raised(text: &str) -> bool {
    let levels = ["DEBUG", "INFO", "NOTICE", "WARNING", "ERROR"];
    let raised = levels.iter().find_map(|level| text.strip_prefix(level)?.strip_prefix(":  "));
    raised.is_some_and(|message| message.trim_end() != "out of memory")
}

/// What follows a text in brackets, which is no client's address.
fn bracketed(text: &str, open: char, close: char) -> Option<&str> {
    let (inside, rest) = text.strip_prefix(open)?.split_once(close)?;
    let is_clients = ["client", "remote"].iter().any(|word| inside.starts_with(word));
    // "(root) CMD (..)" of cron is no prefix; "(1) : Current worker" of HAProxy is one.
    // So are amavis's "(00977-01)" and lighttpd's "(mod_cgi.c.123)".
    let is_own = open == '['
        || is_number(inside)
        || inside.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-')
        || (inside.contains(".c.") && is_class(inside))
        // A thread of Jetty's in Solr: "(qtp1-12) [   x:core] ..".
        || (rest.starts_with(" [") && inside.starts_with("qtp") && is_name(inside));
    (inside.len() <= LONGEST && !is_clients && is_own).then_some(rest)
}

/// What follows such a phrase.
fn of_a_word(text: &str) -> Option<&str> {
    // Docker's: the names are its own, or of a container.
    if let Some(rest) = text.strip_prefix("failed to create endpoint ") {
        return Some(rest.split_once(" on network ")?.1.split_once(": ")?.1);
    }
    if let Some(rest) = text.strip_prefix("failed to \"") {
        return of_kubelet(rest);
    }
    AROUND_A_WORD.iter().find_map(|(before, behind)| {
        let (word, rest) = text.strip_prefix(before)?.split_once(' ')?;
        word.contains('/').then(|| rest.strip_prefix(behind))?
    })
}

/// What follows kubelet's step and the container that it was for: "StartContainer\" for \"shop\" with
/// RunContainerError: \"..". A container's name has no blanks.
fn of_kubelet(text: &str) -> Option<&str> {
    let (step, rest) = text.split_once("\" for \"")?;
    let (container, rest) = rest.split_once("\" with ")?;
    let (error, rest) = rest.split_once(": \"")?;
    [step, container, error].into_iter().all(is_name).then_some(rest)
}

/// What follows a function's name and what it was called with, as Go programs chain them:
/// "GetCommitByPath (/a.md): fork/exec ..". What it was called with may be others' choice, and ends at the
/// last ")".
fn of_a_call(text: &str) -> Option<&str> {
    let (name, rest) = text.split_once(" (")?;
    let is_camel = name
        .bytes()
        .zip(name.bytes().skip(1))
        .any(|(one, next)| one.is_ascii_lowercase() && next.is_ascii_uppercase());
    let is_it = is_camel && name.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_it.then(|| rest.rsplit_once("): "))?.map(|(_, rest)| rest)
}
