//! The harness of the tests that run things; the first line of each file says what it is for.
//!
//! Rules: a test reads as a sentence; it awaits events rather than sleeping; it never signals what
//! it did not start; and the whole suite passes when run twice at once, so every directory, port
//! and cgroup is the test's own.
//!
//! Many tests run in one process and share its environment, directory, limits and descriptors.
//! `again` gives a test a process of its own, `turn` its share of the processors, and `needs` fails
//! a test in one line when something is not installed.
#![allow(unreachable_pub, missing_docs, reason = "private to the tests")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a harness fails by panicking")]

pub mod again;
pub mod apache;
pub mod bystander;
pub mod cgroup;
pub mod claim;
pub mod cli;
pub mod events;
#[allow(dead_code, reason = "tests/in_process uses the rest")]
pub mod fake_proc;
pub mod foreground;
pub mod hanging_file;
pub mod impostor;
pub mod lines;
pub mod load;
pub mod logged;
pub mod needs;
pub mod past;
pub mod ports;
pub mod prefork;
pub mod process;
pub mod pty;
pub mod receiver;
pub mod service;
pub mod small_machine;
pub mod strace;
pub mod systemd;
pub mod told;
pub mod turn;
pub mod unit;
pub mod wait;
