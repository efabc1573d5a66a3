//! Why a process is not ended: whatever it does, or for what is left of its pool.

use super::facts::{NOT_RECORDED, ProgramFacts};
use super::{Eligibility, NEAR_S};
use crate::core::decide::rules::Method;
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::order::NotEnded;
use crate::core::model::process::ProcId;
use crate::core::servers::{ThreadCount, WorkerPolicy};

impl Eligibility {
    /// Whether a process is a worker of its parent: a fork of it that does the work, or one of
    /// several of its name. Nothing is known to start anything else again that a process once started.
    pub fn is_worker(&self, s: &ProcessState, detector: &Detector) -> bool {
        let program_facts = self.program_facts.get(&s.id).unwrap_or(&NOT_RECORDED);
        let has_siblings = || self.pool_size(s.pool(), detector) >= 2;
        s.parent.is_some()
            && !program_facts.helper
            && (program_facts.forked
                || self.is_replaced_by_reload(s, program_facts)
                || (self.may_exec_workers(program_facts) && has_siblings()))
    }

    /// Whether its master replaces it when asked, and is of the same server. HAProxy's runs its program
    /// anew once it has forked its worker, which then passes for no fork of it.
    fn is_replaced_by_reload(&self, s: &ProcessState, facts: &ProgramFacts) -> bool {
        let master = s.parent.and_then(|id| self.server(id));
        matches!(self.rules.method(facts.server), Method::Reload(_))
            && master.is_some_and(|master| std::ptr::eq(master, facts.server))
    }

    /// Whether children that run a program of their own may be workers: of a program in no row, or one
    /// that the admin described.
    fn may_exec_workers(&self, facts: &ProgramFacts) -> bool {
        facts.server.is_unknown()
            || self.rules.servers.iter().any(|server| std::ptr::eq(*server, facts.server))
    }

    /// Why a process is not ended now, unless it was ordered already.
    pub fn not_ended_now(
        &self,
        s: &ProcessState,
        end_s: f64,
        detector: &Detector,
    ) -> Option<NotEnded> {
        self.obstacle(s, end_s, detector).filter(|_| !self.excluded.contains(&s.id))
    }

    /// Why a process may not be ended now, also where it was ordered already.
    pub fn obstacle(&self, s: &ProcessState, end_s: f64, detector: &Detector) -> Option<NotEnded> {
        let halved = || self.is_reduced(s, end_s, detector).then_some(NotEnded::PoolHalved);
        self.never_ended(s, detector).or_else(halved)
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
        } else if let Some(unit) = self.restartable(s) {
            self.restarts.refuse(unit).then_some(NotEnded::Restarted)
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
        let alike = self.members(s.pool(), detector).filter(is_like_it).count();
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
            Method::Signals(_) | Method::Reload(_) | Method::Restart => None,
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
    pub(super) fn is_reduced(&self, s: &ProcessState, end_s: f64, detector: &Detector) -> bool {
        // A reload replaces all of them, whatever their number.
        let method = self.server(s.id).map(|server| self.rules.method(server));
        if s.parent.is_none() || matches!(method, Some(Method::Reload(_))) {
            return false;
        }
        let pool = s.pool();
        let now =
            self.members(pool, detector).filter(|s| !self.going.contains(&s.id)).count() as u32;
        let begun = self.episodes.get(&pool).map_or(now, |(size, _)| *size);
        let share = if end_s <= NEAR_S { 4 } else { 2 };
        begun > 1 && (now <= 1 || share * (now - 1) < begun)
    }
}
