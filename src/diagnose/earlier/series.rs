//! Series: samples from before the live ones, the history of checks or a recording, judged by an engine
//! of its own.
//!
//! Checks come every five minutes or so, live samples last a minute: no engine can take both, since its
//! samples may come no closer than a sixteenth of the planned interval, which would make three of all
//! live samples. So there are two verdicts side by side, and `services::weigh` decides between them.

use crate::core::detect::process_state::ProcessState;
use crate::core::engine::{Engine, EngineSettings};
use crate::core::model::ceiling::Ceiling;
use crate::core::model::process::ProcId;
use crate::core::model::profile::Profile;
use crate::core::model::sample::{Header, Sample};
use crate::diagnose::grouping::{DEEPEST, bytes_beyond_parent, is_apart};
use crate::diagnose::size_history::{Point, TreeSizes};
use std::collections::{BTreeMap, BTreeSet};

/// What the samples are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SeriesSource {
    /// The history of checks of a selection.
    Checks,
    /// A recording.
    Recording,
}

/// What a report says of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct SeriesSummary {
    /// What the samples are of.
    pub source: SeriesSource,
    /// The name of the selection, or of the file; as it was found.
    pub name: String,
    /// Planned seconds between samples.
    pub interval_s: f64,
    /// Samples taken; of those that were joined since, each counts.
    pub samples: u32,
    /// Unix time of the first, and of the last before the live samples.
    pub span: (f64, f64),
    /// Services that it is long enough to judge.
    pub judged: u32,
}

impl SeriesSummary {
    /// Seconds from the first sample to the last, gaps included.
    pub fn span_s(&self) -> f64 {
        self.span.1 - self.span.0
    }
}

/// Samples from before the live ones, judged.
pub struct EarlierSeries {
    summary: SeriesSummary,
    engine: Engine,
    history: TreeSizes,
    /// Time of the newest sample, the live ones included, and its seconds since boot.
    last: (f64, Option<f64>),
    /// Seconds added to a wall clock that was set back since.
    shift_s: f64,
    part: Sample,
}

/// The root of the service that each live process belongs to.
pub type ServiceRoots = BTreeMap<ProcId, ProcId>;

/// Samples that a verdict needs; a series with fewer is not mentioned.
pub const LEAST_SAMPLES: u32 = 12;
/// A series that ended more intervals ago than this does not reach the present.
pub const STALE_INTERVALS: f64 = 12.0;
/// Live samples come no closer than this share of the interval: the engine can take no more.
const CLOSEST: f64 = 1.0 / 16.0;

impl EarlierSeries {
    /// A series before its first sample; `profiles` is what a check would know of programs.
    pub fn new(
        (source, name): (SeriesSource, &str),
        header: &Header,
        settings: EngineSettings,
        profiles: &[Profile],
    ) -> Self {
        let interval_s = header.interval_s;
        let span = (f64::INFINITY, f64::NEG_INFINITY);
        let mut engine = Engine::new(header, settings);
        engine.load_profiles(profiles);
        let name = name.to_owned();
        Self {
            summary: SeriesSummary { source, name, interval_s, samples: 0, span, judged: 0 },
            engine,
            history: TreeSizes::default(),
            last: (f64::NEG_INFINITY, None),
            shift_s: 0.0,
            part: Sample::default(),
        }
    }

    /// Takes in a sample of the past.
    pub fn observe(&mut self, sample: &Sample, roots: &ServiceRoots) {
        let interval_s = self.summary.interval_s;
        let joined = sample.span_s.map_or(1.0, |span_s| (span_s / interval_s).round().max(1.0));
        self.summary.samples = self.summary.samples.saturating_add(joined as u32);
        let begun_t = sample.t - if joined > 1.0 { (joined - 1.0) * interval_s } else { 0.0 };
        self.summary.span = (self.summary.span.0.min(begun_t), sample.t);
        self.take(sample, roots);
    }

