//! Talk: what is said beside the results, on standard error.

use super::servers::Ended;
use super::summary;
use super::summary::TreeSummary;
use super::text::Style;
use crate::cli::options::{SelectOptions, WatchOptions};
use crate::core::decide::policy::Method;
use crate::core::engine::Engine;
use crate::core::model::assessment::{Severity, Step};
use crate::core::model::sample::ProcId;
use crate::core::model::units::Seconds;
use crate::core::servers::Server;
use std::io::{self, Write};

/// Trees listed in the greeting.
const MOST: usize = 10;

/// Says at the start what was found, what may be done and what will be done.
///
/// # Errors
/// When `err` cannot be written.
pub fn greet(
    err: &mut impl Write,
    options: &WatchOptions,
    engine: &Engine,
    matched: Option<usize>,
    own: bool,
) -> io::Result<()> {
    let version = env!("CARGO_PKG_VERSION");
    let trees = summary::trees(engine);
    let processes = engine.detector().process_states().count();
    write!(err, "leakwatch {version} on {}: ", crate::system::machine::description())?;
    if trees.is_empty() {
        writeln!(err, "no process matches {} yet", wanted(&options.select))?;
        return writeln!(
            err,
            "  looking again every {}; check the pattern with `pgrep -l`, or stop with Ctrl-C",
            Seconds(options.timing.interval)
        );
    }
    let (t, p) = (plural(trees.len(), "process tree"), plural(processes, "process"));
    match matched {
        None => writeln!(err, "watching all {t} ({p})")?,
        Some(n) => {
            let wanted = wanted(&options.select);
            writeln!(err, "watching {t} ({p}) for {wanted}, which {n} of them match")?;
        }
    }
    summary::write(err, &trees, MOST, Style::default())?;
    let lead = Seconds(options.judge.lead);
    match (matched.is_none(), options.judge.dry_run) {
        _ if !own => writeln!(
            err,
            "  nothing is signalled: '{}' is the procfs of another pid namespace",
            options.select.procfs.display()
        ),
        (true, _) => writeln!(
            err,
            "  nothing is signalled; name a service with --pattern to let leakwatch keep it alive"
        ),
        (_, true) => writeln!(err, "  dry run: says what it would signal, signals nothing"),
        _ => {
            writeln!(
                err,
                "  when a worker leaks and memory may end within {lead}, it is ended: gently first, one at a time, never a master"
            )?;
            manners(err, engine, &trees)?;
            may_not(err, engine, &trees)
        }
    }
}

/// Says of each tree with workers how they are ended: "Apache prefork: master 812, 9 workers;
/// gentle signal USR1, after 70 s TERM, then KILL".
fn manners(err: &mut impl Write, engine: &Engine, trees: &[TreeSummary]) -> io::Result<()> {
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
            let (name, master, workers) = (server.name, tree.root.pid, plural(count, "worker"));
            write!(err, "  {name}: master {master}, {workers}; ")?;
            match engine.policy().rules().manner(server) {
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
                Method::Never(why) => writeln!(err, "only reported: {why}")?,
            }
        }
    }
    Ok(())
}

/// Says which processes this user may not signal.
fn may_not(err: &mut impl Write, engine: &Engine, trees: &[TreeSummary]) -> io::Result<()> {
    let forbidden = engine.policy().eligibility().forbidden();
    let all: usize = trees.iter().map(|tree| tree.workers + 1).sum();
    match forbidden {
        0 => Ok(()),
        n if n == all => writeln!(
            err,
            "  but this user may signal none of them: leaks will only be reported; run as root to act"
        ),
        n => writeln!(
            err,
            "  but this user may not signal {n} of them; run as root to reach them all"
        ),
    }
}

/// Says what could not be seen.
///
/// # Errors
/// When `err` cannot be written.
pub fn notes(err: &mut impl Write, notes: &[String]) -> io::Result<()> {
    notes.iter().try_for_each(|note| writeln!(err, "leakwatch: {note}"))
}

/// Says that a look failed, and why.
///
/// # Errors
/// When `err` cannot be written.
pub fn failure(err: &mut impl Write, why: &str) -> io::Result<()> {
    writeln!(err, "leakwatch: cannot look this time ({why}); going on")
}

/// Says that a new tree is watched.
///
/// # Errors
/// When `err` cannot be written.
pub fn came(err: &mut impl Write, engine: &Engine, root: ProcId) -> io::Result<()> {
    let trees = summary::trees(engine);
    let new: Vec<TreeSummary> = trees.into_iter().filter(|tree| tree.root == root).collect();
    writeln!(err, "leakwatch: found")?;
    summary::write(err, &new, 1, Style::default())
}

/// Says that a tree has ended.
///
/// # Errors
/// When `err` cannot be written.
pub fn went(err: &mut impl Write, root: ProcId) -> io::Result<()> {
    writeln!(err, "leakwatch: the tree of process {} has ended; looking for new ones", root.pid)
}

/// Says how things stood at the stop.
///
/// # Errors
/// When `err` cannot be written.
pub fn farewell(err: &mut impl Write, status: Severity) -> io::Result<()> {
    let how = match status {
        Severity::Fine => "nothing leaks",
        Severity::Leak => "a leak was found",
        Severity::Critical => "memory is about to end",
    };
    writeln!(err, "leakwatch: stopped; {how} (exit status {})", status as u8)
}

/// Which processes are meant, as it was typed.
pub fn wanted(select: &SelectOptions) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut add = |name: &str, words: Vec<String>| {
        if !words.is_empty() {
            parts.push(format!("{name} {}", words.join(" or ")));
        }
    };
    let quoted =
        |words: &[String]| words.iter().map(|w| format!("'{}'", w.escape_debug())).collect();
    add("pattern", quoted(&select.patterns));
    add("user", quoted(&select.users));
    add("pid", select.pids.iter().map(u32::to_string).collect());
    parts.join(", ")
}

fn plural(n: usize, what: &str) -> String {
    match (n, what) {
        (1, _) => format!("1 {what}"),
        (_, "process") => format!("{n} processes"),
        _ => format!("{n} {what}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!(
            (plural(1, "tree"), plural(2, "process")),
            ("1 tree".into(), "2 processes".into())
        );
    }
}
