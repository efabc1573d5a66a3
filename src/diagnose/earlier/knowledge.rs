//! Knowledge: what earlier series say of one service.

use super::series::{EarlierSeries, STALE_INTERVALS};
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::Unit;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::ProcId;
use crate::core::model::verdict::{Evidence, Verdict};
use crate::diagnose::leak_figures::{LeakFigures, SteadyGrowth, first_end, is_sooner};
use crate::diagnose::leak_per_request::{PerWork, Worker};
use crate::diagnose::size_growth::{least_change, span_s};
use crate::diagnose::size_history::Point;
use std::collections::BTreeSet;

/// Points that judge a service: as many as samples a verdict needs.
const LEAST_POINTS: usize = 12;
/// A series counts as longer than the live samples if it is so by this factor.
const LONGER: f64 = 4.0;
/// The share of its life for which a worker must have been seen to contradict a comparison.
const MOST_OF_A_LIFE: f64 = 0.75;

/// What earlier series say of a service.
#[derive(Debug, Default)]
pub struct EarlierKnowledge {
    /// How the series saw it that saw it longest, if that is long enough to judge it.
    pub longest: Option<LongestSeries>,
    /// The processes that leaked there, or grew for long, and still hold what they grew by.
    pub leaking: BTreeSet<ProcId>,
    /// Whether any of them is proven to leak.
    pub is_leak: bool,
    /// The processes that are suspect there and still hold what they grew by.
    pub suspects: BTreeSet<ProcId>,
    /// Whether any process warms up.
    pub warms_up: bool,
    /// Whether one of its processes grew there as earlier runs of its program did.
    pub as_before: bool,
    /// Whether any process grows with its load.
    pub with_load: bool,
    /// The figures of its leak, from now on.
    pub figures: LeakFigures,
}

/// How a service moved in the series that saw it longest.
#[derive(Debug)]
pub struct LongestSeries {
    /// The index of that series.
    pub index: usize,
    /// Its sizes, before the live samples.
    pub points: Vec<Point>,
    /// Whether it went on until the live samples, or nearly so.
    pub is_recent: bool,
}

/// The live samples of a service: its processes, its roots and how long it was watched.
#[derive(Clone, Copy, Debug)]
pub struct LiveMembers<'a> {
    /// Its processes.
    pub members: &'a [&'a ProcessState],
    /// The roots of its trees.
    pub roots: &'a [ProcId],
    /// Unix time of the last sample.
    pub now_t: f64,
    /// Seconds that it was watched.
    pub live_s: f64,
}

impl EarlierKnowledge {
    /// What all series together say of a service.
    pub fn of(all: &[EarlierSeries], live: &LiveMembers<'_>) -> Self {
        let mut known = Self::default();
        for series in all {
            known.add(series, live.members, live.now_t);
        }
        known.longest = longest(all, live, known.proves());
        let series = known.longest.as_ref().and_then(|longest| all.get(longest.index));
        if let Some(series) = series {
            let states = || live.members.iter().filter_map(|m| series.process_state(m.id));
            known.warms_up = states().any(|state| state.verdict == Verdict::Warming);
            known.as_before = states().any(|state| state.as_earlier_run);
            known.with_load = states().any(|state| state.verdict == Verdict::LoadCoupled);
        }
        known
    }

    /// Whether it proves a leak, or shows a long growth.
    pub fn proves(&self) -> bool {
        !self.leaking.is_empty() || self.figures.tasks.is_some()
    }

