//! Policy: from verdicts and forecasts to orders, one victim at a time.
//!
//! It answers the third question only: must this process end now? A process is ordered to end
//! when it is convicted as leaking, and memory may end within the lead time, and the growth of all
//! that leak below that ceiling was watched for twice as long as is left. Acting late on long
//! evidence is what takes wrong kills to zero: the first ramp of a cache, a saw or a batch job has
//! mostly ended by then. The one exception is [`brink`](crate::brink).
//!
//! The next sample is the only feedback. An order is remembered; if its victim is still there
//! after its grace, the next step follows; if it is gone, headroom before and after are compared,
//! and nobody else is ordered until the pool has its replacement.

use crate::assessment::{
    End, Event, Forecast, Order, Outcome, Reason, Signal, Spared, Step, Verdict,
};
use crate::brink::Brink;
use crate::detector::Detector;
use crate::sample::{CeilingKind, Comm, ProcId, Program, Sample};
use crate::server::{self, Server, Workers};
use crate::standing::Standing;
use crate::units::MIB;
use regex_lite::Regex;
use std::collections::HashMap;

/// Growth watched, as a multiple of what is left, before a process may be ended.
const EVIDENCE: f64 = 2.0;
/// Share of the ceiling, and bytes at most, that count as gone already: MemAvailable is worth no
/// more, and the kernel needs some to fork.
const RESERVE: (f64, u64) = (0.05, 256 * MIB);
/// Growth of less than this share of the ceiling is not what ends memory.
const MATERIAL: f64 = 0.03;
/// Seconds to wait for a replacement: Apache starts one within 1.3 s, or none while it has spares.
const REPLACED_S: f64 = 3.0;
/// Seconds between TERM and KILL, and for KILL to work: 4 GiB take 1.4 s to be freed.
const HARD_GRACE_S: f64 = 5.0;
/// Least grace in seconds of a gentle signal, however near the end: an idle Apache child with a
/// kept-alive connection needs up to 7 s.
const LEAST_GRACE_S: f64 = 10.0;
/// A tree that needed no order for so many seconds starts anew with counting its pool.
const EPISODE_S: f64 = 60.0;

/// What the user allows.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Whether orders are given at all.
    pub act: bool,
    /// Orders are given, but nobody will carry them out.
    pub dry_run: bool,
    /// Act when memory may end within so many seconds.
    pub lead_s: f64,
    /// Grace of the first signal in seconds, instead of the server's own.
    pub grace_s: Option<f64>,
    /// A lone leaking process, one that nobody would start again, may be ended too.
    pub allow_root: bool,
    /// Names and titles that are never signalled.
    pub protect: Vec<Regex>,
}

#[derive(Debug)]
struct Facts {
    server: &'static Server,
    protected: bool,
    permitted: Option<bool>,
}

/// Where the policy stands with its current victim.
#[derive(Debug)]
enum Campaign {
    Idle,
    /// Ordered; waiting for its exit.
    Waiting {
        order: Order,
        first_t: f64,
        step_t: f64,
        headroom: u64,
        parent: Option<ProcId>,
        pool: u32,
    },
    /// Gone; waiting for its replacement.
    Settling {
        parent: Option<ProcId>,
        pool: u32,
        until_t: f64,
    },
}

/// The state behind the orders.
#[derive(Debug)]
pub struct Policy {
    rules: Rules,
    interval_s: f64,
    facts: HashMap<ProcId, Facts>,
    campaign: Campaign,
    brink: Brink,
    /// Ordered in a dry run, or did not go: never ordered again.
    done: Vec<ProcId>,
    /// Already told why they are spared.
    told: Vec<ProcId>,
    /// Size of each pool when its tree came into danger, and when that was last so.
    episodes: HashMap<ProcId, (u32, f64)>,
}

