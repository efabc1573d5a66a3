//! Lines: finds the few that may matter in a piece of text, fast, and splits them.

use super::rfc_5424::{SyslogLine, priority};
use super::timestamp::{Stamped, Stamps};
use super::wordings::{LogEntry, needles};
use super::wrapped::{Unwrapped, unwrapped};
use aho_corasick::AhoCorasick;
use aho_corasick::packed::Searcher;

/// A line is understood up to this length.
pub(super) const LONGEST: usize = 4096;

/// Needles that one fast search looks for: of more it finds parts everywhere and must look closer, and for
/// more than 64 there is none. Four passes for a quarter each took a fifth of the time that an automaton for all takes;
/// three take a fifth less than four.
const AT_ONCE: usize = 32;

/// Searches for [`needles`].
pub(super) struct Search {
    /// Look at 16 or 32 bytes at once, each for some needles; none where the processor cannot.
    fast: Vec<Searcher>,
    needles: Option<AhoCorasick>,
}

impl Search {
    pub(super) fn new() -> Self {
        let needles = needles();
        let fast: Option<Vec<_>> = needles.chunks(AT_ONCE).map(Searcher::new).collect();
        // It fails only for more patterns than fit its tables.
        Self { fast: fast.unwrap_or_default(), needles: AhoCorasick::new(&needles).ok() }
    }

    /// Calls `each` with every line of `text` that has a needle, and where it begins, in order. Without one the search
    /// is not to be had, and every line has.
    pub(super) fn lines<'t>(&self, text: &'t [u8], mut each: impl FnMut(usize, &'t [u8])) {
        let mut from = 0;
        // Where each of the fast ones finds something next: none searches a part of the text twice.
        let find = |fast: &Searcher, from| {
            text.get(from..).and_then(|rest| fast.find(rest)).map(|found| from + found.start())
        };
        let mut next: Vec<Option<usize>> = self.fast.iter().map(|fast| find(fast, 0)).collect();
        while let Some(rest) = text.get(from..).filter(|rest| !rest.is_empty()) {
            let at = match &self.needles {
                _ if !self.fast.is_empty() => {
                    for (fast, next) in self.fast.iter().zip(&mut next) {
                        if next.is_some_and(|at| at < from) {
                            *next = find(fast, from);
                        }
                    }
                    next.iter().flatten().min().copied()
                }
                Some(needles) => needles.find(rest).map(|found| from + found.start()),
                None => Some(from),
            };
            let Some(at) = at else { return };
            let before = text.get(..at).unwrap_or_default();
            let begin = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |n| n + 1);
            let end = memchr_newline(text, at);
            let begin = begin.max(from);
            let line = text.get(begin..end).unwrap_or_default();
            each(begin, line.get(..LONGEST).unwrap_or(line));
            from = end + 1;
        }
    }
}

fn memchr_newline(text: &[u8], from: usize) -> usize {
    let rest = text.get(from..).unwrap_or_default();
    rest.iter().position(|byte| *byte == b'\n').map_or(text.len(), |n| from + n)
}

/// Splits a line into its time and the rest; `file` is the name of the program that the log is of.
pub(super) fn split<'a>(
    line: &'a str,
    file: &'a str,
    stamps: &Stamps,
) -> (Option<f64>, LogEntry<'a>) {
    if let Some(Unwrapped { t, tag, line }) = unwrapped(line, stamps) {
        let (own_t, entry) = split_inner(line, tag.unwrap_or(file), stamps);
        return (own_t.or(t), entry);
    }
    let Stamped { t, rest: body, by_syslog } = stamps.split(line);
    // A saved dmesg has the kernel's lines alone, with its own time or without.
    if file == "dmesg" {
        // What would be written later is of another boot.
        let t = t.filter(|t| !stamps.is_to_come(*t));
        return (t, LogEntry { tag: "kernel", body, ..LogEntry::default() });
    }
    let untagged =
        |(body, of_client)| LogEntry { tag: file, body, of_client, ..LogEntry::default() };
    if let Some(SyslogLine { host, app, pid, message }) = SyslogLine::of(line) {
        let tag = named(app, message).map_or("", |(name, _)| name);
        let tag = if pid.is_some() && tag == "kernel" { "" } else { own_tag(line, tag) };
        let body = without_time(message, stamps.split(message).rest);
        return (t, LogEntry { tag, body, host, ..LogEntry::default() });
    }
    let own = match (t, line.starts_with('[')) {
        (None, _) => None,
        // journalctl's short-monotonic: "[12345.678901] host kernel: ..".
        (Some(_), true) => tagged(body).filter(|_| is_since_boot(line)),
        // MongoDB before 3: "2015-02-12T12:04:30.971+0100 [initandlisten] ..".
        (Some(_), false)
            if body.starts_with('[') && line.starts_with(|c: char| c.is_ascii_digit()) =>
        {
            None
        }
        (Some(_), false) if by_syslog => tagged(body),
        (Some(_), false) => of_facility(body),
    };
    match own {
        // The program may have put its own time before its words.
        Some((tag, rest)) => {
            let host = if by_syslog { host(body) } else { "" };
            let tag = own_tag(line, tag);
            let body = without_time(rest, stamps.split(rest).rest);
            (t, LogEntry { tag, body, host, ..LogEntry::default() })
        }
        None => (t, untagged(without_brackets(line, body))),
    }
}

