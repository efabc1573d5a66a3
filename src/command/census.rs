//! Census: looks at the heap of one process, once or for a while, and says what grows in it.

use super::patience;
use crate::cli::options::{CensusOptions, ReportFormat};
use crate::core::census::{GrowthCause, Looks};
use crate::core::model::event::Severity;
use crate::report::census::{self, CensusReport};
use crate::system::heap_census::{CensusHelper, CensusTarget, Refusal};
use crate::system::machine;
use crate::system::origin::Origins;
use crate::system::wait::{Waiter, Wake};
use anyhow::{Context, Result, bail};
use std::io::Write;
use std::path::Path;

/// Looks, where it looks for a while: enough that a request in progress at one of them does not matter.
const LOOKS: u32 = 7;
/// Seconds that one look may take: a heap of 10 GiB.
const LOOK_S: f64 = 5.0;

/// Counts, and reports; the status is 1 where what is in use grows.
///
/// # Errors
/// The process is gone, or may not be read.
pub fn run(options: &CensusOptions, out: &mut impl Write) -> Result<Severity> {
    let waiter = Waiter::new()?;
    let subject = CensusTarget::of(options.pid).map_err(|refusal| refused(options.pid, refusal))?;
    let mut helper = CensusHelper::default();
    let mut looks = Looks::default();
    let from_s = waiter.uptime_s();
    let (mut many, mut watched_s) = (0, 0.0);
    let wanted = if options.time > 0.0 { LOOKS } else { 1 };
    for nth in 0..wanted {
        let due_s = from_s + options.time * f64::from(nth) / f64::from(wanted.max(2) - 1);
        let mut stopped = nth > 0 && !wait(&waiter, due_s);
        let mut during = false;
        let census = helper.census(&subject, &mut patience(&waiter, LOOK_S, &mut during));
        stopped |= during;
        match census {
            Ok(census) => looks.push(census),
            // What was seen before is worth a report.
            Err(Refusal::Gone | Refusal::NoAnswer) if many > 1 => break,
            Err(refusal) => return Err(refused(options.pid, refusal)),
        }
        (many, watched_s) = (many + 1, waiter.uptime_s() - from_s);
        if stopped {
            break;
        }
    }
    let (Some(last), Some(finding)) = (looks.last(), looks.judge()) else {
        bail!("there was no look");
    };
    let unit = Origins::new(Path::new("/proc")).unit(options.pid);
    // A container has no drop-in.
    let (name, unit) = (subject.name(), unit.filter(|unit| unit.ends_with(".service")));
    let (id, unit) = (subject.id(), unit.as_deref());
    let report =
        CensusReport { id, name: &name, unit, watched_s, looks: many, last, finding: &finding };
    match options.format {
        ReportFormat::Text => census::write(out, &report),
        ReportFormat::Json => census::write_json(out, &report),
    }
    .context("cannot write the report")?;
    Ok(if finding.cause == GrowthCause::Leak { Severity::Leak } else { Severity::Fine })
}

/// Waits; whether no signal said to stop.
fn wait(waiter: &Waiter, until_s: f64) -> bool {
    loop {
        match waiter.wait_until(until_s) {
            Wake::Tick => return true,
            Wake::Stop | Wake::HangUp => return false,
            _ => {}
        }
    }
}

/// What failed, why, and the way out.
pub(super) fn refused(pid: u32, refusal: Refusal) -> anyhow::Error {
    let (why, hint) = match refusal {
        Refusal::Gone => ("it has ended", "`ps` lists what runs"),
        Refusal::NoMemory => {
            ("it is a thread of the kernel, which has no heap", "`ps` lists others")
        }
        Refusal::Forbidden if machine::is_root() => (
            "the kernel forbids it",
            "leakwatch needs CAP_SYS_PTRACE, also in a container or a hardened unit",
        ),
        Refusal::Forbidden => (
            "the kernel forbids it",
            "run as root, or as the process's own user where kernel.yama.ptrace_scope is 0",
        ),
        Refusal::NoAnswer => (
            "it gives no answer",
            "a page of it is to come from a file system (FUSE) that keeps it, or the machine is too busy; try \
             again",
        ),
        Refusal::NoHelper(why) => {
            return anyhow::anyhow!("cannot read the memory of process {pid}: {why}");
        }
        Refusal::Failed(errno) => {
            return anyhow::Error::from(std::io::Error::from_raw_os_error(errno))
                .context(format!("cannot read the memory of process {pid}"));
        }
    };
    anyhow::anyhow!("cannot read the memory of process {pid}: {why}\n  hint: {hint}")
}
