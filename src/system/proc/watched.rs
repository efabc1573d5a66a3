//! A process as the sampler knows it, and what is kept of a watched one.

use super::parse;
use super::parse::{Stat, Statm};
use super::procdir::{ProcDir, read_kept};
use crate::core::model::process::{Comm, Proc, ProcId, Program};
use rustix::io::Errno;
use std::collections::BTreeMap;
use std::fs::File;

/// How many reads of stat may be skipped in a row, of a young process and of an old one. Each read
/// allows one more, so that never more than an eighth of a life is unseen.
const FEWEST_SKIPPED: u8 = 7;
const MOST_SKIPPED: u8 = 31;
/// A new process is read in so many samples before it goes over to slices.
pub(crate) const YOUNG_LOOKS: u8 = 3;
/// One in so many of the unwatched processes is read again in each sample.
pub(crate) const SLICES: u32 = 32;
/// How far up a chain of parents is followed; real ones are under ten.
const DEEPEST: usize = 64;

/// The read at which a process's program goes into a sample a second time.
const SETTLED_LOOKS: u8 = 3;

/// A process that exists, watched or not.
#[derive(Debug)]
pub(crate) struct KnownProcess {
    pub(crate) id: ProcId,
    pub(crate) ppid: u32,
    pub(crate) comm: Comm,
    /// A kernel thread: known, so that it is not read each time, and never watched.
    pub(crate) kernel: bool,
    /// The tick in which it was last listed.
    pub(crate) tick: u32,
    /// How often it was read since it was new.
    pub(crate) looks: u8,
    /// Whether the selection means this very process.
    pub(crate) matched: bool,
    /// Set while it is watched.
    pub(crate) watch: Option<WatchedProcess>,
    pub(crate) image: (u64, u64),
    /// Its real user and its number of tasks, read only while a limit asks for them, and how often.
    pub(crate) uid: Option<u32>,
    pub(crate) tasks: u32,
    pub(crate) owner_looks: u8,
}

impl KnownProcess {
    pub(crate) fn new(id: ProcId, comm: Comm, stat: &Stat<'_>) -> Self {
        Self {
            id,
            ppid: stat.ppid,
            comm,
            kernel: stat.is_kernel_thread(),
            tick: 0,
            looks: 0,
            matched: false,
            watch: None,
            image: stat.image,
            uid: None,
            tasks: stat.threads,
            owner_looks: 0,
        }
    }

    /// Whether it has to be read in this sample, being unwatched.
    pub(crate) fn is_due(&self, pid: u32, tick: u32) -> bool {
        let due = self.looks < YOUNG_LOOKS || pid % SLICES == tick % SLICES;
        self.watch.is_none() && due
    }

    /// Made by fork without exec: exec draws startcode and startstack anew, fork keeps them. They
    /// read as zero without the right to ptrace; then the name has to do.
    pub(crate) fn is_fork_of(&self, parent: &Self) -> bool {
        match (self.image, parent.image) {
            ((0, _) | (_, 0), _) | (_, (0, _) | (_, 0)) => self.comm == parent.comm,
            (own, parents) => own == parents,
        }
    }

    /// The same, where not even the name will do: it has to be certain.
    fn is_surely_fork_of(&self, parent: &Self) -> bool {
        self.image.0 != 0 && self.image.1 != 0 && self.image == parent.image
    }
}

/// The parent of a process, if it is one in the sense of a tree. Process 1 adopts the orphans of
/// every tree and so counts as no parent, except of its own forks: in a container it is the master.
pub(crate) fn parent_of<'k>(
    known: &'k BTreeMap<u32, KnownProcess>,
    of: &KnownProcess,
) -> Option<&'k KnownProcess> {
    let parent = known.get(&of.ppid)?;
    (of.ppid > 1 || of.is_surely_fork_of(parent)).then_some(parent)
}

/// Climbs from a matched process to the root of its tree: while it runs its parent's program and,
/// with `within`, the parent is matched as well. A session that sshd forked is in a unit of its own.
pub(crate) fn climb(known: &BTreeMap<u32, KnownProcess>, from: &KnownProcess, within: bool) -> u32 {
    let mut top = from;
    for _ in 0..DEEPEST {
        match parent_of(known, top) {
            Some(parent) if top.is_fork_of(parent) && (parent.matched || !within) => top = parent,
            _ => break,
        }
    }
    top.id.pid
}

/// Whether `pid` is one of `tops` (in ascending order), below one of them, or below something already watched.
pub(crate) fn is_below(known: &BTreeMap<u32, KnownProcess>, tops: &[u32], pid: u32) -> bool {
    let mut at = pid;
    for _ in 0..DEEPEST {
        let Some(here) = known.get(&at) else { return false };
        if tops.binary_search(&at).is_ok() || here.watch.is_some() {
            return true;
        }
        match parent_of(known, here) {
            Some(parent) => at = parent.id.pid,
            None => return false,
        }
    }
    false
}

/// The root of a watched process: its parent's, if that is watched, else itself.
pub(crate) fn root_of(known: &BTreeMap<u32, KnownProcess>, pid: u32) -> Option<ProcId> {
    let mut top = known.get(&pid)?;
    for _ in 0..DEEPEST {
        let Some(parent) = parent_of(known, top) else { break };
        match parent.watch.as_ref() {
            Some(WatchedProcess { root: Some(root), .. }) => return Some(*root),
            Some(_) => top = parent,
            None => break,
        }
    }
    Some(top.id)
}

