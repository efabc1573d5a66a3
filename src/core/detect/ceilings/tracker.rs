//! The ceilings over each tree, and which of them is nearest.

use crate::core::detect::basis::JudgeBasis;
use crate::core::detect::ceilings::usage::CeilingUsage;
use crate::core::detect::forecast::ceiling_series::CeilingId;
use crate::core::detect::sample_clock::SampleTime;
use crate::core::model::ceiling::{Ceiling, CeilingKind, FilledBy, Place};
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;

/// All ceilings of a machine.
pub struct CeilingTracker {
    page_size: f64,
    ram: CeilingUsage,
    /// The others; those without a tree or a place are machine-wide.
    others: Vec<CeilingUsage>,
    /// Each tree with the index of a ceiling over it, in the order of the trees.
    below: Vec<(ProcId, usize)>,
    /// Those that are machine-wide, by index.
    machine_wide: Vec<usize>,
    /// /proc/meminfo describes another machine than the one that limits these processes: in an
    /// OpenVZ container it may be the host's.
    foreign_ram: bool,
}

/// A ceiling is identified by its place, else by its tree.
fn id(ceiling: &Ceiling) -> CeilingId {
    let Ceiling { kind, place, root, .. } = *ceiling;
    CeilingId { kind, place, root: root.filter(|_| place.is_none()) }
}

impl CeilingTracker {
    /// Before the first sample.
    pub fn new(page_size: f64) -> Self {
        let ram = CeilingId { kind: CeilingKind::Ram, place: Place::NONE, root: None };
        Self {
            page_size,
            ram: CeilingUsage::new(ram, page_size),
            others: Vec::new(),
            below: Vec::new(),
            machine_wide: Vec::new(),
            foreign_ram: false,
        }
    }

    /// Takes over the ceilings of a sample and judges each.
    pub fn observe(&mut self, moment: &SampleTime, sample: &Sample, basis: &JudgeBasis) {
        let all = || sample.memory.ceilings().chain(sample.ceilings.iter().copied());
        let is_of = |usage: &CeilingUsage, ceiling: &Ceiling| id(ceiling) == usage.id();
        self.others.retain(|usage| all().any(|ceiling| is_of(usage, &ceiling)));
        self.below.clear();
        self.foreign_ram = false;
        for (nth, ceiling) in all().enumerate() {
            if ceiling.kind == CeilingKind::Ram {
                self.ram.push(moment, ceiling.used, ceiling.limit, basis);
                continue;
            }
            let known = self.others.iter().position(|usage| is_of(usage, &ceiling));
            let index = known.unwrap_or_else(|| {
                self.others.push(CeilingUsage::new(id(&ceiling), self.page_size));
                self.others.len() - 1
            });
            self.below.extend(ceiling.root.map(|root| (root, index)));
            self.foreign_ram |= ceiling.kind.replaces_ram();
            // A place over several trees is listed for each of them.
            if !all().take(nth).any(|earlier| id(&earlier) == id(&ceiling)) {
                let Ceiling { used, limit, .. } = ceiling;
                self.others[index].push(moment, used, limit, basis);
            }
        }
        self.below.sort_unstable();
        self.machine_wide.clear();
        let others = self.others.iter().enumerate();
        let machine_wide = others.filter(|(_, usage)| is_machine_wide(usage));
        self.machine_wide.extend(machine_wide.map(|(index, _)| index));
    }

    /// Takes over how the known ceilings stand in a sample that is not counted.
    pub fn follow(&mut self, sample: &Sample) {
        for ceiling in sample.memory.ceilings().chain(sample.ceilings.iter().copied()) {
            let known = std::iter::once(&mut self.ram).chain(&mut self.others);
            if let Some(usage) = known.into_iter().find(|usage| usage.id() == id(&ceiling)) {
                usage.follow(ceiling.used, ceiling.limit);
            }
        }
    }

    /// The nearest ceiling over the tree below `root` that footprints fill.
    pub fn nearest(&self, root: ProcId) -> &CeilingUsage {
        let nearest = self.least(root, FilledBy::Footprints);
        match nearest {
            Some(usage) if self.foreign_ram => usage,
            Some(usage) if usage.headroom().left < self.ram.headroom().left => usage,
            _ => &self.ram,
        }
    }

    /// The nearest ceiling over the tree below `root` that tasks fill, if it has any.
    pub fn nearest_in_tasks(&self, root: ProcId) -> Option<&CeilingUsage> {
        self.least(root, FilledBy::Tasks)
    }

    fn least(&self, root: ProcId, fill: FilledBy) -> Option<&CeilingUsage> {
        let over = self.over(root).filter(|usage| usage.fill() == fill);
        over.min_by_key(|usage| usage.headroom().left)
    }

    /// All ceilings over a tree but RAM.
    fn over(&self, root: ProcId) -> impl Iterator<Item = &CeilingUsage> {
        let first = self.below.partition_point(|(of, _)| *of < root);
        let of_tree = self.below.iter().skip(first).take_while(move |(of, _)| *of == root);
        let indices = of_tree.map(|(_, index)| index).chain(&self.machine_wide);
        indices.filter_map(|index| self.others.get(*index))
    }

    /// All ceilings over a tree.
    pub fn all_over(&self, root: ProcId) -> impl Iterator<Item = &CeilingUsage> {
        self.over(root).chain((!self.foreign_ram).then_some(&self.ram))
    }

    /// All ceilings.
    pub fn iter(&self) -> impl Iterator<Item = &CeilingUsage> {
        (!self.foreign_ram).then_some(&self.ram).into_iter().chain(&self.others)
    }

