//! Verdict: which windows of steady growth convict, and of what.
//!
//! Two paths, each blind where the other sees. *Urgent*: memory would end within a few times the
//! length of the evidence. *Patient*: it grew by a real part of itself through half its life,
//! however much memory there still is.

use crate::core::detect::ceilings::usage::{Headroom, Meter};
use crate::core::detect::constants::Constants;
use crate::core::detect::sample_clock::Clock;
use crate::core::detect::series::block_minima::Candidate;
use crate::core::detect::series::comparison::Check;
use crate::core::detect::series::window::Growth;
use crate::core::model::assessment::{Evidence, Verdict, Why};
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

/// What the urgent rule compares, for one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Urgent {
    /// Bytes it would grow in `--caution` times its length, and what is left.
    pub reach: Check,
    /// Samples in it, and the least.
    pub samples: Check,
}

impl Urgent {
    fn passes(&self) -> bool {
        self.reach.passes && self.samples.passes
    }
}

/// What the patient rule compares, for one window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Patient {
    /// Samples of the process, and the least.
    pub alive: Check,
    /// Bytes grown, and the share of what it grew from that they must be.
    pub of_itself: Check,
    /// Seconds until memory would end, and the most that are anybody's concern.
    pub end_s: Check,
    /// Its length in seconds, and the share of the process's life that it must be, ...
    pub of_life_s: Check,
    /// ... or else bytes grown, and what it grew from: it doubled, ...
    pub doubled: Check,
    /// ... in enough samples.
    pub samples: Check,
}

impl Patient {
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
pub struct Rules {
    /// Windows of this length that passed in a row, and the least.
    pub passes: Check,
    /// The urgent rule, but for the share.
    pub urgent: Urgent,
    /// Share of what the ceiling lost meanwhile, and the least; of the urgent rule only.
    pub share: Check,
    /// The patient rule.
    pub patient: Patient,
    /// The rule that convicts.
    pub convicts: Option<Why>,
    /// The rule by which it is suspect: half of the growth is enough, of whatever share.
    pub suspects: Option<Why>,
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
            unit: Unit::Bytes,
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

    /// Whether it is more than a bystander to another's leak.
    pub fn takes_part(&self, window: &Candidate) -> Check {
        Check::at_least(self.share(window), self.constants.share)
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
        let stands = why != Why::Urgent || self.takes_part(window).passes;
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
        self.urgent(window, life, degree).passes()
    }

    fn is_patient(&self, window: &Candidate, life: Life, degree: Degree) -> bool {
        self.patient(window, life, degree).passes()
    }

    fn urgent(&self, window: &Candidate, life: Life, degree: Degree) -> Urgent {
        let Constants { caution, samples, hasty_samples, material, .. } = *self.constants;
        let Headroom { left, limit, .. } = self.meter.headroom();
        let (left, limit) = (left as f64, limit as f64);
        // Of six siblings that leak alike each uses up a sixth; memory ends by all of them.
        let reach = self.slope(window) * self.window_s(window) * self.crowd;
        let hasty = degree == Degree::Suspicion || reach >= left;
        let enough = if hasty { hasty_samples } else { samples };
        Urgent {
            reach: Check::at_least(caution * reach, degree.ease() * left.max(material * limit)),
            samples: Check::at_least(self.samples(window, life).into(), enough.into()),
        }
    }

    fn patient(&self, window: &Candidate, life: Life, degree: Degree) -> Patient {
        let Constants { samples, patient_life, patient_growth, horizon_s, .. } = *self.constants;
        let growth = window.shape.growth();
        let from = f64::from(window.shape.early);
        let left = self.meter.headroom().left as f64;
        Patient {
            alive: Check::at_least(life.samples.into(), samples.into()),
            of_itself: Check::at_least(growth, degree.ease() * patient_growth * from),
            end_s: Check {
                is: left / self.slope(window),
                needs: horizon_s,
                passes: left <= self.slope(window) * horizon_s,
            },
            of_life_s: Check::at_least(self.window_s(window), patient_life * life.age_s),
            doubled: Check::at_least(growth, from),
            samples: Check::at_least(self.samples(window, life).into(), samples.into()),
        }
    }

    /// All that is compared to convict by the window, for an explanation.
    pub fn rules(&self, window: &Candidate, life: Life) -> Rules {
        Rules {
            passes: Check::at_least(window.passes.into(), self.constants.passes.into()),
            urgent: self.urgent(window, life, Degree::Conviction),
            share: self.takes_part(window),
            patient: self.patient(window, life, Degree::Conviction),
            convicts: self.convicts(window, life),
            suspects: self.rule(window, life, Degree::Suspicion),
        }
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
        // Of equals the longest: from that one on, nothing can count for more than a suspect.
        let mut best: Option<(Verdict, u64, Why)> = None;
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
