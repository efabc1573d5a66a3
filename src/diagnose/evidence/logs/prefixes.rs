//! Prefixes: what a program puts before its own words, and where those may therefore begin.
//!
//! What a client sent (a path, a user's name, a statement) stands further on in a line. So a wording
//! has to begin the message, behind nothing but what loggers write: levels, names of programs and
//! modules, pids, brackets.

mod fields;
mod starts;
mod words;

pub(super) use words::OTHERS_WORDS;

use fields::error_field;
use starts::{of_a_start, of_go};
use words::{AROUND_A_WORD, LEVELS, LINES, OWN_ERRORS, PHRASES};

/// The most prefixes of one line.
const MOST: usize = 12;
/// Bytes of one prefix.
const LONGEST: usize = 160;

/// Every place where the program's own words may begin: the message, and what is left of it after each
/// prefix.
pub(super) fn heads(message: &str) -> impl Iterator<Item = &str> {
    let (mut next, mut error) = (Some(message.trim_start()), None);
    let mut left = MOST;
    std::iter::from_fn(move || {
        let now = next.take().or_else(|| error.take())?;
        left = left.checked_sub(1)?;
        next = after_prefix(now);
        error = error.or_else(|| error_field(now));
        Some(now)
    })
}

/// What is left of a text after its first prefix, if it begins with one.
fn after_prefix(text: &str) -> Option<&str> {
    if let Some(rest) = PHRASES.iter().find_map(|phrase| text.strip_prefix(phrase)) {
        return Some(rest.trim_start());
    }
    // logrus: `time="2026-11-24T10:00:00Z" level=info msg="..`
    for key in [
        "time=\"",
        "time=",
        "ts=",
        "caller=",
        "component=",
        "level=",
        "msg=\"",
        "error=\"",
        "err=\"",
    ] {
        let Some(rest) = text.strip_prefix(key) else { continue };
        return match key {
            "time=\"" => Some(rest.split_once("\" ")?.1),
            "time=" | "ts=" | "caller=" | "component=" | "level=" => Some(rest.split_once(' ')?.1),
            _ => Some(rest),
        };
    }
    if let Some(rest) = bracketed(text, '[', ']').or_else(|| bracketed(text, '(', ')')) {
        return Some(rest.trim_start_matches([' ', ':']));
    }
    if let Some(rest) = text.strip_prefix("Exception in thread \"") {
        return Some(rest.split_once("\" ")?.1);
    }
    if let Some(rest) = text.strip_prefix("thread '") {
        return Some(rest.split_once("' panicked at '")?.1);
    }
    // Asterisk: "WARNING[2818][C-00003345] pbx.c: ".
    let behind = |level: &&str| text.strip_prefix(*level).filter(|rest| rest.starts_with('['));
    if let Some(rest) = LEVELS.iter().find_map(behind) {
        return Some(rest);
    }
    let of_words = of_a_word(text).or_else(|| of_a_call(text));
    if let Some(rest) = of_words.or_else(|| of_a_start(text)).or_else(|| of_go(text)) {
        return Some(rest);
    }
    if let Some((place, rest)) = text.strip_prefix('{').and_then(|text| text.split_once("} ")) {
        // ClickHouse: the number of the query, or none.
        if place.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-') {
            return Some(rest);
        }
        let (file, line) = place.split_once(':')?;
        return (is_class(file) && is_number(line)).then_some(rest);
    }
    if let Some(rest) = LINES.iter().find_map(|line| text.strip_prefix(line)?.strip_prefix(' ')) {
        let (number, rest) = rest.split_once(": ")?;
        return is_number(number.trim_end()).then_some(rest.trim_start());
    }
    // Passenger: "App 18926 stderr: ".
    if let Some((number, rest)) = text.strip_prefix("App ").and_then(|text| text.split_once(' ')) {
        let output = ["stderr: ", "stdout: ", "output: "];
        let rest = output.iter().find_map(|from| rest.strip_prefix(from))?;
        return is_number(number).then_some(rest);
    }
    // Open vSwitch, NLog: "|00001|ovs_thread(main)|EMER|pthread_create ..". Groups of Python's exceptions:
    // "    | RuntimeError: ..".
    if let Some(rest) = text.strip_prefix('|') {
        return Some(rest.trim_start());
    }
    // Bareos, Bacula: "bareos-dir JobId 7: ".
    if let Some((_, rest)) = text.split_once(" JobId ").filter(|(name, _)| is_name(name)) {
        let (number, rest) = rest.split_once(": ")?;
        return is_number(number).then_some(rest);
    }
    // Puppet: "(/Stage[main]/Ntp/Service[ntp]) Could not evaluate: ..".
    if let Some(rest) = text.strip_prefix("(/Stage[") {
        return Some(rest.split_once(") Could not evaluate: ")?.1);
    }
    // R: "Error in mcfork(detached) : ..".
    if let Some(rest) = text.strip_prefix("Error in ") {
        let (call, rest) = rest.split_once(" : ")?;
        let (name, _) = call.strip_suffix(')')?.split_once('(')?;
        return (is_name(name) && call.len() <= LONGEST).then_some(rest);
    }
    let field = text.split_once('|').filter(|(field, _)| is_name(field) && field.len() <= LONGEST);
    if let Some((_, rest)) = field.filter(|(_, rest)| !rest.starts_with(' ')) {
        return Some(rest);
    }
    if let Some(rest) = of_own_error(text) {
        return Some(rest);
    }
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
                || is_numbered(bare)
                || (named && is_name(bare))
                || is_in_angles(bare)
                || is_class(bare)
                || is_time(bare)
                || is_thread(bare)
                || is_session(bare));
    // What a session raises at these levels is its client's own choice.
    let is_raised = is_session(bare)
        && ["NOTICE:", "INFO:", "WARNING:"].iter().any(|level| rest.starts_with(level));
    (is_prefix && !is_raised).then_some(rest)
}

