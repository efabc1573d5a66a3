//! What the detector keeps of one living process, and how its verdict comes and goes.

use crate::core::detect::ceilings::forecast::Exhaustion;
use crate::core::detect::ceilings::last_forecast::LastForecast;
use crate::core::detect::constants::INTERVAL_LEVEL;
use crate::core::detect::earlier_runs::{EarlierRuns, RunComparison};
use crate::core::detect::process_state::{ProcessState, RecentFootprints};
use crate::core::detect::sample_clock::{SampleTime, block};
use crate::core::detect::series::block_minima::Series;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::series::window::GrowthShape;
use crate::core::detect::short_lived::PoolMember;
use crate::core::detect::subtree::Subtree;
use crate::core::detect::threads::ThreadSeries;
use crate::core::detect::tree::TreeNode;
use crate::core::detect::verdict::{JudgeContext, ProcessLife, Suspicion};
use crate::core::model::ceiling::Unit;
use crate::core::model::event::Event;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::{Comm, Proc};
use crate::core::model::verdict::{
    ClearedReason, Evidence, Finding, FindingReason, FindingScope, Verdict,
};

/// Samples from which on a process is no longer new.
const NEW_SAMPLES: u32 = 12;

/// The sample at which its start-up is over.
const SETTLED_SAMPLES: u32 = 3;

/// One living process.
pub struct Process {
    /// What policy and reports read.
    pub state: ProcessState,
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
    /// Its footprint when its start-up was over.
    pub settled: Option<u64>,
    /// Its parent's name, by which earlier runs are known.
    pub parent_comm: Option<Comm>,
    /// Index of its pool, and its place in it.
    pub member: Option<(usize, PoolMember)>,
    /// Its tree's series, once it has children.
    pub subtree: Option<Box<Subtree>>,
    /// When memory ends by its growth, if it grows.
    pub exhaustion: Option<Exhaustion>,
    /// How many times its growth all siblings that grow alike made up when it was last judged.
    pub group_factor: f64,
    pub(super) series: Box<Series>,
    /// The proof that it leaks, while it holds.
    pub(super) leak: Option<ActiveVerdict>,
    /// The lesser verdict, and the finest blocks until which it holds.
    pub(super) suspicion: Option<(Verdict, u64)>,
    /// Whether it was ever found to leak: then no earlier run explains its growth.
    pub(super) ever_leaked: bool,
    cpu_s: f64,
    /// Its threads, once their number changed.
    threads: Option<Box<ThreadSeries>>,
}

/// A verdict of leaking. It holds until half its window after the last proof.
pub(super) struct ActiveVerdict {
    /// The rule that was met first.
    pub(super) why: FindingReason,
    /// Finest blocks until which it holds.
    pub(super) until: u64,
    last_reported: Option<LastForecast>,
}

impl Process {
    /// A process at first sight.
    pub fn new(proc: &Proc, page_size: f64) -> Self {
        let footprint = proc.footprint();
        let state = ProcessState {
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
            endangers: false,
            evidence: None,
            kill_evidence: None,
            threads: proc.threads,
            thread_leak: None,
            idle_s: 0.0,
            recent: RecentFootprints::default(),
        };
        Self {
            state,
            watched: 0,
            load: 0.0,
            grown: 0.0,
            peak: 0,
            settled: None,
            parent_comm: None,
            member: None,
            subtree: None,
            exhaustion: None,
            group_factor: 1.0,
            series: Box::new(Series::new(page_size)),
            leak: None,
            suspicion: None,
            ever_leaked: false,
            cpu_s: proc.cpu_s,
            threads: None,
            ordered: false,
        }
    }

    /// Its age in planned intervals since first sight.
    pub fn intervals(&self) -> f64 {
        self.watched as f64 / block(INTERVAL_LEVEL) as f64
    }

