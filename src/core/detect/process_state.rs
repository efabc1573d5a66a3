//! All that is known of one living process, for policy and reports to read.

use crate::core::model::process::{Comm, ProcId};
use crate::core::model::profile::RunOwner;
use crate::core::model::verdict::{Evidence, Verdict};
use crate::core::servers::Server;
use crate::core::worker_pool::{WorkerPool, WorkerPoolKind};

/// A living process after the last sample.
#[derive(Clone, Debug, PartialEq)]
pub struct ProcessState {
    /// Its identity.
    pub id: ProcId,
    /// Its name now.
    pub comm: Comm,
    /// Whose run it is, as far as that is known.
    pub owner: RunOwner,
    /// Its parent when first seen, init and processes outside the sample excepted.
    pub parent: Option<ProcId>,
    /// What it has in common with its siblings in its pool.
    pub pool_kind: WorkerPoolKind,
    /// The server that it works for, as far as its program is known.
    pub server: &'static Server,
    /// Whether that parent still lives.
    pub parent_alive: bool,
    /// The root of its tree; itself if it is one.
    pub root: ProcId,
    /// Number of its living children.
    pub children: u32,
    /// Bytes that only its exit gives back, now.
    pub footprint: u64,
    /// The same when first seen: what a child inherited is not its growth.
    pub first_footprint: u64,
    /// Resident bytes now.
    pub rss: u64,
    /// Its age in seconds; since first sight where the true age is not known.
    pub age_s: f64,
    /// Samples that it was in.
    pub samples: u32,
    /// What is known of its growth.
    pub verdict: Verdict,
    /// Whether it grows, whatever the cause, on evidence long enough to order it to end where memory
    /// is in danger. Orders follow this, never the word `leaking`, which may be said later or never.
    pub endangers: bool,
    /// The longest window of long steady growth, else the longest of any steady growth.
    pub evidence: Option<Evidence>,
    /// The window that may justify ending it: the largest growth that CPU use neither explains nor
    /// hides, if the process takes a real part of what is lost.
    pub kill_evidence: Option<Evidence>,
    /// Whether what its windows show is set aside because earlier runs of its program grew so, and
    /// came to their end.
    pub as_earlier_run: bool,
    /// Its threads, at least 1.
    pub threads: u32,
    /// The proof that it starts threads which never end.
    pub thread_leak: Option<Evidence>,
    /// Seconds since it last used any CPU time, as far as it was watched; 0 while it does.
    pub idle_s: f64,
    /// Its last footprints.
    pub recent: RecentFootprints,
}

impl ProcessState {
    /// The pool that it belongs to.
    pub fn pool(&self) -> WorkerPool {
        WorkerPool { parent: self.parent, kind: self.pool_kind }
    }

    /// Whether it leaks memory or threads.
    pub fn leaks(&self) -> bool {
        self.verdict == Verdict::Leaking || self.thread_leak.is_some()
    }
}

/// The last footprints of a process with their times, oldest first.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct RecentFootprints {
    points: [(f64, u64); Self::LEN],
    len: usize,
}

impl RecentFootprints {
    /// How many are kept.
    pub const LEN: usize = 5;

    /// Adds the newest.
    pub fn push(&mut self, t: f64, footprint: u64) {
        if self.len == Self::LEN {
            self.points.copy_within(1.., 0);
            self.len -= 1;
        }
        self.points[self.len] = (t, footprint);
        self.len += 1;
    }

    /// Time in seconds and footprint in bytes, oldest first.
    pub fn points(&self) -> &[(f64, u64)] {
        &self.points[..self.len]
    }
}
