//! Watch: sample, judge, report, act, wait, and again.

use super::exporter::Exporter;
use super::journaled::Journaled;
use super::keeper::Keeper;
use super::write_event;
use crate::action::{DryRun, Live, Signals};
use crate::assessment::{Event, Status};
use crate::cli::{Format, Select, Watch};
use crate::engine::Engine;
use crate::hook::Hook;
use crate::probe::{self, Probe};
use crate::report::screen::Screen;
use crate::report::text::Style;
use crate::report::{ceilings, state, talk};
use crate::sample::{ProcId, Sample};
use crate::wait::{Waiter, Wake};
use crate::{brace, machine, settings, systemd};
use anyhow::{Context, Result};
use std::io::{IsTerminal, Write};

/// Trees listed when the state is asked for.
const MOST: usize = 40;
/// Seconds between two lines of state for the service manager.
const STATUS_S: f64 = 15.0;
/// Seconds between two states under `--verbose`.
const VERBOSE_S: f64 = 60.0;

/// Looks that may fail in a row before the watch gives up: a minute or more.
const MOST_FAILURES: u32 = 60;

/// Watches until SIGINT or SIGTERM; the status is what was found.
///
/// # Errors
/// Bad options, a procfs that cannot be read. While it acts, output that cannot be written is
/// dropped: a full log disk must not end the protection.
pub fn run(options: &Watch, out: &mut impl Write, err: &mut impl Write) -> Result<Status> {
    let selection = settings::selection(&options.select)?;
    let everything = selection.is_everything();
    let own = probe::is_own(&options.select.procfs);
    let engine_settings = settings::engine(&options.judge, !everything && own)?;
    let Select { procfs, sysfs, .. } = &options.select;
    let mut probe = Probe::new(procfs, sysfs.as_deref(), selection, options.budget)?;
    let waiter = Waiter::new()?;
    let acts = !everything && own && !options.judge.dry_run;
    let (mut manager, unreachable) = match systemd::Manager::from_env() {
        Ok(manager) => (manager, None),
        Err(error) => (systemd::Manager::default(), Some(error)),
    };
    let header = machine::header(options.timing.interval);
    let live = Live::new(engine_settings.rules.protect.clone());
    let lost = live.note().filter(|_| !everything && own && !options.judge.dry_run);
    let mut watch = Running {
        engine: Engine::new(&header, engine_settings),
        signals: if options.judge.dry_run { Box::new(DryRun) } else { Box::new(live) },
        style: settings::style(&options.output, options.judge.dry_run),
        options,
        roots: Vec::new(),
        screen: (options.output.format == Format::Text && std::io::stdout().is_terminal())
            .then(Screen::default),
        journaled: (options.output.format == Format::Text
            && systemd::is_journal(std::io::stdout()))
        .then(|| Journaled::open(systemd::JOURNAL)),
        exporter: options
            .textfile
            .as_deref()
            .map(|path| Exporter::new(path, &settings::name(&options.select), acts))
            .transpose()?,
        hook: options.on_event.as_deref().map(Hook::start).transpose()?,
        wrong: None,
    };
    watch.complain(err, unreachable)?;
    let (state, nowhere) = match settings::state(&options.memory) {
        Ok(dir) => (dir, None),
        Err(error) => (None, Some(error)),
    };
    let (mut keeper, unread) = Keeper::open(state, &mut watch.engine, waiter.uptime_s());
    watch.complain(err, nowhere.or(unread))?;
    let mut weaknesses = if acts { brace::brace() } else { Vec::new() };
    let written = |result: Result<()>| if acts { Ok(()) } else { result };
    let mut sample = Sample::default();
    let mut due_s = waiter.uptime_s();
    let mut next_s = options.timing.interval;
    let mut verbose_s = due_s + VERBOSE_S;
    let mut failures = 0;
    let mut greeted = false;
    let (mut ready, mut status_s, mut told) = (false, due_s, Status::Fine);
    loop {
        let uptime_s = waiter.uptime_s();
        let mut metrics = None;
        match probe.sample(waiter.unix_time(uptime_s), Some(uptime_s), &mut sample) {
            Ok(()) => {
                failures = 0;
                watch.permit(&mut sample);
                let orders_written;
                (next_s, orders_written) = watch.tick(&sample, out);
                written(orders_written)?;
                let late_s = (uptime_s - due_s).max(0.0);
                metrics = watch.exporter.as_mut().and_then(|exporter| {
                    exporter.tick(&watch.engine, &sample, next_s, (uptime_s, late_s))
                });
                let wrong = watch.wrong.take().map(anyhow::Error::msg);
                written(watch.complain(err, wrong))?;
                written(watch.announce(err))?;
            }
            // At the brink even a read may fail (ENOMEM); the next one may not.
            Err(error) if greeted && failures < MOST_FAILURES => {
                failures += 1;
                written(talk::failure(err, failures, &error).map_err(Into::into))?;
            }
            Err(error) => return Err(error),
        }
        if !options.output.quiet {
            written(talk::notes(err, &probe.take_notes()).map_err(Into::into))?;
            written(talk::notes(err, &std::mem::take(&mut weaknesses)).map_err(Into::into))?;
            if let Some(lost) = lost.filter(|_| !greeted) {
                written(talk::notes(err, &[lost.to_owned()]).map_err(Into::into))?;
            }
            let matched = (!everything).then(|| probe.matched());
            if !std::mem::replace(&mut greeted, true) {
                written(
                    talk::greet(err, options, &watch.engine, matched, own).map_err(Into::into),
                )?;
            }
            if options.output.verbose && uptime_s >= verbose_s {
                verbose_s = uptime_s + VERBOSE_S;
                written(watch.show_state(&sample, &probe, err))?;
            }
        }
        if !std::mem::replace(&mut ready, true) {
            manager.ready(|line| state::write_summary(line, &watch.engine));
        } else if uptime_s >= status_s || watch.engine.status() != told {
            manager.status(|line| state::write_summary(line, &watch.engine));
            (status_s, told) = (uptime_s + STATUS_S, watch.engine.status());
        }
        greeted = true;
        written(watch.complain(err, metrics))?;
        written(watch.complain(err, keeper.tick(&watch.engine, uptime_s)))?;
        written(watch.redraw(&sample, next_s, out))?;
        // Ticks that were missed (a suspend, a stop) are not made up for.
        due_s = (due_s + next_s).max(waiter.uptime_s());
        loop {
            manager.alive(waiter.uptime_s());
            match waiter.wait_until(due_s.min(manager.alive_due_s()))? {
                Wake::Tick if waiter.uptime_s() < due_s => {}
                Wake::Tick => break,
                Wake::ShowState => written(watch.show_state(&sample, &probe, err))?,
                Wake::Stop => {
                    manager.stopping();
                    written(watch.complain(err, keeper.save(&watch.engine)))?;
                    written(watch.farewell(out, err))?;
                    return Ok(watch.engine.found());
                }
            }
        }
    }
}

