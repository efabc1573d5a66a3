//! Samples that could not be taken. When memory runs out even a read may fail (ENOMEM), and the next
//! one may succeed. So each failure is reported once, and only many in a row end the watch.

use anyhow::Error;

/// After this many in a row, over at least as many seconds, the watch gives up.
const MOST: u32 = 60;
/// A failure that has not occurred for this many seconds is reported again.
const FORGOTTEN_S: f64 = 3600.0;
/// Different failures that are remembered.
const KEPT: usize = 8;

/// The failures so far.
#[derive(Debug, Default)]
pub(super) struct SampleFailures {
    in_a_row: u32,
    first_s: f64,
    last_s: f64,
    reported: Vec<String>,
}

impl SampleFailures {
    /// A sample was taken.
    pub(super) fn end(&mut self) {
        self.in_a_row = 0;
    }

    /// Another sample failed, at an uptime in seconds. Returns what to report of it, if anything.
    ///
    /// # Errors
    /// The failure itself, when it is time to give up.
    pub(super) fn add(&mut self, error: Error, uptime_s: f64) -> Result<Option<String>, Error> {
        if self.in_a_row == 0 {
            self.first_s = uptime_s;
        }
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.in_a_row > MOST && uptime_s - self.first_s >= f64::from(MOST) {
            return Err(error);
        }
        if uptime_s - self.last_s > FORGOTTEN_S {
            self.reported.clear();
        }
        self.last_s = uptime_s;
        let text = format!("{error:#}");
        if self.reported.contains(&text) || self.reported.len() >= KEPT {
            return Ok(None);
        }
        self.reported.push(text.clone());
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn a_failure_is_reported_once_and_again_after_an_hour_without_any() {
        let mut failures = SampleFailures::default();
        let mut is_reported = |text: &str, at_s| {
            let reported = failures.add(anyhow!("{text}"), at_s).unwrap();
            failures.end();
            reported.is_some()
        };
        assert!(is_reported("a", 10.0) && !is_reported("a", 11.0));
        assert!(is_reported("b", 12.0) && !is_reported("a", 13.0));
        assert!(!is_reported("a", 3000.0) && is_reported("a", 7000.0));
        let more = (0..100).filter(|n| is_reported(&n.to_string(), 7001.0)).count();
        assert_eq!(more, KEPT - 1, "failures that differ each time are not reported either");
    }

    #[test]
    fn the_watch_gives_up_after_sixty_failures_in_a_row_and_never_within_a_minute() {
        let mut failures = SampleFailures::default();
        let mut add = |at_s: f64| failures.add(anyhow!("x"), at_s).is_err();
        // As memory runs out, samples are taken four times a second.
        assert!((0..200).all(|n| !add(f64::from(n) / 4.0)), "within 50 s");
        assert!(add(61.0));
        failures.end();
        let mut add = |at_s: f64| failures.add(anyhow!("x"), at_s).is_err();
        assert!((0..60).all(|n| !add(100.0 + 5.0 * f64::from(n))));
        assert!(add(500.0));
    }
}
