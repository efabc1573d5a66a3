//! leakwatch, a memory-leak watchdog.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod assessment;
pub mod sample;
pub mod units;
