//! Evidence: prints what was kept of processes that were ended, or takes it of one that runs.

mod collector;

use crate::cli::options::{EvidenceOptions, StateOptions};
use crate::cli::resolve;
use crate::command::census::refused;
use crate::core::model::event::Severity;
use crate::report::evidence::{self, Kept};
use crate::store::evidence::EvidenceDirectory;
use crate::system::heap_census::Subject;
use crate::system::{machine, rights, wait};
use anyhow::{Context, Error, Result, ensure};
use collector::Collector;
use std::io::Write;

/// The name of the directory among files of state.
const USUAL: &str = "evidence";
/// Seconds that a census may take where nothing hurries.
const CENSUS_S: f64 = 5.0;

/// Prints, or takes.
///
/// # Errors
/// There is no such directory or process, or it may not be read.
pub fn run(options: &EvidenceOptions, out: &mut impl Write) -> Result<Severity> {
    match options.take {
        Some(pid) => take(pid, options, out),
        None => print(options, out),
    }
    .map(|()| Severity::Fine)
}

fn take(pid: u32, options: &EvidenceOptions, out: &mut impl Write) -> Result<()> {
    let directory = options.dir.as_deref().map(EvidenceDirectory::open).transpose()?;
    let subject = Subject::of(pid).map_err(|refusal| refused(pid, refusal))?;
    let (id, comm) = (subject.id(), subject.name());
    let collected = Collector::new().collect(&subject, CENSUS_S);
    let t = wait::unix_s();
    let files = collected.files();
    match (directory, &options.dir) {
        (Some(directory), Some(dir)) => {
            let name = directory.keep(t, id, &comm, &files);
            let name =
                name.with_context(|| format!("cannot keep evidence in '{}'", dir.display()))?;
            writeln!(out, "{}", dir.join(name).display())?;
            Ok(())
        }
        _ => {
            let name = format!("process {pid}");
            report(&[Kept { name: &name, files: &files }], options, out)
        }
    }
}

fn print(options: &EvidenceOptions, out: &mut impl Write) -> Result<()> {
    let usual = || {
        let state = resolve::state(&StateOptions { state_dir: None, no_state: false })?;
        Ok::<_, Error>(state.unwrap_or_default().join(USUAL))
    };
    let dir = options.dir.clone().map_or_else(usual, Ok)?;
    // One that was named and is not there is a mistake.
    ensure!(
        options.dir.is_none() || dir.is_dir(),
        "there is no directory '{}'\n  hint: name that of `leakwatch --evidence DIR`",
        dir.display()
    );
    let mut kept = Vec::new();
    if dir.is_dir() {
        let directory = EvidenceDirectory::open(&dir)?;
        // What is read from here on may be of any origin.
        rights::keep_files_only();
        kept = directory.read().with_context(|| format!("cannot read '{}'", dir.display()))?;
    }
    if kept.is_empty() {
        writeln!(out, "No evidence is kept in '{}'.", dir.display())?;
        return Ok(());
    }
    let kept: Vec<Kept<'_>> =
        kept.iter().map(|kept| Kept { name: &kept.name, files: &kept.files }).collect();
    report(&kept, options, out)
}

fn report(kept: &[Kept<'_>], options: &EvidenceOptions, out: &mut impl Write) -> Result<()> {
    let host = machine::host();
    let host = options.mask.then_some(host.as_str());
    evidence::write(out, kept, &machine::description(), host).context("cannot write the report")
}