/// Splits a line that something else wrote down for `program`. What it holds is the program's own word,
/// whoever's tag it writes.
pub(super) fn split_inner<'a>(
    line: &'a str,
    program: &'a str,
    stamps: &Stamps,
) -> (Option<f64>, LogEntry<'a>) {
    let own = stamps.split(line);
    let (body, of_client) = without_brackets(line, without_time(line, own.rest));
    (own.t, LogEntry { tag: program, body, of_client, ..LogEntry::default() })
}

/// A line's tag; none where that is the kernel's and the priority another facility's: the kernel's are 0 to 7.
fn own_tag<'a>(line: &str, tag: &'a str) -> &'a str {
    let is_others = priority(line).is_some_and(|(priority, _)| priority > 7);
    if is_others && tag == "kernel" { "" } else { tag }
}

/// What is left of a line behind its time; all of it where its level would be lost with that.
fn without_time<'a>(line: &'a str, rest: &'a str) -> &'a str {
    if line.starts_with("level=") { line } else { rest }
}

/// The machine that a line with a tag names before it; some leave it out.
fn host(text: &str) -> &str {
    let first = text.split(' ').next().unwrap_or_default();
    if first.starts_with('[') || first.ends_with(':') { "" } else { first }
}

/// The rest of a line that begins with brackets without those that follow, and whether one names a client:
/// "[mpm_prefork:alert] [pid 7:tid 7] [client 1.2.3.4:5] (12)Cannot ..".
fn without_brackets<'a>(line: &str, mut rest: &'a str) -> (&'a str, bool) {
    let mut of_client = false;
    if line.starts_with('[') {
        while let Some((inside, after)) = rest.strip_prefix('[').and_then(|r| r.split_once(']')) {
            of_client |= inside.starts_with("client") || inside.starts_with("remote");
            rest = after.trim_start();
        }
    }
    (rest, of_client)
}

/// Whether a line begins with the kernel's seconds.
fn is_since_boot(line: &str) -> bool {
    let inside = line.strip_prefix('[').and_then(|line| line.split_once(']'));
    inside.is_some_and(|(inside, _)| inside.trim().parse::<f64>().is_ok() && inside.contains('.'))
}

/// "host sshd[812]: error .." as `sshd` and the message; some leave out the host.
fn tagged(text: &str) -> Option<(&str, &str)> {
    let (host, rest) = text.split_once(' ')?;
    // Programs that write such a time themselves put a level behind it, or a number.
    let level = ["TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "FATAL", "PANIC"];
    if level.contains(&host.trim_matches(['[', ']']))
        || host.bytes().all(|byte| byte.is_ascii_digit())
    {
        return None;
    }
    // metalog leaves out the host, and has the program in brackets.
    if let Some(name) = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
        return named(name, rest);
    }
    if host.ends_with(':') {
        return named(host.trim_end_matches(':'), rest);
    }
    if let Some(found) = of_facility(rest) {
        return Some(found);
    }
    let (tag, body) = rest.split_once(": ")?;
    named(tag, body)
}

/// What busybox and OpenWrt write: "kern.err kernel: [12.3] Out of memory".
fn of_facility(text: &str) -> Option<(&str, &str)> {
    let (priority, rest) = text.split_once(' ')?;
    let (facility, level) = priority.split_once('.')?;
    let levels =
        ["emerg", "alert", "crit", "err", "error", "warn", "warning", "notice", "info", "debug"];
    if !levels.contains(&level)
        || !facility.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    {
        return None;
    }
    let (tag, body) = rest.split_once(": ")?;
    named(tag, body)
}

