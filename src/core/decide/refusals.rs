//! Refusals: what the kernel refused lately, forks to a tree and signals to leakwatch, and which
//! masters replace their workers just now.

use crate::core::detect::Detector;
use crate::core::model::ceiling::MemoryFailureKind;
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;

/// A fork that was refused means for so many seconds that the next one may be.
const REFUSED_S: f64 = 60.0;
/// Seconds until a signal that could not be sent is tried again; doubled with each failure.
const FIRST_RETRY_S: f64 = 1.0;
/// The longest that such a retry waits.
const LONGEST_RETRY_S: f64 = 60.0;
/// Seconds that the children of a reloaded master may take: their longest request, as `Timeout` is.
/// While one of them is left, the master is not signalled again, which would only ask twice.
pub const RELOAD_GRACE_S: f64 = 70.0;

/// Where a fork was refused, of one tree or of all, and when.
#[derive(Debug, Default)]
pub struct RefusedForks(Vec<(Option<ProcId>, f64)>);

impl RefusedForks {
    /// Takes in what a sample tells, forgets what is over.
    pub fn observe(&mut self, sample: &Sample) {
        self.0.retain(|(_, t)| sample.t - *t < REFUSED_S);
        let failures = sample.memory_failures.iter();
        let refused = failures.filter(|failure| failure.kind == MemoryFailureKind::Refused);
        self.0.extend(refused.map(|failure| (failure.root, sample.t)));
    }

    /// Whether a fork of that tree was refused lately.
    pub fn concerns(&self, root: ProcId) -> bool {
        self.0.iter().any(|(of, _)| of.is_none_or(|of| of == root))
    }
}

/// Victims whose signal could not be sent for want of memory, descriptors or the like.
#[derive(Debug, Default)]
pub struct SignalRetries(Vec<SignalRetry>);

#[derive(Clone, Copy, Debug)]
struct SignalRetry {
    id: ProcId,
    until_t: f64,
    wait_s: f64,
    /// Whether its time is not yet up.
    waits: bool,
}

impl SignalRetries {
    /// Notes which retries are due by the sample at `t`; forgets processes that are gone.
    pub fn observe(&mut self, t: f64, detector: &Detector) {
        self.0.retain_mut(|retry| {
            retry.waits = t < retry.until_t;
            detector.process_state(retry.id).is_some()
        });
    }

    /// A victim whose signal could not be sent at `t` is left alone for a while, each time twice as
    /// long.
    pub fn postpone(&mut self, id: ProcId, t: f64) {
        match self.0.iter_mut().find(|retry| retry.id == id) {
            Some(retry) => {
                retry.wait_s = (2.0 * retry.wait_s).min(LONGEST_RETRY_S);
                retry.until_t = t + retry.wait_s;
                retry.waits = true;
            }
            None => {
                let (wait_s, until_t) = (FIRST_RETRY_S, t + FIRST_RETRY_S);
                self.0.push(SignalRetry { id, until_t, wait_s, waits: true });
            }
        }
    }

    /// Whether a process is left alone just now.
    pub fn holds(&self, id: ProcId) -> bool {
        self.0.iter().any(|retry| retry.id == id && retry.waits)
    }
}

/// A worker may seem to have started so many seconds before the sample on which its master was asked: the
/// kernel counts starts in ticks of 10 ms, and Apache forked one within 3 ms. It passed for an old one, and
/// the next reload did not come for 70 s, but the OOM killer did.
const STARTS_S: f64 = 0.1;

/// Masters that replace their workers, and when each was last asked to.
#[derive(Debug, Default)]
pub struct Reloads(Vec<(ProcId, f64)>);

impl Reloads {
    /// Forgets masters whose old workers are gone by the sample at `t`, or had time enough.
    pub fn observe(&mut self, t: f64, detector: &Detector) {
        self.0.retain(|(master, asked_t)| {
            let since_s = t - *asked_t;
            let mut children = detector.process_states().filter(|s| s.parent == Some(*master));
            since_s < RELOAD_GRACE_S && children.any(|s| s.age_s > since_s + STARTS_S)
        });
    }

    /// A master was asked at `t`.
    pub fn add(&mut self, master: ProcId, t: f64) {
        self.0.push((master, t));
    }

    /// Whether that master is replacing its workers.
    pub fn contains(&self, master: ProcId) -> bool {
        self.0.iter().any(|(of, _)| *of == master)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::{CeilingKind, MemoryFailure, Place};
    use crate::core::model::process::{Comm, Proc};
    use crate::core::model::sample::Header;

    const ID: ProcId = ProcId { pid: 7, start: 7 };

    #[test]
    fn a_retry_waits_twice_as_long_after_each_failure_up_to_a_minute() {
        let mut retries = SignalRetries::default();
        let mut waits_s = Vec::new();
        for _ in 0..9 {
            retries.postpone(ID, 100.0);
            assert!(retries.holds(ID));
            waits_s.push(retries.0.last().unwrap().until_t - 100.0);
        }
        assert_eq!(waits_s, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]);
    }

    #[test]
    fn a_reload_is_over_once_no_worker_is_older_than_it_but_for_a_tick() {
        let header =
            Header { interval_s: 1.0, clock_ticks: 100, page_size: 4096, hostname: String::new() };
        let sample = |t: f64, worker_start: u64| {
            let of = |pid, ppid, start| Proc {
                id: ProcId { pid, start },
                ppid,
                comm: Comm::new(b"apache2"),
                rss: 0,
                anon: Some(0),
                swap: 0,
                cpu_s: 0.0,
                threads: 1,
            };
            let procs = vec![of(7, 1, 7), of(8, 7, worker_start)];
            Sample { t, uptime_s: Some(t), procs, ..Sample::default() }
        };
        let is_over_after = |worker_start| {
            let mut detector = Detector::new(&header, 6.0);
            let (mut reloads, asked_t) = (Reloads::default(), 100.003);
            reloads.add(ID, asked_t);
            detector.observe(&sample(asked_t + 1.0, worker_start), &mut Vec::new());
            reloads.observe(asked_t + 1.0, &detector);
            !reloads.contains(ID)
        };
        assert!(!is_over_after(9_000), "ten seconds older");
        assert!(is_over_after(10_000), "a tick older: forked at once");
        assert!(is_over_after(10_050));
    }

    #[test]
    fn a_refused_fork_counts_for_its_tree_for_a_minute_and_for_all_trees_without_a_root() {
        let other = ProcId { pid: 8, start: 8 };
        let at = |t, root| {
            let (kind, ceiling) = (MemoryFailureKind::Refused, CeilingKind::Pids);
            let failure = MemoryFailure { kind, ceiling, root, place: Place::NONE, count: 1 };
            Sample { t, memory_failures: vec![failure], ..Sample::default() }
        };
        let mut forks = RefusedForks::default();
        forks.observe(&at(1.0, Some(ID)));
        assert!(forks.concerns(ID) && !forks.concerns(other));
        forks.observe(&Sample { t: 61.0, ..Sample::default() });
        assert!(!forks.concerns(ID));
        forks.observe(&at(62.0, None));
        assert!(forks.concerns(ID) && forks.concerns(other));
    }
}
