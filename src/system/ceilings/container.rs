//! Container: the counters of an OpenVZ or Virtuozzo container, /proc/user_beancounters.
//!
//! One line a resource: held, maxheld, barrier, limit, failcnt; of several containers only the
//! host sees more than one block. What is denied there fails with ENOMEM and counts up failcnt
//! (OpenVZ wiki, "UBC"). An ordinary allocation stops at the barrier; up to the limit only the
//! kernel's own go.

use super::cgroup::CgroupLimit;
use super::kept_file::{Counter, KeptFile};
use crate::core::model::ceiling::{CeilingKind, MemoryFailureKind, PastFailures, Place};
use crate::system::proc::parse::{lines, number};
use std::path::Path;

/// A limit that is one: none is written as 2^31 - 1 by 32-bit kernels, as 2^63 - 1 by others.
fn finite(value: u64) -> Option<u64> {
    (value != 0x7fff_ffff && value < 1 << 50).then_some(value)
}

/// A container's counters.
#[derive(Debug)]
pub(in crate::system) struct Container {
    file: KeptFile,
    page_size: u64,
    failed: [Counter; 4],
}

/// What is limited, and for each resource how often it was denied since the look before.
pub(in crate::system) type DeniedCounts = ([Option<CgroupLimit>; 4], [(CeilingKind, u64); 4]);

/// The resources that are read; each has a counter of failures.
const ROWS: [&str; 5] = ["privvmpages", "physpages", "kmemsize", "numproc", "swappages"];

/// One line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::system) struct CounterRow {
    held: u64,
    barrier: u64,
    limit: u64,
    failed: u64,
}

impl Container {
    /// The counters under a procfs, if it is a container's.
    pub(in crate::system) fn open(procfs: &Path, page_size: u64) -> Option<Self> {
        let file = KeptFile::open(procfs.join("user_beancounters")).ok()?;
        let container = Self { file, page_size, failed: Default::default() };
        container.rows().map(|_| container)
    }

    fn rows(&self) -> Option<[Option<CounterRow>; 5]> {
        rows(self.file.text(&mut [0; 8192])?)
    }

    /// Its ceilings, and for each resource how often it was denied since the look before.
    pub(in crate::system) fn read(&mut self) -> Option<DeniedCounts> {
        let [private, physical, kernel, processes, swap] = self.rows()?;
        let (page, place) = (self.page_size, Place::NONE);
        let barrier = |kind, row: Option<CounterRow>, unit: u64| {
            let CounterRow { held, barrier, .. } = row?;
            let bytes = |amount: u64| amount.saturating_mul(unit);
            Some(CgroupLimit { kind, place, used: bytes(held), limit: bytes(finite(barrier)?) })
        };
        // vSwap: memory is limited as it is used, not as it is asked for.
        let physical_limit = || {
            let (row, swap) = (physical?, swap.unwrap_or_default());
            let bytes = |memory: u64, swap: u64| memory.saturating_add(swap).saturating_mul(page);
            let limit = bytes(finite(row.limit)?, finite(swap.limit).unwrap_or(0));
            let (kind, used) = (CeilingKind::Physpages, bytes(row.held, swap.held));
            Some(CgroupLimit { kind, place, used, limit })
        };
        let asked_for = barrier(CeilingKind::Privvmpages, private, page);
        let limits = [
            asked_for,
            if asked_for.is_none() { physical_limit() } else { None },
            barrier(CeilingKind::Kmemsize, kernel, 1),
            barrier(CeilingKind::Numproc, processes, 1),
        ];
        let kinds = [
            (CeilingKind::Privvmpages, private),
            (CeilingKind::Physpages, physical),
            (CeilingKind::Kmemsize, kernel),
            (CeilingKind::Numproc, processes),
        ];
        let mut failed = self.failed.iter_mut();
        let denied = kinds.map(|(kind, row)| {
            let grew = failed.next().map_or(0, |counter| counter.grew(row.map(|row| row.failed)));
            (kind, grew)
        });
        Some((limits, denied))
    }
}

