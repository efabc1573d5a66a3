//! Balance: where all memory is, and what of it grows.
//!
//! The lines of a sheet add up to the memory of the machine, or of a cgroup. Parts explain a line:
//! mounts, segments, caches, programs. Readings of the counters come with every sample and give each
//! line a trend; the costly parts (directories, open files, slab) are read at the beginning and at the end.

pub mod counters;
pub mod directories;
pub mod sheet;
pub mod trend;

use crate::core::balance::counters::{BalanceLine, Counters};
use crate::core::balance::directories::Directories;
use crate::core::balance::sheet::{Sheet, SheetLine, SheetPart};
use crate::core::balance::trend::LineTrend;
use crate::core::detect::basis::JudgeBasis;
use crate::core::detect::constants::Constants;
use crate::core::model::ceiling::Unit;
use crate::core::model::memory_line::LineKind;
use std::collections::BTreeMap;

/// Parts that are kept of a line's.
const MOST_PARTS: usize = 12;
/// Parts that have a trend of their own.
const MOST_TRENDS: usize = 128;

/// A part of a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Of which line.
    pub of: LineKind,
    /// What it is, as it was found: text of others, to be escaped on its way out.
    pub name: String,
    /// How much.
    pub bytes: u64,
    /// The most that it may be, where it has such a limit (a tmpfs).
    pub limit: Option<u64>,
    /// Who has it, in words; may hold text of others.
    pub note: String,
}

/// What one reading of the counters shows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reading {
    /// The machine's counters.
    pub counters: Counters,
    /// Parts that are cheap to read.
    pub parts: Vec<Part>,
    /// The cgroups that are watched.
    pub cgroups: Vec<CgroupReading>,
}

/// The memory of a cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CgroupReading {
    /// Its path.
    pub place: String,
    /// What it is charged with.
    pub total: u64,
    /// Its limit, or that of the nearest above it.
    pub limit: Option<u64>,
    /// Its lines.
    pub lines: Vec<BalanceLine>,
}

/// What is costly to read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// Parts.
    pub parts: Vec<Part>,
    /// The directories of file systems in memory.
    pub directories: Vec<Directories>,
    /// What could not be read, and what is lost by it.
    pub notes: Vec<String>,
}

/// Takes in readings.
pub struct Balance {
    basis: JudgeBasis,
    page_size: f64,
    readings: u32,
    last: Reading,
    /// By cgroup, the machine's without one.
    lines: BTreeMap<(String, LineKind), LineTrend>,
    parts: BTreeMap<(LineKind, String), LineTrend>,
    first_details: Option<(f64, Details)>,
    details: Option<(f64, Details)>,
}

impl Balance {
    /// Before the first of readings that are planned every `interval_s` seconds.
    pub fn new(page_size: f64, interval_s: f64) -> Self {
        Self {
            basis: JudgeBasis::new(Constants::default(), page_size, interval_s),
            page_size,
            readings: 0,
            last: Reading::default(),
            lines: BTreeMap::new(),
            parts: BTreeMap::new(),
            first_details: None,
            details: None,
        }
    }

    /// Takes in a reading at time `t`.
    pub fn push(&mut self, t: f64, reading: Reading) {
        let moment = self.basis.clock.advance(t, None);
        self.readings = self.readings.saturating_add(1);
        let Self { basis, page_size, lines, parts, .. } = self;
        let new = || LineTrend::new(Unit::Bytes, *page_size);
        let machine = reading.counters.lines();
        let machine = machine.iter().map(|line| (String::new(), line));
        let cgroups = reading.cgroups.iter();
        let cgroups =
            cgroups.flat_map(|group| group.lines.iter().map(|line| (group.place.clone(), line)));
        for (place, line) in machine.chain(cgroups) {
            let trend = lines.entry((place, line.kind)).or_insert_with(new);
            trend.push(&moment, t, line.bytes, basis);
        }
        for part in &reading.parts {
            let key = (part.of, part.name.clone());
            if parts.len() < MOST_TRENDS || parts.contains_key(&key) {
                parts.entry(key).or_insert_with(new).push(&moment, t, part.bytes, basis);
            }
        }
        self.last = reading;
    }

