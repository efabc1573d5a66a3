//! Ceilings: the limits that one tree has for itself, read each tick from kept descriptors.
//!
//! A memory cgroup's limit binds together with those of all its ancestors, so each that is finite
//! is a ceiling of its own. What counts as used leaves out the page cache, which the kernel drops
//! before it kills anybody: the working set, not the usage.

use super::parse::{named_line, number};
use super::procdir::read_kept;
use super::watched::Known;
use crate::sample::{Ceiling, CeilingKind, Proc, ProcId};
use procfs::process::MountInfos;
use procfs::{FromRead, ProcessCGroups};
use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The limits of all watched trees.
#[derive(Debug)]
pub(super) struct Ceilings {
    procfs: PathBuf,
    budget: Option<u64>,
    trees: Vec<Tree>,
}

#[derive(Debug)]
struct Tree {
    root: ProcId,
    groups: Vec<MemoryGroup>,
    members: usize,
    /// Footprint in bytes of the root, and of its descendants beyond what they inherited from it.
    own: u64,
}

impl Ceilings {
    pub(super) fn new(procfs: &Path, budget: Option<u64>) -> Self {
        Self { procfs: procfs.to_owned(), budget, trees: Vec::new() }
    }

    /// Reads every tree's limits into `out`, reusing its entries.
    pub(super) fn read(
        &mut self,
        procs: &[Proc],
        known: &BTreeMap<u32, Known>,
        out: &mut Vec<Ceiling>,
    ) {
        self.count(procs, known);
        let mut next = 0;
        let mut put = |kind, root, place: &str, used, limit| {
            match out.get_mut(next) {
                Some(slot) if slot.kind == kind && slot.root == root && slot.place == place => {
                    (slot.used, slot.limit) = (used, limit);
                }
                slot => {
                    let ceiling = Ceiling { kind, root, place: place.to_owned(), used, limit };
                    match slot {
                        Some(slot) => *slot = ceiling,
                        None => out.push(ceiling),
                    }
                }
            }
            next += 1;
        };
        for tree in &self.trees {
            for group in &tree.groups {
                if let Some((used, limit)) = group.read() {
                    put(CeilingKind::CgroupMemory, tree.root, &group.place, used, limit);
                }
            }
            if let Some(limit) = self.budget {
                put(CeilingKind::Budget, tree.root, "", tree.own, limit);
            }
        }
        out.truncate(next);
    }

    /// Finds new trees, forgets empty ones, and sums what each uses.
    fn count(&mut self, procs: &[Proc], known: &BTreeMap<u32, Known>) {
        for tree in &mut self.trees {
            (tree.members, tree.own) = (0, 0);
        }
        let root_of = |proc: &Proc| known.get(&proc.id.pid)?.watch.as_ref()?.root;
        for proc in procs {
            let Some(root) = root_of(proc) else { continue };
            if !self.trees.iter().any(|tree| tree.root == root) {
                let groups = memory_groups(&self.procfs, proc.id.pid);
                self.trees.push(Tree { root, groups, members: 0, own: 0 });
            }
            if let Some(tree) = self.trees.iter_mut().find(|tree| tree.root == root) {
                tree.members += 1;
                tree.own += proc.footprint();
            }
        }
        self.trees.retain(|tree| tree.members > 0);
        if self.budget.is_none() {
            return;
        }
        // A forked child starts with all of the root's RssAnon in its own, shared page for page.
        // Taking it off again understates by what copy-on-write has since made private, which is
        // at most the root's own size a child.
        for tree in &mut self.trees {
            let Some(root) = procs.iter().find(|p| p.id == tree.root) else { continue };
            let inherited = |p: &Proc| p.footprint().min(root.footprint());
            let members =
                procs.iter().filter(|p| root_of(p) == Some(tree.root) && p.id != tree.root);
            tree.own -= members.map(inherited).sum::<u64>();
        }
    }
}

/// A memory cgroup with a finite limit.
#[derive(Debug)]
struct MemoryGroup {
    place: String,
    limit: File,
    usage: File,
    stat: File,
    /// The counters of memory.stat that the kernel can drop without killing.
    droppable: &'static [&'static str],
}

/// File names of a hierarchy: limit, usage, and counters of `memory.stat` to take off.
struct Version {
    limit: &'static str,
    usage: &'static str,
    droppable: &'static [&'static str],
}

const V1: Version = Version {
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    droppable: &["total_inactive_file", "total_active_file"],
};
const V2: Version = Version {
    limit: "memory.max",
    usage: "memory.current",
    droppable: &["inactive_file", "active_file", "slab_reclaimable"],
};

