//! leakwatch: the thin binary. Parses, dispatches, prints one error, returns the exit status.

use anyhow::Result;
use clap::Parser;
use leakwatch::assessment::Status;
use leakwatch::cli::{self, Cli, Command};
use leakwatch::outlet::Outlet;
use leakwatch::report::journal::Leveled;
use leakwatch::{command, hook, systemd};
use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;

/// Could not do the job: usage, permission, input. 1 and 2 are findings.
const FAILED: u8 = 3;

fn main() -> ExitCode {
    if let Some(command) = hook::asked_for() {
        let served = hook::serve(&command, hook::LIMIT_S, io::stdin().lock(), &mut io::stderr());
        return served.map_or(ExitCode::from(FAILED), |()| ExitCode::SUCCESS);
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are no errors; clap's 2 for the others would read as CRITICAL.
            let status = if error.use_stderr() { FAILED } else { 0 };
            return error.print().map_or(ExitCode::from(FAILED), |()| ExitCode::from(status));
        }
    };
    match run(&cli) {
        Ok(status) => ExitCode::from(status as u8),
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // With standard error gone too there is nobody left to tell.
            let level = if systemd::is_journal(io::stderr()) { "<3>" } else { "" };
            let _ = writeln!(io::stderr(), "{level}leakwatch: {error:#}");
            ExitCode::from(FAILED)
        }
    }
}

fn run(cli: &Cli) -> Result<Status> {
    let Some(command) = &cli.command else { return watch(&cli.watch) };
    let mut out = io::BufWriter::new(io::stdout().lock());
    let mut err = Leveled::new(io::stderr().lock(), systemd::is_journal(io::stderr()));
    let status = match command {
        Command::Ceilings(options) => command::ceilings::run(options, &mut out, &mut err)?,
        Command::Diagnose(options) => command::diagnose::run(options, &mut out, &mut err)?,
        Command::Record(options) => command::record::run(options, &mut out, &mut err)?,
        Command::Servers(options) => command::servers::run(options, &mut out)?,
        Command::Replay(options) => command::replay::run(options, &mut out, &mut err)?,
    };
    out.flush()?;
    Ok(status)
}

/// A watch must not wait for whoever reads what it says.
fn watch(options: &cli::Watch) -> Result<Status> {
    let mut out = Outlet::stdout();
    let mut err = Leveled::new(Outlet::stderr(), systemd::is_journal(io::stderr()));
    let status = command::watch::run(options, &mut out, &mut err)?;
    err.into_inner().close()?;
    out.close()?;
    Ok(status)
}

/// Whoever read our output has seen enough.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<io::Error>())
        .any(|e| e.kind() == ErrorKind::BrokenPipe)
}
