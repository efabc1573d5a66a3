//! One limit on memory in its last minute: what is left, how fast that falls, what is on its way back.

use crate::core::decide::last_minute::fall::{Fall, FallSeries};
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::{Ceiling, CeilingKind, Place};
use crate::core::model::process::ProcId;

/// Part of a limit that counts as gone: MemAvailable promises up to 1 % too much. On a large machine
/// that would be much, and 0.2 % covers what it wanders by.
const RESERVE_SHARE: f64 = 0.01;
const RESERVE: (f64, f64) = (16.0 * 1_048_576.0, 0.002);
/// Bytes that the kernel frees a second: measured, 0.35 s a GiB.
pub const FREED_A_SECOND: f64 = 1024.0 * 1_048_576.0 / 0.35;
/// Seconds after an exit in which what it held may still be on its way back: a process shows no
/// memory any more before MemAvailable shows more.
const RETURNS_S: f64 = 0.3;
/// Seconds for which the rate from before a return counts while there is no new one.
const HELD_S: f64 = 1.0;
/// A fall is that of growing processes, if these grow so many times as fast as headroom falls.
const GROSS_FACTOR: f64 = 1.3;
/// Below this share of the limit an old rate is better than none.
const SCARCE: f64 = 0.05;
/// Four samples within so many seconds, or it is an old rate.
const FRESH_S: f64 = 1.0;

/// A limit, and its course.
#[derive(Debug)]
pub struct Limit {
    /// What it is.
    pub kind: CeilingKind,
    /// Where it stands.
    pub place: Place,
    /// The trees below it, sorted; none for all.
    pub roots: Vec<ProcId>,
    /// Left below it, and the limit itself, in bytes.
    pub left: f64,
    /// The limit in bytes.
    pub size: f64,
    /// How it falls, if that is known.
    pub fall: Option<Fall>,
    series: FallSeries,
    /// Seconds left at the rate of the last samples.
    pub end_s: f64,
    /// When memory came back last, and the rate before.
    returned_t: f64,
    held_rate: f64,
    returns: Vec<Return>,
    /// Left in the sample before.
    before: f64,
    observed_t: Option<f64>,
    near_t: f64,
}

/// Memory of a victim that is gone.
#[derive(Clone, Copy, Debug)]
struct Return {
    gone_t: f64,
    bytes: f64,
    /// Left when it was there still.
    left: f64,
}

/// What counts as usable at least: a page, so that nothing divides by zero.
pub const LEAST_USABLE: f64 = 4096.0;

/// Bytes of what is left below a limit that can be counted on.
pub fn usable(left: f64, limit: f64) -> f64 {
    let reserve = (RESERVE_SHARE * limit).min(RESERVE.0.max(RESERVE.1 * limit));
    (left - reserve).max(LEAST_USABLE)
}

impl Limit {
    /// A limit at first sight.
    pub fn new(ceiling: &Ceiling) -> Self {
        let (size, left) = (ceiling.limit as f64, ceiling.headroom() as f64);
        Self {
            kind: ceiling.kind,
            place: ceiling.place,
            roots: Vec::new(),
            left,
            size,
            fall: None,
            series: FallSeries::new(size),
            end_s: f64::INFINITY,
            returned_t: f64::NEG_INFINITY,
            held_rate: 0.0,
            returns: Vec::new(),
            before: left,
            observed_t: None,
            near_t: f64::NEG_INFINITY,
        }
    }

    /// Whether it is this limit that the ceiling shows.
    pub fn is(&self, ceiling: &Ceiling) -> bool {
        let same_tree = || ceiling.root.is_some_and(|root| self.roots.contains(&root));
        self.kind == ceiling.kind
            && self.place == ceiling.place
            && (!ceiling.place.is_none() || ceiling.root.is_none() || same_tree())
    }

    /// Whether the tree of `root` is below it.
    pub fn is_over(&self, root: ProcId) -> bool {
        self.roots.is_empty() || self.roots.binary_search(&root).is_ok()
    }

    /// Whether a process is below it.
    pub fn has(&self, s: &ProcessState) -> bool {
        self.is_over(s.root)
    }

    /// Bytes that can be counted on.
    pub fn usable(&self) -> f64 {
        usable(self.left, self.size)
    }

    /// A victim with so many bytes is gone.
    pub fn returned(&mut self, t: f64, bytes: u64) {
        self.returned_t = t;
        self.returns.push(Return { gone_t: t, bytes: bytes as f64, left: self.before });
        self.series.restart();
    }

    /// Bytes of victims that are gone, which headroom does not show yet.
    pub fn coming_back(&self, t: f64) -> f64 {
        let due = |back: &&Return| t - back.gone_t <= RETURNS_S + back.bytes / FREED_A_SECOND;
        let (mut bytes, mut left) = (0.0, f64::INFINITY);
        for back in self.returns.iter().filter(due) {
            bytes += back.bytes;
            left = f64::min(left, back.left);
        }
        (bytes - (self.left - left).max(0.0)).max(0.0)
    }

    /// Whether the sample at `t` did not list it yet.
    pub fn is_new_at(&self, t: f64) -> bool {
        self.observed_t != Some(t)
    }

    /// Takes over how it stands at `t`.
    pub fn observe(&mut self, t: f64, ceiling: &Ceiling) {
        self.observed_t = Some(t);
        self.roots.clear();
        self.before = self.left;
        (self.left, self.size) = (ceiling.headroom() as f64, ceiling.limit as f64);
        self.series.push(t, self.left);
        self.returns.retain(|back| t - back.gone_t <= HELD_S + back.bytes / FREED_A_SECOND);
    }

    /// Reckons how it falls, `gross` being what growing processes take a second. `late_s`: seconds by
    /// which samples come late.
    pub fn reckon(&mut self, t: f64, gross: f64, late_s: f64) {
        let usable = self.usable();
        self.fall = None;
        let Some(rates) = self.series.rates(self.end_s) else {
            let is_held = t - self.returned_t < HELD_S;
            let rate = if is_held { self.held_rate.max(gross) } else { gross };
            self.end_s = Fall::steady(rate).takes_s(usable);
            self.fall = (is_held && rate > 0.0).then(|| Fall::steady(rate));
            return;
        };
        let mut fall = rates.fall();
        if gross > GROSS_FACTOR * fall.rate.max(rates.newest()) {
            fall = Fall::steady(gross);
        }
        self.end_s = Fall::steady(rates.newest().max(gross)).takes_s(usable);
        let is_fresh = self.series.span_s() <= FRESH_S + 4.0 * late_s;
        if is_fresh || self.left <= SCARCE * self.size {
            self.held_rate = fall.rate;
            self.fall = Some(fall);
        }
    }

    /// Whether the end may be within so many seconds, by the last samples or within the last second.
    pub fn is_near(&mut self, t: f64, within_s: f64) -> bool {
        let last_s = Fall::steady(self.series.last_rate()).takes_s(self.usable());
        if self.end_s.min(last_s) <= within_s {
            self.near_t = t;
        }
        t - self.near_t <= HELD_S
    }

    /// Seconds until the fall has taken what is left and so many bytes more.
    pub fn left_s(&self, more: f64) -> f64 {
        self.fall.map_or(f64::INFINITY, |fall| fall.takes_s(self.usable() + more))
    }
}
