//! Runs: how large and how old earlier runs of a program became before they ended by themselves.
//!
//! A batch job that grows as it did last time, and ended, is no leak. Known by name and parent's
//! name, since each run has a new identity.

use std::collections::HashMap;

use crate::check::Check;
use crate::constants::Constants;
use crate::sample::Comm;

/// Programs remembered; whoever comes later is not.
const PROGRAMS: usize = 1024;

#[derive(Clone, Copy)]
struct Run {
    peak: u64,
    age: u64,
}

/// Earlier runs by the names of program and parent.
#[derive(Default)]
pub struct Runs {
    known: HashMap<(Comm, Comm), Run>,
}

impl Runs {
    /// Remembers a run that ended: its highest footprint and its age.
    pub fn ended(&mut self, name: (Comm, Comm), peak: u64, age: u64) {
        if self.known.len() < PROGRAMS || self.known.contains_key(&name) {
            let run = self.known.entry(name).or_insert(Run { peak: 0, age: 0 });
            run.peak = run.peak.max(peak);
            run.age = run.age.max(age);
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
    ) -> Option<(Check, Check)> {
        let run = self.known.get(&name)?;
        let most = |of_run: u64| c.kin * of_run as f64;
        Some((
            Check::at_most(footprint as f64, most(run.peak)),
            Check::at_most(age as f64, most(run.age)),
        ))
    }
}
