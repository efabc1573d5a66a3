//! The rules by which a window of steady growth proves a leak, or arouses suspicion.
//!
//! Two rules, each blind where the other sees. *Urgent*: memory would end within a few times the
//! length of the evidence. *Patient*: the process grew by a real part of itself through half its
//! life, however much memory is left.

use crate::core::detect::basis::JudgeBasis;
use crate::core::detect::ceilings::forecast;
use crate::core::detect::ceilings::forecast::Exhaustion;
use crate::core::detect::ceilings::series::{CeilingSeries, Headroom};
use crate::core::detect::constants::Constants;
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::series::window::GrowthShape;
use crate::core::model::ceiling::Unit;
use crate::core::model::verdict::{Evidence, FindingReason, Verdict};

/// What a window is to show.
#[derive(Clone, Copy, PartialEq)]
enum Degree {
    Suspicion,
    Proof,
}

impl Degree {
    /// Half of the growth that proves a leak arouses suspicion.
    fn share_of_growth(self) -> f64 {
        match self {
            Self::Suspicion => 0.5,
            Self::Proof => 1.0,
        }
    }
}

/// What a process's windows are judged against.
#[derive(Clone, Copy)]
pub struct JudgeContext<'a> {
    /// Constants, thresholds and time.
    pub basis: &'a JudgeBasis,
    /// The nearest ceiling.
    pub ceiling: &'a CeilingSeries,
    /// How many times its growth all siblings that grow alike make up together; at least 1.
    pub group_factor: f64,
}

/// How long the process was observed to which the windows belong.
#[derive(Clone, Copy)]
pub struct ProcessLife {
    /// Samples that it was in.
    pub samples: u32,
    /// Its age in seconds.
    pub age_s: f64,
}

/// What the urgent rule compares, for one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UrgentRule {
    /// Bytes it would grow in `--max-extrapolation` times its length, and what is left.
    pub reach: Comparison,
    /// Samples in it, and the least.
    pub samples: Comparison,
}

impl UrgentRule {
    fn passes(&self) -> bool {
        self.reach.passes && self.samples.passes
    }
}

/// What the patient rule compares, for one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PatientRule {
    /// Samples of the process, and the least.
    pub life_samples: Comparison,
    /// Bytes grown, and the share of what it grew from that they must be.
    pub own_growth: Comparison,
    /// Seconds until memory would end, and the most that matter.
    pub end_s: Comparison,
    /// Its length in seconds, and the share of the process's life that it must be, ...
    pub of_life_s: Comparison,
    /// ... or else bytes grown, and what it grew from: it doubled, ...
    pub doubled: Comparison,
    /// ... in enough samples.
    pub samples: Comparison,
}

impl PatientRule {
    fn passes(&self) -> bool {
        self.life_samples.passes
            && self.own_growth.passes
            && self.end_s.passes
            && self.is_long_enough()
    }

    /// Whether it covers enough of the process's life, or shows a doubling.
    pub fn is_long_enough(&self) -> bool {
        self.of_life_s.passes || self.doubled.passes && self.samples.passes
    }
}

/// All that the rules compare for one window that grows steadily.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleChecks {
    /// Windows of this length that passed in a row, and the least.
    pub in_a_row: Comparison,
    /// The urgent rule, but for the share.
    pub urgent: UrgentRule,
    /// Share of what the ceiling lost meanwhile, and the least; of the urgent rule only.
    pub share: Comparison,
    /// The patient rule.
    pub patient: PatientRule,
    /// The rule that proves a leak.
    pub leak: Option<FindingReason>,
    /// The rule that arouses suspicion: half of the growth is enough, whatever its share.
    pub suspect: Option<FindingReason>,
}

/// What windows show short of a proven leak.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suspicion {
    /// The verdict: growing, load-coupled or warming.
    pub verdict: Verdict,
    /// Length of the longest window that shows it, in finest blocks.
    pub length: u64,
    /// The rule that it goes towards.
    pub why: FindingReason,
}

impl<'a> JudgeContext<'a> {
    /// For a growth that has no siblings.
    pub fn new(basis: &'a JudgeBasis, ceiling: &'a CeilingSeries) -> Self {
        Self { basis, ceiling, group_factor: 1.0 }
    }

