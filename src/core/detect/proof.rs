//! What turns `growing` into `leaking`: positive evidence against a cache that fills, a job that
//! runs and a warm-up.
//!
//! All three grow as a leak does until they stop, and no test of the curve tells them apart before.
//! So each rule asks for something that they do not do: grow on after the size had settled, grow
//! where siblings at the same work do not, use up nearly all that there is, grow for long, or
//! through a whole day, without slowing down. Measured on recordings of real programs in small memory, the rules of steady
//! growth alone named 9 of 10 healthy ones; with these none, and no leak less.

use std::num::NonZeroU64;

use crate::core::detect::bend::{ends_an_s, saturates};
use crate::core::detect::constants::Constants;
use crate::core::detect::known_programs::{ProgramKind, kind_of};
use crate::core::detect::process::Process;
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::series::window::ThirdMedians;
use crate::core::detect::verdict::JudgeContext;
use crate::core::model::verdict::FindingReason;

/// CPU use, in cores, that is nothing.
const IDLE: f64 = 0.002;

/// A growth that may be a leak.
pub struct Claim<'a> {
    /// The process that grows.
    pub process: &'a Process,
    /// What its windows are judged against.
    pub context: &'a JudgeContext<'a>,
    /// The longest window that shows it.
    pub window: &'a GrowthWindow,
    /// All windows of steady growth, short ones first.
    pub steady: &'a [GrowthWindow],
    /// Finest blocks counted so far.
    pub now: u64,
}

/// What the proofs compare, for an explanation: what is known of a growth, and what is not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProofChecks {
    /// What is known of its program.
    pub kind: ProgramKind,
    /// Its footprint, and what its command line allows it; passed beyond that.
    pub beyond_declared: Option<Comparison>,
    /// Samples in the window, and the least that prove anything.
    pub samples: Comparison,
    /// Seconds of it, and the least.
    pub seconds: Comparison,
    /// It grows in many steps, not in a few that may be over.
    pub is_spread: bool,
    /// It did not do more and more work meanwhile.
    pub at_equal_work: bool,
    /// The weight of long and steady growth, and the least.
    pub weight: Comparison,
    /// Seconds of the window, and of the day, or the part of its life, that it must last.
    pub day_s: Comparison,
}

