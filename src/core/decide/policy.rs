//! Policy: from verdicts and forecasts to orders, one victim at a time.
//!
//! It answers the third question only: must this process end now? A process is ordered to end
//! when it is convicted as leaking, and memory may end within the lead time, and the growth of all
//! that leak below that ceiling was watched for twice as long as is left. Acting late on long
//! evidence is what takes wrong kills to zero: the first ramp of a cache, a saw or a batch job has
//! mostly ended by then. The one exception is [`emergency`](crate::core::decide::emergency).
//!
//! The next sample is the only feedback. An order is remembered; if its victim is still there
//! after its grace, the next step follows; if it is gone, headroom before and after are compared,
//! and nobody else is ordered until the pool has its replacement.

use crate::core::decide::eligibility::{Eligibility, Pool, expected};
use crate::core::decide::emergency::Emergency;
use crate::core::detect::Detector;
use crate::core::detect::ceilings::series::Headroom;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::{CeilingKind, MemoryFailureKind, Unit};
use crate::core::model::event::Event;
use crate::core::model::forecast::Forecast;
use crate::core::model::order::{
    EarlierAction, NotEnded, Order, OrderReason, Outcome, OutcomeResult,
};
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use crate::core::model::signal::{SignalFailure, Step};
use crate::core::model::verdict::Verdict;
use crate::core::servers;
use crate::core::servers::{FailedFork, Server};
use std::cmp::Reverse;

pub use crate::core::decide::rules::{Method, Rules};

/// Growth watched, as a multiple of what is left, before a process may be ended.
const EVIDENCE: f64 = 2.0;
/// Growth of less than this share of the ceiling is not what ends memory.
const MATERIAL: f64 = 0.03;
/// Seconds to wait for a replacement: Apache starts one within 1.3 s, or none while it has spares.
const REPLACED_S: f64 = 3.0;
/// Seconds that a replacement gets to start: gunicorn and puma load the application in each worker.
const SETTLED_S: f64 = 10.0;
/// Seconds between TERM and KILL, and for KILL to work: 4 GiB take 1.4 s to be freed.
const HARD_GRACE_S: f64 = 5.0;
/// Least grace in seconds of a gentle signal, however near the end: an idle Apache child with a
/// kept-alive connection needs up to 7 s.
const LEAST_GRACE_S: f64 = 10.0;
/// Seconds without CPU time after which one of those that pile up hangs, at the least and the most.
const HUNG_S: (f64, f64) = (10.0, 60.0);
/// Share of its life for which it must have used none: the rest is its start.
const HUNG_LIFE: f64 = 0.8;
/// Samples that it must have been seen in: on a machine that stood still nobody used any.
const HUNG_SAMPLES: u32 = 6;
/// Least share of what fills a limit that must be a pile-up's, for its children to be given less time.
const MOST_OF_IT: f64 = 0.5;
/// Seconds that the children of a reloaded master may take: their longest request, as `Timeout` is.
/// While one of them is left, it is not told again, which would only ask the same of them twice.
const RELOAD_GRACE_S: f64 = 70.0;
/// Seconds that a victim rests after a signal that could not be sent, doubled each time up to the most.
const REST_S: (f64, f64) = (1.0, 60.0);
/// A fork that was refused means for so many seconds that the next one may be.
const REFUSED_S: f64 = 60.0;

/// Where the policy stands with its current victim.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one")]
enum Campaign {
    Idle,
    /// Ordered; waiting for its exit.
    Waiting(OrderUnderWay),
    /// Gone; waiting for its replacement.
    Settling {
        pool: Pool,
        /// Members that it had before.
        size: u32,
        /// When its victim was gone.
        gone_t: f64,
    },
}

/// An order under way.
#[derive(Clone, Copy, Debug)]
struct OrderUnderWay {
    order: Order,
    first_t: f64,
    last_t: f64,
    /// Seconds waited since the last step; a suspend does not count as grace.
    waited_s: f64,
    /// How its ceiling stood when the order was given.
    before: Headroom,
    pool: Pool,
    /// Members that it had.
    size: u32,
}