/// What is kept of a watched process.
#[derive(Debug, Default)]
pub(crate) struct WatchedProcess {
    pub(crate) statm: Option<File>,
    pub(crate) stat: Option<File>,
    /// The root of its tree as of its first sight; re-parenting changes nothing.
    pub(crate) root: Option<ProcId>,
    /// Whether its program was put into a sample, as it is now.
    pub(crate) told: bool,
    /// How often it was read.
    looks: u8,
    /// Number of its threads.
    pub(crate) threads: u32,
    /// Its size in pages.
    pub(crate) pages: Statm,
    /// Where its program image lies, see [`KnownProcess::is_fork_of`]; another one after an exec.
    pub(crate) image: (u64, u64),
    last: Option<Proc>,
    /// For how many looks in a row stat was not read.
    rests: u8,
    swap: u64,
}

/// What reading a watched process found.
pub(crate) enum ReadResult {
    Alive(Proc),
    /// Exited, not yet waited for by its parent: holds no memory.
    Zombie,
    Gone,
}

impl WatchedProcess {
    /// How many files are kept open.
    pub(crate) fn files(&self) -> u64 {
        u64::from(self.statm.is_some()) + u64::from(self.stat.is_some())
    }

    /// For how many looks its stat need not be read.
    pub(crate) fn rests(&self) -> u8 {
        self.looks.clamp(FEWEST_SKIPPED, MOST_SKIPPED)
    }

    /// Reads a process, from its kept files or, where those could not be kept, by opening them.
    pub(crate) fn read(
        &mut self,
        proc: &ProcDir,
        id: ProcId,
        swapping: bool,
        rests: u8,
        page_size: u64,
        clock_ticks: f64,
    ) -> ReadResult {
        let read = |file: &Option<File>, name, buffer| match file {
            Some(file) => proc.mark.of(id.pid, || read_kept(file, buffer)),
            None => proc.read(id.pid, name, buffer),
        };
        let mut statm = [0; 128];
        let pages = match read(&self.statm, "statm", &mut statm) {
            Ok(text) => parse::statm(text),
            Err(Errno::SRCH | Errno::NOENT) => return ReadResult::Gone,
            Err(_) => None,
        };
        // A process whose memory is unchanged has most likely done nothing. stat costs three times as
        // much as statm, and only has CPU time, threads and an exec. So it can wait a little. A change
        // of swap does not show in statm.
        let same = pages.is_some_and(|pages| pages == self.pages && pages.size > 0);
        let is_kept = self.statm.is_some() && proc.is_procfs();
        let may_rest = same && is_kept && !swapping && self.rests < rests;
        if let Some(last) = self.last.filter(|_| may_rest) {
            self.rests += 1;
            return ReadResult::Alive(last);
        }
        self.rests = 0;
        let mut stat = [0; 1024];
        let stat = match read(&self.stat, "stat", &mut stat) {
            Ok(text) => Stat::parse(text),
            Err(Errno::SRCH | Errno::NOENT) => return ReadResult::Gone,
            Err(_) => None,
        };
        let (Some(stat), Some(pages)) = (stat, pages) else {
            // Unreadable for a moment (EMFILE, EIO, a torn read) is not gone: a process that drops out
            // of a sample loses all that is known of it.
            return self.last.map_or(ReadResult::Zombie, ReadResult::Alive);
        };
        if stat.start != id.start {
            return ReadResult::Gone;
        }
        if !stat.is_alive() || pages.size == 0 {
            return ReadResult::Zombie;
        }
        if swapping || self.swap > 0 {
            self.read_swap(proc, id);
        }
        // Told anew after an exec, also one that keeps the name, and when threads come or go.
        // And once it has settled: for a moment a fork still wears the title of its master.
        self.looks = self.looks.saturating_add(1);
        self.told &= self.looks != SETTLED_LOOKS
            && self.image == stat.image
            && (self.threads > 1) == (stat.threads > 1);
        (self.image, self.threads, self.pages) = (stat.image, stat.threads, pages);
        let proc = Proc {
            id,
            ppid: stat.ppid,
            comm: Comm::new(stat.comm),
            rss: pages.resident.saturating_mul(page_size),
            anon: Some(pages.resident.saturating_sub(pages.shared).saturating_mul(page_size)),
            swap: self.swap,
            cpu_s: stat.cpu_ticks as f64 / clock_ticks,
            threads: stat.threads.max(1),
        };
        self.last = Some(proc);
        ReadResult::Alive(proc)
    }

    /// statm does not tell swap, and status costs ten times as much: it is read only while it matters.
    fn read_swap(&mut self, proc: &ProcDir, id: ProcId) {
        let mut status = [0; 2048];
        let text = proc.read(id.pid, "status", &mut status).unwrap_or_default();
        // What cannot be read for a moment has not come back to memory.
        self.swap = parse::kib_line(text, b"VmSwap").unwrap_or(self.swap);
    }
}

impl Program {
    /// Nothing known yet of a program.
    pub(crate) fn unknown() -> Self {
        Self {
            id: ProcId { pid: 0, start: 0 },
            exe: String::new(),
            title: String::new(),
            threads: 0,
            forked: false,
            permitted: None,
            uid: None,
            unit: None,
        }
    }
}
