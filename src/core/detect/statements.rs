//! What is said of a process: that it grows or leaks, and that it no longer does.

use std::num::NonZeroU64;

use crate::core::detect::forecast::last_forecast::LastForecast;
use crate::core::detect::growth_record::{GrowthRecord, ReportedVerdict};
use crate::core::detect::process::Process;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::event::Event;
use crate::core::model::forecast::Forecast;
use crate::core::model::verdict::{ClearedReason, Finding, FindingReason, FindingScope, Verdict};

/// Seconds for which a verdict must be less than what was said before that is withdrawn. Near the end
/// windows of a few seconds decide: of workers with requests of 4 s GROWING and CLEARED took turns
/// every 1 to 3 s, 29 times in 72 s.
const LESS_S: f64 = 10.0;

impl Process {
    /// It is gone; its verdicts are withdrawn.
    pub fn exited(&mut self, events: &mut Vec<Event>) {
        let threads = self.threads.take().is_some_and(|threads| threads.last_reported.is_some());
        let reported = self.growth_record().reported.map(|reported| reported.verdict);
        let leaked = self.leak.take().is_some() || threads || reported == Some(Verdict::Leaking);
        let grew = self.long_growth.take().is_some();
        let was = if leaked { Verdict::Leaking } else { Verdict::Growing };
        if leaked || grew && reported.is_some() {
            let why = if self.ordered { ClearedReason::Ended } else { ClearedReason::Exited };
            events.push(self.cleared(was, why));
        }
    }

    /// Reports that an earlier statement has not held for a while.
    pub(super) fn report_cleared(&mut self, now_s: f64, events: &mut Vec<Event>) {
        let verdict = self.state.verdict;
        let Some(record) = &mut self.growth_record else { return };
        let is_over = |reported: &mut ReportedVerdict| {
            if verdict >= reported.verdict {
                reported.less_since_s = None;
                return false;
            }
            now_s - *reported.less_since_s.get_or_insert(now_s) >= LESS_S
        };
        if let Some(reported) = record.reported.take_if(is_over) {
            events.push(self.cleared(reported.verdict, ClearedReason::GrowthEnded));
        }
    }

    /// Reports that it grows or leaks, when that is new or the end of memory has moved: by the
    /// forecast of all that grows under its ceiling.
    pub fn report(&mut self, now_s: f64, of_tree: Option<Forecast>, events: &mut Vec<Event>) {
        let ProcessState { verdict, endangers, .. } = self.state;
        let found = match verdict {
            Verdict::Leaking => self.leak.as_ref(),
            _ => self.long_growth.as_ref(),
        };
        let suspected = self.suspicion.map_or(FindingReason::Patient, |found| found.why);
        let why = found.map_or(suspected, |found| found.why);
        let GrowthRecord { exhaustion, reported, .. } = self.growth_record();
        let own = || exhaustion.map(|exhaustion| exhaustion.forecast());
        let of_tree = of_tree.filter(|_| exhaustion.is_some());
        let forecast = if endangers { of_tree } else { own() };
        let before = reported.filter(|reported| reported.verdict == verdict);
        // More was said, and that is not withdrawn yet.
        if reported.is_some_and(|reported| reported.verdict > verdict) {
            return;
        }
        // A growth that is short as yet is said once: its end moves with every sample.
        if before.is_some() && !endangers && verdict == Verdict::Growing {
            return;
        }
        let last = before.map(|reported| reported.last);
        if let Some(last) = LastForecast::if_news(last, now_s, forecast.as_ref()) {
            self.growth_record.get_or_insert_default().reported =
                Some(ReportedVerdict { verdict, last, less_since_s: None });
            let finding = Finding { is_update: before.is_some(), ..self.finding(why, forecast) };
            events.push(match verdict {
                Verdict::Leaking => Event::Leak(finding),
                _ => Event::Growing(finding),
            });
        }
    }

    pub(super) fn finding(&self, why: FindingReason, forecast: Option<Forecast>) -> Finding {
        let ProcessState { id, comm, root, footprint, threads, evidence, .. } = self.state;
        Finding {
            id,
            comm,
            root,
            scope: FindingScope::Process,
            why,
            footprint,
            tasks: threads,
            evidence,
            forecast,
            declared: self.declared.map(NonZeroU64::get),
            is_update: false,
        }
    }

    pub(super) fn cleared(&self, was: Verdict, why: ClearedReason) -> Event {
        let ProcessState { id, comm, root, .. } = self.state;
        Event::VerdictCleared { id, comm, root, scope: FindingScope::Process, was, why }
    }
}
