//! Machine: what stays put between samples.

use crate::sample::Header;
use sysinfo::System;

/// The header of a series of samples taken on this machine every `interval_s` seconds.
pub fn header(interval_s: f64) -> Header {
    Header {
        interval_s,
        clock_ticks: procfs::ticks_per_second(),
        page_size: procfs::page_size(),
        hostname: System::host_name().unwrap_or_else(|_| "localhost".to_owned()),
    }
}

/// What tells this boot from others, as the procfs at `root` has it; empty where it does not.
pub fn boot(root: &std::path::Path) -> String {
    let id = std::fs::read_to_string(root.join("sys/kernel/random/boot_id")).unwrap_or_default();
    id.trim().chars().filter(|c| c.is_ascii_hexdigit() || *c == '-').collect()
}

/// Whether leakwatch runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// "Debian GNU/Linux 12, Linux 6.1.0, 2 CPUs", as far as it can be told.
pub fn description() -> String {
    let parts = [
        System::long_os_version().ok(),
        System::kernel_version().ok().map(|version| format!("Linux {version}")),
        std::thread::available_parallelism().ok().map(|n| match n.get() {
            1 => "1 CPU".to_owned(),
            n => format!("{n} CPUs"),
        }),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}
