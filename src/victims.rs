//! Victims: who may be ended at all, and who is spared whatever it does.

use crate::assessment::Spared;
use crate::detector::Detector;
use crate::detector::standing::Standing;
use crate::sample::{Comm, ProcId, Program, Sample};
use crate::server::{self, Server, Workers};
use regex_lite::Regex;
use std::collections::HashMap;

/// A pool that needed no order for so many seconds is counted anew. Shorter, and a pool that is
/// never refilled would be ended by halves; never, and one that its server shrank at a quiet hour
/// could not be helped any more.
const EPISODE_S: f64 = 600.0;

/// An end within so many seconds is near.
const NEAR_S: f64 = 10.0;

/// What is known of a process's program.
#[derive(Debug)]
struct Facts {
    server: &'static Server,
    protected: bool,
    forked: bool,
    permitted: Option<bool>,
}

/// What is assumed in a recording that tells nothing of programs.
static NOT_RECORDED: Facts =
    Facts { server: &server::UNKNOWN, protected: false, forked: true, permitted: None };

/// What is known of those who might have to end.
#[derive(Debug)]
pub struct Victims {
    protect: Vec<Regex>,
    allow_root: bool,
    facts: HashMap<ProcId, Facts>,
    /// Whether any sample told of programs; all live ones do.
    told_programs: bool,
    /// Ordered in a dry run, or did not go: never ordered again.
    done: Vec<ProcId>,
    /// Size of each pool when its tree came into danger, and when that was last so.
    episodes: HashMap<(ProcId, Comm), (u32, f64)>,
}

impl Victims {
    /// Nothing known yet; what `protect` matches is spared, and so is a lone process unless
    /// `allow_root`.
    pub fn new(protect: Vec<Regex>, allow_root: bool) -> Self {
        Self {
            protect,
            allow_root,
            facts: HashMap::new(),
            told_programs: false,
            done: Vec::new(),
            episodes: HashMap::new(),
        }
    }

    /// Takes in the programs that a sample tells of; forgets who is gone.
    pub fn learn(&mut self, sample: &Sample, detector: &Detector) {
        self.told_programs |= !sample.programs.is_empty();
        for program in &sample.programs {
            let comm = sample
                .procs
                .iter()
                .find(|p| p.id == program.id)
                .map_or(Comm::default(), |p| p.comm);
            self.facts.insert(program.id, self.facts_of(program, comm));
        }
        let lives = |id: &ProcId| detector.standing(*id).is_some();
        self.facts.retain(|id, _| lives(id));
        self.done.retain(lives);
        self.episodes.retain(|_, (_, t)| sample.t - *t < EPISODE_S);
    }

    fn facts_of(&self, program: &Program, comm: Comm) -> Facts {
        let name = String::from_utf8_lossy(comm.as_bytes());
        let exe = program.exe.rsplit('/').next().unwrap_or_default();
        let mut texts = [&*name, exe, program.title.as_str()].into_iter();
        Facts {
            server: server::recognise(program, comm),
            protected: texts.any(|text| self.protect.iter().any(|re| re.is_match(text))),
            forked: program.forked,
            permitted: program.permitted,
        }
    }

    /// A process that is never ordered again, while it lives.
    pub fn never_again(&mut self, id: ProcId) {
        self.done.push(id);
    }

    /// Those that are never ordered again.
    pub fn done(&self) -> impl Iterator<Item = ProcId> {
        self.done.iter().copied()
    }

    /// Takes note of an order on a member of a pool of that size.
    pub fn ordered(&mut self, s: &Standing, size: u32, t: f64) {
        if let Some(parent) = s.parent {
            self.episodes.entry((parent, s.comm)).or_insert((size, t)).1 = t;
        }
    }

