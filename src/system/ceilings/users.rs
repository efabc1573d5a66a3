//! How many tasks each user has, for RLIMIT_NPROC.
//!
//! The kernel counts a user's tasks in all trees and cgroups, zombies included, and shows the number
//! nowhere. So they are counted here, and only while some tree is limited by them: the user of each
//! process is read while it is young (servers change theirs as they start) and in slices of 1/32 after that.

use crate::system::proc::parse::{capabilities, named_line, uids};
use crate::system::proc::procdir::ProcDir;
use crate::system::proc::watched::KnownProcess;
use crate::system::proc::watched::SLICES;
use std::collections::BTreeMap;

/// A process's user is read in so many ticks after its first sight.
const YOUNG: u8 = 4;

/// The owner of a process, as far as RLIMIT_NPROC is concerned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::system) struct Owner {
    /// Its real user.
    pub(in crate::system) uid: u32,
    /// Whether it may fork beyond the limit: CAP_SYS_RESOURCE or CAP_SYS_ADMIN, or user 0.
    pub(in crate::system) exempt: bool,
    /// Whether the reserve for administrators is open to it: CAP_SYS_ADMIN.
    pub(in crate::system) admin: bool,
}

impl Owner {
    /// From /proc/PID/status.
    pub(in crate::system) fn parse(status: &[u8]) -> Option<Self> {
        const SYS_ADMIN: u64 = 1 << 21;
        const SYS_RESOURCE: u64 = 1 << 24;
        let uid = uids(status)?.real;
        let capable = capabilities(status);
        let admin = capable & SYS_ADMIN != 0;
        Some(Self { uid, exempt: uid == 0 || admin || capable & SYS_RESOURCE != 0, admin })
    }

    /// Of a living process.
    pub(in crate::system) fn of(proc: &ProcDir, pid: u32) -> Option<Self> {
        Self::parse(proc.read(pid, "status", &mut [0; 4096]).ok()?)
    }
}

/// Brings the user of each process up to date.
pub(in crate::system) fn learn(proc: &ProcDir, known: &mut BTreeMap<u32, KnownProcess>, tick: u32) {
    for (pid, known) in known {
        let due = known.owner_looks < YOUNG || pid % SLICES == tick % SLICES;
        if !due || known.kernel {
            continue;
        }
        known.owner_looks = known.owner_looks.saturating_add(1);
        let mut buffer = [0; 4096];
        let Ok(status) = proc.read(*pid, "status", &mut buffer) else { continue };
        known.uid = Owner::parse(status).map(|owner| owner.uid);
        known.tasks = named_line(status, b"Threads").map_or(1, |n| n.min(u32::MAX.into()) as u32);
    }
}

/// Tasks of a user.
pub(in crate::system) fn tasks(known: &BTreeMap<u32, KnownProcess>, uid: u32) -> u64 {
    let of_user = known.values().filter(|known| known.uid == Some(uid));
    let tasks =
        |known: &KnownProcess| known.watch.as_ref().map_or(known.tasks, |w| w.threads.max(1));
    of_user.map(|known| u64::from(tasks(known))).fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_and_processes_with_the_capabilities_are_exempt() {
        let owner = |uid, caps| {
            Owner::parse(format!("Name:\ta\nUid:\t{uid}\t1\t1\t1\nCapEff:\t{caps}\n").as_bytes())
        };
        let plain = Owner { uid: 33, exempt: false, admin: false };
        assert_eq!(owner(33, "0000000000000000"), Some(plain));
        assert_eq!(owner(33, "0000000001000000"), Some(Owner { exempt: true, ..plain }));
        assert!(owner(0, "0000000000000000").unwrap().exempt);
        assert!(owner(33, "000001ffffffffff").unwrap().admin);
    }
}
