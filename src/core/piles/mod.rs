//! Piles: processes of one program that are started, left behind and never end, whoever their parent
//! is by now; parents that do not wait for their children; and files that are opened and never closed.
//!
//! A listing counts all processes some dozen times in a look. The detector judges trees, so what lies
//! below one living parent is left to it; orphans belong to no tree.

pub mod descriptors;
mod group;
pub mod reaper;
pub mod unreaped;
pub mod useless;

use crate::core::balance::trend::{LineGrowth, LineTrend, Trend};
use crate::core::detect::basis::JudgeBasis;
use crate::core::detect::constants::Constants;
use crate::core::model::ceiling::Unit;
use crate::core::model::event::SOON_S;
use crate::core::model::process::{Comm, ProcId};
use crate::core::piles::descriptors::{Descriptors, OpenFiles};
use crate::core::piles::group::Group;
use crate::core::piles::unreaped::{Unreaped, Waiting};
use std::collections::{BTreeMap, HashMap};

/// Programs that are told apart.
const MOST_GROUPS: usize = 4096;
/// Fewer processes than this are no pile.
const LEAST: u32 = 4;
/// A pile grows by at least so many processes, ...
const LEAST_MORE: f64 = 4.0;
/// ... or by so many bytes.
const LEAST_BYTES: f64 = 4.0 * 1_048_576.0;
/// Cores that a process of a pile uses at most: what works is not left behind.
const BUSY: f64 = 0.05;
/// Share of those that are new in which some may have ended.
const ENDED: f64 = 0.1;

/// What one program is, for telling piles apart; text of others.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PileKind {
    /// Path of the executable; the command name where it cannot be read.
    pub exe: String,
    /// The command line with its numbers folded.
    pub title: String,
    /// The real user.
    pub uid: u32,
    /// The unit, container or session in which it was born, with its numbers folded.
    pub origin: String,
}

/// A process in a listing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Its identity.
    pub id: ProcId,
    /// Its parent's pid now.
    pub ppid: u32,
    /// Its command name.
    pub comm: Comm,
    /// Whether it has ended and was not waited for.
    pub is_zombie: bool,
    /// Its private memory in bytes.
    pub footprint: u64,
    /// CPU time used so far, in seconds.
    pub cpu_s: f64,
    /// Its open files; 0 where that is not known.
    pub files: u32,
}

/// All processes at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listing {
    /// Unix time.
    pub t: f64,
    /// All of them but kernel threads.
    pub procs: Vec<Seen>,
    /// The programs of those that are new, or run another program now.
    pub kinds: Vec<(ProcId, PileKind)>,
}

/// A process that is known.
struct Known {
    kind: usize,
    cpu_s: f64,
    nth: u32,
}

/// Takes in listings.
pub struct Piles {
    basis: JudgeBasis,
    times: Vec<f64>,
    kinds: BTreeMap<PileKind, usize>,
    groups: Vec<Group>,
    known: HashMap<ProcId, Known>,
    waiting: Waiting,
    descriptors: Descriptors,
}

/// Processes of one program that pile up.
#[derive(Clone, Debug, PartialEq)]
pub struct Pile {
    /// What they are.
    pub kind: PileKind,
    /// How many there are.
    pub processes: u32,
    /// How many of them have no living parent but an init.
    pub orphans: u32,
    /// Bytes that they hold for themselves.
    pub bytes: u64,
    /// How their number moves, in processes.
    pub number: Trend,
    /// How their bytes move.
    pub size: Trend,
    /// Who started them, as far as that was seen, most often first.
    pub starters: Vec<Comm>,
    /// Some of them, the oldest first.
    pub pids: Vec<u32>,
}

impl Pile {
    /// Seconds until memory or tasks end at its rate, whichever comes first.
    pub fn lasts_s(&self, headroom: u64, tasks_left: Option<u64>) -> Option<f64> {
        let of = |left: f64, rate: f64| (rate > 0.0).then(|| left / rate);
        let memory = of(headroom as f64, self.size.rate);
        let tasks = tasks_left.and_then(|left| of(left as f64, self.number.rate));
        match (memory, tasks) {
            (Some(memory), Some(tasks)) => Some(memory.min(tasks)),
            (memory, tasks) => memory.or(tasks),
        }
    }

    /// Whether that is within two days.
    pub fn is_finding(&self, headroom: u64, tasks_left: Option<u64>) -> bool {
        self.lasts_s(headroom, tasks_left).is_some_and(|lasts_s| lasts_s < SOON_S)
    }
}

impl Piles {
    /// Before the first of listings that are planned every `interval_s` seconds.
    pub fn new(interval_s: f64) -> Self {
        Self {
            basis: JudgeBasis::new(Constants::default(), 4096.0, interval_s),
            times: Vec::new(),
            kinds: BTreeMap::new(),
            groups: Vec::new(),
            known: HashMap::new(),
            waiting: Waiting::default(),
            descriptors: Descriptors::default(),
        }
    }

