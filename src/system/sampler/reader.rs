//! Reader: reads one [`Sample`] of the machine from a procfs root.
//!
//! A steady sample lists /proc once (0.5 µs a process) to find new pids and reads two kept
//! descriptors, `statm` and `stat`, of each *watched* process: 3.4 µs and no allocation. A kept
//! descriptor answers ESRCH for ever once its process is gone, even when the pid is used again,
//! so a sample never mixes two processes up. Unwatched processes are looked at when new, while young
//! (names change at exec) and in slices of 1/32 after that.

use super::SamplerSource;
use super::left_out::LeftOut;
use super::machine_files::MachineFiles;
use super::pid_list::PidList;
use super::watch_set::WatchSet;
use crate::core::model::ceiling::{Ceiling, CeilingSources};
use crate::core::model::masked::masked;
use crate::core::model::process::{Proc, ProcId, Program};
use crate::core::model::sample::Sample;
use crate::system::balance::MountUses;
use crate::system::ceilings::{CeilingReader, SamplerView};
use crate::system::origin::{Origins, cgroup_path};
use crate::system::proc::procdir::ProcDir;
use crate::system::proc::watched::{ReadResult, WatchedProcess};
use crate::system::proc::{Selection, parse, watched};
use anyhow::{Context, Result, anyhow};

/// The longest command line kept, in bytes: what is protected may be named at its end.
const TITLE_MAX: usize = 4000;
/// Uses of memory in a sample.
const MOST_USES: usize = 256;

/// A procfs root and what is known of its processes.
#[derive(Debug)]
pub(super) struct SampleReader {
    pub(super) proc: ProcDir,
    /// Whether it is the procfs of our own pid namespace.
    pub(super) own: bool,
    pub(super) selection: Selection,
    pub(super) left_out: LeftOut,
    pub(super) machine: MachineFiles,
    pub(super) pids: PidList,
    pub(super) watched: WatchSet,
    pub(super) ceilings: CeilingReader,
    pub(super) origins: Origins,
    mounts: MountUses,
    /// The root of each process of the last sample.
    roots: Vec<Option<ProcId>>,
    spacing: SampleSpacing,
    pub(super) tick: u32,
    pub(super) notes: Vec<String>,
    is_swapping: bool,
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

impl SampleReader {
    /// A reader that leaves these out, where so many files are already kept open.
    ///
    /// # Errors
    /// When the root is no procfs.
    pub(super) fn new(source: &SamplerSource, left_out: LeftOut, files: u64) -> Result<Self> {
        let root = source.root.as_path();
        let refused = |what: &str, error: &dyn std::fmt::Display| {
            let hint = "is it a /proc? A container sees the host's where it is mounted, e.g. --procfs /host/proc";
            anyhow!("cannot read '{}{what}': {error}\n  hint: {hint}", root.display())
        };
        let proc = ProcDir::open(root).map_err(|e| refused("", &e))?;
        let machine = MachineFiles::open(root).map_err(|e| refused("/meminfo", &e))?;
        let (sysfs, own) = (source.sysfs.as_deref(), source.own);
        Ok(Self {
            proc,
            own,
            watched: WatchSet::new(source.selection.most(), source.excluded.clone(), files),
            selection: source.selection.clone(),
            left_out,
            machine,
            pids: PidList::default(),
            ceilings: CeilingReader::new(root, sysfs, source.budget, own),
            origins: Origins::new(root),
            mounts: MountUses::new(root, own),
            roots: Vec::new(),
            spacing: SampleSpacing::default(),
            tick: 0,
            notes: Vec::new(),
            is_swapping: false,
            clock_ticks: procfs::ticks_per_second() as f64,
            page_size: procfs::page_size(),
        })
    }

    /// The processes that the selection itself means.
    pub(super) fn matched(&self) -> impl Iterator<Item = ProcId> {
        self.watched.known.values().filter(|known| known.matched).map(|known| known.id)
    }

    /// Whether swap was in use at the last sample: a read may then have to wait for it.
    pub(super) fn is_swapping(&self) -> bool {
        self.is_swapping
    }

    /// Puts back those of the last sample that still exist and are not read.
    pub(super) fn keep_left_out(&self, last: &[Proc], procs: &mut Vec<Proc>) {
        if self.left_out.is_empty() {
            return;
        }
        for proc in last {
            let pid = proc.id.pid;
            let exists = || self.proc.open_directory(pid).is_ok();
            if let Err(at) = procs.binary_search_by_key(&pid, |proc| proc.id.pid)
                && self.left_out.has(&self.proc, pid)
                && exists()
            {
                procs.insert(at, *proc);
            }
        }
    }

    /// How many files of processes are kept open.
    pub(super) fn kept_files(&self) -> u64 {
        let watched = self.watched.known.values().filter_map(|known| known.watch.as_ref());
        watched.map(WatchedProcess::files).sum()
    }

    /// Where these ceilings, all of the last sample and of its memory, were read.
    pub(super) fn sources(&self, ceilings: &[Ceiling]) -> CeilingSources {
        let MachineFiles { overcommit_mode, arc, .. } = self.machine;
        let tasks = self.machine.task_counts().tasks;
        self.ceilings.sources(self.proc.path(), ceilings, overcommit_mode, arc, tasks)
    }

    /// The next sample has all programs once more.
    pub(super) fn tell_again(&mut self) {
        for watch in self.watched.known.values_mut().filter_map(|known| known.watch.as_mut()) {
            watch.told = false;
        }
        self.ceilings.tell_again();
    }

    /// Takes a sample at time `t` (Unix seconds) and `uptime_s` after boot into `sample`.
    ///
    /// # Errors
    /// When the machine's memory or the list of processes cannot be read. A process that vanishes
    /// or may not be read is left out.
    pub(super) fn sample(
        &mut self,
        t: f64,
        uptime_s: Option<f64>,
        sample: &mut Sample,
    ) -> Result<()> {
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
        self.is_swapping = swapping;
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
    pub(super) fn glance(&mut self, ceilings: &mut Vec<Ceiling>) -> Result<()> {
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