impl MemoryGroup {
    fn open(dir: &Path, place: &str, version: &Version) -> Option<Self> {
        let open = |name| File::open(dir.join(name)).ok();
        let group = Self {
            place: place.to_owned(),
            limit: open(version.limit)?,
            usage: open(version.usage)?,
            stat: open("memory.stat")?,
            droppable: version.droppable,
        };
        group.read().is_some().then_some(group)
    }

    /// Bytes used and the limit; `None` while there is no limit.
    fn read(&self) -> Option<(u64, u64)> {
        let mut buffer = [0; 8192];
        let limit = number(read_kept(&self.limit, &mut buffer).ok()?.trim_ascii())?;
        // v1 has no word for "none": it reads as 2^63 rounded down to a page.
        if limit >= 1 << 60 {
            return None;
        }
        let usage = number(read_kept(&self.usage, &mut buffer).ok()?.trim_ascii())?;
        let stat = read_kept(&self.stat, &mut buffer).ok()?;
        let droppable = |name: &&str| named_line(stat, name.as_bytes()).unwrap_or(0);
        let cache: u64 = self.droppable.iter().map(droppable).sum();
        Some((usage.saturating_sub(cache), limit))
    }
}

/// The memory cgroups that bind process `pid`, innermost first. Limits above the root of our
/// cgroup namespace cannot be seen.
fn memory_groups(procfs: &Path, pid: u32) -> Vec<MemoryGroup> {
    let find = || {
        let groups = ProcessCGroups::from_file(procfs.join(pid.to_string()).join("cgroup")).ok()?;
        let mounts = MountInfos::from_file(procfs.join("self/mountinfo")).ok()?;
        let v1 = groups.0.iter().find(|g| g.controllers.iter().any(|c| c == "memory"));
        let (group, version) = match v1 {
            Some(group) => (group, V1),
            None => (groups.0.iter().find(|g| g.hierarchy == 0)?, V2),
        };
        let mount = mounts.0.iter().find(|m| match v1 {
            Some(_) => m.fs_type == "cgroup" && m.super_options.contains_key("memory"),
            None => m.fs_type == "cgroup2",
        })?;
        // Without a cgroup namespace of its own, a container's mount shows a part of the tree.
        let inside = Path::new(&group.pathname).strip_prefix(&mount.root).unwrap_or(Path::new(""));
        let inside = inside.strip_prefix("/").unwrap_or(inside);
        let up = inside.ancestors().map(|path| {
            let place = format!("/{}", path.display());
            MemoryGroup::open(&mount.mount_point.join(path), &place, &version)
        });
        Some(up.flatten().collect())
    };
    find().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A cgroup tree and a procfs that points into it.
    fn fixture(version2: bool, files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path();
        for (name, text) in files {
            let path = root.join("cg").join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        for pid in ["7", "self"] {
            fs::create_dir_all(root.join("proc").join(pid)).unwrap();
        }
        let (line, kind) = match version2 {
            true => ("0::/web/apache", "cgroup2 cgroup2 rw"),
            false => ("4:memory:/web/apache", "cgroup cgroup rw,memory"),
        };
        fs::write(root.join("proc/7/cgroup"), format!("{line}\n")).unwrap();
        let mount = root.join("cg");
        let text = format!("30 20 0:26 / {} rw - {kind}\n", mount.display());
        fs::write(root.join("proc/self/mountinfo"), text).unwrap();
        dir
    }

    fn read(dir: &tempfile::TempDir) -> Vec<(String, u64, u64)> {
        let groups = memory_groups(&dir.path().join("proc"), 7);
        groups
            .iter()
            .map(|g| (g.place.clone(), g.read().unwrap()))
            .map(|(p, (u, l))| (p, u, l))
            .collect()
    }

    #[test]
    fn the_working_set_counts_and_the_page_cache_does_not() {
        let dir = fixture(
            true,
            &[
                ("web/apache/memory.max", "1000000\n"),
                ("web/apache/memory.current", "900000\n"),
                ("web/apache/memory.stat", "anon 1\ninactive_file 200000\nactive_file 100000\n"),
            ],
        );
        assert_eq!(read(&dir), [("/web/apache".to_owned(), 600_000, 1_000_000)]);
    }

    #[test]
    fn an_ancestors_limit_binds_too_and_no_limit_is_no_ceiling() {
        let dir = fixture(
            false,
            &[
                ("web/apache/memory.limit_in_bytes", "9223372036854771712\n"),
                ("web/apache/memory.usage_in_bytes", "5\n"),
                ("web/apache/memory.stat", "total_inactive_file 0\n"),
                ("web/memory.limit_in_bytes", "4096\n"),
                ("web/memory.usage_in_bytes", "1024\n"),
                ("web/memory.stat", "total_inactive_file 24\n"),
            ],
        );
        assert_eq!(read(&dir), [("/web".to_owned(), 1000, 4096)]);
    }
}
