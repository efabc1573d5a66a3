//! Recorder: keeps the samples that are shown in a file, as `leakwatch record` does.

use crate::core::model::sample::{Header, Sample};
use crate::store::recording::Writer;
use crate::system::new_file;
use anyhow::{Context, Result};
use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

/// A recording under way.
pub(super) struct Recorder {
    name: String,
    writer: Writer<BufWriter<File>>,
    samples: u64,
}

impl Recorder {
    /// Begins a new file.
    ///
    /// # Errors
    /// There is something by that name, or it cannot be written.
    pub(super) fn new(name: &str, header: &Header) -> Result<Self> {
        let file = new_file::create(Path::new(name)).with_context(|| format!("'{name}'"))?;
        let writer = Writer::new(BufWriter::new(file), header)?;
        Ok(Self { name: name.to_owned(), writer, samples: 0 })
    }

    /// Writes a sample.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&mut self, sample: &Sample) -> Result<()> {
        self.writer.write(sample)?;
        // So that a view that is killed loses nothing.
        self.writer.flush()?;
        self.samples += 1;
        Ok(())
    }

    /// The file.
    pub(super) fn name(&self) -> String {
        self.name.clone()
    }

    /// Ends the file; returns what to say of it.
    ///
    /// # Errors
    /// It cannot be written to its end.
    pub(super) fn end(mut self) -> Result<String> {
        self.writer.flush()?;
        let Self { name, samples, .. } = self;
        Ok(format!("recorded {samples} samples; judge them with leakwatch replay {name}"))
    }
}
