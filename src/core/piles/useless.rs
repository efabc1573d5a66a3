//! Useless: what proves that a process left behind is of no use to anybody any more.
//!
//! Each proof must hold by itself, and what could not be read is not proven. That a process sleeps proves
//! nothing: a job that waits for tomorrow sleeps too. So one of its standard streams must be a pipe or a
//! socket whose other end is gone: who started it to talk to it is there no more.

use crate::core::model::order::MissingProof;
use crate::core::model::process::{Comm, ProcId};
use crate::core::origin;
use regex_lite::Regex;

/// Programs that run on their own, and what they start: their sessions and helpers outlive them on purpose.
const NEVER: [&str; 47] = [
    "tmux",
    "tmux: server",
    "screen",
    "dtach",
    "abduco",
    "zellij",
    "mosh-server",
    "nohup",
    "setsid",
    "daemonize",
    "sshd",
    "sshd-session",
    "ssh-agent",
    "gpg-agent",
    "login",
    "su",
    "sudo",
    "agetty",
    "cron",
    "crond",
    "anacron",
    "fcron",
    "at",
    "atd",
    "batch",
    "postgres",
    "postmaster",
    "conmon",
    "podman",
    "docker",
    "dockerd",
    "containerd",
    "containerd-shim",
    "runc",
    "crun",
    "init",
    "systemd",
    "(sd-pam)",
    "dbus-daemon",
    "dbus-broker",
    "supervisord",
    "runsv",
    "runsvdir",
    "bwrap",
    "catatonit",
    "pause",
    "flock",
];

/// How a process stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Its identity.
    pub id: ProcId,
    /// Its command name.
    pub comm: Comm,
    /// The last part of its executable's path; empty where it may not be read.
    pub exe: String,
    /// Its command line, arguments joined by blanks.
    pub title: String,
    /// Whether the selection means it by itself, and not for the tree that it is in.
    pub is_meant: bool,
    /// Its parent's pid.
    pub ppid: u32,
    /// Whether its parent is process 1 of a pid namespace, or a user's service manager, by a name that
    /// those have.
    pub parent_is_init: bool,
    /// Its session; 0 of one that began outside of this pid namespace.
    pub session: u32,
    /// Whether there is a process, if only a zombie, that has that number.
    pub leader_is_there: bool,
    /// Whether it has a controlling terminal.
    pub has_terminal: bool,
    /// Whether it is stopped, traced, or waits for a device: field 3 of its stat is not `S`.
    pub is_held: bool,
    /// Whether it ignores SIGHUP, as nohup(1) has it.
    pub ignores_hangup: bool,
    /// Whether it has children.
    pub has_children: bool,
    /// The path of its cgroup.
    pub cgroup: String,
    /// Seconds since its start.
    pub age_s: f64,
    /// Its private memory in bytes.
    pub footprint: u64,
    /// What of it grows by running.
    pub run: RunMark,
}

/// What grows whenever a process runs, if only for a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunMark {
    /// CPU time in clock ticks.
    pub cpu_ticks: u64,
    /// How often one of its threads was switched to, or away from.
    pub switches: u64,
    /// Its threads.
    pub threads: u32,
}

/// What a process is tied to others by.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Ties {
    /// Its open files, with their numbers.
    pub files: Vec<(u32, FileEnd)>,
    /// Whether it holds a lock on a file.
    pub holds_lock: bool,
    /// Whether a thread waits for a time, a lock or a thaw, or has a timer.
    pub waits: bool,
    /// Whether it has memory that others may have too.
    pub shares_memory: bool,
    /// Whether it is in another namespace than its parent: it may be what keeps it for others.
    pub keeps_namespaces: bool,
}

/// What an open file leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileEnd {
    /// A pipe or connected socket whose other end nobody has, by the kernel's own word.
    Gone,
    /// One whose other end somebody has, or may have.
    Open,
    /// A socket that waits for connections.
    Listening,
    /// Nothing: /dev/null and its like, and what polls the process's own files.
    Nothing,
    /// A file that it can write, or a directory's.
    Written,
    /// A file that it can only read.
    Read,
    /// A device, a timer, an eventfd, a watch for changes, a named pipe: others can wake it through that.
    Waking,
}

/// What the proof takes.
#[derive(Clone, Debug)]
pub struct ReapRules {
    /// Seconds without running.
    pub idle_s: f64,
    /// Seconds since its start.
    pub age_s: f64,
    /// Seconds between TERM and KILL.
    pub grace_s: f64,
    /// Whether KILL never follows.
    pub no_kill: bool,
    /// Whether nothing is signalled.
    pub dry_run: bool,
    /// What is never signalled, by name or command line.
    pub protect: Vec<Regex>,
}

impl Standing {
    /// What of the proof is missing, as far as it is told by how it stands; but for its rest.
    pub fn missing(&self, was_adopted: bool, rules: &ReapRules) -> Option<MissingProof> {
        let comm = self.comm.to_string();
        let is_protected =
            |re: &Regex| re.is_match(&comm) || re.is_match(&self.title) || re.is_match(&self.exe);
        let first = self.title.split(' ').next().unwrap_or_default();
        let script = first.rsplit('/').next().unwrap_or_default();
        let names = [comm.as_str(), &self.exe, script.trim_end_matches(':')];
        let is_in_service = origin::units(&self.cgroup, None).iter().any(|unit| {
            // A user's own manager has its scopes within its service.
            unit.ends_with(".service") && !unit.starts_with("user@")
        }) || origin::unit(&self.cgroup).is_some();
        let missing = [
            (!self.is_meant, MissingProof::NotMeant),
            (rules.protect.iter().any(is_protected), MissingProof::Protected),
            (names.iter().any(|name| NEVER.contains(name)), MissingProof::RunsAlone),
            (!was_adopted && !self.parent_is_init, MissingProof::Parent),
            (self.id.pid <= 1 || self.has_children, MissingProof::Children),
            (self.session == 0 || self.leader_is_there, MissingProof::Session),
            (self.has_terminal, MissingProof::Terminal),
            (self.ignores_hangup, MissingProof::Detached),
            (is_in_service || self.cgroup.is_empty(), MissingProof::Service),
            (self.is_held, MissingProof::Held),
            (self.age_s.is_nan() || self.age_s < rules.age_s, MissingProof::Age),
        ];
        missing.into_iter().find(|(is_missing, _)| *is_missing).map(|(_, missing)| missing)
    }
}

impl Ties {
    /// What of the proof is missing by what a process is tied to; all of it where that is not known.
    pub fn missing(ties: Option<&Self>) -> Option<MissingProof> {
        let Some(ties) = ties else { return Some(MissingProof::Unread) };
        let has = |wanted: FileEnd| ties.files.iter().any(|(_, end)| *end == wanted);
        let standard = || ties.files.iter().filter(|(number, _)| *number <= 2);
        let missing = [
            (has(FileEnd::Listening), MissingProof::Listening),
            (has(FileEnd::Open), MissingProof::Peer),
            (has(FileEnd::Waking), MissingProof::Waking),
            (ties.waits, MissingProof::Waiting),
            (ties.holds_lock, MissingProof::Lock),
            (ties.shares_memory, MissingProof::SharedMemory),
            (ties.keeps_namespaces, MissingProof::Namespace),
            (standard().any(|(_, end)| *end == FileEnd::Written), MissingProof::Output),
            (!standard().any(|(_, end)| *end == FileEnd::Gone), MissingProof::NobodyGone),
        ];
        missing.into_iter().find(|(is_missing, _)| *is_missing).map(|(_, missing)| missing)
    }
}

#[cfg(test)]
mod tests;
