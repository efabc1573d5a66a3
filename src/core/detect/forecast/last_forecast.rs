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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::{CeilingKind, Place};

    /// An end so many seconds away, by 100 s of evidence.
    fn forecast(likely_s: f64) -> Forecast {
        Forecast {
            ceiling: CeilingKind::Ram,
            place: Place::NONE,
            headroom: 0,
            limit: 0,
            slope: 1.0,
            earliest_s: likely_s,
            likely_s,
            latest_s: likely_s,
            window_s: 100.0,
        }
    }

    fn is_news(before_s: f64, now_s: f64, likely_s: f64) -> bool {
        let last = LastForecast::if_news(None, 0.0, Some(&forecast(before_s)));
        LastForecast::if_news(last, now_s, Some(&forecast(likely_s))).is_some()
    }

    #[test]
    fn an_end_is_news_once_it_moved_by_a_quarter_of_the_time_left() {
        assert!(LastForecast::if_news(None, 0.0, None).is_some(), "the first report");
        assert!(!is_news(1000.0, 100.0, 900.0), "it came nearer as time went by");
        assert!(!is_news(1000.0, 100.0, 720.0), "by 180 s of 720");
        assert!(is_news(1000.0, 100.0, 719.0), "by 181 s of 719");
        assert!(!is_news(20.0, 15.0, 9.0), "by less than 5 s");
    }

    #[test]
    fn no_end_is_news_before_a_tenth_of_the_evidence_is_new() {
        assert!(is_news(1000.0, 10.0, 100.0));
        assert!(!is_news(1000.0, 9.0, 100.0));
    }
}
