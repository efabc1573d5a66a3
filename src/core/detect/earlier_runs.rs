//! Runs: how large and how old earlier runs of a program became before they ended by themselves.
//!
//! A batch job that grows as it did last time, and ended, is no leak. Known by name and parent's
//! name, since each run has a new identity.

use std::collections::HashMap;

use crate::core::detect::constants::Constants;
use crate::core::detect::series::comparison::Comparison;
use crate::core::model::assessment::Profile;
use crate::core::model::sample::Comm;

/// Programs remembered; whoever comes later is not.
const PROGRAMS: usize = 1024;

#[derive(Clone, Copy)]
struct EarlierRun {
    peak: u64,
    age: u64,
    /// How many runs had ended when the last of these did.
    last: u64,
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

    /// At most so many programs, those first whose runs ended last; a finest block is `block_s`
    /// seconds.
    pub fn profiles(&self, most: usize, block_s: f64) -> Vec<Profile> {
        let mut known: Vec<_> = self.known.iter().collect();
        known.sort_unstable_by_key(|(_, run)| std::cmp::Reverse(run.last));
        let profile = |(name, run): (&(Comm, Comm), &EarlierRun)| {
            let (comm, parent) = *name;
            Profile { comm, parent, peak: run.peak, longest_s: run.age as f64 * block_s }
        };
        known.into_iter().take(most).map(profile).collect()
    }

    /// Takes over what was remembered before, as [`profiles`](Self::profiles) gave it.
    pub fn remember(&mut self, profiles: &[Profile], block_s: f64) {
        for Profile { comm, parent, peak, longest_s } in profiles.iter().rev() {
            self.ended((*comm, *parent), *peak, (longest_s / block_s).round() as u64);
        }
    }

    /// Footprint in bytes and age in finest blocks of this run, each with the most that the earlier
    /// ones excuse: about as large and as old as they became.
    pub fn compare(
        &self,
        name: (Comm, Comm),
        footprint: u64,
        age: u64,
        c: &Constants,
    ) -> Option<(Comparison, Comparison)> {
        let run = self.known.get(&name)?;
        let most = |of_run: u64| c.kin * of_run as f64;
        Some((
            Comparison::at_most(footprint as f64, most(run.peak)),
            Comparison::at_most(age as f64, most(run.age)),
        ))
    }
}
