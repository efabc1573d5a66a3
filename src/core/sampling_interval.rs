//! How soon the next sample is wanted.
//!
//! The planned interval is halved up to four times as exhaustion comes nearer, so that there are
//! some hundred samples between now and then. Halving keeps every block of the
//! detector a whole number of samples.

use crate::core::model::forecast::Forecast;

/// Shortest interval in seconds. Below it a tick costs more than it tells: kernel counters of
/// memory are batched per CPU and move in steps of some 100 KiB.
pub const SHORTEST_S: f64 = 0.25;
/// How often the interval may be halved.
pub const HALVINGS: u32 = 4;
/// Samples wanted between now and exhaustion.
const SAMPLES_TO_END: f64 = 100.0;
/// A new tree is sampled four times as often for so many samples: at the default interval, the first
/// verdict comes within the first minute.
const FIRST_SAMPLES: u32 = 48;
/// The next new tree counts after so many samples, seven minutes at the default interval: where trees come
/// and go all the time (cron, shells), each would begin another minute of them.
const NEXT_FIRST: u32 = 120;
/// Samples to go by before the interval is lengthened by one step.
const CALM: u32 = 12;

/// Chooses the interval.
#[derive(Clone, Copy, Debug)]
pub struct SamplingInterval {
    interval_s: f64,
    halvings: u32,
    calm: u32,
    /// Samples since a new tree counted.
    samples: u32,
    trees: usize,
}

impl SamplingInterval {
    /// Starts at a quarter of `interval_s`, the planned interval in seconds.
    pub fn new(interval_s: f64) -> Self {
        let mut interval = Self { interval_s, halvings: 0, calm: 0, samples: 0, trees: 0 };
        interval.halvings = interval.halvings_for(interval_s / 4.0);
        interval
    }

    /// Seconds until the next sample, given the nearest end in seconds (infinite without one) and
    /// the share of the nearest ceiling that is left, 0 to 1, and the number of trees.
    pub fn next_s(&mut self, end_s: f64, left: f64, trees: usize) -> f64 {
        let is_first = self.trees == 0;
        let counts = trees > self.trees && (is_first || self.samples >= NEXT_FIRST);
        self.trees = trees;
        self.samples = if counts { 0 } else { self.samples.saturating_add(1) };
        let mut wanted_s = end_s / SAMPLES_TO_END;
        if self.samples < FIRST_SAMPLES || left < 0.10 {
            wanted_s = wanted_s.min(self.interval_s / 4.0);
        }
        if left < 0.03 {
            wanted_s = 0.0;
        }
        let wanted = self.halvings_for(wanted_s);
        if wanted >= self.halvings {
            self.halvings = wanted;
            self.calm = 0;
        } else {
            self.calm += 1;
            if self.calm >= CALM {
                self.halvings -= 1;
                self.calm = 0;
            }
        }
        self.interval_s / f64::from(1_u32 << self.halvings)
    }

    /// The fewest halvings that bring the interval down to `wanted_s`, or as near as allowed.
    fn halvings_for(&self, wanted_s: f64) -> u32 {
        (0..=HALVINGS)
            .take_while(|k| *k == 0 || self.interval_s / f64::from(1_u32 << k) >= SHORTEST_S)
            .find(|k| self.interval_s / f64::from(1_u32 << k) <= wanted_s)
            .unwrap_or_else(|| {
                (1..=HALVINGS)
                    .rev()
                    .find(|k| self.interval_s / f64::from(1_u32 << k) >= SHORTEST_S)
                    .unwrap_or(0)
            })
    }
}

/// The nearest end among forecasts, in seconds.
pub fn nearest_end_s(forecasts: impl Iterator<Item = Forecast>) -> f64 {
    forecasts.map(|f| f.earliest_s).fold(f64::INFINITY, f64::min)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settled() -> SamplingInterval {
        let mut interval = SamplingInterval::new(5.0);
        for _ in 0..200 {
            interval.next_s(f64::INFINITY, 1.0, 1);
        }
        interval
    }

    #[test]
    fn the_first_minute_is_sampled_four_times_as_often() {
        let mut interval = SamplingInterval::new(5.0);
        let times: Vec<f64> = (0..200).map(|_| interval.next_s(f64::INFINITY, 1.0, 1)).collect();
        assert_eq!((times[0], times[45], times[199]), (1.25, 1.25, 5.0));
    }

    #[test]
    fn trees_that_come_and_go_all_the_time_do_not_keep_it_short() {
        let mut interval = SamplingInterval::new(5.0);
        let pauses = (0..2000).map(|n| interval.next_s(f64::INFINITY, 1.0, 1 + n % 2));
        let short = pauses.filter(|pause_s| *pause_s < 5.0).count();
        assert!((400..1200).contains(&short), "{short} of 2000");
        let mut interval = settled();
        interval.next_s(f64::INFINITY, 1.0, 0);
        assert_eq!(interval.next_s(f64::INFINITY, 1.0, 1), 1.25, "the service starts anew");
    }

    #[test]
    fn the_interval_shrinks_at_once_as_the_end_nears_and_grows_again_step_by_step() {
        let mut interval = settled();
        assert_eq!(interval.next_s(3600.0, 0.5, 1), 5.0);
        assert_eq!(interval.next_s(200.0, 0.5, 1), 1.25);
        assert_eq!(interval.next_s(20.0, 0.5, 1), 0.3125);
        let after: Vec<f64> = (0..60).map(|_| interval.next_s(f64::INFINITY, 0.5, 1)).collect();
        assert_eq!((after[0], after[11], after[23], after[59]), (0.3125, 0.625, 1.25, 5.0));
    }

    #[test]
    fn little_headroom_alone_shortens_the_interval() {
        assert_eq!(settled().next_s(f64::INFINITY, 0.05, 1), 1.25);
        assert_eq!(settled().next_s(f64::INFINITY, 0.02, 1), 0.3125);
    }

    #[test]
    fn an_interval_set_below_the_shortest_is_kept() {
        assert_eq!(SamplingInterval::new(0.1).next_s(1.0, 0.01, 1), 0.1);
        assert_eq!(SamplingInterval::new(1.0).next_s(1.0, 0.01, 1), 0.25);
    }
}
