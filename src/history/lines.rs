//! Lines: a history read line by line. What is no sample is passed over and counted.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use super::{BUFFER, line};
use crate::assessment::Past;
use crate::recording::parse_header;
use crate::sample::{Header, Sample};

/// A history, open for reading.
pub(super) struct Lines {
    input: BufReader<File>,
    line: Vec<u8>,
    last_t: f64,
    /// The header and the boot it is of; none if it has no whole header.
    pub(super) header: Option<(Header, String)>,
    /// Bytes of whole lines so far.
    pub(super) whole: u64,
    /// Whole lines so far that were none.
    pub(super) garbled: usize,
}

#[derive(Deserialize)]
struct Boot {
    #[serde(default)]
    boot: String,
}

impl Lines {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let name = path.display();
        let file = File::open(path).with_context(|| format!("'{name}' cannot be read"))?;
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
        self.input.read_until(b'\n', &mut self.line)?;
        let whole = self.line.ends_with(b"\n");
        self.whole += if whole { self.line.len() as u64 } else { 0 };
        Ok(whole)
    }

    /// Reads the next sample and what was done then; false at the end.
    pub(super) fn next(&mut self, sample: &mut Sample, past: &mut Vec<Past>) -> Result<bool> {
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
