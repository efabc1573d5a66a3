//! Group: one cgroup's limits on memory and on tasks.
//!
//! Of a chain of cgroups each that has a limit is a ceiling of its own; the kernel checks them all.
//! One without a limit is asked again on the slow beat only, for it may get one.

use super::hierarchy::{Dir, Version};
use super::kept_file::{Counter, KeptFile};
use crate::core::model::ceiling::{CeilingKind, MemoryFailureKind, PastFailures, Place};
use crate::core::model::memory_line::LineKind;
use crate::core::model::sample::MemoryUse;
use crate::system::proc::parse::named_line;

/// A cgroup under one controller.
#[derive(Debug)]
pub(in crate::system) struct Cgroup {
    /// Its path.
    pub(in crate::system) dir: Dir,
    place: Place,
    files: Files,
    /// Ceilings as last read: a hard limit, and `memory.high`.
    now: [Option<CgroupLimit>; 2],
    /// Bytes charged when they were read, caches included.
    charged: u64,
    /// What uses its memory, as last read.
    uses: CgroupUses,
    /// What the kernel refused or killed, since the tick before.
    news: u64,
    /// The same since the cgroup was made.
    total: u64,
    counter: Counter,
    /// How many trees it binds.
    pub(in crate::system) trees: usize,
    /// Not yet read.
    pub(in crate::system) is_new: bool,
    /// Whether a sample had its name.
    pub(in crate::system) is_told: bool,
}

/// Bytes of each of [`USES`].
type CgroupUses = [u64; USES.len()];

/// What `memory.stat` tells of memory that no process gives back by itself, and of processes, by the
/// names of version 2 and of version 1.
const USES: [(LineKind, &str, &str); 8] = [
    (LineKind::Anonymous, "anon", "total_rss"),
    (LineKind::SharedMemory, "shmem", "total_shmem"),
    (LineKind::SlabUnreclaimable, "slab_unreclaimable", ""),
    (LineKind::PageTables, "pagetables", ""),
    (LineKind::KernelStacks, "kernel_stack", ""),
    (LineKind::Vmalloc, "vmalloc", ""),
    (LineKind::Percpu, "percpu", ""),
    (LineKind::Sockets, "sock", ""),
];

/// A limit as last read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::system) struct CgroupLimit {
    pub(in crate::system) kind: CeilingKind,
    pub(in crate::system) place: Place,
    pub(in crate::system) used: u64,
    pub(in crate::system) limit: u64,
}

#[derive(Debug)]
enum Files {
    Memory(Box<CgroupMemory>),
    Pids { max: KeptFile, current: KeptFile, events: Option<KeptFile> },
}

#[derive(Debug)]
struct CgroupMemory {
    max: KeptFile,
    high: Option<KeptFile>,
    usage: KeptFile,
    stat: KeptFile,
    swap: Option<Swap>,
    events: Option<KeptFile>,
}

/// Files of swap: version 2 counts it apart, version 1 together with memory.
#[derive(Debug)]
struct Swap {
    max: KeptFile,
    usage: KeptFile,
}

/// The share of a limit from which on charged memory may displace caches.
const FULL: (u64, u64) = (7, 8);

/// Counters of `memory.stat` that the kernel drops before it kills anybody.
const fn droppable(version: Version) -> &'static [&'static str] {
    match version {
        Version::V1 => &["total_inactive_file", "total_active_file"],
        Version::V2 => &["inactive_file", "active_file", "slab_reclaimable"],
    }
}

impl Cgroup {
    /// A cgroup's limits on memory; none where it has no such files (the root of version 2).
    pub(in crate::system) fn memory(dir: Dir) -> Option<Self> {
        let open = |name: &str| KeptFile::open(dir.path.join(name)).ok();
        let names = match dir.version {
            Version::V1 => [
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
                "memory.memsw.limit_in_bytes",
                "memory.memsw.usage_in_bytes",
                "memory.oom_control",
            ],
            Version::V2 => [
                "memory.max",
                "memory.current",
                "memory.swap.max",
                "memory.swap.current",
                "memory.events",
            ],
        };
        let [max, usage, swap_max, swap_usage, events] = names.map(open);
        let swap = swap_max.zip(swap_usage).map(|(max, usage)| Swap { max, usage });
        let (high, stat) = (open("memory.high"), open("memory.stat")?);
        let memory = CgroupMemory { max: max?, high, usage: usage?, stat, swap, events };
        Some(Self::new(dir, Files::Memory(Box::new(memory))))
    }

