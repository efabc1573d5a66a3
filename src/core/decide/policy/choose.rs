//! Which process must end now, if any.

use super::{LEAST_LEAD_SAMPLES, Policy};
use crate::core::decide::danger::Danger;
use crate::core::decide::hung::hangs;
use crate::core::decide::last_minute::Urgency;
use crate::core::decide::rules::Method;
use crate::core::decide::worker::private_bytes;
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::{CeilingKind, Effect};
use crate::core::model::event::Event;
use crate::core::model::forecast::Forecast;
use crate::core::model::order::{NotEnded, Order, OrderReason};
use crate::core::model::process::ProcId;
use crate::core::model::verdict::Verdict;
use crate::core::servers;
use crate::core::servers::{FailedFork, Server};
use std::cmp::Reverse;

/// Seconds by which a leak that is proven is ended before it must be: its worker finishes what it
/// does, and nothing has to be hastened.
const PROVEN_LEAD_S: f64 = 5.0;
/// Seconds by which a master is told to replace all its workers before it must be: it cuts no request
/// and no harder step follows. With the lead of a single worker (1.2 s) an Apache event of 99 MiB on
/// a busy machine reloaded with 0 to 8 MiB left, and once too late.
const RELOAD_LEAD_S: f64 = 5.0;
/// Seconds by which the unit of a proven leak is restarted before it must be: what stops in order (a JVM, an
/// interpreter with many objects) takes seconds for it.
const RESTART_LEAD_S: f64 = 10.0;

impl Policy {
    /// Chooses a victim, if some tree is in danger.
    pub(super) fn choose(
        &mut self,
        t: f64,
        detector: &Detector,
        events: &mut Vec<Event>,
    ) -> Option<Order> {
        // One at a time for each ceiling, and none before its pool has its replacement.
        let is_free = |f: &Forecast| !self.campaign.concerns((f.ceiling, f.place));
        let candidates = || {
            let growing = endangering(detector).filter(|s| s.kill_evidence.is_some());
            let in_danger = growing.filter_map(|s| Some((s, self.danger_of(s, detector)?)));
            in_danger.filter(|(s, f)| is_free(f) && self.may_end_now(s, f.earliest_s, detector))
        };
        // The one whose end gives back most; of equals the lower pid, so that a replay chooses alike.
        let most = candidates().map(|(s, _)| private_bytes(s, detector)).max().unwrap_or(0);
        let best = candidates().max_by_key(|(s, _)| {
            let preference = self.eligibility.preference(s, most, detector);
            (preference, private_bytes(s, detector), Reverse(s.id))
        });
        if let Some((s, forecast)) = best {
            // The last idle worker is kept until another is idle, as long as that may be.
            let lead_s = self.lead_s(s, s.verdict == Verdict::Leaking, &forecast);
            let is_urgent = forecast.earliest_s <= lead_s / 2.0;
            if self.eligibility.preference(s, most, detector) == 0 && !is_urgent {
                return None;
            }
            return self.order(t, s, OrderReason::Danger, forecast, detector);
        }
        self.report_not_ended(detector, events);
        self.choose_by_tasks(t, detector)
    }

    /// Reports, once of each, why none of the processes that fill a limit is ended at last.
    pub(super) fn report_last_not_ended(
        &mut self,
        t: f64,
        urgency: &Urgency,
        detector: &Detector,
        events: &mut Vec<Event>,
    ) {
        let is_open = |s: &ProcessState| !self.campaign.has(s.id);
        let Some(s) = self.last_minute.culprit(t, urgency, detector, is_open) else { return };
        let never = self.eligibility.not_ended_now(s, 0.0, detector);
        if let Some(why) = never.or_else(|| self.spared(s, urgency, detector)) {
            let ProcessState { id, comm, root, .. } = *s;
            self.report_once(Event::NotEnded { id, comm, root, why }, id, events);
        }
    }

    fn report_once(&mut self, event: Event, id: ProcId, events: &mut Vec<Event>) {
        if !self.reported.contains(&id) {
            self.reported.push(id);
            events.push(event);
        }
    }

    /// Reports, once of each, why processes that grow are not ended although memory is in danger.
    fn report_not_ended(&mut self, detector: &Detector, events: &mut Vec<Event>) {
        for s in endangering(detector) {
            let fork_fails = || self.fork_fails(s, detector).map(NotEnded::ForkFails);
            if let Some(Forecast { earliest_s, .. }) = self.danger_of(s, detector)
                && let Some(why) =
                    self.eligibility.not_ended_now(s, earliest_s, detector).or_else(fork_fails)
            {
                let ProcessState { id, comm, root, .. } = *s;
                self.report_once(Event::NotEnded { id, comm, root, why }, id, events);
            }
        }
    }

