//! The guarantee: machine-years of healthy life, with orders on, and how many processes were ended.

use crate::rules::settings;
use crate::worlds::{Expect, FAMILIES, Family};
use leakwatch::core::engine::Engine;
use leakwatch::core::model::order::OrderReason;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// One way in which leakwatch runs.
struct Mode {
    name: &'static str,
    /// Planned seconds between samples.
    intervals_s: &'static [f64],
    /// How it samples.
    sampling: Sampling,
    /// Its part of the time; a watch takes twenty times as many samples.
    share: f64,
}

/// When the next sample comes.
#[derive(Clone, Copy, PartialEq)]
enum Sampling {
    /// When the engine wants it.
    Watch,
    /// At the next check.
    Check,
    /// The same, but for one that stays since an end is near.
    StayingCheck,
}

const MODES: [Mode; 3] = [
    Mode {
        name: "watch, 5 or 15 s",
        intervals_s: &[5.0, 15.0],
        sampling: Sampling::Watch,
        share: 0.1,
    },
    Mode {
        name: "check, 1 or 5 min",
        intervals_s: &[60.0, 300.0],
        sampling: Sampling::Check,
        share: 0.45,
    },
    Mode {
        name: "check --stay, 1 or 5 min",
        intervals_s: &[60.0, 300.0],
        sampling: Sampling::StayingCheck,
        share: 0.45,
    },
];

const YEAR_S: f64 = 365.25 * 86_400.0;

/// What became of the recordings of one family.
#[derive(Clone, Copy, Default)]
struct Lived {
    recordings: u64,
    s: f64,
    /// Processes ended on long evidence, and in the last minute.
    ended: [u64; 2],
}

impl Lived {
    fn add(&mut self, other: &Self) {
        self.recordings += other.recordings;
        self.s += other.s;
        self.ended[0] += other.ended[0];
        self.ended[1] += other.ended[1];
    }

    fn print(&self, name: &str) {
        let years = self.s / YEAR_S;
        let [evidence, last_minute] = self.ended;
        let most = at_most(evidence) / years;
        println!(
            "| {name} | {years:.1} | {} | {evidence} | {most:.3} | {last_minute} |",
            self.recordings
        );
    }
}

/// Lets every healthy family live, seed after seed, until all together are as old.
pub(crate) fn live(years: f64, max_extrapolation: f64) {
    let healthy = FAMILIES.iter().filter(|family| family.expect != Expect::Found);
    let lives: Vec<(&Family, &Mode)> =
        healthy.flat_map(|family| MODES.iter().map(move |mode| (family, mode))).collect();
    let each_s = years * YEAR_S * MODES.len() as f64 / lives.len() as f64;
    let next = AtomicUsize::new(0);
    let take = || {
        let index = || next.fetch_add(1, Ordering::Relaxed);
        let taken = std::iter::from_fn(|| Some(index()).and_then(|at| Some((at, *lives.get(at)?))));
        let lived = |(family, mode): (&Family, &Mode)| {
            age(family, mode, mode.share * each_s, max_extrapolation)
        };
        taken.map(|(at, life)| (at, lived(life))).collect::<Vec<_>>()
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let mut lived: Vec<(usize, Lived)> = thread::scope(|scope| {
        let all: Vec<_> = (0..threads).map(|_| scope.spawn(take)).collect();
        all.into_iter().filter_map(|thread| thread.join().ok()).flatten().collect()
    });
    lived.sort_by_key(|(at, _)| *at);
    println!(
        "| healthy life | machine-years | recordings | ended on long evidence | a year at most \
         (95 %) | ended in the last minute |"
    );
    println!("|---|--:|--:|--:|--:|--:|");
    let mut all = MODES.map(|mode| (mode.name, Lived::default()));
    for (at, of) in &lived {
        let (family, mode) = lives[*at];
        of.print(&format!("{}, {}", family.name, mode.name));
        all.iter_mut().filter(|(name, _)| *name == mode.name).for_each(|(_, sum)| sum.add(of));
    }
    for (name, of) in &all {
        of.print(&format!("all, {name}"));
    }
}

/// One family, seed after seed, for so many seconds of its life.
fn age(family: &Family, mode: &Mode, until_s: f64, max_extrapolation: f64) -> Lived {
    let mut lived = Lived::default();
    for seed in 1_000_001.. {
        if lived.s >= until_s {
            break;
        }
        let mut ended = [0; 2];
        lived.s += family.live(seed, mode.intervals_s, |header| {
            let mut settings = settings(max_extrapolation);
            settings.rules.stays = mode.sampling == Sampling::StayingCheck;
            let mut engine = Engine::new(header, settings);
            let (ended, interval_s) = (&mut ended, header.interval_s);
            let mut next_check_t = f64::NEG_INFINITY;
            move |sample| {
                let assessment = engine.observe(sample);
                match assessment.order.map(|order| order.reason) {
                    Some(OrderReason::Emergency) => ended[1] += 1,
                    Some(OrderReason::Stayed) | None => {}
                    Some(_) => ended[0] += 1,
                }
                let wanted_s = assessment.next_s;
                while next_check_t <= sample.t {
                    next_check_t = if next_check_t.is_finite() { next_check_t } else { sample.t };
                    next_check_t += interval_s;
                }
                match mode.sampling {
                    Sampling::Watch => wanted_s,
                    Sampling::StayingCheck if engine.nearest_end_s() < 2.0 * interval_s => {
                        wanted_s.min(1.0).min(next_check_t - sample.t)
                    }
                    Sampling::Check | Sampling::StayingCheck => next_check_t - sample.t,
                }
            }
        });
        for (sum, ended) in lived.ended.iter_mut().zip(ended) {
            *sum += ended;
        }
        lived.recordings += 1;
    }
    lived
}

/// The most that as few events as these, or fewer, come of in one case of twenty: the upper 95 % bound of
/// the mean of a Poisson distribution (Garwood 1936).
fn at_most(events: u64) -> f64 {
    let tail = |mean: f64| {
        let (mut term, mut sum) = ((-mean).exp(), 0.0);
        for k in 0..=events {
            sum += term;
            term *= mean / (k + 1) as f64;
        }
        sum
    };
    let (mut low, mut high) = (0.0, 3.0 * events as f64 + 10.0);
    for _ in 0..60 {
        let middle = f64::midpoint(low, high);
        if tail(middle) > 0.05 { low = middle } else { high = middle }
    }
    high
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bound_is_that_of_the_tables() {
        for (events, most) in [(0, 2.996), (1, 4.744), (5, 10.513)] {
            assert!((at_most(events) - most).abs() < 1e-3, "{events}: {}", at_most(events));
        }
    }
}
