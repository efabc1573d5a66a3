//! Growth: how the footprint of one worker follows from its age. Sizes are MiB, times are seconds.

use super::maths::{exp, ln};

/// How a worker grows beyond the size at which it has started.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Growth {
    /// Not at all.
    Constant,
    /// Towards a plateau, exponentially: a warm-up.
    Saturating { plateau: f64, tau_s: f64 },
    /// In a straight line to a plateau: a cache or a database that fills.
    Fill { plateau: f64, rate: f64 },
    /// Up in a straight line and down at once, again and again: a collector.
    Saw { plateau: f64, period_s: f64 },
    /// In a straight line to a plateau, and it exits by itself at that age: a job.
    ShortLived { plateau: f64, rate: f64, life_s: f64 },
    /// Up within the rise, held, and given back, once a period: a request that takes much.
    BigRequest { size: f64, period_s: f64, rise_s: f64, hold_s: f64 },
    /// In steps of equal size: arenas, compiled code, an index loaded part by part.
    Steps { plateau: f64, step: f64, every_s: f64 },
    /// Ever more slowly without a plateau; it reaches that size at that age: a cache of rare keys.
    Logarithmic { size: f64, at_s: f64, tau_s: f64 },
    /// Without end, in a straight line.
    Linear { rate: f64 },
    /// Without end, by the request: all of the group together that much a second, by such chunks.
    ByRequest { rate: f64, chunk: f64 },
    /// Without end, ever faster: e times as fast after each time constant.
    Accelerating { rate: f64, tau_s: f64 },
}

/// MiB a second, at the most, at which a worker that accelerates grows.
const FASTEST: f64 = 2000.0;
/// Time constants after which it accelerates no more.
const LONGEST: f64 = 12.0;

impl Growth {
    /// The same with its rate and its time constant changed by these factors: no two workers are
    /// quite alike.
    pub fn varied(self, by_rate: f64, by_tau: f64) -> Self {
        match self {
            Self::Saturating { plateau, tau_s } => {
                Self::Saturating { plateau, tau_s: tau_s * by_tau }
            }
            Self::Fill { plateau, rate } => Self::Fill { plateau, rate: rate * by_rate },
            Self::ShortLived { plateau, rate, life_s } => {
                Self::ShortLived { plateau, rate: rate * by_rate, life_s }
            }
            Self::Linear { rate } => Self::Linear { rate: rate * by_rate },
            Self::ByRequest { rate, chunk } => Self::ByRequest { rate: rate * by_rate, chunk },
            Self::Accelerating { rate, tau_s } => {
                Self::Accelerating { rate: rate * by_rate, tau_s: tau_s * by_tau }
            }
            other => other,
        }
    }

    /// What it holds so many seconds after its growth began, if that follows from its age alone.
    /// The phase is 0 to 1, of those that repeat.
    pub fn at(self, age_s: f64, phase: f64) -> f64 {
        let age_s = age_s.max(0.0);
        match self {
            Self::Saturating { plateau, tau_s } => plateau * (1.0 - exp(-age_s / tau_s)),
            Self::Fill { plateau, rate } | Self::ShortLived { plateau, rate, .. } => {
                plateau.min(rate * age_s)
            }
            Self::Saw { plateau, period_s } => {
                plateau * (age_s / 3.0).min(1.0) * (age_s / period_s + phase).fract()
            }
            Self::BigRequest { size, period_s, rise_s, hold_s } => {
                let x = (age_s + phase * period_s) % period_s;
                let given_back = 1.0 - (x - rise_s - hold_s) / 0.1;
                let high = (x / rise_s).min(1.0);
                size * if x < rise_s + hold_s { high } else { given_back.max(0.0) }
            }
            Self::Steps { plateau, step, every_s } => plateau.min(step * (age_s / every_s).floor()),
            Self::Logarithmic { size, at_s, tau_s } => {
                size * ln(1.0 + age_s / tau_s) / ln(1.0 + at_s / tau_s)
            }
            Self::Constant
            | Self::Linear { .. }
            | Self::ByRequest { .. }
            | Self::Accelerating { .. } => 0.0,
        }
    }

    /// The phase for a worker of that age, by luck from 0 to 1: the watch begins in no big request.
    pub fn phase(self, luck: f64, age_s: f64) -> f64 {
        let Self::BigRequest { period_s, rise_s, hold_s, .. } = self else { return luck };
        let busy_s = rise_s + hold_s + 0.2;
        let at_s = busy_s + luck * (period_s - busy_s);
        ((at_s - age_s) / period_s).rem_euclid(1.0)
    }

    /// MiB a second that it leaks by itself so long after it began.
    pub fn leak_rate(self, since_s: f64) -> f64 {
        match self {
            Self::Linear { rate } => rate,
            Self::Accelerating { rate, tau_s } => {
                (rate * exp((since_s / tau_s).clamp(0.0, LONGEST))).min(FASTEST)
            }
            _ => 0.0,
        }
    }

    /// Whether it never gives back and never stops.
    pub fn leaks(self) -> bool {
        matches!(self, Self::Linear { .. } | Self::ByRequest { .. } | Self::Accelerating { .. })
    }

    /// The age at which it exits by itself.
    pub fn life_s(self) -> f64 {
        if let Self::ShortLived { life_s, .. } = self { life_s } else { f64::INFINITY }
    }

    /// Whether its size changes with its age, once it has started.
    pub fn follows_age(self) -> bool {
        !self.leaks() && self != Self::Constant
    }

    /// Whether it is in the middle of its life when the watch begins, rather than just started.
    pub fn is_under_way(self) -> bool {
        self.leaks() || matches!(self, Self::Constant | Self::BigRequest { .. })
    }
}
