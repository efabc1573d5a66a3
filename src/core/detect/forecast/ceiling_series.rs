//! One ceiling's headroom over time: now, and its mean and lowest over the last blocks of every level.

use crate::core::detect::constants::{LEVELS, RING, WINDOW_LENGTHS};
use crate::core::detect::sample_clock::{SampleTime, block};
use crate::core::model::ceiling::{CeilingKind, Place, Unit};
use crate::core::model::process::ProcId;
use crate::core::model::units::MIB;

/// Which ceiling: of the machine, of a place such as a cgroup, or of one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CeilingId {
    /// What it is.
    pub kind: CeilingKind,
    /// Where it stands; several trees may be below it.
    pub place: Place,
    /// The root of the tree that it limits, where nothing else identifies the ceiling.
    pub root: Option<ProcId>,
}

/// What is left below a ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// Which ceiling.
    pub kind: CeilingKind,
    /// Where it stands.
    pub place: Place,
    /// Left below it, in its unit.
    pub left: u64,
    /// The ceiling itself, in its unit.
    pub limit: u64,
}

/// Share of a ceiling on memory that counts as gone already: `MemAvailable` promises too much, and
/// the kernel needs some to fork.
const RESERVE_SHARE: f64 = 0.05;

/// Bytes that this reserve is at most.
const MAX_RESERVE: f64 = (256 * MIB) as f64;

impl Headroom {
    /// What is left that can be counted on: bytes, at least a page, or tasks, at least one.
    pub fn usable(&self) -> f64 {
        let reserve = match self.kind.unit() {
            Unit::Bytes => (RESERVE_SHARE * self.limit as f64).min(MAX_RESERVE),
            Unit::Tasks => 0.0,
        };
        (self.left as f64 - reserve).max(self.least())
    }

    /// Headroom below a page, or below one task, counts as one, so that nothing divides by zero.
    pub fn least(&self) -> f64 {
        match self.kind.unit() {
            Unit::Bytes => 4096.0,
            Unit::Tasks => 1.0,
        }
    }
}

/// One ceiling's headroom: now, and its mean and lowest over the last blocks of every level.
pub struct CeilingSeries {
    id: CeilingId,
    now: Headroom,
    levels: Box<[LevelMeans; LEVELS]>,
}

/// Means over the last blocks of one level, and how far headroom went below them.
#[derive(Clone, Copy, Default)]
struct LevelMeans {
    means: [f64; RING + 1],
    /// Mean less lowest of each block, of as many as the last third of the longest window has.
    dips: [f64; RING / 3],
    /// Means of the first and the last third, for each length of window: computed once, since
    /// every process that grows asks for them.
    thirds: [(f64, f64); WINDOW_LENGTHS.len()],
    len: u8,
    /// Mean and lowest of the first half of the next level's block, if there is one.
    pending: Option<(f64, f64)>,
    last: u64,
}

impl CeilingSeries {
    /// A ceiling at first sight.
    pub fn new(id: CeilingId) -> Self {
        let CeilingId { kind, place, .. } = id;
        Self {
            id,
            now: Headroom { kind, place, left: 0, limit: 0 },
            levels: Box::new([LevelMeans::default(); LEVELS]),
        }
    }

    /// Which ceiling it is of.
    pub fn id(&self) -> CeilingId {
        self.id
    }

    /// What is left now.
    pub fn headroom(&self) -> Headroom {
        self.now
    }

    /// The part of what this ceiling lost over the last `blocks` blocks of a level that `growth`
    /// makes up; 1 where that is all of it or not yet known.
    pub fn share(&self, level: usize, blocks: usize, growth: f64) -> f64 {
        let then = self.levels.get(level).and_then(|level| level.ago(blocks));
        let lost = then.map_or(0.0, |then| then - self.now.left as f64);
        if lost <= growth { 1.0 } else { growth / lost }
    }

    /// Mean headroom over the first and the last third of a window, once that much was watched.
    pub fn thirds(&self, level: usize, blocks: usize) -> Option<(f64, f64)> {
        let level = self.levels.get(level)?;
        let which = WINDOW_LENGTHS.iter().position(|length| *length == blocks)?;
        (usize::from(level.len) >= blocks).then(|| level.thirds[which])
    }

    /// How far headroom went at most below the mean of a block in the last third of a window: what is
    /// left on average is not left when it dips.
    pub fn dip(&self, level: usize, blocks: usize) -> f64 {
        let dips = self.levels.get(level).map(|level| &level.dips);
        let third = dips.and_then(|dips| dips.get((RING / 3).checked_sub(blocks / 3)?..));
        third.map_or(0.0, |dips| dips.iter().copied().fold(0.0, f64::max))
    }

