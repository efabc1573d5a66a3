//! Campaign: the orders under way, from the first signal to the replacement of the victim.

use crate::core::detect::Detector;
use crate::core::detect::forecast::ceiling_series::Headroom;
use crate::core::model::ceiling::{CeilingKind, Place, Unit};
use crate::core::model::order::{Order, OrderReason, Outcome, OutcomeResult};
use crate::core::model::process::ProcId;
use crate::core::model::signal::Step;
use crate::core::worker_pool::WorkerPool;

/// What the policy waits for.
#[derive(Debug, Default)]
pub struct Campaign {
    /// Orders whose victims are still there.
    pub orders: Vec<OrderUnderWay>,
    /// Pools that may still get a replacement.
    pub settling: Vec<Settling>,
}

/// A pool one of whose members is gone.
#[derive(Clone, Copy, Debug)]
pub struct Settling {
    /// The pool.
    pub pool: WorkerPool,
    /// Members that it had before.
    pub size: u32,
    /// When the victim was gone.
    pub gone_t: f64,
    /// The ceiling for whose sake it had to go.
    pub ceiling: (CeilingKind, Place),
}

/// An order under way.
#[derive(Clone, Copy, Debug)]
pub struct OrderUnderWay {
    /// The last order on its victim.
    pub order: Order,
    /// When the first order was given.
    pub first_t: f64,
    /// When the last step was taken.
    pub step_t: f64,
    /// The last sample.
    pub last_t: f64,
    /// Seconds waited since the last step; a suspend does not count as grace.
    pub waited_s: f64,
    /// How its ceiling stood when the order was given.
    pub before: Headroom,
    /// Key of the victim's server.
    pub server: &'static str,
    /// The pool that the victim belongs to.
    pub pool: WorkerPool,
    /// Members that the pool had.
    pub size: u32,
    /// Whether it was given, or its last step taken, in the last minute.
    pub is_urgent: bool,
    /// Bytes that its end gives back, as of the last sample that had it; none once they were counted.
    pub footprint: u64,
}

impl Campaign {
    /// Whether an order is under way for the sake of that ceiling, or a pool settles from one.
    pub fn concerns(&self, ceiling: (CeilingKind, Place)) -> bool {
        let under_way = self.orders.iter().map(OrderUnderWay::ceiling);
        under_way.chain(self.settling.iter().map(|of| of.ceiling)).any(|of| of == ceiling)
    }

    /// Whether an order on that process is under way.
    pub fn has(&self, victim: ProcId) -> bool {
        self.orders.iter().any(|of| of.order.victim == victim)
    }

    /// Takes out the order on that process.
    pub fn remove(&mut self, victim: ProcId) -> Option<OrderUnderWay> {
        let at = self.orders.iter().position(|of| of.order.victim == victim)?;
        Some(self.orders.remove(at))
    }

    /// Its victim is gone at `t`: its pool settles. A child that merely hung has no replacement,
    /// and the next one may be due at once.
    pub fn settle(&mut self, gone: &OrderUnderWay, t: f64) {
        if gone.order.reason != OrderReason::Hung {
            let (pool, size, ceiling) = (gone.pool, gone.size, gone.ceiling());
            self.settling.push(Settling { pool, size, gone_t: t, ceiling });
        }
    }
}

impl OrderUnderWay {
    /// The ceiling for whose sake its victim must go.
    pub fn ceiling(&self) -> (CeilingKind, Place) {
        self.order.forecast.map_or((self.before.kind, self.before.place), |f| (f.ceiling, f.place))
    }

    /// How its ceiling stands over the successor of a root whose unit was restarted: the limit of a unit is
    /// over whatever runs in it.
    pub fn successor(&self, detector: &Detector) -> Option<Headroom> {
        let is_same = |of: &Headroom| (of.kind, of.place) == (self.before.kind, self.before.place);
        let all = detector.roots().map(|root| detector.headroom(root.id));
        (self.order.step == Step::Restart).then(|| all.into_iter().find(is_same)).flatten()
    }

    /// The outcome, once its victim is gone.
    pub fn outcome(&self, t: f64, detector: &Detector) -> Outcome {
        let Self { order, first_t, before, .. } = *self;
        let after = self.successor(detector).unwrap_or_else(|| headroom_of(&order, detector));
        let after_s = t - first_t;
        // What the others took meanwhile would otherwise count against the victim.
        let taken = order.forecast.map_or(0.0, |f| f.slope.max(0.0) * after_s).round() as u64;
        // Another ceiling may be the nearest by now: then the two cannot be compared.
        let is_same =
            (after.kind, after.place, after.limit) == (before.kind, before.place, before.limit);
        let reclaimed =
            is_same.then(|| after.left.saturating_add(taken).saturating_sub(before.left));
        let (headroom_before, headroom_after) = (before.left, after.left);
        let result = OutcomeResult::Gone { headroom_before, headroom_after, reclaimed };
        let forecast = match unit_of(&order) {
            Unit::Bytes => detector.growth_forecast(order.root),
            Unit::Tasks => detector.task_forecast(order.root).map(|(forecast, _)| forecast),
        };
        Outcome { order, after_s, result, forecast }
    }
}

/// The unit of the ceiling for which an order was given.
pub fn unit_of(order: &Order) -> Unit {
    order.forecast.map_or(Unit::Bytes, |forecast| forecast.ceiling.unit())
}

/// How the ceiling for which an order was given stands now.
pub fn headroom_of(order: &Order, detector: &Detector) -> Headroom {
    let tasks = match unit_of(order) {
        Unit::Bytes => None,
        Unit::Tasks => detector.nearest_in_tasks(order.root),
    };
    tasks.unwrap_or_else(|| detector.headroom(order.root))
}
