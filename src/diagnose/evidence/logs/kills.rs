//! Kills that are told in several lines, and those by a process's own master.
//!
//! A line takes another's place, or excuses it, only where its writer can know: the kernel itself, or whoever
//! writes to the same log. Who may write to some other log could else hide a kill with one line there. A kill
//! that so counts twice is the lesser evil.

use super::hit::Hit;
use super::kept::KeptLines;
use super::wordings::Only;
use crate::diagnose::findings::{Failure, Witness};

/// Seconds between the lines of one kill.
pub(super) const ONE_KILL_S: f64 = 10.0;
/// The same where they name two processes: before Linux 5.0 a child or another thread of the one announced.
const OTHER_VICTIM_S: f64 = 1.0;
/// Seconds in which a master that was about to kill a process does so: gunicorn waits for 30.
const OWN_KILL_S: f64 = 90.0;

/// A kill that was told of.
#[derive(Debug)]
struct ToldKill {
    pid: Option<u32>,
    t: Option<f64>,
    witness: Witness,
    source: String,
}

/// What is known of kills besides the lines that count.
#[derive(Debug, Default)]
pub(super) struct Kills {
    /// Those that the kernel announced.
    announced: KeptLines<Hit>,
    /// Those that it told of.
    told: KeptLines<ToldKill>,
    /// Those by masters of their own processes.
    own: KeptLines<Hit>,
}

impl Kills {
    /// Begins a log; there are `left` of them that are not read, this one included.
    pub(super) fn begin(&mut self, left: usize) {
        self.announced.begin(left);
        self.told.begin(left);
        self.own.begin(left);
    }

    /// Whether something of the present log was left out.
    pub(super) fn is_over(&self) -> bool {
        self.announced.is_over() || self.told.is_over() || self.own.is_over()
    }

    /// Takes note of a line; gives it back if it may count.
    pub(super) fn take(&mut self, hit: Hit) -> Option<Hit> {
        let kept = match hit.proved.only {
            Only::Announces => &mut self.announced,
            Only::Excuses => &mut self.own,
            _ => {
                let failure = hit.proved.failure;
                let is_kernels = matches!(failure, Failure::OomKill | Failure::OomKillInCgroup);
                if is_kernels {
                    self.told.push(told(&hit));
                }
                return Some(hit);
            }
        };
        kept.push(hit);
        None
    }

    /// The kills of which only the announcement is there, each once; to be asked for when all lines are known.
    pub(super) fn only_announced(&mut self) -> Vec<Hit> {
        let mut announced = self.announced.take();
        announced.retain(|hit| {
            let is_told = self.told.iter().any(|told| {
                told.pid == hit.proved.pid && are_near(told.t, hit.t, ONE_KILL_S)
                    // Who tells of a container's end names no process.
                    || told.pid.is_some()
                        && are_dated_near(told.t, hit.t, OTHER_VICTIM_S)
                        && knows((told.witness, &told.source), hit)
            });
            if !is_told {
                self.told.push(told(hit));
            }
            !is_told
        });
        announced
    }

    /// Whether such a kill was announced as one at a cgroup's limit.
    pub(super) fn is_of_cgroup(&self, hit: &Hit) -> bool {
        let of_pid = |other: &&Hit| {
            other.proved.pid == hit.proved.pid && are_near(other.t, hit.t, ONE_KILL_S)
        };
        let announced = self.announced.iter().find(of_pid);
        announced
            .or_else(|| {
                self.announced.iter().find(|other| {
                    are_dated_near(other.t, hit.t, OTHER_VICTIM_S)
                        && knows((other.witness, &other.source), hit)
                })
            })
            .is_some_and(|other| other.proved.failure == Failure::OomKillInCgroup)
    }

    /// Whether the kernel told of a kill at that time.
    pub(super) fn is_kernels(&self, hit: &Hit) -> bool {
        self.told.iter().any(|told| {
            are_dated_near(told.t, hit.t, ONE_KILL_S) && knows((told.witness, &told.source), hit)
        })
    }

    /// Whether its own master killed it, by the word of who tells of its end.
    pub(super) fn is_own(&self, hit: &Hit) -> bool {
        let by_same = |own: &&Hit| own.tag == hit.tag && log_of(&own.source) == log_of(&hit.source);
        self.own.iter().filter(by_same).any(|own| match (own.proved.pid, hit.proved.pid) {
            (Some(own_pid), Some(pid)) => own_pid == pid && are_near(own.t, hit.t, OWN_KILL_S),
            _ => {
                let is_same = own.proved.who == hit.proved.who || own.proved.who == own.tag;
                is_same && are_near(own.t, hit.t, ONE_KILL_S)
            }
        })
    }
}

fn told(hit: &Hit) -> ToldKill {
    let Hit { t, witness, .. } = *hit;
    ToldKill { pid: hit.proved.pid, t, witness, source: hit.source.clone() }
}

/// Whether who wrote one line, on that word and in that log, can know of what another tells.
fn knows((witness, source): (Witness, &str), hit: &Hit) -> bool {
    witness == Witness::Kernel || log_of(source) == log_of(&hit.source)
}

