//! The steps of one sample up to the verdicts: which processes came and went, then processes,
//! subtrees and pools.

use crate::core::detect::Detector;
use crate::core::detect::constants::INTERVAL_LEVEL;
use crate::core::detect::declared::declared;
use crate::core::detect::forecast::ceiling_series::Headroom;
use crate::core::detect::known_programs::{ProgramKind, kind_of};
use crate::core::detect::pools::JUDGE_EVERY;
use crate::core::detect::process::Process;
use crate::core::detect::process_state::ProcessState;
use crate::core::detect::sample_clock::{SampleTime, block};
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::subtree::{Subtree, SubtreeTotal};
use crate::core::detect::verdict::JudgeContext;
use crate::core::model::event::Event;
use crate::core::model::process::{Comm, ProcId, Program};
use crate::core::model::profile::{RunOwner, path_digest};
use crate::core::model::sample::Sample;
use crate::core::model::verdict::{FindingReason, Verdict};
use crate::core::servers::{self, is_interpreter};
use crate::core::worker_pool::WorkerPoolKind;
use std::collections::HashMap;
use std::num::NonZeroU64;

impl Detector {
    /// Tells the series that count tasks which processes ended by order.
    pub(super) fn count_ended(&mut self) {
        for slot in self.trees.gone() {
            let process = &self.processes[*slot];
            if !process.ordered {
                continue;
            }
            let ProcessState { root, threads, mut parent, .. } = process.state;
            self.ceilings.ended(root, threads);
            while let Some(slot) = parent.and_then(|parent| self.trees.slot(parent)) {
                let above = &mut self.processes[slot];
                if let Some(subtree) = &mut above.subtree {
                    subtree.ended += 1;
                }
                parent = above.state.parent;
            }
        }
    }

    /// Withdraws the verdicts of processes that are gone, and remembers their runs.
    pub(super) fn remove_exited(&mut self, events: &mut Vec<Event>) {
        let constants = &self.basis.constants;
        for slot in self.trees.gone() {
            let process = &mut self.processes[*slot];
            process.exited(events);
            let state = &process.state;
            let Headroom { left, limit, .. } = self.ceilings.nearest(state.root).headroom();
            // A run that an order or the OOM killer ended did not come to its end.
            let by_itself = !process.ordered && left as f64 > constants.run_headroom * limit as f64;
            let long_enough = state.samples >= constants.run_samples;
            // A service that starts again, and a worker after another, grow as before: but so do those
            // that leaked until something ended them, so only a run that had come to rest is an
            // example, or a child's that never grew. What works until it is done grows until then.
            let rested = process.rested().map(|rested| rested >= constants.rested);
            let is_job = || kind_of(state.comm, process.parent_comm) == ProgramKind::Job;
            let has_parent = process.parent_comm.is_some();
            if by_itself && long_enough && (rested.unwrap_or(has_parent) || is_job()) {
                self.runs.ended(process.run_key(), process.peak, process.watched);
            }
            self.pools.leave(process);
        }
        if !self.trees.gone().is_empty() {
            self.pools.forget(|parent| self.trees.slot(parent).is_some());
        }
    }

    /// Begins to keep the processes that are new in the sample.
    pub(super) fn add_new(&mut self, sample: &Sample) {
        for (slot, index) in self.trees.newcomers() {
            let process = Process::new(&sample.procs[*index], self.page_size);
            match self.processes.get_mut(*slot) {
                Some(free) => *free = process,
                None => self.processes.push(process),
            }
        }
        for (slot, _) in self.trees.newcomers() {
            let parent = self.trees.node(*slot).parent;
            let parent_slot = parent.and_then(|parent| self.trees.slot(parent));
            let parent_comm = parent_slot.map(|slot| self.processes[slot].state.comm);
            let process = &mut self.processes[*slot];
            process.parent_comm = parent_comm;
            process.state.parent = parent;
        }
        self.take_in_programs(sample);
        for (slot, _) in self.trees.newcomers() {
            self.pools.join(&mut self.processes[*slot]);
        }
    }

