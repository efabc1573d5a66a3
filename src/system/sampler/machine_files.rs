//! Files of the machine as a whole that each sample reads, kept open.

use crate::core::model::ceiling::Place;
use crate::core::model::memory_line::LineKind;
use crate::core::model::sample::{CommitCharge, Memory, MemoryUse};
use crate::system::balance::sockets;
use crate::system::foreign_file;
use crate::system::proc::parse;
use crate::system::proc::procdir::{is_procfs, read_kept};
use anyhow::{Context, Result};
use std::fs::File;
use std::path::Path;

/// meminfo, stat, loadavg and vm.overcommit_memory.
#[derive(Debug)]
pub(super) struct MachineFiles {
    meminfo: File,
    stat: Option<File>,
    loadavg: Option<File>,
    overcommit: Option<File>,
    /// Counters of the cache of ZFS, which MemAvailable leaves out.
    arcstats: Option<File>,
    /// vm.overcommit_memory as last read, where it can be.
    pub(super) overcommit_mode: Option<u8>,
    /// Bytes of that cache that counted as available.
    pub(super) arc: Option<u64>,
    /// What sockets use.
    sockstat: Option<File>,
    /// What uses memory, as last read.
    uses: [u64; USES.len()],
    page_size: u64,
}

/// What meminfo tells of memory that no process gives back by itself, and of that of processes. Two
/// lines of one kind add up.
const USES: [(LineKind, &[u8]); 11] = [
    (LineKind::Anonymous, b"AnonPages"),
    (LineKind::SharedMemory, b"Shmem"),
    (LineKind::SlabUnreclaimable, b"SUnreclaim"),
    (LineKind::PageTables, b"PageTables"),
    (LineKind::KernelStacks, b"KernelStack"),
    (LineKind::Vmalloc, b"VmallocUsed"),
    (LineKind::Percpu, b"Percpu"),
    (LineKind::HugePages, b"Hugetlb"),
    (LineKind::Zswap, b"Zswap"),
    (LineKind::Balloon, b"Balloon"),
    (LineKind::Sockets, b""),
];

/// The machine's tasks, and the pid that was given out last; each where it is known.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct TaskCounts {
    pub(super) tasks: Option<u64>,
    pub(super) last_pid: Option<u64>,
}

impl MachineFiles {
    /// Those of the procfs at `root`.
    ///
    /// # Errors
    /// When it has no meminfo.
    pub(super) fn open(root: &Path) -> std::io::Result<Self> {
        Ok(Self {
            meminfo: foreign_file::open(&root.join("meminfo"))?,
            stat: foreign_file::open(&root.join("stat")).ok(),
            loadavg: foreign_file::open(&root.join("loadavg")).ok(),
            overcommit: foreign_file::open(&root.join("sys/vm/overcommit_memory")).ok(),
            arcstats: foreign_file::open(&root.join("spl/kstat/zfs/arcstats")).ok(),
            overcommit_mode: None,
            arc: None,
            sockstat: foreign_file::open(&root.join("net/sockstat")).ok(),
            uses: [0; USES.len()],
            page_size: procfs::page_size(),
        })
    }

    /// The machine's memory.
    ///
    /// # Errors
    /// When meminfo cannot be read or lacks what it must have.
    pub(super) fn memory(&mut self) -> Result<Memory> {
        let mut buffer = [0; 8192];
        let text = read_kept(&self.meminfo, &mut buffer).context("cannot read meminfo")?;
        read_uses(text, &mut self.uses);
        let bytes = |name: &str| parse::kib_line(text, name.as_bytes());
        let total = bytes("MemTotal").context("meminfo has no MemTotal")?;
        // Before 3.14 there is no MemAvailable. Free and page cache without shared memory is what
        // free(1) of that time showed; it promises too much by the low watermarks (a few MiB).
        let older = || {
            let of = |name| bytes(name).unwrap_or(0);
            let cache = of("Buffers").saturating_add(of("Cached")).saturating_sub(of("Shmem"));
            bytes("MemFree").map(|free| free.saturating_add(cache))
        };
        let available =
            bytes("MemAvailable").or_else(older).context("meminfo has no MemAvailable")?;
        let mut digit = [0; 8];
        self.overcommit_mode =
            match self.overcommit.as_ref().map(|file| read_kept(file, &mut digit)) {
                Some(Ok(&[digit @ b'0'..=b'2', ..])) => Some(digit - b'0'),
                _ => None,
            };
        self.arc = self.shrinkable_arc();
        let available = available.saturating_add(self.arc.unwrap_or(0)).min(total);
        let commit = bytes("CommitLimit")
            .zip(bytes("Committed_AS"))
            .filter(|_| self.overcommit_mode == Some(2))
            .map(|(limit, used)| CommitCharge { limit, used });
        Ok(Memory {
            total,
            available,
            swap_total: bytes("SwapTotal").unwrap_or(0),
            swap_free: bytes("SwapFree").unwrap_or(0),
            commit,
        })
    }

