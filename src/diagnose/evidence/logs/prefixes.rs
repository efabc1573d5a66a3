//! Prefixes: what a program puts before its own words, and where those may therefore begin.
//!
//! What a client sent (a path, a user's name, a statement) stands further on in a line. So a wording
//! has to begin the message, behind nothing but what loggers write: levels, names of programs and
//! modules, pids, brackets.

/// The most prefixes of one line.
const MOST: usize = 12;
/// Bytes of one prefix.
const LONGEST: usize = 160;

/// Words that loggers put before a message, alone or with a colon.
const LEVELS: [&str; 41] = [
    "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "ERR", "CRITICAL", "CRIT",
    "ALERT", "EMERG", "PANIC", "FATAL", "SEVERE", "LOG", "E", "F", "W", "I", "error", "fatal",
    "warning", "crit", "alert", "panic", "info", "notice", "err", "Error", "Warning", "Fatal",
    "Critical", "Info", "--", "-", "#", "*",
    // Parts of MongoDB; not COMMAND and WRITE, which quote what a client sent.
    "NETWORK", "CONTROL", "STORAGE",
];

/// Phrases of more than one word before what an interpreter, a runtime or a server quotes.
const PHRASES: [&str; 46] = [
    // Of Apache, behind its number: "(12)Cannot allocate memory: AH00159: ..".
    "Cannot allocate memory:",
    "Resource temporarily unavailable:",
    "stderr F ",
    "stdout F ",
    "*** ",
    "PHP Warning:",
    "PHP Fatal error:",
    "PHP Parse error:",
    "PHP message:",
    "Fatal error:",
    "Uncaught exception:",
    "Uncaught Exception:",
    "Unhandled exception:",
    "unhandled exception:",
    "Unhandled Exception:",
    "Uncaught ErrorException:",
    "Got error 'PHP message:",
    "AH01071: Got error 'PHP message:",
    "FastCGI sent in stderr: \"PHP message:",
    "Caused by:",
    "nested exception is",
    "Error response from daemon:",
    "OCI runtime create failed:",
    "OCI runtime exec failed:",
    "failed to create shim task:",
    "failed to create shim:",
    "failed to start shim:",
    "unrecoverable fatal error:",
    "fatal error:",
    "ERROR: apport",
    "Exception:",
    "in `_fork':",
    "in `fork':",
    "in 'Process._fork':",
    "in 'fork':",
    "what():",
    "npm ERR!",
    "Unhandled exception.",
    "Fatal Error ",
    "runc create failed:",
    "unable to start container process:",
    "starting container process caused:",
    "error during container init:",
    "npm error",
    "internal error:",
    "process exited while connecting to monitor:",
];

/// What bash calls the line of a script, in the languages of its catalogues.
const LINES: [&str; 10] =
    ["line", "Zeile", "ligne", "línea", "linha", "riga", "linia", "regel", "rad", "строка"];

/// Names before a colon whose value others choose: nothing behind them is evidence.
const OTHERS_WORDS: [&str; 40] = [
    "statement",
    "query",
    "context",
    "detail",
    "hint",
    "user",
    "username",
    "login",
    "name",
    "path",
    "uri",
    "url",
    "request",
    "referer",
    "referrer",
    "host",
    "agent",
    "user-agent",
    "subject",
    "from",
    "to",
    "cc",
    "message-id",
    "msg",
    "message",
    "input",
    "output",
    "search",
    "comment",
    "title",
    "text",
    "body",
    "data",
    "value",
    "param",
    "params",
    "cookie",
    "command",
    "cmd",
    "args",
];

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

/// The error behind a message of logrus or go-kit: `msg="failed to start" error="fork/exec ..`. A quote
/// in the message is written `\"`.
fn error_field(text: &str) -> Option<&str> {
    let message = text.strip_prefix("msg=\"")?;
    let is_escaped = |at: usize| message.get(..at).is_some_and(|before| before.ends_with('\\'));
    let (end, _) = message.match_indices('"').find(|(at, _)| !is_escaped(*at))?;
    let rest = message.get(end + 1..)?;
    [" error=\"", " err=\""].iter().find_map(|field| rest.strip_prefix(field))
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
    if let Some(rest) = of_a_word(text) {
        return Some(rest);
    }
    if let Some((place, rest)) = text.strip_prefix('{').and_then(|text| text.split_once("} ")) {
        let (file, line) = place.split_once(':')?;
        return (is_class(file) && is_number(line)).then_some(rest);
    }
    if let Some(rest) = LINES.iter().find_map(|line| text.strip_prefix(line)?.strip_prefix(' ')) {
        let (number, rest) = rest.split_once(": ")?;
        return is_number(number.trim_end()).then_some(rest.trim_start());
    }
    let (word, rest) = text.split_once(char::is_whitespace)?;
    let rest = rest.trim_start();
    let bare = word.trim_end_matches([':', '|']);
    let named = word.len() > bare.len();
    let is_prefix = word == ":"
        || word.len() <= LONGEST
            && (LEVELS.contains(&bare)
                || is_number(bare.trim_start_matches(['*', '#']))
                || (named && is_name(bare))
                || (bare.starts_with('<') && bare.ends_with('>') && is_name(bare))
                || is_class(bare)
                || is_time(bare)
                || is_thread(bare)
                || is_session(bare));
    is_prefix.then_some(rest)
}

/// What follows a text in brackets, which is no client's address.
fn bracketed(text: &str, open: char, close: char) -> Option<&str> {
    let (inside, rest) = text.strip_prefix(open)?.split_once(close)?;
    let is_clients = ["client", "remote"].iter().any(|word| inside.starts_with(word));
    // "(root) CMD (..)" of cron is no prefix; "(1) : Current worker" of HAProxy is one.
    let is_own = open == '[' || is_number(inside);
    (inside.len() <= LONGEST && !is_clients && is_own).then_some(rest)
}

/// Phrases around one word without blanks: the path that Docker's daemon was asked for, the application
/// that Passenger starts.
const AROUND_A_WORD: [(&str, &str); 4] = [
    ("Handler for GET ", "returned error: "),
    ("Handler for POST ", "returned error: "),
    ("Handler for DELETE ", "returned error: "),
    ("Could not spawn process for application ", ""),
];

/// What follows such a phrase.
fn of_a_word(text: &str) -> Option<&str> {
    AROUND_A_WORD.iter().find_map(|(before, behind)| {
        let (word, rest) = text.strip_prefix(before)?.split_once(' ')?;
        (word.starts_with('/')).then(|| rest.strip_prefix(behind))?
    })
}

fn is_number(word: &str) -> bool {
    !word.is_empty()
        && word.len() < 12
        && word.bytes().all(|b| b.is_ascii_digit() || b"#/".contains(&b))
}

/// The name of a program, a module or an exception: no blanks, no quotes, not one whose value others
/// choose.
fn is_name(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.+$#@/()<>*-[]:`'".contains(c);
    let lower = word.trim_start_matches(['<', '[', '(']).to_ascii_lowercase();
    !word.is_empty() && word.chars().all(plain) && !OTHERS_WORDS.contains(&lower.as_str())
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
    let is_place = word.ends_with(":in") && word.contains(".rb:");
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
            ("user: fork: x", None),
        ] {
            let wanted = head.unwrap_or("fork: x");
            assert_eq!(heads(message).any(|found| found == wanted), head.is_some(), "{message}");
        }
    }
}