    /// The window's length in seconds.
    pub fn window_s(&self, window: &GrowthWindow) -> f64 {
        self.basis.clock.seconds(window.length())
    }

    /// Its growth in bytes per second.
    pub fn slope(&self, window: &GrowthWindow) -> f64 {
        window.slope() / self.basis.clock.seconds(1)
    }

    /// The window as evidence, in the unit of the ceiling.
    pub fn evidence(&self, window: &GrowthWindow) -> Evidence {
        Evidence {
            unit: self.unit(),
            growth: window.shape.growth(),
            from: f64::from(window.shape.early),
            window_s: self.window_s(window),
            slope: self.slope(window),
            at_equal_load: window.growth == GrowthShape::AtEqualLoad,
        }
    }

    fn unit(&self) -> Unit {
        self.ceiling.id().kind.unit()
    }

    /// When the ceiling is reached by the growth of these windows, short ones first.
    pub fn exhaustion(&self, windows: &[GrowthWindow]) -> Option<Exhaustion> {
        forecast::of_windows(windows, self.ceiling, self.basis)
    }

    /// Samples taken within the window.
    pub fn samples(&self, window: &GrowthWindow, life: ProcessLife) -> u32 {
        self.basis.clock.samples_in(window.level, window.blocks).min(life.samples)
    }

    /// Share of the growth, with that of like siblings, in what the ceiling lost meanwhile, and
    /// the least: below it the process is a bystander to another's leak.
    pub fn takes_part(&self, window: &GrowthWindow) -> Comparison {
        let growth = window.shape.growth() * self.group_factor;
        let share = self.ceiling.share(window.level, window.blocks, growth);
        Comparison::at_least(share, self.basis.constants.least_share)
    }

    /// Whether the window is long enough to prove anything.
    pub fn is_long_enough(&self, window: &GrowthWindow, life: ProcessLife) -> bool {
        let Constants { proof_s, proof_samples, .. } = self.basis.constants;
        self.window_s(window) >= proof_s && self.samples(window, life) >= proof_samples
    }

    /// Whether the window shows growth that matters, by the rules of [long
    /// growth](Self::leak_rule) whatever the number of samples.
    pub fn is_real_growth(&self, window: &GrowthWindow, life: ProcessLife) -> bool {
        let UrgentRule { reach, .. } = self.urgent(window, life, Degree::Proof);
        let patient = self.patient(window, life, Degree::Proof);
        let long = patient.of_life_s.passes || patient.doubled.passes;
        reach.passes && self.takes_part(window).passes
            || patient.own_growth.passes && patient.end_s.passes && long
    }

    /// The rule by which the window proves a leak, if any.
    pub fn leak_rule(&self, window: &GrowthWindow, life: ProcessLife) -> Option<FindingReason> {
        let why = self.rule(window, life, Degree::Proof)?;
        // A bystander to another's leak is not urgent. Its siblings' suspicion decides whether it
        // is one, so suspicion itself does not ask.
        if why != FindingReason::Urgent || self.takes_part(window).passes {
            Some(why)
        } else {
            let patient = self.patient(window, life, Degree::Proof).passes();
            patient.then_some(FindingReason::Patient)
        }
    }

    /// The first rule that the window meets.
    fn rule(
        &self,
        window: &GrowthWindow,
        life: ProcessLife,
        degree: Degree,
    ) -> Option<FindingReason> {
        if !window.is_steady() || window.paused || window.passes < self.basis.constants.passes {
            None
        } else if self.urgent(window, life, degree).passes() {
            Some(FindingReason::Urgent)
        } else {
            let patient = self.patient(window, life, degree).passes();
            patient.then_some(FindingReason::Patient)
        }
    }