    /// Adds what a series accuses the members of. Of several series that do, the one with the longest
    /// window counts, unless another ends memory before the earliest end that this one gives.
    fn add(&mut self, series: &EarlierSeries, members: &[&ProcessState], now_t: f64) {
        let gap_s = series.gap_s(now_t);
        let detector = series.engine().detector();
        let (mut rate, mut window_s, mut tasks) = (0.0, 0.0_f64, 0.0);
        let mut roots = BTreeSet::new();
        for member in members {
            let Some(then) = series.process_state(member.id) else { continue };
            let flagged = matches!(then.verdict, Verdict::Leaking | Verdict::Growing)
                && still_holds(series, then, member, gap_s);
            if flagged && (then.verdict == Verdict::Leaking || then.endangers) {
                self.is_leak |= then.verdict == Verdict::Leaking;
                self.leaking.insert(member.id);
                roots.insert(then.root);
            } else if flagged {
                self.suspects.insert(member.id);
            }
            if let Some(evidence) = then.evidence.filter(|e| flagged && e.unit == Unit::Bytes) {
                rate += evidence.slope.max(0.0);
                window_s = window_s.max(evidence.window_s);
            }
            let slope = tasks_a_second(series, then, member, members.len(), gap_s);
            if slope > 0.0 {
                self.is_leak = true;
                tasks += slope;
                roots.insert(then.root);
            }
        }
        if tasks > self.figures.tasks.unwrap_or(0.0) {
            self.figures.tasks = Some(tasks);
        }
        let ends = roots.into_iter().filter_map(|root| detector.forecast(root));
        let forecast = first_end(ends.map(|forecast| later(forecast, gap_s)));
        self.add_growth(SteadyGrowth { rate, window_s }, forecast);
    }

    fn add_growth(&mut self, growth: SteadyGrowth, forecast: Option<Forecast>) {
        let known = &mut self.figures;
        let longer = growth.window_s > known.steady.map_or(0.0, |steady| steady.window_s);
        let (long, other) =
            if longer { (forecast, known.forecast) } else { (known.forecast, forecast) };
        let sooner = is_sooner(other, long);
        if growth.rate > 0.0 && longer != sooner {
            known.steady = Some(growth);
        }
        known.forecast = if sooner { other } else { long };
    }

    /// Whether a service of that size is larger than it ever was in the longest series, by more than
    /// the least change and half of what it ever moved by: of thinned samples the lows are kept.
    pub fn is_larger(&self, size: f64) -> bool {
        self.bounds()
            .is_some_and(|(low, high)| size > high + least_change(size).max(0.5 * (high - low)))
    }

    /// Whether it is smaller than it ever was there.
    pub fn is_smaller(&self, size: f64) -> bool {
        self.bounds().is_some_and(|(low, _)| size < low - least_change(low))
    }

    /// Its least and its largest size in the longest series.
    fn bounds(&self) -> Option<(f64, f64)> {
        let sizes = self.longest.as_ref()?.points.iter().map(|(_, bytes)| *bytes);
        Some(sizes.fold((f64::INFINITY, 0.0), |(low, high), x| (low.min(x), high.max(x))))
    }
}

/// The series that saw a service longest, if it is long enough to judge it; one that proves a leak is
/// told of, however long it is.
fn longest(all: &[EarlierSeries], live: &LiveMembers<'_>, proves: bool) -> Option<LongestSeries> {
    let least_s = if proves { 0.0 } else { LONGER * live.live_s };
    let long_enough = all.iter().enumerate().filter_map(|(index, series)| {
        let points = series.together(live.roots);
        let seen_s = span_s(&points);
        let longer = points.len() >= LEAST_POINTS && seen_s >= least_s;
        let gap_s = live.now_t - series.summary().span.1;
        let is_recent = gap_s <= STALE_INTERVALS * series.summary().interval_s;
        longer.then_some((seen_s, LongestSeries { index, points, is_recent }))
    });
    long_enough.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, longest)| longest)
}

/// Threads and children a second that a process starts and that never end, if they are still there.
fn tasks_a_second(
    series: &EarlierSeries,
    then: &ProcessState,
    now: &ProcessState,
    processes: usize,
    gap_s: f64,
) -> f64 {
    let is_still = |evidence: &Evidence, count: f64| {
        gap_s <= evidence.window_s / 2.0 && count >= evidence.from + evidence.growth / 2.0
    };
    let threads = then.thread_leak.filter(|e| is_still(e, f64::from(now.threads)));
    let children = series.engine().detector().child_leaks();
    let children = children.filter(|(id, ..)| *id == now.id).map(|(_, evidence, _)| evidence);
    let children = children.filter(|e| is_still(e, processes as f64));
    threads.into_iter().chain(children).map(|e| e.slope).sum()
}

/// A forecast as it is some seconds later.
fn later(forecast: Forecast, s: f64) -> Forecast {
    let left = |end_s: f64| (end_s - s).max(0.0);
    Forecast {
        earliest_s: left(forecast.earliest_s),
        likely_s: left(forecast.likely_s),
        latest_s: left(forecast.latest_s),
        ..forecast
    }
}

