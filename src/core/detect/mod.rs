//! Detector: state across samples, from sample to verdicts.
//!
//! Total and bounded: no I/O, no clock, no error; in a steady tick (nobody new, nobody gone, nobody
//! begins to grow) it allocates nothing.

pub mod constants;
pub mod explanation;
pub mod pools;
pub mod process;
pub mod threads;
pub mod tree;
pub mod verdict;

use crate::core::detect::ceilings::headroom::CeilingTracker;
use crate::core::detect::ceilings::tree_forecasts::{LastForecast, TreeForecasts};
use crate::core::detect::ceilings::usage::{CeilingUsage, Headroom, UsageContext};
use crate::core::detect::constants::{Constants, FINE};
use crate::core::detect::earlier_runs::EarlierRuns;
use crate::core::detect::pools::{EVERY, Pools};
use crate::core::detect::process::Process;
use crate::core::detect::process_state::ProcessState;
use crate::core::detect::sample_clock::{SampleClock, SampleTime, block};
use crate::core::detect::series::block_minima::{GrowthWindow, TestThresholds};
use crate::core::detect::subtree::{ChildLeak, Subtree, SubtreeTotal};
use crate::core::detect::tree::ProcessTrees;
use crate::core::detect::verdict::JudgeContext;
use crate::core::model::assessment::{
    ClearedReason, Event, Evidence, Finding, FindingReason, FindingScope, Forecast, Profile,
    Verdict,
};
use crate::core::model::ceiling::FilledBy;
use crate::core::model::sample::{Comm, Header, ProcId, Sample};

/// Judges processes by their samples.
pub struct Detector {
    constants: Constants,
    clock_ticks: f64,
    page_size: f64,
    footprints: TestThresholds,
    counts: TestThresholds,
    clock: SampleClock,
    ceilings: CeilingTracker,
    forest: ProcessTrees,
    /// By slot; a slot that is free keeps its last owner until the next one comes.
    processes: Vec<Process>,
    pools: Pools,
    runs: EarlierRuns,
    tree_forecasts: TreeForecasts,
    totals: Vec<SubtreeTotal>,
    /// Slots of those without a parent, of those that have or had children, and of those that are
    /// suspect or worse: few, so that nobody has to look at all of them to find these.
    roots: Vec<usize>,
    parents: Vec<usize>,
    flagged: Vec<usize>,
    windows: Vec<GrowthWindow>,
}

impl Detector {
    /// A detector for samples as the header describes them; `max_extrapolation` bounds how many times longer
    /// than the evidence a forecast may reach.
    pub fn new(header: &Header, max_extrapolation: f64) -> Self {
        Self::with(header, Constants { max_extrapolation, ..Constants::default() })
    }

    /// A detector with other thresholds.
    pub fn with(header: &Header, constants: Constants) -> Self {
        let page_size = header.page_size.max(1) as f64;
        Self {
            constants,
            clock_ticks: header.clock_ticks.max(1) as f64,
            page_size,
            footprints: TestThresholds::footprint(&constants, page_size),
            counts: TestThresholds::count(&constants),
            clock: SampleClock::new(header.interval_s),
            ceilings: CeilingTracker::new(page_size),
            forest: ProcessTrees::default(),
            processes: Vec::new(),
            pools: Pools::default(),
            runs: EarlierRuns::default(),
            tree_forecasts: TreeForecasts::default(),
            totals: Vec::new(),
            roots: Vec::new(),
            parents: Vec::new(),
            flagged: Vec::new(),
            windows: Vec::with_capacity(64),
        }
    }

    /// Judges the next sample; what changed is pushed onto `events`.
    pub fn observe(&mut self, sample: &Sample, events: &mut Vec<Event>) {
        let moment = self.clock.advance(sample.t, sample.span_s);
        self.forest.observe(&sample.procs, &sample.programs);
        self.count_ended();
        let measure = UsageContext {
            constants: &self.constants,
            clock: &self.clock,
            bytes: &self.footprints,
            tasks: &self.counts,
        };
        self.ceilings.observe(&moment, sample, &measure, &mut self.windows);
        self.bury(events);
        self.welcome(sample);
        self.judge_processes(&moment, sample, events);
        self.judge_families(&moment, events);
        self.judge_pools(&moment, events);
        self.look_out(&moment, events);
    }

