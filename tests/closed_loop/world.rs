//! World: limits, workers that grow, masters that replace them, and time that goes on in steps.

use super::gauge::Gauge;
use super::growth::Growth;
use super::rng::Rng;
use super::scenario::{Bound, Scenario};
use super::tally::{Entry, Tally};
use super::worker::{State, Worker};

/// The first worker's pid; masters come before.
pub const FIRST_PID: u32 = 1000;

/// A limit, and what is left below it.
#[derive(Clone, Debug)]
pub struct Limit {
    pub bound: Bound,
    pub size: f64,
    pub left: f64,
    pub gauge: Gauge,
    /// Kills of the kernel for its sake so far.
    pub kills: u64,
}

/// One run of a kind.
pub struct World<'k> {
    pub kind: &'k Scenario,
    pub t: f64,
    pub limits: Vec<Limit>,
    pub workers: Vec<Worker>,
    pub tally: Tally,
    pub log: Vec<Entry>,
    pub(super) steps: u32,
    pub(super) next_pid: u32,
    /// Batches, by tree, that start no job any more.
    pub(super) lost: Vec<usize>,
    /// What all policies meet alike: requests, noise.
    pub(super) common: Rng,
    /// What differs once a policy has acted: exits, replacements.
    pub(super) own: Rng,
    /// How many times as many requests come now; the bursts as steps of change.
    pub rush: f64,
    turn_t: f64,
}

impl<'k> World<'k> {
    /// The world of that kind and seed, as the watch begins.
    pub fn new(kind: &'k Scenario, seed: u64) -> Self {
        let mut rng = Rng::new(&kind.name, seed, 2);
        let mut workers = Vec::with_capacity(kind.workers());
        for (index, group) in kind.groups.iter().enumerate() {
            for _ in 0..group.count {
                let varied = (rng.between((0.9, 1.1)), rng.between((0.9, 1.1)));
                let pid = FIRST_PID + workers.len() as u32;
                let mut worker = Worker::new(index, group, pid, varied, rng.unit());
                worker.by_age = worker.at(worker.age_s, kind, group);
                worker.held = worker.by_age;
                workers.push(worker);
            }
        }
        let limits = kind.limits.iter().map(|(bound, size)| Limit {
            bound: *bound,
            size: *size,
            left: *size,
            gauge: Gauge::new(*bound, *size, *size, &mut rng),
            kills: 0,
        });
        let mut world = Self {
            kind,
            t: 0.0,
            limits: limits.collect(),
            tally: Tally { lowest: 1.0, ..Tally::default() },
            log: Vec::new(),
            steps: 0,
            next_pid: FIRST_PID + workers.len() as u32,
            workers,
            lost: Vec::new(),
            common: Rng::new(&kind.name, seed, 3),
            own: Rng::new(&kind.name, seed, 1),
            rush: 1.0,
            turn_t: 0.0,
        };
        for worker in &mut world.workers {
            worker.is_busy = world.own.unit() < kind.busy;
            worker.turn_t = world.own.exponential(kind.request_s);
        }
        world.reckon();
        for limit in &mut world.limits {
            limit.gauge.shown = limit.left;
        }
        world
    }

    /// Whether a worker counts below a limit.
    pub fn is_below(&self, worker: usize, limit: usize) -> bool {
        limit == 0 || self.kind.groups[self.workers[worker].group].below.contains(&Some(limit))
    }

    /// The least that is left below any limit.
    pub fn least_left(&self) -> f64 {
        self.limits.iter().map(|limit| limit.left).fold(f64::INFINITY, f64::min)
    }

    /// Time goes on by one step.
    pub fn step(&mut self) {
        let dt = self.kind.step_s;
        self.steps += 1;
        self.t = f64::from(self.steps) * dt;
        self.grow(dt);
        self.serve(dt);
        self.exit_and_replace(dt);
        self.reckon();
        self.kill_for_memory();
        for limit in &mut self.limits {
            limit.gauge.observe(limit.left, dt, &mut self.common);
        }
    }

    /// Whether a worker waits for memory, below a limit that is exhausted.
    fn is_stalled(&self, worker: usize) -> bool {
        let exhausted = |limit: &Limit| limit.left <= 0.0 && limit.bound != Bound::Budget;
        let mut limits = self.limits.iter().enumerate();
        limits.any(|(index, limit)| exhausted(limit) && self.is_below(worker, index))
    }

    fn grow(&mut self, dt: f64) {
        let may_stall = self.limits.iter().any(|limit| limit.left <= 0.0);
        for index in 0..self.workers.len() {
            if self.workers[index].is_alive() && !(may_stall && self.is_stalled(index)) {
                let worker = &mut self.workers[index];
                worker.grow(dt, self.kind, &self.kind.groups[worker.group]);
                worker.serve(self.t, self.kind, &mut self.own);
            }
        }
    }

    /// Requests arrive, and each goes to one of the workers of its group.
    fn serve(&mut self, dt: f64) {
        self.rush(dt);
        let mut first = 0;
        for group in &self.kind.groups {
            let members = first..first + group.count;
            first = members.end;
            let Growth::ByRequest { rate, chunk } = self.workers[members.start].growth else {
                continue;
            };
            let count = self.common.poisson(rate / chunk * dt * self.rush);
            if count == 0 {
                continue;
            }
            // As many numbers are drawn whoever serves, so that all policies meet the same.
            let mut chosen = None;
            for index in members {
                let luck = self.common.unit();
                let worker = &self.workers[index];
                let serves = worker.state == State::Running && worker.age_s > self.kind.load_s;
                if serves && !self.is_stalled(index) && chosen.is_none_or(|(best, _)| luck > best) {
                    chosen = Some((luck, index));
                }
            }
            if let Some((_, index)) = chosen {
                self.workers[index].leak(f64::from(count) * chunk);
            }
        }
    }

    /// Bursts of requests come and go; their mean stays what it is.
    fn rush(&mut self, dt: f64) {
        let Some((factor, on_s, off_s)) = self.kind.bursts else { return };
        if self.t < self.turn_t {
            return;
        }
        let mean = (factor * on_s + off_s) / (on_s + off_s);
        let was_on = self.rush > 1.0;
        self.rush = if was_on || self.steps == 1 { 1.0 } else { factor } / mean;
        let mean_s = if self.rush > 1.0 { on_s } else { off_s };
        self.turn_t = self.t + self.common.exponential(mean_s).max(dt);
    }

    /// What is left below each limit now.
    fn reckon(&mut self) {
        for limit in &mut self.limits {
            limit.left = limit.size;
        }
        self.limits[0].left -= self.kind.base;
        for worker in self.workers.iter().filter(|worker| worker.held > 0.0) {
            self.limits[0].left -= worker.held;
            for index in self.kind.groups[worker.group].below.into_iter().flatten() {
                self.limits[index].left -= worker.held;
            }
        }
        for limit in &self.limits {
            self.tally.lowest = self.tally.lowest.min(limit.left / limit.size);
        }
    }
}
