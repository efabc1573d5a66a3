//! How a series of sizes moved: its rate, its rise, and since when it has kept its level.

use super::size_history::Point;
use crate::core::model::units::MIB;

/// Fewer points than this give no rate.
const LEAST_POINTS: usize = 8;
/// A level must hold for more points than this, as many as a verdict needs, and for this share of the
/// whole series.
const LEVEL_POINTS: usize = 12;
const LEVEL_SHARE: f64 = 0.25;

/// How a series moved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SizeGrowth {
    /// Bytes a second: between the medians of the first and the last third.
    pub rate: f64,
    /// The slowest and the fastest of four quarters.
    pub between: (f64, f64),
    /// Bytes from the first third's median to the last one's.
    pub rise: f64,
    /// Seconds from the first to the last point.
    pub span_s: f64,
}

/// How a series moved; `None` with fewer than 8 points.
pub fn growth(points: &[Point]) -> Option<SizeGrowth> {
    if points.len() < LEAST_POINTS {
        return None;
    }
    let third = points.len() / 3;
    let early = middle(points.get(..third)?)?;
    let late = middle(points.get(points.len() - third..)?)?;
    // Five edges, each the median of some points around it.
    let edge = |nth: usize| {
        let at = (points.len() - 1) * nth / 4;
        let around = (points.len() / 16).max(1);
        middle(points.get(at.saturating_sub(around)..(at + around + 1).min(points.len()))?)
    };
    let edges: Vec<Point> = (0..5).filter_map(edge).collect();
    let quarters = edges.iter().zip(edges.iter().skip(1)).map(|(a, b)| rate(*a, *b));
    let between = quarters.fold((f64::INFINITY, f64::NEG_INFINITY), |(slowest, fastest), rate| {
        (slowest.min(rate), fastest.max(rate))
    });
    Some(SizeGrowth {
        rate: rate(early, late),
        between,
        rise: late.1 - early.1,
        span_s: span_s(points),
    })
}

/// Bytes a second from one point to a later one.
fn rate(a: Point, b: Point) -> f64 {
    (b.1 - a.1) / (b.0 - a.0).max(1e-9)
}

/// The mean time and the median size of some points.
fn middle(points: &[Point]) -> Option<Point> {
    let t = points.iter().map(|(t, _)| t).sum::<f64>() / points.len() as f64;
    Some((t, median(points.iter().map(|(_, bytes)| *bytes))?))
}

/// The median, the larger of two that share the middle; `None` of nothing.
pub(super) fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut sorted: Vec<f64> = values.collect();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied()
}

/// Seconds from the first to the last point.
pub fn span_s(points: &[Point]) -> f64 {
    match points {
        [first, .., last] => last.0 - first.0,
        _ => 0.0,
    }
}

/// A later half that rises by less than this share of what the earlier one did is slower.
const SLOWER: f64 = 0.8;

/// Whether a series rose less in its later half than in its earlier one.
pub fn slows(points: &[Point]) -> bool {
    let third = points.len() / 3;
    let middles = points.chunks(third.max(1)).take(3).map(middle);
    let Some(middles) = middles.collect::<Option<Vec<Point>>>() else { return false };
    let [early, between, late] = middles[..] else { return false };
    rate(between, late) < SLOWER * rate(early, between)
}

/// The change in bytes below which something of that size did not move: 3 %, and at least 1 MiB.
pub fn least_change(size: f64) -> f64 {
    (MIB as f64).max(0.03 * size)
}

/// For how many seconds a series that grew has kept its level, if it has for a quarter of its time:
/// every point since is within a tenth of the growth of the last ones.
pub fn settled_s(points: &[Point]) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    let level = median(points.iter().rev().take(3).map(|(_, bytes)| *bytes))?;
    let least = points.iter().map(|(_, bytes)| *bytes).fold(f64::INFINITY, f64::min);
    if level - least < least_change(level) {
        return None;
    }
    let near = least_change(level).max(0.1 * (level - least));
    let apart = points.iter().rposition(|(_, bytes)| (bytes - level).abs() > near)?;
    let since = points.get(apart + 1)?;
    let (flat_s, span_s) = (last.0 - since.0, last.0 - first.0);
    let enough = points.len() - apart > LEVEL_POINTS && flat_s >= LEVEL_SHARE * span_s;
    enough.then_some(flat_s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const GIB: f64 = 1024.0 * MIB as f64;

    fn points(size: impl Fn(f64) -> f64) -> Vec<Point> {
        (0..240).map(|n| (300.0 * f64::from(n), size(f64::from(n)))).collect()
    }

    #[test]
    fn growth_carries_its_slowest_and_its_fastest_quarter() {
        let points: Vec<Point> =
            (0..100).map(|n| (f64::from(n), 1000.0 * f64::from(n.max(50)))).collect();
        let growth = growth(&points).unwrap();
        assert!(growth.between.0 == 0.0 && growth.between.1 > 900.0, "{growth:?}");
        assert!(super::growth(&points[..7]).is_none());
    }

    #[test]
    fn a_warm_up_slows_and_a_line_does_not() {
        assert!(slows(&points(|n| GIB * (1.0 - (-n / 100.0).exp()))));
        assert!(!slows(&points(|n| GIB * n)));
        assert!(!slows(&points(|n| GIB * n * n)));
        assert!(!slows(&[]) && !slows(&[(0.0, 1.0), (1.0, 2.0)]));
    }

    #[test]
    fn a_series_that_grew_and_then_kept_its_level_has_settled() {
        let cache = |n: f64| GIB * (0.2 + (n / 120.0).min(1.0));
        let flat_s = settled_s(&points(cache)).unwrap();
        assert!((36_000.0..42_000.0).contains(&flat_s), "{flat_s}");
        let breathing = |n: f64| cache(n) + 0.05 * GIB * (n * 1.7).sin();
        assert!(settled_s(&points(breathing)).is_some());
    }

    #[test]
    fn a_leak_a_flat_series_and_a_short_rest_have_not_settled() {
        assert_eq!(settled_s(&points(|n| GIB * (0.2 + n / 240.0))), None, "a leak");
        assert_eq!(settled_s(&points(|_| GIB)), None, "flat");
        assert_eq!(settled_s(&points(|n| GIB * (0.2 + (n / 200.0).min(1.0)))), None, "a rest");
        assert_eq!(settled_s(&points(|n| GIB * (1.2 - (n / 120.0).min(1.0)))), None, "it fell");
        assert_eq!(settled_s(&[]), None);
    }

    proptest! {
        #[test]
        fn a_straight_line_grows_by_its_slope(slope in -1e6..1e6_f64, n in 8..200_usize) {
            let points: Vec<Point> = (0..n).map(|i| (i as f64, slope * i as f64)).collect();
            let growth = growth(&points).unwrap();
            prop_assert!((growth.rate - slope).abs() <= 1e-6 * slope.abs() + 1e-9);
        }

        #[test]
        fn growth_scales_with_the_sizes(sizes in prop::collection::vec(1e3..1e9_f64, 8..100)) {
            let line = |scale: f64| -> Vec<Point> {
                sizes.iter().enumerate().map(|(n, size)| (n as f64, scale * size)).collect()
            };
            let (one, double) = (growth(&line(1.0)).unwrap(), growth(&line(2.0)).unwrap());
            prop_assert!((double.rate - 2.0 * one.rate).abs() <= 1e-9 * one.rate.abs());
            prop_assert!(one.between.0 <= one.between.1 && one.span_s == double.span_s);
        }
    }
}
