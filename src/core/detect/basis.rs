//! What every judgement rests on: the constants, the thresholds that follow from them, and the
//! time counted so far.

use crate::core::detect::constants::Constants;
use crate::core::detect::sample_clock::SampleClock;
use crate::core::detect::series::thresholds::TestThresholds;
use crate::core::model::ceiling::Unit;

/// What all judgements of a detector share.
pub struct JudgeBasis {
    /// The constants.
    pub constants: Constants,
    /// Counted time and samples.
    pub clock: SampleClock,
    bytes: TestThresholds,
    tasks: TestThresholds,
}

impl JudgeBasis {
    /// For series of bytes counted in pages of `page_size`, sampled every `interval_s` seconds.
    pub fn new(constants: Constants, page_size: f64, interval_s: f64) -> Self {
        Self {
            constants,
            clock: SampleClock::new(interval_s),
            bytes: TestThresholds::footprint(&constants, page_size),
            tasks: TestThresholds::count(&constants),
        }
    }

    /// How a series in that unit is tested.
    pub fn thresholds(&self, unit: Unit) -> &TestThresholds {
        match unit {
            Unit::Bytes => &self.bytes,
            Unit::Tasks => &self.tasks,
        }
    }
}
