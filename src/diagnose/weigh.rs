//! Known: what earlier series say of a service, weighed against what the look says.
//!
//! Of each service the judgement counts that says more. Which one, where they differ, in this order:
//!
//! 1. The look convicts: it leaks. It is happening now, whatever was before.
//! 2. An earlier series convicts, and that [holds](holds): it leaks. A quiet minute clears nobody of
//!    what took days to see.
//! 3. Workers that hold the more the more they worked accuse it, unless an earlier series saw
//!    them for most of their lives and they [did not grow](denies) by half of what that says.
//! 4. An earlier series suspects it: so it stays.
//! 5. It is [larger](EarlierKnowledge::is_larger) now than the earlier series ever saw it: the look judges alone,
//!    and the report says both.
//! 6. Else the earlier series judges, and clears of what only the look suspects if it saw it
//!    flat, settled, shrinking, warming up or growing with its load.
//!
//! Growth, interval and forecast are those of the judgement that counts; where both convict, those of
//! the longer one, unless the look ends memory before the earliest end that the longer one gives.

use super::earlier_series::{EarlierSeries, OLD};
use super::history::{Point, growth};
use super::leak_per_request::{PerWork, Worker};
use super::service::{Before, Case, JudgedBy, Service, moved_case, span_s};
use crate::core::detect::process_state::ProcessState;
use crate::core::model::ceiling::Unit;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::ProcId;
use crate::core::model::units::MIB;
use crate::core::model::verdict::{Evidence, Verdict};
use std::collections::BTreeSet;

/// What earlier series say of a service.
#[derive(Debug, Default)]
pub(super) struct EarlierKnowledge {
    /// That of the series which saw it longest, if that is long enough to judge it.
    pub series: Option<Series>,
    /// Its processes that a conviction holds against, and those that are suspect.
    pub leaking: BTreeSet<ProcId>,
    /// Suspects.
    pub suspects: BTreeSet<ProcId>,
    /// Whether any of them warms up.
    pub warms_up: bool,
    /// Whether any of them grows with its load.
    pub with_load: bool,
    /// Growth of those: bytes a second together, and the longest window.
    pub steady: Option<(f64, f64)>,
    /// Tasks a second that never end.
    pub tasks: Option<f64>,
    /// When its first ceiling is reached, from now.
    pub forecast: Option<Forecast>,
}

/// How a service went, as the series saw it that saw it longest.
#[derive(Debug)]
pub(super) struct Series {
    /// Which series.
    pub index: usize,
    /// Its sizes, before the look.
    pub points: Vec<Point>,
    /// Whether it went on until the look, or nearly so.
    pub is_recent: bool,
}

/// Points that judge a service: as many as samples a verdict needs.
const LEAST_POINTS: usize = 12;
/// A series counts as longer than the look if it is so by this factor.
const LONGER: f64 = 4.0;

/// What earlier series say of a service with these members, whose tops are these and which the look
/// saw for so long.
pub(super) fn known(
    all: &[EarlierSeries],
    members: &[&ProcessState],
    roots: &[ProcId],
    (now_t, look_s): (f64, f64),
) -> EarlierKnowledge {
    let mut known = EarlierKnowledge::default();
    for earlier in all {
        known.add(earlier, members, now_t);
    }
    // One that convicts is told of, however long it is.
    let convicts = !known.leaking.is_empty() || known.tasks.is_some();
    let least_s = if convicts { 0.0 } else { LONGER * look_s };
    let longest = all.iter().enumerate().filter_map(|(index, earlier)| {
        let points = earlier.together(roots);
        let span_s = points.last()?.0 - points.first()?.0;
        let longer = points.len() >= LEAST_POINTS && span_s >= least_s;
        let gap_s = now_t - earlier.about().span.1;
        let is_recent = gap_s <= OLD * earlier.about().interval_s;
        longer.then_some((span_s, Series { index, points, is_recent }))
    });
    known.series = longest.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, series)| series);
    if let Some(earlier) = known.series.as_ref().and_then(|series| all.get(series.index)) {
        let has = |verdict| {
            let process_states =
                members.iter().filter_map(|member| earlier.process_state(member.id));
            process_states.map(|s| s.verdict).any(|v| v == verdict)
        };
        known.warms_up = has(Verdict::Warming);
        known.with_load = has(Verdict::LoadCoupled);
    }
    known
}