    /// What uses memory, by the meminfo that was last read, and by the counters of sockets.
    pub(super) fn uses(&self) -> impl Iterator<Item = MemoryUse> {
        let mut buffer = [0; 2048];
        let text = self.sockstat.as_ref().and_then(|file| read_kept(file, &mut buffer).ok());
        let sockets = text.map_or(0, |text| sockets(text, self.page_size));
        let uses = USES.iter().zip(self.uses).map(move |((kind, name), bytes)| {
            let bytes = if name.is_empty() { sockets } else { bytes };
            MemoryUse { place: Place::NONE, kind: *kind, part: Place::NONE, bytes }
        });
        uses.filter(|of| of.bytes > 0)
    }

    /// Bytes of shared memory, by the meminfo that was last read.
    pub(super) fn shared(&self) -> u64 {
        let of = USES.iter().zip(self.uses).find(|((kind, _), _)| *kind == LineKind::SharedMemory);
        of.map_or(0, |(_, bytes)| bytes)
    }

    /// What the cache of ZFS gives back under pressure: its size less c_min.
    fn shrinkable_arc(&self) -> Option<u64> {
        let mut buffer = [0; 16_384];
        let text = read_kept(self.arcstats.as_ref()?, &mut buffer).ok()?;
        let of = |name: &[u8]| {
            parse::lines(text).find_map(|line| {
                let mut fields = line.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty());
                (fields.next()? == name).then(|| parse::number(fields.nth(1)?))?
            })
        };
        of(b"size")?.checked_sub(of(b"c_min")?)
    }

    /// Clock ticks that the machine was busy since boot.
    pub(super) fn busy_ticks(&self) -> Option<u64> {
        let mut buffer = [0; 256];
        parse::busy_ticks(read_kept(self.stat.as_ref()?, &mut buffer).ok()?)
    }

    /// The ends of loadavg.
    pub(super) fn task_counts(&self) -> TaskCounts {
        let mut buffer = [0; 128];
        let load = self.loadavg.as_ref().and_then(|file| read_kept(file, &mut buffer).ok());
        let (tasks, last_pid) = load.and_then(parse::tasks).unzip();
        // lxcfs shows a pid of its own making there.
        let last_pid = last_pid.filter(|_| self.loadavg.as_ref().is_some_and(is_procfs));
        TaskCounts { tasks, last_pid }
    }
}

/// Takes the numbers of [`USES`] out of meminfo, in one pass.
fn read_uses(meminfo: &[u8], uses: &mut [u64; USES.len()]) {
    uses.fill(0);
    for line in parse::lines(meminfo) {
        let Some(colon) = line.iter().position(|byte| *byte == b':') else { continue };
        let (name, rest) = line.split_at(colon);
        let Some((slot, _)) =
            uses.iter_mut().zip(USES).find(|(_, (_, of))| *of == name && !of.is_empty())
        else {
            continue;
        };
        let mut fields = rest.split(|byte| b": \t".contains(byte)).filter(|f| !f.is_empty());
        *slot = fields.next().and_then(parse::number).unwrap_or(0).saturating_mul(1024);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_uses_memory_is_told_by_meminfo_and_by_the_counters_of_sockets() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("net")).unwrap();
        let text = "MemTotal: 1000 kB\nMemAvailable: 500 kB\nAnonPages: 300 kB\nShmem:  40 kB\n\
            SUnreclaim: 0 kB\nPageTables: 7 kB\nHugetlb: 2048 kB\nZswap: 5 kB\n";
        std::fs::write(dir.path().join("meminfo"), text).unwrap();
        std::fs::write(dir.path().join("net/sockstat"), "TCP: inuse 1 orphan 0 mem 3\n").unwrap();
        let mut machine = MachineFiles::open(dir.path()).unwrap();
        machine.memory().unwrap();
        let uses: Vec<_> = machine.uses().map(|of| (of.kind, of.bytes / 1024)).collect();
        let pages = 3 * procfs::page_size() / 1024;
        assert_eq!(
            uses,
            [
                (LineKind::Anonymous, 300),
                (LineKind::SharedMemory, 40),
                (LineKind::PageTables, 7),
                (LineKind::HugePages, 2048),
                (LineKind::Zswap, 5),
                (LineKind::Sockets, pages),
            ]
        );
        assert_eq!(machine.shared(), 40 << 10);
    }
}
