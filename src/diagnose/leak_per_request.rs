//! Work: what a worker keeps of each request, from how it grew while it worked, or, at one look, from
//! how much more those hold who have worked more.
//!
//! The second way needs no waiting: ten workers of different ages have the hours of their lives
//! behind them. It is only an indication, since old and young ones may differ for other reasons
//! (a cache fills once), so it asks for order among many, and for growth that does not flatten.

use crate::diagnose::findings::WorkUnit;

/// A worker at one look.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Worker {
    /// Its pid.
    pub pid: u32,
    /// Bytes that it has to itself.
    pub own: f64,
    /// Work since it started.
    pub done: f64,
}

/// How it became known.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Basis {
    /// Workers grew while they did that much work.
    Watched(f64),
    /// So many workers were compared with each other, who have done that much together.
    Compared(usize, f64),
}

/// What a unit of work leaves behind.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PerWork {
    /// Bytes.
    pub bytes: f64,
    /// From a careful to a bold reading of the same workers.
    pub between: (f64, f64),
    /// Bytes that a worker has before any work.
    pub young: f64,
    /// What is counted.
    pub unit: WorkUnit,
    /// How it became known.
    pub basis: Basis,
}

/// Growth below this many bytes in all is none.
const LEAST_GROWTH: f64 = 1024.0 * 1024.0;
/// Workers that are compared, at least: six are in order by chance once in 720 times.
const LEAST_WORKERS: usize = 6;
/// Standard deviations of Kendall's tau above none, for those that are not all in order: what sizes
/// that do not depend on work reach once in 2000 times.
const LEAST_ORDER: f64 = 3.3;
/// The slope among those who worked most, as a share of that among those who worked least.
const LEAST_GOING_ON: f64 = 0.5;

/// From two looks at the same workers.
pub fn watched(before: &[Worker], after: &[Worker], unit: WorkUnit) -> Option<PerWork> {
    let pairs: Vec<(f64, f64)> = after
        .iter()
        .filter_map(|now| {
            let then = before.iter().find(|then| then.pid == now.pid)?;
            let worked = now.done - then.done;
            (worked > 0.0).then_some((now.own - then.own, worked))
        })
        .collect();
    let (grown, worked) = pairs.iter().fold((0.0, 0.0), |(g, w), pair| (g + pair.0, w + pair.1));
    if grown < LEAST_GROWTH || worked < 20.0 {
        return None;
    }
    let bytes = grown / worked;
    // Those who did a fair part of the work: of few requests each takes its own step.
    let fair = worked / (4.0 * pairs.len() as f64);
    let each = pairs.iter().filter(|(_, worked)| *worked >= fair).map(|(g, w)| g / w);
    let between = each.fold((bytes, bytes), |(low, high), x| (low.min(x), high.max(x)));
    let young = young(after, bytes);
    Some(PerWork { bytes, between, young, unit, basis: Basis::Watched(worked) })
}

/// From one look at workers of different ages.
pub fn compared(workers: &[Worker], unit: WorkUnit) -> Option<PerWork> {
    let mut sorted: Vec<Worker> = workers.iter().copied().filter(|w| w.done > 0.0).collect();
    sorted.sort_by(|a, b| a.done.total_cmp(&b.done));
    let (least, most) = (sorted.first()?, sorted.last()?);
    if sorted.len() < LEAST_WORKERS || most.done < 2.0 * least.done {
        return None;
    }
    let rise = most.own - least.own;
    if rise < LEAST_GROWTH || rise < 0.25 * least.own || !is_in_order(&sorted) {
        return None;
    }
    let mut slopes = slopes(&sorted);
    slopes.sort_by(f64::total_cmp);
    let at = |share: f64| slopes.get((share * (slopes.len() - 1) as f64) as usize).copied();
    let (bytes, between) = (at(0.5)?, (at(0.25)?, at(0.75)?));
    if bytes <= 0.0 || !goes_on(&sorted, bytes) {
        return None;
    }
    let worked = sorted.iter().map(|worker| worker.done).sum();
    let young = young(&sorted, bytes);
    Some(PerWork { bytes, between, young, unit, basis: Basis::Compared(sorted.len(), worked) })
}

/// Slopes between all pairs that differ by a fair part of the work (Theil and Sen).
fn slopes(workers: &[Worker]) -> Vec<f64> {
    let most = workers.iter().map(|worker| worker.done).fold(0.0, f64::max);
    let pairs = workers.iter().enumerate().flat_map(|(n, a)| {
        workers.iter().skip(n + 1).map(move |b| (b.own - a.own, b.done - a.done))
    });
    pairs.filter(|(_, work)| *work > 0.1 * most).map(|(own, work)| own / work).collect()
}

