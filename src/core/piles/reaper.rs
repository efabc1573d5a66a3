//! Reaper: which of the processes that are left behind is ended next. One at a time, the oldest first.
//!
//! Samples tell who was adopted. Looks, which are rare, tell who has not run since an earlier one. Of those
//! the whole proof is read, and once more just before a signal: the order is given on that.

use super::useless::{ReapRules, RunMark, Standing, Ties};
use crate::core::model::event::Event;
use crate::core::model::order::{
    MissingProof, NotEnded, Order, OrderReason, Outcome, OutcomeResult,
};
use crate::core::model::process::{Proc, ProcId};
use crate::core::model::signal::{Signal, Step};
use std::collections::BTreeMap;

/// Seconds between two looks at the most; ten of them fit into the rest that is asked for.
const LOOK_S: f64 = 30.0;
/// Seconds between the end of one process and the order on the next: 720 an hour.
const BETWEEN_S: f64 = 5.0;
/// Processes in a look: some 20 µs each.
const MOST: usize = 256;
/// Whole proofs in a look: some 200 µs each.
const MOST_PROOFS: usize = 32;
/// Graces after which a process that got TERM, and runs, is left alone.
const PATIENCE: f64 = 20.0;

/// Chooses.
#[derive(Debug)]
pub struct Reaper {
    rules: ReapRules,
    known: BTreeMap<ProcId, KnownLeftover>,
    victim: Option<ReapVictim>,
    due_s: f64,
    /// Not before this is the next order given.
    order_s: f64,
}

/// What was seen of a process.
#[derive(Debug)]
struct KnownLeftover {
    ppid: u32,
    was_adopted: bool,
    /// What it had run at the first look since it ran last, and when that was.
    rest: Option<(RunMark, f64)>,
    /// How often its whole proof was read.
    judged: u32,
    /// It was ordered to end.
    is_settled: bool,
    is_there: bool,
}

/// Who was ordered to end.
#[derive(Clone, Copy, Debug)]
struct ReapVictim {
    order: Order,
    first_s: f64,
    /// The last signal, or when it ran last after that.
    rests_since_s: f64,
    run: Option<RunMark>,
    /// Bytes left before the first order.
    headroom: u64,
}

impl Reaper {
    /// Before the first sample.
    pub fn new(rules: ReapRules) -> Self {
        let (due_s, order_s) = (f64::NEG_INFINITY, f64::NEG_INFINITY);
        Self { rules, known: BTreeMap::new(), victim: None, due_s, order_s }
    }

    /// Takes over from a sample whose parent became another one's: only an init or a subreaper adopts.
    pub fn observe(&mut self, procs: &[Proc]) {
        self.known.values_mut().for_each(|known| known.is_there = false);
        for proc in procs {
            let known = self.known.entry(proc.id).or_insert_with(|| KnownLeftover {
                ppid: proc.ppid,
                was_adopted: false,
                rest: None,
                judged: 0,
                is_settled: false,
                is_there: true,
            });
            known.was_adopted |= known.ppid != proc.ppid;
            (known.ppid, known.is_there) = (proc.ppid, true);
        }
        self.known.retain(|_, known| known.is_there);
    }

    /// Whether it is time for a look, by a clock that stands still while the machine sleeps.
    pub fn is_due(&self, now_s: f64) -> bool {
        self.victim.is_none() && now_s >= self.due_s
    }

    /// Whom to look at: those that may have been left behind. The oldest first, but who was judged more
    /// often comes after who was not.
    pub fn candidates(&self, is_init: impl Fn(u32) -> bool) -> Vec<ProcId> {
        let of = |known: &KnownLeftover| {
            !known.is_settled && (known.was_adopted || known.ppid == 1 || is_init(known.ppid))
        };
        let found = self.known.iter().filter(|(_, known)| of(known));
        let mut ids: Vec<_> = found.map(|(id, known)| (known.judged, id.start, *id)).collect();
        ids.sort_unstable();
        ids.into_iter().take(MOST).map(|(.., id)| id).collect()
    }

    /// Takes a look. Returns of whom to read the whole proof, in the order of `standings`.
    pub fn look(&mut self, now_s: f64, standings: &[Standing]) -> Vec<ProcId> {
        let mut ripe = Vec::new();
        for standing in standings {
            let Some(known) = self.known.get_mut(&standing.id) else { continue };
            let since_s = match known.rest {
                Some((run, since_s)) if run == standing.run => since_s,
                _ => now_s,
            };
            known.rest = Some((standing.run, since_s));
            let is_later = matches!(
                standing.missing(known.was_adopted, &self.rules),
                Some(MissingProof::Age | MissingProof::Held | MissingProof::NotMeant)
            );
            if now_s - since_s >= self.rules.idle_s && !is_later {
                ripe.push(standing.id);
            }
        }
        self.due_s = now_s + (self.rules.idle_s / 10.0).min(LOOK_S);
        ripe.truncate(MOST_PROOFS);
        ripe
    }

