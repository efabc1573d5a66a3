//! The check: one sample, judged with all that earlier checks saw. For cron, timers and monitoring.
//!
//! A check replays its history and then takes one live sample; only that one is acted on, unless the check
//! stays (`stay.rs`). The history also holds what earlier checks did, so that a check follows up a victim and
//! orders no process twice.

mod known_programs;
mod stay;

use super::act::ActingEngine;
use super::profile_saver::ProfileSaver;
use super::{may_order, terminal};
use crate::cli::options::CheckOptions;
use crate::cli::resolve;
use crate::core::alerting::{CheckResult, CheckState, findings, is_always_news, worse};
use crate::core::model::ceiling::Unit;
use crate::core::model::event::Event;
use crate::core::model::order::{EarlierAction, Order, OutcomeResult};
use crate::core::model::process::Program;
use crate::core::model::sample::Sample;
use crate::core::model::signal::SignalFailure;
use crate::report::check::CheckReport;
use crate::report::events::write_event;
use crate::report::{messages, summary};
use crate::store::history::CheckHistory;
use crate::store::history::last_report::LastReport;
use crate::store::history::lock::SelectionLock;
use crate::system::sampler::Sampler;
use crate::system::{machine, wait};
use anyhow::{Context, Error, Result, anyhow, bail};
use known_programs::KnownPrograms;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Trees listed in a report.
const MOST: usize = 10;
/// Seconds that a check which is to stay, or must report, waits for the lock: cron starts one up to some
/// seconds late, and the one before leaves two seconds before the next.
const PATIENCE_S: f64 = 5.0;
/// A check must look ahead this many intervals: the next check is one away, and it may be late.
const INTERVALS_AHEAD: f64 = 3.0;

/// Checks, once for each `[[watch]]`, of which each comes with its name; then those checks stay that are
/// to. Returns the exit status of the worst state.
///
/// # Errors
/// Bad options, a procfs that cannot be read, no directory for a history. A history that cannot be
/// written is reported, and the check judges all the same.
pub fn run(
    watches: &[(&CheckOptions, Option<&str>)],
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<u8> {
    let mut status = CheckState::Ok as u8;
    let (mut staying, mut error) = (Vec::new(), None);
    for (options, name) in watches {
        let checked = begin(options, err).and_then(|check| {
            let Some(mut check) = check else { return Ok(None) };
            let state = check.report(*name, out, err)?;
            Ok(Some((check, state)))
        });
        match checked {
            Ok(Some((check, state))) => {
                status = worse(status, state);
                staying.extend(Some(check).filter(Check::wants_to_stay));
            }
            Ok(None) => {}
            // The others stay all the same.
            Err(failed) => error = error.or(Some(failed)),
        }
    }
    status = worse(status, stay::stay(staying, out, err)?);
    error.map_or(Ok(status), Err)
}

/// A check that has acted on its sample; none where another one of these processes is running.
fn begin<'o>(options: &'o CheckOptions, err: &mut impl Write) -> Result<Option<Check<'o>>> {
    let dir = resolve::state(&options.memory)?.context(
        "a check judges by its history, so it needs a directory for it\n  hint: leave --no-state out",
    )?;
    let name = resolve::file_name(&options.select);
    let mut notes = Notes::default();
    let is_patient = options.stay || options.report_always;
    let lock = match take_lock(&dir, &format!("{name}.check"), is_patient) {
        Ok(Some(lock)) => Some(lock),
        // To a monitoring system no words and status 0 would mean that all is well.
        Ok(None) if options.report_always => bail!(
            "another check of these processes is running, so their state is not known here\n  \
             hint: give each monitoring system its own --state-dir"
        ),
        Ok(None) => {
            if is_talkative(options) {
                writeln!(err, "leakwatch: another check of these processes is running")?;
            }
            return Ok(None);
        }
        Err(error) => {
            notes.add(error.context("nothing can be remembered for the next check"));
            None
        }
    };
    let mut check = Check::open(options, dir, &name, lock, notes)?;
    check.replay_history();
    check.act();
    Ok(Some(check))
}

/// Takes the lock of the check. One that is to stay waits for one that stayed and is about to leave, and one
/// that must report for one that does not stay.
fn take_lock(dir: &Path, name: &str, is_patient: bool) -> Result<Option<SelectionLock>> {
    let until_s = wait::awake_s() + if is_patient { PATIENCE_S } else { 0.0 };
    loop {
        let lock = SelectionLock::take(dir, name)?;
        if lock.is_some() || wait::awake_s() >= until_s {
            return Ok(lock);
        }
        wait::pause(Duration::from_millis(100));
    }
}

/// Whether the check also reports what is not new.
fn is_talkative(options: &CheckOptions) -> bool {
    options.output.verbose || std::io::stderr().is_terminal()
}

