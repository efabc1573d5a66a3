//! Diagnose: a short look at the whole machine, its logs and its servers' settings, beside what earlier
//! checks or a recording saw, and one report.

mod look;
mod progress;
mod recording;

use super::terminal;
use crate::cli::options::{DiagnoseOptions, ReportFormat};
use crate::core::model::event::Severity;
use crate::diagnose::Diagnosis;
use crate::diagnose::report::html;
use crate::diagnose::report::{Times, json, text};
use crate::system::wait::Waiter;
use crate::system::{machine, new_file, rights};
use anyhow::{Context, Result};
use progress::Progress;
use recording::Recording;
use std::io::{IsTerminal, Write};

/// Looks, and reports; the status is what was found.
///
/// # Errors
/// Bad options, a procfs or a recording that cannot be read, a file that cannot be written.
pub fn run(
    options: &DiagnoseOptions,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Severity> {
    let talk = !options.quiet && std::io::stderr().is_terminal();
    let mut progress = Progress { err, talk, shown: false };
    let waiter = Waiter::new()?;
    let zone = machine::zone();
    let open = || options.recording.as_deref().map(Recording::open).transpose();
    let recording = waiter.interruptible(open)?;
    let boot_t = waiter.unix_time(0.0);
    let goes_on = |recording: &Recording| recording.goes_on(boot_t);
    let diagnosis = match recording {
        Some(recording) if !goes_on(&recording) => {
            progress.say("reading the recording")?;
            rights::keep_files_only();
            waiter.interruptible(|| recording.judge_alone())?
        }
        recording => look::look(options, recording, &waiter, &mut progress)?,
    };
    progress.clear()?;
    let times = Times { zone, now_t: diagnosis.t };
    waiter.interruptible(|| write(options, &diagnosis, &times, out))?;
    Ok(diagnosis.status)
}

fn write(
    options: &DiagnoseOptions,
    diagnosis: &Diagnosis,
    times: &Times,
    out: &mut impl Write,
) -> Result<()> {
    match options.format {
        ReportFormat::Text => text::write(out, diagnosis, times, terminal::layout(options.color)),
        ReportFormat::Json => json::write(out, diagnosis, times),
    }
    .context("cannot write the report")?;
    out.flush().context("cannot write the report")?;
    // One that cannot be written does not cost the other.
    let page = options.html.as_deref().map_or(Ok(()), |path| {
        let mut page = Vec::new();
        html::write(&mut page, diagnosis, times, &[])?;
        new_file::replace(path, &page)
    });
    let patch = options.write_advice.as_deref().map_or(Ok(()), |path| {
        let all: String = diagnosis.remedies.iter().map(|remedy| remedy.diff.as_str()).collect();
        new_file::replace(path, all.as_bytes())
    });
    page.and(patch)
}