/// Kamailio's "<core>", Erlang's "<0.231.0>", ClickHouse's "<Error>", rspamd's "<e7cd9c>;"; not a name of
/// who chats.
fn is_in_angles(word: &str) -> bool {
    let inside = word.strip_prefix('<').and_then(|word| word.strip_suffix('>'));
    let is_id = |inside: &str| inside.bytes().all(|b| b.is_ascii_hexdigit() || b == b'.');
    inside.is_some_and(|inside| {
        inside == "core" || LEVELS.contains(&inside) || (is_id(inside) && inside.len() > 4)
    })
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

/// What follows "STL Exception: ", "OS error: ".
fn of_own_error(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once(' ').filter(|(own, _)| OWN_ERRORS.contains(own))?;
    ["Error: ", "error: ", "Exception: ", "exception: "].iter().find_map(|of| rest.strip_prefix(of))
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

fn is_number(word: &str) -> bool {
    !word.is_empty()
        && word.len() < 12
        && word.bytes().all(|b| b.is_ascii_digit() || b"#/".contains(&b))
}

/// rspamd's "#1864(main)".
fn is_numbered(word: &str) -> bool {
    let parts = word.strip_prefix('#').and_then(|word| word.strip_suffix(')')?.split_once('('));
    parts.is_some_and(|(number, name)| is_number(number) && is_name(name))
}

/// The name of a program, a module or an exception: no blanks, no quotes, not one whose value others
/// choose.
fn is_name(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.+$#@/()<>*-[]:`'".contains(c);
    let lower = word.trim_start_matches(['<', '[', '(']).to_ascii_lowercase();
    // What begins with a quote is quoted: "KeyError: 'OSError: ..".
    let is_quoted = word.starts_with('\'');
    !word.is_empty()
        && !is_quoted
        && word.chars().all(plain)
        && !OTHERS_WORDS.contains(&lower.as_str())
}

/// "org.apache.catalina.core.StandardServer", "MY-010116"; not "v1.2" and no address.
fn is_class(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.$-".contains(c);
    let starts = word.starts_with(|c: char| c.is_ascii_alphabetic());
    starts && word.contains('.') && word.chars().all(plain)
}

/// PostgreSQL's "app@shop" before the level, or "user=app,db=shop".
fn is_session(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-@[],=".contains(c);
    let is_either = word.matches('@').count() == 1 || word.starts_with("user=");
    is_either && word.chars().all(plain)
}

/// A time behind another prefix: "2026-11-24", "10:00:00.000", "UTC".
fn is_time(word: &str) -> bool {
    let zones = ["UTC", "GMT", "CET", "CEST"];
    let plain = |c: char| c.is_ascii_digit() || "-:.,+TZ".contains(c);
    let is_digit = |c: char| c.is_ascii_digit();
    zones.contains(&word) || (word.starts_with(is_digit) && word.chars().all(plain))
}

/// Sidekiq's thread, and the place in a source that Ruby names: "/x/cluster.rb:100:in".
fn is_thread(word: &str) -> bool {
    let is_place = word.ends_with(":in") && word.contains(".rb:")
        // gitea: "...ters/private/hook.go:428:HookPostReceive()".
        || word.ends_with("()") && word.contains(".go:")
        // zap: "backup/run.go:55".
        || word.rsplit_once(".go:").is_some_and(|(_, line)| is_number(line));
    (word.starts_with("TID-") || is_place) && !word.contains(['"', '=', '?'])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_loggers_write_is_taken_off_and_nothing_else() {
        for (message, head) in [
            ("[alert] 1#1: fork() failed", Some("fork() failed")),
            ("[813] app@shop ERROR:  out of memory", Some("out of memory")),
            ("fatal: master_spawn: fork: x", Some("fork: x")),
            ("/usr/local/bin/backup.sh: line 7: fork: x", Some("fork: x")),
            ("[ALERT]    (1) : Current worker (25)", Some("Current worker (25)")),
            ("kid1| fork: x", Some("fork: x")),
            ("/a.sh: línea 3: fork: x", Some("fork: x")),
            ("/a.sh: ligne 3 : fork: x", Some("fork: x")),
            ("level=error msg=\"no start\" error=\"fork: x", Some("fork: x")),
            ("level=error msg=\"no \\\" error=\\\"fork: x", None),
            ("ts=2026-11-24T10:00:00Z caller=a.go:1 level=error err=\"fork: x", Some("fork: x")),
            ("Handler for POST /v1.41/x/start returned error: fork: x", Some("fork: x")),
            ("Handler for POST /v1.41/x y returned error: fork: x", None),
            ("Could not spawn process for application /srv/app: fork: x", Some("fork: x")),
            ("thread 'main' panicked at 'fork: x', a.rs:1:2", None),
            ("{local_task.py:225} INFO - fork: x", Some("fork: x")),
            ("{\"text\": 1} fork: x", None),
            ("I NETWORK  [conn1] fork: x", Some("fork: x")),
            ("I COMMAND  [conn1] fork: x", None),
            ("Invalid user fork: x from 10.0.0.7", None),
            ("Invalid user a: fork: x from 10.0.0.7", None),
            ("open() \"/fork: x\" failed", None),
            ("STATEMENT:  fork: x", None),
            ("(root) CMD (fork: x)", None),
            ("WARNING[2818][C-00003345] res_agi.c: fork: x", Some("fork: x")),
            ("E! [inputs.exec] Error in plugin: fork: x", Some("fork: x")),
            ("(mod_cgi.c.999) fork: x", Some("fork: x")),
            ("(joe.smith) fork: x", None),
            ("GetCommits: GetCommitByPath (/a.md): fork: x", Some("fork: x")),
            ("GetCommitByPath (/a): fork: x): no such object", None),
            ("Comment (a): fork: x", None),
            ("a/b/hook.go:428:Post() [E] Failed to Update: a/b Error: fork: x", Some("fork: x")),
            ("failed to exec du - fork: x", Some("fork: x")),
            ("Fail to execute git command: fork: x", Some("fork: x")),
            ("Cannot start container 706e19e1: fork: x", Some("fork: x")),
            ("#1864(main) <e7cd9c>; main; rspamd_fork_worker: fork: x", Some("fork: x")),
            ("ERROR; fork: x", Some("fork: x")),
            ("\"Failed\" pod=\"a/b\" err=\"fork: x", Some("fork: x")),
            ("\"Failed\" pod=\"a\\\" err=\\\"fork: x", None),
            ("PM2        | Error: fork: x", Some("fork: x")),
            ("PM2 error: Trace: { Error: fork: x", Some("fork: x")),
            ("App 18926 stderr: fork: x", Some("fork: x")),
            ("Failed to call 'git gc': fork: x", Some("fork: x")),
            ("Failed to execute /usr/bin/pgrep. Error: 'fork: x", Some("fork: x")),
            ("Failed to start session of user joe: fork: x", None),
            ("Failed to find joe: fork: x", None),
            ("Failed to run a query which is long and of a user: fork: x", None),
            ("user: fork: x", None),
            ("failed to \"StartContainer\" for \"a\" with RunError: \"fork: x", Some("fork: x")),
            ("failed to \"StartContainer\" for \"a b\" with RunError: \"fork: x", None),
            ("rpc error: code = Unknown desc = fork: x", Some("fork: x")),
            ("remote: fork: x", None),
            ("STL Exception: fork: x", Some("fork: x")),
            ("netdata ERROR : PLUGIN[cgroup] : CGROUP: fork: x", Some("fork: x")),
            ("Syntax error: fork: x", None),
            ("<bob> fork: x", None),
            ("[ 86427 ] <Error> executeQuery: fork: x", Some("fork: x")),
            ("|00001|ovs_thread(main)|EMER|fork: x", Some("fork: x")),
            ("[813] app@shop NOTICE:  fork: x", None),
        ] {
            let wanted = head.unwrap_or("fork: x");
            assert_eq!(heads(message).any(|found| found == wanted), head.is_some(), "{message}");
        }
    }
}
