//! Floors: one series seen at every time scale at once, in bounded memory.
//!
//! A level keeps the minima ("floors") of blocks of 2^l samples: what a garbage collector or an
//! emptied pool gives back does not show in them, what is never given back does. Of each level the
//! last 12, 17 and 24 floors are judged as they come in, so that windows from seconds to days
//! always end now and differ in length by at most 1.4.

use crate::detector::check::Check;
use crate::detector::clock::{Moment, block};
use crate::detector::constants::{Constants, FINE, LEVELS, RING, WINDOWS};
use crate::detector::window::{self, Found, Growth, Shape, Tests};

/// Levels this far above the planned interval are judged at equal load even where the newest floor
/// is not higher than the first: load may hide the growth.
const HIDDEN: usize = FINE + 3;

/// How a series is judged.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Gauge {
    /// Least growth, in the series' unit.
    pub least: f64,
    /// Least share of the first half's growth in the second.
    pub shape: f64,
    /// Least pace of the last sixth, as a share of the steady one.
    pub pace: f64,
    /// Least ratio of growth to the largest fall.
    pub swing: f64,
    /// What CPU use may excuse.
    pub excuse: Excuse,
}

/// What CPU use may excuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excuse {
    /// A footprint may grow in step with CPU use, and may hide its growth behind it.
    Proportion,
    /// A number of children may grow as CPU use grows at all: they work, they are not left over.
    Rise,
}

impl Gauge {
    /// For footprints, counted in pages.
    pub fn footprint(constants: &Constants, page_size: f64) -> Self {
        let Constants { least_growth, shape, pace, swing, .. } = *constants;
        Self { least: least_growth / page_size, shape, pace, swing, excuse: Excuse::Proportion }
    }

    /// For numbers of children.
    pub fn count(constants: &Constants) -> Self {
        let Constants { pile, shape, pace, swing, .. } = *constants;
        Self { least: pile, shape, pace, swing, excuse: Excuse::Rise }
    }
}

/// A series, seen at every time scale.
#[derive(Clone)]
pub struct Track {
    levels: [Level; LEVELS],
    unit: f64,
}

/// A window that passed its tests and is not yet older than two of its blocks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The level of its blocks.
    pub level: usize,
    /// Its length in blocks.
    pub blocks: usize,
    /// Its length in finest blocks.
    pub window: u64,
    /// Median floors of its first, middle and last third.
    pub shape: Shape,
    /// What kind of growth it shows.
    pub growth: Growth,
    /// Whether the growth has paused.
    pub paused: bool,
    /// Consecutive windows of this length that passed.
    pub passes: u8,
}

impl Candidate {
    /// Growth per finest block.
    pub fn slope(&self) -> f64 {
        let thirds = self.blocks - self.blocks / 3;
        self.shape.growth() / (thirds as f64 * block(self.level) as f64)
    }
}

impl Track {
    /// An empty series whose values count `unit` bytes each.
    pub fn new(unit: f64) -> Self {
        Self { levels: [Level::default(); LEVELS], unit }
    }

    /// Adds a value and the CPU use, in cores, that went with it; says whether a window that grew
    /// was judged, so that a verdict may have changed.
    pub fn push(&mut self, moment: &Moment, value: u64, load: f64, gauge: &Gauge) -> bool {
        if moment.gap {
            self.levels.iter_mut().for_each(|level| level.pending = None);
        }
        let mut judged = false;
        let value = (value as f64 / self.unit) as u32;
        let mut floor = Floor { value, load: Load::new(load) };
        for (index, level) in self.levels.iter_mut().enumerate().skip(moment.level) {
            level.enter(moment.now, block(index));
            level.append(floor);
            judged |= level.judge(index, gauge);
            let Some(half) = level.pending.take() else {
                level.pending = Some(floor);
                break;
            };
            floor = floor.join(half);
        }
        judged
    }

    /// The levels whose windows are not older than two of their blocks, short ones first.
    fn fresh(&self, now: u64) -> impl Iterator<Item = (usize, &Level)> {
        self.levels.iter().enumerate().filter(move |(index, level)| {
            level.len > 0 && now.saturating_sub(level.last) <= 2 * block(*index)
        })
    }

    /// The windows that passed, short levels first.
    pub fn candidates(&self, now: u64) -> impl Iterator<Item = Candidate> {
        let unit = self.unit;
        self.fresh(now).flat_map(move |(index, level)| {
            let found = level.found.iter().zip(level.passes).zip(WINDOWS);
            found.filter_map(move |((found, passes), blocks)| {
                let Found { growth, paused, shape } = (*found)?;
                let shape = shape.scaled(unit);
                let window = blocks as u64 * block(index);
                Some(Candidate { level: index, blocks, window, shape, growth, paused, passes })
            })
        })
    }

    /// All windows that are full, passed or not, short levels first, for an explanation.
    pub fn looks(&self, now: u64, gauge: &Gauge) -> impl Iterator<Item = Look> {
        self.fresh(now).flat_map(move |(index, level)| {
            let full = move |&(_, blocks): &(usize, usize)| blocks <= usize::from(level.len);
            WINDOWS.into_iter().enumerate().filter(full).map(move |(which, blocks)| {
                let found = level.found[which];
                let (mut floors, loads) = level.last(blocks);
                let fall = f64::from(level.fall);
                let tests = window::explain(
                    &mut floors[..blocks],
                    &loads[..blocks],
                    which,
                    fall,
                    found.as_ref(),
                    gauge,
                );
                Look {
                    level: index,
                    blocks,
                    window: blocks as u64 * block(index),
                    ends_higher: level.ends_higher(blocks, gauge).scaled(self.unit),
                    tests: tests.scaled(self.unit),
                    growth: found.map(|found| found.growth),
                }
            })
        })
    }
}

