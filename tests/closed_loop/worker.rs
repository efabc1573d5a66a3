//! Worker: one place in a pool, and the process that fills it now.

use super::growth::Growth;
use super::rng::Rng;
use super::scenario::{Group, Scenario};

/// Age at the start of the watch of those that are under way by then.
const UNDER_WAY_S: f64 = 100.0;

/// How far a worker is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nobody is there.
    Empty,
    Running,
    /// It was told to exit, or struck by the kernel.
    Exiting,
    /// It is gone; its memory comes back page by page.
    Freeing,
}

/// One place in a pool.
#[derive(Clone, Debug)]
pub struct Worker {
    /// Its group, by index.
    pub group: usize,
    pub growth: Growth,
    pub phase: f64,
    pub state: State,
    /// How many processes filled this place before.
    pub generation: u32,
    pub pid: u32,
    pub started_t: f64,
    /// Seconds in which it could run: none while memory is exhausted.
    pub age_s: f64,
    /// What its age accounts for.
    pub by_age: f64,
    /// What it holds.
    pub held: f64,
    /// What of that it leaked.
    pub leaked: f64,
    pub cpu_s: f64,
    /// When it will be gone.
    pub exit_t: f64,
    /// When it would have finished its request.
    pub gentle_t: f64,
    pub respawn_t: f64,
    /// Whether it serves a request now, and when that changes.
    pub is_busy: bool,
    pub turn_t: f64,
    /// Its request was cut already.
    pub is_cut: bool,
    /// The kernel chose it.
    pub is_struck: bool,
    /// A signal or the kernel ended it, rather than its work.
    pub is_ended: bool,
}

impl Worker {
    /// A worker as the watch begins. `varied`: its rate and its time constant as factors; `luck`:
    /// where in its life or its period it is, 0 to 1.
    pub fn new(group: usize, of: &Group, pid: u32, varied: (f64, f64), luck: f64) -> Self {
        let luck = if of.in_step { 0.0 } else { luck };
        let growth = of.growth.varied(varied.0, varied.1);
        let age_s = match growth {
            Growth::ShortLived { life_s, .. } => luck * life_s,
            growth if growth.is_under_way() => UNDER_WAY_S,
            _ => 0.0,
        };
        let phase = if of.in_step { 0.0 } else { growth.phase(luck, age_s - of.onset_s) };
        let started_t = -age_s;
        Self {
            group,
            growth,
            phase,
            state: State::Running,
            generation: 0,
            pid,
            started_t,
            age_s,
            by_age: 0.0,
            held: 0.0,
            leaked: 0.0,
            cpu_s: 0.0,
            exit_t: f64::INFINITY,
            gentle_t: f64::INFINITY,
            respawn_t: f64::INFINITY,
            is_busy: false,
            turn_t: started_t,
            is_cut: false,
            is_struck: false,
            is_ended: false,
        }
    }

    /// The process that takes this place at `t`.
    pub fn start_again(&mut self, pid: u32, t: f64, kind: &Scenario) {
        *self = Self {
            state: State::Running,
            generation: self.generation + 1,
            pid,
            started_t: t,
            age_s: 0.0,
            by_age: 0.0,
            held: 0.5,
            leaked: 0.0,
            cpu_s: 0.0,
            exit_t: f64::INFINITY,
            gentle_t: f64::INFINITY,
            respawn_t: f64::INFINITY,
            is_busy: false,
            turn_t: t + kind.load_s,
            is_cut: false,
            is_struck: false,
            is_ended: false,
            ..*self
        };
    }

    /// What its age alone accounts for at that age.
    pub fn at(&self, age_s: f64, kind: &Scenario, of: &Group) -> f64 {
        // A replacement meets its first big request half a period later.
        let meets = matches!(self.growth, Growth::BigRequest { .. }) && self.generation > 0;
        let phase = if meets { 0.5 } else { self.phase };
        of.start * (age_s / kind.load_s).min(1.0) + self.growth.at(age_s - of.onset_s, phase)
    }

    /// Seconds since its leak began; negative before.
    pub fn leaks_for_s(&self, of: &Group) -> f64 {
        let from_s = if self.generation == 0 { UNDER_WAY_S } else { 0.0 };
        self.age_s - from_s - of.onset_s
    }

    /// Whether it is there to be seen.
    pub fn is_alive(&self) -> bool {
        matches!(self.state, State::Running | State::Exiting)
    }

    /// Goes on for so many seconds; what it leaks by requests comes on top.
    pub fn grow(&mut self, dt: f64, kind: &Scenario, of: &Group) {
        self.age_s += dt;
        if self.growth.follows_age() || self.age_s < kind.load_s + 2.0 * dt {
            let by_age = self.at(self.age_s, kind, of);
            self.held += by_age - self.by_age;
            self.by_age = by_age;
        }
        // Of the time of a request a third is computing.
        self.cpu_s += if self.is_busy { 0.3 * dt } else { 0.0 };
        let since_s = self.leaks_for_s(of);
        if since_s > 0.0 {
            self.leak(self.growth.leak_rate(since_s) * dt);
        }
    }

    /// Takes the next request or ends the last one, if it is time.
    pub fn serve(&mut self, t: f64, kind: &Scenario, rng: &mut Rng) {
        if t < self.turn_t || self.state != State::Running {
            return;
        }
        self.is_busy = kind.busy >= 1.0 || (kind.busy > 0.0 && !self.is_busy);
        let idle_s = kind.request_s * (1.0 - kind.busy) / kind.busy;
        let is_mixed = 0.0 < kind.busy && kind.busy < 1.0;
        let mean_s = if self.is_busy { kind.request_s } else { idle_s };
        self.turn_t = if is_mixed { t + rng.exponential(mean_s) } else { f64::INFINITY };
    }

    pub fn leak(&mut self, size: f64) {
        self.held += size;
        self.leaked += size;
    }
}
