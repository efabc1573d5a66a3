//! One watch: its processes, the engine that judges them, and what it reports.

mod open;

use crate::cli::options::WatchOptions;
use crate::cli::resolve;
use crate::command::act::ActingEngine;
use crate::command::profile_saver::ProfileSaver;
use crate::command::reap::Reaping;
use crate::command::sample_schedule::SampleSchedule;
use crate::command::terminal;
use crate::command::tolerant::Tolerant;
use crate::command::watch::events::EventOutputs;
use crate::command::watch::evidence::EvidenceKeeper;
use crate::command::watch::metrics::MetricsExporter;
use crate::command::watch::sample_failures::SampleFailures;
use crate::command::watch::tree_changes::TreeChanges;
use crate::core::engine::Engine;
use crate::core::model::event::Severity;
use crate::core::model::sample::Sample;
use crate::core::scheduling_delay::SchedulingDelay;
use crate::report::messages::Greeting;
use crate::report::self_usage::DelayedSample;
use crate::report::words::Style;
use crate::report::{ceilings, messages, summary};
use crate::store::history::lock::SelectionLock;
use crate::system::proc;
use crate::system::sampler::Sampler;
use crate::system::wait::Waiter;
use crate::system::{machine, wait};
use anyhow::{Error, Result};
use std::io::Write;

/// Trees listed when the state is asked for.
const MOST: usize = 40;
/// Seconds between two states under `--verbose`.
const VERBOSE_S: f64 = 60.0;

/// One watch.
pub(in crate::command::watch) struct Session {
    pub(in crate::command::watch) options: WatchOptions,
    acting: ActingEngine,
    reaping: Option<Reaping>,
    sampler: Sampler,
    sample: Sample,
    events: EventOutputs,
    evidence: Option<EvidenceKeeper>,
    metrics: Option<MetricsExporter>,
    profile_saver: ProfileSaver,
    trees: TreeChanges,
    failures: SampleFailures,
    /// Whether the engine may give orders, if only for a dry run.
    may_order: bool,
    pub(in crate::command::watch) schedule: SampleSchedule,
    /// When the next sample is due on the clock of [`wait::awake_s`]; none before the first one.
    pub(in crate::command::watch) expected_s: Option<f64>,
    verbose_s: f64,
    is_greeted: bool,
    /// Notes to print with the greeting.
    notes: Vec<String>,
    /// Held until the end.
    _lock: Option<SelectionLock>,
}

impl Session {
    /// Whether the watch ends processes.
    pub(in crate::command::watch) fn acts(&self) -> bool {
        self.may_order && !self.options.judge.dry_run
    }

    /// The engine, for reports of the state.
    pub(in crate::command::watch) fn engine(&self) -> &Engine {
        &self.acting.engine
    }

    /// Whether a sample was taken and the greeting printed.
    pub(in crate::command::watch) fn is_greeted(&self) -> bool {
        self.is_greeted
    }

    /// Adds notes to print with the greeting.
    pub(in crate::command::watch) fn add_notes(&mut self, notes: Vec<String>) {
        self.notes.extend(notes);
    }

    /// Whether a sample is to be taken now.
    pub(in crate::command::watch) fn wants_sample(&mut self, waiter: &Waiter) -> bool {
        let near_s = self.engine().policy().near_s();
        self.schedule.wants_sample(waiter.uptime_s(), &mut self.sampler, near_s)
    }