    /// Takes in a live sample, if it comes late enough: only the processes of this series, and what
    /// those started.
    pub fn observe_live(&mut self, now: &Sample, roots: &ServiceRoots) {
        let (last_t, last_s) = self.last;
        if now.t + self.shift_s <= last_t {
            let since_s = now.uptime_s.zip(last_s).map(|(now_s, then_s)| now_s - then_s);
            let since_s = since_s.filter(|s| *s > 0.0).unwrap_or(self.summary.interval_s);
            self.shift_s = last_t + since_s - now.t;
        }
        if now.t + self.shift_s - last_t < CLOSEST * self.summary.interval_s {
            return;
        }
        let known: BTreeSet<ProcId> =
            self.engine.detector().process_states().map(|s| s.id).collect();
        let mut part = std::mem::take(&mut self.part);
        part.clone_from(now);
        keep_subtrees(&mut part, &known);
        part.t += self.shift_s;
        self.take(&part, roots);
        self.part = part;
    }

    fn take(&mut self, sample: &Sample, roots: &ServiceRoots) {
        self.engine.observe(sample);
        let engine = &self.engine;
        let states = engine.detector().process_states();
        let sizes = states.map(|s| (root(engine, roots, s), bytes_beyond_parent(engine, s)));
        self.history.push(sample, sizes);
        self.last = (sample.t, sample.uptime_s);
    }

    /// What a report says of it.
    pub fn summary(&self) -> &SeriesSummary {
        &self.summary
    }

    /// Bytes left of RAM and swap, before the live samples.
    fn available(&self) -> Vec<Point> {
        let mut points = self.history.available();
        points.retain(|(t, _)| *t <= self.summary.span.1);
        points
    }

    /// The sizes of some trees together, before the live samples.
    pub(super) fn together(&self, roots: &[ProcId]) -> Vec<Point> {
        let mut points = self.history.together(roots);
        points.retain(|(t, _)| *t <= self.summary.span.1);
        points
    }

    /// The engine that judged it.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// The state of a process in the newest sample.
    pub(super) fn process_state(&self, id: ProcId) -> Option<&ProcessState> {
        self.engine.detector().process_state(id)
    }

    /// Seconds from its newest sample, the live ones included, until then.
    pub(super) fn gap_s(&self, now_t: f64) -> f64 {
        (now_t + self.shift_s - self.last.0).max(0.0)
    }
}

/// The root of the service that a process belongs to: that of the live samples, and of a process that
/// has ended that of its nearest ancestor that lives, unless it was a service by itself.
fn root(engine: &Engine, roots: &ServiceRoots, process: &ProcessState) -> ProcId {
    let mut root = process;
    for _ in 0..DEEPEST {
        if let Some(known) = roots.get(&root.id) {
            return *known;
        }
        let parent = root.parent.and_then(|parent| engine.detector().process_state(parent));
        let Some(parent) = parent.filter(|parent| !is_apart(engine, root, parent)) else {
            break;
        };
        root = parent;
    }
    root.id
}

/// Keeps of a sample the processes that are known and those below them, with their limits.
fn keep_subtrees(sample: &mut Sample, known: &BTreeSet<ProcId>) {
    let parents: BTreeMap<u32, (ProcId, u32)> =
        sample.procs.iter().map(|proc| (proc.id.pid, (proc.id, proc.ppid))).collect();
    let chain = |id: ProcId| {
        let (mut pid, parents) = (id.pid, &parents);
        (0..DEEPEST).map_while(move |_| {
            let (id, ppid) = *parents.get(&pid)?;
            pid = ppid;
            Some(id)
        })
    };
    let kept: BTreeSet<ProcId> = (sample.procs.iter().map(|proc| proc.id))
        .filter(|id| chain(*id).any(|above| known.contains(&above)))
        .collect();
    // A limit over a tree that is known in part is one over that part.
    let is_top = |id: &ProcId| !chain(*id).skip(1).any(|above| kept.contains(&above));
    let tops: Vec<ProcId> = kept.iter().copied().filter(is_top).collect();
    let ceilings = std::mem::take(&mut sample.ceilings);
    for ceiling in ceilings {
        match ceiling.root {
            Some(root) if !kept.contains(&root) => {
                let below = tops.iter().filter(|top| chain(**top).any(|above| above == root));
                let over = |top: &ProcId| Ceiling { root: Some(*top), ..ceiling };
                sample.ceilings.extend(below.map(over));
            }
            _ => sample.ceilings.push(ceiling),
        }
    }
    sample.procs.retain(|proc| kept.contains(&proc.id));
    sample.programs.retain(|program| kept.contains(&program.id));
}