/// Whether those who worked more hold more, beyond chance; of workers sorted by work.
fn is_in_order(workers: &[Worker]) -> bool {
    let pairs = workers
        .iter()
        .enumerate()
        .flat_map(|(n, a)| workers.iter().skip(n + 1).map(move |b| (b.own - a.own).signum()));
    let (count, sum) = pairs.fold((0.0, 0.0), |(n, sum), sign| (n + 1.0, sum + sign));
    // Kendall's tau; without dependence its variance is 2 (2n + 5) / (9 n (n - 1)).
    let (tau, n): (f64, f64) = (sum / f64::max(count, 1.0), workers.len() as f64);
    tau == 1.0 || 3.0 * tau * (n * (n - 1.0)).sqrt() >= LEAST_ORDER * (2.0 * (2.0 * n + 5.0)).sqrt()
}

/// Whether those who worked most still differ like the others: a cache that fills does not.
fn goes_on(workers: &[Worker], bytes: f64) -> bool {
    let (_, upper) = workers.split_at(workers.len() / 2);
    let mut slopes = slopes(upper);
    slopes.sort_by(f64::total_cmp);
    match slopes.get(slopes.len() / 2) {
        Some(slope) => *slope >= LEAST_GOING_ON * bytes,
        // All of the upper half worked alike: nothing to compare.
        None => false,
    }
}

/// The size that is left when what all work left behind is taken off: the median, and no less than
/// nothing.
fn young(workers: &[Worker], bytes: f64) -> f64 {
    let mut sizes: Vec<f64> = workers.iter().map(|w| w.own - bytes * w.done).collect();
    sizes.sort_by(f64::total_cmp);
    let least = workers.iter().map(|worker| worker.own).fold(f64::INFINITY, f64::min);
    sizes.get(sizes.len() / 2).copied().unwrap_or(0.0).clamp(0.0, least.max(0.0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KIB: f64 = 1024.0;
    const MIB: f64 = 1024.0 * KIB;
    const UNIT: WorkUnit = WorkUnit::Requests;

    fn worker(pid: u32, own: f64, done: f64) -> Worker {
        Worker { pid, own, done }
    }

    /// Workers of different ages that hold 4 MiB and what `kept` says of their work.
    fn pool(n: u32, kept: impl Fn(f64) -> f64) -> Vec<Worker> {
        let done = |pid: u32| 100.0 * f64::from(pid + 1);
        (0..n).map(|pid| worker(pid, 4.0 * MIB + kept(done(pid)), done(pid))).collect()
    }

    #[test]
    fn what_was_watched_is_divided_by_what_was_done() {
        let before = pool(4, |done| 64.0 * KIB * done);
        let after: Vec<Worker> = before
            .iter()
            .map(|w| worker(w.pid, w.own + 64.0 * KIB * 50.0, w.done + 50.0))
            .collect();
        let per_work = watched(&before, &after, UNIT).unwrap();
        assert!((per_work.bytes - 64.0 * KIB).abs() < 1.0);
        assert!((per_work.young - 4.0 * MIB).abs() < MIB, "{per_work:?}");
        assert_eq!(per_work.basis, Basis::Watched(200.0));
        assert_eq!(watched(&before, &before, UNIT), None, "no work, no quotient");
    }

    #[test]
    fn one_look_at_workers_of_different_ages_tells_it_too() {
        let per_work = compared(&pool(10, |done| 64.0 * KIB * done), UNIT).unwrap();
        assert!((per_work.bytes - 64.0 * KIB).abs() < 1.0);
        assert!((per_work.young - 4.0 * MIB).abs() < 1.0);
    }

    #[test]
    fn caches_that_fill_even_sizes_and_few_workers_are_no_indication() {
        assert_eq!(
            compared(&pool(10, |done| 16.0 * MIB * (1.0 - (-done / 150.0).exp())), UNIT),
            None
        );
        assert_eq!(compared(&pool(10, |done| (64.0 * KIB * done).min(12.0 * MIB)), UNIT), None);
        assert_eq!(compared(&pool(10, |_| 8.0 * MIB), UNIT), None);
        assert_eq!(compared(&pool(4, |done| 64.0 * KIB * done), UNIT), None);
    }

    proptest! {
        #[test]
        fn sizes_that_do_not_depend_on_work_are_seldom_taken_for_a_leak(seed in any::<u64>()) {
            // Fifty pools of ten workers whose sizes are drawn, not grown.
            let mut state = seed | 1;
            let mut draw = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                (state >> 11) as f64 / (1_u64 << 53) as f64
            };
            let pools = (0..50).filter(|_| {
                let pool: Vec<Worker> = (0..10).map(|n| worker(n, (4.0 + 16.0 * draw()) * MIB, 1.0 + 1000.0 * draw())).collect();
                compared(&pool, UNIT).is_some()
            });
            prop_assert!(pools.count() <= 2);
        }

        #[test]
        fn noise_leaves_the_slope_about_right(seed in 1..1000_u32) {
            let noise = |done: f64| (done * f64::from(seed)).sin() * MIB;
            if let Some(per_work) = compared(&pool(12, |done| 64.0 * KIB * done + noise(done)), UNIT) {
                prop_assert!((0.8..1.25).contains(&(per_work.bytes / (64.0 * KIB))), "{:?}", per_work);
            }
        }
    }
}
