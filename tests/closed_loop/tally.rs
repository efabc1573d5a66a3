//! Tally: what a run is judged by.

/// Counts of one run.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// Processes that the kernel killed for want of memory: leakers and healthy ones.
    pub killed: u32,
    /// Of those, healthy ones.
    pub killed_healthy: u32,
    /// Healthy processes that the watchdog ended.
    pub healthy: u32,
    /// Leaking processes that it ended.
    pub leakers: u32,
    /// Of these and of those, the ones that it came to regret.
    pub regretted_healthy: u32,
    pub regretted_leakers: u32,
    /// Requests that it cut.
    pub cut: u32,
    /// Signals that it sent to what must not be ended, or not thus.
    pub forbidden: u32,
    /// The least that was left, as a share of the limit.
    pub lowest: f64,
    /// Looks that it took.
    pub looks: u32,
}

/// What happened when, for those who want to know why.
#[derive(Clone, Debug)]
pub struct Entry {
    pub t: f64,
    /// The signal, or the kernel.
    pub what: &'static str,
    /// The reason that the policy gave.
    pub why: &'static str,
    pub worker: usize,
    pub held: f64,
    /// The least that was left below any limit.
    pub left: f64,
}
