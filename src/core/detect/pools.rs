//! The worker pools, and which of them leak.

use std::collections::HashMap;

use crate::core::detect::constants::{Constants, INTERVAL_LEVEL};
use crate::core::detect::process::Process;
use crate::core::detect::sample_clock::{SampleTime, block};
use crate::core::detect::short_lived::ShortLivedPool;
use crate::core::model::process::ProcId;
use crate::core::model::verdict::Verdict;
use crate::core::servers;
use crate::core::worker_pool::WorkerPool;

/// Pools are judged every so many planned intervals.
pub const JUDGE_EVERY: u64 = 12;

/// All pools.
#[derive(Default)]
pub struct Pools {
    pools: Vec<Option<PoolEntry>>,
    index: HashMap<WorkerPool, usize>,
    judged: u64,
}

/// The growth of all flagged members of a pool.
#[derive(Clone, Copy, Default)]
struct FlaggedGrowth {
    /// Bytes per second.
    slope: f64,
    members: u32,
}

/// A pool and the parent of its members.
pub struct PoolEntry {
    /// Their parent.
    pub parent: ProcId,
    of: WorkerPool,
    /// Their growth by age.
    pub pool: ShortLivedPool,
    /// Whether their parent runs jobs.
    is_run: bool,
    /// Stable, growing or leaking, by the last judgement, ...
    pub verdict: Verdict,
    /// ... and by the one before.
    pub was: Verdict,
    /// Whether the last judgement changed that.
    pub changed: bool,
    /// Growth of the flagged members in the last sample, and in the one being counted.
    flagged: [FlaggedGrowth; 2],
}

impl PoolEntry {
    /// Whether its members grow until they exit, whatever they are.
    pub fn grows(&self) -> bool {
        self.verdict >= Verdict::Growing
    }

    /// How many times the growth of one member all flagged members make up together. A leak in
    /// every worker of a pool is one leak: of six alike each makes up only a sixth, and none is a
    /// bystander. A member that grows at less than half their mean speed counts alone.
    pub fn group_factor(&self, slope: f64) -> f64 {
        let FlaggedGrowth { slope: all, members } = self.flagged[0];
        let alike = slope > 0.0 && 2.0 * slope * f64::from(members) >= all;
        if alike { (all / slope).max(1.0) } else { 1.0 }
    }
}

impl Pools {
    /// Puts a process among its siblings: a new one, or one that was counted among others until it
    /// began another program.
    pub fn join(&mut self, process: &mut Process) {
        let of = process.state.pool();
        let Some(parent) = of.parent else { return };
        let is_run = process.parent_comm.is_some_and(servers::runs_jobs);
        let index = *self.index.entry(of).or_insert_with(|| {
            let entry = PoolEntry {
                parent,
                of,
                pool: ShortLivedPool::new(),
                is_run,
                verdict: Verdict::Stable,
                was: Verdict::Stable,
                changed: false,
                flagged: Default::default(),
            };
            match self.pools.iter().position(Option::is_none) {
                Some(free) => {
                    self.pools[free] = Some(entry);
                    free
                }
                None => {
                    self.pools.push(Some(entry));
                    self.pools.len() - 1
                }
            }
        });
        if process.member.as_ref().is_some_and(|(at, _)| *at == index) {
            return;
        }
        if let Some((before, mut member)) = process.member.take()
            && let Some(entry) = &mut self.pools[before]
        {
            entry.pool.left(&mut member);
        }
        if let Some(entry) = &mut self.pools[index] {
            entry.pool.members += 1;
            process.member = Some((index, Default::default()));
        }
    }

    /// Adds what a process grew since the sample before.
    pub fn grew(&mut self, process: &mut Process, moment: &SampleTime) {
        let intervals = process.intervals();
        let Some((index, member)) = &mut process.member else { return };
        if process.state.samples < 2 {
            return;
        }
        if let Some(entry) = &mut self.pools[*index] {
            let time = moment.step() as f64 / block(INTERVAL_LEVEL) as f64;
            entry.pool.grew(member, intervals, process.grown, process.load, time);
        }
    }

    /// Counts a flagged member that grows by `slope` bytes per second.
    pub fn count_flagged(&mut self, process: &Process, slope: f64) {
        let index = process.member.as_ref().map(|(index, _)| *index);
        let entry = index.and_then(|index| self.pools.get_mut(index)?.as_mut());
        if let Some(PoolEntry { flagged: [_, counted], .. }) = entry {
            counted.slope += slope;
            counted.members += 1;
        }
    }

    /// Ends the count of this sample; the next one is judged by it.
    pub fn end_count(&mut self) {
        for PoolEntry { flagged, .. } in self.pools.iter_mut().flatten() {
            *flagged = [flagged[1], FlaggedGrowth::default()];
        }
    }

    /// Removes a process that ended from its pool.
    pub fn leave(&mut self, process: &mut Process) {
        let Some((index, mut member)) = process.member.take() else { return };
        let rested = process.rested();
        if let Some(entry) = &mut self.pools[index] {
            entry.pool.exited(&mut member, rested);
        }
    }

    /// Forgets the pools of a parent that ended, once they are empty.
    pub fn forget(&mut self, parents_alive: impl Fn(ProcId) -> bool) {
        for slot in &mut self.pools {
            if let Some(PoolEntry { of, .. }) =
                slot.take_if(|entry| entry.pool.members == 0 && !parents_alive(entry.parent))
            {
                self.index.remove(&of);
            }
        }
    }

    /// Judges all pools, every 12 intervals; returns whether it did.
    pub fn judge(&mut self, moment: &SampleTime, constants: &Constants) -> bool {
        let due = moment.now / (JUDGE_EVERY * block(INTERVAL_LEVEL));
        if due == self.judged {
            return false;
        }
        self.judged = due;
        for entry in self.pools.iter_mut().flatten() {
            entry.was = entry.verdict;
            entry.verdict = match entry.pool.judge(constants) {
                Verdict::Leaking if entry.is_run => Verdict::Growing,
                verdict => verdict,
            };
            entry.changed = entry.verdict != entry.was;
        }
        true
    }

    /// The pools, each with its index.
    pub fn iter(&self) -> impl Iterator<Item = (usize, &PoolEntry)> {
        self.pools.iter().enumerate().filter_map(|(index, entry)| Some((index, entry.as_ref()?)))
    }

    /// The pool of that index.
    pub fn get(&self, index: usize) -> Option<&PoolEntry> {
        self.pools.get(index)?.as_ref()
    }
}
