//! Reads what the balance sheet is made of: counters of the machine and of cgroups, file systems in
//! memory, shared segments, slab, and who holds files that have no name any more.
//!
//! As root this looks into files of everybody. What others control is text and bounded: names are
//! cut, directories and processes are counted up to a most, nothing is waited for, and no file's
//! contents are opened.

mod cgroup;
mod counters;
mod holders;
mod mount_uses;
mod mounts;
mod segments;
mod slab;
mod walk;

use crate::core::balance::{Details, Reading};
use crate::system::ceilings::hierarchy::Hierarchy;
use std::path::{Path, PathBuf};

pub(in crate::system) use counters::sockets;
pub(in crate::system) use mount_uses::MountUses;

/// The longest name kept, in bytes.
const NAME_MAX: usize = 200;

/// Reads a machine's balance.
#[derive(Debug)]
pub struct BalanceReader {
    procfs: PathBuf,
    sysfs: PathBuf,
    hierarchy: Hierarchy,
    mounts: Vec<mounts::MemoryMount>,
    page_size: u64,
}

impl BalanceReader {
    /// Of the procfs at that place; `sysfs` stands for /sys.
    pub fn new(procfs: &Path, sysfs: Option<&Path>) -> Self {
        Self {
            procfs: procfs.to_owned(),
            sysfs: sysfs.unwrap_or(Path::new("/sys")).to_owned(),
            hierarchy: Hierarchy::new(procfs, sysfs),
            // Those of other namespaces come with the details: to find them takes a look at every process.
            mounts: mounts::find_own(procfs),
            page_size: procfs::page_size(),
        }
    }

    /// Bytes of a page.
    pub fn page_size(&self) -> f64 {
        self.page_size as f64
    }

    /// The counters and what is cheap to read, with the cgroups of these processes.
    pub fn read(&self, pids: &[u32]) -> Reading {
        let mut parts = mounts::parts(&self.mounts);
        parts.extend(segments::parts(&self.procfs));
        Reading {
            counters: counters::read(&self.procfs, &self.sysfs, self.page_size),
            parts,
            cgroups: cgroup::read(&self.hierarchy, pids),
        }
    }

    /// What is costly to read, as long as `go_on` says so.
    pub fn details(&mut self, go_on: &mut dyn FnMut() -> bool) -> Details {
        self.mounts = mounts::find(&self.procfs);
        let mut details = Details::default();
        slab::read(&self.procfs, &self.sysfs, self.page_size, &mut details);
        holders::read(&self.procfs, &self.mounts, go_on, &mut details);
        walk::read(&self.mounts, go_on, &mut details);
        details
    }
}

/// A name that others chose, cut.
fn cut(name: &str) -> String {
    name.get(..name.floor_char_boundary(NAME_MAX)).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests;
