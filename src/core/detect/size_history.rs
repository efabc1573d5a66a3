//! What a process's size did before now: its lowest, the level that it held longest, and when it
//! last grew by a real part.

use crate::core::detect::constants::Constants;
use crate::core::detect::sample_clock::SampleTime;

/// A level is held as long as the minima stay within this share above it, ...
const HELD_WITHIN: f64 = 0.05;

/// ... and left downwards by this share.
const FELL_BY: f64 = 0.1;

/// Growth that counts as new for the age at which it last grew: a tenth more than before.
const REAL_PART: f64 = 1.1;

/// Sizes in bytes, times in finest blocks, CPU in seconds.
#[derive(Clone, Copy, Debug, Default)]
pub struct SizeHistory {
    lowest: Option<u64>,
    level: Option<Level>,
    held: Option<HeldLevel>,
    /// Growth since its start-up when that last rose by a tenth, and when that was.
    grown: f32,
    grew_at: u64,
}

/// The level that it holds now.
#[derive(Clone, Copy, Debug)]
struct Level {
    size: f32,
    since: u64,
    cpu_s: f32,
}

/// The level that it held longest, and what came after.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HeldLevel {
    /// Bytes.
    pub size: f32,
    /// For how long.
    pub length: u64,
    /// When it ended.
    pub ended: u64,
    /// CPU seconds per finest block meanwhile, and in all at its end.
    pub load: f32,
    cpu_s: f32,
    /// Levels that it held since, each a twentieth higher.
    pub steps: u8,
}

impl HeldLevel {
    /// CPU seconds per finest block since it ended.
    pub fn load_since(&self, now: u64, cpu_s: f64) -> f64 {
        (cpu_s - f64::from(self.cpu_s)) / now.saturating_sub(self.ended).max(1) as f64
    }
}

impl SizeHistory {
    /// Adds a sample: its footprint, and the one when its start-up was over.
    pub fn observe(&mut self, now: u64, footprint: u64, settled: Option<u64>, least_growth: f64) {
        let Some(settled) = settled else { return };
        self.lowest = Some(self.lowest.unwrap_or(footprint).min(footprint));
        let growth = footprint.saturating_sub(settled) as f64;
        if growth > least_growth && growth > REAL_PART * f64::from(self.grown) {
            self.grown = growth as f32;
            self.grew_at = now;
        }
    }

    /// Adds the lowest size of the last few samples, and the CPU seconds used so far.
    pub fn add_minimum(
        &mut self,
        moment: &SampleTime,
        minimum: f64,
        cpu_s: f64,
        constants: &Constants,
    ) {
        let (now, cpu_s) = (moment.now, cpu_s as f32);
        let new = Level { size: minimum as f32, since: now, cpu_s };
        let Some(level) = self.level else {
            self.level = Some(new);
            return;
        };
        let size = f64::from(level.size);
        if self.held.is_some_and(|held| minimum < (1.0 - FELL_BY) * f64::from(held.size)) {
            self.held = None;
        }
        if minimum > (1.0 + HELD_WITHIN) * size + constants.least_growth {
            self.leave(level, now, cpu_s);
            self.level = Some(new);
        } else if minimum < (1.0 - FELL_BY) * size {
            self.level = Some(new);
        }
    }

    fn leave(&mut self, level: Level, now: u64, cpu_s: f32) {
        let length = now.saturating_sub(level.since);
        match &mut self.held {
            Some(held) if held.length >= length => held.steps = held.steps.saturating_add(1),
            _ => {
                let load = (cpu_s - level.cpu_s) / length.max(1) as f32;
                let size = level.size;
                self.held = Some(HeldLevel { size, length, ended: now, load, cpu_s, steps: 0 });
            }
        }
    }

    /// Its lowest footprint since its start-up was over.
    pub fn lowest(&self) -> Option<u64> {
        self.lowest
    }

    /// The level that it held longest.
    pub fn held(&self) -> Option<HeldLevel> {
        self.held
    }

    /// The share of its life that has gone by since it last grew by a real part; none if it never
    /// grew. A leak goes on to the end of a life; a task that is done, or a service that is full,
    /// rests before it ends.
    pub fn rested(&self, now: u64, age: u64) -> Option<f64> {
        let since = now.saturating_sub(self.grew_at) as f64;
        (self.grown > 0.0).then(|| (since / age.max(1) as f64).min(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The history of a size by sample, one second and minimum each.
    fn history(samples: u64, size: impl Fn(u64) -> u64) -> SizeHistory {
        let mut history = SizeHistory::default();
        for now in 1..=samples {
            let moment = SampleTime { now, level: 0, step_s: 1.0, gap: false };
            let (footprint, constants) = (size(now) << 20, Constants::default());
            history.observe(now, footprint, Some(size(1) << 20), constants.least_growth);
            history.add_minimum(&moment, footprint as f64, now as f64 / 10.0, &constants);
        }
        history
    }

    #[test]
    fn a_level_that_was_held_is_remembered_with_the_growth_since() {
        let held = history(400, |now| 100 + now.saturating_sub(300)).held().unwrap();
        assert_eq!((held.length, held.ended, held.size), (305, 306, (100 << 20) as f32));
        assert!(held.steps >= 10, "{held:?}");
        assert!((held.load_since(400, 40.0) - 0.1).abs() < 1e-3);
        assert!((f64::from(held.load) - 0.1).abs() < 1e-3);
    }

    #[test]
    fn a_fall_below_it_makes_it_forgotten() {
        let saw = |now: u64| if now < 300 { 200 } else { 100 + (now - 300) / 4 };
        assert_ne!(history(800, saw).held().unwrap().size, (200 << 20) as f32);
        assert_eq!(history(800, saw).lowest(), Some(100 << 20));
    }

    #[test]
    fn a_leak_never_rests_and_a_full_service_does() {
        let rested = |size: fn(u64) -> u64| history(1000, size).rested(1000, 1000).unwrap();
        assert!(rested(|now| 10 + now) <= 0.1);
        assert!((rested(|now| 10 + now.min(700)) - 0.3).abs() < 0.1);
        assert_eq!(history(1000, |_| 100).rested(1000, 1000), None);
    }
}