/// The state behind the orders.
#[derive(Debug)]
pub struct Policy {
    rules: Rules,
    interval_s: f64,
    eligibility: Eligibility,
    campaign: Campaign,
    emergency: Emergency,
    /// What is decided on lies in the past.
    catching_up: bool,
    /// Already told why they are spared.
    told: Vec<ProcId>,
    /// Where a fork was refused, of one tree or of all, and when.
    refused: Vec<(Option<ProcId>, f64)>,
    /// When each master was last told to replace its workers.
    reloaded: Vec<(ProcId, f64)>,
    /// Whose signals could not be sent.
    resting: Vec<SignalRetry>,
}

/// A victim whose signal could not be sent for want of memory, descriptors or the like.
#[derive(Clone, Copy, Debug)]
struct SignalRetry {
    id: ProcId,
    until_t: f64,
    wait_s: f64,
    /// Whether its time is not yet up.
    rests: bool,
}

impl Policy {
    /// A policy under `rules` for samples planned every `interval_s` seconds.
    pub fn new(rules: Rules, interval_s: f64) -> Self {
        Self {
            eligibility: Eligibility::new(rules.clone()),
            rules,
            interval_s,
            campaign: Campaign::Idle,
            emergency: Emergency::default(),
            catching_up: false,
            told: Vec::new(),
            refused: Vec::new(),
            reloaded: Vec::new(),
            resting: Vec::new(),
        }
    }

    /// What is known of those who might have to end.
    pub fn eligibility(&self) -> &Eligibility {
        &self.eligibility
    }

    /// What the user allows.
    pub fn rules(&self) -> &Rules {
        &self.rules
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
        self.eligibility.learn(sample, detector);
        self.told.retain(|id| detector.process_state(*id).is_some());
        self.resting.retain_mut(|rest| {
            rest.rests = sample.t < rest.until_t;
            detector.process_state(rest.id).is_some()
        });
        self.reloaded.retain(|(master, t)| {
            let since_s = sample.t - *t;
            let mut children = detector.process_states().filter(|s| s.parent == Some(*master));
            since_s < RELOAD_GRACE_S && children.any(|s| s.age_s > since_s)
        });
        self.refused.retain(|(_, t)| sample.t - *t < REFUSED_S);
        let refused =
            sample.memory_failures.iter().filter(|sign| sign.kind == MemoryFailureKind::Refused);
        self.refused.extend(refused.map(|sign| (sign.root, sample.t)));
        if !self.rules.act {
            return None;
        }
        let next_step = self.follow_up(sample.t, detector, events);
        self.emergency.observe(sample.t, detector);
        if matches!(self.campaign, Campaign::Idle) && !self.catching_up {
            return self.choose(sample.t, detector, events);
        }
        next_step
    }

    /// The last order could not be carried out. A victim that had gone by itself is replaced like one
    /// that was ended; one for whom the kernel had no means (ENOMEM, EMFILE) rests for a while; any
    /// other is left alone. Others may be chosen.
    fn signal_failed(&mut self, victim: ProcId, why: SignalFailure) {
        self.campaign = match (&self.campaign, why) {
            // Gone before it got the next signal: what it gave back is told with the next sample.
            (Campaign::Waiting(waiting), SignalFailure::Gone)
                if waiting.order.reason == OrderReason::Stayed =>
            {
                Campaign::Waiting(*waiting)
            }
            (Campaign::Waiting(waiting), SignalFailure::Gone) => {
                let OrderUnderWay { pool, size, last_t, .. } = *waiting;
                Campaign::Settling { pool, size, gone_t: last_t }
            }
            // No memory or no descriptor for a moment, at the brink of all moments: it rests, each
            // time twice as long, and others may be chosen meanwhile.
            (Campaign::Waiting(waiting), SignalFailure::Failed(_)) => {
                self.rest(victim, waiting.last_t);
                Campaign::Idle
            }
            _ => {
                self.eligibility.exclude(victim);
                Campaign::Idle
            }
        };
    }

