//! Which limits bind which watched tree.

use super::cgroup::{Cgroup, CgroupLimit};
use super::hierarchy::Hierarchy;
use super::ulimits::Ulimits;
use super::users;
use super::users::Owner;
use super::{SLOW, SamplerView, single_mapping};
use crate::core::model::ceiling::{MemoryFailure, MemoryFailureKind, PastFailures, Place};
use crate::core::model::process::{Proc, ProcId};
use crate::core::model::sample::{MemoryUse, PlaceName};
use crate::system::origin::Origins;
use std::hash::{DefaultHasher, Hash, Hasher};

/// A watched tree and its limits.
#[derive(Debug)]
pub(in crate::system) struct TreeLimits {
    pub(in crate::system) root: ProcId,
    /// The process that forks: the member with most of the children, or the root. A container's shim is the
    /// root of its processes and lives in another cgroup than they do.
    pub(in crate::system) forker: u32,
    /// Groups that bind it, by index, innermost first.
    groups: Vec<usize>,
    /// Tells whether those are still the same.
    membership: u64,
    pub(in crate::system) owner: Option<Owner>,
    /// "user 1000".
    pub(in crate::system) user: Place,
    /// Limits of the forker itself.
    pub(in crate::system) ulimits: Ulimits,
    /// Its largest mapping in bytes, where that may keep it from forking.
    pub(in crate::system) largest_mapping: Option<u64>,
    members: usize,
    /// Footprint in bytes of the root, and of its descendants beyond what they inherited from it.
    pub(in crate::system) own: u64,
    is_new: bool,
}

impl TreeLimits {
    fn new(root: ProcId) -> Self {
        Self {
            root,
            forker: root.pid,
            groups: Vec::new(),
            membership: 0,
            owner: None,
            user: Place::NONE,
            ulimits: Ulimits::default(),
            largest_mapping: None,
            members: 0,
            own: 0,
            is_new: true,
        }
    }
}

/// Finds new trees, forgets those that ended, and sums what each uses if it has a budget.
pub(in crate::system) fn find(
    trees: &mut Vec<TreeLimits>,
    groups: &mut Cgroups,
    view: &SamplerView<'_>,
    budget: bool,
) {
    for tree in &mut *trees {
        (tree.members, tree.own) = (0, 0);
    }
    let mut last = 0;
    for (proc, root) in view.procs.iter().zip(view.roots) {
        let Some(root) = *root else { continue };
        // Processes of a tree mostly have pids close together.
        let is_of = |tree: &TreeLimits| tree.root == root;
        if !trees.get(last).is_some_and(is_of) {
            last = trees.iter().position(is_of).unwrap_or(trees.len());
        }
        if last == trees.len() {
            trees.push(TreeLimits::new(root));
        }
        if let Some(tree) = trees.get_mut(last) {
            tree.members = tree.members.saturating_add(1);
            tree.own = tree.own.saturating_add(proc.footprint());
        }
    }
    trees.retain_mut(|tree| {
        if tree.members == 0 {
            groups.forget(tree);
        }
        tree.members > 0
    });
    if !budget {
        return;
    }
    // A forked child starts with all of the root's RssAnon in its own, shared page for page.
    // Taking it off again understates by what copy-on-write has since made private, which is at
    // most the root's own size a child.
    for tree in trees {
        let Some(root) = view.procs.iter().find(|p| p.id == tree.root) else { continue };
        let inherited = |p: &Proc| p.footprint().min(root.footprint());
        let members = view
            .procs
            .iter()
            .zip(view.roots)
            .filter(|(p, root)| **root == Some(tree.root) && p.id != tree.root);
        tree.own = members.map(|(p, _)| inherited(p)).fold(tree.own, u64::saturating_sub);
    }
}