    /// Takes note that a process was ordered to end: its life will be no example of how its
    /// program's runs grow and settle.
    pub fn ordered(&mut self, id: ProcId) {
        if let Some(slot) = self.forest.slot(id) {
            self.processes[slot].ordered = true;
        }
    }

    /// Takes over what an earlier detector learnt of programs.
    pub fn remember(&mut self, profiles: &[Profile]) {
        self.runs.remember(profiles, self.clock.seconds(1));
    }

    /// What was learnt of programs, at most so many, those first whose runs ended last.
    pub fn profiles(&self, most: usize) -> Vec<Profile> {
        self.runs.profiles(most, self.clock.seconds(1))
    }

    /// How often something new was learnt of a program.
    pub fn learnt(&self) -> u64 {
        self.runs.learnt()
    }

    /// The living processes of the last sample.
    pub fn process_states(&self) -> impl Iterator<Item = &ProcessState> {
        self.forest.present().iter().map(|(slot, _)| &self.processes[*slot].standing)
    }

    /// Those of them that have no parent in the sample.
    pub fn roots(&self) -> impl Iterator<Item = &ProcessState> {
        self.roots.iter().map(|slot| &self.processes[*slot].standing)
    }

    /// Those of them that are suspect or leak.
    pub fn flagged(&self) -> impl Iterator<Item = &ProcessState> {
        self.flagged.iter().map(|slot| &self.processes[*slot].standing)
    }

    /// Whether anybody who was there before is not in the last sample.
    pub fn is_any_gone(&self) -> bool {
        !self.forest.gone().is_empty()
    }

    /// One living process.
    pub fn process_state(&self, id: ProcId) -> Option<&ProcessState> {
        Some(&self.processes[self.forest.slot(id)?].standing)
    }

    /// When the first ceiling over the tree below `root` is reached, whoever fills it; none where
    /// none comes nearer.
    pub fn forecast(&self, root: ProcId) -> Option<Forecast> {
        let trends = self.trends(root).map(|(_, forecast)| forecast);
        let all = trends.chain(self.tree_forecasts.of(root));
        all.min_by(|a, b| a.likely_s.total_cmp(&b.likely_s))
    }

    /// When the nearest ceiling on memory over the tree below `root` is reached by those who leak
    /// below it; none where nothing in the tree leaks.
    pub fn leak_forecast(&self, root: ProcId) -> Option<Forecast> {
        self.tree_forecasts.of(root)
    }

    /// When the first ceiling on tasks over the tree below `root` is reached, and what is left.
    pub fn task_forecast(&self, root: ProcId) -> Option<(Forecast, Headroom)> {
        let trends =
            self.trends(root).filter(|(ceiling_usage, _)| ceiling_usage.fill() == FilledBy::Tasks);
        let first = trends.min_by(|(_, a), (_, b)| a.likely_s.total_cmp(&b.likely_s));
        first.map(|(ceiling_usage, forecast)| (forecast, ceiling_usage.headroom()))
    }

    /// Whether any ceiling on tasks was said to come nearer.
    pub fn is_short_of_tasks(&self) -> bool {
        self.ceilings
            .iter()
            .any(|ceiling_usage| ceiling_usage.fill() == FilledBy::Tasks && ceiling_usage.is_told())
    }

    /// What is left below the nearest ceiling on tasks over the tree below `root`.
    pub fn nearest_in_tasks(&self, root: ProcId) -> Option<Headroom> {
        self.ceilings.nearest_in_tasks(root).map(CeilingUsage::headroom)
    }

    /// The ceilings over a tree that were said to come nearer.
    fn trends(&self, root: ProcId) -> impl Iterator<Item = (&CeilingUsage, Forecast)> {
        let told = self.ceilings.all_over(root).filter(|ceiling_usage| ceiling_usage.is_told());
        told.filter_map(|ceiling_usage| Some((ceiling_usage, ceiling_usage.trend()?.forecast())))
    }

