//! Queue: opens one log after the other, for whoever is to read them.
//!
//! Opening takes root's rights, reading takes none: so nothing here looks into a log.

use super::budget::{self, ReadEnd};
use super::journalctl::{QUERIES, Query};
use super::program::program_of;
use super::running_journal::{EndedJournal, RunningJournal};
use super::{LogSources, ServerLog};
use crate::diagnose::findings::Logs;
use crate::system::{foreign_file, trusted_path};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The most files that are read, the newest first.
const MOST_FILES: usize = 400;
/// Directories below the one given.
const DEEPEST: usize = 3;
/// The most files of one user other than root, and the most entries of directories that are read in all: of
/// root's, and of others', who may fill theirs.
const MOST_FILES_OF_USER: usize = 100;
const MOST_ENTRIES: [usize; 2] = [20_000, 5_000];
/// Notes on what could not be opened.
const MOST_NOTES: usize = 8;
/// Names of files in one note.
const MOST_NAMES: usize = 3;

/// A log that is open.
pub(super) struct OpenLog {
    pub(super) kind: LogKind,
    pub(super) file: OwnedFd,
    /// Logs that are not read, this one included; the journal counts its questions and all files as one each.
    pub(super) left: usize,
}

/// What it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum LogKind {
    /// What journalctl prints.
    Journal,
    /// The kernel's ring buffer.
    Kernel,
    /// A file of that name, which that program writes.
    File { name: String, program: String, packing: Packing },
}

/// What came of reading it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct ReadOutcome {
    /// Entries of a journal.
    pub(super) entries: usize,
    /// Where it ended.
    pub(super) end: ReadEnd,
}

/// How a log file is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(super) enum Packing {
    Plain,
    Gzip,
    /// SUSE rotates to this, and some to the next.
    Xz,
    Bzip2,
    /// In a way that is not read here.
    Other,
}

/// A log file.
struct Log {
    path: PathBuf,
    mtime: i64,
    bytes: u64,
    uid: u32,
    packing: Packing,
    /// The user who must own it.
    owner: Option<u32>,
}

/// What is opened next.
enum OpenStep {
    Journal(Query),
    Kernel,
    /// All files are found first.
    Files,
    File(Log),
}

/// What is being read.
enum BeingRead {
    Nothing,
    Journal(RunningJournal),
    File(String),
}

/// Opens them in the order in which they are to be read.
pub(super) struct Queue<'s> {
    sources: &'s LogSources,
    steps: VecDeque<OpenStep>,
    reading: BeingRead,
    is_journal_read: bool,
    /// Files of which a part was read.
    cut: Vec<String>,
    notes: Vec<String>,
}

impl<'s> Queue<'s> {
    /// The journal first: where there is one it has the kernel's lines and every service's.
    pub(super) fn new(sources: &'s LogSources) -> Self {
        let mut steps = VecDeque::new();
        if sources.journalctl.is_some() {
            steps.extend(QUERIES.map(OpenStep::Journal));
        }
        if sources.kmsg.is_some() {
            steps.push_back(OpenStep::Kernel);
        }
        steps.push_back(OpenStep::Files);
        let (reading, cut, notes) = (BeingRead::Nothing, Vec::new(), Vec::new());
        Self { sources, steps, reading, is_journal_read: false, cut, notes }
    }

    /// The next log; `before` is what came of the one before.
    pub(super) fn next(&mut self, before: Option<ReadOutcome>) -> Option<OpenLog> {
        if let Some(outcome) = before {
            self.settle(outcome);
        }
        while let Some(step) = self.steps.pop_front() {
            let opened = match step {
                OpenStep::Journal(query) => self.journal(query),
                OpenStep::Kernel => self.kernel(),
                OpenStep::Files => {
                    self.find_files();
                    None
                }
                OpenStep::File(log) => self.file(&log),
            };
            if opened.is_some() {
                return opened;
            }
        }
        None
    }

    /// What was found in them, with what could not be opened.
    pub(super) fn complete(mut self, logs: Logs) -> Logs {
        self.settle(ReadOutcome { entries: 0, end: ReadEnd::Whole });
        let cut = self.cut_files();
        let sources = logs.sources + usize::from(self.is_journal_read);
        let unread = self.notes.into_iter().chain(cut).chain(logs.unread).collect();
        Logs { sources, unread, since_t: self.sources.since_t, ..logs }
    }

