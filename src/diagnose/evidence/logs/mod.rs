//! Logs: traces of failed forks and OOM kills in /var/log, the journal and the kernel's ring.
//!
//! Files are read from the end backwards until they are older than asked for, or until their share of the
//! [`budget`] is used up. A literal search picks the few lines that may matter; only those are split and
//! understood.

mod above;
mod apart;
mod budget;
mod counted_lines;
mod files;
mod gather;
mod hit;
mod hosts;
mod journal;
mod journalctl;
mod kept;
mod kills;
mod languages;
mod lines;
mod output_parts;
mod prefixes;
mod program;
mod queue;
mod records;
mod rfc_5424;
mod running_journal;
mod timestamp;
mod wordings;
mod wrapped;

pub use apart::{read_apart, serve};
pub use gather::LogEventCounts;
pub use timestamp::{Stamped, Stamps};

use crate::diagnose::findings::Logs;
use crate::system::machine;
use std::path::{Path, PathBuf};

/// A log that a server's settings name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerLog {
    /// The file.
    pub path: PathBuf,
    /// The user who must own it, where that user's word is all that names it.
    pub owner: Option<u32>,
}

/// Which logs.
#[derive(Clone, Debug)]
pub struct LogSources {
    /// The directory of log files.
    pub dir: PathBuf,
    /// Further files, such as servers' configured error logs.
    pub files: Vec<ServerLog>,
    /// The program that reads the journal; none where it is not to be asked.
    pub journalctl: Option<PathBuf>,
    /// The kernel's ring buffer; none where it is not to be read.
    pub kmsg: Option<PathBuf>,
    /// Unix time of the oldest line that matters.
    pub since_t: f64,
}

impl LogSources {
    /// Where logs are kept on a usual system.
    pub fn usual(since_t: f64) -> Self {
        let journalctl = ["/usr/bin/journalctl", "/bin/journalctl"];
        Self {
            dir: PathBuf::from("/var/log"),
            files: Vec::new(),
            journalctl: journalctl.into_iter().map(PathBuf::from).find(|path| path.exists()),
            kmsg: Some(PathBuf::from("/dev/kmsg")),
            since_t,
        }
    }

    /// Only the files of one directory.
    pub fn only(dir: &Path, since_t: f64) -> Self {
        let (files, journalctl, kmsg) = (Vec::new(), None, None);
        Self { dir: dir.to_owned(), files, journalctl, kmsg, since_t }
    }
}

/// Reads them in this process, for as long as `go_on` says so. As root that is [`read_apart`]'s duty: text
/// that others wrote is not parsed with its rights.
pub fn read(sources: &LogSources, stamps: &Stamps, go_on: &mut dyn FnMut() -> bool) -> Logs {
    let mut found = LogEventCounts::new(stamps, sources.since_t).of_machine(&machine::name());
    let mut queue = queue::Queue::new(sources);
    let mut before = None;
    while let Some(log) = queue.next(before) {
        let mut go_on = || {
            queue.watch();
            go_on()
        };
        before = Some(files::read(log, &mut found, &mut go_on));
    }
    queue.complete(found.finish())
}
