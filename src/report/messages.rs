//! Messages beside the results, on standard error.

use super::servers::Ended;
use super::summary;
use super::summary::TreeSummary;
use super::words::{Style, plural};
use crate::core::decide::rules::Method;
use crate::core::engine::Engine;
use crate::core::model::event::Severity;
use crate::core::model::process::ProcId;
use crate::core::model::signal::Step;
use crate::core::model::units::Seconds;
use crate::core::servers::Server;
use std::io::{self, Write};
use std::path::Path;

/// Trees listed in the greeting.
const MOST: usize = 10;

/// What the greeting needs beside the engine.
#[derive(Clone, Copy, Debug)]
pub struct Greeting<'a> {
    /// The machine: its system, kernel and processors.
    pub machine: &'a str,
    /// The selection as it was typed.
    pub wanted: &'a str,
    /// Processes that match it; none where all are watched.
    pub matched: Option<usize>,
    /// The procfs, where it is that of another pid namespace.
    pub foreign_procfs: Option<&'a Path>,
    /// Seconds between samples.
    pub interval_s: f64,
    /// Nothing is signalled.
    pub dry_run: bool,
}

/// Writes at the start what is watched and what leakwatch will do.
///
/// # Errors
/// When `err` cannot be written.
pub fn greet(err: &mut impl Write, engine: &Engine, greeting: &Greeting<'_>) -> io::Result<()> {
    let Greeting { machine, wanted, matched, foreign_procfs, interval_s, dry_run } = *greeting;
    let version = env!("CARGO_PKG_VERSION");
    let trees = summary::trees(engine);
    let processes = engine.detector().process_states().count();
    write!(err, "leakwatch {version} on {machine}: ")?;
    if trees.is_empty() {
        writeln!(err, "no process matches {wanted} yet")?;
        return writeln!(
            err,
            "  checking again every {}; test the pattern with `pgrep -l`, or stop with Ctrl-C",
            Seconds(interval_s)
        );
    }
    let (t, p) = (plural(trees.len() as u64, "process tree"), plural(processes as u64, "process"));
    match matched {
        None => writeln!(err, "watching all {t} ({p})")?,
        Some(n) => writeln!(err, "watching {t} ({p}) for {wanted}, which {n} of them match")?,
    }
    summary::write(err, &trees, MOST, Style::default())?;
    if let Some(procfs) = foreign_procfs {
        let procfs = procfs.display();
        writeln!(err, "  nothing is signalled: '{procfs}' is the procfs of another pid namespace")
    } else if matched.is_none() {
        writeln!(
            err,
            "  nothing is signalled; name a service with --pattern to let leakwatch keep it alive"
        )
    } else if dry_run {
        writeln!(err, "  dry run: prints the signals that it would send, and sends none")
    } else {
        writeln!(
            err,
            "  when ending a worker that leaks takes about as long as memory lasts, leakwatch ends it: gently where time allows, and never a master"
        )?;
        manners(err, engine, &trees)?;
        may_not(err, engine, &trees)
    }
}

/// Writes for each tree with workers how they are ended: "Apache prefork: master 812, 9 workers;
/// gentle signal USR1, after 70 s TERM, then KILL".
fn manners(err: &mut impl Write, engine: &Engine, trees: &[TreeSummary<'_>]) -> io::Result<()> {
    let (detector, eligibility) = (engine.detector(), engine.policy().eligibility());
    for tree in trees.iter().take(MOST) {
        let members = detector.process_states().filter(|s| s.root == tree.root);
        let workers = members.filter(|s| eligibility.is_worker(s, detector));
        let mut servers: Vec<(&Server, usize)> = Vec::new();
        for server in workers.filter_map(|s| eligibility.server(s.id)) {
            match servers.iter_mut().find(|(known, _)| *known == server) {
                Some((_, count)) => *count += 1,
                None => servers.push((server, 1)),
            }
        }
        for (server, count) in servers {
            let (name, master, workers) =
                (server.name, tree.root.pid, plural(count as u64, "worker"));
            write!(err, "  {name}: master {master}, {workers}; ")?;
            match engine.policy().rules().method(server) {
                Method::Signals(ending) => {
                    let gentle = ending.first.0 == Step::Gentle;
                    let kind = if gentle { "gentle signal" } else { "no gentle signal known:" };
                    writeln!(err, "{kind} {}", Ended(&ending))?;
                }
                Method::Reload(signal) => writeln!(
                    err,
                    "{} to the master, which replaces all of them gently",
                    signal.name()
                )?,
                Method::Restart => writeln!(err, "a restart of its unit")?,
                Method::Never(why) => writeln!(err, "only reported: {why}")?,
            }
        }
    }
    Ok(())
}

/// Writes how many processes this user may not signal.
fn may_not(err: &mut impl Write, engine: &Engine, trees: &[TreeSummary<'_>]) -> io::Result<()> {
    let forbidden = engine.policy().eligibility().forbidden();
    let all: usize = trees.iter().map(|tree| tree.workers + 1).sum();
    match forbidden {
        0 => Ok(()),
        n if n == all => writeln!(
            err,
            "  but this user may signal none of them: leaks are only reported; that takes CAP_KILL, which root has"
        ),
        n => writeln!(
            err,
            "  but this user may not signal {n} of them; that takes CAP_KILL, which root has"
        ),
    }
}

/// Writes a line for each note.
///
/// # Errors
/// When `err` cannot be written.
pub fn notes(err: &mut impl Write, notes: &[String]) -> io::Result<()> {
    notes.iter().try_for_each(|note| writeln!(err, "leakwatch: {note}"))
}

/// Reports that a sample could not be taken, and why.
///
/// # Errors
/// When `err` cannot be written.
pub fn failure(err: &mut impl Write, why: &str) -> io::Result<()> {
    writeln!(err, "leakwatch: sampling failed ({why}); will retry")
}

/// Reports a new tree.
///
/// # Errors
/// When `err` cannot be written.
pub fn came(err: &mut impl Write, engine: &Engine, root: ProcId) -> io::Result<()> {
    let trees = summary::trees(engine);
    let new: Vec<TreeSummary<'_>> = trees.into_iter().filter(|tree| tree.root == root).collect();
    writeln!(err, "leakwatch: found")?;
    summary::write(err, &new, 1, Style::default())
}

/// Reports that a tree has ended.
///
/// # Errors
/// When `err` cannot be written.
pub fn went(err: &mut impl Write, root: ProcId) -> io::Result<()> {
    writeln!(err, "leakwatch: the tree of process {} has ended; looking for new ones", root.pid)
}

/// Reports the result at the stop.
///
/// # Errors
/// When `err` cannot be written.
pub fn farewell(err: &mut impl Write, status: Severity) -> io::Result<()> {
    let how = match status {
        Severity::Fine => "nothing leaks",
        Severity::Leak => "a leak, or growth that ends memory within two days, was found",
        Severity::Critical => "memory is about to run out",
    };
    writeln!(err, "leakwatch: stopped; {how} (exit status {})", status as u8)
}
