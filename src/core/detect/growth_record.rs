//! What was found of a process that grows, and for how long it holds.

use crate::core::detect::forecast::exhaustion::Exhaustion;
use crate::core::detect::forecast::last_forecast::LastForecast;
use crate::core::model::verdict::{FindingReason, Verdict};

/// A leak or a long growth. It holds until half its window after the last evidence.
#[derive(Clone, Copy)]
pub(super) struct HeldFinding {
    /// The rule that was met first.
    pub(super) why: FindingReason,
    /// Finest blocks until which it holds.
    pub(super) until: u64,
}

impl HeldFinding {
    /// Finds it, or holds it for longer.
    pub(super) fn hold(finding: &mut Option<Self>, why: FindingReason, until: u64) {
        let held = finding.get_or_insert(Self { why, until });
        held.until = held.until.max(until);
    }
}

/// A growth that slows down as one that saturates does.
#[derive(Clone, Copy)]
pub(super) struct BentGrowth {
    /// Finest blocks until which it counts as one.
    pub(super) until: u64,
    /// The length of the window that showed it.
    pub(super) length: u64,
}

/// What windows show short of a long growth. It holds as long.
#[derive(Clone, Copy)]
pub(super) struct HeldSuspicion {
    pub(super) verdict: Verdict,
    /// The rule that it goes towards.
    pub(super) why: FindingReason,
    /// Finest blocks until which it holds.
    pub(super) until: u64,
}

/// A verdict that was reported, growing or leaking, with the end of memory that went with it.
#[derive(Clone, Copy)]
pub(super) struct ReportedVerdict {
    pub(super) verdict: Verdict,
    pub(super) last: LastForecast,
    /// Since when the verdict has been less than that, in seconds.
    pub(super) less_since_s: Option<f64>,
}

/// What is only known of a process that grows.
#[derive(Clone, Copy, Default)]
pub(super) struct GrowthRecord {
    /// When memory ends by its growth.
    pub(super) exhaustion: Option<Exhaustion>,
    /// Its growth was seen to bend.
    pub(super) bent: Option<BentGrowth>,
    /// What was last reported of it.
    pub(super) reported: Option<ReportedVerdict>,
}
