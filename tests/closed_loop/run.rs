//! Run: one world under one policy.

use crate::policies::Row;
use crate::rng::Rng;
use crate::scenario::Scenario;
use crate::tally::Tally;
use crate::world::World;
use std::ops::Range;

/// Runs a kind with a seed under a policy.
pub fn run(kind: &Scenario, seed: u64, row: &Row) -> Tally {
    run_and_tell(kind, seed, row, false)
}

/// The same; with `told` each signal and each kill is printed.
pub fn run_and_tell(kind: &Scenario, seed: u64, row: &Row, told: bool) -> Tally {
    let mut world = World::new(kind, seed);
    let mut policy = (row.make)(&world);
    let mut lateness = Rng::new(&kind.name, seed, 4);
    let mut next_t = 0.0;
    let steps = (kind.length_s / kind.step_s) as u32;
    for _ in 0..steps {
        world.step();
        if world.t >= next_t {
            world.tally.looks += 1;
            next_t = world.t + policy.look(&mut world) + lateness.exponential(kind.late_s);
        }
    }
    if told {
        println!("{} seed {seed}, {}:", kind.name, row.name);
        for entry in &world.log {
            println!(
                "  t={:6.2} {:6} {:14} worker {:2} holds {:6.0} MiB, {:7.1} MiB left",
                entry.t, entry.what, entry.why, entry.worker, entry.held, entry.left
            );
        }
    }
    world.tally
}

/// Means over the seeds of a kind under a policy.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    pub runs: Vec<Tally>,
}

impl Cell {
    /// Runs a kind with each of the seeds.
    pub fn new(kind: &Scenario, seeds: Range<u64>, row: &Row) -> Self {
        Self { runs: seeds.map(|seed| run(kind, seed, row)).collect() }
    }

    /// The mean of one of the counts.
    pub fn mean(&self, count: impl Fn(&Tally) -> u32) -> f64 {
        self.runs.iter().map(|tally| f64::from(count(tally))).sum::<f64>() / self.runs.len() as f64
    }

    /// The lowest headroom of all runs, in percent.
    pub fn lowest(&self) -> f64 {
        100.0 * self.runs.iter().map(|tally| tally.lowest).fold(1.0, f64::min)
    }
}
