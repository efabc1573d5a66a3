//! Whom to end in the last minute, and by which signal.

use super::choose::endangering;
use super::{OrderedSignal, Policy, expected};
use crate::core::decide::campaign::OrderUnderWay;
use crate::core::decide::last_minute::Urgency;
use crate::core::decide::rules::Method;
use crate::core::decide::worker::{is_idle, private_bytes};
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::Unit;
use crate::core::model::event::Event;
use crate::core::model::order::{NotEnded, Order, OrderReason};
use crate::core::model::signal::Step;
use crate::core::servers::Termination;
use std::cmp::Reverse;

/// Least seconds until a step that did nothing is followed by the next one, while time is left.
const GRACE_S: f64 = 10.0;
/// A victim that was ordered in time gets at least so long: it swaps in what it needs to exit, which
/// looked like a fall of 21 MiB/s for 5.4 once, and cost a request.
const LEAST_GRACE_S: f64 = 0.3;
/// An idle worker is ended beside a victim that stays in so many times the lead of its next step.
const RELIEF: f64 = 2.0;
/// Of a pool that was ended all through, the share of one in so many is told to exit early at a time.
const EARLY_SHARE: u32 = 4;

impl Policy {
    /// Acts where ending takes as long as memory lasts: the next step against a victim that stays,
    /// or else another victim.
    pub(super) fn act_in_the_last_minute(
        &mut self,
        t: f64,
        detector: &Detector,
        events: &mut Vec<Event>,
    ) -> Option<Order> {
        // A recording at rest, and a machine with memory enough, end here.
        self.last_minute.next_s()?;
        if let Some(order) = self.relieve(t, detector).or_else(|| self.hasten(t, detector)) {
            return Some(order);
        }
        let pretended = self.eligibility.pretended(detector);
        for mut urgency in self.last_minute.urgent(t, &self.campaign.orders, &pretended) {
            // Where one that had to go stays, the others are not the cause.
            urgency.is_last &= !self.is_any_given_up(urgency.limit, detector);
            let may_end = |s: &ProcessState| {
                !self.campaign.has(s.id)
                    && (!urgency.is_early || self.may_end_early(t, s, &urgency, detector))
                    && self.spared(s, &urgency, detector).is_none()
                    && if urgency.is_last {
                        self.may_end_at_all(s, detector)
                    } else {
                        // What is in its last minute is near.
                        self.may_end_now(s, 0.0, detector)
                    }
            };
            let victim = self.last_minute.culprit(t, &urgency, detector, may_end);
            match victim.cloned() {
                Some(s) => {
                    if let Some(order) = self.order_at_last(t, &s, &urgency, detector) {
                        return Some(order);
                    }
                }
                None if urgency.is_early => {}
                None => self.report_last_not_ended(t, &urgency, detector, events),
            }
        }
        None
    }

    /// Whether a process may be told to exit before the last minute: gently, it grows steadily, all of its pool
    /// were ended for the sake of that limit before, and not many are under way.
    fn may_end_early(
        &self,
        t: f64,
        s: &ProcessState,
        urgency: &Urgency,
        detector: &Detector,
    ) -> bool {
        // Who is not ended gently loses its request however early that is.
        let is_gentle = self.steps(s).is_some_and(|of_server| of_server.first.0 == Step::Gentle);
        let Some(limit) = self.last_minute.limit(urgency.limit).filter(|_| is_gentle) else {
            return false;
        };
        let (pool, ceiling) = (s.pool(), (limit.kind, limit.place));
        let going = self.campaign.orders.iter().filter(|of| of.pool == pool).count() as u32;
        let size = self.eligibility.pool_size(pool, detector);
        going < (size / EARLY_SHARE).max(1)
            && self.last_minute.turnovers.is_whole(pool, ceiling)
            && self.last_minute.grows_steadily(s, t, urgency.left_s)
    }

    /// Whether a victim below a limit stayed after its last step, and is left alone.
    fn is_any_given_up(&self, limit: usize, detector: &Detector) -> bool {
        let Some(limit) = self.last_minute.limit(limit) else { return false };
        let given_up = self.eligibility.excluded().filter(|_| !self.rules().dry_run);
        given_up.filter_map(|id| detector.process_state(id)).any(|s| limit.has(s))
    }

