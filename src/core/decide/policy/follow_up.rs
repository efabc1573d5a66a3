//! What became of the orders under way, and their next steps.

use super::{
    HARD_GRACE_S, LAST_STEPS_S, LONGEST_WAIT_INTERVALS, Policy, REPLACED_S, SETTLED_S, expected,
};
use crate::core::decide::campaign::{OrderUnderWay, Settling, unit_of};
use crate::core::decide::rules::Method;
use crate::core::decide::worker::private_bytes;
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::Unit;
use crate::core::model::event::Event;
use crate::core::model::forecast::Forecast;
use crate::core::model::order::{Order, OrderReason, Outcome, OutcomeResult};
use crate::core::model::process::ProcId;
use crate::core::model::signal::Step;
use crate::core::servers::Termination;

/// Seconds that a unit gets to start again before the outcome of its restart is told.
const STARTED_S: f64 = 30.0;

/// Seconds between samples up to which they tell when a process exited.
const CLOSE_S: f64 = 15.0;

/// What still threatens while a victim stays.
struct DangerToVictim {
    forecast: Forecast,
    /// Whether long evidence shows it. The last seconds alone may show no more than a replacement that
    /// loads its program; where they count, the last minute hastens by its own reckoning.
    is_lasting: bool,
}

impl Policy {
    /// Takes note of the victims that are gone, with what came back, and of the pools that have
    /// their replacement.
    pub(super) fn see_exits(&mut self, t: f64, detector: &Detector, events: &mut Vec<Event>) {
        let longest_s = LONGEST_WAIT_INTERVALS * self.interval_s;
        let mut gone: Vec<OrderUnderWay> = Vec::new();
        for of in &mut self.campaign.orders {
            of.waited_s += (t - of.last_t).min(longest_s);
            of.last_t = t;
            match detector.process_state(of.order.victim) {
                Some(s) => of.footprint = private_bytes(s, detector),
                // What came back is told by the limit of its unit, once that is there again.
                None if of.order.step == Step::Restart
                    && of.successor(detector).is_none()
                    && of.waited_s < STARTED_S =>
                {
                    // It is counted once: the last minute has seen it come back by now.
                    of.footprint = 0;
                }
                None => gone.push(*of),
            }
        }
        for of in gone {
            let outcome = of.outcome(t, detector);
            if of.order.step == Step::Restart && !outcome.is_as_expected() {
                self.eligibility.never_restart(of.order.victim);
            }
            events.push(Event::Outcome(outcome));
            // A gap between checks is no time that an exit took: 300 s would make the next lead that long.
            if self.last_minute.gap_s() <= CLOSE_S {
                self.last_minute.exits.learn(of.server, of.order.step, t - of.step_t);
            }
            if unit_of(&of.order) == Unit::Bytes {
                let ceiling = of.ceiling();
                self.last_minute.turnovers.ended(t, of.pool, ceiling, of.server, of.size);
            }
            self.take_out(of.order.victim);
            self.campaign.settle(&of, t);
        }
        let settles = |of: &Settling| t < of.gone_t + self.settling_s(of, detector);
        let settling = self.campaign.settling.iter().filter(|of| settles(of)).copied();
        self.campaign.settling = settling.collect();
    }

    /// Seconds that a pool gets for a replacement.
    fn settling_s(&self, of: &Settling, detector: &Detector) -> f64 {
        if self.eligibility.is_half_idle(of.pool, detector) {
            0.0
        } else if self.eligibility.pool_size(of.pool, detector) < of.size {
            REPLACED_S
        } else if self.eligibility.newest_has_settled(of.pool, detector) {
            0.0
        } else {
            SETTLED_S
        }
    }

    /// The next step against a victim that is still there when that is due: once its grace is over,
    /// or when memory likely lasts no longer than the last steps take.
    pub(super) fn next_step(
        &mut self,
        t: f64,
        detector: &Detector,
        events: &mut Vec<Event>,
    ) -> Option<Order> {
        for index in 0..self.campaign.orders.len() {
            let Some(of) = self.campaign.orders.get(index).copied() else { break };
            let Some(victim) = detector.process_state(of.order.victim) else { continue };
            let Some(danger) = self.danger_to(victim, unit_of(&of.order), detector) else {
                continue;
            };
            let is_near = danger.is_lasting && danger.forecast.likely_s <= LAST_STEPS_S;
            let is_due =
                of.waited_s >= of.order.grace_s || (is_near && of.waited_s >= HARD_GRACE_S);
            let forecast = danger.forecast;
            if !is_due || self.eligibility.never_ended(victim, detector).is_some() {
                continue;
            }
            let next = self.steps(victim).and_then(|of_server| of_server.after(of.order.step));
            match next {
                Some(step) => return self.take_step(&of, victim, step, forecast, t, detector),
                None => {
                    self.give_up(of.order.victim, Some(forecast), t, events);
                    return None;
                }
            }
        }
        None
    }

    /// The danger that a victim is in the way of, while it lasts.
    fn danger_to(
        &self,
        s: &ProcessState,
        unit: Unit,
        detector: &Detector,
    ) -> Option<DangerToVictim> {
        let lasting = match unit {
            Unit::Bytes => self.memory_danger(s, true, detector),
            Unit::Tasks => self.task_danger(s.root, detector),
        };
        let passing = || self.last_minute.forecast_of(s).filter(|_| unit == Unit::Bytes);
        let is_lasting = lasting.is_some();
        Some(DangerToVictim { forecast: lasting.or_else(passing)?, is_lasting })
    }

    /// How a process is ended, if that is by signals to it.
    pub(super) fn steps(&self, s: &ProcessState) -> Option<Termination> {
        match self.eligibility.method(s) {
            Method::Signals(termination) => Some(termination),
            Method::Restart | Method::Reload(_) | Method::Never(_) => None,
        }
    }

    /// Takes the next step against a victim.
    pub(super) fn take_step(
        &mut self,
        of: &OrderUnderWay,
        victim: &ProcessState,
        step: Step,
        forecast: Forecast,
        t: f64,
        detector: &Detector,
    ) -> Option<Order> {
        let then = self.steps(victim).and_then(|of_server| of_server.after(step));
        let order = Order {
            step,
            signal: step.signal(),
            grace_s: HARD_GRACE_S,
            then: then.map(Step::signal),
            reason: OrderReason::Stayed,
            forecast: Some(forecast),
            footprint: victim.footprint,
            expected: expected(victim, unit_of(&of.order), detector),
            ..of.order
        };
        self.last_minute.exits.cut_short(of.server, of.order.step, t - of.step_t);
        self.begin(order, victim, t, of.is_urgent, detector);
        Some(order)
    }

    /// A victim that stayed after the last step is left alone from now on.
    fn give_up(
        &mut self,
        victim: ProcId,
        forecast: Option<Forecast>,
        t: f64,
        events: &mut Vec<Event>,
    ) {
        let Some(of) = self.take_out(victim) else { return };
        self.regrets.forget(victim);
        let (after_s, result) = (t - of.first_t, OutcomeResult::Stayed);
        events.push(Event::Outcome(Outcome { order: of.order, after_s, result, forecast }));
        self.eligibility.exclude(victim);
    }
}
