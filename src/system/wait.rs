//! Wait: the only sleeper, and the only clock.
//!
//! Times are wall-clock seconds at the start plus CLOCK_BOOTTIME since: strictly increasing even
//! when NTP or an admin steps the wall clock, and a suspend shows as the gap that it is.

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, raise};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::time::{ClockId, clock_getcpuclockid, clock_gettime};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Waits for a child of this process; `None` when it takes longer than that.
pub fn child(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let end = Instant::now() + limit;
    let pid = Pid::from_raw(child.id().cast_signed())?;
    // Without pidfds (before Linux 5.3) it is looked after every tenth of a second.
    let pidfd = pidfd_open(pid, PidfdFlags::empty()).ok();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        let step = if pidfd.is_some() { left } else { left.min(Duration::from_millis(100)) };
        let mut fds: Vec<PollFd<'_>> =
            pidfd.iter().map(|fd| PollFd::new(fd.as_fd(), PollFlags::POLLIN)).collect();
        poll(&mut fds, PollTimeout::try_from(step).unwrap_or(PollTimeout::ZERO)).ok();
    }
}

/// The signals that a waiter takes over.
const TAKEN: [Signal; 5] =
    [Signal::SIGINT, Signal::SIGTERM, Signal::SIGHUP, Signal::SIGUSR1, Signal::SIGCONT];

/// Seconds until a wait that the kernel refused is tried again.
const REFUSED_S: f64 = 0.1;

/// What ended a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// The time asked for has come.
    Tick,
    /// SIGINT or SIGTERM: stop.
    Stop,
    /// SIGHUP: the terminal is gone, or, without one, read the configuration again.
    HangUp,
    /// SIGUSR1: print the state, then wait on.
    ShowState,
    /// SIGCONT: it was stopped (by a signal; a frozen cgroup sends none), and runs again.
    Continued,
    /// There is input to read; only where that is waited for.
    Input,
    /// SIGWINCH: the terminal has another size; only where that is waited for.
    Resized,
    /// SIGTSTP: give the terminal back, then [`suspend`](Waiter::suspend); only where that is waited for.
    Suspend,
}

/// Sleeps until a time or a signal, whichever comes first.
#[derive(Debug)]
pub struct Waiter {
    signals: SignalFd,
    /// Unix time minus CLOCK_BOOTTIME, both in seconds, as of the start.
    offset_s: f64,
}

/// Seconds since boot, time spent suspended included.
pub fn uptime_s() -> f64 {
    seconds(ClockId::CLOCK_BOOTTIME)
}

/// Seconds on a clock that stands still while the machine is suspended.
pub fn awake_s() -> f64 {
    seconds(ClockId::CLOCK_MONOTONIC)
}

/// Seconds of a processor that this process and these others have used, where the kernel tells.
pub fn processor_s(others: &[u32]) -> Option<f64> {
    let others = others.iter().map(|pid| processor_s_of(*pid));
    others.sum::<Option<f64>>().map(|others| others + seconds(ClockId::CLOCK_PROCESS_CPUTIME_ID))
}

/// Seconds of a processor that this thread has used.
pub fn processor_s_of_thread() -> f64 {
    seconds(ClockId::CLOCK_THREAD_CPUTIME_ID)
}

/// Seconds of a processor that a process has used, where the kernel tells.
pub fn processor_s_of(pid: u32) -> Option<f64> {
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).ok()?);
    clock_getcpuclockid(pid).ok().map(seconds)
}

fn seconds(clock: ClockId) -> f64 {
    clock_gettime(clock).map_or(0.0, |time| time.tv_sec() as f64 + time.tv_nsec() as f64 * 1e-9)
}

/// Sleeps for so long, unless a signal ends the process.
pub fn pause(length: Duration) {
    std::thread::sleep(length);
}

/// The wall clock, in Unix seconds.
pub fn unix_s() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64())
}

impl Waiter {
    /// Takes over SIGINT, SIGTERM, SIGHUP, SIGUSR1 and SIGCONT from now on: they end a wait instead of
    /// the process. A blocked SIGCONT continues it all the same, and is then read (signal(7), and
    /// `sig_ignored` of kernel/signal.c: what is blocked is never ignored).
    ///
    /// # Errors
    /// When the kernel has no signalfd or no CLOCK_BOOTTIME (before Linux 2.6.39).
    pub fn new() -> Result<Self> {
        Self::taking(&[])
    }

