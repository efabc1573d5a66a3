//! How fast a limit's headroom falls, by the samples of the last seconds.

use std::collections::VecDeque;

/// Points that are kept: 13 s of the closest samples.
const POINTS: usize = 256;
/// A rate needs so many points.
const LEAST_POINTS: usize = 4;
/// The window of a rate in seconds: the longest, the shortest, and its share of the time left.
const WINDOW_S: (f64, f64) = (0.3, 2.0);
const WINDOW_SHARE: f64 = 0.25;
/// The window before is so many times as long.
const BEFORE: f64 = 3.0;
/// What one more residual moves the noise.
const NOISE_LEARNT: f64 = 0.02;
/// Noise of MemAvailable before any is known: 0.2 MiB and 0.02 % of the limit.
const NOISE: (f64, f64) = (0.2 * 1_048_576.0, 2e-4);
/// A rate below so many of its standard errors is none.
const SIGNIFICANT: f64 = 2.0;

/// A fall between two samples of more than so many times the noise is one.
const SURE: f64 = 6.0;

/// The noise of a limit's headroom before any is known, in bytes.
fn usual_noise(limit: f64) -> f64 {
    NOISE.0 + NOISE.1 * limit
}

/// Bytes by which the headroom below a limit must fall from one moment to the next to be sure of it.
pub fn sure_fall(limit: f64) -> f64 {
    SURE * usual_noise(limit)
}

/// The course of a limit's headroom since memory last came back.
#[derive(Debug)]
pub struct FallSeries {
    points: VecDeque<(f64, f64)>,
    /// Standard deviation of the headroom around its course, in bytes.
    noise: f64,
}

/// A fall of headroom that goes on as it was.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fall {
    /// Bytes a second now.
    pub rate: f64,
    /// Seconds in which the rate falls to 1/e of itself; none where it does not slow down.
    pub slowing_s: Option<f64>,
}

impl Fall {
    /// A fall that does not slow down.
    pub fn steady(rate: f64) -> Self {
        Self { rate, slowing_s: None }
    }

    /// Seconds until it has taken so many bytes; infinite where it never does.
    pub fn takes_s(&self, bytes: f64) -> f64 {
        let steady_s = if self.rate > 0.0 { bytes / self.rate } else { f64::INFINITY };
        match self.slowing_s {
            Some(tau_s) if bytes >= self.rate * tau_s => f64::INFINITY,
            Some(tau_s) => -tau_s * (-steady_s / tau_s).ln_1p(),
            None => steady_s,
        }
    }
}

/// Slopes of a fall over two windows, the newer one after the older one.
#[derive(Clone, Copy, Debug)]
pub struct FallRates {
    newer: Slope,
    older: Option<Slope>,
    t: f64,
}

/// A slope by least squares: bytes lost a second, its standard error, and the middle of its window.
#[derive(Clone, Copy, Debug)]
struct Slope {
    rate: f64,
    error: f64,
    middle_t: f64,
}

impl FallSeries {
    /// A series of a limit of so many bytes.
    pub fn new(limit: f64) -> Self {
        Self { points: VecDeque::new(), noise: usual_noise(limit) }
    }

    /// Forgets the course: memory came back, and what was before tells nothing of what comes.
    pub fn restart(&mut self) {
        self.points.clear();
    }

    /// Adds a headroom.
    pub fn push(&mut self, t: f64, left: f64) {
        if self.points.len() == POINTS {
            self.points.pop_front();
        }
        self.points.push_back((t, left));
    }

    /// Bytes lost a second since the point before, if that is more than noise; 0 if not.
    pub fn last_rate(&self) -> f64 {
        let mut last = self.points.iter().rev();
        match (last.next(), last.next()) {
            (Some((t, left)), Some((before_t, before))) if before - left > SURE * self.noise => {
                (before - left) / (t - before_t)
            }
            _ => 0.0,
        }
    }

    /// Seconds that the last four points span; infinite while there are fewer.
    pub fn span_s(&self) -> f64 {
        let last = self.points.len().checked_sub(LEAST_POINTS).and_then(|at| self.points.get(at));
        let newest = self.points.back();
        last.zip(newest).map_or(f64::INFINITY, |((first_t, _), (t, _))| t - first_t)
    }

    /// The slopes of the course, once there are points enough. `end_s`: seconds left by the rate of
    /// the sample before, which set the length of the windows.
    pub fn rates(&mut self, end_s: f64) -> Option<FallRates> {
        let (t, _) = *self.points.back()?;
        let most = self.points.len().checked_sub(LEAST_POINTS)?;
        let window_s = (WINDOW_SHARE * end_s).clamp(WINDOW_S.0, WINDOW_S.1);
        let from = self.points.partition_point(|(at, _)| *at < t - window_s).min(most);
        let (slope, residual) = self.slope(from..self.points.len())?;
        let floor = NOISE.0 / 4.0;
        self.noise += NOISE_LEARNT * (residual.max(floor) - self.noise);
        let (first_t, _) = *self.points.get(from)?;
        let before_t = first_t - BEFORE * (t - first_t).max(window_s);
        let before = self.points.partition_point(|(at, _)| *at < before_t);
        let has_older = from >= before + LEAST_POINTS;
        let older = if has_older { self.slope(before..from).map(|(older, _)| older) } else { None };
        Some(FallRates { newer: slope, older, t })
    }

