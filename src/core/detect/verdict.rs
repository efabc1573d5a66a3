//! Verdict: which windows of steady growth convict, and of what.
//!
//! Two paths, each blind where the other sees. *Urgent*: memory would end within a few times the
//! length of the evidence. *Patient*: it grew by a real part of itself through half its life,
//! however much memory there still is.

use crate::core::detect::ceilings::usage::{CeilingUsage, Headroom};
use crate::core::detect::constants::Constants;
use crate::core::detect::sample_clock::SampleClock;
use crate::core::detect::series::block_minima::GrowthWindow;
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::window::GrowthShape;
use crate::core::model::assessment::{Evidence, FindingReason, Verdict};
use crate::core::model::ceiling::Unit;

/// How far a window must go.
#[derive(Clone, Copy, PartialEq)]
enum Degree {
    Suspicion,
    Conviction,
}

impl Degree {
    /// Half of the growth that convicts makes suspect.
    fn ease(self) -> f64 {
        match self {
            Self::Suspicion => 0.5,
            Self::Conviction => 1.0,
        }
    }
}

/// What a process's windows are weighed against.
pub struct JudgeContext<'a> {
    /// The thresholds.
    pub constants: &'a Constants,
    /// Time and samples.
    pub clock: &'a SampleClock,
    /// The nearest ceiling.
    pub ceiling_usage: &'a CeilingUsage,
    /// How many times its growth all siblings that grow alike make up together; at least 1.
    pub crowd: f64,
}

/// Whose windows they are.
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
    /// Bytes it would grow in `--max_extrapolation` times its length, and what is left.
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
    pub alive: Comparison,
    /// Bytes grown, and the share of what it grew from that they must be.
    pub of_itself: Comparison,
    /// Seconds until memory would end, and the most that are anybody's concern.
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
        self.alive.passes && self.of_itself.passes && self.end_s.passes && self.long_enough()
    }

    /// Whether it covers enough of the process's life, or shows a doubling.
    pub fn long_enough(&self) -> bool {
        self.of_life_s.passes || self.doubled.passes && self.samples.passes
    }
}

/// What is compared to convict by one window that grows steadily.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RuleChecks {
    /// Windows of this length that passed in a row, and the least.
    pub passes: Comparison,
    /// The urgent rule, but for the share.
    pub urgent: UrgentRule,
    /// Share of what the ceiling lost meanwhile, and the least; of the urgent rule only.
    pub share: Comparison,
    /// The patient rule.
    pub patient: PatientRule,
    /// The rule that convicts.
    pub convicts: Option<FindingReason>,
    /// The rule by which it is suspect: half of the growth is enough, of whatever share.
    pub suspects: Option<FindingReason>,
}

