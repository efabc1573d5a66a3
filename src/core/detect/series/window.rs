//! The tests that the block minima of one window must pass to count as growth without end.
//!
//! Larger than any fall, not slowing down, and rising with a certainty that noise does not reach.
//! CPU use may explain a growth away, or hide one.

use crate::core::detect::constants::{LEAST_RANK_SUM, RING, WINDOW_LENGTHS};
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::load::CpuLoad;
use crate::core::detect::series::median::{Size, median};
use crate::core::detect::series::ring::{Ring, rank_sum};
use crate::core::detect::series::thresholds::{LoadExcuse, TestThresholds};

/// What kind of growth a window shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrowthShape {
    /// Steady.
    Steady,
    /// Steady once the part that CPU use explains is taken out.
    AtEqualLoad,
    /// Steady, but CPU use rose as much.
    WithLoad,
    /// It certainly grows, but slows down.
    Slowing,
}

/// Median block minima of a window's first, middle and last third.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThirdMedians {
    /// Of the first third.
    pub early: f32,
    /// Of the middle third.
    pub middle: f32,
    /// Of the last third.
    pub late: f32,
}

impl ThirdMedians {
    /// Of an empty series.
    pub const FLAT: Self = Self { early: 0.0, middle: 0.0, late: 0.0 };

    /// From early to late.
    pub fn growth(&self) -> f64 {
        f64::from(self.late) - f64::from(self.early)
    }

    /// From early to middle, and from middle to late.
    pub fn halves(&self) -> (f64, f64) {
        let middle = f64::from(self.middle);
        (middle - f64::from(self.early), f64::from(self.late) - middle)
    }

    /// The same with each value times `unit`.
    pub fn scaled(&self, unit: f64) -> Self {
        let scale = |value: f32| (f64::from(value) * unit) as f32;
        Self { early: scale(self.early), middle: scale(self.middle), late: scale(self.late) }
    }
}

/// The result for a window that certainly rose.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowResult {
    /// What kind of growth it shows.
    pub growth: GrowthShape,
    /// Whether the growth stopped, or nearly so, towards the end of the window. It may be a pause.
    pub paused: bool,
    /// Its thirds.
    pub shape: ThirdMedians,
}

/// Judges the window of length `which` that ends with the newest minimum; `fall` is the largest one
/// ever seen on this level.
pub fn judge(
    ring: &Ring<'_>,
    which: usize,
    fall: u32,
    at_equal_load: bool,
    thresholds: &TestThresholds,
) -> Option<WindowResult> {
    let blocks = WINDOW_LENGTHS[which];
    let (rank, fall) = (|| ring.rank_sum(blocks), || f64::from(fall));
    let slowing = match test(ring.minima(blocks), rank, which, fall, thresholds) {
        Some(result) if result.growth == GrowthShape::Steady => {
            let unexplained =
                not_by_load(result.shape, ring.parts(blocks), thresholds.excuse).passes;
            let growth = if unexplained { GrowthShape::Steady } else { GrowthShape::WithLoad };
            return Some(WindowResult { growth, ..result });
        }
        slowing => slowing,
    };
    if at_equal_load
        && thresholds.excuse == LoadExcuse::Proportion
        && let Some(all) = ring.at_equal_load(which)
    {
        let minima = &all[RING - blocks..];
        let (rank, fall) = (|| rank_sum(minima), || largest_fall(minima));
        if let Some(result) = test(minima, rank, which, fall, thresholds)
            && result.growth == GrowthShape::Steady
        {
            return Some(WindowResult { growth: GrowthShape::AtEqualLoad, ..result });
        }
    }
    slowing
}

/// Tests for growth beyond any fall, its certainty and its shape; the costly tests come last.
fn test<T: Size>(
    minima: &[T],
    rank_sum: impl Fn() -> i32,
    which: usize,
    fall: impl Fn() -> f64,
    thresholds: &TestThresholds,
) -> Option<WindowResult> {
    let (early, late) = ends(minima);
    // Nearly all windows fail here: they need no middle.
    let flat = ThirdMedians { early, middle: early, late };
    if !enough(flat, thresholds).passes || !beyond_falls(flat, fall(), thresholds).passes {
        return None;
    }
    if !rising(rank_sum(), which).passes {
        return None;
    }
    let shape = ThirdMedians { middle: middle(minima), ..flat };
    let steady = lasting(shape, thresholds).passes;
    let growth = if steady { GrowthShape::Steady } else { GrowthShape::Slowing };
    Some(WindowResult { growth, paused: !going_on(minima, shape, thresholds).passes, shape })
}

