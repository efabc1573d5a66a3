//! Hierarchy: where a controller's cgroups are mounted, and which of them bind a process.

use procfs::process::{MountInfo, MountInfos};
use procfs::{FromRead, ProcessCGroups};
use std::path::{Path, PathBuf};

/// Where to find the cgroups of processes.
#[derive(Debug)]
pub(in crate::system) struct Hierarchy {
    procfs: PathBuf,
    mounts: Vec<MountInfo>,
    /// Stands for `/sys` in the paths of mounts.
    sysfs: Option<PathBuf>,
    own: PathBuf,
}

/// The version of the interface that serves a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::system) enum Version {
    V1,
    V2,
}

/// A cgroup directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::system) struct Dir {
    /// Which files it has.
    pub(in crate::system) version: Version,
    /// Where it is.
    pub(in crate::system) path: PathBuf,
    /// Its name within the hierarchy, as `/proc/PID/cgroup` has it.
    pub(in crate::system) place: String,
}

impl Hierarchy {
    pub(in crate::system) fn new(procfs: &Path, sysfs: Option<&Path>) -> Self {
        // A procfs that is not ours has mounts that are not ours: those of its first process.
        let of = |pid: &str| MountInfos::from_file(procfs.join(pid).join("mountinfo")).ok();
        let foreign = if procfs == Path::new("/proc") { None } else { of("1") };
        let mounts = foreign.or_else(|| of("self")).map_or(Vec::new(), |infos| infos.0);
        Self {
            procfs: procfs.to_owned(),
            mounts,
            sysfs: sysfs.map(Path::to_owned),
            own: procfs.join("self/cgroup"),
        }
    }

    /// Whether a container's meminfo is written by lxcfs.
    pub(in crate::system) fn has_lxcfs(&self) -> bool {
        self.mounts.iter().any(|m| m.fs_type == "fuse.lxcfs" && m.mount_point.ends_with("meminfo"))
    }

    /// Whether the topmost cgroup that can be seen is not the topmost there is: the true root of a
    /// version 2 hierarchy has no `cgroup.type`, the root of a namespace has.
    pub(in crate::system) fn is_cut_off(&self) -> bool {
        let top = |m: &MountInfo| self.place_of(m, Path::new("")).join("cgroup.type").exists();
        self.mounts.iter().any(|m| m.fs_type == "cgroup2" && top(m))
    }

    /// The cgroups of a controller that bind process `pid`, innermost first.
    pub(in crate::system) fn of(&self, pid: u32, controller: &str) -> Vec<Dir> {
        self.find(&self.procfs.join(pid.to_string()).join("cgroup"), controller)
    }

    /// Whether a controller's cgroups can be seen.
    pub(in crate::system) fn serves(&self, controller: &str) -> bool {
        !self.find(&self.own, controller).is_empty()
    }

    fn find(&self, file: &Path, controller: &str) -> Vec<Dir> {
        let find = || {
            let groups = ProcessCGroups::from_file(file).ok()?;
            let named = groups.0.iter().find(|g| g.controllers.iter().any(|c| c == controller));
            let (group, version) = match named {
                Some(group) => (group, Version::V1),
                None => (groups.0.iter().find(|g| g.hierarchy == 0)?, Version::V2),
            };
            let mount = self.mounts.iter().find(|m| match version {
                Version::V1 => m.fs_type == "cgroup" && m.super_options.contains_key(controller),
                Version::V2 => m.fs_type == "cgroup2",
            })?;
            // Without a cgroup namespace of its own, a container's mount shows a part of the tree.
            let path = Path::new(&group.pathname);
            let inside = path.strip_prefix(&mount.root).unwrap_or(Path::new(""));
            let inside = inside.strip_prefix("/").unwrap_or(inside);
            let up = inside.ancestors().map(|path| Dir {
                version,
                path: self.place_of(mount, path),
                place: format!("/{}", path.display()),
            });
            Some(up.collect())
        };
        find().unwrap_or_default()
    }

    fn place_of(&self, mount: &MountInfo, inside: &Path) -> PathBuf {
        let at = &mount.mount_point;
        let at = match (&self.sysfs, at.strip_prefix("/sys")) {
            (Some(sysfs), Ok(below)) => sysfs.join(below),
            _ => at.clone(),
        };
        at.join(inside)
    }
}
