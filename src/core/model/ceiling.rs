//! Ceiling: a limit that can fail a fork or summon the OOM killer, and the signs that it did.

use crate::core::model::sample::ProcId;
use std::fmt;

/// What a ceiling counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Unit {
    /// Bytes of memory.
    Bytes,
    /// Tasks: threads, and zombies not yet waited for.
    Tasks,
}

impl Unit {
    /// The word for it in names of JSON fields.
    pub fn name(self) -> &'static str {
        match self {
            Self::Bytes => "bytes",
            Self::Tasks => "tasks",
        }
    }
}

/// What happens when a ceiling is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Effect {
    /// The OOM killer ends a process; fork itself seldom fails.
    OomKill,
    /// fork returns ENOMEM.
    Enomem,
    /// fork returns EAGAIN.
    Eagain,
    /// Everybody below it is slowed down to a crawl; nothing fails.
    Throttled,
    /// Nothing of the kernel's: more is used than was granted.
    OverBudget,
}

impl Effect {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::OomKill => "oom-kill",
            Self::Enomem => "enomem",
            Self::Eagain => "eagain",
            Self::Throttled => "throttled",
            Self::OverBudget => "over-budget",
        }
    }

    /// What ends or fails then, as the beginning of a sentence ("... in 3 min").
    pub fn verb(self) -> &'static str {
        match self {
            Self::OomKill => "memory ends",
            Self::Enomem | Self::Eagain => "fork fails",
            Self::Throttled => "throttling begins",
            Self::OverBudget => "the budget ends",
        }
    }

    /// What `fork` or `malloc` says then.
    pub fn errno(self) -> &'static str {
        match self {
            Self::Eagain => "Resource temporarily unavailable (EAGAIN)",
            _ => "Cannot allocate memory (ENOMEM)",
        }
    }

    /// What happens then, as the end of a sentence.
    pub fn sentence(self) -> &'static str {
        match self {
            Self::OomKill => "then the OOM killer strikes",
            Self::Enomem => "then fork says: Cannot allocate memory (ENOMEM)",
            Self::Eagain => "then fork says: Resource temporarily unavailable (EAGAIN)",
            Self::Throttled => "then all in it are slowed to a crawl",
            Self::OverBudget => "then it is over its budget",
        }
    }
}

/// What a ceiling is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CeilingKind {
    /// RAM and swap of the machine.
    Ram,
    /// CommitLimit under vm.overcommit_memory = 2.
    Commit,
    /// vm.overcommit_memory = 0 refuses a fork that would copy one mapping larger than RAM and swap.
    SingleMapping,
    /// A memory cgroup's hard limit, with the swap that it may use.
    CgroupMemory,
    /// `memory.high` of a cgroup v2.
    CgroupHigh,
    /// `pids.max` of a cgroup.
    Pids,
    /// RLIMIT_NPROC of the tree's root: all tasks of its user.
    UserTasks,
    /// kernel.threads-max.
    ThreadsMax,
    /// kernel.pid_max.
    PidMax,
    /// privvmpages of an OpenVZ or Virtuozzo container: memory allocated, touched or not.
    Privvmpages,
    /// physpages and swappages of such a container (vSwap).
    Physpages,
    /// kmemsize of such a container: memory of the kernel for its tasks, sockets and page tables.
    Kmemsize,
    /// numproc of such a container.
    Numproc,
    /// `--budget`: what the admin grants a tree.
    Budget,
}

/// What makes a ceiling come nearer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilledBy {
    /// Footprints of processes.
    Footprints,
    /// Tasks.
    Tasks,
    /// Something of its own, of which processes' footprints tell nothing.
    Other,
}

impl CeilingKind {
    /// All of them, in the order in which they are listed.
    pub const ALL: [Self; 14] = [
        Self::Ram,
        Self::Commit,
        Self::SingleMapping,
        Self::CgroupMemory,
        Self::CgroupHigh,
        Self::Pids,
        Self::UserTasks,
        Self::ThreadsMax,
        Self::PidMax,
        Self::Privvmpages,
        Self::Physpages,
        Self::Kmemsize,
        Self::Numproc,
        Self::Budget,
    ];

