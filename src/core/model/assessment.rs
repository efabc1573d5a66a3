//! Assessment: what the engine says of a sample, as plain values.
//!
//! Three questions stay apart here as they do in the engine: is it growing without end
//! ([`Verdict`], [`Finding`]), is memory in danger ([`Forecast`]), must this process end
//! ([`Order`])? Reports write these values, `action` carries out the orders; neither decides.

use crate::core::model::ceiling::{CeilingKind, MemoryFailure, Place, Unit};
use crate::core::model::sample::{Comm, ProcId};

/// What is known of a process's growth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
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
    /// It grows steadily, but not long or far enough to convict. Reported, never signalled.
    Suspect,
    /// It grows steadily, far more than it ever fell, and memory would end if it went on.
    Leaking,
}

impl Verdict {
    /// The word for it in reports and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Stable => "stable",
            Self::Warming => "warming",
            Self::LoadCoupled => "load-coupled",
            Self::Suspect => "suspect",
            Self::Leaking => "leaking",
        }
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

/// What convicts: the rule that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingReason {
    /// Steady growth, watched for at least a sixth (`--max_extrapolation`) of the time that memory would last.
    Urgent,
    /// Steady growth by a quarter of its own size through half its life, or a doubling.
    Patient,
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
        match self {
            Self::Urgent => "urgent",
            Self::Patient => "patient",
            Self::Pool => "pool",
            Self::PileUp => "pile-up",
            Self::Threads => "threads",
        }
    }
}

/// The window of samples that convicts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Evidence {
    /// What it counts.
    pub unit: Unit,
    /// By how much the floor grew: median of its last third over median of its first.
    pub growth: f64,
    /// The floor it grew from: median of the first third.
    pub from: f64,
    /// Length of the window in seconds.
    pub window_s: f64,
    /// Growth per second.
    pub slope: f64,
    /// Growth after the part explained by CPU use was taken out. Never enough to end a process.
    pub at_equal_load: bool,
}

/// When a ceiling will be reached, in seconds from the sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// The ceiling that is reached first.
    pub ceiling: CeilingKind,
    /// Where it stands.
    pub place: Place,
    /// Left below it now, in its unit.
    pub headroom: u64,
    /// The ceiling itself, in its unit.
    pub limit: u64,
    /// How fast it comes nearer, in its unit per second.
    pub slope: f64,
    /// Lower end of the 90 % interval.
    pub earliest_s: f64,
    /// Best single estimate.
    pub likely_s: f64,
    /// Upper end of the 90 % interval.
    pub latest_s: f64,
    /// Seconds of evidence behind it. Beyond 8 times that, the numbers are not to be shown.
    pub window_s: f64,
}

impl Forecast {
    /// How many times longer than the evidence the forecast reaches: at most 1 is well reliable,
    /// over 8 is no evidence.
    pub fn reach(&self) -> f64 {
        self.likely_s / self.window_s
    }

    /// Whether the evidence is long enough for numbers; where not, words are shown.
    pub fn is_reliable(&self) -> bool {
        self.reach() <= 8.0
    }
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
    /// Said before: only its forecast has moved.
    pub again: bool,
}

/// Signals an order may name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGHUP.
    Hup,
    /// SIGQUIT.
    Quit,
    /// SIGUSR1.
    Usr1,
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
    /// SIGINT; only by `--signal`, as those that follow.
    Int,
    /// SIGUSR2.
    Usr2,
    /// SIGWINCH.
    Winch,
}

impl Signal {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Hup,
        Self::Quit,
        Self::Usr1,
        Self::Term,
        Self::Kill,
        Self::Int,
        Self::Usr2,
        Self::Winch,
    ];

    /// Its name as `kill -l` has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Hup => "HUP",
            Self::Quit => "QUIT",
            Self::Usr1 => "USR1",
            Self::Term => "TERM",
            Self::Kill => "KILL",
            Self::Int => "INT",
            Self::Usr2 => "USR2",
            Self::Winch => "WINCH",
        }
    }

    /// The signal of that name, with or without SIG.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.to_ascii_uppercase();
        let bare = name.strip_prefix("SIG").unwrap_or(&name);
        Self::ALL.into_iter().find(|signal| signal.name() == bare)
    }
}

