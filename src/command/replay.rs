//! Replay: judges a recording as if it happened now.

use super::write_event;
use crate::assessment::Status;
use crate::cli::Replay;
use crate::engine::Engine;
use crate::recording::Reader;
use crate::sample::Sample;
use crate::settings;
use anyhow::Result;
use std::io::Write;

/// Prints what watching would have printed; the status is what was found.
///
/// # Errors
/// Bad options, a file that cannot be read or is no recording.
pub fn run(options: &Replay, out: &mut impl Write, err: &mut impl Write) -> Result<Status> {
    let style = settings::style(&options.output, options.judge.dry_run);
    let mut recording = Reader::open(&options.file)?;
    let mut engine = Engine::new(recording.header(), settings::engine(&options.judge, true)?);
    let mut sample = Sample::default();
    while recording.read(&mut sample)? {
        let assessment = engine.observe(&sample);
        for event in &assessment.events {
            write_event(out, sample.t, event, options.output.format, style)?;
        }
    }
    if recording.is_torn() && !options.output.quiet {
        writeln!(err, "leakwatch: the last line of the recording is torn and was left out")?;
    }
    Ok(engine.found())
}
