//! What starts things: leakwatch itself, servers that leak, small machines. One program and not one
//! for each module, since each would be compiled with the harness and linked anew; and most of
//! these tests wait, so many run at once (RUST_TEST_THREADS in .cargo/config.toml).
//!
//! ```text
//! cargo build --example leaky_prefork        # which `--test` alone does not build
//! cargo test --test end_to_end              # all
//! cargo test --test end_to_end apache::     # those of one module
//! ```
//!
//! The rules are in tests/common/mod.rs.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "the figures of a run, shown with --nocapture")]

#[path = "../common/mod.rs"]
mod common;

mod apache;
mod ceilings;
mod check;
mod config;
mod cron;
mod diagnose;
mod diagnose_cli;
mod diagnose_history;
mod documents;
mod emergency;
mod explain;
mod faults;
mod fork_failure;
mod forks;
mod harness;
mod hook;
mod hostile;
mod last_minute;
mod logs;
mod own;
mod package;
mod postgres;
mod prefork;
mod prometheus;
mod servers;
mod small_machine;
mod state;
mod systemd;
mod task_limits;