impl Container {
    /// What was denied since the container began, by resource.
    pub(in crate::system) fn past(&self) -> Vec<PastFailures> {
        let Some([private, physical, kernel, processes, _]) = self.rows() else {
            return Vec::new();
        };
        let file = self.file.path().display().to_string();
        let past = |(ceiling, row): (CeilingKind, Option<CounterRow>)| {
            let count = row?.failed;
            let (kind, place, file) = (MemoryFailureKind::Refused, Place::NONE, file.clone());
            (count > 0).then_some(PastFailures { kind, ceiling, place, count, file })
        };
        let rows = [
            (CeilingKind::Privvmpages, private),
            (CeilingKind::Physpages, physical),
            (CeilingKind::Kmemsize, kernel),
            (CeilingKind::Numproc, processes),
        ];
        rows.into_iter().filter_map(past).collect()
    }
}

/// The rows of the one container that is shown; none on a host, which sees several.
pub(in crate::system) fn rows(text: &[u8]) -> Option<[Option<CounterRow>; 5]> {
    let mut found = [None; 5];
    let mut blocks = 0_usize;
    for line in lines(text) {
        let mut fields = line.split(u8::is_ascii_whitespace).filter(|f| !f.is_empty()).peekable();
        // "101:" begins a container's block, on the line of its first resource.
        if let Some(id) = fields.next_if(|f| f.ends_with(b":"))
            && number(id.trim_ascii_end().strip_suffix(b":").unwrap_or_default()).is_some()
        {
            blocks = blocks.saturating_add(1);
        }
        let Some(name) = fields.next() else { continue };
        let mut rows = ROWS.iter().zip(&mut found);
        let Some((_, row)) = rows.find(|(row, _)| row.as_bytes() == name) else { continue };
        let mut next = || fields.next().and_then(number);
        let (Some(held), Some(_max), Some(barrier), Some(limit), Some(failed)) =
            (next(), next(), next(), next(), next())
        else {
            continue;
        };
        *row = Some(CounterRow { held, barrier, limit, failed });
    }
    (blocks == 1 && found.iter().any(Option::is_some)).then_some(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::units::MIB;
    use std::fs;

    /// As in the OpenVZ wiki, shortened.
    const UBC: &str = "Version: 2.5
       uid  resource           held    maxheld    barrier      limit    failcnt
      101:  kmemsize        2752512    2932736   14336000   14790164          0
            lockedpages           0          0        256        256          0
            privvmpages       49152      50176      65536      69632         12
            shmpages            640        656      21504      21504          0
            numproc              24         31        240        240          0
            physpages          9051      11190          0 2147483647          0
            swappages             0          0          0 2147483647          0
";

    fn container(text: &str) -> Option<Container> {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("user_beancounters"), text).unwrap();
        Container::open(dir.path(), 4096)
    }

    fn limits(text: &str) -> Vec<(CeilingKind, u64, u64)> {
        let (limits, _) = container(text).unwrap().read().unwrap();
        limits.into_iter().flatten().map(|l| (l.kind, l.used, l.limit)).collect()
    }

    #[test]
    fn memory_asked_for_is_what_counts_in_an_openvz_container() {
        assert_eq!(
            limits(UBC),
            [
                (CeilingKind::Privvmpages, 192 * MIB, 256 * MIB),
                (CeilingKind::Kmemsize, 2_752_512, 14_336_000),
                (CeilingKind::Numproc, 24, 240),
            ]
        );
    }

    #[test]
    fn under_vswap_it_is_memory_used_with_its_swap() {
        let text = UBC
            .replace("65536      69632", "9223372036854775807 9223372036854775807")
            .replace(
                "9051      11190          0 2147483647",
                "9051      11190          0      65536",
            )
            .replace("0          0          0 2147483647", "1024       0          0      32768");
        let expected = (CeilingKind::Physpages, (9051 + 1024) * 4096, 384 * MIB);
        assert_eq!(limits(&text)[0], expected);
    }

    #[test]
    fn a_host_that_sees_all_its_containers_is_in_none() {
        let two = format!("{UBC}{}", UBC.replace("101:", "102:").replace("Version: 2.5\n", ""));
        assert!(container(&two).is_none());
        assert!(container("Version: 2.5\n").is_none());
    }

    #[test]
    fn what_was_denied_is_counted_from_the_first_look_on() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("user_beancounters");
        fs::write(&path, UBC).unwrap();
        let mut container = Container::open(dir.path(), 4096).unwrap();
        let mut denied = || container.read().unwrap().1[0];
        assert_eq!(denied(), (CeilingKind::Privvmpages, 0));
        fs::write(&path, UBC.replace("         12", "         15")).unwrap();
        assert_eq!(denied(), (CeilingKind::Privvmpages, 3));
    }
}
