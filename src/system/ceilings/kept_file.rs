//! Kept: small files that stay open and are read anew each time: a limit, a counter, a list of
//! counters. A kept descriptor costs 1 to 3 µs a read and works when `open` would need memory.

use crate::system::foreign_file;
use crate::system::proc::parse::{named_line, number};
use crate::system::proc::procdir::read_kept;
use std::fs::File;
use std::path::{Path, PathBuf};

/// A file that stays open.
#[derive(Debug)]
pub(in crate::system) struct KeptFile {
    file: File,
    path: PathBuf,
}

impl KeptFile {
    pub(in crate::system) fn open(path: PathBuf) -> std::io::Result<Self> {
        Ok(Self { file: foreign_file::open(&path)?, path })
    }

    pub(in crate::system) fn path(&self) -> &Path {
        &self.path
    }

    /// Its contents, as much as fits.
    pub(in crate::system) fn text<'b>(&self, buffer: &'b mut [u8]) -> Option<&'b [u8]> {
        read_kept(&self.file, buffer).ok()
    }

    /// Its contents, if that is one number; `max` is none.
    pub(in crate::system) fn number(&self) -> Option<u64> {
        // Cut short, a limit would be a far lower one.
        number(self.text(&mut [0; 64])?.strip_suffix(b"\n")?.trim_ascii())
    }

    /// The number after `name` on a line of its own.
    pub(in crate::system) fn line(&self, name: &str) -> Option<u64> {
        named_line(self.text(&mut [0; 4096])?, name.as_bytes())
    }
}

/// A counter of which only the increase counts; what was there before the first look does not.
#[derive(Clone, Copy, Debug, Default)]
pub(in crate::system) struct Counter {
    last: Option<u64>,
}

impl Counter {
    /// By how much it grew since the look before; a counter that fell has begun anew.
    pub(in crate::system) fn grew(&mut self, now: Option<u64>) -> u64 {
        let Some(now) = now else { return 0 };
        self.last.replace(now).map_or(0, |last| now.saturating_sub(last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_counted_before_the_first_look_is_no_news() {
        let mut counter = Counter::default();
        let grew: Vec<u64> =
            [Some(7), Some(7), None, Some(9), Some(2)].map(|now| counter.grew(now)).to_vec();
        assert_eq!(grew, [0, 0, 0, 2, 0]);
    }
}
