//! Diagnosis: all that was seen, put together service by service: who takes the memory, how sure that
//! is, why the others are cleared, and what would bound it.

pub mod advice;
pub mod cut_names;
pub mod earlier_series;
pub mod evidence;
pub mod findings;
pub mod histories;
pub mod history;
pub mod leak_per_request;
pub mod observer;
pub mod remedy;
pub mod report;
pub mod service;
mod weigh;

use crate::core::engine::Engine;
use crate::core::model::ceiling::{Ceiling, CeilingKind, MemoryFailure};
use crate::core::model::event::Severity;
use crate::core::model::process::ProcId;
use crate::core::model::sample::{Memory, Sample};
use crate::core::sampling_interval::nearest_end_s;
use crate::diagnose::earlier_series::{About, EarlierSeries};
use crate::diagnose::findings::{Logs, Setup, WorkUnit};
use crate::diagnose::history::{Point, SizeHistory};
use crate::diagnose::leak_per_request::{PerWork, Worker};
use crate::diagnose::remedy::Remedy;
use crate::diagnose::service::{Case, Service};
use std::collections::BTreeMap;

/// What was read of the work of a master's workers.
#[derive(Clone, Debug, PartialEq)]
pub struct Readings {
    /// The root of the tree.
    pub root: ProcId,
    /// The master, whose children the workers are: the root, or below it.
    pub master: ProcId,
    /// What is counted.
    pub unit: WorkUnit,
    /// Where it was read.
    pub source: String,
    /// The workers at the first look; none where there was but one.
    pub before: Vec<Worker>,
    /// The workers at the last look.
    pub after: Vec<Worker>,
    /// Seconds between the two.
    pub span_s: f64,
    /// Requests that a connection carries, where that could be seen.
    pub per_connection: Option<f64>,
    /// Bytes that the master holds: what workers have in common with it, at most.
    pub master_own: f64,
}

impl Readings {
    /// Work a second between the two looks. What workers did that ended in between is not known: where
    /// there are such, all are taken to have done as much as those that stayed.
    pub fn rate(&self) -> Option<f64> {
        if self.before.is_empty() || self.span_s < 1.0 {
            return None;
        }
        let then = |now: &Worker| self.before.iter().find(|then| then.pid == now.pid);
        let stayed = || self.after.iter().filter_map(|now| Some(now.done - then(now)?.done));
        let count = stayed().count();
        if count > 0 && count < self.before.len() {
            let mean = stayed().sum::<f64>() / count as f64;
            return Some(mean * self.before.len() as f64 / self.span_s);
        }
        let done = |now: &Worker| now.done - then(now).map_or(0.0, |then| then.done);
        Some(self.after.iter().map(done).sum::<f64>() / self.span_s)
    }

    /// Counts in requests what was counted in waits, where it is known how many were answered a second.
    pub fn count_requests(&mut self, per_s: f64) {
        let Some(waits) = self.rate().filter(|_| self.unit == WorkUnit::Waits) else { return };
        let each = waits / per_s;
        // Of a request a worker waits for at least; less says that the two do not belong together.
        if !each.is_finite() || each < 0.5 {
            return;
        }
        for worker in self.before.iter_mut().chain(&mut self.after) {
            worker.done /= each;
        }
        self.unit = WorkUnit::Requests;
        self.source = format!("connections closed, {each:.1} waits each");
    }

    /// What a unit of work leaves behind: by growth that was watched, else by comparison.
    pub fn per_work(&self) -> Option<PerWork> {
        leak_per_request::watched(&self.before, &self.after, self.unit)
            .or_else(|| leak_per_request::compared(&self.after, self.unit))
    }
}

/// What was gathered.
pub struct Observation<'a> {
    /// Unix time of the last sample.
    pub t: f64,
    /// The engine that has seen all samples.
    pub engine: &'a Engine,
    /// How sizes went.
    pub history: &'a SizeHistory,
    /// What was seen before the look.
    pub earlier: &'a [EarlierSeries],
    /// Units of roots, where they have one.
    pub units: &'a BTreeMap<ProcId, String>,
    /// Names of executables, of processes whose own names are no help.
    pub programs: &'a BTreeMap<ProcId, String>,
    /// Work of workers.
    pub readings: &'a [Readings],
    /// The last sample's memory.
    pub memory: Memory,
}

/// What was looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum ObservedScope {
    /// All that runs here.
    #[default]
    Machine,
    /// What was asked for, in the words for it: "pattern 'apache2'".
    Selected(String),
    /// What a recording has.
    Recording,
}

/// How long was looked.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Looked {
    /// Seconds of looking now.
    pub live_s: f64,
    /// Seconds of a recording that is judged alone, gaps included.
    pub history_s: f64,
    /// Samples of the look, or of that recording.
    pub samples: u32,
}

/// What was found out.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnosis {
    /// Unix time of the last look.
    pub t: f64,
    /// The machine's name and what it is.
    pub host: (String, String),
    /// Seconds since boot, where known.
    pub uptime_s: Option<f64>,
    /// What was looked at.
    pub scope: ObservedScope,
    /// How long was looked.
    pub looked: Looked,
    /// What was seen before.
    pub earlier: Vec<About>,
    /// The machine's memory.
    pub memory: Memory,
    /// The services, worst first.
    pub services: Vec<Service>,
    /// Bytes left of RAM and swap over time.
    pub available: Vec<Point>,
    /// The nearest ceilings, by the share that is left.
    pub ceilings: Vec<Ceiling>,
    /// What the kernel refused or killed within the last minute.
    pub memory_failures: Vec<MemoryFailure>,
    /// What the logs say.
    pub logs: Logs,
    /// What would bound it, for the worst services.
    pub remedies: Vec<Remedy>,
    /// What could not be seen, and what is lost by it.
    pub unseen: Vec<String>,
    /// How it stands, and so the exit status.
    pub status: Severity,
}

