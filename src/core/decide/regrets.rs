//! Regrets: whether a worker that was ended need not have been.
//!
//! What would have been cannot be seen, but what became of others like it can. If the siblings that
//! had grown like the victim grew no further, its growth would have stopped too; if one of its pool
//! rises as far and gives it back, the victim would have. In a dry run the victim itself tells.

use crate::core::decide::eligibility::Eligibility;
use crate::core::decide::swings::Swings;
use crate::core::decide::worker::private_bytes;
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::MemoryFailureKind;
use crate::core::model::event::Event;
use crate::core::model::order::{Order, Regret, RegretReason};
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use crate::core::worker_pool::WorkerPool;

/// Orders that are looked back on at a time; the oldest is forgotten for another.
const MOST: usize = 32;
/// Siblings that are remembered of each.
const MOST_ALIKE: usize = 32;
/// One is like the victim if it had grown by this share of what that had.
const ALIKE: f64 = 0.5;
/// They have stopped if all of them, the victim for one more, took no more than this share of what was
/// left.
const STOPPED: f64 = 0.5;
/// Times the latest end of the forecast after which memory has lasted, and the least seconds. In labelled
/// recordings of leaks that take hours five of eight orders seemed needless after ten minutes.
const LATER: f64 = 2.0;
const LEAST_S: f64 = 60.0;
/// Share of the limit of which memory was never shorter if it has lasted.
const LASTED: f64 = 0.02;

/// The orders that may be regretted.
#[derive(Debug, Default)]
pub struct Regrets(Vec<Pending>);

/// An order, and how things stood.
#[derive(Debug)]
struct Pending {
    order: Order,
    t: f64,
    pool: WorkerPool,
    is_dry: bool,
    /// Bytes that the victim's end would give back.
    grown: u64,
    /// The siblings that had grown like it, with their sizes then.
    alike: Vec<(ProcId, u64)>,
    /// Seconds until it is known whether memory has lasted.
    horizon_s: f64,
    /// The least share of the limit that was left since.
    least_left: f64,
}

impl Regrets {
    /// Takes note of the first order on a process, for the sake of memory.
    pub fn ordered(
        &mut self,
        t: f64,
        order: &Order,
        pool: WorkerPool,
        is_dry: bool,
        eligibility: &Eligibility,
        detector: &Detector,
    ) {
        let Some(victim) = detector.process_state(order.victim) else { return };
        let grown = private_bytes(victim, detector);
        let is_alike = |s: &&ProcessState| {
            s.id != victim.id && private_bytes(s, detector) as f64 >= ALIKE * grown as f64
        };
        let siblings = eligibility.members(pool, detector).filter(is_alike);
        let alike = siblings.take(MOST_ALIKE).map(|s| (s.id, s.footprint)).collect();
        let latest_s = order.forecast.map_or(0.0, |forecast| forecast.latest_s);
        let horizon_s = (LATER * latest_s).max(LEAST_S);
        if self.0.len() == MOST {
            self.0.remove(0);
        }
        let (order, least_left) = (*order, 1.0);
        self.0.push(Pending { order, t, pool, is_dry, grown, alike, horizon_s, least_left });
    }

    /// The order on that process could not be carried out, or did not end it: there is nothing to regret.
    pub fn forget(&mut self, victim: ProcId) {
        self.0.retain(|of| of.order.victim != victim);
    }

    /// Another process was ordered to end, and shows nothing any more.
    pub fn goes(&mut self, id: ProcId) {
        for of in &mut self.0 {
            of.alike.retain(|(other, _)| *other != id);
        }
    }

    /// Takes over a sample; regrets go to `events`. Returns the pools that they are about.
    pub fn observe(
        &mut self,
        sample: &Sample,
        swings: &Swings,
        detector: &Detector,
        events: &mut Vec<Event>,
    ) -> Vec<WorkerPool> {
        let mut pools = Vec::new();
        // Where memory failed all the same nobody can say that it would have lasted.
        if sample.memory_failures.iter().any(|failure| failure.kind != MemoryFailureKind::Stalled) {
            self.0.clear();
        }
        self.0.retain_mut(|of| {
            let after_s = sample.t - of.t;
            let headroom = detector.headroom(of.order.root);
            let left = headroom.left as f64 / (headroom.limit as f64).max(1.0);
            of.least_left = of.least_left.min(left);
            let Some(why) = of.judge(after_s, swings, detector) else {
                return after_s < of.horizon_s;
            };
            events.push(Event::Regretted(Regret { order: of.order, after_s, why }));
            pools.push(of.pool);
            false
        });
        pools
    }
}

impl Pending {
    /// Why the order is regretted after so many seconds, if it is.
    fn judge(&self, after_s: f64, swings: &Swings, detector: &Detector) -> Option<RegretReason> {
        if !self.is_dry && swings.given_back(self.pool) >= self.grown {
            return Some(RegretReason::GivenBack);
        }
        if after_s < self.horizon_s {
            return None;
        }
        if self.is_dry {
            return (self.least_left >= LASTED).then_some(RegretReason::Lasted);
        }
        let living = self.alike.iter().filter_map(|(id, then)| {
            let now = detector.process_state(*id)?.footprint;
            Some(now.saturating_sub(*then) as f64)
        });
        let (taken, count) = living.fold((0.0, 0.0), |(sum, n), grown| (sum + grown, n + 1.0));
        let left = self.order.forecast.map_or(0.0, |forecast| forecast.headroom as f64);
        let all = self.alike.len() as f64 + 1.0;
        (2.0 * count >= all - 1.0 && count > 0.0 && taken * all / count <= STOPPED * left)
            .then_some(RegretReason::OthersStopped)
    }
}
