//! Needles: what is searched for in a log. Only a line that has one is read.

use super::super::languages;
use super::table::WORDINGS;
use super::wording::{Proof, Who, Wording, has};

/// What every kernel line that proves something has, in the words of [`KernelLine`].
const KERNEL: [&str; 10] = [
    "fork rejected",
    "page allocation failure",
    "illed process",
    "Kill process",
    " killing process",
    "kill process",
    "Kernel panic - not syncing",
    "Fatal resource shortage",
    "oom-kill:constraint=",
    // In the words of kubelet: "System OOM encountered", "Created an OOM event".
    " OOM e",
];

/// Part of the words for EAGAIN, which the search looks for also where no row has it.
const UNAVAILABLE: &str = "rily unavailable";
/// What is told of ends by signal 9, or by a supervisor for memory, that no row has.
const ENDS: [&str; 3] = ["signal: killed", "memory limit", "to memory pressure"];

/// Parts of wordings that are rare in logs: searched for in place of a wording that has one. A wording
/// that has none is searched for as it is. They make the search fast: whole wordings are two to three
/// times slower (300 instead of 800 MB/s), since many begin like common words ("error", "code").
const RARE_PARTS: [&str; 62] = [
    "fork",
    "Fork",
    "FORK",
    "ut of memory",
    "ut Of Memory",
    "annot allocate ",
    UNAVAILABLE,
    "rrno 12",
    "(12: ",
    "ailed to allocate ",
    "emory allocation",
    "insufficient memory",
    "memory exhausted",
    "oom-kill",
    "oom_kill event",
    "oomd killed",
    "allocation failure",
    "MemoryError",
    "bad_alloc",
    "rror=12",
    "rrno=12",
    "rror=11",
    "ENOMEM",
    "enomem",
    "EAGAIN",
    "child process: 1",
    "pawn ",
    "clone",
    "posix_spawn",
    "pthread_create",
    "thread_create",
    "hread creation",
    "create a new thread",
    "reate thread",
    "reate Thread",
    "reate process",
    "reate new process",
    "create new OS thread",
    "start new thread",
    "native thread",
    "worker thread",
    "signal 9",
    "signal=9",
    "signal:9",
    "SIGKILL",
    "9/KILL",
    "Killed",
    " killing",
    "code 137",
    "server reached ",
    "FATAL state",
    "in process table",
    "unable to change to uid",
    "scheduler thread",
    "evict pod(s)",
    "return code -9",
    "OutOfMemoryException",
    "resource shortage",
    "ending SIGTERM to",
    "rror creating thread",
    "create child process",
    "ailed to run ",
];

/// The texts of which every line that matters has one: what the search looks for.
pub(in crate::diagnose::evidence::logs) fn needles() -> Vec<&'static str> {
    let proving = WORDINGS.iter().filter(|wording| !matches!(wording.proves, Proof::Nothing));
    let kernel = KERNEL.map(|text| needle(&has(text, Proof::Nothing, Who::Tag)));
    let mut needles: Vec<&str> = proving.map(needle).chain(kernel).collect();
    needles.push(UNAVAILABLE);
    needles.extend(ENDS);
    needles.extend(languages::NEEDLES);
    needles.sort_unstable();
    needles.dedup();
    // What has another needle in it is found by that one.
    let all = needles.clone();
    needles.retain(|needle| !all.iter().any(|other| other != needle && needle.contains(other)));
    needles
}

/// What the search looks for: a rare part of it, else its longest text.
fn needle(wording: &Wording) -> &'static str {
    let texts = [wording.begins, wording.has, wording.ends];
    let is_part = |part: &&str| texts.iter().any(|text| text.contains(part));
    let longest = || texts.into_iter().max_by_key(|text| text.len());
    RARE_PARTS.into_iter().find(is_part).or_else(longest).unwrap_or_default()
}
