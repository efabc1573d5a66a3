//! Action: carries out one order. The only sender of signals.
//!
//! An order names a process by (pid, start time). A pidfd is opened on the pid first and the start
//! time compared after: once they agree, the pidfd is that process, and a signal through it can
//! reach no other, whoever gets the pid next.

use crate::assessment::{Order, Signal, Unsent};
use crate::probe;
use crate::sample::ProcId;
use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal as Sig, getppid, kill_process, pidfd_open, pidfd_send_signal,
    test_kill_process,
};

/// Who sends signals. A trait because there are two: the real one and the dry run.
pub trait Signals {
    /// Sends the order's signal to its victim.
    ///
    /// # Errors
    /// Why it was not sent.
    fn send(&mut self, order: &Order) -> Result<(), Unsent>;

    /// Whether this leakwatch may signal the process; `None` when that cannot be told.
    fn permitted(&self, id: ProcId) -> Option<bool>;
}

/// Sends for real.
#[derive(Debug, Default)]
pub struct Live;

/// Sends nothing.
#[derive(Debug, Default)]
pub struct DryRun;

impl Signals for Live {
    fn send(&mut self, order: &Order) -> Result<(), Unsent> {
        if is_untouchable(order.victim.pid) {
            return Err(Unsent::Refused);
        }
        send(order.victim, number(order.signal)).map_err(|errno| match errno {
            Errno::SRCH => Unsent::Gone,
            Errno::PERM | Errno::ACCESS => Unsent::NotPermitted,
            other => Unsent::Failed(other.raw_os_error()),
        })
    }

    fn permitted(&self, id: ProcId) -> Option<bool> {
        match test_kill_process(pid(id)?) {
            Ok(()) => Some(!is_untouchable(id.pid)),
            Err(Errno::PERM) => Some(false),
            Err(_) => None,
        }
    }
}

impl Signals for DryRun {
    fn send(&mut self, _: &Order) -> Result<(), Unsent> {
        Ok(())
    }

    fn permitted(&self, id: ProcId) -> Option<bool> {
        Live.permitted(id)
    }
}

/// Process 1, leakwatch, and those that started it.
fn is_untouchable(pid: u32) -> bool {
    let mut at = getppid().map_or(0, |parent| parent.as_raw_nonzero().get().cast_unsigned());
    // The chain is followed anew each time: a parent may have exited meanwhile.
    for _ in 0..64 {
        if at == pid {
            return true;
        }
        match probe::parent_of(at) {
            Some(parent) if at > 1 => at = parent,
            _ => break,
        }
    }
    pid <= 1 || pid == std::process::id()
}

/// Goes the whole way of a signal with a harmless one to leakwatch itself: SIGCONT to who is not
/// stopped.
///
/// # Errors
/// What a real order would meet too: a seccomp filter, a container's rules.
pub fn rehearse() -> Result<(), Errno> {
    let pid = std::process::id();
    let start = probe::start_of(pid)?;
    send(ProcId { pid, start }, Sig::CONT)
}

fn send(id: ProcId, signal: Sig) -> Result<(), Errno> {
    let target = pid(id).ok_or(Errno::SRCH)?;
    match pidfd_open(target, PidfdFlags::empty()) {
        Ok(pidfd) => {
            is_same(id)?;
            pidfd_send_signal(&pidfd, signal)
        }
        // Before Linux 5.3 and on OpenVZ there is no pidfd. Between the look and the kill lie some
        // ten microseconds, in which pid_max processes would have to start to bring the pid round.
        Err(Errno::NOSYS) => {
            is_same(id)?;
            kill_process(target, signal)
        }
        Err(e) => Err(e),
    }
}

/// `Ok` while the pid belongs to the process with that start time.
fn is_same(id: ProcId) -> Result<(), Errno> {
    match probe::start_of(id.pid) {
        Ok(start) if start == id.start => Ok(()),
        Ok(_) | Err(Errno::NOENT) => Err(Errno::SRCH),
        Err(e) => Err(e),
    }
}

fn pid(id: ProcId) -> Option<Pid> {
    Pid::from_raw(id.pid.cast_signed())
}

fn number(signal: Signal) -> Sig {
    match signal {
        Signal::Hup => Sig::HUP,
        Signal::Quit => Sig::QUIT,
        Signal::Usr1 => Sig::USR1,
        Signal::Term => Sig::TERM,
        Signal::Kill => Sig::KILL,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assessment::{Reason, Step};
    use crate::sample::Comm;
    use std::os::unix::process::ExitStatusExt;
    use std::process::{Child, Command};

    fn sleeper() -> (Child, ProcId) {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        let id = ProcId { pid: child.id(), start: probe::start_of(child.id()).unwrap() };
        (child, id)
    }

    fn order(victim: ProcId) -> Order {
        Order {
            victim,
            comm: Comm::new(b"sleep"),
            root: victim,
            step: Step::Term,
            signal: Signal::Term,
            grace_s: 1.0,
            reason: Reason::Danger,
            footprint: 0,
            expected: 0,
            forecast: None,
        }
    }

    #[test]
    fn the_process_named_by_pid_and_start_time_gets_the_signal() {
        let (mut child, id) = sleeper();
        assert_eq!(Live.send(&order(id)), Ok(()));
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        assert_eq!(Live.send(&order(id)), Err(Unsent::Gone));
    }

    #[test]
    fn a_process_with_the_same_pid_but_another_start_time_is_left_alone() {
        let (mut child, id) = sleeper();
        let stranger = ProcId { start: id.start + 1, ..id };
        assert_eq!(Live.send(&order(stranger)), Err(Unsent::Gone));
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_dry_run_signals_nothing() {
        let (mut child, id) = sleeper();
        assert_eq!(DryRun.send(&order(id)), Ok(()));
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn process_one_leakwatch_and_its_parents_are_never_signalled() {
        let parent = std::os::unix::process::parent_id();
        for pid in [0, 1, std::process::id(), parent] {
            let start = probe::start_of(pid).unwrap_or(0);
            assert_eq!(Live.send(&order(ProcId { pid, start })), Err(Unsent::Refused), "pid {pid}");
        }
    }
}
