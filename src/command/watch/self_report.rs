//! Ears: who hears what leakwatch says of itself, at SIGUSR1 and at the end of a watch.

use crate::core::scheduling_delay::SchedulingDelay;
use crate::report::self_usage::SelfReport;
use crate::system::machine;
use crate::system::wait::Waiter;
use anyhow::{Context, Result};
use std::io::Write;

/// Where it is said.
#[derive(Clone, Copy, Debug)]
pub struct SelfReporter {
    /// Nothing on standard error.
    pub quiet: bool,
    /// An object on standard output.
    pub json: bool,
    /// Somebody is kept alive, so nothing depends on what is heard.
    pub acts: bool,
}

impl SelfReporter {
    /// Says what leakwatch uses and how late its looks come.
    ///
    /// # Errors
    /// When it cannot be written and nothing is kept alive.
    pub fn tell(
        self,
        scheduling_delay: &SchedulingDelay,
        waiter: &Waiter,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<()> {
        let own = SelfReport { usage: machine::own_usage(), scheduling_delay: *scheduling_delay };
        let mut write = || {
            if self.json {
                own.write_json(out, waiter.unix_time(waiter.uptime_s()))?;
                out.flush()?;
            }
            if self.quiet { Ok(()) } else { own.write(err) }
        };
        let written = write().context("cannot write the report");
        if self.acts { Ok(()) } else { written }
    }
}