impl EarlierKnowledge {
    /// Adds what a series accuses the members of; of several that do, the one with the longest window
    /// counts, unless another ends memory before the earliest end that this one gives.
    fn add(&mut self, earlier: &EarlierSeries, members: &[&ProcessState], now_t: f64) {
        let gap_s = earlier.gap_s(now_t);
        let detector = earlier.engine().detector();
        let (mut rate, mut window_s, mut tasks) = (0.0, 0.0_f64, 0.0);
        let mut roots = BTreeSet::new();
        for member in members {
            let Some(then) = earlier.process_state(member.id) else { continue };
            let flagged = match then.verdict {
                Verdict::Leaking | Verdict::Suspect => holds(earlier, then, member, gap_s),
                _ => false,
            };
            if flagged && then.verdict == Verdict::Leaking {
                self.leaking.insert(member.id);
                roots.insert(then.root);
            } else if flagged {
                self.suspects.insert(member.id);
            }
            if let Some(evidence) = then.evidence.filter(|e| flagged && e.unit == Unit::Bytes) {
                rate += evidence.slope.max(0.0);
                window_s = window_s.max(evidence.window_s);
            }
            let is_still = |evidence: &Evidence, count: f64| {
                gap_s <= evidence.window_s / 2.0 && count >= evidence.from + evidence.growth / 2.0
            };
            let threads = then.thread_leak.filter(|e| is_still(e, f64::from(member.threads)));
            let child_leaks =
                detector.child_leaks().filter(|(id, ..)| *id == member.id).map(|(_, e, _)| e);
            let child_leaks = child_leaks.filter(|e| is_still(e, members.len() as f64));
            let slope: f64 = threads.into_iter().chain(child_leaks).map(|e| e.slope).sum();
            if slope > 0.0 {
                tasks += slope;
                roots.insert(then.root);
            }
        }
        if tasks > self.tasks.unwrap_or(0.0) {
            self.tasks = Some(tasks);
        }
        let ends = roots.into_iter().filter_map(|root| detector.forecast(root));
        let ends = ends.map(|forecast| later(forecast, gap_s));
        let forecast = ends.min_by(|a, b| a.likely_s.total_cmp(&b.likely_s));
        let longer = window_s > self.steady.map_or(0.0, |(_, window_s)| window_s);
        let (long, other) = match longer {
            true => (forecast, self.forecast),
            false => (self.forecast, forecast),
        };
        let sooner = is_sooner(other, long);
        if rate > 0.0 && longer != sooner {
            self.steady = Some((rate, window_s));
        }
        self.forecast = if sooner { other } else { long };
    }

    /// Whether a service of that size is larger than it ever was in the longest series, beyond what is
    /// notable and half of what it ever moved by: of thinned samples the lows are kept.
    pub(super) fn is_larger(&self, own: f64) -> bool {
        let bounds = self.bounds();
        bounds.is_some_and(|(low, high)| own > high + notable(own).max(0.5 * (high - low)))
    }

    /// Whether it is smaller than it ever was there.
    fn is_smaller(&self, own: f64) -> bool {
        self.bounds().is_some_and(|(low, _)| own < low - notable(low))
    }

    /// Its least and its largest size in the longest series.
    fn bounds(&self) -> Option<(f64, f64)> {
        let sizes = self.series.as_ref()?.points.iter().map(|(_, bytes)| *bytes);
        Some(sizes.fold((f64::INFINITY, 0.0), |(low, high), x| (low.min(x), high.max(x))))
    }
}