/// What the loop holds.
struct Running<'o> {
    engine: Engine,
    signals: Box<dyn Signals>,
    style: Style,
    options: &'o Watch,
    /// Roots of the trees that were announced.
    roots: Vec<ProcId>,
    screen: Option<Screen>,
    journaled: Option<Journaled>,
    exporter: Option<Exporter>,
    hook: Option<Hook>,
    /// What is wrong with the hook and not said yet.
    wrong: Option<&'static str>,
}

impl Running<'_> {
    /// Notes of each new process whether it may be signalled.
    fn permit(&self, sample: &mut Sample) {
        for program in &mut sample.programs {
            program.permitted = self.signals.permitted(program.id);
        }
    }

    /// Judges one sample, carries out its orders, writes what changed. Seconds to the next sample,
    /// and whether it could be written.
    fn tick(&mut self, sample: &Sample, out: &mut impl Write) -> (f64, Result<()>) {
        let assessment = self.engine.observe(sample);
        let next_s = assessment.next_s;
        // Signals first: a report that cannot be written must not keep one from being sent. There
        // is at most one order a sample.
        let order = assessment.events.iter().find_map(|event| match event {
            Event::Order(order) => Some(*order),
            _ => None,
        });
        let unsent = order.and_then(|order| {
            let why = self.signals.send(&order).err()?;
            Some(Event::Unsent { order, why })
        });
        let Self { engine, style, options, screen, journaled, exporter, hook, .. } = self;
        let events = || engine.events().iter().chain(&unsent);
        if let Some(exporter) = exporter {
            events().for_each(|event| exporter.count(event));
        }
        let mut write = |event: &Event| -> Result<()> {
            if let Some(screen) = screen {
                screen.clear(out)?;
            }
            match journaled {
                Some(journaled) => journaled.write(out, sample.t, event, *style)?,
                None => write_event(out, sample.t, event, options.output.format, *style)?,
            }
            out.flush().context("cannot write the report")
        };
        let written = events().map(&mut write).fold(Ok(()), Result::and);
        if let Some(hook) = hook {
            let plain = Style { colour: false, ..*style };
            for event in events() {
                let mut text = Vec::new();
                write_event(&mut text, sample.t, event, Format::Text, plain).ok();
                // What is no line is no event for people either.
                if !text.is_empty() {
                    let wrong = hook.tell(|line| {
                        write_event(line, sample.t, event, Format::Json, plain)?;
                        line.write_all(&text)
                    });
                    self.wrong = wrong.or(self.wrong);
                }
            }
        }
        if let Some(Event::Unsent { order, why }) = unsent {
            engine.unsent(&order, why);
        }
        (next_s, written)
    }

    /// Says which trees came and went.
    fn announce(&mut self, err: &mut impl Write) -> Result<()> {
        let detector = self.engine.detector();
        let talks = !self.options.output.quiet && !self.options.select.is_empty();
        let before = self.roots.len();
        for s in detector.standings() {
            if !self.roots.contains(&s.root) {
                self.roots.push(s.root);
            }
        }
        if talks && before > 0 {
            for root in self.roots.iter().skip(before) {
                talk::came(err, &self.engine, *root)?;
            }
        }
        let mut went = Ok(());
        let lives = |root: &ProcId| detector.standings().any(|s| s.root == *root);
        self.roots.retain(|root| {
            let lives = lives(root);
            if !lives && talks && went.is_ok() {
                went = talk::went(err, *root);
            }
            lives
        });
        Ok(went?)
    }

    /// Says what does not keep it from watching.
    fn complain(&self, err: &mut impl Write, error: Option<anyhow::Error>) -> Result<()> {
        match error.filter(|_| !self.options.output.quiet) {
            Some(error) => Ok(talk::notes(err, &[format!("{error:#}")])?),
            None => Ok(()),
        }
    }

    fn redraw(&mut self, sample: &Sample, next_s: f64, out: &mut impl Write) -> Result<()> {
        if let Some(screen) = &mut self.screen {
            screen.clear(out)?;
            screen.draw(out, sample.t, next_s, &state::trees(&self.engine), self.style)?;
        }
        Ok(())
    }

    fn show_state(&self, sample: &Sample, probe: &Probe, err: &mut impl Write) -> Result<()> {
        let plain = Style { colour: false, ..self.style };
        state::write(err, &state::trees(&self.engine), MOST, plain)?;
        Ok(ceilings::write(err, &ceilings::rows(sample, probe))?)
    }

    fn farewell(&mut self, out: &mut impl Write, err: &mut impl Write) -> Result<()> {
        if let Some(screen) = &mut self.screen {
            screen.clear(out)?;
        }
        if !self.options.output.quiet {
            talk::farewell(err, self.engine.found())?;
        }
        Ok(())
    }
}
