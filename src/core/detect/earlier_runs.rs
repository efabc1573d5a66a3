//! How large and how old earlier runs of a program became before they ended by themselves.
//!
//! A batch job that grows as its last run did, which ended, is no leak. Runs are known by the names
//! of program and parent, since each run has a new identity.

use std::collections::HashMap;

use crate::core::detect::constants::Constants;
use crate::core::detect::series::comparison::Comparison;
use crate::core::model::process::Comm;
use crate::core::model::profile::Profile;

/// Programs remembered; a later one is not.
const PROGRAMS: usize = 1024;

#[derive(Clone, Copy)]
struct EarlierRun {
    peak: u64,
    age: u64,
    /// How many runs of all programs had ended when the last of this one did.
    last: u64,
}

/// A run compared with the earlier ones of its program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RunComparison {
    /// Footprint in bytes, and the most that the earlier ones explain.
    pub size: Comparison,
    /// Age in finest blocks, and the most that they explain.
    pub age: Comparison,
}

impl RunComparison {
    /// Whether it is no larger and no older than the earlier ones explain.
    pub fn matches(&self) -> bool {
        self.size.passes && self.age.passes
    }
}

/// Earlier runs by the names of program and parent.
#[derive(Default)]
pub struct EarlierRuns {
    known: HashMap<(Comm, Comm), EarlierRun>,
    ended: u64,
    learnt: u64,
}

impl EarlierRuns {
    /// Remembers a run that ended: its highest footprint and its age.
    pub fn ended(&mut self, name: (Comm, Comm), peak: u64, age: u64) {
        if self.known.len() < PROGRAMS || self.known.contains_key(&name) {
            let run = self.known.entry(name).or_insert(EarlierRun { peak: 0, age: 0, last: 0 });
            self.ended += 1;
            self.learnt += u64::from(peak > run.peak || age > run.age);
            let (peak, age) = (run.peak.max(peak), run.age.max(age));
            *run = EarlierRun { peak, age, last: self.ended };
        }
    }

    /// How often something new was learnt.
    pub fn learnt(&self) -> u64 {
        self.learnt
    }

    /// At most so many programs, the most recently ended first; a finest block is `block_s` seconds.
    pub fn profiles(&self, most: usize, block_s: f64) -> Vec<Profile> {
        let mut known: Vec<_> = self.known.iter().collect();
        known.sort_unstable_by_key(|(_, run)| std::cmp::Reverse(run.last));
        let profile = |(name, run): (&(Comm, Comm), &EarlierRun)| {
            let (comm, parent) = *name;
            Profile { comm, parent, peak: run.peak, longest_s: run.age as f64 * block_s }
        };
        known.into_iter().take(most).map(profile).collect()
    }

    /// Takes over what an earlier watch remembered, as [`profiles`](Self::profiles) returned it.
    pub fn remember(&mut self, profiles: &[Profile], block_s: f64) {
        for Profile { comm, parent, peak, longest_s } in profiles.iter().rev() {
            self.ended((*comm, *parent), *peak, (longest_s / block_s).round() as u64);
        }
    }

    /// Compares this run's footprint in bytes and age in finest blocks with the largest and oldest
    /// that the earlier ones became, and a margin.
    pub fn compare(
        &self,
        name: (Comm, Comm),
        footprint: u64,
        age: u64,
        constants: &Constants,
    ) -> Option<RunComparison> {
        let run = self.known.get(&name)?;
        let most = |of_run: u64| constants.earlier_run_margin * of_run as f64;
        Some(RunComparison {
            size: Comparison::at_most(footprint as f64, most(run.peak)),
            age: Comparison::at_most(age as f64, most(run.age)),
        })
    }
}
