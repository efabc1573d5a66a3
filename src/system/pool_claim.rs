//! Pool claim: one watch at a time ends the workers of one master, or restarts the unit of a lone process.
//!
//! Two watches may have chosen the same pool, by a name and by a user, in one process or in two. Each
//! counts its own victims: together they would end more than half of the workers at once. So the first
//! that ends a worker claims its master until it ends itself, by a socket without a file whose name only
//! one can have. Whoever else holds that name counts only if it is root's, or of the same user: no
//! other may keep leakwatch from its work.

use crate::core::model::process::ProcId;
use crate::system::proc;
use crate::system::{trusted_path, wait};
use rustix::io::Errno;
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType};
use std::fmt::Write;
use std::os::fd::OwnedFd;

/// Seconds after which a claim is given up that was not needed again: the longest grace of a server is 70 s,
/// and another watch may have the nearer limit by then.
const KEPT_S: f64 = 300.0;

/// Questions that wait between two samples; a watch asks once for each worker that it would end.
const QUEUE: i32 = 128;

/// The claims of one watch.
#[derive(Debug, Default)]
pub(crate) struct PoolClaims {
    held: Vec<PoolClaim>,
}

#[derive(Debug)]
struct PoolClaim {
    master: ProcId,
    /// When it was needed last.
    last_s: f64,
    socket: OwnedFd,
}

impl Drop for PoolClaim {
    /// To close the socket would not do: a process that is being forked has it open until its exec, and
    /// with it the name. One that is shut down refuses every connection, and so stands in nobody's way.
    fn drop(&mut self) {
        rustix::net::shutdown(&self.socket, Shutdown::Both).ok();
    }
}

impl PoolClaims {
    /// Whether this watch may end that child of its master. Where the kernel refuses to tell, it may.
    pub(crate) fn take(&mut self, child: u32) -> bool {
        let state = |pid| proc::state_aside(&proc::directory_of(pid)?);
        let (pid, master) = match state(child).and_then(|of| Ok((of.ppid, state(of.ppid)?))) {
            Ok(found) => found,
            // It hangs, or its master does: then nobody knows who else may end it.
            Err(Errno::TIMEDOUT) => return false,
            Err(_) => return true,
        };
        self.take_itself(ProcId { pid, start: master.start })
    }

    /// Whether this watch may have the unit of that process restarted. Its parent is process 1, as that of
    /// every lone process is: that would be one claim for all of them.
    pub(crate) fn take_itself(&mut self, master: ProcId) -> bool {
        let last_s = wait::uptime_s();
        if let Some(claim) = self.held.iter_mut().find(|claim| claim.master == master) {
            claim.last_s = last_s;
            return true;
        }
        match bound(master) {
            Ok(socket) => {
                self.held.push(PoolClaim { master, last_s, socket });
                true
            }
            Err(Errno::ADDRINUSE) => !is_held_by_a_trusted(master),
            Err(_) => true,
        }
    }

    /// Gives up what has not been needed for long, and makes room for who asks whose the others are.
    pub(crate) fn give_up(&mut self, now_s: f64) {
        for claim in &self.held {
            for _ in 0..QUEUE {
                if rustix::net::accept_with(&claim.socket, SocketFlags::CLOEXEC).is_err() {
                    break;
                }
            }
        }
        self.held.retain(|claim| now_s - claim.last_s < KEPT_S);
    }
}

fn address(master: ProcId) -> Result<SocketAddrUnix, Errno> {
    let mut name = String::with_capacity(64);
    let _ = write!(name, "leakwatch-pool-{}-{}", master.pid, master.start);
    SocketAddrUnix::new_abstract_name(name.as_bytes())
}

fn socket() -> Result<OwnedFd, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

fn bound(master: ProcId) -> Result<OwnedFd, Errno> {
    let socket = socket()?;
    rustix::net::bind(&socket, &address(master)?)?;
    rustix::net::listen(&socket, QUEUE)?;
    Ok(socket)
}

/// Nobody answers at the socket: that it can be connected to tells whose it is. A full queue does not.
fn is_held_by_a_trusted(master: ProcId) -> bool {
    let holder = || {
        let socket = socket()?;
        rustix::net::connect(&socket, &address(master)?)?;
        socket_peercred(&socket)
    };
    match holder() {
        Ok(holder) => trusted_path::owners().contains(&holder.uid.as_raw()),
        Err(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Child, Command, Stdio};

    struct Worker(Child);

    impl Worker {
        fn start() -> Self {
            Self(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
        }
    }

    impl Drop for Worker {
        fn drop(&mut self) {
            drop(self.0.stdin.take());
            self.0.wait().ok();
        }
    }

    #[test]
    fn the_units_of_two_lone_processes_are_claimed_each_by_itself() {
        // Of one parent, as all lone processes are.
        let (first, second) = (Worker::start(), Worker::start());
        let id = |worker: &Worker| {
            let pid = worker.0.id();
            ProcId {
                pid,
                start: proc::start_and_parent(std::path::Path::new("/proc"), pid).unwrap().0,
            }
        };
        let (mut ours, mut theirs) = (PoolClaims::default(), PoolClaims::default());
        assert!(ours.take_itself(id(&first)) && ours.take_itself(id(&first)));
        assert!(theirs.take_itself(id(&second)), "another unit");
        assert!(!theirs.take_itself(id(&first)) && !ours.take_itself(id(&second)));
    }

    #[test]
    fn one_watch_at_a_time_ends_the_workers_of_one_master() {
        // Both are children of this test, which is their master.
        let (first, second) = (Worker::start(), Worker::start());
        let mut ours = PoolClaims::default();
        let mut theirs = PoolClaims::default();
        assert!(ours.take(first.0.id()) && ours.take(second.0.id()), "one claim for all workers");
        for _ in 0..3 {
            assert!((0..100).all(|_| !theirs.take(second.0.id())), "however often it is asked");
            ours.give_up(wait::uptime_s());
        }
        ours.give_up(wait::uptime_s() + KEPT_S - 100.0);
        for _ in 0..3 {
            assert!((0..100).all(|_| !theirs.take(second.0.id())), "however often it is asked");
            ours.give_up(wait::uptime_s());
        }
        ours.give_up(wait::uptime_s() + KEPT_S);
        assert!(theirs.take(second.0.id()), "it is given up when it is no longer needed");
        drop(theirs);
        // What another test forks has their socket open until its exec, and with it the name.
        while ours.held.is_empty() {
            assert!(ours.take(second.0.id()));
            std::thread::yield_now();
        }
        // As a process that is being forked has it open until its exec.
        let being_forked: Vec<_> =
            ours.held.iter().map(|claim| claim.socket.try_clone().unwrap()).collect();
        assert_eq!(being_forked.len(), 1);
        drop(ours);
        let mut theirs = PoolClaims::default();
        assert!(theirs.take(second.0.id()), "it goes with its watch");
        assert!(PoolClaims::default().take(u32::MAX), "who has gone has no master");
    }
}
