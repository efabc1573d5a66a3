//! What processes leave behind: piles of processes that nobody ends, zombies that nobody waits for, and
//! open files that nobody closes.

use crate::core::engine::Engine;
use crate::core::model::ceiling::{Ceiling, FilledBy};
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use crate::core::piles::descriptors::OpenFiles;
use crate::core::piles::unreaped::Unreaped;
use crate::core::piles::{Pile, Piles};
use crate::system::open_files;
use std::collections::HashSet;
use std::path::Path;

/// Piles and parents that are told.
const MOST: usize = 8;
/// Processes whose limit on open files is asked for.
const MOST_SUSPECTS: usize = 256;

/// A pile, with what it runs into.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundPile {
    /// The pile.
    pub pile: Pile,
    /// Bytes that are left.
    pub headroom: u64,
    /// The nearest limit on tasks above it.
    pub tasks: Option<Ceiling>,
}

/// A parent that does not wait, with what it runs into.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundUnreaped {
    /// The parent with its zombies.
    pub unreaped: Unreaped,
    /// Its unit or container.
    pub unit: Option<String>,
    /// Whether it is process 1 of a container, which must wait for everybody's orphans.
    pub is_init: bool,
    /// The nearest limit on tasks above it.
    pub tasks: Option<Ceiling>,
}

/// A process that opens files and does not close them, or is near its limit.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundOpenFiles {
    /// The process.
    pub open: OpenFiles,
    /// Its RLIMIT_NOFILE.
    pub limit: u64,
    /// Its unit or container.
    pub unit: Option<String>,
    /// What they are, the most first; empty where that may not be read.
    pub kinds: Vec<(&'static str, u32)>,
}

impl FoundOpenFiles {
    /// Whether the limit is reached soon.
    pub fn is_finding(&self) -> bool {
        self.open.is_finding(self.limit)
    }
}

/// All of them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct LeftBehind {
    /// Piles, what grows fastest first.
    pub piles: Vec<FoundPile>,
    /// Parents, those with most zombies first.
    pub unreaped: Vec<FoundUnreaped>,
    /// Processes with too many open files.
    pub open_files: Vec<FoundOpenFiles>,
}

impl FoundPile {
    /// Seconds until memory or tasks end.
    pub fn lasts_s(&self) -> Option<f64> {
        self.pile.lasts_s(self.headroom, self.tasks.map(|tasks| tasks.headroom()))
    }

    /// Whether that is soon.
    pub fn is_finding(&self) -> bool {
        self.pile.is_finding(self.headroom, self.tasks.map(|tasks| tasks.headroom()))
    }
}

impl FoundUnreaped {
    /// Seconds until tasks end.
    pub fn lasts_s(&self) -> Option<f64> {
        self.unreaped.lasts_s(self.tasks.map(|tasks| tasks.headroom()))
    }

    /// Whether that is soon, or there are very many.
    pub fn is_finding(&self) -> bool {
        self.unreaped.is_finding(self.tasks.map(|tasks| (tasks.headroom(), tasks.limit)))
    }
}

impl LeftBehind {
    /// Puts together what listings show of the processes in the last sample, which are the selected
    /// ones, with its limits. `unit` tells the unit of a process.
    pub(crate) fn of(
        piles: &Piles,
        engine: &Engine,
        last: &Sample,
        procfs: &Path,
        mut unit: impl FnMut(ProcId) -> Option<String>,
    ) -> Self {
        let tasks = |id: Option<ProcId>| {
            let state = id.and_then(|id| engine.detector().process_state(id));
            let root = state.map(|state| state.root);
            let over = last.ceilings.iter().filter(|ceiling| {
                ceiling.kind.filled_by() == FilledBy::Tasks
                    && (ceiling.root.is_none() || ceiling.root == root)
            });
            over.min_by_key(|ceiling| ceiling.headroom()).copied()
        };
        let seen: HashSet<u32> = last.procs.iter().map(|p| p.id.pid).collect();
        let is_seen = |pid: u32| seen.contains(&pid);
        let of_pid = |pid: &u32| last.procs.iter().map(|p| p.id).find(|id| id.pid == *pid);
        let of_seen =
            piles.piles().into_iter().filter(|pile| pile.pids.iter().any(|pid| is_seen(*pid)));
        let piles_found = of_seen.take(MOST).map(|pile| FoundPile {
            tasks: tasks(pile.pids.first().and_then(of_pid)),
            headroom: last.memory.headroom(),
            pile,
        });
        let of_seen = piles.unreaped().into_iter().filter(|of| is_seen(of.parent.pid));
        let unreaped = of_seen.take(MOST).map(|unreaped| FoundUnreaped {
            unit: unit(unreaped.parent),
            is_init: is_init(procfs, unreaped.parent.pid),
            tasks: tasks(Some(unreaped.parent)),
            unreaped,
        });
        let unreaped = unreaped.collect();
        let of_seen = piles.open_files().into_iter().filter(|open| is_seen(open.id.pid));
        let open_files = open_files(of_seen, procfs, unit);
        Self { piles: piles_found.collect(), unreaped, open_files }
    }

    /// Whether any of it endangers memory or tasks.
    pub fn is_finding(&self) -> bool {
        self.piles.iter().any(FoundPile::is_finding)
            || self.unreaped.iter().any(FoundUnreaped::is_finding)
            || self.open_files.iter().any(FoundOpenFiles::is_finding)
    }
}

/// Processes whose open files come near their limit: those that grow, and those that have most.
fn open_files(
    open_files: impl Iterator<Item = OpenFiles>,
    procfs: &Path,
    mut unit: impl FnMut(ProcId) -> Option<String>,
) -> Vec<FoundOpenFiles> {
    let suspects = open_files.take(MOST_SUSPECTS);
    let found = suspects.filter_map(|open| {
        let pid = open.id.pid;
        let limit = open_files::limit(procfs, pid).filter(|limit| open.is_told(*limit))?;
        Some(FoundOpenFiles {
            limit,
            unit: unit(open.id),
            kinds: open_files::kinds(procfs, pid),
            open,
        })
    });
    found.take(MOST).collect()
}

/// Whether a process is process 1 of a pid namespace below ours.
fn is_init(procfs: &Path, pid: u32) -> bool {
    let text = std::fs::read(procfs.join(format!("{pid}/status"))).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let pids = text.lines().find_map(|line| line.strip_prefix("NSpid:"));
    let mut pids = pids.unwrap_or_default().split_whitespace();
    pids.next().is_some() && pids.next_back() == Some("1")
}