/// Whether one end comes before the earliest that another, of longer evidence, gives.
fn is_sooner(one: Option<Forecast>, than: Option<Forecast>) -> bool {
    one.is_some_and(|one| than.is_none_or(|than| one.likely_s < than.earliest_s))
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

/// Whether what stood against a process still does: the series ended no longer ago than half of its
/// evidence, as in the detector, and at least half of the growth is still there.
fn holds(earlier: &EarlierSeries, then: &ProcessState, now: &ProcessState, gap_s: f64) -> bool {
    // A member of a convicted pool has no window of its own.
    let (window_s, from, growth) = match then.evidence.filter(|e| e.unit == Unit::Bytes) {
        Some(evidence) => (evidence.window_s, evidence.from, evidence.growth),
        None => {
            let from = then.first_footprint as f64;
            (12.0 * earlier.about().interval_s, from, then.footprint as f64 - from)
        }
    };
    gap_s <= window_s / 2.0 && now.footprint as f64 >= from + growth.max(0.0) / 2.0
}

/// Bytes below which a change of something of that size is nothing to speak of.
pub(super) fn notable(size: f64) -> f64 {
    (MIB as f64).max(0.03 * size)
}

/// Lives that must have been seen, as a share, to deny what a comparison says of them.
const MOST_OF_A_LIFE: f64 = 0.75;

/// Whether an earlier series denies that workers leaked what comparing them says: most of them
/// were seen for most of their lives, and did not grow by half of that.
pub(super) fn denies(
    all: &[EarlierSeries],
    members: &[&ProcessState],
    workers: &[Worker],
    per_work: &PerWork,
) -> bool {
    all.iter().any(|earlier| {
        let (mut seen, mut said, mut grown) = (0, 0.0, 0.0);
        for worker in workers {
            let member = members.iter().find(|member| member.id.pid == worker.pid);
            let then = member.and_then(|member| Some((member, earlier.process_state(member.id)?)));
            let Some((member, then)) = then else { continue };
            let watched_s = f64::from(then.samples) * earlier.about().interval_s;
            if watched_s >= MOST_OF_A_LIFE * member.age_s {
                seen += 1;
                said += per_work.bytes * worker.done;
                grown += (member.footprint as f64 - then.first_footprint as f64).max(0.0);
            }
        }
        2 * seen >= workers.len() && grown < said / 2.0
    })
}

/// For how many seconds a series that grew has kept its size, if it has for a quarter of its time: every
/// point since is within a tenth of the growth of the last ones.
pub(super) fn settled_s(points: &[Point]) -> Option<f64> {
    let (first, last) = (points.first()?, points.last()?);
    let mut ends: Vec<f64> = points.iter().rev().take(3).map(|(_, bytes)| *bytes).collect();
    ends.sort_by(f64::total_cmp);
    let level = *ends.get(ends.len() / 2)?;
    let least = points.iter().map(|(_, bytes)| *bytes).fold(f64::INFINITY, f64::min);
    if level - least < notable(level) {
        return None;
    }
    let near = notable(level).max(0.1 * (level - least));
    let apart = points.iter().rposition(|(_, bytes)| (bytes - level).abs() > near)?;
    let since = points.get(apart + 1)?;
    let (flat_s, span_s) = (last.0 - since.0, last.0 - first.0);
    let enough = points.len() - apart > LEAST_POINTS && flat_s >= 0.25 * span_s;
    enough.then_some(flat_s)
}

/// Puts what the look says of a service beside what earlier series do, by the rules above.
pub(super) fn join(
    service: &mut Service,
    by_look: Case,
    likely: Option<Case>,
    known: &EarlierKnowledge,
    t: f64,
) {
    let convicted = !known.leaking.is_empty() || known.tasks.is_some();
    let larger = known.is_larger(service.own);
    let looked = service.points.last().copied();
    let look_s = service.watched_s;
    if let Some(series) = &known.series {
        service.points.clone_from(&series.points);
        let seen_s = span_s(&series.points);
        let now = (looked.map_or(t, |(t, _)| t), service.own);
        if series.points.last().is_some_and(|(last_t, _)| *last_t < now.0) {
            service.points.push(now);
        }
        service.growth = growth(&service.points);
        // What lies between is not counted where it is long.
        let whole_s = span_s(&service.points);
        service.watched_s = if series.is_recent { whole_s } else { seen_s + look_s };
        let span_s = (service.watched_s - look_s).max(seen_s);
        let judge = JudgedBy::Earlier;
        service.before = Some(Before { index: series.index, span_s, look_s, judge });
    }
    let by_series = known.series.as_ref().map(|_| {
        let has = |verdict| match verdict {
            Verdict::Warming => known.warms_up,
            Verdict::LoadCoupled => known.with_load,
            _ => false,
        };
        match settled_s(&service.points) {
            Some(flat_s) => Case::Settled(flat_s),
            None => match moved_case(service, has) {
                Case::Flat if known.is_smaller(service.own) => Case::Shrank,
                case => case,
            },
        }
    });
    // What excuses a growth that was seen for a minute only.
    let excuses = |case: &Case| {
        matches!(
            case,
            Case::Flat | Case::Settled(_) | Case::Shrank | Case::Warming | Case::WithLoad
        )
    };
    let (case, judge) = match (by_look, by_series) {
        (Case::Leaks, _) => (Case::Leaks, JudgedBy::Look),
        _ if convicted => (Case::Leaks, JudgedBy::Earlier),
        _ if likely.is_some() => (likely.unwrap_or(by_look), JudgedBy::Look),
        _ if !known.suspects.is_empty() => (Case::Suspect, JudgedBy::Earlier),
        (Case::Suspect, Some(_)) if larger => (Case::Suspect, JudgedBy::Larger),
        (_, Some(_)) if larger => (Case::Unclear, JudgedBy::Larger),
        (Case::Suspect, Some(case)) if !excuses(&case) => (Case::Suspect, JudgedBy::Look),
        (_, Some(case)) => (case, JudgedBy::Earlier),
        (case, None) => (case, JudgedBy::Look),
    };
    // Where both convict, the longer one knows the pace better, unless the end is nearer by far.
    let sooner = by_look == Case::Leaks && is_sooner(service.forecast, known.forecast);
    if convicted && !sooner {
        service.steady = known.steady.or(service.steady);
        service.tasks = known.tasks.or(service.tasks);
        service.forecast = known.forecast.or(service.forecast);
    } else if case == Case::Suspect && judge == JudgedBy::Earlier {
        service.steady = known.steady.or(service.steady);
        service.suspects = service.suspects.max(known.suspects.len() as u32);
    }
    service.case = case;
    if let Some(before) = &mut service.before {
        before.judge = judge;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIB: f64 = 1024.0 * MIB as f64;

    fn points(size: impl Fn(f64) -> f64) -> Vec<Point> {
        (0..240).map(|n| (300.0 * f64::from(n), size(f64::from(n)))).collect()
    }

    #[test]
    fn what_grew_and_then_kept_its_size_has_settled() {
        let cache = |n: f64| GIB * (0.2 + (n / 120.0).min(1.0));
        let flat_s = settled_s(&points(cache)).unwrap();
        assert!((36_000.0..42_000.0).contains(&flat_s), "{flat_s}");
        let breathing = |n: f64| cache(n) + 0.05 * GIB * (n * 1.7).sin();
        assert!(settled_s(&points(breathing)).is_some());
    }

    #[test]
    fn neither_a_leak_nor_what_was_always_flat_nor_a_short_rest_has() {
        assert_eq!(settled_s(&points(|n| GIB * (0.2 + n / 240.0))), None, "a leak");
        assert_eq!(settled_s(&points(|_| GIB)), None, "flat");
        assert_eq!(settled_s(&points(|n| GIB * (0.2 + (n / 200.0).min(1.0)))), None, "a rest");
        assert_eq!(settled_s(&points(|n| GIB * (1.2 - (n / 120.0).min(1.0)))), None, "it fell");
        assert_eq!(settled_s(&[]), None);
    }
}
