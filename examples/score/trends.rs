//! Trends of a series, as textbooks have them.

use std::collections::VecDeque;

/// The last values of a series with their times.
pub(crate) struct Series {
    points: VecDeque<(f64, f64)>,
    most: usize,
    least: usize,
    seen: usize,
}

/// A line through points.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Line {
    /// Per second.
    pub slope: f64,
    /// Its value at the last point.
    pub last: f64,
    /// Share of the variance that it explains, 0 to 1.
    pub r2: f64,
}

impl Series {
    /// The last so many values.
    pub(crate) fn window(length: usize) -> Self {
        Self { points: VecDeque::new(), most: length, least: length, seen: 0 }
    }

    /// All values, of which a test needs 60.
    pub(crate) fn life() -> Self {
        Self { most: usize::MAX, least: 60, ..Self::window(0) }
    }

    /// Adds the next value.
    pub(crate) fn push(&mut self, t: f64, value: f64) {
        if self.points.len() == self.most {
            self.points.pop_front();
        }
        self.points.push_back((t, value));
        self.seen += 1;
    }

    /// Whether there are as many values as a test needs.
    pub(crate) fn is_full(&self) -> bool {
        self.points.len() >= self.least
    }

    /// How many values there ever were.
    pub(crate) fn seen(&self) -> usize {
        self.seen
    }

    pub(crate) fn points(&self) -> impl Iterator<Item = (f64, f64)> + Clone + '_ {
        self.points.iter().copied()
    }

    /// Seconds from its first value to its last.
    pub(crate) fn length_s(&self) -> f64 {
        let ends = self.points.front().zip(self.points.back());
        ends.map_or(0.0, |((first, _), (last, _))| last - first)
    }

    /// From its first value to its last.
    pub(crate) fn growth(&self) -> f64 {
        let ends = self.points.front().zip(self.points.back());
        ends.map_or(0.0, |((_, first), (_, last))| last - first)
    }
}

/// The line of least squares; none through fewer than two points or through a constant.
pub(crate) fn least_squares(points: impl Iterator<Item = (f64, f64)> + Clone) -> Option<Line> {
    let n = points.clone().count() as f64;
    let sum = |of: fn((f64, f64)) -> f64| points.clone().map(of).sum::<f64>();
    let (mean_t, mean) = (sum(|(t, _)| t) / n, sum(|(_, value)| value) / n);
    let (mut tt, mut tv, mut vv) = (0.0, 0.0, 0.0);
    for (t, value) in points.clone() {
        tt += (t - mean_t).powi(2);
        tv += (t - mean_t) * (value - mean);
        vv += (value - mean).powi(2);
    }
    let (last_t, _) = points.last()?;
    let slope = tv / tt;
    (tt > 0.0 && vv > 0.0).then(|| Line {
        slope,
        last: mean + slope * (last_t - mean_t),
        r2: tv * tv / (tt * vv),
    })
}

/// The quantile .99 of the normal distribution.
const CERTAIN: f64 = 2.326;

/// Sen's slope (1968), the median of the slopes of all pairs, if the one-sided test of Mann (1945) and
/// Kendall, corrected for ties, finds a rise at .01. Every second value is taken.
pub(crate) fn sens_slope(series: &Series) -> Option<f64> {
    let points: Vec<(f64, f64)> = series.points().step_by(2).collect();
    let pairs = || {
        let later = |i: usize| points.iter().skip(i + 1);
        points.iter().enumerate().flat_map(move |(i, a)| later(i).map(move |b| (a, b)))
    };
    let sign =
        |(a, b): (&(f64, f64), &(f64, f64))| f64::from(i8::from(b.1 > a.1) - i8::from(b.1 < a.1));
    let s: f64 = pairs().map(sign).sum();
    let mut values: Vec<f64> = points.iter().map(|point| point.1).collect();
    values.sort_by(f64::total_cmp);
    let spread = |n: f64| n * (n - 1.0) * (2.0 * n + 5.0) / 18.0;
    let ties = values.chunk_by(|a, b| a == b).map(|alike| spread(alike.len() as f64));
    let variance = spread(points.len() as f64) - ties.sum::<f64>();
    if s <= 1.0 || variance <= 0.0 || (s - 1.0) / variance.sqrt() < CERTAIN {
        return None;
    }
    let slope = |(a, b): (&(f64, f64), &(f64, f64))| (b.1 - a.1) / (b.0 - a.0);
    let mut slopes: Vec<f64> = pairs().map(slope).filter(|slope| slope.is_finite()).collect();
    slopes.sort_by(f64::total_cmp);
    slopes.get(slopes.len() / 2).copied()
}

/// Parts of a life of which only the smallest value counts.
const PARTS: usize = 12;

/// The slope of the last third of twelve minima, if nine of eleven steps between them go up, a line fits
/// them (R² of .8), they rise by a tenth, and the last third still does at half of the whole pace.
pub(crate) fn rising_minima(series: &Series) -> Option<f64> {
    let points: Vec<(f64, f64)> = series.points().collect();
    let minimum = |part: usize| {
        let (from, to) = (points.len() * part / PARTS, points.len() * (part + 1) / PARTS);
        let part = points.get(from..to)?;
        let least = part.iter().map(|point| point.1).fold(f64::INFINITY, f64::min);
        Some((part.iter().map(|point| point.0).sum::<f64>() / part.len() as f64, least))
    };
    let minima: Vec<(f64, f64)> = (0..PARTS).filter_map(minimum).collect();
    let up = minima.windows(2).filter(|pair| pair[1].1 > pair[0].1).count();
    let (first, last) = (minima.first()?.1, minima.last()?.1);
    let whole = least_squares(minima.iter().copied())?;
    let late = least_squares(minima.iter().copied().skip(PARTS * 2 / 3))?;
    let rises = up >= 9 && last - first >= 0.1 * first;
    (rises && whole.slope > 0.0 && whole.r2 >= 0.8 && late.slope >= 0.5 * whole.slope)
        .then_some(late.slope)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(value: impl Fn(f64) -> f64) -> Series {
        let mut series = Series::window(120);
        (0..120).for_each(|k| series.push(f64::from(k), value(f64::from(k))));
        series
    }

    #[test]
    fn each_trend_has_the_slope_of_a_line_and_none_of_a_constant() {
        let (rising, flat) = (series(|t| 50.0 + 3.0 * t), series(|_| 50.0));
        let line = least_squares(rising.points()).unwrap();
        assert!((line.slope - 3.0).abs() < 1e-9 && (line.r2 - 1.0).abs() < 1e-9);
        assert!((line.last - 407.0).abs() < 1e-9);
        assert_eq!(least_squares(flat.points()), None);
        for trend in [sens_slope, rising_minima] {
            assert!((trend(&rising).unwrap() - 3.0).abs() < 1e-9);
            assert_eq!(trend(&flat), None);
        }
    }

    #[test]
    fn a_single_jump_is_no_rise_of_minima_but_one_of_ranks() {
        let jump = series(|t| if t < 60.0 { 50.0 } else { 90.0 });
        assert_eq!(rising_minima(&jump), None);
        assert!(sens_slope(&jump).is_some());
    }
}