/// A tag without its pid, and the message. The kernel has no pid: what says so is another's.
fn named<'a>(tag: &'a str, body: &'a str) -> Option<(&'a str, &'a str)> {
    let name = tag.split('[').next()?;
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./()@".contains(c);
    let is_tag = !name.is_empty() && name.len() <= 48 && name.chars().all(plain);
    if !is_tag {
        return None;
    }
    // A forked child of cron and systemd before its exec: "(apache2)".
    let name = name.trim_matches(['(', ')']);
    Some((if name == "kernel" && tag.contains('[') { "" } else { name }, body))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::findings::Witness;
    use jiff::tz::TimeZone;
    use proptest::prelude::*;

    fn parts(line: &str, file: &str) -> (String, String, bool) {
        let stamps = Stamps::new(TimeZone::UTC, 1.795e9, 0.0);
        let (_, LogEntry { tag, body, of_client, .. }) = split(line, file, &stamps);
        (tag.to_owned(), body.to_owned(), of_client)
    }

    #[test]
    fn a_line_of_syslog_names_its_program() {
        for line in [
            "Nov 24 10:00:00 vps1 sshd[812]: error: fork",
            "2026-11-24T10:00:00.123456+00:00 vps1 sshd[812]: error: fork",
        ] {
            assert_eq!(parts(line, "auth"), ("sshd".into(), "error: fork".into(), false));
        }
        let line = "Nov 24 10:00:00 vps1 kernel: [12.3] Out of memory: Killed process 7 (x)";
        assert_eq!(parts(line, "kern").0, "kernel");
    }

    #[test]
    fn a_line_of_apache_may_name_a_client() {
        let line = "[Tue Nov 24 10:00:00.1 2026] [core:error] [pid 7] [client 1.2.3.4:5] AH: x";
        assert_eq!(parts(line, "apache2"), ("apache2".into(), "AH: x".into(), true));
        let line = "[Tue Nov 24 10:00:00.1 2026] [mpm_prefork:alert] [pid 7] (12)Cannot: x";
        assert_eq!(parts(line, "apache2"), ("apache2".into(), "(12)Cannot: x".into(), false));
    }

    #[test]
    fn what_looks_like_a_tag_and_is_none_is_left() {
        for (line, file, tag, body) in [
            (
                "2026-11-24 02:59:14,427 INFO spawnerr: Too many",
                "supervisord",
                "supervisord",
                "INFO spawnerr: Too many",
            ),
            (
                "2026-11-24 10:00:00.000 UTC [812] LOG:  could not fork: x",
                "postgresql",
                "postgresql",
                "[812] LOG:  could not fork: x",
            ),
            ("Nov 24 10:00:00 alpine kern.err kernel: [1.5] x", "messages", "kernel", "[1.5] x"),
            ("Nov 24 10:00:00 h kernel[7]: Out of memory", "messages", "", "Out of memory"),
            ("Nov 24 10:00:00 kernel: Out of memory", "messages", "kernel", "Out of memory"),
            ("<4>Nov 24 10:00:00 h kernel: x", "messages", "kernel", "x"),
            ("<13>Nov 24 10:00:00 h kernel: x", "messages", "", "x"),
            ("<4>1 2026-11-24T10:00:00Z - kernel - - - x", "messages", "kernel", "x"),
            ("<14>1 2026-11-24T10:00:00Z - kernel - - - x", "messages", "", "x"),
            ("Nov 24 10:00:00 [kernel] [1.5] x", "current", "kernel", "[1.5] x"),
            ("[12345.678901] h kernel: x", "saved", "kernel", "x"),
            ("[12345.678901] usb 1-1: x", "saved", "1-1", "x"),
            ("[2026-11-24 10:00:00] h kernel: x", "app", "app", "h kernel: x"),
            (
                "2026-11-24T10:00:00Z stdout F Nov 24 10:00:00 h kernel: x",
                "app",
                "app",
                "h kernel: x",
            ),
            ("2026-11-24T10:00:00Z ERROR spawn: x", "app", "app", "ERROR spawn: x"),
            ("2026-11-24T10:00:00Z [ERROR] a.b: x", "app", "app", "[ERROR] a.b: x"),
        ] {
            assert_eq!(parts(line, file), (tag.to_owned(), body.to_owned(), false), "{line}");
        }
    }

    #[test]
    fn a_line_without_a_tag_is_the_files() {
        assert_eq!(
            parts("DAMN ! worker 1: x", "uwsgi"),
            ("uwsgi".into(), "DAMN ! worker 1: x".into(), false)
        );
        assert_eq!(parts("2026/11/24 10:00:00 [alert] 1#1: fork() failed", "nginx").0, "nginx");
    }

    #[test]
    fn fuzz_lines() {
        let texts: [&[u8]; 14] = [
            b"Nov 24 10:00:00 vps1 sshd[812]: error: fork: Cannot allocate memory",
            b"2026-11-24T10:00:00.123456+01:00 vps1 CRON[7]: (CRON) error (can't fork)",
            b"[Tue Nov 24 10:00:00.123456 2026] [mpm_prefork:alert] [pid 7] (12)Cannot allocate memory: AH00159: fork: Unable to fork new process",
            b"[24-Nov-2026 10:00:00 UTC] WARNING: [pool www] server reached pm.max_children setting (5), consider raising it",
            b"2026/11/24 10:00:00 [alert] 1#1: fork() failed while spawning \"worker process\" (12: Cannot allocate memory)",
            b"Nov 24 10:00:00 vps1 kernel: [12.3] Out of memory: Killed process 7 (apache2) total-vm:1kB, anon-rss:74512kB",
            b"Nov 24 10:00:00 vps1 kernel: Memory cgroup out of memory: Killed process 7 (x) total-vm:1kB",
            b"Nov 24 10:00:00 vps1 systemd[1]: apache2.service: A process of this unit has been killed by the OOM killer.",
            b"E, [2026-11-24T10:00:00.123456 #1234] ERROR -- : failed to allocate memory (NoMemoryError)",
            b"2026-11-24 10:00:00,123 ERROR x MemoryError\n2026-11-24 10:00:00.000 UTC [7] LOG:  could not fork new process for connection: Cannot allocate memory\n",
            br#"{"log":"{\"level\":\"error\",\"ts\":1.5,\"error\":\"fork/exec /x: cannot allocate memory\"}\n","stream":"stderr","time":"2026-11-24T10:00:00Z"}"#,
            br#"{"level":"error","exc_info":"Traceback (most recent call last):\n  os.fork()\nOSError: [Errno 12] Cannot allocate memory","tags":["a"],"time":"2026-11-24T10:00:00Z"}"#,
            br#"{:timestamp=>"2026-11-24T10:00:00Z", :tags=>[{"a"=>"b"}], :e=>#<Errno::ENOMEM: Cannot allocate memory - fork(2)>, :level=>:error}"#,
            b"[ERROR] [11/24/2026 10:00:00.123] a.b: running driver failed: id=7 error=\"fork/exec /x: resource temporarily unavailable\"",
        ];
        let stamps =
            Stamps::new(TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap(), 1.795e9, 0.0);
        crate::core::fuzz::fuzz("log lines, stamps", 1, &texts, |text| {
            let text = String::from_utf8_lossy(text);
            let (_, entry) = split(&text, "apache2", &stamps);
            super::super::wordings::read(&entry);
            super::super::wordings::read(&LogEntry { tag: "kernel", ..entry });
            super::super::records::Record::of(&text, &stamps);
        });
        let search = Search::new();
        crate::core::fuzz::fuzz("logs", 2, &texts, |text| {
            let mut lines = 0;
            search.lines(text, |_, _| lines += 1);
            assert!(lines <= text.len());
        });
        let mut found = super::super::LogEventCounts::new(&stamps, 0.0);
        crate::core::fuzz::fuzz("gathered logs", 4, &texts, |text| {
            found.text(text, "apache2", "x.log")
        });
        // 64 on the word of each witness.
        let logs = found.finish();
        for witness in [Witness::SaidToBeKernel, Witness::Program] {
            assert!(logs.log_events.iter().filter(|of| of.witness == witness).count() <= 64);
        }
    }

    proptest! {
        #[test]
        fn all_searches_find_the_same_lines(
            words in proptest::collection::vec((any::<proptest::sample::Index>(), 0..4_usize), 0..60),
        ) {
            let needles = needles();
            let mut text = String::new();
            for (which, how) in words {
                text += ["", "no matter\n", "for\nk", " "][how];
                text += if how == 0 { needles[which.index(needles.len())] } else { "x" };
            }
            let slow = Search { fast: Vec::new(), ..Search::new() };
            let found = |search: &Search| {
                let mut found = Vec::new();
                search.lines(text.as_bytes(), |at, line| found.push((at, line.to_owned())));
                found
            };
            prop_assert_eq!(found(&Search::new()), found(&slow));
        }

        #[test]
        fn every_line_with_a_needle_is_found_once(lines in prop::collection::vec("[a-z ]{0,12}(fork|MemoryError|)[a-z ]{0,12}", 0..20)) {
            let text = lines.join("\n");
            let wanted: Vec<&str> = lines.iter().map(String::as_str)
                .filter(|line| needles().iter().any(|needle| line.contains(needle))).collect();
            let mut found = Vec::new();
            Search::new().lines(text.as_bytes(), |_, line| found.push(std::str::from_utf8(line).unwrap()));
            prop_assert_eq!(found, wanted);
        }
    }
}
