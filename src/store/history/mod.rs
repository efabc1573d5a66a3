//! History: the samples of earlier checks, in a file that each check adds one to.
//!
//! A [recording](crate::store::recording) that `replay` reads like any other, with one more field in its
//! header, the `boot` that its pids belong to, and one more in samples on which something was done,
//! `done`. A line is appended by one write and never changed; what a crash tore is cut off by the
//! next check. As it grows, old samples are joined (`thinning.rs`) into a new file that takes the place
//! of the old one by a rename. After a reboot, when old pids name no process, one is begun anew and
//! the old one kept beside it, for people.
//!
//! | file | what |
//! |---|---|
//! | `NAME.history.jsonl` | the history of a selection |
//! | `NAME.history.jsonl.1` | that of the boot before |
//! | `NAME.lock` | locked while a check runs; holds what the [last report](last_report) said |

pub mod last_report;
mod line;
pub mod lines;
pub mod lock;
mod rewrite;
/// Whether a sample says itself that it stands for less than checks are apart. One that was joined of
/// several stands for more.
fn is_between(sample: &Sample, interval_s: f64) -> bool {
    sample.span_s.is_some_and(|span_s| span_s < interval_s / 2.0)
}

#[cfg(test)]
mod tests;
pub mod thinning;

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Error, Result, anyhow, ensure};

use crate::core::model::order::EarlierAction;
use crate::core::model::sample::{Header, Sample};
use crate::core::model::units::doublings;
use crate::store::recording::Writer;
use last_report::LastReport;
use lines::HistoryLines;
use lock::{SelectionLock, open};
use thinning::CLASSES;

/// What `--history-size` is unless it is given, in bytes.
pub const SIZE: u64 = 32 << 20;

/// Seconds between checks until four of them tell how often they come: as cron's `*/5`.
const USUAL_S: f64 = 300.0;

/// A sample that comes after less than this share of the interval takes the place of the one
/// before in the judgement, and is not kept: somebody ran a check by hand.
const TOO_SOON: f64 = 1.0 / 16.0;

/// How the files of histories end.
const ENDING: &str = ".history.jsonl";

/// A history in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundHistory {
    /// The name of its selection.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes.
    pub bytes: u64,
}

/// The histories in a directory, the one that was written last first.
///
/// # Errors
/// A directory that cannot be read; one that is not there has none.
pub fn found(dir: &Path) -> std::io::Result<Vec<FoundHistory>> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut all: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let name = entry.file_name().to_string_lossy().strip_suffix(ENDING)?.to_owned();
            let about = entry.metadata().ok()?;
            let found = FoundHistory { name, path: entry.path(), bytes: about.len() };
            Some((about.modified().ok(), found))
        })
        .collect();
    all.sort_by(|(a_t, a), (b_t, b)| b_t.cmp(a_t).then_with(|| a.name.cmp(&b.name)));
    Ok(all.into_iter().map(|(_, found)| found).collect())
}

/// What is known of a sample without its line.
#[derive(Clone, Copy, Debug)]
struct HistoryEntry {
    t: f64,
    /// Seconds that it stands for.
    span_s: f64,
    /// Bytes of its line.
    bytes: u64,
    /// Whether a check that stayed took it between two: that is no interval of checks.
    is_between: bool,
}

/// The history of one selection.
#[derive(Debug)]
pub struct CheckHistory {
    path: PathBuf,
    /// Where it cannot be locked it is only read.
    lock: Option<SelectionLock>,
    header: Header,
    boot: String,
    /// Bytes that are whole lines.
    whole: u64,
    /// The samples, oldest first.
    entries: Vec<HistoryEntry>,
    garbled: usize,
}

impl CheckHistory {
    /// Opens the history `name` in `dir`, under its lock; without one it is only read. `header` is
    /// that of this machine, `boot` tells one boot from another. The error is only to be told: what
    /// cannot be read is as if it were not there.
    pub fn open(
        dir: &Path,
        name: &str,
        lock: Option<SelectionLock>,
        header: Header,
        boot: &str,
    ) -> (Self, Option<Error>) {
        let mut history = Self {
            path: dir.join(format!("{name}{ENDING}")),
            lock,
            header: Header { interval_s: USUAL_S, ..header },
            boot: boot.to_owned(),
            whole: 0,
            entries: Vec::new(),
            garbled: 0,
        };
        let error = history.begin().err();
        (history, error)
    }