/// What the tests of a window compare, for an explanation; sizes in the series' unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowTests {
    /// Median minima of its thirds.
    pub shape: ThirdMedians,
    /// Growth, and the least that counts.
    pub enough: Comparison,
    /// Growth, and the largest fall times the factor that it must exceed.
    pub beyond_falls: Comparison,
    /// Rank sum, and the least that noise does not reach.
    pub rising: Comparison,
    /// Growth of the second half, and the least after that of the first.
    pub lasting: Comparison,
    /// Pace of the last sixth as a share of the steady one, and the least.
    pub going_on: Comparison,
    /// Ratio of growth, and the ratio of CPU use that would explain it; passed if it does not.
    pub not_by_load: Comparison,
}

impl WindowTests {
    /// All tests of a window, not only up to the first that fails; `minima` are as they are, or
    /// less what CPU use explains.
    fn of<T: Size>(
        minima: &[T],
        parts: &[u32],
        which: usize,
        fall: f64,
        thresholds: &TestThresholds,
    ) -> Self {
        let shape = thirds(minima);
        Self {
            shape,
            enough: enough(shape, thresholds),
            beyond_falls: beyond_falls(shape, fall, thresholds),
            rising: rising(rank_sum(minima), which),
            lasting: lasting(shape, thresholds),
            going_on: going_on(minima, shape, thresholds),
            not_by_load: not_by_load(shape, parts, thresholds.excuse),
        }
    }

    /// The same with sizes in bytes, given how many the series' unit has.
    pub fn scaled(&self, unit: f64) -> Self {
        Self {
            shape: self.shape.scaled(unit),
            enough: self.enough.scaled(unit),
            beyond_falls: self.beyond_falls.scaled(unit),
            lasting: self.lasting.scaled(unit),
            ..*self
        }
    }
}

/// What [`judge`] compared to find `growth`, with the same arguments: of the minima at equal load if
/// that is growth at equal load.
pub fn explain(
    ring: &Ring<'_>,
    which: usize,
    fall: u32,
    growth: Option<GrowthShape>,
    thresholds: &TestThresholds,
) -> WindowTests {
    let blocks = WINDOW_LENGTHS[which];
    let hidden = growth == Some(GrowthShape::AtEqualLoad);
    let parts = ring.parts(blocks);
    match ring.at_equal_load(which).filter(|_| hidden) {
        Some(all) => {
            let minima = &all[RING - blocks..];
            WindowTests::of(minima, parts, which, largest_fall(minima), thresholds)
        }
        None => WindowTests::of(ring.minima(blocks), parts, which, f64::from(fall), thresholds),
    }
}

fn enough(shape: ThirdMedians, thresholds: &TestThresholds) -> Comparison {
    Comparison::at_least(shape.growth(), thresholds.least_growth)
}

fn beyond_falls(shape: ThirdMedians, fall: f64, thresholds: &TestThresholds) -> Comparison {
    Comparison::above(shape.growth(), thresholds.fall_factor * fall)
}

fn rising(rank_sum: i32, which: usize) -> Comparison {
    let least = LEAST_RANK_SUM.get(which).map_or(f64::INFINITY, |least| f64::from(*least));
    Comparison::at_least(f64::from(rank_sum), least)
}

fn lasting(shape: ThirdMedians, thresholds: &TestThresholds) -> Comparison {
    let (first, second) = shape.halves();
    Comparison::at_least(second, thresholds.second_half * first)
}

fn going_on<T: Size>(minima: &[T], shape: ThirdMedians, thresholds: &TestThresholds) -> Comparison {
    Comparison::at_least(pace(minima, shape), thresholds.final_pace)
}

/// Growth from the last third to its own second half, over what it would be at a steady pace.
fn pace<T: Size>(minima: &[T], shape: ThirdMedians) -> f64 {
    let n = minima.len();
    let (third, sixth) = (n / 3, n / 6);
    let last = f64::from(median(&minima[n - sixth..])) - f64::from(shape.late);
    let steady = shape.growth() * (third - sixth) as f64 / 2.0 / (n - third) as f64;
    last / steady
}

fn not_by_load(shape: ThirdMedians, parts: &[u32], excuse: LoadExcuse) -> Comparison {
    let third = parts.len() / 3;
    let cores = |parts: &[u32]| {
        f64::from(parts.iter().sum::<u32>()) / (CpuLoad::PER_CORE * parts.len().max(1) as f64)
    };
    let early = cores(&parts[..third]);
    let late = cores(&parts[parts.len() - third..]);
    match excuse {
        LoadExcuse::Proportion => {
            // Below 2 % of a core, ratios of CPU use are noise.
            let is = f64::from(shape.late) / f64::from(shape.early).max(f64::MIN_POSITIVE);
            let needs = late / early.max(0.02);
            Comparison { is, needs, passes: late <= 1.1 * early || is > needs }
        }
        LoadExcuse::Rise => Comparison::at_most(late, 1.1 * early + 0.02),
    }
}

