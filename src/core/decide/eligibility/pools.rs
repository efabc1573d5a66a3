//! The pools of living workers, and how well each does without one.

use super::Eligibility;
use crate::core::decide::worker::{is_idle, private_bytes};
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::units::MIB;
use crate::core::worker_pool::WorkerPool;

impl Eligibility {
    /// The living members of a pool; a root is in none.
    pub fn members<'d>(
        &'d self,
        pool: WorkerPool,
        detector: &'d Detector,
    ) -> impl Iterator<Item = &'d ProcessState> {
        let of_parent = detector.process_states().filter(move |s| s.parent == pool.parent);
        of_parent.filter(move |s| pool.parent.is_some() && s.pool() == pool)
    }

    /// Whether its youngest member has started: it was in two samples, and grew little in between.
    pub fn newest_has_settled(&self, pool: WorkerPool, detector: &Detector) -> bool {
        let newest = self.members(pool, detector).max_by_key(|s| (s.id.start, s.id.pid));
        newest.is_some_and(|s| match s.recent.points() {
            [.., (_, before), (_, now)] => now.saturating_sub(*before) <= MIB.max(now / 20),
            _ => false,
        })
    }

    /// Whether half of it is idle, so that it needs no replacement. Its server goes by that too:
    /// Apache starts none while it has spares.
    pub fn is_half_idle(&self, pool: WorkerPool, detector: &Detector) -> bool {
        let (mut idle, mut all) = (0, 0);
        for s in self.members(pool, detector) {
            all += 1;
            idle += u32::from(is_idle(s));
        }
        all > 1 && 2 * idle >= all
    }

    /// How many they are.
    pub fn pool_size(&self, pool: WorkerPool, detector: &Detector) -> u32 {
        self.members(pool, detector).count() as u32
    }

    /// How well its pool does without it, among processes whose end gives back at most `most` bytes:
    /// an idle one that gives back half of that or more goes before a busy one, and the last idle one
    /// of its pool, which takes the next request, after all others.
    pub fn preference(&self, s: &ProcessState, most: u64, detector: &Detector) -> u8 {
        let idle = is_idle(s);
        let idlers = || self.members(s.pool(), detector).filter(|s| is_idle(s)).count();
        if idle && self.pool_size(s.pool(), detector) > 1 && idlers() == 1 {
            0
        } else if idle && private_bytes(s, detector) >= most / 2 {
            2
        } else {
            1
        }
    }
}
