//! Prepares for the minute in which nothing works any more.
//!
//! Memory is locked, so that leakwatch is not swapped out when it is needed; oom_score_adj makes the
//! OOM killer take others first; a signal is rehearsed, so that a missing right shows at the start and
//! not at the end. Each failure is noted once, and nothing depends on it.

use crate::system::proc::parse;
use crate::system::signal;
use rustix::mm::{MlockAllFlags, mlockall};
use rustix::process::{Resource, getrlimit};
use std::fs;
use std::hint::black_box;

const SCORE: &str = "/proc/self/oom_score_adj";
/// CAP_IPC_LOCK of linux/capability.h.
const IPC_LOCK: u64 = 1 << 14;
/// oom_score_adj values tried, best first; without CAP_SYS_RESOURCE a process may go down
/// as far as it was ever set for it.
const SCORES: [i32; 5] = [-1000, -900, -500, -250, -100];
/// Bytes of stack touched, so that they are there: a tick uses 64 KiB.
const STACK: usize = 80 << 10;
/// Bytes of heap set aside, and of what lies on top of them. A new process needs 4 KiB of state.
const HEAP: usize = 2 << 20;
const TOP: usize = 512 << 10;
/// Bytes of it that a helper touches. Evidence of a process took 0.95 MiB, with a heap of 1 MB and of 111 MB.
const TOUCHED: usize = 1 << 20;

/// Prepares as far as allowed; returns a note for each failure.
pub fn prepare() -> Vec<String> {
    touch_stack();
    set_heap_aside();
    let mut missing = Vec::new();
    if let Err(why) = lock_memory() {
        missing.push(format!("its memory cannot be locked ({why})"));
    }
    if lower_score().is_none_or(|score| score > -500) {
        missing
            .push("the OOM killer may take it (oom_score_adj needs CAP_SYS_RESOURCE)".to_owned());
    }
    let mut notes = Vec::new();
    if !missing.is_empty() {
        notes.push(format!(
            "when memory runs out, leakwatch may be late: {}\n  hint: start it from a unit with OOMScoreAdjust= and CAP_IPC_LOCK, or as a root that has CAP_SYS_RESOURCE and CAP_IPC_LOCK",
            missing.join(", and ")
        ));
    }
    if let Err(errno) = signal::rehearse() {
        notes.push(format!(
            "a signal was rehearsed and refused ({errno}): no worker can be ended\n  hint: a seccomp filter or a container may forbid it"
        ));
    }
    notes
}

/// Prepares a helper that must work when memory has run out: what it takes is there and stays there. Unlike
/// the watch, it is no exception for the OOM killer.
pub fn stand_by() {
    undo_prepare();
    touch_stack();
    set_heap_aside();
    drop(black_box(vec![1_u8; TOUCHED]));
    // A limit in force is no harm: it may then be late.
    let _ = lock_memory();
}

/// MCL_ONFAULT (Linux 4.4): only what is touched; without it 64 MiB of unused mappings would
/// become resident (measured: 170 MB instead of 2.3 MB).
fn lock_memory() -> Result<(), String> {
    // With a limit in force a later allocation could fail, which is worse than a slow one.
    let unlimited = getrlimit(Resource::Memlock).current.is_none();
    if !unlimited && capabilities() & IPC_LOCK == 0 {
        return Err("needs CAP_IPC_LOCK or LimitMEMLOCK=infinity".to_owned());
    }
    let flags = MlockAllFlags::CURRENT | MlockAllFlags::FUTURE | MlockAllFlags::ONFAULT;
    mlockall(flags).map_err(|errno| errno.to_string())
}

/// The effective capabilities.
fn capabilities() -> u64 {
    parse::capabilities(&fs::read("/proc/self/status").unwrap_or_default())
}

/// Gives up the protection from the OOM killer, which children of leakwatch or its unit inherit: a
/// hook that grows must not outlive what leakwatch protects.
pub fn undo_prepare() {
    let score = fs::read_to_string(SCORE).unwrap_or_default();
    if score.trim().parse::<i32>().is_ok_and(|score| score < 0) {
        // Raising it is always allowed.
        let _ = fs::write(SCORE, "0");
    }
}

/// The score reached. A write that succeeds proves nothing: it is read back.
fn lower_score() -> Option<i32> {
    let read = || fs::read_to_string(SCORE).ok()?.trim().parse::<i32>().ok();
    let before = read()?;
    for score in SCORES.into_iter().filter(|score| *score < before) {
        if fs::write(SCORE, score.to_string()).is_ok() {
            break;
        }
    }
    read()
}

/// A heap that can still give when the kernel gives no more: under vm.overcommit_memory = 2, or at
/// RLIMIT_DATA, a failed allocation would end leakwatch. Measured at that limit: without it the first
/// 40 new processes did, with it 350 do not. Untouched, it costs a few pages.
fn set_heap_aside() {
    // An allocation that is never used would be optimised away.
    let allocate = |bytes| black_box(Vec::<u8>::with_capacity(bytes));
    // So large a one is a mapping of its own, and given back. Having freed one, glibc takes the next
    // from the heap (malloc(3), M_MMAP_THRESHOLD).
    drop(allocate(HEAP));
    let aside = allocate(HEAP);
    // Only the top of a heap is given back: this stays there.
    std::mem::forget(allocate(TOP));
    drop(aside);
}

#[inline(never)]
fn touch_stack() {
    black_box([0_u8; STACK]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_capabilities_are_those_of_the_status_file() {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        assert!(status.contains(&format!("CapEff:\t{:016x}", capabilities())));
    }
}
