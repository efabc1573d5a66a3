//! Turn: at most so many at a time of the tests that need much of the processors.
//!
//! A test takes its turn before it starts anything, since what it measures and awaits begins there;
//! and takes one only, or two that have one each could wait for each other.

use std::time::Duration;

use super::claim::Claim;

/// For each processor. Small machines that boot and serve take a sixth to a third of one: of 24 tests
/// at once on two processors six failed, all of them such or beside such.
const EACH: usize = 2;

/// A turn, until it is dropped.
pub struct Turn(#[allow(dead_code, reason = "it is held")] Claim);

impl Turn {
    /// Waits for one.
    pub fn take() -> Self {
        let all = EACH * std::thread::available_parallelism().map_or(1, usize::from);
        loop {
            if let Some(claim) = (0..all).find_map(|nth| Claim::of(&format!("turn-{nth}"))) {
                return Self(claim);
            }
            // Another process may have the next that is given back, of which no event tells.
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}