    /// Takes over what a sample shows of it.
    pub fn update(
        &mut self,
        proc: &Proc,
        node: &TreeNode,
        parent_alive: bool,
        t: f64,
        moment: &SampleTime,
    ) {
        let Self { state, .. } = self;
        let footprint = proc.footprint();
        self.load = ((proc.cpu_s - self.cpu_s) / moment.step_s).max(0.0);
        self.cpu_s = proc.cpu_s;
        self.grown = footprint as f64 - state.footprint as f64;
        self.peak = self.peak.max(footprint);
        self.watched += moment.step();
        state.samples = state.samples.saturating_add(moment.samples());
        if state.samples >= SETTLED_SAMPLES && self.settled.is_none() {
            self.settled = Some(footprint);
        }
        state.comm = proc.comm;
        state.parent = node.parent;
        state.parent_alive = parent_alive;
        state.root = node.root;
        state.children = node.children;
        state.footprint = footprint;
        state.rss = proc.rss;
        // Not before it was first seen, and after a late sample no faster than time goes.
        let since_s = state.recent.points().last().map_or(0.0, |(last_t, _)| t - last_t);
        let idle_s = state.idle_s + since_s.clamp(0.0, moment.step_s);
        state.idle_s = if self.load > 0.0 { 0.0 } else { idle_s };
        state.recent.push(t, footprint);
        if state.threads != proc.threads {
            self.threads.get_or_insert_default();
        }
        state.threads = proc.threads;
    }

    /// Judges its threads; `context` has the nearest ceiling on tasks.
    pub fn judge_threads(
        &mut self,
        moment: &SampleTime,
        context: &JudgeContext<'_>,
        events: &mut Vec<Event>,
    ) {
        let life = self.life();
        let Some(threads) = &mut self.threads else { return };
        threads.judge(moment, self.state.threads, self.load, context, life);
        self.state.thread_leak = threads.leak.map(|leak| leak.evidence);
        match threads.leak {
            Some(leak) => {
                let now_s = context.basis.clock.seconds(moment.now);
                let forecast = leak.forecast.as_ref();
                if let Some(news) = LastForecast::if_news(threads.last_reported, now_s, forecast) {
                    let is_update = threads.last_reported.replace(news).is_some();
                    let finding = self.finding(FindingReason::Threads, leak.forecast);
                    let evidence = Some(leak.evidence);
                    events.push(Event::Leak(Finding { evidence, is_update, ..finding }));
                }
            }
            None if threads.last_reported.take().is_some() => {
                events.push(self.cleared(Verdict::Leaking, ClearedReason::GrowthEnded));
            }
            None => {}
        }
    }

    /// Adds its footprint to its series and judges it.
    pub fn judge(
        &mut self,
        moment: &SampleTime,
        context: &JudgeContext<'_>,
        runs: &EarlierRuns,
        events: &mut Vec<Event>,
    ) {
        self.group_factor = context.group_factor;
        let thresholds = context.basis.thresholds(Unit::Bytes);
        let judged = self.series.push(moment, self.state.footprint, self.load, thresholds);
        let has_verdict = self.leak.is_some() || self.suspicion.is_some();
        if judged || has_verdict || self.state.evidence.is_some() {
            self.judge_windows(moment.now, context, runs, events);
        }
        self.state.verdict = match (&self.leak, self.suspicion) {
            (Some(_), _) => Verdict::Leaking,
            (None, Some((verdict, _))) => verdict,
            _ if self.state.samples < NEW_SAMPLES => Verdict::New,
            _ => Verdict::Stable,
        };
        self.state.endangers = self.leak.is_some();
    }

    fn judge_windows(
        &mut self,
        now: u64,
        context: &JudgeContext<'_>,
        runs: &EarlierRuns,
        events: &mut Vec<Event>,
    ) {
        let life = self.life();
        let mut windows = context.basis.collect(self.series.growth_windows(now));
        let mut suspicion = context.suspicion(&windows, life);
        windows.retain(GrowthWindow::is_steady);
        let proof = windows
            .iter()
            .rev()
            .find_map(|window| context.leak_rule(window, life).map(|why| (why, window)));
        let best = proof.map(|(_, window)| window).or(windows.last());
        self.state.evidence = best.map(|window| context.evidence(window));
        self.state.kill_evidence = kill_evidence(&windows, context);
        self.exhaustion = context.exhaustion(&windows).or(self.exhaustion);
        let is_warming = suspicion.is_some() && self.follows_earlier_run(context, runs);
        if is_warming {
            suspicion = suspicion.map(|found| Suspicion { verdict: Verdict::Warming, ..found });
        } else if let Some((why, window)) = proof {
            self.set_leaking(why, now + window.length() / 2);
        }
        self.expire(now, events);
        self.set_suspicion(now, suspicion, events);
    }

    pub(super) fn life(&self) -> ProcessLife {
        ProcessLife { samples: self.state.samples, age_s: self.state.age_s }
    }

    /// Whether it grows as an earlier run of its program did, which ended by itself.
    fn follows_earlier_run(&self, context: &JudgeContext<'_>, runs: &EarlierRuns) -> bool {
        let matches = || self.earlier_run(context, runs).is_some_and(|run| run.matches());
        !self.ever_leaked && matches()
    }

