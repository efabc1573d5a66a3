//! Ledger: how many bytes each worker had in use at each look, and what it served between two.

use super::judge;
use super::system::{OTHER, Row};
use super::{Answer, NotYet};
use crate::core::model::process::ProcId;
use std::collections::BTreeMap;

/// Distinct requests that are counted by themselves, workers, and looks at each.
const MOST_PATHS: usize = 256;
const MOST_WORKERS: usize = 64;
const MOST_LOOKS: usize = 256;
/// A look at which more was in use than at a later one was taken while a request had its buffers, or before
/// something was freed. So much is no more: an object here and there, in bytes and as a share of the growth.
const WAVERING: (u64, f64) = (64 << 10, 0.03);

/// What was seen of the workers of one service.
#[derive(Clone, Debug, Default)]
pub struct Ledger {
    names: Vec<String>,
    numbers: BTreeMap<String, usize>,
    workers: BTreeMap<ProcId, WorkerRecord>,
}

#[derive(Clone, Debug, Default)]
struct WorkerRecord {
    looks: Vec<WorkerLook>,
    /// What was served since the last look, by the number of the request.
    served: BTreeMap<usize, u32>,
}

#[derive(Clone, Debug)]
struct WorkerLook {
    t: f64,
    bytes: u64,
    served: BTreeMap<usize, u32>,
}

impl Ledger {
    /// Takes in how often a worker served a request, in the words of [`fold`](super::fold).
    pub fn serve(&mut self, worker: ProcId, request: &str, times: u32) {
        let number = match self.numbers.get(request) {
            Some(number) => *number,
            None if self.names.len() < MOST_PATHS => {
                self.names.push(request.to_owned());
                self.numbers.insert(request.to_owned(), self.names.len() - 1);
                self.names.len() - 1
            }
            None => OTHER,
        };
        if let Some(worker) = self.worker(worker) {
            let count = worker.served.entry(number).or_default();
            *count = count.saturating_add(times);
        }
    }

    /// Takes in that a worker has so many bytes in use, `t` seconds from any beginning.
    pub fn look(&mut self, worker: ProcId, t: f64, bytes: u64) {
        let Some(worker) = self.worker(worker) else { return };
        if worker.looks.len() < MOST_LOOKS {
            let served = std::mem::take(&mut worker.served);
            worker.looks.push(WorkerLook { t, bytes, served });
        }
    }

    fn worker(&mut self, id: ProcId) -> Option<&mut WorkerRecord> {
        if self.workers.len() >= MOST_WORKERS {
            return self.workers.get_mut(&id);
        }
        Some(self.workers.entry(id).or_default())
    }

    /// Requests that were seen, however often.
    pub fn requests(&self) -> u64 {
        let looks = self.workers.values().flat_map(|worker| &worker.looks);
        looks.flat_map(|look| look.served.values()).map(|count| u64::from(*count)).sum()
    }

    /// Which request leaks, if that can be told.
    pub fn answer(&self) -> Answer {
        let rows = self.rows();
        match rows.is_empty() {
            true => Answer::NotYet(NotYet::TooLittle),
            false => judge::judge(&rows, &self.names),
        }
    }

    /// The time between looks, those looks left out that saw a request's buffers.
    fn rows(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (number, worker) in self.workers.values().enumerate() {
            let mut row = Row { worker: number, ..Row::default() };
            let mut before: Option<&WorkerLook> = None;
            for (look, is_lasting) in worker.looks.iter().zip(lasting(&worker.looks)) {
                // What came before the first look has no growth.
                if before.is_some() {
                    for (number, count) in &look.served {
                        *row.served.entry(*number).or_default() += count;
                    }
                }
                if !is_lasting {
                    continue;
                }
                if let Some(before) = before.replace(look) {
                    (row.t, row.seconds) = (before.t, look.t - before.t);
                    row.growth = look.bytes as f64 - before.bytes as f64;
                    if row.seconds > 0.0 {
                        rows.push(row);
                    }
                    row = Row { worker: number, ..Row::default() };
                }
            }
        }
        rows
    }
}

/// For each look whether what was in use stayed in use.
fn lasting(looks: &[WorkerLook]) -> Vec<bool> {
    let mut lowest = u64::MAX;
    let least = looks.iter().map(|look| look.bytes).min().unwrap_or(0);
    let last = looks.last().map_or(0, |look| look.bytes);
    let wavering = WAVERING.0.max((last.saturating_sub(least) as f64 * WAVERING.1) as u64);
    let mut lasting: Vec<bool> = looks
        .iter()
        .rev()
        .map(|look| {
            let stays = look.bytes <= lowest.saturating_add(wavering);
            lowest = lowest.min(look.bytes);
            stays
        })
        .collect();
    lasting.reverse();
    lasting
}

#[cfg(test)]
mod tests {
    use super::*;

    const WORKER: ProcId = ProcId { pid: 7, start: 1 };

    fn ledger(looks: &[(u64, &[&str])]) -> Ledger {
        let mut ledger = Ledger::default();
        for (nth, (kib, served)) in looks.iter().enumerate() {
            served.iter().for_each(|request| ledger.serve(WORKER, request, 1));
            ledger.look(WORKER, nth as f64, kib << 10);
        }
        ledger
    }

    #[test]
    fn rows_are_what_was_served_between_two_looks() {
        let rows = ledger(&[(1000, &["a"]), (1200, &["a", "b"]), (1300, &["b"])]).rows();
        let served: Vec<Vec<_>> = rows.iter().map(|row| row.served.iter().collect()).collect();
        assert_eq!(served, [vec![(&0, &1), (&1, &1)], vec![(&1, &1)]]);
        assert_eq!(rows.iter().map(|row| row.growth as u64 >> 10).collect::<Vec<_>>(), [200, 100]);
    }

    #[test]
    fn a_look_that_saw_buffers_is_left_out_and_what_was_served_is_not() {
        let looks: [(u64, &[&str]); 4] =
            [(1000, &[]), (9000, &["big"]), (1100, &["a"]), (1200, &["a"])];
        let rows = ledger(&looks).rows();
        let growth: Vec<_> =
            rows.iter().map(|row| (row.seconds, row.growth as u64 >> 10)).collect();
        assert_eq!(growth, [(2.0, 100), (1.0, 100)]);
        assert_eq!(rows[0].served.len(), 2);
    }

    #[test]
    fn names_workers_and_looks_are_bounded() {
        let mut ledger = Ledger::default();
        for nth in 0..10_000 {
            let worker = ProcId { pid: nth, start: 1 };
            ledger.serve(worker, &format!("GET /{nth}"), 1);
            ledger.look(worker, 0.0, 1);
            ledger.serve(WORKER, "GET /", 1);
            ledger.look(WORKER, f64::from(nth), 1);
        }
        let worker = &ledger.workers[&WORKER];
        assert_eq!((ledger.names.len(), ledger.workers.len()), (MOST_PATHS, MOST_WORKERS));
        assert_eq!((worker.looks.len(), worker.served.len()), (MOST_LOOKS, 1));
        assert_eq!(ledger.requests(), (MOST_WORKERS + MOST_LOOKS - 1) as u64);
    }
}
