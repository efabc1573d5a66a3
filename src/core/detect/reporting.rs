//! The last steps of one sample: which verdicts and forecasts are news.

use crate::core::detect::Detector;
use crate::core::detect::forecast::last_forecast::LastForecast;
use crate::core::detect::process::Process;
use crate::core::detect::process_state::ProcessState;
use crate::core::detect::sample_clock::SampleTime;
use crate::core::detect::subtree::ChildLeak;
use crate::core::model::ceiling::{CeilingKind, FilledBy};
use crate::core::model::event::Event;
use crate::core::model::forecast::Forecast;
use crate::core::model::memory_line::Nature;
use crate::core::model::process::Comm;
use crate::core::model::verdict::{ClearedReason, Finding, FindingReason, FindingScope, Verdict};

impl Detector {
    /// Reports child leaks that began or ended; not where a subtree below shows the same.
    pub(super) fn report_child_leaks(&mut self, events: &mut Vec<Event>) {
        for slot in &self.parents {
            let Process { state, subtree, .. } = &mut self.processes[*slot];
            let Some(subtree) = subtree else { continue };
            match subtree.child_leak {
                Some(ChildLeak { evidence, forecast, .. })
                    if !subtree.is_reported && !self.totals[*slot].has_child_leak_below =>
                {
                    subtree.is_reported = true;
                    let size = (subtree.footprint, subtree.processes);
                    let finding = tree_finding(state, FindingReason::PileUp, size);
                    let evidence = Some(evidence);
                    events.push(Event::Leak(Finding { evidence, forecast, ..finding }));
                }
                None if subtree.is_reported => {
                    subtree.is_reported = false;
                    events.push(tree_cleared(state, Verdict::Leaking));
                }
                _ => {}
            }
        }
    }

    /// Reports the pools that began to leak or ceased to.
    pub(super) fn report_pools(&self, events: &mut Vec<Event>) {
        for (_, entry) in self.pools.iter().filter(|(_, entry)| entry.changed) {
            let Some(slot) = self.trees.slot(entry.parent) else { continue };
            let Process { state, subtree, .. } = &self.processes[slot];
            let size = subtree.as_ref().map_or((0, 0), |s| (s.footprint, s.processes));
            let finding = || tree_finding(state, FindingReason::Pool, size);
            events.push(match entry.verdict {
                Verdict::Leaking => Event::Leak(finding()),
                Verdict::Growing => Event::Growing(finding()),
                _ => tree_cleared(state, entry.was),
            });
        }
    }

    /// Finds the flagged processes, and joins what leaks by ceiling and tree.
    pub(super) fn join_forecasts(&mut self) {
        self.tree_forecasts.begin();
        self.flagged.clear();
        let verdict = |slot: &usize| self.processes[*slot].state.verdict;
        let present = self.trees.present().iter().map(|(slot, _)| *slot);
        self.flagged.extend(present.filter(|slot| verdict(slot) >= Verdict::Growing));
        for slot in &self.flagged {
            let process = &self.processes[*slot];
            let ProcessState { endangers, root, evidence, .. } = process.state;
            if let Some(exhaustion) = process.exhaustion().filter(|_| endangers) {
                let nearest = self.ceilings.nearest(root);
                let exhaustion = exhaustion.with_freed(nearest.headroom().left);
                self.tree_forecasts.add(root, nearest.id(), &exhaustion);
            }
            if let Some(evidence) = evidence {
                self.pools.count_flagged(process, evidence.slope);
            }
        }
        self.pools.end_count();
    }

    /// Reports leaks, and the forecasts of trees and ceilings, that are news.
    pub(super) fn report_forecasts(&mut self, moment: &SampleTime, events: &mut Vec<Event>) {
        let now_s = self.basis.clock.seconds(moment.now);
        for slot in &self.flagged {
            let process = &mut self.processes[*slot];
            let root = process.state.root;
            let left = self.ceilings.nearest(root).headroom().left;
            process.report(now_s, self.tree_forecasts.of(root, left), events);
        }
        let comm = |root| {
            let slot = self.trees.slot(root);
            slot.map_or(Comm::default(), |slot| self.processes[slot].state.comm)
        };
        self.tree_forecasts.report(now_s, comm, events);
        let has_leak = self.has_tree_leak();
        for (usage, root) in self.ceilings.each() {
            let covered = self.tree_forecasts.covers(usage.id());
            let forecast = usage.trend().map(|exhaustion| exhaustion.forecast());
            let (ceiling, place) = (usage.id().kind, usage.id().place);
            let is_memory = usage.fill() == FilledBy::Footprints
                && (ceiling == CeilingKind::Ram || !place.is_none());
            let cause = forecast.filter(|_| is_memory);
            let cause = cause.and_then(|of| self.uses.cause(place, of.window_s, of.slope));
            // Memory that is taken once and for all looks like this too, and a process that takes
            // it is found to leak by more than that. So a trend without any leak must have gone
            // half the way; where it is known what else grows, by its longest window.
            let is_held = cause.is_some_and(|cause| cause.kind.nature() == Nature::Held);
            let is_half = is_held && usage.way() >= 1.0;
            let is_sure = |forecast: &Forecast| {
                let is_other = usage.fill() != FilledBy::Footprints;
                is_other || has_leak || is_half || forecast.reach() <= 1.0
            };
            let comm = root.map_or(Comm::default(), comm);
            if let Some(forecast) = forecast.filter(|forecast| !covered && is_sure(forecast)) {
                let last = usage.last_reported();
                if let Some(news) = LastForecast::if_news(*last, now_s, Some(&forecast)) {
                    *last = Some(news);
                    events.push(Event::Forecast { root, comm, forecast, cause });
                }
            } else if usage.last_reported().take().is_some() && !covered {
                events.push(Event::ForecastCleared { root, comm, ceiling, place });
            }
        }
    }

    /// Whether a pool leaks, or children of a process do.
    fn has_tree_leak(&self) -> bool {
        let is_reported = |slot: &usize| {
            self.processes[*slot].subtree.as_ref().is_some_and(|subtree| subtree.is_reported)
        };
        self.pools.iter().any(|(_, entry)| entry.grows()) || self.parents.iter().any(is_reported)
    }
}

/// A finding on the tree below a process, as yet without evidence and forecast; `size` is its
/// footprint and its number of processes.
fn tree_finding(state: &ProcessState, why: FindingReason, size: (u64, u32)) -> Finding {
    let ProcessState { id, comm, root, .. } = *state;
    let (footprint, tasks) = size;
    Finding {
        id,
        comm,
        root,
        scope: FindingScope::Tree,
        why,
        footprint,
        tasks,
        evidence: None,
        forecast: None,
        declared: None,
        is_update: false,
    }
}

/// The finding on the tree below a process is withdrawn.
fn tree_cleared(state: &ProcessState, was: Verdict) -> Event {
    let ProcessState { id, comm, root, .. } = *state;
    let why = ClearedReason::GrowthEnded;
    Event::VerdictCleared { id, comm, root, scope: FindingScope::Tree, was, why }
}
