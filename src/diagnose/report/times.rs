//! Times: when something was or will be, as people say it.

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// Local times.
#[derive(Clone, Debug)]
pub struct Times {
    /// Where.
    pub zone: TimeZone,
    /// Unix time of the report.
    pub now_t: f64,
}

impl Times {
    fn format(&self, t: f64, format: &str) -> String {
        let time = Timestamp::from_second(t as i64).unwrap_or_default();
        time.to_zoned_datetime(self.zone.clone()).strftime(format).to_string()
    }

    /// "Nov 23 02:11", with the year where it is not this one.
    pub fn minute(&self, t: f64) -> String {
        match self.format(t, "%Y") == self.format(self.now_t, "%Y") {
            true => self.format(t, "%b %e %H:%M").replace("  ", " "),
            false => self.format(t, "%Y-%m-%d %H:%M"),
        }
    }

    /// "14:20", "tomorrow 03:10", "Nov 30".
    pub fn soon(&self, t: f64) -> String {
        let day = |t: f64| self.format(t, "%F");
        match t - self.now_t {
            _ if day(t) == day(self.now_t) => self.format(t, "%H:%M"),
            _ if day(t) == day(self.now_t + 86_400.0) => self.format(t, "tomorrow %H:%M"),
            s if s < 6.0 * 86_400.0 => self.format(t, "%A %H:%M"),
            s if s < 300.0 * 86_400.0 => self.format(t, "%b %e").replace("  ", " "),
            _ => self.format(t, "%B %Y"),
        }
    }

    /// A time on an axis that spans so many seconds.
    pub fn tick(&self, t: f64, span_s: f64) -> String {
        match span_s {
            s if s < 900.0 => self.format(t, "%H:%M:%S"),
            s if s < 2.0 * 86_400.0 => self.format(t, "%H:%M"),
            _ => self.format(t, "%b %e %H:%M"),
        }
    }

    /// "2026-11-24 03:10 CET".
    pub fn whole(&self, t: f64) -> String {
        self.format(t, "%F %H:%M %Z")
    }
}
