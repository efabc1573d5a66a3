//! Alarm: memory fails already. Forks are refused, or the OOM killer strikes.

use crate::core::model::ceiling::MemoryFailure;
use crate::core::model::event::Event;

/// A memory failure keeps the alarm on for so many seconds.
const HOLDS_S: f64 = 60.0;

/// The memory failures of the last minute; each is reported at once, then at most once a minute.
#[derive(Debug, Default)]
pub struct Alarm {
    now: f64,
    recent: Vec<RecentFailure>,
}

#[derive(Debug)]
struct RecentFailure {
    failure: MemoryFailure,
    last_t: f64,
    reported_t: f64,
    /// How often it happened since it was reported.
    unreported: u64,
}

impl Alarm {
    /// Takes in the failures of the sample at `t`; what is to be reported goes to `events`.
    pub fn observe(&mut self, t: f64, memory_failures: &[MemoryFailure], events: &mut Vec<Event>) {
        self.now = t;
        for failure in memory_failures {
            let is_same = |recent: &&mut RecentFailure| {
                let MemoryFailure { kind, ceiling, place, .. } = recent.failure;
                (kind, ceiling, place) == (failure.kind, failure.ceiling, failure.place)
            };
            match self.recent.iter_mut().find(is_same) {
                // Events go up a hierarchy: a limit over several trees counts the same failure in
                // each of them.
                Some(recent) if recent.last_t == t && recent.failure.root != failure.root => {}
                Some(recent) => {
                    recent.last_t = t;
                    recent.failure.root = failure.root;
                    recent.unreported = recent.unreported.saturating_add(failure.count);
                }
                None => {
                    let (reported_t, unreported) = (f64::NEG_INFINITY, failure.count);
                    self.recent.push(RecentFailure {
                        failure: *failure,
                        last_t: t,
                        reported_t,
                        unreported,
                    });
                }
            }
        }
        for recent in &mut self.recent {
            if recent.unreported > 0 && t - recent.reported_t >= HOLDS_S {
                recent.reported_t = t;
                let count = std::mem::take(&mut recent.unreported);
                events.push(Event::MemoryFailure(MemoryFailure { count, ..recent.failure }));
            }
        }
        self.recent.retain(|recent| t - recent.last_t < HOLDS_S);
    }

    /// Whether anything was refused or killed within the last minute.
    pub fn is_on(&self) -> bool {
        !self.recent.is_empty()
    }

    /// The failures of the last minute.
    pub fn memory_failures(&self) -> impl Iterator<Item = &MemoryFailure> {
        self.recent.iter().map(|recent| &recent.failure)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::{CeilingKind, MemoryFailureKind, Place};

    fn failure(place: &str, count: u64) -> MemoryFailure {
        let (kind, ceiling) = (MemoryFailureKind::Refused, CeilingKind::Pids);
        MemoryFailure { kind, ceiling, root: None, place: Place::new(place), count }
    }

    /// The counts reported at that second.
    fn reported(alarm: &mut Alarm, t: f64, memory_failures: &[MemoryFailure]) -> Vec<u64> {
        let mut events = Vec::new();
        alarm.observe(t, memory_failures, &mut events);
        let count = |event| match event {
            Event::MemoryFailure(failure) => failure.count,
            _ => 0,
        };
        events.into_iter().map(count).collect()
    }

    #[test]
    fn a_failure_is_reported_at_once_then_once_a_minute_with_what_came_between() {
        let mut alarm = Alarm::default();
        assert_eq!(reported(&mut alarm, 1.0, &[failure("/a", 2)]), [2]);
        assert_eq!(reported(&mut alarm, 2.0, &[failure("/a", 3), failure("/b", 1)]), [1]);
        assert_eq!(reported(&mut alarm, 30.0, &[failure("/a", 4)]).len(), 0);
        assert_eq!(reported(&mut alarm, 61.0, &[]), [7]);
        assert!(alarm.is_on());
        assert_eq!(reported(&mut alarm, 90.0, &[]).len(), 0);
        assert!(!alarm.is_on(), "a minute after the last failure");
    }
}