impl Policy {
    /// A policy under `rules` for samples planned every `interval_s` seconds.
    pub fn new(rules: Rules, interval_s: f64) -> Self {
        Self {
            rules,
            interval_s,
            facts: HashMap::new(),
            campaign: Campaign::Idle,
            brink: Brink::default(),
            done: Vec::new(),
            told: Vec::new(),
            episodes: HashMap::new(),
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

    /// Decides on one sample, after the detector has seen it. Orders and outcomes go to `events`.
    pub fn decide(&mut self, sample: &Sample, detector: &Detector, events: &mut Vec<Event>) {
        self.learn(sample, detector);
        if !self.rules.act {
            return;
        }
        self.follow_up(sample.t, detector, events);
        self.brink.observe(sample.t, detector);
        if matches!(self.campaign, Campaign::Idle) {
            self.choose(sample.t, detector, events);
        }
    }

    fn learn(&mut self, sample: &Sample, detector: &Detector) {
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
        self.told.retain(lives);
        self.episodes.retain(|_, (_, t)| sample.t - *t < EPISODE_S);
    }

    fn facts_of(&self, program: &Program, comm: Comm) -> Facts {
        let name = String::from_utf8_lossy(comm.as_bytes());
        let mut texts = [&*name, program.title.as_str()].into_iter();
        Facts {
            server: server::recognise(program, comm),
            protected: texts.any(|text| self.rules.protect.iter().any(|re| re.is_match(text))),
            permitted: program.permitted,
        }
    }

    /// Looks after the current victim: outcome, next step, or end of the pause.
    fn follow_up(&mut self, t: f64, detector: &Detector, events: &mut Vec<Event>) {
        match &mut self.campaign {
            Campaign::Idle => {}
            Campaign::Settling { parent, pool, until_t } => {
                if t >= *until_t || pool_size(detector, *parent) >= *pool {
                    self.campaign = Campaign::Idle;
                }
            }
            Campaign::Waiting { order, first_t, step_t, headroom, parent, pool } => {
                let order_given = *order;
                let after_s = t - *first_t;
                let outcome = |end| {
                    let forecast = detector.forecast(order_given.root);
                    Event::Outcome(Outcome { order: order_given, after_s, end, forecast })
                };
                if detector.standing(order.victim).is_none() {
                    let headroom_after = detector.headroom(order.root).left;
                    // What the others took meanwhile would otherwise count against the victim.
                    let taken = order.forecast.map_or(0.0, |f| f.slope.max(0.0) * after_s) as u64;
                    events.push(outcome(End::Gone {
                        headroom_before: *headroom,
                        headroom_after,
                        came_back: (headroom_after + taken).saturating_sub(*headroom),
                    }));
                    let (parent, pool) = (*parent, *pool);
                    self.campaign = Campaign::Settling { parent, pool, until_t: t + REPLACED_S };
                } else if t - *step_t >= order.grace_s {
                    let Some((step, signal)) = next_step(order.step) else {
                        events.push(outcome(End::Stayed));
                        self.done.push(order.victim);
                        self.campaign = Campaign::Idle;
                        return;
                    };
                    *order = Order {
                        step,
                        signal,
                        grace_s: HARD_GRACE_S,
                        reason: Reason::Stayed,
                        ..*order
                    };
                    *step_t = t;
                    events.push(Event::Order(*order));
                }
            }
        }
    }

    /// Chooses a victim, if some tree is in danger.
    fn choose(&mut self, t: f64, detector: &Detector, events: &mut Vec<Event>) {
        let leaking = || detector.standings().filter(|s| s.verdict == Verdict::Leaking);
        let in_danger = leaking().filter_map(|s| Some((s, self.danger(s.root, detector)?)));
        // The one whose end gives back most; of equals the lower pid, so that replay = live.
        let best = in_danger
            .filter(|(s, _)| s.kill_evidence.is_some())
            .filter(|(s, _)| self.spared(s, detector).is_none())
            .max_by_key(|(s, _)| (expected(s, detector), std::cmp::Reverse(s.id)));
        if let Some((standing, forecast)) = best {
            return self.order(t, standing, Reason::Danger, Some(forecast), detector, events);
        }
        for standing in leaking() {
            if self.danger(standing.root, detector).is_some()
                && let Some(why) = self.spared(standing, detector)
                && !self.told.contains(&standing.id)
                && !self.done.contains(&standing.id)
            {
                self.told.push(standing.id);
                let Standing { id, comm, root, .. } = *standing;
                events.push(Event::Spared { id, comm, root, why });
            }
        }
        let victim =
            self.brink.fastest(detector, self.rules.lead_s, |s| self.spared(s, detector).is_none());
        if let Some((id, forecast)) = victim
            && let Some(standing) = detector.standing(id)
        {
            self.order(t, standing, Reason::Brink, Some(forecast), detector, events);
        }
    }

    /// The forecast of a tree whose memory may end within the lead time, on evidence long enough.
    fn danger(&self, root: ProcId, detector: &Detector) -> Option<Forecast> {
        let forecast = detector.forecast(root)?;
        let headroom = detector.headroom(root);
        let same_ceiling = |s: &&Standing| match headroom.kind {
            CeilingKind::Ram | CeilingKind::Commit => true,
            CeilingKind::CgroupMemory | CeilingKind::Budget => s.root == root,
        };
        // In a dry run those already ordered count as gone.
        let pretended: u64 = self
            .done
            .iter()
            .filter_map(|id| detector.standing(*id))
            .filter(same_ceiling)
            .map(|s| expected(s, detector))
            .sum();
        let pretended = if self.rules.dry_run { pretended as f64 } else { 0.0 };
        let left = usable(headroom.left, headroom.limit) + pretended;
        let earliest_s = forecast.earliest_s * left / (headroom.left as f64).max(1.0);
        let lead_s = self.rules.lead_s.max(3.0 * self.interval_s);
        let watched: f64 = detector
            .standings()
            .filter(|s| s.verdict == Verdict::Leaking && same_ceiling(s))
            .filter(|s| !self.done.contains(&s.id))
            .filter_map(|s| s.kill_evidence)
            .map(|e| e.slope * e.window_s)
            .sum();
        let needed = EVIDENCE * left.max(MATERIAL * headroom.limit as f64);
        (earliest_s <= lead_s && watched >= needed).then_some(forecast)
    }

    /// Why a process is not ended, whatever it does.
    fn spared(&self, s: &Standing, detector: &Detector) -> Option<Spared> {
        let facts = self.facts.get(&s.id);
        let root = self.facts.get(&s.root);
        let lone_allowed = self.rules.allow_root && s.children == 0;
        let reports = |facts: Option<&Facts>| match facts.map(|f| &f.server.workers) {
            Some(Workers::Report(why)) => Some(Spared::Server(why)),
            _ => None,
        };
        if facts.is_some_and(|f| f.protected) {
            Some(Spared::Protected)
        } else if s.children > 0 {
            Some(Spared::HasChildren)
        } else if s.parent.is_none() && !lone_allowed {
            Some(Spared::Root)
        } else if !s.parent_alive && s.parent.is_some() && !lone_allowed {
            Some(Spared::Orphan)
        } else if let Some(server) = reports(root).or_else(|| reports(facts)) {
            Some(server)
        } else if facts.is_some_and(|f| f.permitted == Some(false)) {
            Some(Spared::NotPermitted)
        } else if self.done.contains(&s.id) || self.pool_is_halved(s, detector) {
            Some(Spared::PoolHalved)
        } else {
            None
        }
    }

    /// Whether one less would leave the pool below half of what it was when the danger began.
    fn pool_is_halved(&self, s: &Standing, detector: &Detector) -> bool {
        let Some(parent) = s.parent else { return false };
        let now = pool_size(detector, s.parent);
        let begun = self.episodes.get(&parent).map_or(now, |(size, _)| *size);
        now.saturating_sub(1) < begun / 2
    }

    fn order(
        &mut self,
        t: f64,
        s: &Standing,
        reason: Reason,
        forecast: Option<Forecast>,
        detector: &Detector,
        events: &mut Vec<Event>,
    ) {
        let known = self.facts.get(&s.id).map_or(&server::UNKNOWN, |facts| facts.server);
        let (step, signal, table_s) = match known.workers {
            Workers::End { gentle: Some(signal), grace_s } => (Step::Gentle, signal, grace_s),
            Workers::End { gentle: None, grace_s } => (Step::Term, Signal::Term, grace_s),
            Workers::Report(_) => return,
        };
        // As long as the server may need, but not beyond the end of memory.
        let left_s = forecast.map_or(f64::INFINITY, |f| f.earliest_s);
        let grace_s = self.rules.grace_s.unwrap_or_else(|| table_s.min(left_s.max(LEAST_GRACE_S)));
        let order = Order {
            victim: s.id,
            comm: s.comm,
            root: s.root,
            step,
            signal,
            grace_s,
            reason,
            footprint: s.footprint,
            expected: expected(s, detector),
            forecast,
        };
        events.push(Event::Order(order));
        let pool = pool_size(detector, s.parent);
        if let Some(parent) = s.parent {
            let episode = self.episodes.entry(parent).or_insert((pool, t));
            episode.1 = t;
        }
        self.campaign = if self.rules.dry_run {
            self.done.push(s.id);
            Campaign::Settling { parent: None, pool: u32::MAX, until_t: t + REPLACED_S }
        } else {
            let headroom = detector.headroom(s.root).left;
            Campaign::Waiting { order, first_t: t, step_t: t, headroom, parent: s.parent, pool }
        };
    }
}

fn next_step(step: Step) -> Option<(Step, Signal)> {
    match step {
        Step::Gentle => Some((Step::Term, Signal::Term)),
        Step::Term => Some((Step::Kill, Signal::Kill)),
        Step::Kill => None,
    }
}

/// Bytes of `left` that can be counted on under a ceiling of `limit` bytes; at least a page.
pub(crate) fn usable(left: u64, limit: u64) -> f64 {
    let reserve = (RESERVE.0 * limit as f64).min(RESERVE.1 as f64);
    (left as f64 - reserve).max(4096.0)
}

/// Bytes that only this process holds: its footprint without what it inherited at its fork, which
/// it shares with its parent still. A child older than the watch inherited at most its parent's.
pub(crate) fn expected(s: &Standing, detector: &Detector) -> u64 {
    let parent = s.parent.and_then(|id| detector.standing(id)).map_or(0, |p| p.footprint);
    s.footprint.saturating_sub(s.first_footprint.min(parent))
}

/// Living children of one parent.
fn pool_size(detector: &Detector, parent: Option<ProcId>) -> u32 {
    parent.and_then(|id| detector.standing(id)).map_or(0, |parent| parent.children)
}
