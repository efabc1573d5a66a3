//! The machine and leakwatch itself, beside samples.

use crate::core::model::load::{Pressure, SelfUsage};
use crate::core::model::sample::Header;
use crate::system::proc::parse;
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use std::fs::File;
use std::io::Read;
use sysinfo::System;

/// The header of a series of samples taken on this machine every `interval_s` seconds.
pub fn header(interval_s: f64) -> Header {
    Header {
        interval_s,
        clock_ticks: procfs::ticks_per_second(),
        page_size: procfs::page_size(),
        hostname: name(),
    }
}

/// The name of this machine, as it is now.
pub fn name() -> String {
    System::host_name().unwrap_or_else(|_| "localhost".to_owned())
}

/// What tells this boot from others, as the procfs at `root` has it; empty where it does not.
pub fn boot(root: &std::path::Path) -> String {
    let id = std::fs::read_to_string(root.join("sys/kernel/random/boot_id")).unwrap_or_default();
    id.trim().chars().filter(|c| c.is_ascii_hexdigit() || *c == '-').collect()
}

/// The time zone that logs are written and times are told in: `TZ`, else /etc/localtime, else UTC.
pub fn zone() -> jiff::tz::TimeZone {
    jiff::tz::TimeZone::try_system().unwrap_or(jiff::tz::TimeZone::UTC)
}

/// Columns of the terminal on standard output, if it is one.
pub fn columns() -> Option<u16> {
    let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
    Some(size.ws_col).filter(|columns| *columns > 0)
}

/// Whether leakwatch runs as root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// "Debian GNU/Linux 12, Linux 6.1.0, 2 CPUs", as far as it can be told.
pub fn description() -> String {
    let parts = [
        // `long_os_version` puts a "Linux (..)" around it.
        System::name().ok().map(|name| match System::os_version() {
            Ok(version) => format!("{name} {version}"),
            Err(_) => name,
        }),
        System::kernel_version().ok().map(|version| format!("Linux {version}")),
        std::thread::available_parallelism().ok().map(|n| match n.get() {
            1 => "1 CPU".to_owned(),
            n => format!("{n} CPUs"),
        }),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

/// The name of this machine; empty where it has none.
pub fn host() -> String {
    System::host_name().unwrap_or_default()
}

/// The pressures now. Allocates nothing.
pub fn pressure() -> Pressure {
    let some = |path: &str| {
        let mut buffer = [0; 256];
        let length = File::open(path).ok()?.read(&mut buffer).ok()?;
        parse::pressure(buffer.get(..length)?, "some")
    };
    Pressure {
        memory: some("/proc/pressure/memory"),
        cpu: some("/proc/pressure/cpu"),
        io: some("/proc/pressure/io"),
    }
}

/// What leakwatch itself uses. Allocates nothing; an unknown value is 0.
pub fn own_usage() -> SelfUsage {
    let cpu_s = getrusage(UsageWho::RUSAGE_SELF).map_or(0.0, |usage| {
        let seconds = |time: TimeVal| time.tv_sec() as f64 + time.tv_usec() as f64 * 1e-6;
        seconds(usage.user_time()) + seconds(usage.system_time())
    });
    let resident = || {
        let mut buffer = [0; 128];
        let length = File::open("/proc/self/statm").ok()?.read(&mut buffer).ok()?;
        let text = std::str::from_utf8(buffer.get(..length)?).ok()?;
        let mut fields = text.split(' ').skip(1).map(|field| field.parse::<u64>().ok());
        // resident, and of it what is of files (proc_pid_statm(5)).
        Some((fields.next()??, fields.next()??))
    };
    let (resident, file) = resident().unwrap_or_default();
    let bytes = |pages: u64| pages * procfs::page_size();
    SelfUsage { cpu_s, anon: bytes(resident.saturating_sub(file)), file: bytes(file) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_what_it_uses_itself() {
        let SelfUsage { cpu_s, anon, file } = own_usage();
        assert!((0.0..1e6).contains(&cpu_s), "{cpu_s} s");
        assert!(anon > 50 << 10 && file > 100 << 10, "{anon} and {file} bytes");
    }
}