    /// The name used in recordings and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ram => "ram",
            Self::Commit => "commit",
            Self::SingleMapping => "single-mapping",
            Self::CgroupMemory => "cgroup-memory",
            Self::CgroupHigh => "cgroup-high",
            Self::Pids => "pids",
            Self::UserTasks => "user-tasks",
            Self::ThreadsMax => "threads-max",
            Self::PidMax => "pid-max",
            Self::Privvmpages => "privvmpages",
            Self::Physpages => "physpages",
            Self::Kmemsize => "kmemsize",
            Self::Numproc => "numproc",
            Self::Budget => "budget",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// Its name in a sentence, before its place: "12 tasks left of ... /system.slice".
    pub fn title(self) -> &'static str {
        match self {
            Self::Ram => "RAM and swap",
            Self::Commit => "the commit limit",
            Self::SingleMapping => "what one mapping may have",
            Self::CgroupMemory => "memory cgroup",
            Self::CgroupHigh => "memory.high of cgroup",
            Self::Pids => "pids.max of cgroup",
            Self::UserTasks => "the process limit (ulimit -u) of",
            Self::ThreadsMax => "kernel.threads-max",
            Self::PidMax => "kernel.pid_max",
            Self::Privvmpages => "the container's privvmpages",
            Self::Physpages => "the container's physpages and swappages",
            Self::Kmemsize => "the container's kmemsize",
            Self::Numproc => "the container's numproc",
            Self::Budget => "its budget",
        }
    }

    /// What it counts.
    pub fn unit(self) -> Unit {
        match self {
            Self::Pids | Self::UserTasks | Self::ThreadsMax | Self::PidMax | Self::Numproc => {
                Unit::Tasks
            }
            _ => Unit::Bytes,
        }
    }

    /// What makes it come nearer.
    pub fn fill(self) -> FilledBy {
        match self {
            _ if self.unit() == Unit::Tasks => FilledBy::Tasks,
            Self::SingleMapping | Self::Kmemsize => FilledBy::Other,
            _ => FilledBy::Footprints,
        }
    }

    /// What happens when it is reached.
    ///
    /// Sources: kernel/fork.c and mm/util.c for the error numbers, measured for the OOM killer (256
    /// MB machine, overcommit 0: 60 of 60 forks succeeded while 19 children were killed), the
    /// OpenVZ wiki for the container's counters.
    pub fn effect(self) -> Effect {
        match self {
            Self::Ram | Self::CgroupMemory | Self::Physpages => Effect::OomKill,
            Self::Commit
            | Self::SingleMapping
            | Self::Privvmpages
            | Self::Kmemsize
            | Self::Numproc => Effect::Enomem,
            Self::Pids | Self::UserTasks | Self::ThreadsMax | Self::PidMax => Effect::Eagain,
            Self::CgroupHigh => Effect::Throttled,
            Self::Budget => Effect::OverBudget,
        }
    }
}

/// Where a limit stands: a cgroup's path, a user; at most 61 bytes of it, the end where it is longer.
///
/// Of fixed size, so that a sample's ceilings and a forecast are copied without allocating.
/// [`fmt::Display`] writes it safe for a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    bytes: [u8; Self::MAX],
    len: u8,
    cut: bool,
}

impl Place {
    /// Bytes kept.
    pub const MAX: usize = 61;
    /// The machine as a whole, or a tree as such.
    pub const NONE: Self = Self { bytes: [0; Self::MAX], len: 0, cut: false };

    /// Keeps the last 61 bytes of `text`: of a cgroup's path they tell most.
    pub fn new(text: &str) -> Self {
        let whole = text.strip_prefix("...");
        let text = whole.unwrap_or(text);
        let cut = text.len().saturating_sub(Self::MAX);
        let tail = text.as_bytes().get(text.ceil_char_boundary(cut)..).unwrap_or_default();
        let mut place = Self { cut: cut > 0 || whole.is_some(), ..Self::NONE };
        for (slot, byte) in place.bytes.iter_mut().zip(tail) {
            *slot = *byte;
        }
        place.len = tail.len().min(Self::MAX) as u8;
        place
    }

