//! Ceilings: one look, and every limit that can fail a fork or summon the OOM killer.

use crate::cli::options::{CeilingsOptions, Format, SelectOptions};
use crate::cli::resolve;
use crate::core::model::event::Severity;
use crate::core::model::sample::Sample;
use crate::report::ceilings;
use crate::system::proc::Sampler;
use crate::system::wait::Waiter;
use anyhow::Result;
use std::io::Write;

/// Looks once and prints the limits; signals nothing.
///
/// # Errors
/// Bad options, a procfs that cannot be read.
pub fn run(
    options: &CeilingsOptions,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Severity> {
    let SelectOptions { procfs, sysfs, .. } = &options.select;
    let selection = resolve::selection(&options.select)?;
    let mut probe = Sampler::new(procfs, sysfs.as_deref(), selection, None)?;
    let (waiter, mut sample) = (Waiter::new()?, Sample::default());
    let uptime_s = waiter.uptime_s();
    probe.sample(waiter.unix_time(uptime_s), Some(uptime_s), &mut sample)?;
    let rows = ceilings::rows(&sample, probe.sources(&sample.all_ceilings()));
    match options.format {
        Format::Text => ceilings::write(out, &rows)?,
        Format::Json => ceilings::write_json(out, &rows)?,
    }
    if sample.procs.is_empty() {
        writeln!(err, "leakwatch: no process matches, so these are the machine's limits only")?;
    }
    Ok(Severity::Fine)
}
