//! Eligibility: which processes may be ended at all, and which never are, whatever they do.

use crate::core::decide::replacements::Replacements;
use crate::core::decide::rules::{Method, Rules};
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::MemoryFailureKind;
use crate::core::model::order::NotEnded;
use crate::core::model::process::{Comm, ProcId, Program};
use crate::core::model::sample::Sample;
use crate::core::model::units::MIB;
use crate::core::servers;
use crate::core::servers::{Server, ThreadCount, WorkerPolicy};
use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A pool that needed no order for so many seconds is counted anew. With a shorter time, a pool
/// that is never refilled would be ended by halves; without one, a pool that its server shrank at a
/// quiet hour could not be helped any more.
const EPISODE_S: f64 = 600.0;

/// An end within so many seconds is near.
const NEAR_S: f64 = 10.0;

/// What is known of a process's program.
#[derive(Debug)]
struct ProgramFacts {
    server: &'static Server,
    protected: bool,
    forked: bool,
    /// A child of its master that does none of the work.
    helper: bool,
    /// Hash of the pool's name, where the server has several.
    pool: u64,
    permitted: Option<bool>,
    /// Of a program in no row: its user and the path of its executable, hash of the title, whether an
    /// interpreter runs it, and whether the admin named it.
    run_by: (Option<u32>, String),
    title: u64,
    interpreted: bool,
    named: bool,
}

/// What is assumed in a recording without programs.
static NOT_RECORDED: ProgramFacts = ProgramFacts {
    server: &servers::UNKNOWN,
    protected: false,
    forked: true,
    helper: false,
    pool: 0,
    permitted: None,
    run_by: (None, String::new()),
    title: 0,
    interpreted: false,
    named: true,
};

/// A worker pool: the children of one parent that do the same work.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct WorkerPool {
    parent: Option<ProcId>,
    kind: WorkerPoolKind,
}

/// What the members of a pool have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum WorkerPoolKind {
    /// They are forks of their parent, whatever each is called (mod_perl renames its children),
    /// and where it has several pools, of that one.
    Forks(u64),
    /// Their name, where they run a program of their own.
    Named(Comm),
}

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
    /// Size of each pool when its tree came into danger, and when that was last so.
    episodes: HashMap<WorkerPool, (u32, f64)>,
}

impl WorkerPool {
    /// The children of a master that have that name and run a program of their own.
    #[cfg(test)]
    pub fn named(master: ProcId, comm: Comm) -> Self {
        Self { parent: Some(master), kind: WorkerPoolKind::Named(comm) }
    }

    /// The parent of its members.
    pub fn parent(&self) -> Option<ProcId> {
        self.parent
    }
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
        for program in &sample.programs {
            let comm = sample
                .procs
                .iter()
                .find(|p| p.id == program.id)
                .map_or(Comm::default(), |p| p.comm);
            self.program_facts.insert(program.id, self.facts_of(program, comm));
        }
        let lives = |id: &ProcId| detector.process_state(*id).is_some();
        if detector.is_any_gone() {
            self.program_facts.retain(|id, _| lives(id));
            self.excluded.retain(lives);
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
                let (size, newest) = pools.entry(self.pool(s)).or_insert((0, s.id));
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

    fn facts_of(&self, program: &Program, comm: Comm) -> ProgramFacts {
        let name = String::from_utf8_lossy(comm.as_bytes());
        let exe = program.exe.rsplit('/').next().unwrap_or_default();
        let mut texts = [&*name, exe, program.title.as_str()].into_iter();
        let server = servers::recognise(program, comm, &self.rules.servers);
        let hash = |text: &str| {
            let mut hasher = DefaultHasher::new();
            text.hash(&mut hasher);
            hasher.finish()
        };
        ProgramFacts {
            server,
            protected: texts.any(|text| self.rules.protect.iter().any(|re| re.is_match(text))),
            forked: program.forked,
            helper: !servers::is_worker(server, program),
            pool: hash(servers::pool_name(server, program)),
            permitted: program.permitted,
            run_by: (program.uid, program.exe.clone()),
            title: hash(&program.title),
            interpreted: servers::is_interpreter(exe),
            named: servers::is_called(program, comm, &self.rules.allow),
        }
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

    /// The pool that a process belongs to.
    pub fn pool(&self, s: &ProcessState) -> WorkerPool {
        let kind = match self.program_facts.get(&s.id) {
            Some(program_facts) if program_facts.forked && !program_facts.helper => {
                WorkerPoolKind::Forks(program_facts.pool)
            }
            _ => WorkerPoolKind::Named(s.comm),
        };
        WorkerPool { parent: s.parent, kind }
    }

    /// The living members of a pool; a root is in none.
    pub fn members<'d>(
        &'d self,
        pool: WorkerPool,
        detector: &'d Detector,
    ) -> impl Iterator<Item = &'d ProcessState> {
        let of_parent = detector.process_states().filter(move |s| s.parent == pool.parent);
        of_parent.filter(move |s| pool.parent.is_some() && self.pool(s) == pool)
    }

