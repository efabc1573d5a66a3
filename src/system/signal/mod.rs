//! Action: carries out one order. The only sender of signals, and of requests to restart a unit.
//!
//! An order names a process by (pid, start time). The process is taken hold of first, by a pidfd,
//! and its start time compared after: once they agree, what is held is that process, and a signal
//! through it can reach no other process, even when the pid is reused.

mod kernel;
mod restart;

use crate::core::model::order::{Order, OrderReason};
use crate::core::model::process::ProcId;
use crate::core::model::signal::{Signal, SignalFailure, Step};
use crate::system::pool_claim::PoolClaims;
use crate::system::{proc, wait};
use kernel::{Pidfd, ProcDirectory, ProcessHandles};
use regex_lite::Regex;
use rustix::io::Errno;
use rustix::process::{Pid, Signal as Sig, getppid, kill_process_group, test_kill_process};
use std::process::Child;

/// A sender of signals. A trait because there are two: the real one and the dry run.
pub trait Signals {
    /// Sends the order's signal to its target.
    ///
    /// # Errors
    /// Why it was not sent.
    fn send(&mut self, order: &Order) -> Result<(), SignalFailure>;

    /// Whether this leakwatch may signal the process; `None` when that cannot be told.
    fn permitted(&self, id: ProcId) -> Option<bool>;

    /// Takes note that another sample came: what other watches had to leave alone may be theirs now.
    fn rest(&mut self) {}
}

/// Sends for real.
#[derive(Debug)]
pub struct LiveSignals {
    protect: Vec<Regex>,
    has_pidfd: bool,
    /// None where it does not matter who else ends the workers of a master.
    claims: Option<PoolClaims>,
}

/// Sends nothing.
#[derive(Debug, Default)]
pub struct DryRun;

impl LiveSignals {
    /// Sends nothing to a process whose name or title by then matches `protect`.
    pub fn new(protect: Vec<Regex>) -> Self {
        proc::prepare_states();
        Self { protect, has_pidfd: Pidfd::is_there(), claims: None }
    }

    /// The same, as the only watch that ends the workers of a master.
    pub fn alone(protect: Vec<Regex>) -> Self {
        Self { claims: Some(PoolClaims::default()), ..Self::new(protect) }
    }

    /// What is lost on this kernel, if anything.
    pub fn note(&self) -> Option<&'static str> {
        (!self.has_pidfd).then_some(
            "this kernel has no pidfd (Linux 5.3), so a pid could, in theory, be reused in the microseconds before the signal\n  hint: no action needed",
        )
    }
}

impl Signals for LiveSignals {
    fn send(&mut self, order: &Order) -> Result<(), SignalFailure> {
        if is_untouchable(order.target.pid) {
            return Err(SignalFailure::Refused);
        }
        // What is left behind has no pool, but an init for its parent, as all of it has.
        let is_alone = order.step == Step::Restart || order.reason == OrderReason::Useless;
        let take = |claims: &mut PoolClaims| match is_alone {
            true => claims.take_itself(order.victim),
            false => claims.take(order.victim.pid),
        };
        if self.claims.as_mut().is_some_and(|claims| !take(claims)) {
            return Err(SignalFailure::Taken);
        }
        if order.step == Step::Restart {
            return restart::unit_of(order, &self.protect);
        }
        match self.has_pidfd {
            true => deliver(&mut Pidfd, order, &self.protect),
            false => deliver(&mut ProcDirectory, order, &self.protect),
        }
    }

    fn permitted(&self, id: ProcId) -> Option<bool> {
        permitted(id)
    }

    fn rest(&mut self) {
        if let Some(claims) = &mut self.claims {
            claims.give_up(wait::uptime_s());
        }
    }
}

impl Signals for DryRun {
    fn send(&mut self, _: &Order) -> Result<(), SignalFailure> {
        Ok(())
    }

    fn permitted(&self, id: ProcId) -> Option<bool> {
        permitted(id)
    }
}

/// Takes hold of the target, verifies its identity, and signals it.
fn deliver<K: ProcessHandles>(
    kernel: &mut K,
    order: &Order,
    protect: &[Regex],
) -> Result<(), SignalFailure> {
    let unsent = |errno| match errno {
        Errno::SRCH | Errno::NOENT => SignalFailure::Gone,
        Errno::PERM | Errno::ACCESS => SignalFailure::NotPermitted,
        other => SignalFailure::Failed(other.raw_os_error()),
    };
    let target = order.target;
    let held = kernel.hold(target.pid).map_err(unsent)?;
    // A title may change at any time: a fork wears its master's for a moment, and PostgreSQL's
    // tells what a session does. It is read before the identity: a stranger's would be followed by
    // a stranger's start time.
    let forbidden = kernel.is_called(target.pid, |text| {
        let text = String::from_utf8_lossy(text);
        protect.iter().any(|re| re.is_match(&text))
            || order.helpers.iter().any(|part| text.contains(part))
    });
    // What may not be read says nothing of what may be signalled.
    let state = kernel.look(&held, target.pid).map_err(|errno| match unsent(errno) {
        SignalFailure::NotPermitted => SignalFailure::Failed(errno.raw_os_error()),
        why => why,
    })?;
    // A zombie holds no memory, and no signal does anything to it.
    if state.start != target.start || state.is_dead {
        return Err(SignalFailure::Gone);
    }
    if forbidden {
        return Err(SignalFailure::Protected);
    }
    kernel.signal(&held, target.pid, number(order.signal)).map_err(unsent)?;
    // To a stopped process all signals but KILL arrive only when it goes on.
    if state.is_stopped && order.signal != Signal::Kill {
        kernel.signal(&held, target.pid, Sig::CONT).map_err(unsent)?;
    }
    Ok(())
}

