//! Words: how programs say that they failed, at what, and what they write before what others chose.

/// How a failure begins, behind which a verb follows.
pub(in super::super) const FAILED_TO: [&str; 14] = [
    "failed to ",
    "fail to ",
    "failure to ",
    "cannot ",
    "can't ",
    "can not ",
    "could not ",
    "couldn't ",
    "unable to ",
    "not able to ",
    "error while ",
    "error ",
    "failed ",
    "problem ",
];
/// What such verbs begin with: to fork, forking.
pub(super) const FORKS: [&str; 3] = ["fork", "vfork", "spawn"];
/// The same of making something, which may be a process or a thread.
pub(super) const MAKES: [&str; 7] = ["creat", "start", "launch", "mak", "begin", "run", "initiali"];
/// The same of what takes memory.
pub(super) const TAKES_MEMORY: [&str; 29] = [
    "alloc",
    "malloc",
    "calloc",
    "realloc",
    "mmap",
    "map",
    "mremap",
    "init",
    "creat",
    "set",
    "reserv",
    "grow",
    "extend",
    "resiz",
    "expand",
    "prepar",
    "construct",
    "duplicat",
    "dup",
    "clon",
    "write",
    "writ",
    "print",
    "flush",
    "insert",
    "enqueu",
    "register",
    "mount",
    "exec",
];
/// What a process or thread is called.
pub(super) const TASKS: [&str; 16] = [
    "thread",
    "threads",
    "process",
    "processes",
    "subprocess",
    "child",
    "children",
    "worker",
    "workers",
    "helper",
    "helpers",
    "fork",
    "forks",
    "daemon",
    "goroutine",
    "pthread",
];
/// System calls and functions that make a process or thread; a user's process limit also fails the last.
pub(super) const CALLS: [&str; 12] = [
    "fork",
    "pthread_create",
    "posix_spawn",
    "thread_create",
    "create_thread",
    "createthread",
    "thread.create",
    "thread_resource",
    "popen",
    "setuid",
    "setresuid",
    "setreuid",
];
/// Words that what is meant stands before.
pub(super) const PREPOSITIONS: [&str; 14] = [
    "in", "of", "for", "on", "to", "from", "by", "with", "at", "into", "after", "because", "as",
    "due",
];
/// Further words before what others chose. At the end of a piece nothing of theirs follows.
pub(super) const OF_OTHERS: [&str; 29] = [
    "file",
    "directory",
    "folder",
    "account",
    "channel",
    "room",
    "repository",
    "repo",
    "branch",
    "tag",
    "page",
    "item",
    "document",
    "group",
    "session",
    "client",
    "remote",
    "peer",
    "topic",
    "table",
    "database",
    "index",
    "key",
    "domain",
    "mailbox",
    "email",
    "mail",
    "ssid",
    "device",
];
/// Of what a program sets itself a limit.
pub(super) const BOUNDED: [&str; 12] = [
    "pool", "cache", "zone", "shared", "slab", "device", "arena", "heap", "quota", "limit",
    "region", "mempool",
];
