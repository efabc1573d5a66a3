//! Lines as they are: what JSON holds, before it is a header or a sample.

use std::borrow::Cow;
use std::fmt;

use anyhow::{Result, bail};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use super::comm_text::CommText;
use super::{FORMAT, VERSION};
use crate::core::model::ceiling::{Ceiling, CeilingKind, MemoryFailure, MemoryFailureKind, Place};
use crate::core::model::memory_line::LineKind;
use crate::core::model::process::{Proc, ProcId, Program};
use crate::core::model::sample::{CommitCharge, Header, Memory, MemoryUse, PlaceName, Sample};

/// The first line.
#[derive(Deserialize)]
pub(super) struct RawHeader {
    format: String,
    version: u32,
    interval_s: f64,
    #[serde(default = "hundred")]
    clock_ticks: u64,
    #[serde(default = "four_kib")]
    page_size: u64,
    #[serde(default)]
    hostname: String,
}

fn hundred() -> u64 {
    100
}

fn four_kib() -> u64 {
    4096
}

impl RawHeader {
    /// The header, if it is one of a recording that can be read here.
    pub(super) fn check(self) -> Result<Header> {
        let Self { format, version, interval_s, clock_ticks, page_size, hostname } = self;
        if format != FORMAT {
            bail!("its format is {format:?}, not {FORMAT:?}; give a leakwatch recording");
        }
        if version > VERSION {
            bail!(
                "version {version} is newer than {VERSION}, the newest known here; update leakwatch"
            );
        }
        if !(interval_s.is_finite() && interval_s > 0.0) {
            bail!("interval_s is {interval_s}; it must be a positive number of seconds");
        }
        Ok(Header { interval_s, clock_ticks, page_size, hostname })
    }
}

/// Fills a sample in place, so that its tables keep their capacity.
pub(super) struct SampleSeed<'a>(pub(super) &'a mut Sample);

#[derive(Deserialize)]
#[serde(field_identifier, rename_all = "lowercase")]
enum RawField {
    T,
    Uptime,
    #[serde(rename = "span_s")]
    Span,
    Cpu,
    Mem,
    Ceilings,
    #[serde(rename = "memory_failures")]
    MemoryFailures,
    Uses,
    Places,
    Procs,
    #[serde(other)]
    Other,
}

impl<'de> DeserializeSeed<'de> for SampleSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for SampleSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a sample")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let Sample {
            t,
            span_s,
            uptime_s,
            cpu_s,
            memory,
            ceilings,
            memory_failures,
            procs,
            programs,
            uses,
            places,
            signal_failure,
        } = self.0;
        *signal_failure = None;
        (*span_s, *uptime_s, *cpu_s) = (None, None, None);
        ceilings.clear();
        memory_failures.clear();
        procs.clear();
        programs.clear();
        uses.clear();
        places.clear();
        let (mut has_t, mut has_memory, mut has_procs) = (false, false, false);
        while let Some(field) = map.next_key()? {
            match field {
                RawField::T => (*t, has_t) = (map.next_value()?, true),
                RawField::Span => *span_s = map.next_value()?,
                RawField::Uptime => *uptime_s = map.next_value()?,
                RawField::Cpu => *cpu_s = map.next_value()?,
                RawField::Mem => {
                    (*memory, has_memory) = (map.next_value::<RawMemory>()?.into(), true);
                }
                RawField::Ceilings => map.next_value_seed(Each::new(|raw: RawCeiling<'_>| {
                    ceilings.extend(raw.ceiling())
                }))?,
                RawField::MemoryFailures => {
                    map.next_value_seed(Each::new(|raw: RawFailure<'_>| {
                        memory_failures.extend(raw.failure())
                    }))?
                }
                RawField::Uses => {
                    map.next_value_seed(Each::new(|raw: RawUse<'_>| uses.extend(raw.of())))?;
                }
                RawField::Places => {
                    map.next_value_seed(Each::new(|raw: RawPlace<'_>| places.push(raw.name())))?;
                }
                RawField::Procs => {
                    map.next_value_seed(Each::new(|raw: RawProc<'_>| raw.put(procs, programs)))?;
                    has_procs = true;
                }
                RawField::Other => drop(map.next_value::<serde::de::IgnoredAny>()?),
            }
        }
        for (there, name) in [(has_t, "t"), (has_memory, "mem"), (has_procs, "procs")] {
            if !there {
                return Err(A::Error::missing_field(name));
            }
        }
        Ok(())
    }
}

#[derive(Deserialize)]
pub(super) struct RawMemory {
    pub(super) total: u64,
    pub(super) available: u64,
    #[serde(default)]
    pub(super) swap_total: u64,
    #[serde(default)]
    pub(super) swap_free: u64,
    pub(super) commit_limit: Option<u64>,
    pub(super) committed: Option<u64>,
    pub(super) overcommit: Option<u32>,
}

impl From<RawMemory> for Memory {
    fn from(raw: RawMemory) -> Self {
        let RawMemory { total, available, swap_total, swap_free, .. } = raw;
        // Only mode 2 makes the kernel keep to the limit.
        let commit = raw
            .commit_limit
            .zip(raw.committed)
            .filter(|_| raw.overcommit == Some(2))
            .map(|(limit, used)| CommitCharge { limit, used });
        Self { total, available, swap_total, swap_free, commit }
    }
}

#[derive(Deserialize)]
pub(super) struct RawProc<'a> {
    pid: u32,
    ppid: u32,
    start: u64,
    comm: CommText,
    rss: u64,
    anon: Option<u64>,
    #[serde(default)]
    swap: u64,
    #[serde(default)]
    cpu: f64,
    #[serde(borrow)]
    exe: Option<Cow<'a, str>>,
    #[serde(borrow)]
    title: Option<Cow<'a, str>>,
    threads: Option<u32>,
    forked: Option<bool>,
    permitted: Option<bool>,
    uid: Option<u32>,
    #[serde(borrow)]
    unit: Option<Cow<'a, str>>,
}

impl RawProc<'_> {
    pub(super) fn put(self, procs: &mut Vec<Proc>, programs: &mut Vec<Program>) {
        let id = ProcId { pid: self.pid, start: self.start };
        let threads = self.threads.unwrap_or(1);
        let Self { ppid, comm: CommText(comm), rss, anon, swap, cpu: cpu_s, .. } = self;
        procs.push(Proc { id, ppid, comm, rss, anon, swap, cpu_s, threads });
        if let (Some(exe), Some(title)) = (self.exe, self.title) {
            programs.push(Program {
                id,
                exe: exe.into_owned(),
                title: title.into_owned(),
                threads,
                forked: self.forked.unwrap_or(false),
                permitted: self.permitted,
                uid: self.uid,
                unit: self.unit.map(Cow::into_owned),
            });
        }
    }
}

