//! When a watch writes its metrics.

use crate::core::engine::Engine;
use crate::core::model::event::{Event, Severity};
use crate::core::model::sample::Sample;
use crate::core::scheduling_delay::SchedulingDelay;
use crate::report::prometheus::Exposition;
use crate::report::self_usage::SelfReport;
use crate::system::machine;
use crate::system::metrics_file::MetricsFile;
use anyhow::{Error, Result};
use std::path::Path;

/// Seconds between two files: the usual scrape interval. More files would never be read.
const EVERY_S: f64 = 15.0;
/// When the state is critical and samples come faster than this, memory is nearly gone. Then only a
/// change of state is written, since a file may have to wait for memory.
const NEAR_S: f64 = 1.0;
/// Bytes of a file with many trees.
const ROOM: usize = 64 << 10;

/// Writes the metrics of a watch for node_exporter.
pub struct MetricsExporter {
    file: MetricsFile,
    exposition: Exposition,
    buffer: Vec<u8>,
    due_s: f64,
    status: Severity,
    /// Whether a failure to write was reported.
    is_reported: bool,
}

impl MetricsExporter {
    /// Metrics of the watch named `watch`, in the file `path`; `acts`: whether it sends signals.
    ///
    /// # Errors
    /// node_exporter would not read a file of that name.
    pub fn new(path: &Path, watch: &str, acts: bool) -> Result<Self> {
        Ok(Self {
            file: MetricsFile::new(path)?,
            exposition: Exposition::new(watch, acts),
            buffer: Vec::with_capacity(ROOM),
            due_s: f64::NEG_INFINITY,
            status: Severity::Fine,
            is_reported: false,
        })
    }

    /// Counts one event.
    pub fn count(&mut self, event: &Event) {
        self.exposition.count(event);
    }

    /// After a sample at `uptime_s`: writes when it is time. An error is returned once; the next file
    /// is tried all the same.
    pub fn tick(
        &mut self,
        engine: &Engine,
        sample: &Sample,
        next_s: f64,
        uptime_s: f64,
        scheduling_delay: &SchedulingDelay,
    ) -> Option<Error> {
        let has_changed = engine.status() != self.status;
        let is_near = engine.status() == Severity::Critical && next_s < NEAR_S;
        if uptime_s < self.due_s || (is_near && !has_changed) {
            return None;
        }
        self.due_s = uptime_s + EVERY_S;
        self.status = engine.status();
        self.buffer.clear();
        let own = SelfReport { usage: machine::own_usage(), scheduling_delay: *scheduling_delay };
        let written = self.exposition.write(&mut self.buffer, engine, sample, own);
        match written.map_err(Into::into).and_then(|()| self.file.replace(&self.buffer)) {
            Ok(()) => {
                self.is_reported = false;
                None
            }
            Err(_) if std::mem::replace(&mut self.is_reported, true) => None,
            Err(error) => Some(error.context("metrics file not updated")),
        }
    }
}
