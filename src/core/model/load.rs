//! What the machine waits for and what leakwatch itself uses, as read at one moment.

/// What leakwatch itself uses.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SelfUsage {
    /// CPU time so far, in seconds.
    pub cpu_s: f64,
    /// Resident bytes of its own (heap, stack).
    pub anon: u64,
    /// Resident bytes of files (program, libraries), which others may share.
    pub file: u64,
}

/// Percent of the last ten seconds in which some task waited for memory, a processor or disks (PSI,
/// `some avg10` of /proc/pressure); `None` where the kernel does not say (before Linux 4.20, or
/// switched off).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Pressure {
    /// For memory.
    pub memory: Option<f64>,
    /// For a processor.
    pub cpu: Option<f64>,
    /// For disks.
    pub io: Option<f64>,
}
