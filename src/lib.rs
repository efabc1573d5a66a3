//! leakwatch, a memory-leak watchdog.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod action;
pub mod assessment;
pub mod machine;
pub mod probe;
pub mod sample;
pub mod units;
pub mod wait;
