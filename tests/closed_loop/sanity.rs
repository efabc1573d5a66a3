//! Sanity: what holds for sure, whatever the engine's rules are.

use crate::kinds;
use crate::policies::{ENGINE, LEVEL, NONE, ORACLE};
use crate::reference;
use crate::run::{Cell, run};
use crate::scenario::{Class, Scenario};
use crate::tally::Tally;
use std::ops::Range;

/// Seeds of each kind. The reference has six, of other random numbers.
const SEEDS: Range<u64> = 0..2;

fn of_class(class: Class) -> impl Iterator<Item = Scenario> {
    kinds::all().into_iter().filter(move |kind| kind.class == class)
}

/// Whether a mean is what the reference says, but for luck.
fn is_near(mean: f64, reference: f64) -> bool {
    (mean - reference).abs() <= (0.25 * reference).max(2.0)
}

#[test]
fn without_a_watchdog_the_kernel_kills_as_often_as_in_the_reference() {
    for kind in kinds::all() {
        let Some(reference) = reference::of(&kind.name) else { continue };
        let killed = Cell::new(&kind, SEEDS, &NONE).mean(|tally| tally.killed);
        assert!(is_near(killed, reference.unwatched), "{}: {killed}, {reference:?}", kind.name);
    }
}

#[test]
fn a_kind_that_is_called_healthy_fits() {
    for kind in of_class(Class::Healthy) {
        let cell = Cell::new(&kind, SEEDS, &NONE);
        assert_eq!(cell.mean(|tally| tally.killed), 0.0, "{}", kind.name);
        assert!(cell.lowest() > 0.0, "{}", kind.name);
    }
}

#[test]
fn the_oracle_ends_nothing_that_is_healthy_and_loses_nothing_that_can_be_held() {
    for kind in kinds::all().into_iter().filter(|kind| kind.class != Class::Hopeless) {
        let cell = Cell::new(&kind, SEEDS, &ORACLE);
        assert_eq!(cell.mean(|tally| tally.killed), 0.0, "{}: {cell:?}", kind.name);
        let healthy = if kind.class == Class::Healthy { 0.0 } else { 1.0 };
        assert!(cell.mean(|tally| tally.healthy) <= healthy, "{}: {cell:?}", kind.name);
    }
}

#[test]
fn a_level_killer_does_what_it_does_in_the_reference() {
    let (mut ended, mut expected) = (0.0, 0.0);
    for kind in kinds::all().into_iter().filter(|kind| kind.class != Class::Hopeless) {
        let Some(reference) = reference::of(&kind.name) else { continue };
        let cell = Cell::new(&kind, SEEDS, &LEVEL);
        let killed = cell.mean(|tally| tally.killed);
        assert!((killed - reference.level.killed).abs() <= 1.0, "{}: {killed}", kind.name);
        ended += cell.mean(|tally| tally.healthy + tally.leakers);
        expected += reference.level.healthy + reference.level.leakers;
    }
    assert!((ended / expected - 1.0).abs() < 0.15, "{ended} ended, {expected} in the reference");
}

#[test]
fn the_engine_orders_nothing_where_growth_stops_far_from_the_end() {
    for name in [
        "warm-20%-512M",
        "warm-30%-512M",
        "warm-3%-tau30-2048M",
        "saw-5%-T6-512M",
        "saw-4%-T15-4096M",
        "short-lived-512M",
        "db-start-half-512M",
        "db-start-half-64G",
        "cache-log-10%-512M",
        "import-1000MBs-9%-64G",
    ] {
        let cell = Cell::new(&kinds::named(name), SEEDS, &ENGINE);
        assert_eq!(cell.mean(|tally| tally.healthy), 0.0, "{name}: {cell:?}");
    }
}

#[test]
fn the_engine_ends_a_steady_leak_before_the_kernel_does_and_nothing_else() {
    for name in ["leak-1-1of4-128M", "leak-4-1of8-512M", "leak-4-all4-256M", "leak-15-1of4-512M"] {
        let cell = Cell::new(&kinds::named(name), SEEDS, &ENGINE);
        assert!(cell.mean(|tally| tally.leakers) >= 1.0, "{name}: {cell:?}");
        assert_eq!(cell.mean(|tally| tally.killed + tally.healthy), 0.0, "{name}: {cell:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_run_and_another_one_is_not() {
    let kind = kinds::named("apache-15-3to8-200M");
    for row in [ENGINE, LEVEL, ORACLE] {
        assert_eq!(run(&kind, 3, &row), run(&kind, 3, &row));
        assert_ne!(run(&kind, 3, &row), run(&kind, 4, &row));
    }
}

#[test]
fn hardly_a_leaker_s_end_is_regretted_and_many_a_healthy_one_s_is() {
    let cells: Vec<Cell> =
        kinds::all().iter().map(|kind| Cell::new(kind, SEEDS, &ENGINE)).collect();
    let sum = |count: fn(&Tally) -> u32| cells.iter().map(|cell| cell.mean(count)).sum::<f64>();
    let (of_leakers, leakers) = (sum(|t| t.regretted_leakers), sum(|t| t.leakers));
    assert!(of_leakers <= 0.01 * leakers, "{of_leakers} of {leakers}");
    let (of_healthy, healthy) = (sum(|t| t.regretted_healthy), sum(|t| t.healthy));
    assert!(of_healthy >= 0.1 * healthy, "{of_healthy} of {healthy}");
}
