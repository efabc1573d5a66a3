//! Walks file systems in memory, to tell in which directory they hold most.
//!
//! Their owners may put anything there, while leakwatch walks. So no link is followed, no file is
//! opened, no other file system entered, and depth, number and time are bounded.

use super::cut;
use super::mounts::MemoryMount;
use crate::core::balance::Details;
use crate::core::balance::directories::{Directories, Directory};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, fstat, openat, statat};
use std::collections::BTreeSet;
use std::os::fd::{AsFd, OwnedFd};

/// Entries looked at of one mount, and directories.
const MOST_ENTRIES: usize = 100_000;
const MOST_DIRECTORIES: usize = 20_000;
/// Levels below the mount point.
const DEEPEST: usize = 16;
/// Bytes of a block in st_blocks.
const BLOCK: u64 = 512;

/// Walks all of them.
pub(super) fn read(mounts: &[MemoryMount], go_on: &mut dyn FnMut() -> bool, details: &mut Details) {
    for mount in mounts {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let opened = mount.open().and_then(|found| openat(&found, ".", flags, Mode::empty()).ok());
        let Some(top) = opened else { continue };
        let all = directories(&mount.name, top, go_on);
        if all.is_cut {
            details.notes.push(format!(
                "{} holds more files than could be looked at: which directory holds most is told of a part",
                mount.name
            ));
        }
        details.directories.push(all);
    }
}

/// Where a walk stands.
struct Walk<'g> {
    device: u64,
    entries: usize,
    /// Files with several names, that they count once.
    linked: BTreeSet<u64>,
    all: Vec<Directory>,
    is_cut: bool,
    go_on: &'g mut dyn FnMut() -> bool,
}

/// The directories below `top`.
fn directories(name: &str, top: OwnedFd, go_on: &mut dyn FnMut() -> bool) -> Directories {
    let device = fstat(&top).map_or(0, |stat| stat.st_dev);
    let (linked, all) = (BTreeSet::new(), Vec::new());
    let mut walk = Walk { device, entries: 0, linked, all, is_cut: false, go_on };
    walk.enter(&top, String::new(), 0);
    Directories { mount: name.to_owned(), all: walk.all, is_cut: walk.is_cut }
}

impl Walk<'_> {
    fn enter(&mut self, at: &OwnedFd, path: String, depth: usize) {
        if self.all.len() >= MOST_DIRECTORIES || !(self.go_on)() {
            self.is_cut = true;
            return;
        }
        let Ok(entries) = Dir::read_from(at) else { return };
        let (mut bytes, mut largest, mut uid) = (0_u64, 0, 0);
        let mut below = Vec::new();
        for entry in entries.flatten() {
            if entry.file_name() == c"." || entry.file_name() == c".." {
                continue;
            }
            self.entries += 1;
            if self.entries > MOST_ENTRIES {
                self.is_cut = true;
                break;
            }
            let Ok(stat) = statat(at, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW) else {
                continue;
            };
            if stat.st_dev != self.device {
                continue;
            }
            if FileType::from_raw_mode(stat.st_mode) == FileType::Directory {
                below.push(entry.file_name().to_owned());
                continue;
            }
            if stat.st_nlink > 1 && !self.linked.insert(stat.st_ino) {
                continue;
            }
            let size = u64::try_from(stat.st_blocks).unwrap_or(0).saturating_mul(BLOCK);
            bytes = bytes.saturating_add(size);
            if size >= largest {
                (largest, uid) = (size, stat.st_uid);
            }
        }
        self.all.push(Directory { path: cut(&path), bytes, uid });
        if depth == DEEPEST {
            self.is_cut |= !below.is_empty();
            return;
        }
        for name in below {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let Ok(next) = openat(at.as_fd(), &*name, flags, Mode::empty()) else { continue };
            // It may have been replaced since.
            if fstat(&next).is_ok_and(|stat| stat.st_dev == self.device) {
                self.enter(&next, format!("{path}/{}", name.to_string_lossy()), depth + 1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn walk(dir: &std::path::Path, most: usize) -> Directories {
        let top = OwnedFd::from(fs::File::open(dir).unwrap());
        let mut left = most;
        directories("tmpfs /x", top, &mut || {
            left = left.saturating_sub(1);
            left > 0
        })
    }

    #[test]
    fn the_directory_that_grows_is_found_and_links_lead_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let spool = dir.path().join("a/spool");
        fs::create_dir_all(&spool).unwrap();
        fs::create_dir(dir.path().join("b")).unwrap();
        symlink("/", dir.path().join("b/root")).unwrap();
        fs::write(dir.path().join("b/old"), vec![1; 50_000]).unwrap();
        let before = walk(dir.path(), 1000);
        fs::write(spool.join("1"), vec![1; 400_000]).unwrap();
        fs::hard_link(spool.join("1"), spool.join("2")).unwrap();
        let after = walk(dir.path(), 1000);
        assert_eq!(after.all.len(), 4);
        let grown = after.grown_since(&before).unwrap();
        assert_eq!(grown.path, "/a/spool");
        assert!((400_000..450_000).contains(&grown.bytes), "a hard link counts once: {grown:?}");
        assert_eq!(grown.uid, Some(rustix::process::getuid().as_raw()));
    }

    #[test]
    fn a_walk_that_takes_too_long_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..10 {
            fs::create_dir(dir.path().join(n.to_string())).unwrap();
        }
        let cut = walk(dir.path(), 4);
        assert!(cut.is_cut && cut.all.len() < 10, "{cut:?}");
        let mut deep = dir.path().to_owned();
        (0..30).for_each(|_| deep.push("d"));
        fs::create_dir_all(&deep).unwrap();
        assert!(walk(dir.path(), 1000).is_cut);
    }
}
