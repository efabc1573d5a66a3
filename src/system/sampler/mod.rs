//! Takes one [`Sample`] of the machine from a procfs root.
//!
//! A steady sample lists /proc once (0.5 µs a process) to find new pids and reads two kept
//! descriptors, `statm` and `stat`, of each *watched* process: 3.4 µs and no allocation. A kept
//! descriptor answers ESRCH for ever once its process is gone, even when the pid is used again,
//! so a sample never mixes two processes up. Unwatched processes are looked at when new, while young
//! (names change at exec) and in slices of 1/32 after that.

mod discovery;
mod machine_files;
mod pid_list;
#[cfg(test)]
mod tests;
mod watch_set;

use crate::core::model::ceiling::{Ceiling, CeilingSources, PastFailures};
use crate::core::model::masked::masked;
use crate::core::model::process::{ProcId, Program};
use crate::core::model::sample::Sample;
use crate::system::balance::MountUses;
use crate::system::ceilings::{CeilingReader, SamplerView};
use crate::system::origin::{Origins, cgroup_path};
use crate::system::proc::procdir::ProcDir;
use crate::system::proc::watched::ReadResult;
use crate::system::proc::{Selection, is_own, parse, watched};
use anyhow::{Context, Result, anyhow};
use machine_files::MachineFiles;
use pid_list::PidList;
use std::path::Path;
use watch_set::WatchSet;

/// The longest command line kept, in bytes: what is protected may be named at its end.
const TITLE_MAX: usize = 4000;
/// Uses of memory in a sample.
const MOST_USES: usize = 256;

/// A procfs root and what is known of its processes.
#[derive(Debug)]
pub struct Sampler {
    proc: ProcDir,
    /// Whether it is the procfs of our own pid namespace.
    own: bool,
    selection: Selection,
    machine: MachineFiles,
    pids: PidList,
    watched: WatchSet,
    ceilings: CeilingReader,
    origins: Origins,
    mounts: MountUses,
    /// The root of each process of the last sample.
    roots: Vec<Option<ProcId>>,
    spacing: SampleSpacing,
    tick: u32,
    notes: Vec<String>,
    clock_ticks: f64,
    page_size: u64,
}

/// How far apart samples are.
#[derive(Debug, Default)]
struct SampleSpacing {
    last_t: Option<f64>,
    longest_s: f64,
}

impl SampleSpacing {
    /// Whether the sample at `t` follows closer than samples did. Then memory is near its end, and
    /// an idle process matters too.
    fn is_hurried(&mut self, t: f64) -> bool {
        let step_s = t - self.last_t.replace(t).unwrap_or(t);
        let hurried = step_s < 0.6 * self.longest_s;
        self.longest_s = self.longest_s.max(step_s);
        hurried
    }
}

impl Sampler {
    /// Samples the procfs at `root` and watches what `selection` means, with `budget` bytes granted
    /// to each tree if given. `sysfs` stands for /sys where cgroups are mounted elsewhere.
    ///
    /// # Errors
    /// When `root` is no procfs.
    pub fn new(
        root: &Path,
        sysfs: Option<&Path>,
        selection: Selection,
        budget: Option<u64>,
    ) -> Result<Self> {
        let refused = |what: &str, error: &dyn std::fmt::Display| {
            let hint = "is it a /proc? A container sees the host's where it is mounted, e.g. --procfs /host/proc";
            anyhow!("cannot read '{}{what}': {error}\n  hint: {hint}", root.display())
        };
        let proc = ProcDir::open(root).map_err(|e| refused("", &e))?;
        let machine = MachineFiles::open(root).map_err(|e| refused("/meminfo", &e))?;
        // The fixture trees of tests and the host's /proc have pids that are not ours.
        let own = is_own(root);
        let excluded = if own { discovery::own_chain() } else { Vec::new() };
        Ok(Self {
            proc,
            own,
            watched: WatchSet::new(selection.most(), excluded),
            selection,
            machine,
            pids: PidList::default(),
            ceilings: CeilingReader::new(root, sysfs, budget, own),
            origins: Origins::new(root),
            mounts: MountUses::new(root, own),
            roots: Vec::new(),
            spacing: SampleSpacing::default(),
            tick: 0,
            notes: Vec::new(),
            clock_ticks: procfs::ticks_per_second() as f64,
            page_size: procfs::page_size(),
        })
    }

    /// How many processes the selection itself means; the others belong to their trees.
    pub fn matched(&self) -> usize {
        self.watched.known.values().filter(|known| known.matched).count()
    }

    /// Where these ceilings, all of the last sample and of its memory, were read.
    pub fn sources(&self, ceilings: &[Ceiling]) -> CeilingSources {
        let MachineFiles { overcommit_mode, arc, .. } = self.machine;
        let tasks = self.machine.task_counts().tasks;
        self.ceilings.sources(self.proc.path(), ceilings, overcommit_mode, arc, tasks)
    }

    /// What was refused or killed before the first sample, by the counters that last.
    pub fn past_failures(&self) -> Vec<PastFailures> {
        self.ceilings.past()
    }

