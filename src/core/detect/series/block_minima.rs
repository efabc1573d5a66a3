//! One series seen at every time scale at once, in bounded memory.
//!
//! A level keeps the minima of blocks of 2^l samples: memory that a garbage collector or an emptied
//! pool gives back does not show in them, memory that is never given back does. Of each level the last 12, 17
//! and 24 minima are judged as they come in, so that windows from seconds to days always end now
//! and differ in length by a factor of at most 1.4.

use crate::core::detect::constants::{INTERVAL_LEVEL, LEVELS, RING, WINDOW_LENGTHS};
use crate::core::detect::sample_clock::{SampleTime, block};
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::series::load::CpuLoad;
use crate::core::detect::series::ring::Ring;
use crate::core::detect::series::thresholds::{LoadExcuse, TestThresholds};
use crate::core::detect::series::window;
use crate::core::detect::series::window::{GrowthShape, ThirdMedians, WindowResult, WindowTests};

/// From this level on, windows are judged at equal load even where the newest minimum is not higher
/// than the first: load may hide the growth.
const LOAD_MAY_HIDE: usize = INTERVAL_LEVEL + 3;

/// A series, seen at every time scale.
#[derive(Clone)]
pub struct Series {
    scales: [TimeScale; LEVELS],
    unit: f64,
    /// The shapes of the windows that show growth, while any does.
    shapes: Option<Box<Shapes>>,
}

type Shapes = [[ThirdMedians; WINDOW_LENGTHS.len()]; LEVELS];

impl Series {
    /// An empty series whose values count `unit` bytes each.
    pub fn new(unit: f64) -> Self {
        Self { scales: [TimeScale::EMPTY; LEVELS], unit, shapes: None }
    }

    /// Adds a value and the CPU use, in cores, that went with it. Returns whether a window that grew
    /// was judged, so that a verdict may have changed.
    pub fn push(
        &mut self,
        moment: &SampleTime,
        value: u64,
        load: f64,
        thresholds: &TestThresholds,
    ) -> bool {
        if moment.gap {
            self.scales.iter_mut().for_each(|scale| scale.half = BlockMinimum::NONE);
        }
        let mut judged = false;
        let value = ((value as f64 / self.unit) as u32).min(BlockMinimum::MAX);
        let mut minimum = BlockMinimum { value, load: CpuLoad::new(load) };
        for (level, scale) in self.scales.iter_mut().enumerate().skip(moment.level) {
            scale.enter(moment.now, block(level));
            scale.append(minimum);
            judged |= scale.judge(level, thresholds, &mut self.shapes);
            let value = std::mem::replace(&mut scale.half, BlockMinimum::NONE);
            if value == BlockMinimum::NONE {
                scale.half = minimum.value;
                scale.half_load = minimum.load;
                break;
            }
            minimum = minimum.join(BlockMinimum { value, load: scale.half_load });
        }
        if judged && self.scales.iter().all(TimeScale::shows_no_growth) {
            self.shapes = None;
        }
        judged
    }

    /// The newest minima of a level, in the series' unit.
    pub fn minima(&self, level: usize, blocks: usize) -> &[u32] {
        &self.scales[level].minima[RING - blocks..]
    }

    /// The minimum of the block of a level that ended with the last value, if one did.
    pub fn new_minimum(&self, level: usize, now: u64) -> Option<f64> {
        let scale = self.scales.get(level)?;
        let is_new = scale.len > 0 && scale.last == now as u32;
        is_new.then(|| f64::from(scale.minima[RING - 1]) * self.unit)
    }

    /// What the newest blocks of a level grew by, in bytes, and their mean CPU use in cores; none
    /// if there are not so many.
    pub fn growth_and_load(&self, level: usize, blocks: usize) -> Option<(f64, f64)> {
        let scale = &self.scales[level];
        let minima = self.minima(level, blocks);
        let (first, last) = (minima.first()?, minima.last()?);
        let growth = (f64::from(*last) - f64::from(*first)) * self.unit;
        let loads = scale.loads[RING - blocks..].iter().map(|load| f64::from(load.parts()));
        let load = loads.sum::<f64>() / (CpuLoad::PER_CORE * blocks as f64);
        (usize::from(scale.len) >= blocks).then_some((growth, load))
    }

    /// The mean CPU use in cores of the first and the last third of the newest blocks of a level.
    pub fn loads(&self, level: usize, blocks: usize) -> (f64, f64) {
        let loads = &self.scales[level].loads[RING - blocks..];
        let third = blocks / 3;
        let cores = |loads: &[CpuLoad]| {
            let parts = loads.iter().map(|load| f64::from(load.parts())).sum::<f64>();
            parts / (CpuLoad::PER_CORE * third.max(1) as f64)
        };
        (cores(&loads[..third]), cores(&loads[blocks - third..]))
    }

    /// The scales whose windows are not older than two of their blocks, by level.
    fn fresh(&self, now: u64) -> impl Iterator<Item = (usize, &TimeScale)> {
        self.scales.iter().enumerate().filter(move |(level, scale)| {
            scale.len > 0 && u64::from(scale.since(now)) <= 2 * block(*level)
        })
    }

