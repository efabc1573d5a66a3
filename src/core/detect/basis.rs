//! What every judgement rests on: the constants, the thresholds that follow from them, and the
//! time counted so far.

use std::cell::{RefCell, RefMut};

use crate::core::detect::constants::{Constants, LEVELS, WINDOW_LENGTHS};
use crate::core::detect::sample_clock::SampleClock;
use crate::core::detect::series::growth_window::GrowthWindow;
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
    /// The windows of the series that is judged right now. One buffer serves all of them, so that
    /// no judgement allocates; as an array on the stack of each, it cost 6 % more instructions
    /// (1.5 KiB to clear and to move).
    windows: RefCell<Vec<GrowthWindow>>,
}

impl JudgeBasis {
    /// For series of bytes counted in pages of `page_size`, sampled every `interval_s` seconds.
    pub fn new(constants: Constants, page_size: f64, interval_s: f64) -> Self {
        Self {
            constants,
            clock: SampleClock::new(interval_s),
            bytes: TestThresholds::footprint(&constants, page_size),
            tasks: TestThresholds::count(&constants),
            windows: RefCell::new(Vec::with_capacity(LEVELS * WINDOW_LENGTHS.len())),
        }
    }

    /// The windows, in the buffer that all judgements share: drop them before the next series.
    pub fn collect(
        &self,
        windows: impl Iterator<Item = GrowthWindow>,
    ) -> RefMut<'_, Vec<GrowthWindow>> {
        let mut buffer = self.windows.borrow_mut();
        buffer.clear();
        buffer.extend(windows);
        buffer
    }

    /// How a series in that unit is tested.
    pub fn thresholds(&self, unit: Unit) -> &TestThresholds {
        match unit {
            Unit::Bytes => &self.bytes,
            Unit::Tasks => &self.tasks,
        }
    }
}
