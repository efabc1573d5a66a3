//! Weigh: the live samples of a service against earlier series of it.
//!
//! The side that says more gives the verdict. Growth, interval and forecast are those of that side;
//! where both prove a leak, those of the longer one, unless by the live samples memory ends before the
//! earliest end that the longer one gives.

use super::service::{JudgedBy, ServiceVerdict};
use crate::diagnose::leak_figures::{LeakFigures, is_sooner};
use ServiceVerdict::{
    AsBefore, Flat, Grows, Leaks, Settled, Shrank, Suspect, Unclear, Warming, WithLoad,
};

/// What the live samples and the earlier series say of a service, each for itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sides {
    /// The verdict by the live samples.
    pub live: ServiceVerdict,
    /// The verdict by comparing its workers, unless an earlier series contradicts it.
    pub compared: Option<ServiceVerdict>,
    /// Whether an earlier series shows a long growth that is still there, ...
    pub earlier_proves: bool,
    /// ... and proves that it is a leak.
    pub earlier_leaks: bool,
    /// Whether an earlier series suspects one of its processes still.
    pub earlier_suspects: bool,
    /// Whether it is larger now than the longest earlier series ever saw it.
    pub is_larger: bool,
    /// How it moved in the longest earlier series.
    pub earlier: Option<ServiceVerdict>,
}

/// A rule: its verdict, where it applies, and the side that gives it.
type Rule = (JudgedBy, fn(&Sides) -> Option<ServiceVerdict>);

/// The rules; the first that applies gives the verdict.
const RULES: [Rule; 9] = [
    // The live samples prove a leak: it is happening now, whatever was before.
    (JudgedBy::Live, |sides| (sides.live == Leaks).then_some(Leaks)),
    // An earlier series proves one, and it is still there: a quiet minute does not clear what took days
    // to see.
    (JudgedBy::Earlier, |sides| (sides.earlier_proves && sides.earlier_leaks).then_some(Leaks)),
    // The same of growth, whatever its cause.
    (JudgedBy::Live, |sides| (sides.live == Grows).then_some(Grows)),
    (JudgedBy::Earlier, |sides| sides.earlier_proves.then_some(Grows)),
    // Workers hold the more memory the more they have worked.
    (JudgedBy::Live, |sides| sides.compared),
    // An earlier series suspects it: it stays suspect.
    (JudgedBy::Earlier, |sides| sides.earlier_suspects.then_some(Suspect)),
    // It is larger now than ever before: the live samples judge alone, and the report says both.
    (JudgedBy::LiveSinceLarger, |sides| {
        let verdict = if sides.live == Suspect { Suspect } else { Unclear };
        sides.is_larger.then_some(verdict)
    }),
    // Only the live samples suspect it, and the earlier series does not explain the growth.
    (JudgedBy::Live, |sides| {
        let explained = sides.earlier.is_some_and(explains_growth);
        (sides.live == Suspect && !explained).then_some(Suspect)
    }),
    // The earlier series judges by how the service moved there.
    (JudgedBy::Earlier, |sides| sides.earlier),
];

/// Whether a service that moved so over hours may grow for a minute without leaking.
fn explains_growth(earlier: ServiceVerdict) -> bool {
    matches!(earlier, Flat | Settled(_) | Shrank | Warming | AsBefore | WithLoad)
}

/// The verdict on a service, and the side that gave it.
pub(super) fn weigh(sides: &Sides) -> (ServiceVerdict, JudgedBy) {
    let applied = RULES.iter().find_map(|(judge, rule)| Some((rule(sides)?, *judge)));
    applied.unwrap_or((sides.live, JudgedBy::Live))
}