/// Looks at what seldom changes: of new trees at once, of the others in turn.
pub(in crate::system) fn look_slowly(
    trees: &mut [TreeLimits],
    groups: &mut Cgroups,
    view: &mut SamplerView<'_>,
    page_size: u64,
) {
    for (index, tree) in trees.iter_mut().enumerate() {
        if !std::mem::take(&mut tree.is_new) && view.tick % SLOW != index as u32 % SLOW {
            continue;
        }
        tree.forker = forker(tree, view);
        let owner = Owner::of(view.proc, tree.forker);
        if owner != tree.owner {
            tree.owner = owner;
            tree.user = owner.map_or(Place::NONE, |o| Place::new(&format!("user {}", o.uid)));
        }
        let mut buffer = [0; 4096];
        let limits = view.proc.read(tree.forker, "limits", &mut buffer).unwrap_or_default();
        tree.ulimits = Ulimits::parse(limits, owner);
        tree.largest_mapping = single_mapping::largest(view, tree.forker, page_size);
        groups.place(tree, view);
    }
    if trees.iter().any(|tree| tree.ulimits.max_tasks.is_some()) {
        users::learn(view.proc, view.known, view.tick);
    }
}

/// The member of a tree with most of the children.
fn forker(tree: &TreeLimits, view: &SamplerView<'_>) -> u32 {
    let is_member = |pid: u32| {
        let watch = view.known.get(&pid).and_then(|known| known.watch.as_ref());
        watch.is_some_and(|watch| watch.root == Some(tree.root))
    };
    // The parent named most often, by majority vote (Boyer and Moore): one pass, no table. Where no
    // parent has more than half of the children, it is one of those that have many.
    let (mut most, mut lead) = (tree.root.pid, 0_u32);
    for parent in view.procs.iter().map(|p| p.ppid).filter(|pid| is_member(*pid)) {
        match parent == most {
            true => lead = lead.saturating_add(1),
            false if lead == 0 => (most, lead) = (parent, 1),
            false => lead = lead.saturating_sub(1),
        }
    }
    most
}

/// The cgroups of all trees, each known once.
#[derive(Debug)]
pub(in crate::system) struct Cgroups {
    hierarchy: Hierarchy,
    /// By index; a place is free when nothing is in it.
    groups: Vec<Option<Cgroup>>,
}

impl Cgroups {
    pub(in crate::system) fn new(hierarchy: Hierarchy) -> Self {
        Self { hierarchy, groups: Vec::new() }
    }

    pub(in crate::system) fn hierarchy(&self) -> &Hierarchy {
        &self.hierarchy
    }

    /// Finds the groups that bind a tree, unless they are as before.
    fn place(&mut self, tree: &mut TreeLimits, view: &SamplerView<'_>) {
        let mut hasher = DefaultHasher::new();
        for pid in [tree.forker, tree.root.pid] {
            let mut buffer = [0; 4096];
            view.proc.read(pid, "cgroup", &mut buffer).unwrap_or_default().hash(&mut hasher);
        }
        let membership = hasher.finish();
        if membership == tree.membership {
            return;
        }
        tree.membership = membership;
        for index in std::mem::take(&mut tree.groups) {
            self.leave(index);
        }
        for controller in ["memory", "pids"] {
            for pid in [tree.forker, tree.root.pid] {
                for dir in self.hierarchy.of(pid, controller) {
                    let is_memory = controller == "memory";
                    let known = self.groups.iter().position(|group| {
                        group.as_ref().is_some_and(|g| g.dir == dir && g.is_memory() == is_memory)
                    });
                    let index = known.or_else(|| {
                        let group = if is_memory { Cgroup::memory(dir) } else { Cgroup::pids(dir) };
                        Some(self.add(group?))
                    });
                    let Some(index) = index.filter(|index| !tree.groups.contains(index)) else {
                        continue;
                    };
                    tree.groups.push(index);
                    if let Some(Some(group)) = self.groups.get_mut(index) {
                        group.trees = group.trees.saturating_add(1);
                    }
                }
            }
        }
    }

    fn add(&mut self, group: Cgroup) -> usize {
        match self.groups.iter_mut().enumerate().find(|(_, slot)| slot.is_none()) {
            Some((free, slot)) => {
                *slot = Some(group);
                free
            }
            None => {
                let index = self.groups.len();
                self.groups.push(Some(group));
                index
            }
        }
    }

    fn leave(&mut self, index: usize) {
        let Some(slot) = self.groups.get_mut(index) else { return };
        if let Some(group) = slot {
            group.trees = group.trees.saturating_sub(1);
            if group.trees == 0 {
                *slot = None;
            }
        }
    }

    /// A tree has ended.
    pub(in crate::system) fn forget(&mut self, tree: &mut TreeLimits) {
        for index in std::mem::take(&mut tree.groups) {
            self.leave(index);
        }
    }

