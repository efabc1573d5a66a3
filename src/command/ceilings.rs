//! Takes one sample and lists every limit that can fail a fork or bring the OOM killer.

use super::take;
use crate::cli::options::{CeilingsOptions, ReportFormat};
use crate::cli::resolve;
use crate::core::model::event::Severity;
use crate::core::model::sample::Sample;
use crate::report::ceilings;
use crate::system::wait::Waiter;
use anyhow::Result;
use std::io::Write;

/// Takes one sample and prints the limits; signals nothing.
///
/// # Errors
/// Bad options, a procfs that cannot be read.
pub fn run(
    options: &CeilingsOptions,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Severity> {
    let mut sampler = resolve::sampler(&options.select, None)?;
    let mut sample = Sample::default();
    take(&mut sampler, &Waiter::new()?, &mut sample)?;
    let rows =
        ceilings::rows(&sample, sampler.sources(&sample.every_ceiling().collect::<Vec<_>>()));
    match options.output.format {
        ReportFormat::Text => ceilings::write(out, &rows)?,
        ReportFormat::Json => ceilings::write_json(out, &rows)?,
    }
    if sample.procs.is_empty() && !options.output.quiet {
        writeln!(err, "leakwatch: no process matches; these are the limits of the machine only")?;
    }
    Ok(Severity::Fine)
}