/// A check, from its live sample to its report.
struct Check<'o> {
    options: &'o CheckOptions,
    sampler: Sampler,
    sample: Sample,
    history: CheckHistory,
    /// What earlier checks reported.
    last: LastReport,
    acting: ActingEngine,
    profile_saver: ProfileSaver,
    programs: KnownPrograms,
    /// The lock of a watch of the same processes, which acts in place of a check.
    watch_lock: (PathBuf, String),
    /// Whether one runs.
    is_watched: bool,
    may_order: bool,
    /// When its first sample was taken: by the uptime, and by the time of its samples.
    began: (f64, f64),
    /// Seconds between checks, as of its beginning.
    interval_s: f64,
    /// The time of the last sample that is in the history.
    kept_t: f64,
    /// Programs that samples told of which are not in the history.
    unkept: Vec<Program>,
    /// Seconds before exhaustion from which on the state is critical.
    lead_s: f64,
    /// The order of this check that could not be carried out.
    failed: Option<Event>,
    notes: Notes,
}

impl<'o> Check<'o> {
    /// Takes the live sample, and opens the history.
    fn open(
        options: &'o CheckOptions,
        dir: PathBuf,
        name: &str,
        lock: Option<SelectionLock>,
        mut notes: Notes,
    ) -> Result<Self> {
        // Two that act on the same processes would end twice as many.
        let watch_lock = (dir.clone(), format!("{name}.watch"));
        let is_watched = SelectionLock::is_held(&watch_lock.0, &watch_lock.1);
        let mut sampler = resolve::sampler(&options.select, options.budget)?;
        let mut sample = Sample::default();
        let began_s = wait::uptime_s();
        sampler.sample(wait::unix_s(), Some(began_s), &mut sample)?;
        let may_order = may_order(&options.select) && !is_watched;
        let mut settings = resolve::engine(&options.judge, may_order)?;
        let boot = machine::boot(&options.select.procfs);
        let (history, error) = CheckHistory::open(&dir, name, lock, machine::header(1.0), &boot);
        notes.extend(error);
        let interval_s = history.header().interval_s;
        let lead_s = settings.rules.lead_s.max(INTERVALS_AHEAD * interval_s);
        settings.rules.stays = options.stay;
        if !options.stay {
            settings.rules.lead_s = lead_s;
        }
        let mut acting = ActingEngine::new(history.header(), settings);
        acting.engine.set_critical_s(lead_s);
        let (profile_saver, unread) = ProfileSaver::open(Some(dir), &mut acting.engine, 0.0);
        notes.extend(unread);
        Ok(Self {
            options,
            sampler,
            sample,
            last: history.last_report(),
            history,
            acting,
            profile_saver,
            programs: KnownPrograms::default(),
            watch_lock,
            is_watched,
            may_order,
            began: (began_s, 0.0),
            interval_s,
            kept_t: 0.0,
            unkept: Vec::new(),
            lead_s,
            failed: None,
            notes,
        })
    }

    /// Brings the engine to where the last check left it.
    fn replay_history(&mut self) {
        let Self { history, sample, acting, programs, notes, .. } = self;
        let engine = &mut acting.engine;
        engine.set_replaying(true);
        let read = history.replay(sample, |sample, past| {
            engine.observe(sample);
            past.iter().for_each(|past| engine.apply_earlier_action(past));
            programs.learn(sample);
        });
        engine.set_replaying(false);
        self.began.1 = sample.t;
        notes.extend(read.err());
        if history.garbled() > 0 {
            let garbled = history.garbled();
            notes.add(anyhow!("skipped {garbled} garbled lines of the history"));
        }
    }

    /// Acts on the sample.
    fn act(&mut self) {
        self.failed = self.acting.act(&mut self.sample);
    }

    /// What the next check must know of this one's actions.
    fn actions(&self) -> Vec<EarlierAction> {
        let assessment = self.acting.engine.assessment();
        let of_order = assessment.order.and_then(|order| match self.failed {
            None if self.options.judge.dry_run => Some(EarlierAction::DryRun(order.victim)),
            None => Some(ordered(&order)),
            Some(Event::SignalFailed { why: SignalFailure::Gone, .. }) => None,
            // The engine tries these again, and so does the next check.
            Some(Event::SignalFailed {
                why: SignalFailure::Taken | SignalFailure::Failed(_),
                ..
            }) => None,
            Some(_) => Some(EarlierAction::GivenUp(order.victim)),
        });
        // A victim that stayed after all its signals is not signalled again.
        let stayed = assessment.events().filter_map(|event| match event {
            Event::Outcome(outcome) if outcome.result == OutcomeResult::Stayed => {
                Some(EarlierAction::GivenUp(outcome.order.victim))
            }
            _ => None,
        });
        of_order.into_iter().chain(stayed).collect()
    }

