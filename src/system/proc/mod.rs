//! Probe: takes one [`Sample`] of the machine from a procfs root. The only reader of /proc.
//!
//! A steady tick lists /proc once (0.5 µs a process) to find new pids and reads two kept
//! descriptors, `statm` and `stat`, of each *watched* process: 3.4 µs and no allocation. A kept
//! descriptor answers ESRCH for ever once its process is gone, even when the pid is used again,
//! so a sample never mixes two processes up. Everybody else is looked at when new, while young
//! (names change at exec) and in slices of 1/32 after that.

pub(in crate::system) mod enlist;
pub(in crate::system) mod parse;
pub(in crate::system) mod procdir;
pub(in crate::system) mod select;
pub(in crate::system) mod watched;

pub use select::{MOST, Selection, SelectionArgs};

use super::ceilings::{CeilingReader, View};
use crate::core::model::ceiling::{Ceiling, CeilingSources};
use crate::core::model::process::{Comm, ProcId, Program};
use crate::core::model::sample::{CommitCharge, Memory, Sample};
use anyhow::{Context, Result, anyhow};
use parse::Stat;
use procdir::{ProcDir, is_procfs, read_kept};
use select::ProcessToMatch;
use std::collections::BTreeMap;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::Path;
use watched::{KnownProcess, WatchedProcess, YOUNG_LOOKS};

/// Processes are listed at least in every so many ticks: those that nobody watches may have gone.
const LIST: u32 = 8;
/// The longest command line kept, in bytes: what is protected may be named at its end.
const TITLE_MAX: usize = 4000;

/// A procfs root and what is known of its processes.
#[derive(Debug)]
pub struct Sampler {
    proc: ProcDir,
    selection: Selection,
    meminfo: File,
    machine_stat: Option<File>,
    overcommit: Option<File>,
    /// vm.overcommit_memory as last read.
    mode: u8,
    loadavg: Option<File>,
    /// The pid given out last, as of the last tick.
    last_pid: Option<u64>,
    /// How far positions in the list of processes are ahead of the pids that lie at them.
    ahead: Option<u64>,
    /// Whether it is the procfs of our own pid namespace.
    own: bool,
    known: BTreeMap<u32, KnownProcess>,
    pids: Vec<u32>,
    /// The root of each process of the last sample.
    roots: Vec<Option<ProcId>>,
    /// Leakwatch itself and its ancestors; never watched.
    excluded: Vec<u32>,
    ceilings: CeilingReader,
    kept_files_left: u64,
    told_files_short: bool,
    /// More processes are meant than may be watched.
    crowded: bool,
    told_crowded: bool,
    tick: u32,
    /// Time of the last sample, and the longest between two.
    last_t: Option<f64>,
    longest_step_s: f64,
    notes: Vec<String>,
    clock_ticks: f64,
    page_size: u64,
}

