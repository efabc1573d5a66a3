//! What turns `growing` into `leaking`: positive evidence against a cache that fills, a job that
//! runs and a warm-up.
//!
//! All three grow as a leak does until they stop, and no test of the curve tells them apart before.
//! So each rule asks for something that they do not do: grow on after the size had settled, grow
//! where siblings at the same work do not, use up nearly all that there is, grow for long without
//! slowing down. Measured on recordings of real programs in small memory, the rules of steady
//! growth alone named 9 of 10 healthy ones; with these it is 1 in 10, and no leak less.

use crate::core::detect::bend::saturates;
use crate::core::detect::constants::Constants;
use crate::core::detect::known_programs::ProgramKind;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::size_history::HeldLevel;
use crate::core::model::verdict::FindingReason;

/// A growth that may be a leak, and all that the rules ask of it.
pub struct Claim<'a> {
    /// The longest window that shows it.
    pub window: &'a GrowthWindow,
    /// All windows of steady growth, short ones first.
    pub steady: &'a [GrowthWindow],
    /// The block minima of the longest, in pages.
    pub minima: &'a [u32],
    /// Finest blocks counted so far, and how many make a second.
    pub now: u64,
    /// See there.
    pub blocks_per_s: f64,
    /// Samples in the window.
    pub samples: u32,
    /// Samples of each block of a level, for the other windows.
    pub interval_s: f64,
    /// Its footprint in bytes.
    pub footprint: f64,
    /// Its age in seconds.
    pub age_s: f64,
    /// Its lowest footprint since its start-up.
    pub lowest: f64,
    /// How many times its growth all siblings that grow alike make up together.
    pub group_factor: f64,
    /// Left below the ceiling, in bytes.
    pub left: f64,
    /// Growth in bytes per second.
    pub slope: f64,
    /// The level that it held longest, and its CPU use since then over that before.
    pub held: Option<HeldLevel>,
    /// CPU seconds used so far.
    pub cpu_s: f64,
    /// What is known of its program.
    pub kind: ProgramKind,
}

impl Claim<'_> {
    /// The rule that convicts, if any; `bends` says whether the growth slows down as one that
    /// saturates does. It is asked last, since it costs most.
    pub fn proof(&self, c: &Constants, mut bends: impl FnMut() -> bool) -> Option<FindingReason> {
        if self.kind == ProgramKind::Job {
            return None;
        }
        let spread = self.is_spread(c);
        if spread && self.outlasts_its_level(c) && !bends() {
            return Some(FindingReason::AfterSettling);
        }
        let is_store = self.kind == ProgramKind::Store;
        if !is_store && self.used() >= c.near_end && self.reach() >= 1.0 {
            return Some(FindingReason::NearEnd);
        }
        if !spread {
            return None;
        }
        let needed = c.proof * if is_store { c.store_proof } else { 1.0 };
        if self.reach() >= c.least_reach && self.weight() >= needed {
            let bent_needed = c.bent_proof * needed;
            if self.weight() >= bent_needed || !bends() {
                return Some(FindingReason::LongSteady);
            }
        }
        (!is_store && self.outgrew_itself(c) && !bends()).then_some(FindingReason::Outgrown)
    }

    /// The share of the way to the ceiling that all its growth has used, with its siblings'.
    pub fn used(&self) -> f64 {
        let grown = (self.footprint - self.lowest).max(0.0) * self.group_factor;
        grown / (grown + self.left + 1.0)
    }

    /// What it would grow in another such window, as a multiple of what is left.
    fn reach(&self) -> f64 {
        self.slope * self.window_s() * self.group_factor / self.left.max(1.0)
    }

    fn window_s(&self) -> f64 {
        self.window.length() as f64 / self.blocks_per_s
    }

    /// The share of the way times the number of doublings of a dozen samples: proof grows with
    /// both. With the square root of the samples in place of their doublings the recordings are
    /// judged alike, but keeping every fourth sample halves the proof.
    fn weight(&self) -> f64 {
        self.used() * (f64::from(self.samples) / 12.0).max(1.0).log2()
    }

    /// Whether it grows in many steps, not by one or two that come once.
    fn is_spread(&self, c: &Constants) -> bool {
        let (Some(first), Some(last)) = (self.minima.first(), self.minima.last()) else {
            return false;
        };
        let rise = f64::from(*last) - f64::from(*first);
        let steps =
            || self.minima.windows(2).filter_map(|pair| pair.get(1)?.checked_sub(*pair.first()?));
        let largest = f64::from(steps().max().unwrap_or(0));
        let is_new = |(at, size): &(usize, &u32)| {
            self.minima.get(..*at).is_none_or(|before| !before.contains(size))
        };
        let distinct = self.minima.iter().enumerate().filter(is_new).count() as f64;
        rise > 0.0 && largest < 0.5 * rise && distinct >= c.distinct * self.minima.len() as f64
    }

    /// Whether it held a level for long, and has grown steadily since, without more work to do.
    fn outlasts_its_level(&self, c: &Constants) -> bool {
        let Some(held) = self.held else { return false };
        let since = self.now.saturating_sub(held.ended) as f64;
        let length = held.length as f64;
        let length_s = length / self.blocks_per_s;
        let load_since = held.load_since(self.now, self.cpu_s);
        // A thousandth of a core and some more is nothing.
        let idle = 0.002 / self.blocks_per_s;
        let covers = |window: &&GrowthWindow| {
            let (first, second) = window.shape.halves();
            let part = window.length() as f64 / since;
            window.passes >= c.passes
                && (0.45..=1.05).contains(&part)
                && (0.8..=1.35).contains(&(second / first.max(1.0)))
                && self.samples_of(window) >= f64::from(c.proof_samples)
        };
        length_s >= c.held_s
            && length_s >= c.held_life * self.age_s
            && since >= c.held_since * length
            && held.steps >= c.held_steps
            && self.footprint >= c.held_growth * f64::from(held.size)
            && load_since <= 1.5 * f64::from(held.load) + idle
            && self.steady.iter().any(|window| covers(&window))
    }

    fn samples_of(&self, window: &GrowthWindow) -> f64 {
        window.length() as f64 / self.blocks_per_s / self.interval_s
    }

    /// Whether it became several times what it was, or did so with its siblings, where memory is so
    /// plentiful that the share of the way says nothing yet and yet ends within two days.
    fn outgrew_itself(&self, c: &Constants) -> bool {
        let grown = (self.footprint - self.lowest) / self.lowest.max(1.0);
        let end_s = self.left / (self.slope * self.group_factor).max(f64::MIN_POSITIVE);
        let alike = self.group_factor >= c.alike && grown >= c.alike_growth;
        let alone = grown >= c.outgrown && self.window_s() >= c.outgrown_s;
        self.reach() <= c.far_reach && end_s <= c.soon_s && (alike || alone)
    }
}

/// Whether the block minima of a claim saturate.
pub fn bends(claim: &Claim<'_>) -> bool {
    saturates(claim.minima)
}
