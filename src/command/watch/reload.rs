//! A reload: which watches go on, which end, which begin.

use super::session::Session;
use crate::cli::options::WatchOptions;
use crate::cli::resolve;
use crate::core::model::event::Severity;
use crate::report::messages;
use crate::store::evidence::EvidenceDirectory;
use crate::system::wait::Waiter;
use anyhow::{Result, ensure};
use std::io::Write;

/// Checks what can be checked before the watches that run are touched.
///
/// # Errors
/// Options without a meaning.
pub(super) fn check(watches: &[WatchOptions]) -> Result<()> {
    for options in watches {
        resolve::selection(&options.select)?;
        resolve::engine(&options.judge, true)?;
        resolve::reaping(options)?;
    }
    check_files(watches)
}

/// Checks that no two watches write to one file, and that evidence can be kept where it shall be.
///
/// # Errors
/// Two do, or it cannot.
pub(super) fn check_files(watches: &[WatchOptions]) -> Result<()> {
    for dir in watches.iter().filter_map(|watch| watch.evidence.as_deref()) {
        EvidenceDirectory::open(dir).map(drop).or_else(|error| match error.is_mistake {
            true => Err(error),
            false => Ok(()),
        })?;
    }
    let mut files: Vec<_> = watches.iter().filter_map(|watch| watch.textfile.as_ref()).collect();
    let all = files.len();
    files.sort();
    files.dedup();
    ensure!(
        files.len() == all,
        "two watches cannot keep their metrics in one file\n  hint: give each [[watch]] a textfile of its own"
    );
    Ok(())
}

/// Replaces the sessions by those of other options. A session that observes the same processes in
/// the same way goes on, with all that it has learnt. Also returns the worst that the ended ones
/// found.
///
/// # Errors
/// A new watch cannot begin.
pub(super) fn renew(
    mut old: Vec<Session>,
    watches: Vec<WatchOptions>,
    waiter: &Waiter,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<(Vec<Session>, Severity)> {
    let is_only = watches.len() == 1;
    let mut sessions = Vec::new();
    let mut new = Vec::new();
    for options in watches {
        match old.iter().position(|session| observes_the_same(&session.options, &options)) {
            Some(at) => {
                let mut session = old.remove(at);
                session.renew(options)?;
                sessions.push(session);
            }
            None => new.push(options),
        }
    }
    // Ended before others begin, so that these find no lock held.
    let mut found = Severity::Fine;
    for session in old {
        found = found.max(session.end(out, err)?);
    }
    for options in new {
        sessions.extend(Session::open(options, is_only, waiter, err)?);
    }
    messages::notes(err, &["reloaded".to_owned()])?;
    Ok((sessions, found))
}

/// Whether two watches see the same processes in the same way, and differ in rules and output only.
fn observes_the_same(one: &WatchOptions, other: &WatchOptions) -> bool {
    one.select == other.select
        && one.timing == other.timing
        && one.budget == other.budget
        && one.memory == other.memory
        && one.textfile == other.textfile
        && one.on_event == other.on_event
        && one.evidence == other.evidence
        && one.judge.max_extrapolation == other.judge.max_extrapolation
        && one.judge.dry_run == other.judge.dry_run
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::options::Cli;
    use clap::Parser;

    fn options(args: &[&str]) -> WatchOptions {
        let words = ["leakwatch", "--pattern", "web"].iter().chain(args);
        Cli::try_parse_from(words).unwrap().watch
    }

    #[test]
    fn a_watch_goes_on_when_only_rules_and_output_differ() {
        let old = options(&[]);
        for args in [&["--lead", "9"][..], &["--quiet"], &["--protect", "x"], &["--no-kill"]] {
            assert!(observes_the_same(&old, &options(args)), "{args:?}");
        }
        for args in [
            &["--pattern", "db"][..],
            &["--full"],
            &["--interval", "1"],
            &["--budget", "1G"],
            &["--no-state"],
            &["--on-event", "true"],
            &["--evidence", "/x"],
            &["--max-extrapolation", "3"],
            &["--dry-run"],
        ] {
            assert!(!observes_the_same(&old, &options(args)), "{args:?}");
        }
    }

    #[test]
    fn two_watches_need_two_textfiles() {
        let one = || options(&["--textfile", "/x/a.prom"]);
        assert!(check_files(&[one(), options(&["--textfile", "/x/b.prom"])]).is_ok());
        assert!(check_files(&[options(&[]), one(), options(&[])]).is_ok());
        assert!(check_files(&[one(), options(&[]), one()]).is_err());
    }
}
