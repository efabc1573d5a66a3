//! Lateness: how late the looks come, and when that has to be said.
//!
//! Times are seconds on a clock that stands still while the machine is suspended (CLOCK_MONOTONIC),
//! so a suspend makes no look late; nor does a stop by a signal, which is [forgiven](SchedulingDelay::forgive).

/// Seconds of lateness that are said: a machine that works gives a sleeper its turn within some
/// milliseconds, one with forty times as much to do as processors within a tenth of a second.
const LATE_S: f64 = 1.0;
/// An episode is over after so many seconds in which no look came late; then the next one is said.
const OVER_S: f64 = 60.0;

/// How late the looks of all watches came since the start.
#[derive(Clone, Copy, Debug)]
pub struct SchedulingDelay {
    begun_s: f64,
    now_s: f64,
    /// Looks that were due before that are not late.
    forgiven_s: f64,
    /// When a look came late last.
    late_at_s: f64,
    looks: u64,
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
            looks: 0,
            last_s: 0.0,
            worst_s: 0.0,
        }
    }

    /// What is due before `now_s` may come late: leakwatch was stopped, or had other things to do.
    pub fn forgive(&mut self, now_s: f64) {
        self.forgiven_s = now_s;
    }

    /// A look begins at `now_s` that should have at `due_s`. Seconds by which it came late, if that
    /// is to be said: once an episode.
    pub fn observe(&mut self, due_s: f64, now_s: f64) -> Option<f64> {
        let late_s = (now_s - due_s.max(self.forgiven_s)).max(0.0);
        (self.now_s, self.last_s) = (now_s, late_s);
        self.worst_s = self.worst_s.max(late_s);
        self.looks += 1;
        if late_s < LATE_S {
            return None;
        }
        let again = now_s - self.late_at_s < OVER_S;
        self.late_at_s = now_s;
        (!again).then_some(late_s)
    }

    /// Looks so far.
    pub fn looks(&self) -> u64 {
        self.looks
    }

    /// Seconds by which the last look came late.
    pub fn last_s(&self) -> f64 {
        self.last_s
    }

    /// The most so far.
    pub fn worst_s(&self) -> f64 {
        self.worst_s
    }

    /// Seconds from the start to the last look, without those that the machine was suspended.
    pub fn age_s(&self) -> f64 {
        self.now_s - self.begun_s
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_episode_is_said_once_and_the_worst_is_kept() {
        let mut scheduling_delay = SchedulingDelay::new(0.0);
        assert_eq!(scheduling_delay.observe(5.0, 5.004), None);
        assert_eq!(scheduling_delay.observe(10.0, 17.0), Some(7.0));
        assert_eq!(scheduling_delay.observe(22.0, 31.0), None, "the same episode");
        assert_eq!(scheduling_delay.observe(70.0, 72.0), None, "not a minute after the last of it");
        assert_eq!(scheduling_delay.observe(132.0, 134.0), Some(2.0), "another one");
        assert_eq!((scheduling_delay.last_s(), scheduling_delay.worst_s()), (2.0, 9.0));
        assert_eq!((scheduling_delay.looks(), scheduling_delay.age_s()), (5, 134.0));
    }

    #[test]
    fn a_stop_makes_no_look_late_but_what_follows_it_may() {
        let mut scheduling_delay = SchedulingDelay::new(0.0);
        scheduling_delay.forgive(60.0);
        assert_eq!(scheduling_delay.observe(5.0, 60.001), None);
        assert!(scheduling_delay.worst_s() < 0.01, "{}", scheduling_delay.worst_s());
        assert_eq!(scheduling_delay.observe(65.0, 68.0), Some(3.0));
    }
}
