use super::*;
use crate::core::balance::{Balance, CgroupReading};
use crate::core::model::memory_line::LineKind;
use rustix::fs::{MemfdFlags, ftruncate, memfd_create};
use std::fs::File;
use std::io::Write;

const MIB: u64 = 1 << 20;

/// On a live machine nothing stands still: what is compared may differ by so much.
const SLACK: f64 = 0.03;

#[test]
fn the_sheet_of_this_machine_adds_up() {
    let reader = BalanceReader::new(Path::new("/proc"), None);
    let reading = reader.read(&[]);
    let counters = reading.counters;
    let lines = counters.lines();
    let sum: u64 = lines.iter().map(|line| line.bytes).sum();
    let off = (sum as f64 - counters.total as f64).abs() / counters.total as f64;
    assert!(off < SLACK, "{sum} of {}: {lines:?}", counters.total);
}

#[test]
fn a_fixture_of_every_counter_gives_every_line() {
    let dir = tempfile::tempdir().unwrap();
    let (procfs, sysfs) = (dir.path().join("proc"), dir.path().join("sys"));
    let put = |path: PathBuf, text: &str| {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put(
        procfs.join("meminfo"),
        "MemTotal: 1000000 kB\nMemFree: 100000 kB\nMemAvailable: 300000 kB\nBuffers: 10000 kB\n\
         Cached: 200000 kB\nSwapCached: 1000 kB\nActive: 300000 kB\nInactive: 200000 kB\n\
         Unevictable: 0 kB\nSwapTotal: 50000 kB\nSwapFree: 20000 kB\nZswap: 7000 kB\n\
         AnonPages: 250000 kB\nShmem: 60000 kB\nKReclaimable: 90000 kB\nSReclaimable: 80000 kB\n\
         SUnreclaim: 40000 kB\nKernelStack: 5000 kB\nPageTables: 6000 kB\nSecPageTables: 1000 kB\n\
         VmallocUsed: 9000 kB\nPercpu: 3000 kB\nHugePages_Total: 10\nHugepagesize: 2048 kB\n",
    );
    put(procfs.join("vmstat"), "balloon_inflate 3000\nballoon_deflate 1000\n");
    put(
        procfs.join("zoneinfo"),
        "Node 0, zone Normal\n  pagesets\n    cpu: 0\n              count:    100\n",
    );
    put(
        procfs.join("net/sockstat"),
        "TCP: inuse 1 orphan 0 tw 0 alloc 1 mem 250\nUDP: inuse 0 mem 250\nFRAG: inuse 0 memory 8192\n",
    );
    put(
        procfs.join("spl/kstat/zfs/arcstats"),
        "13 1 0x01 1\nname type data\ndata_size 4 50000000\nmetadata_size 4 1000000\n",
    );
    put(sysfs.join("block/zram0/mm_stat"), "  8192000 3000000 4096000 0 4096000 0 0 0 0\n");
    put(sysfs.join("block/sda/mm_stat"), "1 1 1\n");
    let lines = counters::read(&procfs, &sysfs, 4096).lines();
    let of = |kind| lines.iter().find(|line| line.kind == kind).unwrap().bytes / 1024;
    for (kind, kib) in [
        (LineKind::Anonymous, 250_000),
        (LineKind::SharedMemory, 60_000),
        (LineKind::PageCache, 150_000),
        (LineKind::SwapCache, 1000),
        (LineKind::SlabReclaimable, 90_000),
        (LineKind::SlabUnreclaimable, 40_000),
        (LineKind::KernelStacks, 5000),
        (LineKind::PageTables, 7000),
        (LineKind::Vmalloc, 4000),
        (LineKind::Percpu, 3000),
        (LineKind::HugePages, 20_480),
        (LineKind::Zram, 4000),
        (LineKind::Zswap, 7000),
        (LineKind::Arc, 51_000_000 / 1024),
        (LineKind::Balloon, 8000),
        (LineKind::Sockets, 2008),
        (LineKind::Free, 100_400),
    ] {
        assert_eq!(of(kind), kib, "{}", kind.name());
    }
    assert_eq!(lines.iter().map(|line| line.bytes).sum::<u64>(), 1_000_000 * 1024);
}

#[test]
fn a_memfd_is_named_with_who_holds_it() {
    let mut file = File::from(memfd_create("leakwatch-test", MemfdFlags::CLOEXEC).unwrap());
    ftruncate(&file, 64 * MIB).unwrap();
    file.write_all(&vec![1; 3 * MIB as usize]).unwrap();
    let mut details = Details::default();
    holders::read(Path::new("/proc"), &[], &mut || true, &mut details);
    let wanted = |part: &&crate::core::balance::Part| {
        part.name.starts_with("memfd leakwatch-test of ")
            && part.name.contains(&format!("[{}]", std::process::id()))
    };
    let part = details.parts.iter().find(wanted).unwrap();
    assert_eq!(part.bytes, 3 * MIB, "what is in it, not its length");
}

/// A directory in a tmpfs of this machine, if there is one that can be written to.
fn in_tmpfs() -> Option<tempfile::TempDir> {
    tempfile::tempdir_in("/dev/shm").ok()
}

#[test]
fn a_tmpfs_that_grows_is_named_with_its_directory() {
    let Some(dir) = in_tmpfs() else { return };
    let mut reader = BalanceReader::new(Path::new("/proc"), None);
    if !reader.mounts.iter().any(|mount| mount.name == "tmpfs /dev/shm") {
        return;
    }
    let mut balance = Balance::new(reader.page_size(), 1.0);
    let spool = dir.path().join("spool");
    std::fs::create_dir(&spool).unwrap();
    balance.push_details(0.0, reader.details(&mut || true));
    for nth in 0..32_u32 {
        std::fs::write(spool.join(nth.to_string()), vec![1; MIB as usize]).unwrap();
        balance.push(f64::from(nth), reader.read(&[]));
    }
    balance.push_details(32.0, reader.details(&mut || true));
    let sheet = balance.sheet();
    let line = sheet.line(LineKind::SharedMemory).unwrap();
    assert!(line.grows(), "{:?}", line.trend);
    let part = line.parts.iter().find(|part| part.name == "tmpfs /dev/shm").unwrap();
    assert!(part.rate.unwrap() > 0.5 * MIB as f64, "{part:?}");
    let wanted = spool.strip_prefix("/dev/shm").unwrap().display().to_string();
    assert_eq!(part.directory.as_ref().unwrap().path, format!("/{wanted}"));
}

#[test]
fn a_covered_mount_and_one_behind_a_server_are_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    let own = dir.path().join("self");
    std::fs::create_dir_all(own.join("ns")).unwrap();
    std::os::unix::fs::symlink("mnt:[1]", own.join("ns/mnt")).unwrap();
    let text = "22 1 0:900 / / rw - ext4 /dev/vda rw\n\
        25 22 0:901 / /dev/shm rw - tmpfs tmpfs rw\n\
        26 22 0:902 / /net rw - nfs4 server:/ rw\n\
        27 26 0:903 / /net/tmp rw - tmpfs tmpfs rw\n";
    std::fs::write(own.join("mountinfo"), text).unwrap();
    assert!(mounts::find(dir.path()).is_empty(), "no device has these numbers");
}

