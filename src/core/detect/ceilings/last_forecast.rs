//! The forecast that was last reported, and whether a newer one differs enough to be reported too.

use crate::core::model::forecast::Forecast;

/// The end of memory has moved if it did so by this share of the time left.
const MOVED: f64 = 0.25;

/// But not for less than this many seconds: near the end every tick would be news.
const MOVED_S: f64 = 5.0;

/// No new report before this share of the evidence is new; that halves the lines and costs no
/// accuracy (at a quarter, the error at half time would double).
const NEW: f64 = 0.1;

/// When a forecast was last reported and which end it named, in counted seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastForecast {
    at_s: f64,
    end_s: f64,
}

impl LastForecast {
    /// What to remember if this forecast is worth a report after the last one, else none.
    pub fn if_news(last: Option<Self>, now_s: f64, forecast: Option<&Forecast>) -> Option<Self> {
        let (likely_s, window_s) =
            forecast.map_or((f64::INFINITY, 0.0), |f| (f.likely_s, f.window_s));
        let new = Self { at_s: now_s, end_s: now_s + likely_s };
        let is_news = last.is_none_or(|last| {
            now_s - last.at_s >= NEW * window_s
                && (new.end_s - last.end_s).abs() > (MOVED * likely_s).max(MOVED_S)
        });
        is_news.then_some(new)
    }
}