    /// Takes over which programs run, of new processes and of those that run another one now.
    fn take_in_programs(&mut self, sample: &Sample) {
        if sample.programs.is_empty() {
            return;
        }
        let named: HashMap<ProcId, Comm> = sample.procs.iter().map(|p| (p.id, p.comm)).collect();
        for program in &sample.programs {
            let Some(slot) = self.trees.slot(program.id) else { continue };
            let process = &mut self.processes[slot];
            let comm = named.get(&program.id).copied().unwrap_or(process.state.comm);
            process.declared = declared(comm, &program.title).and_then(NonZeroU64::new);
            process.state.owner = owner_of(program);
            process.state.server = servers::recognise(program, comm, &self.user_servers);
            process.state.pool_kind = WorkerPoolKind::of(program, comm, process.state.server);
            if process.member.is_some() {
                self.pools.join(process);
            }
        }
    }

    /// Takes over how every process stands.
    pub(super) fn follow_processes(&mut self, sample: &Sample) {
        self.roots.clear();
        for (slot, index) in self.trees.present() {
            let node = self.trees.node(*slot);
            if node.parent.is_none() {
                self.roots.push(*slot);
            }
            let parent_alive = self.trees.has_parent(*slot);
            self.processes[*slot].follow(&sample.procs[*index], node, parent_alive);
        }
        let lives = |slot: &usize| self.trees.node(*slot).alive;
        self.flagged.retain(lives);
        self.parents.retain(lives);
    }

    /// Judges every process, and sums up the trees above it.
    pub(super) fn judge_processes(
        &mut self,
        moment: &SampleTime,
        sample: &Sample,
        events: &mut Vec<Event>,
    ) {
        self.totals.clear();
        self.totals.resize(self.processes.len(), SubtreeTotal::default());
        self.roots.clear();
        self.parents.clear();
        let basis = &self.basis;
        for (slot, index) in self.trees.present() {
            let node = self.trees.node(*slot);
            let process = &mut self.processes[*slot];
            if node.parent.is_none() {
                self.roots.push(*slot);
            }
            if node.children > 0 || process.subtree.is_some() {
                self.parents.push(*slot);
            }
            let parent_alive = self.trees.has_parent(*slot);
            process.update(&sample.procs[*index], node, parent_alive, sample.t, moment);
            let watched_s = basis.clock.seconds(process.watched);
            let started_s = node.id.start as f64 / self.clock_ticks;
            let true_age_s = sample.uptime_s.map_or(0.0, |uptime_s| uptime_s - started_s);
            process.state.age_s = watched_s.max(true_age_s);
            let entry = process.member.as_ref().and_then(|(index, _)| self.pools.get(*index));
            let slope = process.state.evidence.map_or(0.0, |evidence| evidence.slope);
            let group_factor = entry.map_or(1.0, |entry| entry.group_factor(slope));
            let nearest = self.ceilings.nearest(node.root).series();
            let context = JudgeContext { group_factor, ..JudgeContext::new(basis, nearest) };
            process.judge(moment, &context, &self.runs, events);
            if let Some(usage) = self.ceilings.nearest_in_tasks(node.root) {
                process.judge_threads(moment, &JudgeContext::new(basis, usage.series()), events);
            }
            self.pools.grew(process, moment);
            for above in self.trees.ancestors(*slot) {
                let total = &mut self.totals[above];
                total.footprint += process.state.footprint;
                total.load += process.load;
                total.count += 1;
                total.tasks += process.state.threads;
            }
        }
    }

    /// Judges the tree below every process that has or had children.
    pub(super) fn judge_subtrees(&mut self, moment: &SampleTime) {
        for slot in &self.parents {
            let process = &mut self.processes[*slot];
            let mut total = self.totals[*slot];
            if total.count > 0 && process.subtree.is_none() {
                process.subtree = Some(Box::new(Subtree::new(self.page_size)));
            }
            let Some(subtree) = &mut process.subtree else { continue };
            total.footprint += process.state.footprint;
            total.load += process.load;
            let root = process.state.root;
            let context = JudgeContext::new(&self.basis, self.ceilings.nearest(root).series());
            let in_tasks = self.ceilings.nearest_in_tasks(root);
            let in_tasks = in_tasks.map(|usage| JudgeContext::new(&self.basis, usage.series()));
            subtree.judge(moment, total, &context, in_tasks.as_ref());
            if subtree.child_leak.is_some() {
                for above in self.trees.ancestors(*slot) {
                    self.totals[above].has_child_leak_below = true;
                }
            }
        }
    }

