//! What each file system in memory holds, for every sample of a watch.

use super::mounts;
use super::mounts::MemoryMount;
use crate::core::model::ceiling::Place;
use crate::core::model::memory_line::LineKind;
use crate::core::model::sample::MemoryUse;
use crate::core::model::units::MIB;
use std::path::{Path, PathBuf};

/// Mounts told: those that hold most.
const MOST: usize = 16;
/// They are read again once shared memory as a whole has changed by so much: each costs 4 µs.
const CHANGED: u64 = MIB;
/// The mounts are looked for again in one of so many samples, if they are to be read in it.
const FIND: u32 = 64;

/// The file systems in memory that leakwatch itself sees.
#[derive(Debug)]
pub(in crate::system) struct MountUses {
    procfs: Option<PathBuf>,
    mounts: Vec<MemoryMount>,
    /// The tick in which they were looked for.
    found: Option<u32>,
    /// Shared memory when they were last read.
    shared: u64,
    uses: Vec<MemoryUse>,
}

impl MountUses {
    /// Those of the procfs at that place, if it is `own`: another machine's cannot be reached.
    pub(in crate::system) fn new(procfs: &Path, own: bool) -> Self {
        let procfs = own.then(|| procfs.to_owned());
        Self { procfs, mounts: Vec::new(), found: None, shared: 0, uses: Vec::new() }
    }

    /// Adds what they hold; `shared` is shared memory as a whole.
    pub(in crate::system) fn read(&mut self, tick: u32, shared: u64, out: &mut Vec<MemoryUse>) {
        let Some(procfs) = &self.procfs else { return };
        if self.found.is_none() || shared.abs_diff(self.shared) >= CHANGED {
            if self.found.is_none_or(|found| tick.wrapping_sub(found) >= FIND) {
                self.mounts = mounts::find_own(procfs);
                self.found = Some(tick);
            }
            self.shared = shared;
            self.uses.clear();
            self.uses.extend(self.mounts.iter().filter_map(of_mount));
            self.uses.sort_unstable_by_key(|of| std::cmp::Reverse(of.bytes));
            self.uses.truncate(MOST);
        }
        out.extend_from_slice(&self.uses);
    }
}

fn of_mount(mount: &MemoryMount) -> Option<MemoryUse> {
    let (bytes, _) = mount.usage()?;
    let part = Place::new(&mount.name);
    let of = MemoryUse { place: Place::NONE, kind: LineKind::SharedMemory, part, bytes };
    (bytes > 0).then_some(of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_mount_is_read_again_once_shared_memory_has_changed() {
        let Ok(mut file) = tempfile::NamedTempFile::new_in("/dev/shm") else { return };
        file.write_all(b"not empty").unwrap();
        let mut mounts = MountUses::new(Path::new("/proc"), true);
        let read = |mounts: &mut MountUses, tick, shared| {
            let mut uses = Vec::new();
            mounts.read(tick, shared, &mut uses);
            let shm = Place::new("tmpfs /dev/shm");
            uses.into_iter().find(|of| of.part == shm).map(|of| of.bytes)
        };
        if read(&mut mounts, 1, 0).is_none() {
            return;
        }
        mounts.uses.iter_mut().for_each(|of| of.bytes = 7);
        assert_eq!(read(&mut mounts, 2, CHANGED - 1), Some(7), "nothing says that it changed");
        assert_ne!(read(&mut mounts, 3, CHANGED), Some(7));
    }

    #[test]
    fn a_foreign_procfs_has_mounts_that_cannot_be_reached() {
        let mut uses = Vec::new();
        MountUses::new(Path::new("/proc"), false).read(1, 1 << 30, &mut uses);
        assert_eq!(uses, []);
    }
}