/// Whether what accused a process still does: the series ended no longer ago than half of its evidence,
/// as in the detector, and at least half of the growth is still there.
fn still_holds(
    series: &EarlierSeries,
    then: &ProcessState,
    now: &ProcessState,
    gap_s: f64,
) -> bool {
    // A member of a leaking pool has no window of its own.
    let (window_s, from, growth) = match then.evidence.filter(|e| e.unit == Unit::Bytes) {
        Some(evidence) => (evidence.window_s, evidence.from, evidence.growth),
        None => {
            let from = then.first_footprint as f64;
            (12.0 * series.summary().interval_s, from, then.footprint as f64 - from)
        }
    };
    gap_s <= window_s / 2.0 && now.footprint as f64 >= from + growth.max(0.0) / 2.0
}

/// Whether an earlier series contradicts what comparing workers says: most of them were seen for most
/// of their lives, and did not grow by half of that.
pub fn contradicts(
    all: &[EarlierSeries],
    members: &[&ProcessState],
    workers: &[Worker],
    per_work: &PerWork,
) -> bool {
    all.iter().any(|series| {
        let (mut seen, mut expected, mut grown) = (0, 0.0, 0.0);
        for worker in workers {
            let member = members.iter().find(|member| member.id.pid == worker.pid);
            let then = member.and_then(|member| Some((member, series.process_state(member.id)?)));
            let Some((member, then)) = then else { continue };
            let watched_s = f64::from(then.samples) * series.summary().interval_s;
            if watched_s >= MOST_OF_A_LIFE * member.age_s {
                seen += 1;
                expected += per_work.bytes * worker.done;
                grown += (member.footprint as f64 - then.first_footprint as f64).max(0.0);
            }
        }
        2 * seen >= workers.len() && grown < expected / 2.0
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::{CeilingKind, Place};

    const MIB: f64 = 1024.0 * 1024.0;

    fn seen(sizes: &[f64]) -> EarlierKnowledge {
        let points = sizes.iter().enumerate().map(|(n, mib)| (n as f64, mib * MIB)).collect();
        let longest = Some(LongestSeries { index: 0, points, is_recent: true });
        EarlierKnowledge { longest, ..EarlierKnowledge::default() }
    }

    fn end(likely_s: f64) -> Option<Forecast> {
        Some(Forecast {
            ceiling: CeilingKind::Ram,
            place: Place::NONE,
            headroom: 1,
            limit: 2,
            slope: 1.0,
            earliest_s: likely_s / 2.0,
            likely_s,
            latest_s: 2.0 * likely_s,
            window_s: 60.0,
        })
    }

    #[test]
    fn a_service_is_larger_than_ever_only_beyond_half_of_what_it_ever_moved_by() {
        let known = seen(&[100.0, 120.0]);
        assert!(!known.is_larger(129.0 * MIB) && known.is_larger(131.0 * MIB));
        let flat = seen(&[100.0, 100.0]);
        assert!(!flat.is_larger(103.0 * MIB) && flat.is_larger(104.0 * MIB), "beyond 3 %");
        assert!(!flat.is_smaller(98.0 * MIB) && flat.is_smaller(96.0 * MIB));
        assert!(!EarlierKnowledge::default().is_larger(1e12), "nothing is known");
    }

    #[test]
    fn of_two_series_the_longer_window_counts_unless_the_other_ends_memory_far_sooner() {
        let slow = SteadyGrowth { rate: 1.0, window_s: 3600.0 };
        let brief = SteadyGrowth { rate: 2.0, window_s: 60.0 };
        let both = |brief_end| {
            let mut known = EarlierKnowledge::default();
            known.add_growth(slow, end(10_000.0));
            known.add_growth(brief, end(brief_end));
            (known.figures.steady, known.figures.forecast.map(|f| f.likely_s))
        };
        assert_eq!(both(6_000.0), (Some(slow), Some(10_000.0)));
        assert_eq!(both(4_000.0), (Some(brief), Some(4_000.0)));
    }

    #[test]
    fn a_forecast_comes_nearer_while_nothing_is_seen() {
        let later = later(end(100.0).unwrap(), 60.0);
        assert_eq!((later.earliest_s, later.likely_s, later.latest_s), (0.0, 40.0, 140.0));
    }
}