    /// Seconds until the first ceiling is reached, if growths go on that are no evidence yet.
    pub fn nearing_s(&self) -> f64 {
        self.ceilings.iter().map(CeilingUsage::nearing_s).fold(f64::INFINITY, f64::min)
    }

    /// The parents below which children pile up, with the evidence in tasks, and for how many
    /// seconds they have.
    pub fn child_leaks(&self) -> impl Iterator<Item = (ProcId, Evidence, f64)> {
        let processes = self.parents.iter().map(|slot| &self.processes[*slot]);
        processes.filter_map(|process| {
            let child_leak = process.subtree.as_ref()?.child_leak.as_ref()?;
            let for_s = self.clock.seconds(self.clock.now().saturating_sub(child_leak.began));
            Some((process.standing.id, child_leak.tasks?, for_s))
        })
    }

    /// What is left below the nearest ceiling on memory over the tree below `root`.
    pub fn headroom(&self, root: ProcId) -> Headroom {
        self.ceilings.nearest(root).headroom()
    }

    /// Tells the series that count tasks who of those is gone that were ordered to end.
    fn count_ended(&mut self) {
        for slot in self.forest.gone() {
            let process = &self.processes[*slot];
            if !process.ordered {
                continue;
            }
            let ProcessState { root, threads, mut parent, .. } = process.standing;
            self.ceilings.ended(root, threads);
            while let Some(slot) = parent.and_then(|parent| self.forest.slot(parent)) {
                let above = &mut self.processes[slot];
                if let Some(subtree) = &mut above.subtree {
                    subtree.ended += 1;
                }
                parent = above.standing.parent;
            }
        }
    }

    fn bury(&mut self, events: &mut Vec<Event>) {
        for slot in self.forest.gone() {
            let process = &mut self.processes[*slot];
            process.end(events);
            let Headroom { left, limit, .. } =
                self.ceilings.nearest(process.standing.root).headroom();
            // A run that was ended, by an order or by the OOM killer, did not come to its end.
            let by_itself =
                !process.ordered && left as f64 > self.constants.run_headroom * limit as f64;
            let long_enough = by_itself && process.standing.samples >= self.constants.run_samples;
            if let Some(parent) = process.parent_comm.filter(|_| long_enough) {
                self.runs.ended((process.standing.comm, parent), process.peak, process.watched);
            }
            self.pools.leave(process);
        }
        if !self.forest.gone().is_empty() {
            self.pools.forget(|parent| self.forest.slot(parent).is_some());
        }
    }

    fn welcome(&mut self, sample: &Sample) {
        for (slot, index) in self.forest.newcomers() {
            let process = Process::new(&sample.procs[*index], self.page_size);
            match self.processes.get_mut(*slot) {
                Some(free) => *free = process,
                None => self.processes.push(process),
            }
        }
        for (slot, _) in self.forest.newcomers() {
            let parent = self.forest.node(*slot).parent;
            let parent_slot = parent.and_then(|parent| self.forest.slot(parent));
            let parent_comm = parent_slot.map(|slot| self.processes[slot].standing.comm);
            let process = &mut self.processes[*slot];
            process.parent_comm = parent_comm;
            process.standing.parent = parent;
            self.pools.join(process);
        }
    }

