//! What leakwatch reports of itself, at SIGUSR1 and at the end of a watch.

use crate::core::scheduling_delay::SchedulingDelay;
use crate::report::events::EventFormat;
use crate::report::self_usage::SelfReport;
use crate::system::machine;
use crate::system::wait::Waiter;
use anyhow::{Context, Result};
use std::io::Write;

/// Where the report goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Destinations {
    /// To standard error, as a line.
    pub(super) err: bool,
    /// To standard output, as a record of that format.
    pub(super) out: Option<EventFormat>,
}

/// Writes what leakwatch uses and how late its samples are.
///
/// # Errors
/// The report cannot be written.
pub(super) fn write_self_report(
    destinations: Destinations,
    scheduling_delay: &SchedulingDelay,
    waiter: &Waiter,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<()> {
    let report = SelfReport { usage: machine::own_usage(), scheduling_delay: *scheduling_delay };
    let mut write = || {
        if let Some(format) = destinations.out {
            report.write_record(out, waiter.unix_time(waiter.uptime_s()), format)?;
            out.flush()?;
        }
        if destinations.err { report.write(err) } else { Ok(()) }
    };
    write().context("cannot write the report")
}
