//! Records samples to a file.

use super::take;
use crate::cli::options::RecordOptions;
use crate::cli::resolve;
use crate::core::model::event::Severity;
use crate::core::model::sample::Sample;
use crate::store::recording::Writer;
use crate::system::wait::{Waiter, Wake};
use crate::system::{machine, new_file};
use anyhow::{Context, Result, anyhow};
use flate2::Compression;
use flate2::write::GzEncoder;
use std::io::{BufWriter, Write};

/// Records until SIGINT or SIGTERM, or until `--samples` are taken.
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
        new_file::create(&options.file).map_err(|e| match format!("{e:#}") {
            e if e.contains("hint:") => anyhow!("cannot record to '{name}': {e}"),
            e => anyhow!("cannot record to '{name}': {e}\n  hint: name a new file; leakwatch never overwrites a recording"),
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
    let mut sampler = resolve::sampler(&options.select, None)?;
    let waiter = Waiter::new()?;
    let mut writer = Writer::new(file, &machine::header(interval_s)).context("cannot write")?;
    let mut sample = Sample::default();
    let mut due_s = waiter.uptime_s();
    let mut taken = 0;
    loop {
        match take(&mut sampler, &waiter, &mut sample) {
            Ok(()) => {
                writer
                    .write(&sample)
                    .with_context(|| format!("cannot write sample {}", taken + 1))?;
                if !gz {
                    // So a killed recorder loses nothing. Flushed for each sample, gzip would hardly
                    // compress.
                    writer.flush()?;
                }
                taken += 1;
            }
            // As the watch does: lxcfs has an empty meminfo now and then.
            Err(error) if taken > 0 => {
                if !options.quiet {
                    writeln!(err, "leakwatch: cannot look this time: {error:#}; going on")?;
                }
            }
            Err(error) => return Err(error),
        }
        if !options.quiet {
            crate::report::messages::notes(err, &sampler.take_notes())?;
        }
        if options.samples.is_some_and(|wanted| taken >= wanted) {
            break;
        }
        due_s = (due_s + interval_s).max(waiter.uptime_s());
        if !wait_for(&waiter, due_s) {
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

/// Waits for the next sample to be due; false at a signal to stop.
fn wait_for(waiter: &Waiter, due_s: f64) -> bool {
    loop {
        match waiter.wait_until(due_s) {
            Wake::Tick => return true,
            Wake::Stop | Wake::HangUp => return false,
            _ => {}
        }
    }
}