    fn judge_processes(&mut self, moment: &SampleTime, sample: &Sample, events: &mut Vec<Event>) {
        self.totals.clear();
        self.totals.resize(self.processes.len(), SubtreeTotal::default());
        self.roots.clear();
        self.parents.clear();
        for (slot, index) in self.forest.present() {
            let node = self.forest.node(*slot);
            let process = &mut self.processes[*slot];
            if node.parent.is_none() {
                self.roots.push(*slot);
            }
            if node.children > 0 || process.subtree.is_some() {
                self.parents.push(*slot);
            }
            let parent_alive = self.forest.has_parent(*slot);
            process.update(&sample.procs[*index], node, parent_alive, sample.t, moment);
            let watched_s = self.clock.seconds(process.watched);
            let started_s = node.id.start as f64 / self.clock_ticks;
            let true_age_s = sample.uptime_s.map_or(0.0, |uptime_s| uptime_s - started_s);
            process.standing.age_s = watched_s.max(true_age_s);
            let entry = process.member.as_ref().and_then(|(index, _)| self.pools.get(*index));
            let slope = process.standing.evidence.map_or(0.0, |evidence| evidence.slope);
            let scale = JudgeContext {
                constants: &self.constants,
                clock: &self.clock,
                ceiling_usage: self.ceilings.nearest(node.root),
                crowd: entry.map_or(1.0, |entry| entry.crowd(slope)),
            };
            let thresholds = &self.footprints;
            process.judge(moment, thresholds, &scale, &self.runs, &mut self.windows, events);
            if let Some(ceiling_usage) = self.ceilings.nearest_in_tasks(node.root) {
                let scale = JudgeContext { ceiling_usage, crowd: 1.0, ..scale };
                process.judge_threads(moment, &self.counts, &scale, &mut self.windows, events);
            }
            self.pools.grew(process, moment);
            for above in self.forest.ancestors(*slot) {
                let total = &mut self.totals[above];
                total.footprint += process.standing.footprint;
                total.load += process.load;
                total.count += 1;
                total.tasks += process.standing.threads;
            }
        }
    }

    fn judge_families(&mut self, moment: &SampleTime, events: &mut Vec<Event>) {
        for slot in &self.parents {
            let process = &mut self.processes[*slot];
            let mut total = self.totals[*slot];
            if total.count > 0 && process.subtree.is_none() {
                process.subtree = Some(Box::new(Subtree::new(self.page_size)));
            }
            let Some(subtree) = &mut process.subtree else { continue };
            total.footprint += process.standing.footprint;
            total.load += process.load;
            let scale = JudgeContext {
                constants: &self.constants,
                clock: &self.clock,
                ceiling_usage: self.ceilings.nearest(process.standing.root),
                crowd: 1.0,
            };
            let in_tasks = self
                .ceilings
                .nearest_in_tasks(process.standing.root)
                .map(|ceiling_usage| JudgeContext { ceiling_usage, ..scale });
            let gauges = (&self.footprints, &self.counts);
            subtree.judge(moment, total, gauges, &scale, in_tasks.as_ref(), &mut self.windows);
            if subtree.child_leak.is_some() {
                for above in self.forest.ancestors(*slot) {
                    self.totals[above].piled = true;
                }
            }
        }
        for slot in &self.parents {
            let process = &mut self.processes[*slot];
            let Some(subtree) = &mut process.subtree else { continue };
            let ProcessState { id, comm, root, .. } = process.standing;
            let scope = FindingScope::Tree;
            match subtree.child_leak {
                Some(ChildLeak { evidence, forecast, .. })
                    if !subtree.told && !self.totals[*slot].piled =>
                {
                    subtree.told = true;
                    let size = (subtree.footprint, subtree.processes);
                    let finding = of_tree(&process.standing, FindingReason::PileUp, size);
                    let evidence = Some(evidence);
                    events.push(Event::Leak(Finding { evidence, forecast, ..finding }));
                }
                None if std::mem::take(&mut subtree.told) => {
                    let (was, why) = (Verdict::Leaking, ClearedReason::GrowthEnded);
                    events.push(Event::VerdictCleared { id, comm, root, scope, was, why });
                }
                _ => {}
            }
        }
    }

    fn judge_pools(&mut self, moment: &SampleTime, events: &mut Vec<Event>) {
        if !self.pools.judge(moment, &self.constants) {
            return;
        }
        for (_, entry) in self.pools.iter().filter(|(_, entry)| entry.changed) {
            let Some(slot) = self.forest.slot(entry.parent) else { continue };
            let standing = &self.processes[slot].standing;
            let ProcessState { id, comm, root, .. } = *standing;
            let scope = FindingScope::Tree;
            events.push(if entry.leaks {
                let subtree = self.processes[slot].subtree.as_ref();
                let size = subtree.map_or((0, 0), |f| (f.footprint, f.processes));
                Event::Leak(of_tree(standing, FindingReason::Pool, size))
            } else {
                let (was, why) = (Verdict::Leaking, ClearedReason::GrowthEnded);
                Event::VerdictCleared { id, comm, root, scope, was, why }
            });
        }
        // Two judgements beyond this one: a pool that cools for a moment keeps its verdicts.
        let until = moment.now + 2 * EVERY * block(FINE);
        for (slot, _) in self.forest.present() {
            let process = &mut self.processes[*slot];
            let entry = process.member.and_then(|(index, _)| self.pools.get(index));
            let (Some(entry), Some(settled)) = (entry.filter(|e| e.leaks), process.settled) else {
                continue;
            };
            let age = process.intervals();
            let growth = process.standing.footprint as f64 - settled as f64;
            let least = self.constants.least_growth.max(0.5 * entry.pool.mean_growth(age));
            if age >= entry.pool.half_life() && growth >= least {
                process.convict_in_pool(until);
            }
        }
    }

