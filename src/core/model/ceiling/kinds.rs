//! The kinds of ceilings: one row each, which is all that the rest of leakwatch knows of a kind.
//!
//! A new kind is a row here, and the lines of `system::ceilings` that read it.

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
    /// Every process below it is slowed to a crawl; nothing fails.
    Throttled,
    /// Nothing of the kernel's: a tree uses more than it was granted.
    OverBudget,
}

const ENOMEM: &str = "Cannot allocate memory (ENOMEM)";
const EAGAIN: &str = "Resource temporarily unavailable (EAGAIN)";

/// An effect in words.
struct EffectWords {
    name: &'static str,
    verb: &'static str,
    sentence: &'static str,
    column: &'static str,
    errno: &'static str,
}

impl Effect {
    fn words(self) -> EffectWords {
        match self {
            Self::OomKill => EffectWords {
                name: "oom-kill",
                verb: "memory runs out",
                sentence: "then the OOM killer strikes",
                column: "OOM killer",
                errno: ENOMEM,
            },
            Self::Enomem => EffectWords {
                name: "enomem",
                verb: "fork fails",
                sentence: "then fork says: Cannot allocate memory (ENOMEM)",
                column: "fork: ENOMEM",
                errno: ENOMEM,
            },
            Self::Eagain => EffectWords {
                name: "eagain",
                verb: "fork fails",
                sentence: "then fork says: Resource temporarily unavailable (EAGAIN)",
                column: "fork: EAGAIN",
                errno: EAGAIN,
            },
            Self::Throttled => EffectWords {
                name: "throttled",
                verb: "throttling begins",
                sentence: "then every process in it is slowed to a crawl",
                column: "slowed down",
                errno: ENOMEM,
            },
            Self::OverBudget => EffectWords {
                name: "over-budget",
                verb: "the budget runs out",
                sentence: "then it is over its budget",
                column: "over budget",
                errno: ENOMEM,
            },
        }
    }

    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        self.words().name
    }

    /// What runs out or fails then, as the beginning of a sentence ("... in 3 min").
    pub fn verb(self) -> &'static str {
        self.words().verb
    }

    /// What happens then, as the end of a sentence.
    pub fn sentence(self) -> &'static str {
        self.words().sentence
    }

    /// What a refused `fork` or `malloc` reports.
    pub fn errno(self) -> &'static str {
        self.words().errno
    }

    /// The effect for a column of a table.
    pub fn column(self) -> &'static str {
        self.words().column
    }
}

/// What uses a ceiling up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FilledBy {
    /// Footprints of processes, in bytes.
    Footprints,
    /// Tasks.
    Tasks,
    /// Bytes of its own, of which footprints tell nothing.
    Other,
}

