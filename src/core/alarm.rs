//! Alarm: the end has begun. Forks are refused, or the OOM killer strikes.

use crate::core::model::ceiling::MemoryFailure;
use crate::core::model::event::Event;

/// A sign keeps the alarm on for so many seconds.
const HOLDS_S: f64 = 60.0;

/// The signs seen lately; each is told at once, then at most once a minute.
#[derive(Debug, Default)]
pub struct Alarm {
    now: f64,
    recent: Vec<RecentFailure>,
}

#[derive(Debug)]
struct RecentFailure {
    sign: MemoryFailure,
    last_t: f64,
    told_t: f64,
    /// How often since it was told.
    untold: u64,
}

impl Alarm {
    /// Takes in the signs of the sample at `t`; what is to be told goes to `events`.
    pub fn observe(&mut self, t: f64, memory_failures: &[MemoryFailure], events: &mut Vec<Event>) {
        self.now = t;
        for sign in memory_failures {
            let is_same = |recent: &&mut RecentFailure| {
                let MemoryFailure { kind, ceiling, place, .. } = recent.sign;
                (kind, ceiling, place) == (sign.kind, sign.ceiling, sign.place)
            };
            match self.recent.iter_mut().find(is_same) {
                // Events go up a hierarchy: a limit over several trees tells of the same thing
                // in each of them.
                Some(recent) if recent.last_t == t && recent.sign.root != sign.root => {}
                Some(recent) => {
                    (recent.last_t, recent.sign.root) = (t, sign.root);
                    recent.untold = recent.untold.saturating_add(sign.count);
                }
                None => {
                    let (told_t, untold) = (f64::NEG_INFINITY, sign.count);
                    self.recent.push(RecentFailure { sign: *sign, last_t: t, told_t, untold });
                }
            }
        }
        for recent in &mut self.recent {
            if recent.untold > 0 && t - recent.told_t >= HOLDS_S {
                recent.told_t = t;
                let count = std::mem::take(&mut recent.untold);
                events.push(Event::MemoryFailure(MemoryFailure { count, ..recent.sign }));
            }
        }
        self.recent.retain(|recent| t - recent.last_t < HOLDS_S);
    }

    /// Whether anything was refused or killed within the last minute.
    pub fn is_on(&self) -> bool {
        !self.recent.is_empty()
    }

    /// The signs of the last minute.
    pub fn memory_failures(&self) -> impl Iterator<Item = &MemoryFailure> {
        self.recent.iter().map(|recent| &recent.sign)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::{CeilingKind, MemoryFailureKind, Place};

    fn sign(place: &str, count: u64) -> MemoryFailure {
        let (kind, ceiling) = (MemoryFailureKind::Refused, CeilingKind::Pids);
        MemoryFailure { kind, ceiling, root: None, place: Place::new(place), count }
    }

    /// The counts told at each second.
    fn told(alarm: &mut Alarm, t: f64, memory_failures: &[MemoryFailure]) -> Vec<u64> {
        let mut events = Vec::new();
        alarm.observe(t, memory_failures, &mut events);
        let count = |event| match event {
            Event::MemoryFailure(sign) => sign.count,
            _ => 0,
        };
        events.into_iter().map(count).collect()
    }

    #[test]
    fn a_sign_is_told_at_once_then_once_a_minute_with_what_came_between() {
        let mut alarm = Alarm::default();
        assert_eq!(told(&mut alarm, 1.0, &[sign("/a", 2)]), [2]);
        assert_eq!(told(&mut alarm, 2.0, &[sign("/a", 3), sign("/b", 1)]), [1]);
        assert_eq!(told(&mut alarm, 30.0, &[sign("/a", 4)]).len(), 0);
        assert_eq!(told(&mut alarm, 61.0, &[]), [7]);
        assert!(alarm.is_on());
        assert_eq!(told(&mut alarm, 90.0, &[]).len(), 0);
        assert!(!alarm.is_on(), "a minute after the last sign");
    }
}
