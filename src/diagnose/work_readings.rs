//! Work readings: how much the workers of a master have done, at the first and the last live sample.

use crate::core::model::process::ProcId;
use crate::diagnose::findings::WorkUnit;
use crate::diagnose::leak_per_request::{self, PerWork, Worker};

/// A worker waits at least this often for each request; a lower count says that waits and requests do
/// not belong together.
const LEAST_WAITS: f64 = 0.5;

/// The work of a master's workers.
#[derive(Clone, Debug, PartialEq)]
pub struct WorkReadings {
    /// The root of the tree.
    pub root: ProcId,
    /// The master, whose children the workers are: the root, or below it.
    pub master: ProcId,
    /// What is counted.
    pub unit: WorkUnit,
    /// Where it was read.
    pub source: String,
    /// The workers at the first sample; empty where there was but one.
    pub before: Vec<Worker>,
    /// The workers at the last sample.
    pub after: Vec<Worker>,
    /// Seconds between the two.
    pub span_s: f64,
    /// Requests that a connection carries, where that could be seen.
    pub per_connection: Option<f64>,
    /// Bytes that the master holds: at most that much its workers have in common with it.
    pub master_own: f64,
}

impl WorkReadings {
    /// Work a second between the two samples. What a worker did that ended in between is not known:
    /// where there are such, all are taken to have done as much as those that stayed.
    pub fn rate(&self) -> Option<f64> {
        if self.before.is_empty() || self.span_s < 1.0 {
            return None;
        }
        let then = |now: &Worker| self.before.iter().find(|then| then.pid == now.pid);
        let stayed = || self.after.iter().filter_map(|now| Some(now.done - then(now)?.done));
        let count = stayed().count();
        if count > 0 && count < self.before.len() {
            let mean = stayed().sum::<f64>() / count as f64;
            return Some(mean * self.before.len() as f64 / self.span_s);
        }
        let done = |now: &Worker| now.done - then(now).map_or(0.0, |then| then.done);
        Some(self.after.iter().map(done).sum::<f64>() / self.span_s)
    }

    /// Converts waits to requests, where it is known how many requests were answered a second.
    pub fn count_requests(&mut self, per_s: f64) {
        let Some(waits) = self.rate().filter(|_| self.unit == WorkUnit::Waits) else { return };
        let each = waits / per_s;
        if !each.is_finite() || each < LEAST_WAITS {
            return;
        }
        for worker in self.before.iter_mut().chain(&mut self.after) {
            worker.done /= each;
        }
        self.unit = WorkUnit::Requests;
        self.source = format!("connections closed, {each:.1} waits each");
    }

    /// What a unit of work leaves behind: by the growth that was watched, else by comparing workers.
    pub fn per_work(&self) -> Option<PerWork> {
        leak_per_request::watched(&self.before, &self.after, self.unit)
            .or_else(|| leak_per_request::compared(&self.after, self.unit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight workers that wait 88 times a second each, for ten seconds, of which so many ended.
    fn waiting(ended: u32) -> WorkReadings {
        let worker = |pid: u32, done: f64| Worker { pid, own: 1e6, done };
        let id = ProcId { pid: 1, start: 1 };
        WorkReadings {
            root: id,
            master: id,
            unit: WorkUnit::Waits,
            source: String::new(),
            before: (0..8).map(|pid| worker(pid, 1000.0)).collect(),
            after: (0..8)
                .map(|pid| if pid < ended { worker(100 + pid, 300.0) } else { worker(pid, 1880.0) })
                .collect(),
            span_s: 10.0,
            per_connection: None,
            master_own: 0.0,
        }
    }

    #[test]
    fn waits_become_requests_where_those_were_counted() {
        let mut readings = waiting(0);
        readings.count_requests(80.0);
        assert_eq!((readings.unit, readings.rate()), (WorkUnit::Requests, Some(80.0)));
        // Of 8.8 waits each.
        assert!((readings.after[0].done - 1880.0 / 8.8).abs() < 1e-9);
    }

    #[test]
    fn fewer_waits_than_requests_belong_to_something_else() {
        let mut readings = waiting(0);
        readings.count_requests(5000.0);
        assert_eq!((readings.unit, readings.rate()), (WorkUnit::Waits, Some(704.0)));
    }

    #[test]
    fn workers_that_ended_count_like_those_that_stayed() {
        assert_eq!(waiting(0).rate(), Some(704.0));
        assert_eq!(waiting(5).rate(), Some(704.0));
        assert_eq!(waiting(8).rate(), Some(240.0), "none stayed: what the new ones did");
    }
}