    fn urgent(&self, window: &GrowthWindow, life: ProcessLife, degree: Degree) -> UrgentRule {
        let Constants { max_extrapolation, samples, hasty_samples, least_headroom, .. } =
            self.basis.constants;
        let Headroom { left, limit, .. } = self.ceiling.headroom();
        let (left, limit) = (left as f64, limit as f64);
        // Of six siblings that leak alike each uses up a sixth; memory ends by all of them.
        let reach = self.slope(window) * self.window_s(window) * self.group_factor;
        let hasty = degree == Degree::Suspicion || reach >= left;
        let enough = if hasty { hasty_samples } else { samples };
        UrgentRule {
            reach: Comparison::at_least(
                max_extrapolation * reach,
                degree.share_of_growth() * left.max(least_headroom * limit),
            ),
            samples: Comparison::at_least(self.samples(window, life).into(), enough.into()),
        }
    }

    fn patient(&self, window: &GrowthWindow, life: ProcessLife, degree: Degree) -> PatientRule {
        let Constants {
            samples,
            few_samples,
            few_growth,
            soon_s,
            patient_life,
            patient_growth,
            horizon_s,
            ..
        } = self.basis.constants;
        let growth = window.shape.growth();
        // Growth is said at once; a dozen samples are twice the shortest window's thirds.
        let least_life = if degree == Degree::Suspicion { few_samples } else { samples };
        let from = f64::from(window.shape.early);
        let end_s = self.ceiling.headroom().left as f64 / self.slope(window);
        // A large program that has warmed up grows by little of itself, and yet to the end.
        let is_soon = degree == Degree::Suspicion && end_s <= soon_s;
        let own_growth =
            if is_soon { few_growth } else { degree.share_of_growth() * patient_growth };
        let left = self.ceiling.headroom().left as f64;
        PatientRule {
            life_samples: Comparison::at_least(life.samples.into(), least_life.into()),
            own_growth: Comparison::at_least(growth, own_growth * from),
            end_s: Comparison {
                is: left / self.slope(window),
                needs: horizon_s,
                passes: left <= self.slope(window) * horizon_s,
            },
            of_life_s: Comparison::at_least(self.window_s(window), patient_life * life.age_s),
            doubled: Comparison::at_least(growth, from),
            samples: Comparison::at_least(self.samples(window, life).into(), samples.into()),
        }
    }

    /// All that the rules compare for the window, for an explanation.
    pub fn rules(&self, window: &GrowthWindow, life: ProcessLife) -> RuleChecks {
        let least = self.basis.constants.passes;
        RuleChecks {
            in_a_row: Comparison::at_least(window.passes.into(), least.into()),
            urgent: self.urgent(window, life, Degree::Proof),
            share: self.takes_part(window),
            patient: self.patient(window, life, Degree::Proof),
            leak: self.leak_rule(window, life),
            suspect: self.rule(window, life, Degree::Suspicion),
        }
    }

    /// What the windows, short ones first, show short of a proven leak.
    pub fn suspicion(&self, windows: &[GrowthWindow], life: ProcessLife) -> Option<Suspicion> {
        let suspicion = |window: &GrowthWindow| {
            let rule = self.rule(window, life, Degree::Suspicion);
            let verdict = match window.growth {
                _ if rule.is_some() => Verdict::Growing,
                GrowthShape::WithLoad => Verdict::LoadCoupled,
                GrowthShape::Slowing => Verdict::Warming,
                GrowthShape::Steady | GrowthShape::AtEqualLoad => return None,
            };
            let why = rule.unwrap_or(FindingReason::Patient);
            Some(Suspicion { verdict, length: window.length(), why })
        };
        // The worst verdict, and of equal ones the longest window.
        let mut worst: Option<Suspicion> = None;
        for found in windows.iter().rev().filter_map(suspicion) {
            match (found.verdict, worst.map(|worst| worst.verdict)) {
                (Verdict::Growing, _) => return Some(found),
                (Verdict::LoadCoupled, Some(Verdict::Warming)) | (_, None) => worst = Some(found),
                _ => {}
            }
        }
        worst
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::core::detect::ceilings::series::CeilingId;
    use crate::core::detect::constants::INTERVAL_LEVEL;
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
        let rule = |left, samples| {
            World::with_left(left).leak_rule(window(EARLY, MIB), life(samples, OLD_S))
        };
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
        let rule =
            |early, samples, age_s| world.leak_rule(window(early, MIB), life(samples, age_s));
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
}
