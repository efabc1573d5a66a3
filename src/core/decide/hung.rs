//! Hung: which of the children that never end does nothing any more.

use crate::core::detect::Detector;
use crate::core::detect::process_state::ProcessState;
use crate::core::model::forecast::Forecast;

/// Least seconds without CPU time after which a child hangs, however near the end.
const LEAST_IDLE_S: f64 = 10.0;
/// Seconds without CPU time that are always enough.
const MOST_IDLE_S: f64 = 60.0;
/// Share of its life for which it must have used none: the rest is its start.
const IDLE_SHARE_OF_LIFE: f64 = 0.8;
/// Samples that it must have been seen in: while a machine stands still no process uses any.
const LEAST_SAMPLES: u32 = 6;
/// Least share of what fills a limit that these children must be, to be given less time.
const MAIN_SHARE: f64 = 0.5;

/// Whether a process is one of the children that pile up, and hangs: it was started while they did,
/// and it used no CPU for nearly all of its life, and for long enough. CPU time comes in steps of
/// 10 ms, so a worker with little to do may seem idle for a minute too; children that were there
/// before the pile-up began, or that ever worked since, are not counted.
///
/// Long enough is half of the time that shows the pile-up, or a minute. Where fork fails sooner than
/// that, the time left is enough, if it is this pile-up that fills the limit and still does: else
/// hung children would be given longer and longer as it goes on, and fill the limit meanwhile.
pub fn hangs(s: &ProcessState, end: &Forecast, detector: &Detector) -> bool {
    let child_leak = detector.child_leaks().find(|(parent, ..)| Some(*parent) == s.parent);
    let Some((_, child_leak, for_s)) = child_leak else { return false };
    let since_then = s.age_s <= for_s && s.samples >= LEAST_SAMPLES;
    if !since_then || s.idle_s < IDLE_SHARE_OF_LIFE * s.age_s {
        return false;
    }
    let is_sibling_new = |o: &ProcessState| o.parent == s.parent && o.age_s < LEAST_IDLE_S;
    let goes_on = || detector.process_states().any(is_sibling_new);
    let fills_it = || child_leak.slope >= MAIN_SHARE * end.slope && goes_on();
    s.idle_s >= MOST_IDLE_S.min(child_leak.window_s / 2.0)
        || s.idle_s >= end.likely_s.max(LEAST_IDLE_S) && fills_it()
}
