//! From what the kernel counts to lines that add up to the memory there is.

use crate::core::model::memory_line::LineKind;

/// What the kernel counts at one moment, in bytes; 0 where it does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// MemTotal.
    pub total: u64,
    /// MemAvailable and SwapFree: what is left.
    pub headroom: u64,
    /// MemFree.
    pub free: u64,
    /// Free pages that the CPUs keep in lists of their own (zoneinfo): neither in MemFree nor used.
    pub cpu_lists: u64,
    /// Cached and Buffers, shared memory included.
    pub cached: u64,
    /// Shmem.
    pub shared: u64,
    /// SwapCached.
    pub swap_cached: u64,
    /// Active, Inactive and Unevictable: all pages that processes and files have.
    pub lru: u64,
    /// AnonPages.
    pub anonymous: u64,
    /// SReclaimable, or KReclaimable where that is more.
    pub reclaimable: u64,
    /// SUnreclaim.
    pub unreclaimable: u64,
    /// KernelStack.
    pub stacks: u64,
    /// PageTables and SecPageTables.
    pub page_tables: u64,
    /// VmallocUsed.
    pub vmalloc: u64,
    /// Percpu.
    pub percpu: u64,
    /// Hugetlb.
    pub huge: u64,
    /// mem_used_total of all zram devices.
    pub zram: u64,
    /// Zswap.
    pub zswap: u64,
    /// Pages of the cache of ZFS outside slab.
    pub arc: u64,
    /// Pages in the balloon.
    pub balloon: u64,
    /// Memory of TCP and UDP sockets and of fragments.
    pub sockets: u64,
}

/// A line with its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BalanceLine {
    /// Which.
    pub kind: LineKind,
    /// How much.
    pub bytes: u64,
}

impl Counters {
    /// The lines; they add up to `total` unless the kernel's own counters exceed it.
    pub fn lines(&self) -> Vec<BalanceLine> {
        // Stacks are areas of vmalloc since 4.9 (CONFIG_VMAP_STACK), so they are counted twice.
        let vmalloc = self.vmalloc.saturating_sub(self.stacks);
        // A page in the swap cache is anonymous too while a process has it mapped.
        let known = self.anonymous.saturating_add(self.cached);
        let swap_cache = self.swap_cached.min(self.lru.saturating_sub(known));
        let counted = [
            (LineKind::Anonymous, self.anonymous),
            (LineKind::SharedMemory, self.shared),
            (LineKind::PageCache, self.cached.saturating_sub(self.shared)),
            (LineKind::SwapCache, swap_cache),
            (LineKind::SlabReclaimable, self.reclaimable),
            (LineKind::SlabUnreclaimable, self.unreclaimable),
            (LineKind::PageTables, self.page_tables),
            (LineKind::KernelStacks, self.stacks),
            (LineKind::Vmalloc, vmalloc),
            (LineKind::Percpu, self.percpu),
            (LineKind::HugePages, self.huge),
            (LineKind::Zram, self.zram),
            (LineKind::Zswap, self.zswap),
            (LineKind::Free, self.free.saturating_add(self.cpu_lists)),
        ];
        // These are partly in slab as well, or not in MemTotal at all: they explain only what is left.
        let partly = [
            (LineKind::Arc, self.arc),
            (LineKind::Balloon, self.balloon),
            (LineKind::Sockets, self.sockets),
        ];
        balanced(self.total, &counted, &partly)
    }
}

/// Lines that add up to `total`: those that are counted, what `partly` explains of the rest, and what
/// stays unexplained.
pub fn balanced(
    total: u64,
    counted: &[(LineKind, u64)],
    partly: &[(LineKind, u64)],
) -> Vec<BalanceLine> {
    let sum = counted.iter().fold(0_u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
    let mut rest = total.saturating_sub(sum);
    let mut lines: Vec<BalanceLine> =
        counted.iter().map(|(kind, bytes)| BalanceLine { kind: *kind, bytes: *bytes }).collect();
    for (kind, bytes) in partly {
        let bytes = rest.min(*bytes);
        rest -= bytes;
        lines.push(BalanceLine { kind: *kind, bytes });
    }
    lines.push(BalanceLine { kind: LineKind::Unexplained, bytes: rest });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(lines: &[BalanceLine], kind: LineKind) -> u64 {
        lines.iter().find(|line| line.kind == kind).unwrap().bytes
    }

    #[test]
    fn what_is_counted_twice_is_in_one_line() {
        let counters = Counters {
            total: 1000,
            free: 400,
            cached: 200,
            shared: 50,
            anonymous: 100,
            lru: 320,
            swap_cached: 60,
            stacks: 10,
            vmalloc: 30,
            sockets: 500,
            ..Counters::default()
        };
        let lines = counters.lines();
        assert_eq!(of(&lines, LineKind::PageCache), 150);
        assert_eq!(of(&lines, LineKind::SwapCache), 20);
        assert_eq!(of(&lines, LineKind::Vmalloc), 20);
        assert_eq!(of(&lines, LineKind::Sockets), 1000 - 400 - 200 - 100 - 20 - 10 - 20);
        assert_eq!(of(&lines, LineKind::Unexplained), 0);
    }

    proptest! {
        #[test]
        fn the_lines_add_up_unless_the_kernel_counts_more_than_there_is(
            total in 0..1_u64 << 40, free in 0..1_u64 << 39, anonymous in 0..1_u64 << 39,
            arc in any::<u64>(), sockets in any::<u64>(),
        ) {
            let counters = Counters { total, free, anonymous, arc, sockets, ..Counters::default() };
            let sum: u64 = counters.lines().iter().map(|line| line.bytes).sum();
            prop_assert_eq!(sum, total.max(free + anonymous));
        }
    }
}