    /// Goes on under other rules.
    pub fn renew(&mut self, rules: Rules) {
        self.eligibility.renew(rules.clone());
        self.rules = rules;
        self.told.clear();
    }

    /// Whether what is decided on lies in the past: then nobody is chosen and no step follows.
    pub fn catch_up(&mut self, past: bool) {
        self.catching_up = past;
    }

    /// Takes over what an earlier run did on the sample that was just decided on.
    pub fn recall(&mut self, past: &EarlierAction, t: f64, detector: &Detector) {
        let victim = past.victim();
        let Some(s) = detector.process_state(victim).filter(|_| self.rules.act) else { return };
        match *past {
            EarlierAction::Ordered { step, signal, grace_s, reason, unit, .. } => {
                let forecast = match unit {
                    Unit::Bytes => detector.leak_forecast(s.root),
                    Unit::Tasks => detector.task_forecast(s.root).map(|(forecast, _)| forecast),
                };
                let ProcessState { comm, root, footprint, .. } = *s;
                let expected = match unit {
                    Unit::Bytes => expected(s, detector),
                    Unit::Tasks => s.threads.into(),
                };
                let target = match s.parent.filter(|_| step == Step::Reload) {
                    Some(master) => {
                        self.reloaded.push((master, t));
                        master
                    }
                    None => victim,
                };
                let known = self.server(s);
                let order = Order {
                    victim,
                    target,
                    comm,
                    root,
                    step,
                    signal,
                    grace_s,
                    then: None,
                    helpers: known.helpers,
                    reason,
                    footprint,
                    expected,
                    forecast,
                };
                self.wait(order, s, t, detector);
            }
            EarlierAction::GivenUp(_) => {
                self.eligibility.exclude(victim);
                self.campaign = Campaign::Idle;
            }
            // Who lives on although the orders are real now may well be ended.
            EarlierAction::DryRun(_) if self.rules.dry_run => self.eligibility.exclude(victim),
            EarlierAction::DryRun(_) => {}
        }
    }

    /// A victim whose signal could not be sent at `t` is left alone for a while.
    fn rest(&mut self, id: ProcId, t: f64) {
        let (least_s, most_s) = REST_S;
        match self.resting.iter_mut().find(|rest| rest.id == id) {
            Some(rest) => {
                rest.wait_s = (2.0 * rest.wait_s).min(most_s);
                (rest.until_t, rest.rests) = (t + rest.wait_s, true);
            }
            None => {
                let (wait_s, until_t) = (least_s, t + least_s);
                self.resting.push(SignalRetry { id, until_t, wait_s, rests: true });
            }
        }
    }

    /// Looks after the current victim: outcome, next step, or end of the pause.
    fn follow_up(&mut self, t: f64, detector: &Detector, events: &mut Vec<Event>) -> Option<Order> {
        match &self.campaign {
            Campaign::Idle => {}
            Campaign::Settling { pool, size, gone_t } => {
                let limit_s = match self.eligibility.pool_size(*pool, detector) >= *size {
                    _ if self.eligibility.is_at_ease(*pool, detector) => 0.0,
                    true if self.eligibility.newest_has_settled(*pool, detector) => 0.0,
                    true => SETTLED_S,
                    false => REPLACED_S,
                };
                if t >= gone_t + limit_s {
                    self.campaign = Campaign::Idle;
                }
            }
            Campaign::Waiting(waiting) => {
                let longest = 3.0 * self.interval_s;
                let step_s = (t - waiting.last_t).min(longest);
                let waiting =
                    OrderUnderWay { waited_s: waiting.waited_s + step_s, last_t: t, ..*waiting };
                self.campaign = match detector.process_state(waiting.order.victim) {
                    None => {
                        events.push(gone(&waiting, t, detector));
                        // Nobody replaces who only hung around, and the next may be due at once.
                        match waiting {
                            OrderUnderWay {
                                order: Order { reason: OrderReason::Hung, .. },
                                ..
                            } => Campaign::Idle,
                            OrderUnderWay { pool, size, .. } => {
                                Campaign::Settling { pool, size, gone_t: t }
                            }
                        }
                    }
                    Some(standing)
                        if waiting.waited_s >= waiting.order.grace_s && !self.catching_up =>
                    {
                        return self.escalate(waiting, standing, t, detector, events);
                    }
                    Some(_) => Campaign::Waiting(waiting),
                };
            }
        }
        None
    }

