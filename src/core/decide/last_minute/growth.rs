//! How much each process grew in the last seconds, sample by sample, while the end is near.

use crate::core::detect::process_state::ProcessState;
use crate::core::model::process::ProcId;
use std::collections::{HashMap, VecDeque};

/// Footprints kept of a process, and the least seconds between them: 3 s.
const POINTS: usize = 32;
const APART_S: f64 = 0.1;
/// The time over which all growth is summed up, in seconds: at least, and at most.
const GROSS_S: (f64, f64) = (0.3, 1.2);
/// Seconds that show how a process grows just now.
const NOW_S: f64 = 0.5;
/// Growth of fewer bytes is the kernel's counters that move.
const LEAST_GROWTH: f64 = 0.6 * 1_048_576.0;
/// A process that shrank by so many bytes released memory.
const RELEASED: f64 = 2.0 * 1_048_576.0;
/// From so many releases a second on, they can be counted on.
const MANY_RELEASES: f64 = 6.0;

/// Footprints of the last seconds.
#[derive(Debug, Default)]
pub struct RecentGrowth {
    series: HashMap<ProcId, VecDeque<(f64, u64)>>,
    /// When the watch began.
    begun_t: Option<f64>,
}

/// How a process grows.
#[derive(Clone, Copy, Debug)]
pub struct Growth {
    /// Bytes grown since it was first seen.
    pub held: f64,
    /// Bytes a second lately.
    pub recent: f64,
    /// Bytes a second in the last half second.
    pub now: f64,
    /// Bytes a second since it was first seen.
    pub mean: f64,
}

impl Growth {
    /// Bytes a second, lately or just now, whichever is more.
    pub fn at_most(&self) -> f64 {
        self.recent.max(self.now)
    }
}

impl RecentGrowth {
    /// Takes over the sizes in the sample at `t`. A process seen for the first time brings along what
    /// the detector kept of it.
    pub fn observe<'a>(&mut self, t: f64, processes: impl Iterator<Item = &'a ProcessState>) {
        for s in processes {
            let points = self.series.entry(s.id).or_insert_with(|| {
                let mut points = VecDeque::with_capacity(POINTS);
                points.extend(s.recent.points().iter().filter(|(at, _)| *at < t));
                points
            });
            let before = points.iter().rev().nth(1).map(|(at, _)| *at);
            // The newest is always there; those before it are apart.
            if before.is_some_and(|at| t - at < APART_S) {
                points.pop_back();
            } else if points.len() == POINTS {
                points.pop_front();
            }
            points.push_back((t, s.footprint));
        }
        self.series.retain(|_, points| points.back().is_some_and(|(at, _)| *at == t));
    }

    /// The watch begins, if it did not yet.
    pub fn begin(&mut self, t: f64) {
        self.begun_t.get_or_insert(t);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.series.clear();
    }

    /// Bytes a second that those of the processes take that grow now: what others release meanwhile
    /// hides it, and cannot be counted on unless many do. 0 where no time is known.
    pub fn gross<'a>(&self, t: f64, processes: impl Iterator<Item = &'a ProcessState>) -> f64 {
        let (mut growth, mut releases, mut span_s) = (0.0, 0.0, GROSS_S.0);
        for s in processes {
            let Some(points) = self.series.get(&s.id) else { continue };
            let Some((at, then)) = at_least_before(points, t, GROSS_S.0 - 0.05) else { continue };
            if t - at > GROSS_S.1 {
                continue;
            }
            span_s = t - at;
            let grown = s.footprint as f64 - then as f64;
            if grown > LEAST_GROWTH {
                growth += grown / span_s;
            }
            releases += f64::from(u8::from(grown < -RELEASED));
        }
        if releases / span_s >= MANY_RELEASES { 0.0 } else { growth }
    }

    /// How a process grows.
    pub fn of(&self, s: &ProcessState, t: f64) -> Growth {
        // Younger than its last counted sample, or older than the watch.
        let watched_s = self.begun_t.map_or(0.0, |begun_t| t - begun_t);
        let life_s = s.age_s.clamp(NOW_S, watched_s.max(NOW_S));
        let held = s.footprint as f64 - s.first_footprint as f64;
        let want_s = (life_s / 4.0).clamp(0.5, 5.0);
        let points = self.series.get(&s.id);
        let over = |seconds| {
            let then = points.and_then(|points| at_least_before(points, t, seconds));
            then.map_or(0.0, |(at, then)| (s.footprint as f64 - then as f64) / (t - at).max(1e-3))
        };
        Growth { held, recent: over(want_s), now: over(NOW_S), mean: held / life_s }
    }
}

/// The newest point at least so many seconds before `t`, or the oldest.
fn at_least_before(points: &VecDeque<(f64, u64)>, t: f64, seconds: f64) -> Option<(f64, u64)> {
    let older = points.partition_point(|(at, _)| t - *at >= seconds);
    let point = points.get(older.saturating_sub(1)).copied()?;
    (point.0 < t).then_some(point)
}
