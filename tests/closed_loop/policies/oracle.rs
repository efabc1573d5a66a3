//! Oracle: it knows who leaks, what each healthy worker will take, and what is truly left. Only the
//! time that an exit will take is hidden from it. It is a heuristic and not the optimum.

use super::Policy;
use crate::growth::Growth;
use crate::kernel::FREED_A_SECOND;
use crate::scenario::Bound;
use crate::server::Means;
use crate::worker::{State, Worker};
use crate::world::World;

/// Seconds ahead at which it looks at the future.
const AHEAD_S: [f64; 7] = [0.12, 0.3, 0.6, 1.1, 2.0, 3.5, 6.0];
/// Leaks are taken for this much faster than they are: their rates vary.
const CAUTION: f64 = 1.2;
/// A leaker must have leaked this share of the limit, or its end gives nothing back.
const MATERIAL: f64 = 0.02;

/// MiB at each of the moments ahead.
type Future = [f64; AHEAD_S.len()];

/// A watchdog that knows.
#[derive(Default)]
pub struct Oracle {
    looked_t: Option<f64>,
    /// When each victim is expected to be gone, by its pid.
    due: Vec<(u32, f64)>,
}

impl Policy for Oracle {
    fn look(&mut self, world: &mut World<'_>) -> f64 {
        let far = world.limits.iter().all(|l| l.left / l.size > 0.35 || l.left > 12_000.0);
        let sleep_s = if far { 0.15 } else { 0.05 };
        if far && self.looked_t.is_some_and(|t| world.t - t < 0.6) {
            return sleep_s;
        }
        self.looked_t = Some(world.t);
        let futures: Vec<Future> = (0..world.workers.len()).map(|w| future(world, w)).collect();
        for limit in 0..world.limits.len() {
            if world.limits[limit].bound != Bound::Budget {
                self.protect(world, limit, &futures);
            }
        }
        sleep_s
    }
}

impl Oracle {
    fn protect(&mut self, world: &mut World<'_>, limit: usize, futures: &[Future]) {
        let size = world.limits[limit].size;
        let usable = world.limits[limit].left - (0.01 * size).min(20.0 + 0.001 * size);
        let members: Vec<usize> =
            (0..world.workers.len()).filter(|index| world.is_below(*index, limit)).collect();
        let mut taken = Future::default();
        for index in &members {
            taken.iter_mut().zip(futures[*index]).for_each(|(sum, more)| *sum += more);
        }
        for _ in 0..members.len() {
            let back = self.coming_back(world, &members);
            let end_s = end_s(usable, &taken, &back);
            let Some((victim, means)) = choose(world, &members, size, end_s) else { break };
            self.signal(world, victim, means);
        }
        let end_s = end_s(usable, &taken, &Future::default());
        for index in members {
            let worker = &world.workers[index];
            let soon = end_s <= 0.4 + worker.held / FREED_A_SECOND;
            let is_slow = worker.state == State::Exiting && worker.exit_t > world.t + 0.35;
            if is_slow && soon && !worker.is_struck {
                self.signal(world, index, Means::Kill);
            }
        }
    }

    /// What victims give back, and when: when they are expected to be gone.
    fn coming_back(&self, world: &World<'_>, members: &[usize]) -> Future {
        let mut back = Future::default();
        for worker in members.iter().map(|index| &world.workers[*index]) {
            let due = self.due.iter().rev().find(|(pid, _)| *pid == worker.pid);
            let gone_s = match worker.state {
                State::Freeing => 0.0,
                State::Exiting => due.map_or(0.1, |(_, t)| t - world.t),
                State::Running | State::Empty => continue,
            };
            // One that is overdue is not counted on.
            if worker.state == State::Exiting && gone_s < -0.2 {
                continue;
            }
            let back_s = gone_s.max(0.02) + worker.held / FREED_A_SECOND;
            for (back, ahead_s) in back.iter_mut().zip(AHEAD_S) {
                *back += if ahead_s >= back_s { worker.held } else { 0.0 };
            }
        }
        back
    }

    fn signal(&mut self, world: &mut World<'_>, victim: usize, means: Means) {
        world.signal(victim, means, "foreseen");
        let takes_s = match means {
            Means::Gentle => 0.05 + world.kind.request_s,
            Means::Term => 0.25,
            Means::Kill => 0.15,
        };
        self.due.push((world.workers[victim].pid, world.t + takes_s));
    }
}

/// The first moment ahead at which nothing is left.
fn end_s(usable: f64, taken: &Future, back: &Future) -> f64 {
    let lows = taken.iter().zip(back).map(|(taken, back)| usable - taken + back);
    let mut moments = lows.zip(AHEAD_S).filter(|(low, _)| *low <= 0.0);
    moments.next().map_or(f64::INFINITY, |(_, ahead_s)| ahead_s)
}

/// The next victim below a limit, if one must be told to exit now.
fn choose(world: &World<'_>, members: &[usize], size: f64, end_s: f64) -> Option<(usize, Means)> {
    let may_end = |worker: &Worker| {
        let server = world.kind.groups[worker.group].server;
        worker.state == State::Running && server.may_be_sent(Means::Gentle, false)
    };
    let held = |index: &usize| world.workers[*index].held;
    let candidates = || members.iter().copied().filter(|i| may_end(&world.workers[*i]));
    let leaks = |index: &usize| {
        let worker = &world.workers[*index];
        worker.growth.leaks() && worker.leaked > MATERIAL * size
    };
    let largest = |a: &usize, b: &usize| held(a).total_cmp(&held(b));
    // A leaker goes gently, as early as its request needs; a healthy one at the very last.
    let leaker = candidates().filter(leaks).max_by(largest);
    let victim = leaker.or_else(|| candidates().max_by(largest))?;
    let freed_s = held(&victim) / FREED_A_SECOND;
    let lead_s = match leaker {
        Some(_) => (1.0 + 2.5 * world.kind.request_s).min(6.0),
        None => 0.6 + freed_s,
    };
    if end_s > lead_s {
        return None;
    }
    let means = if leaker.is_some() && end_s > 1.0 + freed_s {
        Means::Gentle
    } else if end_s > 0.5 + freed_s {
        Means::Term
    } else {
        Means::Kill
    };
    Some((victim, means))
}

/// What a worker will take, at the highest until each moment ahead.
fn future(world: &World<'_>, index: usize) -> Future {
    let worker = &world.workers[index];
    if !worker.is_alive() {
        return Future::default();
    }
    let group = &world.kind.groups[worker.group];
    let rate = match worker.growth {
        Growth::ByRequest { rate, .. } => {
            let same = |other: &&Worker| other.group == worker.group;
            let running = |other: &&Worker| other.state == State::Running;
            let serving = world.workers.iter().filter(same).filter(running).count();
            if running(&worker) { rate * world.rush / serving.max(1) as f64 } else { 0.0 }
        }
        growth if worker.leaks_for_s(group) > -1.0 => growth.leak_rate(worker.leaks_for_s(group)),
        _ => 0.0,
    };
    let mut highest = 0.0_f64;
    AHEAD_S.map(|ahead_s| {
        let by_age = worker.at(worker.age_s + ahead_s, world.kind, group) - worker.by_age;
        highest = highest.max(by_age);
        highest + CAUTION * rate * ahead_s
    })
}