    /// Takes in what was costly to read at time `t`.
    pub fn push_details(&mut self, t: f64, details: Details) {
        if self.first_details.is_none() {
            self.first_details = self.details.take();
        }
        self.details = Some((t, details));
    }

    /// The machine's sheet.
    pub fn sheet(&self) -> Sheet {
        let Counters { total, headroom, .. } = self.last.counters;
        let lines = self.last.counters.lines();
        let mut sheet = self.sheet_of("", total, headroom, &lines);
        let notes = self.details.iter().flat_map(|(_, details)| &details.notes);
        sheet.notes = notes.cloned().collect();
        sheet
    }

    /// The sheets of the cgroups that are watched.
    pub fn cgroups(&self) -> Vec<Sheet> {
        let sheet = |group: &CgroupReading| {
            let headroom = group.limit.map_or(u64::MAX, |limit| limit.saturating_sub(group.total));
            let headroom = headroom.min(self.last.counters.headroom);
            self.sheet_of(&group.place, group.total, headroom, &group.lines)
        };
        self.last.cgroups.iter().map(sheet).collect()
    }

    fn sheet_of(&self, place: &str, total: u64, headroom: u64, lines: &[BalanceLine]) -> Sheet {
        let now = self.basis.clock.now();
        let lines = lines.iter().map(|line| {
            let trend = self.lines.get(&(place.to_owned(), line.kind));
            SheetLine {
                kind: line.kind,
                bytes: line.bytes,
                trend: trend.and_then(|trend| trend.trend(now)),
                points: trend.map_or(Vec::new(), |trend| trend.points().to_vec()),
                parts: if place.is_empty() { self.parts_of(line.kind, now) } else { Vec::new() },
            }
        });
        let mut sheet = Sheet {
            place: place.to_owned(),
            total,
            headroom,
            readings: self.readings,
            lines: lines.filter(|line| line.bytes > 0).collect(),
            notes: Vec::new(),
        };
        sheet.sort();
        sheet
    }

    /// The parts of a line, those that grow most first, then the largest.
    fn parts_of(&self, kind: LineKind, now: u64) -> Vec<SheetPart> {
        let cheap = self.last.parts.iter().filter(|part| part.of == kind).map(|part| {
            let trend = self.parts.get(&(part.of, part.name.clone()));
            let trend = trend.and_then(|trend| trend.trend(now));
            self.sheet_part(part, trend.map(|trend| trend.rate))
        });
        let details = self.details.iter().flat_map(|(t, details)| {
            details.parts.iter().filter(|part| part.of == kind).map(move |part| {
                let rate = self.first_details.as_ref().and_then(|(from_t, first)| {
                    let of = |old: &&Part| (old.of, &old.name) == (part.of, &part.name);
                    let old = first.parts.iter().find(of).map_or(0, |old| old.bytes);
                    Some((part.bytes as f64 - old as f64) / (t - from_t)).filter(|_| t > from_t)
                });
                self.sheet_part(part, rate)
            })
        });
        let mut parts: Vec<SheetPart> =
            cheap.chain(details).filter(|part| part.bytes > 0).collect();
        parts.sort_by(|a, b| {
            let growth = |part: &SheetPart| part.rate.unwrap_or(0.0).max(0.0);
            growth(b).total_cmp(&growth(a)).then(b.bytes.cmp(&a.bytes))
        });
        // The largest are told too where others grow.
        let mut largest: Vec<u64> = parts.iter().map(|part| part.bytes).collect();
        largest.sort_unstable_by(|a, b| b.cmp(a));
        let least = largest.get(MOST_PARTS).copied().unwrap_or(0);
        let mut nth = 0;
        parts.retain(|part| {
            nth += 1;
            nth <= MOST_PARTS || part.bytes > least
        });
        parts
    }