/// The innermost cgroup of process 7 in a fixture of that version.
fn cgroup_sheet(mount: &str, group: &str, files: &[(&str, &str)]) -> CgroupReading {
    let dir = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    put("proc/self/mountinfo", mount);
    put("proc/7/cgroup", group);
    files.iter().for_each(|(name, text)| put(&format!("sys/{name}"), text));
    let (procfs, sysfs) = (dir.path().join("proc"), dir.path().join("sys"));
    let reader = BalanceReader::new(&procfs, Some(&sysfs));
    let mut cgroups = reader.read(&[7]).cgroups;
    assert_eq!(cgroups.len(), 1);
    cgroups.pop().unwrap()
}

fn assert_lines(sheet: &CgroupReading, wanted: &[(LineKind, u64)]) {
    for (kind, bytes) in wanted {
        let line = sheet.lines.iter().find(|line| line.kind == *kind).unwrap();
        assert_eq!(line.bytes, *bytes, "{}", kind.name());
    }
    assert_eq!(sheet.lines.iter().map(|line| line.bytes).sum::<u64>(), sheet.total);
}

#[test]
fn the_sheet_of_a_cgroup_of_version_2_has_every_line_and_adds_up() {
    let stat = "anon 5000\nfile 3000\nkernel 900\nkernel_stack 16\npagetables 20\n\
        sec_pagetables 4\npercpu 8\nsock 300\nvmalloc 12\nshmem 1000\nzswap 40\n\
        slab_reclaimable 200\nslab_unreclaimable 100\n";
    let sheet = cgroup_sheet(
        "30 20 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n",
        "0::/web/app\n",
        &[
            ("fs/cgroup/web/app/memory.stat", stat),
            ("fs/cgroup/web/app/memory.current", "9000\n"),
            ("fs/cgroup/web/app/memory.max", "max\n"),
            ("fs/cgroup/web/memory.max", "20000\n"),
        ],
    );
    assert_eq!((sheet.place.as_str(), sheet.limit), ("/web/app", Some(20_000)));
    assert_lines(
        &sheet,
        &[
            (LineKind::Anonymous, 5000),
            (LineKind::SharedMemory, 1000),
            (LineKind::PageCache, 2000),
            (LineKind::SlabReclaimable, 200),
            (LineKind::SlabUnreclaimable, 100),
            (LineKind::PageTables, 24),
            (LineKind::KernelStacks, 16),
            (LineKind::Vmalloc, 12),
            (LineKind::Percpu, 8),
            (LineKind::Zswap, 40),
            (LineKind::Sockets, 300),
            (LineKind::Unexplained, 300),
        ],
    );
}

#[test]
fn the_sheet_of_a_cgroup_of_version_1_has_what_that_tells_and_adds_up() {
    let stat = "cache 1\nrss 2\ntotal_cache 3000\ntotal_rss 5000\ntotal_shmem 1000\n";
    let sheet = cgroup_sheet(
        "33 20 0:30 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        "4:memory:/web\n0::/\n",
        &[
            ("fs/cgroup/memory/web/memory.stat", stat),
            ("fs/cgroup/memory/web/memory.usage_in_bytes", "9000\n"),
            ("fs/cgroup/memory/web/memory.kmem.usage_in_bytes", "700\n"),
            ("fs/cgroup/memory/web/memory.limit_in_bytes", "9223372036854771712\n"),
        ],
    );
    assert_eq!((sheet.place.as_str(), sheet.limit), ("/web", None));
    assert_lines(
        &sheet,
        &[
            (LineKind::Anonymous, 5000),
            (LineKind::SharedMemory, 1000),
            (LineKind::PageCache, 2000),
            (LineKind::Kernel, 700),
            (LineKind::Unexplained, 300),
        ],
    );
}
