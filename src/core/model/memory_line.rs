//! The lines of the balance sheet: what each is, who can give it back, and what helps if it grows.

/// A line of the balance sheet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LineKind {
    /// Memory that processes hold for themselves.
    Anonymous,
    /// tmpfs, shared segments, memfd.
    SharedMemory,
    /// Contents of files on disk.
    PageCache,
    /// Pages that are in swap and in memory.
    SwapCache,
    /// Slab that is given back when memory is needed: dentries, inodes.
    SlabReclaimable,
    /// Slab that is not.
    SlabUnreclaimable,
    /// Page tables.
    PageTables,
    /// Stacks of tasks inside the kernel.
    KernelStacks,
    /// Areas of the kernel that are not contiguous: modules, BPF, drivers.
    Vmalloc,
    /// What the kernel has once for each CPU.
    Percpu,
    /// Huge pages that were set aside.
    HugePages,
    /// Swap that is compressed in memory.
    Zram,
    /// The compressed cache before swap.
    Zswap,
    /// The cache of ZFS.
    Arc,
    /// What the host took from this virtual machine.
    Balloon,
    /// Buffers of network connections, outside slab.
    Sockets,
    /// Kernel memory of a cgroup whose parts the kernel does not tell.
    Kernel,
    /// Not used.
    Free,
    /// What no counter of the kernel has.
    Unexplained,
}

/// Who gives a line back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nature {
    /// Nobody has it.
    Free,
    /// The kernel, when memory is needed: it is no leak, however it grows.
    Reclaimable,
    /// The exit of a process: services and processes explain it.
    Processes,
    /// Somebody must remove or close something: no exit and no pressure brings it back.
    Held,
}

/// What is to be said of a line.
struct Facts {
    kind: LineKind,
    name: &'static str,
    title: &'static str,
    nature: Nature,
    advice: &'static str,
}

const fn row(
    kind: LineKind,
    name: &'static str,
    title: &'static str,
    nature: Nature,
    advice: &'static str,
) -> Facts {
    Facts { kind, name, title, nature, advice }
}

const FACTS: [Facts; 19] = [
    row(
        LineKind::Anonymous,
        "anonymous",
        "private memory of processes",
        Nature::Processes,
        "The services above say which processes grow.",
    ),
    row(
        LineKind::SharedMemory,
        "shared-memory",
        "shared memory and tmpfs",
        Nature::Held,
        "It is freed when the files are removed and closed, and only then; a size= option of the mount \
         bounds it.",
    ),
    row(
        LineKind::PageCache,
        "page-cache",
        "contents of files (page cache)",
        Nature::Reclaimable,
        "The kernel drops it when memory is needed: no leak.",
    ),
    row(
        LineKind::SwapCache,
        "swap-cache",
        "pages that are in swap too",
        Nature::Reclaimable,
        "The kernel drops it when memory is needed: no leak.",
    ),
    row(
        LineKind::SlabReclaimable,
        "slab-reclaimable",
        "kernel caches (dentries, inodes)",
        Nature::Reclaimable,
        "The kernel gives it back when memory is needed: no leak, however large it is.",
    ),
    row(
        LineKind::SlabUnreclaimable,
        "slab-unreclaimable",
        "kernel objects (slab)",
        Nature::Held,
        "No process's exit gives it back by itself. Its largest cache names what leaks: a driver, a \
         module, a security policy, or cgroups, mounts and network namespaces that are made and never \
         removed.",
    ),
    row(
        LineKind::PageTables,
        "page-tables",
        "page tables",
        Nature::Held,
        "Many processes map much, or one maps a large area sparsely: huge pages for large shared memory, \
         fewer processes, or the exit of the one with the largest VmPTE help.",
    ),
    row(
        LineKind::KernelStacks,
        "kernel-stacks",
        "kernel stacks of tasks",
        Nature::Held,
        "Each task has one, 16 KiB: threads or processes are started that never end.",
    ),
    row(
        LineKind::Vmalloc,
        "vmalloc",
        "kernel areas (vmalloc)",
        Nature::Held,
        "/proc/vmallocinfo names who asked for it: a module, BPF programs and maps, a driver.",
    ),
    row(
        LineKind::Percpu,
        "percpu",
        "kernel memory for each CPU",
        Nature::Held,
        "Cgroups, network namespaces and BPF maps have such memory: those that are made and never removed \
         are left behind.",
    ),
    row(
        LineKind::HugePages,
        "huge-pages",
        "huge pages set aside",
        Nature::Held,
        "vm.nr_hugepages sets them aside, used or not: lower it where HugePages_Free stays high.",
    ),
    row(
        LineKind::Zram,
        "zram",
        "compressed swap in memory (zram)",
        Nature::Held,
        "It holds what processes have in swap: it grows as they do.",
    ),
    row(
        LineKind::Zswap,
        "zswap",
        "compressed cache of swap (zswap)",
        Nature::Held,
        "It holds what processes have in swap: it grows as they do.",
    ),
    row(
        LineKind::Arc,
        "arc",
        "cache of ZFS (ARC)",
        Nature::Reclaimable,
        "ZFS gives it back down to zfs_arc_min when memory is needed: no leak; zfs_arc_max bounds it.",
    ),
    row(
        LineKind::Balloon,
        "balloon",
        "taken by the host (balloon)",
        Nature::Held,
        "The host takes memory from this virtual machine: nothing inside it can change that.",
    ),
    row(
        LineKind::Sockets,
        "sockets",
        "network buffers",
        Nature::Held,
        "Programs do not read what arrives, or their peers do not: `ss -tm` shows the queues of each \
         connection; net.ipv4.tcp_mem bounds them.",
    ),
    row(
        LineKind::Kernel,
        "kernel",
        "kernel memory",
        Nature::Held,
        "Kernel memory of a cgroup; dentries and inodes in it come back when memory is needed.",
    ),
    row(LineKind::Free, "free", "free", Nature::Free, ""),
    row(
        LineKind::Unexplained,
        "unexplained",
        "unexplained",
        Nature::Held,
        "No counter of the kernel has it: pages that a driver (network, graphics, storage) or a \
         hypervisor took. Unload or update the driver; a newer kernel may count it.",
    ),
];

impl LineKind {
    fn facts(self) -> &'static Facts {
        FACTS.iter().find(|facts| facts.kind == self).unwrap_or(&FACTS[18])
    }

    /// Its name in JSON and in recordings.
    pub fn name(self) -> &'static str {
        self.facts().name
    }

    /// The line of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        FACTS.iter().find(|facts| facts.name == name).map(|facts| facts.kind)
    }

    /// What it is, in a report.
    pub fn title(self) -> &'static str {
        self.facts().title
    }

    /// Who gives it back.
    pub fn nature(self) -> Nature {
        self.facts().nature
    }

    /// What to know and do if it grows.
    pub fn advice(self) -> &'static str {
        self.facts().advice
    }
}

impl Nature {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Free => "free",
            Self::Reclaimable => "reclaimable",
            Self::Processes => "processes",
            Self::Held => "held",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_has_a_row_of_its_own() {
        for facts in &FACTS {
            assert_eq!(FACTS.iter().filter(|other| other.name == facts.name).count(), 1);
            assert_eq!(facts.kind.name(), facts.name);
        }
        assert_eq!(LineKind::Unexplained.name(), "unexplained");
    }
}
