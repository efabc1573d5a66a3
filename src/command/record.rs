//! Record: samples to a file.

use crate::cli::options::{RecordOptions, SelectOptions};
use crate::cli::resolve;
use crate::core::model::event::Severity;
use crate::core::model::sample::Sample;
use crate::store::recording::Writer;
use crate::system::machine;
use crate::system::proc::Sampler;
use crate::system::wait::{Waiter, Wake};
use anyhow::{Context, Result, anyhow};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{BufWriter, Write};

/// Records until SIGINT or SIGTERM, or until the samples asked for are taken.
///
/// # Errors
/// Bad options, a procfs that cannot be read, a file that exists or cannot be written.
pub fn run(
    options: &RecordOptions,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Severity> {
    let name = options.file.display();
    let create = || {
        File::create_new(&options.file).map_err(|e| {
            let hint = "choose a new file; recordings are never overwritten";
            anyhow!("cannot record to '{name}': {e}\n  hint: {hint}")
        })
    };
    let gz = options.file.extension().is_some_and(|e| e == "gz");
    if options.file.as_os_str() == "-" {
        samples(options, out, false, err)?;
    } else if gz {
        let mut file = GzEncoder::new(create()?, Compression::default());
        samples(options, &mut file, true, err)?;
        file.finish().with_context(|| format!("cannot finish '{name}'"))?;
    } else {
        samples(options, &mut BufWriter::new(create()?), false, err)?;
    }
    Ok(Severity::Fine)
}

fn samples(
    options: &RecordOptions,
    file: &mut impl Write,
    gz: bool,
    err: &mut impl Write,
) -> Result<()> {
    let interval_s = options.timing.interval;
    let selection = resolve::selection(&options.select)?;
    let SelectOptions { procfs, sysfs, .. } = &options.select;
    let mut probe = Sampler::new(procfs, sysfs.as_deref(), selection, None)?;
    let waiter = Waiter::new()?;
    let mut writer = Writer::new(file, &machine::header(interval_s)).context("cannot write")?;
    let mut sample = Sample::default();
    let mut due_s = waiter.uptime_s();
    let mut taken = 0;
    loop {
        let uptime_s = waiter.uptime_s();
        probe.sample(waiter.unix_time(uptime_s), Some(uptime_s), &mut sample)?;
        writer.write(&sample).with_context(|| format!("cannot write sample {}", taken + 1))?;
        if !gz {
            // A recorder that is killed loses nothing; gzip would be hardly compressed this way.
            writer.flush()?;
        }
        taken += 1;
        if !options.quiet {
            crate::report::messages::notes(err, &probe.take_notes())?;
        }
        if options.samples.is_some_and(|wanted| taken >= wanted) {
            break;
        }
        due_s = (due_s + interval_s).max(waiter.uptime_s());
        if !tick(&waiter, due_s)? {
            break;
        }
    }
    if !options.quiet {
        writeln!(
            err,
            "leakwatch: recorded {taken} samples; judge them with `leakwatch replay {}`",
            options.file.display()
        )?;
    }
    Ok(())
}

/// Waits for the next tick; false when told to stop.
fn tick(waiter: &Waiter, due_s: f64) -> Result<bool> {
    loop {
        match waiter.wait_until(due_s) {
            Wake::Tick => return Ok(true),
            Wake::Stop | Wake::HangUp => return Ok(false),
            Wake::ShowState | Wake::Continued => {}
        }
    }
}