    /// Takes a sample, acts on it and reports it.
    ///
    /// # Errors
    /// The first sample cannot be taken, or too many in a row; output cannot be written and nothing
    /// is protected.
    pub(in crate::command::watch) fn sample(
        &mut self,
        waiter: &Waiter,
        scheduling_delay: &SchedulingDelay,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<()> {
        let (out, err) = (&mut self.tolerant(out), &mut self.tolerant(err));
        let (uptime_s, awake_s) = (waiter.uptime_s(), wait::awake_s());
        let mut next_s = self.options.timing.interval;
        let t = waiter.unix_time(uptime_s);
        let sampled = self.sampler.sample(t, Some(uptime_s), &mut self.sample);
        let is_sampled = sampled.is_ok();
        match sampled {
            Ok(()) => {
                self.failures.end();
                self.act(out, err)?;
                next_s = self.engine().assessment().next_s;
            }
            Err(error) if self.is_greeted => {
                if let Some(what) = self.failures.add(error, uptime_s)? {
                    messages::failure(err, &what)?;
                }
            }
            Err(error) => return Err(error),
        }
        self.talk(uptime_s, err)?;
        self.is_greeted = true;
        if is_sampled && let Some(metrics) = &mut self.metrics {
            let (engine, sample) = (&self.acting.engine, &self.sample);
            let error = metrics.tick(engine, sample, next_s, uptime_s, scheduling_delay);
            self.complain(err, error)?;
        }
        let unsaved = self.profile_saver.tick(&self.acting.engine, uptime_s);
        self.complain(err, unsaved)?;
        self.events.redraw(out, self.sample.t, next_s, &self.acting.engine)?;
        // What the reader did not take before, it is offered again with every sample.
        out.flush()?;
        err.flush()?;
        self.schedule.sampled(uptime_s, waiter.uptime_s(), next_s, self.may_order);
        // A sample that itself took too long delays the next one.
        self.expected_s = Some(awake_s + next_s);
        Ok(())
    }

    /// Acts on the sample, and writes what changed.
    fn act(&mut self, out: &mut impl Write, err: &mut impl Write) -> Result<()> {
        let failed = self.acting.act(&mut self.sample);
        let t = self.sample.t;
        if let Some(evidence) = &mut self.evidence {
            let lost = evidence.tell(t, &self.acting.engine, failed);
            self.complain(err, lost.map(Error::msg))?;
        }
        let reaped = match &mut self.reaping {
            Some(reaping) => reaping.act(&self.sample, wait::awake_s(), &mut self.acting),
            None => Vec::new(),
        };
        let mut hook_problem = None;
        for event in self.acting.engine.assessment().events().chain(failed).chain(reaped) {
            if let Some(metrics) = &mut self.metrics {
                metrics.count(&event);
            }
            let names = self.acting.engine.names();
            self.events.write(out, t, &event, names)?;
            hook_problem = self.events.run_hook(t, &event, names).or(hook_problem);
        }
        self.complain(err, hook_problem.map(Error::msg))?;
        let (came, went) = self.trees.update(&self.acting.engine);
        if !self.options.output.quiet && !self.options.select.is_empty() {
            for root in came {
                messages::came(err, &self.acting.engine, root)?;
            }
            for root in went {
                messages::went(err, root)?;
            }
        }
        Ok(())
    }

    /// Prints what belongs beside the results: notes, the greeting, and under `--verbose` the state.
    fn talk(&mut self, uptime_s: f64, err: &mut impl Write) -> Result<()> {
        if self.options.output.quiet {
            return Ok(());
        }
        let notes = [self.sampler.take_notes(), std::mem::take(&mut self.notes)].concat();
        messages::notes(err, &notes)?;
        if !self.is_greeted {
            self.greet(err)?;
        }
        if self.options.output.verbose && uptime_s >= self.verbose_s {
            self.verbose_s = uptime_s + VERBOSE_S;
            self.show_state(err)?;
        }
        Ok(())
    }

    fn greet(&self, err: &mut impl Write) -> Result<()> {
        let WatchOptions { select, timing, judge, .. } = &self.options;
        let is_foreign = !proc::is_own(&select.procfs);
        let greeting = Greeting {
            machine: &machine::description(),
            wanted: &resolve::wanted(select),
            matched: (!select.is_empty()).then(|| self.sampler.matched()),
            foreign_procfs: is_foreign.then_some(select.procfs.as_path()),
            interval_s: timing.interval,
            dry_run: judge.dry_run,
        };
        Ok(messages::greet(err, self.engine(), &greeting)?)
    }

    /// Prints a problem that does not keep the watch from its work.
    fn complain(&self, err: &mut impl Write, problem: Option<Error>) -> Result<()> {
        match problem.filter(|_| !self.options.output.quiet) {
            Some(problem) => Ok(messages::notes(err, &[format!("{problem:#}")])?),
            None => Ok(()),
        }
    }

    /// Prints the state of every tree and every ceiling.
    ///
    /// # Errors
    /// The state cannot be written, and nothing is protected.
    pub(in crate::command::watch) fn show_state(&self, err: &mut impl Write) -> Result<()> {
        let err = &mut self.tolerant(err);
        summary::write(err, &summary::trees(self.engine()), MOST, self.plain_style())?;
        let sources = self.sampler.sources(&self.sample.every_ceiling().collect::<Vec<_>>());
        Ok(ceilings::write(err, &ceilings::rows(&self.sample, sources))?)
    }

    /// Reports that the last sample was late, and what is known of the reason.
    ///
    /// # Errors
    /// The report cannot be written, and nothing is protected.
    pub(in crate::command::watch) fn report_delay(
        &self,
        late_s: f64,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<()> {
        let (out, err) = (&mut self.tolerant(out), &mut self.tolerant(err));
        let memory = self.sample.memory;
        let late = DelayedSample { late_s, pressure: machine::pressure(), memory };
        late.write_record(out, self.sample.t, self.options.output.format)?;
        out.flush()?;
        if !self.options.output.quiet {
            late.write(err)?;
        }
        Ok(())
    }

    /// Continues under other rules and with other output.
    ///
    /// # Errors
    /// Bad options.
    pub(in crate::command::watch) fn renew(&mut self, options: WatchOptions) -> Result<()> {
        self.acting.renew(resolve::engine(&options.judge, self.may_order)?.rules);
        self.reaping = Reaping::new(&options)?;
        let style = terminal::style(&options.output, options.judge.dry_run);
        self.events.restyle(&options.output, style);
        self.options = options;
        // Every program is new again, so that the new rules are applied to all of them.
        self.sampler.tell_again();
        Ok(())
    }

    /// Ends the watch; returns what it found.
    ///
    /// # Errors
    /// The last lines cannot be written, and nothing was protected.
    pub(in crate::command::watch) fn end(
        mut self,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<Severity> {
        let (out, err) = (&mut self.tolerant(out), &mut self.tolerant(err));
        let unsaved = self.profile_saver.save(&self.acting.engine);
        self.complain(err, unsaved)?;
        self.events.clear_screen(out)?;
        if !self.options.output.quiet {
            messages::farewell(err, self.engine().found())?;
        }
        Ok(self.engine().found())
    }

    fn tolerant<W: Write>(&self, inner: W) -> Tolerant<W> {
        Tolerant::new(inner, self.acts())
    }

    fn plain_style(&self) -> Style {
        Style { colour: false, dry_run: self.options.judge.dry_run }
    }
}