/// The figures of the side that gave the verdict.
pub(super) fn figures(
    sides: &Sides,
    (verdict, judge): (ServiceVerdict, JudgedBy),
    live: LeakFigures,
    earlier: &LeakFigures,
) -> LeakFigures {
    let lives = matches!(sides.live, Leaks | Grows);
    let is_sooner = lives && is_sooner(live.forecast, earlier.forecast);
    if sides.earlier_proves && !is_sooner {
        LeakFigures {
            steady: earlier.steady.or(live.steady),
            tasks: earlier.tasks.or(live.tasks),
            forecast: earlier.forecast.or(live.forecast),
        }
    } else if (verdict, judge) == (Suspect, JudgedBy::Earlier) {
        LeakFigures { steady: earlier.steady.or(live.steady), ..live }
    } else {
        live
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::{CeilingKind, Place};
    use crate::core::model::forecast::Forecast;
    use crate::diagnose::leak_figures::SteadyGrowth;
    use ServiceVerdict::{Likely, Slight};

    const SIDES: Sides = Sides {
        live: Flat,
        compared: None,
        earlier_proves: false,
        earlier_leaks: true,
        earlier_suspects: false,
        is_larger: false,
        earlier: None,
    };

    #[test]
    fn the_side_that_says_more_gives_the_verdict() {
        use JudgedBy::{Earlier, Live, LiveSinceLarger};
        let likely = Likely { rate: Some(30.0) };
        let seen = Sides { earlier: Some(Flat), ..SIDES };
        for (why, sides, verdict, judge) in [
            ("no earlier series", Sides { live: Suspect, ..SIDES }, Suspect, Live),
            ("live proof", Sides { live: Leaks, ..seen }, Leaks, Live),
            (
                "live proof beats earlier",
                Sides { live: Leaks, earlier_proves: true, ..seen },
                Leaks,
                Live,
            ),
            ("a quiet minute", Sides { earlier_proves: true, ..seen }, Leaks, Earlier),
            ("live growth", Sides { live: Grows, ..seen }, Grows, Live),
            (
                "earlier growth",
                Sides { earlier_proves: true, earlier_leaks: false, ..seen },
                Grows,
                Earlier,
            ),
            ("compared", Sides { live: likely, compared: Some(likely), ..seen }, likely, Live),
            (
                "earlier proof beats compared",
                Sides { compared: Some(likely), earlier_proves: true, ..seen },
                Leaks,
                Earlier,
            ),
            ("earlier suspicion", Sides { earlier_suspects: true, ..seen }, Suspect, Earlier),
            ("larger", Sides { is_larger: true, ..seen }, Unclear, LiveSinceLarger),
            (
                "larger and growing",
                Sides { live: Suspect, is_larger: true, ..seen },
                Suspect,
                LiveSinceLarger,
            ),
            ("it always does that", Sides { live: Suspect, ..seen }, Flat, Earlier),
            (
                "it never did that",
                Sides { live: Suspect, earlier: Some(Slight(1e6)), ..SIDES },
                Suspect,
                Live,
            ),
            ("both quiet", Sides { live: Unclear, ..seen }, Flat, Earlier),
        ] {
            assert_eq!(weigh(&sides), (verdict, judge), "{why}");
        }
    }

    fn figures_of(rate: f64, likely_s: f64) -> LeakFigures {
        let forecast = Forecast {
            ceiling: CeilingKind::Ram,
            place: Place::NONE,
            headroom: 1,
            limit: 2,
            slope: rate,
            earliest_s: likely_s / 2.0,
            likely_s,
            latest_s: 2.0 * likely_s,
            window_s: 60.0,
        };
        let steady = Some(SteadyGrowth { rate, window_s: 60.0 });
        LeakFigures { steady, tasks: None, forecast: Some(forecast) }
    }

    #[test]
    fn the_longer_proof_gives_the_figures_unless_the_end_is_nearer_by_far() {
        let proved = Sides { live: Leaks, earlier_proves: true, ..SIDES };
        let earlier = figures_of(1.0, 10_000.0);
        let (as_fast, faster) = (figures_of(2.0, 6_000.0), figures_of(5.0, 4_000.0));
        let judged = (Leaks, JudgedBy::Live);
        assert_eq!(figures(&proved, judged, as_fast, &earlier), earlier);
        assert_eq!(figures(&proved, judged, faster, &earlier), faster, "before 5 000 s");
        let quiet = Sides { live: Flat, ..proved };
        let judged = (Leaks, JudgedBy::Earlier);
        assert_eq!(figures(&quiet, judged, LeakFigures::default(), &earlier), earlier);
    }

    #[test]
    fn an_earlier_suspicion_gives_its_rate_but_no_forecast() {
        let suspected = Sides { earlier_suspects: true, ..SIDES };
        let judged = (Suspect, JudgedBy::Earlier);
        let earlier = figures_of(1.0, 10_000.0);
        let told = figures(&suspected, judged, LeakFigures::default(), &earlier);
        assert_eq!((told.steady, told.forecast), (earlier.steady, None));
        let judged = (Flat, JudgedBy::Earlier);
        assert_eq!(
            figures(&SIDES, judged, LeakFigures::default(), &earlier),
            LeakFigures::default()
        );
    }
}
