//! The rules, one comparison at a time, and laws that hold for all of them.

use proptest::prelude::*;

use super::*;
use crate::core::detect::constants::INTERVAL_LEVEL;
use crate::core::detect::forecast::ceiling_series::CeilingId;
use crate::core::detect::series::window::ThirdMedians;
use crate::core::model::ceiling::{CeilingKind, Place};
use crate::core::model::units::{GIB, MIB};

/// 24 blocks of 8 s: 192 s and as many samples.
const LEVEL: usize = INTERVAL_LEVEL + 3;

/// An age of which that window is no real part.
const OLD_S: f64 = 1e9;

/// 200 samples a second apart, the last of which lost `lost` bytes of headroom.
struct World {
    basis: JudgeBasis,
    ceiling: CeilingSeries,
}

impl World {
    fn new(left: u64, limit: u64, lost: u64) -> Self {
        let (kind, place) = (CeilingKind::Ram, Place::NONE);
        let mut ceiling = CeilingSeries::new(CeilingId { kind, place, root: None });
        let mut basis = JudgeBasis::new(Constants::default(), 4096.0, 1.0);
        let used = limit - left;
        for k in 1..=200 {
            let moment = basis.clock.advance(f64::from(k), None);
            let limit = if k == 200 { limit } else { limit + lost };
            ceiling.push(&moment, used, limit);
        }
        Self { basis, ceiling }
    }

    /// With so much left of a limit that is no larger.
    fn with_left(left: u64) -> Self {
        Self::new(left, left, 0)
    }

    fn context(&self) -> JudgeContext<'_> {
        JudgeContext::new(&self.basis, &self.ceiling)
    }

    fn leak_rule(&self, window: GrowthWindow, life: ProcessLife) -> Option<FindingReason> {
        self.context().leak_rule(&window, life)
    }
}

/// A steady growth of so many bytes from `early` ones.
fn window(early: u64, growth: u64) -> GrowthWindow {
    let (early, growth) = (early as f32, growth as f32);
    GrowthWindow {
        level: LEVEL,
        blocks: 24,
        shape: ThirdMedians { early, middle: early + growth / 2.0, late: early + growth },
        growth: GrowthShape::Steady,
        paused: false,
        passes: 2,
    }
}

fn life(samples: u32, age_s: f64) -> ProcessLife {
    ProcessLife { samples, age_s }
}

// A window of 1 MiB, which is small for its process: it would grow by 1.5 MiB in 192 s, and by
// 9 MiB in six times that.
const EARLY: u64 = 16 * MIB;

#[test]
fn a_growth_is_urgent_if_memory_ends_within_six_lengths_of_the_window() {
    let rule = |left| World::with_left(left).leak_rule(window(EARLY, MIB), life(200, OLD_S));
    assert_eq!(rule(9 * MIB), Some(FindingReason::Urgent));
    assert_eq!(rule(9 * MIB + 1), None);
}

#[test]
fn an_urgent_growth_needs_120_samples_and_48_at_the_end_of_memory() {
    let rule =
        |left, samples| World::with_left(left).leak_rule(window(EARLY, MIB), life(samples, OLD_S));
    assert_eq!(rule(9 * MIB, 120), Some(FindingReason::Urgent));
    assert_eq!(rule(9 * MIB, 119), None);
    assert_eq!(rule(3 * MIB / 2, 48), Some(FindingReason::Urgent));
    assert_eq!(rule(3 * MIB / 2, 47), None);
    assert_eq!(rule(3 * MIB / 2 + 1, 48), None, "memory outlasts the window");
}

#[test]
fn less_than_a_tenth_of_the_limit_counts_as_a_tenth() {
    let rule = |limit| World::new(1, limit, 0).leak_rule(window(EARLY, MIB), life(200, OLD_S));
    assert_eq!(rule(90 * MIB), Some(FindingReason::Urgent));
    assert_eq!(rule(91 * MIB), None);
}

#[test]
fn the_growth_of_like_siblings_counts_together() {
    let world = World::with_left(6 * 9 * MIB);
    let context = JudgeContext { group_factor: 6.0, ..world.context() };
    let rule = context.leak_rule(&window(EARLY, MIB), life(200, OLD_S));
    assert_eq!(rule, Some(FindingReason::Urgent));
    assert_eq!(world.leak_rule(window(EARLY, MIB), life(200, OLD_S)), None);
}

#[test]
fn a_process_with_less_than_three_tenths_of_the_loss_is_a_bystander() {
    let world = |lost| World::new(MIB, 16 * MIB, lost);
    let rule = |lost| world(lost).leak_rule(window(EARLY, 3 * MIB), life(200, OLD_S));
    assert_eq!(rule(10 * MIB), Some(FindingReason::Urgent));
    assert_eq!(rule(10 * MIB + 1), None);
    let suspicion = |lost| {
        let world = world(lost);
        world.context().suspicion(&[window(EARLY, 3 * MIB)], life(200, OLD_S)).unwrap().verdict
    };
    assert_eq!(suspicion(10 * MIB + 1), Verdict::Growing, "suspicion does not ask");
}