    /// Chooses a victim, if forks are about to fail in some tree for want of tasks: a process that
    /// starts threads without end, or else the eldest of the children that pile up and do nothing.
    fn choose_by_tasks(&mut self, t: f64, detector: &Detector) -> Option<Order> {
        if !detector.is_short_of_tasks() {
            return None;
        }
        let candidates = detector.process_states().filter_map(|s| {
            let forecast = self.task_danger(s.root, detector)?;
            if self.campaign.concerns((forecast.ceiling, forecast.place)) {
                return None;
            }
            let reason = match s.thread_leak {
                Some(_) => OrderReason::Danger,
                None => hangs(s, &forecast, detector).then_some(OrderReason::Hung)?,
            };
            let may_end = self.may_end_now(s, f64::INFINITY, detector);
            may_end.then_some((s, reason, forecast))
        });
        let (s, reason, forecast) =
            candidates.max_by_key(|(s, ..)| (s.threads, Reverse((s.id.start, s.id.pid))))?;
        self.order(t, s, reason, forecast, detector)
    }

    pub(super) fn server(&self, s: &ProcessState) -> &'static Server {
        self.eligibility.server(s.id).unwrap_or(&servers::UNKNOWN)
    }

    /// Whether a process may be ended at this very moment, so many seconds before the end.
    pub(super) fn may_end_now(&self, s: &ProcessState, end_s: f64, detector: &Detector) -> bool {
        self.may_end_at_all(s, detector) && self.eligibility.may_end(s, end_s, detector)
    }

    /// The same, whatever is left of its pool: the OOM killer is about to take one anyway.
    pub(super) fn may_end_at_all(&self, s: &ProcessState, detector: &Detector) -> bool {
        let is_reloading = || s.parent.is_some_and(|master| self.reloads.contains(master));
        let reloads = matches!(self.eligibility.method(s), Method::Reload(_));
        self.eligibility.may_end_at_all(s, detector)
            && !self.retries.holds(s.id)
            && self.fork_fails(s, detector).is_none()
            && !(reloads && is_reloading())
    }

    /// What its master would do, if forks fail already and it does not outlive that.
    pub(super) fn fork_fails(&self, s: &ProcessState, detector: &Detector) -> Option<&'static str> {
        let FailedFork::Ends(what) = self.server(s).failed_fork else { return None };
        let headroom = detector.headroom(s.root);
        // Under a commit limit a fork is charged with all that its parent has of its own.
        let master = s.parent.and_then(|id| detector.process_state(id)).map_or(0, |p| p.footprint);
        let no_commit = headroom.kind == CeilingKind::Commit && headroom.left < master;
        let no_task = detector.nearest_in_tasks(s.root).is_some_and(|tasks| tasks.left == 0);
        (no_commit || no_task || self.refused_forks.concerns(s.root)).then_some(what)
    }

    /// The forecast of a process's tree, if its memory may end within the lead time of its server.
    fn danger_of(&self, s: &ProcessState, detector: &Detector) -> Option<Forecast> {
        self.memory_danger(s, s.verdict == Verdict::Leaking, detector)
    }

    /// The forecast of a tree whose memory may end within the lead time, on evidence long enough.
    /// How early that is depends on the server whose worker would have to go: on what an end takes
    /// there, and on whether its master outlives a failed fork.
    pub(super) fn memory_danger(
        &self,
        s: &ProcessState,
        is_proven: bool,
        detector: &Detector,
    ) -> Option<Forecast> {
        let danger = Danger::in_bytes(s.root, is_proven, &self.eligibility, detector)?;
        danger.within(self.lead_s(s, is_proven, danger.forecast()))
    }

    /// Seconds before a ceiling is reached at which a process is told to exit.
    fn lead_s(&self, s: &ProcessState, is_proven: bool, forecast: &Forecast) -> f64 {
        let server = self.server(s);
        let early_s = if is_proven { PROVEN_LEAD_S } else { 0.0 };
        let finishing_s = match self.eligibility.method(s) {
            Method::Restart if is_proven => RESTART_LEAD_S,
            Method::Reload(_) => RELOAD_LEAD_S,
            _ => self.last_minute.finishing_lead_s(server.key),
        };
        let lead_s = early_s + finishing_s;
        // RAM refuses no fork: it brings the OOM killer. Where forks fail, everybody's do.
        let fails_forks = forecast.ceiling.effect() == Effect::Enomem;
        let most_s = self.rules().lead_s(server);
        let lead_s = if fails_forks { most_s } else { lead_s.min(most_s) };
        lead_s.max(self.least_lead_s())
    }

    /// The forecast of a tree in which fork may fail within the lead time for want of tasks, on
    /// evidence long enough.
    pub(super) fn task_danger(&self, root: ProcId, detector: &Detector) -> Option<Forecast> {
        let lead_s = self.rules().lead_s.max(self.least_lead_s());
        Danger::in_tasks(root, detector)?.within(lead_s)
    }

    /// The next samples may come as late as the last one did: a check comes every few minutes. One that
    /// stays does not wait for that.
    fn least_lead_s(&self) -> f64 {
        if self.rules().stays { 0.0 } else { LEAST_LEAD_SAMPLES * self.last_minute.gap_s() }
    }
}

pub(super) fn endangering(detector: &Detector) -> impl Iterator<Item = &ProcessState> {
    detector.flagged().filter(|s| s.endangers)
}
