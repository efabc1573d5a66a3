//! Findings: what a diagnosis learns beside samples: past failures in logs, how a server is set up,
//! and how much work its processes have done.
//!
//! [`evidence`](crate::diagnose::evidence) fills these; `advice` and reports read them. Text comes
//! from logs and files that others write: it is kept as it was found and must be escaped on its way
//! out.

use crate::core::servers::{Server, ServerSetting};
use serde::{Deserialize, Serialize};

/// What a failed fork lacked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum MissingResource {
    /// ENOMEM (12): memory, or the commit limit.
    Memory,
    /// EAGAIN (11): a limit of processes: pids.max (TasksMax=), RLIMIT_NPROC, threads-max, pid_max.
    Tasks,
    /// The program does not say which.
    Unsaid,
}

/// What a line in a log proves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Failure {
    /// A fork, or the start of a thread, failed.
    ForkFailed(MissingResource),
    /// The kernel's OOM killer ended a process because the machine was out of memory.
    OomKill,
    /// The same, because a memory cgroup was at its limit.
    OomKillInCgroup,
    /// A daemon that acts before the kernel (earlyoom, systemd-oomd) ended a process.
    OomDaemonKill,
    /// A program was refused memory.
    NoMemory,
    /// A service went down over it.
    Down,
    /// A server says that its worker ended by SIGKILL: often the OOM killer's doing.
    Killed,
    /// A server reached its own limit of workers. Not a failure of memory, but more workers hold
    /// more of it.
    CapReached,
}

impl Failure {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::ForkFailed(MissingResource::Memory) => "fork-failed-memory",
            Self::ForkFailed(MissingResource::Tasks) => "fork-failed-tasks",
            Self::ForkFailed(MissingResource::Unsaid) => "fork-failed",
            Self::OomKill => "oom-kill",
            Self::OomKillInCgroup => "oom-kill-in-cgroup",
            Self::OomDaemonKill => "oom-daemon-kill",
            Self::NoMemory => "no-memory",
            Self::Down => "service-down",
            Self::Killed => "worker-killed",
            Self::CapReached => "cap-reached",
        }
    }

    /// What it says, after a number: "3 forks failed for lack of memory".
    pub fn title(self) -> &'static str {
        match self {
            Self::ForkFailed(MissingResource::Memory) => "fork failed: out of memory (ENOMEM)",
            Self::ForkFailed(MissingResource::Tasks) => "fork failed: too many processes (EAGAIN)",
            Self::ForkFailed(MissingResource::Unsaid) => "fork failed",
            Self::OomKill => "ended by the kernel's OOM killer",
            Self::OomKillInCgroup => "ended by the OOM killer at its cgroup's limit",
            Self::OomDaemonKill => "ended by a daemon that acts before the kernel's OOM killer",
            Self::NoMemory => "was refused memory",
            Self::Down => "went down over it",
            Self::Killed => "lost a worker to SIGKILL",
            Self::CapReached => "reached its limit of workers",
        }
    }

    /// Whether it proves that memory ran out.
    pub fn is_of_memory(self) -> bool {
        !matches!(self, Self::ForkFailed(MissingResource::Tasks) | Self::Killed | Self::CapReached)
    }
}

/// On whose word a log event stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Witness {
    /// The kernel's own: its ring buffer, its lines in the journal, a counter.
    Kernel,
    /// A program's.
    Program,
    /// A line of a text file that is said to be the kernel's. Any user can have it written there
    /// (`logger -t kernel`), so by itself it proves nothing.
    SaidToBeKernel,
}

impl Witness {
    /// The word for it in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Kernel => "kernel",
            Self::Program => "program",
            Self::SaidToBeKernel => "unverified-kernel",
        }
    }

    /// What is to be added to what it says.
    pub fn reservation(self) -> &'static str {
        match self {
            Self::Kernel | Self::Program => "",
            Self::SaidToBeKernel => ", unverified: any user can write such a line there",
        }
    }
}

/// Log lines of one kind about one program, counted.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogEvent {
    /// What they prove.
    pub failure: Failure,
    /// On whose word.
    pub witness: Witness,
    /// Whose failure it was: a program's name, a unit's, or the victim's; with its path where the
    /// kernel may have cut it and nothing known begins so.
    pub who: String,
    /// The user of the process that was ended, where the kernel says that. Of its name, which the process
    /// chose itself, another user may have had one too.
    pub uid: Option<u32>,
    /// How many lines, each counted once however many logs it is in.
    pub count: u64,
    /// Unix time of the first, where a line tells.
    pub first_t: Option<f64>,
    /// Unix time of the last, where a line tells.
    pub last_t: Option<f64>,
    /// Where the last was found.
    pub source: String,
    /// The last of them without its time stamp, at most 300 bytes.
    pub text: String,
}

