//! Profiles: what is remembered of a program's runs, from one start of leakwatch to the next.

use crate::core::model::process::Comm;

/// What is remembered of the runs of a program under one parent that ended by themselves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// The program's name.
    pub comm: Comm,
    /// Its parent's name.
    pub parent: Comm,
    /// The highest footprint of all runs, in bytes.
    pub peak: u64,
    /// The longest that one was watched, in seconds.
    pub longest_s: f64,
}
