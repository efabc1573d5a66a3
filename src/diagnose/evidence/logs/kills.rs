//! Kills that are told in several lines, and those by a process's own master.

use super::hit::Hit;
use super::kept::KeptLines;
use super::wordings::Only;
use crate::diagnose::findings::Failure;

/// Seconds between the lines of one kill.
pub(super) const ONE_KILL_S: f64 = 10.0;
/// The same where they name two processes: before Linux 5.0 a child or another thread of the one announced.
const OTHER_VICTIM_S: f64 = 1.0;
/// Seconds in which a master that was about to kill a process does so: gunicorn waits for 30.
const OWN_KILL_S: f64 = 90.0;

/// What is known of kills besides the lines that count.
#[derive(Debug, Default)]
pub(super) struct Kills {
    /// Those that the kernel announced.
    announced: KeptLines<Hit>,
    /// Those that it told of: which process, and when.
    told: KeptLines<(Option<u32>, Option<f64>)>,
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
                    self.told.push((hit.proved.pid, hit.t));
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
            let is_told = self.told.iter().any(|(pid, t)| {
                *pid == hit.proved.pid && are_near(*t, hit.t, ONE_KILL_S)
                    // Who tells of a container's end names no process.
                    || pid.is_some() && are_dated_near(*t, hit.t, OTHER_VICTIM_S)
            });
            if !is_told {
                self.told.push((hit.proved.pid, hit.t));
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
                self.announced.iter().find(|other| are_dated_near(other.t, hit.t, OTHER_VICTIM_S))
            })
            .is_some_and(|other| other.proved.failure == Failure::OomKillInCgroup)
    }

    /// Whether the kernel told of a kill at that time.
    pub(super) fn is_kernels(&self, hit: &Hit) -> bool {
        self.told.iter().any(|(_, t)| are_dated_near(*t, hit.t, ONE_KILL_S))
    }

    /// Whether its own master killed it.
    pub(super) fn is_own(&self, hit: &Hit) -> bool {
        self.own.iter().any(|own| match (own.proved.pid, hit.proved.pid) {
            (Some(own_pid), Some(pid)) => own_pid == pid && are_near(own.t, hit.t, OWN_KILL_S),
            _ => {
                let is_same = own.proved.who == hit.proved.who
                    || own.tag == hit.tag && own.proved.who == own.tag;
                is_same && are_near(own.t, hit.t, ONE_KILL_S)
            }
        })
    }
}

/// Whether two lines were written within so many seconds, or neither has a time.
pub(super) fn are_near(one: Option<f64>, other: Option<f64>, seconds: f64) -> bool {
    one.is_none() && other.is_none() || are_dated_near(one, other, seconds)
}

/// Whether two lines were written within so many seconds.
fn are_dated_near(one: Option<f64>, other: Option<f64>, seconds: f64) -> bool {
    one.zip(other).is_some_and(|(one, other)| (one - other).abs() <= seconds)
}
