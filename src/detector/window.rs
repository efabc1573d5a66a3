//! Window: the tests that the floors of one window must pass to count as growth without end.
//!
//! Larger than any fall, not slowing down, and rising with a certainty that noise does not reach.
//! CPU use may explain a growth away, or hide one.

use crate::detector::check::Check;
use crate::detector::constants::{LEAST_RANK_SUM, RING};
use crate::detector::floors::{Excuse, Gauge};

/// What kind of growth a window shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Growth {
    /// Steady.
    Steady,
    /// Steady once the part that CPU use explains is taken out.
    AtEqualLoad,
    /// Steady, but CPU use rose as much.
    WithLoad,
    /// Certain, but slowing down.
    Slowing,
}

/// Floors as they are, in whole units, or less what CPU use explains.
pub trait Size: Copy + PartialOrd + Into<f64> {}

impl Size for u32 {}

impl Size for f64 {}

/// Median floors of a window's first, middle and last third.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Shape {
    /// Of the first third.
    pub early: f32,
    /// Of the middle third.
    pub middle: f32,
    /// Of the last third.
    pub late: f32,
}

impl Shape {
    /// Of a series that is nothing.
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

/// A window that rose for certain, and how.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Found {
    /// What kind of growth it shows.
    pub growth: Growth,
    /// Whether the growth stopped, or nearly so, towards the end of the window. It may be a pause.
    pub paused: bool,
    /// How it went.
    pub shape: Shape,
}

/// Judges a window: `floors` and the mean CPU use of each, oldest first, and the floors' rank sum,
/// both asked for where they matter; `which` of the three lengths it has; the largest `fall` ever
/// seen at this scale.
pub fn judge<'a>(
    floors: &[u32],
    loads: impl Fn() -> &'a [f64],
    rank_sum: impl Fn() -> i32,
    (which, fall): (usize, f64),
    at_equal_load: bool,
    gauge: &Gauge,
) -> Option<Found> {
    let slowing = match test(floors, rank_sum, which, fall, gauge) {
        Some(found) if found.growth == Growth::Steady => {
            let stands = not_by_load(found.shape, loads(), gauge.excuse).passes;
            let growth = if stands { Growth::Steady } else { Growth::WithLoad };
            return Some(Found { growth, ..found });
        }
        slowing => slowing,
    };
    if at_equal_load
        && gauge.excuse == Excuse::Proportion
        && let Some(level) = level_load(floors, loads())
    {
        let level = &level[..floors.len()];
        if let Some(found) = test(level, || ranks(level), which, largest_fall(level), gauge)
            && found.growth == Growth::Steady
        {
            return Some(Found { growth: Growth::AtEqualLoad, ..found });
        }
    }
    slowing
}

/// Growth beyond any fall, its shape, and the rank test; the dear test comes last.
fn test<T: Size>(
    floors: &[T],
    rank_sum: impl Fn() -> i32,
    which: usize,
    fall: f64,
    gauge: &Gauge,
) -> Option<Found> {
    let (early, late) = ends(floors);
    // Nearly all windows end here: they need no middle.
    let flat = Shape { early, middle: early, late };
    if !enough(flat, gauge).passes || !beyond_falls(flat, fall, gauge).passes {
        return None;
    }
    if !rising(rank_sum(), which).passes {
        return None;
    }
    let shape = Shape { middle: middle(floors), ..flat };
    let steady = lasting(shape, gauge).passes;
    let growth = if steady { Growth::Steady } else { Growth::Slowing };
    Some(Found { growth, paused: !going_on(floors, shape, gauge).passes, shape })
}

/// What the tests of a window compare, for an explanation; sizes in the series' unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Tests {
    /// Median floors of its thirds.
    pub shape: Shape,
    /// Growth, and the least that is any.
    pub enough: Check,
    /// Growth, and the largest fall times the factor that it must exceed.
    pub beyond_falls: Check,
    /// Rank sum, and the least that noise does not reach.
    pub rising: Check,
    /// Growth of the second half, and the least after that of the first.
    pub lasting: Check,
    /// Pace of the last sixth as a share of the steady one, and the least.
    pub going_on: Check,
    /// Ratio of growth, and the ratio of CPU use that would explain it; passed if it does not.
    pub not_by_load: Check,
}

