//! Eligibility: which processes may be ended at all, and which never are, whatever they do.

mod facts;
mod never;
mod pools;
mod restarts;
#[cfg(test)]
mod tests;

use crate::core::decide::replacements::Replacements;
use crate::core::decide::rules::{Method, Rules};
use crate::core::decide::worker::private_bytes;
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::MemoryFailureKind;
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use crate::core::servers::{self, Server};
use crate::core::worker_pool::WorkerPool;
use facts::ProgramFacts;
use restarts::Restarts;
use std::collections::HashMap;

/// A pool that needed no order for so many seconds is counted anew. With a shorter time, a pool
/// that is never refilled would be ended by halves; without one, a pool that its server shrank at a
/// quiet hour could not be helped any more.
const EPISODE_S: f64 = 600.0;

/// An end within so many seconds is near.
const NEAR_S: f64 = 10.0;

/// What is known of the processes that might have to end.
#[derive(Debug)]
pub struct Eligibility {
    rules: Rules,
    program_facts: HashMap<ProcId, ProgramFacts>,
    /// Whether any sample had programs; live ones do.
    told_programs: bool,
    /// Ordered in a dry run, or did not go: never ordered again.
    excluded: Vec<ProcId>,
    /// Ordered to end, and still there.
    going: Vec<ProcId>,
    replacements: Replacements,
    restarts: Restarts,
    /// Processes whose units systemd does not restart: they are ended like any other lone one.
    unrestartable: Vec<ProcId>,
    /// Size of each pool when its tree came into danger, and when that was last so.
    episodes: HashMap<WorkerPool, (u32, f64)>,
}

impl Eligibility {
    /// Nothing known yet.
    pub fn new(rules: Rules) -> Self {
        Self {
            rules,
            program_facts: HashMap::new(),
            told_programs: false,
            excluded: Vec::new(),
            going: Vec::new(),
            replacements: Replacements::default(),
            restarts: Restarts::default(),
            unrestartable: Vec::new(),
            episodes: HashMap::new(),
        }
    }

    /// What the user allows.
    pub fn rules(&self) -> &Rules {
        &self.rules
    }

    /// Goes on under other rules. What depends on a program counts once a sample tells of it again.
    pub fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Takes in the programs that a sample tells of; forgets processes that are gone.
    pub fn observe(&mut self, sample: &Sample, detector: &Detector) {
        self.told_programs |= !sample.programs.is_empty();
        self.restarts.observe(sample.t);
        for program in &sample.programs {
            if let Some(s) = detector.process_state(program.id) {
                self.program_facts.insert(program.id, ProgramFacts::of(program, s, &self.rules));
            }
        }
        let lives = |id: &ProcId| detector.process_state(*id).is_some();
        if detector.is_any_gone() {
            self.program_facts.retain(|id, _| lives(id));
            self.excluded.retain(lives);
            self.unrestartable.retain(lives);
        }
        let is_kill = |kind| kind == MemoryFailureKind::OomKill;
        if sample.memory_failures.iter().any(|failure| is_kill(failure.kind)) {
            self.replacements.kernel_killed(sample.t);
        }
        if detector.is_any_gone() || !sample.programs.is_empty() {
            self.watch_replacements(sample, detector);
        }
        self.episodes.retain(|_, (_, t)| sample.t - *t < EPISODE_S);
    }

    /// Looks whether the masters of programs in no row replace workers that end.
    fn watch_replacements(&mut self, sample: &Sample, detector: &Detector) {
        let mut pools: HashMap<WorkerPool, (u32, ProcId)> = HashMap::new();
        for s in detector.process_states().filter(|s| s.parent.is_some()) {
            if self.program_facts.get(&s.id).is_some_and(|facts| !facts.server.is_known()) {
                let (size, newest) = pools.entry(s.pool()).or_insert((0, s.id));
                *size += 1;
                let order = |id: &ProcId| (id.start, id.pid);
                *newest = std::cmp::max_by_key(*newest, s.id, order);
            }
        }
        for (pool, (size, newest)) in pools {
            let master = pool.parent.and_then(|master| self.program_facts.get(&master));
            let run_by = master.map(|facts| &facts.run_by);
            self.replacements.observe(sample.t, (pool, size, newest), run_by);
        }
        self.replacements.forget(sample.t, |id| detector.process_state(id).is_some());
    }

