//! Runs: how large and how old earlier runs of a program became before they ended by themselves.
//!
//! A batch job that grows as it did last time, and ended, is no leak. Known by name and parent's
//! name, since each run has a new identity.

use std::collections::HashMap;

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

    /// Whether an earlier run became about as large and as old as this one is now.
    pub fn went_this_way(
        &self,
        name: (Comm, Comm),
        footprint: u64,
        age: u64,
        c: &Constants,
    ) -> bool {
        self.known.get(&name).is_some_and(|run| {
            age as f64 <= c.kin * run.age as f64 && footprint as f64 <= c.kin * run.peak as f64
        })
    }
}
