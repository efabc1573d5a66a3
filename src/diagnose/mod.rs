//! Diagnosis: all that was seen, put together service by service: who takes the memory, how sure that
//! is, why the others are cleared, and what would bound it.

pub mod advice;
pub mod cut_names;
pub mod earlier;
pub mod evidence;
pub mod findings;
pub mod grouping;
pub mod heaps;
pub mod leak_figures;
pub mod leak_per_request;
pub mod left_behind;
mod live_servers;
pub mod observer;
pub mod remedy;
pub mod report;
pub mod requests;
pub mod services;
pub mod size_growth;
pub mod size_history;
pub mod work_readings;

use crate::core::balance::sheet::{Sheet, SheetLine};
use crate::core::engine::Engine;
use crate::core::model::ceiling::{Ceiling, CeilingKind, MemoryFailure};
use crate::core::model::event::Severity;
use crate::core::model::sample::{Memory, Sample};
use crate::core::sampling_interval::nearest_end_s;
use crate::diagnose::earlier::series::SeriesSummary;
use crate::diagnose::findings::{LogEvent, Logs, Setup};
use crate::diagnose::heaps::HeapFinding;
use crate::diagnose::left_behind::LeftBehind;
use crate::diagnose::remedy::Remedy;
use crate::diagnose::requests::RequestFinding;
use crate::diagnose::services::service::{Service, ServiceVerdict};
use crate::diagnose::size_history::Point;
use crate::diagnose::work_readings::WorkReadings;

/// What was observed.
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
    /// What was observed.
    pub scope: ObservedScope,
    /// How long was looked.
    pub looked: Looked,
    /// What was seen before.
    pub earlier: Vec<SeriesSummary>,
    /// The machine's memory.
    pub memory: Memory,
    /// The services, the most urgent first.
    pub services: Vec<Service>,
    /// Bytes left of RAM and swap over time.
    pub available: Vec<Point>,
    /// The nearest ceilings, by the share that is left.
    pub ceilings: Vec<Ceiling>,
    /// What the kernel refused or killed within the last minute.
    pub memory_failures: Vec<MemoryFailure>,
    /// What the logs say.
    pub logs: Logs,
    /// What was found in the heaps of the largest processes.
    pub heaps: Vec<HeapFinding>,
    /// Which requests leak, of the servers that hold most.
    pub requests: Vec<RequestFinding>,
    /// What would bound it, for the worst services.
    pub remedies: Vec<Remedy>,
    /// What processes leave behind; nothing in a recording.
    pub left_behind: LeftBehind,
    /// Where the machine's memory is; none of a recording.
    pub sheet: Option<Sheet>,
    /// Where that of the selected processes' cgroups is.
    pub cgroups: Vec<Sheet>,
    /// What could not be seen, and what is lost by it.
    pub unseen: Vec<String>,
    /// How it stands, and so the exit status.
    pub status: Severity,
}

impl Diagnosis {
    /// The services that leak, or very likely do.
    pub fn culprits(&self) -> impl Iterator<Item = &Service> {
        self.services.iter().filter(|service| service.verdict.accuses())
    }

    /// Takes over where memory is. What grows outside processes and ends memory is found like a leak.
    pub fn take_sheets(&mut self, sheet: Sheet, cgroups: Vec<Sheet>) {
        self.unseen.extend(sheet.notes.iter().cloned());
        (self.sheet, self.cgroups) = (Some(sheet), cgroups);
        if self.outside().next().is_some() {
            self.status = self.status.max(Severity::Leak);
        }
    }

    /// Takes over what processes leave behind; what endangers memory or tasks is found like a leak.
    pub fn take_left_behind(&mut self, left: LeftBehind) {
        if left.is_finding() {
            self.status = self.status.max(Severity::Leak);
        }
        self.left_behind = left;
    }

    /// What grows outside processes and ends memory; of selected processes that says nothing.
    pub fn outside(&self) -> impl Iterator<Item = (&Sheet, &SheetLine)> {
        let is_selected = matches!(self.scope, ObservedScope::Selected(_));
        self.sheet
            .iter()
            .filter(move |_| !is_selected)
            .flat_map(|sheet| sheet.findings().into_iter().map(move |line| (sheet, line)))
    }

    /// What is worth a word about the heaps of a service: of the process in which most grew.
    pub fn heap_of(&self, service: &Service) -> Option<&HeapFinding> {
        let accused = service.verdict.accuses() || service.verdict == ServiceVerdict::Suspect;
        let of = self.heaps.iter().filter(|heap| service.roots.contains(&heap.root));
        of.filter(|heap| heap.matters(accused)).max_by_key(|heap| heap.finding.in_use)
    }

    /// Whether anything is proposed that bounds a leak.
    pub fn is_bounding_proposed(&self) -> bool {
        self.remedies.iter().any(Remedy::bounds)
    }

    /// Whether a change is proposed by which the access log of a service names its workers' pids.
    pub fn changes_log_of(&self, service: &Service) -> bool {
        let is_of = |remedy: &&Remedy| remedy.root.as_ref() == service.roots.first();
        self.remedies.iter().filter(is_of).any(|remedy| !remedy.bounds() && !remedy.diff.is_empty())
    }

    /// What was found of the requests of a service.
    pub fn requests_of(&self, service: &Service) -> Option<&RequestFinding> {
        self.requests.iter().find(|found| service.roots.contains(&found.root))
    }

    /// Failures in the logs that belong to a service.
    pub fn log_events_of(&self, service: &Service) -> impl Iterator<Item = &LogEvent> {
        self.logs.log_events.iter().filter(|log_event| {
            let may_be = log_event.uid.is_none_or(|uid| service.may_be_of(uid));
            may_be && service.is_called(&log_event.who)
        })
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
    let flagged = || services.iter().filter(|service| service.verdict.accuses());
    let end_s = nearest_end_s(flagged().filter_map(|service| service.forecast));
    match flagged().next() {
        _ if engine.found() == Severity::Critical => Severity::Critical,
        Some(_) if end_s <= engine.critical_s() => Severity::Critical,
        Some(_) => Severity::Leak,
        None => Severity::Fine,
    }
}

/// What bounds the leak of a service, if it leaks or its workers could outgrow memory.
pub fn remedy(
    service: &Service,
    setup: Option<&Setup>,
    readings: &[WorkReadings],
) -> Option<Remedy> {
    let readings = readings.iter().find(|r| service.roots.contains(&r.root));
    let young =
        service.per_work.map_or(service.size / f64::from(service.workers.max(1)), |p| p.young);
    let headroom = service.headroom;
    let memory = advice::memory(headroom.left, headroom.limit, service.size as u64, young as u64);
    remedy::of(service, setup, readings, memory)
}

/// When memory would end if it went on as the comparison of workers says.
pub fn implied_end_s(service: &Service) -> Option<(f64, f64, f64)> {
    let ServiceVerdict::Likely { rate: Some(rate) } = service.verdict else { return None };
    let per_work = service.per_work?;
    let left = service.headroom.usable();
    let end = |bytes: f64| left / (bytes * rate);
    Some((end(per_work.between.1), end(per_work.bytes), end(per_work.between.0)))
}
