//! How a watch begins: its lock, what it remembers, its helpers and outputs.

use super::{Session, VERBOSE_S};
use crate::cli::options::WatchOptions;
use crate::cli::resolve;
use crate::command::act::ActingEngine;
use crate::command::profile_saver::ProfileSaver;
use crate::command::reap::Reaping;
use crate::command::sample_schedule::SampleSchedule;
use crate::command::watch::events::EventOutputs;
use crate::command::watch::evidence::EvidenceKeeper;
use crate::command::watch::metrics::MetricsExporter;
use crate::command::watch::sample_failures::SampleFailures;
use crate::command::watch::tree_changes::TreeChanges;
use crate::command::{may_order, terminal};
use crate::core::model::sample::Sample;
use crate::report::messages;
use crate::store::history::lock::SelectionLock;
use crate::system::hook::Hook;
use crate::system::machine;
use crate::system::signal::LiveSignals;
use crate::system::wait::Waiter;
use anyhow::{Error, Result};
use std::io::{IsTerminal, Write};
use std::path::Path;

impl Session {
    /// Begins a watch; none where another process watches the same already. `is_only`: no other
    /// watch runs in this process.
    ///
    /// # Errors
    /// Bad options, a procfs that cannot be read.
    pub(in crate::command::watch) fn open(
        options: WatchOptions,
        is_only: bool,
        waiter: &Waiter,
        err: &mut impl Write,
    ) -> Result<Option<Self>> {
        let sampler = resolve::sampler(&options.select, options.budget)?;
        let may_order = may_order(&options.select);
        let settings = resolve::engine(&options.judge, may_order)?;
        // None of these problems keeps the watch from protecting its processes.
        let mut problems = Vec::new();
        let mut note = |error: Error| problems.push(error);
        let state = resolve::state(&options.memory).map_err(&mut note).ok().flatten();
        let lock = match claim(&options, state.as_deref()).map_err(cannot_lock).map_err(&mut note) {
            Ok(WatchClaim::Ours(lock)) => lock,
            Ok(WatchClaim::Taken) => return say_taken(&options, err).map(|()| None),
            Err(()) => None,
        };
        let acts = may_order && !options.judge.dry_run;
        let metrics = match &options.textfile {
            Some(path) => Some(MetricsExporter::new(path, &resolve::name(&options.select), acts)?),
            None => None,
        };
        let reaping = Reaping::new(&options)?;
        let mut acting = ActingEngine::new(&machine::header(options.timing.interval), settings);
        let now_s = waiter.uptime_s();
        let (profile_saver, unread) = ProfileSaver::open(state, &mut acting.engine, now_s);
        unread.into_iter().for_each(&mut note);
        let hook = options.on_event.as_deref().map(Hook::start);
        let hook = hook.and_then(|hook| hook.map_err(&mut note).ok());
        let evidence = match &options.evidence {
            // Where it cannot be kept at all, that is a mistake in the options.
            Some(dir) => EvidenceKeeper::start(dir, options.output.quiet)?.map_err(note).ok(),
            None => None,
        };
        let style = terminal::style(&options.output, options.judge.dry_run);
        let without_pidfd = LiveSignals::new(Vec::new()).note().filter(|_| acts);
        let session = Self {
            acting,
            reaping,
            sampler,
            sample: Sample::default(),
            events: EventOutputs::new(&options.output, style, is_only, hook),
            evidence,
            metrics,
            profile_saver,
            trees: TreeChanges::default(),
            failures: SampleFailures::default(),
            may_order,
            schedule: SampleSchedule::new(now_s),
            expected_s: None,
            verbose_s: now_s + VERBOSE_S,
            is_greeted: false,
            notes: without_pidfd.map(str::to_owned).into_iter().collect(),
            options,
            _lock: lock,
        };
        problems.into_iter().try_for_each(|problem| session.complain(err, Some(problem)))?;
        Ok(Some(session))
    }
}

/// Whether this watch may run beside others.
enum WatchClaim {
    /// It may, with the lock if it needs one.
    Ours(Option<SelectionLock>),
    /// Another process watches the same.
    Taken,
}

/// Takes the lock that keeps a second watch of the same processes from running, as when cron starts
/// one every minute to keep it alive. A watch at a terminal that signals nothing needs none.
fn claim(options: &WatchOptions, state: Option<&Path>) -> Result<WatchClaim> {
    let is_dry = options.judge.dry_run;
    let is_harmless = is_dry || options.select.is_empty();
    let Some(state) = state.filter(|_| !is_harmless || !std::io::stderr().is_terminal()) else {
        return Ok(WatchClaim::Ours(None));
    };
    let kind = if is_dry { "dry-run" } else { "watch" };
    let name = format!("{}.{kind}", resolve::file_name(&options.select));
    let lock = SelectionLock::take(state, &name)?;
    Ok(lock.map_or(WatchClaim::Taken, |lock| WatchClaim::Ours(Some(lock))))
}

fn cannot_lock(error: Error) -> Error {
    error.context("cannot take the lock, so a second instance could start")
}

/// Says at a terminal that another process watches the same; cron hears nothing of it.
fn say_taken(options: &WatchOptions, err: &mut impl Write) -> Result<()> {
    if options.output.verbose || std::io::stderr().is_terminal() {
        messages::notes(err, &["already running for these processes; exiting".to_owned()])?;
    }
    Ok(())
}