    /// The next sample has all programs once more.
    pub fn tell_again(&mut self) {
        for watch in self.watched.known.values_mut().filter_map(|known| known.watch.as_mut()) {
            watch.told = false;
        }
        self.ceilings.tell_again();
    }

    /// What could not be read and what is lost by it; each once.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notes)
    }

    /// Takes a sample at time `t` (Unix seconds) and `uptime_s` after boot into `sample`.
    ///
    /// # Errors
    /// When the machine's memory or the list of processes cannot be read. A process that vanishes
    /// or may not be read is left out.
    pub fn sample(&mut self, t: f64, uptime_s: Option<f64>, sample: &mut Sample) -> Result<()> {
        self.tick = self.tick.wrapping_add(1);
        let hurried = self.spacing.is_hurried(t);
        sample.t = t;
        sample.uptime_s = uptime_s;
        sample.procs.clear();
        sample.programs.clear();
        sample.uses.clear();
        sample.places.clear();
        sample.memory = self.machine.memory()?;
        sample.uses.extend(self.machine.uses());
        let shared = self.machine.shared();
        self.mounts.read(self.tick, shared, &mut sample.uses);
        sample.cpu_s = self.machine.busy_ticks().map(|ticks| ticks as f64 / self.clock_ticks);
        let counts = self.machine.task_counts();
        self.discover(counts.last_pid).context("cannot list the processes")?;
        let swapping = sample.memory.swap_free < sample.memory.swap_total;
        self.read_watched(swapping, hurried, sample);
        let view = SamplerView {
            tick: self.tick,
            proc: &self.proc,
            known: &mut self.watched.known,
            procs: &sample.procs,
            roots: &self.roots,
            memory: &sample.memory,
            // Where it cannot be read, nothing is said of it.
            overcommit: self.machine.overcommit_mode.unwrap_or(1),
            tasks: counts.tasks,
        };
        self.ceilings.read(view, &mut sample.ceilings, &mut sample.memory_failures);
        let Sample { uses, places, .. } = sample;
        self.ceilings.describe(&mut self.origins, MOST_USES, uses, places);
        Ok(())
    }

    /// What is left below the limits on memory now, without a sample: the machine's, and those of the
    /// cgroups of the last sample's trees.
    ///
    /// # Errors
    /// When the machine's memory cannot be read.
    pub fn glance(&mut self, ceilings: &mut Vec<Ceiling>) -> Result<()> {
        ceilings.clear();
        let memory = self.machine.memory()?;
        ceilings.extend(memory.ceilings());
        self.ceilings.glance(&memory, ceilings);
        Ok(())
    }

    fn read_watched(&mut self, swapping: bool, hurried: bool, sample: &mut Sample) {
        let Self { proc, watched, page_size, clock_ticks, pids, roots, .. } = self;
        let WatchSet { known, kept_files_left, .. } = watched;
        // From here on the list is of those that are gone.
        let gone = &mut pids.pids;
        gone.clear();
        roots.clear();
        for (pid, known) in known.iter_mut() {
            let Some(watch) = known.watch.as_mut() else { continue };
            let rests = if hurried { 0 } else { watch.rests() };
            match watch.read(proc, known.id, swapping, rests, *page_size, *clock_ticks) {
                ReadResult::Alive(look) => {
                    let renamed = look.comm != known.comm;
                    (known.comm, known.image) = (look.comm, watch.image);
                    if renamed || !watch.told {
                        watch.told = true;
                        sample.programs.push(Program { id: known.id, ..Program::unknown() });
                    }
                    sample.procs.push(look);
                    roots.push(watch.root);
                }
                ReadResult::Zombie => watch.told = false,
                ReadResult::Gone => {
                    *kept_files_left += watch.files();
                    gone.push(*pid);
                }
            }
        }
        for pid in &self.pids.pids {
            self.watched.known.remove(pid);
        }
        for program in &mut sample.programs {
            self.describe(program);
        }
    }

    fn describe(&mut self, program: &mut Program) {
        let pid = program.id.pid;
        let mut buffer = [0; 4096];
        let groups = self.proc.read(pid, "cgroup", &mut buffer).unwrap_or_default();
        program.unit = self.origins.unit_of(cgroup_path(&String::from_utf8_lossy(groups)));
        program.exe = self.exe(pid);
        program.title = masked(&self.title(pid));
        let mut buffer = [0; 2048];
        let status = self.proc.read(pid, "status", &mut buffer).unwrap_or_default();
        program.uid = parse::uids(status).map(|uids| uids.real);
        if program.title.len() > TITLE_MAX {
            let cut = program.title.floor_char_boundary(TITLE_MAX);
            program.title.truncate(cut);
        }
        if let Some(known) = self.watched.known.get(&pid) {
            program.threads = known.watch.as_ref().map_or(0, |watch| watch.threads);
            program.forked =
                watched::parent_of(&self.watched.known, known).is_some_and(|p| known.is_fork_of(p));
        }
    }
}