/// The log that a file is a part of: rotated ones end in a number or a date, and in how they are packed. Behind
/// a hyphen only a date or a time is one (logrotate's dateext): redis-6379 and redis-6380 are two servers.
fn log_of(source: &str) -> &str {
    let mut log = source;
    while let Some((rest, end)) = log.rsplit_once(['.', '-']) {
        let is_behind_hyphen = log.as_bytes().get(rest.len()) == Some(&b'-');
        let least = if is_behind_hyphen { 8 } else { 1 };
        let is_number = end.len() >= least && end.bytes().all(|byte| byte.is_ascii_digit());
        if !is_number && !["gz", "xz", "lzma", "bz2", "old"].contains(&end) {
            break;
        }
        log = rest;
    }
    log
}

/// Whether two lines were written within so many seconds, or neither has a time.
pub(super) fn are_near(one: Option<f64>, other: Option<f64>, seconds: f64) -> bool {
    one.is_none() && other.is_none() || are_dated_near(one, other, seconds)
}

/// Whether two lines were written within so many seconds.
fn are_dated_near(one: Option<f64>, other: Option<f64>, seconds: f64) -> bool {
    one.zip(other).is_some_and(|(one, other)| (one - other).abs() <= seconds)
}

#[cfg(test)]
mod tests {
    use super::super::{LogEventCounts, Stamps};
    use super::log_of;
    use crate::diagnose::findings::Failure;
    use jiff::tz::TimeZone;

    /// What logs, each a name, the program that writes it and its text, prove: whose failures, sorted.
    fn proved(logs: &[(&str, &str, &str)]) -> Vec<(Failure, String)> {
        // 2026-11-24 12:00:00 UTC
        let stamps = Stamps::new(TimeZone::UTC, 1_795_521_600.0, 0.0);
        let mut found = LogEventCounts::new(&stamps, 0.0);
        for (name, program, text) in logs {
            found.text(text.as_bytes(), program, name);
        }
        let events = found.finish().log_events.into_iter();
        let mut proved: Vec<_> = events.map(|event| (event.failure, event.who)).collect();
        proved.sort_by(|a, b| a.1.cmp(&b.1));
        proved
    }

    const TIMEOUT: &str = "[2026-11-24 10:00:00 +0000] [1] [CRITICAL] WORKER TIMEOUT (pid:7)\n";
    const SENT: &str = "[2026-11-24 10:00:30 +0000] [1] [ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?\n";
    const ENDED: &str = "Nov 24 10:00:00 h systemd[1]: db.service: Main process exited, code=killed, status=9/KILL\n";
    const OOM: &str = "Nov 24 10:00:02 h kernel: Out of memory: Killed process 9 (x) total-vm:1kB, anon-rss:74512kB\n";
    const STOPPED: &str =
        "Nov 24 10:00:01 h systemd[1]: db.service: State 'stop-sigterm' timed out. Killing.\n";

    #[test]
    fn only_the_log_that_tells_of_a_kill_excuses_it() {
        let killed = |who: &str| vec![(Failure::Killed, who.to_owned())];
        for (logs, wanted) in [
            ([("a/error.log", "gunicorn", TIMEOUT), ("a/error.log", "gunicorn", SENT)], Vec::new()),
            // It was rotated in between.
            (
                [("a/error.log.1", "gunicorn", TIMEOUT), ("a/error.log", "gunicorn", SENT)],
                Vec::new(),
            ),
            (
                [("b/error.log", "gunicorn", TIMEOUT), ("a/error.log", "gunicorn", SENT)],
                killed("gunicorn"),
            ),
            ([("syslog", "syslog", STOPPED), ("syslog", "syslog", ENDED)], Vec::new()),
            ([("a/error.log", "x", STOPPED), ("syslog", "syslog", ENDED)], killed("db.service")),
        ] {
            assert_eq!(proved(&logs), wanted, "{logs:?}");
        }
    }

    #[test]
    fn a_line_in_the_kernels_name_hides_no_end_that_another_log_tells() {
        let oom = (Failure::OomKill, "x".to_owned());
        let ended = (Failure::Killed, "db.service".to_owned());
        let both = vec![ended, oom.clone()];
        assert_eq!(proved(&[("syslog", "", OOM), ("syslog", "", ENDED)]), [oom]);
        assert_eq!(proved(&[("a/error.log", "", OOM), ("syslog", "", ENDED)]), both);
    }

    #[test]
    fn a_rotated_file_is_a_part_of_its_log() {
        for (file, log) in [
            ("a/error.log", "a/error.log"),
            ("a/error.log.2.gz", "a/error.log"),
            ("messages-20261124.xz", "messages"),
            ("a/db-1/error.log", "a/db-1/error.log"),
            ("a/redis-6379", "a/redis-6379"),
            ("a/redis-6379.1.gz", "a/redis-6379"),
            ("journal", "journal"),
            ("7", "7"),
            ("", ""),
        ] {
            assert_eq!(log_of(file), log);
        }
    }
}
