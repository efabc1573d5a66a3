//! Watch: sample, judge, report, act, wait, and again.

use super::write_event;
use crate::action::{DryRun, Live, Signals};
use crate::assessment::{Event, Status};
use crate::cli::{Format, Watch};
use crate::engine::Engine;
use crate::probe::Probe;
use crate::report::screen::Screen;
use crate::report::text::Style;
use crate::report::{state, talk};
use crate::sample::{ProcId, Sample};
use crate::wait::{Waiter, Wake};
use crate::{machine, settings};
use anyhow::{Context, Result};
use std::io::{IsTerminal, Write};

/// Trees listed when the state is asked for.
const MOST: usize = 40;
/// Seconds between two states under `--verbose`.
const VERBOSE_S: f64 = 60.0;

/// Watches until SIGINT or SIGTERM; the status is what was found.
///
/// # Errors
/// Bad options, a procfs that cannot be read, output that cannot be written.
pub fn run(options: &Watch, out: &mut impl Write, err: &mut impl Write) -> Result<Status> {
    let selection = settings::selection(&options.select)?;
    let everything = selection.is_everything();
    let engine_settings = settings::engine(&options.judge, !everything)?;
    let style = settings::style(&options.output, options.judge.dry_run);
    let mut probe = Probe::new(&options.select.procfs, selection, options.budget)?;
    let waiter = Waiter::new()?;
    let header = machine::header(options.timing.interval);
    let mut watch = Running {
        engine: Engine::new(&header, engine_settings),
        signals: if options.judge.dry_run { Box::new(DryRun) } else { Box::new(Live) },
        style,
        options,
        roots: Vec::new(),
        screen: (options.output.format == Format::Text && std::io::stdout().is_terminal())
            .then(Screen::default),
    };
    let mut sample = Sample::default();
    let mut due_s = waiter.uptime_s();
    let mut verbose_s = due_s + VERBOSE_S;
    let mut first = true;
    loop {
        let uptime_s = waiter.uptime_s();
        probe.sample(waiter.unix_time(uptime_s), Some(uptime_s), &mut sample)?;
        watch.permit(&mut sample);
        let next_s = watch.tick(&sample, out, err)?;
        if !options.output.quiet {
            talk::notes(err, &probe.take_notes())?;
            if std::mem::take(&mut first) {
                talk::greet(err, options, &watch.engine, everything)?;
            }
            if options.output.verbose && uptime_s >= verbose_s {
                verbose_s = uptime_s + VERBOSE_S;
                watch.show_state(err)?;
            }
        }
        watch.redraw(&sample, next_s, out)?;
        // Ticks that were missed (a suspend, a stop) are not made up for.
        due_s = (due_s + next_s).max(waiter.uptime_s());
        loop {
            match waiter.wait_until(due_s)? {
                Wake::Tick => break,
                Wake::ShowState => watch.show_state(err)?,
                Wake::Stop => return watch.stop(out, err),
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
}

impl Running<'_> {
    /// Notes of each new process whether it may be signalled.
    fn permit(&self, sample: &mut Sample) {
        for program in &mut sample.programs {
            program.permitted = self.signals.permitted(program.id);
        }
    }

    /// Judges one sample, carries out its orders, writes what changed; seconds to the next one.
    fn tick(&mut self, sample: &Sample, out: &mut impl Write, err: &mut impl Write) -> Result<f64> {
        let Self { engine, signals, style, options, screen, .. } = self;
        let assessment = engine.observe(sample);
        let mut write = |event: &Event| {
            if let Some(screen) = screen {
                screen.clear(out)?;
            }
            write_event(out, sample.t, event, options.output.format, *style)?;
            out.flush()
        };
        for event in &assessment.events {
            // The signal first: a full pipe must not keep it from being sent.
            let unsent = match event {
                Event::Order(order) => {
                    signals.send(order).err().map(|why| Event::Unsent { order: *order, why })
                }
                _ => None,
            };
            write(event).context("cannot write the report")?;
            if let Some(unsent) = unsent {
                write(&unsent).context("cannot write the report")?;
            }
        }
        let next_s = assessment.next_s;
        self.announce(err)?;
        Ok(next_s)
    }

    /// Says which trees came and went.
    fn announce(&mut self, err: &mut impl Write) -> Result<()> {
        let detector = self.engine.detector();
        let came = |roots: &[ProcId], root| !roots.contains(&root);
        let talks = !self.options.output.quiet && !self.options.select.is_empty();
        for s in detector.standings() {
            if came(&self.roots, s.root) {
                self.roots.push(s.root);
                if talks {
                    talk::came(err, &self.engine, s.root)?;
                }
            }
        }
        let lives = |root: &ProcId| detector.standings().any(|s| s.root == *root);
        if let Some(index) = self.roots.iter().position(|root| !lives(root)) {
            let root = self.roots.swap_remove(index);
            if talks {
                talk::went(err, root, self.roots.len())?;
            }
        }
        Ok(())
    }

    fn redraw(&mut self, sample: &Sample, next_s: f64, out: &mut impl Write) -> Result<()> {
        if let Some(screen) = &mut self.screen {
            screen.clear(out)?;
            screen.draw(out, sample.t, next_s, &state::trees(&self.engine), self.style)?;
        }
        Ok(())
    }

    fn show_state(&self, err: &mut impl Write) -> Result<()> {
        let plain = Style { colour: false, ..self.style };
        Ok(state::write(err, &state::trees(&self.engine), MOST, plain)?)
    }

    fn stop(&mut self, out: &mut impl Write, err: &mut impl Write) -> Result<Status> {
        if let Some(screen) = &mut self.screen {
            screen.clear(out)?;
        }
        let status = self.engine.found();
        if !self.options.output.quiet {
            talk::farewell(err, status)?;
        }
        Ok(status)
    }
}
