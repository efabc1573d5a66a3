//! The rules by which a window of steady growth proves a leak, or arouses suspicion.
//!
//! Two rules, each blind where the other sees. *Urgent*: memory would end within a few times the
//! length of the evidence. *Patient*: the process grew by a real part of itself through half its
//! life, however much memory is left.

use super::{JudgeContext, ProcessLife};
use crate::core::detect::constants::Constants;
use crate::core::detect::forecast::ceiling_series::Headroom;
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::model::verdict::FindingReason;

/// What a window is to show.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Degree {
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

impl JudgeContext<'_> {
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
    pub(super) fn rule(
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
            slight_growth,
            slight_reach,
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
        // A large program that has warmed up grows by little of itself, and yet to the end. That it
        // grows by far more than it varies, the tests of the window have shown.
        let is_said = degree == Degree::Suspicion;
        let is_slight = is_said && end_s <= slight_reach * self.window_s(window);
        let own_growth = match end_s {
            _ if is_slight => slight_growth,
            end_s if is_said && end_s <= soon_s => few_growth,
            _ => degree.share_of_growth() * patient_growth,
        };
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
}
