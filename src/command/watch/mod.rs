//! Watch: sample, judge, report, act, wait, and again.

pub mod journal_sink;
pub mod metrics;
pub mod profile_saver;
mod sample_failures;
pub mod self_report;

use super::watch::journal_sink::JournalSink;
use super::watch::metrics::MetricsExporter;
use super::watch::profile_saver::ProfileSaver;
use super::watch::sample_failures::SampleFailures;
use super::watch::self_report::SelfReporter;
use super::{terminal, write_event};
use crate::cli::options::{Format, SelectOptions, WatchOptions};
use crate::cli::resolve;
use crate::core::engine::Engine;
use crate::core::model::assessment::{Event, Severity, SignalFailure};
use crate::core::model::sample::{ProcId, Sample};
use crate::core::scheduling_delay::SchedulingDelay;
use crate::report::messages::Greeting;
use crate::report::screen::Screen;
use crate::report::self_usage::DelayedSample;
use crate::report::words::Style;
use crate::report::{ceilings, messages, summary};
use crate::store::history::lock::SelectionLock;
use crate::system::hook::Hook;
use crate::system::proc;
use crate::system::proc::Sampler;
use crate::system::signal::{DryRun, LiveSignals, Signals};
use crate::system::wait::{Waiter, Wake};
use crate::system::{machine, prepare, systemd, wait};
use anyhow::{Context, Result, ensure};
use std::io::{IsTerminal, Write};
use std::path::Path;

/// Trees listed when the state is asked for.
const MOST: usize = 40;
/// Seconds between two lines of state for the service manager.
const STATUS_S: f64 = 15.0;
/// Seconds between two states under `--verbose`.
const VERBOSE_S: f64 = 60.0;

