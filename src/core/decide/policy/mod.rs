//! Policy: from verdicts and forecasts to orders, one victim at a time.
//!
//! It answers the third question only: must this process end now? A process is ordered to end
//! when it grows on long evidence, memory may run out within the lead time, and the growth of all
//! processes that do so below that ceiling was watched for twice as long as is left. Whether the word
//! for it is `growing` or `leaking` does not matter. Acting late on long evidence is what takes wrong kills to zero: the first ramp of a cache, a saw or a batch job has
//! mostly ended by then. The one exception is [`emergency`](crate::core::decide::emergency).
//!
//! The next sample is the only feedback. An order is remembered; if its victim is still there
//! after its grace, the next step follows; if it is gone, headroom before and after are compared,
//! and no other process is ordered until the pool has its replacement.

mod choose;

use crate::core::decide::campaign::{Campaign, OrderUnderWay, headroom_of, unit_of};
use crate::core::decide::eligibility::{Eligibility, private_bytes};
use crate::core::decide::emergency::Emergency;
use crate::core::decide::refusals::{RELOAD_GRACE_S, RefusedForks, Reloads, SignalRetries};
use crate::core::decide::rules::{Method, Rules};
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::Unit;
use crate::core::model::event::Event;
use crate::core::model::forecast::Forecast;
use crate::core::model::order::{EarlierAction, Order, OrderReason, Outcome, OutcomeResult};
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use crate::core::model::signal::{Signal, SignalFailure, Step};

/// Seconds to wait for a replacement: Apache starts one within 1.3 s, or none while it has spares.
const REPLACED_S: f64 = 3.0;
/// Seconds that a replacement gets to start: gunicorn and puma load the application in each worker.
const SETTLED_S: f64 = 10.0;
/// Seconds between TERM and KILL, and for KILL to work: 4 GiB take 1.4 s to be freed.
const HARD_GRACE_S: f64 = 5.0;
/// Least grace in seconds of a gentle signal, however near the end: an idle Apache child with a
/// kept-alive connection needs up to 7 s.
const LEAST_GRACE_S: f64 = 10.0;
/// The least lead time, in planned intervals: the next sample may come late.
const LEAST_LEAD_INTERVALS: f64 = 3.0;
/// The most that one sample adds to the time waited for a victim, in planned intervals: a suspend
/// is no grace.
const LONGEST_WAIT_INTERVALS: f64 = 3.0;

/// The state behind the orders.
#[derive(Debug)]
pub struct Policy {
    interval_s: f64,
    eligibility: Eligibility,
    campaign: Campaign,
    emergency: Emergency,
    /// The samples lie in the past.
    replaying: bool,
    /// Processes of which it was reported why they are not ended.
    reported: Vec<ProcId>,
    refused_forks: RefusedForks,
    reloads: Reloads,
    retries: SignalRetries,
}

/// The signal of an order, and what follows it.
#[derive(Clone, Copy, Debug)]
struct OrderedSignal {
    step: Step,
    signal: Signal,
    grace_s: f64,
    then: Option<Signal>,
}

impl Policy {
    /// A policy under `rules` for samples planned every `interval_s` seconds.
    pub fn new(rules: Rules, interval_s: f64) -> Self {
        Self {
            interval_s,
            eligibility: Eligibility::new(rules),
            campaign: Campaign::Idle,
            emergency: Emergency::default(),
            replaying: false,
            reported: Vec::new(),
            refused_forks: RefusedForks::default(),
            reloads: Reloads::default(),
            retries: SignalRetries::default(),
        }
    }

    /// What is known of the processes that might have to end.
    pub fn eligibility(&self) -> &Eligibility {
        &self.eligibility
    }

    /// What the user allows.
    pub fn rules(&self) -> &Rules {
        self.eligibility.rules()
    }

    /// Goes on under other rules.
    pub fn set_rules(&mut self, rules: Rules) {
        self.eligibility.set_rules(rules);
        self.reported.clear();
    }

    /// Whether the samples that follow lie in the past: then no victim is chosen and no step follows.
    pub fn set_replaying(&mut self, past: bool) {
        self.replaying = past;
    }

    /// Decides on one sample, after the detector has seen it: the order, if a process must end. What
    /// became of earlier orders, and why a process is not ended, goes to `events`.
    pub fn decide(
        &mut self,
        sample: &Sample,
        detector: &Detector,
        events: &mut Vec<Event>,
    ) -> Option<Order> {
        if let Some((victim, why)) = sample.signal_failure {
            self.signal_failed(victim, why);
        }
        self.eligibility.observe(sample, detector);
        self.reported.retain(|id| detector.process_state(*id).is_some());
        self.retries.observe(sample.t, detector);
        self.reloads.observe(sample.t, detector);
        self.refused_forks.observe(sample);
        if !self.rules().act {
            return None;
        }
        let next_step = self.follow_up(sample.t, detector, events);
        self.emergency.observe(sample.t, detector);
        if matches!(self.campaign, Campaign::Idle) && !self.replaying {
            return self.choose(sample.t, detector, events);
        }
        next_step
    }