    /// The same for a program that has a screen: SIGWINCH, SIGQUIT and SIGTSTP end a wait too, rather than
    /// ending or stopping a process that has changed its terminal.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of_screen() -> Result<Self> {
        Self::taking(&[Signal::SIGWINCH, Signal::SIGQUIT, Signal::SIGTSTP])
    }

    fn taking(further: &[Signal]) -> Result<Self> {
        let mut mask = SigSet::empty();
        for signal in TAKEN.iter().chain(further) {
            mask.add(*signal);
        }
        mask.thread_block().context("cannot block signals")?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        let signals = SignalFd::with_flags(&mask, flags).context("cannot open a signalfd")?;
        Ok(Self { signals, offset_s: unix_s() - uptime_s() })
    }

    /// Does what may take long and is of no use in part: meanwhile SIGINT and SIGTERM end the process.
    pub fn interruptible<T>(&self, work: impl FnOnce() -> T) -> T {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGINT);
        mask.add(Signal::SIGTERM);
        // Where the kernel refuses, they wait, as everywhere else.
        let _ = mask.thread_unblock();
        let done = work();
        let _ = mask.thread_block();
        done
    }

    /// Stops this process, as SIGTSTP does where nobody takes it over, until SIGCONT. Where no shell could
    /// continue it (an orphaned process group, as below `ssh -t`) the kernel stops nothing.
    pub fn suspend(&self) {
        let mut mask = SigSet::empty();
        mask.add(Signal::SIGTSTP);
        // It waits until it is let through, and acts before that call returns.
        let _ = raise(Signal::SIGTSTP);
        let _ = mask.thread_unblock();
        let _ = mask.thread_block();
    }

    /// Seconds since boot, time spent suspended included.
    pub fn uptime_s(&self) -> f64 {
        uptime_s()
    }

    /// The Unix time that belongs to an uptime.
    pub fn unix_time(&self, uptime_s: f64) -> f64 {
        uptime_s + self.offset_s
    }

    /// Waits until the uptime is `until_s` seconds, or a signal comes. When the kernel refuses to poll
    /// or to tell of a signal, as it may when it has no memory, time goes on all the same.
    pub fn wait_until(&self, until_s: f64) -> Wake {
        self.wait(until_s, None)
    }

    /// The same, or until there is something to read from `input`.
    pub fn wait_for_input(&self, until_s: f64, input: BorrowedFd<'_>) -> Wake {
        self.wait(until_s, Some(input))
    }

    fn wait(&self, until_s: f64, input: Option<BorrowedFd<'_>>) -> Wake {
        loop {
            let left_ms = ((until_s - self.uptime_s()) * 1000.0).ceil().clamp(0.0, 3.6e6);
            let timeout = PollTimeout::try_from(left_ms as i32).unwrap_or(PollTimeout::ZERO);
            let signals = PollFd::new(self.signals.as_fd(), PollFlags::POLLIN);
            // Nothing allocates here: without an input the signals stand there twice.
            let input = PollFd::new(input.unwrap_or(self.signals.as_fd()), PollFlags::POLLIN);
            let mut fds = [signals, input];
            let polled = poll(&mut fds, timeout).map(drop);
            let read = self.signals.read_signal();
            if let Ok(Some(info)) = &read {
                return woken_by(info.ssi_signo);
            }
            let [_, input] = fds;
            if input.as_fd().as_raw_fd() != self.signals.as_raw_fd() && input.any() == Some(true) {
                return Wake::Input;
            }
            let left_s = until_s - self.uptime_s();
            if left_s <= 0.0 {
                return Wake::Tick;
            }
            if polled.and(read.map(drop)).is_err_and(|errno| errno != Errno::EINTR) {
                std::thread::sleep(Duration::from_secs_f64(left_s.min(REFUSED_S)));
            }
        }
    }
}

fn woken_by(number: u32) -> Wake {
    let is = |signal: Signal| number == signal as u32;
    match () {
        () if is(Signal::SIGUSR1) => Wake::ShowState,
        () if is(Signal::SIGHUP) => Wake::HangUp,
        () if is(Signal::SIGCONT) => Wake::Continued,
        () if is(Signal::SIGWINCH) => Wake::Resized,
        () if is(Signal::SIGTSTP) => Wake::Suspend,
        () => Wake::Stop,
    }
}