/// Bytes left of RAM and swap: as the longest series saw them, and then the live samples.
pub fn available(all: &[EarlierSeries], live: Vec<Point>) -> Vec<Point> {
    let longest = all.iter().max_by(|a, b| a.summary.span_s().total_cmp(&b.summary.span_s()));
    let mut points = longest.map(EarlierSeries::available).unwrap_or_default();
    let last_t = points.last().map_or(f64::NEG_INFINITY, |(t, _)| *t);
    points.extend(live.into_iter().filter(|(t, _)| *t > last_t));
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::{CeilingKind, Place};
    use crate::core::model::process::{Comm, Proc};

    fn id(pid: u32) -> ProcId {
        ProcId { pid, start: 1 }
    }

    fn proc(pid: u32, ppid: u32) -> Proc {
        let comm = Comm::new(b"app");
        let (rss, anon, swap, cpu_s, threads) = (1, None, 0, 0.0, 1);
        Proc { id: id(pid), ppid, comm, rss, anon, swap, cpu_s, threads }
    }

    fn limit(pid: Option<u32>) -> Ceiling {
        let (kind, place) = (CeilingKind::CgroupMemory, Place::NONE);
        Ceiling { kind, root: pid.map(id), place, used: 1, limit: 2 }
    }

    /// 10 starts 20 and 30; a check saw 20 and what is below it.
    #[test]
    fn of_a_live_sample_the_known_subtrees_stay_with_their_limits() {
        let procs = vec![proc(10, 1), proc(20, 10), proc(21, 20), proc(30, 10), proc(31, 30)];
        let ceilings = vec![limit(None), limit(Some(10)), limit(Some(30))];
        let mut sample = Sample { procs, ceilings, ..Sample::default() };

        keep_subtrees(&mut sample, &BTreeSet::from([id(20), id(99)]));

        let kept: Vec<u32> = sample.procs.iter().map(|proc| proc.id.pid).collect();
        assert_eq!(kept, [20, 21], "21 is new, and 20 started it");
        assert_eq!(sample.ceilings, [limit(None), limit(Some(20))]);
    }

    #[test]
    fn a_clock_that_was_set_back_keeps_the_series_in_order() {
        let hostname = String::new();
        let header = Header { interval_s: 300.0, clock_ticks: 100, page_size: 4096, hostname };
        let settings = EngineSettings {
            max_extrapolation: 6.0,
            rules: crate::core::decide::rules::Rules::default(),
        };
        let mut earlier = EarlierSeries::new((SeriesSource::Checks, "x"), &header, settings, &[]);
        let sample = |t: f64, uptime_s: f64| Sample {
            t,
            uptime_s: Some(uptime_s),
            procs: vec![proc(10, 1)],
            ..Sample::default()
        };
        earlier.observe(&sample(5000.0, 1000.0), &ServiceRoots::new());
        earlier.observe_live(&sample(1100.0, 1100.0), &ServiceRoots::new());
        assert_eq!(earlier.last.0, 5100.0, "100 s by the time since boot");
        earlier.observe_live(&sample(1110.0, 1110.0), &ServiceRoots::new());
        assert_eq!(earlier.last.0, 5100.0, "closer than a sixteenth of the interval");
        assert_eq!(earlier.summary().span, (5000.0, 5000.0), "live samples do not extend it");
    }
}