    /// A process that is never ordered again, while it lives.
    pub fn exclude(&mut self, id: ProcId) {
        self.excluded.push(id);
    }

    /// Processes that are never ordered again.
    pub fn excluded(&self) -> impl Iterator<Item = ProcId> {
        self.excluded.iter().copied()
    }

    /// Roots and bytes of the processes that were ordered in a dry run: they count as gone.
    pub fn pretended(&self, detector: &Detector) -> Vec<(ProcId, u64)> {
        let ordered = self.excluded.iter().filter(|_| self.rules.dry_run);
        let living = ordered.filter_map(|id| detector.process_state(*id));
        living.map(|s| (s.root, private_bytes(s, detector))).collect()
    }

    /// Takes note of an order on a member of a pool of that size.
    pub fn ordered(&mut self, pool: WorkerPool, size: u32, t: f64) {
        self.episodes.entry(pool).or_insert((size, t)).1 = t;
    }

    /// The server that a process works for, once its program was seen.
    pub fn server(&self, id: ProcId) -> Option<&'static Server> {
        self.program_facts.get(&id).map(|program_facts| program_facts.server)
    }

    /// How a process is ended under the rules.
    pub fn method(&self, s: &ProcessState) -> Method {
        match self.restartable(s) {
            Some(_) => Method::Restart,
            None => self.rules.method(self.server(s.id).unwrap_or(&servers::UNKNOWN)),
        }
    }

    /// The unit whose restart replaces a process, where that is allowed: what has neither a master nor
    /// children, and is no less than the service.
    fn restartable(&self, s: &ProcessState) -> Option<&str> {
        let unit = self.program_facts.get(&s.id)?.unit.as_deref()?;
        let is_lone = s.parent.is_none() && s.children == 0 && !self.unrestartable.contains(&s.id);
        (self.rules.restart_unit && is_lone).then_some(unit)
    }

    /// Takes note that the unit of a process is restarted.
    pub fn restarts(&mut self, victim: ProcId) {
        let facts = self.program_facts.get(&victim);
        if let Some(unit) = facts.and_then(|facts| facts.unit.as_deref()) {
            self.restarts.add(victim, unit);
        }
    }

    /// Takes note that the unit of a process was not restarted after all.
    pub fn not_restarted(&mut self, victim: ProcId) {
        self.restarts.remove(victim);
    }

    /// The unit of a process cannot be restarted: it is ended by signals, where that is allowed too.
    pub fn cannot_restart(&mut self, victim: ProcId) {
        match self.rules.allow_standalone {
            true => self.unrestartable.push(victim),
            false => self.exclude(victim),
        }
    }

    /// The restart of a process's unit did not help: it is not restarted again.
    pub fn never_restart(&mut self, victim: ProcId) {
        self.restarts.did_not_help(victim);
    }

    /// How many living processes this user may not signal.
    pub fn forbidden(&self) -> usize {
        self.program_facts
            .values()
            .filter(|program_facts| program_facts.permitted == Some(false))
            .count()
    }

    /// Whether a process may be ended now, the end being so many seconds away at the earliest.
    pub fn may_end(&self, s: &ProcessState, end_s: f64, detector: &Detector) -> bool {
        !self.is_reduced(s, end_s, detector) && self.may_end_at_all(s, detector)
    }

    /// Whether a process may be ended, whatever is left of its pool.
    pub fn may_end_at_all(&self, s: &ProcessState, detector: &Detector) -> bool {
        !self.excluded.contains(&s.id) && self.never_ended(s, detector).is_none()
    }

    /// A process was ordered to end: its pool does without it from now on.
    pub fn goes(&mut self, id: ProcId) {
        self.going.push(id);
    }

    /// Whether a process was ordered to end, and is on its way.
    pub fn is_going(&self, id: ProcId) -> bool {
        self.going.contains(&id)
    }

    /// A process that was ordered to end is gone, or stays after all.
    pub fn stays(&mut self, id: ProcId) {
        self.going.retain(|going| *going != id);
    }
}
