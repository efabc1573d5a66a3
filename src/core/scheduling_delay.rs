//! How late samples begin, and when that is worth a line.
//!
//! Times are seconds on a clock that stands still while the machine is suspended (CLOCK_MONOTONIC),
//! so a suspend makes no sample late; nor does a stop by a signal, which is [forgiven](SchedulingDelay::forgive).

/// Seconds of delay that are reported: a machine that works gives a sleeper its turn within some
/// milliseconds, one with forty times as much to do as processors within a tenth of a second.
const LATE_S: f64 = 1.0;
/// An episode is over after so many seconds without a late sample; then the next one is reported.
const OVER_S: f64 = 60.0;

/// How late the samples of all watches began since the start.
#[derive(Clone, Copy, Debug)]
pub struct SchedulingDelay {
    begun_s: f64,
    now_s: f64,
    /// Samples that were due before this time do not count as late.
    forgiven_s: f64,
    /// When a sample was late last.
    late_at_s: f64,
    samples: u64,
    last_s: f64,
    worst_s: f64,
}

impl SchedulingDelay {
    /// Counts from `now_s` on.
    pub fn new(now_s: f64) -> Self {
        Self {
            begun_s: now_s,
            now_s,
            forgiven_s: now_s,
            late_at_s: f64::NEG_INFINITY,
            samples: 0,
            last_s: 0.0,
            worst_s: 0.0,
        }
    }

    /// Samples that were due before `now_s` may come late: leakwatch was stopped, or had other work.
    pub fn forgive(&mut self, now_s: f64) {
        self.forgiven_s = now_s;
    }

    /// A sample begins at `now_s` that should have begun at `due_s`. The seconds by which it is late,
    /// if that is to be reported: once an episode.
    pub fn observe(&mut self, due_s: f64, now_s: f64) -> Option<f64> {
        let late_s = (now_s - due_s.max(self.forgiven_s)).max(0.0);
        self.now_s = now_s;
        self.last_s = late_s;
        self.worst_s = self.worst_s.max(late_s);
        self.samples += 1;
        if late_s < LATE_S {
            return None;
        }
        let is_same_episode = now_s - self.late_at_s < OVER_S;
        self.late_at_s = now_s;
        (!is_same_episode).then_some(late_s)
    }

    /// Samples so far.
    pub fn samples(&self) -> u64 {
        self.samples
    }

    /// Seconds by which the last sample was late.
    pub fn last_s(&self) -> f64 {
        self.last_s
    }

    /// The most so far.
    pub fn worst_s(&self) -> f64 {
        self.worst_s
    }

    /// Seconds from the start to the last sample, without those for which the machine was suspended.
    pub fn age_s(&self) -> f64 {
        self.now_s - self.begun_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_is_reported_once_and_the_worst_delay_is_kept() {
        let mut scheduling_delay = SchedulingDelay::new(0.0);
        assert_eq!(scheduling_delay.observe(5.0, 5.004), None);
        assert_eq!(scheduling_delay.observe(10.0, 17.0), Some(7.0));
        assert_eq!(scheduling_delay.observe(22.0, 31.0), None, "the same episode");
        assert_eq!(scheduling_delay.observe(70.0, 72.0), None, "not a minute after the last of it");
        assert_eq!(scheduling_delay.observe(132.0, 134.0), Some(2.0), "another one");
        assert_eq!((scheduling_delay.last_s(), scheduling_delay.worst_s()), (2.0, 9.0));
        assert_eq!((scheduling_delay.samples(), scheduling_delay.age_s()), (5, 134.0));
    }

    #[test]
    fn a_stop_makes_no_sample_late_but_a_delay_after_it_counts() {
        let mut scheduling_delay = SchedulingDelay::new(0.0);
        scheduling_delay.forgive(60.0);
        assert_eq!(scheduling_delay.observe(5.0, 60.001), None);
        assert!(scheduling_delay.worst_s() < 0.01, "{}", scheduling_delay.worst_s());
        assert_eq!(scheduling_delay.observe(65.0, 68.0), Some(3.0));
    }
}