    /// The windows that passed, short ones first: a level's longest is as long as the next level's
    /// shortest.
    pub fn growth_windows(&self, now: u64) -> impl Iterator<Item = GrowthWindow> {
        let unit = self.unit;
        let growing = self.fresh(now).filter(|(_, scale)| !scale.shows_no_growth());
        growing.flat_map(move |(level, scale)| {
            let shapes = self.shapes.as_ref().map(|shapes| shapes[level]);
            WINDOW_LENGTHS.into_iter().enumerate().filter_map(move |(which, blocks)| {
                let growth = scale.results[which].growth()?;
                let paused = scale.results[which].is_paused();
                let shape = shapes?[which].scaled(unit);
                let passes = scale.passes[which];
                Some(GrowthWindow { level, blocks, shape, growth, paused, passes })
            })
        })
    }

    /// All windows that are full, passed or not, short levels first, for an explanation.
    pub fn full_windows(
        &self,
        now: u64,
        thresholds: &TestThresholds,
    ) -> impl Iterator<Item = FullWindow> {
        self.fresh(now).flat_map(move |(level, scale)| {
            let full = move |&(_, blocks): &(usize, usize)| blocks <= usize::from(scale.len);
            WINDOW_LENGTHS.into_iter().enumerate().filter(full).map(move |(which, blocks)| {
                let growth = scale.results[which].growth();
                let ring = Ring::new(&scale.minima, &scale.loads);
                let tests = window::explain(&ring, which, scale.fall, growth, thresholds);
                FullWindow {
                    level,
                    blocks,
                    ends_higher: scale.ends_higher(blocks, thresholds).scaled(self.unit),
                    tests: tests.scaled(self.unit),
                    growth,
                }
            })
        })
    }
}

/// A full window, passed or not: what its tests compare, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FullWindow {
    /// The level of its blocks.
    pub level: usize,
    /// Its length in blocks.
    pub blocks: usize,
    /// Newest minimum less first, and half the least growth: below it nothing else is tested,
    /// unless load may hide the growth.
    pub ends_higher: Comparison,
    /// All others.
    pub tests: WindowTests,
    /// What kind of growth it shows, if any.
    pub growth: Option<GrowthShape>,
}

impl FullWindow {
    /// Its length in finest blocks.
    pub fn length(&self) -> u64 {
        self.blocks as u64 * block(self.level)
    }

    /// Blocks from the middle of its first third to that of its last.
    pub fn apart(&self) -> usize {
        self.blocks - self.blocks / 3
    }
}

/// A block's minimum and mean CPU use.
#[derive(Clone, Copy, Debug, PartialEq)]
struct BlockMinimum {
    value: u32,
    load: CpuLoad,
}

impl BlockMinimum {
    /// The highest: 16 TiB in pages.
    const MAX: u32 = u32::MAX - 1;
    /// No minimum; an `Option` would make each level 4 bytes larger.
    const NONE: u32 = u32::MAX;

    fn join(self, other: Self) -> Self {
        Self { value: self.value.min(other.value), load: self.load.mean(other.load) }
    }
}

/// The result of a window's last judgement, but for its shape, in one byte.
#[derive(Clone, Copy, Default, PartialEq)]
struct PackedResult(u8);

impl PackedResult {
    const PAUSED: u8 = 0x80;
    const GROWTHS: [GrowthShape; 4] = [
        GrowthShape::Steady,
        GrowthShape::AtEqualLoad,
        GrowthShape::WithLoad,
        GrowthShape::Slowing,
    ];

    fn new(result: &WindowResult) -> Self {
        let code = Self::GROWTHS.iter().position(|growth| *growth == result.growth);
        let paused = if result.paused { Self::PAUSED } else { 0 };
        Self(code.map_or(0, |code| code as u8 + 1) | paused)
    }

    fn growth(self) -> Option<GrowthShape> {
        let code = usize::from(self.0 & !Self::PAUSED).checked_sub(1)?;
        Self::GROWTHS.get(code).copied()
    }

    fn is_paused(self) -> bool {
        self.0 & Self::PAUSED != 0
    }
}

/// One time scale. Each process has 16 of them, so bytes count.
#[derive(Clone, Copy)]
struct TimeScale {
    /// The last block minima, newest last.
    minima: [u32; RING],
    loads: [CpuLoad; RING],
    len: u8,
    passes: [u8; WINDOW_LENGTHS.len()],
    results: [PackedResult; WINDOW_LENGTHS.len()],
    /// The first half of the next level's block, if there is one.
    half: u32,
    half_load: CpuLoad,
    /// Highest minimum ever, and the largest fall from a highest minimum.
    peak: u32,
    fall: u32,
    /// When the newest minimum came in, in finest blocks, modulo 2^32.
    last: u32,
}

