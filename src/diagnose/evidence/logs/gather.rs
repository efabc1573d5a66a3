//! Gather: counts what was found, each line once.

use super::lines::{Search, split};
use super::timestamp::Stamps;
use super::wordings;
use crate::core::model::process::Comm;
use crate::diagnose::findings::{Failure, LogEvent, Logs};
use crate::system::kernel_lines::without_time;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Different traces kept; a machine has a dozen.
const MOST_TRACES: usize = 64;
/// Lines remembered to know them again in another log (syslog, kern.log and the journal have the
/// same ones): 16 bytes each.
const MOST_LINES: usize = 65_536;
/// Bytes kept of a line.
const TEXT: usize = 300;
/// Notes on what could not be read.
const MOST_NOTES: usize = 8;

/// What was found so far.
pub struct LogEventCounts<'s> {
    pub(super) search: Search,
    stamps: &'s Stamps,
    since_t: f64,
    seen: BTreeSet<u64>,
    logs: Logs,
}

impl<'s> LogEventCounts<'s> {
    /// Nothing yet.
    pub fn new(stamps: &'s Stamps, since_t: f64) -> Self {
        let logs = Logs { since_t, ..Logs::default() };
        Self { search: Search::new(), stamps, since_t, seen: BTreeSet::new(), logs }
    }

    /// What was found, the latest first.
    pub fn finish(mut self) -> Logs {
        let last = |log_event: &LogEvent| log_event.last_t.unwrap_or(0.0);
        self.logs.log_events.sort_by(|a, b| last(b).total_cmp(&last(a)));
        self.logs
    }

    pub(super) fn stamps(&self) -> &Stamps {
        self.stamps
    }

    /// Takes note of a log that is now read.
    pub(super) fn source(&mut self) {
        self.logs.sources += 1;
    }

    pub(super) fn read(&mut self, bytes: usize) {
        self.logs.bytes += bytes as u64;
    }

    /// Says what was not read.
    pub(super) fn unread(&mut self, what: String) {
        if self.logs.unread.len() < MOST_NOTES {
            self.logs.unread.push(what);
        }
    }

    /// Whether a line of that time is older than what matters.
    pub(super) fn is_old(&self, t: f64) -> bool {
        t < self.since_t
    }

    /// Takes in all lines of a piece of a log. `file` is the program that writes it.
    pub(super) fn text(&mut self, text: &[u8], file: &str, source: &str) {
        let Self { search, stamps, .. } = self;
        let mut found = Vec::new();
        search.lines(text, |line| {
            let line = String::from_utf8_lossy(line);
            let line = line.trim_end_matches('\r');
            let (t, entry) = split(line, file, stamps);
            if let Some((failure, who)) = wordings::read(&entry) {
                found.push((t, failure, who.to_owned(), entry.body.to_owned()));
            }
        });
        for (t, failure, who, body) in found {
            self.add(t, failure, &who, &body, source);
        }
    }

    /// Counts one line, unless it was counted before or is too old.
    pub(super) fn add(
        &mut self,
        t: Option<f64>,
        failure: Failure,
        who: &str,
        body: &str,
        source: &str,
    ) {
        if t.is_some_and(|t| self.is_old(t)) || !self.is_new(t, failure, who, body) {
            return;
        }
        let who = program(who);
        let known = self
            .logs
            .log_events
            .iter()
            .position(|log_event| log_event.failure == failure && log_event.who == who);
        let index = match known {
            Some(index) => index,
            None if self.logs.log_events.len() < MOST_TRACES => {
                let (source, text) = (String::new(), String::new());
                let (count, first_t, last_t) = (0, None, None);
                self.logs.log_events.push(LogEvent {
                    failure,
                    who,
                    count,
                    first_t,
                    last_t,
                    source,
                    text,
                });
                self.logs.log_events.len() - 1
            }
            None => return,
        };
        let Some(log_event) = self.logs.log_events.get_mut(index) else { return };
        log_event.count += 1;
        if log_event.count == 1 || t.is_some_and(|t| log_event.last_t.is_none_or(|last| t >= last))
        {
            log_event.last_t = t.or(log_event.last_t);
            source.clone_into(&mut log_event.source);
            let text = without_time(body);
            text.get(..text.floor_char_boundary(TEXT))
                .unwrap_or(text)
                .clone_into(&mut log_event.text);
        }
        let earlier = t.filter(|t| log_event.first_t.is_none_or(|first| *t < first));
        log_event.first_t = earlier.or(log_event.first_t);
    }

