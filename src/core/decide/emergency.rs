//! Emergency: the exception for memory that is used up faster than the statistics can follow.
//!
//! A window that convicts holds 48 samples. When memory will be gone within ten, there is no time
//! for that, so the fastest-growing child is judged on the last five samples alone: headroom fell
//! in each, the child grew in each, and its tree explains most of the fall. The order says so.

use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::ProcId;
use std::collections::HashMap;

/// Samples that are compared.
const SAMPLES: usize = 5;
/// Memory must be gone within so many samples at the rate of the last ones.
const GONE_WITHIN: f64 = 10.0;
/// And within so many seconds: beyond, there is time for statistics. Five samples of a check that
/// comes every five minutes are a database warming up.
const GONE_WITHIN_S: f64 = 60.0;
/// Only when at most this share of the ceiling is left: half a machine's memory taken at once is a
/// database starting; the last quarter is the end.
const LAST_SHARE: f64 = 0.25;
/// Share of the fall of headroom that the growth of its tree must explain.
const SHARE: f64 = 0.5;
/// A process that has grown by less than this share of the ceiling since first seen is not the cause.
const MATERIAL: f64 = 0.03;

/// The last headrooms of each tree.
#[derive(Debug, Default)]
pub struct Emergency {
    trees: HashMap<ProcId, HeadroomFall>,
}

/// Headrooms in bytes with their times, oldest first.
#[derive(Clone, Copy, Debug, Default)]
struct HeadroomFall {
    points: [(f64, u64); SAMPLES],
    filled: usize,
}

impl HeadroomFall {
    fn push(&mut self, t: f64, left: u64) {
        if self.points.last().is_some_and(|(last, _)| *last == t) {
            return;
        }
        self.points.rotate_left(1);
        if let Some(last) = self.points.last_mut() {
            *last = (t, left);
        }
        self.filled = (self.filled + 1).min(SAMPLES);
    }

    /// Bytes lost over these samples, and in how many seconds; `None` unless it fell each time.
    fn steady(&self) -> Option<(f64, f64)> {
        let [(first_t, first), .., (last_t, last)] = self.points;
        let falls = self.points.windows(2).all(|pair| matches!(pair, [(_, a), (_, b)] if a > b));
        (self.filled == SAMPLES && falls).then_some((first as f64 - last as f64, last_t - first_t))
    }
}

impl Emergency {
    /// Notes every tree's headroom.
    pub fn observe(&mut self, t: f64, detector: &Detector) {
        let mut last = None;
        for s in detector.process_states() {
            // Processes of a tree mostly come one after the other.
            if last.replace(s.root) == Some(s.root) {
                continue;
            }
            self.trees.entry(s.root).or_default().push(t, detector.headroom(s.root).left);
        }
        self.trees.retain(|_, fall| fall.points.last().is_some_and(|(last, _)| *last == t));
    }

    /// The fastest-growing process that `may_end`, of a tree in an emergency, with the forecast. Ten
    /// samples of a slow recording are minutes: the end must also be within the lead time.
    pub fn fastest(
        &self,
        detector: &Detector,
        lead_s: f64,
        may_end: impl Fn(&ProcessState) -> bool,
    ) -> Option<(ProcId, Forecast)> {
        let growing = |root| {
            let members = detector.process_states().filter(move |s| s.root == root);
            members.filter_map(steady_growth).fold((0.0, 0.0), |(all, n), g| (all + g, n + 1.0))
        };
        let candidates = detector.process_states().filter_map(|s| {
            let growth = steady_growth(s)?;
            let forecast = self.forecast(s.root, detector);
            let forecast = forecast.filter(|f| f.likely_s <= lead_s.min(GONE_WITHIN_S))?;
            let (all, count) = growing(s.root);
            let lost = forecast.slope * forecast.window_s;
            let material = MATERIAL * detector.headroom(s.root).limit as f64;
            let holds = s.footprint.saturating_sub(s.first_footprint) as f64;
            // A leak in every worker is one leak: the tree must explain the fall, and the victim
            // be no bystander to the others.
            let culprit = all >= SHARE * lost && growth >= all / (2.0 * count) && holds >= material;
            culprit.then_some((s, growth, forecast))
        });
        candidates
            .filter(|(s, ..)| may_end(s))
            .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.id.cmp(&a.0.id)))
            .map(|(s, _, forecast)| (s.id, forecast))
    }

    /// When memory ends for a tree, if that is an emergency.
    pub fn forecast(&self, root: ProcId, detector: &Detector) -> Option<Forecast> {
        let (lost, window_s) = self.trees.get(&root)?.steady()?;
        let headroom = detector.headroom(root);
        let left = headroom.usable();
        let slope = lost / window_s;
        let likely_s = left / slope;
        let tick_s = window_s / (SAMPLES - 1) as f64;
        let near = likely_s <= GONE_WITHIN * tick_s
            && headroom.left as f64 <= LAST_SHARE * headroom.limit as f64;
        near.then_some(Forecast {
            ceiling: headroom.kind,
            place: headroom.place,
            headroom: headroom.left,
            limit: headroom.limit,
            slope,
            // Four differences: between half and twice the rate is as much as they tell.
            earliest_s: likely_s / 2.0,
            likely_s,
            latest_s: likely_s * 2.0,
            window_s,
        })
    }
}

/// Bytes grown over the last samples; `None` unless it grew each time.
fn steady_growth(s: &ProcessState) -> Option<f64> {
    let points = s.recent.points();
    let last = points.get(points.len().checked_sub(SAMPLES)?..)?;
    let grows = last.windows(2).all(|pair| matches!(pair, [(_, a), (_, b)] if a < b));
    match last {
        [(_, first), .., (_, newest)] if grows => Some((newest - first) as f64),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn only_headroom_that_fell_in_each_of_the_last_samples_is_an_emergency(
            lefts in prop::collection::vec(0..9_u64, 1..12),
        ) {
            let mut fall = HeadroomFall::default();
            for (t, left) in lefts.iter().enumerate() {
                fall.push(t as f64, *left);
            }
            let last = lefts.iter().rev().take(SAMPLES).rev().copied().collect::<Vec<u64>>();
            let falls = last.len() == SAMPLES && last.is_sorted_by(|a, b| a > b);
            let lost = (falls).then(|| (last[0] as f64 - last[SAMPLES - 1] as f64, 4.0));
            prop_assert_eq!(fall.steady(), lost);
        }
    }
}