impl JudgeContext<'_> {
    /// The window's length in seconds.
    pub fn window_s(&self, window: &GrowthWindow) -> f64 {
        self.clock.seconds(window.window)
    }

    /// Its growth in bytes per second.
    pub fn slope(&self, window: &GrowthWindow) -> f64 {
        window.slope() / self.clock.seconds(1)
    }

    /// The window as evidence.
    pub fn evidence(&self, window: &GrowthWindow) -> Evidence {
        Evidence {
            unit: Unit::Bytes,
            growth: window.shape.growth(),
            from: f64::from(window.shape.early),
            window_s: self.window_s(window),
            slope: self.slope(window),
            at_equal_load: window.growth == GrowthShape::AtEqualLoad,
        }
    }

    /// Samples taken within the window.
    pub fn samples(&self, window: &GrowthWindow, life: ProcessLife) -> u32 {
        self.clock.samples_in(window.level, window.blocks).min(life.samples)
    }

    /// The part of the window, and of its like in the siblings, in what its ceiling lost meanwhile.
    pub fn share(&self, window: &GrowthWindow) -> f64 {
        self.ceiling_usage.share(window.level, window.blocks, window.shape.growth() * self.crowd)
    }

    /// Whether it is more than a bystander to another's leak.
    pub fn takes_part(&self, window: &GrowthWindow) -> Comparison {
        Comparison::at_least(self.share(window), self.constants.share)
    }

    /// Whether load leaves the growth standing.
    pub fn is_steady(&self, window: &GrowthWindow) -> bool {
        matches!(window.growth, GrowthShape::Steady | GrowthShape::AtEqualLoad)
    }

    /// The rule by which the window convicts, if any.
    pub fn convicts(&self, window: &GrowthWindow, life: ProcessLife) -> Option<FindingReason> {
        let why = self.rule(window, life, Degree::Conviction)?;
        // A bystander to another's leak is not urgent; whether it is one, its siblings' suspicion
        // tells, so suspicion itself does not ask.
        let stands = why != FindingReason::Urgent || self.takes_part(window).passes;
        let patient =
            || self.is_patient(window, life, Degree::Conviction).then_some(FindingReason::Patient);
        if stands { Some(why) } else { patient() }
    }

    /// The rule that the window meets.
    fn rule(
        &self,
        window: &GrowthWindow,
        life: ProcessLife,
        degree: Degree,
    ) -> Option<FindingReason> {
        if !self.is_steady(window) || window.paused || window.passes < self.constants.passes {
            None
        } else if self.is_urgent(window, life, degree) {
            Some(FindingReason::Urgent)
        } else {
            self.is_patient(window, life, degree).then_some(FindingReason::Patient)
        }
    }

    fn is_urgent(&self, window: &GrowthWindow, life: ProcessLife, degree: Degree) -> bool {
        self.urgent(window, life, degree).passes()
    }

    fn is_patient(&self, window: &GrowthWindow, life: ProcessLife, degree: Degree) -> bool {
        self.patient(window, life, degree).passes()
    }

    fn urgent(&self, window: &GrowthWindow, life: ProcessLife, degree: Degree) -> UrgentRule {
        let Constants { max_extrapolation, samples, hasty_samples, material, .. } = *self.constants;
        let Headroom { left, limit, .. } = self.ceiling_usage.headroom();
        let (left, limit) = (left as f64, limit as f64);
        // Of six siblings that leak alike each uses up a sixth; memory ends by all of them.
        let reach = self.slope(window) * self.window_s(window) * self.crowd;
        let hasty = degree == Degree::Suspicion || reach >= left;
        let enough = if hasty { hasty_samples } else { samples };
        UrgentRule {
            reach: Comparison::at_least(
                max_extrapolation * reach,
                degree.ease() * left.max(material * limit),
            ),
            samples: Comparison::at_least(self.samples(window, life).into(), enough.into()),
        }
    }

    fn patient(&self, window: &GrowthWindow, life: ProcessLife, degree: Degree) -> PatientRule {
        let Constants { samples, patient_life, patient_growth, horizon_s, .. } = *self.constants;
        let growth = window.shape.growth();
        let from = f64::from(window.shape.early);
        let left = self.ceiling_usage.headroom().left as f64;
        PatientRule {
            alive: Comparison::at_least(life.samples.into(), samples.into()),
            of_itself: Comparison::at_least(growth, degree.ease() * patient_growth * from),
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

    /// All that is compared to convict by the window, for an explanation.
    pub fn rules(&self, window: &GrowthWindow, life: ProcessLife) -> RuleChecks {
        RuleChecks {
            passes: Comparison::at_least(window.passes.into(), self.constants.passes.into()),
            urgent: self.urgent(window, life, Degree::Conviction),
            share: self.takes_part(window),
            patient: self.patient(window, life, Degree::Conviction),
            convicts: self.convicts(window, life),
            suspects: self.rule(window, life, Degree::Suspicion),
        }
    }

    /// What the windows, short ones first, say short of a conviction: the verdict, the length of
    /// the longest window that says so, and the rule it goes towards.
    pub fn suspicion(
        &self,
        windows: &[GrowthWindow],
        life: ProcessLife,
    ) -> Option<(Verdict, u64, FindingReason)> {
        let suspicion = |window: &GrowthWindow| {
            let rule = self.rule(window, life, Degree::Suspicion);
            let verdict = match window.growth {
                _ if rule.is_some() => Verdict::Suspect,
                GrowthShape::WithLoad => Verdict::LoadCoupled,
                GrowthShape::Slowing => Verdict::Warming,
                GrowthShape::Steady | GrowthShape::AtEqualLoad => return None,
            };
            Some((verdict, window.window, rule.unwrap_or(FindingReason::Patient)))
        };
        // Of equals the longest: from that one on, nothing can count for more than a suspect.
        let mut best: Option<(Verdict, u64, FindingReason)> = None;
        for found in windows.iter().rev().filter_map(suspicion) {
            match (found.0, best) {
                (Verdict::Suspect, _) => return Some(found),
                (Verdict::LoadCoupled, Some((Verdict::Warming, ..))) | (_, None) => {
                    best = Some(found);
                }
                _ => {}
            }
        }
        best
    }
}
