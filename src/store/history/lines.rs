//! Lines: a history read line by line. What is no sample is passed over and counted.
//!
//! That takes no lock: a line is appended by one write, and a history that is rewritten takes the
//! place of the old one by a rename, so a reader that opened the old one reads it to its end.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::line;
use crate::core::model::order::EarlierAction;
use crate::core::model::sample::{Header, Sample};
use crate::store::recording::{LONGEST_LINE, parse_header};
use crate::system::foreign_file;

/// Bytes read and written at once.
pub(super) const BUFFER: usize = 1 << 16;

/// A history, open for reading.
pub struct HistoryLines {
    input: BufReader<File>,
    line: Vec<u8>,
    last_t: f64,
    /// The header and the boot it is of; none if it has no whole header.
    pub header: Option<(Header, String)>,
    /// Bytes of whole lines so far.
    pub(super) whole: u64,
    /// Whole lines so far that were none.
    pub garbled: usize,
}

#[derive(Deserialize)]
struct Boot {
    #[serde(default)]
    boot: String,
}

impl HistoryLines {
    /// Opens it at its first line, and only if it is a regular file: neither a link nor a pipe that
    /// somebody put there is waited for.
    ///
    /// # Errors
    /// What cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let name = path.display();
        let file =
            foreign_file::open_no_link(path).with_context(|| format!("'{name}' cannot be read"))?;
        let mut lines = Self {
            input: BufReader::with_capacity(BUFFER, file),
            line: Vec::new(),
            last_t: f64::NEG_INFINITY,
            header: None,
            whole: 0,
            garbled: 0,
        };
        if lines.fill().with_context(|| format!("'{name}' cannot be read"))? {
            let boot = serde_json::from_slice::<Boot>(&lines.line).ok();
            lines.header = parse_header(&lines.line).ok().zip(boot.map(|Boot { boot }| boot));
        }
        Ok(lines)
    }

    /// Reads a whole line; false at the end, which may be within one.
    fn fill(&mut self) -> std::io::Result<bool> {
        self.line.clear();
        self.input.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut self.line)?;
        if self.line.len() as u64 >= LONGEST_LINE {
            return Err(std::io::Error::other("a line has more than 32 MiB"));
        }
        let whole = self.line.ends_with(b"\n");
        self.whole += if whole { self.line.len() as u64 } else { 0 };
        Ok(whole)
    }

    /// Reads the next sample and what was done then; false at the end.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn next(&mut self, sample: &mut Sample, past: &mut Vec<EarlierAction>) -> Result<bool> {
        while self.fill().context("the history cannot be read")? {
            if line::parse(&self.line, sample, past) && sample.t > self.last_t {
                self.last_t = sample.t;
                return Ok(true);
            }
            self.garbled += 1;
        }
        Ok(false)
    }
}