    /// Logs that are not read, with one whose step was taken just now.
    fn left(&self) -> usize {
        self.steps.len() + 1
    }

    fn note(&mut self, what: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(what);
        }
    }

    /// Ends a journalctl that takes too long; what it said until then counts.
    pub(super) fn watch(&mut self) {
        if let BeingRead::Journal(journal) = &mut self.reading {
            journal.watch();
        }
    }

    /// Takes note of how the reading of a log ended.
    fn settle(&mut self, outcome: ReadOutcome) {
        match (std::mem::replace(&mut self.reading, BeingRead::Nothing), outcome.end) {
            (BeingRead::Journal(journal), _) => self.settle_journal(journal, outcome),
            (BeingRead::File(name), ReadEnd::TimeUp) => {
                let rest = self.steps.len() + 1;
                self.note(format!("{rest} log files, from the middle of {name} on: time was up"));
                self.steps.clear();
            }
            (BeingRead::File(name), ReadEnd::ShareUsed) => self.cut.push(name),
            (BeingRead::File(_) | BeingRead::Nothing, _) => {}
        }
    }

    fn settle_journal(&mut self, journal: RunningJournal, outcome: ReadOutcome) {
        let EndedJournal { unread, is_answer, without_sifting } = journal.end(outcome.end);
        let is_cut = unread.is_some();
        if let Some(unread) = unread {
            self.note(unread);
        }
        if outcome.end == ReadEnd::TimeUp {
            self.steps.retain(|step| !matches!(step, OpenStep::Journal(_)));
        }
        if outcome.entries > 0 || is_answer || is_cut {
            self.is_journal_read = true;
        } else if let Some(without) = without_sifting {
            self.steps.push_front(OpenStep::Journal(without));
        }
    }

    /// What to say of files of which a part was read.
    fn cut_files(&self) -> Option<String> {
        let names = self.cut.get(..MOST_NAMES).unwrap_or(&self.cut).join(", ");
        let more = match self.cut.len().saturating_sub(MOST_NAMES) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let all = budget::words();
        (!self.cut.is_empty()).then(|| format!("parts of {names}{more}: {all}"))
    }

    /// Asks journalctl. It needs a fork: where that fails for lack of memory, this is reported like any
    /// other program's failure.
    fn journal(&mut self, query: Query) -> Option<OpenLog> {
        let program = self.sources.journalctl.as_deref()?;
        match RunningJournal::start(program, query, self.sources.since_t) {
            Ok((journal, file)) => {
                self.reading = BeingRead::Journal(journal);
                Some(OpenLog { kind: LogKind::Journal, file, left: self.left() })
            }
            Err(error) => {
                self.note(format!("the journal: cannot start journalctl: {error}"));
                self.steps.retain(|step| !matches!(step, OpenStep::Journal(_)));
                None
            }
        }
    }

    fn kernel(&mut self) -> Option<OpenLog> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match rustix::fs::open(self.sources.kmsg.as_deref()?, flags, Mode::empty()) {
            Ok(file) => Some(OpenLog { kind: LogKind::Kernel, file, left: self.left() }),
            // Most machines let root alone read it; no ring at all is a container's usual state.
            Err(rustix::io::Errno::NOENT) => None,
            Err(error) => {
                self.note(format!("the kernel's messages ({error}): that takes CAP_SYSLOG, which root outside containers has"));
                None
            }
        }
    }

    /// Finds the files of the directory and the further ones, the newest first.
    fn find_files(&mut self) {
        let (mut logs, mut budgets) = (Vec::new(), MOST_ENTRIES);
        self.collect(&self.sources.dir, 0, &mut budgets, &mut logs);
        for ServerLog { path, owner } in &self.sources.files {
            // A file below the directory is there already.
            if let Some(log) = log(path).filter(|_| !path.starts_with(&self.sources.dir)) {
                logs.push(Log { owner: *owner, ..log });
            }
        }
        logs.retain(|log| log.mtime as f64 >= self.sources.since_t);
        logs.sort_by_key(|log| (log.packing != Packing::Plain, std::cmp::Reverse(log.mtime)));
        let mut of_user: BTreeMap<u32, usize> = BTreeMap::new();
        let all = logs.len();
        logs.retain(|log| {
            let nth = of_user.entry(log.uid).or_default();
            *nth += 1;
            *nth <= MOST_FILES_OF_USER || trusted_path::owners().contains(&log.uid)
        });
        let many = all - logs.len().min(MOST_FILES);
        if many > 0 {
            self.note(format!("{many} older log files"));
        }
        logs.truncate(MOST_FILES);
        // The small ones first, so that what they leave goes to the large ones. Plain ones before: of a compressed
        // one the end is only had by way of its beginning.
        logs.sort_by_key(|log| (log.packing != Packing::Plain, log.bytes));
        self.steps.extend(logs.into_iter().map(OpenStep::File));
    }

    fn collect(&mut self, dir: &Path, depth: usize, budgets: &mut [usize; 2], logs: &mut Vec<Log>) {
        let entries = match std::fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) => return self.note(format!("{}: {error}", dir.display())),
        };
        let uid = std::fs::metadata(dir).map_or(u32::MAX, |about| about.uid());
        let is_others = !trusted_path::owners().contains(&uid);
        for entry in entries.flatten() {
            let [ours, others] = &mut *budgets;
            let budget = if is_others { others } else { ours };
            if *budget == 0 {
                return self.note(format!("{}: has too many entries", dir.display()));
            }
            *budget -= 1;
            let path = entry.path();
            match entry.file_type() {
                // The journal's own files are journalctl's to read.
                Ok(kind) if kind.is_dir() && depth < DEEPEST && entry.file_name() != "journal" => {
                    self.collect(&path, depth + 1, budgets, logs);
                }
                Ok(kind) if kind.is_file() => logs.extend(log(&path)),
                // Links lead to files that are here, or out of here.
                _ => {}
            }
        }
    }

    fn file(&mut self, log: &Log) -> Option<OpenLog> {
        let name = log.path.display().to_string();
        if log.packing == Packing::Other {
            self.note(format!("{name}: packed in a way that is not read here"));
            return None;
        }
        // Whoever may write to a log directory could have put something else there meanwhile.
        let opened = match log.path.strip_prefix(&self.sources.dir) {
            Ok(inside) => foreign_file::open_inside(&self.sources.dir, inside),
            Err(_) => foreign_file::open_no_link(&log.path),
        };
        match opened.and_then(|file| of_owner(file, log.owner)) {
            Ok(file) => {
                self.reading = BeingRead::File(name.clone());
                let (program, packing) = (program_of(&log.path), log.packing);
                let kind = LogKind::File { name, program, packing };
                Some(OpenLog { kind, file: file.into(), left: self.left() })
            }
            Err(error) => {
                self.note(format!("{name}: {error}"));
                None
            }
        }
    }
}