/// Where a ceiling is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReadFrom {
    /// A file of the procfs.
    Procfs(&'static str),
    /// A file in the procfs directory of the process that forks.
    ForkerFile(&'static str),
    /// A file of the cgroup that has the limit.
    CgroupFile,
    /// An option of leakwatch.
    CommandLine(&'static str),
}

/// All that is known of a kind.
struct KindRow {
    /// In recordings and JSON.
    name: &'static str,
    /// In a sentence, before the place.
    title: &'static str,
    filled_by: FilledBy,
    effect: Effect,
    read_from: ReadFrom,
    /// Each tree has a ceiling of its own of this kind.
    per_tree: bool,
    /// It limits the memory of a container whose /proc/meminfo may be that of its host.
    replaces_ram: bool,
}

impl KindRow {
    const fn per_tree(self) -> Self {
        Self { per_tree: true, ..self }
    }

    const fn replaces_ram(self) -> Self {
        Self { replaces_ram: true, ..self }
    }
}

const fn row(
    name: &'static str,
    title: &'static str,
    filled_by: FilledBy,
    effect: Effect,
    read_from: ReadFrom,
) -> KindRow {
    KindRow { name, title, filled_by, effect, read_from, per_tree: false, replaces_ram: false }
}

/// Makes the enum, the list of all kinds and the look-up of rows from one table, so that none of
/// the three can lack a kind.
macro_rules! ceilings {
    ($($(#[$doc:meta])* $kind:ident = $row:expr;)*) => {
        /// What a ceiling is.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum CeilingKind {
            $($(#[$doc])* $kind,)*
        }

        impl CeilingKind {
            /// All of them, in the order in which they are listed.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            const fn row(self) -> &'static KindRow {
                match self {
                    $(Self::$kind => const { &$row },)*
                }
            }
        }
    };
}

use Effect::{Eagain, Enomem, OomKill, OverBudget, Throttled};
use FilledBy::{Footprints, Other, Tasks};
use ReadFrom::{CgroupFile, CommandLine, ForkerFile, Procfs};

/// The counters of an OpenVZ or Virtuozzo container.
const BEANCOUNTERS: ReadFrom = Procfs("user_beancounters");

// Sources of the effects: kernel/fork.c and mm/util.c for the error numbers, measured for the OOM
// killer (256 MB machine, overcommit 0: 60 of 60 forks succeeded while 19 children were killed), the
// OpenVZ wiki for the container's counters.
ceilings! {
    /// RAM and swap of the machine.
    Ram = row("ram", "RAM and swap", Footprints, OomKill, Procfs("meminfo"));
    /// CommitLimit under vm.overcommit_memory = 2.
    Commit = row("commit", "the commit limit", Footprints, Enomem, Procfs("meminfo"));
    /// vm.overcommit_memory = 0 refuses a fork that would copy one mapping larger than RAM and swap.
    SingleMapping = row(
        "single-mapping", "the size that one mapping may have", Other, Enomem, ForkerFile("maps"),
    ).per_tree();
    /// A memory cgroup's hard limit, with the swap that it may use.
    CgroupMemory = row("cgroup-memory", "memory cgroup", Footprints, OomKill, CgroupFile);
    /// `memory.high` of a cgroup v2.
    CgroupHigh = row("cgroup-high", "memory.high of cgroup", Footprints, Throttled, CgroupFile);
    /// `pids.max` of a cgroup.
    Pids = row("pids", "pids.max of cgroup", Tasks, Eagain, CgroupFile);
    /// RLIMIT_NPROC of the tree's root: all tasks of its user.
    UserTasks = row(
        "user-tasks", "the process limit (ulimit -u) of", Tasks, Eagain, ForkerFile("limits"),
    );
    /// kernel.threads-max.
    ThreadsMax = row(
        "threads-max", "kernel.threads-max", Tasks, Eagain, Procfs("sys/kernel/threads-max"),
    );
    /// kernel.pid_max.
    PidMax = row("pid-max", "kernel.pid_max", Tasks, Eagain, Procfs("sys/kernel/pid_max"));
    /// privvmpages of an OpenVZ or Virtuozzo container: memory allocated, touched or not.
    Privvmpages = row(
        "privvmpages", "the container's privvmpages", Footprints, Enomem, BEANCOUNTERS,
    ).replaces_ram();
    /// physpages and swappages of such a container (vSwap).
    Physpages = row(
        "physpages", "the container's physpages and swappages", Footprints, OomKill, BEANCOUNTERS,
    ).replaces_ram();
    /// kmemsize of such a container: memory of the kernel for its tasks, sockets and page tables.
    Kmemsize = row("kmemsize", "the container's kmemsize", Other, Enomem, BEANCOUNTERS);
    /// numproc of such a container.
    Numproc = row("numproc", "the container's numproc", Tasks, Enomem, BEANCOUNTERS);
    /// `--budget`: what the admin grants a tree.
    Budget = row("budget", "its budget", Footprints, OverBudget, CommandLine("--budget")).per_tree();
}

impl CeilingKind {
    /// The name used in recordings and JSON.
    pub fn name(self) -> &'static str {
        self.row().name
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Its name in a sentence, before its place: "12 tasks left of ... /system.slice".
    pub fn title(self) -> &'static str {
        self.row().title
    }

    /// What it counts.
    pub fn unit(self) -> Unit {
        match self.filled_by() {
            FilledBy::Tasks => Unit::Tasks,
            FilledBy::Footprints | FilledBy::Other => Unit::Bytes,
        }
    }

    /// What uses it up.
    pub fn filled_by(self) -> FilledBy {
        self.row().filled_by
    }

    /// What happens when it is reached.
    pub fn effect(self) -> Effect {
        self.row().effect
    }

    /// Where it is read.
    pub fn read_from(self) -> ReadFrom {
        self.row().read_from
    }

    /// Whether each tree has a ceiling of its own of this kind. The others are over all processes
    /// of their place or, without one, of the machine.
    pub fn is_per_tree(self) -> bool {
        self.row().per_tree
    }

    /// Whether it limits the memory of a container whose /proc/meminfo may be that of its host.
    pub fn replaces_ram(self) -> bool {
        self.row().replaces_ram
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_is_found_by_its_name() {
        for kind in CeilingKind::ALL {
            assert_eq!(CeilingKind::from_name(kind.name()), Some(*kind));
        }
    }
}
