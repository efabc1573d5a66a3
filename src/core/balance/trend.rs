//! The trend of one line: whether its floor rises, and how fast.
//!
//! A line that only went up between two readings proves nothing: caches breathe, builds write and
//! remove. It *rises* when its floor does in each quarter of the time and the last floor is above
//! all of the first quarter. It rises *steadily* when a window of the detector passes the tests that
//! a process's footprint must pass.

use crate::core::detect::basis::JudgeBasis;
use crate::core::detect::sample_clock::SampleTime;
use crate::core::detect::series::block_minima::Series;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::model::ceiling::Unit;
use crate::core::model::units::MIB;

/// Readings kept; when they are full, each two become one.
const MOST_POINTS: usize = 256;
/// Fewer readings than this have a change but no trend.
const LEAST_POINTS: usize = 8;
/// A rise of less than this is none, nor is one below this share of the line.
const LEAST_RISE: f64 = MIB as f64;
const LEAST_SHARE: f64 = 0.005;
/// The same of tasks.
const LEAST_TASKS: f64 = 3.0;

/// How a line moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineGrowth {
    /// It does not rise.
    None,
    /// Its floor rises.
    Rises,
    /// Its floor rises steadily, with a certainty that noise does not reach.
    Steady,
}

/// The trend of a line.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trend {
    /// How it moves.
    pub growth: LineGrowth,
    /// Bytes, or tasks, a second from the first reading to the last.
    pub rate: f64,
    /// Bytes, or tasks, that it changed by.
    pub rise: f64,
    /// Seconds from the first reading to the last.
    pub span_s: f64,
}

/// One line over time.
pub(in crate::core) struct LineTrend {
    unit: Unit,
    series: Box<Series>,
    points: Vec<(f64, f64)>,
}

impl LineTrend {
    pub(in crate::core) fn new(unit: Unit, page_size: f64) -> Self {
        let step = if unit == Unit::Bytes { page_size } else { 1.0 };
        Self { unit, series: Box::new(Series::new(step)), points: Vec::new() }
    }

    pub(in crate::core) fn push(
        &mut self,
        moment: &SampleTime,
        t: f64,
        bytes: u64,
        basis: &JudgeBasis,
    ) {
        self.push_under_load(moment, t, bytes, 0.0, basis);
    }

    /// The same where CPU use, in cores, may explain that it rises.
    pub(in crate::core) fn push_under_load(
        &mut self,
        moment: &SampleTime,
        t: f64,
        bytes: u64,
        load: f64,
        basis: &JudgeBasis,
    ) {
        self.series.push(moment, bytes, load, basis.thresholds(self.unit));
        if self.points.len() >= MOST_POINTS {
            let pairs = self.points.chunks(2);
            let least = |pair: &[(f64, f64)]| {
                pair.iter().copied().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default()
            };
            self.points = pairs.map(least).collect();
        }
        self.points.push((t, bytes as f64));
    }

    /// The readings, thinned to floors.
    pub(in crate::core) fn points(&self) -> &[(f64, f64)] {
        &self.points
    }

    /// The trend at counted time `now`; none of fewer than two readings.
    pub(in crate::core) fn trend(&self, now: u64) -> Option<Trend> {
        let ((from_t, from), (to_t, to)) = (*self.points.first()?, *self.points.last()?);
        let span_s = to_t - from_t;
        if span_s <= 0.0 {
            return None;
        }
        let (rise, rises) = self.floors().unwrap_or((to - from, false));
        let least = match self.unit {
            Unit::Bytes => LEAST_RISE.max(LEAST_SHARE * to),
            Unit::Tasks => LEAST_TASKS,
        };
        let windows = || self.series.growth_windows(now).filter(GrowthWindow::is_steady);
        let steady = windows().any(|window| window.passes >= 2 && !window.paused);
        let growth = match rises && rise >= least {
            true if steady => LineGrowth::Steady,
            true => LineGrowth::Rises,
            false => LineGrowth::None,
        };
        Some(Trend { growth, rate: (to - from) / span_s, rise: to - from, span_s })
    }

    /// How far the floor of the last quarter is above all of the first, and whether the floors of
    /// the quarters never fall and at least twice rise.
    fn floors(&self) -> Option<(f64, bool)> {
        if self.points.len() < LEAST_POINTS {
            return None;
        }
        let quarter = |nth: usize| {
            let edge = |nth: usize| nth * self.points.len() / 4;
            self.points.get(edge(nth)..edge(nth + 1)).unwrap_or_default().iter()
        };
        let floors: [f64; 4] = std::array::from_fn(|nth| {
            quarter(nth).map(|(_, bytes)| *bytes).fold(f64::INFINITY, f64::min)
        });
        let top = quarter(0).map(|(_, bytes)| *bytes).fold(0.0, f64::max);
        let steps = || floors.iter().zip(floors.iter().skip(1)).map(|(a, b)| b - a);
        let rises =
            steps().all(|step| step >= 0.0) && steps().filter(|step| *step > 0.0).count() > 1;
        Some((floors[3] - top, rises))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::detect::constants::Constants;

    const INTERVAL_S: f64 = 0.375;

    fn trend(readings: usize, bytes: impl Fn(f64) -> f64) -> Option<Trend> {
        let mut basis = JudgeBasis::new(Constants::default(), 4096.0, INTERVAL_S);
        let mut line = LineTrend::new(Unit::Bytes, 4096.0);
        for nth in 0..readings {
            let t = 1000.0 + INTERVAL_S * nth as f64;
            let moment = basis.clock.advance(t, None);
            line.push(&moment, t, bytes(t - 1000.0) as u64, &basis);
        }
        line.trend(basis.clock.now())
    }

    const MB: f64 = 1e6;

    #[test]
    fn a_line_that_grows_all_the_time_rises_steadily() {
        let found = trend(160, |s| 300.0 * MB + 8.0 * MB * s).unwrap();
        assert_eq!(found.growth, LineGrowth::Steady);
        assert!((found.rate / (8.0 * MB) - 1.0).abs() < 0.01, "{found:?}");
    }

    #[test]
    fn a_line_that_grows_in_steps_rises() {
        let found = trend(160, |s| 300.0 * MB + 100.0 * MB * (s / 12.0).floor()).unwrap();
        assert_eq!(found.growth, LineGrowth::Rises);
    }

    #[test]
    fn what_breathes_falls_or_fills_at_once_does_not_rise() {
        let none = |bytes: fn(f64) -> f64| trend(160, bytes).unwrap().growth == LineGrowth::None;
        assert!(none(|s| 300.0 * MB + 50.0 * MB * (s * 1.7).sin()));
        assert!(none(|s| 600.0 * MB - 8.0 * MB * s));
        assert!(none(|s| if s > 50.0 { 500.0 * MB } else { 300.0 * MB }));
        assert!(none(|s| 300.0 * MB + 8.0 * MB * (s % 9.0)));
    }

    #[test]
    fn two_readings_have_a_change_but_no_trend() {
        let found = trend(2, |s| 100.0 * MB + 8.0 * MB * s).unwrap();
        assert_eq!(found.growth, LineGrowth::None);
        assert!((found.rate / (8.0 * MB) - 1.0).abs() < 0.01);
        assert_eq!(trend(1, |_| MB), None);
    }
}
