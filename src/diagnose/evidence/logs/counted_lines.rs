//! Counts lines, each once: the same line may stand in syslog, kern.log and the journal.

use super::hit::{Hit, program};
use super::wordings::Proved;
use crate::diagnose::findings::{Failure, LogEvent, Logs, Witness};
use crate::system::kernel_lines::without_time;
use std::collections::BTreeSet;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Different traces kept of each witness; a machine has a dozen. Where others wrote so many, still some of each log.
pub(super) const MOST_TRACES: usize = 64;
pub(super) const MOST_OF_LATER_LOG: usize = 4;
/// Lines remembered to know them again in another log (syslog, kern.log and the journal have the
/// same ones): 16 bytes each.
const MOST_LINES: usize = 65_536;
/// Bytes kept of a line.
const TEXT: usize = 300;

/// What was counted so far.
pub(super) struct CountedLines {
    since_t: f64,
    seen: BTreeSet<u64>,
    pub(super) logs: Logs,
}

impl CountedLines {
    /// Nothing yet; what is older than `since_t` does not count.
    pub(super) fn since(since_t: f64) -> Self {
        Self { since_t, seen: BTreeSet::new(), logs: Logs { since_t, ..Logs::default() } }
    }

    /// What was counted: the kernel's own words first, of each witness the latest first.
    pub(super) fn finish(mut self) -> Logs {
        let last = |log_event: &LogEvent| log_event.last_t.unwrap_or(0.0);
        self.logs
            .log_events
            .sort_by(|a, b| a.witness.cmp(&b.witness).then(last(b).total_cmp(&last(a))));
        self.logs
    }

    /// Whether a line of that time is older than what matters.
    pub(super) fn is_old(&self, t: f64) -> bool {
        t < self.since_t
    }

    /// Counts one line, unless it was counted before or is too old.
    pub(super) fn add(&mut self, hit: Hit) {
        let Hit { t, proved: Proved { failure, who, uid, .. }, body, source, witness, .. } = hit;
        if t.is_some_and(|t| self.is_old(t)) || !self.is_new(t, failure, &who, &body) {
            return;
        }
        let of = (failure, witness, uid, program(&who));
        let Some(log_event) = self.event(of, &source) else { return };
        log_event.count += 1;
        if log_event.count == 1 || t.is_some_and(|t| log_event.last_t.is_none_or(|last| t >= last))
        {
            log_event.last_t = t.or(log_event.last_t);
            log_event.source = source;
            let text = without_time(&body);
            text.get(..text.floor_char_boundary(TEXT))
                .unwrap_or(text)
                .clone_into(&mut log_event.text);
        }
        let earlier = t.filter(|t| log_event.first_t.is_none_or(|first| *t < first));
        log_event.first_t = earlier.or(log_event.first_t);
    }

    /// The event that such a line belongs to; none where there are too many on the word of that witness and of
    /// that log, so that a flood of lines by one drowns none by another.
    fn event(
        &mut self,
        (failure, witness, uid, who): (Failure, Witness, Option<u32>, String),
        of_log: &str,
    ) -> Option<&mut LogEvent> {
        let events = &mut self.logs.log_events;
        let is_same = |of: &LogEvent| {
            (of.failure, of.witness, of.uid) == (failure, witness, uid) && of.who == who
        };
        let index = match events.iter().position(is_same) {
            Some(index) => index,
            None => {
                let same = || events.iter().filter(|of| of.witness == witness);
                let of_this_log = || same().filter(|of| of.source == of_log).count();
                if same().count() >= MOST_TRACES && of_this_log() >= MOST_OF_LATER_LOG {
                    return None;
                }
                let (source, text) = (String::new(), String::new());
                let (count, first_t, last_t) = (0, None, None);
                events.push(LogEvent {
                    failure,
                    witness,
                    who,
                    uid,
                    count,
                    first_t,
                    last_t,
                    source,
                    text,
                });
                events.len() - 1
            }
        };
        events.get_mut(index)
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
