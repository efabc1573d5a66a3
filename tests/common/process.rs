//! Process: children of the test awaited by pidfd, and what /proc says of their children.

use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Child, Command, ExitStatus};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use rustix::process::{PidfdFlags, pidfd_open};

/// The identity of a process: its pid, and its start time in clock ticks since boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id {
    pub pid: u32,
    pub start: u64,
}

impl Id {
    /// The process that has `pid` now.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = Stat::read(pid)?;
        Some(Self { pid, start: stat.start })
    }

    /// Signals that very process while it runs. The test started it, if only through another.
    pub fn signal(self, signal: Signal) {
        let pid = rustix::process::Pid::from_raw(self.pid.cast_signed()).expect("it is a pid");
        let signal = rustix::process::Signal::from_named_raw(signal as i32).expect("it is known");
        let Ok(held) = pidfd_open(pid, PidfdFlags::empty()) else { return };
        if self.runs() {
            rustix::process::pidfd_send_signal(held, signal).ok();
        }
    }

    /// Whether that very process still runs (a zombie does not).
    pub fn runs(self) -> bool {
        Stat::read(self.pid).is_some_and(|stat| stat.start == self.start && stat.state != 'Z')
    }
}

/// What a process holds of its own (RssAnon), in KiB; 0 when it is gone.
pub fn anon_kib(pid: u32) -> u64 {
    anon_and_swap_kib(pid).0
}

/// The same, and what of it is swapped out (VmSwap).
pub fn anon_and_swap_kib(pid: u32) -> (u64, u64) {
    let status = std::fs::read(format!("/proc/{pid}/status")).unwrap_or_default();
    let text = String::from_utf8_lossy(&status);
    let kib = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim().strip_suffix(" kB")?.parse().ok())
            .unwrap_or(0)
    };
    (kib("RssAnon:"), kib("VmSwap:"))
}

/// What only this process holds (Uss), in KiB; 0 when it is gone. Walks all its memory.
pub fn own_kib(pid: u32) -> u64 {
    let rollup = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap_or_default();
    let private = rollup.lines().filter(|line| line.starts_with("Private_"));
    private.filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok()).sum()
}

/// How often it was put on a processor: goes up with every wait that ends.
pub fn switches(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
}

struct Stat {
    state: char,
    ppid: u32,
    start: u64,
}

impl Stat {
    fn read(pid: u32) -> Option<Self> {
        let bytes = std::fs::read(format!("/proc/{pid}/stat")).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        let mut fields = text.get(text.rfind(')')? + 1..)?.split_ascii_whitespace();
        Some(Self {
            state: fields.next()?.chars().next()?,
            ppid: fields.next()?.parse().ok()?,
            start: fields.nth(17)?.parse().ok()?,
        })
    }
}

/// The running children of `parent`, in order of their pids.
pub fn children(parent: u32) -> Vec<Id> {
    let mut found: Vec<Id> = std::fs::read_dir("/proc")
        .expect("/proc is readable")
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter_map(|pid| {
            let stat = Stat::read(pid)?;
            (stat.ppid == parent && stat.state != 'Z').then_some(Id { pid, start: stat.start })
        })
        .collect();
    found.sort();
    found
}

/// Waits for a child's end without taking more time than that.
pub fn wait(child: &mut Child, within: Duration) -> Option<ExitStatus> {
    let pidfd = pidfd_open(rustix::process::Pid::from_child(child), PidfdFlags::empty()).ok()?;
    let timeout = PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX);
    let mut fds = [PollFd::new(pidfd.as_fd(), PollFlags::POLLIN)];
    (poll(&mut fds, timeout).ok()? > 0).then(|| child.wait().expect("a child can be waited for"))
}

/// Signals a child of this test. It is not waited for yet, so the pid is still its own.
pub fn signal(child: &Child, signal: Signal) {
    kill(pid_of(child), signal).expect("a child can be signalled");
}

/// Kills what is left of the process group that `child` leads, `child` itself included.
///
/// The group's number stays taken while its leader is not waited for, so no other process is hit.
pub fn kill_group(child: &Child) {
    killpg(pid_of(child), Signal::SIGKILL).ok();
}

fn pid_of(child: &Child) -> Pid {
    Pid::from_raw(child.id().try_into().expect("a pid fits"))
}

/// Copies a program to where it is to be run. Not by this process: as long as any process has a
/// file open for writing it cannot be run (ETXTBSY), and whatever another test is just forking has
/// open for a moment what this one has.
pub fn install(program: &Path, to: &Path) {
    let copied = Command::new("install").args(["-m", "755"]).arg(program).arg(to).status();
    assert!(copied.is_ok_and(|status| status.success()), "cannot copy to '{}'", to.display());
}