    /// A kill's line is known by its pid and sizes, another one by its second.
    fn is_new(&mut self, t: Option<f64>, failure: Failure, who: &str, body: &str) -> bool {
        let unique = matches!(failure, Failure::OomKill | Failure::OomKillInCgroup);
        let second = t.filter(|_| !unique).map(|t| t as u64);
        // printk's time is there in syslog and not in the journal.
        let body = if unique { without_time(body) } else { body };
        let mut hasher = DefaultHasher::new();
        (second, failure.name(), who, body).hash(&mut hasher);
        // A line without a time cannot be told from its like.
        if second.is_none() && !unique {
            return true;
        }
        if self.seen.len() >= MOST_LINES {
            self.seen.clear();
        }
        self.seen.insert(hasher.finish())
    }
}

/// A program's name without its path and what it does there: `/usr/sbin/CRON`, `postfix/master`. A path
/// that the kernel may have cut stays whole: what it was is told by what runs.
fn program(who: &str) -> String {
    let who = who.trim();
    if who.starts_with('/') && who.len() == Comm::MAX {
        return who.to_owned();
    }
    let name = match who.split_once('/') {
        Some(("postfix" | "postfix-out", _)) => "postfix",
        _ => who.rsplit('/').next().unwrap_or(who),
    };
    let name = match name {
        "CRON" | "crond" => "cron",
        "" => "?",
        name => name,
    };
    name.chars().take(48).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnose::findings::MissingResource;
    use jiff::tz::TimeZone;

    fn gather(texts: &[(&str, &str)]) -> Logs {
        // 2026-11-24 12:00:00 UTC
        let stamps = Stamps::new(TimeZone::UTC, 1_795_521_600.0, 0.0);
        let mut found = LogEventCounts::new(&stamps, 1_795_521_600.0 - 7.0 * 86_400.0);
        for (text, source) in texts {
            found.text(text.as_bytes(), "x", source);
        }
        found.finish()
    }

    const KILL: &str = "Out of memory: Killed process 7 (apache2) total-vm:1kB, anon-rss:74512kB";

    #[test]
    fn lines_of_one_kind_are_counted_with_first_and_last() {
        let fork =
            |at: &str| format!("Nov 24 {at} h sshd[1]: error: fork: Cannot allocate memory\n");
        let logs =
            gather(&[(&(fork("10:00:05") + &fork("10:00:09") + &fork("09:00:00")), "auth.log")]);
        let [log_event] = &logs.log_events[..] else { panic!("{logs:?}") };
        assert_eq!(
            (log_event.failure, log_event.who.as_str()),
            (Failure::ForkFailed(MissingResource::Memory), "sshd")
        );
        let t = 1_795_514_400.0;
        assert_eq!(
            (log_event.count, log_event.first_t, log_event.last_t),
            (3, Some(t - 3600.0), Some(t + 9.0))
        );
    }

    #[test]
    fn the_same_line_in_two_logs_counts_once() {
        let a = format!("Nov 24 10:00:00 h kernel: [ 12.34] {KILL}\n");
        let b = format!("2026-11-24T10:00:00.9+00:00 h kernel: {KILL}\n");
        let logs = gather(&[(&a, "kern.log"), (&b, "syslog")]);
        assert_eq!(logs.log_events.len(), 1);
        assert_eq!(logs.log_events[0].count, 1);
    }

    #[test]
    fn what_is_older_than_asked_for_does_not_count() {
        let line = format!("Nov 10 10:00:00 h kernel: {KILL}\n");
        assert_eq!(gather(&[(&line, "kern.log")]).log_events, []);
    }

    #[test]
    fn the_traces_are_bounded_whatever_is_logged() {
        let line = |n| format!("Nov 24 10:00:00 h p{n}[1]: error: fork: Cannot allocate memory\n");
        let text: String = (0..500).map(line).collect();
        assert_eq!(gather(&[(&text, "x")]).log_events.len(), MOST_TRACES);
    }
}