impl Tests {
    /// All tests of a window, those behind the first that fails too. `floors` as they are, or less
    /// what CPU use explains.
    fn of<T: Size>(floors: &[T], loads: &[f64], which: usize, fall: f64, gauge: &Gauge) -> Self {
        let shape = thirds(floors);
        Self {
            shape,
            enough: enough(shape, gauge),
            beyond_falls: beyond_falls(shape, fall, gauge),
            rising: rising(ranks(floors), which),
            lasting: lasting(shape, gauge),
            going_on: going_on(floors, shape, gauge),
            not_by_load: not_by_load(shape, loads, gauge.excuse),
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

/// What [`judge`] compared to come to `found`, with the same arguments; if that is growth at equal
/// load, of the floors at equal load.
pub fn explain(
    floors: &[u32],
    loads: &[f64],
    which: usize,
    fall: f64,
    found: Option<Growth>,
    gauge: &Gauge,
) -> Tests {
    let hidden = found == Some(Growth::AtEqualLoad);
    match level_load(floors, loads).filter(|_| hidden) {
        Some(level) => {
            let level = &level[..floors.len()];
            Tests::of(level, loads, which, largest_fall(level), gauge)
        }
        None => Tests::of(floors, loads, which, fall, gauge),
    }
}

fn enough(shape: Shape, gauge: &Gauge) -> Check {
    Check::at_least(shape.growth(), gauge.least)
}

fn beyond_falls(shape: Shape, fall: f64, gauge: &Gauge) -> Check {
    Check::above(shape.growth(), gauge.swing * fall)
}

fn rising(rank_sum: i32, which: usize) -> Check {
    let least = LEAST_RANK_SUM.get(which).map_or(f64::INFINITY, |least| f64::from(*least));
    Check::at_least(f64::from(rank_sum), least)
}

fn lasting(shape: Shape, gauge: &Gauge) -> Check {
    let (first, second) = shape.halves();
    Check::at_least(second, gauge.shape * first)
}

fn going_on<T: Size>(floors: &[T], shape: Shape, gauge: &Gauge) -> Check {
    Check::at_least(pace(floors, shape), gauge.pace)
}

/// Growth from the last third to its own second half, over what it would be at a steady pace.
fn pace<T: Size>(floors: &[T], shape: Shape) -> f64 {
    let n = floors.len();
    let (third, sixth) = (n / 3, n / 6);
    let last = f64::from(median(&floors[n - sixth..])) - f64::from(shape.late);
    let steady = shape.growth() * (third - sixth) as f64 / 2.0 / (n - third) as f64;
    last / steady
}

fn not_by_load(shape: Shape, loads: &[f64], excuse: Excuse) -> Check {
    let third = loads.len() / 3;
    let mean = |loads: &[f64]| loads.iter().sum::<f64>() / loads.len().max(1) as f64;
    let early = mean(&loads[..third]);
    let late = mean(&loads[loads.len() - third..]);
    match excuse {
        Excuse::Proportion => {
            // Below 2 % of a core, ratios of CPU use are noise.
            let is = f64::from(shape.late) / f64::from(shape.early).max(f64::MIN_POSITIVE);
            let needs = late / early.max(0.02);
            Check { is, needs, passes: late <= 1.1 * early || is > needs }
        }
        Excuse::Rise => Check::at_most(late, 1.1 * early + 0.02),
    }
}

fn thirds<T: Size>(floors: &[T]) -> Shape {
    let (early, late) = ends(floors);
    Shape { early, middle: middle(floors), late }
}

/// Medians of the first and the last third.
fn ends<T: Size>(floors: &[T]) -> (f32, f32) {
    let n = floors.len();
    let third = n / 3;
    (median(&floors[..third]), median(&floors[n - third..]))
}

/// Median of the middle third.
fn middle<T: Size>(floors: &[T]) -> f32 {
    let n = floors.len();
    let third = n / 3;
    let middle = (n - third) / 2;
    median(&floors[middle..middle + third])
}

/// The fewest comparisons that sort so many values (Knuth 5.3.4): the thirds and sixths of windows.
const TWO: [(usize, usize); 1] = [(0, 1)];
const FOUR: [(usize, usize); 5] = [(0, 1), (2, 3), (0, 2), (1, 3), (1, 2)];
#[rustfmt::skip]
const FIVE: [(usize, usize); 9] =
    [(0, 3), (1, 4), (0, 2), (1, 3), (0, 1), (2, 4), (1, 2), (3, 4), (2, 3)];
#[rustfmt::skip]
const EIGHT: [(usize, usize); 19] = [
    (0, 1), (2, 3), (4, 5), (6, 7), (0, 2), (1, 3), (4, 6), (5, 7), (1, 2), (5, 6),
    (0, 4), (1, 5), (2, 6), (3, 7), (2, 4), (3, 5), (1, 2), (3, 4), (5, 6),
];

/// Sorts without a branch: sorting by insertion was a third of the time of replaying a recording.
fn sort<T: Size, const N: usize, const M: usize>(
    values: &mut [T; N],
    network: [(usize, usize); M],
) {
    for (a, b) in network {
        let (x, y) = (values[a], values[b]);
        values[a] = if y < x { y } else { x };
        values[b] = if y < x { x } else { y };
    }
}

/// Median of a third or a sixth of a window.
fn median<T: Size>(values: &[T]) -> f32 {
    fn of<T: Size, const N: usize, const M: usize>(
        values: &[T],
        network: [(usize, usize); M],
    ) -> Option<f32> {
        let mut sorted: [T; N] = values.try_into().ok()?;
        sort(&mut sorted, network);
        let upper = sorted[N / 2].into();
        let even = N.is_multiple_of(2);
        Some((if even { f64::midpoint(sorted[N / 2 - 1].into(), upper) } else { upper }) as f32)
    }
    of::<T, 4, 5>(values, FOUR)
        .or_else(|| of::<T, 5, 9>(values, FIVE))
        .or_else(|| of::<T, 8, 19>(values, EIGHT))
        .or_else(|| of::<T, 2, 1>(values, TWO))
        .unwrap_or(f32::NAN)
}

/// Pairs that rise less pairs that fall (Kendall's S), from each floor on: what the windows of one
/// level share is compared once, and by distance, so that the compiler compares four pairs at once.
/// It was the dearest part of judging a leak.
pub fn rank_sums<T: Size>(floors: &[T; RING]) -> [i32; RING] {
    let mut sums = [0; RING];
    for distance in 1..RING {
        for ((sum, early), late) in sums.iter_mut().zip(floors).zip(&floors[distance..]) {
            *sum += i32::from(late > early) - i32::from(late < early);
        }
    }
    for i in (1..RING).rev() {
        sums[i - 1] += sums[i];
    }
    sums
}

/// The same of a window, whatever its length.
fn ranks<T: Size>(floors: &[T]) -> i32 {
    // Before the first floor there are its equals: they neither rise nor fall.
    let Some(first) = floors.first() else { return 0 };
    let mut all = [*first; RING];
    all[RING - floors.len()..].copy_from_slice(floors);
    rank_sums(&all)[RING - floors.len()]
}

fn largest_fall(floors: &[f64]) -> f64 {
    let mut peak = 0.0_f64;
    floors.iter().fold(0.0, |fall: f64, &floor| {
        peak = peak.max(floor);
        fall.max(peak - floor)
    })
}

/// The floors less what CPU use explains, time held fixed, where it does: the window holds a real
/// swing of load, load does not itself trend, and more load means more memory.
fn level_load(floors: &[u32], loads: &[f64]) -> Option<[f64; RING]> {
    let n = floors.len() as f64;
    let mean_load = loads.iter().sum::<f64>() / n;
    let least = loads.iter().copied().fold(f64::MAX, f64::min);
    let most = loads.iter().copied().fold(0.0, f64::max);
    if most <= least || most - least < 0.5 * mean_load {
        return None;
    }
    let mean_floor = floors.iter().copied().map(f64::from).sum::<f64>() / n;
    let mean_time = (n - 1.0) / 2.0;
    let (mut uu, mut tu, mut uf, mut tf, mut tt) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (j, (load, floor)) in loads.iter().zip(floors.iter()).enumerate() {
        let (u, f, t) = (load - mean_load, f64::from(*floor) - mean_floor, j as f64 - mean_time);
        uu += u * u;
        tu += t * u;
        uf += u * f;
        tf += t * f;
        tt += t * t;
    }
    let determinant = uu * tt - tu * tu;
    if uu <= 0.0 || determinant < 0.4 * uu * tt {
        return None;
    }
    let per_core = (uf * tt - tf * tu) / determinant;
    if per_core <= 0.0 {
        return None;
    }
    let mut level = [0.0; RING];
    for (level, (floor, load)) in level.iter_mut().zip(floors.iter().zip(loads)) {
        *level = f64::from(*floor) - per_core * (load - mean_load);
    }
    Some(level)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::constants::{Constants, WINDOWS};

    /// Number of orders of `n` floors by the number of pairs that fall.
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
        for (blocks, least) in WINDOWS.into_iter().zip(LEAST_RANK_SUM) {
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

    proptest::proptest! {
        #[test]
        fn rank_sums_count_pairs(floors: [u8; RING], length in 0..=RING) {
            let floors = floors.map(|floor| u32::from(floor % 32));
            let window = &floors[RING - length..];
            let pairs = (0..length).flat_map(|late| (0..late).map(move |early| (early, late)));
            let counted: i32 = pairs.map(|(early, late)| window[late].cmp(&window[early]) as i32).sum();
            proptest::prop_assert_eq!(ranks(window), counted);
            proptest::prop_assert!(length == 0 || rank_sums(&floors)[RING - length] == counted);
        }
    }

    #[test]
    fn values_are_sorted_whatever_their_order() {
        fn check<const N: usize, const M: usize>(network: [(usize, usize); M]) {
            // What sorts all series of zeros and ones sorts everything (Knuth 5.3.4, theorem Z).
            for bits in 0..1_u32 << N {
                let mut values: [f64; N] = std::array::from_fn(|i| f64::from(bits >> i & 1));
                sort(&mut values, network);
                assert!(values.is_sorted(), "{N}: {bits:b}");
            }
        }
        check::<2, 1>(TWO);
        check::<4, 5>(FOUR);
        check::<5, 9>(FIVE);
        check::<8, 19>(EIGHT);
    }

    #[test]
    fn every_part_of_a_window_has_a_median() {
        for blocks in WINDOWS {
            let floors: Vec<u32> = (0..blocks as u32).collect();
            let shape = thirds(&floors);
            assert!(shape.early < shape.middle && shape.middle < shape.late, "{blocks}: {shape:?}");
            assert!((pace(&floors, shape) - 1.0).abs() < 0.2, "{blocks}");
        }
    }

    fn look(floor: impl Fn(f64) -> f64, load: impl Fn(f64) -> f64) -> Option<Growth> {
        let floors: Vec<u32> = (0..24).map(|j| floor(f64::from(j)) as u32).collect();
        let loads: Vec<f64> = (0..24).map(|j| load(f64::from(j))).collect();
        let gauge = Gauge::footprint(&Constants::default(), 4096.0);
        judge(&floors, || &loads, || ranks(&floors), (2, 0.0), true, &gauge)
            .map(|found| found.growth)
    }

    #[test]
    fn an_exponential_slows_down_within_its_time_constant() {
        let warm_up = |tau: f64| move |j: f64| 1e5 * (1.0 - (-j / tau).exp());
        assert_eq!(look(warm_up(24.0), |_| 0.5), Some(Growth::Slowing));
        assert_eq!(look(warm_up(240.0), |_| 0.5), Some(Growth::Steady));
    }

    #[test]
    fn load_may_explain_growth_or_hide_it() {
        let wave = |j: f64| 1.0 + (j * 1.3).sin();
        assert_eq!(look(|j| 1e4 + 1e3 * j, |j| 0.1 + 0.1 * j), Some(Growth::WithLoad));
        let hidden = move |j: f64| 1e5 + 100.0 * j + 2e3 * wave(j);
        assert_eq!(look(hidden, |_| 0.5), None);
        assert_eq!(look(hidden, wave), Some(Growth::AtEqualLoad));
    }
}