    /// A cgroup's limit on tasks.
    pub(in crate::system) fn pids(dir: Dir) -> Option<Self> {
        let open = |name: &str| KeptFile::open(dir.path.join(name)).ok();
        let (max, current) = (open("pids.max")?, open("pids.current")?);
        let events = open("pids.events");
        Some(Self::new(dir, Files::Pids { max, current, events }))
    }

    fn new(dir: Dir, files: Files) -> Self {
        let place = Place::new(&dir.place);
        let (now, news, total, counter) = ([None; 2], 0, 0, Counter::default());
        Self {
            dir,
            place,
            files,
            now,
            charged: 0,
            uses: CgroupUses::default(),
            news,
            total,
            counter,
            trees: 0,
            is_new: true,
            is_told: false,
        }
    }

    /// Reads it; `slow`: also whether it has got a limit. `swap_free` is the machine's, in bytes;
    /// none where it has no swap.
    pub(in crate::system) fn read(&mut self, slow: bool, swap_free: Option<u64>) {
        self.is_new = false;
        self.count();
        if slow || self.now.iter().any(Option::is_some) {
            self.now = match &self.files {
                Files::Memory(memory) => {
                    self.charged = memory.usage.number().unwrap_or(0);
                    memory.read(self.dir.version, self.place, swap_free, &mut self.uses)
                }
                Files::Pids { max, current, .. } => {
                    let limit = max.number().zip(current.number());
                    let (kind, place) = (CeilingKind::Pids, self.place);
                    [limit.map(|(limit, used)| CgroupLimit { kind, place, used, limit }), None]
                }
            };
        }
    }

    /// Its hard limit on memory, if it had one when last read, with what is used now. Well below the
    /// limit only what is charged is read, as if the caches stood still: `memory.stat` costs ten times
    /// as much. Near the limit caches give way to other memory at the same charge.
    pub(in crate::system) fn glance(&self, swap_free: Option<u64>) -> Option<CgroupLimit> {
        let Files::Memory(memory) = &self.files else { return None };
        let last =
            self.now.into_iter().flatten().find(|of| of.kind == CeilingKind::CgroupMemory)?;
        let charged = memory.usage.number()?;
        if charged.saturating_mul(FULL.1) >= last.limit.saturating_mul(FULL.0) {
            let mut uses = CgroupUses::default();
            let [now, _] = memory.read(self.dir.version, self.place, swap_free, &mut uses);
            return now;
        }
        let used = last.used.saturating_add(charged).saturating_sub(self.charged);
        Some(CgroupLimit { used, ..last })
    }

    /// Reads what the kernel counted.
    fn count(&mut self) {
        let now = match &self.files {
            Files::Memory(memory) => memory.events.as_ref().and_then(|file| file.line("oom_kill")),
            Files::Pids { events, .. } => events.as_ref().and_then(|file| file.line("max")),
        };
        self.news = self.counter.grew(now);
        self.total = now.unwrap_or(self.total);
    }

    /// The limits that it has.
    pub(in crate::system) fn limits(&self) -> impl Iterator<Item = CgroupLimit> {
        self.now.into_iter().flatten()
    }

    /// What uses its memory, where that is limited.
    pub(in crate::system) fn uses(&self) -> impl Iterator<Item = MemoryUse> {
        let is_limited = self.is_memory() && self.now.iter().any(Option::is_some);
        let uses = USES.iter().zip(self.uses).filter(move |(_, bytes)| is_limited && *bytes > 0);
        uses.map(|((kind, ..), bytes)| MemoryUse {
            place: self.place,
            kind: *kind,
            part: Place::NONE,
            bytes,
        })
    }

    /// What the kernel refused or killed since the tick before.
    pub(in crate::system) fn news(&self) -> u64 {
        self.news
    }

