//! Level: what earlyoom does. TERM to the largest process at 10 % left, KILL at 5 %, and the next
//! one as soon as that is gone.

use super::Policy;
use crate::server::Means;
use crate::world::World;

/// Shares of the limit at which it acts.
const TERM_BELOW: f64 = 0.10;
const KILL_BELOW: f64 = 0.05;
/// MiB a second at which memory may fill at most: earlyoom sleeps as long as that allows.
const FASTEST: f64 = 6144.0;
/// Seconds between looks, at the least and at the most.
const SLEEP_S: (f64, f64) = (0.1, 1.0);
/// Seconds that a victim is waited for.
const PATIENCE_S: f64 = 10.0;

/// A killer by level.
#[derive(Default)]
pub struct LevelKiller {
    waiting: Option<Victim>,
}

struct Victim {
    worker: usize,
    pid: u32,
    since_t: f64,
    means: Means,
}

impl Policy for LevelKiller {
    fn look(&mut self, world: &mut World<'_>) -> f64 {
        let (least_s, most_s) = SLEEP_S;
        let share = |index: &usize| world.limits[*index].gauge.shown / world.limits[*index].size;
        let limits = 0..world.limits.len();
        let nearest = limits.min_by(|a, b| share(a).total_cmp(&share(b))).unwrap_or(0);
        let left = share(&nearest);
        if let Some(victim) = self.waiting.take() {
            let worker = &world.workers[victim.worker];
            let waited_s = world.t - victim.since_t;
            let is_alive = worker.pid == victim.pid && worker.is_alive();
            let is_late = left < KILL_BELOW && waited_s > 0.1 && victim.means == Means::Term;
            if is_alive && waited_s < PATIENCE_S && !is_late {
                self.waiting = Some(victim);
                return least_s;
            }
        }
        if left < TERM_BELOW {
            let means = if left < KILL_BELOW { Means::Kill } else { Means::Term };
            let alive = |index: &usize| world.workers[*index].is_alive();
            let members = (0..world.workers.len()).filter(|index| world.is_below(*index, nearest));
            let held = |index: &usize| world.workers[*index].held;
            let largest = members.filter(alive).max_by(|a, b| held(a).total_cmp(&held(b)));
            if let Some(worker) = largest
                && world.signal(worker, means, "level")
            {
                let pid = world.workers[worker].pid;
                self.waiting = Some(Victim { worker, pid, since_t: world.t, means });
            }
            return least_s;
        }
        let spare = world.limits.iter().map(|limit| limit.gauge.shown - TERM_BELOW * limit.size);
        (spare.fold(f64::INFINITY, f64::min) / FASTEST).clamp(least_s, most_s)
    }
}