    /// A process with so many tasks, of the tree below `root`, ended by order.
    pub fn ended(&mut self, root: ProcId, tasks: u32) {
        for (index, usage) in self.others.iter_mut().enumerate() {
            if is_machine_wide(usage) || self.below.binary_search(&(root, index)).is_ok() {
                usage.ended(tasks);
            }
        }
    }

    /// All ceilings, each with the root of the one tree below it.
    pub fn each(&mut self) -> impl Iterator<Item = (&mut CeilingUsage, Option<ProcId>)> {
        let Self { ram, others, below, foreign_ram, .. } = self;
        let others = others.iter_mut().enumerate().map(|(index, usage)| {
            let mut roots = below.iter().filter(|(_, of)| *of == index).map(|(root, _)| *root);
            let root = roots.next();
            (usage, root.filter(|_| roots.next().is_none()))
        });
        (!*foreign_ram).then_some((ram, None)).into_iter().chain(others)
    }
}

fn is_machine_wide(usage: &CeilingUsage) -> bool {
    let CeilingId { place, root, .. } = usage.id();
    place.is_none() && root.is_none()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::detect::constants::{Constants, INTERVAL_LEVEL};
    use crate::core::model::sample::{CommitCharge, Memory};

    const A: ProcId = ProcId { pid: 10, start: 1 };
    const B: ProcId = ProcId { pid: 20, start: 2 };

    fn sample(available: u64, commit_left: u64, cgroup_left: u64) -> Sample {
        let commit = Some(CommitCharge { limit: 1000, used: 1000 - commit_left });
        let memory = Memory { total: 2000, available, commit, ..Memory::default() };
        let (kind, place) = (CeilingKind::CgroupMemory, Place::new("/a"));
        let cgroup = Ceiling { kind, root: Some(A), place, used: 500 - cgroup_left, limit: 500 };
        Sample { memory, ceilings: vec![cgroup], ..Sample::default() }
    }

    /// Ceilings that are sampled every second.
    struct Watch {
        basis: JudgeBasis,
        ceilings: CeilingTracker,
    }

    impl Watch {
        fn new() -> Self {
            let basis = JudgeBasis::new(Constants::default(), 1.0, 1.0);
            Self { basis, ceilings: CeilingTracker::new(1.0) }
        }

        fn show(&mut self, t: f64, sample: &Sample) {
            let moment = self.basis.clock.advance(t, None);
            self.ceilings.observe(&moment, sample, &self.basis);
        }
    }

    #[test]
    fn the_nearest_ceiling_is_the_one_with_least_left() {
        let mut watch = Watch::new();
        for (t, left, kind) in [
            (1.0, (100, 200, 300), CeilingKind::Ram),
            (2.0, (300, 100, 200), CeilingKind::Commit),
            (3.0, (300, 200, 100), CeilingKind::CgroupMemory),
        ] {
            watch.show(t, &sample(left.0, left.1, left.2));
            let ceilings = &watch.ceilings;
            assert_eq!(ceilings.nearest(A).headroom().kind, kind);
            assert_ne!(ceilings.nearest(B).headroom().kind, CeilingKind::CgroupMemory);
        }
    }

    #[test]
    fn the_share_of_a_growth_is_its_part_of_what_was_lost() {
        let mut watch = Watch::new();
        for k in 0..20_u64 {
            watch.show(k as f64, &sample(900 - 10 * k, 999, 499));
        }
        let series = watch.ceilings.nearest(B).series();
        // 12 blocks of one sample: 110 were lost between the first and the last.
        assert!((series.share(INTERVAL_LEVEL, 12, 55.0) - 0.5).abs() < 1e-9);
        assert!((series.share(INTERVAL_LEVEL, 12, 200.0) - 1.0).abs() < 1e-9);
        assert_eq!(series.thirds(INTERVAL_LEVEL, 12), Some((900.0 - 95.0, 900.0 - 175.0)));
        assert_eq!(series.thirds(INTERVAL_LEVEL, 24), None);
    }

    /// A sample in which a cgroup, over two trees, has so many tasks.
    fn with_tasks(used: u64) -> Sample {
        let (kind, place) = (CeilingKind::Pids, Place::new("/web"));
        let over = |root| Ceiling { kind, root: Some(root), place, used, limit: 600 };
        let memory = Memory { total: 1 << 30, available: 1 << 29, ..Memory::default() };
        Sample { memory, ceilings: vec![over(A), over(B)], ..Sample::default() }
    }

    #[test]
    fn a_limit_over_two_trees_is_one_ceiling_with_a_trend_of_its_own() {
        let mut watch = Watch::new();
        for k in 0..300 {
            watch.show(k as f64, &with_tasks(100 + k));
        }
        assert_eq!(watch.ceilings.iter().count(), 2, "this one and RAM");
        let usage = watch.ceilings.nearest_in_tasks(B).unwrap();
        let forecast = usage.trend().unwrap().forecast();
        assert_eq!((forecast.ceiling, forecast.headroom), (CeilingKind::Pids, 600 - 399));
        assert!((forecast.likely_s / 201.0 - 1.0).abs() < 0.1, "{forecast:?}");
        assert!(forecast.earliest_s < 201.0 && forecast.latest_s > 201.0);
        assert!(watch.ceilings.nearest(A).trend().is_none(), "memory is not touched by it");
    }

    #[test]
    fn a_ceiling_that_goes_up_and_down_or_far_away_has_no_trend() {
        let mut watch = Watch::new();
        for k in 0..300 {
            watch.show(k as f64, &with_tasks(100 + k % 40));
        }
        assert!(watch.ceilings.nearest_in_tasks(A).unwrap().trend().is_none());
    }
}
