//! Every limit that can fail a fork or bring the OOM killer, read in each sample from kept
//! descriptors, and the memory failures that show that one was reached.
//!
//! A limit of a cgroup binds together with those of all its ancestors, so each is a ceiling of its
//! own. Groups shared by several trees are read once. What seldom changes (which cgroup a process
//! is in, its user and its ulimits, whether a group has got a limit) is read in one sample of 16.

#![deny(clippy::arithmetic_side_effects, reason = "what a file says may be any number")]
#![cfg_attr(test, allow(clippy::arithmetic_side_effects))]

mod container;
pub(in crate::system) mod hierarchy;
mod kernel_log;
mod sources;
mod trees;
mod ulimits;
mod users;

use super::proc::procdir::ProcDir;
use super::proc::watched::KnownProcess;
use crate::core::model::ceiling::{
    Ceiling, CeilingKind, MemoryFailure, MemoryFailureKind, PastFailures, Place,
};
use crate::core::model::process::{Proc, ProcId};
use crate::core::model::sample::{CommitCharge, Memory, MemoryUse, PlaceName};
use crate::system::origin::Origins;
use cgroup::CgroupLimit;
use container::Container;
use hierarchy::Hierarchy;
use kept_file::KeptFile;
use kernel_log::{KernelLog, News};
use std::collections::BTreeMap;
use std::path::Path;
use trees::{Cgroups, TreeLimits};

/// What seldom changes is read in one of so many samples.
const SLOW: u32 = 16;
/// pids below that are not handed out again once they went round (RESERVED_PIDS in kernel/pid.c).
const RESERVED_PIDS: u64 = 300;
/// From this share of ten seconds on, in percent, in which all tasks waited for memory, it counts as a
/// stall; a machine that swaps now and then stays below 5.
const STALLED: u64 = 20;

/// What the sampler knows when the ceilings are read.
pub(in crate::system) struct SamplerView<'a> {
    pub(in crate::system) tick: u32,
    pub(in crate::system) proc: &'a ProcDir,
    pub(in crate::system) known: &'a mut BTreeMap<u32, KnownProcess>,
    pub(in crate::system) procs: &'a [Proc],
    /// The root of each of them.
    pub(in crate::system) roots: &'a [Option<ProcId>],
    pub(in crate::system) memory: &'a Memory,
    /// vm.overcommit_memory.
    pub(in crate::system) overcommit: u8,
    /// Tasks of the machine.
    pub(in crate::system) tasks: Option<u64>,
}

/// All limits of the machine and of the watched trees.
#[derive(Debug)]
pub(in crate::system) struct CeilingReader {
    page_size: u64,
    budget: Option<u64>,
    groups: Cgroups,
    trees: Vec<TreeLimits>,
    threads_max: Option<KeptFile>,
    pid_max: Option<KeptFile>,
    /// kernel.threads-max and kernel.pid_max, which change as good as never.
    task_limits: [Option<u64>; 2],
    container: Option<Container>,
    log: KernelLog,
    pressure: Option<KeptFile>,
    reserves: Reserves,
}

/// Bytes of the commit limit that are kept back.
#[derive(Clone, Copy, Debug)]
struct Reserves {
    /// vm.admin_reserve_kbytes: for processes with CAP_SYS_ADMIN.
    admin: u64,
    /// vm.user_reserve_kbytes: of a large process not even for itself.
    user: u64,
}

impl CeilingReader {
    /// The ceilings under a procfs; `own`: whether it is this machine's.
    pub(in crate::system) fn new(
        proc: &Path,
        sysfs: Option<&Path>,
        budget: Option<u64>,
        own: bool,
    ) -> Self {
        let open = |name: &str| KeptFile::open(proc.join(name)).ok();
        let page_size = procfs::page_size();
        let reserve = |name: &str| {
            let file = open(&format!("sys/vm/{name}"));
            file.and_then(|file| file.number()).unwrap_or(0).saturating_mul(1024)
        };
        Self {
            page_size,
            budget,
            groups: Cgroups::new(Hierarchy::new(proc, sysfs)),
            trees: Vec::new(),
            threads_max: open("sys/kernel/threads-max"),
            pid_max: open("sys/kernel/pid_max"),
            task_limits: [None; 2],
            container: Container::open(proc, page_size),
            log: KernelLog::open(proc, own),
            pressure: open("pressure/memory"),
            reserves: Reserves {
                admin: reserve("admin_reserve_kbytes"),
                user: reserve("user_reserve_kbytes"),
            },
        }
    }

    /// Reads all limits into `ceilings`, and what happened since the tick before into `memory_failures`.
    pub(in crate::system) fn read(
        &mut self,
        mut view: SamplerView<'_>,
        ceilings: &mut Vec<Ceiling>,
        memory_failures: &mut Vec<MemoryFailure>,
    ) {
        ceilings.clear();
        memory_failures.clear();
        trees::find(&mut self.trees, &mut self.groups, &view, self.budget.is_some());
        trees::look_slowly(&mut self.trees, &mut self.groups, &mut view, self.page_size);
        let swap_free = (view.memory.swap_total > 0).then_some(view.memory.swap_free);
        self.groups.read(view.tick, swap_free);
        self.read_machine(&view, ceilings, memory_failures);
        for tree in &self.trees {
            self.read_tree(tree, &view, ceilings);
            self.groups.memory_failures(tree, memory_failures);
        }
    }

    /// Adds what uses the memory of cgroups whose memory is limited, at most so many; and whose limits
    /// those of new cgroups are.
    pub(in crate::system) fn describe(
        &mut self,
        origins: &mut Origins,
        most: usize,
        uses: &mut Vec<MemoryUse>,
        places: &mut Vec<PlaceName>,
    ) {
        let room = most.saturating_sub(uses.len());
        uses.extend(self.groups.uses().take(room));
        self.groups.name(origins, places);
    }

