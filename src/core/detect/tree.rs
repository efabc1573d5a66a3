//! Which processes live, to which tree each belongs, and which are gone.
//!
//! Every living process keeps one slot, so that all that is known of it lies in plain tables. Its
//! parent is the one that it names when first seen. That is remembered: when the parent ends and
//! the kernel hands the child to init, neither its root nor its tree changes.

use std::collections::HashMap;

use crate::core::model::process::{Proc, ProcId, Program};

/// Generations to climb at most; a recording may claim a circle.
const DEPTH: usize = 32;

/// A living process's place in its tree.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TreeNode {
    /// Its identity.
    pub id: ProcId,
    /// Its parent; none for a child of init or of a process outside the sample.
    pub parent: Option<ProcId>,
    /// The topmost ancestor known when it was first seen; itself if it has none.
    pub root: ProcId,
    /// The slot of its nearest living ancestor.
    pub above: Option<usize>,
    /// Number of its living children.
    pub children: u32,
    /// Whether it was in the last sample.
    pub alive: bool,
}

/// All living processes.
#[derive(Default)]
pub struct ProcessTrees {
    nodes: Vec<TreeNode>,
    free: Vec<usize>,
    by_pid: HashMap<u32, usize>,
    /// Slot and index in the sample of each process of the last sample.
    present: Vec<(usize, usize)>,
    previous: Vec<(usize, usize)>,
    new: Vec<(usize, usize)>,
    gone: Vec<usize>,
}

impl ProcessTrees {
    /// Matches a sample, and the programs that are new in it, with what is known. Afterwards
    /// [`present`](Self::present), [`newcomers`](Self::newcomers) and [`gone`](Self::gone) describe
    /// it.
    pub fn observe(&mut self, procs: &[Proc], programs: &[Program]) {
        self.free.append(&mut self.gone);
        self.new.clear();
        std::mem::swap(&mut self.present, &mut self.previous);
        self.present.clear();
        for (slot, _) in &self.previous {
            self.nodes[*slot].alive = false;
        }
        // Samples list processes in nearly the same order, so a cursor finds almost all of them.
        let mut cursor = 0;
        for (index, proc) in procs.iter().enumerate() {
            let expected = self.previous.iter().skip(cursor).take(2).map(|(slot, _)| *slot);
            let mut expected = expected.enumerate();
            let slot = match expected.find(|(_, slot)| self.nodes[*slot].id == proc.id) {
                Some((skipped, slot)) => {
                    cursor += skipped + 1;
                    slot
                }
                None => self.find_or_add(proc.id, index),
            };
            if !std::mem::replace(&mut self.nodes[slot].alive, true) {
                self.present.push((slot, index));
            }
        }
        self.remove_exited();
        self.link_parents(procs, programs);
    }

    /// Slot and index in the sample of each process, once each.
    pub fn present(&self) -> &[(usize, usize)] {
        &self.present
    }

    /// Those of them that were not there before.
    pub fn newcomers(&self) -> &[(usize, usize)] {
        &self.new
    }

    /// Slots of processes that were there before and no longer are; free for others from the next
    /// sample on.
    pub fn gone(&self) -> &[usize] {
        &self.gone
    }

    /// The place of the process in a slot.
    pub fn node(&self, slot: usize) -> &TreeNode {
        &self.nodes[slot]
    }

    /// The slot of a living process.
    pub fn slot(&self, id: ProcId) -> Option<usize> {
        self.by_pid.get(&id.pid).copied().filter(|slot| self.nodes[*slot].id == id)
    }

    /// Whether the parent of the process in a slot still lives.
    pub fn has_parent(&self, slot: usize) -> bool {
        let TreeNode { parent, above, .. } = self.nodes[slot];
        above.is_some_and(|above| Some(self.nodes[above].id) == parent)
    }

    /// The living ancestors of a slot, nearest first.
    pub fn ancestors(&self, slot: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(self.nodes[slot].above, |slot| self.nodes[*slot].above).take(DEPTH)
    }

    fn find_or_add(&mut self, id: ProcId, index: usize) -> usize {
        if let Some(slot) = self.slot(id) {
            return slot;
        }
        let node = TreeNode { id, parent: None, root: id, above: None, children: 0, alive: false };
        let slot = match self.free.pop() {
            Some(slot) => {
                self.nodes[slot] = node;
                slot
            }
            None => {
                self.nodes.push(node);
                self.nodes.len() - 1
            }
        };
        self.by_pid.insert(id.pid, slot);
        self.new.push((slot, index));
        slot
    }

    /// Finds the processes that are gone, and hands their children to the next living ancestor.
    fn remove_exited(&mut self) {
        let Self { nodes, gone, previous, .. } = self;
        gone.extend(previous.iter().map(|(slot, _)| *slot).filter(|slot| !nodes[*slot].alive));
        for slot in &self.gone {
            let TreeNode { id, above, .. } = self.nodes[*slot];
            if self.by_pid.get(&id.pid) == Some(slot) {
                self.by_pid.remove(&id.pid);
            }
            if let Some(parent) = above.filter(|_| self.has_parent(*slot)) {
                self.nodes[parent].children = self.nodes[parent].children.saturating_sub(1);
            }
        }
        if self.gone.is_empty() {
            return;
        }
        for (slot, _) in &self.present {
            let dead = |above: &usize| !self.nodes[*above].alive;
            let mut above = self.nodes[*slot].above;
            for _ in 0..DEPTH {
                let Some(exited) = above.filter(dead) else { break };
                above = self.nodes[exited].above;
            }
            self.nodes[*slot].above = above.filter(|above| self.nodes[*above].alive);
        }
    }

