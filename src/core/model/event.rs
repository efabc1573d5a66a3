//! What changed with a sample: the stream that every report writes, and how things stand.
//!
//! Reports write these values and the signal door carries out the order; neither decides.

use crate::core::model::ceiling::{CeilingKind, MemoryFailure, Place};
use crate::core::model::forecast::Forecast;
use crate::core::model::memory_line::LineKind;
use crate::core::model::order::{NotEnded, Order, Outcome, Regret};
use crate::core::model::process::{Comm, ProcId};
use crate::core::model::signal::SignalFailure;
use crate::core::model::verdict::{ClearedReason, Finding, FindingScope, Verdict};

/// Something that changed with this sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// It grows steadily and a limit comes nearer.
    Growing(Finding),
    /// It leaks. Repeated when its forecast has changed.
    Leak(Finding),
    /// It no longer grows, or leaks.
    VerdictCleared {
        /// The process, or the root of the tree.
        id: ProcId,
        /// Its name.
        comm: Comm,
        /// The root of its tree.
        root: ProcId,
        /// What it was about.
        scope: FindingScope,
        /// What it was.
        was: Verdict,
        /// Why it no longer is.
        why: ClearedReason,
    },
    /// When a ceiling is reached; reported when it became known or changed by a quarter.
    Forecast {
        /// The tree that fills it, or that alone is below it; none of a ceiling over several, which
        /// comes nearer whichever of them fills it.
        root: Option<ProcId>,
        /// The root's name.
        comm: Comm,
        /// The forecast.
        forecast: Forecast,
        /// What uses the memory up, where no process explains it.
        cause: Option<Cause>,
    },
    /// A ceiling no longer comes nearer.
    ForecastCleared {
        /// The tree that alone is below it.
        root: Option<ProcId>,
        /// The root's name.
        comm: Comm,
        /// The ceiling.
        ceiling: CeilingKind,
        /// Where it stands.
        place: Place,
    },
    /// Memory fails already: forks are refused, or the OOM killer strikes.
    MemoryFailure(MemoryFailure),
    /// A leaking process would be ordered to end, but must not.
    NotEnded {
        /// The process.
        id: ProcId,
        /// Its name.
        comm: Comm,
        /// The root of its tree.
        root: ProcId,
        /// Why it must not.
        why: NotEnded,
    },
    /// A process must end. Reports get it from [`Assessment::order`].
    Order(Order),
    /// An order could not be carried out. Only a live run reports these; the engine learns of it by
    /// the next sample's `signal_failure`.
    SignalFailed {
        /// The order.
        order: Order,
        /// Why not.
        why: SignalFailure,
    },
    /// A victim's end.
    Outcome(Outcome),
    /// A victim need not have been ended.
    Regretted(Regret),
}

/// What uses memory up that no process explains.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cause {
    /// What grows.
    pub kind: LineKind,
    /// The part of it that grows most (a mount), where one does.
    pub part: Place,
    /// Bytes a second.
    pub rate: f64,
}

impl Event {
    /// The process that it is about, or the root of the tree; none where it is about the machine.
    pub fn subject(&self) -> Option<ProcId> {
        match self {
            Self::Leak(finding) | Self::Growing(finding) => Some(finding.id),
            Self::VerdictCleared { id, .. } | Self::NotEnded { id, .. } => Some(*id),
            Self::Order(order)
            | Self::SignalFailed { order, .. }
            | Self::Outcome(Outcome { order, .. })
            | Self::Regretted(Regret { order, .. }) => Some(order.victim),
            Self::Forecast { root, .. } | Self::ForecastCleared { root, .. } => *root,
            Self::MemoryFailure(failure) => failure.root,
        }
    }

    /// Where the limit stands that it is about, if it is about one.
    pub fn place(&self) -> Option<Place> {
        let of = |forecast: Option<Forecast>| forecast.map(|forecast| forecast.place);
        match self {
            Self::Leak(finding) | Self::Growing(finding) => of(finding.forecast),
            Self::Order(order)
            | Self::SignalFailed { order, .. }
            | Self::Outcome(Outcome { order, .. })
            | Self::Regretted(Regret { order, .. }) => of(order.forecast),
            Self::Forecast { forecast, .. } => Some(forecast.place),
            Self::ForecastCleared { place, .. } => Some(*place),
            Self::MemoryFailure(failure) => Some(failure.place),
            Self::VerdictCleared { .. } | Self::NotEnded { .. } => None,
        }
    }

    /// Its place among the events of a sample: the worst has the lowest.
    pub(crate) fn severity_rank(&self) -> u8 {
        match self {
            Self::MemoryFailure(_) | Self::Outcome(_) => 0,
            Self::Order(_) | Self::SignalFailed { .. } => 1,
            Self::NotEnded { .. } | Self::Regretted(_) => 2,
            Self::Leak(_) => 3,
            Self::Forecast { .. } => 4,
            Self::Growing(_) => 5,
            Self::VerdictCleared { .. } | Self::ForecastCleared { .. } => 6,
        }
    }
}

/// Seconds (two days) within which the end of memory makes growth a finding, whatever its cause.
pub const SOON_S: f64 = 2.0 * 86_400.0;

/// How the machine stands, and so how leakwatch exits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing leaks.
    #[default]
    Fine,
    /// Something leaks, or grows so that memory ends within [`SOON_S`].
    Leak,
    /// Memory is about to end, or forks fail.
    Critical,
}

/// The judgement of one sample. Reused, so that a steady tick allocates nothing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Assessment {
    /// The sample's time.
    pub t: f64,
    /// The one process that must end now, if any.
    pub order: Option<Order>,
    /// What else changed, worst first.
    pub(crate) changes: Vec<Event>,
    /// How things stand.
    pub status: Severity,
    /// Seconds until the engine wants the next sample.
    pub next_s: f64,
}

impl Assessment {
    /// What changed, worst first, the order included.
    pub fn events(&self) -> impl Iterator<Item = Event> + '_ {
        let order = self.order.map(Event::Order);
        let is_worse = |event: &Event| {
            order.is_some_and(|order| event.severity_rank() < order.severity_rank())
        };
        let (worse, rest) = self.changes.split_at(self.changes.partition_point(is_worse));
        worse.iter().copied().chain(order).chain(rest.iter().copied())
    }
}
