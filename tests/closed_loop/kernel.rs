//! Kernel: exits, memory that comes back, replacements, signals, and the OOM killer.

use super::scenario::Bound;
use super::server::{Means, Replacement};
use super::tally::Entry;
use super::worker::State;
use super::world::World;

/// MiB that the kernel frees a second of a process that is gone: measured, 0.35 s a GiB.
pub const FREED_A_SECOND: f64 = 1024.0 / 0.35;
/// Seconds that TERM takes.
const TERM_S: (f64, f64) = (0.02, 0.5);
/// Seconds that KILL takes.
const KILL_S: (f64, f64) = (0.01, 0.3);
/// Seconds until an idle worker has noticed the gentle signal.
const NOTICE_S: (f64, f64) = (0.02, 0.1);
/// Seconds until a process is gone that the OOM killer chose.
const STRUCK_S: f64 = 0.02;

impl World<'_> {
    /// Processes exit and give back what they held; masters replace them.
    pub(super) fn exit_and_replace(&mut self, dt: f64) {
        for index in 0..self.workers.len() {
            let worker = &mut self.workers[index];
            let gone = match worker.state {
                State::Running => worker.age_s >= worker.growth.life_s(),
                State::Exiting => self.t >= worker.exit_t,
                State::Freeing | State::Empty => false,
            };
            if gone {
                worker.state = State::Freeing;
            }
            if worker.state == State::Freeing {
                worker.held -= FREED_A_SECOND * dt;
                if worker.held <= 0.0 {
                    worker.held = 0.0;
                    worker.state = State::Empty;
                    worker.is_struck = false;
                    self.call_for_replacement(index);
                }
            }
            let worker = &mut self.workers[index];
            if worker.state == State::Empty && self.t >= worker.respawn_t {
                worker.start_again(self.next_pid, self.t, self.kind);
                self.next_pid += 1;
            }
        }
    }

    fn call_for_replacement(&mut self, index: usize) {
        let group = &self.kind.groups[self.workers[index].group];
        let is_ended = self.workers[index].is_ended;
        let replaces = match group.server.replacement() {
            Replacement::Always => true,
            Replacement::AfterOwnExit => !is_ended && !self.lost.contains(&group.tree),
            Replacement::Never => !is_ended,
        };
        let wait_s = self.own.between(self.kind.respawn_s);
        self.workers[index].respawn_t = if replaces { self.t + wait_s } else { f64::INFINITY };
    }

    /// The kernel kills the largest process below each limit that is exhausted, one at a time.
    pub(super) fn kill_for_memory(&mut self) {
        for limit in 0..self.limits.len() {
            if self.limits[limit].left > 0.0 || self.limits[limit].bound == Bound::Budget {
                continue;
            }
            let members = || (0..self.workers.len()).filter(|worker| self.is_below(*worker, limit));
            if members().any(|worker| self.workers[worker].is_struck) {
                continue;
            }
            let held = |worker: &usize| self.workers[*worker].held;
            let alive = members().filter(|worker| self.workers[*worker].is_alive());
            let Some(victim) = alive.max_by(|a, b| held(a).total_cmp(&held(b))) else { continue };
            self.limits[limit].kills += 1;
            self.tally.killed += 1;
            self.tally.killed_healthy += u32::from(!self.workers[victim].growth.leaks());
            self.note("kernel", "no memory left", victim);
            let t = self.t;
            let worker = &mut self.workers[victim];
            worker.state = State::Exiting;
            worker.is_struck = true;
            worker.exit_t = t + STRUCK_S;
            self.end(victim);
        }
    }

    /// Takes note that something other than its work ends a worker.
    fn end(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        worker.is_ended = true;
        self.lost.push(self.kind.groups[worker.group].tree);
    }

    fn note(&mut self, what: &'static str, why: &'static str, worker: usize) {
        let (held, left) = (self.workers[worker].held, self.least_left());
        self.log.push(Entry { t: self.t, what, why, worker, held, left });
    }

    /// Has a worker exit, by this means, for this reason. False if it is gone already.
    pub fn signal(&mut self, index: usize, means: Means, why: &'static str) -> bool {
        if !self.workers[index].is_alive() {
            return false;
        }
        let t = self.t;
        let slow = self.kind.slow;
        let server = self.kind.groups[self.workers[index].group].server;
        let is_told = self.workers[index].state == State::Exiting;
        self.tally.forbidden += u32::from(!server.may_be_sent(means, is_told));
        if self.workers[index].state == State::Running {
            let is_busy = self.workers[index].is_busy;
            let is_stuck = self.own.unit() < self.kind.stuck;
            let finish_s = if is_busy {
                self.own.exponential(self.kind.request_s)
            } else {
                self.own.between(NOTICE_S)
            };
            let worker = &mut self.workers[index];
            let ended = if worker.growth.leaks() {
                &mut self.tally.leakers
            } else {
                &mut self.tally.healthy
            };
            *ended += 1;
            worker.gentle_t = if is_stuck { f64::INFINITY } else { t + finish_s };
            worker.state = State::Exiting;
            self.end(index);
        }
        let is_stuck = self.workers[index].gentle_t.is_infinite();
        let exit_t = match means {
            Means::Gentle => self.workers[index].gentle_t,
            // Half of those that ignore the gentle signal ignore this one too.
            Means::Term if is_stuck && self.own.unit() < 0.5 => f64::INFINITY,
            Means::Term => t + slow * self.own.between_logs(TERM_S),
            Means::Kill => t + slow * self.own.between(KILL_S),
        };
        let what = match means {
            Means::Gentle => "gentle",
            Means::Term => "TERM",
            Means::Kill => "KILL",
        };
        self.note(what, why, index);
        let worker = &mut self.workers[index];
        if exit_t < worker.exit_t {
            worker.exit_t = exit_t;
            let cuts = means > Means::Gentle && worker.is_busy && worker.gentle_t > exit_t;
            if cuts && !std::mem::replace(&mut worker.is_cut, true) {
                self.tally.cut += 1;
            }
        }
        true
    }
}
