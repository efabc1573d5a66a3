//! The known processes, and which of them are watched: never more than a stated number.

use crate::core::once::Once;
use crate::system::proc::parse;
use crate::system::proc::procdir::ProcDir;
use crate::system::proc::watched;
use crate::system::proc::watched::{KnownProcess, WatchedProcess};
use std::collections::{BTreeMap, BTreeSet};

/// Where the selection means more than may be watched, the largest are picked in one of so many
/// samples: it costs 3 µs for each unwatched process.
const RANK: u32 = 16;

/// All known processes, watched or not.
#[derive(Debug)]
pub(super) struct WatchSet {
    pub(super) known: BTreeMap<u32, KnownProcess>,
    /// Processes watched at once.
    most: usize,
    /// Leakwatch itself and its ancestors; never watched.
    excluded: Vec<u32>,
    /// Files that may still be kept open.
    pub(super) kept_files_left: u64,
    /// The selection means more processes than may be watched.
    is_crowded: bool,
    told_crowded: Once,
    told_files_short: Once,
}

impl WatchSet {
    /// `files`: how many others keep open already.
    pub(super) fn new(most: usize, excluded: Vec<u32>, files: u64) -> Self {
        Self {
            known: BTreeMap::new(),
            most,
            excluded,
            kept_files_left: raise_file_limit().saturating_sub(files),
            is_crowded: false,
            told_crowded: Once::default(),
            told_files_short: Once::default(),
        }
    }

    /// Leakwatch, those that started it, and the helper that it started.
    pub(super) fn is_excluded(&self, pid: u32, ppid: u32) -> bool {
        self.excluded.contains(&pid) || self.excluded.first() == Some(&ppid)
    }

    /// Whether it is time to find the largest again.
    pub(super) fn is_to_rank(&self, tick: u32) -> bool {
        self.is_crowded && tick % RANK == 1
    }

    /// Forgets the processes that were not listed in this sample, which listed all.
    pub(super) fn forget_unlisted(&mut self, tick: u32) {
        let Self { known, kept_files_left, .. } = self;
        known.retain(|_, known| {
            let exists = known.tick == tick;
            if !exists {
                *kept_files_left += known.watch.as_ref().map_or(0, WatchedProcess::files);
            }
            exists
        });
    }

    /// Starts to watch the trees of all that matched: up to the root, which must match as well where
    /// the selection is `by_origin`, and down to every descendant.
    pub(super) fn select_watched(
        &mut self,
        proc: &ProcDir,
        tick: u32,
        by_origin: bool,
        notes: &mut Vec<String>,
    ) {
        let matched = self.known.values().filter(|known| known.matched);
        let climb = |from| watched::climb(&self.known, from, by_origin);
        let mut tops: Vec<u32> = matched.map(climb).collect();
        tops.sort_unstable();
        let new: Vec<u32> = self
            .known
            .iter()
            .filter(|(pid, known)| {
                known.watch.is_none() && !known.kernel && !self.is_excluded(**pid, known.ppid)
            })
            .filter(|(pid, _)| watched::is_below(&self.known, &tops, **pid))
            .map(|(pid, _)| *pid)
            .collect();
        let new = self.at_most(proc, new, tick, notes);
        for pid in &new {
            let watch = self.open_watch(proc, *pid, notes);
            if let Some(known) = self.known.get_mut(pid) {
                known.watch = Some(watch);
            }
        }
        // Roots are set when all new processes are in, so that a parent with a higher pid than its
        // child (pids wrap) is found as well.
        for pid in new {
            let root = watched::root_of(&self.known, pid);
            if let Some(watch) = self.known.get_mut(&pid).and_then(|k| k.watch.as_mut()) {
                watch.root = root;
            }
        }
    }

    fn open_watch(&mut self, proc: &ProcDir, pid: u32, notes: &mut Vec<String>) -> WatchedProcess {
        let mut watch = WatchedProcess::default();
        if self.kept_files_left >= 2 {
            watch.statm = proc.open_file(pid, "statm").ok();
            watch.stat = proc.open_file(pid, "stat").ok();
            self.kept_files_left -= watch.files();
        } else if self.told_files_short.first() {
            notes.push(
                "too many processes to keep their files open; reading them costs four times as much CPU now\n  hint: raise the limit of open files (ulimit -n, LimitNOFILE=)".to_owned(),
            );
        }
        watch
    }

    /// Those of the new processes that may be watched; larger ones displace watched ones. Masters
    /// come first: without them a worker's tree is unknown.
    fn at_most(
        &mut self,
        proc: &ProcDir,
        mut new: Vec<u32>,
        tick: u32,
        notes: &mut Vec<String>,
    ) -> Vec<u32> {
        let most = self.most;
        let watched = self.known.values().filter(|known| known.watch.is_some()).count();
        let free = most.saturating_sub(watched);
        self.is_crowded = new.len() > free;
        if !self.is_crowded {
            return new;
        }
        if self.told_crowded.first() {
            notes.push(format!(
                "the selection means {} processes, more than may be watched at once: only the {most} largest are\n  hint: --max-processes N watches more, at 4 kB of memory each; --pattern picks fewer",
                watched + new.len()
            ));
        }
        if tick % RANK != 1 {
            new.truncate(free);
            return new;
        }
        let is_new = |pid: &u32| new.binary_search(pid).is_ok();
        let all = self.known.iter().filter(|(pid, known)| known.watch.is_some() || is_new(pid));
        let masters: BTreeSet<u32> = all.clone().map(|(_, known)| known.ppid).collect();
        let mut ranked: Vec<(bool, u64, u32)> = all
            .map(|(pid, known)| {
                // A watched process keeps its slot unless the candidate is twice as large.
                let size = known.watch.as_ref().map(|watch| 2 * watch.pages.resident);
                (masters.contains(pid), size.unwrap_or_else(|| resident(proc, *pid)), *pid)
            })
            .collect();
        ranked.sort_unstable_by(|a, b| b.cmp(a));
        let kept: BTreeSet<u32> = ranked.iter().take(most).map(|(.., pid)| *pid).collect();
        for (pid, known) in &mut self.known {
            if !kept.contains(pid) {
                self.kept_files_left += known.watch.take().map_or(0, |watch| watch.files());
            }
        }
        new.retain(|pid| kept.contains(pid));
        new
    }
}

/// The resident pages of a process.
fn resident(proc: &ProcDir, pid: u32) -> u64 {
    let mut buffer = [0; 128];
    let text = proc.read(pid, "statm", &mut buffer).unwrap_or_default();
    parse::statm(text).map_or(0, |pages| pages.resident)
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
