//! What windows of growth show: evidence, a forecast, suspicion, and by the [`rules`] a leak.

pub mod rules;
#[cfg(test)]
mod tests;

use crate::core::detect::basis::JudgeBasis;
use crate::core::detect::constants::Constants;
use crate::core::detect::forecast::ceiling_series::CeilingSeries;
use crate::core::detect::forecast::exhaustion::{self, Exhaustion};
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::series::window::GrowthShape;
use crate::core::model::ceiling::Unit;
use crate::core::model::verdict::{Evidence, FindingReason, Verdict};
use rules::Degree;

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
            samples: self.basis.clock.samples_in(window.level, window.blocks),
            at_equal_load: window.growth == GrowthShape::AtEqualLoad,
        }
    }

    fn unit(&self) -> Unit {
        self.ceiling.id().kind.unit()
    }

    /// When the ceiling is reached by the growth of these windows, short ones first.
    pub fn exhaustion(&self, windows: &[GrowthWindow]) -> Option<Exhaustion> {
        exhaustion::of_windows(windows, self.ceiling, self.basis)
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
        let (samples, seconds) = self.long_enough(window, life);
        samples.passes && seconds.passes
    }

    /// Samples and seconds of a window, and the least that prove anything.
    pub fn long_enough(
        &self,
        window: &GrowthWindow,
        life: ProcessLife,
    ) -> (Comparison, Comparison) {
        let Constants { proof_s, proof_samples, .. } = self.basis.constants;
        let samples = self.samples(window, life).into();
        let seconds = Comparison::at_least(self.window_s(window), proof_s);
        (Comparison::at_least(samples, proof_samples.into()), seconds)
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
