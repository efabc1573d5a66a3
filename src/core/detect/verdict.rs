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
    /// The verdict: suspect, load-coupled or warming.
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
    fn samples(&self, window: &GrowthWindow, life: ProcessLife) -> u32 {
        self.basis.clock.samples_in(window.level, window.blocks).min(life.samples)
    }

    /// Share of the growth, with that of like siblings, in what the ceiling lost meanwhile, and
    /// the least: below it the process is a bystander to another's leak.
    pub fn takes_part(&self, window: &GrowthWindow) -> Comparison {
        let growth = window.shape.growth() * self.group_factor;
        let share = self.ceiling.share(window.level, window.blocks, growth);
        Comparison::at_least(share, self.basis.constants.least_share)
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
        let Constants { samples, patient_life, patient_growth, horizon_s, .. } =
            self.basis.constants;
        let growth = window.shape.growth();
        let from = f64::from(window.shape.early);
        let left = self.ceiling.headroom().left as f64;
        PatientRule {
            life_samples: Comparison::at_least(life.samples.into(), samples.into()),
            own_growth: Comparison::at_least(
                growth,
                degree.share_of_growth() * patient_growth * from,
            ),
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
                _ if rule.is_some() => Verdict::Suspect,
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
                (Verdict::Suspect, _) => return Some(found),
                (Verdict::LoadCoupled, Some(Verdict::Warming)) | (_, None) => worst = Some(found),
                _ => {}
            }
        }
        worst
    }
}
