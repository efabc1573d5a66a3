//! Policy: from verdicts, forecasts and the last seconds to orders.
//!
//! It answers the third question only: must this process end now? There are two roads to an order.
//!
//! Long evidence: the process grows steadily, the growth of all that do so below the ceiling was
//! watched for twice as long as is left, and ending it gently takes hardly less time than memory
//! lasts; a proven leak goes some seconds earlier. One victim at a time for each ceiling, and the
//! next one once the pool has its replacement.
//!
//! The [last minute](crate::core::decide::last_minute): whatever the evidence, ending the process
//! that holds most of what grew takes as long as memory lasts. Then there are no pauses. Where it came to
//! that for a [whole pool](crate::core::decide::last_minute::turnover), its successors are told earlier.
//!
//! The later the decision, the fewer healthy processes end: a fill, a saw and a batch job have mostly
//! ended by then. The next sample is the only feedback. An order is remembered; if its victim is
//! still there when its grace is over or the end has come near, the next step follows; if it is
//! gone, headroom before and after are compared.

mod by_hand;
mod choose;
mod follow_up;
mod last_minute;

use crate::core::decide::campaign::{Campaign, OrderUnderWay, Settling, headroom_of, unit_of};
use crate::core::decide::eligibility::Eligibility;
use crate::core::decide::last_minute::LastMinute;
use crate::core::decide::refusals::{RELOAD_GRACE_S, RefusedForks, Reloads, SignalRetries};
use crate::core::decide::regrets::Regrets;
use crate::core::decide::rules::{Method, Rules};
use crate::core::decide::swings::Swings;
use crate::core::decide::worker::private_bytes;
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::Unit;
use crate::core::model::event::Event;
use crate::core::model::forecast::Forecast;
use crate::core::model::order::{EarlierAction, Order, OrderReason};
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use crate::core::model::signal::{Signal, SignalFailure, Step};

/// Seconds to wait for a replacement: Apache starts one within 1.3 s, or none while it has spares.
const REPLACED_S: f64 = 3.0;
/// Seconds that a replacement gets to start: gunicorn and puma load the application in each worker.
const SETTLED_S: f64 = 10.0;
/// Seconds that a restart of a unit gets: systemd's own DefaultTimeoutStopSec=, after which it kills.
const RESTART_GRACE_S: f64 = 90.0;
/// Seconds between TERM and KILL, and for KILL to work: 4 GiB take 1.4 s to be freed.
const HARD_GRACE_S: f64 = 5.0;
/// When memory likely ends within so many seconds, the next step does not wait for the grace of the
/// one before: TERM and KILL may still have to follow each other.
const LAST_STEPS_S: f64 = 5.0;
/// The least lead time, in times between samples: the next one may come as late again. With 3, a check
/// every 1 to 5 minutes ended workers in 5 of 112 straight fills that stopped with 6 to 20 % of memory
/// left, with 2 in two; no leak was ordered too late for it.
const LEAST_LEAD_SAMPLES: f64 = 2.0;
/// The most that one sample adds to the time waited for a victim, in planned intervals: a suspend
/// is no grace.
const LONGEST_WAIT_INTERVALS: f64 = 3.0;

