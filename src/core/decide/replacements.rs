//! Replacements: which masters were seen to start a worker again that had ended.
//!
//! Of a program in no row nothing is known. A job of a batch that is ended is lost, a session too,
//! and a pool of Python's `multiprocessing` waits for ever for the task of a worker that is gone. So
//! children of such a program are ended only once their parent was seen to replace one: its number
//! of children stood still, fell, and rose to the same number within seconds. One replacement of a
//! child that the OOM killer took proves that; of others, which may come and go by themselves, two.

use crate::core::model::process::ProcId;
use crate::core::worker_pool::WorkerPool;
use std::collections::{HashMap, HashSet};

/// Seconds for which a pool must have stood still before.
const STILL_S: f64 = 10.0;
/// Seconds within which a master replaces a worker.
const WITHIN_S: f64 = 5.0;
/// Seconds from a kill to the sample that lacks the process: its memory is freed first.
const KILL_SHOWS_S: f64 = 3.0;
/// Replacements that prove it, where the OOM killer took none of those replaced.
const ENOUGH: u32 = 2;

/// Programs that are remembered: a user may start any number.
const MOST_PROGRAMS: usize = 256;

/// Who runs a program, and the path of its executable: what one user's does proves nothing of
/// another's.
type RunBy = (Option<u32>, String);

/// What masters were seen to do.
#[derive(Debug, Default)]
pub struct Replacements {
    pools: HashMap<WorkerPool, PoolSize>,
    proven: HashSet<ProcId>,
    /// Users and paths of their executables, so that a master that is restarted is known at once.
    programs: HashSet<RunBy>,
    /// When the OOM killer was last seen at work.
    killed_t: Option<f64>,
}

/// How many members a pool had, and since when.
#[derive(Clone, Copy, Debug)]
struct PoolSize {
    size: u32,
    newest: ProcId,
    since_t: f64,
    vacancy: Option<Vacancy>,
    replaced: u32,
    seen_t: f64,
}

/// A place that is free since then in a pool that had stood still.
#[derive(Clone, Copy, Debug)]
struct Vacancy {
    size: u32,
    t: f64,
    by_the_kernel: bool,
}

impl Replacements {
    /// The OOM killer took a process since the sample before the one at `t`.
    pub fn kernel_killed(&mut self, t: f64) {
        self.killed_t = Some(t);
    }

    /// Takes over how many members a pool has at `t`, and its newest; `run_by` is
    /// their master's.
    pub fn observe(
        &mut self,
        t: f64,
        (pool, size, newest): (WorkerPool, u32, ProcId),
        run_by: Option<&RunBy>,
    ) {
        let kernel_killed = self.killed_t.is_some_and(|killed_t| t - killed_t <= KILL_SHOWS_S);
        let new = PoolSize { size, newest, since_t: t, vacancy: None, replaced: 0, seen_t: t };
        let of = self.pools.entry(pool).or_insert(new);
        of.seen_t = t;
        let is_swapped = size == of.size && newest != of.newest;
        if size < of.size || is_swapped {
            let stood_still = of.since_t + STILL_S <= t;
            let begun = stood_still.then_some(Vacancy { size: of.size, t, by_the_kernel: false });
            of.vacancy = of.vacancy.or(begun);
            if let Some(vacancy) = &mut of.vacancy {
                vacancy.by_the_kernel |= kernel_killed;
            }
        }
        if size == of.size && newest == of.newest {
            return;
        }
        let filled = of.vacancy.filter(|vacancy| size >= vacancy.size);
        if let Some(vacancy) = filled {
            of.vacancy = None;
            let is_exact = size == vacancy.size && t - vacancy.t <= WITHIN_S;
            of.replaced += u32::from(is_exact);
            let proves = vacancy.by_the_kernel || of.replaced >= ENOUGH;
            if is_exact
                && proves
                && let Some(parent) = pool.parent
            {
                self.proven.insert(parent);
                let known = run_by.filter(|(uid, exe)| uid.is_some() && !exe.is_empty());
                if self.programs.len() < MOST_PROGRAMS {
                    self.programs.extend(known.cloned());
                }
            }
        }
        (of.size, of.newest, of.since_t) =
            (size, newest, if filled.is_some() { of.since_t } else { t });
    }

    /// Forgets pools that the sample at `t` did not have, and masters that are gone.
    pub fn forget(&mut self, t: f64, lives: impl Fn(ProcId) -> bool) {
        self.pools.retain(|_, of| of.seen_t == t);
        self.proven.retain(|id| lives(*id));
    }

    /// Whether a master replaces workers: it was seen to, or another run of its program was.
    pub fn are_proven(&self, master: ProcId, run_by: &RunBy) -> bool {
        self.proven.contains(&master) || self.programs.contains(run_by)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MASTER: ProcId = ProcId { pid: 10, start: 1 };

    /// A master's pool by the pids of its members, sampled every second: how each sample stands.
    fn proven(sizes: &[&[u32]], killed_at: Option<usize>) -> bool {
        let mut replacements = Replacements::default();
        let pool = WorkerPool::named(MASTER, "app");
        for (second, pids) in sizes.iter().enumerate() {
            let t = second as f64;
            if killed_at == Some(second) {
                replacements.kernel_killed(t);
            }
            let newest = pids.iter().max().copied().unwrap_or(0);
            let newest = ProcId { pid: newest, start: newest.into() };
            replacements.observe(t, (pool, pids.len() as u32, newest), None);
        }
        replacements.are_proven(MASTER, &(None, String::new()))
    }

    fn still(pids: &[u32]) -> Vec<&[u32]> {
        vec![pids; 12]
    }

    #[test]
    fn one_replacement_after_the_oom_killer_proves_it_and_two_without() {
        let once = [still(&[1, 2, 3]), vec![&[1, 2][..]], still(&[1, 2, 4])].concat();
        assert!(!proven(&once, None) && proven(&once, Some(11)));
        let twice = [once, vec![&[1, 4][..]], still(&[1, 4, 5])].concat();
        assert!(proven(&twice, None));
    }

    #[test]
    fn jobs_that_come_and_go_or_come_late_prove_nothing() {
        let late = [still(&[1, 2, 3]), vec![&[1, 2][..]; 9], still(&[1, 2, 4])].concat();
        assert!(!proven(&[late.clone(), late].concat(), Some(11)));
        let sizes: Vec<&[u32]> = vec![&[1], &[1, 2], &[2], &[2, 3], &[3], &[3, 4], &[4], &[4, 5]];
        assert!(!proven(&sizes.repeat(4), Some(2)), "the pool never stood still");
    }
}
