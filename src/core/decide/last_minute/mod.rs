//! The last minute: what must end now, because ending takes as long as memory still lasts.
//!
//! Growth that saturates with a time constant tau never has less than tau left, so a rule that acts
//! only when ending takes as long as memory lasts ends no warm-up slower than that, whatever it
//! leaves: no curve has to be recognised. What counts is how fast samples and exits are. So here
//! the last seconds decide, without a verdict: how fast headroom falls, what is on its way back,
//! and how long an exit takes. There are no pauses, and one limit does not wait for another.

pub mod exits;
pub mod fall;
pub mod growth;
pub mod limit;
pub mod spells;
pub mod turnover;

use crate::core::decide::campaign::OrderUnderWay;
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::{Ceiling, Effect};
use crate::core::model::forecast::Forecast;
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use crate::core::model::signal::Step;
use exits::ExitTimes;
use growth::{Growth, RecentGrowth};
use limit::{FREED_A_SECOND, Limit};
use spells::Spells;
use turnover::Turnovers;

/// How many times as long as it should an exit may take, the time between samples included. In
/// simulated worlds OOM kills begin below 1, and healthy processes that end double from 1 to 3.
const MARGIN: f64 = 1.25;
/// Above this share of the limit only what KILL just reaches is acted on: half a machine's memory
/// taken at once is a database starting.
const LAST_SHARE: f64 = 0.25;
/// No samples come closer than so many seconds, but those of a recorder whose clock was set back.
const LEAST_GAP_S: f64 = 0.01;
/// Full samples come this close near the end, in seconds: at the least, and at the most.
const PERIOD_S: (f64, f64) = (0.05, 0.2);
/// And so many times before the end.
const SAMPLES_TO_END: f64 = 10.0;
/// Near is the end within so many times the lead, and a second.
const NEAR: f64 = 3.0;
/// A process that has grown by less than this share of the limit gives nothing back.
const MATERIAL: f64 = 0.01;
/// Or than this share of what the largest that grows has grown by: of a leak that ignored TERM, the
/// healthy twin held 3.7 MiB of 240, and moved as much as the leak within a second.
const OF_MOST: f64 = 0.05;
/// At the very last less will do, but so many bytes and that share of the limit: what grew by less is
/// a bystander whose counters moved.
const LEAST_HELD: (f64, f64) = (1_048_576.0, 0.001);
/// A culprit grows at least this share of the mean of all that grow.
const CULPRIT: f64 = 0.25;
/// One that grows steadily takes lately at least this share of what it took on the average: a warm-up
/// that is as old as its time constant takes 0.66 of that, and then less and less.
const STEADY: f64 = 0.7;
/// Share of the fall that the growth of watched processes must explain: or another one fills the
/// limit, and they are bystanders.
const EXPLAINED: f64 = 0.5;
/// Samples that come later than so many seconds tell too little to act on in the last minute.
const MOST_LATE_S: f64 = 1.0;
/// The longest delay that is remembered: it is forgotten within six samples then.
const LATEST_S: f64 = 4.0;
/// What remains of a delay from one sample to the next.
const DELAY_KEPT: f64 = 0.8;

/// The limits, and what the last seconds tell of them.
#[derive(Debug, Default)]
pub struct LastMinute {
    limits: Vec<Limit>,
    growth: RecentGrowth,
    /// How long exits take.
    pub exits: ExitTimes,
    /// How long workers work at a stretch.
    pub spells: Spells,
    /// Which pools were ended all through.
    pub turnovers: Turnovers,
    /// Seconds to the next sample, as asked for and as they come late.
    period_s: Option<f64>,
    late_s: f64,
    last_t: Option<f64>,
    /// Seconds between the last two samples.
    gap_s: f64,
}

/// A limit that must be acted on.
#[derive(Clone, Copy, Debug)]
pub struct Urgency {
    /// Index of the limit.
    pub limit: usize,
    /// Seconds left, with all that is on its way back.
    pub left_s: f64,
    /// Whether the kernel's turn is next.
    pub is_last: bool,
    /// Whether only workers of pools that were ended all through are due yet.
    pub is_early: bool,
}

