//! Takes one [`Sample`] of the machine from a procfs root.
//!
//! A steady sample lists /proc once (0.5 µs a process) to find new pids and reads two kept
//! descriptors, `statm` and `stat`, of each *watched* process: 3.4 µs and no allocation. A kept
//! descriptor answers ESRCH for ever once its process is gone, even when the pid is used again,
//! so a sample never mixes two processes up. Unwatched processes are looked at when new, while young
//! (names change at exec) and in slices of 1/32 after that.

mod machine_files;
mod pid_list;
mod watch_set;

use crate::core::model::ceiling::{Ceiling, CeilingSources, PastFailures};
use crate::core::model::masked::masked;
use crate::core::model::process::{Comm, ProcId, Program};
use crate::core::model::sample::Sample;
use crate::system::balance::MountUses;
use crate::system::ceilings::{CeilingReader, View};
use crate::system::origin::{OriginNames, Origins, cgroup_path};
use crate::system::proc::parse::Stat;
use crate::system::proc::procdir::ProcDir;
use crate::system::proc::select::ProcessToMatch;
use crate::system::proc::watched::{KnownProcess, ReadResult, YOUNG_LOOKS};
use crate::system::proc::{Selection, is_own, parent_of, parse, watched};
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
        let excluded = if own { own_chain() } else { Vec::new() };
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
        let view = View {
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

    /// Brings the known processes up to date with the pids that exist now.
    fn discover(&mut self, last_pid: Option<u64>) -> Result<(), rustix::io::Errno> {
        let Self { proc, pids, watched, tick, own, .. } = self;
        let is_complete = pids.list(proc, &mut watched.known, last_pid, *tick, *own)?;
        let first = self.pids.pids.first();
        if self.tick == 1 && first.is_some_and(|pid| *pid != 1) {
            self.notes.push(
                "process 1 cannot be seen: other users' processes are hidden (hidepid) or this is a container\n  hint: outside it, and with CAP_SYS_PTRACE, all of them are seen".to_owned(),
            );
        }
        let mut changed = false;
        for index in 0..self.pids.pids.len() {
            let Some(&pid) = self.pids.pids.get(index) else { break };
            changed |= self.look(pid);
        }
        if self.tick == 1 && self.matched() == 0 {
            self.hint_at_titles();
        }
        if is_complete {
            self.watched.forget_unlisted(self.tick);
        }
        if changed || self.watched.is_to_rank(self.tick) {
            let is_by_origin = self.selection.is_by_origin();
            self.watched.select_watched(&self.proc, self.tick, is_by_origin, &mut self.notes);
        }
        Ok(())
    }

    /// Where no name matches: whether command lines would. A server in Python or Ruby has the name of
    /// its interpreter.
    fn hint_at_titles(&mut self) {
        let own = own_chain();
        let pids = self.pids.pids.iter().filter(|pid| !own.contains(pid));
        let count = pids.filter(|pid| self.selection.matches_title(&self.title(**pid))).count();
        if count > 0 {
            let (lines, them) =
                if count == 1 { ("command line", "it") } else { ("command lines", "them") };
            self.notes.push(format!(
                "no process has such a name, but {count} {lines} would match\n  hint: add -f to match {them}"
            ));
        }
    }

    /// Looks at one pid; true when that changed what may have to be watched.
    fn look(&mut self, pid: u32) -> bool {
        let tick = self.tick;
        if let Some(known) = self.watched.known.get_mut(&pid) {
            known.tick = tick;
            if !known.is_due(pid, tick) {
                return false;
            }
            known.looks = known.looks.saturating_add(1);
        }
        let mut buffer = [0; 1024];
        let Some(stat) = self.proc.read(pid, "stat", &mut buffer).ok().and_then(Stat::parse) else {
            return false;
        };
        let comm = Comm::new(stat.comm);
        let known = self.watched.known.get(&pid).filter(|k| k.id.start == stat.start);
        // Under -f a title may change without the name changing, and a new process is moved to its
        // unit; a young one is asked again.
        let asked = known.filter(|k| k.comm == comm && (k.matched || k.looks > YOUNG_LOOKS));
        let matched = match asked {
            Some(known) => known.matched,
            None => self.matches(pid, &stat),
        };
        let before = self.watched.known.get(&pid).filter(|k| k.id.start == stat.start);
        let same = before.is_some_and(|k| k.comm == comm && k.matched == matched);
        let looks = before.map_or(0, |k| k.looks);
        let (uid, owner_looks) = before.map_or((None, 0), |k| (k.uid, k.owner_looks));
        let id = ProcId { pid, start: stat.start };
        let known = KnownProcess {
            tick,
            looks,
            matched,
            uid,
            owner_looks,
            ..KnownProcess::new(id, comm, &stat)
        };
        self.watched.known.insert(pid, known);
        !same
    }

    fn matches(&mut self, pid: u32, stat: &Stat<'_>) -> bool {
        if self.watched.is_excluded(pid, stat.ppid) || stat.is_kernel_thread() {
            return false;
        }
        let origin = self.origin_names(pid);
        self.selection.matches(&ProcessToMatch {
            // A pid names the process that has it when leakwatch starts, not one that gets it later.
            pid: (self.tick == 1).then_some(pid),
            comm: stat.comm.get(..Comm::MAX).unwrap_or(stat.comm),
            cmdline: &|| self.title(pid).into_bytes(),
            exe: &|| {
                let exe = self.exe(pid);
                exe.rsplit('/').next().unwrap_or_default().trim_end_matches(" (deleted)").into()
            },
            euid: &|| {
                let mut buffer = [0; 2048];
                let text = self.proc.read(pid, "status", &mut buffer).ok()?;
                Some(parse::uids(text)?.effective)
            },
            origin,
        })
    }

    /// The units and containers of a process, where the selection asks for them.
    fn origin_names(&mut self, pid: u32) -> OriginNames {
        if !self.selection.is_by_origin() {
            return OriginNames::default();
        }
        let mut buffer = [0; 4096];
        let text = self.proc.read(pid, "cgroup", &mut buffer).unwrap_or_default();
        self.origins.names_of(cgroup_path(&String::from_utf8_lossy(text)))
    }

    /// The command line, arguments joined by blanks.
    fn title(&self, pid: u32) -> String {
        let mut buffer = [0; 4096];
        let text = self.proc.read(pid, "cmdline", &mut buffer).unwrap_or_default();
        let joined: Vec<u8> = text.iter().map(|b| if *b == 0 { b' ' } else { *b }).collect();
        String::from_utf8_lossy(joined.trim_ascii_end()).into_owned()
    }

    /// The path of the executable; empty where it may not be read.
    fn exe(&self, pid: u32) -> String {
        let link = self.proc.path().join(pid.to_string()).join("exe");
        std::fs::read_link(link).unwrap_or_default().to_string_lossy().into_owned()
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

/// This process and its ancestors: neither `leakwatch --pattern .` nor the `sudo` and the shell
/// that started it may ever be its victims.
fn own_chain() -> Vec<u32> {
    let mut chain = vec![std::process::id()];
    while let Some(&pid) = chain.last()
        && pid > 1
        && let Some(parent) = parent_of(pid)
        && !chain.contains(&parent)
    {
        chain.push(parent);
    }
    chain
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::proc::SelectionArgs;
    use std::fs;

    /// Shows a process whose program image lies at `image`.
    fn show(root: &Path, pid: u32, ppid: u32, image: u32) {
        let dir = root.join(pid.to_string());
        fs::create_dir_all(&dir).unwrap();
        let stat = format!(
            "{pid} (app) S {ppid} 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 {pid} 9000 9 0 {image} 2 {image}\n"
        );
        fs::write(dir.join("stat"), stat).unwrap();
        fs::write(dir.join("statm"), "100 50 10 1 0 20 0\n").unwrap();
    }

    #[test]
    fn a_worker_that_runs_another_program_is_no_fork_of_its_master_any_more() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("meminfo"), "MemTotal: 1000 kB\nMemAvailable: 500 kB\n").unwrap();
        show(dir.path(), 10, 1, 4096);
        show(dir.path(), 11, 10, 4096);
        let words = SelectionArgs { patterns: vec!["app".to_owned()], ..SelectionArgs::default() };
        let selection = Selection::new(&words, Path::new("/nonexistent")).unwrap();
        let mut probe = Sampler::new(dir.path(), None, selection, None).unwrap();
        let mut sample = Sample::default();
        let mut forked = |t: f64| {
            probe.sample(t, None, &mut sample).unwrap();
            let programs = sample.programs.iter();
            programs.map(|program| (program.id.pid, program.forked)).collect::<Vec<_>>()
        };

        assert_eq!(forked(1.0), [(10, false), (11, true)]);
        assert_eq!(forked(2.0), [], "told once");
        assert_eq!(forked(3.0).len(), 2, "and once more when it has settled");
        // An exec draws a new image; the name, pid and start time may stay as they are.
        show(dir.path(), 11, 10, 8192);
        assert_eq!(forked(4.0), [(11, false)]);
    }

    #[test]
    fn a_unit_means_its_processes_and_their_children_but_not_the_master_of_another_unit() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("meminfo"), "MemTotal: 1000 kB\nMemAvailable: 500 kB\n").unwrap();
        // The session was forked by the master without exec.
        for (pid, ppid, group) in [
            (10, 1, "/system.slice/ssh.service"),
            (11, 10, "/user.slice/user-7.slice/session-3.scope"),
            (12, 11, "/user.slice/user-7.slice/session-3.scope"),
            (13, 1, "/system.slice/app.service/ssh.service"),
        ] {
            show(dir.path(), pid, ppid, 4096);
            fs::write(dir.path().join(format!("{pid}/cgroup")), format!("0::{group}\n")).unwrap();
        }
        let watched = |unit: &str| {
            let words = SelectionArgs { units: vec![unit.to_owned()], ..SelectionArgs::default() };
            let selection = Selection::new(&words, Path::new("/nonexistent")).unwrap();
            let mut probe = Sampler::new(dir.path(), None, selection, None).unwrap();
            let mut sample = Sample::default();
            probe.sample(1.0, None, &mut sample).unwrap();
            sample.procs.iter().map(|proc| proc.id.pid).collect::<Vec<_>>()
        };
        assert_eq!(watched("ssh"), [10, 11, 12]);
        assert_eq!(watched("session-3.scope"), [11, 12]);
        assert_eq!(watched("user-7.slice"), [11, 12]);
        assert_eq!(watched("app"), [13]);
        assert_eq!(watched("cron"), [0; 0]);
    }
}
