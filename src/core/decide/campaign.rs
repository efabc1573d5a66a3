//! Campaign: what the policy does about its current victim, from the order to its replacement.

use crate::core::decide::eligibility::WorkerPool;
use crate::core::detect::Detector;
use crate::core::detect::ceilings::series::Headroom;
use crate::core::model::ceiling::Unit;
use crate::core::model::event::Event;
use crate::core::model::order::{Order, OrderReason, Outcome, OutcomeResult};

/// Where the policy stands with its current victim.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one")]
pub enum Campaign {
    /// There is none.
    Idle,
    /// Ordered; waiting for its exit.
    Waiting(OrderUnderWay),
    /// Gone; waiting for its replacement.
    Settling {
        /// The pool that it belonged to.
        pool: WorkerPool,
        /// Members that the pool had before.
        size: u32,
        /// When the victim was gone.
        gone_t: f64,
    },
}

/// An order under way.
#[derive(Clone, Copy, Debug)]
pub struct OrderUnderWay {
    /// The last order on its victim.
    pub order: Order,
    /// When the first order was given.
    pub first_t: f64,
    /// The last sample.
    pub last_t: f64,
    /// Seconds waited since the last step; a suspend does not count as grace.
    pub waited_s: f64,
    /// How its ceiling stood when the order was given.
    pub before: Headroom,
    /// The pool that the victim belongs to.
    pub pool: WorkerPool,
    /// Members that the pool had.
    pub size: u32,
}

impl OrderUnderWay {
    /// The outcome, once its victim is gone.
    pub fn outcome(&self, t: f64, detector: &Detector) -> Event {
        let Self { order, first_t, before, .. } = *self;
        let after = headroom_of(&order, detector);
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
        Event::Outcome(Outcome { order, after_s, result, forecast })
    }

    /// What follows once its victim is gone at `t`.
    pub fn next(&self, t: f64) -> Campaign {
        // A child that merely hung has no replacement, and the next may be due at once.
        match self.order.reason {
            OrderReason::Hung => Campaign::Idle,
            _ => Campaign::Settling { pool: self.pool, size: self.size, gone_t: t },
        }
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
