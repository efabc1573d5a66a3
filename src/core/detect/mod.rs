//! The detector: state across samples, from samples to verdicts.
//!
//! It has no I/O, no clock and no error, and its memory is bounded. In a steady tick (no process
//! appears, exits or begins to grow) it allocates nothing.

pub mod basis;
pub mod bend;
pub mod ceilings;
pub mod constants;
mod convict;
pub mod declared;
pub mod earlier_runs;
pub mod explain;
pub mod forecast;
mod growth_record;
mod judging;
pub mod known_programs;
pub mod pools;
pub mod process;
pub mod process_state;
pub mod proof;
mod reporting;
pub mod sample_clock;
pub mod series;
pub mod short_lived;
pub mod size_history;
mod statements;
pub mod subtree;
#[cfg(test)]
mod tests;
pub mod threads;
pub mod tree;
pub mod verdict;

use crate::core::detect::basis::JudgeBasis;
use crate::core::detect::ceilings::causes::UseHistory;
use crate::core::detect::ceilings::tracker::CeilingTracker;
use crate::core::detect::ceilings::usage::CeilingUsage;
use crate::core::detect::constants::Constants;
use crate::core::detect::earlier_runs::EarlierRuns;
use crate::core::detect::forecast::ceiling_series::Headroom;
use crate::core::detect::forecast::tree_forecasts::TreeForecasts;
use crate::core::detect::pools::Pools;
use crate::core::detect::process::Process;
use crate::core::detect::process_state::ProcessState;
use crate::core::detect::subtree::SubtreeTotal;
use crate::core::detect::tree::ProcessTrees;
use crate::core::model::ceiling::FilledBy;
use crate::core::model::event::Event;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::ProcId;
use crate::core::model::profile::Profile;
use crate::core::model::sample::{Header, Sample};
use crate::core::model::verdict::Evidence;
use crate::core::servers::Server;

/// Judges processes by their samples.
pub struct Detector {
    basis: JudgeBasis,
    clock_ticks: f64,
    page_size: f64,
    ceilings: CeilingTracker,
    trees: ProcessTrees,
    /// By slot; a free slot keeps its last process until it is taken again.
    processes: Vec<Process>,
    pools: Pools,
    runs: EarlierRuns,
    tree_forecasts: TreeForecasts,
    /// What uses memory besides.
    uses: UseHistory,
    /// By slot, of the last sample.
    totals: Vec<SubtreeTotal>,
    /// Slots of the processes without a parent, of those that have or had children, and of those
    /// that grow or leak: few, so that no search goes through all processes for them.
    roots: Vec<usize>,
    parents: Vec<usize>,
    flagged: Vec<usize>,
    /// The user's own rows of the table of servers.
    user_servers: Vec<&'static Server>,
}

impl Detector {
    /// A detector for samples as the header describes them; a forecast reaches at most
    /// `max_extrapolation` times further than its evidence.
    pub fn new(header: &Header, max_extrapolation: f64) -> Self {
        Self::with(header, Constants { max_extrapolation, ..Constants::default() })
    }

    /// A detector with other thresholds.
    pub fn with(header: &Header, constants: Constants) -> Self {
        let page_size = header.page_size.max(1) as f64;
        Self {
            basis: JudgeBasis::new(constants, page_size, header.interval_s),
            clock_ticks: header.clock_ticks.max(1) as f64,
            page_size,
            ceilings: CeilingTracker::new(page_size),
            trees: ProcessTrees::default(),
            processes: Vec::new(),
            pools: Pools::default(),
            runs: EarlierRuns::default(),
            tree_forecasts: TreeForecasts::default(),
            uses: UseHistory::default(),
            totals: Vec::new(),
            roots: Vec::new(),
            parents: Vec::new(),
            flagged: Vec::new(),
            user_servers: Vec::new(),
        }
    }

