//! What turns `growing` into `leaking`: positive evidence against a cache that fills, a job that
//! runs and a warm-up.
//!
//! All three grow as a leak does until they stop, and no test of the curve tells them apart before.
//! So each rule asks for something that they do not do: grow on after the size had settled, grow
//! where siblings at the same work do not, use up nearly all that there is, grow for long, or
//! through a whole day, without slowing down. Measured on recordings of real programs in small memory, the rules of steady
//! growth alone named 9 of 10 healthy ones; with these none, and no leak less.

mod evidence;

use crate::core::detect::bend::{SlowBegin, saturates};
use crate::core::detect::constants::Constants;
use crate::core::detect::known_programs::{ProgramKind, kind_of};
use crate::core::detect::process::Process;
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::verdict::JudgeContext;
use crate::core::model::verdict::FindingReason;

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
    /// It begins slowly, as some warm-ups do.
    pub slow_begin: Option<SlowBegin>,
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
        let weight = self.weight();
        ProofChecks {
            kind: self.kind(),
            beyond_declared: self.beyond_declared(),
            samples,
            seconds,
            is_spread: self.is_spread(),
            slow_begin: self.slow_begin(),
            at_equal_work: !self.works_more(),
            weight: Comparison::at_least(weight.is, weight.needs * self.doubt()),
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
        let settled = || self.outlasts_its_level() && self.outweighs_a_second_fill();
        if !is_store && spread && settled() && !bends() {
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
            && weight.is >= weight.needs * self.doubt()
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
        match kind_of(self.process.state.comm, self.process.parent_comm) {
            ProgramKind::Service if self.cores() >= self.constants().busy => ProgramKind::Job,
            kind => kind,
        }
    }

    /// Cores that it used on average since it was first seen.
    fn cores(&self) -> f64 {
        let Process { watched, first_cpu_s, cpu_s, .. } = self.process;
        (cpu_s - first_cpu_s) / self.seconds(*watched).max(f64::MIN_POSITIVE)
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
