//! The verdict on a service that nothing accuses, by how its size moved.

use super::service::ServiceVerdict;
use crate::core::model::verdict::Verdict;
use crate::diagnose::size_growth::{SizeGrowth, least_change};

/// Memory that ends later than this is no concern (30 days).
const FAR_S: f64 = 30.0 * 86_400.0;
/// Growth at which memory would last longer than this is no finding (two days).
const SOON_S: f64 = 2.0 * 86_400.0;

/// The size of a service, and how it moved.
#[derive(Clone, Copy, Debug)]
pub(super) struct Movement {
    /// Bytes now.
    pub size: f64,
    /// Seconds since its oldest process started.
    pub age_s: f64,
    /// Bytes left below its nearest ceiling.
    pub left: f64,
    /// How its size moved, if it was seen long enough.
    pub growth: Option<SizeGrowth>,
    /// Whether it grew less in the later half than in the earlier one.
    pub slows: bool,
    /// Whether one of its processes grows as earlier runs of its program did.
    pub as_before: bool,
}

impl Movement {
    /// The verdict; `has` tells whether any process of the service has a verdict of its own.
    pub(super) fn verdict(&self, has: impl Fn(Verdict) -> bool) -> ServiceVerdict {
        // The most that it can have grown by on average since it started.
        let lasts_s = self.left / (self.size / self.age_s.max(1.0)).max(1e-9);
        let Some(growth) = self.growth.filter(|_| !has(Verdict::New)) else {
            return if lasts_s > FAR_S {
                ServiceVerdict::TooSlow(lasts_s)
            } else {
                ServiceVerdict::Unclear
            };
        };
        if growth.rise.abs() < least_change(self.size) {
            return ServiceVerdict::Flat;
        }
        if growth.rise < 0.0 {
            return ServiceVerdict::Shrank;
        }
        // What one of many workers does tells nothing where all together go straight on.
        if has(Verdict::Warming) && self.slows {
            return ServiceVerdict::Warming;
        }
        if self.as_before {
            return ServiceVerdict::AsBefore;
        }
        if has(Verdict::LoadCoupled) {
            return ServiceVerdict::WithLoad;
        }
        // It grew, though not steadily: what would take days to matter is no finding, and what would
        // take hours deserves a longer look.
        let end_s = self.left / growth.rate.max(1e-9);
        if end_s > SOON_S { ServiceVerdict::Slight(end_s) } else { ServiceVerdict::Unclear }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MIB: f64 = 1024.0 * 1024.0;

    /// A service of 100 MiB that is a day old, below 1 GiB that is left, and rose by so many bytes in a
    /// minute.
    fn rose(rise: f64) -> Movement {
        let rate = rise / 60.0;
        let growth = SizeGrowth { rate, between: (rate, rate), rise, span_s: 60.0 };
        Movement {
            size: 100.0 * MIB,
            age_s: 86_400.0,
            left: 1024.0 * MIB,
            growth: Some(growth),
            slows: true,
            as_before: false,
        }
    }

    fn nothing(_: Verdict) -> bool {
        false
    }

    #[test]
    fn a_change_below_three_percent_is_flat() {
        assert_eq!(rose(2.9 * MIB).verdict(nothing), ServiceVerdict::Flat);
        assert_eq!(rose(-2.9 * MIB).verdict(nothing), ServiceVerdict::Flat);
        assert_eq!(rose(-3.1 * MIB).verdict(nothing), ServiceVerdict::Shrank);
        assert_eq!(rose(3.1 * MIB).verdict(nothing), ServiceVerdict::Unclear, "5 hours left");
    }

    #[test]
    fn growth_at_which_memory_lasts_for_days_is_slight() {
        let slow = Movement { left: 20_000.0 * MIB, ..rose(3.1 * MIB) };
        assert!(matches!(slow.verdict(nothing), ServiceVerdict::Slight(end_s) if end_s > SOON_S));
    }

    #[test]
    fn a_service_seen_too_briefly_is_cleared_only_by_its_size_for_its_age() {
        let brief = Movement { growth: None, ..rose(0.0) };
        assert_eq!(brief.verdict(nothing), ServiceVerdict::Unclear, "ten days at most");
        let old = Movement { age_s: 40.0 * 86_400.0, ..brief };
        assert!(matches!(old.verdict(nothing), ServiceVerdict::TooSlow(_)));
        let is_new = |verdict| verdict == Verdict::New;
        assert_eq!(rose(0.0).verdict(is_new), ServiceVerdict::Unclear, "its processes are new");
    }

    #[test]
    fn growth_that_its_processes_explain_is_no_leak() {
        let warming = |verdict| verdict == Verdict::Warming;
        let loaded = |verdict| verdict == Verdict::LoadCoupled;
        assert_eq!(rose(50.0 * MIB).verdict(warming), ServiceVerdict::Warming);
        assert_eq!(rose(50.0 * MIB).verdict(loaded), ServiceVerdict::WithLoad);
        assert_eq!(rose(-50.0 * MIB).verdict(warming), ServiceVerdict::Shrank);
        let straight = Movement { slows: false, ..rose(50.0 * MIB) };
        assert_eq!(straight.verdict(warming), ServiceVerdict::Unclear, "but one of many");
        let as_before = Movement { as_before: true, ..straight };
        assert_eq!(as_before.verdict(warming), ServiceVerdict::AsBefore);
    }

    proptest! {
        #[test]
        fn movement_alone_accuses_nothing(rise in -1e10..1e10_f64, left in 0.0..1e12_f64) {
            let verdict = Movement { left, ..rose(rise) }.verdict(nothing);
            prop_assert!(!verdict.accuses() && verdict != ServiceVerdict::Suspect);
        }
    }
}
