//! The third question: must this process end? Orders, their outcomes, and why none is given.

use crate::core::model::ceiling::Unit;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::{Comm, ProcId};
use crate::core::model::signal::{Signal, Step};
use strum::{EnumString, IntoStaticStr, VariantArray};

/// Why a process must end now.
#[derive(Clone, Copy, Debug, PartialEq, EnumString, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum OrderReason {
    /// It leaks, and memory may end within the lead time.
    Danger,
    /// Ending it takes as long as memory lasts; it holds most of what grew, and still grows.
    Emergency,
    /// It hangs, one of those that pile up, and forks may fail within the lead time.
    Hung,
    /// It did not go within the grace of the step before.
    Stayed,
    /// A user chose it, and confirmed that.
    ByHand,
    /// It was left behind, and is proven to be of no use to anybody.
    Useless,
}

impl OrderReason {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// An intention with its reason: end this process, thus.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Order {
    /// The process to end.
    pub victim: ProcId,
    /// What gets the signal: the victim, or its master where that is to replace it.
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
    /// Parts of a title that show no worker: a process that has one by now gets no signal.
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
    GivenUp(ProcId),
    /// Would have ended it, but for a dry run.
    DryRun(ProcId),
}

impl EarlierAction {
    /// The process that it was about.
    pub fn victim(&self) -> ProcId {
        match *self {
            Self::Ordered { victim, .. } | Self::GivenUp(victim) | Self::DryRun(victim) => victim,
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
    pub result: OutcomeResult,
    /// How memory stands now; absent when nothing leaks any more.
    pub forecast: Option<Forecast>,
}

impl Outcome {
    /// Whether half of what was expected came back at least, as far as that can be told.
    pub fn is_as_expected(&self) -> bool {
        match self.result {
            OutcomeResult::Gone { reclaimed: Some(reclaimed), .. } => {
                reclaimed >= self.order.expected / 2
            }
            OutcomeResult::Gone { reclaimed: None, .. } => true,
            OutcomeResult::Stayed => false,
        }
    }
}

/// Why an order need not have been given, as it turned out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum RegretReason {
    /// The siblings that had grown like the victim grew no further.
    OthersStopped,
    /// One of its pool rose as far, and gave it back.
    GivenBack,
    /// In a dry run: nobody was ended, and memory lasted.
    Lasted,
}

impl RegretReason {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        self.into()
    }
}

/// An order that need not have been given.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Regret {
    /// The first order on the process.
    pub order: Order,
    /// Seconds from it until that was known.
    pub after_s: f64,
    /// How it is known.
    pub why: RegretReason,
}

/// Why a leaking process is not ended although memory is in danger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr)]
#[strum(serialize_all = "kebab-case")]
pub enum NotEnded {
    /// It is the root of a tree, or no worker of its parent: nothing is known to start it again.
    NotAWorker,
    /// It helps its master and is none of the workers.
    Helper,
    /// It has children, which would lose their parent.
    HasChildren,
    /// Its parent is gone: nothing would start a replacement.
    Orphan,
    /// `--protect` names it.
    Protected,
    /// This leakwatch may not signal it.
    NotPermitted,
    /// Its server's workers are never ended; the words say why and what to do instead.
    Server(&'static str),
    /// Its unit was restarted already, and it leaks again, or its memory did not come back.
    Restarted,
    /// Its pool is down to half already.
    PoolHalved,
    /// Forks fail already, and its master would not outlive failing to replace it: the words say
    /// what it does.
    ForkFails(&'static str),
    /// Its program was never seen.
    Unknown,
    /// Nothing is known of its program, and its parent was not seen to replace a child that ended.
    Unproven,
    /// Its worker pool was seen to give back as much as it grew by, and that still fits.
    GivesBack,
    /// Two workers of its pool were ended for the same rise: it shows whether that is given back.
    SameRise,
    /// It was left behind, and has not run for long, but a proof is missing that it is of no use.
    NotUseless(MissingProof),
}

impl NotEnded {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::NotUseless(missing) => missing.into(),
            other => other.into(),
        }
    }
}

/// What is missing to prove that a process left behind is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case", prefix = "useful-")]
pub enum MissingProof {
    /// The selection means the tree that it is in, not itself.
    NotMeant,
    /// `--protect` names it.
    Protected,
    /// It is a program that runs on its own: tmux, sshd, cron and their like.
    RunsAlone,
    /// Its parent may be the one that started it.
    Parent,
    /// It has children.
    Children,
    /// The leader of its session is there, or is itself.
    Session,
    /// It has a terminal.
    Terminal,
    /// It ignores SIGHUP: it was meant to outlive who started it.
    Detached,
    /// It is a service's or a container's, or that cannot be told.
    Service,
    /// It is stopped, traced, or waits for a device.
    Held,
    /// It is too young.
    Age,
    /// It waits for connections.
    Listening,
    /// A pipe or a socket of it has, or may have, another end.
    Peer,
    /// It has a device, a named pipe, a timer or a watch for changes open.
    Waking,
    /// It waits for a time or a lock.
    Waiting,
    /// It holds a lock.
    Lock,
    /// It has memory that it shares.
    SharedMemory,
    /// It is in a namespace that its parent is not in, which may end with it.
    Namespace,
    /// It writes what it prints into a file.
    Output,
    /// None of its standard streams has lost its other end: nobody is known to be gone.
    NobodyGone,
    /// What it has open could not be read.
    Unread,
}
