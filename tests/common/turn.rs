//! Turn: at most so many at a time of the tests that need much of the processors.
//!
//! A test takes its turn before it starts anything, since what it measures and awaits begins there;
//! and takes one only, or two that have one each could wait for each other.

use std::sync::{Condvar, Mutex};

/// For each processor. Small machines that boot and serve take a sixth to a third of one: of 24 tests
/// at once on two processors six failed, all of them such or beside such.
const EACH: usize = 3;

static TAKEN: Mutex<usize> = Mutex::new(0);
static GIVEN_BACK: Condvar = Condvar::new();

/// A turn, until it is dropped.
pub struct Turn(());

impl Turn {
    /// Waits for one.
    pub fn take() -> Self {
        let all = EACH * std::thread::available_parallelism().map_or(1, usize::from);
        let taken = TAKEN.lock().unwrap();
        *GIVEN_BACK.wait_while(taken, |taken| *taken >= all).unwrap() += 1;
        Self(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        *TAKEN.lock().unwrap() -= 1;
        GIVEN_BACK.notify_one();
    }
}