/// Watches until SIGINT or SIGTERM; the status is the worst that was found. Each of `watches` has
/// processes and settings of its own. At SIGHUP `reload` says what is to be watched from then on.
///
/// # Errors
/// Bad options, a procfs that cannot be read. While it acts, output that cannot be written is
/// dropped: a full log disk must not end the protection.
pub fn run(
    watches: Vec<WatchOptions>,
    reload: &dyn Fn() -> Result<Vec<WatchOptions>>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Severity> {
    apart(&watches)?;
    let waiter = Waiter::new()?;
    let (mut manager, unreachable) = match systemd::ServiceManager::from_env() {
        Ok(manager) => (manager, None),
        Err(error) => (systemd::ServiceManager::default(), Some(error)),
    };
    let quiet = watches.iter().all(|options| options.output.quiet);
    if let Some(error) = unreachable.filter(|_| !quiet) {
        messages::notes(err, &[format!("{error:#}")])?;
    }
    let only = watches.len() == 1;
    let mut sessions = Vec::new();
    for options in watches {
        sessions.extend(Session::open(options, only, &waiter, err)?);
    }
    let mut scheduling_delay = SchedulingDelay::new(wait::awake_s());
    let mut prepared = false;
    prepare_once(&mut prepared, &mut sessions);
    let (mut status_s, mut told) = (f64::NEG_INFINITY, Severity::Fine);
    // All that were found by those that a reload ended.
    let mut found = Severity::Fine;
    loop {
        let due_s = |session: &Session| session.due_s;
        let next = sessions.iter_mut().min_by(|a, b| due_s(a).total_cmp(&due_s(b)));
        // Nothing left: all are watched by others already.
        let Some(next) = next else { return Ok(found) };
        // Who is not ready yet is not asked whether it lives.
        let mut until_s = next.due_s;
        if status_s.is_finite() {
            manager.alive(waiter.uptime_s());
            until_s = until_s.min(manager.alive_due_s());
        }
        match waiter.wait_until(until_s) {
            Wake::Tick if waiter.uptime_s() < next.due_s => {}
            Wake::Tick => {
                let now_s = wait::awake_s();
                let late_s = scheduling_delay.observe(next.expected_s.unwrap_or(now_s), now_s);
                next.look(&waiter, &scheduling_delay, out, err)?;
                if let Some(late_s) = late_s {
                    next.written(next.tell_late(late_s, out, err))?;
                }
                // What is told is how the worst of them stands.
                let status = |session: &Session| session.running.engine.status();
                let Some(worst) = sessions.iter().max_by_key(|session| status(session)) else {
                    continue;
                };
                let (now_s, engine) = (waiter.uptime_s(), &worst.running.engine);
                if status_s == f64::NEG_INFINITY && sessions.iter().all(|session| session.greeted) {
                    manager.ready(|line| summary::write_summary(line, engine));
                    (status_s, told) = (now_s + STATUS_S, engine.status());
                } else if status_s.is_finite() && (now_s >= status_s || engine.status() != told) {
                    manager.status(|line| summary::write_summary(line, engine));
                    (status_s, told) = (now_s + STATUS_S, engine.status());
                }
            }
            Wake::ShowState => {
                for session in &sessions {
                    session.written(session.running.show_state(
                        &session.sample,
                        &session.probe,
                        err,
                    ))?;
                }
                let self_reporter = SelfReporter { quiet: false, ..self_reporter(&sessions) };
                self_reporter.tell(&scheduling_delay, &waiter, out, err)?;
            }
            Wake::Continued => scheduling_delay.forgive(wait::awake_s()),
            // Without a terminal there is nobody who could have hung up.
            Wake::HangUp if !std::io::stderr().is_terminal() => {
                let reloaded = reload().and_then(|watches| {
                    watches.iter().try_for_each(check)?;
                    apart(&watches)?;
                    Ok(watches)
                });
                match reloaded {
                    Ok(watches) => {
                        let (kept, ended) = renew(sessions, watches, &waiter, out, err)?;
                        (sessions, found) = (kept, found.max(ended));
                        prepare_once(&mut prepared, &mut sessions);
                        scheduling_delay.forgive(wait::awake_s());
                    }
                    Err(error) => {
                        let error = error.context("not reloaded, all goes on as before");
                        let _ = messages::notes(err, &[format!("{error:#}")]);
                    }
                }
            }
            Wake::Stop | Wake::HangUp => {
                manager.stopping();
                let self_reporter = self_reporter(&sessions);
                let end = |found: Severity, session: Session| {
                    Ok::<_, anyhow::Error>(found.max(session.end(out, err)?))
                };
                let found = sessions.into_iter().try_fold(found, end)?;
                self_reporter.tell(&scheduling_delay, &waiter, out, err)?;
                return Ok(found);
            }
        }
    }
}

/// Who hears what leakwatch says of itself, which is of all its watches together.
fn self_reporter(sessions: &[Session]) -> SelfReporter {
    let output = || sessions.iter().map(|session| &session.running.options.output);
    SelfReporter {
        quiet: output().all(|output| output.quiet),
        json: output().any(|output| output.format == Format::Json),
        acts: sessions.iter().any(Session::acts),
    }
}

/// Makes ready for the end of memory as soon as one of them may end somebody.
fn prepare_once(prepared: &mut bool, sessions: &mut [Session]) {
    if let Some(first) = sessions.iter_mut().find(|session| session.acts())
        && !std::mem::replace(prepared, true)
    {
        first.notes.extend(prepare::prepare());
    }
}

/// Whether all of a watch's options have a meaning.
fn check(options: &WatchOptions) -> Result<()> {
    resolve::selection(&options.select)?;
    resolve::engine(&options.judge, true)?;
    Ok(())
}

/// Whether no two watches write to one file.
fn apart(watches: &[WatchOptions]) -> Result<()> {
    for (nth, watch) in watches.iter().enumerate() {
        let same =
            |other: &WatchOptions| other.textfile.is_some() && other.textfile == watch.textfile;
        ensure!(
            !watches.iter().take(nth).any(same),
            "two watches cannot keep their metrics in one file\n  hint: give each [[watch]] a textfile of its own"
        );
    }
    Ok(())
}

/// What is to be watched from now on. Who watches the same as before at the same interval keeps
/// all that it learnt.
fn renew(
    old: Vec<Session>,
    watches: Vec<WatchOptions>,
    waiter: &Waiter,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<(Vec<Session>, Severity)> {
    let only = watches.len() == 1;
    let mut old: Vec<Option<Session>> = old.into_iter().map(Some).collect();
    let mut sessions = Vec::new();
    let mut others = Vec::new();
    for options in watches {
        let is_same = |session: &&mut Option<Session>| {
            session.as_ref().is_some_and(|session| session.watches_the_same(&options))
        };
        match old.iter_mut().find(is_same).and_then(Option::take) {
            Some(mut session) => {
                session.renew(options)?;
                sessions.push(session);
            }
            None => others.push(options),
        }
    }
    let mut found = Severity::Fine;
    for session in old.into_iter().flatten() {
        found = found.max(session.end(out, err)?);
    }
    for options in others {
        sessions.extend(Session::open(options, only, waiter, err)?);
    }
    let _ = messages::notes(err, &["reloaded".to_owned()]);
    Ok((sessions, found))
}

/// One watch: its processes, and what is known of them.
struct Session {
    running: ActingEngine,
    probe: Sampler,
    profile_saver: ProfileSaver,
    sample: Sample,
    everything: bool,
    own: bool,
    due_s: f64,
    /// When the next look should begin, on the clock of [`wait::awake_s`].
    expected_s: Option<f64>,
    verbose_s: f64,
    failures: SampleFailures,
    greeted: bool,
    /// To be said with the greeting.
    notes: Vec<String>,
    /// Held until the end.
    _lock: Option<SelectionLock>,
}

impl Session {
    /// Begins to watch; nothing where the same is watched already. `only`: there is no other, so it
    /// may have the screen.
    fn open(
        options: WatchOptions,
        only: bool,
        waiter: &Waiter,
        err: &mut impl Write,
    ) -> Result<Option<Self>> {
        let selection = resolve::selection(&options.select)?;
        let everything = selection.is_everything();
        let own = proc::is_own(&options.select.procfs);
        let engine_settings = resolve::engine(&options.judge, !everything && own)?;
        let (state, nowhere) = match resolve::state(&options.memory) {
            Ok(dir) => (dir, None),
            Err(error) => (None, Some(error)),
        };
        // Who cannot have a lock watches all the same.
        let (lock, unlocked) = match sole(&options, state.as_deref()) {
            Some(Ok(None)) => {
                if options.output.verbose || std::io::stderr().is_terminal() {
                    let already =
                        "a watch of the same is running already, so this one is not needed";
                    messages::notes(err, &[already.to_owned()])?;
                }
                return Ok(None);
            }
            Some(Ok(lock)) => (lock, None),
            Some(Err(error)) => {
                (None, Some(error.context("nothing keeps a second watch from running too")))
            }
            None => (None, None),
        };
        let SelectOptions { procfs, sysfs, .. } = &options.select;
        let probe = Sampler::new(procfs, sysfs.as_deref(), selection, options.budget)?;
        let header = machine::header(options.timing.interval);
        let screen =
            only && options.output.format == Format::Text && std::io::stdout().is_terminal();
        let acts = !everything && own && !options.judge.dry_run;
        let textfile = options.textfile.as_deref();
        let metrics_exporter = textfile
            .map(|path| MetricsExporter::new(path, &resolve::name(&options.select), acts))
            .transpose()?;
        let journal_sink = (options.output.format == Format::Text
            && systemd::is_journal(std::io::stdout()))
        .then(|| JournalSink::open(systemd::JOURNAL));
        // Where no fork works any more is where it is needed: it acts all the same.
        let (hook, unhooked) = match options.on_event.as_deref().map(Hook::start).transpose() {
            Ok(hook) => (hook, None),
            Err(error) => (None, Some(error)),
        };
        let live = LiveSignals::new(engine_settings.rules.protect.clone());
        let lost = live.note().filter(|_| acts).map(str::to_owned);
        let mut running = ActingEngine {
            engine: Engine::new(&header, engine_settings),
            signals: if options.judge.dry_run { Box::new(DryRun) } else { Box::new(live) },
            style: terminal::style(&options.output, options.judge.dry_run),
            hook,
            options,
            roots: Vec::new(),
            screen: screen.then(Screen::default),
            journal_sink,
            metrics_exporter,
            wrong: None,
            signal_failure: None,
        };
        let now_s = waiter.uptime_s();
        let (profile_saver, unread) = ProfileSaver::open(state, &mut running.engine, now_s);
        for error in [unlocked, nowhere.or(unread), unhooked] {
            running.complain(err, error)?;
        }
        Ok(Some(Self {
            running,
            probe,
            profile_saver,
            sample: Sample::default(),
            everything,
            own,
            due_s: now_s,
            expected_s: None,
            verbose_s: now_s + VERBOSE_S,
            failures: SampleFailures::default(),
            greeted: false,
            notes: lost.into_iter().collect(),
            _lock: lock,
        }))
    }

    /// Whether it ends anybody.
    fn acts(&self) -> bool {
        !self.everything && self.own && !self.running.options.judge.dry_run
    }

    /// What could not be written, where that matters.
    fn written(&self, result: Result<()>) -> Result<()> {
        if self.acts() { Ok(()) } else { result }
    }

    /// Takes and judges a sample.
    fn look(
        &mut self,
        waiter: &Waiter,
        scheduling_delay: &SchedulingDelay,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<()> {
        let (uptime_s, awake_s) = (waiter.uptime_s(), wait::awake_s());
        let mut next_s = self.running.options.timing.interval;
        let mut metrics = None;
        match self.probe.sample(waiter.unix_time(uptime_s), Some(uptime_s), &mut self.sample) {
            Ok(()) => {
                self.failures.end();
                self.running.complete(&mut self.sample);
                let orders_written;
                (next_s, orders_written) = self.running.tick(&self.sample, out);
                self.written(orders_written)?;
                let ActingEngine { metrics_exporter, engine, .. } = &mut self.running;
                metrics = metrics_exporter.as_mut().and_then(|metrics_exporter| {
                    metrics_exporter.tick(engine, &self.sample, next_s, uptime_s, scheduling_delay)
                });
                let wrong = self.running.wrong.take().map(anyhow::Error::msg);
                self.written(self.running.complain(err, wrong))?;
                let announced = self.running.announce(err);
                self.written(announced)?;
            }
            Err(error) if self.greeted => {
                if let Some(what) = self.failures.add(error, uptime_s)? {
                    self.written(messages::failure(err, &what).map_err(Into::into))?;
                }
            }
            Err(error) => return Err(error),
        }
        if !self.running.options.output.quiet {
            let notes = [self.probe.take_notes(), std::mem::take(&mut self.notes)].concat();
            self.written(messages::notes(err, &notes).map_err(Into::into))?;
            if !self.greeted {
                let ActingEngine { options, engine, .. } = &self.running;
                let matched = (!self.everything).then(|| self.probe.matched());
                let greeting = Greeting {
                    machine: &machine::description(),
                    wanted: &resolve::wanted(&options.select),
                    matched,
                    foreign_procfs: (!self.own).then_some(options.select.procfs.as_path()),
                    interval_s: options.timing.interval,
                    lead_s: options.judge.lead,
                    dry_run: options.judge.dry_run,
                };
                let greeted = messages::greet(err, engine, &greeting);
                self.written(greeted.map_err(Into::into))?;
            }
            if self.running.options.output.verbose && uptime_s >= self.verbose_s {
                self.verbose_s = uptime_s + VERBOSE_S;
                self.written(self.running.show_state(&self.sample, &self.probe, err))?;
            }
        }
        self.greeted = true;
        self.written(self.running.complain(err, metrics))?;
        let unsaved = self.profile_saver.tick(&self.running.engine, uptime_s);
        self.written(self.running.complain(err, unsaved))?;
        let drawn = self.running.redraw(&self.sample, next_s, out);
        self.written(drawn)?;
        // What the reader did not take before, and is asked to again with every sample.
        for flushed in [out.flush(), err.flush()] {
            self.written(flushed.map_err(Into::into))?;
        }
        // Ticks that were missed (a suspend, a stop) are not made up for.
        self.due_s = (self.due_s + next_s).max(waiter.uptime_s());
        // A look that itself took too long makes the next one late.
        self.expected_s = Some(awake_s + next_s);
        Ok(())
    }

    /// Says that the last look came late, and what is known of why.
    fn tell_late(&self, late_s: f64, out: &mut impl Write, err: &mut impl Write) -> Result<()> {
        let late =
            DelayedSample { late_s, pressure: machine::pressure(), memory: self.sample.memory };
        let output = &self.running.options.output;
        if output.format == Format::Json {
            late.write_json(out, self.sample.t)?;
            out.flush()?;
        }
        if !output.quiet {
            late.write(err)?;
        }
        Ok(())
    }

    /// Stops watching; what was found.
    fn end(mut self, out: &mut impl Write, err: &mut impl Write) -> Result<Severity> {
        let unsaved = self.profile_saver.save(&self.running.engine);
        self.written(self.running.complain(err, unsaved))?;
        let farewell = self.running.farewell(out, err);
        self.written(farewell)?;
        Ok(self.running.engine.found())
    }

    /// Whether other options mean the same processes, seen the same way: then only rules and words
    /// differ.
    fn watches_the_same(&self, options: &WatchOptions) -> bool {
        let seen = |of: &WatchOptions| {
            let WatchOptions { select, timing, judge, budget, memory, textfile, on_event, .. } = of;
            let dry = judge.dry_run;
            let max_extrapolation = judge.max_extrapolation;
            let files = (memory, textfile, on_event);
            format!("{select:?} {timing:?} {budget:?} {files:?} {max_extrapolation} {dry}")
        };
        seen(&self.running.options) == seen(options)
    }

    /// Goes on under other rules.
    fn renew(&mut self, options: WatchOptions) -> Result<()> {
        let act = !self.everything && self.own;
        let rules = resolve::engine(&options.judge, act)?.rules;
        if !options.judge.dry_run {
            self.running.signals = Box::new(LiveSignals::new(rules.protect.clone()));
        }
        self.running.engine.renew(rules);
        self.running.style = terminal::style(&options.output, options.judge.dry_run);
        self.running.options = options;
        // So that the rules' words are compared with every program.
        self.probe.tell_again();
        Ok(())
    }
}

/// The lock that keeps a second watch of the same from running, as when cron starts one every
/// minute to keep it alive; nothing in it if there is one already. One that signals nobody is in
/// nobody's way: whoever looks at a terminal needs none.
fn sole(options: &WatchOptions, state: Option<&Path>) -> Option<Result<Option<SelectionLock>>> {
    let dry = options.judge.dry_run;
    if (dry || options.select.is_empty()) && std::io::stderr().is_terminal() {
        return None;
    }
    let kind = if dry { "dry-run" } else { "watch" };
    Some(SelectionLock::take(state?, &format!("{}.{kind}", resolve::file_name(&options.select))))
}

/// What the loop holds.
struct ActingEngine {
    engine: Engine,
    signals: Box<dyn Signals>,
    style: Style,
    options: WatchOptions,
    /// Roots of the trees that were announced.
    roots: Vec<ProcId>,
    screen: Option<Screen>,
    journal_sink: Option<JournalSink>,
    metrics_exporter: Option<MetricsExporter>,
    hook: Option<Hook>,
    /// What is wrong with the hook and not said yet.
    wrong: Option<&'static str>,
    /// The victim whose signal could not be sent, for the next sample.
    signal_failure: Option<(ProcId, SignalFailure)>,
}

impl ActingEngine {
    /// Adds to a sample what only the signal door knows: which new processes may be signalled, and
    /// whether the last order could not be carried out.
    fn complete(&mut self, sample: &mut Sample) {
        sample.signal_failure = self.signal_failure.take();
        for program in &mut sample.programs {
            program.permitted = self.signals.permitted(program.id);
        }
    }

    /// Judges one sample, carries out its orders, writes what changed. Seconds to the next sample,
    /// and whether it could be written.
    fn tick(&mut self, sample: &Sample, out: &mut impl Write) -> (f64, Result<()>) {
        let assessment = self.engine.observe(sample);
        let next_s = assessment.next_s;
        // Signals first: a report that cannot be written must not keep one from being sent.
        let unsent = assessment.order.and_then(|order| {
            let why = self.signals.send(&order).err()?;
            self.signal_failure = Some((order.victim, why));
            Some(Event::SignalFailed { order, why })
        });
        let Self { engine, style, options, screen, journal_sink, metrics_exporter, hook, .. } =
            self;
        let events = || engine.assessment().events().chain(unsent);
        if let Some(metrics_exporter) = metrics_exporter {
            events().for_each(|event| metrics_exporter.count(&event));
        }
        let mut write = |event: Event| -> Result<()> {
            if let Some(screen) = screen {
                screen.clear(out)?;
            }
            match journal_sink {
                Some(journal_sink) => journal_sink.write(out, sample.t, &event, *style)?,
                None => write_event(out, sample.t, &event, options.output.format, *style)?,
            }
            out.flush().context("cannot write the report")
        };
        let written = events().map(&mut write).fold(Ok(()), Result::and);
        if let Some(hook) = hook {
            let plain = Style { colour: false, ..*style };
            for event in events() {
                let mut text = Vec::new();
                write_event(&mut text, sample.t, &event, Format::Text, plain).ok();
                // What is no line is no event for people either.
                if !text.is_empty() {
                    let wrong = hook.tell(|line| {
                        write_event(line, sample.t, &event, Format::Json, plain)?;
                        line.write_all(&text)
                    });
                    self.wrong = wrong.or(self.wrong);
                }
            }
        }
        (next_s, written)
    }

    /// Says which trees came and went.
    fn announce(&mut self, err: &mut impl Write) -> Result<()> {
        let detector = self.engine.detector();
        let talks = !self.options.output.quiet && !self.options.select.is_empty();
        let before = self.roots.len();
        for s in detector.process_states() {
            if !self.roots.contains(&s.root) {
                self.roots.push(s.root);
            }
        }
        if talks && before > 0 {
            for root in self.roots.iter().skip(before) {
                messages::came(err, &self.engine, *root)?;
            }
        }
        let mut went = Ok(());
        let lives = |root: &ProcId| detector.process_states().any(|s| s.root == *root);
        self.roots.retain(|root| {
            let lives = lives(root);
            if !lives && talks && went.is_ok() {
                went = messages::went(err, *root);
            }
            lives
        });
        Ok(went?)
    }

    /// Says what does not keep it from watching.
    fn complain(&self, err: &mut impl Write, error: Option<anyhow::Error>) -> Result<()> {
        match error.filter(|_| !self.options.output.quiet) {
            Some(error) => Ok(messages::notes(err, &[format!("{error:#}")])?),
            None => Ok(()),
        }
    }

    fn redraw(&mut self, sample: &Sample, next_s: f64, out: &mut impl Write) -> Result<()> {
        if let Some(screen) = &mut self.screen {
            screen.clear(out)?;
            screen.draw(out, sample.t, next_s, &summary::trees(&self.engine), self.style)?;
        }
        Ok(())
    }

    fn show_state(&self, sample: &Sample, probe: &Sampler, err: &mut impl Write) -> Result<()> {
        let plain = Style { colour: false, ..self.style };
        summary::write(err, &summary::trees(&self.engine), MOST, plain)?;
        let sources = probe.sources(&sample.all_ceilings());
        Ok(ceilings::write(err, &ceilings::rows(sample, sources))?)
    }

    fn farewell(&mut self, out: &mut impl Write, err: &mut impl Write) -> Result<()> {
        if let Some(screen) = &mut self.screen {
            screen.clear(out)?;
        }
        if !self.options.output.quiet {
            messages::farewell(err, self.engine.found())?;
        }
        Ok(())
    }
}