impl Sampler {
    /// A probe of the procfs at `root` that watches what `selection` means, with `budget` bytes
    /// granted to each tree if given. `sysfs` stands for /sys where cgroups are mounted elsewhere.
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
        let meminfo = File::open(root.join("meminfo")).map_err(|e| refused("/meminfo", &e))?;
        // The fixture trees of tests and the host's /proc have pids that are not ours.
        let own = is_own(root);
        Ok(Self {
            excluded: if own { own_chain() } else { Vec::new() },
            machine_stat: File::open(root.join("stat")).ok(),
            overcommit: File::open(root.join("sys/vm/overcommit_memory")).ok(),
            mode: 0,
            loadavg: File::open(root.join("loadavg")).ok(),
            last_pid: None,
            ahead: None,
            own,
            ceilings: CeilingReader::new(root, sysfs, budget, own),
            kept_files_left: raise_file_limit(),
            told_files_short: false,
            crowded: false,
            told_crowded: false,
            proc,
            selection,
            meminfo,
            known: BTreeMap::new(),
            pids: Vec::new(),
            roots: Vec::new(),
            tick: 0,
            last_t: None,
            longest_step_s: 0.0,
            notes: Vec::new(),
            clock_ticks: procfs::ticks_per_second() as f64,
            page_size: procfs::page_size(),
        })
    }

    /// How many processes the selection itself means; the others belong to their trees.
    pub fn matched(&self) -> usize {
        self.known.values().filter(|known| known.matched).count()
    }

    /// How these ceilings, all of the last sample and of its memory, became known.
    pub fn sources(&self, ceilings: &[Ceiling]) -> CeilingSources {
        self.ceilings.sources(self.proc.path(), ceilings, self.mode)
    }

    /// The next sample tells of all programs once more.
    pub fn tell_again(&mut self) {
        for watch in self.known.values_mut().filter_map(|known| known.watch.as_mut()) {
            watch.told = false;
        }
    }

    /// What could not be seen and what is lost by it; each said once.
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
        // Where looks come closer than they did, memory is near its end, and who is idle matters.
        let step_s = t - self.last_t.replace(t).unwrap_or(t);
        let hurried = step_s < 0.6 * self.longest_step_s;
        self.longest_step_s = self.longest_step_s.max(step_s);
        sample.t = t;
        sample.uptime_s = uptime_s;
        sample.procs.clear();
        sample.programs.clear();
        sample.signal_failure = None;
        sample.memory = self.memory()?;
        sample.cpu_s = self.cpu_s();
        let mut buffer = [0; 128];
        let load = self.loadavg.as_ref().and_then(|file| read_kept(file, &mut buffer).ok());
        let (tasks, last_pid) = load.and_then(parse::tasks).unzip();
        // lxcfs shows a pid of its own making there.
        let last_pid = last_pid.filter(|_| self.loadavg.as_ref().is_some_and(is_procfs));
        self.discover(last_pid).context("cannot list the processes")?;
        let swapping = sample.memory.swap_free < sample.memory.swap_total;
        self.read_watched(swapping, hurried, sample);
        let view = View {
            tick: self.tick,
            proc: &self.proc,
            known: &mut self.known,
            procs: &sample.procs,
            roots: &self.roots,
            memory: &sample.memory,
            overcommit: self.mode,
            tasks,
        };
        self.ceilings.read(view, &mut sample.ceilings, &mut sample.memory_failures);
        Ok(())
    }

    fn memory(&mut self) -> Result<Memory> {
        let mut buffer = [0; 8192];
        let text = read_kept(&self.meminfo, &mut buffer).context("cannot read meminfo")?;
        let bytes = |name: &str| parse::kib_line(text, name.as_bytes());
        let total = bytes("MemTotal").context("meminfo has no MemTotal")?;
        // Before 3.14 there is no MemAvailable. Free and page cache without shared memory is what
        // free(1) of that time showed; it promises too much by the low watermarks (a few MiB).
        let older = || {
            let of = |name| bytes(name).unwrap_or(0);
            let cache = of("Buffers").saturating_add(of("Cached")).saturating_sub(of("Shmem"));
            bytes("MemFree").map(|free| free.saturating_add(cache))
        };
        let available =
            bytes("MemAvailable").or_else(older).context("meminfo has no MemAvailable")?;
        let mut digit = [0; 8];
        self.mode = match self.overcommit.as_ref().map(|file| read_kept(file, &mut digit)) {
            Some(Ok(&[digit @ b'0'..=b'2', ..])) => digit - b'0',
            _ => 0,
        };
        let commit = bytes("CommitLimit")
            .zip(bytes("Committed_AS"))
            .filter(|_| self.mode == 2)
            .map(|(limit, used)| CommitCharge { limit, used });
        Ok(Memory {
            total,
            available,
            swap_total: bytes("SwapTotal").unwrap_or(0),
            swap_free: bytes("SwapFree").unwrap_or(0),
            commit,
        })
    }

    fn cpu_s(&self) -> Option<f64> {
        let mut buffer = [0; 256];
        let text = read_kept(self.machine_stat.as_ref()?, &mut buffer).ok()?;
        parse::busy_ticks(text).map(|ticks| ticks as f64 / self.clock_ticks)
    }

    /// Brings `known` up to date with the pids that exist now.
    ///
    /// A list of all costs 0.5 µs a process, half of what reading one does. Newcomers have pids
    /// above the one that was given out last, until those go round, so the list can begin there;
    /// those that are known are looked at again in their turn, and whoever is watched is missed by
    /// its own files when gone.
    fn discover(&mut self, last_pid: Option<u64>) -> Result<(), rustix::io::Errno> {
        let before = std::mem::replace(&mut self.last_pid, last_pid);
        let Self { pids, known, tick, .. } = self;
        pids.clear();
        let goes_on = before.zip(last_pid).filter(|(before, last)| before <= last);
        let partly = goes_on.zip(self.ahead).filter(|_| self.own && *tick % LIST != 1);
        if let Some(((before, last), ahead)) = partly {
            if before < last {
                self.proc.pids_after(before, ahead, |pid| pids.push(pid))?;
            }
            for pid in &*pids {
                // Whoever had this pid before is gone.
                if let Some(known) = known.get_mut(pid).filter(|known| known.watch.is_none()) {
                    known.looks = 0;
                }
            }
            let due = known.iter().filter(|(pid, known)| known.is_due(**pid, *tick));
            pids.extend(due.map(|(pid, _)| *pid));
        } else {
            self.ahead = self.proc.pids(|pid| pids.push(pid))?.filter(|_| self.proc.is_procfs());
            // Leakwatch itself is there: such a list is none, and nobody has gone.
            if self.own && pids.is_empty() {
                return Err(rustix::io::Errno::IO);
            }
        }
        if self.tick == 1 && self.pids.first() != Some(&1) && !self.pids.is_empty() {
            self.notes.push(
                "process 1 cannot be seen: other users' processes are hidden (hidepid) or this is a container\n  hint: run as root to see all of them".to_owned(),
            );
        }
        let mut changed = false;
        for index in 0..self.pids.len() {
            let Some(&pid) = self.pids.get(index) else { break };
            changed |= self.look(pid);
        }
        if partly.is_none() {
            let Self { known, tick, kept_files_left, .. } = self;
            known.retain(|_, known| {
                let exists = known.tick == *tick;
                if !exists {
                    *kept_files_left += known.watch.as_ref().map_or(0, WatchedProcess::files);
                }
                exists
            });
        }
        if changed || self.is_to_rank() {
            self.rewatch();
        }
        Ok(())
    }

    /// Looks at one pid; true when that changed what may have to be watched.
    fn look(&mut self, pid: u32) -> bool {
        let tick = self.tick;
        if let Some(known) = self.known.get_mut(&pid) {
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
        let before = self.known.get(&pid).filter(|k| k.id.start == stat.start);
        // Under -f a title may change without the name changing; a young process is asked again.
        let asked = before.is_some_and(|k| k.comm == comm && (k.matched || k.looks > YOUNG_LOOKS));
        let matched =
            if asked { before.is_some_and(|k| k.matched) } else { self.matches(pid, &stat) };
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
        self.known.insert(pid, known);
        !same
    }

    /// Leakwatch, those that started it, and the helper that it started.
    fn is_excluded(&self, pid: u32, ppid: u32) -> bool {
        self.excluded.contains(&pid) || self.excluded.first() == Some(&ppid)
    }

    fn matches(&self, pid: u32, stat: &Stat<'_>) -> bool {
        if self.is_excluded(pid, stat.ppid) || stat.is_kernel_thread() {
            return false;
        }
        self.selection.matches(&ProcessToMatch {
            // A pid names whoever has it when leakwatch starts, not a stranger that gets it later.
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
                // Uid: real effective saved filesystem
                let line = parse::lines(text).find_map(|l| l.strip_prefix(b"Uid:"))?;
                let euid = line.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty()).nth(1)?;
                u32::try_from(parse::number(euid)?).ok()
            },
        })
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
        let Self { proc, known, page_size, clock_ticks, kept_files_left, pids, roots, .. } = self;
        pids.clear();
        roots.clear();
        for (pid, known) in known.iter_mut() {
            let Some(watch) = known.watch.as_mut() else { continue };
            let rests = if hurried { 0 } else { watch.rests() };
            match watch.read(proc, known.id, swapping, rests, *page_size, *clock_ticks) {
                watched::ReadResult::Alive(look) => {
                    let renamed = look.comm != known.comm;
                    (known.comm, known.image) = (look.comm, watch.image);
                    if renamed || !watch.told {
                        watch.told = true;
                        sample.programs.push(Program { id: known.id, ..Program::unknown() });
                    }
                    sample.procs.push(look);
                    roots.push(watch.root);
                }
                watched::ReadResult::Zombie => watch.told = false,
                watched::ReadResult::Gone => {
                    *kept_files_left += watch.files();
                    pids.push(*pid);
                }
            }
        }
        for pid in &self.pids {
            self.known.remove(pid);
        }
        for program in &mut sample.programs {
            self.describe(program);
        }
    }

    fn describe(&self, program: &mut Program) {
        let pid = program.id.pid;
        program.exe = self.exe(pid);
        program.title = self.title(pid);
        if program.title.len() > TITLE_MAX {
            let cut = program.title.floor_char_boundary(TITLE_MAX);
            program.title.truncate(cut);
        }
        if let Some(known) = self.known.get(&pid) {
            program.threads = known.watch.as_ref().map_or(0, |watch| watch.threads);
            program.forked =
                watched::parent_of(&self.known, known).is_some_and(|p| known.is_fork_of(p));
        }
    }
}

