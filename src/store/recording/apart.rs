//! Apart: a recording that is read by a helper without any right, for a command that needs its own.
//!
//! Whoever made the file chose all that is in it. Unpacking, JSON in every form and limits on lines are the
//! helper's; it writes what it understood anew, as [`Writer`] does, and that alone is parsed here.

use super::{Reader, Writer, read};
use crate::core::model::sample::{Header, Sample};
use crate::system::helper::{Duty, Filter};
use crate::system::rights;
use anyhow::{Context, Result, anyhow};
use std::ffi::OsString;
use std::io::{self, BufReader, BufWriter};
use std::path::Path;
use std::process::{ChildStdout, Stdio};

/// Bytes of address space: a line of 32 MiB, its processes and their names take 200 MiB.
const MEMORY: u64 = 512 << 20;
/// Seconds of a processor: at 50 MB/s more than any recording.
const CPU_S: u64 = 3600;

/// A recording at the other end of a helper.
pub struct ReaderApart {
    reader: Reader<BufReader<ChildStdout>>,
    helper: Filter,
}

impl ReaderApart {
    /// Opens a file, or standard input where the path is `-`, and lets a helper read it.
    ///
    /// # Errors
    /// It cannot be opened or is no recording, or no helper can be started.
    pub fn open(path: &Path) -> Result<Self> {
        let input = Stdio::from(read::open(path)?);
        let name = path.display().to_string();
        let (mut helper, output) = Filter::start(Duty::Recording, path.as_os_str(), input)
            .map_err(|why| anyhow!("{name}: {why}"))?;
        match Reader::new(BufReader::new(output), name) {
            Ok(reader) => Ok(Self { reader, helper }),
            Err(error) => Err(failure(&mut helper).unwrap_or(error)),
        }
    }

    /// The recording's header.
    pub fn header(&self) -> &Header {
        self.reader.header()
    }

    /// Reads the next sample into `sample`; false at the end.
    ///
    /// # Errors
    /// Those of [`Reader::read`], by the helper's word.
    pub fn read(&mut self, sample: &mut Sample) -> Result<bool> {
        match self.reader.read(sample) {
            Ok(true) => Ok(true),
            ended => failure(&mut self.helper).map_or(ended, Err),
        }
    }
}

fn failure(helper: &mut Filter) -> Option<anyhow::Error> {
    helper.failure().map(|why| anyhow!("{why}"))
}

/// The helper's side: gives up its rights, then reads and writes.
///
/// # Errors
/// It cannot give up its rights; what it reads is no recording; nobody reads what it writes.
pub fn serve(name: Option<OsString>) -> Result<()> {
    rights::limit(MEMORY, CPU_S)?;
    rights::keep_open_files_only()?;
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    let mut reader = Reader::of(io::stdin(), name)?;
    let out = BufWriter::with_capacity(1 << 16, io::stdout());
    let lost = "nobody reads what a recording's helper writes";
    let mut writer = Writer::new(out, reader.header()).context(lost)?;
    writer.flush().context(lost)?;
    let mut sample = Sample::default();
    while reader.read(&mut sample)? {
        // Whoever writes a recording into a pipe may take a minute for the next one.
        writer.write(&sample).and_then(|()| writer.flush()).context(lost)?;
    }
    Ok(())
}
