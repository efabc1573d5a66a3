//! Headroom: the ceilings over each tree, what is left below them and what each lost over time.

use crate::clock::{Moment, block};
use crate::constants::{LEVELS, RING};
use crate::sample::{Ceiling, CeilingKind, Memory, ProcId, Sample};

/// What is left below the nearest ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// Which ceiling is nearest.
    pub kind: CeilingKind,
    /// Bytes left below it.
    pub left: u64,
    /// The ceiling itself in bytes; for RAM the machine's memory.
    pub limit: u64,
}

/// All ceilings of a machine.
pub struct Ceilings {
    ram: Meter,
    commit: Option<Meter>,
    trees: Vec<(ProcId, Meter)>,
}

impl Ceilings {
    /// Before the first sample.
    pub fn new() -> Self {
        Self { ram: Meter::new(CeilingKind::Ram), commit: None, trees: Vec::new() }
    }

    /// Reads them off a sample.
    pub fn observe(&mut self, moment: &Moment, sample: &Sample) {
        let Memory { total, commit, .. } = sample.memory;
        self.ram.push(moment, sample.memory.headroom(), total);
        match commit {
            Some(commit) => {
                let meter = self.commit.get_or_insert_with(|| Meter::new(CeilingKind::Commit));
                meter.push(moment, commit.limit.saturating_sub(commit.used), commit.limit);
            }
            None => self.commit = None,
        }
        self.trees.retain(|(root, meter)| {
            sample.ceilings.iter().any(|c| c.root == *root && c.kind == meter.now.kind)
        });
        for (index, ceiling) in sample.ceilings.iter().enumerate() {
            // A cgroup's limit binds with those of its ancestors: the nearest of them counts.
            let nearer = |(other_index, other): (usize, &Ceiling)| {
                (other.root, other.kind) == (ceiling.root, ceiling.kind)
                    && (other.headroom(), other_index) < (ceiling.headroom(), index)
            };
            if sample.ceilings.iter().enumerate().any(nearer) {
                continue;
            }
            self.of_tree(ceiling).push(moment, ceiling.headroom(), ceiling.limit);
        }
    }

    /// The nearest ceiling over the tree below `root`.
    pub fn nearest(&self, root: ProcId) -> &Meter {
        let own = self.trees.iter().filter(|(of, _)| *of == root).map(|(_, meter)| meter);
        let all = own.chain(self.commit.as_ref());
        all.fold(
            &self.ram,
            |nearest, meter| {
                if meter.now.left < nearest.now.left { meter } else { nearest }
            },
        )
    }

    fn of_tree(&mut self, ceiling: &Ceiling) -> &mut Meter {
        let Ceiling { root, kind, .. } = *ceiling;
        let known = self.trees.iter().position(|(of, meter)| *of == root && meter.now.kind == kind);
        let index = known.unwrap_or_else(|| {
            self.trees.push((root, Meter::new(kind)));
            self.trees.len() - 1
        });
        &mut self.trees[index].1
    }
}

impl Default for Ceilings {
    fn default() -> Self {
        Self::new()
    }
}

/// One ceiling's headroom: now, and its mean over the last blocks of every level.
pub struct Meter {
    now: Headroom,
    levels: Box<[MeterLevel; LEVELS]>,
}

#[derive(Clone, Copy, Default)]
struct MeterLevel {
    means: [f64; RING + 1],
    len: u8,
    pending: Option<f64>,
    last: u64,
}

impl Meter {
    fn new(kind: CeilingKind) -> Self {
        let levels = Box::new([MeterLevel::default(); LEVELS]);
        Self { now: Headroom { kind, left: 0, limit: 0 }, levels }
    }

    /// What is left now.
    pub fn headroom(&self) -> Headroom {
        self.now
    }

    /// The part of what this ceiling lost over the last `blocks` blocks of a level that `growth`
    /// bytes make up; 1 where that is all of it or not yet known.
    pub fn share(&self, level: usize, blocks: usize, growth: f64) -> f64 {
        let then = self.levels.get(level).and_then(|level| level.ago(blocks));
        let lost = then.map_or(0.0, |then| then - self.now.left as f64);
        if lost <= growth { 1.0 } else { growth / lost }
    }

    fn push(&mut self, moment: &Moment, left: u64, limit: u64) {
        self.now = Headroom { left, limit, ..self.now };
        let mut mean = left as f64;
        for (index, level) in self.levels.iter_mut().enumerate().skip(moment.level) {
            if moment.now.saturating_sub(level.last) > 3 * block(index) {
                *level = MeterLevel::default();
            }
            level.last = moment.now;
            level.means.copy_within(1.., 0);
            level.means[RING] = mean;
            level.len = (level.len + 1).min(RING as u8 + 1);
            let Some(half) = level.pending.take() else {
                level.pending = Some(mean);
                break;
            };
            mean = f64::midpoint(mean, half);
        }
    }
}

impl MeterLevel {
    fn ago(&self, blocks: usize) -> Option<f64> {
        // `means[RING]` is the newest; the block that began the window is `blocks - 1` before it.
        (usize::from(self.len) >= blocks).then(|| self.means[RING + 1 - blocks])
    }
}