    /// The slope over a range of points, and the residuals' standard deviation.
    fn slope(&self, range: std::ops::Range<usize>) -> Option<(Slope, f64)> {
        let points = || self.points.range(range.clone());
        let n = range.len() as f64;
        let middle_t = points().map(|(t, _)| t).sum::<f64>() / n;
        let mean = points().map(|(_, left)| left).sum::<f64>() / n;
        let spread: f64 = points().map(|(t, _)| (t - middle_t).powi(2)).sum();
        let covered: f64 = points().map(|(t, left)| (t - middle_t) * (left - mean)).sum();
        let rate = -covered / spread;
        let residual = |(t, left): &(f64, f64)| left - mean + rate * (t - middle_t);
        let residuals: f64 = points().map(|point| residual(point).powi(2)).sum();
        let error = self.noise / spread.sqrt();
        let deviation = (residuals / (n - 2.0).max(1.0)).sqrt();
        (spread > 0.0).then_some((Slope { rate, error, middle_t }, deviation))
    }
}

impl FallRates {
    /// Bytes lost a second by the newer window alone, if that is more than noise.
    pub fn newest(&self) -> f64 {
        let Slope { rate, error, .. } = self.newer;
        if rate > SIGNIFICANT * error { rate } else { 0.0 }
    }

    /// How the fall goes on: slower and slower, if at least some slowing fits both windows, or else
    /// at the greater of two rates that may be one. Growth by request comes in chunks, and 0.3 s may
    /// see half of its rate.
    pub fn fall(&self) -> Fall {
        let Slope { rate, error, middle_t } = self.newer;
        if rate <= 0.0 || rate < SIGNIFICANT * error {
            return Fall::steady(0.0);
        }
        let Some(older) = self.older else { return Fall::steady(rate) };
        // Careful: the least slowing that fits.
        let (least_before, most_now) = (older.rate - older.error, rate + error);
        if least_before > most_now {
            let tau_s = (middle_t - older.middle_t) / (least_before / most_now).ln();
            let now = rate * (-(self.t - middle_t) / tau_s).exp();
            return Fall { rate: now, slowing_s: Some(tau_s) };
        }
        let may_be_one = older.rate - rate < SIGNIFICANT * (error + older.error);
        Fall::steady(if may_be_one { rate.max(older.rate) } else { rate })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: f64 = 1_048_576.0;

    /// The fall by headrooms every 50 ms.
    fn fall_of(left: impl Fn(f64) -> f64, points: usize) -> Fall {
        let mut series = FallSeries::new(512.0 * MIB);
        for k in 0..points {
            let t = 0.05 * k as f64;
            series.push(t, left(t));
        }
        series.rates(1.2).unwrap().fall()
    }

    #[test]
    fn a_rate_needs_four_points_and_none_from_before_a_return() {
        let mut series = FallSeries::new(512.0 * MIB);
        for k in 0..3 {
            series.push(f64::from(k), 100.0 * MIB - f64::from(k) * MIB);
        }
        assert!(series.rates(4.0).is_none() && series.span_s().is_infinite());
        series.push(3.0, 97.0 * MIB);
        assert!(series.rates(4.0).is_some() && series.span_s() == 3.0);
        series.restart();
        assert!(series.rates(4.0).is_none());
    }

    proptest! {
        #[test]
        fn a_straight_fall_ends_when_its_line_does(rate in 5.0..500.0_f64, left in 50.0..900.0_f64) {
            let fall = fall_of(|t| (left + rate - rate * t) * MIB, 20);
            let end_s = fall.takes_s(left * MIB);
            prop_assert!((end_s / (left / rate) - 1.0).abs() < 0.01, "{end_s}");
            prop_assert_eq!(fall.slowing_s, None);
        }

        #[test]
        fn a_fall_that_levels_off_before_the_end_has_none(tau in 0.7..3.0_f64, share in 0.3..0.9_f64) {
            // By then half of it is over, and all of it takes that share of what was left.
            let all = 400.0 * MIB;
            let fall = fall_of(|t| all - share * all * (1.0 - (-t / tau).exp()), (30.0 * tau) as usize);
            let left = all - share * all * (1.0 - (-1.5_f64).exp());
            prop_assert!(fall.takes_s(left) > tau, "{fall:?}");
        }

        #[test]
        fn the_time_that_a_fall_takes_grows_with_what_it_takes(
            rate in 1.0..1e9_f64, tau in prop::option::of(0.1..100.0_f64),
            less in 1.0..1e9_f64, more in 1.0..1e9_f64,
        ) {
            let fall = Fall { rate, slowing_s: tau };
            prop_assert!(fall.takes_s(less + more) >= fall.takes_s(less));
            prop_assert!(fall.takes_s(less) >= Fall::steady(rate).takes_s(less) * 0.999);
        }
    }
}