/// Sends a harmless signal to leakwatch itself in the way of a real one: SIGCONT, which does nothing to
/// a process that is not stopped.
///
/// # Errors
/// What a real order would meet too: a seccomp filter, a container's rules.
pub fn rehearse() -> Result<(), Errno> {
    fn go(kernel: &mut impl ProcessHandles) -> Result<(), Errno> {
        let pid = std::process::id();
        let held = kernel.hold(pid)?;
        kernel.look(&held, pid)?;
        kernel.signal(&held, pid, Sig::CONT)
    }
    if Pidfd::is_there() { go(&mut Pidfd) } else { go(&mut ProcDirectory) }
}

fn permitted(id: ProcId) -> Option<bool> {
    match test_kill_process(Pid::from_raw(id.pid.cast_signed())?) {
        Ok(()) => Some(!is_untouchable(id.pid)),
        Err(Errno::PERM) => Some(false),
        Err(_) => None,
    }
}

/// Ends a child of this process with all of its group, of which it is the first and which it was
/// not waited for yet: so its pid is still its own.
pub fn end_group(child: &Child) {
    if let Some(group) = Pid::from_raw(child.id().cast_signed()) {
        kill_process_group(group, Sig::KILL).ok();
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
        match proc::parent_of(at) {
            Some(parent) if at > 1 => at = parent,
            _ => break,
        }
    }
    pid <= 1 || pid == std::process::id()
}

