//! A journalctl that runs: started for one question, ended once it takes too long.

use super::budget::{self, ReadEnd};
use super::journalctl::Query;
use crate::system::wait;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Child;
use std::time::Duration;

/// Once its output has ended it ends within this time, or is ended.
const ENDING: Duration = Duration::from_millis(500);
/// Seconds of a processor that it may use, and seconds in all: what it looks through may be gigabytes, and
/// the files are to be read too.
const CPU_S: f64 = 0.4;
const ALL_S: f64 = 1.0;

/// A journalctl that runs.
pub(super) struct RunningJournal {
    child: Child,
    query: Query,
    began_s: f64,
    is_cut: bool,
}

/// What became of one.
pub(super) struct EndedJournal {
    /// What of the journal was not read, in words.
    pub(super) unread: Option<String>,
    /// It ended well.
    pub(super) is_answer: bool,
    /// What to ask instead, where it had no answer.
    pub(super) without_sifting: Option<Query>,
}

impl RunningJournal {
    /// Starts it; what it says is read at the other value.
    ///
    /// # Errors
    /// It cannot be started.
    pub(super) fn start(program: &Path, query: Query, since_t: f64) -> io::Result<(Self, OwnedFd)> {
        let mut child = query.command(program, since_t).spawn()?;
        let output = child.stdout.take().ok_or_else(|| io::Error::other("it has no pipe"))?;
        let began_s = wait::awake_s();
        Ok((Self { child, query, began_s, is_cut: false }, output.into()))
    }

    /// Ends it if it takes too long; what it said until then counts.
    pub(super) fn watch(&mut self) {
        let used_s = wait::processor_s_of(self.child.id()).unwrap_or_default();
        if !self.is_cut && (used_s > CPU_S || wait::awake_s() > self.began_s + ALL_S) {
            self.is_cut = true;
            self.child.kill().ok();
        }
    }

    /// Ends it, as the reading of its output ended so.
    pub(super) fn end(mut self, reading: ReadEnd) -> EndedJournal {
        let is_whole = reading == ReadEnd::Whole && !self.is_cut;
        if !is_whole {
            self.child.kill().ok();
        }
        let ended = wait::child(&mut self.child, ENDING);
        if ended.is_none() {
            self.child.kill().ok();
            wait::child(&mut self.child, ENDING);
        }
        EndedJournal {
            unread: (!is_whole).then(|| self.unread(reading)),
            // 1 is also what `--grep` says when nothing matches.
            is_answer: ended.is_some_and(|status| status.success()),
            without_sifting: self.query.without_sifting(),
        }
    }

    fn unread(&self, reading: ReadEnd) -> String {
        let of_kernel = if self.query.is_of_kernel() { "of the kernel " } else { "" };
        let why = match reading {
            ReadEnd::TimeUp => "time was up".to_owned(),
            ReadEnd::ShareUsed => budget::words(),
            ReadEnd::Whole => {
                format!("journalctl took more than {CPU_S} s of CPU or {ALL_S} s in all")
            }
        };
        format!("older entries {of_kernel}in the journal: {why}")
    }
}
