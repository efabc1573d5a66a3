//! Floors: one series seen at every time scale at once, in bounded memory.
//!
//! A level keeps the minima ("floors") of blocks of 2^l samples: what a garbage collector or an
//! emptied pool gives back does not show in them, what is never given back does. Of each level the
//! last 12, 17 and 24 floors are judged as they come in, so that windows from seconds to days
//! always end now and differ in length by at most 1.4.

use crate::core::detect::constants::{Constants, FINE, LEVELS, RING, WINDOWS};
use crate::core::detect::sample_clock::{SampleTime, block};
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::load::CpuLoad;
use crate::core::detect::series::ring::Ring;
use crate::core::detect::series::window;
use crate::core::detect::series::window::{GrowthShape, ThirdMedians, WindowResult, WindowTests};

/// Levels this far above the planned interval are judged at equal load even where the newest floor
/// is not higher than the first: load may hide the growth.
const HIDDEN: usize = FINE + 3;

/// How a series is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TestThresholds {
    /// Least growth, in the series' unit.
    pub least: f64,
    /// Least share of the first half's growth in the second.
    pub shape: f64,
    /// Least pace of the last sixth, as a share of the steady one.
    pub pace: f64,
    /// Least ratio of growth to the largest fall.
    pub swing: f64,
    /// What CPU use may excuse.
    pub excuse: LoadExcuse,
}

/// What CPU use may excuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadExcuse {
    /// A footprint may grow in step with CPU use, and may hide its growth behind it.
    Proportion,
    /// A number of children may grow as CPU use grows at all: they work, they are not left over.
    Rise,
}

impl TestThresholds {
    /// For footprints, counted in pages.
    pub fn footprint(constants: &Constants, page_size: f64) -> Self {
        let Constants { least_growth, shape, pace, swing, .. } = *constants;
        Self { least: least_growth / page_size, shape, pace, swing, excuse: LoadExcuse::Proportion }
    }

    /// For numbers of children.
    pub fn count(constants: &Constants) -> Self {
        let Constants { child_leak, shape, pace, swing, .. } = *constants;
        Self { least: child_leak, shape, pace, swing, excuse: LoadExcuse::Rise }
    }
}

/// A series, seen at every time scale.
#[derive(Clone)]
pub struct Series {
    levels: [TimeScale; LEVELS],
    unit: f64,
    /// The shapes of those windows that show anything, while any does.
    shapes: Option<Box<Shapes>>,
}

type Shapes = [[ThirdMedians; WINDOWS.len()]; LEVELS];

/// A window that passed its tests and is not yet older than two of its blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GrowthWindow {
    /// The level of its blocks.
    pub level: usize,
    /// Its length in blocks.
    pub blocks: usize,
    /// Its length in finest blocks.
    pub window: u64,
    /// Median floors of its first, middle and last third.
    pub shape: ThirdMedians,
    /// What kind of growth it shows.
    pub growth: GrowthShape,
    /// Whether the growth has paused.
    pub paused: bool,
    /// Consecutive windows of this length that passed.
    pub passes: u8,
}

impl GrowthWindow {
    /// Growth per finest block.
    pub fn slope(&self) -> f64 {
        self.shape.growth() / (self.apart() as u64 * block(self.level)) as f64
    }

    /// Blocks from the middle of its first third to that of its last.
    pub fn apart(&self) -> usize {
        self.blocks - self.blocks / 3
    }
}

impl Series {
    /// An empty series whose values count `unit` bytes each.
    pub fn new(unit: f64) -> Self {
        Self { levels: [TimeScale::EMPTY; LEVELS], unit, shapes: None }
    }

    /// Adds a value and the CPU use, in cores, that went with it; says whether a window that grew
    /// was judged, so that a verdict may have changed.
    pub fn push(
        &mut self,
        moment: &SampleTime,
        value: u64,
        load: f64,
        thresholds: &TestThresholds,
    ) -> bool {
        if moment.gap {
            self.levels.iter_mut().for_each(|level| level.half = BlockMinimum::NONE);
        }
        let mut judged = false;
        let value = ((value as f64 / self.unit) as u32).min(BlockMinimum::MAX);
        let mut floor = BlockMinimum { value, load: CpuLoad::new(load) };
        for (index, level) in self.levels.iter_mut().enumerate().skip(moment.level) {
            level.enter(moment.now, block(index));
            level.append(floor);
            judged |= level.judge(index, thresholds, &mut self.shapes);
            let value = std::mem::replace(&mut level.half, BlockMinimum::NONE);
            if value == BlockMinimum::NONE {
                (level.half, level.half_load) = (floor.value, floor.load);
                break;
            }
            floor = floor.join(BlockMinimum { value, load: level.half_load });
        }
        if judged && self.levels.iter().all(TimeScale::shows_nothing) {
            self.shapes = None;
        }
        judged
    }

