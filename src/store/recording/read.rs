//! Reading samples back.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsFd;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail};
use flate2::bufread::MultiGzDecoder;
use serde::de::DeserializeSeed;

use super::fast_parse;
use super::raw_line::{RawHeader, SampleSeed};
use crate::core::model::sample::{Header, Sample};

/// Parses the line of a header.
///
/// # Errors
/// It is none, or one of a newer version.
pub fn parse_header(line: &[u8]) -> Result<Header> {
    serde_json::from_slice::<RawHeader>(line)?.check()
}

/// Parses the line of a sample into one that is used again.
///
/// # Errors
/// It is none; `sample` is then of no use.
pub fn parse_sample(line: &[u8], sample: &mut Sample) -> serde_json::Result<()> {
    match fast_parse::read(line, sample) {
        Some(()) => Ok(()),
        None => parse_any(line, sample),
    }
}

/// The same, however it is written.
pub(super) fn parse_any(line: &[u8], sample: &mut Sample) -> serde_json::Result<()> {
    let mut deserializer = serde_json::Deserializer::from_slice(line);
    SampleSeed(sample).deserialize(&mut deserializer).and_then(|()| deserializer.end())
}

/// Bytes read at once.
const BUFFER: usize = 1 << 18;
/// Bytes of a line, so that a file of something else, or one that was packed to be far larger, is not
/// taken into memory. 200 000 processes have so many.
pub const LONGEST_LINE: u64 = 32 << 20;

/// Reads a recording line by line.
pub struct Reader<R = Box<dyn BufRead>> {
    input: R,
    name: String,
    line: Vec<u8>,
    number: u64,
    header: Header,
    last_t: f64,
    torn: bool,
}

impl Reader {
    /// Opens a file, or standard input where the path is `-`.
    ///
    /// # Errors
    /// It cannot be opened, or is no recording.
    pub fn open(path: &Path) -> Result<Self> {
        Self::of(open(path)?, path.display().to_string())
    }

    /// Reads the header of an open file; gzip is recognised by its first bytes. `name` is what errors call it.
    ///
    /// # Errors
    /// It cannot be read, or is no recording.
    pub fn of(input: impl Read + 'static, name: String) -> Result<Self> {
        let mut input = BufReader::with_capacity(BUFFER, input);
        let start = input.fill_buf().with_context(|| format!("{name}: cannot be read"))?;
        let input: Box<dyn BufRead> = if start.starts_with(&[0x1f, 0x8b]) {
            Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(input)))
        } else {
            Box::new(input)
        };
        Self::new(input, name)
    }
}

/// Opens a file, or standard input where the path is `-`; nothing of it is read.
///
/// # Errors
/// It cannot be opened.
pub fn open(path: &Path) -> Result<File> {
    let opened = match path == Path::new("-") {
        true => io::stdin().as_fd().try_clone_to_owned().map(File::from),
        false => File::open(path),
    };
    opened.map_err(|error| {
        let hint = "make a recording with `leakwatch record FILE`";
        anyhow!("cannot open '{}': {error}\n  hint: {hint}", path.display())
    })
}

impl<R: BufRead> Reader<R> {
    /// Reads the header from `input`; `name` is what errors call it.
    pub fn new(input: R, name: String) -> Result<Self> {
        let header =
            Header { interval_s: 0.0, clock_ticks: 0, page_size: 0, hostname: String::new() };
        let (line, last_t) = (Vec::new(), f64::NEG_INFINITY);
        let mut reader = Self { input, name, line, number: 0, header, last_t, torn: false };
        if !reader.fill()? {
            bail!("{}: is empty; a recording begins with a header line", reader.name);
        }
        let raw: RawHeader = serde_json::from_slice(&reader.line)
            .with_context(|| format!("{}, line 1: is not a recording's header", reader.name))?;
        reader.header = raw.check().with_context(|| format!("{}, line 1", reader.name))?;
        Ok(reader)
    }

    /// The recording's header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Whether the recording ends within a line, as when its recorder was killed; the beginning of
    /// that line was passed over. Known once [`read`](Self::read) has said that it is at the end.
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// Reads the next sample into `sample`; false at the end.
    pub fn read(&mut self, sample: &mut Sample) -> Result<bool> {
        loop {
            if !self.fill()? {
                return Ok(false);
            }
            if !self.line.trim_ascii().is_empty() {
                break;
            }
        }
        if let Err(error) = parse_sample(&self.line, sample) {
            if error.is_eof() && !self.line.ends_with(b"\n") {
                self.torn = true;
                return Ok(false);
            }
            bail!("{}, line {}: {error}; correct the line or take it out", self.name, self.number);
        }
        if sample.t.is_nan() || sample.t <= self.last_t {
            bail!(
                "{}, line {}: t is {} after {}, but t must increase; take the line out",
                self.name,
                self.number,
                sample.t,
                self.last_t
            );
        }
        self.last_t = sample.t;
        Ok(true)
    }

    fn fill(&mut self) -> Result<bool> {
        self.line.clear();
        self.number += 1;
        let mut input = (&mut self.input).take(LONGEST_LINE);
        match input.read_until(b'\n', &mut self.line) {
            Ok(length) if length as u64 >= LONGEST_LINE => {
                bail!(
                    "{}, line {}: has more than 32 MiB, so it is no sample",
                    self.name,
                    self.number
                )
            }
            Ok(length) => Ok(length > 0),
            // A compressed recording that was cut off.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && self.number > 1 => {
                self.torn = true;
                Ok(false)
            }
            Err(error) => Err(error)
                .with_context(|| format!("{}, line {}: cannot be read", self.name, self.number)),
        }
    }
}