/// The state behind the orders.
#[derive(Debug)]
pub struct Policy {
    interval_s: f64,
    eligibility: Eligibility,
    campaign: Campaign,
    last_minute: LastMinute,
    swings: Swings,
    regrets: Regrets,
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
            campaign: Campaign::default(),
            last_minute: LastMinute::default(),
            swings: Swings::default(),
            regrets: Regrets::default(),
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
            self.signal_failed(victim, why, detector);
        }
        self.eligibility.observe(sample, detector);
        self.reported.retain(|id| detector.process_state(*id).is_some());
        self.retries.observe(sample.t, detector);
        self.reloads.observe(sample.t, detector);
        self.refused_forks.observe(sample);
        if !self.rules().act {
            return None;
        }
        self.last_minute.observe(sample, detector, &self.campaign.orders);
        self.last_minute.spells.observe(sample.t, &self.eligibility, detector);
        self.swings.observe(sample, &self.eligibility, detector);
        for pool in self.regrets.observe(sample, &self.swings, detector, events) {
            self.last_minute.turnovers.forget(pool);
        }
        self.see_exits(sample.t, detector, events);
        if self.replaying {
            return None;
        }
        let t = sample.t;
        self.act_in_the_last_minute(t, detector, events)
            .or_else(|| self.next_step(t, detector, events))
            .or_else(|| self.choose(t, detector, events))
    }

    /// Whether some process was told to exit and has not yet.
    pub fn has_order_under_way(&self) -> bool {
        !self.campaign.orders.is_empty()
    }

    /// Seconds to the next sample, if the end of memory is so near that it must come soon.
    pub fn next_s(&self) -> Option<f64> {
        self.last_minute.next_s()
    }

    /// An end of memory within so many seconds wants a sample at once.
    pub fn near_s(&self) -> f64 {
        self.last_minute.near_s()
    }

    /// The last order on a process could not be carried out. A victim that had gone by itself is
    /// replaced like one that was ended. After a failure for want of means (ENOMEM, EMFILE) it is
    /// tried again later, and so are all of its pool while another watch ends them. Any other victim
    /// is left alone; others may be chosen.
    fn signal_failed(&mut self, victim: ProcId, why: SignalFailure, detector: &Detector) {
        let Some(of) = self.take_out(victim) else { return };
        self.regrets.forget(victim);
        if of.order.step == Step::Restart {
            self.eligibility.not_restarted(victim);
        }
        match why {
            // Gone before it got the next signal: this sample tells what it gave back.
            SignalFailure::Gone if of.order.reason == OrderReason::Stayed => {
                self.campaign.orders.push(of);
            }
            SignalFailure::Gone => self.campaign.settle(&of, of.last_t),
            SignalFailure::Failed(_) => self.retries.postpone(victim, of.last_t),
            SignalFailure::Taken => {
                self.retries.postpone(victim, of.last_t);
                for s in self.eligibility.members(of.pool, detector).filter(|s| s.id != victim) {
                    self.retries.postpone(s.id, of.last_t);
                }
            }
            SignalFailure::NoService
            | SignalFailure::RunsOnce
            | SignalFailure::NotAlone
            | SignalFailure::NotPermitted
                if of.order.step == Step::Restart =>
            {
                self.eligibility.cannot_restart(victim);
            }
            _ => self.eligibility.exclude(victim),
        }
    }

    /// Takes the order on that process out of those under way.
    fn take_out(&mut self, victim: ProcId) -> Option<OrderUnderWay> {
        self.eligibility.stays(victim);
        self.campaign.remove(victim)
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
                self.begin(order, s, t, false, detector);
            }
            EarlierAction::GivenUp(_) => {
                self.take_out(victim);
                self.eligibility.exclude(victim);
            }
            // One that lives on although the orders are real now may well be ended.
            EarlierAction::DryRun(_) if self.rules().dry_run => self.eligibility.exclude(victim),
            EarlierAction::DryRun(_) => {}
        }
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
        let signal = self.first_signal(s)?;
        let expected = expected(s, forecast.ceiling.unit(), detector);
        let order = self.order_on(s, signal, reason, expected, Some(forecast));
        self.begin(order, s, t, false, detector);
        Some(order)
    }

    /// The signal that a process, or its master, gets first, if it may have one.
    fn first_signal(&self, s: &ProcessState) -> Option<OrderedSignal> {
        match self.eligibility.method(s) {
            Method::Signals(termination) => {
                let (step, signal) = termination.first;
                let then = termination.after(step).map(Step::signal);
                Some(OrderedSignal { step, signal, grace_s: termination.grace_s, then })
            }
            Method::Reload(signal) if s.parent.is_some() => Some(OrderedSignal {
                step: Step::Reload,
                signal,
                grace_s: RELOAD_GRACE_S,
                then: None,
            }),
            Method::Restart => {
                let (step, grace_s) = (Step::Restart, RESTART_GRACE_S);
                Some(OrderedSignal { step, signal: step.signal(), grace_s, then: None })
            }
            Method::Reload(_) | Method::Never(_) => None,
        }
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
    fn begin(
        &mut self,
        order: Order,
        s: &ProcessState,
        t: f64,
        is_urgent: bool,
        detector: &Detector,
    ) {
        if order.target != order.victim {
            self.reloads.add(order.target, t);
        }
        if order.step == Step::Restart {
            self.eligibility.restarts(s.id);
        }
        let step = |of: &OrderUnderWay| OrderUnderWay {
            order,
            waited_s: 0.0,
            step_t: t,
            is_urgent: is_urgent || of.is_urgent,
            ..*of
        };
        let mut orders = self.campaign.orders.iter_mut();
        if let Some(of) = orders.find(|of| of.order.victim == s.id) {
            // A further step: what was before the first one still counts.
            *of = step(of);
            return;
        }
        let pool = s.pool();
        let size = self.eligibility.pool_size(pool, detector);
        if s.parent.is_some() {
            self.eligibility.ordered(pool, size, t);
        }
        if unit_of(&order) == Unit::Bytes {
            let is_dry = self.rules().dry_run;
            self.regrets.goes(s.id);
            self.regrets.ordered(t, &order, pool, is_dry, &self.eligibility, detector);
        }
        let before = headroom_of(&order, detector);
        let (first_t, step_t, last_t, waited_s) = (t, t, t, 0.0);
        let footprint = private_bytes(s, detector);
        let of = OrderUnderWay {
            order,
            first_t,
            step_t,
            last_t,
            waited_s,
            before,
            server: self.server(s).key,
            pool,
            size,
            is_urgent,
            footprint,
        };
        if self.rules().dry_run {
            self.eligibility.exclude(s.id);
            let ceiling = of.ceiling();
            self.campaign.settling.push(Settling { pool, size: u32::MAX, gone_t: t, ceiling });
        } else {
            self.eligibility.goes(s.id);
            self.campaign.orders.push(of);
        }
    }
}

/// What the end of a process should give back, in that unit.
fn expected(s: &ProcessState, unit: Unit, detector: &Detector) -> u64 {
    match unit {
        Unit::Bytes => private_bytes(s, detector),
        Unit::Tasks => s.threads.into(),
    }
}