#[derive(Deserialize)]
pub(super) struct RawCeiling<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    root: Option<(u32, u64)>,
    #[serde(borrow, default)]
    place: Cow<'a, str>,
    used: u64,
    limit: u64,
}

impl RawCeiling<'_> {
    /// A kind that a newer recorder knows is passed over like an unknown field.
    pub(super) fn ceiling(&self) -> Option<Ceiling> {
        let Self { root, used, limit, .. } = *self;
        let root = root.map(|(pid, start)| ProcId { pid, start });
        let kind = CeilingKind::from_name(&self.kind)?;
        Some(Ceiling { kind, root, place: Place::new(&self.place), used, limit })
    }
}

#[derive(Deserialize)]
pub(super) struct RawUse<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow, default)]
    place: Cow<'a, str>,
    #[serde(borrow, default)]
    part: Cow<'a, str>,
    bytes: u64,
}

impl RawUse<'_> {
    /// A kind that a newer recorder knows is passed over.
    pub(super) fn of(&self) -> Option<MemoryUse> {
        let (place, part) = (Place::new(&self.place), Place::new(&self.part));
        Some(MemoryUse { place, kind: LineKind::from_name(&self.kind)?, part, bytes: self.bytes })
    }
}

#[derive(Deserialize)]
pub(super) struct RawPlace<'a> {
    #[serde(borrow)]
    place: Cow<'a, str>,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

impl RawPlace<'_> {
    pub(super) fn name(self) -> PlaceName {
        PlaceName { place: Place::new(&self.place), name: self.name.into_owned() }
    }
}

#[derive(Deserialize)]
pub(super) struct RawFailure<'a> {
    #[serde(borrow)]
    kind: Cow<'a, str>,
    #[serde(borrow)]
    ceiling: Cow<'a, str>,
    root: Option<(u32, u64)>,
    #[serde(borrow, default)]
    place: Cow<'a, str>,
    count: u64,
}

impl RawFailure<'_> {
    pub(super) fn failure(&self) -> Option<MemoryFailure> {
        Some(MemoryFailure {
            kind: MemoryFailureKind::from_name(&self.kind)?,
            ceiling: CeilingKind::from_name(&self.ceiling)?,
            root: self.root.map(|(pid, start)| ProcId { pid, start }),
            place: Place::new(&self.place),
            count: self.count,
        })
    }
}

/// Hands on the elements of a list one by one.
pub(super) struct Each<T, F>(F, std::marker::PhantomData<T>);

impl<T, F: FnMut(T)> Each<T, F> {
    pub(super) fn new(each: F) -> Self {
        Self(each, std::marker::PhantomData)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> DeserializeSeed<'de> for Each<T, F> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de, T: Deserialize<'de>, F: FnMut(T)> Visitor<'de> for Each<T, F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            (self.0)(element);
        }
        Ok(())
    }
}