    /// What uses the memory of each group whose memory is limited.
    pub(in crate::system) fn uses(&self) -> impl Iterator<Item = MemoryUse> {
        self.groups.iter().flatten().flat_map(Cgroup::uses)
    }

    /// Adds the names of groups that are new, and have one.
    pub(in crate::system) fn name(&mut self, origins: &mut Origins, out: &mut Vec<PlaceName>) {
        for group in self.groups.iter_mut().flatten().filter(|group| !group.is_told) {
            group.is_told = true;
            let place = Place::new(&group.dir.place);
            // Its limits on memory and on tasks stand at one place.
            if out.iter().all(|known| known.place != place) {
                let name = origins.limit_of(&group.dir.place);
                out.extend(name.map(|name| PlaceName { place, name }));
            }
        }
    }

    /// The names of all groups are to be told again.
    pub(in crate::system) fn tell_again(&mut self) {
        self.groups.iter_mut().flatten().for_each(|group| group.is_told = false);
    }

    /// Reads all groups.
    pub(in crate::system) fn read(&mut self, tick: u32, swap_free: Option<u64>) {
        for (index, group) in self.groups.iter_mut().enumerate() {
            if let Some(group) = group {
                let slow = group.is_new || tick % SLOW == index as u32 % SLOW;
                group.read(slow, swap_free);
            }
        }
    }

    /// The hard limits on memory, with what is used now.
    pub(in crate::system) fn glance(
        &self,
        swap_free: Option<u64>,
    ) -> impl Iterator<Item = CgroupLimit> {
        self.groups.iter().flatten().filter_map(move |group| group.glance(swap_free))
    }

    fn of<'a>(&'a self, tree: &'a TreeLimits) -> impl Iterator<Item = &'a Cgroup> {
        tree.groups.iter().filter_map(|index| self.groups.get(*index)?.as_ref())
    }

    /// The limits of a tree's groups.
    pub(in crate::system) fn limits<'a>(
        &'a self,
        tree: &'a TreeLimits,
    ) -> impl Iterator<Item = CgroupLimit> {
        self.of(tree).flat_map(Cgroup::limits)
    }

    /// Each limit of a tree's groups with the file that it was read from.
    pub(in crate::system) fn sources<'a>(
        &'a self,
        tree: &'a TreeLimits,
    ) -> impl Iterator<Item = (CgroupLimit, String)> {
        self.of(tree).flat_map(|g| g.limits().map(|limit| (limit, g.source(limit.kind))))
    }

    /// What the kernel refused or killed in each group since that was made. What a group counts is in
    /// the counts of those above it too, so of one chain the innermost tells.
    pub(in crate::system) fn past(&self) -> Vec<PastFailures> {
        let all: Vec<PastFailures> =
            self.groups.iter().flatten().filter_map(Cgroup::past).collect();
        let is_above = |above: &PastFailures, below: &PastFailures| {
            let (above_text, below_text) = (above.place.parts().1, below.place.parts().1);
            above.kind == below.kind
                && above_text.len() < below_text.len()
                && below_text.starts_with(above_text)
                && above.count <= below.count
        };
        let told = |past: &PastFailures| !all.iter().any(|below| is_above(past, below));
        all.iter().filter(|past| told(past)).cloned().collect()
    }

    /// What the kernel refused in a tree's groups or killed. Events go up the hierarchy, so the
    /// innermost group that has any tells; its nearest limit is the one that was meant.
    pub(in crate::system) fn memory_failures(
        &self,
        tree: &TreeLimits,
        memory_failures: &mut Vec<MemoryFailure>,
    ) {
        for memory in [true, false] {
            let groups = || self.of(tree).filter(move |group| group.is_memory() == memory);
            let Some(count) = groups().map(Cgroup::news).find(|news| *news > 0) else { continue };
            let left = |limit: &CgroupLimit| limit.limit.saturating_sub(limit.used);
            let Some(limit) = groups().flat_map(Cgroup::limits).min_by_key(left) else { continue };
            let kind = if memory { MemoryFailureKind::OomKill } else { MemoryFailureKind::Refused };
            let (ceiling, root, place) = (limit.kind, Some(tree.root), limit.place);
            memory_failures.push(MemoryFailure { kind, ceiling, root, place, count });
        }
    }
}