    /// The last order could not be carried out. A victim that had gone by itself is replaced like one
    /// that was ended; after a failure for want of means (ENOMEM, EMFILE), or while another watch ends its
    /// siblings, it is tried again later;
    /// any other victim is left alone. Others may be chosen.
    fn signal_failed(&mut self, victim: ProcId, why: SignalFailure) {
        self.campaign = match (&self.campaign, why) {
            // Gone before it got the next signal: this sample tells what it gave back.
            (Campaign::Waiting(waiting), SignalFailure::Gone)
                if waiting.order.reason == OrderReason::Stayed =>
            {
                Campaign::Waiting(*waiting)
            }
            (Campaign::Waiting(waiting), SignalFailure::Gone) => {
                let OrderUnderWay { pool, size, last_t, .. } = *waiting;
                Campaign::Settling { pool, size, gone_t: last_t }
            }
            (Campaign::Waiting(waiting), SignalFailure::Failed(_) | SignalFailure::Taken) => {
                self.retries.postpone(victim, waiting.last_t);
                Campaign::Idle
            }
            _ => {
                self.eligibility.exclude(victim);
                Campaign::Idle
            }
        };
    }

    /// Takes over what an earlier run did on the sample that was just decided on.
    pub fn apply_earlier_action(&mut self, past: &EarlierAction, t: f64, detector: &Detector) {
        let victim = past.victim();
        let Some(s) = detector.process_state(victim).filter(|_| self.rules().act) else { return };
        match *past {
            EarlierAction::Ordered { step, signal, grace_s, reason, unit, .. } => {
                let forecast = match unit {
                    Unit::Bytes => detector.growth_forecast(s.root),
                    Unit::Tasks => detector.task_forecast(s.root).map(|(forecast, _)| forecast),
                };
                let signal = OrderedSignal { step, signal, grace_s, then: None };
                let expected = expected(s, unit, detector);
                let order = self.order_on(s, signal, reason, expected, forecast);
                self.begin(order, s, t, detector);
            }
            EarlierAction::GivenUp(_) => {
                self.eligibility.exclude(victim);
                self.campaign = Campaign::Idle;
            }
            // One that lives on although the orders are real now may well be ended.
            EarlierAction::DryRun(_) if self.rules().dry_run => self.eligibility.exclude(victim),
            EarlierAction::DryRun(_) => {}
        }
    }

    /// Looks after the current victim: outcome, next step, or end of the pause.
    fn follow_up(&mut self, t: f64, detector: &Detector, events: &mut Vec<Event>) -> Option<Order> {
        match &self.campaign {
            Campaign::Idle => {}
            Campaign::Settling { pool, size, gone_t } => {
                let is_full = self.eligibility.pool_size(*pool, detector) >= *size;
                let has_settled = || self.eligibility.newest_has_settled(*pool, detector);
                let limit_s = if self.eligibility.is_half_idle(*pool, detector) {
                    0.0
                } else if !is_full {
                    REPLACED_S
                } else if has_settled() {
                    0.0
                } else {
                    SETTLED_S
                };
                if t >= gone_t + limit_s {
                    self.campaign = Campaign::Idle;
                }
            }
            Campaign::Waiting(waiting) => {
                let longest_s = LONGEST_WAIT_INTERVALS * self.interval_s;
                let waited_s = waiting.waited_s + (t - waiting.last_t).min(longest_s);
                let waiting = OrderUnderWay { waited_s, last_t: t, ..*waiting };
                let is_due = waited_s >= waiting.order.grace_s && !self.replaying;
                self.campaign = match detector.process_state(waiting.order.victim) {
                    None => {
                        events.push(waiting.outcome(t, detector));
                        waiting.next(t)
                    }
                    Some(victim) if is_due => {
                        return self.escalate(waiting, victim, t, detector, events);
                    }
                    Some(_) => Campaign::Waiting(waiting),
                };
            }
        }
        None
    }

