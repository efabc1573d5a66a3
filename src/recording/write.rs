//! Writing samples down.

use std::io::{self, Write};

use super::{FORMAT, VERSION, write_comm};
use crate::sample::{Header, Memory, Proc, Program, Sample};

/// Writes samples as lines; allocates nothing.
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
        if let Some(uptime_s) = sample.uptime_s {
            write!(out, ",\"uptime\":{}", Number(uptime_s))?;
        }
        if let Some(cpu_s) = sample.cpu_s {
            write!(out, ",\"cpu\":{}", Number(cpu_s))?;
        }
        write_memory(out, &sample.memory)?;
        for (index, ceiling) in sample.ceilings.iter().enumerate() {
            out.write_all(if index == 0 { b",\"ceilings\":[" } else { b"," })?;
            let (kind, root) = (ceiling.kind.name(), ceiling.root);
            write!(out, "{{\"kind\":\"{kind}\",\"root\":[{},{}],\"place\":", root.pid, root.start)?;
            write_text(out, &ceiling.place)?;
            write!(out, ",\"used\":{},\"limit\":{}}}", ceiling.used, ceiling.limit)?;
        }
        if !sample.ceilings.is_empty() {
            out.write_all(b"]")?;
        }
        out.write_all(b",\"procs\":[")?;
        for (index, proc) in sample.procs.iter().enumerate() {
            if index > 0 {
                out.write_all(b",")?;
            }
            let program = sample.programs.iter().find(|program| program.id == proc.id);
            write_proc(out, proc, program)?;
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
    let Proc { id, ppid, comm, rss, anon, swap, cpu_s } = *proc;
    write!(out, "{{\"pid\":{},\"ppid\":{ppid},\"start\":{},\"comm\":", id.pid, id.start)?;
    write_comm(out, comm)?;
    write!(out, ",\"rss\":{rss}")?;
    if let Some(anon) = anon {
        write!(out, ",\"anon\":{anon}")?;
    }
    write!(out, ",\"swap\":{swap},\"cpu\":{}", Number(cpu_s))?;
    if let Some(Program { exe, title, threads, forked, permitted, .. }) = program {
        out.write_all(b",\"exe\":")?;
        write_text(out, exe)?;
        out.write_all(b",\"title\":")?;
        write_text(out, title)?;
        write!(out, ",\"threads\":{threads},\"forked\":{forked}")?;
        if let Some(permitted) = permitted {
            write!(out, ",\"permitted\":{permitted}")?;
        }
    }
    out.write_all(b"}")
}

fn write_text(out: &mut impl Write, text: &str) -> io::Result<()> {
    serde_json::to_writer(out, text).map_err(io::Error::from)
}

/// A number as JSON has it: there is no infinity.
struct Number(f64);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", if self.0.is_finite() { self.0 } else { 0.0 })
    }
}