    /// Its footprint and age, compared with those of earlier runs.
    pub(super) fn earlier_run(
        &self,
        context: &JudgeContext<'_>,
        runs: &EarlierRuns,
    ) -> Option<RunComparison> {
        let name = (self.state.comm, self.parent_comm?);
        runs.compare(name, self.state.footprint, self.watched, &context.basis.constants)
    }

    /// It leaks as a member of its pool, for as long as the pool is judged so.
    pub fn leaks_with_pool(&mut self, until: u64) {
        self.set_leaking(FindingReason::Pool, until);
        self.state.verdict = Verdict::Leaking;
        self.state.endangers = true;
    }

    fn set_leaking(&mut self, why: FindingReason, until: u64) {
        let new = ActiveVerdict { why, until, last_reported: None };
        let leak = self.leak.get_or_insert(new);
        leak.until = leak.until.max(until);
        self.ever_leaked = true;
    }

    /// It is gone; its verdicts are withdrawn.
    pub fn exited(&mut self, events: &mut Vec<Event>) {
        let threads = self.threads.take().is_some_and(|threads| threads.last_reported.is_some());
        if self.leak.take().is_some() || threads {
            let why = if self.ordered { ClearedReason::Ended } else { ClearedReason::Exited };
            events.push(self.cleared(Verdict::Leaking, why));
        }
    }

    /// Withdraws the verdict of leaking once it no longer holds.
    fn expire(&mut self, now: u64, events: &mut Vec<Event>) {
        if self.leak.as_ref().is_some_and(|leak| leak.until < now) {
            self.leak = None;
            events.push(self.cleared(Verdict::Leaking, ClearedReason::GrowthEnded));
        }
        if self.leak.is_none() && self.state.evidence.is_none() {
            self.exhaustion = None;
        }
    }

    fn set_suspicion(&mut self, now: u64, found: Option<Suspicion>, events: &mut Vec<Event>) {
        let was = self.suspicion.map(|(verdict, _)| verdict);
        self.suspicion = match found {
            Some(Suspicion { verdict, length, .. }) => Some((verdict, now + length / 2)),
            None => self.suspicion.filter(|(_, until)| *until >= now),
        };
        let is = self.suspicion.map(|(verdict, _)| verdict);
        if self.leak.is_some() || was == is {
            return;
        }
        if let Some(Suspicion { verdict: Verdict::Growing, why, .. }) = found {
            let forecast = self.exhaustion.map(|exhaustion| exhaustion.forecast());
            events.push(Event::Growing(self.finding(why, forecast)));
        } else if was == Some(Verdict::Growing) {
            events.push(self.cleared(Verdict::Growing, ClearedReason::GrowthEnded));
        }
    }

    /// Reports that it leaks, when that is new or the end of memory has moved: by the forecast of
    /// all that leaks under its ceiling.
    pub fn report_leak(&mut self, now_s: f64, forecast: Option<Forecast>, events: &mut Vec<Event>) {
        let Some(leak) = &mut self.leak else { return };
        let forecast = forecast.filter(|_| self.exhaustion.is_some());
        if let Some(news) = LastForecast::if_news(leak.last_reported, now_s, forecast.as_ref()) {
            let is_update = leak.last_reported.replace(news).is_some();
            let why = leak.why;
            events.push(Event::Leak(Finding { is_update, ..self.finding(why, forecast) }));
        }
    }

    fn finding(&self, why: FindingReason, forecast: Option<Forecast>) -> Finding {
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
            is_update: false,
        }
    }

    fn cleared(&self, was: Verdict, why: ClearedReason) -> Event {
        let ProcessState { id, comm, root, .. } = self.state;
        Event::VerdictCleared { id, comm, root, scope: FindingScope::Process, was, why }
    }
}

/// The largest growth that may justify ending the process: CPU use neither explains nor hides it,
/// and the process takes a real part of what is lost.
fn kill_evidence(windows: &[GrowthWindow], context: &JudgeContext<'_>) -> Option<Evidence> {
    // As if it had gone on through the whole window.
    let growth = |window: &GrowthWindow| {
        window.shape.growth() * window.blocks as f64 / window.apart() as f64
    };
    windows
        .iter()
        .filter(|window| window.growth == GrowthShape::Steady && context.takes_part(window).passes)
        .max_by(|a, b| growth(a).total_cmp(&growth(b)))
        .map(|window| context.evidence(window))
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
