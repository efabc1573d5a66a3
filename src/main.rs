//! leakwatch: the thin binary. Parses, dispatches, prints one error, returns the exit status.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice)]

use anyhow::Result;
use leakwatch::cli::config;
use leakwatch::cli::config::Parsed;
use leakwatch::cli::options::{Cli, Command};
use leakwatch::report::journal::Leveled;
use leakwatch::system::nonblocking_output::NonblockingOutput;
use leakwatch::system::{hook, systemd};
use leakwatch::{command, report};
use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Could not do the job: usage, permission, input. 1 and 2 are findings.
const FAILED: u8 = 3;

fn main() -> ExitCode {
    if let Some(command) = hook::asked_for() {
        let served = hook::serve(&command, hook::LIMIT_S, io::stdin().lock(), &mut io::stderr());
        return served.map_or(ExitCode::from(FAILED), |()| ExitCode::SUCCESS);
    }
    let args: Vec<OsString> = std::env::args_os().collect();
    match config::parse(&args).and_then(|parsed| run(parsed, &args)) {
        Ok(status) => ExitCode::from(status),
        Err(error) => match error.downcast_ref::<clap::Error>() {
            Some(error) => {
                // Help and version are no errors; clap's 2 for the others would read as CRITICAL.
                let status = if error.use_stderr() { FAILED } else { 0 };
                error.print().map_or(ExitCode::from(FAILED), |()| ExitCode::from(status))
            }
            None if is_broken_pipe(&error) => ExitCode::SUCCESS,
            None => {
                // With standard error gone too there is nobody left to tell.
                let level = if systemd::is_journal(io::stderr()) { "<3>" } else { "" };
                let _ = writeln!(io::stderr(), "{level}leakwatch: {error:#}");
                ExitCode::from(FAILED)
            }
        },
    }
}

/// Runs what was asked for, and for each `[[watch]]`; the status is the worst.
fn run(parsed: Vec<Parsed>, args: &[OsString]) -> Result<u8> {
    if parsed.iter().all(|parsed| parsed.cli.command.is_none()) {
        return watch(parsed, args);
    }
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut err = Leveled::new(io::stderr().lock(), systemd::is_journal(io::stderr()));
    let mut worst = 0;
    for Parsed { cli, name } in &parsed {
        let status = dispatch(cli, name.as_deref(), &mut out, &mut err)?;
        worst = report::check::worse(worst, status);
    }
    out.flush()?;
    Ok(worst)
}

fn dispatch(
    cli: &Cli,
    name: Option<&str>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<u8> {
    let status = match &cli.command {
        // Knows what it is not to know, which others do not.
        Some(Command::Check(options)) => return command::check::run(options, name, out, err),
        Some(Command::Config(options)) => {
            config::show(options.file.as_deref(), out)?;
            return Ok(0);
        }
        Some(Command::Ceilings(options)) => command::ceilings::run(options, out, err)?,
        Some(Command::Diagnose(options)) => command::diagnose::run(options, out, err)?,
        Some(Command::Record(options)) => command::record::run(options, out, err)?,
        Some(Command::Replay(options)) => command::replay::run(options, out, err)?,
        Some(Command::Servers(options)) => command::servers::run(options, out)?,
        None => return Ok(0),
    };
    Ok(status as u8)
}

/// A watch must not wait for whoever reads what it says.
fn watch(parsed: Vec<Parsed>, args: &[OsString]) -> Result<u8> {
    let mut out = NonblockingOutput::stdout();
    let mut err = Leveled::new(NonblockingOutput::stderr(), systemd::is_journal(io::stderr()));
    let watches = |parsed: Vec<Parsed>| parsed.into_iter().map(|parsed| parsed.cli.watch).collect();
    let reload = || config::parse(args).map(watches);
    let status = command::watch::run(watches(parsed), &reload, &mut out, &mut err)?;
    err.into_inner().close()?;
    out.close()?;
    Ok(status as u8)
}

/// Whoever read our output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|e| e.kind() == ErrorKind::BrokenPipe)
}