    /// The server that a process works for, once its program was seen.
    pub fn server(&self, id: ProcId) -> Option<&'static Server> {
        self.facts.get(&id).map(|facts| facts.server)
    }

    /// How many living processes this user may not signal.
    pub fn forbidden(&self) -> usize {
        self.facts.values().filter(|facts| facts.permitted == Some(false)).count()
    }

    /// Whether a process may be ended now, the end being so many seconds away at the earliest.
    pub fn may_end(&self, s: &Standing, end_s: f64, detector: &Detector) -> bool {
        !self.done.contains(&s.id)
            && !self.pool_is_taken(s, end_s, detector)
            && self.spared(s, detector).is_none()
    }

    /// Why a process is not ended now, unless it was ordered already.
    pub fn kept(&self, s: &Standing, end_s: f64, detector: &Detector) -> Option<Spared> {
        let halved = || self.pool_is_taken(s, end_s, detector).then_some(Spared::PoolHalved);
        let why = self.spared(s, detector).or_else(halved);
        why.filter(|_| !self.done.contains(&s.id))
    }

    /// Why a process is not ended, whatever it does.
    pub fn spared(&self, s: &Standing, detector: &Detector) -> Option<Spared> {
        // Whose program was never seen may be anything: fail closed.
        let facts = match self.facts.get(&s.id) {
            Some(facts) => facts,
            None if self.told_programs => return Some(Spared::Unknown),
            None => &NOT_RECORDED,
        };
        let lone_allowed = self.allow_root && s.children == 0;
        // A worker is a fork of its master, or has siblings of its kind. Anything else that a
        // watched process once started, nobody is known to start again.
        let is_worker = facts.forked
            || (std::ptr::eq(facts.server, &server::UNKNOWN)
                && pool_size(detector, s.parent, s.comm) >= 2);
        if facts.protected {
            Some(Spared::Protected)
        } else if s.children > 0 {
            Some(Spared::HasChildren)
        } else if let Some(why) = self.reported_only(s, detector) {
            Some(Spared::Server(why))
        } else if facts.permitted == Some(false) {
            Some(Spared::NotPermitted)
        } else if lone_allowed {
            None
        } else if s.parent.is_none() || !is_worker {
            Some(Spared::Root)
        } else if !s.parent_alive {
            Some(Spared::Orphan)
        } else {
            None
        }
    }

    /// The words of a server whose workers are only reported, of the process or an ancestor.
    fn reported_only(&self, s: &Standing, detector: &Detector) -> Option<&'static str> {
        let words = |id: ProcId| match self.facts.get(&id).map(|facts| &facts.server.workers) {
            Some(Workers::Report(why) | Workers::Reload(_, why) | Workers::Allow(_, why)) => {
                Some(*why)
            }
            _ => None,
        };
        let mut at = s;
        // Deeper trees than this are not followed; real ones have under ten generations.
        for _ in 0..32 {
            if let Some(why) = words(at.id) {
                return Some(why);
            }
            match at.parent.and_then(|parent| detector.standing(parent)) {
                Some(parent) => at = parent,
                None => break,
            }
        }
        words(s.root)
    }

    /// Whether one less would leave the pool below half of what it was when the danger began, or
    /// below a quarter where the end is near: a server that has spare workers replaces none, and
    /// what it would lose next is a worker with its request, to the OOM killer. A pool of one may
    /// be ended: its master starts the next.
    fn pool_is_taken(&self, s: &Standing, end_s: f64, detector: &Detector) -> bool {
        let Some(parent) = s.parent else { return false };
        let now = pool_size(detector, s.parent, s.comm);
        let begun = self.episodes.get(&(parent, s.comm)).map_or(now, |(size, _)| *size);
        let share = if end_s <= NEAR_S { 4 } else { 2 };
        begun > 1 && (now <= 1 || share * (now - 1) < begun)
    }
}

/// Bytes that only this process holds: its footprint without what it inherited at its fork, which
/// it shares with its parent still. A child older than the watch inherited at most its parent's.
pub(crate) fn expected(s: &Standing, detector: &Detector) -> u64 {
    let parent = s.parent.and_then(|id| detector.standing(id)).map_or(0, |p| p.footprint);
    s.footprint.saturating_sub(s.first_footprint.min(parent))
}

/// Living children of one parent with that name.
pub(crate) fn pool_size(detector: &Detector, parent: Option<ProcId>, comm: Comm) -> u32 {
    let siblings = detector.standings().filter(|s| s.parent == parent && s.comm == comm);
    if parent.is_some() { siblings.count() as u32 } else { 0 }
}
