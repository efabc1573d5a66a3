//! History: how sizes went while it was looked, at no more points than a picture needs.

use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use std::collections::BTreeMap;

/// Points kept of each series; when there are more, every second one goes.
pub const MOST_POINTS: usize = 240;
/// Trees kept; of those that ended the smallest go first.
const MOST_TREES: usize = 256;

/// A time in Unix seconds and a number of bytes.
pub type Point = (f64, f64);

/// Available memory and the size of each tree over time.
#[derive(Clone, Debug)]
pub struct TreeSizes {
    times: Vec<f64>,
    available: Vec<f64>,
    trees: BTreeMap<ProcId, Vec<f64>>,
    /// Samples for a point, and those that came since the last one.
    stride: u32,
    waiting: u32,
    /// Samples taken in.
    pub samples: u32,
    /// Unix time of the first and of the last.
    pub span: Option<(f64, f64)>,
}

impl Default for TreeSizes {
    fn default() -> Self {
        Self {
            times: Vec::new(),
            available: Vec::new(),
            trees: BTreeMap::new(),
            stride: 1,
            waiting: 0,
            samples: 0,
            span: None,
        }
    }
}

impl TreeSizes {
    /// Takes in a sample; `root` tells in which tree a process is, `size` what it has to itself.
    pub fn push(&mut self, sample: &Sample, sizes: impl Iterator<Item = (ProcId, f64)>) {
        self.samples = self.samples.saturating_add(1);
        self.span = Some((self.span.map_or(sample.t, |(first, _)| first), sample.t));
        self.waiting += 1;
        if self.waiting < self.stride && !self.times.is_empty() {
            return;
        }
        self.waiting = 0;
        if self.times.len() >= MOST_POINTS {
            thin(&mut self.times);
            thin(&mut self.available);
            self.trees.values_mut().for_each(thin);
            self.stride *= 2;
        }
        let before = self.times.len();
        self.times.push(sample.t);
        self.available.push(sample.memory.headroom() as f64);
        for (root, size) in sizes {
            let tree = self.trees.entry(root).or_default();
            tree.resize(before.max(tree.len()), f64::NAN);
            match tree.get_mut(before) {
                Some(sum) => *sum += size,
                None => tree.push(size),
            }
        }
        let now = self.times.len();
        self.trees.values_mut().for_each(|tree| tree.resize(now, f64::NAN));
        self.forget();
    }

    /// Forgets trees that are too many: those that are gone, and of them the smallest; then the smallest
    /// of all. All are weighed at once: a machine may start thousands between two samples.
    fn forget(&mut self) {
        let Some(many) = self.trees.len().checked_sub(MOST_TREES).filter(|many| *many > 0) else {
            return;
        };
        let worth = |tree: &[f64]| {
            let alive = tree.last().is_some_and(|size| !size.is_nan());
            (alive, tree.iter().copied().fold(0.0, f64::max))
        };
        let mut all: Vec<_> = self.trees.iter().map(|(root, tree)| (worth(tree), *root)).collect();
        all.sort_by(|((a, x), _), ((b, y), _)| a.cmp(b).then(x.total_cmp(y)));
        for (_, root) in all.into_iter().take(many) {
            self.trees.remove(&root);
        }
    }

    /// Bytes left of RAM and swap.
    pub fn available(&self) -> Vec<Point> {
        self.times.iter().copied().zip(self.available.iter().copied()).collect()
    }

    /// The sizes of some trees together, from the first of them on.
    pub fn together(&self, roots: &[ProcId]) -> Vec<Point> {
        let trees: Vec<&Vec<f64>> = roots.iter().filter_map(|root| self.trees.get(root)).collect();
        let sum = |index: usize| {
            let sizes = trees.iter().filter_map(|tree| tree.get(index).copied());
            let sizes = sizes.filter(|size| !size.is_nan());
            let (count, sum) = sizes.fold((0, 0.0), |(n, sum), size| (n + 1, sum + size));
            (count > 0).then_some(sum)
        };
        let points = self.times.iter().enumerate();
        points.filter_map(|(index, t)| Some((*t, sum(index)?))).collect()
    }
}

fn thin(series: &mut Vec<f64>) {
    let mut index = 0;
    series.retain(|_| {
        index += 1;
        index % 2 == 1
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::sample::Memory;

    const A: ProcId = ProcId { pid: 10, start: 1 };
    const B: ProcId = ProcId { pid: 20, start: 1 };

    fn sample(t: f64) -> Sample {
        let memory = Memory { available: 1000, ..Memory::default() };
        Sample { t, memory, ..Sample::default() }
    }

    #[test]
    fn long_looks_keep_their_first_and_their_last_points() {
        let mut history = TreeSizes::default();
        for n in 0..10_000 {
            history.push(&sample(f64::from(n)), [(A, f64::from(n)), (A, 1.0)].into_iter());
        }
        let points = history.together(&[A]);
        assert!((120..=MOST_POINTS).contains(&points.len()), "{}", points.len());
        assert_eq!(points[0], (0.0, 1.0));
        assert!(points.last().unwrap().0 > 9900.0);
        assert!(points.iter().all(|(t, bytes)| *bytes == t + 1.0));
        assert_eq!(history.samples, 10_000);
    }

    #[test]
    fn a_tree_that_comes_later_or_goes_has_points_only_while_it_is_there() {
        let mut history = TreeSizes::default();
        for n in 0..30 {
            let sizes = [(A, 1.0), (B, 5.0)];
            let some = if (10..20).contains(&n) { &sizes[..] } else { &sizes[..1] };
            history.push(&sample(f64::from(n)), some.iter().copied());
        }
        assert_eq!(history.together(&[B]).len(), 10);
        assert_eq!(history.together(&[A, B])[15], (15.0, 6.0));
        assert_eq!(history.together(&[A, B])[25], (25.0, 1.0));
    }

    #[test]
    fn trees_are_bounded_and_the_largest_stay() {
        let mut history = TreeSizes::default();
        for n in 0..1000 {
            let brief = ProcId { pid: 100 + n, start: 1 };
            let sizes = [(A, 9.0), (brief, 1.0)];
            history.push(&sample(f64::from(n)), sizes.into_iter());
        }
        assert!(history.trees.len() <= MOST_TREES);
        assert_eq!(history.together(&[A]).len(), history.times.len());
    }
}
