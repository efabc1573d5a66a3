//! Earlier: what was seen before the look: the histories of checks, or a recording, each judged by an
//! engine of its own.
//!
//! Checks come every five minutes or so, a look takes a minute: no engine can take both, since its
//! samples may come no closer than a sixteenth of what it was planned for, which would make three of
//! a look. So there are two judgements side by side; `known` weighs them.

use super::history::{Point, SizeHistory};
use super::service;
use super::service::{Service, own};
use crate::core::detect::process_state::ProcessState;
use crate::core::engine::{Engine, EngineSettings};
use crate::core::model::ceiling::Ceiling;
use crate::core::model::process::ProcId;
use crate::core::model::profile::Profile;
use crate::core::model::sample::{Header, Sample};
use std::collections::{BTreeMap, BTreeSet};

/// What the samples are of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The history of checks of a selection.
    Checks,
    /// A recording.
    Recording,
}

/// What is told of a series.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// What the samples are of.
    pub source: Source,
    /// The name of the selection, or of the file; as it was found.
    pub name: String,
    /// Seconds between samples, as planned.
    pub interval_s: f64,
    /// Samples that were taken; those that were joined since are counted each.
    pub samples: u32,
    /// Unix time of the first, and of the last before the look.
    pub span: (f64, f64),
    /// Services that it is long enough to judge.
    pub judged: u32,
}

impl About {
    /// Seconds from the first sample to the last, gaps included.
    pub fn span_s(&self) -> f64 {
        self.span.1 - self.span.0
    }
}

/// A series from before the look, judged.
pub struct EarlierSeries {
    about: About,
    engine: Engine,
    history: SizeHistory,
    /// Time of the newest sample, those of the look included.
    last: (f64, Option<f64>),
    /// What is added to the wall clock, which was set back since.
    shift_s: f64,
    part: Sample,
}

/// Of which tree each process of the look is a part: its top there.
pub type Tops = BTreeMap<ProcId, ProcId>;

/// Samples that a verdict needs; a series with fewer is not worth a word.
pub const LEAST: u32 = 12;
/// A series that ended so many intervals ago does not go on until now.
pub const OLD: f64 = 12.0;
/// Samples of the look come no closer than this share of the interval: the engine can take no more.
const CLOSEST: f64 = 1.0 / 16.0;
/// How far up a chain of parents is followed.
const DEEPEST: usize = 64;

impl EarlierSeries {
    /// Before its first sample; `profiles` is what a check would know of programs.
    pub fn new(
        (source, name): (Source, &str),
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
            about: About { source, name, interval_s, samples: 0, span, judged: 0 },
            engine,
            history: SizeHistory::default(),
            last: (f64::NEG_INFINITY, None),
            shift_s: 0.0,
            part: Sample::default(),
        }
    }

    /// Takes in a sample of the past.
    pub fn observe(&mut self, sample: &Sample, tops: &Tops) {
        let interval_s = self.about.interval_s;
        let joined = sample.span_s.map_or(1.0, |span_s| (span_s / interval_s).round().max(1.0));
        self.about.samples = self.about.samples.saturating_add(joined as u32);
        let begun_t = sample.t - if joined > 1.0 { (joined - 1.0) * interval_s } else { 0.0 };
        self.about.span = (self.about.span.0.min(begun_t), sample.t);
        self.take(sample, tops);
    }

    /// Takes in a sample of the look, if it comes late enough: of that only what the series is about,
    /// and what that started.
    pub fn go_on(&mut self, now: &Sample, tops: &Tops) {
        let (last_t, last_s) = self.last;
        if now.t + self.shift_s <= last_t {
            let since_s = now.uptime_s.zip(last_s).map(|(now_s, then_s)| now_s - then_s);
            let since_s = since_s.filter(|s| *s > 0.0).unwrap_or(self.about.interval_s);
            self.shift_s = last_t + since_s - now.t;
        }
        if now.t + self.shift_s - last_t < CLOSEST * self.about.interval_s {
            return;
        }
        let known: BTreeSet<ProcId> =
            self.engine.detector().process_states().map(|s| s.id).collect();
        let mut part = std::mem::take(&mut self.part);
        part.clone_from(now);
        cut(&mut part, &known);
        part.t += self.shift_s;
        self.take(&part, tops);
        self.part = part;
    }

    fn take(&mut self, sample: &Sample, tops: &Tops) {
        self.engine.observe(sample);
        let engine = &self.engine;
        let sizes =
            engine.detector().process_states().map(|s| (top(engine, tops, s), own(engine, s)));
        self.history.push(sample, sizes);
        self.last = (sample.t, sample.uptime_s);
    }

    /// What is told of it.
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Bytes left of RAM and swap, before the look.
    fn available(&self) -> Vec<Point> {
        let mut points = self.history.available();
        points.retain(|(t, _)| *t <= self.about.span.1);
        points
    }

    /// The sizes of some trees together, before the look.
    pub(super) fn together(&self, tops: &[ProcId]) -> Vec<Point> {
        let mut points = self.history.together(tops);
        points.retain(|(t, _)| *t <= self.about.span.1);
        points
    }

    /// The engine that judged it.
    pub(super) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// How one stood in the newest sample.
    pub(super) fn process_state(&self, id: ProcId) -> Option<&ProcessState> {
        self.engine.detector().process_state(id)
    }

    /// Seconds from its newest sample, those of the look included, until then.
    pub(super) fn gap_s(&self, now_t: f64) -> f64 {
        (now_t + self.shift_s - self.last.0).max(0.0)
    }
}

