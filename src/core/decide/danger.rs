//! Danger: may a ceiling be reached within the lead time, and is the evidence long enough to act on?

use crate::core::decide::eligibility::Eligibility;
use crate::core::decide::last_minute::limit::usable;
use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::{CeilingKind, Effect};
use crate::core::model::forecast::Forecast;
use crate::core::model::process::ProcId;
use crate::core::model::verdict::Evidence;

/// Growth watched, as a multiple of what is left, before a process may be ended.
const EVIDENCE: f64 = 2.0;
/// Growth of less than this share of the ceiling is not what ends memory.
const MATERIAL: f64 = 0.03;

/// A ceiling that comes nearer, in its unit, and the growth behind that.
#[derive(Clone, Copy, Debug)]
pub struct Danger {
    forecast: Forecast,
    /// What can be counted on below the ceiling.
    left: f64,
    limit: u64,
    /// Growth that was watched of all that grow below the ceiling.
    watched: f64,
}

impl Danger {
    /// The nearest ceiling on memory over a tree, which long growths fill. The earliest end is
    /// that of the memory that can be counted on.
    ///
    /// A leak that is proven is acted on while there is enough left for the machine to work well;
    /// growth that may be a fill, only when hardly anything is.
    pub fn in_bytes(
        root: ProcId,
        is_proven: bool,
        eligibility: &Eligibility,
        detector: &Detector,
    ) -> Option<Self> {
        let forecast = detector.growth_forecast(root)?;
        let headroom = detector.headroom(root);
        // A ceiling with a place may be over several trees; then each counts its own, which is careful.
        let is_shared = headroom.place.is_none() && headroom.kind != CeilingKind::Budget;
        let is_below = |s: &&ProcessState| is_shared || s.root == root;
        // In a dry run the processes already ordered count as gone.
        let ended = eligibility.pretended(detector).into_iter();
        let pretended: u64 =
            ended.filter(|(of, _)| is_shared || *of == root).map(|(_, bytes)| bytes).sum();
        // Where a fork is refused, a machine that hardly has anything left cannot be helped any more.
        let countable = if is_proven || headroom.kind.effect() == Effect::Enomem {
            headroom.usable()
        } else {
            usable(headroom.left as f64, headroom.limit as f64)
        };
        let left = countable + pretended as f64;
        let earliest_s = forecast.earliest_s * left / (headroom.left as f64).max(1.0);
        let growing = detector.flagged().filter(|s| s.endangers && is_below(s));
        let counted = growing.filter(|s| eligibility.excluded().all(|id| id != s.id));
        let watched = counted.filter_map(|s| s.kill_evidence).map(growth_watched).sum();
        let forecast = Forecast { earliest_s, ..forecast };
        Some(Self { forecast, left, limit: headroom.limit, watched })
    }

    /// The nearest ceiling on tasks over a tree, which threads and children that never end fill.
    pub fn in_tasks(root: ProcId, detector: &Detector) -> Option<Self> {
        let (forecast, headroom) = detector.task_forecast(root)?;
        // A ceiling without a place of one tree is over all trees.
        let is_below = |of: ProcId| of == root || headroom.place.is_none();
        let threads =
            detector.process_states().filter(|s| is_below(s.root)).filter_map(|s| s.thread_leak);
        let child_leaks = detector
            .child_leaks()
            .filter(|(id, ..)| detector.process_state(*id).is_some_and(|s| is_below(s.root)))
            .map(|(_, evidence, _)| evidence);
        let watched = threads.chain(child_leaks).map(growth_watched).sum();
        Some(Self { forecast, left: headroom.usable(), limit: headroom.limit, watched })
    }

    /// When the ceiling is reached, however far that is and however long the evidence.
    pub fn forecast(&self) -> &Forecast {
        &self.forecast
    }

    /// The forecast, if the ceiling may be reached within so many seconds, on evidence long enough.
    pub fn within(&self, lead_s: f64) -> Option<Forecast> {
        let needed = EVIDENCE * self.left.max(MATERIAL * self.limit as f64);
        (self.forecast.earliest_s <= lead_s && self.watched >= needed).then_some(self.forecast)
    }
}

fn growth_watched(evidence: Evidence) -> f64 {
    evidence.slope * evidence.window_s
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::Place;
    use proptest::prelude::*;

    fn danger(earliest_s: f64, left: f64, limit: u64, watched: f64) -> Danger {
        let forecast = Forecast {
            ceiling: CeilingKind::Ram,
            place: Place::NONE,
            headroom: left as u64,
            limit,
            slope: 1.0,
            earliest_s,
            likely_s: 2.0 * earliest_s,
            latest_s: 4.0 * earliest_s,
            window_s: 60.0,
        };
        Danger { forecast, left, limit, watched }
    }

    #[test]
    fn growth_must_be_watched_for_twice_what_is_left_and_matter_to_the_ceiling() {
        assert!(danger(10.0, 50.0, 100, 100.0).within(30.0).is_some());
        assert!(danger(10.0, 50.0, 100, 99.0).within(30.0).is_none());
        assert!(danger(31.0, 50.0, 100, 100.0).within(30.0).is_none());
        assert!(danger(10.0, 0.0, 1000, 59.0).within(30.0).is_none(), "under 6 % of the ceiling");
    }

    proptest! {
        #[test]
        fn danger_is_monotone_in_what_is_left_in_growth_and_in_lead_time(
            earliest_s in 0.0..100.0_f64, left in 0.0..1e9_f64, watched in 0.0..3e9_f64,
            lead_s in 1.0..100.0_f64, less in 0.0..1.0_f64, more in 1.0..9.0_f64,
        ) {
            let limit = 2_000_000_000;
            if danger(earliest_s, left, limit, watched).within(lead_s).is_some() {
                prop_assert!(danger(earliest_s, less * left, limit, watched).within(lead_s).is_some());
                prop_assert!(danger(earliest_s, left, limit, more * watched).within(lead_s).is_some());
                prop_assert!(danger(less * earliest_s, left, limit, watched).within(lead_s).is_some());
                prop_assert!(danger(earliest_s, left, limit, watched).within(more * lead_s).is_some());
            }
        }

        #[test]
        fn danger_does_not_depend_on_the_unit(
            earliest_s in 0.0..100.0_f64, left in 0.0..1e6_f64, watched in 0.0..3e6_f64,
        ) {
            let one = danger(earliest_s, left, 1_000_000, watched).within(30.0).is_some();
            let kib = danger(earliest_s, 1024.0 * left, 1_024_000_000, 1024.0 * watched);
            prop_assert_eq!(one, kib.within(30.0).is_some());
        }
    }
}
