//! What the detector keeps of one living process, and how its verdict comes and goes.

use std::num::NonZeroU64;

use crate::core::detect::constants::INTERVAL_LEVEL;
use crate::core::detect::earlier_runs::{EarlierRuns, RunComparison};
use crate::core::detect::forecast::exhaustion::Exhaustion;
use crate::core::detect::forecast::last_forecast::LastForecast;
use crate::core::detect::growth_record::{GrowthRecord, HeldFinding, HeldSuspicion};
use crate::core::detect::process_state::{ProcessState, RecentFootprints};
use crate::core::detect::sample_clock::{SampleTime, block};
use crate::core::detect::series::block_minima::Series;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::series::window::GrowthShape;
use crate::core::detect::short_lived::PoolMember;
use crate::core::detect::size_history::SizeHistory;
use crate::core::detect::subtree::Subtree;
use crate::core::detect::threads::ThreadSeries;
use crate::core::detect::tree::TreeNode;
use crate::core::detect::verdict::{JudgeContext, ProcessLife, Suspicion};
use crate::core::model::ceiling::Unit;
use crate::core::model::event::Event;
use crate::core::model::process::{Comm, Proc};
use crate::core::model::profile::{RunKey, RunOwner};
use crate::core::model::verdict::{ClearedReason, Evidence, Finding, FindingReason, Verdict};
use crate::core::servers;
use crate::core::worker_pool::WorkerPoolKind;

/// Samples from which on a process is no longer new.
const NEW_SAMPLES: u32 = 12;

/// The level whose minima tell which sizes it held: of eight planned intervals.
const LEVEL_OF_SIZES: usize = INTERVAL_LEVEL + 3;

/// Seconds without CPU use from which on it is idle.
pub const IDLE_S: f64 = 1.0;

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
    pub settled: Option<NonZeroU64>,
    /// The bytes that its command line allows it.
    pub declared: Option<NonZeroU64>,
    /// Its parent's name, by which earlier runs are known.
    pub parent_comm: Option<Comm>,
    /// Index of its pool, and its place in it.
    pub member: Option<(usize, PoolMember)>,
    /// Its tree's series, once it has children.
    pub subtree: Option<Box<Subtree>>,
    /// How many times its growth all siblings that grow alike made up when it was last judged.
    pub group_factor: f64,
    pub(super) series: Box<Series>,
    /// The proof that it leaks, while it holds.
    pub(super) leak: Option<HeldFinding>,
    /// The evidence that it grows for so long that it endangers its ceiling, while it holds.
    pub(super) long_growth: Option<HeldFinding>,
    /// What windows show short of that, while it holds.
    pub(super) suspicion: Option<HeldSuspicion>,
    /// Its sizes before now.
    pub(super) sizes: SizeHistory,
    /// What is only known of one that grows.
    pub(super) growth_record: Option<Box<GrowthRecord>>,
    /// Whether it was ever found to leak: then no earlier run explains its growth.
    pub(super) ever_leaked: bool,
    pub(super) cpu_s: f64,
    pub(super) first_cpu_s: f64,
    /// Its threads, once their number changed.
    pub(super) threads: Option<Box<ThreadSeries>>,
}

impl Process {
    /// A process at first sight.
    pub fn new(proc: &Proc, page_size: f64) -> Self {
        let footprint = proc.footprint();
        let state = ProcessState {
            owner: RunOwner::default(),
            id: proc.id,
            comm: proc.comm,
            parent: None,
            pool_kind: WorkerPoolKind::named(proc.comm),
            server: &servers::UNKNOWN,
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
            as_earlier_run: false,
            recent: RecentFootprints::default(),
        };
        Self {
            state,
            watched: 0,
            load: 0.0,
            grown: 0.0,
            peak: 0,
            settled: None,
            declared: None,
            parent_comm: None,
            member: None,
            subtree: None,
            group_factor: 1.0,
            series: Box::new(Series::new(page_size)),
            leak: None,
            long_growth: None,
            suspicion: None,
            sizes: SizeHistory::default(),
            growth_record: None,
            ever_leaked: false,
            cpu_s: proc.cpu_s,
            first_cpu_s: proc.cpu_s,
            threads: None,
            ordered: false,
        }
    }

    /// Its age in planned intervals since first sight.
    pub fn intervals(&self) -> f64 {
        self.watched as f64 / block(INTERVAL_LEVEL) as f64
    }

    /// Takes over how it stands in a sample, counted or not.
    pub fn follow(&mut self, proc: &Proc, node: &TreeNode, parent_alive: bool) {
        let Self { state, peak, .. } = self;
        state.comm = proc.comm;
        state.parent = node.parent;
        state.parent_alive = parent_alive;
        state.root = node.root;
        state.children = node.children;
        state.footprint = proc.footprint();
        state.rss = proc.rss;
        *peak = (*peak).max(state.footprint);
    }

