//! Process: what the detector keeps of one living process, and how its verdict comes and goes.

use crate::core::detect::ceilings::forecast;
use crate::core::detect::ceilings::forecast::Exhaustion;
use crate::core::detect::ceilings::tree_forecasts::LastForecast;
use crate::core::detect::constants::FINE;
use crate::core::detect::earlier_runs::EarlierRuns;
use crate::core::detect::explanation::{EarlierRunMatch, Explanation, StandingVerdict, WindowRow};
use crate::core::detect::process_state::{ProcessState, RecentFootprints};
use crate::core::detect::sample_clock::{SampleTime, block};
use crate::core::detect::series::block_minima::{FullWindow, GrowthWindow, Series, TestThresholds};
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::window::GrowthShape;
use crate::core::detect::short_lived::PoolMember;
use crate::core::detect::subtree::Subtree;
use crate::core::detect::threads::ThreadSeries;
use crate::core::detect::tree::TreeNode;
use crate::core::detect::verdict::{JudgeContext, ProcessLife};
use crate::core::model::assessment::{
    ClearedReason, Event, Finding, FindingReason, FindingScope, Forecast, Verdict,
};
use crate::core::model::sample::{Comm, Proc};

/// One living process.
pub struct Process {
    /// What others may read.
    pub standing: ProcessState,
    /// Its age in finest blocks since first sight.
    pub watched: u64,
    /// CPU use in cores since the sample before.
    pub load: f64,
    /// Bytes grown since the sample before.
    pub grown: f64,
    /// Whether it was ordered to end.
    pub ordered: bool,
    /// Its highest footprint.
    pub peak: u64,
    /// Its footprint when its start-up was over (third sample).
    pub settled: Option<u64>,
    /// Its name and its parent's, for earlier runs.
    pub parent_comm: Option<Comm>,
    /// Its pool, and where it stands in it.
    pub member: Option<(usize, PoolMember)>,
    /// Its tree's series, once it has children.
    pub subtree: Option<Box<Subtree>>,
    /// When memory ends by its growth, if it grows.
    pub ends: Option<Exhaustion>,
    /// How many times its growth all siblings that grow alike made up when it was last judged.
    pub crowd: f64,
    cpu_s: f64,
    track: Box<Series>,
    /// Its threads, once their number changed.
    threads: Option<Box<ThreadSeries>>,
    conviction: Option<ActiveVerdict>,
    suspicion: Option<(Verdict, u64)>,
    was_convicted: bool,
}

/// A conviction holds until half its window after the last success.
struct ActiveVerdict {
    why: FindingReason,
    until: u64,
    told: Option<LastForecast>,
}

impl Process {
    /// A process at first sight.
    pub fn new(proc: &Proc, page_size: f64) -> Self {
        let footprint = proc.footprint();
        let standing = ProcessState {
            id: proc.id,
            comm: proc.comm,
            parent: None,
            parent_alive: false,
            root: proc.id,
            children: 0,
            footprint,
            first_footprint: footprint,
            rss: proc.rss,
            age_s: 0.0,
            samples: 0,
            verdict: Verdict::New,
            evidence: None,
            kill_evidence: None,
            threads: proc.threads,
            thread_leak: None,
            idle_s: 0.0,
            recent: RecentFootprints::default(),
        };
        Self {
            standing,
            watched: 0,
            load: 0.0,
            grown: 0.0,
            peak: 0,
            settled: None,
            parent_comm: None,
            member: None,
            subtree: None,
            ends: None,
            crowd: 1.0,
            cpu_s: proc.cpu_s,
            track: Box::new(Series::new(page_size)),
            threads: None,
            conviction: None,
            suspicion: None,
            was_convicted: false,
            ordered: false,
        }
    }

    /// Its age in planned intervals since first sight.
    pub fn intervals(&self) -> f64 {
        self.watched as f64 / block(FINE) as f64
    }

