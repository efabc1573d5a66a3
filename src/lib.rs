//! leakwatch, a memory-leak watchdog.
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

pub mod assessment;
pub mod clock;
pub mod command;
pub mod constants;
pub mod detector;
pub mod family;
pub mod floors;
pub mod forecast;
pub mod headroom;
pub mod outlook;
pub mod pool;
pub mod pools;
pub mod process;
pub mod recording;
pub mod report;
pub mod runs;
pub mod sample;
pub mod standing;
pub mod tree;
pub mod units;
pub mod verdict;
pub mod window;