    /// Links new processes to their parents, then to their roots.
    fn link_parents(&mut self, procs: &[Proc], programs: &[Program]) {
        for (slot, index) in &self.new {
            // A child of init is a root, unless init is its master, as in a container: then it is a
            // fork of it. A process that names itself as its parent is a root too.
            let Proc { ppid, id, .. } = procs[*index];
            let forked = || programs.iter().any(|program| program.id == id && program.forked);
            let has_parent = |parent: &usize| parent != slot && (ppid > 1 || forked());
            let parent = self.by_pid.get(&ppid).copied().filter(has_parent);
            let Some(parent) = parent else { continue };
            self.nodes[parent].children += 1;
            self.nodes[*slot].parent = Some(self.nodes[parent].id);
            self.nodes[*slot].above = Some(parent);
        }
        for (slot, _) in &self.new {
            let mut root = *slot;
            for _ in 0..DEPTH {
                match self.nodes[root].above {
                    Some(above) => root = above,
                    None => break,
                }
            }
            self.nodes[*slot].root = self.nodes[root].root;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::process::Comm;

    fn proc(pid: u32, start: u64, ppid: u32) -> Proc {
        let (id, comm) = (ProcId { pid, start }, Comm::new(b"x"));
        Proc { id, ppid, comm, rss: 0, anon: None, swap: 0, cpu_s: 0.0, threads: 1 }
    }

    fn node(trees: &ProcessTrees, pid: u32, start: u64) -> &TreeNode {
        trees.node(trees.slot(ProcId { pid, start }).unwrap())
    }

    #[test]
    fn membership_outlives_the_parent() {
        let mut trees = ProcessTrees::default();
        // Children before parents, as after a wrap of the pids.
        trees.observe(&[proc(30, 3, 20), proc(20, 2, 10), proc(10, 1, 1), proc(1, 0, 0)], &[]);
        let top = ProcId { pid: 10, start: 1 };
        assert_eq!((node(&trees, 10, 1).root, node(&trees, 10, 1).parent), (top, None));
        assert_eq!((node(&trees, 30, 3).root, node(&trees, 20, 2).children), (top, 1));
        let below = trees.slot(ProcId { pid: 30, start: 3 }).unwrap();
        assert_eq!(trees.ancestors(below).count(), 2);

        trees.observe(&[proc(30, 3, 1), proc(10, 1, 1), proc(1, 0, 0)], &[]);
        assert_eq!(trees.gone().len(), 1);
        let child = node(&trees, 30, 3);
        assert_eq!((child.root, child.parent), (top, Some(ProcId { pid: 20, start: 2 })));
        assert_eq!(trees.ancestors(below).count(), 1, "only the root is left above it");
        assert_eq!(node(&trees, 10, 1).children, 0);
    }

    #[test]
    fn the_forks_of_process_one_are_its_workers_and_its_orphans_are_not() {
        let mut trees = ProcessTrees::default();
        let forked =
            Program { id: ProcId { pid: 20, start: 2 }, forked: true, ..Program::unknown() };
        trees.observe(&[proc(1, 1, 0), proc(20, 2, 1), proc(30, 3, 1)], &[forked]);
        assert_eq!(node(&trees, 20, 2).root, ProcId { pid: 1, start: 1 });
        assert_eq!((node(&trees, 1, 1).children, node(&trees, 30, 3).parent), (1, None));
    }

    #[test]
    fn a_reused_pid_is_another_process() {
        let mut trees = ProcessTrees::default();
        trees.observe(&[proc(10, 1, 1), proc(20, 2, 10)], &[]);
        trees.observe(&[proc(10, 9, 1), proc(20, 2, 1), proc(21, 10, 10)], &[]);
        assert_eq!((trees.newcomers().len(), trees.gone().len()), (2, 1));
        assert_eq!(trees.slot(ProcId { pid: 10, start: 1 }), None);
        assert_eq!(node(&trees, 20, 2).root, ProcId { pid: 10, start: 1 });
        assert_eq!(node(&trees, 21, 10).root, ProcId { pid: 10, start: 9 });
    }

    #[test]
    fn a_circle_or_a_duplicate_process_does_no_harm() {
        let mut trees = ProcessTrees::default();
        trees.observe(&[proc(10, 1, 20), proc(20, 2, 10), proc(10, 1, 20), proc(5, 5, 5)], &[]);
        assert_eq!(trees.present().len(), 3);
        assert!(trees.ancestors(0).count() <= DEPTH);
    }

    #[test]
    fn slots_are_reused() {
        let mut trees = ProcessTrees::default();
        for start in 1..100 {
            trees.observe(&[proc(10, start, 1)], &[]);
        }
        assert!(trees.nodes.len() <= 3, "{}", trees.nodes.len());
    }
}