    fn begin(&mut self) -> Result<()> {
        let path = self.path.display();
        match fs::symlink_metadata(&self.path) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            // Without a lock, that has been said.
            Err(_) if self.lock.is_none() => return Ok(()),
            Ok(about) => ensure!(about.is_file(), "'{path}' is no regular file"),
            Err(error) => return Err(error).with_context(|| format!("'{path}' cannot be read")),
        }
        let lines = HistoryLines::open(&self.path)?;
        match lines.header {
            Some((header, of)) if of == self.boot => {
                self.header.interval_s = header.interval_s;
                self.whole = lines.whole;
                Ok(())
            }
            // Killed as it was begun.
            None if lines.whole == 0 => Ok(()),
            _ => self.set_aside(),
        }
    }

    /// The header of its samples, with the interval at which they come.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Samples that were taken, those that are joined by now included, and when the first was.
    pub fn extent(&self) -> (usize, Option<f64>) {
        let taken = |entry: &HistoryEntry| 1 << entry.class(self.header.interval_s);
        let first = self.entries.first();
        (self.entries.iter().map(taken).sum(), first.map(|first| first.t - first.span_s))
    }

    /// Lines that were passed over because they are none.
    pub fn garbled(&self) -> usize {
        self.garbled
    }

    /// What the last report of it said.
    pub fn last_report(&self) -> LastReport {
        self.lock.as_ref().map(|lock| LastReport::read(lock.file())).unwrap_or_default()
    }

    /// Keeps what a report said.
    ///
    /// # Errors
    /// When it cannot be written: the next report repeats it.
    pub fn keep_report(&self, report: &LastReport) -> Result<()> {
        match &self.lock {
            Some(lock) => report.write(lock.file()).context("cannot note what was reported"),
            None => Ok(()),
        }
    }

    /// Hands on the samples that go before one taken now, oldest first, each with what was done
    /// then, and gives that one its time: that of the wall clock, unless somebody set it back.
    ///
    /// Where the newest was taken a moment ago only, it is left out, and what was done on it is
    /// handed on with the one before.
    ///
    /// # Errors
    /// When the file cannot be read; what was read before counts.
    pub fn replay(
        &mut self,
        now: &mut Sample,
        mut each: impl FnMut(&Sample, &[EarlierAction]),
    ) -> Result<()> {
        if self.whole == 0 {
            return Ok(());
        }
        let mut lines = HistoryLines::open(&self.path)?;
        // Two are held back: what becomes of the last is known only at the end.
        let mut held = [(); 3].map(|()| (Sample::default(), Vec::new()));
        let read = loop {
            let [older, last, next] = &mut held;
            let before = lines.whole;
            match lines.next(&mut next.0, &mut next.1) {
                Ok(true) => {}
                Ok(false) => break Ok(()),
                Err(error) => break Err(error),
            }
            if self.entries.len() > 1 {
                each(&older.0, &older.1);
            }
            self.entries.push(self.entry(&next.0, lines.whole - before));
            std::mem::swap(older, last);
            std::mem::swap(last, next);
        };
        (self.whole, self.garbled) = (lines.whole, lines.garbled);
        let [older, last, _] = &mut held;
        if let Some(HistoryEntry { t, .. }) = self.entries.last().filter(|entry| entry.t >= now.t) {
            let since_s = now.uptime_s.zip(last.0.uptime_s).map(|(now_s, then_s)| now_s - then_s);
            now.t = t + since_s.unwrap_or(self.header.interval_s).max(0.001);
        }
        let too_soon = self.is_too_soon(now.t);
        if too_soon {
            older.1.append(&mut last.1);
        }
        if self.entries.len() > 1 {
            each(&older.0, &older.1);
        }
        if !too_soon && !self.entries.is_empty() {
            each(&last.0, &last.1);
        }
        read
    }

    /// Adds a sample that follows those that were replayed, with what was done; thins what became
    /// too much, so that it has at most `size` bytes. One that was taken between two checks says by its
    /// `span_s` that it is no later check's predecessor: it is kept, and no interval is learnt of it.
    ///
    /// # Errors
    /// What cannot be written; the history is then as it was.
    pub fn add(&mut self, sample: &Sample, past: &[EarlierAction], size: u64) -> Result<()> {
        let is_unwanted = self.is_too_soon(sample.t) && past.is_empty() && sample.span_s.is_none();
        if self.lock.is_none() || is_unwanted {
            return Ok(());
        }
        let mut bytes = Vec::new();
        if self.whole == 0 {
            self.write_header(&mut bytes)?;
        }
        line::write(&mut bytes, sample, past)?;
        let append = || {
            let file = open(OpenOptions::new().create(true), &self.path)?;
            // What a crash tore is cut off, and so is what a full disk tears.
            file.set_len(self.whole)?;
            file.write_all_at(&bytes, self.whole).inspect_err(|_| {
                let _ = file.set_len(self.whole);
            })
        };
        append().map_err(|e| self.refused(&e))?;
        self.whole += bytes.len() as u64;
        self.entries.push(self.entry(sample, bytes.len() as u64));
        if self.is_too_much(size) {
            self.rewrite(size)?;
        }
        Ok(())
    }

    fn is_too_soon(&self, t: f64) -> bool {
        let least_s = TOO_SOON * self.header.interval_s;
        self.entries.last().is_some_and(|last| t - last.t < least_s && !last.is_between)
    }

    fn refused(&self, error: &std::io::Error) -> Error {
        anyhow!(
            "'{}' cannot be written: {error}\n  hint: this check judges all the same, but later ones will miss its sample",
            self.path.display()
        )
    }

    fn write_header(&self, out: &mut Vec<u8>) -> Result<()> {
        Writer::new(&mut *out, &self.header)?;
        out.truncate(out.len().saturating_sub(b"}\n".len()));
        writeln!(out, ",\"boot\":{:?}}}", self.boot)?;
        Ok(())
    }

    /// The entry of a sample that follows those that are known.
    fn entry(&self, sample: &Sample, bytes: u64) -> HistoryEntry {
        let interval_s = self.header.interval_s;
        let since_s = self.entries.last().map_or(f64::INFINITY, |last| sample.t - last.t);
        let span_s = sample.span_s.unwrap_or(since_s.min(interval_s));
        HistoryEntry { t: sample.t, span_s, bytes, is_between: is_between(sample, interval_s) }
    }

    /// Keeps the old one beside, where it is no more in the way.
    fn set_aside(&self) -> Result<()> {
        match &self.lock {
            Some(_) => fs::rename(&self.path, self.path.with_extension("jsonl.1"))
                .map_err(|e| self.refused(&e)),
            None => Ok(()),
        }
    }
}

impl HistoryEntry {
    /// Its age class: the power of two of intervals that it stands for.
    fn class(&self, interval_s: f64) -> u32 {
        doublings(self.span_s / interval_s).min(CLASSES)
    }
}
