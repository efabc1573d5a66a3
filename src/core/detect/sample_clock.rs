//! How long a sample counts, by the times of the samples alone.
//!
//! Time inside the detector is counted, not read: a sample stands for one planned interval, or for
//! a half to a sixteenth of it while the live loop samples more often. So a step of the wall clock
//! changes nothing, and a gap is one late sample. A sample joined from several states how many
//! seconds it stands for: it is one block of a higher level, with the minimum that these samples
//! would have had there.

use crate::core::detect::constants::{INTERVAL_LEVEL, LEVELS, RING};
use crate::core::model::units::doublings;

/// Gaps longer than this many planned intervals leave incomplete blocks behind.
const GAP: f64 = 3.0;

/// Lateness, in planned intervals, that samples in quick succession may make up for.
const LATENESS: f64 = 10.0;

/// Near the end of memory samples come closer than 1/16 of the interval: those that follow a counted
/// one by less than this share of a sixteenth show how things stand, and are not counted.
const COUNTED: f64 = 0.75;

/// Samples closer than so many seconds come from a clock that was set back, not from hurry: the
/// recorder then lets `t` go on by a millisecond a sample.
const CREEP_S: f64 = 0.002;

/// Planned samples are at least 1/16 of the interval apart. Samples closer than this share mean that
/// the wall clock was set back and the recorder lets `t` creep on.
const CREEP: f64 = 1.0 / 32.0;

/// The moment of a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SampleTime {
    /// Finest blocks (sixteenths of the planned interval) counted so far, this sample's included.
    pub now: u64,
    /// The level that this sample is a block of.
    pub level: usize,
    /// Seconds that this sample stands for.
    pub step_s: f64,
    /// Whether samples are missing before it.
    pub gap: bool,
}

impl SampleTime {
    /// Finest blocks that this sample stands for.
    pub fn step(&self) -> u64 {
        block(self.level)
    }

    /// Samples that it was joined from.
    pub fn samples(&self) -> u32 {
        block(self.level.saturating_sub(INTERVAL_LEVEL)) as u32
    }
}

/// Finest blocks in a block of that level.
pub fn block(level: usize) -> u64 {
    1 << level
}

/// Counts time and samples.
pub struct SampleClock {
    interval_s: f64,
    last_t: Option<f64>,
    late_s: f64,
    now: u64,
    samples: u32,
    levels: [SampleCounts; LEVELS],
}

/// The number of samples taken by the end of each of the last blocks of a level.
#[derive(Clone, Copy, Default)]
struct SampleCounts {
    samples: [u32; RING + 1],
    pending: bool,
}

impl SampleClock {
    /// A clock for samples planned every `interval_s` seconds.
    pub fn new(interval_s: f64) -> Self {
        let interval_s = if interval_s > 0.0 { interval_s } else { 1.0 };
        let levels = [SampleCounts::default(); LEVELS];
        Self { interval_s, last_t: None, late_s: 0.0, now: 0, samples: 0, levels }
    }

    /// Seconds between samples as planned.
    pub fn interval_s(&self) -> f64 {
        self.interval_s
    }

    /// Finest blocks counted so far.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// Seconds in so many finest blocks.
    pub fn seconds(&self, blocks: u64) -> f64 {
        blocks as f64 * self.interval_s / block(INTERVAL_LEVEL) as f64
    }

    /// Whether the sample taken at `t` follows the last counted one too closely to be counted.
    pub fn is_between(&self, t: f64) -> bool {
        let counted_s = COUNTED * self.interval_s / block(INTERVAL_LEVEL) as f64;
        self.last_t.is_some_and(|last| (CREEP_S..counted_s).contains(&(t - last)))
    }

    /// The moment of the sample taken at `t`. One joined from several stands for the `span_s` seconds
    /// before it.
    pub fn advance(&mut self, t: f64, span_s: Option<f64>) -> SampleTime {
        let elapsed = self.last_t.map_or(self.interval_s, |last| (t - last).max(0.0));
        self.last_t = Some(t);
        let closer = match elapsed / self.interval_s {
            ratio if ratio < CREEP => 0,
            _ => {
                let ratio = (elapsed + self.late_s) / self.interval_s;
                doublings(1.0 / ratio).min(INTERVAL_LEVEL as u32) as usize
            }
        };
        let level = match span_s.map(|span_s| doublings(span_s / self.interval_s)) {
            Some(joined) if joined >= 1 => (INTERVAL_LEVEL + joined as usize).min(LEVELS - 1),
            _ => INTERVAL_LEVEL - closer,
        };
        let step_s = self.seconds(block(level));
        self.late_s = (self.late_s + elapsed - step_s).clamp(0.0, LATENESS * self.interval_s);
        self.now += block(level);
        let gap = elapsed > GAP * step_s.max(self.interval_s);
        let moment = SampleTime { now: self.now, level, step_s, gap };
        self.samples = self.samples.saturating_add(moment.samples());
        self.mark(level);
        moment
    }

    /// Samples taken within the last `blocks` blocks of a level.
    pub fn samples_in(&self, level: usize, blocks: usize) -> u32 {
        let Some(counts) = self.levels.get(level) else { return 0 };
        let before = RING.checked_sub(blocks).and_then(|i| counts.samples.get(i));
        counts.samples[RING].saturating_sub(before.copied().unwrap_or(0))
    }

    fn mark(&mut self, level: usize) {
        for counts in self.levels.iter_mut().skip(level) {
            counts.samples.copy_within(1.., 0);
            counts.samples[RING] = self.samples;
            counts.pending = !counts.pending;
            if counts.pending {
                break;
            }
        }
    }
}
