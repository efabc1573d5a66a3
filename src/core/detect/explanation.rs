//! Explanation: why a process has its verdict, as plain values: every window with every test, and
//! what else weighed in. Made when asked for, never in a tick.

use crate::core::detect::ceilings::usage::Headroom;
use crate::core::detect::process_state::ProcessState;
use crate::core::detect::series::block_minima::FullWindow;
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::window::GrowthShape;
use crate::core::detect::verdict::RuleChecks;
use crate::core::model::assessment::{FindingReason, Verdict};

/// Why a process has its verdict.
#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// How it stands.
    pub standing: ProcessState,
    /// What is left below its nearest ceiling.
    pub headroom: Headroom,
    /// How many times its evidence a growth may be extrapolated.
    pub max_extrapolation: f64,
    /// Its windows that are full, short ones first.
    pub windows: Vec<WindowRow>,
    /// What stands against it.
    pub held: Option<StandingVerdict>,
    /// The earlier run of its program, if one is known.
    pub earlier: Option<EarlierRunMatch>,
    /// Its siblings, if it has any.
    pub pool: Option<Siblings>,
}

/// A window and all that is compared for it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct WindowRow {
    /// Its length in seconds.
    pub window_s: f64,
    /// Growth in bytes per second.
    pub slope: f64,
    /// Does it grow without end?
    pub look: FullWindow,
    /// Is that enough to convict? Asked of steady growth only.
    pub rules: Option<RuleChecks>,
}

/// A conviction or suspicion that stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StandingVerdict {
    /// The rule that was met first; none for a suspicion.
    pub why: Option<FindingReason>,
    /// Seconds for which it stands without further evidence.
    pub for_s: f64,
}

/// What an earlier run of the program, under the same parent's name, became.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EarlierRunMatch {
    /// Footprint now, and the most that the earlier run excuses, in bytes.
    pub size: Comparison,
    /// Age since first sight, and the most that it excuses, in seconds.
    pub age_s: Comparison,
    /// Whether it excuses this one: both pass, and it was never convicted.
    pub excuses: bool,
}

/// The living and ended children of its parent that run its program.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Siblings {
    /// Living members.
    pub members: u32,
    /// Whether, pooled by age, they grow for as long as they live.
    pub leaks: bool,
    /// How many times its growth all that grow alike make up together.
    pub crowd: f64,
}

impl Explanation {
    /// The window that tells most: one that convicts, else one that makes suspect, else the one that
    /// fails the fewest tests; of equals the longest.
    pub fn decisive(&self) -> Option<&WindowRow> {
        let rank = |row: &&WindowRow| {
            let rules = row.rules.as_ref();
            let convicts = rules.is_some_and(|rules| rules.convicts.is_some());
            let suspects = rules.is_some_and(|rules| rules.suspects.is_some());
            (convicts, suspects, std::cmp::Reverse(row.fails()))
        };
        self.windows.iter().max_by_key(rank)
    }

    /// The longest window that shows this kind of growth.
    pub fn longest(&self, growth: GrowthShape) -> Option<&WindowRow> {
        self.windows.iter().rfind(|row| row.look.growth == Some(growth))
    }

    /// Whether what the windows say is set aside because an earlier run went this way.
    pub fn is_excused(&self) -> bool {
        let rules = self.decisive().and_then(|row| row.rules.as_ref());
        self.earlier.is_some_and(|earlier| earlier.excuses)
            && self.standing.verdict == Verdict::Warming
            && rules.is_some_and(|rules| rules.suspects.or(rules.convicts).is_some())
    }
}

impl WindowRow {
    /// Tests that it fails: of growth; once it grows, of its kind; once that is steady, of the rules.
    fn fails(&self) -> (usize, usize) {
        let tests = &self.look.tests;
        let count = |checks: &[Comparison]| checks.iter().filter(|check| !check.passes).count();
        match (&self.rules, self.look.growth) {
            (Some(rules), _) => {
                let RuleChecks { passes, urgent, share, patient, .. } = rules;
                let urgent = count(&[urgent.reach, urgent.samples, *share]);
                let patient = count(&[patient.alive, patient.of_itself, patient.end_s])
                    + usize::from(!patient.long_enough());
                (0, count(&[*passes, tests.going_on]) + urgent.min(patient))
            }
            (None, Some(_)) => (1, count(&[tests.lasting, tests.going_on, tests.not_by_load])),
            (None, None) => (2, count(&[self.enough(), tests.beyond_falls, tests.rising])),
        }
    }

    /// Enough growth, by the quick look or by the medians: the one that fails.
    pub fn enough(&self) -> Comparison {
        let FullWindow { ends_higher, tests, growth, .. } = &self.look;
        if growth.is_none() && tests.enough.passes && !ends_higher.passes {
            *ends_higher
        } else {
            tests.enough
        }
    }
}
