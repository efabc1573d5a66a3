//! Queue: opens one log after the other, for whoever is to read them.
//!
//! Opening takes root's rights, reading takes none: so nothing here looks into a log.

use super::journalctl::{QUERIES, Query};
use super::program::program_of;
use super::{LogSources, ServerLog};
use crate::diagnose::findings::Logs;
use crate::system::{foreign_file, trusted_path, wait};
use rustix::fs::{Mode, OFlags};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::fs::File;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

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
/// A journalctl whose output has ended ends within this time, or is ended.
const ENDING: Duration = Duration::from_millis(500);

/// A log that is open.
pub(super) struct OpenLog {
    pub(super) kind: LogKind,
    pub(super) file: OwnedFd,
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
    /// Whether all of it was read; else time was up.
    pub(super) whole: bool,
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
    Journal(Child, Query),
    File(String),
}

/// Opens them in the order in which they are to be read.
pub(super) struct Queue<'s> {
    sources: &'s LogSources,
    steps: VecDeque<OpenStep>,
    reading: BeingRead,
    is_journal_read: bool,
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
        let (reading, notes) = (BeingRead::Nothing, Vec::new());
        Self { sources, steps, reading, is_journal_read: false, notes }
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
        self.settle(ReadOutcome { entries: 0, whole: true });
        let sources = logs.sources + usize::from(self.is_journal_read);
        let unread = self.notes.into_iter().chain(logs.unread).collect();
        Logs { sources, unread, since_t: self.sources.since_t, ..logs }
    }

    fn note(&mut self, what: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(what);
        }
    }

    /// Takes note of how the reading of a log ended.
    fn settle(&mut self, outcome: ReadOutcome) {
        match std::mem::replace(&mut self.reading, BeingRead::Nothing) {
            BeingRead::Journal(mut child, query) => {
                if !outcome.whole {
                    self.note("older entries of the journal: time was up".to_owned());
                    self.steps.retain(|step| !matches!(step, OpenStep::Journal(_)));
                    child.kill().ok();
                }
                let ended = wait::child(&mut child, ENDING);
                if ended.is_none() {
                    child.kill().ok();
                    wait::child(&mut child, ENDING);
                }
                // 1 is also what `--grep` says when nothing matches.
                let is_answer = ended.is_some_and(|status| status.success());
                if outcome.entries > 0 || is_answer || !outcome.whole {
                    self.is_journal_read = true;
                } else if let Some(without) = query.without_sifting() {
                    self.steps.push_front(OpenStep::Journal(without));
                }
            }
            BeingRead::File(name) if !outcome.whole => {
                let rest = self.steps.len() + 1;
                self.note(format!("{rest} log files, from the middle of {name} on: time was up"));
                self.steps.clear();
            }
            BeingRead::File(_) | BeingRead::Nothing => {}
        }
    }

    /// Asks journalctl. It needs a fork: where that fails for lack of memory, this is reported like any
    /// other program's failure.
    fn journal(&mut self, query: Query) -> Option<OpenLog> {
        let program = self.sources.journalctl.as_deref()?;
        let mut child = match query.command(program, self.sources.since_t).spawn() {
            Ok(child) => child,
            Err(error) => {
                self.note(format!("the journal: cannot start journalctl: {error}"));
                self.steps.retain(|step| !matches!(step, OpenStep::Journal(_)));
                return None;
            }
        };
        let file = child.stdout.take().map(OwnedFd::from);
        self.reading = BeingRead::Journal(child, query);
        Some(OpenLog { kind: LogKind::Journal, file: file? })
    }

    fn kernel(&mut self) -> Option<OpenLog> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        match rustix::fs::open(self.sources.kmsg.as_deref()?, flags, Mode::empty()) {
            Ok(file) => Some(OpenLog { kind: LogKind::Kernel, file }),
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
        // Plain ones first: of a compressed one the end is only had by way of its beginning.
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
        self.steps.extend(logs.into_iter().take(MOST_FILES).map(OpenStep::File));
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
                Some(OpenLog { kind, file: file.into() })
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
    let (mtime, uid) = (meta.mtime(), meta.uid());
    Some(Log { path: path.to_owned(), mtime, uid, packing, owner: None })
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