    /// Takes in what a sample says of it.
    pub fn update(
        &mut self,
        proc: &Proc,
        node: &TreeNode,
        parent_alive: bool,
        t: f64,
        moment: &SampleTime,
    ) {
        let Self { standing, .. } = self;
        let footprint = proc.footprint();
        self.load = ((proc.cpu_s - self.cpu_s) / moment.step_s).max(0.0);
        self.cpu_s = proc.cpu_s;
        self.grown = footprint as f64 - standing.footprint as f64;
        self.peak = self.peak.max(footprint);
        self.watched += moment.step();
        standing.samples = standing.samples.saturating_add(moment.samples());
        if standing.samples >= 3 && self.settled.is_none() {
            self.settled = Some(footprint);
        }
        standing.comm = proc.comm;
        standing.parent = node.parent;
        standing.parent_alive = parent_alive;
        standing.root = node.root;
        standing.children = node.children;
        standing.footprint = footprint;
        standing.rss = proc.rss;
        // Not before it was first seen, and after a late look no faster than time goes.
        let since_s = standing.recent.points().last().map_or(0.0, |(last_t, _)| t - last_t);
        let idle_s = standing.idle_s + since_s.clamp(0.0, moment.step_s);
        standing.idle_s = if self.load > 0.0 { 0.0 } else { idle_s };
        standing.recent.push(t, footprint);
        if standing.threads != proc.threads {
            self.threads.get_or_insert_default();
        }
        standing.threads = proc.threads;
    }

    /// Judges its threads; `scale` has the nearest ceiling on tasks.
    pub fn judge_threads(
        &mut self,
        moment: &SampleTime,
        thresholds: &TestThresholds,
        scale: &JudgeContext<'_>,
        windows: &mut Vec<GrowthWindow>,
        events: &mut Vec<Event>,
    ) {
        let life = self.life();
        let Some(threads) = &mut self.threads else { return };
        threads.judge(moment, (self.standing.threads, self.load), thresholds, scale, life, windows);
        let leak = threads.leak;
        self.standing.thread_leak = leak.map(|leak| leak.evidence);
        match leak {
            Some(leak) => {
                let now_s = scale.clock.seconds(moment.now);
                if let Some(told) = LastForecast::anew(threads.told, now_s, leak.forecast.as_ref())
                {
                    let again = threads.told.replace(told).is_some();
                    let (evidence, forecast) = (Some(leak.evidence), leak.forecast);
                    let finding = self.finding(FindingReason::Threads, forecast);
                    events.push(Event::Leak(Finding { evidence, again, ..finding }));
                }
            }
            None if threads.told.take().is_some() => {
                events.push(self.cleared(Verdict::Leaking, ClearedReason::GrowthEnded));
            }
            None => {}
        }
    }

    /// Adds its footprint to its series and judges it.
    pub fn judge(
        &mut self,
        moment: &SampleTime,
        thresholds: &TestThresholds,
        scale: &JudgeContext<'_>,
        runs: &EarlierRuns,
        windows: &mut Vec<GrowthWindow>,
        events: &mut Vec<Event>,
    ) {
        self.crowd = scale.crowd;
        let judged = self.track.push(moment, self.standing.footprint, self.load, thresholds);
        let idle = self.conviction.is_none() && self.suspicion.is_none();
        if judged || !idle || self.standing.evidence.is_some() {
            windows.clear();
            windows.extend(self.track.candidates(moment.now));
            self.weigh(moment.now, scale, runs, windows, events);
        }
        self.standing.verdict = match (&self.conviction, self.suspicion) {
            (Some(_), _) => Verdict::Leaking,
            (None, Some((verdict, _))) => verdict,
            _ if self.standing.samples < 12 => Verdict::New,
            _ => Verdict::Stable,
        };
    }

