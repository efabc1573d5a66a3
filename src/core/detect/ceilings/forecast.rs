//! Forecast: from windows of steady growth to the time when a ceiling is reached.
//!
//! Textbook intervals cover the truth one time in seven here, because the growth of tomorrow is
//! not the growth of today plus noise. So the interval spans what windows of very different length
//! say, and what is left on average and right now, widened by factors calibrated on the labelled
//! recordings: it covered the truth there in 9 forecasts of 10.

use crate::core::detect::ceilings::usage::CeilingUsage;
use crate::core::detect::sample_clock::block;
use crate::core::detect::series::block_minima::GrowthWindow;
use crate::core::model::assessment::Forecast;
use crate::core::model::ceiling::Unit;

/// Headroom below a page, or below one task, is counted as one: nothing divides by nothing.
fn least(ceiling_usage: &CeilingUsage) -> f64 {
    match ceiling_usage.headroom().kind.unit() {
        Unit::Bytes => 4096.0,
        Unit::Tasks => 1.0,
    }
}

/// A second half that grew this much more than the first is accelerating.
const ACCELERATING: f64 = 1.15;

/// A forecast that reaches no further than this many lengths of its evidence is a near one.
const NEAR: f64 = 2.0;

/// Factors on the interval's ends for near forecasts and for others.
const WIDENING: [(f64, f64); 2] = [(0.6, 1.6), (0.51, 1.85)];

/// When a ceiling is reached.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Exhaustion {
    /// By the growth of the processes it is about alone.
    pub own: Forecast,
    /// The earliest in seconds, by all that the ceiling lost while the evidence lasted.
    pub earliest_with_total_loss_s: f64,
}

impl Exhaustion {
    /// Both in one: what others take may bring the end closer, but is no evidence of a trend.
    pub fn forecast(&self) -> Forecast {
        Forecast {
            earliest_s: self.own.earliest_s.min(self.earliest_with_total_loss_s),
            ..self.own
        }
    }

    /// The same with another `headroom`, `factor` times as much.
    pub fn scaled(&self, factor: f64, headroom: u64) -> Self {
        let Forecast { earliest_s, likely_s, latest_s, .. } = self.own;
        let own = Forecast {
            headroom,
            earliest_s: factor * earliest_s,
            likely_s: factor * likely_s,
            latest_s: factor * latest_s,
            ..self.own
        };
        Self { own, earliest_with_total_loss_s: factor * self.earliest_with_total_loss_s }
    }

    /// Two growths under one ceiling: their speeds add up, so times to the end add up like
    /// resistors side by side. The evidence is that of the faster.
    pub fn join(&self, other: &Self) -> Self {
        let (a, b) = (&self.own, &other.own);
        let together = |a: f64, b: f64| 1.0 / (1.0 / a + 1.0 / b);
        let faster = if a.slope >= b.slope { a } else { b };
        let own = Forecast {
            slope: a.slope + b.slope,
            earliest_s: together(a.earliest_s, b.earliest_s),
            likely_s: together(a.likely_s, b.likely_s),
            latest_s: together(a.latest_s, b.latest_s),
            ..*faster
        };
        Self {
            own,
            earliest_with_total_loss_s: self
                .earliest_with_total_loss_s
                .min(other.earliest_with_total_loss_s),
        }
    }
}

/// The end by the steadily growing windows of one process, those sorted by length. `seconds` turns
/// finest blocks into seconds.
pub fn of_windows(
    windows: &[GrowthWindow],
    ceiling_usage: &CeilingUsage,
    max_extrapolation: f64,
    seconds: impl Fn(u64) -> f64,
) -> Option<Exhaustion> {
    let tick_s = seconds(1);
    let length = |window: &GrowthWindow| seconds(window.window);
    let ends_in = |window: &GrowthWindow| left(window, ceiling_usage) / window.slope() * tick_s;
    let (mut shortest, mut longest, mut best) = (None, None, None);
    for window in windows {
        let this @ (_, ends_s) = (window, ends_in(window));
        if ends_s <= max_extrapolation * length(window) {
            shortest = shortest.or(Some(this));
            longest = Some(this);
            best = best.or(Some(this).filter(|_| length(window) >= ends_s / 2.0));
        }
    }
    let last = windows.last().map(|last| (last, ends_in(last)))?;
    let ((_, shortest_s), longest) = (shortest.unwrap_or(last), longest.unwrap_or(last));
    let well_founded = Some(last).filter(|(last, ends_s)| length(last) >= ends_s / 2.0);
    let (best, likely_s) = best.or(well_founded).unwrap_or(longest);
    let window_s = length(best);
    let gaining_s = gaining(best, left(best, ceiling_usage), tick_s);
    let first_s = likely_s.min(shortest_s).min(gaining_s.unwrap_or(f64::INFINITY));
    let last_s = likely_s.max(longest.1);
    let (low, high) = WIDENING[usize::from(likely_s > NEAR * window_s)];
    let headroom = ceiling_usage.headroom();
    let now = (headroom.left as f64).max(least(ceiling_usage)) / left(best, ceiling_usage);
    let earliest_s = low * first_s * now.min(1.0);
    let own = Forecast {
        ceiling: headroom.kind,
        place: headroom.place,
        headroom: headroom.left,
        limit: headroom.limit,
        slope: best.slope() / tick_s,
        earliest_s,
        likely_s,
        latest_s: high * last_s * now.max(1.0),
        window_s,
    };
    let lost =
        ceiling_usage.thirds(best.level, best.blocks).map_or(0.0, |(early, late)| early - late);
    let earliest_with_total_loss_s =
        earliest_s * (best.shape.growth() / lost.max(least(ceiling_usage))).min(1.0);
    Some(Exhaustion { own, earliest_with_total_loss_s })
}

/// Bytes left on the course of the window's floors. What is left now goes up and down with the
/// sawtooth whose floors these are; its mean over the last third, brought forward to now, does not.
/// That took the share of forecasts whose interval covers the truth from .73 to .90.
fn left(window: &GrowthWindow, ceiling_usage: &CeilingUsage) -> f64 {
    let behind = (window.blocks / 3) as f64 / 2.0 * block(window.level) as f64;
    let left = match ceiling_usage.thirds(window.level, window.blocks) {
        Some((_, late)) => late - window.slope() * behind,
        None => ceiling_usage.headroom().left as f64,
    };
    left.max(least(ceiling_usage))
}

/// When `left` bytes are gone if the growth goes on gaining speed as between the window's halves.
fn gaining(window: &GrowthWindow, left: f64, tick_s: f64) -> Option<f64> {
    let (first, second) = window.shape.halves();
    if second <= ACCELERATING * first {
        return None;
    }
    let half_s = 0.5 * window.apart() as f64 * block(window.level) as f64 * tick_s;
    let (before, now) = (first / half_s, second / half_s);
    let gain = (now - before) / half_s;
    let speed = now + gain * half_s / 2.0;
    Some(((speed * speed + 2.0 * gain * left).sqrt() - speed) / gain)
}
