//! Evidence: prints what was kept of processes that were ended, or takes it of one that runs.

mod collector;
mod standby;

use crate::cli::options::{EvidenceOptions, StateOptions};
use crate::cli::resolve;
use crate::command::census::refused;
use crate::core::model::event::Severity;
use crate::report::evidence::{self, Kept};
use crate::report::messages;
use crate::store::evidence::EvidenceDirectory;
use crate::system::channel::Channel;
use crate::system::heap_census::CensusTarget;
use crate::system::wait::{Waiter, Wake};
use crate::system::{machine, prepare, rights, wait};
use anyhow::{Context, Error, Result, ensure};
use collector::Collector;
use serde::{Deserialize, Serialize};
use standby::StandBy;
use std::io::Write;
use std::os::fd::AsFd;
use std::path::PathBuf;

/// The name of the directory among files of state.
const USUAL: &str = "evidence";
/// Seconds that a census may take where nothing hurries.
const CENSUS_S: f64 = 5.0;

/// What a watch tells the helper that keeps evidence first, with the open directory.
#[derive(Serialize, Deserialize)]
pub(super) struct Orders {
    /// The directory, for messages.
    pub(super) dir: PathBuf,
    /// Whether nothing is printed.
    pub(super) is_quiet: bool,
}

/// Messages of one byte: memory is about to end, or no longer. All others are about a process: an event
/// in JSON, the same as text, each on a line, and why.
pub(super) const ENDANGERED: u8 = b'!';
pub(super) const CALM: u8 = b'.';

/// The helper: keeps evidence until the watch ends. What cannot be kept is said once, until something can.
///
/// # Errors
/// It was not started by a watch, or the kernel refuses.
pub fn serve(err: &mut impl Write) -> Result<()> {
    let channel = Channel::of_helper()?;
    let Some(first) = channel.receive()? else { return Ok(()) };
    let orders: Orders = serde_json::from_slice(&first.bytes)?;
    let directory = first.file.context("there is no directory")?;
    // It ends with the watch and not before, however both are told to stop.
    let waiter = Waiter::new()?;
    // Before the helper that takes censuses is started, which inherits it.
    prepare::undo_prepare();
    let mut standby = StandBy::new(EvidenceDirectory::of(directory));
    prepare::stand_by();
    rights::keep_reading_processes();
    let mut is_said = false;
    loop {
        match waiter.wait_for_input(standby.next_s(), channel.as_fd()) {
            Wake::Tick => standby.look(),
            Wake::Input => {
                let Some(message) = channel.receive()? else { return Ok(()) };
                let heard = match message.bytes.as_slice() {
                    [state @ (ENDANGERED | CALM)] => {
                        standby.set_endangered(*state == ENDANGERED);
                        continue;
                    }
                    event => standby.hear(event),
                };
                let was_said = std::mem::replace(&mut is_said, heard.is_err());
                if let Err(error) = heard
                    && !was_said
                    && !orders.is_quiet
                {
                    let dir = orders.dir.display();
                    let note = format!("evidence is lost: cannot write to '{dir}': {error:#}");
                    messages::notes(err, &[note]).ok();
                }
            }
            _ => {}
        }
    }
}

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
    let subject = CensusTarget::of(pid).map_err(|refusal| refused(pid, refusal))?;
    let (id, comm) = (subject.id(), subject.name());
    let collected = Collector::new().collect(&subject, CENSUS_S);
    let t = wait::unix_s();
    let files = collected.files(id, &comm);
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