impl LastMinute {
    /// Takes over a sample; `orders` are those under way.
    pub fn observe(&mut self, sample: &Sample, detector: &Detector, orders: &[OrderUnderWay]) {
        let t = sample.t;
        self.turnovers.observe(t);
        let gap_s = self.last_t.replace(t).map_or(0.0, |last| t - last);
        if gap_s > 0.0 && gap_s < LEAST_GAP_S {
            // The clock of a recording was set back: no rate can be told from it.
            self.limits.clear();
            self.growth.clear();
            self.period_s = None;
            return;
        }
        // A suspend is not remembered for long.
        let late_s = self.period_s.map_or(0.0, |asked_s| (gap_s - asked_s).clamp(0.0, LATEST_S));
        self.late_s = late_s.max(DELAY_KEPT * self.late_s);
        self.gap_s = gap_s;
        self.growth.begin(t);
        self.observe_limits(sample);
        let is_gone = |of: &&OrderUnderWay| detector.process_state(of.order.victim).is_none();
        // A unit that starts again stays under way for a while, with nothing more to come back.
        for order in orders.iter().filter(is_gone).filter(|of| of.footprint > 0) {
            for limit in self.limits.iter_mut().filter(|limit| limit.is_over(order.order.root)) {
                limit.returned(t, order.footprint);
            }
        }
        let is_near = self.period_s.is_some();
        if is_near {
            self.growth.observe(t, detector.process_states());
        }
        let within_s = self.near_s();
        let mut near = false;
        for limit in &mut self.limits {
            let below = || detector.process_states().filter(|s| limit.has(s));
            let gross = if is_near { self.growth.gross(t, below()) } else { 0.0 };
            limit.reckon(t, gross, self.late_s);
            // A budget that is used up is not the end: nothing fails.
            let is_over = limit.kind.effect() == Effect::OverBudget && limit.left <= 0.0;
            near |= limit.is_near(t, within_s) && !is_over;
        }
        near |= orders.iter().any(|of| of.is_urgent);
        if near && !is_near {
            self.growth.observe(t, detector.process_states());
        } else if !near {
            self.growth.clear();
            self.late_s = 0.0;
        }
        let end_s = self.limits.iter().map(|limit| limit.left_s(0.0)).fold(f64::INFINITY, f64::min);
        self.period_s = near.then(|| (end_s / SAMPLES_TO_END).clamp(PERIOD_S.0, PERIOD_S.1));
    }

    fn observe_limits(&mut self, sample: &Sample) {
        let has_own_ram = sample.ceilings.iter().any(|ceiling| ceiling.kind.replaces_ram());
        let machine = || sample.memory.ceilings().filter(|_| !has_own_ram);
        let every = || machine().chain(sample.ceilings.iter().copied());
        let all = || every().filter(Ceiling::is_hard_memory_limit);
        self.limits.retain(|limit| all().any(|ceiling| limit.is(&ceiling)));
        for ceiling in all() {
            let known = self.limits.iter().position(|limit| limit.is(&ceiling));
            let index = known.unwrap_or_else(|| {
                self.limits.push(Limit::new(&ceiling));
                self.limits.len() - 1
            });
            let Some(limit) = self.limits.get_mut(index) else { continue };
            // A place over several trees is listed for each of them.
            if limit.is_new_at(sample.t) {
                limit.observe(sample.t, &ceiling);
            }
            limit.roots.extend(ceiling.root);
        }
        self.limits.iter_mut().for_each(|limit| limit.roots.sort_unstable());
    }

    /// Seconds to the next sample, if the end is near.
    pub fn next_s(&self) -> Option<f64> {
        self.period_s
    }

    /// An end within so many seconds is near.
    pub fn near_s(&self) -> f64 {
        let early_s = self.limits.iter().map(|limit| self.early_lead_s(limit)).fold(0.0, f64::max);
        (NEAR * self.longest_lead_s()).max(early_s) + 1.0
    }

    /// Seconds before the end at which a worker must be told to exit that is one of a pool that was
    /// ended all through; 0 where there is none.
    fn early_lead_s(&self, limit: &Limit) -> f64 {
        let servers = self.turnovers.servers((limit.kind, limit.place));
        servers.map(|server| self.finishing_lead_s(server)).fold(0.0, f64::max)
    }

