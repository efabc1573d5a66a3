//! leakwatch: the thin binary. It parses, dispatches, prints one error and returns the exit status.

#![forbid(unsafe_code)]
#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::string_slice)]

use anyhow::Result;
use leakwatch::cli::config::{self, Parsed};
use leakwatch::cli::options::{CheckOptions, Cli, Command};
use leakwatch::command;
use leakwatch::core::alerting::worse;
use leakwatch::diagnose::evidence::{access, inquiry, logs};
use leakwatch::report::journal::Leveled;
use leakwatch::store::recording;
use leakwatch::system::helper::Duty;
use leakwatch::system::nonblocking_output::NonblockingOutput;
use leakwatch::system::{heap_census, helper, hook, systemd};
use std::ffi::OsString;
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// leakwatch failed: usage, permission, input. 1 and 2 are findings.
const FAILED: u8 = 3;

fn main() -> ExitCode {
    let status = match hook::asked_for() {
        Some(command) => {
            let stdin = io::stdin().lock();
            hook::serve(&command, hook::LIMIT_S, stdin, &mut io::stderr()).map(|()| 0)
        }
        None => match helper::asked_for() {
            Some(Duty::Inquiry) => {
                inquiry::serve(io::stdin().lock(), io::stdout().lock()).map(|()| 0)
            }
            Some(Duty::Logs) => logs::serve().map(|()| 0),
            Some(Duty::AccessLogs) => access::serve().map(|()| 0),
            Some(Duty::Census) => heap_census::serve().map(|()| 0),
            Some(Duty::Evidence) => {
                let journal = systemd::is_journal(io::stderr());
                command::evidence::serve(&mut Leveled::new(io::stderr(), journal)).map(|()| 0)
            }
            Some(Duty::Recording) => {
                recording::apart::serve(std::env::args_os().nth(1)).map(|()| 0)
            }
            None => run(&std::env::args_os().collect::<Vec<_>>()),
        },
    };
    ExitCode::from(status.unwrap_or_else(|error| report(&error)))
}

/// Runs the command, once for each `[[watch]]`; the status is the worst.
fn run(args: &[OsString]) -> Result<u8> {
    let parsed = config::parse(args)?;
    if parsed.iter().all(|parsed| parsed.cli.command.is_none()) {
        return watch(parsed, args);
    }
    let checks: Vec<_> = parsed.iter().filter_map(as_check).collect();
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut err = Leveled::new(io::stderr().lock(), systemd::is_journal(io::stderr()));
    let mut worst = 0;
    if checks.is_empty() {
        for Parsed { cli, .. } in &parsed {
            worst = worse(worst, dispatch(cli, &mut out, &mut err)?);
        }
    } else {
        worst = command::check::run(&checks, &mut out, &mut err)?;
    }
    out.flush()?;
    Ok(worst)
}

fn as_check(parsed: &Parsed) -> Option<(&CheckOptions, Option<&str>)> {
    match &parsed.cli.command {
        Some(Command::Check(options)) => Some((options, parsed.name.as_deref())),
        _ => None,
    }
}

/// The watch stands apart from the commands: one call holds all its `[[watch]]`, it parses again at a
/// reload, and a slow reader of its output must never delay it.
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

fn dispatch(cli: &Cli, out: &mut impl Write, err: &mut impl Write) -> Result<u8> {
    let severity = match &cli.command {
        Some(Command::Config(options)) => {
            return config::show(options.file.as_deref(), out).map(|()| 0);
        }
        Some(Command::Census(options)) => command::census::run(options, out)?,
        Some(Command::Ceilings(options)) => command::ceilings::run(options, out, err)?,
        Some(Command::Diagnose(options)) => command::diagnose::run(options, out, err)?,
        Some(Command::Evidence(options)) => command::evidence::run(options, out)?,
        Some(Command::Memory(options)) => command::memory::run(options, out, err)?,
        Some(Command::Record(options)) => command::record::run(options, out, err)?,
        Some(Command::Replay(options)) => command::replay::run(options, out, err)?,
        Some(Command::Servers(options)) => command::servers::run(options, out)?,
        Some(Command::Top(options)) => command::top::run(options)?,
        // All checks ran together.
        Some(Command::Check(_)) | None => return Ok(0),
    };
    Ok(severity as u8)
}

/// Prints the error; returns the exit status.
fn report(error: &anyhow::Error) -> u8 {
    if let Some(usage) = error.downcast_ref::<clap::Error>() {
        // Help and version are no errors; clap's own status 2 would read as CRITICAL.
        let is_printed = usage.print().is_ok();
        return if is_printed && !usage.use_stderr() { 0 } else { FAILED };
    }
    if is_broken_pipe(error) {
        return 0;
    }
    let level = if systemd::is_journal(io::stderr()) { "<3>" } else { "" };
    // Without standard error, there is no place left to report to.
    let _ = writeln!(io::stderr(), "{level}leakwatch: {error:#}");
    FAILED
}

/// Whether the reader closed the pipe, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|e| e.kind() == ErrorKind::BrokenPipe)
}
