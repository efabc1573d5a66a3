//! The memory of a cgroup, line by line.

use super::cut;
use crate::core::balance::CgroupReading;
use crate::core::balance::counters::balanced;
use crate::core::model::memory_line::LineKind;
use crate::system::ceilings::hierarchy::{Dir, Hierarchy, Version};
use crate::system::proc::parse::{lines, named_line, number};

/// Cgroups told one by one.
const MOST: usize = 16;
/// Processes whose cgroup is asked for.
const MOST_PIDS: usize = 256;

/// The innermost memory cgroups of these processes, each once.
pub(super) fn read(hierarchy: &Hierarchy, pids: &[u32]) -> Vec<CgroupReading> {
    let mut found: Vec<CgroupReading> = Vec::new();
    for pid in pids.iter().take(MOST_PIDS) {
        let dirs = hierarchy.of(*pid, "memory");
        let Some(dir) = dirs.first() else { continue };
        let place = cut(&dir.place);
        if dir.place == "/" || found.len() >= MOST || found.iter().any(|known| known.place == place)
        {
            continue;
        }
        let limit = dirs.iter().filter_map(limit).min();
        found.extend(reading(dir).map(|reading| CgroupReading { place, limit, ..reading }));
    }
    found
}

fn limit(dir: &Dir) -> Option<u64> {
    let name = match dir.version {
        Version::V1 => "memory.limit_in_bytes",
        Version::V2 => "memory.max",
    };
    let text = std::fs::read(dir.path.join(name)).ok()?;
    // Version 1 has no "max" but a number near 2^63.
    number(text.trim_ascii()).filter(|limit| *limit < 1 << 60)
}

fn reading(dir: &Dir) -> Option<CgroupReading> {
    let file = |name: &str| std::fs::read(dir.path.join(name)).ok();
    let stat = file("memory.stat")?;
    let of = |name: &str| named_line(&stat, name.as_bytes()).unwrap_or(0);
    let value = |name: &str| number(lines(&file(name)?).next()?.trim_ascii());
    let (total, counted, sockets) = match dir.version {
        Version::V2 => {
            let shared = of("shmem");
            let counted = vec![
                (LineKind::Anonymous, of("anon")),
                (LineKind::SharedMemory, shared),
                (LineKind::PageCache, of("file").saturating_sub(shared)),
                (LineKind::SlabReclaimable, of("slab_reclaimable")),
                (LineKind::SlabUnreclaimable, of("slab_unreclaimable")),
                (LineKind::PageTables, of("pagetables").saturating_add(of("sec_pagetables"))),
                (LineKind::KernelStacks, of("kernel_stack")),
                (LineKind::Vmalloc, of("vmalloc")),
                (LineKind::Percpu, of("percpu")),
                (LineKind::Zswap, of("zswap")),
            ];
            (value("memory.current")?, counted, of("sock"))
        }
        Version::V1 => {
            let shared = of("total_shmem");
            let counted = vec![
                (LineKind::Anonymous, of("total_rss")),
                (LineKind::SharedMemory, shared),
                (LineKind::PageCache, of("total_cache").saturating_sub(shared)),
                (LineKind::Kernel, value("memory.kmem.usage_in_bytes").unwrap_or(0)),
            ];
            (value("memory.usage_in_bytes")?, counted, 0)
        }
    };
    let lines = balanced(total, &counted, &[(LineKind::Sockets, sockets)]);
    Some(CgroupReading { total, lines, ..CgroupReading::default() })
}