/// How far an order goes; each step follows when the grace of the one before is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// The signal at which the *master* of this server replaces all its workers gently.
    Reload,
    /// The signal at which this server's worker finishes its request first.
    Gentle,
    /// SIGTERM.
    Term,
    /// SIGKILL.
    Kill,
}

impl Step {
    /// All of them, in order.
    pub const ALL: [Self; 4] = [Self::Reload, Self::Gentle, Self::Term, Self::Kill];

    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Reload => "reload",
            Self::Gentle => "gentle",
            Self::Term => "term",
            Self::Kill => "kill",
        }
    }

    /// The signal of a step that every worker understands alike.
    pub fn signal(self) -> Signal {
        match self {
            Self::Reload | Self::Gentle | Self::Term => Signal::Term,
            Self::Kill => Signal::Kill,
        }
    }
}

/// Why a process must end now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OrderReason {
    /// It leaks, and memory may end within the lead time.
    Danger,
    /// Memory goes faster than the statistics can follow; it grows fastest.
    Brink,
    /// It hangs, one of those that pile up, and forks may fail within the lead time.
    Hung,
    /// It did not go within the grace of the step before.
    Stayed,
}

impl OrderReason {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Danger => "danger",
            Self::Brink => "brink",
            Self::Hung => "hung",
            Self::Stayed => "stayed",
        }
    }
}

/// An intention with its reason: end this process, thus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    /// The process to end.
    pub victim: ProcId,
    /// Who gets the signal: the victim, or its master where that is to replace it.
    pub target: ProcId,
    /// Its name.
    pub comm: Comm,
    /// The root of its tree.
    pub root: ProcId,
    /// How far this order goes.
    pub step: Step,
    /// The signal to send.
    pub signal: Signal,
    /// Seconds until the next step, if it is still there.
    pub grace_s: f64,
    /// The next step's signal; without one it is left alone then.
    pub then: Option<Signal>,
    /// Parts of a title that show no worker: whoever has one by now gets no signal.
    pub helpers: &'static [&'static str],
    /// Why now.
    pub reason: OrderReason,
    /// Its footprint in bytes.
    pub footprint: u64,
    /// What should come back, in the unit of the forecast's ceiling (bytes without one): its
    /// footprint without what it inherited from its parent, or its tasks.
    pub expected: u64,
    /// How the ceiling stands as the order is given.
    pub forecast: Option<Forecast>,
}

/// What an earlier run did about a process, as its history tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum EarlierAction {
    /// Gave this order, and sent its signal.
    Ordered {
        /// The process to end.
        victim: ProcId,
        /// How far the order went.
        step: Step,
        /// The signal sent.
        signal: Signal,
        /// Seconds until the next step.
        grace_s: f64,
        /// Why then.
        reason: OrderReason,
        /// Unit of the ceiling for which it was given.
        unit: Unit,
    },
    /// Could not end it, and leaves it alone.
    Spent(ProcId),
    /// Would have ended it, but for a dry run.
    Pretended(ProcId),
}

impl EarlierAction {
    /// Whom it was about.
    pub fn victim(&self) -> ProcId {
        match *self {
            Self::Ordered { victim, .. } | Self::Spent(victim) | Self::Pretended(victim) => victim,
        }
    }
}

/// Why a signal was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SignalFailure {
    /// The process had exited, or its pid is another's by now.
    Gone,
    /// Not allowed: needs the same user, root or CAP_KILL.
    NotPermitted,
    /// Process 1, leakwatch itself, or a process that started it.
    Refused,
    /// Its name or title has changed since: `--protect` names it, or it is no worker of its master.
    Protected,
    /// The kernel said no, with this error number.
    Failed(i32),
}

impl SignalFailure {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::NotPermitted => "not-permitted",
            Self::Refused => "refused",
            Self::Protected => "protected",
            Self::Failed(_) => "failed",
        }
    }
}