    /// Whether its youngest member has started: it was in two samples, and grew little in between.
    pub fn newest_has_settled(&self, pool: WorkerPool, detector: &Detector) -> bool {
        let newest = self.members(pool, detector).max_by_key(|s| (s.id.start, s.id.pid));
        newest.is_some_and(|s| match s.recent.points() {
            [.., (_, before), (_, now)] => now.saturating_sub(*before) <= MIB.max(now / 20),
            _ => false,
        })
    }

    /// Whether half of it is idle, so that it needs no replacement. Its server goes by that too:
    /// Apache starts none while it has spares.
    pub fn is_half_idle(&self, pool: WorkerPool, detector: &Detector) -> bool {
        let (mut idle, mut all) = (0, 0);
        for s in self.members(pool, detector) {
            all += 1;
            idle += u32::from(is_idle(s));
        }
        all > 1 && 2 * idle >= all
    }

    /// How many they are.
    pub fn pool_size(&self, pool: WorkerPool, detector: &Detector) -> u32 {
        self.members(pool, detector).count() as u32
    }

    /// The server that a process works for, once its program was seen.
    pub fn server(&self, id: ProcId) -> Option<&'static Server> {
        self.program_facts.get(&id).map(|program_facts| program_facts.server)
    }

    /// Whether a process is a worker of its parent: a fork of it that does the work, or one of
    /// several of its name. Nothing is known to start anything else again that a process once started.
    pub fn is_worker(&self, s: &ProcessState, detector: &Detector) -> bool {
        let program_facts = self.program_facts.get(&s.id).unwrap_or(&NOT_RECORDED);
        let has_siblings = || self.pool_size(self.pool(s), detector) >= 2;
        s.parent.is_some()
            && !program_facts.helper
            && (program_facts.forked || (self.may_exec_workers(program_facts) && has_siblings()))
    }

    /// Whether children that run a program of their own may be workers: of a program in no row, or one
    /// that the admin described.
    fn may_exec_workers(&self, facts: &ProgramFacts) -> bool {
        facts.server.is_unknown()
            || self.rules.servers.iter().any(|server| std::ptr::eq(*server, facts.server))
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

    /// How well its pool does without it, among processes whose end gives back at most `most` bytes:
    /// an idle one that gives back half of that or more goes before a busy one, and the last idle one
    /// of its pool, which takes the next request, after all others.
    pub fn preference(&self, s: &ProcessState, most: u64, detector: &Detector) -> u8 {
        let idle = is_idle(s);
        let idlers = || self.members(self.pool(s), detector).filter(|s| is_idle(s)).count();
        if idle && self.pool_size(self.pool(s), detector) > 1 && idlers() == 1 {
            0
        } else if idle && private_bytes(s, detector) >= most / 2 {
            2
        } else {
            1
        }
    }

    /// Why a process is not ended now, unless it was ordered already.
    pub fn not_ended_now(
        &self,
        s: &ProcessState,
        end_s: f64,
        detector: &Detector,
    ) -> Option<NotEnded> {
        let halved = || self.is_reduced(s, end_s, detector).then_some(NotEnded::PoolHalved);
        let why = self.never_ended(s, detector).or_else(halved);
        why.filter(|_| !self.excluded.contains(&s.id))
    }

    /// Why a process is never ended, whatever it does.
    pub fn never_ended(&self, s: &ProcessState, detector: &Detector) -> Option<NotEnded> {
        // A process whose program was never seen may be anything: fail closed.
        let program_facts = match self.program_facts.get(&s.id) {
            Some(program_facts) => program_facts,
            None if self.told_programs => return Some(NotEnded::Unknown),
            None => &NOT_RECORDED,
        };
        let lone_allowed = self.rules.allow_standalone && s.children == 0;
        if program_facts.protected {
            Some(NotEnded::Protected)
        } else if s.id.pid == 1 {
            // In a container, its end is the end of all processes.
            Some(NotEnded::NotAWorker)
        } else if program_facts.helper || self.is_odd_child(s, program_facts, detector) {
            Some(NotEnded::Helper)
        } else if s.children > 0 {
            Some(NotEnded::HasChildren)
        } else if let Some(why) = self.reported_only(s, detector) {
            Some(NotEnded::Server(why))
        } else if program_facts.permitted == Some(false) {
            Some(NotEnded::NotPermitted)
        } else if lone_allowed {
            None
        } else if !self.is_worker(s, detector) {
            Some(NotEnded::NotAWorker)
        } else if !s.parent_alive {
            Some(NotEnded::Orphan)
        } else if !program_facts.server.is_known() && !program_facts.named {
            self.unproven(s, program_facts, detector)
        } else {
            None
        }
    }

    /// Why a child of a program in no row is not ended: unless its parent is known to replace such
    /// children, it may be a job, a session, or the service itself.
    fn unproven(
        &self,
        s: &ProcessState,
        facts: &ProgramFacts,
        detector: &Detector,
    ) -> Option<NotEnded> {
        let is_like_it = |other: &&ProcessState| {
            let title = self.program_facts.get(&other.id).map(|facts| facts.title);
            other.id != s.id && title == Some(facts.title)
        };
        let alike = self.members(self.pool(s), detector).filter(is_like_it).count();
        let master = s.parent.and_then(|id| Some((id, self.program_facts.get(&id)?)));
        let is_named = || master.is_some_and(|(_, facts)| facts.named);
        let replaces =
            || master.is_some_and(|(id, of)| self.replacements.are_proven(id, &of.run_by));
        if is_named() {
            None
        } else if alike == 0 {
            // The only child may be the service; one unlike its siblings has work of its own.
            Some(NotEnded::NotAWorker)
        } else {
            (facts.interpreted || !replaces()).then_some(NotEnded::Unproven)
        }
    }

    /// Whether it is the one child with a single thread among workers of many: Apache's CGI daemon.
    fn is_odd_child(
        &self,
        s: &ProcessState,
        program_facts: &ProgramFacts,
        detector: &Detector,
    ) -> bool {
        let threaded = |s: &ProcessState| {
            matches!(self.server(s.id).map(|s| s.workers), Some(WorkerPolicy::Reload(..)))
        };
        let siblings = || detector.process_states().filter(|other| other.parent == s.parent);
        program_facts.server.threads == ThreadCount::One
            && s.parent.is_some()
            && siblings().any(threaded)
    }

    /// Why the workers of a server are only reported, of the process's server or an ancestor's.
    fn reported_only(&self, s: &ProcessState, detector: &Detector) -> Option<&'static str> {
        let words = |id: ProcId| match self.rules.method(self.server(id)?) {
            Method::Never(why) => Some(why),
            Method::Signals(_) | Method::Reload(_) => None,
        };
        let mut at = s;
        // Deeper trees than this are not followed; real ones have under ten generations.
        for _ in 0..32 {
            if let Some(why) = words(at.id) {
                return Some(why);
            }
            match at.parent.and_then(|parent| detector.process_state(parent)) {
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
    fn is_reduced(&self, s: &ProcessState, end_s: f64, detector: &Detector) -> bool {
        // A reload replaces all of them, whatever their number.
        let method = self.server(s.id).map(|server| self.rules.method(server));
        if s.parent.is_none() || matches!(method, Some(Method::Reload(_))) {
            return false;
        }
        let pool = self.pool(s);
        let now =
            self.members(pool, detector).filter(|s| !self.going.contains(&s.id)).count() as u32;
        let begun = self.episodes.get(&pool).map_or(now, |(size, _)| *size);
        let share = if end_s <= NEAR_S { 4 } else { 2 };
        begun > 1 && (now <= 1 || share * (now - 1) < begun)
    }
}

/// Whether it does nothing now: it used no CPU for a second, and did not grow since the sample
/// before. CPU comes in steps of 10 ms, in which a prefork child answers forty requests; in a worker
/// that leaks by the request each of them shows.
pub(crate) fn is_idle(s: &ProcessState) -> bool {
    let still = match s.recent.points() {
        [.., (_, before), (_, now)] => before == now,
        _ => false,
    };
    s.idle_s >= 1.0 && still
}

/// Bytes that its end gives back: its footprint without what it inherited at its fork, which it
/// shares with its parent still. A child older than the watch inherited at most its parent's.
///
/// Not Uss + SwapPss of smaps_rollup: of 25 workers of seven real servers that were ended, this was
/// off by 2 % in the median and by 11 % at most (but for one of 5 MiB, beside which others moved);
/// Uss by 6 % and up to 53 % (unicorn, gunicorn: 30.1 MB, and 19.6 MB came back), since the
/// replacement takes its private copies of inherited pages anew. Reading it also costs 41 ms a
/// GiB and needs the right to ptrace.
pub(crate) fn private_bytes(s: &ProcessState, detector: &Detector) -> u64 {
    let parent = s.parent.and_then(|id| detector.process_state(id)).map_or(0, |p| p.footprint);
    s.footprint.saturating_sub(s.first_footprint.min(parent))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::process::Proc;
    use crate::core::model::sample::Header;
    use proptest::prelude::*;
    use regex_lite::Regex;

    const MASTER: u32 = 10;

    /// A process as a row: pid, parent, title, whether it is a fork, whether it may be signalled.
    type Row = (u32, u32, &'static str, bool, Option<bool>);

    fn sample(t: f64, rows: &[Row]) -> Sample {
        let id = |pid: u32| ProcId { pid, start: pid.into() };
        let procs = rows.iter().map(|(pid, ppid, ..)| Proc {
            id: id(*pid),
            ppid: *ppid,
            comm: Comm::new(b"app"),
            rss: MIB,
            anon: Some(MIB),
            swap: 0,
            cpu_s: 0.0,
            threads: 1,
        });
        let programs = rows.iter().map(|(pid, _, title, forked, permitted)| Program {
            id: id(*pid),
            exe: "/srv/app".to_owned(),
            title: (*title).to_owned(),
            threads: 1,
            forked: *forked,
            permitted: *permitted,
            uid: None,
            unit: None,
        });
        Sample { t, procs: procs.collect(), programs: programs.collect(), ..Sample::default() }
    }

    fn detector() -> Detector {
        let header =
            Header { interval_s: 1.0, clock_ticks: 100, page_size: 4096, hostname: String::new() };
        Detector::new(&header, 6.0)
    }

    fn eligibility() -> Eligibility {
        let protect = vec![Regex::new("keep").unwrap()];
        // Nothing is known of this program, so that its children need the admin's word.
        let allow = vec!["app".to_owned()];
        Eligibility::new(Rules { protect, allow, ..Rules::default() })
    }

    proptest! {
        #[test]
        fn only_an_unprotected_permitted_leaf_below_a_living_parent_may_end(
            rows in prop::collection::vec(
                (any::<prop::sample::Index>(), any::<bool>(), any::<bool>(), any::<Option<bool>>()),
                1..12,
            ),
        ) {
            let mut all: Vec<Row> = vec![(1, 0, "init", false, None)];
            for (above, forked, protected, permitted) in rows {
                let (pid, ppid) = (MASTER + all.len() as u32, all[above.index(all.len())].0);
                all.push((pid, ppid, if protected { "keep" } else { "work" }, forked, permitted));
            }
            let (mut detector, mut eligibility) = (detector(), eligibility());
            let sample = sample(1.0, &all);
            detector.observe(&sample, &mut Vec::new());
            eligibility.observe(&sample, &detector);
            for s in detector.process_states() {
                if eligibility.may_end(s, f64::INFINITY, &detector) {
                    let row = all.iter().find(|row| row.0 == s.id.pid).unwrap();
                    prop_assert!(s.id.pid != 1 && s.parent.is_some() && s.parent_alive);
                    prop_assert!(all.iter().all(|other| other.1 != s.id.pid), "it has children");
                    prop_assert!(row.2 != "keep" && row.4 != Some(false));
                }
            }
        }

        #[test]
        fn a_pool_that_is_not_refilled_keeps_half_of_itself_or_a_quarter_when_the_end_is_near(
            size in 2..24_u32, is_near in any::<bool>(),
        ) {
            let end_s = if is_near { NEAR_S } else { f64::INFINITY };
            let mut rows: Vec<Row> = vec![(MASTER, 0, "work", false, None)];
            rows.extend((1..=size).map(|nth| (MASTER + nth, MASTER, "work", true, None)));
            let (mut detector, mut eligibility) = (detector(), eligibility());
            for second in 1..100 {
                let sample = sample(f64::from(second), &rows);
                detector.observe(&sample, &mut Vec::new());
                eligibility.observe(&sample, &detector);
                let may_end = |s: &&ProcessState| eligibility.may_end(s, end_s, &detector);
                let Some(victim) = detector.process_states().find(may_end) else { break };
                let pool = eligibility.pool(victim);
                eligibility.ordered(pool, eligibility.pool_size(pool, &detector), sample.t);
                let pid = victim.id.pid;
                rows.retain(|row| row.0 != pid);
            }
            let share = if is_near { 4 } else { 2 };
            prop_assert_eq!(rows.len() as u32 - 1, size.div_ceil(share).max(1));
        }
    }
}