    /// Seconds between the last two samples.
    pub fn gap_s(&self) -> f64 {
        self.gap_s
    }

    /// A limit.
    pub fn limit(&self, index: usize) -> Option<&Limit> {
        self.limits.get(index)
    }

    /// Seconds before the end at which a process of so many bytes must get the signal of a step.
    pub fn lead_s(&self, step: Step, bytes: u64) -> f64 {
        let takes_s = self.exits.takes_s(step);
        // Memory comes back from the first page on: only a fall faster than that waits for the rest.
        let rates = self.limits.iter().filter_map(|limit| limit.fall).map(|fall| fall.rate);
        let is_faster = rates.fold(0.0, f64::max) > FREED_A_SECOND;
        let rest_s = if is_faster { bytes as f64 / FREED_A_SECOND } else { 0.0 };
        let period_s = self.period_s.unwrap_or(PERIOD_S.1);
        MARGIN * (period_s + self.late_s + takes_s + rest_s)
    }

    /// Seconds before the end at which a worker of that server must be told to exit so that it can
    /// finish what it does.
    pub fn finishing_lead_s(&self, server: &'static str) -> f64 {
        let period_s = self.period_s.unwrap_or(PERIOD_S.1);
        let finishes_s = self.exits.finishes_s(server).max(self.spells.length_s(server));
        MARGIN * (period_s + self.late_s + finishes_s)
    }

    fn longest_lead_s(&self) -> f64 {
        [Step::Gentle, Step::Term, Step::Kill]
            .map(|step| self.lead_s(step, 0))
            .into_iter()
            .fold(0.0, f64::max)
    }

    /// The limits that must be acted on now, the nearest end first.
    /// `pretended`: roots and bytes of processes that a dry run takes for ended.
    pub fn urgent(
        &self,
        t: f64,
        orders: &[OrderUnderWay],
        pretended: &[(ProcId, u64)],
    ) -> Vec<Urgency> {
        let mut urgent = Vec::new();
        // What comes so late was not asked for: a recording, or a machine that stands still. Its
        // last samples tell too little.
        if self.period_s.is_none() || self.late_s > MOST_LATE_S {
            return urgent;
        }
        for (index, limit) in self.limits.iter().enumerate() {
            let ended = pretended.iter().filter(|(root, _)| limit.is_over(*root));
            let ended = ended.map(|(_, bytes)| *bytes as f64).sum::<f64>();
            let left_s = limit.left_s(ended + self.on_its_way(limit, t, orders, false));
            let kill_s = self.lead_s(Step::Kill, 0);
            let is_far = limit.left > LAST_SHARE * limit.size;
            let (lead_s, early_s) = if is_far {
                (kill_s, kill_s)
            } else {
                (self.longest_lead_s(), self.early_lead_s(limit))
            };
            if left_s <= lead_s.max(early_s) {
                // Where one does not go that must, others that grow are not the cause.
                let mut below = orders.iter().filter(|of| limit.is_over(of.order.root));
                let is_last = left_s <= kill_s && !below.any(|of| self.is_overdue(of, t));
                let is_early = left_s > lead_s;
                urgent.push(Urgency { limit: index, left_s, is_last, is_early });
            }
        }
        urgent.sort_by(|a, b| a.left_s.total_cmp(&b.left_s));
        urgent
    }

    /// Whether a victim should be gone, and no step follows any more.
    fn is_overdue(&self, of: &OrderUnderWay, t: f64) -> bool {
        let takes_s = self.exits.takes_s(of.order.step);
        of.order.then.is_none() && t - of.step_t > 1.5 * takes_s + PERIOD_S.0
    }

    /// Bytes that victims on their way give back below a limit: of all that are not overdue, or
    /// with `sure` only of those that nothing keeps any more.
    fn on_its_way(&self, limit: &Limit, t: f64, orders: &[OrderUnderWay], sure: bool) -> f64 {
        let below = orders.iter().filter(|of| limit.is_over(of.order.root));
        let may_stay = |of: &&OrderUnderWay| sure && of.order.step != Step::Kill;
        let counts = below.filter(|of| !(self.is_overdue(of, t) || may_stay(of)));
        counts.map(|of| of.footprint as f64).sum::<f64>() + limit.coming_back(t)
    }

