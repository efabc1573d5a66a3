//! Check: one look, judged with all that earlier checks saw. For cron, timers and monitoring.
//!
//! It is a replay of the history, then one live sample; only that one is decided on. What earlier
//! checks did is told by the history, so that a victim is followed up and nobody is ordered anew.

use super::watch::profile_saver::ProfileSaver;
use super::{terminal, write_event};
use crate::cli::options::{CheckOptions, Format};
use crate::cli::resolve;
use crate::core::engine::Engine;
use crate::core::model::event::{Event, Severity};
use crate::core::model::order::{EarlierAction, Order};
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use crate::core::model::signal::SignalFailure;
use crate::report::check::{CheckState, Report};
use crate::report::words::Style;
use crate::report::{messages, summary};
use crate::store::history::CheckHistory;
use crate::store::history::last_report::LastReport;
use crate::store::history::lock::SelectionLock;
use crate::system::proc;
use crate::system::proc::Sampler;
use crate::system::signal::{DryRun, LiveSignals, Signals};
use crate::system::{machine, wait};
use anyhow::{Context, Error, Result, anyhow};
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};

/// Trees listed in a report.
const MOST: usize = 10;
/// A look must reach this many intervals ahead: the next is one away, and it may come late.
const AHEAD: f64 = 3.0;