    fn look_out(&mut self, moment: &SampleTime, events: &mut Vec<Event>) {
        self.tree_forecasts.begin();
        self.flagged.clear();
        let verdict = |slot: &usize| self.processes[*slot].standing.verdict;
        let present = self.forest.present().iter().map(|(slot, _)| *slot);
        self.flagged.extend(present.filter(|slot| verdict(slot) >= Verdict::Suspect));
        for slot in &self.flagged {
            let process = &self.processes[*slot];
            let ProcessState { verdict, root, evidence, .. } = process.standing;
            if let Some(ends) = process.ends.filter(|_| verdict == Verdict::Leaking) {
                self.tree_forecasts.add(root, self.ceilings.nearest(root).id(), &ends);
            }
            if let Some(evidence) = evidence {
                self.pools.count(process, evidence.slope);
            }
        }
        self.pools.counted();
        let now_s = self.clock.seconds(moment.now);
        for slot in &self.flagged {
            let process = &mut self.processes[*slot];
            if process.standing.verdict == Verdict::Leaking {
                process.tell(now_s, self.tree_forecasts.of(process.standing.root), events);
            }
        }
        let comm = |root| match self.forest.slot(root) {
            Some(slot) => self.processes[slot].standing.comm,
            None => Comm::default(),
        };
        self.tree_forecasts.tell(now_s, comm, events);
        let of_tree = |process: &Process| process.subtree.as_ref().is_some_and(|f| f.told);
        let found = self.pools.iter().any(|(_, entry)| entry.leaks)
            || self.parents.iter().any(|slot| of_tree(&self.processes[*slot]));
        for (ceiling_usage, root) in self.ceilings.each() {
            let covered = self.tree_forecasts.covers(ceiling_usage.id());
            let forecast = ceiling_usage.trend().map(|ends| ends.forecast());
            // Memory that is taken once and for all looks like this too; who takes it is convicted
            // on more than that. So what nobody is convicted of must have gone half the way.
            let is_sure = |f: &Forecast| {
                ceiling_usage.fill() != FilledBy::Footprints || found || f.reach() <= 1.0
            };
            let (ceiling, place) = (ceiling_usage.id().kind, ceiling_usage.id().place);
            let comm = root.map_or(Comm::default(), comm);
            match forecast.filter(|forecast| !covered && is_sure(forecast)) {
                Some(forecast) => {
                    if let Some(told) =
                        LastForecast::anew(*ceiling_usage.told(), now_s, Some(&forecast))
                    {
                        *ceiling_usage.told() = Some(told);
                        events.push(Event::Forecast { root, comm, forecast });
                    }
                }
                None => {
                    if ceiling_usage.told().take().is_some() && !covered {
                        events.push(Event::ForecastCleared { root, comm, ceiling, place });
                    }
                }
            }
        }
    }
}

mod explain;
/// A finding on the tree below a process, as yet without evidence and forecast.
fn of_tree(
    root_of_it: &ProcessState,
    why: FindingReason,
    (footprint, tasks): (u64, u32),
) -> Finding {
    let ProcessState { id, comm, root, .. } = *root_of_it;
    let (evidence, forecast, again) = (None, None, false);
    let scope = FindingScope::Tree;
    Finding { id, comm, root, scope, why, footprint, tasks, evidence, forecast, again }
}

pub mod ceilings;
pub mod earlier_runs;
pub mod process_state;
pub mod sample_clock;
pub mod series;
pub mod short_lived;
pub mod subtree;
#[cfg(test)]
mod tests;