    fn weigh(
        &mut self,
        now: u64,
        scale: &JudgeContext<'_>,
        runs: &EarlierRuns,
        windows: &mut Vec<GrowthWindow>,
        events: &mut Vec<Event>,
    ) {
        let life = self.life();
        let mut verdict = scale.suspicion(windows, life);
        windows.retain(|window| scale.is_steady(window));
        let convicting = windows
            .iter()
            .rev()
            .find_map(|window| scale.convicts(window, life).map(|why| (why, *window)));
        self.standing.evidence = convicting
            .map(|(_, window)| window)
            .or(windows.last().copied())
            .map(|w| scale.evidence(&w));
        // As if it had gone on through the whole window.
        let growth_of = |window: &GrowthWindow| {
            window.shape.growth() * window.blocks as f64 / window.apart() as f64
        };
        self.standing.kill_evidence = windows
            .iter()
            .filter(|window| {
                window.growth == GrowthShape::Steady && scale.takes_part(window).passes
            })
            .max_by(|a, b| growth_of(a).total_cmp(&growth_of(b)))
            .map(|window| scale.evidence(window));
        let seconds = |blocks| scale.clock.seconds(blocks);
        let ends = forecast::of_windows(
            windows,
            scale.ceiling_usage,
            scale.constants.max_extrapolation,
            seconds,
        );
        self.ends = ends.or(self.ends);
        let as_before =
            || self.earlier(scale, runs).is_some_and(|(size, age)| size.passes && age.passes);
        let excused = verdict.is_some() && !self.was_convicted && as_before();
        if excused {
            verdict = verdict.map(|(_, window, why)| (Verdict::Warming, window, why));
        }
        match convicting {
            Some(_) if excused => {}
            Some((why, window)) => {
                let until = now + window.window / 2;
                let conviction =
                    self.conviction.get_or_insert(ActiveVerdict { why, until: 0, told: None });
                conviction.until = conviction.until.max(until);
                self.was_convicted = true;
            }
            None => {}
        }
        self.lapse(now, events);
        self.suspect(now, verdict, events);
    }

    fn life(&self) -> ProcessLife {
        ProcessLife { samples: self.standing.samples, age_s: self.standing.age_s }
    }

    /// Its footprint and age, compared with those of earlier runs.
    fn earlier(
        &self,
        scale: &JudgeContext<'_>,
        runs: &EarlierRuns,
    ) -> Option<(Comparison, Comparison)> {
        let name = (self.standing.comm, self.parent_comm?);
        runs.compare(name, self.standing.footprint, self.watched, scale.constants)
    }

    /// What it was last judged by.
    pub fn explain(
        &self,
        thresholds: &TestThresholds,
        scale: &JudgeContext<'_>,
        runs: &EarlierRuns,
    ) -> Explanation {
        let now = scale.clock.now();
        let row = |look: FullWindow| {
            let passed = |window: &GrowthWindow| {
                (window.level, window.blocks) == (look.level, look.blocks)
                    && scale.is_steady(window)
            };
            let third = (look.blocks / 3) as u64;
            let apart_s = scale
                .clock
                .seconds(look.window / look.blocks as u64 * (look.blocks as u64 - third));
            WindowRow {
                window_s: scale.clock.seconds(look.window),
                slope: look.tests.shape.growth() / apart_s,
                rules: self
                    .track
                    .candidates(now)
                    .find(passed)
                    .map(|w| scale.rules(&w, self.life())),
                look,
            }
        };
        let mut windows: Vec<WindowRow> = self.track.looks(now, thresholds).map(row).collect();
        windows.sort_by_key(|row| (row.look.window, row.look.level));
        let for_s = |until: u64| scale.clock.seconds(until.saturating_sub(now));
        let convicted = self
            .conviction
            .as_ref()
            .map(|c| StandingVerdict { why: Some(c.why), for_s: for_s(c.until) });
        let suspected =
            self.suspicion.map(|(_, until)| StandingVerdict { why: None, for_s: for_s(until) });
        Explanation {
            standing: self.standing.clone(),
            headroom: scale.ceiling_usage.headroom(),
            max_extrapolation: scale.constants.max_extrapolation,
            windows,
            held: convicted.or(suspected),
            earlier: self.earlier(scale, runs).map(|(size, age)| EarlierRunMatch {
                size,
                age_s: age.scaled(scale.clock.seconds(1)),
                excuses: size.passes && age.passes && !self.was_convicted,
            }),
            pool: None,
        }
    }