    /// The levels whose windows are not older than two of their blocks, short ones first.
    fn fresh(&self, now: u64) -> impl Iterator<Item = (usize, &TimeScale)> {
        self.levels.iter().enumerate().filter(move |(index, level)| {
            level.len > 0 && u64::from(level.since(now)) <= 2 * block(*index)
        })
    }

    /// The windows that passed, short ones first: a level's longest is as long as the next level's
    /// shortest.
    pub fn candidates(&self, now: u64) -> impl Iterator<Item = GrowthWindow> {
        let unit = self.unit;
        let showing = self.fresh(now).filter(|(_, level)| !level.shows_nothing());
        showing.flat_map(move |(index, level)| {
            let shapes = self.shapes.as_ref().map(|shapes| shapes[index]);
            WINDOWS.into_iter().enumerate().filter_map(move |(which, blocks)| {
                let growth = level.shows[which].growth()?;
                let paused = level.shows[which].is_paused();
                let shape = shapes?[which].scaled(unit);
                let window = blocks as u64 * block(index);
                let passes = level.passes[which];
                Some(GrowthWindow { level: index, blocks, window, shape, growth, paused, passes })
            })
        })
    }

    /// All windows that are full, passed or not, short levels first, for an explanation.
    pub fn looks(&self, now: u64, thresholds: &TestThresholds) -> impl Iterator<Item = FullWindow> {
        self.fresh(now).flat_map(move |(index, level)| {
            let full = move |&(_, blocks): &(usize, usize)| blocks <= usize::from(level.len);
            WINDOWS.into_iter().enumerate().filter(full).map(move |(which, blocks)| {
                let growth = level.shows[which].growth();
                let ring = Ring::new(&level.floors, &level.loads);
                let tests = window::explain(&ring, which, level.fall, growth, thresholds);
                FullWindow {
                    level: index,
                    blocks,
                    window: blocks as u64 * block(index),
                    ends_higher: level.ends_higher(blocks, thresholds).scaled(self.unit),
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
    /// Its length in finest blocks.
    pub window: u64,
    /// Newest floor less first, and half the least growth: below it nothing else is looked at,
    /// unless load may hide the growth.
    pub ends_higher: Comparison,
    /// All others.
    pub tests: WindowTests,
    /// What kind of growth it shows, if any.
    pub growth: Option<GrowthShape>,
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
    /// None at all; an `Option` would make each level 4 bytes larger.
    const NONE: u32 = u32::MAX;

    fn join(self, other: Self) -> Self {
        Self { value: self.value.min(other.value), load: self.load.mean(other.load) }
    }
}

/// What a window showed when it was last judged, but for its shape, in one byte.
#[derive(Clone, Copy, Default, PartialEq)]
struct WindowFlags(u8);

impl WindowFlags {
    const PAUSED: u8 = 0x80;
    const GROWTHS: [GrowthShape; 4] = [
        GrowthShape::Steady,
        GrowthShape::AtEqualLoad,
        GrowthShape::WithLoad,
        GrowthShape::Slowing,
    ];

    fn new(found: &WindowResult) -> Self {
        let code = Self::GROWTHS.iter().position(|growth| *growth == found.growth);
        let paused = if found.paused { Self::PAUSED } else { 0 };
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

/// One time scale. Of each process there are 16, so bytes count.
#[derive(Clone, Copy)]
struct TimeScale {
    /// The last floors, newest last.
    floors: [u32; RING],
    loads: [CpuLoad; RING],
    len: u8,
    passes: [u8; WINDOWS.len()],
    shows: [WindowFlags; WINDOWS.len()],
    /// The first half of the next level's block, if there is one.
    half: u32,
    half_load: CpuLoad,
    /// Highest floor ever, and the largest fall from a highest floor.
    peak: u32,
    fall: u32,
    /// When the newest floor came in, in finest blocks, modulo 2^32.
    last: u32,
}

impl TimeScale {
    const EMPTY: Self = Self {
        floors: [0; RING],
        loads: [CpuLoad::NONE; RING],
        len: 0,
        passes: [0; WINDOWS.len()],
        shows: [WindowFlags(0); WINDOWS.len()],
        half: BlockMinimum::NONE,
        half_load: CpuLoad::NONE,
        peak: 0,
        fall: 0,
        last: 0,
    };

    /// Forgets floors from before a pause, but not how far they ever fell.
    fn enter(&mut self, now: u64, block: u64) {
        if self.len > 0 && u64::from(self.since(now)) > 3 * block {
            let (peak, fall) = (self.peak, self.fall);
            *self = Self { peak, fall, ..Self::EMPTY };
        }
        self.last = now as u32;
    }

    /// Finest blocks since the newest floor.
    fn since(&self, now: u64) -> u32 {
        (now as u32).wrapping_sub(self.last)
    }

    fn append(&mut self, floor: BlockMinimum) {
        self.fall = self.fall.max(self.peak.saturating_sub(floor.value));
        self.peak = self.peak.max(floor.value);
        self.floors.copy_within(1.., 0);
        self.loads.copy_within(1.., 0);
        self.floors[RING - 1] = floor.value;
        self.loads[RING - 1] = floor.load;
        self.len = (self.len + 1).min(RING as u8);
    }

    fn judge(
        &mut self,
        index: usize,
        thresholds: &TestThresholds,
        shapes: &mut Option<Box<Shapes>>,
    ) -> bool {
        let may_hide = index >= HIDDEN && thresholds.excuse == LoadExcuse::Proportion;
        let ring = Ring::new(&self.floors, &self.loads);
        let mut judged = false;
        for (which, blocks) in WINDOWS.into_iter().enumerate() {
            if blocks > usize::from(self.len) {
                break;
            }
            // The cheap way out: nearly all windows of nearly all processes end here.
            let found = if !may_hide && !self.ends_higher(blocks, thresholds).passes {
                None
            } else {
                judged = true;
                window::judge(&ring, which, self.fall, index > FINE, thresholds)
            };
            if let Some(found) = &found {
                let shapes = shapes.get_or_insert_with(|| Box::new([[ThirdMedians::FLAT; _]; _]));
                shapes[index][which] = found.shape;
            }
            self.passes[which] = match found {
                Some(found) if found.growth != GrowthShape::Slowing => {
                    self.passes[which].saturating_add(1)
                }
                _ => 0,
            };
            self.shows[which] = found.as_ref().map_or(WindowFlags::default(), WindowFlags::new);
        }
        judged
    }

    fn shows_nothing(&self) -> bool {
        self.shows == [WindowFlags::default(); _]
    }

    fn ends_higher(&self, blocks: usize, thresholds: &TestThresholds) -> Comparison {
        let rise = f64::from(self.floors[RING - 1]) - f64::from(self.floors[RING - blocks]);
        Comparison::at_least(rise, thresholds.least / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_small() {
        // Each process has one, each parent two more; the shapes come with growth and go with it.
        let sizes = (size_of::<Series>(), size_of::<Shapes>());
        assert!(sizes.0 <= 2320 && sizes.1 <= 576, "{sizes:?} B");
    }

    #[test]
    fn levels_are_pushed_by_whole_pairs_and_forgotten_after_a_pause() {
        let thresholds = TestThresholds::footprint(&Constants::default(), 1.0);
        let mut track = Series::new(1.0);
        let mut now = 0;
        let mut push = |track: &mut Series, level: usize, value: u64| {
            now += block(level);
            track.push(
                &SampleTime { now, level, step_s: 1.0, gap: false },
                value,
                0.5,
                &thresholds,
            );
        };
        for value in [7, 5, 9, 8, 6] {
            push(&mut track, FINE, value);
        }
        let newest = |track: &Series, level: usize| {
            let TimeScale { floors, len, .. } = track.levels[level];
            floors[RING - usize::from(len)..].to_vec()
        };
        assert_eq!(newest(&track, FINE), [7, 5, 9, 8, 6]);
        assert_eq!(newest(&track, FINE + 1), [5, 8]);
        assert_eq!(newest(&track, FINE + 2), [5]);
        // Two samples at half the interval make one block of the whole.
        push(&mut track, FINE - 1, 4);
        push(&mut track, FINE - 1, 3);
        assert_eq!(newest(&track, FINE - 1), [4, 3]);
        assert_eq!(newest(&track, FINE), [7, 5, 9, 8, 6, 3]);
        for value in 10..20 {
            push(&mut track, FINE, value);
        }
        push(&mut track, FINE - 1, 2);
        assert_eq!(newest(&track, FINE - 1), [2], "what was before the pause is forgotten");
    }
}