    /// What the kernel refused or killed since the cgroup was made.
    pub(in crate::system) fn past(&self) -> Option<PastFailures> {
        let (kind, ceiling, file) = match &self.files {
            Files::Memory(memory) => {
                (MemoryFailureKind::OomKill, CeilingKind::CgroupMemory, memory.events.as_ref())
            }
            Files::Pids { events, .. } => {
                (MemoryFailureKind::Refused, CeilingKind::Pids, events.as_ref())
            }
        };
        let file = file?.path().display().to_string();
        let (place, count) = (self.place, self.total);
        (count > 0).then_some(PastFailures { kind, ceiling, place, count, file })
    }

    /// Whether its limit is on memory.
    pub(in crate::system) fn is_memory(&self) -> bool {
        matches!(self.files, Files::Memory(_))
    }

    /// The file that its limit of that kind was read from.
    pub(in crate::system) fn source(&self, kind: CeilingKind) -> String {
        let file = match (&self.files, kind) {
            (Files::Memory(memory), CeilingKind::CgroupHigh) => {
                memory.high.as_ref().unwrap_or(&memory.max)
            }
            (Files::Memory(memory), _) => &memory.max,
            (Files::Pids { max, .. }, _) => max,
        };
        file.path().display().to_string()
    }
}

impl CgroupMemory {
    /// The hard limit and `memory.high`, where there are any.
    ///
    /// Used is the working set and what is swapped out; the limit is that of memory and the swap
    /// that this cgroup has or may still get.
    fn read(
        &self,
        version: Version,
        place: Place,
        swap_free: Option<u64>,
        uses: &mut CgroupUses,
    ) -> [Option<CgroupLimit>; 2] {
        // Version 1 has no word for "none": it reads as 2^63 rounded down to a page.
        let finite = |file: &KeptFile| file.number().filter(|limit| *limit < 1 << 60);
        let max = finite(&self.max);
        let high = self.high.as_ref().and_then(finite).filter(|high| max.is_none_or(|m| *high < m));
        if max.is_none() && high.is_none() {
            return [None; 2];
        }
        let mut read = || {
            let usage = finite(&self.usage)?;
            let mut buffer = [0; 8192];
            let stat = self.stat.text(&mut buffer)?;
            let bytes = |name: &&str| named_line(stat, name.as_bytes());
            for ((_, new, old), slot) in USES.iter().zip(uses.iter_mut()) {
                let name = if version == Version::V2 { new } else { old };
                *slot = bytes(name).filter(|_| !name.is_empty()).unwrap_or(0);
            }
            let caches = droppable(version).iter().filter_map(bytes);
            Some((usage, caches.fold(usage, u64::saturating_sub)))
        };
        let Some((usage, set)) = read() else { return [None; 2] };
        let (swapped, swap_left) = match (swap_free, &self.swap) {
            (Some(free), Some(swap)) => {
                let (limit, used) = (finite(&swap.max), swap.usage.number().unwrap_or(0));
                match version {
                    Version::V2 => {
                        (used, limit.map_or(free, |limit| limit.saturating_sub(used).min(free)))
                    }
                    // Memory and swap together: what of that limit memory alone cannot use up.
                    Version::V1 => {
                        let swapped = used.saturating_sub(usage);
                        let beyond = limit.map(|limit| {
                            limit.saturating_sub(max.unwrap_or(limit)).saturating_sub(swapped)
                        });
                        (swapped, beyond.map_or(free, |beyond| beyond.min(free)))
                    }
                }
            }
            // Without accounting nothing keeps it from all the swap that there is.
            (Some(free), None) => (0, free),
            (None, _) => (0, 0),
        };
        let limit = |kind, limit: u64| {
            let limit = limit.saturating_add(swapped).saturating_add(swap_left);
            CgroupLimit { kind, place, used: set.saturating_add(swapped), limit }
        };
        [
            max.map(|max| limit(CeilingKind::CgroupMemory, max)),
            high.map(|high| limit(CeilingKind::CgroupHigh, high)),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    /// A cgroup with these files.
    fn dir(version: Version, files: &[(&str, &str)]) -> (tempfile::TempDir, Dir) {
        let at = tempfile::tempdir().unwrap();
        for (name, text) in files {
            fs::write(at.path().join(name), text).unwrap();
        }
        let dir = Dir { version, path: at.path().to_owned(), place: "/web".to_owned() };
        (at, dir)
    }

    fn read(mut group: Cgroup, swap_free: Option<u64>) -> Vec<(CeilingKind, u64, u64)> {
        group.read(true, swap_free);
        group.limits().map(|l| (l.kind, l.used, l.limit)).collect()
    }

    const V2: [(&str, &str); 5] = [
        ("memory.max", "1000000\n"),
        ("memory.current", "900000\n"),
        ("memory.stat", "anon 1\ninactive_file 200000\nactive_file 100000\n"),
        ("memory.swap.max", "50000\n"),
        ("memory.swap.current", "20000\n"),
    ];

    #[test]
    fn the_working_set_counts_and_the_page_cache_does_not() {
        let (_at, dir) = dir(Version::V2, &V2);
        let expected = (CeilingKind::CgroupMemory, 600_000, 1_000_000);
        assert_eq!(read(Cgroup::memory(dir).unwrap(), None), [expected]);
    }

    #[test]
    fn swap_that_it_has_or_may_get_counts_but_not_more_than_the_machine_has_left() {
        for (free, expected) in [(1 << 30, (620_000, 1_050_000)), (7_000, (620_000, 1_027_000))] {
            let (_at, dir) = dir(Version::V2, &V2);
            let limit = read(Cgroup::memory(dir).unwrap(), Some(free));
            assert_eq!(limit, [(CeilingKind::CgroupMemory, expected.0, expected.1)]);
        }
    }

    #[test]
    fn a_glance_sees_what_is_charged_and_near_the_limit_what_caches_hide() {
        let (at, dir) = dir(Version::V2, &V2);
        let mut group = Cgroup::memory(dir).unwrap();
        group.read(true, None);
        let used = |group: &Cgroup| group.glance(None).map(|limit| limit.used);
        let charge = |bytes: &str| fs::write(at.path().join("memory.current"), bytes).unwrap();
        assert_eq!(used(&group), Some(600_000));
        charge("700000\n");
        assert_eq!(used(&group), Some(400_000), "the caches are taken to stand still");
        charge("900000\n");
        fs::write(at.path().join("memory.stat"), "inactive_file 50000\n").unwrap();
        assert_eq!(used(&group), Some(850_000), "they gave way");
    }

    #[test]
    fn version_1_counts_memory_and_swap_together() {
        let (_at, dir) = dir(
            Version::V1,
            &[
                ("memory.limit_in_bytes", "4096000\n"),
                ("memory.usage_in_bytes", "1024000\n"),
                ("memory.stat", "total_inactive_file 24000\n"),
                ("memory.memsw.limit_in_bytes", "5096000\n"),
                ("memory.memsw.usage_in_bytes", "1224000\n"),
            ],
        );
        // Swapped out are 200 kB; of the 1000 kB beyond memory's own limit 800 are left.
        let limit = read(Cgroup::memory(dir).unwrap(), Some(1 << 30));
        assert_eq!(limit, [(CeilingKind::CgroupMemory, 1_200_000, 5_096_000)]);
    }

    #[test]
    fn memory_high_is_a_ceiling_where_it_is_the_lower_one() {
        let files = [("memory.high", "800000\n"), ("memory.max", "max\n")];
        let all: Vec<_> = V2[1..3].iter().chain(&files).copied().collect();
        let (_at, dir) = dir(Version::V2, &all);
        let expected = (CeilingKind::CgroupHigh, 600_000, 800_000);
        assert_eq!(read(Cgroup::memory(dir).unwrap(), None), [expected]);
    }

    #[test]
    fn a_cgroup_may_get_a_limit_later_and_its_kills_and_refusals_are_counted() {
        let files = [("pids.max", "max\n"), ("pids.current", "7\n"), ("pids.events", "max 3\n")];
        let (at, dir) = dir(Version::V2, &files);
        let mut group = Cgroup::pids(dir).unwrap();
        group.read(true, None);
        assert_eq!((group.limits().count(), group.news()), (0, 0));
        fs::write(at.path().join("pids.max"), "30\n").unwrap();
        fs::write(at.path().join("pids.events"), "max 5\n").unwrap();
        group.read(false, None);
        assert_eq!(group.limits().count(), 0, "asked again on the slow beat only");
        assert_eq!(group.news(), 2);
        group.read(true, None);
        let limit = group.limits().next().unwrap();
        assert_eq!((limit.kind, limit.used, limit.limit), (CeilingKind::Pids, 7, 30));
        assert_eq!(group.news(), 0, "told once");
    }
}