fn thirds<T: Size>(minima: &[T]) -> ThirdMedians {
    let (early, late) = ends(minima);
    ThirdMedians { early, middle: middle(minima), late }
}

/// Medians of the first and the last third.
fn ends<T: Size>(minima: &[T]) -> (f32, f32) {
    let n = minima.len();
    let third = n / 3;
    (median(&minima[..third]), median(&minima[n - third..]))
}

/// Median of the middle third.
fn middle<T: Size>(minima: &[T]) -> f32 {
    let n = minima.len();
    let third = n / 3;
    let middle = (n - third) / 2;
    median(&minima[middle..middle + third])
}

fn largest_fall(minima: &[f64]) -> f64 {
    // Compared by hand: `f64::max` handles NaN, which never occurs here, and takes twice as long.
    let larger = |a: f64, b: f64| if b > a { b } else { a };
    let mut peak = 0.0;
    minima.iter().fold(0.0, |fall, &minimum| {
        peak = larger(peak, minimum);
        larger(fall, peak - minimum)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::detect::constants::Constants;

    /// Number of orders of `n` values by the number of pairs that fall.
    fn orders_by_falls(n: usize) -> Vec<u128> {
        (1..=n).fold(vec![1], |orders, size| {
            let mut next = vec![0; orders.len() + size - 1];
            for (falls, count) in orders.iter().enumerate() {
                (0..size).for_each(|more| next[falls + more] += count);
            }
            next
        })
    }

    #[test]
    fn the_least_rank_sums_are_the_exact_ones_for_1e_7() {
        for (blocks, least) in WINDOW_LENGTHS.into_iter().zip(LEAST_RANK_SUM) {
            let orders = orders_by_falls(blocks);
            let pairs = i32::try_from(blocks * (blocks - 1) / 2).unwrap();
            let tail = |least: i32| {
                let passing = orders.iter().take(((pairs - least) / 2 + 1) as usize).sum::<u128>();
                passing as f64 / orders.iter().sum::<u128>() as f64
            };
            assert!(tail(least) <= 1e-7, "{blocks}: {}", tail(least));
            assert!(tail(least - 2) > 1e-7, "{blocks}: {}", tail(least - 2));
        }
    }

    #[test]
    fn every_part_of_a_window_has_a_median() {
        for blocks in WINDOW_LENGTHS {
            let minima: Vec<u32> = (0..blocks as u32).collect();
            let shape = thirds(&minima);
            assert!(shape.early < shape.middle && shape.middle < shape.late, "{blocks}: {shape:?}");
            assert!((pace(&minima, shape) - 1.0).abs() < 0.2, "{blocks}");
        }
    }

    fn growth(minimum: impl Fn(f64) -> f64, load: impl Fn(f64) -> f64) -> Option<GrowthShape> {
        let minima = std::array::from_fn(|j| minimum(j as f64) as u32);
        let loads = std::array::from_fn(|j| CpuLoad::new(load(j as f64)));
        let thresholds = TestThresholds::footprint(&Constants::default(), 4096.0);
        judge(&Ring::new(&minima, &loads), 2, 0, true, &thresholds).map(|result| result.growth)
    }

    #[test]
    fn an_exponential_slows_down_within_its_time_constant() {
        let warm_up = |tau: f64| move |j: f64| 1e5 * (1.0 - (-j / tau).exp());
        assert_eq!(growth(warm_up(24.0), |_| 0.5), Some(GrowthShape::Slowing));
        assert_eq!(growth(warm_up(240.0), |_| 0.5), Some(GrowthShape::Steady));
    }

    #[test]
    fn load_may_explain_growth_or_hide_it() {
        let wave = |j: f64| 1.0 + (j * 1.3).sin();
        assert_eq!(growth(|j| 1e4 + 1e3 * j, |j| 0.1 + 0.1 * j), Some(GrowthShape::WithLoad));
        let hidden = move |j: f64| 1e5 + 100.0 * j + 2e3 * wave(j);
        assert_eq!(growth(hidden, |_| 0.5), None);
        assert_eq!(growth(hidden, wave), Some(GrowthShape::AtEqualLoad));
    }
}