/// The top of a process: as the look has it, and of one that is gone by now that of the nearest of its
/// ancestors that is there, unless it was a service by itself.
fn top(engine: &Engine, tops: &Tops, of: &ProcessState) -> ProcId {
    let mut top = of;
    for _ in 0..DEEPEST {
        if let Some(known) = tops.get(&top.id) {
            return *known;
        }
        let parent = top.parent.and_then(|parent| engine.detector().process_state(parent));
        let Some(parent) = parent.filter(|parent| !service::is_apart(engine, top, parent)) else {
            break;
        };
        top = parent;
    }
    top.id
}

/// Leaves of a sample the processes that are known and those below them, with their limits.
fn cut(sample: &mut Sample, known: &BTreeSet<ProcId>) {
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

/// What is told of series by which these services were judged.
pub fn told(all: &[EarlierSeries], services: &[Service]) -> Vec<About> {
    let told = |(index, earlier): (usize, &EarlierSeries)| {
        let by_it =
            services.iter().filter(|s| s.before.is_some_and(|before| before.index == index));
        About { judged: by_it.count() as u32, ..earlier.about.clone() }
    };
    all.iter().enumerate().map(told).collect()
}

/// Bytes left of RAM and swap: as the longest series saw them, and then the look.
pub fn available(all: &[EarlierSeries], look: Vec<Point>) -> Vec<Point> {
    let longest = all.iter().max_by(|a, b| a.about.span_s().total_cmp(&b.about.span_s()));
    let mut points = longest.map(EarlierSeries::available).unwrap_or_default();
    let last_t = points.last().map_or(f64::NEG_INFINITY, |(t, _)| *t);
    points.extend(look.into_iter().filter(|(t, _)| *t > last_t));
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
    fn of_a_look_only_what_the_series_is_about_is_kept_with_the_limits_over_it() {
        let procs = vec![proc(10, 1), proc(20, 10), proc(21, 20), proc(30, 10), proc(31, 30)];
        let ceilings = vec![limit(None), limit(Some(10)), limit(Some(30))];
        let mut sample = Sample { procs, ceilings, ..Sample::default() };

        cut(&mut sample, &BTreeSet::from([id(20), id(99)]));

        let kept: Vec<u32> = sample.procs.iter().map(|proc| proc.id.pid).collect();
        assert_eq!(kept, [20, 21], "21 is new, and 20 started it");
        assert_eq!(sample.ceilings, [limit(None), limit(Some(20))]);
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_the_series_in_order() {
        let hostname = String::new();
        let header = Header { interval_s: 300.0, clock_ticks: 100, page_size: 4096, hostname };
        let settings = EngineSettings {
            max_extrapolation: 6.0,
            rules: crate::core::decide::policy::Rules::default(),
        };
        let mut earlier = EarlierSeries::new((Source::Checks, "x"), &header, settings, &[]);
        let sample = |t: f64, uptime_s: f64| Sample {
            t,
            uptime_s: Some(uptime_s),
            procs: vec![proc(10, 1)],
            ..Sample::default()
        };
        earlier.observe(&sample(5000.0, 1000.0), &Tops::new());
        earlier.go_on(&sample(1100.0, 1100.0), &Tops::new());
        assert_eq!(earlier.last.0, 5100.0, "100 s by the time since boot");
        earlier.go_on(&sample(1110.0, 1110.0), &Tops::new());
        assert_eq!(earlier.last.0, 5100.0, "closer than a sixteenth of the interval");
        assert_eq!(earlier.about().span, (5000.0, 5000.0), "the look is not what was before it");
    }
}