/// A full window, passed or not: what its tests compare, in bytes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Look {
    /// The level of its blocks.
    pub level: usize,
    /// Its length in blocks.
    pub blocks: usize,
    /// Its length in finest blocks.
    pub window: u64,
    /// Newest floor less first, and half the least growth: below it nothing else is looked at,
    /// unless load may hide the growth.
    pub ends_higher: Check,
    /// All others.
    pub tests: Tests,
    /// What kind of growth it shows, if any.
    pub growth: Option<Growth>,
}

/// A block's minimum and mean CPU use.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Floor {
    value: u32,
    load: Load,
}

impl Floor {
    fn join(self, other: Self) -> Self {
        Self { value: self.value.min(other.value), load: self.load.mean(other.load) }
    }
}

/// CPU use in 1/1024 of a core, up to 64 cores: two bytes are enough for ratios.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Load(u16);

impl Load {
    const PER_CORE: f64 = 1024.0;

    fn new(cores: f64) -> Self {
        Self((cores * Self::PER_CORE).round() as u16)
    }

    fn cores(self) -> f64 {
        f64::from(self.0) / Self::PER_CORE
    }

    fn mean(self, other: Self) -> Self {
        Self(self.0.midpoint(other.0))
    }
}

/// One time scale.
#[derive(Clone, Copy, Default)]
struct Level {
    /// The last floors, newest last.
    floors: [u32; RING],
    loads: [Load; RING],
    len: u8,
    passes: [u8; WINDOWS.len()],
    /// The first half of the next level's block.
    pending: Option<Floor>,
    /// Highest floor ever, and the largest fall from a highest floor.
    peak: u32,
    fall: u32,
    /// When the newest floor came in.
    last: u64,
    found: [Option<Found>; WINDOWS.len()],
}

impl Level {
    /// Forgets floors from before a pause, but not how far they ever fell.
    fn enter(&mut self, now: u64, block: u64) {
        if self.len > 0 && now.saturating_sub(self.last) > 3 * block {
            let (peak, fall) = (self.peak, self.fall);
            *self = Self { peak, fall, ..Self::default() };
        }
        self.last = now;
    }

    fn append(&mut self, floor: Floor) {
        self.fall = self.fall.max(self.peak.saturating_sub(floor.value));
        self.peak = self.peak.max(floor.value);
        self.floors.copy_within(1.., 0);
        self.loads.copy_within(1.., 0);
        self.floors[RING - 1] = floor.value;
        self.loads[RING - 1] = floor.load;
        self.len = (self.len + 1).min(RING as u8);
    }

    fn judge(&mut self, index: usize, gauge: &Gauge) -> bool {
        let mut judged = false;
        let may_hide = index >= HIDDEN && gauge.excuse == Excuse::Proportion;
        for (which, blocks) in WINDOWS.into_iter().enumerate() {
            if blocks > usize::from(self.len) {
                break;
            }
            // The cheap way out: nearly all windows of nearly all processes end here.
            let found = if !may_hide && !self.ends_higher(blocks, gauge).passes {
                None
            } else {
                judged = true;
                self.look(which, blocks, index > FINE, gauge)
            };
            self.passes[which] = match found {
                Some(found) if found.growth != Growth::Slowing => {
                    self.passes[which].saturating_add(1)
                }
                _ => 0,
            };
            self.found[which] = found;
        }
        judged
    }

    fn look(
        &self,
        which: usize,
        blocks: usize,
        at_equal_load: bool,
        gauge: &Gauge,
    ) -> Option<Found> {
        let (mut floors, loads) = self.last(blocks);
        let (floors, loads) = (&mut floors[..blocks], &loads[..blocks]);
        window::judge(floors, loads, which, f64::from(self.fall), at_equal_load, gauge)
    }

    fn ends_higher(&self, blocks: usize, gauge: &Gauge) -> Check {
        let rise = f64::from(self.floors[RING - 1]) - f64::from(self.floors[RING - blocks]);
        Check::at_least(rise, gauge.least / 2.0)
    }

    /// The floors and CPU use of the last blocks, oldest first; the rest is 0.
    fn last(&self, blocks: usize) -> ([f64; RING], [f64; RING]) {
        let mut floors = [0.0; RING];
        let mut loads = [0.0; RING];
        for (to, from) in floors.iter_mut().zip(&self.floors[RING - blocks..]) {
            *to = f64::from(*from);
        }
        for (to, from) in loads.iter_mut().zip(&self.loads[RING - blocks..]) {
            *to = from.cores();
        }
        (floors, loads)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_is_small() {
        // Each process has one, each parent two more.
        assert!(size_of::<Track>() <= 3600, "{} B", size_of::<Track>());
    }

    #[test]
    fn levels_are_pushed_by_whole_pairs_and_forgotten_after_a_pause() {
        let gauge = Gauge::footprint(&Constants::default(), 1.0);
        let mut track = Track::new(1.0);
        let mut now = 0;
        let mut push = |track: &mut Track, level: usize, value: u64| {
            now += block(level);
            track.push(&Moment { now, level, step_s: 1.0, gap: false }, value, 0.5, &gauge);
        };
        for value in [7, 5, 9, 8, 6] {
            push(&mut track, FINE, value);
        }
        let newest = |track: &Track, level: usize| {
            let Level { floors, len, .. } = track.levels[level];
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
