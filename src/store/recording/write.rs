//! Writing samples down.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Write};

use super::{FORMAT, VERSION};
use crate::core::model::ceiling::{Ceiling, MemoryFailure, Place};
use crate::core::model::json_text::{write_comm, write_text};
use crate::core::model::process::{Proc, ProcId, Program};
use crate::core::model::sample::{Header, Memory, MemoryUse, PlaceName, Sample};

/// Writes samples as lines; allocates nothing for a sample without new processes.
pub struct Writer<W> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Begins a recording with its header.
    pub fn new(mut out: W, header: &Header) -> io::Result<Self> {
        let Header { interval_s, clock_ticks, page_size, hostname } = header;
        write!(out, "{{\"format\":\"{FORMAT}\",\"version\":{VERSION},\"interval_s\":")?;
        write!(out, "{},\"clock_ticks\":{clock_ticks},", Number(*interval_s))?;
        write!(out, "\"page_size\":{page_size},\"hostname\":")?;
        write_text(&mut out, hostname)?;
        out.write_all(b"}\n")?;
        Ok(Self { out })
    }

    /// Goes on with a recording whose header is already written.
    pub fn resume(out: W) -> Self {
        Self { out }
    }

    /// Writes a sample.
    pub fn write(&mut self, sample: &Sample) -> io::Result<()> {
        let out = &mut self.out;
        write!(out, "{{\"t\":{}", Number(sample.t))?;
        if let Some(span_s) = sample.span_s {
            write!(out, ",\"span_s\":{}", Number(span_s))?;
        }
        if let Some(uptime_s) = sample.uptime_s {
            write!(out, ",\"uptime\":{}", Number(uptime_s))?;
        }
        if let Some(cpu_s) = sample.cpu_s {
            write!(out, ",\"cpu\":{}", Number(cpu_s))?;
        }
        write_memory(out, &sample.memory)?;
        for (index, ceiling) in sample.ceilings.iter().enumerate() {
            out.write_all(if index == 0 { b",\"ceilings\":[" } else { b"," })?;
            let Ceiling { kind, root, place, used, limit } = ceiling;
            write!(out, "{{\"kind\":\"{}\"", kind.name())?;
            write_where(out, *root, place)?;
            write!(out, ",\"used\":{used},\"limit\":{limit}}}")?;
        }
        if !sample.ceilings.is_empty() {
            out.write_all(b"]")?;
        }
        for (index, failure) in sample.memory_failures.iter().enumerate() {
            out.write_all(if index == 0 { b",\"memory_failures\":[" } else { b"," })?;
            let MemoryFailure { kind, ceiling, root, place, count } = failure;
            write!(out, "{{\"kind\":\"{}\",\"ceiling\":\"{}\"", kind.name(), ceiling.name())?;
            write_where(out, *root, place)?;
            write!(out, ",\"count\":{count}}}")?;
        }
        if !sample.memory_failures.is_empty() {
            out.write_all(b"]")?;
        }
        write_uses(out, &sample.uses)?;
        write_places(out, &sample.places)?;
        out.write_all(b",\"procs\":[")?;
        // None in a steady sample, thousands after a storm of forks.
        let programs: BTreeMap<ProcId, &Program> =
            sample.programs.iter().map(|program| (program.id, program)).collect();
        for (index, proc) in sample.procs.iter().enumerate() {
            if index > 0 {
                out.write_all(b",")?;
            }
            write_proc(out, proc, programs.get(&proc.id).copied())?;
        }
        out.write_all(b"]}\n")
    }

    /// Hands on what is buffered.
    pub fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }

    /// What was written to.
    pub fn into_inner(self) -> W {
        self.out
    }
}

fn write_where(out: &mut impl Write, root: Option<ProcId>, place: &Place) -> io::Result<()> {
    if let Some(ProcId { pid, start }) = root {
        write!(out, ",\"root\":[{pid},{start}]")?;
    }
    if !place.is_none() {
        out.write_all(b",\"place\":")?;
        write_text(out, &place.plain())?;
    }
    Ok(())
}

fn write_uses(out: &mut impl Write, uses: &[MemoryUse]) -> io::Result<()> {
    for (index, MemoryUse { place, kind, part, bytes }) in uses.iter().enumerate() {
        out.write_all(if index == 0 { b",\"uses\":[" } else { b"," })?;
        write!(out, "{{\"kind\":\"{}\"", kind.name())?;
        write_where(out, None, place)?;
        if !part.is_none() {
            out.write_all(b",\"part\":")?;
            write_text(out, &part.plain())?;
        }
        write!(out, ",\"bytes\":{bytes}}}")?;
    }
    if uses.is_empty() { Ok(()) } else { out.write_all(b"]") }
}

fn write_places(out: &mut impl Write, places: &[PlaceName]) -> io::Result<()> {
    for (index, PlaceName { place, name }) in places.iter().enumerate() {
        out.write_all(if index == 0 { b",\"places\":[{\"place\":" } else { b",{\"place\":" })?;
        write_text(out, &place.plain())?;
        out.write_all(b",\"name\":")?;
        write_text(out, name)?;
        out.write_all(b"}")?;
    }
    if places.is_empty() { Ok(()) } else { out.write_all(b"]") }
}

fn write_memory(out: &mut impl Write, memory: &Memory) -> io::Result<()> {
    let Memory { total, available, swap_total, swap_free, commit } = memory;
    write!(out, ",\"mem\":{{\"total\":{total},\"available\":{available}")?;
    write!(out, ",\"swap_total\":{swap_total},\"swap_free\":{swap_free}")?;
    if let Some(commit) = commit {
        write!(out, ",\"commit_limit\":{},\"committed\":{}", commit.limit, commit.used)?;
        out.write_all(b",\"overcommit\":2")?;
    }
    out.write_all(b"}")
}

fn write_proc(out: &mut impl Write, proc: &Proc, program: Option<&Program>) -> io::Result<()> {
    let Proc { id, ppid, comm, rss, anon, swap, cpu_s, threads } = *proc;
    write!(out, "{{\"pid\":{},\"ppid\":{ppid},\"start\":{},\"comm\":", id.pid, id.start)?;
    write_comm(out, comm)?;
    write!(out, ",\"rss\":{rss}")?;
    if let Some(anon) = anon {
        write!(out, ",\"anon\":{anon}")?;
    }
    write!(out, ",\"swap\":{swap},\"cpu\":{}", Number(cpu_s))?;
    if threads > 1 || program.is_some() {
        write!(out, ",\"threads\":{threads}")?;
    }
    if let Some(Program { exe, title, forked, permitted, uid, unit, .. }) = program {
        out.write_all(b",\"exe\":")?;
        write_text(out, exe)?;
        out.write_all(b",\"title\":")?;
        write_text(out, title)?;
        write!(out, ",\"forked\":{forked}")?;
        if let Some(permitted) = permitted {
            write!(out, ",\"permitted\":{permitted}")?;
        }
        if let Some(uid) = uid {
            write!(out, ",\"uid\":{uid}")?;
        }
        if let Some(unit) = unit {
            out.write_all(b",\"unit\":")?;
            write_text(out, unit)?;
        }
    }
    out.write_all(b"}")
}

/// A number as JSON has it: there is no infinity.
struct Number(f64);

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", if self.0.is_finite() { self.0 } else { 0.0 })
    }
}
