//! Kernel: taking hold of a process, looking at it, signalling it.

use crate::system::proc;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, getpid, kill_process, pidfd_open, pidfd_send_signal,
};

/// What it takes to signal a process and no other. A trait because there are two ways, and a third
/// in tests, where pids are reused at will.
pub(super) trait ProcessHandles {
    /// What a process is held by.
    type Held;

    /// Takes hold of the process that has this pid now.
    fn hold(&mut self, pid: u32) -> Result<Self::Held, Errno>;

    /// Whether `matches` fits the name or the title of the process that has this pid now.
    fn is_called(&mut self, pid: u32, matches: impl Fn(&[u8]) -> bool) -> bool;

    /// The state of the held process, or of the one that has its pid now: the start time is then
    /// another one.
    fn look(&mut self, held: &Self::Held, pid: u32) -> Result<HandleState, Errno>;

    /// Sends a signal.
    fn signal(&mut self, held: &Self::Held, pid: u32, signal: Signal) -> Result<(), Errno>;
}

/// How a process stands.
#[derive(Clone, Copy, Debug)]
pub(super) struct HandleState {
    /// When it was started, in clock ticks since boot.
    pub(super) start: u64,
    /// It has ended, and its parent has not waited for it yet.
    pub(super) is_dead: bool,
    /// It is stopped, by a signal or a debugger.
    pub(super) is_stopped: bool,
}

/// By pidfd, from Linux 5.3 on: what is held is one process for ever.
pub(super) struct Pidfd;

impl Pidfd {
    /// Whether this kernel has them; OpenVZ 7 and others before 5.3 do not.
    pub(super) fn is_there() -> bool {
        !matches!(pidfd_open(getpid(), PidfdFlags::empty()), Err(Errno::NOSYS))
    }
}

impl ProcessHandles for Pidfd {
    type Held = OwnedFd;

    fn hold(&mut self, pid: u32) -> Result<OwnedFd, Errno> {
        pidfd_open(number(pid)?, PidfdFlags::empty())
    }

    fn is_called(&mut self, pid: u32, matches: impl Fn(&[u8]) -> bool) -> bool {
        is_called(pid, matches)
    }

    fn look(&mut self, _: &OwnedFd, pid: u32) -> Result<HandleState, Errno> {
        state_of(pid)
    }

    fn signal(&mut self, held: &OwnedFd, _: u32, signal: Signal) -> Result<(), Errno> {
        pidfd_send_signal(held, signal)
    }
}

/// By its directory in /proc, held open: that is one process for ever, too, but a signal cannot be
/// sent through it. Between the look through it and the signal lie some microseconds, in which
/// pid_max processes would have to start to bring the pid round.
pub(super) struct ProcDirectory;

impl ProcessHandles for ProcDirectory {
    type Held = OwnedFd;

    fn hold(&mut self, pid: u32) -> Result<OwnedFd, Errno> {
        proc::directory_of(pid)
    }

    fn is_called(&mut self, pid: u32, matches: impl Fn(&[u8]) -> bool) -> bool {
        is_called(pid, matches)
    }

    fn look(&mut self, held: &OwnedFd, _: u32) -> Result<HandleState, Errno> {
        proc::state_aside(held).map(HandleState::from)
    }

    fn signal(&mut self, held: &OwnedFd, pid: u32, signal: Signal) -> Result<(), Errno> {
        // Once more, as late as can be.
        proc::state_aside(held)?;
        kill_process(number(pid)?, signal)
    }
}

impl From<proc::TreePosition> for HandleState {
    fn from(state: proc::TreePosition) -> Self {
        let proc::TreePosition { start, letter, threads, .. } = state;
        // The main thread may have ended before the others: the process lives on.
        let is_dead = matches!(letter, b'X' | b'x') || (letter == b'Z' && threads <= 1);
        Self { start, is_dead, is_stopped: matches!(letter, b'T' | b't') }
    }
}

/// The state of the process that has this pid now.
pub(super) fn state_of(pid: u32) -> Result<HandleState, Errno> {
    proc::state_aside(&proc::directory_of(pid)?).map(HandleState::from)
}

fn is_called(pid: u32, matches: impl Fn(&[u8]) -> bool) -> bool {
    let Ok(directory) = proc::directory_of(pid) else { return false };
    let mut buffer = [0; 4096];
    ["comm", "cmdline"]
        .iter()
        .any(|file| proc::words_in(&directory, file, &mut buffer).is_ok_and(&matches))
}

fn number(pid: u32) -> Result<Pid, Errno> {
    Pid::from_raw(pid.cast_signed()).ok_or(Errno::SRCH)
}