fn number(signal: Signal) -> Sig {
    match signal {
        Signal::Hup => Sig::HUP,
        Signal::Quit => Sig::QUIT,
        Signal::Usr1 => Sig::USR1,
        Signal::Term => Sig::TERM,
        Signal::Kill => Sig::KILL,
        Signal::Int => Sig::INT,
        Signal::Usr2 => Sig::USR2,
        Signal::Winch => Sig::WINCH,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::process::Comm;
    use std::os::unix::process::ExitStatusExt;
    use std::process::Command;

    fn sleeper() -> (Child, ProcId) {
        let child = Command::new("sleep").arg("60").spawn().unwrap();
        // For a moment within its exec a program has its name but not its arguments yet.
        while std::fs::read(format!("/proc/{}/cmdline", child.id())).unwrap().is_empty() {
            std::thread::yield_now();
        }
        let id = ProcId { pid: child.id(), start: kernel::state_of(child.id()).unwrap().start };
        (child, id)
    }

    fn live() -> LiveSignals {
        LiveSignals::new(Vec::new())
    }

    fn order(victim: ProcId) -> Order {
        Order {
            victim,
            target: victim,
            comm: Comm::new(b"sleep"),
            root: victim,
            step: Step::Term,
            signal: Signal::Term,
            grace_s: 1.0,
            then: None,
            helpers: &[],
            reason: OrderReason::Danger,
            footprint: 0,
            expected: 0,
            forecast: None,
        }
    }

    #[test]
    fn the_process_named_by_pid_and_start_time_gets_the_signal() {
        let (mut child, id) = sleeper();
        assert_eq!(live().send(&order(id)), Ok(()));
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        assert_eq!(live().send(&order(id)), Err(SignalFailure::Gone));
    }

    #[test]
    fn a_process_with_the_same_pid_but_another_start_time_is_left_alone() {
        let (mut child, id) = sleeper();
        let stranger = ProcId { start: id.start + 1, ..id };
        assert_eq!(live().send(&order(stranger)), Err(SignalFailure::Gone));
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
            let start = kernel::state_of(pid).map_or(0, |state| state.start);
            assert_eq!(
                live().send(&order(ProcId { pid, start })),
                Err(SignalFailure::Refused),
                "pid {pid}"
            );
        }
    }

    #[test]
    fn who_is_protected_by_the_name_of_this_moment_gets_no_signal() {
        let (mut child, id) = sleeper();
        for re in ["^sleep$", "sleep 60"] {
            let mut live = LiveSignals::new(vec![Regex::new(re).unwrap()]);
            assert_eq!(live.send(&order(id)), Err(SignalFailure::Protected), "{re}");
        }
        let helper = Order { helpers: &["ep 6"], ..order(id) };
        assert_eq!(live().send(&helper), Err(SignalFailure::Protected));
        assert_eq!(child.try_wait().unwrap(), None);
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn a_stopped_process_goes_on_so_that_the_signal_arrives() {
        for has_pidfd in [true, false] {
            let (mut child, id) = sleeper();
            let pid = Pid::from_raw(id.pid.cast_signed()).unwrap();
            rustix::process::kill_process(pid, Sig::STOP).unwrap();
            while !kernel::state_of(id.pid).unwrap().is_stopped {
                std::thread::yield_now();
            }
            let mut live = LiveSignals { has_pidfd, ..live() };
            assert_eq!(live.send(&order(id)), Ok(()));
            assert_eq!(child.wait().unwrap().signal(), Some(15));
        }
    }

    #[test]
    fn a_zombie_has_ended() {
        for has_pidfd in [true, false] {
            let (mut child, id) = sleeper();
            child.kill().unwrap();
            while !kernel::state_of(id.pid).unwrap().is_dead {
                std::thread::yield_now();
            }
            let mut live = LiveSignals { has_pidfd, ..live() };
            assert_eq!(live.send(&order(id)), Err(SignalFailure::Gone));
            child.wait().unwrap();
        }
    }

    #[test]
    fn without_pidfds_the_right_one_gets_the_signal_and_no_other() {
        let (mut child, id) = sleeper();
        let mut old = LiveSignals { has_pidfd: false, ..live() };
        assert!(old.note().unwrap().contains("no pidfd"));
        let stranger = ProcId { start: id.start + 1, ..id };
        assert_eq!(old.send(&order(stranger)), Err(SignalFailure::Gone));
        assert_eq!(child.try_wait().unwrap(), None);
        assert_eq!(old.send(&order(id)), Ok(()));
        assert_eq!(child.wait().unwrap().signal(), Some(15));
        assert_eq!(old.send(&order(id)), Err(SignalFailure::Gone));
    }

    /// Every pid is another process's whenever that can do harm: at each step of an order the
    /// process that has it may end, be waited for, and be followed by one with the same pid.
    struct Reusing {
        random: u64,
        /// Start times of the processes that had the pid so far; the last one has it now.
        lives: Vec<u64>,
        /// The processes that got a signal, by start time.
        signalled: Vec<u64>,
        /// Whether a hold identifies the process, as a pidfd does.
        exact: bool,
    }

    impl Reusing {
        fn now(&mut self) -> u64 {
            // Xorshift, one step: in half the cases another process has the pid.
            self.random ^= self.random << 13;
            self.random ^= self.random >> 7;
            self.random ^= self.random << 17;
            if self.random.is_multiple_of(2) {
                let next = self.lives.last().unwrap() + 1;
                self.lives.push(next);
            }
            *self.lives.last().unwrap()
        }
    }

    impl ProcessHandles for Reusing {
        type Held = u64;

        fn hold(&mut self, _: u32) -> Result<u64, Errno> {
            Ok(self.now())
        }

        fn is_called(&mut self, _: u32, _: impl Fn(&[u8]) -> bool) -> bool {
            self.now();
            false
        }

        fn look(&mut self, _: &u64, _: u32) -> Result<kernel::HandleState, Errno> {
            Ok(kernel::HandleState { start: self.now(), is_dead: false, is_stopped: true })
        }

        fn signal(&mut self, held: &u64, _: u32, _: Sig) -> Result<(), Errno> {
            let now = self.now();
            match self.exact {
                true if now != *held => return Err(Errno::SRCH),
                _ => self.signalled.push(now),
            }
            Ok(())
        }
    }

    #[test]
    fn of_ten_thousand_reused_pids_no_stranger_gets_the_signal() {
        let mut kernel =
            Reusing { random: 0x9e37_79b9, lives: vec![1], signalled: Vec::new(), exact: true };
        let (mut sent, mut wrong, mut reused) = (0, 0, 0);
        while reused < 10_000 {
            let start = *kernel.lives.last().unwrap();
            let before = kernel.lives.len();
            let order = order(ProcId { pid: 4711, start });
            sent += usize::from(deliver(&mut kernel, &order, &[]).is_ok());
            reused += kernel.lives.len() - before;
            wrong += kernel.signalled.drain(..).filter(|got| *got != start).count();
        }
        assert!(sent > 100, "only {sent} orders reached anybody");
        assert_eq!(wrong, 0);
    }

    /// The test above can fail: by bare pids strangers are hit.
    #[test]
    fn with_a_bare_pid_strangers_would_be_hit() {
        let mut kernel =
            Reusing { random: 0x9e37_79b9, lives: vec![1], signalled: Vec::new(), exact: false };
        let mut wrong = 0;
        for _ in 0..1000 {
            let start = *kernel.lives.last().unwrap();
            let order = order(ProcId { pid: 4711, start });
            deliver(&mut kernel, &order, &[]).ok();
            wrong += kernel.signalled.drain(..).filter(|got| *got != start).count();
        }
        assert!(wrong > 0);
    }
}
