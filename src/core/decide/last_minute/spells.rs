//! Spells: how long workers work at a stretch.
//!
//! How long an exit takes tells nothing of requests while only idle workers were ended. But a worker
//! that was at rest, works and rests again has answered a request or several: as long as that one
//! should have to finish when it is told to exit. A gunicorn whose requests take 4 s had a lead of
//! 1.75 s after three idle workers had gone at once; then memory ended 2 s after the order on a busy one.

use super::exits::Outcomes;
use crate::core::decide::eligibility::Eligibility;
use crate::core::decide::worker::is_idle;
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::process::ProcId;
use std::collections::HashMap;

/// Fewer spells tell nothing.
const LEAST: usize = 3;
/// The longest that counts, in seconds: workers that hardly rest show no single request.
const LONGEST_S: f64 = 8.0;
/// Samples that are farther apart, in seconds, do not show when a spell begins or ends.
const CLOSE_S: f64 = 1.1;

/// The spells of workers of known servers.
#[derive(Debug, Default)]
pub struct Spells {
    workers: HashMap<ProcId, Work>,
    /// Seconds of the last spells of a server's workers, oldest first.
    ended: HashMap<&'static str, Outcomes>,
    last_t: Option<f64>,
}

/// What a worker does.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Work {
    /// It was working when first seen, or samples came too far apart.
    Unknown,
    Rests,
    /// From when to when it was last seen to move.
    Works(f64, f64),
}

impl Work {
    /// Takes over a sample in which it moved, or is idle, or neither; the seconds of a spell that
    /// is over.
    fn observe(&mut self, t: f64, moves: bool, idle: bool) -> Option<f64> {
        match *self {
            Self::Rests if moves => *self = Self::Works(t, t),
            Self::Works(from, _) if moves => *self = Self::Works(from, t),
            Self::Works(from, last) if idle => {
                *self = Self::Rests;
                return Some(last - from);
            }
            Self::Unknown if idle => *self = Self::Rests,
            _ => {}
        }
        None
    }
}

impl Spells {
    /// Takes over a sample at `t`.
    pub fn observe(&mut self, t: f64, eligibility: &Eligibility, detector: &Detector) {
        let gap_s = self.last_t.replace(t).map_or(f64::INFINITY, |last| t - last);
        if gap_s > CLOSE_S {
            self.workers.clear();
            return;
        }
        for s in detector.process_states().filter(|s| s.parent.is_some()) {
            let Some(server) = eligibility.server(s.id).filter(|of| of.is_known()) else {
                continue;
            };
            let work = self.workers.entry(s.id).or_insert(Work::Unknown);
            if let Some(spell_s) = work.observe(t, moves(s), is_idle(s)) {
                self.ended.entry(server.key).or_default().push(spell_s);
            }
        }
        if detector.is_any_gone() {
            self.workers.retain(|id, _| detector.process_state(*id).is_some());
        }
    }

    /// Seconds that a worker of that server works at a stretch: the median; 0 where too few were
    /// seen.
    pub fn length_s(&self, server: &'static str) -> f64 {
        let median = self.ended.get(server).and_then(|ended| ended.median(LEAST));
        median.map_or(0.0, |median| median.min(LONGEST_S))
    }
}

/// Whether it used CPU or changed its size since the sample before.
fn moves(s: &ProcessState) -> bool {
    let changed = match s.recent.points() {
        [.., (_, before), (_, now)] => before != now,
        _ => false,
    };
    changed || s.idle_s == 0.0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The spells of a worker that moves, is at rest (`.`) or idle (`i`) in samples a quarter of
    /// a second apart.
    fn spells(samples: &str) -> Vec<f64> {
        let mut work = Work::Unknown;
        let seen = samples.chars().enumerate();
        seen.filter_map(|(nth, c)| work.observe(nth as f64 / 4.0, c == 'm', c == 'i')).collect()
    }

    #[test]
    fn a_spell_lasts_from_the_first_to_the_last_movement_between_rests() {
        assert_eq!(spells("..iiimmmmm...ii"), [1.0]);
        assert_eq!(spells("iimm..mm..mmm...iiim...i"), [2.5, 0.0]);
    }

    #[test]
    fn work_that_was_not_seen_to_begin_or_to_end_is_no_spell() {
        assert_eq!(spells("mmmmm...ii"), [0.0; 0]);
        assert_eq!(spells("iimmmmmmm.."), [0.0; 0]);
    }

    #[test]
    fn the_median_of_the_last_spells_counts_up_to_eight_seconds() {
        let of = |ended: &[f64]| {
            let mut spells = Spells::default();
            let of = spells.ended.entry("a").or_default();
            ended.iter().for_each(|seconds| of.push(*seconds));
            spells.length_s("a")
        };
        assert_eq!(of(&[4.0, 4.0]), 0.0, "too few");
        assert_eq!(of(&[4.0, 0.1, 5.0]), 4.0);
        assert_eq!(of(&[400.0, 4.0, 500.0]), 8.0);
        assert_eq!(Spells::default().length_s("b"), 0.0);
    }
}