impl TimeScale {
    const EMPTY: Self = Self {
        minima: [0; RING],
        loads: [CpuLoad::NONE; RING],
        len: 0,
        passes: [0; WINDOW_LENGTHS.len()],
        results: [PackedResult(0); WINDOW_LENGTHS.len()],
        half: BlockMinimum::NONE,
        half_load: CpuLoad::NONE,
        peak: 0,
        fall: 0,
        last: 0,
    };

    /// Forgets minima from before a pause, but not how far they ever fell.
    fn enter(&mut self, now: u64, block: u64) {
        if self.len > 0 && u64::from(self.since(now)) > 3 * block {
            let (peak, fall) = (self.peak, self.fall);
            *self = Self { peak, fall, ..Self::EMPTY };
        }
        self.last = now as u32;
    }

    /// Finest blocks since the newest minimum.
    fn since(&self, now: u64) -> u32 {
        (now as u32).wrapping_sub(self.last)
    }

    fn append(&mut self, minimum: BlockMinimum) {
        self.fall = self.fall.max(self.peak.saturating_sub(minimum.value));
        self.peak = self.peak.max(minimum.value);
        self.minima.copy_within(1.., 0);
        self.loads.copy_within(1.., 0);
        self.minima[RING - 1] = minimum.value;
        self.loads[RING - 1] = minimum.load;
        self.len = (self.len + 1).min(RING as u8);
    }

    fn judge(
        &mut self,
        level: usize,
        thresholds: &TestThresholds,
        shapes: &mut Option<Box<Shapes>>,
    ) -> bool {
        let may_hide = level >= LOAD_MAY_HIDE && thresholds.excuse == LoadExcuse::Proportion;
        let ring = Ring::new(&self.minima, &self.loads);
        let mut judged = false;
        for (which, blocks) in WINDOW_LENGTHS.into_iter().enumerate() {
            if blocks > usize::from(self.len) {
                break;
            }
            // The cheap exit: nearly all windows of nearly all processes take it.
            let result = if !may_hide && !self.ends_higher(blocks, thresholds).passes {
                None
            } else {
                judged = true;
                window::judge(&ring, which, self.fall, level > INTERVAL_LEVEL, thresholds)
            };
            if let Some(result) = &result {
                let shapes = shapes.get_or_insert_with(|| Box::new([[ThirdMedians::FLAT; _]; _]));
                shapes[level][which] = result.shape;
            }
            self.passes[which] = match result {
                Some(result) if result.growth != GrowthShape::Slowing => {
                    self.passes[which].saturating_add(1)
                }
                _ => 0,
            };
            self.results[which] =
                result.as_ref().map_or(PackedResult::default(), PackedResult::new);
        }
        judged
    }

    fn shows_no_growth(&self) -> bool {
        self.results == [PackedResult::default(); _]
    }

    fn ends_higher(&self, blocks: usize, thresholds: &TestThresholds) -> Comparison {
        let rise = f64::from(self.minima[RING - 1]) - f64::from(self.minima[RING - blocks]);
        Comparison::at_least(rise, thresholds.least_growth / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::detect::constants::Constants;

    #[test]
    fn a_series_is_small() {
        // Each process has one, each parent two more; shapes are kept only while something grows.
        let sizes = (size_of::<Series>(), size_of::<Shapes>());
        assert!(sizes.0 <= 2320 && sizes.1 <= 576, "{sizes:?} B");
    }

    #[test]
    fn levels_are_pushed_by_whole_pairs_and_forgotten_after_a_pause() {
        let thresholds = TestThresholds::footprint(&Constants::default(), 1.0);
        let mut series = Series::new(1.0);
        let mut now = 0;
        let mut push = |series: &mut Series, level: usize, value: u64| {
            now += block(level);
            series.push(
                &SampleTime { now, level, step_s: 1.0, gap: false },
                value,
                0.5,
                &thresholds,
            );
        };
        for value in [7, 5, 9, 8, 6] {
            push(&mut series, INTERVAL_LEVEL, value);
        }
        let newest = |series: &Series, level: usize| {
            let TimeScale { minima, len, .. } = series.scales[level];
            minima[RING - usize::from(len)..].to_vec()
        };
        assert_eq!(newest(&series, INTERVAL_LEVEL), [7, 5, 9, 8, 6]);
        assert_eq!(newest(&series, INTERVAL_LEVEL + 1), [5, 8]);
        assert_eq!(newest(&series, INTERVAL_LEVEL + 2), [5]);
        // Two samples at half the interval make one block of the whole.
        push(&mut series, INTERVAL_LEVEL - 1, 4);
        push(&mut series, INTERVAL_LEVEL - 1, 3);
        assert_eq!(newest(&series, INTERVAL_LEVEL - 1), [4, 3]);
        assert_eq!(newest(&series, INTERVAL_LEVEL), [7, 5, 9, 8, 6, 3]);
        for value in 10..20 {
            push(&mut series, INTERVAL_LEVEL, value);
        }
        push(&mut series, INTERVAL_LEVEL - 1, 2);
        assert_eq!(
            newest(&series, INTERVAL_LEVEL - 1),
            [2],
            "the minima before the pause are forgotten"
        );
    }
}
