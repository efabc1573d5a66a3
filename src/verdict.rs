//! Verdict: which windows of steady growth convict, and of what.
//!
//! Two paths, each blind where the other sees. *Urgent*: memory would end within a few times the
//! length of the evidence. *Patient*: it grew by a real part of itself through half its life,
//! however much memory there still is.

use crate::assessment::{Evidence, Verdict, Why};
use crate::clock::Clock;
use crate::constants::Constants;
use crate::floors::Candidate;
use crate::headroom::{Headroom, Meter};
use crate::window::Growth;

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
pub struct Scale<'a> {
    /// The thresholds.
    pub constants: &'a Constants,
    /// Time and samples.
    pub clock: &'a Clock,
    /// The nearest ceiling.
    pub meter: &'a Meter,
    /// How many times its growth all siblings that grow alike make up together; at least 1.
    pub crowd: f64,
}

/// Whose windows they are.
#[derive(Clone, Copy)]
pub struct Life {
    /// Samples that it was in.
    pub samples: u32,
    /// Its age in seconds.
    pub age_s: f64,
}

impl Scale<'_> {
    /// The window's length in seconds.
    pub fn window_s(&self, window: &Candidate) -> f64 {
        self.clock.seconds(window.window)
    }

    /// Its growth in bytes per second.
    pub fn slope(&self, window: &Candidate) -> f64 {
        window.slope() / self.clock.seconds(1)
    }

    /// The window as evidence.
    pub fn evidence(&self, window: &Candidate) -> Evidence {
        Evidence {
            growth: window.shape.growth(),
            from: f64::from(window.shape.early),
            window_s: self.window_s(window),
            slope: self.slope(window),
            at_equal_load: window.growth == Growth::AtEqualLoad,
        }
    }

    /// Samples taken within the window.
    pub fn samples(&self, window: &Candidate, life: Life) -> u32 {
        self.clock.samples_in(window.level, window.blocks).min(life.samples)
    }

    /// The part of the window, and of its like in the siblings, in what its ceiling lost meanwhile.
    pub fn share(&self, window: &Candidate) -> f64 {
        self.meter.share(window.level, window.blocks, window.shape.growth() * self.crowd)
    }

    /// Whether load leaves the growth standing.
    pub fn is_steady(&self, window: &Candidate) -> bool {
        matches!(window.growth, Growth::Steady | Growth::AtEqualLoad)
    }

    /// The rule by which the window convicts, if any.
    pub fn convicts(&self, window: &Candidate, life: Life) -> Option<Why> {
        let why = self.rule(window, life, Degree::Conviction)?;
        // A bystander to another's leak is not urgent; whether it is one, its siblings' suspicion
        // tells, so suspicion itself does not ask.
        let stands = why != Why::Urgent || self.share(window) >= self.constants.share;
        let patient = || self.is_patient(window, life, Degree::Conviction).then_some(Why::Patient);
        if stands { Some(why) } else { patient() }
    }

    /// The rule that the window meets.
    fn rule(&self, window: &Candidate, life: Life, degree: Degree) -> Option<Why> {
        if !self.is_steady(window) || window.paused || window.passes < self.constants.passes {
            None
        } else if self.is_urgent(window, life, degree) {
            Some(Why::Urgent)
        } else {
            self.is_patient(window, life, degree).then_some(Why::Patient)
        }
    }

    fn is_urgent(&self, window: &Candidate, life: Life, degree: Degree) -> bool {
        let Constants { caution, samples, hasty_samples, material, .. } = *self.constants;
        let Headroom { left, limit, .. } = self.meter.headroom();
        let (left, limit) = (left as f64, limit as f64);
        // Of six siblings that leak alike each uses up a sixth; memory ends by all of them.
        let reach = self.slope(window) * self.window_s(window) * self.crowd;
        let hasty = degree == Degree::Suspicion || reach >= left;
        let enough = if hasty { hasty_samples } else { samples };
        caution * reach >= degree.ease() * left.max(material * limit)
            && self.samples(window, life) >= enough
    }

    fn is_patient(&self, window: &Candidate, life: Life, degree: Degree) -> bool {
        let Constants { samples, patient_life, patient_growth, horizon_s, .. } = *self.constants;
        let growth = window.shape.growth();
        let from = f64::from(window.shape.early);
        life.samples >= samples
            && growth >= degree.ease() * patient_growth * from
            && self.meter.headroom().left as f64 <= self.slope(window) * horizon_s
            && (self.window_s(window) >= patient_life * life.age_s
                || growth >= from && self.samples(window, life) >= samples)
    }

    /// What the windows, short ones first, say short of a conviction: the verdict, the length of
    /// the longest window that says so, and the rule it goes towards.
    pub fn suspicion(&self, windows: &[Candidate], life: Life) -> Option<(Verdict, u64, Why)> {
        let suspicion = |window: &Candidate| {
            let rule = self.rule(window, life, Degree::Suspicion);
            let verdict = match window.growth {
                _ if rule.is_some() => Verdict::Suspect,
                Growth::WithLoad => Verdict::LoadCoupled,
                Growth::Slowing => Verdict::Warming,
                Growth::Steady | Growth::AtEqualLoad => return None,
            };
            Some((verdict, window.window, rule.unwrap_or(Why::Patient)))
        };
        let rank = |verdict| match verdict {
            Verdict::Suspect => 2,
            Verdict::LoadCoupled => 1,
            _ => 0,
        };
        windows.iter().filter_map(suspicion).max_by_key(|(verdict, ..)| rank(*verdict))
    }
}