/// The file as a log, if it may be one. Logs of accesses are large and tell nothing of memory.
fn log(path: &Path) -> Option<Log> {
    let name = path.file_name()?.to_string_lossy().to_ascii_lowercase();
    let is_no_log = ["access", "wtmp", "btmp", "lastlog", "faillog", "tallylog", "sa.", "dpkg"]
        .iter()
        .any(|word| name.contains(word));
    let no_text = [".journal", ".journal~", ".db", ".dat"];
    let meta = std::fs::symlink_metadata(path).ok()?;
    if is_no_log || no_text.iter().any(|end| name.ends_with(end)) || !meta.is_file() {
        return None;
    }
    let packing = match name.rsplit('.').next() {
        Some("gz") => Packing::Gzip,
        Some("xz" | "lzma") => Packing::Xz,
        Some("bz2") => Packing::Bzip2,
        Some("zst" | "lz4" | "zip" | "z" | "7z" | "br") => Packing::Other,
        _ => Packing::Plain,
    };
    let (mtime, bytes, uid) = (meta.mtime(), meta.len(), meta.uid());
    Some(Log { path: path.to_owned(), mtime, bytes, uid, packing, owner: None })
}

/// The file, if it belongs to whom it must.
fn of_owner(file: File, owner: Option<u32>) -> std::io::Result<File> {
    match owner {
        Some(owner) if file.metadata()?.uid() != owner => {
            Err(std::io::Error::other("is not its server's user's, who named it"))
        }
        _ => Ok(file),
    }
}