    /// The next step against a victim that is still there: only while there is still danger and
    /// it still may be ended; else it is waited for.
    fn escalate(
        &mut self,
        waiting: OrderUnderWay,
        standing: &ProcessState,
        t: f64,
        detector: &Detector,
        events: &mut Vec<Event>,
    ) -> Option<Order> {
        let OrderUnderWay { order, first_t, .. } = waiting;
        let known = self.eligibility.server(order.victim).unwrap_or(&servers::UNKNOWN);
        let forecast = match unit(&order) {
            Unit::Bytes => self
                .danger(order.root, known, detector)
                .or_else(|| self.emergency.forecast(order.root, detector)),
            Unit::Tasks => self.danger_in_tasks(order.root, detector).map(|(forecast, _)| forecast),
        };
        if forecast.is_none() || self.eligibility.spared(standing, detector).is_some() {
            self.campaign = Campaign::Waiting(waiting);
            return None;
        }
        let ending = match self.rules.method(known) {
            Method::Signals(ending) => Some(ending),
            Method::Reload(_) | Method::Never(_) => None,
        };
        let Some((step, ending)) = ending.and_then(|e| Some((e.after(order.step)?, e))) else {
            let (after_s, result) = (t - first_t, OutcomeResult::Stayed);
            events.push(Event::Outcome(Outcome { order, after_s, result, forecast }));
            self.eligibility.exclude(order.victim);
            self.campaign = Campaign::Idle;
            return None;
        };
        let (grace_s, reason) = (HARD_GRACE_S, OrderReason::Stayed);
        let then = ending.after(step).map(Step::signal);
        let order = Order { step, signal: step.signal(), grace_s, then, reason, forecast, ..order };
        self.campaign = Campaign::Waiting(OrderUnderWay { order, waited_s: 0.0, ..waiting });
        Some(order)
    }

    /// Chooses a victim, if some tree is in danger.
    fn choose(&mut self, t: f64, detector: &Detector, events: &mut Vec<Event>) -> Option<Order> {
        let leaking = || detector.flagged().filter(|s| s.verdict == Verdict::Leaking);
        let in_danger = |s: &ProcessState| self.danger(s.root, self.server(s), detector);
        let candidates = || {
            let convicted = leaking().filter(|s| s.kill_evidence.is_some());
            let in_danger = convicted.filter_map(|s| Some((s, in_danger(s)?)));
            in_danger.filter(|(s, f)| self.may_end_now(s, f.earliest_s, detector))
        };
        // The one whose end gives back most; of equals the lower pid, so that replay = live.
        let most = candidates().map(|(s, _)| expected(s, detector)).max().unwrap_or(0);
        let best = candidates().max_by_key(|(s, _)| {
            (self.eligibility.ease(s, most, detector), expected(s, detector), Reverse(s.id))
        });
        if let Some((standing, forecast)) = best {
            // The last idle worker is kept until somebody else is, as long as that may be.
            let lead_s = self.rules.lead_s(self.server(standing));
            let urgent = forecast.earliest_s <= lead_s / 2.0;
            if self.eligibility.ease(standing, most, detector) == 0 && !urgent {
                return None;
            }
            return self.order(t, standing, OrderReason::Danger, Some(forecast), detector);
        }
        for standing in leaking() {
            let fork_fails = || self.fork_fails(standing, detector).map(NotEnded::ForkFails);
            if let Some(Forecast { earliest_s, .. }) =
                self.danger(standing.root, self.server(standing), detector)
                && let Some(why) =
                    self.eligibility.kept(standing, earliest_s, detector).or_else(fork_fails)
                && !self.told.contains(&standing.id)
            {
                self.told.push(standing.id);
                let ProcessState { id, comm, root, .. } = *standing;
                events.push(Event::NotEnded { id, comm, root, why });
            }
        }
        // What is at the brink is near.
        let may_end = |s: &ProcessState| self.may_end_now(s, 0.0, detector);
        let victim = self.emergency.fastest(detector, self.rules.lead_s, may_end);
        if let Some((id, forecast)) = victim
            && let Some(standing) = detector.process_state(id)
        {
            return self.order(t, standing, OrderReason::Emergency, Some(forecast), detector);
        }
        self.choose_by_tasks(t, detector)
    }