    /// The next step against a victim that is still there: only while there is still danger and
    /// it still may be ended; else the policy waits for it.
    fn escalate(
        &mut self,
        waiting: OrderUnderWay,
        victim: &ProcessState,
        t: f64,
        detector: &Detector,
        events: &mut Vec<Event>,
    ) -> Option<Order> {
        let OrderUnderWay { order, first_t, .. } = waiting;
        let server = self.server(victim);
        let forecast = match unit_of(&order) {
            Unit::Bytes => self
                .memory_danger(order.root, server, detector)
                .or_else(|| self.emergency.forecast(order.root, detector)),
            Unit::Tasks => self.task_danger(order.root, detector),
        };
        if forecast.is_none() || self.eligibility.never_ended(victim, detector).is_some() {
            self.campaign = Campaign::Waiting(waiting);
            return None;
        }
        let termination = match self.rules().method(server) {
            Method::Signals(termination) => Some(termination),
            Method::Reload(_) | Method::Never(_) => None,
        };
        let next = termination.and_then(|of| Some((of.after(order.step)?, of)));
        let Some((step, termination)) = next else {
            let (after_s, result) = (t - first_t, OutcomeResult::Stayed);
            events.push(Event::Outcome(Outcome { order, after_s, result, forecast }));
            self.eligibility.exclude(order.victim);
            self.campaign = Campaign::Idle;
            return None;
        };
        let (grace_s, reason) = (HARD_GRACE_S, OrderReason::Stayed);
        let then = termination.after(step).map(Step::signal);
        let order = Order { step, signal: step.signal(), grace_s, then, reason, forecast, ..order };
        self.campaign = Campaign::Waiting(OrderUnderWay { order, waited_s: 0.0, ..waiting });
        Some(order)
    }

    /// Orders a process to end as its server's workers are ended.
    fn order(
        &mut self,
        t: f64,
        s: &ProcessState,
        reason: OrderReason,
        forecast: Forecast,
        detector: &Detector,
    ) -> Option<Order> {
        // As long as the server may need, but not beyond the end of memory.
        let within = |server_s: f64| server_s.min(forecast.earliest_s.max(LEAST_GRACE_S));
        let signal = match self.rules().method(self.server(s)) {
            Method::Signals(termination) => {
                let (step, signal) = termination.first;
                let grace_s = self.rules().grace_s.unwrap_or_else(|| within(termination.grace_s));
                let then = termination.after(step).map(Step::signal);
                OrderedSignal { step, signal, grace_s, then }
            }
            Method::Reload(signal) if s.parent.is_some() => {
                OrderedSignal { step: Step::Reload, signal, grace_s: RELOAD_GRACE_S, then: None }
            }
            Method::Reload(_) | Method::Never(_) => return None,
        };
        let expected = expected(s, forecast.ceiling.unit(), detector);
        let order = self.order_on(s, signal, reason, expected, Some(forecast));
        self.begin(order, s, t, detector);
        Some(order)
    }

    /// An order on a process, or on its master where that is to replace it.
    fn order_on(
        &self,
        s: &ProcessState,
        signal: OrderedSignal,
        reason: OrderReason,
        expected: u64,
        forecast: Option<Forecast>,
    ) -> Order {
        let OrderedSignal { step, signal, grace_s, then } = signal;
        let master = s.parent.filter(|_| step == Step::Reload);
        Order {
            victim: s.id,
            target: master.unwrap_or(s.id),
            comm: s.comm,
            root: s.root,
            step,
            signal,
            grace_s,
            then,
            helpers: self.server(s).helpers,
            reason,
            footprint: s.footprint,
            expected,
            forecast,
        }
    }

    /// Waits for the end of a victim that was ordered at `t`.
    fn begin(&mut self, order: Order, s: &ProcessState, t: f64, detector: &Detector) {
        if order.target != order.victim {
            self.reloads.add(order.target, t);
        }
        if let Campaign::Waiting(waiting) = &self.campaign
            && waiting.order.victim == s.id
        {
            // A further step of an earlier run: what was before the first one still counts.
            self.campaign = Campaign::Waiting(OrderUnderWay { order, waited_s: 0.0, ..*waiting });
            return;
        }
        let pool = self.eligibility.pool(s);
        let size = self.eligibility.pool_size(pool, detector);
        if s.parent.is_some() {
            self.eligibility.ordered(pool, size, t);
        }
        self.campaign = if self.rules().dry_run {
            self.eligibility.exclude(s.id);
            Campaign::Settling { pool, size: u32::MAX, gone_t: t }
        } else {
            let before = headroom_of(&order, detector);
            let (first_t, last_t, waited_s) = (t, t, 0.0);
            Campaign::Waiting(OrderUnderWay {
                order,
                first_t,
                last_t,
                waited_s,
                before,
                pool,
                size,
            })
        };
    }
}

/// What the end of a process should give back, in that unit.
fn expected(s: &ProcessState, unit: Unit, detector: &Detector) -> u64 {
    match unit {
        Unit::Bytes => private_bytes(s, detector),
        Unit::Tasks => s.threads.into(),
    }
}
