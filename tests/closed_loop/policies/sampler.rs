//! Sampler: the world as the live sampler would show it to the engine.

use crate::scenario::{Bound, Group};
use crate::server::Look;
use crate::worker::Worker;
use crate::world::World;
use leakwatch::core::model::ceiling::{
    Ceiling, CeilingKind, MemoryFailure, MemoryFailureKind, Place,
};
use leakwatch::core::model::process::{Comm, Proc, ProcId, Program};
use leakwatch::core::model::sample::{Memory, Sample};

/// When the watch begins, in seconds since the epoch and since boot.
const EPOCH_S: f64 = 1.7e9;
const BOOTED_S: f64 = 1000.0;
/// Clock ticks a second.
pub const TICKS: u64 = 100;
/// The masters' pids, by tree, and what each of them holds.
const MASTER_PID: u32 = 100;
const MASTER_BYTES: u64 = 4 << 20;
/// MiB by which the kernel's counters of a process move: they are kept per CPU and summed up late.
const BATCH: f64 = 0.25;

/// Fills samples.
#[derive(Default)]
pub struct Sampler {
    /// Those whose programs were told.
    known: Vec<ProcId>,
    /// Kills that were told, of each limit.
    kills: Vec<u64>,
}

/// Bytes of so many MiB.
fn bytes(mib: f64) -> u64 {
    (mib.max(0.0) * 1_048_576.0) as u64
}

/// Clock ticks since boot.
fn ticks(t: f64) -> u64 {
    ((BOOTED_S + t) * TICKS as f64) as u64
}

/// Who the master of a tree is.
pub fn master(tree: usize) -> ProcId {
    ProcId { pid: MASTER_PID + tree as u32, start: ticks(-500.0) }
}

/// Who a worker is.
pub fn id(worker: &Worker) -> ProcId {
    ProcId { pid: worker.pid, start: ticks(worker.started_t) }
}

impl Sampler {
    /// What a look at the world shows now. A process that is gone has no memory in /proc any more,
    /// although not all of it is free yet.
    pub fn look(&mut self, world: &World<'_>, sample: &mut Sample) {
        sample.t = EPOCH_S + world.t;
        sample.uptime_s = Some(BOOTED_S + world.t);
        self.look_at_memory(world, sample);
        self.look_at_processes(world, sample);
        self.look_at_kills(world, sample);
        self.known.retain(|id| sample.procs.iter().any(|proc| proc.id == *id));
    }

    fn look_at_processes(&mut self, world: &World<'_>, sample: &mut Sample) {
        sample.procs.clear();
        sample.programs.clear();
        for group in &world.kind.groups {
            let (look, _) = group.server.looks();
            let proc = process(master(group.tree), 1, look, MASTER_BYTES, 0.5);
            if sample.procs.iter().all(|other| other.id != proc.id) {
                self.show(proc, look, false, sample);
            }
        }
        for worker in world.workers.iter().filter(|worker| worker.is_alive()) {
            let group = &world.kind.groups[worker.group];
            let (_, look) = group.server.looks();
            // The counters of each lag by another part of a batch.
            let lag = worker.phase * BATCH;
            let held = ((worker.held + lag) / BATCH).floor() * BATCH;
            let cpu_s = (worker.cpu_s * TICKS as f64).floor() / TICKS as f64;
            let parent = master(group.tree).pid;
            let proc = process(id(worker), parent, look, bytes(held), cpu_s);
            self.show(proc, look, group.server.forks(), sample);
        }
    }

    fn show(&mut self, proc: Proc, look: Look, forked: bool, sample: &mut Sample) {
        sample.procs.push(proc);
        if !self.known.contains(&proc.id) {
            self.known.push(proc.id);
            let (exe, title) = (look.exe.to_owned(), look.title.to_owned());
            let permitted = Some(true);
            sample.programs.push(Program {
                id: proc.id,
                exe,
                title,
                threads: 1,
                forked,
                permitted,
                uid: None,
                unit: None,
            });
        }
    }

    /// Shows what is left below the limits, as a glance does.
    pub fn look_at_memory(&mut self, world: &World<'_>, sample: &mut Sample) {
        let machine = &world.limits[0];
        let (total, available) = (bytes(machine.size), bytes(machine.gauge.shown));
        sample.memory = Memory { total, available, ..Memory::default() };
        sample.ceilings.clear();
        for (index, limit) in world.limits.iter().enumerate().skip(1) {
            let (kind, place) = ceiling_of(index, limit.bound);
            let used = bytes(limit.size - limit.gauge.shown);
            let below = |group: &&Group| group.below.contains(&Some(index));
            let mut trees: Vec<usize> =
                world.kind.groups.iter().filter(below).map(|g| g.tree).collect();
            trees.sort_unstable();
            trees.dedup();
            sample.ceilings.extend(trees.into_iter().map(|tree| {
                let root = Some(master(tree));
                Ceiling { kind, root, place, used, limit: bytes(limit.size) }
            }));
        }
    }

    fn look_at_kills(&mut self, world: &World<'_>, sample: &mut Sample) {
        sample.memory_failures.clear();
        self.kills.resize(world.limits.len(), 0);
        for (index, limit) in world.limits.iter().enumerate() {
            let (ceiling, place) = ceiling_of(index, limit.bound);
            let count = limit.kills - std::mem::replace(&mut self.kills[index], limit.kills);
            if count > 0 {
                let kind = MemoryFailureKind::OomKill;
                let failure = MemoryFailure { kind, ceiling, root: None, place, count };
                sample.memory_failures.push(failure);
            }
        }
    }
}

fn ceiling_of(index: usize, bound: Bound) -> (CeilingKind, Place) {
    match bound {
        Bound::Machine => (CeilingKind::Ram, Place::NONE),
        Bound::Cgroup => (CeilingKind::CgroupMemory, Place::new(&format!("/pool{index}"))),
        Bound::Budget => (CeilingKind::Budget, Place::NONE),
    }
}

fn process(id: ProcId, ppid: u32, look: Look, held: u64, cpu_s: f64) -> Proc {
    let comm = Comm::new(look.comm.as_bytes());
    // Shared libraries and the program itself.
    let rss = held + (3 << 20);
    Proc { id, ppid, comm, rss, anon: Some(held), swap: 0, cpu_s, threads: 1 }
}