impl Diagnosis {
    /// The services that leak, or very likely do.
    pub fn culprits(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| service.case.accuses())
    }

    /// Failures in the logs that belong to a service.
    pub fn traces_of(
        &self,
        service: &Service,
    ) -> impl Iterator<Item = &crate::diagnose::findings::LogEvent> {
        self.logs.log_events.iter().filter(|log_event| service.is_called(&log_event.who))
    }
}

/// Ceilings that are shown, if no more than this share of them is left.
const MOST_CEILINGS: usize = 4;
const NEAR: f64 = 0.9;

/// The nearest ceilings of a sample by the share that is left, RAM among them.
pub fn nearest(sample: &Sample) -> Vec<Ceiling> {
    let share = |c: &Ceiling| c.headroom() as f64 / (c.limit as f64).max(1.0);
    let mut all: Vec<Ceiling> = Vec::new();
    for ceiling in sample.memory.ceilings().chain(sample.ceilings.iter().copied()) {
        // A place over several trees is listed once for each.
        let same = |c: &Ceiling| (c.kind, c.place) == (ceiling.kind, ceiling.place);
        if !all.iter().any(|known| same(known) && known.limit == ceiling.limit) {
            all.push(ceiling);
        }
    }
    all.sort_by(|a, b| share(a).total_cmp(&share(b)));
    let mut nth = 0;
    all.retain(|ceiling| {
        nth += 1;
        (nth <= MOST_CEILINGS && share(ceiling) <= NEAR) || ceiling.kind == CeilingKind::Ram
    });
    all
}

/// How it stands: a leak where a service is accused, also by its workers' sizes at one look or by what
/// was seen before; critical as the engine has it, or where the end of an accused one is that near.
/// What has ended is no leak of now, and compilers end.
pub fn status(engine: &Engine, services: &[Service]) -> Severity {
    let flagged = || services.iter().filter(|service| service.case.accuses());
    let end_s = nearest_end_s(flagged().filter_map(|service| service.forecast));
    match flagged().next() {
        _ if engine.found() == Severity::Critical => Severity::Critical,
        Some(_) if end_s <= engine.lead_s() => Severity::Critical,
        Some(_) => Severity::Leak,
        None => Severity::Fine,
    }
}

/// What bounds the leak of a service, if it leaks or its workers could outgrow memory.
pub fn remedy(service: &Service, setup: Option<&Setup>, readings: &[Readings]) -> Option<Remedy> {
    let readings = readings.iter().find(|r| service.roots.contains(&r.root));
    let young =
        service.per_work.map_or(service.own / f64::from(service.workers.max(1)), |p| p.young);
    let headroom = service.headroom;
    let memory = advice::memory(headroom.left, headroom.limit, service.own as u64, young as u64);
    remedy::of(service, setup, readings, memory)
}

/// When memory would end if it went on as the comparison of workers says.
pub fn implied_end_s(service: &Service) -> Option<(f64, f64, f64)> {
    let Case::Likely { rate: Some(rate) } = service.case else { return None };
    let per_work = service.per_work?;
    let left = service.headroom.usable();
    let end = |bytes: f64| left / (bytes * rate);
    Some((end(per_work.between.1), end(per_work.bytes), end(per_work.between.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Eight workers that wait 88 times a second each, for ten seconds, of which so many ended.
    fn waiting(ended: u32) -> Readings {
        let worker = |pid: u32, done: f64| Worker { pid, own: 1e6, done };
        let id = ProcId { pid: 1, start: 1 };
        Readings {
            root: id,
            master: id,
            unit: WorkUnit::Waits,
            source: String::new(),
            before: (0..8).map(|pid| worker(pid, 1000.0)).collect(),
            after: (0..8)
                .map(|pid| if pid < ended { worker(100 + pid, 300.0) } else { worker(pid, 1880.0) })
                .collect(),
            span_s: 10.0,
            per_connection: None,
            master_own: 0.0,
        }
    }

    #[test]
    fn waits_become_requests_where_those_were_counted() {
        let mut readings = waiting(0);
        readings.count_requests(80.0);
        assert_eq!((readings.unit, readings.rate()), (WorkUnit::Requests, Some(80.0)));
        // Of 8.8 waits each.
        assert!((readings.after[0].done - 1880.0 / 8.8).abs() < 1e-9);
    }

    #[test]
    fn fewer_waits_than_requests_belong_to_something_else() {
        let mut readings = waiting(0);
        readings.count_requests(5000.0);
        assert_eq!((readings.unit, readings.rate()), (WorkUnit::Waits, Some(704.0)));
    }

    #[test]
    fn what_workers_did_that_ended_is_not_lost() {
        assert_eq!(waiting(0).rate(), Some(704.0));
        assert_eq!(waiting(5).rate(), Some(704.0));
        assert_eq!(waiting(8).rate(), Some(240.0), "nobody stayed: what the new ones did");
    }
}
