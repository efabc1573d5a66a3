//! Headroom: the ceilings over each tree, what is left below them and what each lost over time.

use crate::detector::clock::{Moment, block};
use crate::detector::constants::{LEVELS, RING};
use crate::sample::{Ceiling, CeilingKind, Memory, ProcId, Sample};
use crate::units::MIB;

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

/// Which ceiling: one of the machine's two, or one of a tree's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CeilingId {
    /// What it is.
    pub kind: CeilingKind,
    /// The root of the tree that it limits; none for the machine's.
    pub root: Option<ProcId>,
}

/// Share of the ceiling, and bytes at most, that count as gone already: MemAvailable is worth no
/// more, and the kernel needs some to fork.
const RESERVE: (f64, u64) = (0.05, 256 * MIB);

impl Headroom {
    /// Bytes left that can be counted on; at least a page.
    pub fn usable(&self) -> f64 {
        let reserve = (RESERVE.0 * self.limit as f64).min(RESERVE.1 as f64);
        (self.left as f64 - reserve).max(4096.0)
    }
}

/// All ceilings of a machine.
pub struct Ceilings {
    ram: Meter,
    commit: Option<Meter>,
    trees: Vec<Meter>,
}

impl Ceilings {
    /// Before the first sample.
    pub fn new() -> Self {
        Self { ram: Meter::new(CeilingKind::Ram, None), commit: None, trees: Vec::new() }
    }

    /// Reads them off a sample.
    pub fn observe(&mut self, moment: &Moment, sample: &Sample) {
        let Memory { total, commit, .. } = sample.memory;
        self.ram.push(moment, sample.memory.headroom(), total);
        match commit {
            Some(commit) => {
                let meter =
                    self.commit.get_or_insert_with(|| Meter::new(CeilingKind::Commit, None));
                meter.push(moment, commit.limit.saturating_sub(commit.used), commit.limit);
            }
            None => self.commit = None,
        }
        self.trees.retain(|meter| sample.ceilings.iter().any(|ceiling| meter.is_of(ceiling)));
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
        let own = self.trees.iter().filter(|meter| meter.root == Some(root));
        let all = own.chain(self.commit.as_ref());
        all.fold(
            &self.ram,
            |nearest, meter| {
                if meter.now.left < nearest.now.left { meter } else { nearest }
            },
        )
    }

    fn of_tree(&mut self, ceiling: &Ceiling) -> &mut Meter {
        let known = self.trees.iter().position(|meter| meter.is_of(ceiling));
        let index = known.unwrap_or_else(|| {
            self.trees.push(Meter::new(ceiling.kind, Some(ceiling.root)));
            self.trees.len() - 1
        });
        &mut self.trees[index]
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
    root: Option<ProcId>,
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
    fn new(kind: CeilingKind, root: Option<ProcId>) -> Self {
        let levels = Box::new([MeterLevel::default(); LEVELS]);
        Self { now: Headroom { kind, left: 0, limit: 0 }, root, levels }
    }

    /// Which ceiling it is of.
    pub fn ceiling(&self) -> CeilingId {
        CeilingId { kind: self.now.kind, root: self.root }
    }

    fn is_of(&self, ceiling: &Ceiling) -> bool {
        self.root == Some(ceiling.root) && self.now.kind == ceiling.kind
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

    /// Mean headroom over the first and the last third of a window, if it was watched that long.
    pub fn thirds(&self, level: usize, blocks: usize) -> Option<(f64, f64)> {
        let level = self.levels.get(level)?;
        let means = level.means.get(RING + 1 - blocks..)?;
        let third = blocks / 3;
        let mean = |means: &[f64]| means.iter().sum::<f64>() / third as f64;
        let thirds = (mean(&means[..third]), mean(&means[blocks - third..]));
        (usize::from(level.len) >= blocks).then_some(thirds)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::detector::clock::Clock;
    use crate::detector::constants::FINE;
    use crate::sample::Commit;

    const A: ProcId = ProcId { pid: 10, start: 1 };
    const B: ProcId = ProcId { pid: 20, start: 2 };

    fn sample(available: u64, commit_left: u64, cgroup_left: u64) -> Sample {
        let commit = Some(Commit { limit: 1000, used: 1000 - commit_left });
        let memory = Memory { total: 2000, available, commit, ..Memory::default() };
        let (kind, place) = (CeilingKind::CgroupMemory, String::new());
        let cgroup = Ceiling { kind, root: A, place, used: 500 - cgroup_left, limit: 500 };
        Sample { memory, ceilings: vec![cgroup], ..Sample::default() }
    }

    #[test]
    fn the_nearest_ceiling_is_the_one_with_least_left() {
        let mut clock = Clock::new(1.0);
        let mut ceilings = Ceilings::new();
        for (t, left, kind) in [
            (1.0, (100, 200, 300), CeilingKind::Ram),
            (2.0, (300, 100, 200), CeilingKind::Commit),
            (3.0, (300, 200, 100), CeilingKind::CgroupMemory),
        ] {
            ceilings.observe(&clock.advance(t), &sample(left.0, left.1, left.2));
            assert_eq!(ceilings.nearest(A).headroom().kind, kind);
            assert_ne!(ceilings.nearest(B).headroom().kind, CeilingKind::CgroupMemory);
        }
    }

    #[test]
    fn the_share_of_a_growth_is_its_part_of_what_was_lost() {
        let mut clock = Clock::new(1.0);
        let mut ceilings = Ceilings::new();
        for k in 0..20_u64 {
            ceilings.observe(&clock.advance(k as f64), &sample(900 - 10 * k, 999, 499));
        }
        let meter = ceilings.nearest(B);
        // 12 blocks of one sample: 110 were lost between the first and the last.
        assert!((meter.share(FINE, 12, 55.0) - 0.5).abs() < 1e-9);
        assert!((meter.share(FINE, 12, 200.0) - 1.0).abs() < 1e-9);
        assert_eq!(meter.thirds(FINE, 12), Some((900.0 - 95.0, 900.0 - 175.0)));
        assert_eq!(meter.thirds(FINE, 24), None);
    }
}