    /// Orders an idle worker that grows to end gently beside the one victim that still finishes what it does,
    /// shortly before that would be cut: an idle one is gone at once, and costs no request.
    fn relieve(&mut self, t: f64, detector: &Detector) -> Option<Order> {
        let [of] = self.campaign.orders[..] else { return None };
        if of.order.step != Step::Gentle {
            return None;
        }
        let victim = detector.process_state(of.order.victim)?;
        let next = self.steps(victim)?.after(of.order.step)?;
        let left_s = self.last_minute.left_without_s(&of, t, &self.campaign.orders);
        if left_s > RELIEF * self.last_minute.lead_s(next, of.footprint) {
            return None;
        }
        // One that might have been chosen itself: a healthy one that is as large is no help to end.
        let grows = endangering(detector).filter(|s| s.kill_evidence.is_some());
        let idle = grows.filter(|s| {
            s.root == of.order.root
                && is_idle(s)
                && private_bytes(s, detector) >= of.footprint / 2
                && !self.campaign.has(s.id)
                && self.eligibility.preference(s, 0, detector) > 0
                && self.may_end_now(s, 0.0, detector)
        });
        let s = idle.max_by_key(|s| (private_bytes(s, detector), Reverse(s.id)))?.clone();
        let forecast = self.last_minute.forecast_of(&s)?;
        self.order(t, &s, OrderReason::Emergency, forecast, detector)
    }

    /// The next step against the largest victim that stays, if memory ends sooner than that takes
    /// when only what is sure to come back is counted.
    fn hasten(&mut self, t: f64, detector: &Detector) -> Option<Order> {
        let due = |of: &&OrderUnderWay| {
            let (victim, step) = self.hastened(of, t, detector)?;
            Some((**of, victim, step, self.last_minute.forecast_of(victim)?))
        };
        let all = self.campaign.orders.iter();
        let largest = all.filter_map(|of| due(&of)).max_by_key(|(of, ..)| of.footprint)?;
        let (of, victim, step, forecast) = largest;
        self.take_step(
            &OrderUnderWay { is_urgent: true, ..of },
            victim,
            step,
            forecast,
            t,
            detector,
        )
    }

    /// A victim with the step that must be taken against it now.
    fn hastened<'d>(
        &self,
        of: &OrderUnderWay,
        t: f64,
        detector: &'d Detector,
    ) -> Option<(&'d ProcessState, Step)> {
        if !of.is_urgent && t - of.step_t < LEAST_GRACE_S {
            return None;
        }
        let victim = detector.process_state(of.order.victim)?;
        let termination = self.steps(victim)?;
        let next = termination.after(of.order.step)?;
        let left_s = self.last_minute.left_without_s(of, t, &self.campaign.orders);
        let lead_s = |step| self.last_minute.lead_s(step, of.footprint);
        let kills = termination.then.contains(&Step::Kill);
        let step = if kills && left_s <= lead_s(Step::Kill) { Step::Kill } else { next };
        let is_due = left_s <= lead_s(step);
        (is_due && self.eligibility.never_ended(victim, detector).is_none())
            .then_some((victim, step))
    }

    /// Orders a victim to end by the gentlest signal that still reaches it.
    fn order_at_last(
        &mut self,
        t: f64,
        s: &ProcessState,
        urgency: &Urgency,
        detector: &Detector,
    ) -> Option<Order> {
        let limit = self.last_minute.limit(urgency.limit)?;
        let forecast = self.last_minute.forecast(limit)?;
        let termination = match self.eligibility.method(s) {
            Method::Signals(_) if urgency.is_early => {
                return self.order(t, s, OrderReason::Danger, forecast, detector);
            }
            Method::Signals(termination) => termination,
            Method::Restart | Method::Reload(_) => {
                return self.order(t, s, OrderReason::Emergency, forecast, detector);
            }
            Method::Never(_) => return None,
        };
        let lead_s = |step| self.last_minute.lead_s(step, s.footprint);
        let steps = || std::iter::once(termination.first.0).chain(termination.then.iter().copied());
        if urgency.left_s > steps().map(lead_s).fold(0.0, f64::max) {
            return None;
        }
        // The gentlest after which the next one would still come in time.
        let in_time =
            |step: &Step| termination.after(*step).is_none_or(|next| urgency.left_s > lead_s(next));
        let step = steps().find(in_time)?;
        let order = {
            let signal = self.signal_of(&termination, step);
            let expected = expected(s, Unit::Bytes, detector);
            self.order_on(s, signal, OrderReason::Emergency, expected, Some(forecast))
        };
        self.swings.ordered(t, s.id, s.pool());
        self.begin(order, s, t, true, detector);
        Some(order)
    }

    /// Why a process that rises is spared for what its pool was seen to do.
    pub(super) fn spared(
        &self,
        s: &ProcessState,
        urgency: &Urgency,
        detector: &Detector,
    ) -> Option<NotEnded> {
        let usable = self.last_minute.limit(urgency.limit)?.usable();
        self.swings.spares(s, usable, &self.eligibility, detector)
    }

    fn signal_of(&self, termination: &Termination, step: Step) -> OrderedSignal {
        let (first, signal) = termination.first;
        let signal = if step == first { signal } else { step.signal() };
        let grace_s = GRACE_S.max(3.0 * self.last_minute.exits.takes_s(step));
        OrderedSignal { step, signal, grace_s, then: termination.after(step).map(Step::signal) }
    }
}