    fn sheet_part(&self, part: &Part, rate: Option<f64>) -> SheetPart {
        let of = |details: &Option<(f64, Details)>| {
            let directories = details.as_ref().map(|(_, details)| details.directories.iter());
            directories.into_iter().flatten().find(|of| of.mount == part.name).cloned()
        };
        let directory = of(&self.details).and_then(|now| match of(&self.first_details) {
            Some(before) => now.grown_since(&before).or_else(|| now.largest()),
            None => now.largest(),
        });
        SheetPart {
            name: part.name.clone(),
            bytes: part.bytes,
            limit: part.limit,
            note: part.note.clone(),
            rate,
            directory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::balance::directories::Directory;
    use crate::core::balance::trend::LineGrowth;

    const MIB: u64 = 1 << 20;
    const GIB: u64 = 1 << 30;

    /// A machine of 24 GiB whose tmpfs holds so many bytes.
    fn reading(held: u64) -> Reading {
        let counters = Counters {
            total: 24 * GIB,
            headroom: 20 * GIB - held,
            free: 18 * GIB - held,
            cached: 3 * GIB + held,
            shared: held,
            anonymous: GIB,
            ..Counters::default()
        };
        let tmpfs = |name: &str, bytes| Part {
            of: LineKind::SharedMemory,
            name: name.to_owned(),
            bytes,
            limit: Some(24 * GIB),
            note: String::new(),
        };
        let parts = vec![tmpfs("tmpfs /run", 10 * MIB), tmpfs("tmpfs /dev/shm", held)];
        Reading { counters, parts, cgroups: Vec::new() }
    }

    fn details(spool: u64) -> Details {
        let dir = |path: &str, bytes| Directory { path: path.to_owned(), bytes, uid: 33 };
        let all = vec![dir("", MIB), dir("/spool", spool)];
        let mount = "tmpfs /dev/shm".to_owned();
        let directories = vec![Directories { mount, all, is_cut: false }];
        Details { directories, ..Details::default() }
    }

    #[test]
    fn a_tmpfs_that_grows_is_the_first_line_and_its_directory_is_named() {
        let mut balance = Balance::new(4096.0, 0.375);
        balance.push_details(0.0, details(100 * MIB));
        for nth in 0..160_u64 {
            balance.push(0.375 * nth as f64, reading(100 * MIB + 3 * MIB * nth));
        }
        balance.push_details(60.0, details(580 * MIB));
        let sheet = balance.sheet();
        let first = sheet.lines.first().unwrap();
        assert_eq!(
            (first.kind, first.trend.unwrap().growth),
            (LineKind::SharedMemory, LineGrowth::Steady)
        );
        let part = first.parts.first().unwrap();
        assert_eq!(part.name, "tmpfs /dev/shm");
        assert_eq!(part.directory.as_ref().unwrap().path, "/spool");
        let found = sheet.findings();
        assert_eq!(found.len(), 1);
        let ends_s = found[0].lasts_s(&sheet).unwrap();
        assert!((2000.0..3000.0).contains(&ends_s), "{ends_s} s: 20 GiB less 0.6 at 8 MiB/s");
    }

    #[test]
    fn caches_and_processes_that_grow_are_no_finding() {
        let mut balance = Balance::new(4096.0, 0.375);
        for nth in 0..160_u64 {
            let mut reading = reading(100 * MIB);
            reading.counters.cached += 3 * MIB * nth;
            reading.counters.anonymous += MIB * nth;
            reading.counters.reclaimable += MIB * nth;
            reading.counters.free -= 5 * MIB * nth;
            balance.push(0.375 * nth as f64, reading);
        }
        let sheet = balance.sheet();
        assert!(sheet.lines.iter().any(|line| line.trend.unwrap().growth == LineGrowth::Steady));
        assert!(sheet.findings().is_empty());
    }

    #[test]
    fn the_lines_of_a_sheet_add_up_to_the_memory_there_is() {
        let mut balance = Balance::new(4096.0, 1.0);
        balance.push(0.0, reading(GIB));
        let sheet = balance.sheet();
        assert_eq!(sheet.lines.iter().map(|line| line.bytes).sum::<u64>(), 24 * GIB);
        assert!(sheet.lines.iter().all(|line| line.trend.is_none()));
    }
}