    fn server(&self, s: &ProcessState) -> &'static Server {
        self.eligibility.server(s.id).unwrap_or(&servers::UNKNOWN)
    }

    /// Whether a process may be ended at this very moment, so many seconds before the end.
    fn may_end_now(&self, s: &ProcessState, end_s: f64, detector: &Detector) -> bool {
        let reloaded = || self.reloaded.iter().any(|(master, _)| Some(*master) == s.parent);
        let reloads = matches!(self.rules.method(self.server(s)), Method::Reload(_));
        self.eligibility.may_end(s, end_s, detector)
            && !self.resting.iter().any(|rest| rest.id == s.id && rest.rests)
            && self.fork_fails(s, detector).is_none()
            && !(reloads && reloaded())
    }

    /// What its master would do, if forks fail already and it does not outlive that.
    fn fork_fails(&self, s: &ProcessState, detector: &Detector) -> Option<&'static str> {
        let FailedFork::Ends(what) = self.server(s).failed_fork else { return None };
        let headroom = detector.headroom(s.root);
        // Under a commit limit a fork is charged with all that its parent has of its own.
        let master = s.parent.and_then(|id| detector.process_state(id)).map_or(0, |p| p.footprint);
        let no_commit = headroom.kind == CeilingKind::Commit && headroom.left < master;
        let no_task = detector.nearest_in_tasks(s.root).is_some_and(|tasks| tasks.left == 0);
        let of_it = |(root, _): &(Option<ProcId>, f64)| root.is_none_or(|root| root == s.root);
        (no_commit || no_task || self.refused.iter().any(of_it)).then_some(what)
    }

    /// Chooses a victim, if forks are about to fail in some tree for want of tasks: who starts
    /// threads without end, or else the eldest of children that pile up and do nothing.
    fn choose_by_tasks(&mut self, t: f64, detector: &Detector) -> Option<Order> {
        if !detector.is_short_of_tasks() {
            return None;
        }
        let best = detector
            .process_states()
            .filter_map(|s| {
                let (forecast, _) = self.danger_in_tasks(s.root, detector)?;
                let reason = match s.thread_leak {
                    Some(_) => OrderReason::Danger,
                    None => hangs(s, &forecast, detector).then_some(OrderReason::Hung)?,
                };
                let may_end = self.may_end_now(s, f64::INFINITY, detector);
                may_end.then_some((s, reason, forecast))
            })
            .max_by_key(|(s, ..)| (s.threads, std::cmp::Reverse((s.id.start, s.id.pid))));
        let (standing, reason, forecast) = best?;
        self.order(t, standing, reason, Some(forecast), detector)
    }

    /// The forecast of a tree in which fork may fail within the lead time for want of tasks, on
    /// evidence long enough, and what is left.
    fn danger_in_tasks(&self, root: ProcId, detector: &Detector) -> Option<(Forecast, Headroom)> {
        let (forecast, headroom) = detector.task_forecast(root)?;
        // Ceilings without a place of a tree's own are everybody's.
        let below = |of: ProcId| of == root || headroom.place.is_none();
        let threads =
            detector.process_states().filter(|s| below(s.root)).filter_map(|s| s.thread_leak);
        let child_leaks = detector
            .child_leaks()
            .filter(|(parent, ..)| detector.process_state(*parent).is_some_and(|s| below(s.root)))
            .map(|(_, evidence, _)| evidence);
        let watched: f64 = threads.chain(child_leaks).map(|e| e.slope * e.window_s).sum();
        let needed = EVIDENCE * headroom.usable().max(MATERIAL * headroom.limit as f64);
        let lead_s = self.rules.lead_s.max(3.0 * self.interval_s);
        (forecast.earliest_s <= lead_s && watched >= needed).then_some((forecast, headroom))
    }

    /// The forecast of a tree whose memory may end within the lead time, on evidence long enough;
    /// its earliest end is that of the memory that can be counted on. How early that is depends on
    /// the server whose worker would have to go.
    fn danger(&self, root: ProcId, server: &Server, detector: &Detector) -> Option<Forecast> {
        let forecast = detector.leak_forecast(root)?;
        let headroom = detector.headroom(root);
        // One with a place may be over several trees; then each counts its own, which is careful.
        let is_everybodys = headroom.place.is_none() && !headroom.kind.is_per_tree();
        let same_ceiling = |s: &&ProcessState| is_everybodys || s.root == root;
        // In a dry run those already ordered count as gone.
        let pretended: u64 = self
            .eligibility
            .done()
            .filter_map(|id| detector.process_state(id))
            .filter(same_ceiling)
            .map(|s| expected(s, detector))
            .sum();
        let pretended = if self.rules.dry_run { pretended as f64 } else { 0.0 };
        let left = headroom.usable() + pretended;
        let earliest_s = forecast.earliest_s * left / (headroom.left as f64).max(1.0);
        let lead_s = self.rules.lead_s(server).max(3.0 * self.interval_s);
        let watched: f64 = detector
            .flagged()
            .filter(|s| s.verdict == Verdict::Leaking && same_ceiling(s))
            .filter(|s| self.eligibility.done().all(|id| id != s.id))
            .filter_map(|s| s.kill_evidence)
            .map(|e| e.slope * e.window_s)
            .sum();
        let needed = EVIDENCE * left.max(MATERIAL * headroom.limit as f64);
        (earliest_s <= lead_s && watched >= needed).then_some(Forecast { earliest_s, ..forecast })
    }

    fn order(
        &mut self,
        t: f64,
        s: &ProcessState,
        reason: OrderReason,
        forecast: Option<Forecast>,
        detector: &Detector,
    ) -> Option<Order> {
        let known = self.server(s);
        // As long as the server may need, but not beyond the end of memory.
        let left_s = forecast.map_or(f64::INFINITY, |f| f.earliest_s);
        let cut = |table_s: f64| table_s.min(left_s.max(LEAST_GRACE_S));
        let (target, (step, signal), grace_s, then) = match (self.rules.method(known), s.parent) {
            (Method::Signals(ending), _) => {
                let grace_s = self.rules.grace_s.unwrap_or_else(|| cut(ending.grace_s));
                let then = ending.after(ending.first.0).map(Step::signal);
                (s.id, ending.first, grace_s, then)
            }
            (Method::Reload(signal), Some(master)) => {
                self.reloaded.push((master, t));
                (master, (Step::Reload, signal), RELOAD_GRACE_S, None)
            }
            (Method::Reload(_), None) | (Method::Never(_), _) => return None,
        };
        let order = Order {
            victim: s.id,
            target,
            comm: s.comm,
            root: s.root,
            step,
            signal,
            grace_s,
            then,
            helpers: known.helpers,
            reason,
            footprint: s.footprint,
            expected: match forecast.map_or(Unit::Bytes, |f| f.ceiling.unit()) {
                Unit::Bytes => expected(s, detector),
                Unit::Tasks => s.threads.into(),
            },
            forecast,
        };
        self.wait(order, s, t, detector);
        Some(order)
    }

    /// Waits for the end of a victim that was ordered at `t`.
    fn wait(&mut self, order: Order, s: &ProcessState, t: f64, detector: &Detector) {
        if let Campaign::Waiting(waiting) = &self.campaign
            && waiting.order.victim == s.id
        {
            // A further step, recalled: what was before the first one still counts.
            self.campaign = Campaign::Waiting(OrderUnderWay { order, waited_s: 0.0, ..*waiting });
            return;
        }
        let pool = self.eligibility.pool(s);
        let size = self.eligibility.pool_size(pool, detector);
        if s.parent.is_some() {
            self.eligibility.ordered(pool, size, t);
        }
        self.campaign = if self.rules.dry_run {
            self.eligibility.exclude(s.id);
            Campaign::Settling { pool, size: u32::MAX, gone_t: t }
        } else {
            let before = standing_of(&order, detector);
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

/// The outcome of an order whose victim is gone.
fn gone(waiting: &OrderUnderWay, t: f64, detector: &Detector) -> Event {
    let OrderUnderWay { order, first_t, before, .. } = *waiting;
    let after = standing_of(&order, detector);
    let after_s = t - first_t;
    // What the others took meanwhile would otherwise count against the victim.
    let taken = order.forecast.map_or(0.0, |f| f.slope.max(0.0) * after_s).round() as u64;
    // Another ceiling may be the nearest by now: then the two cannot be compared.
    let comparable =
        (after.kind, after.place, after.limit) == (before.kind, before.place, before.limit);
    let reclaimed =
        comparable.then(|| after.left.saturating_add(taken).saturating_sub(before.left));
    let result =
        OutcomeResult::Gone { headroom_before: before.left, headroom_after: after.left, reclaimed };
    let forecast = match unit(&order) {
        Unit::Bytes => detector.leak_forecast(order.root),
        Unit::Tasks => detector.task_forecast(order.root).map(|(forecast, _)| forecast),
    };
    Event::Outcome(Outcome { order, after_s, result, forecast })
}

/// The unit of the ceiling for which an order was given.
fn unit(order: &Order) -> Unit {
    order.forecast.map_or(Unit::Bytes, |forecast| forecast.ceiling.unit())
}

/// How the ceiling for which an order was given stands now.
fn standing_of(order: &Order, detector: &Detector) -> Headroom {
    let tasks = match unit(order) {
        Unit::Bytes => None,
        Unit::Tasks => detector.nearest_in_tasks(order.root),
    };
    tasks.unwrap_or_else(|| detector.headroom(order.root))
}

/// Whether a process is one of those that pile up, and hangs: it was started while they did, and
/// for nearly all of its life, and long enough, it used no CPU. CPU time comes in steps of 10 ms, so
/// a worker with little to do may seem idle for a minute too; those that were there before the pile
/// began, or ever worked since, are not meant.
///
/// Long enough is half of the time that shows the pile-up, or a minute. Where fork fails sooner than
/// that, so long is, if it is this pile-up that fills the limit and still does: else those that hang
/// would be given longer and longer as it goes on, and fill it meanwhile.
fn hangs(s: &ProcessState, end: &Forecast, detector: &Detector) -> bool {
    let child_leak = detector.child_leaks().find(|(parent, ..)| Some(*parent) == s.parent);
    let Some((_, child_leak, for_s)) = child_leak else { return false };
    let since_then = s.age_s <= for_s && s.samples >= HUNG_SAMPLES;
    if !since_then || s.idle_s < HUNG_LIFE * s.age_s {
        return false;
    }
    let goes_on = || detector.process_states().any(|o| o.parent == s.parent && o.age_s < HUNG_S.0);
    let fills_it = || child_leak.slope >= MOST_OF_IT * end.slope && goes_on();
    s.idle_s >= HUNG_S.1.min(child_leak.window_s / 2.0)
        || s.idle_s >= end.likely_s.max(HUNG_S.0) && fills_it()
}
