//! A process: its identity, its name, and its figures in one sample.

use std::fmt;

/// A process's identity: a pid alone comes round again, a pid with its start time does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcId {
    /// Process id.
    pub pid: u32,
    /// Field 22 of /proc/PID/stat: clock ticks between boot and the start of the process.
    pub start: u64,
}

/// A command name as the kernel keeps it: at most 15 bytes, any bytes.
///
/// [`fmt::Display`] writes it safe for a terminal: control and non-ASCII bytes are escaped.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Comm {
    bytes: [u8; Self::MAX],
    len: u8,
}

impl Comm {
    /// `TASK_COMM_LEN` of linux/sched.h without its final NUL.
    pub const MAX: usize = 15;

    /// Keeps the first 15 bytes of `name`, as the kernel does.
    pub fn new(name: &[u8]) -> Self {
        let mut comm = Self::default();
        for (slot, byte) in comm.bytes.iter_mut().zip(name) {
            *slot = *byte;
        }
        comm.len = name.len().min(Self::MAX) as u8;
        comm
    }

    /// The name's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or(&self.bytes)
    }
}

impl fmt::Display for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_bytes().iter().try_for_each(|b| write!(f, "{}", b.escape_ascii()))
    }
}

impl fmt::Debug for Comm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// One process in one sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Proc {
    /// Its identity.
    pub id: ProcId,
    /// Its parent's pid now; 1 or 0 once the parent is gone.
    pub ppid: u32,
    /// Its command name.
    pub comm: Comm,
    /// Resident set in bytes: RssAnon + RssFile + RssShmem.
    pub rss: u64,
    /// RssAnon in bytes; absent where the kernel (or the recording) does not tell it.
    pub anon: Option<u64>,
    /// VmSwap in bytes.
    pub swap: u64,
    /// CPU time used so far, user and system, in seconds.
    pub cpu_s: f64,
    /// Its threads, at least 1.
    pub threads: u32,
}

impl Proc {
    /// What only exit gives back, in bytes: RssAnon + VmSwap, or RSS + VmSwap where RssAnon is not
    /// known (it then includes file pages and can only be too large).
    pub fn footprint(&self) -> u64 {
        self.anon.unwrap_or(self.rss).saturating_add(self.swap)
    }
}

/// What does not change while a process runs a program; in the first sample that has the process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// The process that runs it.
    pub id: ProcId,
    /// Path of the executable; empty where it may not be read.
    pub exe: String,
    /// Command line or title, arguments joined by blanks, at most 200 bytes.
    pub title: String,
    /// Number of threads when first seen.
    pub threads: u32,
    /// Made by fork without exec: it runs its parent's program image.
    pub forked: bool,
    /// Whether this leakwatch may signal it; `None` where that was not tried.
    pub permitted: Option<bool>,
    /// The user who started it; `None` where that is not known.
    pub uid: Option<u32>,
    /// Its unit or container as people name it; `None` of what belongs to none.
    pub unit: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_shown_harmless() {
        assert_eq!(Comm::new(b"a) Z (\n\x1b[31m").to_string(), "a) Z (\\n\\x1b[31m");
    }

    #[test]
    fn a_name_is_cut_at_fifteen_bytes_as_the_kernel_does() {
        assert_eq!(Comm::new(b"a-name-of-twenty-one-").to_string(), "a-name-of-twent");
    }

    #[test]
    fn swapping_out_leaves_the_footprint_as_it_is() {
        let proc = |anon, swap| Proc {
            id: ProcId { pid: 1, start: 1 },
            ppid: 0,
            comm: Comm::new(b"x"),
            rss: anon + 7,
            anon: Some(anon),
            swap,
            cpu_s: 0.0,
            threads: 1,
        };
        assert_eq!(proc(100, 0).footprint(), proc(20, 80).footprint());
    }
}
