//! Replay: judges a recording as if it happened now.

use std::io::{BufRead, Write};

use anyhow::Result;

use crate::detector::Detector;
use crate::recording::Reader;
use crate::report::json;
use crate::sample::Sample;

/// Writes the events of a recording as JSON lines. Returns whether the recording was whole.
pub fn run(
    mut recording: Reader<impl BufRead>,
    caution: f64,
    out: &mut impl Write,
) -> Result<bool> {
    let mut detector = Detector::new(recording.header(), caution);
    let mut sample = Sample::default();
    let mut events = Vec::new();
    while recording.read(&mut sample)? {
        detector.observe(&sample, &mut events);
        for event in events.drain(..) {
            json::write_event(out, sample.t, &event)?;
        }
    }
    out.flush()?;
    Ok(!recording.is_torn())
}
