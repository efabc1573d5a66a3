//! Glances: what is left below the limits on memory, looked at between samples.
//!
//! A glance costs a tenth of a sample. It judges nothing: it only tells that the next sample must not
//! wait, so that a replay, which has the samples alone, decides as the live run did.

use crate::core::decide::last_minute::fall::sure_fall;
use crate::core::decide::last_minute::limit::{LEAST_USABLE, usable};
use crate::core::model::ceiling::{Ceiling, CeilingKind, Place};
use crate::core::model::process::ProcId;
use std::collections::VecDeque;

/// Seconds between glances: at the least, and at the most.
const PERIOD_S: (f64, f64) = (0.1, 1.0);
/// Bytes a second that one core can touch: nothing is known of what begins now.
const FASTEST: f64 = 1024.0 * 1_048_576.0;
/// Glances wanted before memory can be gone.
const GLANCES_TO_END: f64 = 4.0;
/// Seconds that a rate reaches back.
const WINDOW_S: f64 = 1.5;

/// The last glances at each limit.
#[derive(Debug, Default)]
pub struct Glances {
    limits: Vec<GlanceSeries>,
}

#[derive(Debug)]
struct GlanceSeries {
    id: (CeilingKind, Place, Option<ProcId>),
    points: VecDeque<(f64, f64)>,
}

/// What a glance tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Glance {
    /// Memory may end before the next planned sample has told: take one now.
    pub alarm: bool,
    /// Seconds until the next glance.
    pub next_s: f64,
}

impl Glances {
    /// Takes over what is left below the ceilings at `t`. `near_s`: an end within so many seconds
    /// wants a sample.
    pub fn observe(
        &mut self,
        t: f64,
        ceilings: impl Iterator<Item = Ceiling>,
        near_s: f64,
    ) -> Glance {
        let mut glance = Glance { alarm: false, next_s: PERIOD_S.1 };
        for ceiling in ceilings.filter(Ceiling::is_hard_memory_limit) {
            let id = (ceiling.kind, ceiling.place, ceiling.root);
            let known = self.limits.iter().position(|series| series.id == id);
            let index = known.unwrap_or_else(|| {
                self.limits.push(GlanceSeries { id, points: VecDeque::with_capacity(24) });
                self.limits.len() - 1
            });
            let Some(series) = self.limits.get_mut(index) else { continue };
            let rate = series.push(t, &ceiling);
            let left = ceiling.headroom() as f64;
            // What is left of the reserve is no time, however slowly it goes.
            let end_near = usable(left, ceiling.limit as f64) <= (near_s * rate).max(LEAST_USABLE);
            glance.alarm |= end_near;
            let end_s = left / FASTEST.max(2.0 * rate);
            let next_s = (end_s / GLANCES_TO_END - 0.05).clamp(PERIOD_S.0, PERIOD_S.1);
            glance.next_s = glance.next_s.min(next_s);
        }
        self.limits.retain(|series| series.points.back().is_some_and(|(at, _)| *at == t));
        glance
    }
}

impl GlanceSeries {
    /// Adds a point; the faster of the falls since the point before and over the window, in bytes a
    /// second.
    fn push(&mut self, t: f64, ceiling: &Ceiling) -> f64 {
        let left = ceiling.headroom() as f64;
        let noise = sure_fall(ceiling.limit as f64);
        while self.points.get(1).is_some_and(|(at, _)| t - at > WINDOW_S) {
            self.points.pop_front();
        }
        let rate = |(at, then): &(f64, f64)| {
            let lost = then - left;
            if lost > noise && t > *at { lost / (t - at) } else { 0.0 }
        };
        let last = self.points.back().map_or(0.0, rate);
        let all = self.points.front().map_or(0.0, rate);
        self.points.push_back((t, left));
        last.max(all)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: f64 = 1_048_576.0;

    fn ram(left: f64, limit: f64) -> Ceiling {
        let (used, limit) = (((limit - left.max(0.0)) * MIB) as u64, (limit * MIB) as u64);
        Ceiling { kind: CeilingKind::Ram, root: None, place: Place::NONE, used, limit }
    }

    proptest! {
        #[test]
        fn a_steady_fall_is_noticed_while_the_time_asked_for_is_left(
            rate in 15.0..1000.0_f64, limit in 512.0..8192.0_f64,
        ) {
            let (mut glances, mut t, near_s) = (Glances::default(), 0.0, 3.5);
            loop {
                let left = 0.95 * limit - rate * t;
                prop_assert!(left > 0.0, "memory ended without an alarm");
                let glance = glances.observe(t, std::iter::once(ram(left, limit)), near_s);
                if glance.alarm {
                    let left_s = left / rate;
                    // Noticed late only where it began with less time than that.
                    prop_assert!(left_s > (near_s - 1.1).min(0.9 * limit / rate - 1.0), "{left_s}");
                    break;
                }
                t += glance.next_s;
            }
        }

        #[test]
        fn headroom_that_wanders_within_its_noise_is_no_alarm(
            lefts in prop::collection::vec(40.0..41.0_f64, 2..80),
        ) {
            let mut glances = Glances::default();
            for (nth, left) in lefts.iter().enumerate() {
                let t = 0.1 * nth as f64;
                let glance = glances.observe(t, std::iter::once(ram(*left, 512.0)), 3.5);
                prop_assert!(!glance.alarm && (0.1..=1.0).contains(&glance.next_s));
            }
        }
    }
}
