//! What the last report of a history said, so that the next one does not repeat it.
//!
//! It lives in the lock's file, which always has the same length and is overwritten in place. That works
//! on a full disk too, where a report that repeats itself every five minutes would be the worst.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::unix::fs::FileExt;

use anyhow::Result;
use serde::{Deserialize, Serialize};

/// Length of the file: a page, which is written whole or not at all.
const LENGTH: usize = 4096;
/// Bytes of the longest word kept.
const WORD: usize = 80;
/// Most words kept.
const WORDS: usize = 40;

/// What the last report said.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct LastReport {
    /// Exit status.
    pub status: u8,
    /// Time of the last report, in Unix seconds.
    pub t: f64,
    /// What was found, in words that are compared.
    pub words: BTreeSet<String>,
}

impl LastReport {
    /// The same with one word more, cut to what fits.
    pub fn insert(&mut self, word: &str) -> bool {
        let mut bytes = 0;
        let fits = |c: &char| {
            bytes += c.len_utf8() + usize::from("\"\\".contains(*c));
            bytes <= WORD
        };
        let word: String = word.chars().filter(|c| !c.is_control()).take_while(fits).collect();
        self.words.len() < WORDS && self.words.insert(word)
    }

    pub(super) fn read(file: &File) -> Self {
        let mut text = [0; LENGTH];
        let length = file.read_at(&mut text, 0).unwrap_or(0);
        let text = text.get(..length).unwrap_or_default();
        // Torn, garbled or not there yet: then the report repeats it.
        serde_json::from_slice(text.trim_ascii()).unwrap_or_default()
    }

    pub(super) fn write(&self, file: &File) -> Result<()> {
        let mut text = serde_json::to_vec(self)?;
        text.resize(text.len().max(LENGTH - 1), b' ');
        text.push(b'\n');
        Ok(file.write_all_at(&text, 0)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_report_is_kept_in_a_file_that_never_grows() {
        let file = tempfile::tempfile().unwrap();
        assert_eq!(LastReport::read(&file), LastReport::default());
        let mut report = LastReport { status: 2, t: 1.7e9 + 0.123, ..LastReport::default() };
        for nth in 0..100 {
            report.insert(&format!("leak \u{1F980}\"{nth}{}", "\u{1F980}".repeat(100)));
        }
        report.write(&file).unwrap();
        assert_eq!(LastReport::read(&file), report);
        assert_eq!(file.metadata().unwrap().len(), LENGTH as u64);
        LastReport::default().write(&file).unwrap();
        assert_eq!(LastReport::read(&file), LastReport::default());
        assert_eq!(file.metadata().unwrap().len(), LENGTH as u64);
    }
}
