//! What leakwatch is compared with: textbook methods, and the rules of two known monitors, each written
//! anew from its description. They see the same samples, one after the other.

use crate::rules::{Detector, Said, What};
use crate::trends::{Series, least_squares, rising_minima, sens_slope};
use leakwatch::core::model::process::{Proc, ProcId};
use leakwatch::core::model::sample::Sample;
use leakwatch::core::model::verdict::FindingScope;
use std::collections::{HashMap, HashSet};

const MIB: f64 = 1_048_576.0;

/// Growth over a window, in bytes, below which no trend says anything.
const LEAST_GROWTH: f64 = MIB;

/// Samples of a process's window: ten minutes at the default of five seconds.
const WINDOW: usize = 120;

/// A window is judged every so many samples.
const EVERY: usize = 12;

/// Name, source, and a new detector.
pub(crate) type Baseline = (&'static str, fn() -> Detector);

/// All of them.
pub(crate) const BASELINES: [Baseline; 7] = [
    ("threshold: over 200 MB, or 3 times its first size", threshold),
    ("least squares: R² of .8 over 120 samples", || trend(window, regression)),
    ("Mann-Kendall at .01 over 120 samples, Sen's slope", || trend(window, sens_slope)),
    ("predict_linear of MemAvailable, 4 windows of 240 ahead", predict_linear),
    ("segments: 12 minima rise to the end of the whole life", || {
        trend(Series::life, rising_minima)
    }),
    ("Monit: totalmem > 60 % for 5 cycles: restart", monit),
    ("puma_worker_killer: largest worker at 98 % of its RAM", largest_worker),
];

fn window() -> Series {
    Series::window(WINDOW)
}

fn leak(t: f64, id: ProcId, scope: FindingScope, likely_t: Option<f64>) -> Said {
    Said { t, id, what: What::Leak { scope, end: likely_t.map(|t| [t; 3]) } }
}

fn left(sample: &Sample) -> f64 {
    sample.memory.headroom() as f64
}

/// Larger than any process should be, for three samples in a row.
fn threshold() -> Detector {
    let mut first: HashMap<ProcId, u64> = HashMap::new();
    let mut over: HashMap<ProcId, u32> = HashMap::new();
    Box::new(move |sample, said| {
        for proc in &sample.procs {
            let first = *first.entry(proc.id).or_insert(proc.rss);
            let over = over.entry(proc.id).or_default();
            let is_over = proc.rss > 200_000_000 || proc.rss > 3 * first;
            *over = if is_over { *over + 1 } else { 0 };
            if *over == 3 {
                said.push(leak(sample.t, proc.id, FindingScope::Process, None));
            }
        }
    })
}

fn regression(series: &Series) -> Option<f64> {
    let line = least_squares(series.points())?;
    (line.r2 >= 0.8).then_some(line.slope)
}

/// A leak is what a test of the resident set's last samples finds to rise; it goes on at that slope.
fn trend(new: fn() -> Series, slope: fn(&Series) -> Option<f64>) -> Detector {
    let mut all: HashMap<ProcId, Series> = HashMap::new();
    Box::new(move |sample, said| {
        for proc in &sample.procs {
            let series = all.entry(proc.id).or_insert_with(new);
            series.push(sample.t, proc.rss as f64);
            if !series.is_full() || !series.seen().is_multiple_of(EVERY) {
                continue;
            }
            if let Some(slope) = slope(series)
                && slope * series.length_s() >= LEAST_GROWTH
            {
                let end_t = sample.t + left(sample) / slope;
                said.push(leak(sample.t, proc.id, FindingScope::Process, Some(end_t)));
            }
        }
        keep_living(&mut all, sample);
    })
}

fn keep_living<T>(all: &mut HashMap<ProcId, T>, sample: &Sample) {
    let living: HashSet<ProcId> = sample.procs.iter().map(|proc| proc.id).collect();
    all.retain(|id, _| living.contains(id));
}

/// As an alert of Prometheus: what is available ends within four windows, for a fifth of a window.
/// The process that grew most in the window is to blame.
fn predict_linear() -> Detector {
    const WINDOW: usize = 240;
    let mut available = Series::window(WINDOW);
    let mut all: HashMap<ProcId, Series> = HashMap::new();
    let mut pending = 0;
    Box::new(move |sample, said| {
        for proc in &sample.procs {
            let series = all.entry(proc.id).or_insert_with(|| Series::window(WINDOW));
            series.push(sample.t, proc.rss as f64);
        }
        keep_living(&mut all, sample);
        available.push(sample.t, left(sample));
        let Some(line) = least_squares(available.points()).filter(|_| available.is_full()) else {
            return;
        };
        let ends = line.last + line.slope * 4.0 * available.length_s() < 0.0;
        pending = if ends { pending + 1 } else { 0 };
        if pending < WINDOW / 5 || pending % EVERY != 0 {
            return;
        }
        let grown = all.iter().map(|(id, series)| (*id, series.growth()));
        let most = grown.max_by(|(a, grown), (b, other)| grown.total_cmp(other).then(a.cmp(b)));
        if let Some((id, _)) = most.filter(|(_, grown)| *grown >= LEAST_GROWTH) {
            let end_t = sample.t + line.last / -line.slope;
            said.push(leak(sample.t, id, FindingScope::Process, Some(end_t)));
        }
    })
}

/// A master and its children, by the master.
fn groups(procs: &[Proc]) -> HashMap<ProcId, Vec<&Proc>> {
    let by_pid: HashMap<u32, &Proc> = procs.iter().map(|proc| (proc.id.pid, proc)).collect();
    let mut groups: HashMap<ProcId, Vec<&Proc>> = HashMap::new();
    for proc in procs {
        let parent = by_pid.get(&proc.ppid).filter(|_| proc.ppid > 1);
        groups.entry(parent.map_or(proc.id, |parent| parent.id)).or_default().push(proc);
    }
    groups
}

fn total(group: &[&Proc]) -> f64 {
    group.iter().map(|proc| proc.rss as f64).sum()
}

/// A service whose processes together hold more than 60 % of memory for five checks is restarted.
fn monit() -> Detector {
    let mut over: HashMap<ProcId, u32> = HashMap::new();
    Box::new(move |sample, said| {
        for (id, group) in groups(&sample.procs) {
            let over = over.entry(id).or_default();
            let is_over = total(&group) > 0.6 * sample.memory.total as f64;
            *over = if is_over { *over + 1 } else { 0 };
            if *over == 5 {
                let scope =
                    if group.len() > 1 { FindingScope::Tree } else { FindingScope::Process };
                said.push(leak(sample.t, id, scope, None));
                said.extend(group.iter().map(|p| Said {
                    t: sample.t,
                    id: p.id,
                    what: What::Order,
                }));
            }
        }
    })
}

/// Where a master and its workers together hold more than 98 % of what they may have (here what they held
/// and what was left when they were first seen), the largest worker goes.
fn largest_worker() -> Detector {
    let mut allowed: HashMap<ProcId, f64> = HashMap::new();
    Box::new(move |sample, said| {
        for (master, group) in groups(&sample.procs) {
            let allowed = *allowed.entry(master).or_insert_with(|| total(&group) + left(sample));
            let workers = group.iter().filter(|proc| proc.id != master);
            let largest = workers.max_by_key(|proc| (proc.rss, proc.id));
            if let Some(worker) = largest
                && total(&group) > 0.98 * allowed
            {
                said.push(leak(sample.t, worker.id, FindingScope::Process, None));
                said.push(Said { t: sample.t, id: worker.id, what: What::Order });
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::worlds::FAMILIES;

    fn named(baseline: usize, family: &str) -> Vec<Said> {
        let made = FAMILIES.iter().find(|of| of.name == family).unwrap().recording(1);
        let (mut detector, mut said) = (BASELINES[baseline].1(), Vec::new());
        made.samples.iter().for_each(|sample| detector(sample, &mut said));
        said
    }

    #[test]
    fn every_trend_finds_a_straight_leak() {
        for (baseline, (name, _)) in BASELINES.iter().enumerate().skip(1).take(4) {
            assert!(!named(baseline, "linear").is_empty(), "{name}");
        }
    }
}
