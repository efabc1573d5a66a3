//! The first question: is it growing without end? Verdicts, and the evidence behind them.

use crate::core::model::ceiling::Unit;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::{Comm, ProcId};
use strum::IntoStaticStr;

/// What is known of a process's growth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum Verdict {
    /// Fewer than 12 samples: too early to say.
    #[default]
    New,
    /// No window grows steadily.
    Stable,
    /// It grows, but slows down, or as siblings and earlier runs did before they settled.
    Warming,
    /// It grows as its CPU use grows.
    LoadCoupled,
    /// It grows steadily and a limit comes nearer: a leak, or a cache that fills, or a job.
    Growing,
    /// It grows, and there is positive evidence that this is no cache, job or warm-up.
    Leaking,
}

impl Verdict {
    /// The word for it in reports and JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingScope {
    /// One process.
    Process,
    /// The whole tree below a root.
    Tree,
}

/// The rule that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum FindingReason {
    /// Steady growth, watched for at least a sixth (`--max-extrapolation`) of the time that memory would last.
    Urgent,
    /// Steady growth by half of its own size through half its life, or a doubling.
    Patient,
    /// It grew on well after its size had settled, under the same load.
    AfterSettling,
    /// It grows where siblings at the same work do not.
    UnlikeSiblings,
    /// It has used up nearly all that there is, and grows on.
    NearEnd,
    /// It grew for long, over much of the way, without slowing down.
    LongSteady,
    /// It grew through most of its life and more than a day, without slowing down.
    DayLong,
    /// It grew well beyond the size that its command line allows it.
    BeyondDeclared,
    /// It became several times what it was, and memory ends within days.
    Outgrown,
    /// Its siblings live too short to be judged singly, but pooled by age they grow to the end.
    Pool,
    /// Children are started and never end: each small, together growing.
    PileUp,
    /// It starts threads which never end.
    Threads,
}

impl FindingReason {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// Samples of a window below which nothing is proven but that it grows.
pub const PROOF_SAMPLES: u32 = 24;

/// The window of samples that convicts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// What it counts.
    pub unit: Unit,
    /// By how much the block minima grew: median of the last third over median of the first.
    pub growth: f64,
    /// What they grew from: median of the first third.
    pub from: f64,
    /// Length of the window in seconds.
    pub window_s: f64,
    /// Growth per second.
    pub slope: f64,
    /// Samples taken within the window.
    pub samples: u32,
    /// Growth after the part explained by CPU use was taken out. Never enough to end a process.
    pub at_equal_load: bool,
}

/// A verdict on a process or tree, with its evidence.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Finding {
    /// The process, or the root of the tree.
    pub id: ProcId,
    /// Its name.
    pub comm: Comm,
    /// The root of its tree.
    pub root: ProcId,
    /// Whether it is about the process or the tree below it.
    pub scope: FindingScope,
    /// The rule that was met.
    pub why: FindingReason,
    /// Its footprint now, in bytes (of a tree: the sum).
    pub footprint: u64,
    /// Its threads; of a tree its processes.
    pub tasks: u32,
    /// What convicts it; absent for pools, which are judged by pooled increments.
    pub evidence: Option<Evidence>,
    /// When memory would end.
    pub forecast: Option<Forecast>,
    /// The bytes that its command line allows it.
    pub declared: Option<u64>,
    /// Reported before: only its forecast has changed.
    pub is_update: bool,
}

/// Why a verdict was withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum ClearedReason {
    /// Its growth ended.
    GrowthEnded,
    /// The process exited by itself.
    Exited,
    /// It was ordered to end, and did: its outcome says more.
    Ended,
}

impl ClearedReason {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}
