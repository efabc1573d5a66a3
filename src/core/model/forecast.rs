//! The second question: is memory in danger? When a ceiling will be reached.

use crate::core::model::ceiling::{CeilingKind, Place};

/// When a ceiling will be reached, in seconds from the sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// The ceiling that is reached first.
    pub ceiling: CeilingKind,
    /// Where it stands.
    pub place: Place,
    /// Left below it now, in its unit.
    pub headroom: u64,
    /// The ceiling itself, in its unit.
    pub limit: u64,
    /// How fast it comes nearer, in its unit per second.
    pub slope: f64,
    /// Lower end of the 90 % interval.
    pub earliest_s: f64,
    /// Best single estimate.
    pub likely_s: f64,
    /// Upper end of the 90 % interval.
    pub latest_s: f64,
    /// Seconds of evidence behind it. Beyond 8 times that, the numbers are not to be shown.
    pub window_s: f64,
}

impl Forecast {
    /// How many times longer than the evidence the forecast reaches: at most 1 is well reliable,
    /// over 8 is no evidence.
    pub fn reach(&self) -> f64 {
        self.likely_s / self.window_s
    }

    /// Whether the evidence is long enough for numbers; where not, words are shown.
    pub fn is_reliable(&self) -> bool {
        self.reach() <= 8.0
    }
}
