//! Diagnosis: all that was seen, put together service by service: who takes the memory, how sure that
//! is, why the others are cleared, and what would bound it.

pub mod cure;
pub mod earlier;
pub mod history;
mod known;
pub mod service;
pub mod work;

use crate::advice;
use crate::assessment::Status;
use crate::ceiling::{Ceiling, CeilingKind, Sign};
use crate::diagnosis::cure::Cure;
use crate::diagnosis::earlier::{About, Earlier};
use crate::diagnosis::history::{History, Point};
use crate::diagnosis::service::{Case, Service};
use crate::diagnosis::work::{PerWork, Worker};
use crate::engine::Engine;
use crate::facts::{Logs, Setup, WorkUnit};
use crate::pace::nearest_end_s;
use crate::sample::{Memory, ProcId, Sample};
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
}

impl Readings {
    /// Work a second between the two looks, of the workers that were there at both and of those that
    /// came.
    pub fn rate(&self) -> Option<f64> {
        if self.before.is_empty() || self.span_s < 1.0 {
            return None;
        }
        let done = |now: &Worker| {
            let then = self.before.iter().find(|then| then.pid == now.pid);
            now.done - then.map_or(0.0, |then| then.done)
        };
        Some(self.after.iter().map(done).sum::<f64>() / self.span_s)
    }

    /// What a unit of work leaves behind: by growth that was watched, else by comparison.
    pub fn per_work(&self) -> Option<PerWork> {
        work::watched(&self.before, &self.after, self.unit)
            .or_else(|| work::compared(&self.after, self.unit))
    }
}

/// What was gathered.
pub struct Gathered<'a> {
    /// Unix time of the last sample.
    pub t: f64,
    /// The engine that has seen all samples.
    pub engine: &'a Engine,
    /// How sizes went.
    pub history: &'a History,
    /// What was seen before the look.
    pub earlier: &'a [Earlier],
    /// Units of roots, where they have one.
    pub units: &'a BTreeMap<ProcId, String>,
    /// Names of executables, of processes whose own names are no help.
    pub programs: &'a BTreeMap<ProcId, String>,
    /// Work of workers.
    pub readings: &'a [Readings],
    /// The last sample's memory.
    pub memory: Memory,
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
    pub signs: Vec<Sign>,
    /// What the logs say.
    pub logs: Logs,
    /// What would bound it, for the worst services.
    pub cures: Vec<Cure>,
    /// What could not be seen, and what is lost by it.
    pub unseen: Vec<String>,
    /// How it stands, and so the exit status.
    pub status: Status,
}

impl Diagnosis {
    /// The services that leak, or very likely do.
    pub fn culprits(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| service.case.accuses())
    }

    /// Failures in the logs that belong to a service.
    pub fn traces_of(&self, service: &Service) -> impl Iterator<Item = &crate::facts::Trace> {
        self.logs.traces.iter().filter(|trace| service.is_called(&trace.who))
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

/// How it stands: what the engine found, and a leak also where workers' sizes tell it at one look, or
/// what was seen before does.
pub fn status(engine: &Engine, services: &[Service]) -> Status {
    let accused = || services.iter().filter(|service| service.case.accuses());
    let end_s = nearest_end_s(accused().filter_map(|service| service.forecast));
    let least = match accused().next() {
        Some(_) if end_s <= engine.lead_s() => Status::Critical,
        Some(_) => Status::Leak,
        None => Status::Fine,
    };
    engine.found().max(least)
}

/// What bounds the leak of a service, if it leaks or its workers could outgrow memory.
pub fn cure(service: &Service, setup: Option<&Setup>, readings: &[Readings]) -> Option<Cure> {
    let readings = readings.iter().find(|r| service.roots.contains(&r.root));
    let young =
        service.per_work.map_or(service.own / f64::from(service.workers.max(1)), |p| p.young);
    let headroom = service.headroom;
    let memory = advice::memory(headroom.left, headroom.limit, service.own as u64, young as u64);
    cure::of(service, setup, readings, memory)
}

/// When memory would end if it went on as the comparison of workers says.
pub fn implied_end_s(service: &Service) -> Option<(f64, f64, f64)> {
    let Case::Likely { rate: Some(rate) } = service.case else { return None };
    let per_work = service.per_work?;
    let left = service.headroom.usable();
    let end = |bytes: f64| left / (bytes * rate);
    Some((end(per_work.between.1), end(per_work.bytes), end(per_work.between.0)))
}
