//! Forecast: from windows of steady growth to the time when a ceiling is reached.
//!
//! Textbook intervals cover the truth one time in seven here, because the growth of tomorrow is
//! not the growth of today plus noise. So the interval spans what windows of very different length
//! say, widened by factors calibrated on the labelled recordings.

use crate::assessment::Forecast;
use crate::floors::Candidate;
use crate::headroom::Headroom;

/// Headroom below a page is counted as a page: nothing divides by nothing.
const PAGE: f64 = 4096.0;

/// A second half that grew this much more than the first is accelerating.
const ACCELERATING: f64 = 1.15;

/// The forecast that the steadily growing windows of one process give, those sorted by length, if
/// nothing else grew. `seconds` turns finest blocks into seconds.
pub fn of_process(
    windows: &[Candidate],
    headroom: Headroom,
    caution: f64,
    seconds: impl Fn(u64) -> f64,
) -> Option<Forecast> {
    let left = (headroom.left as f64).max(PAGE);
    let tick_s = seconds(1);
    let ends_in = |window: &Candidate| left / window.slope() * tick_s;
    let length = |window: &Candidate| seconds(window.window);
    let founded = |window: &&Candidate| ends_in(window) <= caution * length(window);
    let last = windows.last()?;
    let shortest = windows.iter().find(founded).unwrap_or(last);
    let longest = windows.iter().rev().find(founded).unwrap_or(last);
    let best = windows
        .iter()
        .filter(founded)
        .chain([last])
        .find(|window| length(window) >= ends_in(window) / 2.0)
        .unwrap_or(longest);
    let likely_s = ends_in(best);
    let window_s = length(best);
    let mut earliest_s = likely_s.min(ends_in(shortest));
    if let Some(end_s) = accelerating(best, left, tick_s) {
        earliest_s = earliest_s.min(end_s);
    }
    let latest_s = likely_s.max(ends_in(longest));
    let (low, high) = if likely_s / window_s <= 2.0 { (0.6, 1.6) } else { (0.51, 1.85) };
    Some(Forecast {
        ceiling: headroom.kind,
        headroom: headroom.left,
        slope: best.slope() / tick_s,
        earliest_s: low * earliest_s,
        likely_s,
        latest_s: high * latest_s,
        window_s,
    })
}

/// When `left` bytes are gone if the growth goes on gaining speed as between the window's halves.
fn accelerating(window: &Candidate, left: f64, tick_s: f64) -> Option<f64> {
    let (first, second) = window.shape.halves();
    if second <= ACCELERATING * first {
        return None;
    }
    let thirds = (window.blocks - window.blocks / 3) as f64;
    let half_s = 0.5 * thirds * window.window as f64 / window.blocks as f64 * tick_s;
    let (before, now) = (first / half_s, second / half_s);
    let gain = (now - before) / half_s;
    let speed = now + gain * half_s / 2.0;
    Some(((speed * speed + 2.0 * gain * left).sqrt() - speed) / gain)
}
