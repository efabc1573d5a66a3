//! Tests that start things: leakwatch itself, servers that leak, small machines. They are one program,
//! since each program would be compiled with the harness and linked anew. Most of them wait, so many
//! run at once (RUST_TEST_THREADS in .cargo/config.toml).
//!
//! ```text
//! cargo build --example leaky_prefork      # which `--test` alone does not build
//! cargo test --test end_to_end             # what needs Rust and a C linker only
//! cargo test --test end_to_end apache:: -- --include-ignored    # all of one module
//! ```
//!
//! An ignored test takes a minute, or needs root or a package; `tests/all` installs the packages and
//! runs everything. The rules are in tests/common/mod.rs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the figures of a run, shown with --nocapture")]

#[path = "../common/mod.rs"]
mod common;

mod apache;
mod balance;
mod ceilings;
mod census;
mod check;
mod config;
mod container;
mod cron;
mod diagnose;
mod diagnose_cli;
mod diagnose_history;
mod documents;
mod emergency;
mod evidence;
mod explain;
mod faults;
mod foreign_recordings;
mod fork_failure;
mod forks;
mod hanging;
mod harness;
mod hook;
mod hook_examples;
mod hostile;
mod impostor;
mod in_force;
mod last_minute;
mod local_user;
mod logs;
mod monitoring;
mod one_worker;
mod own;
mod package;
mod postgres;
mod prefork;
mod prometheus;
mod reap;
mod requests;
mod servers;
mod small_machine;
mod spared;
mod state;
mod systemd;
mod systemd_as_init;
mod task_limits;
mod top;
mod unit_limits;