    /// Whether it says nothing.
    pub fn is_none(&self) -> bool {
        self.len == 0
    }

    /// The text kept, as it is; `...` stands before it where the beginning was cut off.
    pub fn parts(&self) -> (&'static str, &str) {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        let dots = if self.cut { "..." } else { "" };
        (dots, std::str::from_utf8(bytes).unwrap_or_default())
    }

    /// The same as one text, not escaped: for formats that escape by themselves.
    pub fn plain(&self) -> impl fmt::Display {
        let (dots, text) = self.parts();
        fmt::from_fn(move |f| write!(f, "{dots}{text}"))
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dots, text) = self.parts();
        f.write_str(dots)?;
        text.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => write!(f, "{c}"),
        })
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A limit, as it stands in one sample.
///
/// RAM and the machine's commit limit are not listed: they follow from
/// [`Memory`](crate::core::model::sample::Memory).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// What it is.
    pub kind: CeilingKind,
    /// The root of the tree that it limits; none where it limits everybody. A limit over several
    /// trees is listed once for each.
    pub root: Option<ProcId>,
    /// Where it stands: the cgroup's path, or the user; nothing for a budget and for the machine's.
    pub place: Place,
    /// Used under it, in its unit; of memory without what the kernel can drop at once (file pages).
    pub used: u64,
    /// The limit in its unit.
    pub limit: u64,
}

impl Ceiling {
    /// What is left below it, in its unit.
    pub fn headroom(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }
}

/// Where the ceilings of a sample were read, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CeilingSources {
    /// For each ceiling, in the sample's order, the file that it was read from.
    pub files: Vec<String>,
    /// Limits that are absent, each with the reason, and what to know of those that are there.
    pub notes: Vec<CeilingNote>,
}

/// A remark on a kind of ceiling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CeilingNote {
    /// What it is about.
    pub about: &'static str,
    /// A sentence.
    pub text: String,
}

/// What has begun to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryFailureKind {
    /// The OOM killer ended a process.
    OomKill,
    /// A fork, or an allocation that a fork needs, was refused.
    Refused,
    /// Everybody waited for memory; the count is the share of the last 10 seconds in percent.
    Stalled,
}

impl MemoryFailureKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OomKill, Self::Refused, Self::Stalled];

    /// The name used in recordings and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::OomKill => "oom-kill",
            Self::Refused => "refused",
            Self::Stalled => "stalled",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A sign that the end has begun: the kernel counted it since the sample before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryFailure {
    /// What happened.
    pub kind: MemoryFailureKind,
    /// Under which ceiling.
    pub ceiling: CeilingKind,
    /// The root of the tree that it struck; none where that is not known.
    pub root: Option<ProcId>,
    /// Where that ceiling stands.
    pub place: Place,
    /// How often since the sample before.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_come_back_by_their_names() {
        for kind in CeilingKind::ALL {
            assert_eq!(CeilingKind::from_name(kind.name()), Some(kind));
        }
        assert_eq!(MemoryFailureKind::from_name("refused"), Some(MemoryFailureKind::Refused));
    }

    #[test]
    fn of_a_long_path_the_end_is_kept_and_comes_back_from_its_own_text() {
        let long = format!("/{}/apache2.service", "x".repeat(80));
        let place = Place::new(&long);
        assert!(place.to_string().starts_with("...x") && place.to_string().ends_with(".service"));
        assert_eq!(Place::new(&place.to_string()), place);
        assert_eq!(Place::new("/a\u{1b}b").to_string(), "/a\\u{1b}b");
        assert_eq!(Place::new(&"é".repeat(40)).parts(), ("...", &*"é".repeat(30)));
    }
}
