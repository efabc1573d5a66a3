//! The processes of one program, counted in each listing.

use super::{PileKind, Seen};
use crate::core::model::process::Comm;
use std::collections::BTreeSet;

/// Pids and starters that are kept.
const MOST_PIDS: usize = 8;
const MOST_STARTERS: usize = 3;

/// What a listing shows of a program.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct ProgramTally {
    pub(super) processes: u32,
    pub(super) orphans: u32,
    pub(super) bytes: u64,
}

/// A program over time.
pub(super) struct Group {
    pub(super) kind: PileKind,
    tallies: Vec<ProgramTally>,
    now: ProgramTally,
    /// The root of all of them, while it is one.
    tree: Option<u32>,
    is_one_tree: bool,
    births: u32,
    ends: u32,
    cpu_s: f64,
    starters: Vec<(Comm, u32)>,
    /// Start time and pid of those in the last listing.
    members: BTreeSet<(u64, u32)>,
}

impl Group {
    /// One that was not there in so many listings.
    pub(super) fn new(kind: PileKind, listings: usize) -> Self {
        Self {
            kind,
            tallies: vec![ProgramTally::default(); listings.saturating_sub(1)],
            now: ProgramTally::default(),
            tree: None,
            is_one_tree: true,
            births: 0,
            ends: 0,
            cpu_s: 0.0,
            starters: Vec::new(),
            members: BTreeSet::new(),
        }
    }

    pub(super) fn begin(&mut self) {
        self.now = ProgramTally::default();
        (self.tree, self.is_one_tree) = (None, true);
        self.members.clear();
    }

    /// A process is new; those of the first listing were there before.
    pub(super) fn born(&mut self, nth: u32, starter: Option<Comm>) {
        if nth > 0 {
            self.births = self.births.saturating_add(1);
        }
        let Some(starter) = starter else { return };
        let known = self.starters.len();
        match self.starters.iter_mut().find(|(known, _)| *known == starter) {
            Some((_, count)) => *count = count.saturating_add(1),
            None if known < MOST_PIDS => self.starters.push((starter, 1)),
            None => {}
        }
    }

    pub(super) fn ended(&mut self) {
        self.ends = self.ends.saturating_add(1);
    }

    pub(super) fn count(&mut self, seen: &Seen, root: u32, used_s: f64) {
        self.now.processes += 1;
        self.now.orphans += u32::from(root == seen.id.pid);
        self.now.bytes = self.now.bytes.saturating_add(seen.footprint);
        self.cpu_s += used_s;
        self.is_one_tree &= self.tree.is_none_or(|tree| tree == root);
        self.tree = Some(root);
        self.members.insert((seen.id.start, seen.id.pid));
    }

    pub(super) fn finish(&mut self, nth: u32) {
        self.tallies.resize(nth as usize, ProgramTally::default());
        self.tallies.push(self.now);
    }

    pub(super) fn now(&self) -> ProgramTally {
        self.now
    }

    /// Whether all lie below one living process, or are one.
    pub(super) fn is_one_tree(&self) -> bool {
        self.is_one_tree
    }

    pub(super) fn births(&self) -> u32 {
        self.births
    }

    pub(super) fn ends(&self) -> u32 {
        self.ends
    }

    pub(super) fn cpu_s(&self) -> f64 {
        self.cpu_s
    }

    pub(super) fn numbers(&self) -> impl Iterator<Item = f64> {
        self.tallies.iter().map(|tally| f64::from(tally.processes))
    }

    /// Whether there were more in each quarter of the time than ever before. What is started at once
    /// (a service, some containers) and stays is none that piles up.
    pub(super) fn goes_on(&self) -> bool {
        let numbers: Vec<u32> = self.tallies.iter().map(|tally| tally.processes).collect();
        let mut most = numbers.first().copied().unwrap_or(0);
        let edge = |nth: usize| nth * numbers.len() / 4;
        (0..4).all(|nth| {
            let quarter = numbers.get(edge(nth)..edge(nth + 1)).unwrap_or_default();
            let highest = quarter.iter().copied().max().unwrap_or(0);
            let is_more = highest > most;
            most = most.max(highest);
            is_more
        })
    }

    pub(super) fn sizes(&self) -> impl Iterator<Item = f64> {
        self.tallies.iter().map(|tally| tally.bytes as f64)
    }

    pub(super) fn starters(&self) -> Vec<Comm> {
        let mut starters = self.starters.clone();
        starters.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        starters.into_iter().take(MOST_STARTERS).map(|(comm, _)| comm).collect()
    }

    pub(super) fn oldest(&self) -> Vec<u32> {
        self.members.iter().take(MOST_PIDS).map(|(_, pid)| *pid).collect()
    }
}
