//! File systems in memory: every tmpfs that some process sees, each once.

use super::cut;
use crate::core::balance::Part;
use crate::core::model::memory_line::LineKind;
use crate::system::foreign_file::find_below;
use procfs::FromRead;
use procfs::process::{MountInfo, MountInfos};
use rustix::fs::{fstat, fstatvfs};
use std::collections::BTreeSet;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

/// Mount namespaces and mounts looked at.
const MOST_NAMESPACES: usize = 64;
const MOST_MOUNTS: usize = 256;
/// Mounts above a tmpfs.
const DEEPEST: usize = 32;
/// A path is followed only through file systems that answer by themselves: a server that is away
/// (NFS, FUSE) would hold leakwatch up.
const ANSWERS: [&str; 21] = [
    "tmpfs", "devtmpfs", "rootfs", "ext2", "ext3", "ext4", "xfs", "btrfs", "zfs", "f2fs",
    "overlay", "squashfs", "erofs", "sysfs", "proc", "ramfs",
    // The roots of user-mode Linux and of OpenVZ's containers, and rarer disks.
    "hostfs", "simfs", "bcachefs", "reiserfs", "jfs",
];

/// A tmpfs, and how it is reached.
#[derive(Debug)]
pub(super) struct MemoryMount {
    /// Its device.
    pub(super) device: u64,
    /// What it is called: "tmpfs /dev/shm".
    pub(super) name: String,
    /// The root of a process that sees it.
    root: PathBuf,
    /// Where it is below that root.
    point: PathBuf,
}

impl MemoryMount {
    /// The mount itself, without opening it; none where another covers it.
    pub(super) fn open(&self) -> Option<OwnedFd> {
        let found = find_below(&self.root, &self.point).ok()?;
        (fstat(&found).ok()?.st_dev == self.device).then_some(found)
    }

    /// Bytes that it has, and may have.
    pub(super) fn usage(&self) -> Option<(u64, u64)> {
        let of = fstatvfs(self.open()?).ok()?;
        let bytes = |blocks: u64| blocks.saturating_mul(of.f_frsize);
        Some((bytes(of.f_blocks.saturating_sub(of.f_bfree)), bytes(of.f_blocks)))
    }
}

/// Finds them: those of our own mount namespace, and those of other processes' beside.
pub(super) fn find(procfs: &Path) -> Vec<MemoryMount> {
    let mut pids: Vec<String> = std::iter::once("self".to_owned()).collect();
    let names = std::fs::read_dir(procfs).into_iter().flatten().flatten();
    let mut others: Vec<u32> =
        names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
    others.sort_unstable();
    pids.extend(others.iter().map(u32::to_string));
    find_of(procfs, &pids)
}

/// Those of our own mount namespace alone.
pub(super) fn find_own(procfs: &Path) -> Vec<MemoryMount> {
    find_of(procfs, &["self".to_owned()])
}

fn find_of(procfs: &Path, pids: &[String]) -> Vec<MemoryMount> {
    let mut found: Vec<MemoryMount> = Vec::new();
    let mut namespaces = BTreeSet::new();
    let users = std::fs::read_link(procfs.join("self/ns/user")).ok();
    for pid in pids {
        let dir = procfs.join(pid);
        let Ok(namespace) = std::fs::read_link(dir.join("ns/mnt")) else { continue };
        // In a user namespace of his own a user mounts what he likes, also a server that never answers.
        if pid != "self" && std::fs::read_link(dir.join("ns/user")).ok() != users {
            continue;
        }
        if namespaces.len() >= MOST_NAMESPACES || !namespaces.insert(namespace) {
            continue;
        }
        let Ok(MountInfos(mounts)) = MountInfos::from_file(dir.join("mountinfo")) else { continue };
        let whose = if pid == "self" { None } else { comm(&dir) };
        let root = if pid == "self" { PathBuf::from("/") } else { dir.join("root") };
        for mount in &mounts {
            let is_memory = ["tmpfs", "devtmpfs"].contains(&mount.fs_type.as_str());
            let Some(device) = device(&mount.majmin).filter(|_| is_memory) else { continue };
            let is_known = found.iter().any(|known| known.device == device);
            if is_known || found.len() >= MOST_MOUNTS || !answers(mount, &mounts) {
                continue;
            }
            let of = whose.as_ref().map_or(String::new(), |comm| format!(" of {comm}[{pid}]"));
            let name = cut(&format!("{} {}{of}", mount.fs_type, mount.mount_point.display()));
            let point = mount.mount_point.clone();
            let mount = MemoryMount { device, name, root: root.clone(), point };
            // One that another covers is reached by no path.
            if mount.usage().is_some() {
                found.push(mount);
            }
        }
    }
    found
}

/// What each of them holds.
pub(super) fn parts(mounts: &[MemoryMount]) -> Vec<Part> {
    let part = |mount: &MemoryMount| {
        let (bytes, limit) = mount.usage()?;
        Some(Part {
            of: LineKind::SharedMemory,
            name: mount.name.clone(),
            bytes,
            limit: (limit > 0).then_some(limit),
            note: String::new(),
        })
    };
    mounts.iter().filter_map(part).collect()
}

/// Whether no file system on the way to a mount may keep us waiting.
fn answers(mount: &MountInfo, all: &[MountInfo]) -> bool {
    let mut above = mount;
    for _ in 0..DEEPEST {
        if !ANSWERS.contains(&above.fs_type.as_str()) {
            return false;
        }
        let parent =
            all.iter().find(|other| other.mnt_id == above.pid && other.mnt_id != above.mnt_id);
        match parent {
            Some(parent) => above = parent,
            None => return true,
        }
    }
    false
}

/// The device number of "0:23".
fn device(majmin: &str) -> Option<u64> {
    let (major, minor) = majmin.split_once(':')?;
    Some(rustix::fs::makedev(major.parse().ok()?, minor.parse().ok()?))
}

/// The name of a process.
pub(super) fn comm(dir: &Path) -> Option<String> {
    let name = std::fs::read(dir.join("comm")).ok()?;
    Some(String::from_utf8_lossy(name.strip_suffix(b"\n").unwrap_or(&name)).into_owned())
}