#[test]
fn a_growth_by_half_through_half_a_life_is_a_patient_leak() {
    let world = World::with_left(GIB);
    let rule = |early, samples, age_s| world.leak_rule(window(early, MIB), life(samples, age_s));
    assert_eq!(rule(2 * MIB, 120, 384.0), Some(FindingReason::Patient));
    assert_eq!(rule(2 * MIB + 1, 120, 384.0), None, "too small for its size");
    assert_eq!(rule(2 * MIB, 119, 384.0), None, "too few samples");
    assert_eq!(rule(2 * MIB, 120, 384.5), None, "too short for its age");
}

#[test]
fn a_doubling_is_a_patient_leak_at_any_age() {
    let world = World::with_left(GIB);
    let rule = |early, samples| world.leak_rule(window(early, MIB), life(samples, OLD_S));
    assert_eq!(rule(MIB, 120), Some(FindingReason::Patient));
    assert_eq!(rule(MIB + 1, 120), None);
    assert_eq!(rule(MIB, 119), None);
}

#[test]
fn an_end_beyond_30_days_is_no_leak() {
    // 1 MiB in the 128 s between the middles of the outer thirds: 8 KiB/s.
    let month = 30 * 86_400 * 8192;
    let rule = |left| World::with_left(left).leak_rule(window(2 * MIB, MIB), life(200, 384.0));
    assert_eq!(rule(month), Some(FindingReason::Patient));
    assert_eq!(rule(month + 1), None);
}

#[test]
fn a_window_that_paused_or_passed_once_proves_nothing() {
    let world = World::with_left(MIB);
    let sound = window(EARLY, MIB);
    let rule = |window| world.leak_rule(window, life(200, OLD_S));
    assert_eq!(rule(sound), Some(FindingReason::Urgent));
    assert_eq!(rule(GrowthWindow { paused: true, ..sound }), None);
    assert_eq!(rule(GrowthWindow { passes: 1, ..sound }), None);
    for growth in [GrowthShape::Slowing, GrowthShape::WithLoad] {
        assert_eq!(rule(GrowthWindow { growth, ..sound }), None);
    }
    let at_equal_load = GrowthWindow { growth: GrowthShape::AtEqualLoad, ..sound };
    assert_eq!(rule(at_equal_load), Some(FindingReason::Urgent));
}

#[test]
fn half_of_the_growth_is_a_suspicion() {
    let suspicion = |left, samples| {
        let world = World::with_left(left);
        let found = world.context().suspicion(&[window(EARLY, MIB)], life(samples, OLD_S));
        found.map(|found| (found.verdict, found.why))
    };
    let suspect = Some((Verdict::Growing, FindingReason::Urgent));
    assert_eq!(suspicion(18 * MIB, 48), suspect);
    assert_eq!(suspicion(18 * MIB, 47), None);
    assert_eq!(suspicion(18 * MIB + 1, 48), None);
}

#[test]
fn the_worst_suspicion_counts_and_of_equal_ones_the_longest() {
    let world = World::with_left(MIB);
    let of = |level, growth| GrowthWindow { level, growth, ..window(EARLY, MIB) };
    let suspicion = |windows: &[GrowthWindow]| {
        world.context().suspicion(windows, life(200, OLD_S)).map(|s| (s.verdict, s.length))
    };
    let (slowing, with_load) = (GrowthShape::Slowing, GrowthShape::WithLoad);
    let length = |level| of(level, slowing).length();
    let both = [of(LEVEL, with_load), of(LEVEL + 1, slowing)];
    assert_eq!(suspicion(&both), Some((Verdict::LoadCoupled, length(LEVEL))));
    let warming = [of(LEVEL, slowing), of(LEVEL + 1, slowing)];
    assert_eq!(suspicion(&warming), Some((Verdict::Warming, length(LEVEL + 1))));
    let suspect = [of(LEVEL, GrowthShape::Steady), of(LEVEL + 1, with_load)];
    assert_eq!(suspicion(&suspect), Some((Verdict::Growing, length(LEVEL))));
    assert_eq!(suspicion(&[]), None);
}

proptest! {
    #[test]
    fn a_proven_leak_is_suspect_too(
        early in 1..256_u64, growth in 1..256_u64, left in 1..4096_u64,
        samples in 0..200_u32, age_s in 0.0..2000.0_f64,
    ) {
        let world = World::with_left(left * MIB);
        let rules = world.context().rules(&window(early * MIB, growth * MIB), life(samples, age_s));
        prop_assert!(rules.leak.is_none() || rules.suspect.is_some(), "{:?}", rules);
    }

    #[test]
    fn more_headroom_never_proves_a_leak(
        early in 1..256_u64, growth in 1..256_u64, left in 1..4096_u64, more in 0..4096_u64,
        samples in 0..200_u32, age_s in 0.0..2000.0_f64,
    ) {
        let window = window(early * MIB, growth * MIB);
        let rule = |left| {
            World::new(left * MIB, 16 * GIB, 0).leak_rule(window, life(samples, age_s))
        };
        prop_assert!(rule(left).is_some() || rule(left + more).is_none());
    }

    #[test]
    fn a_unit_of_another_size_changes_no_verdict(
        early in 1..256_u64, growth in 1..256_u64, left in 1..4096_u64, lost in 0..512_u64,
        samples in 0..200_u32, age_s in 0.0..2000.0_f64, doublings in 0..6_u32,
    ) {
        let rule = |unit: u64| {
            let world = World::new(left * unit, 8192 * unit, lost * unit);
            world.leak_rule(window(early * unit, growth * unit), life(samples, age_s))
        };
        prop_assert_eq!(rule(4096), rule(4096 << doublings));
    }
}
