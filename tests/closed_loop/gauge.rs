//! Gauge: what the kernel shows of what is left below a limit, and how wrong that is.
//!
//! MemAvailable wanders, comes with noise, lags a step behind and promises up to 1 % too much: its
//! zero is not at zero. Assumed, not measured, but for the order of magnitude.

use super::maths::exp;
use super::rng::Rng;
use super::scenario::Bound;

/// Seconds in which the wander is forgotten.
const WANDER_S: f64 = 3.0;

/// What is shown of one limit.
#[derive(Clone, Debug)]
pub struct Gauge {
    overstated: f64,
    noise: f64,
    wander: f64,
    wandered: f64,
    /// What was left a step ago.
    before: f64,
    /// What it shows.
    pub shown: f64,
}

impl Gauge {
    /// Of a limit below which so much is left.
    pub fn new(bound: Bound, limit: f64, left: f64, rng: &mut Rng) -> Self {
        let overstated = rng.unit() * (0.01 * limit).min(5.0 + 0.001 * limit);
        let (noise, wander) = (0.2 + 2e-4 * limit, (0.002 * limit).min(64.0));
        // A budget is compared with footprints, which are exact.
        let exact = bound == Bound::Budget;
        let of = |size: f64| if exact { 0.0 } else { size };
        Self {
            overstated: of(overstated),
            noise: of(noise),
            wander: of(wander),
            wandered: 0.0,
            before: left,
            shown: left,
        }
    }

    /// A step later.
    pub fn observe(&mut self, left: f64, dt: f64, rng: &mut Rng) {
        let kept = exp(-dt / WANDER_S);
        let moved = (1.0 - kept * kept).sqrt() * self.wander * rng.normal();
        self.wandered = kept * self.wandered + moved;
        let noise = self.noise * rng.normal();
        self.shown = (self.before + self.overstated + noise + self.wandered).max(0.0);
        self.before = left;
    }
}