    /// Whether all that its standing tells is proven, so that its ties are worth reading.
    pub fn is_proven_by(&self, standing: &Standing) -> bool {
        let was_adopted = self.known.get(&standing.id).is_some_and(|known| known.was_adopted);
        standing.missing(was_adopted, &self.rules).is_none()
    }

    /// Judges the whole proof of one that has rested: an order on it, or, once, what is missing.
    pub fn judge(
        &mut self,
        now_s: f64,
        standing: &Standing,
        ties: Option<&Ties>,
        headroom: u64,
    ) -> Option<Event> {
        let known = self.known.get_mut(&standing.id)?;
        let (run, since_s) = known.rest?;
        if run != standing.run || now_s - since_s < self.rules.idle_s {
            return None;
        }
        let id = standing.id;
        let missing = standing.missing(known.was_adopted, &self.rules);
        if let Some(missing) = missing.or_else(|| Ties::missing(ties)) {
            known.judged += 1;
            if known.judged > 1 {
                return None;
            }
            let why = NotEnded::NotUseless(missing);
            return Some(Event::NotEnded { id, comm: standing.comm, root: id, why });
        }
        if now_s < self.order_s {
            return None;
        }
        known.is_settled = true;
        let order = Order {
            victim: id,
            target: id,
            comm: standing.comm,
            root: id,
            step: Step::Term,
            signal: Signal::Term,
            grace_s: self.rules.grace_s,
            then: (!self.rules.no_kill).then_some(Signal::Kill),
            helpers: &[],
            reason: OrderReason::Useless,
            footprint: standing.footprint,
            expected: standing.footprint,
            forecast: None,
        };
        (self.order_s, self.due_s) = (now_s + BETWEEN_S, now_s + BETWEEN_S);
        if !self.rules.dry_run {
            let (first_s, rests_since_s) = (now_s, now_s);
            self.victim = Some(ReapVictim { order, first_s, rests_since_s, run: None, headroom });
        }
        Some(Event::Order(order))
    }

    /// Who was ordered to end and may be there still.
    pub fn victim(&self) -> Option<ProcId> {
        self.victim.map(|victim| victim.order.victim)
    }

    /// The signal was not sent: it is left alone.
    pub fn failed(&mut self) {
        self.victim = None;
    }

    /// What became of the victim: its outcome, or the order to KILL it, if after a grace without running it
    /// is still proven useless. `standing` is none once it is gone; `proof` reads its ties, and then its standing
    /// anew: it would have run to change its ties meanwhile.
    pub fn follow(
        &mut self,
        now_s: f64,
        standing: Option<&Standing>,
        proof: impl FnOnce() -> (Option<Ties>, Option<Standing>),
        headroom: u64,
    ) -> Option<Event> {
        let victim = self.victim.as_mut()?;
        let Some(standing) = standing else {
            let (headroom_before, reclaimed) = (victim.headroom, None);
            let result =
                OutcomeResult::Gone { headroom_before, headroom_after: headroom, reclaimed };
            return self.end(now_s, result);
        };
        if victim.run.replace(standing.run).is_some_and(|run| run != standing.run) {
            victim.rests_since_s = now_s;
        }
        if now_s - victim.first_s >= PATIENCE * self.rules.grace_s {
            return self.end(now_s, OutcomeResult::Stayed);
        }
        if now_s - victim.rests_since_s < self.rules.grace_s {
            return None;
        }
        if victim.order.step == Step::Kill || self.rules.no_kill {
            return self.end(now_s, OutcomeResult::Stayed);
        }
        let run = standing.run;
        let (ties, standing) = proof();
        let is_useless = standing.is_some_and(|standing| {
            standing.run == run
                && self.is_proven_by(&standing)
                && Ties::missing(ties.as_ref()).is_none()
        });
        if !is_useless {
            return self.end(now_s, OutcomeResult::Stayed);
        }
        let victim = self.victim.as_mut()?;
        let (step, signal, then) = (Step::Kill, Signal::Kill, None);
        victim.order = Order { step, signal, then, ..victim.order };
        victim.rests_since_s = now_s;
        Some(Event::Order(victim.order))
    }

    fn end(&mut self, now_s: f64, result: OutcomeResult) -> Option<Event> {
        let ReapVictim { order, first_s, .. } = self.victim.take()?;
        (self.order_s, self.due_s) = (now_s + BETWEEN_S, now_s + BETWEEN_S);
        Some(Event::Outcome(Outcome { order, after_s: now_s - first_s, result, forecast: None }))
    }
}