    /// The names of all cgroups are to be told again.
    pub(in crate::system) fn tell_again(&mut self) {
        self.groups.tell_again();
    }

    /// Adds the cgroups' hard limits on memory with what is used now, as of the last sample's trees.
    pub(in crate::system) fn glance(&self, memory: &Memory, out: &mut Vec<Ceiling>) {
        let swap_free = (memory.swap_total > 0).then_some(memory.swap_free);
        out.extend(self.groups.glance(swap_free).map(|limit| {
            let CgroupLimit { kind, place, used, limit } = limit;
            Ceiling { kind, root: None, place, used, limit }
        }));
    }

    /// Limits of the machine.
    fn read_machine(
        &mut self,
        view: &SamplerView<'_>,
        out: &mut Vec<Ceiling>,
        memory_failures: &mut Vec<MemoryFailure>,
    ) {
        let machine = |CgroupLimit { kind, place, used, limit }| Ceiling {
            kind,
            root: None,
            place,
            used,
            limit,
        };
        let sign = |kind, ceiling, count| MemoryFailure {
            kind,
            ceiling,
            root: None,
            place: Place::NONE,
            count,
        };
        if view.tick % SLOW == 1 {
            let number = |file: &Option<KeptFile>| file.as_ref().and_then(KeptFile::number);
            self.task_limits = [number(&self.threads_max), number(&self.pid_max)];
        }
        if let Some(used) = view.tasks {
            let [threads_max, pid_max] = self.task_limits;
            let pid_max = pid_max.map(|max| max.saturating_sub(RESERVED_PIDS));
            let kinds = [(CeilingKind::ThreadsMax, threads_max), (CeilingKind::PidMax, pid_max)];
            for (kind, limit) in kinds {
                let place = Place::NONE;
                out.extend(limit.map(|limit| machine(CgroupLimit { kind, place, used, limit })));
            }
        }
        if let Some((limits, denied)) = self.container.as_mut().and_then(Container::read) {
            out.extend(limits.into_iter().flatten().map(machine));
            let denied = denied.into_iter().filter(|(_, count)| *count > 0);
            memory_failures
                .extend(denied.map(|(kind, count)| sign(MemoryFailureKind::Refused, kind, count)));
        }
        let News { killed, refused } = self.log.read();
        let stalled = self.pressure.as_ref().and_then(stalled).filter(|share| *share >= STALLED);
        for (kind, ceiling, count) in [
            (MemoryFailureKind::OomKill, CeilingKind::Ram, killed),
            (MemoryFailureKind::Refused, CeilingKind::Commit, refused),
            (MemoryFailureKind::Stalled, CeilingKind::Ram, stalled.unwrap_or(0)),
        ] {
            if count > 0 {
                memory_failures.push(sign(kind, ceiling, count));
            }
        }
    }

    /// What was refused or killed before leakwatch looked, by the counters that last.
    pub(in crate::system) fn past(&self) -> Vec<PastFailures> {
        let container = self.container.iter().flat_map(Container::past);
        container.chain(self.groups.past()).collect()
    }

    /// Limits of one tree.
    fn read_tree(&self, tree: &TreeLimits, view: &SamplerView<'_>, out: &mut Vec<Ceiling>) {
        let root = Some(tree.root);
        let ulimits = tree.ulimits.ceilings(tree.owner, tree.user, view);
        for CgroupLimit { kind, place, used, limit } in self.groups.limits(tree).chain(ulimits) {
            out.push(Ceiling { kind, root, place, used, limit });
        }
        let place = Place::NONE;
        if let Some(used) = tree.largest_mapping {
            let (kind, limit) = (CeilingKind::SingleMapping, view.memory.limit());
            out.push(Ceiling { kind, root, place, used, limit });
        }
        if let Some(commit) = view.memory.commit {
            out.extend(self.commit(tree, view, commit));
        }
        if let Some(limit) = self.budget {
            out.push(Ceiling { kind: CeilingKind::Budget, root, place, used: tree.own, limit });
        }
    }

    /// The commit limit as it is for the next fork of this tree: less the reserves, and as if the
    /// parent's private memory had been asked for once more, touched or not. mm/util.c,
    /// `__vm_enough_memory`; measured: with 115 MB, a parent of 40 MB fails at its second fork.
    fn commit(
        &self,
        tree: &TreeLimits,
        view: &SamplerView<'_>,
        commit: CommitCharge,
    ) -> Option<Ceiling> {
        let watch = view.known.get(&tree.forker)?.watch.as_ref()?;
        let bytes = |pages: u64| pages.saturating_mul(self.page_size);
        let (size, data) = (bytes(watch.pages.size), bytes(watch.pages.data));
        let admin = tree.owner.is_some_and(|owner| owner.admin);
        let reserve = if admin { 0 } else { self.reserves.admin };
        let reserve = reserve.saturating_add((size / 32).min(self.reserves.user));
        Some(Ceiling {
            kind: CeilingKind::Commit,
            root: Some(tree.root),
            place: Place::NONE,
            used: commit.used.saturating_add(data),
            limit: commit.limit.saturating_sub(reserve),
        })
    }
}

/// Percent of the last ten seconds in which all tasks waited for memory (PSI, `full avg10`).
fn stalled(pressure: &KeptFile) -> Option<u64> {
    let mut buffer = [0; 256];
    let text = pressure.text(&mut buffer)?;
    // Only whole percents are compared and reported.
    super::proc::parse::pressure(text, "full").map(|share| share as u64)
}

mod cgroup;
mod kept_file;
mod single_mapping;
#[cfg(test)]
mod tests;