    /// Seconds left over a victim if it stays: with what is sure to come back alone.
    pub fn left_without_s(&self, of: &OrderUnderWay, t: f64, orders: &[OrderUnderWay]) -> f64 {
        let over = self.limits.iter().filter(|limit| limit.is_over(of.order.root));
        let left_s = over.map(|limit| limit.left_s(self.on_its_way(limit, t, orders, true)));
        left_s.fold(f64::INFINITY, f64::min)
    }

    /// Who holds most of what grew and still grows below a limit, among those that `may_end`: a
    /// warm-up beside a leak, which slows down, counts for less. At the very last any that grows.
    pub fn culprit<'d>(
        &self,
        t: f64,
        urgency: &Urgency,
        detector: &'d Detector,
        may_end: impl Fn(&ProcessState) -> bool,
    ) -> Option<&'d ProcessState> {
        let limit = self.limits.get(urgency.limit)?;
        let below = || detector.process_states().filter(|s| limit.has(s));
        let growing = || below().map(|s| (s, self.growth.of(s, t))).filter(|(_, g)| g.recent > 0.0);
        let (all, count) = growing().fold((0.0, 0.0), |(all, n), (_, g)| (all + g.recent, n + 1.0));
        let rate = limit.fall?.rate;
        let now: f64 = growing().map(|(_, g)| g.at_most()).sum();
        if now < EXPLAINED * rate {
            return None;
        }
        let ended = || growing().filter(|(s, _)| may_end(s));
        // One that may not be ended counts here: beside a leak that stays, its twin is no culprit.
        let most = growing().map(|(_, g)| g.held).fold(0.0, f64::max);
        let material = (MATERIAL * limit.size).max(OF_MOST * most);
        let is_material = |g: &Growth| g.recent >= CULPRIT * all / count && g.held >= material;
        let score = |g: &Growth| g.held * (g.recent / g.mean.max(1.0)).clamp(0.0, 1.0).powi(2);
        let culprit = ended()
            .filter(|(_, g)| is_material(g))
            .max_by(|(a, ga), (b, gb)| score(ga).total_cmp(&score(gb)).then(b.id.cmp(&a.id)));
        // At the very last one that holds less will do, if it is as large as others that grow: a
        // replacement that loads its program grows fastest and gives nothing back.
        let held = growing().map(|(_, g)| g.held).sum::<f64>() / count;
        let least = LEAST_HELD.0.max(LEAST_HELD.1 * limit.size).max(held / 2.0);
        let at_last = |g: &Growth| urgency.is_last && g.held >= least;
        let by_held = |a: &(_, Growth), b: &(_, Growth)| a.1.held.total_cmp(&b.1.held);
        let largest = || ended().filter(|(_, g)| at_last(g)).max_by(by_held);
        culprit.or_else(largest).map(|(s, _)| s)
    }

    /// Whether a process has grown steadily for twice the time left: a warm-up slows down before that.
    pub fn grows_steadily(&self, s: &ProcessState, t: f64, left_s: f64) -> bool {
        let growth = self.growth.of(s, t);
        s.age_s >= 2.0 * left_s && growth.recent >= STEADY * growth.mean
    }

    /// When memory ends below a limit, by the last seconds.
    pub fn forecast(&self, limit: &Limit) -> Option<Forecast> {
        let fall = limit.fall.filter(|fall| fall.rate > 0.0)?;
        let likely_s = limit.left_s(0.0).min(limit.usable() / fall.rate * 4.0);
        Some(Forecast {
            ceiling: limit.kind,
            place: limit.place,
            headroom: limit.left as u64,
            limit: limit.size as u64,
            slope: fall.rate,
            // A rate of so few samples tells no more than that.
            earliest_s: likely_s / 2.0,
            likely_s,
            latest_s: likely_s * 2.0,
            window_s: self.period_s.unwrap_or(PERIOD_S.1) * 4.0,
        })
    }

    /// The forecast of the limit over a process that ends first.
    pub fn forecast_of(&self, s: &ProcessState) -> Option<Forecast> {
        let over = self.limits.iter().filter(|limit| limit.has(s));
        over.filter_map(|limit| self.forecast(limit))
            .min_by(|a, b| a.likely_s.total_cmp(&b.likely_s))
    }
}