/// Whether `root` is the procfs of our own pid namespace: only then do its pids mean ours.
pub fn is_own(root: &Path) -> bool {
    let own = std::process::id().to_string();
    std::fs::read_link(root.join("self")).is_ok_and(|link| link.as_os_str() == own.as_str())
}

/// How a process stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TreePosition {
    /// When it was started, in clock ticks since boot.
    pub(crate) start: u64,
    /// Field 3 of its stat.
    pub(crate) letter: u8,
    /// Its threads.
    pub(crate) threads: u32,
}

/// The directory in /proc of the process that has this pid now. It stays that process's: once that
/// has been waited for, nothing can be read in it.
pub(crate) fn directory_of(pid: u32) -> Result<OwnedFd, rustix::io::Errno> {
    ProcDir::open(Path::new("/proc"))?.open_directory(pid)
}

/// How the process stands whose directory this is.
///
/// # Errors
/// ESRCH when it is gone.
pub(crate) fn state_in(directory: &OwnedFd) -> Result<TreePosition, rustix::io::Errno> {
    let mut buffer = [0; 1024];
    let stat = procdir::read_in(directory, "stat", &mut buffer)?;
    let Stat { start, state, threads, .. } = Stat::parse(stat).ok_or(rustix::io::Errno::SRCH)?;
    Ok(TreePosition { start, letter: state, threads })
}

