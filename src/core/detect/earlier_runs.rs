//! How large and how old earlier runs of a program became before they ended by themselves.
//!
//! A batch job that grows as its last run did, which ended, is no leak. Runs are known by the names
//! of program and parent, user and executable, since each run has a new identity.

use std::collections::HashMap;

use crate::core::detect::constants::Constants;
use crate::core::detect::series::comparison::Comparison;
use crate::core::model::profile::{Profile, RunKey};

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

/// Earlier runs by program, parent and owner.
#[derive(Default)]
pub struct EarlierRuns {
    known: HashMap<RunKey, EarlierRun>,
    ended: u64,
    learnt: u64,
}

impl EarlierRuns {
    /// Remembers a run that ended: its highest footprint and its age.
    pub fn ended(&mut self, key: RunKey, peak: u64, age: u64) {
        if self.known.len() < PROGRAMS || self.known.contains_key(&key) {
            let run = self.known.entry(key).or_insert(EarlierRun { peak: 0, age: 0, last: 0 });
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
        let profile = |(key, run): (&RunKey, &EarlierRun)| Profile {
            key: *key,
            peak: run.peak,
            longest_s: run.age as f64 * block_s,
        };
        known.into_iter().take(most).map(profile).collect()
    }

    /// Takes over what an earlier watch remembered, as [`profiles`](Self::profiles) returned it.
    pub fn remember(&mut self, profiles: &[Profile], block_s: f64) {
        for Profile { key, peak, longest_s } in profiles.iter().rev() {
            self.ended(*key, *peak, (longest_s / block_s).round() as u64);
        }
    }

    /// Compares this run's footprint in bytes and age in finest blocks with the largest and oldest
    /// that the earlier ones became, and a margin. Runs that became larger than this one may, by the
    /// `left` bytes of its nearest ceiling, explain nothing: to grow like them would end it.
    pub fn compare(
        &self,
        key: RunKey,
        (footprint, left): (u64, u64),
        age: u64,
        constants: &Constants,
    ) -> Option<RunComparison> {
        let room = footprint.saturating_add(left);
        let run = self.known.get(&key).filter(|run| run.peak <= room)?;
        let most = |of_run: u64| constants.earlier_run_margin * of_run as f64;
        Some(RunComparison {
            size: Comparison::at_most(footprint as f64, most(run.peak)),
            age: Comparison::at_most(age as f64, most(run.age)),
        })
    }
}
