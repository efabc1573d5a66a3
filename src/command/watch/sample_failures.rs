//! Failures: looks that could not be taken. At the brink even a read may fail (ENOMEM), and the next
//! one may not: so each is told once, and only one after the other ends the watch.

use anyhow::Error;

/// So many in a row, over as many seconds at least, and the watch gives up.
const MOST: u32 = 60;
/// What was told and has not come for so many seconds is told again.
const FORGOTTEN_S: f64 = 3600.0;
/// Different ones remembered.
const KEPT: usize = 8;

/// What failed so far.
#[derive(Debug, Default)]
pub(super) struct SampleFailures {
    in_a_row: u32,
    first_s: f64,
    last_s: f64,
    told: Vec<String>,
}

impl SampleFailures {
    /// A look was taken.
    pub(super) fn end(&mut self) {
        self.in_a_row = 0;
    }

    /// Another one failed, at an uptime in seconds. What is to be said of it, if anything.
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
            self.told.clear();
        }
        self.last_s = uptime_s;
        let text = format!("{error:#}");
        if self.told.contains(&text) || self.told.len() >= KEPT {
            return Ok(None);
        }
        self.told.push(text.clone());
        Ok(Some(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::anyhow;

    #[test]
    fn each_is_told_once_and_after_an_hour_of_peace_again() {
        let mut failures = SampleFailures::default();
        let mut told = |text: &str, at_s| {
            let told = failures.add(anyhow!("{text}"), at_s).unwrap();
            failures.end();
            told.is_some()
        };
        assert!(told("a", 10.0) && !told("a", 11.0));
        assert!(told("b", 12.0) && !told("a", 13.0));
        assert!(!told("a", 3000.0) && told("a", 7000.0));
        let more = (0..100).filter(|n| told(&n.to_string(), 7001.0)).count();
        assert_eq!(more, KEPT - 1, "what differs each time is no news either");
    }

    #[test]
    fn it_gives_up_after_sixty_in_a_row_and_never_within_a_minute() {
        let mut failures = SampleFailures::default();
        let mut add = |at_s: f64| failures.add(anyhow!("x"), at_s).is_err();
        // At the brink looks are taken four times a second.
        assert!((0..200).all(|n| !add(f64::from(n) / 4.0)), "within 50 s");
        assert!(add(61.0));
        failures.end();
        let mut add = |at_s: f64| failures.add(anyhow!("x"), at_s).is_err();
        assert!((0..60).all(|n| !add(100.0 + 5.0 * f64::from(n))));
        assert!(add(500.0));
    }
}