    /// Keeps the sample for later checks, and reports what is new. Returns the exit status.
    fn report(
        &mut self,
        watch: Option<&str>,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<u8> {
        let (earlier_samples, first_t) = self.history.extent();
        self.remember();
        let engine = &self.acting.engine;
        let trees = summary::trees(engine);
        let wanted = watch.map_or_else(
            || resolve::wanted(&self.options.select),
            |name| format!("'{}'", name.escape_debug()),
        );
        let report = CheckReport {
            state: CheckState::of(engine, !self.sample.procs.is_empty()),
            wanted: &wanted,
            trees: &trees,
            samples: earlier_samples + 1,
            watched_s: first_t.map_or(0.0, |first_t| self.sample.t - first_t),
            lead_s: self.lead_s,
            failing: engine.alarm().is_on(),
        };
        let mut now =
            LastReport { status: report.state as u8, t: self.sample.t, ..LastReport::default() };
        let is_news = self.is_news(&mut now);
        let is_quiet = self.options.output.quiet;
        if self.options.report_always || is_talkative(self.options) || is_news {
            self.write(out, &report)?;
            if !is_quiet {
                messages::notes(err, &self.notes.0)?;
            }
        } else {
            now.t = self.last.t;
        }
        // Even without news: the first time takes the space that a full disk does not have.
        if let Err(error) = self.history.keep_report(&now)
            && !is_quiet
        {
            messages::notes(err, &[format!("{error:#}")])?;
        }
        Ok(report.state as u8)
    }

    /// Adds the sample to the history, and saves what was learnt of programs.
    fn remember(&mut self) {
        let (kept, actions) = (self.programs.without_known(&self.sample), self.actions());
        self.kept_t = kept.t;
        self.programs.learn(&kept);
        let added = self.history.add(&kept, &actions, self.options.history_size);
        self.notes.extend(added.err());
        self.notes.extend(self.profile_saver.save(&self.acting.engine));
        if self.options.output.verbose {
            self.notes.extend(self.sampler.take_notes().into_iter().map(Error::msg));
            if self.is_watched {
                self.notes.add(anyhow!(
                    "a watch of these processes is running: it acts, this check only reports"
                ));
            }
        }
    }

    /// Whether this check found anything that earlier ones did not report. Completes `now`, which the
    /// next check compares with.
    fn is_news(&self, now: &mut LastReport) -> bool {
        // A note, such as of a full disk, is news once, like any finding.
        let words = findings(&self.acting.engine);
        words.iter().chain(&self.notes.0).for_each(|word| {
            now.insert(word);
        });
        let last =
            CheckResult { status: self.last.status, t: self.last.t, words: &self.last.words };
        let result = CheckResult { status: now.status, t: now.t, words: &now.words };
        let is_news = result.is_news(&last, self.options.repeat_after)
            || self.events().any(|event| is_always_news(&event));
        // A verdict that lapses for an hour is not reported again, as long as something is wrong.
        if now.status != CheckState::Ok as u8 {
            self.last.words.iter().for_each(|word| {
                now.insert(word);
            });
        }
        is_news
    }

    fn events(&self) -> impl Iterator<Item = Event> + '_ {
        self.acting.engine.assessment().events().chain(self.failed)
    }

    fn write(&self, out: &mut impl Write, report: &CheckReport<'_>) -> Result<()> {
        let (format, t) = (self.options.output.format, self.sample.t);
        report.write(out, t, format)?;
        let style = terminal::style(&self.options.output, self.options.judge.dry_run);
        for event in self.events() {
            write_event(out, t, &event, self.acting.engine.names(), format, style)?;
        }
        if format.is_for_people() && report.state != CheckState::Ok {
            let is_wrong =
                |tree: &&summary::TreeSummary<'_>| tree.leaking > 0 || tree.forecast.is_some();
            let wrong: Vec<_> = report.trees.iter().filter(is_wrong).copied().collect();
            summary::write(out, &wrong, MOST, style)?;
        }
        Ok(())
    }
}

fn ordered(order: &Order) -> EarlierAction {
    let Order { victim, step, signal, grace_s, reason, forecast, .. } = *order;
    let unit = forecast.map_or(Unit::Bytes, |forecast| forecast.ceiling.unit());
    EarlierAction::Ordered { victim, step, signal, grace_s, reason, unit }
}

/// Problems that are reported beside the result.
#[derive(Default)]
struct Notes(Vec<String>);

impl Notes {
    fn add(&mut self, error: Error) {
        self.0.push(format!("{error:#}"));
    }

    fn extend(&mut self, errors: impl IntoIterator<Item = Error>) {
        errors.into_iter().for_each(|error| self.add(error));
    }
}