    /// Recognises servers by these rows too, from the next time on that a sample tells of a program.
    pub fn set_user_servers(&mut self, rows: &[&'static Server]) {
        self.user_servers = rows.to_vec();
    }

    /// Judges the next sample; pushes what changed onto `events`.
    pub fn observe(&mut self, sample: &Sample, events: &mut Vec<Event>) {
        if self.basis.clock.is_between(sample.t) {
            return self.follow(sample, events);
        }
        let moment = self.basis.clock.advance(sample.t, sample.span_s);
        self.trees.observe(&sample.procs, &sample.programs);
        self.count_ended();
        self.ceilings.observe(&moment, sample, &self.basis);
        self.uses.observe(sample.t, &sample.uses);
        self.remove_exited(events);
        self.add_new(sample);
        self.judge_processes(&moment, sample, events);
        self.judge_subtrees(&moment);
        self.report_child_leaks(events);
        let is_pools_turn = self.judge_pools(&moment, events);
        self.join_forecasts();
        if is_pools_turn {
            self.compare_siblings(&moment);
        }
        self.report_forecasts(&moment, events);
    }

    /// Takes over how things stand in a sample that follows a counted one closely: which processes
    /// live, how large they are and what is left. Series and verdicts wait for the next counted one.
    fn follow(&mut self, sample: &Sample, events: &mut Vec<Event>) {
        self.trees.observe(&sample.procs, &sample.programs);
        self.count_ended();
        self.ceilings.follow(sample);
        self.remove_exited(events);
        self.add_new(sample);
        self.follow_processes(sample);
    }

    /// Whether the sample taken at `t` would be counted: one that is not only shows how things stand.
    pub fn counts(&self, t: f64) -> bool {
        !self.basis.clock.is_between(t)
    }

    /// Notes that a process was ordered to end: its run does not show how its program's runs grow
    /// and settle.
    pub fn ordered(&mut self, id: ProcId) {
        if let Some(slot) = self.trees.slot(id) {
            self.processes[slot].ordered = true;
        }
    }

    /// Takes over what an earlier detector learnt of programs.
    pub fn remember(&mut self, profiles: &[Profile]) {
        self.runs.remember(profiles, self.basis.clock.seconds(1));
    }

    /// What was learnt of at most so many programs, the most recently ended first.
    pub fn profiles(&self, most: usize) -> Vec<Profile> {
        self.runs.profiles(most, self.basis.clock.seconds(1))
    }

    /// How often something new was learnt of a program.
    pub fn learnt(&self) -> u64 {
        self.runs.learnt()
    }

    /// The living processes of the last sample.
    pub fn process_states(&self) -> impl Iterator<Item = &ProcessState> {
        self.trees.present().iter().map(|(slot, _)| &self.processes[*slot].state)
    }

    /// Those of them that have no parent in the sample.
    pub fn roots(&self) -> impl Iterator<Item = &ProcessState> {
        self.roots.iter().map(|slot| &self.processes[*slot].state)
    }

    /// Those of them that grow or leak.
    pub fn flagged(&self) -> impl Iterator<Item = &ProcessState> {
        self.flagged.iter().map(|slot| &self.processes[*slot].state)
    }

    /// Whether a process of the sample before is missing in the last one.
    pub fn is_any_gone(&self) -> bool {
        !self.trees.gone().is_empty()
    }

    /// One living process.
    pub fn process_state(&self, id: ProcId) -> Option<&ProcessState> {
        Some(&self.processes[self.trees.slot(id)?].state)
    }

    /// When the first ceiling over the tree below `root` is reached, whatever fills it; none if
    /// none comes nearer.
    pub fn forecast(&self, root: ProcId) -> Option<Forecast> {
        let trends = self.trends(root).map(|(_, forecast)| forecast);
        let all = trends.chain(self.tree_forecasts.of(root, self.headroom(root).left));
        all.min_by(|a, b| a.likely_s.total_cmp(&b.likely_s))
    }

    /// When the nearest ceiling on memory over the tree below `root` is reached by the long growths
    /// below that ceiling; none if nothing in the tree [endangers](ProcessState::endangers) it.
    pub fn growth_forecast(&self, root: ProcId) -> Option<Forecast> {
        self.tree_forecasts.of(root, self.headroom(root).left)
    }

    /// When the first ceiling on tasks over the tree below `root` is reached, and what is left.
    pub fn task_forecast(&self, root: ProcId) -> Option<(Forecast, Headroom)> {
        let trends = self.trends(root).filter(|(usage, _)| usage.fill() == FilledBy::Tasks);
        let first = trends.min_by(|(_, a), (_, b)| a.likely_s.total_cmp(&b.likely_s));
        first.map(|(usage, forecast)| (forecast, usage.headroom()))
    }

    /// Whether a ceiling on tasks was reported to come nearer.
    pub fn is_short_of_tasks(&self) -> bool {
        self.ceilings.iter().any(|usage| usage.fill() == FilledBy::Tasks && usage.is_reported())
    }

    /// What is left below the nearest ceiling on tasks over the tree below `root`.
    pub fn nearest_in_tasks(&self, root: ProcId) -> Option<Headroom> {
        self.ceilings.nearest_in_tasks(root).map(CeilingUsage::headroom)
    }

    /// The ceilings over a tree that were reported to come nearer.
    fn trends(&self, root: ProcId) -> impl Iterator<Item = (&CeilingUsage, Forecast)> {
        let reported = self.ceilings.all_over(root).filter(|usage| usage.is_reported());
        reported.filter_map(|usage| Some((usage, usage.trend()?.forecast())))
    }

    /// Seconds until the first ceiling is reached if growths go on that prove nothing yet.
    pub fn unproven_end_s(&self) -> f64 {
        self.ceilings.iter().map(CeilingUsage::unproven_end_s).fold(f64::INFINITY, f64::min)
    }

    /// The parents whose children leak in number, with the evidence in tasks, and for how many
    /// seconds they have.
    pub fn child_leaks(&self) -> impl Iterator<Item = (ProcId, Evidence, f64)> {
        let clock = &self.basis.clock;
        let processes = self.parents.iter().map(|slot| &self.processes[*slot]);
        processes.filter_map(|process| {
            let child_leak = process.subtree.as_ref()?.child_leak.as_ref()?;
            let for_s = clock.seconds(clock.now().saturating_sub(child_leak.began));
            Some((process.state.id, child_leak.tasks?, for_s))
        })
    }

    /// What is left below the nearest ceiling on memory over the tree below `root`.
    pub fn headroom(&self, root: ProcId) -> Headroom {
        self.ceilings.nearest(root).headroom()
    }
}
