//! The machine's counters, from /proc and /sys.

use crate::core::balance::counters::Counters;
use crate::system::proc::parse::{kib_line, lines, named_line, number};
use std::path::Path;

/// Reads all of them; what cannot be read is 0.
pub(super) fn read(procfs: &Path, sysfs: &Path, page_size: u64) -> Counters {
    let file = |name: &str| std::fs::read(procfs.join(name)).unwrap_or_default();
    let text = file("meminfo");
    let of = |name: &str| kib_line(&text, name.as_bytes()).unwrap_or(0);
    let sum = |names: &[&str]| names.iter().fold(0_u64, |sum, name| sum.saturating_add(of(name)));
    let vmstat = file("vmstat");
    let ever = |name: &str| named_line(&vmstat, name.as_bytes()).unwrap_or(0);
    let pages = |count: u64| count.saturating_mul(page_size);
    // Before 6.18 only vmstat tells of the balloon.
    let balloon = ever("balloon_inflate").saturating_sub(ever("balloon_deflate"));
    let sizes = of("HugePages_Total") / 1024;
    Counters {
        total: of("MemTotal"),
        headroom: sum(&["MemAvailable", "SwapFree"]),
        free: of("MemFree"),
        cpu_lists: pages(cpu_lists(&file("zoneinfo"))),
        cached: sum(&["Cached", "Buffers"]),
        shared: of("Shmem"),
        swap_cached: of("SwapCached"),
        lru: sum(&["Active", "Inactive", "Unevictable"]),
        anonymous: of("AnonPages"),
        reclaimable: of("SReclaimable").max(of("KReclaimable")),
        unreclaimable: of("SUnreclaim"),
        stacks: of("KernelStack"),
        page_tables: sum(&["PageTables", "SecPageTables"]),
        vmalloc: of("VmallocUsed"),
        percpu: of("Percpu"),
        huge: of("Hugetlb").max(sizes.saturating_mul(of("Hugepagesize"))),
        zram: zram(sysfs),
        zswap: of("Zswap"),
        arc: arc(&file("spl/kstat/zfs/arcstats")),
        balloon: of("Balloon").max(pages(balloon)),
        sockets: sockets(&file("net/sockstat"), page_size),
    }
}

/// Pages in the lists of the CPUs: the lines `count: 123` of zoneinfo.
fn cpu_lists(zoneinfo: &[u8]) -> u64 {
    let counts = lines(zoneinfo).filter_map(|line| line.trim_ascii_start().strip_prefix(b"count:"));
    counts.filter_map(|count| number(count.trim_ascii())).fold(0, u64::saturating_add)
}

/// What all zram devices take: the third number of mm_stat.
fn zram(sysfs: &Path) -> u64 {
    let Ok(devices) = std::fs::read_dir(sysfs.join("block")) else { return 0 };
    let is_zram = |name: &std::ffi::OsStr| name.to_string_lossy().starts_with("zram");
    let used = |device: std::fs::DirEntry| {
        let text = std::fs::read(device.path().join("mm_stat")).ok()?;
        number(text.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty()).nth(2)?)
    };
    let devices = devices.flatten().filter(|device| is_zram(&device.file_name()));
    devices.filter_map(used).fold(0, u64::saturating_add)
}

/// What the cache of ZFS has in pages of its own; its headers and dnodes are in slab.
fn arc(arcstats: &[u8]) -> u64 {
    let of = |name: &[u8]| {
        let found = lines(arcstats).find_map(|line| {
            let mut fields = line.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty());
            (fields.next()? == name).then(|| number(fields.nth(1)?))?
        });
        found.unwrap_or(0)
    };
    of(b"data_size").saturating_add(of(b"metadata_size"))
}

/// TCP and UDP count pages, fragments count bytes.
pub(in crate::system) fn sockets(sockstat: &[u8], page_size: u64) -> u64 {
    let of = |name: &[u8], field: &[u8]| {
        let line = lines(sockstat).find_map(|line| line.strip_prefix(name))?;
        let mut fields = line.split(u8::is_ascii_whitespace);
        fields.find(|word| *word == field)?;
        number(fields.next()?)
    };
    let pages = [b"TCP:".as_slice(), b"UDP:"].into_iter().filter_map(|name| of(name, b"mem"));
    let bytes = pages.fold(0_u64, u64::saturating_add).saturating_mul(page_size);
    bytes.saturating_add(of(b"FRAG:", b"memory").unwrap_or(0))
}
