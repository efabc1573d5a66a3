//! Sample: the machine at one moment, in bytes and seconds.
//!
//! `system::proc` fills a sample from /proc, `store::recording` from a file; the engine cannot tell
//! which. A `Sample` is reused from tick to
//! tick, so its tables keep their capacity and a steady tick allocates nothing.

use crate::core::model::ceiling::{Ceiling, CeilingKind, MemoryFailure, Place};
use crate::core::model::memory_line::LineKind;
use crate::core::model::process::{Proc, ProcId, Program};
use crate::core::model::signal::SignalFailure;

/// The machine's memory, in bytes, as /proc/meminfo tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// MemTotal.
    pub total: u64,
    /// MemAvailable: what can be had without swapping.
    pub available: u64,
    /// SwapTotal.
    pub swap_total: u64,
    /// SwapFree.
    pub swap_free: u64,
    /// CommitLimit and Committed_AS, only where the kernel enforces them (vm.overcommit_memory = 2).
    pub commit: Option<CommitCharge>,
}

/// The commit charge under vm.overcommit_memory = 2, where `fork` itself returns ENOMEM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CommitCharge {
    /// CommitLimit in bytes.
    pub limit: u64,
    /// Committed_AS in bytes.
    pub used: u64,
}

impl Memory {
    /// Bytes that there are: MemTotal + SwapTotal.
    pub fn limit(&self) -> u64 {
        self.total.saturating_add(self.swap_total)
    }

    /// RAM with swap, and the commit limit, as ceilings of the machine.
    pub fn ceilings(&self) -> impl Iterator<Item = Ceiling> {
        let used = self.limit().saturating_sub(self.headroom());
        let machine =
            |kind, used, limit| Ceiling { kind, root: None, place: Place::NONE, used, limit };
        let commit =
            self.commit.map(|commit| machine(CeilingKind::Commit, commit.used, commit.limit));
        std::iter::once(machine(CeilingKind::Ram, used, self.limit())).chain(commit)
    }

    /// Bytes left before the machine is out of memory: MemAvailable + SwapFree.
    pub fn headroom(&self) -> u64 {
        self.available.saturating_add(self.swap_free)
    }
}

/// Memory of one kind in use: on the machine, or below a limit of a cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryUse {
    /// The cgroup; none of the machine.
    pub place: Place,
    /// What it is.
    pub kind: LineKind,
    /// Which part of that kind (a mount); none of the whole.
    pub part: Place,
    /// How much, never 0.
    pub bytes: u64,
}

/// A limit's place, and whose limit it is as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlaceName {
    /// The cgroup.
    pub place: Place,
    /// Its unit or container.
    pub name: String,
}

/// The machine at one moment.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sample {
    /// Seconds since the Unix epoch; strictly increasing from sample to sample.
    pub t: f64,
    /// Seconds up to `t` that this sample stands for, where it is what was kept of several that
    /// [thinning](crate::store::history) joined: of each process the smallest footprint.
    pub span_s: Option<f64>,
    /// Seconds since boot (with time spent suspended), where known: tells a process's true age.
    pub uptime_s: Option<f64>,
    /// CPU time spent by the whole machine since boot, without idle, in seconds, where known.
    pub cpu_s: Option<f64>,
    /// The machine's memory.
    pub memory: Memory,
    /// Limits, but for RAM and commit.
    pub ceilings: Vec<Ceiling>,
    /// What the kernel refused or killed since the sample before.
    pub memory_failures: Vec<MemoryFailure>,
    /// The processes, each once, in no particular order.
    pub procs: Vec<Proc>,
    /// Programs of processes that are new in this sample.
    pub programs: Vec<Program>,
    /// What uses memory: on the machine, and below each limit of a cgroup.
    pub uses: Vec<MemoryUse>,
    /// Names of the places that are new in this sample.
    pub places: Vec<PlaceName>,
    /// The victim whose signal could not be sent since the sample before, and why not. Only a live
    /// watch has one: a recording holds no signals.
    pub signal_failure: Option<(ProcId, SignalFailure)>,
}

impl Sample {
    /// All its ceilings, those of the machine's memory included.
    pub fn every_ceiling(&self) -> impl Iterator<Item = Ceiling> {
        self.memory.ceilings().chain(self.ceilings.iter().copied())
    }
}

/// What stays the same for a whole series of samples: the first line of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Header {
    /// Planned seconds between samples; the live loop may take them up to 16 times closer.
    pub interval_s: f64,
    /// Clock ticks per second, the unit of [`ProcId::start`].
    pub clock_ticks: u64,
    /// Bytes per page.
    pub page_size: u64,
    /// The machine's name.
    pub hostname: String,
}