/// What became of a victim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum OutcomeResult {
    /// It exited.
    Gone {
        /// What was left below the ceiling when the order was given, in its unit.
        headroom_before: u64,
        /// What is left below the same ceiling now.
        headroom_after: u64,
        /// What came back: the difference, plus what others took in between at the rate of
        /// the forecast. Not known when another ceiling has become the nearest.
        reclaimed: Option<u64>,
    },
    /// It is still there after the last step; left alone from now on.
    Stayed,
}

/// What an order led to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Outcome {
    /// The last order given on the process.
    pub order: Order,
    /// Seconds between the first order and this outcome.
    pub after_s: f64,
    /// What became of it.
    pub end: OutcomeResult,
    /// How memory stands now; absent when nothing leaks any more.
    pub forecast: Option<Forecast>,
}

/// Why a verdict was withdrawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
        match self {
            Self::GrowthEnded => "growth-ended",
            Self::Exited => "exited",
            Self::Ended => "ended",
        }
    }
}

/// Why a leaking process is not ended although memory is in danger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotEnded {
    /// It is a root, or no worker of its parent: nobody is known to start it again.
    Root,
    /// It helps its master and is none of the workers.
    Helper,
    /// It has children, which would lose their parent.
    HasChildren,
    /// Its parent is gone: nobody would start a replacement.
    Orphan,
    /// `--protect` names it.
    Protected,
    /// This leakwatch may not signal it.
    NotPermitted,
    /// Its server's workers are never ended; the words say why and what to do instead.
    Server(&'static str),
    /// Its pool is down to half already.
    PoolHalved,
    /// Forks fail already, and its master would not outlive failing to replace it: the words say
    /// what it does.
    ForkFails(&'static str),
    /// Its program was never seen.
    Unknown,
}

impl NotEnded {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Root => "root",
            Self::Helper => "helper",
            Self::HasChildren => "has-children",
            Self::Orphan => "orphan",
            Self::Protected => "protected",
            Self::NotPermitted => "not-permitted",
            Self::Server(_) => "server",
            Self::PoolHalved => "pool-halved",
            Self::ForkFails(_) => "fork-fails",
            Self::Unknown => "unknown",
        }
    }
}

/// Something that changed with this sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event {
    /// It grows steadily; not yet convicted.
    Suspect(Finding),
    /// It leaks. Repeated when its forecast has changed.
    Leak(Finding),
    /// A suspicion or conviction was withdrawn.
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
    /// When a ceiling is reached; said when it became known or changed by a quarter.
    Forecast {
        /// The tree that fills it, or that alone is below it; none of a ceiling over several, which
        /// comes nearer whoever it is.
        root: Option<ProcId>,
        /// The root's name.
        comm: Comm,
        /// The forecast.
        forecast: Forecast,
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
    /// It has begun: forks are refused, or the OOM killer strikes.
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
}

impl Event {
    /// Its place among the events of a sample: the worst has the lowest.
    pub(crate) fn severity_rank(&self) -> u8 {
        match self {
            Self::MemoryFailure(_) | Self::Outcome(_) => 0,
            Self::Order(_) | Self::SignalFailed { .. } => 1,
            Self::NotEnded { .. } => 2,
            Self::Leak(_) => 3,
            Self::Forecast { .. } => 4,
            Self::Suspect(_) => 5,
            Self::VerdictCleared { .. } | Self::ForecastCleared { .. } => 6,
        }
    }
}

/// How the machine stands, and so how leakwatch exits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing leaks.
    #[default]
    Fine,
    /// A leak was found.
    Leak,
    /// Memory is about to end, or forks fail.
    Critical,
}

/// What the engine says of one sample. Reused, so that a steady tick allocates nothing.
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

/// What is remembered of the runs of a program under one parent that ended by themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// The program's name.
    pub comm: Comm,
    /// Its parent's name.
    pub parent: Comm,
    /// The highest footprint of all runs, in bytes.
    pub peak: u64,
    /// The longest that one was watched, in seconds.
    pub longest_s: f64,
}
