//! Memory: where all memory is, in one look, or over some time with what grows.

use super::balance_look::BalanceLook;
use super::{patience, take};
use crate::cli::options::{MemoryOptions, ReportFormat};
use crate::cli::resolve;
use crate::core::balance::Balance;
use crate::core::model::event::Severity;
use crate::core::model::sample::Sample;
use crate::report::balance;
use crate::system::machine;
use crate::system::wait::{Waiter, Wake};
use anyhow::{Context, Result};
use serde_json::json;
use std::io::Write;

/// Readings in a look, and bounds of the time between them.
const READINGS: f64 = 160.0;
const INTERVAL_S: (f64, f64) = (0.1, 5.0);
/// Seconds that the costly parts may take, at the beginning and at the end.
const DETAILS_S: f64 = 5.0;

/// Looks, and prints the sheet; the status is what grows.
///
/// # Errors
/// Bad options, a procfs that cannot be read, a report that cannot be written.
pub fn run(
    options: &MemoryOptions,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Severity> {
    let waiter = Waiter::new()?;
    let mut sampler = resolve::sampler(&options.select, None)?;
    let interval_s = (options.time / READINGS).clamp(INTERVAL_S.0, INTERVAL_S.1);
    let mut look = BalanceLook::new(&options.select, interval_s);
    let mut sample = Sample::default();
    take(&mut sampler, &waiter, &mut sample)?;
    let mut stopped = false;
    look.read_details(sample.t, &mut patience(&waiter, DETAILS_S, &mut stopped));
    look.read(&sample);
    let until_s = waiter.uptime_s() + options.time;
    let mut due_s = waiter.uptime_s() + interval_s;
    while !stopped && due_s <= until_s {
        match waiter.wait_until(due_s) {
            Wake::Tick => {}
            Wake::Stop | Wake::HangUp => stopped = true,
            _ => continue,
        }
        take(&mut sampler, &waiter, &mut sample)?;
        look.read(&sample);
        due_s = (due_s + interval_s).max(waiter.uptime_s());
    }
    if options.time > 0.0 {
        // A stop during the look is no reason to leave out what grew.
        look.read_details(sample.t, &mut patience(&waiter, DETAILS_S, &mut false));
    }
    waiter
        .interruptible(|| write(options, &look.balance, out))
        .context("cannot write the sheet")?;
    if !machine::is_root() && !options.output.quiet {
        writeln!(
            err,
            "leakwatch: not run as root: the kernel's caches, and files in memory that other users' processes hold, are not named"
        )?;
    }
    Ok(match look.balance.sheet().findings().is_empty() {
        true => Severity::Fine,
        false => Severity::Leak,
    })
}

fn write(options: &MemoryOptions, sheets: &Balance, out: &mut impl Write) -> std::io::Result<()> {
    let (machine, cgroups) = (sheets.sheet(), sheets.cgroups());
    match options.output.format {
        ReportFormat::Text => {
            balance::write(out, &machine)?;
            cgroups.iter().try_for_each(|sheet| balance::write(out, sheet))?;
        }
        ReportFormat::Json => {
            let cgroups: Vec<_> = cgroups.iter().map(balance::json).collect();
            let value =
                json!({ "schema": 1, "machine": balance::json(&machine), "cgroups": cgroups });
            serde_json::to_writer(&mut *out, &value)?;
            writeln!(out)?;
        }
    }
    out.flush()
}