    /// Takes over what a counted sample shows of it.
    pub fn update(
        &mut self,
        proc: &Proc,
        node: &TreeNode,
        parent_alive: bool,
        t: f64,
        moment: &SampleTime,
    ) {
        self.follow(proc, node, parent_alive);
        let Self { state, .. } = self;
        let footprint = state.footprint;
        let counted = state.recent.points().last().map_or(state.first_footprint, |(_, last)| *last);
        self.load = ((proc.cpu_s - self.cpu_s) / moment.step_s).max(0.0);
        self.cpu_s = proc.cpu_s;
        self.grown = footprint as f64 - counted as f64;
        self.watched += moment.step();
        state.samples = state.samples.saturating_add(moment.samples());
        if state.samples >= SETTLED_SAMPLES && self.settled.is_none() {
            // Of nothing one byte.
            self.settled = Some(NonZeroU64::new(footprint).unwrap_or(NonZeroU64::MIN));
        }
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
        self.note_size(moment, context);
        let has_verdict =
            self.leak.is_some() || self.long_growth.is_some() || self.suspicion.is_some();
        if judged || has_verdict || self.state.evidence.is_some() {
            self.judge_windows(moment.now, context, runs);
        }
        self.state.verdict = match (&self.leak, &self.long_growth, &self.suspicion) {
            (Some(_), ..) => Verdict::Leaking,
            (None, Some(_), _) => Verdict::Growing,
            (None, None, Some(found)) => found.verdict,
            _ if self.state.samples < NEW_SAMPLES => Verdict::New,
            _ => Verdict::Stable,
        };
        self.state.endangers = self.long_growth.is_some();
        self.report_cleared(context.basis.clock.seconds(moment.now), events);
    }

    /// Keeps what its size tells of its past.
    fn note_size(&mut self, moment: &SampleTime, context: &JudgeContext<'_>) {
        let constants = &context.basis.constants;
        let least = constants.least_growth;
        let settled = self.settled.map(NonZeroU64::get);
        self.sizes.observe(self.watched, self.state.footprint, settled, least);
        let level = LEVEL_OF_SIZES.max(moment.level);
        if let Some(minimum) = self.series.new_minimum(level, moment.now) {
            self.sizes.add_minimum(moment, minimum, self.cpu_s, constants);
        }
    }

    fn judge_windows(&mut self, now: u64, context: &JudgeContext<'_>, runs: &EarlierRuns) {
        let life = self.life();
        let mut windows = context.basis.collect(self.series.growth_windows(now));
        let mut suspicion = context.suspicion(&windows, life);
        let slows = |window: &&GrowthWindow| window.growth == GrowthShape::Slowing;
        let slowing = windows.iter().filter(slows).map(GrowthWindow::length).max();
        windows.retain(GrowthWindow::is_steady);
        let long = windows
            .iter()
            .rev()
            .find_map(|window| context.leak_rule(window, life).map(|why| (why, window)));
        let best = long.map(|(_, window)| window).or(windows.last());
        self.state.evidence = best.map(|window| context.evidence(window));
        let is_idle_leak = self.leak.is_some() && self.state.idle_s >= IDLE_S;
        self.state.kill_evidence = kill_evidence(&windows, context, is_idle_leak);
        if let Some(exhaustion) = context.exhaustion(&windows) {
            self.growth_record.get_or_insert_default().exhaustion = Some(exhaustion);
        }
        self.state.as_earlier_run = suspicion.is_some() && self.follows_earlier_run(context, runs);
        if self.state.as_earlier_run {
            suspicion = suspicion.map(|found| Suspicion { verdict: Verdict::Warming, ..found });
        } else {
            if let Some((why, window)) = long {
                HeldFinding::hold(&mut self.long_growth, why, now + window.length() / 2);
            }
            self.convict(now, slowing, &windows, context);
        }
        self.expire(now);
        self.suspicion = match suspicion {
            Some(Suspicion { verdict, length, why }) => {
                Some(HeldSuspicion { verdict, why, until: now + length / 2 })
            }
            None => self.suspicion.filter(|found| found.until >= now),
        };
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
        let sizes = (self.state.footprint, context.ceiling.headroom().left);
        runs.compare(self.run_key(), sizes, self.watched, &context.basis.constants)
    }

    /// By what its run is known again.
    pub(super) fn run_key(&self) -> RunKey {
        let parent = self.parent_comm.unwrap_or_default();
        RunKey { comm: self.state.comm, parent, owner: self.state.owner }
    }

    /// Withdraws what no longer holds.
    fn expire(&mut self, now: u64) {
        for finding in [&mut self.leak, &mut self.long_growth] {
            finding.take_if(|finding| finding.until < now);
        }
        let has_verdict = self.leak.is_some() || self.long_growth.is_some();
        if !has_verdict && self.state.evidence.is_none() {
            // If it was reported to grow, that is withdrawn by what follows.
            self.growth_record.take_if(|record| record.reported.is_none());
            if let Some(record) = &mut self.growth_record {
                record.exhaustion = None;
            }
        }
    }

    pub(super) fn growth_record(&self) -> GrowthRecord {
        self.growth_record.as_deref().copied().unwrap_or_default()
    }

    /// When memory ends by its growth, if it grows.
    pub fn exhaustion(&self) -> Option<Exhaustion> {
        self.growth_record().exhaustion
    }
}

/// The largest growth that may justify ending the process: CPU use neither explains nor hides it, the
/// process takes a real part of what is lost, and it goes on. A proven leak that is idle may pause: its
/// end costs nothing.
fn kill_evidence(
    windows: &[GrowthWindow],
    context: &JudgeContext<'_>,
    is_idle_leak: bool,
) -> Option<Evidence> {
    // As if it had gone on through the whole window.
    let growth = |window: &GrowthWindow| {
        window.shape.growth() * window.blocks as f64 / window.apart() as f64
    };
    windows
        .iter()
        .filter(|window| window.growth == GrowthShape::Steady && (is_idle_leak || !window.paused))
        .filter(|window| context.takes_part(window).passes)
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