    /// Takes in a listing.
    pub fn push(&mut self, listing: &Listing) {
        let nth = self.times.len() as u32;
        self.times.push(listing.t);
        self.groups.iter_mut().for_each(Group::begin);
        let by_pid: HashMap<u32, &Seen> = listing.procs.iter().map(|p| (p.id.pid, p)).collect();
        for (id, kind) in &listing.kinds {
            let Some(index) = self.group(kind) else { continue };
            let seen = by_pid.get(&id.pid);
            let parent = seen.and_then(|seen| by_pid.get(&seen.ppid)).filter(|p| p.id.pid > 1);
            let starter = parent.map(|parent| parent.comm);
            let is_new = self.known.get(id).is_none_or(|known| known.kind != index);
            if is_new && let Some(group) = self.groups.get_mut(index) {
                group.born(nth, starter);
            }
            let cpu_s = seen.map_or(0.0, |seen| seen.cpu_s);
            self.known.insert(*id, Known { kind: index, cpu_s, nth });
        }
        for seen in listing.procs.iter().filter(|seen| !seen.is_zombie) {
            let Some(known) = self.known.get_mut(&seen.id) else { continue };
            let used_s = (seen.cpu_s - known.cpu_s).max(0.0);
            (known.cpu_s, known.nth) = (seen.cpu_s, nth);
            let root = root(seen, &by_pid);
            if let Some(group) = self.groups.get_mut(known.kind) {
                group.count(seen, root, used_s);
            }
        }
        let Self { known, groups, .. } = self;
        known.retain(|_, known| {
            let lives = known.nth == nth;
            if !lives && let Some(group) = groups.get_mut(known.kind) {
                group.ended();
            }
            lives
        });
        self.groups.iter_mut().for_each(|group| group.finish(nth));
        self.waiting.push(listing, &by_pid);
        self.descriptors.push(listing, &self.known);
    }

    fn group(&mut self, kind: &PileKind) -> Option<usize> {
        if let Some(index) = self.kinds.get(kind) {
            return Some(*index);
        }
        let index = self.groups.len();
        if index >= MOST_GROUPS {
            return None;
        }
        self.groups.push(Group::new(kind.clone(), self.times.len()));
        self.kinds.insert(kind.clone(), index);
        Some(index)
    }

    /// How a series with a value for each listing moves.
    fn trend(&self, unit: Unit, values: impl Iterator<Item = f64>) -> Option<Trend> {
        let mut basis =
            JudgeBasis::new(Constants::default(), 4096.0, self.basis.clock.interval_s());
        let mut line = LineTrend::new(unit, 4096.0);
        for (t, value) in self.times.iter().zip(values) {
            let moment = basis.clock.advance(*t, None);
            line.push(&moment, *t, value as u64, &basis);
        }
        line.trend(basis.clock.now())
    }

    /// What piles up, what grows fastest first.
    pub fn piles(&self) -> Vec<Pile> {
        let mut piles: Vec<Pile> =
            self.groups.iter().filter_map(|group| self.pile(group)).collect();
        piles.sort_by(|a, b| {
            let rate = |pile: &Pile| pile.size.rate.max(0.0);
            rate(b).total_cmp(&rate(a)).then(b.processes.cmp(&a.processes))
        });
        piles
    }

    fn pile(&self, group: &Group) -> Option<Pile> {
        let now = group.now();
        if now.processes < LEAST || group.is_one_tree() {
            return None;
        }
        let span_s = self.times.last()? - self.times.first()?;
        let number = self.trend(Unit::Tasks, group.numbers())?;
        let size = self.trend(Unit::Bytes, group.sizes())?;
        let busy = group.cpu_s() / span_s.max(1e-9) / f64::from(now.processes);
        let stay = f64::from(group.ends()) <= ENDED * f64::from(group.births());
        let rises = number.growth > LineGrowth::None && number.rise >= LEAST_MORE;
        let more = rises && stay && group.goes_on();
        let larger = size.growth == LineGrowth::Steady && size.rise >= LEAST_BYTES && stay;
        if busy > BUSY || !(more || larger) {
            return None;
        }
        Some(Pile {
            kind: group.kind.clone(),
            processes: now.processes,
            orphans: now.orphans,
            bytes: now.bytes,
            number,
            size,
            starters: group.starters(),
            pids: group.oldest(),
        })
    }

    /// The open files of all processes, those that grow fastest first, then those with most.
    pub fn open_files(&self) -> Vec<OpenFiles> {
        self.descriptors.suspects(self.basis.clock.interval_s())
    }

    /// Who does not wait for its children, most of them first.
    pub fn unreaped(&self) -> Vec<Unreaped> {
        let of = |values: &[u32]| self.trend(Unit::Tasks, values.iter().map(|n| f64::from(*n)));
        self.waiting.unreaped(of)
    }
}

/// The topmost ancestor of a process below process 1.
fn root(seen: &Seen, by_pid: &HashMap<u32, &Seen>) -> u32 {
    let mut top = seen;
    for _ in 0..64 {
        match by_pid.get(&top.ppid).filter(|parent| parent.id.pid > 1) {
            Some(parent) if parent.id.pid != top.id.pid => top = parent,
            _ => break,
        }
    }
    top.id.pid
}

#[cfg(test)]
mod tests;