    /// Takes over how it stands in a sample that is not counted.
    pub fn follow(&mut self, used: u64, limit: u64) {
        self.now = Headroom { left: limit.saturating_sub(used), limit, ..self.now };
    }

    /// Adds what one sample shows.
    pub fn push(&mut self, moment: &SampleTime, used: u64, limit: u64) {
        self.follow(used, limit);
        let left = self.now.left;
        let (mut mean, mut low) = (left as f64, left as f64);
        for (index, level) in self.levels.iter_mut().enumerate().skip(moment.level) {
            if moment.now.saturating_sub(level.last) > 3 * block(index) {
                *level = LevelMeans::default();
            }
            level.last = moment.now;
            level.append(mean, low);
            let Some((half_mean, half_low)) = level.pending.take() else {
                level.pending = Some((mean, low));
                break;
            };
            (mean, low) = (f64::midpoint(mean, half_mean), low.min(half_low));
        }
    }
}

impl LevelMeans {
    fn append(&mut self, mean: f64, low: f64) {
        self.dips.copy_within(1.., 0);
        self.dips[RING / 3 - 1] = mean - low;
        self.means.copy_within(1.., 0);
        self.means[RING] = mean;
        self.len = (self.len + 1).min(RING as u8 + 1);
        self.thirds = WINDOW_LENGTHS.map(|blocks| self.thirds_of(blocks));
    }

    fn thirds_of(&self, blocks: usize) -> (f64, f64) {
        let (means, third) = (&self.means[RING + 1 - blocks..], blocks / 3);
        let mean = |means: &[f64]| means.iter().sum::<f64>() / third as f64;
        (mean(&means[..third]), mean(&means[blocks - third..]))
    }

    fn ago(&self, blocks: usize) -> Option<f64> {
        // `means[RING]` is the newest; the block that began the window is `blocks - 1` before it.
        (usize::from(self.len) >= blocks).then(|| self.means[RING + 1 - blocks])
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::detect::constants::INTERVAL_LEVEL;
    use crate::core::detect::sample_clock::SampleClock;

    fn headroom(kind: CeilingKind, left: u64, limit: u64) -> Headroom {
        Headroom { kind, place: Place::NONE, left, limit }
    }

    #[test]
    fn a_twentieth_of_the_limit_and_at_most_256_mib_is_no_headroom() {
        let usable = |left, limit| headroom(CeilingKind::Ram, left, limit).usable();
        assert_eq!(usable(100 * MIB, 1000 * MIB), 50.0 * MIB as f64);
        assert_eq!(usable(1000 * MIB, 100_000 * MIB), 744.0 * MIB as f64);
        assert_eq!(usable(0, 1000 * MIB), 4096.0, "at least a page");
        assert_eq!(headroom(CeilingKind::Pids, 7, 100).usable(), 7.0, "tasks need no reserve");
        assert_eq!(headroom(CeilingKind::Pids, 0, 100).usable(), 1.0);
    }

    proptest! {
        #[test]
        fn thirds_and_shares_are_those_of_the_last_samples(
            lefts in prop::collection::vec(0..1_000_000_u64, 24..80),
            growth in 0.0..1e6_f64,
        ) {
            let (kind, place) = (CeilingKind::Ram, Place::NONE);
            let mut series = CeilingSeries::new(CeilingId { kind, place, root: None });
            let mut clock = SampleClock::new(1.0);
            for (t, left) in lefts.iter().enumerate() {
                series.push(&clock.advance(t as f64, None), 1_000_000 - left, 1_000_000);
            }
            for blocks in WINDOW_LENGTHS {
                let window = &lefts[lefts.len() - blocks..];
                let third = blocks / 3;
                let mean = |part: &[u64]| part.iter().sum::<u64>() as f64 / third as f64;
                let thirds = (mean(&window[..third]), mean(&window[blocks - third..]));
                prop_assert_eq!(series.thirds(INTERVAL_LEVEL, blocks), Some(thirds));
                let lost = window[0] as f64 - window[blocks - 1] as f64;
                let share = if lost > growth { growth / lost } else { 1.0 };
                prop_assert_eq!(series.share(INTERVAL_LEVEL, blocks, growth), share);
                prop_assert_eq!(series.dip(INTERVAL_LEVEL, blocks), 0.0, "of one sample each");
                // Of blocks of two samples, half of what lies between them.
                let pairs = &lefts[..lefts.len() / 2 * 2];
                let apart = pairs.chunks(2).map(|pair| pair[0].abs_diff(pair[1]) as f64 / 2.0);
                let dip = apart.rev().take(third).fold(0.0, f64::max);
                prop_assert_eq!(series.dip(INTERVAL_LEVEL + 1, blocks), dip);
            }
            prop_assert_eq!(series.share(LEVELS - 1, 12, growth), 1.0, "not yet known");
        }
    }
}