/// What the logs say.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Logs {
    /// What was found: what the kernel itself said before what others say, of each the latest first.
    pub log_events: Vec<LogEvent>,
    /// Logs that were read, compressed ones and the journal included.
    pub sources: usize,
    /// Bytes of text that were read.
    pub bytes: u64,
    /// Seconds that reading took.
    pub took_s: f64,
    /// How far back was looked, as Unix time.
    pub since_t: f64,
    /// What was not read, and why.
    pub unread: Vec<String>,
}

/// Where a setting stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileLine {
    /// The file.
    pub file: String,
    /// The line's number, from 1; 0 for a command line or the environment.
    pub line: usize,
}

impl FileLine {
    /// A command line, or the environment that stands for one.
    pub fn command_line() -> Self {
        Self { file: "command line".to_owned(), line: 0 }
    }
}

/// A setting of a running server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfiguredSetting {
    /// Which one.
    pub of: &'static ServerSetting,
    /// Its value.
    pub value: u64,
    /// Where it stands; none where it is the server's default.
    pub place: Option<FileLine>,
    /// What computes it, where its value is not known for certain: `value` is then what holds where
    /// nothing else does, or 0.
    pub computed: Option<String>,
}

impl ConfiguredSetting {
    /// A setting that stands nowhere: its default holds.
    pub fn unset(of: &'static ServerSetting) -> Self {
        Self { of, value: of.default_value(), place: None, computed: None }
    }

    /// Its name in the configuration (`MaxRequestWorkers`, `pm.max_children`).
    pub fn name(&self) -> &'static str {
        self.of.name()
    }

    /// The line of a file where it stands; none for a command line.
    pub fn in_file(&self) -> Option<&FileLine> {
        self.place.as_ref().filter(|place| place.line > 0)
    }
}

/// A status page on loopback.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusPage {
    /// `127.0.0.1:80`, or the path of a Unix socket.
    pub address: String,
    /// `/server-status`; empty where connecting is asking (uWSGI).
    pub path: String,
}

/// The format in which a server logs requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogFormat {
    /// The log, without links; empty for all that it writes.
    pub log: String,
    /// The line where the format stands; where none does, the line after which it may.
    pub place: FileLine,
    /// Whether it stands nowhere, so that the server's default holds.
    pub is_default: bool,
    /// Whether it names the worker's pid.
    pub has_pid: bool,
}

/// How a server is set up, as far as its files, its command line and its environment tell.
#[derive(Clone, Debug, PartialEq)]
pub struct Setup {
    /// Which server.
    pub server: &'static Server,
    /// Requests (Apache: connections) a worker may live; 0 is for ever.
    pub recycle: ConfiguredSetting,
    /// Workers at most; 0 where the configuration computes the number: as many as there are.
    pub cap: ConfiguredSetting,
    /// Requests added at random to each worker's life (gunicorn's `max_requests_jitter`); none where
    /// the server has no such setting.
    pub jitter: Option<ConfiguredSetting>,
    /// Whether connections carry several requests (Apache's `KeepAlive`).
    pub keep_alive: bool,
    /// The files that may have to be changed, with their text, for a proposal as a diff.
    pub files: Vec<(String, String)>,
    /// After which line of which of them a missing setting belongs.
    pub insert: Option<FileLine>,
    /// Its executable.
    pub exe: String,
    /// The interpreter that runs it, where there is one.
    pub interpreter: Option<String>,
    /// User and group of its master: what checks its configuration needs no other rights.
    pub owner: Option<(u32, u32)>,
    /// Options of its command line that name its configuration: needed to check that one.
    pub options: Vec<String>,
    /// Its status page on loopback, if it has one.
    pub status: Option<StatusPage>,
    /// The formats of its access logs that are in force, where that is certain.
    pub log_formats: Vec<LogFormat>,
    /// Further logs that it writes.
    pub logs: Vec<String>,
    /// What a reload or an ended worker does wrong under these settings.
    pub warnings: Vec<String>,
    /// What could not be read, and what is lost by it.
    pub notes: Vec<String>,
}

/// In what a process's work is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WorkUnit {
    /// Requests, as its server counts them.
    Requests,
    /// Voluntary context switches: times that it waited for something. Blocking servers wait 2 to 3
    /// times a request; an application waits for its database as well.
    Waits,
}

/// Work that processes have done since they started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkDone {
    /// In what it is counted.
    pub unit: WorkUnit,
    /// Where it was read ("http://127.0.0.1:80/server-status").
    pub source: String,
    /// By pid.
    pub done: Vec<(u32, u64)>,
    /// Requests and connections of the whole server, where it tells both.
    pub totals: Option<(u64, u64)>,
}
