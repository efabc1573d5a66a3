//! Growth that looks like a leak's and ends by itself, on made-up machines: it may be said to grow and
//! is not to be called a leak.

use super::{M, Machine};
use crate::core::model::units::{GIB, MIB};
use crate::core::model::verdict::FindingReason;

/// With 2 GiB left.
fn machine() -> Machine {
    Machine::new(2 * GIB, 4 * GIB)
}

#[test]
fn a_straight_fill_of_two_fifths_of_the_memory() {
    let fill = |k: f64| (100.0 + k.min(800.0)) * M;
    assert!(machine().endangering(2000, fill).is_some());
    assert_eq!(machine().one(2000, fill), []);
}

#[test]
fn a_leak_is_found_at_the_same_time_with_a_fourth_of_the_samples() {
    let found_s = |interval_s: f64| {
        let machine = Machine { interval_s, ..machine() };
        let samples = (2000.0 / interval_s) as usize;
        let found = machine.one(samples, |k| (100.0 + k * interval_s) * M);
        found[0].2 as f64 * interval_s
    };
    let (often, seldom) = (found_s(1.0), found_s(4.0));
    assert!(often <= seldom && seldom <= 1.2 * often, "{often} s, {seldom} s");
}

#[test]
fn what_works_all_the_time_as_a_job_does() {
    // Half a core from its start to the end of its growth, at three quarters of the way. What was
    // there before may be a busy server.
    let found = |cores: f64, starts: usize| {
        let machine = machine();
        let found = machine.run(1800, |k| {
            let grown = k.min(1500) as u64;
            let job = (9, 1, (100 + grown) * MIB, cores * k.min(1500) as f64);
            std::iter::once((8, 1, MIB, 0.0)).chain((k >= starts).then_some(job)).collect()
        });
        found.first().map(|found| found.3)
    };
    assert_eq!(found(0.5, 10), None);
    assert_eq!(found(0.02, 10), Some(FindingReason::LongSteady));
    assert_eq!(found(0.5, 0), Some(FindingReason::LongSteady));
}

#[test]
fn a_few_large_steps() {
    let ramp = |k: f64, from: f64| ((k - from) / 30.0).clamp(0.0, 1.0);
    let steps = |k: f64| [60.0, 410.0, 760.0].map(|from| 400.0 * ramp(k, from)).iter().sum::<f64>();
    assert_eq!(machine().one(1100, |k| (100.0 + steps(k)) * M), []);
}

#[test]
fn a_warm_up_of_two_thirds_of_the_memory_that_begins_slowly() {
    for (middle, pace) in [(700.0, 120.0), (700.0, 180.0), (1500.0, 300.0)] {
        let s_shaped = |k: f64| (60.0 + 1300.0 / (1.0 + ((middle - k) / pace).exp())) * M;
        assert_eq!(machine().one(4000, s_shaped), [], "{middle} {pace}");
    }
}

#[test]
fn one_of_a_pool_that_warms_up_later_than_its_siblings() {
    // In a hundred seconds of its own it looks straight.
    let size = |child: u32, k: f64| {
        let (begins, pace) = if child == 2 { (600.0, 300.0) } else { (0.0, 60.0) };
        let since = f64::max(k - begins, 0.0);
        10.0 + 190.0 * (1.0 - (-since / pace).exp())
    };
    let found = Machine::new(GIB, 2 * GIB).run(1600, |k| {
        let row = |child: u32| (20 + child, 9, (size(child, k as f64) * M) as u64, 0.1 * k as f64);
        std::iter::once((9, 1, 10 * MIB, 0.0)).chain((0..4).map(row)).collect()
    });
    assert!(found.iter().all(|found| found.3 != FindingReason::UnlikeSiblings), "{found:?}");
}

#[test]
fn a_second_fill_after_a_level_that_was_held() {
    // A third of the memory, in less time than the level was held. A leak from there is one in the end.
    let since = |k: f64| (k - 400.0).max(0.0);
    let fill = |k: f64| (100.0 + 2.0 * since(k).min(350.0)) * M;
    assert!(machine().endangering(1500, fill).is_some());
    assert_eq!(machine().one(1500, fill), []);
    let found = machine().one(1500, |k| (100.0 + 2.0 * since(k)) * M);
    assert!(found[0].2 < 400 + 512, "{found:?}");
}

#[test]
fn steps_that_are_too_few_need_more_of_the_way_than_a_line() {
    // Two thirds of the memory in five steps of 10 s, each followed by 35 s of rest.
    let machine = Machine { interval_s: 0.25, ..machine() };
    let step = |k: f64, i: u32| ((k - 180.0 * f64::from(i)) / 40.0).clamp(0.0, 1.0);
    let grown = |k: f64| 266.0 * (0..5).map(|i| step(k, i)).sum::<f64>();
    assert_eq!(machine.one(1100, |k| (100.0 + grown(k)) * M), []);
    assert_ne!(machine.one(1100, |k| (100.0 + 1.48 * k.min(900.0)) * M), []);
}