/// The file `comm` or `cmdline` in a process's directory, arguments joined by blanks.
pub(crate) fn words_in<'b>(
    directory: &OwnedFd,
    file: &str,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], rustix::io::Errno> {
    let length = procdir::read_in(directory, file, buffer)?.len();
    let text = buffer.get_mut(..length).unwrap_or_default();
    text.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
    Ok(text.trim_ascii_end())
}

/// The parent of the process that has this pid now.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    let mut buffer = [0; 1024];
    let proc = ProcDir::open(Path::new("/proc")).ok()?;
    Stat::parse(proc.read(pid, "stat", &mut buffer).ok()?).map(|stat| stat.ppid)
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

/// Raises the soft limit of open files to the hard one and returns how many may be kept open.
fn raise_file_limit() -> u64 {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    // A kept file costs the kernel 4.4 kB of its own memory: 16 000 of them are 70 MB.
    let wanted = hard.min(16_384);
    let limit = match setrlimit(Resource::RLIMIT_NOFILE, wanted.max(soft), hard) {
        Ok(()) => wanted.max(soft),
        Err(_) => soft,
    };
    // The rest is for ceilings (three files each), the report, and the pidfd of an order.
    limit.saturating_sub(256)
}

#[cfg(test)]
mod tests {
    use super::*;
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
}