impl Claim<'_> {
    /// What the proofs compare, for an explanation.
    pub fn checks(&self) -> ProofChecks {
        let (samples, seconds) = self.context.long_enough(self.window, self.process.life());
        ProofChecks {
            kind: self.kind(),
            beyond_declared: self.beyond_declared(),
            samples,
            seconds,
            is_spread: self.is_spread(),
            at_equal_work: !self.works_more(),
            weight: self.weight(),
            day_s: self.day_s(),
        }
    }

    /// The rule that convicts, if any; `bends` says whether the growth slows down as one that
    /// saturates does. It is asked last, since it costs most.
    pub fn proof(&self, mut bends: impl FnMut() -> bool) -> Option<FindingReason> {
        let c = self.constants();
        let kind = self.kind();
        if kind == ProgramKind::Job {
            return None;
        }
        match self.beyond_declared() {
            Some(beyond) if !beyond.passes => return None,
            Some(_) if self.is_real() => return Some(FindingReason::BeyondDeclared),
            _ => {}
        }
        let (is_store, spread) = (kind == ProgramKind::Store, self.is_spread());
        if !is_store && spread && self.outlasts_its_level() && !bends() {
            return Some(FindingReason::AfterSettling);
        }
        if !is_store && spread && self.lasts_a_day() && !bends() {
            return Some(FindingReason::DayLong);
        }
        if !self.is_real() {
            return None;
        }
        if !is_store && self.used() >= c.near_end && self.reach() >= 1.0 {
            return Some(FindingReason::NearEnd);
        }
        if !spread || self.works_more() {
            return None;
        }
        let weight = self.weight();
        if self.reach() >= c.least_reach
            && weight.passes
            && (weight.is >= c.bent_proof * weight.needs || !bends())
        {
            return Some(FindingReason::LongSteady);
        }
        (!is_store && self.outgrew_itself() && !bends()).then_some(FindingReason::Outgrown)
    }

    /// Whether the block minima of its window saturate.
    pub fn saturates(&self) -> bool {
        saturates(self.minima())
    }

    /// The share of the way to the ceiling that all its growth has used, with its siblings'.
    pub fn used(&self) -> f64 {
        let grown = (self.footprint() - self.lowest()).max(0.0) * self.context.group_factor;
        grown / (grown + self.left())
    }

    /// What is known of its program: a name in the table, or work at full speed since its start.
    pub fn kind(&self) -> ProgramKind {
        let Process { watched, first_cpu_s, cpu_s, state, .. } = self.process;
        let watched_s = self.seconds(*watched).max(f64::MIN_POSITIVE);
        match kind_of(state.comm, self.process.parent_comm) {
            ProgramKind::Service if (cpu_s - first_cpu_s) / watched_s >= self.constants().busy => {
                ProgramKind::Job
            }
            kind => kind,
        }
    }

    /// Whether it did more and more work meanwhile, which may explain the growth whatever it is in
    /// proportion to.
    fn works_more(&self) -> bool {
        let (early, late) = self.process.series.loads(self.window.level, self.window.blocks);
        late > self.constants().more_work * early + IDLE
    }

    /// Whether it has grown as fast as ever through most of its life and a whole period of daily
    /// load: neither jobs nor load do that.
    fn lasts_a_day(&self) -> bool {
        let c = self.constants();
        let GrowthWindow { shape, .. } = self.window;
        self.day_s().passes
            && self.context.samples(self.window, self.process.life()) >= c.day_samples
            && shape.growth() >= c.day_growth * f64::from(shape.early)
            && self.left() <= self.speed() * c.horizon_s
            && is_even(shape)
            && !self.works_more()
            && !ends_an_s(self.minima())
    }

    /// Seconds of the window, and of a day or half its life, whichever is longer.
    fn day_s(&self) -> Comparison {
        let c = self.constants();
        let least_s = c.day_s.max(c.patient_life * self.process.state.age_s);
        Comparison::at_least(self.seconds(self.window.length()), least_s)
    }

    /// What it would grow in another such window, as a multiple of what is left.
    fn reach(&self) -> f64 {
        self.speed() * self.seconds(self.window.length()) / self.left()
    }

    /// The share of the way times the number of doublings of a dozen samples: proof grows with
    /// both. With the square root of the samples in place of their doublings the recordings are
    /// judged alike, but keeping every fourth sample halves the proof. Compared with what convicts.
    fn weight(&self) -> Comparison {
        let c = self.constants();
        let samples = self.context.samples(self.window, self.process.life());
        let weight = self.used() * (f64::from(samples) / 12.0).max(1.0).log2();
        let is_store = self.kind() == ProgramKind::Store;
        Comparison::at_least(weight, c.proof * if is_store { c.store_proof } else { 1.0 })
    }

    /// Its footprint and what its command line allows it, with a share and a fixed part for what
    /// comes on top.
    fn beyond_declared(&self) -> Option<Comparison> {
        let c = self.constants();
        let allowed = |size: NonZeroU64| c.declared_margin * size.get() as f64 + c.declared_more;
        self.process.declared.map(|size| Comparison::above(self.footprint(), allowed(size)))
    }

    /// Whether the growth matters, by the rules of long growth whatever the number of samples.
    fn is_real(&self) -> bool {
        self.process.long_growth.is_some()
            || self.context.is_real_growth(self.window, self.process.life())
    }

    /// Whether it grows in many steps, not by one or two that come once.
    fn is_spread(&self) -> bool {
        let minima = self.minima();
        let (Some(first), Some(last)) = (minima.first(), minima.last()) else { return false };
        let rise = f64::from(*last) - f64::from(*first);
        let steps = minima.windows(2).filter_map(|pair| pair.get(1)?.checked_sub(*pair.first()?));
        let largest = f64::from(steps.max().unwrap_or(0));
        let is_new = |(at, size): &(usize, &u32)| {
            minima.get(..*at).is_none_or(|before| !before.contains(size))
        };
        let distinct = minima.iter().enumerate().filter(is_new).count() as f64;
        let least = self.constants().distinct * minima.len() as f64;
        rise > 0.0 && largest < 0.5 * rise && distinct >= least
    }

    /// Whether it held a level for long, and has grown steadily since, without more work to do. Most of
    /// the time since must be as straight as the rest: a warm-up that begins slowly, as an S does, leaves
    /// its level too, and half of it looks straight now and then. On recordings of other ranges that took the
    /// healthy ones named from .35 to .30, and no leak was lost.
    fn outlasts_its_level(&self) -> bool {
        let c = self.constants();
        let Some(held) = self.process.sizes.held() else { return false };
        let since = self.now.saturating_sub(held.ended) as f64;
        let length_s = self.seconds(held.length);
        let load_since = held.load_since(self.now, self.process.cpu_s);
        let more_work = load_since > c.more_work * f64::from(held.load) + IDLE * self.seconds(1);
        let covers = |window: &GrowthWindow| {
            let part = window.length() as f64 / since;
            window.passes >= c.passes
                && (0.7..=1.05).contains(&part)
                && is_even(&window.shape)
                && self.context.samples(window, self.process.life()) >= c.proof_samples
        };
        length_s >= c.held_s
            && length_s >= c.held_life * self.process.state.age_s
            && since >= c.held_since * held.length as f64
            && held.steps >= c.held_steps
            && self.footprint() >= c.held_growth * f64::from(held.size)
            && !more_work
            && self.steady.iter().any(covers)
    }

    /// Whether it became several times what it was, or did so with its siblings, where memory is so
    /// plentiful that the share of the way says nothing yet and yet ends within two days.
    fn outgrew_itself(&self) -> bool {
        let c = self.constants();
        let grown = (self.footprint() - self.lowest()) / self.lowest().max(1.0);
        let end_s = self.left() / self.speed().max(f64::MIN_POSITIVE);
        let alike = self.context.group_factor >= c.alike && grown >= c.alike_growth;
        let window_s = self.seconds(self.window.length());
        let alone = grown >= c.outgrown && window_s >= c.outgrown_s;
        self.reach() <= c.far_reach && end_s <= c.soon_s && (alike || alone)
    }

    fn constants(&self) -> &Constants {
        &self.context.basis.constants
    }

    fn seconds(&self, blocks: u64) -> f64 {
        self.context.basis.clock.seconds(blocks)
    }

    fn minima(&self) -> &[u32] {
        self.process.series.minima(self.window.level, self.window.blocks)
    }

    /// Bytes a second, with its siblings'.
    fn speed(&self) -> f64 {
        self.context.slope(self.window) * self.context.group_factor
    }

    fn footprint(&self) -> f64 {
        self.process.state.footprint as f64
    }

    fn lowest(&self) -> f64 {
        self.process.sizes.lowest().map_or(self.footprint(), |lowest| lowest as f64)
    }

    /// Bytes left below the ceiling, at least one.
    fn left(&self) -> f64 {
        (self.context.ceiling.headroom().left as f64).max(1.0)
    }
}

/// Whether both halves of a window grew alike.
fn is_even(shape: &ThirdMedians) -> bool {
    let (first, second) = shape.halves();
    (0.8..=1.25).contains(&(second / first.max(1.0)))
}