    /// Finds the one that grows where siblings of its program, at the same work, do not: what they
    /// have in common, a cache, a warm-up, their requests, does not explain it.
    pub(super) fn compare_siblings(&mut self, moment: &SampleTime) {
        let mut found = Vec::new();
        for slot in &self.flagged {
            let process = &self.processes[*slot];
            let Some((pool, _)) = process.member else { continue };
            let nearest = self.ceilings.nearest(process.state.root).series();
            let group_factor = process.group_factor;
            let context = JudgeContext { group_factor, ..JudgeContext::new(&self.basis, nearest) };
            let Some(window) = process.unproven_window(moment.now, &context) else { continue };
            let GrowthWindow { level, blocks, .. } = window;
            let Some((grown, load)) = process.series.growth_and_load(level, blocks) else {
                continue;
            };
            let others = self.trees.present().iter().map(|(other, _)| other);
            let siblings = others.filter(|other| *other != slot).filter_map(|other| {
                let other = &self.processes[*other];
                let (of, _) = other.member?;
                let compared = other.series.growth_and_load(level, blocks);
                let size = other.state.footprint as f64;
                compared.filter(|_| of == pool).map(|(growth, work)| (growth, work, size))
            });
            let least = process.state.footprint as f64 / self.basis.constants.sibling_size;
            let (mut at_rest, mut alike) = (0, 0);
            for (growth, work, size) in siblings {
                let rests = growth < 0.2 * grown && work >= 0.3 * load;
                at_rest += i32::from(rests && size <= least);
                alike += i32::from(growth > 0.5 * grown);
            }
            if at_rest >= 1 && alike <= at_rest {
                found.push((*slot, moment.now + window.length() / 2));
            }
        }
        for (slot, until) in found {
            self.processes[slot].leaks(FindingReason::UnlikeSiblings, until);
        }
    }

    /// Judges the pools, when that is due, and reports those that changed; returns whether it was.
    pub(super) fn judge_pools(&mut self, moment: &SampleTime, events: &mut Vec<Event>) -> bool {
        if !self.pools.judge(moment, &self.basis.constants) {
            return false;
        }
        self.report_pools(events);
        // Two judgements beyond this one: a pool that slows down for a moment keeps its verdicts.
        let until = moment.now + 2 * JUDGE_EVERY * block(INTERVAL_LEVEL);
        for (slot, _) in self.trees.present() {
            let process = &mut self.processes[*slot];
            let entry = process.member.and_then(|(index, _)| self.pools.get(index));
            let entry = entry.filter(|entry| entry.grows());
            let (Some(entry), Some(settled)) = (entry, process.settled) else { continue };
            let age = process.intervals();
            let growth = process.state.footprint as f64 - settled.get() as f64;
            let mean_growth = entry.pool.mean_growth(age);
            let least = self.basis.constants.least_growth.max(0.5 * mean_growth);
            if age >= entry.pool.half_life() && growth >= least {
                process.grows_with_pool(until, entry.verdict == Verdict::Leaking);
            }
        }
        true
    }
}

/// Whose runs those of a program are. Of a fork of an interpreter its path tells nothing: workers of two
/// services in Python differ by the command line, which they have from their masters.
fn owner_of(program: &Program) -> RunOwner {
    let Program { uid, exe, title, .. } = program;
    let name = exe.rsplit('/').next().unwrap_or_default();
    let is_script = program.forked && is_interpreter(name);
    let digest = if is_script { path_digest(&format!("{exe}\n{title}")) } else { path_digest(exe) };
    RunOwner::new(*uid, digest)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::process::ProcId;

    #[test]
    fn runs_of_two_services_in_one_language_are_not_runs_of_one_program() {
        let owner = |exe: &str, title: &str, forked| {
            let (id, exe, title) = (ProcId { pid: 1, start: 1 }, exe.to_owned(), title.to_owned());
            let (threads, permitted, uid, unit) = (1, None, Some(33), None);
            owner_of(&Program { id, exe, title, threads, forked, permitted, uid, unit })
        };
        let python = |title, forked| owner("/usr/bin/python3.11", title, forked);
        assert_ne!(python("gunicorn shop:app", true), python("gunicorn blog:app", true));
        assert_eq!(python("gunicorn shop:app", true), python("gunicorn shop:app", true));
        // A job has other arguments every day.
        assert_eq!(python("job.py 30", false), python("job.py 31", false));
        let postgres = |title| owner("/usr/lib/postgresql/15/bin/postgres", title, true);
        assert_eq!(postgres("postgres: a [local] idle"), postgres("postgres: b [local] SELECT"));
    }
}
