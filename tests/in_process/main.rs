//! Tests that need no other process: simulated worlds, recordings, generated files, and the layout of
//! the source. Programs are started in tests/end_to_end; allocations are counted in
//! tests/steady.rs and tests/soak.rs, which need a process each.
//!
//! ```text
//! cargo test --test in_process replay::     # one module
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

#[path = "../../examples/score/baselines.rs"]
mod baselines;
#[path = "../common/fake_proc.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "the others use the rest")]
mod fake_proc;
#[path = "../../examples/score/figures.rs"]
#[allow(dead_code, reason = "the example prints the rest")]
mod figures;
#[path = "../../examples/score/healthy_life.rs"]
#[allow(dead_code, clippy::print_stdout, reason = "the example prints it")]
mod healthy_life;
#[path = "../../examples/score/rules.rs"]
#[allow(dead_code, reason = "the example uses the rest")]
mod rules;
#[path = "../../examples/score/trends.rs"]
mod trends;
#[path = "../common/worlds.rs"]
#[allow(dead_code, unreachable_pub, missing_docs, reason = "private to the test crates")]
mod worlds;

mod circles;
mod garbage;
mod left_behind;
mod machines;
mod man;
mod orders;
mod outside;
mod reaping;
mod replay;
mod slow;
mod tasks;
mod tidy;
mod top;