/// Looks once; the exit status is the state's.
///
/// # Errors
/// Bad options, a procfs that cannot be read, no place for a history. A history that cannot be
/// written is said and keeps nothing from being judged.
pub fn run(
    options: &CheckOptions,
    watch: Option<&str>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<u8> {
    let select = &options.select;
    let selection = resolve::selection(select)?;
    let everything = selection.is_everything();
    let dir = resolve::state(&options.memory)?.context(
        "a check judges by its history, so it needs a place for it\n  hint: leave --no-state out",
    )?;
    let name = resolve::file_name(select);
    let talks = options.output.verbose || std::io::stderr().is_terminal();
    let mut notes = Notes::default();
    let lock = match SelectionLock::take(&dir, &format!("{name}.check")) {
        Ok(Some(lock)) => Some(lock),
        Ok(None) => {
            if talks {
                writeln!(err, "leakwatch: another check of the same is running")?;
            }
            return Ok(CheckState::Ok as u8);
        }
        Err(error) => {
            notes.add(error.context("nothing can be remembered for the next check"));
            None
        }
    };
    let own = proc::is_own(&select.procfs);
    // Two that act on the same processes would end twice as many.
    let watched = SelectionLock::is_held(&dir, &format!("{name}.watch"));
    let mut probe =
        Sampler::new(&select.procfs, select.sysfs.as_deref(), selection, options.budget)?;
    let mut sample = Sample::default();
    probe.sample(wait::unix_s(), Some(wait::uptime_s()), &mut sample)?;
    let mut judge = resolve::engine(&options.judge, !everything && own && !watched)?;
    let mut signals: Box<dyn Signals> = match options.judge.dry_run {
        true => Box::new(DryRun),
        false => Box::new(LiveSignals::new(judge.rules.protect.clone())),
    };
    for program in &mut sample.programs {
        program.permitted = signals.permitted(program.id);
    }
    let boot = machine::boot(&select.procfs);
    let (mut history, error) = CheckHistory::open(&dir, &name, lock, machine::header(1.0), &boot);
    notes.extend(error);
    let told = history.told();
    judge.rules.lead_s = judge.rules.lead_s.max(AHEAD * history.header().interval_s);
    let lead_s = judge.rules.lead_s;
    let mut engine = Engine::new(history.header(), judge);
    let (mut profile_saver, unread) = ProfileSaver::open(Some(dir), &mut engine, 0.0);
    notes.extend(unread);
    let mut programs = Programs::default();
    engine.set_replaying(true);
    let read = history.replay(&mut sample, |sample, past| {
        engine.observe(sample);
        past.iter().for_each(|past| engine.apply_earlier_action(past));
        programs.learn(sample);
    });
    notes.extend(read.err());
    if history.garbled() > 0 {
        let garbled = history.garbled();
        notes.add(anyhow!("{garbled} lines of the history are garbled and were passed over"));
    }
    engine.set_replaying(false);
    engine.observe(&sample);
    let (past, unsent) = act(&mut engine, &mut *signals, options.judge.dry_run);
    let (before, first_t) = history.extent();
    let kept = history.add(&programs.kept(&sample), &past, options.history_size);
    notes.extend(kept.err());
    notes.extend(profile_saver.save(&engine));

    let trees = summary::trees(&engine);
    let wanted =
        watch.map_or_else(|| resolve::wanted(select), |name| format!("'{}'", name.escape_debug()));
    let report = Report {
        state: state_of(&engine, sample.procs.is_empty()),
        wanted: &wanted,
        trees: &trees,
        samples: before + 1,
        watched_s: first_t.map_or(0.0, |first_t| sample.t - first_t),
        lead_s,
        failing: engine.alarm().is_on(),
    };
    let mut now = LastReport { status: report.state as u8, t: sample.t, ..LastReport::default() };
    found(&engine, &mut now);
    if options.output.verbose {
        notes.extend(probe.take_notes().into_iter().map(Error::msg));
        if watched {
            notes.add(anyhow!("a watch of the same is running: it acts, this check only reports"));
        }
    }
    // What cannot be kept is news once, like the rest.
    let is_news = is_news(&mut now, &told, &notes, options.repeat_after)
        || engine.assessment().events().chain(unsent).any(|event| is_always_news(&event));
    if options.report_always || talks || is_news {
        let style = terminal::style(&options.output, options.judge.dry_run);
        write(out, options, &report, &engine, &unsent, sample.t, style)?;
        if !options.output.quiet {
            messages::notes(err, &notes.0)?;
        }
    } else {
        now.t = told.t;
    }
    // Also where nothing is new: the first time that takes the space which a full disk has not.
    if let Err(error) = history.tell(&now)
        && !options.output.quiet
    {
        messages::notes(err, &[format!("{error:#}")])?;
    }
    Ok(report.state as u8)
}

/// Carries out what the newest sample decided; what the next check must know of it.
fn act(
    engine: &mut Engine,
    signals: &mut dyn Signals,
    dry_run: bool,
) -> (Vec<EarlierAction>, Option<Event>) {
    let mut past = Vec::new();
    let mut unsent = None;
    if let Some(order) = engine.assessment().order {
        match signals.send(&order) {
            Ok(()) if dry_run => past.push(EarlierAction::DryRun(order.victim)),
            Ok(()) => past.push(ordered(&order)),
            Err(why) => {
                unsent = Some(Event::SignalFailed { order, why });
                if why != SignalFailure::Gone {
                    past.push(EarlierAction::GivenUp(order.victim));
                }
            }
        }
    }
    for event in engine.assessment().events() {
        // It stayed, whatever it got.
        if let Event::Outcome(outcome) = event
            && outcome.result == crate::core::model::order::OutcomeResult::Stayed
        {
            past.push(EarlierAction::GivenUp(outcome.order.victim));
        }
    }
    (past, unsent)
}

fn ordered(order: &Order) -> EarlierAction {
    let Order { victim, step, signal, grace_s, reason, forecast, .. } = *order;
    let unit = forecast
        .map_or(crate::core::model::ceiling::Unit::Bytes, |forecast| forecast.ceiling.unit());
    EarlierAction::Ordered { victim, step, signal, grace_s, reason, unit }
}

fn state_of(engine: &Engine, nobody: bool) -> CheckState {
    let detector = engine.detector();
    let nears = || detector.process_states().any(|s| detector.forecast(s.root).is_some());
    // Whoever ends a process does so because the end is near.
    let orders = engine.assessment().order.is_some();
    match engine.status() {
        Severity::Critical => CheckState::Critical,
        _ if orders => CheckState::Critical,
        Severity::Fine if nobody => CheckState::Unknown,
        Severity::Fine if !nears() => CheckState::Ok,
        Severity::Fine | Severity::Leak => CheckState::Warning,
    }
}

/// What is wrong, in words that are compared with what was told.
fn found(engine: &Engine, now: &mut LastReport) {
    let detector = engine.detector();
    for s in detector.process_states().filter(|s| s.leaks()) {
        now.insert(&format!("leak {}", s.comm));
    }
    for s in detector.process_states().filter(|s| s.parent.is_none()) {
        if let Some(forecast) = detector.forecast(s.root) {
            now.insert(&format!("end {} {}", s.comm, forecast.ceiling.name()));
        }
    }
    for event in engine.assessment().events() {
        if let Event::NotEnded { comm, why, .. } = event {
            now.insert(&format!("spared {comm} {}", why.name()));
        }
    }
}

/// Whether there is anything that was not told; `now` takes over what was and may come back.
fn is_news(now: &mut LastReport, told: &LastReport, notes: &Notes, renotify_s: f64) -> bool {
    notes.0.iter().for_each(|note| {
        now.insert(note);
    });
    let mut news = now.status != told.status || !now.words.is_subset(&told.words);
    news |= now.status != CheckState::Ok as u8 && !(0.0..renotify_s).contains(&(now.t - told.t));
    // A verdict that lapses for an hour is not told again, as long as something is wrong.
    if now.status != CheckState::Ok as u8 {
        told.words.iter().for_each(|word| {
            now.insert(word);
        });
    }
    news
}

/// Whether an event is told whatever was told before.
fn is_always_news(event: &Event) -> bool {
    matches!(
        event,
        Event::Order(_) | Event::Outcome(_) | Event::SignalFailed { .. } | Event::MemoryFailure(_)
    )
}

fn write(
    out: &mut impl Write,
    options: &CheckOptions,
    report: &Report<'_>,
    engine: &Engine,
    unsent: &Option<Event>,
    t: f64,
    style: Style,
) -> Result<()> {
    let format = options.output.format;
    match format {
        Format::Text => report.write_line(out)?,
        Format::Json => report.write_json(out, t)?,
    }
    for event in engine.assessment().events().chain(*unsent) {
        write_event(out, t, &event, format, style)?;
    }
    if format == Format::Text && report.state != CheckState::Ok {
        let wrong = report.trees.iter().filter(|tree| tree.leaking > 0 || tree.forecast.is_some());
        let wrong: Vec<summary::TreeSummary> = wrong.copied().collect();
        summary::write(out, &wrong, MOST, style)?;
    }
    Ok(())
}

/// What is said beside the result.
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

/// The programs that the history tells of.
#[derive(Default)]
struct Programs(BTreeMap<ProcId, (String, bool, bool)>);

impl Programs {
    fn learn(&mut self, sample: &Sample) {
        for program in &sample.programs {
            let kind = (program.exe.clone(), program.forked, program.threads > 1);
            self.0.insert(program.id, kind);
        }
    }

    /// The sample without what the history tells already. Titles change all the time in some
    /// servers; of those the first will do.
    fn kept(&self, sample: &Sample) -> Sample {
        let mut kept = sample.clone();
        kept.programs.retain(|program| {
            let is_known = |(exe, forked, threaded): &(String, bool, bool)| {
                (exe, *forked, *threaded) == (&program.exe, program.forked, program.threads > 1)
            };
            !self.0.get(&program.id).is_some_and(is_known)
        });
        kept
    }
}
