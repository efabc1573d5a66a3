//! The figures of a leak: how fast it grows, and when memory ends.

use crate::core::model::forecast::Forecast;

/// The figures of a leak, as one side saw it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LeakFigures {
    /// The growth of the processes that leak or are suspect.
    pub steady: Option<SteadyGrowth>,
    /// Threads or children that never end: how many it starts a second.
    pub tasks: Option<f64>,
    /// When the first ceiling is reached.
    pub forecast: Option<Forecast>,
}

/// Growth without end of some processes together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SteadyGrowth {
    /// Bytes a second.
    pub rate: f64,
    /// Seconds of the longest window that shows it.
    pub window_s: f64,
}

/// Whether one end comes before the earliest that another, of longer evidence, gives.
pub fn is_sooner(one: Option<Forecast>, than: Option<Forecast>) -> bool {
    one.is_some_and(|one| than.is_none_or(|than| one.likely_s < than.earliest_s))
}

/// The forecast that ends first.
pub fn first_end(forecasts: impl Iterator<Item = Forecast>) -> Option<Forecast> {
    forecasts.min_by(|a, b| a.likely_s.total_cmp(&b.likely_s))
}