    /// Convicted as a member of its pool, for as long as the pool is judged so.
    pub fn convict_in_pool(&mut self, until: u64) {
        let why = FindingReason::Pool;
        let conviction = self.conviction.get_or_insert(ActiveVerdict { why, until, told: None });
        conviction.until = conviction.until.max(until);
        self.was_convicted = true;
        self.standing.verdict = Verdict::Leaking;
    }

    /// It is gone; what stood against it is withdrawn.
    pub fn end(&mut self, events: &mut Vec<Event>) {
        let threads = self.threads.take().is_some_and(|threads| threads.told.is_some());
        if self.conviction.take().is_some() || threads {
            let why = if self.ordered { ClearedReason::Ended } else { ClearedReason::Exited };
            events.push(self.cleared(Verdict::Leaking, why));
        }
    }

    fn lapse(&mut self, now: u64, events: &mut Vec<Event>) {
        if self.conviction.as_ref().is_some_and(|conviction| conviction.until < now) {
            self.conviction = None;
            events.push(self.cleared(Verdict::Leaking, ClearedReason::GrowthEnded));
        }
        if self.conviction.is_none() && self.standing.evidence.is_none() {
            self.ends = None;
        }
    }

    fn suspect(
        &mut self,
        now: u64,
        verdict: Option<(Verdict, u64, FindingReason)>,
        events: &mut Vec<Event>,
    ) {
        let was = self.suspicion.map(|(verdict, _)| verdict);
        self.suspicion = match verdict {
            Some((verdict, window, _)) => Some((verdict, now + window / 2)),
            None => self.suspicion.filter(|(_, until)| *until >= now),
        };
        let is = self.suspicion.map(|(verdict, _)| verdict);
        if self.conviction.is_some() || was == is {
            return;
        }
        if let Some((Verdict::Suspect, _, why)) = verdict {
            events.push(Event::Suspect(self.finding(why, self.ends.map(|ends| ends.forecast()))));
        } else if was == Some(Verdict::Suspect) {
            events.push(self.cleared(Verdict::Suspect, ClearedReason::GrowthEnded));
        }
    }

    /// Says that it leaks, when that is new or the end of memory has moved: by the forecast of all
    /// who leak under its ceiling.
    pub fn tell(&mut self, now_s: f64, forecast: Option<Forecast>, events: &mut Vec<Event>) {
        let Some(conviction) = &mut self.conviction else { return };
        let forecast = forecast.filter(|_| self.ends.is_some());
        if let Some(told) = LastForecast::anew(conviction.told, now_s, forecast.as_ref()) {
            let again = conviction.told.replace(told).is_some();
            let why = conviction.why;
            events.push(Event::Leak(Finding { again, ..self.finding(why, forecast) }));
        }
    }

    fn finding(&self, why: FindingReason, forecast: Option<Forecast>) -> Finding {
        let ProcessState { id, comm, root, footprint, threads: tasks, evidence, .. } =
            self.standing;
        let (scope, again) = (FindingScope::Process, false);
        Finding { id, comm, root, scope, why, footprint, tasks, evidence, forecast, again }
    }

    fn cleared(&self, was: Verdict, why: ClearedReason) -> Event {
        let ProcessState { id, comm, root, .. } = self.standing;
        Event::VerdictCleared { id, comm, root, scope: FindingScope::Process, was, why }
    }
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_of_a_process_fits_three_kib() {
        let bytes = size_of::<Process>() + size_of::<Series>() + size_of::<TreeNode>();
        assert!(bytes <= 3072, "{bytes} B");
    }
}
