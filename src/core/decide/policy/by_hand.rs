//! Orders that a user gives by hand: what may not be ended otherwise may not be ended so either, and what
//! is ended is told to exit by the gentlest signal. No harder step follows by itself.

use super::{OrderedSignal, Policy, expected};
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::Unit;
use crate::core::model::order::{NotEnded, Order, OrderReason};
use crate::core::model::signal::Step;

impl Policy {
    /// The order at which a process would exit; it is not given yet.
    ///
    /// # Errors
    /// Why the process is not ended.
    pub fn order_by_hand(&self, s: &ProcessState, detector: &Detector) -> Result<Order, NotEnded> {
        let never = self.eligibility.obstacle(s, f64::INFINITY, detector);
        let why = never.or_else(|| self.fork_fails(s, detector).map(NotEnded::ForkFails));
        let signal = self.first_signal(s).ok_or(NotEnded::NotAWorker);
        let signal = why.map_or(signal, Err)?;
        let forecast = detector.growth_forecast(s.root);
        let expected = expected(s, Unit::Bytes, detector);
        let signal = OrderedSignal { then: None, ..signal };
        Ok(self.order_on(s, signal, OrderReason::ByHand, expected, forecast))
    }

    /// Whether a process, or its master for it, was told to exit already.
    pub fn is_told_to_exit(&self, s: &ProcessState) -> bool {
        let is_reloading = s.parent.is_some_and(|master| self.reloads.contains(master));
        is_reloading || self.eligibility.is_going(s.id)
    }

    /// Takes note that such an order was given at `t`: its pool does without the process from now on.
    pub fn ordered_by_hand(&mut self, order: &Order, t: f64, detector: &Detector) {
        let Some(s) = detector.process_state(order.victim) else { return };
        if order.target != order.victim {
            self.reloads.add(order.target, t);
        }
        if order.step == Step::Restart {
            self.eligibility.restarts(s.id);
        }
        if s.parent.is_some() {
            let pool = s.pool();
            let size = self.eligibility.pool_size(pool, detector);
            self.eligibility.ordered(pool, size, t);
        }
        self.eligibility.goes(s.id);
    }
}
