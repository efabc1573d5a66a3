//! Live: this machine as the source of what is shown.

use super::ending::{self, EndRefusal};
use super::recorder::Recorder;
use crate::cli::options::TopOptions;
use crate::cli::resolve;
use crate::command::act::Hand;
use crate::command::top::live_view::log::EventLog;
use crate::command::top::live_view::scene::Scene;
use crate::command::top::live_view::view::Clock;
use crate::core::engine::Engine;
use crate::core::model::event::Event;
use crate::core::model::order::Order;
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use crate::diagnose::observer::Observer;
use crate::report::words::Subject;
use crate::system::machine;
use crate::system::sampler::Sampler;
use crate::system::wait::Waiter;
use anyhow::{Context, Result, ensure};

/// The machine, sampled.
pub(super) struct Live {
    interval_s: f64,
    sampler: Sampler,
    sample: Sample,
    observer: Observer,
    hand: Hand,
    recorder: Option<Recorder>,
    next_s: f64,
    is_dry: bool,
}

impl Live {
    /// Takes the first sample.
    ///
    /// # Errors
    /// Bad options, a procfs that cannot be read.
    pub(super) fn open(options: &TopOptions, waiter: &Waiter, log: &mut EventLog) -> Result<Self> {
        let TopOptions { select, judge, timing, .. } = options;
        let sampler = resolve::sampler(select, None)?;
        let header = machine::header(timing.interval);
        // It gives no orders of its own: what ends a process here is a key, and a confirmation.
        let settings = resolve::engine(judge, false)?;
        let hand = Hand::new(&settings.rules);
        let observer = Observer::live(Engine::new(&header, settings), &header, &select.procfs);
        let mut live = Self {
            interval_s: timing.interval,
            sampler,
            sample: Sample::default(),
            observer,
            hand,
            recorder: None,
            next_s: timing.interval,
            is_dry: judge.dry_run,
        };
        live.sample(waiter, log)?;
        ensure!(
            !live.sample.procs.is_empty(),
            "no process matches\n  hint: `leakwatch top` without a selection shows every process"
        );
        Ok(live)
    }

    /// Takes a sample and judges it; events go to `log`.
    ///
    /// # Errors
    /// It could not be taken; the next one may.
    pub(super) fn sample(&mut self, waiter: &Waiter, log: &mut EventLog) -> Result<()> {
        let uptime_s = waiter.uptime_s();
        self.sampler.sample(waiter.unix_time(uptime_s), Some(uptime_s), &mut self.sample)?;
        self.hand.prepare(&mut self.sample);
        self.observer.observe(&self.sample);
        let assessment = self.observer.engine().assessment();
        // No faster than it was asked for, however near the end: it protects nothing.
        self.next_s = assessment.next_s.clamp(self.interval_s.min(1.0), self.interval_s);
        for event in assessment.events() {
            log.event(self.sample.t, &event, self.observer.engine().names(), self.is_dry);
        }
        for note in self.sampler.take_notes() {
            log.note(self.sample.t, &note);
        }
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = recorder.write(&self.sample)
        {
            log.note(self.sample.t, &format!("the recording ended: {error:#}"));
            self.recorder = None;
        }
        Ok(())
    }

    /// The order that would end a process, and what follows from it.
    ///
    /// # Errors
    /// Why the process is not ended.
    pub(super) fn order_to_end(&self, id: ProcId) -> Result<(Order, Vec<String>), EndRefusal> {
        ending::order(id, self.observer.engine(), self.is_dry)
    }

    /// Carries out an order that was confirmed, if it still is the right one. Returns what to say.
    ///
    /// # Errors
    /// Why it is not carried out.
    pub(super) fn end_process(
        &mut self,
        order: &Order,
        log: &mut EventLog,
    ) -> Result<&'static str, EndRefusal> {
        let (now, _) = self.order_to_end(order.victim)?;
        if (now.signal, now.target) != (order.signal, order.target) {
            let subject = Subject::process(order.comm, order.victim);
            return Err(EndRefusal::new(subject, "it would be ended otherwise by now: ask again"));
        }
        let failed = self.hand.send(now);
        if failed.is_none() && !self.is_dry {
            self.observer.engine_mut().ordered_by_hand(&now);
        }
        let event = failed.unwrap_or(Event::Order(now));
        log.event(self.sample.t, &event, self.observer.engine().names(), self.is_dry);
        Ok(match (failed, self.is_dry) {
            (Some(_), _) => "nothing was signalled: l shows why",
            (None, true) => "dry run: nothing was signalled",
            (None, false) => "it was told to exit",
        })
    }

    /// Seconds until the next sample.
    pub(super) fn next_s(&self) -> f64 {
        self.next_s
    }

    /// Where its time comes from.
    pub(super) fn clock(&self) -> Clock {
        let recording = self.recorder.as_ref().map(Recorder::name);
        Clock::Live { next_s: self.next_s, recording }
    }

    /// What its last sample shows.
    pub(super) fn scene(&self) -> Scene {
        Scene::of(&self.observer)
    }

    /// What has seen the samples.
    pub(super) fn observer(&self) -> &Observer {
        &self.observer
    }

    /// Begins to record to a new file, from the next sample on.
    ///
    /// # Errors
    /// There is something by that name, or it cannot be written.
    pub(super) fn record(&mut self, name: &str) -> Result<()> {
        let header = machine::header(self.interval_s);
        self.recorder = Some(Recorder::new(name, &header).context("cannot record")?);
        // Programs stand in the first sample of their processes.
        self.sampler.tell_again();
        Ok(())
    }

    /// Ends the recording; returns what to say of it.
    ///
    /// # Errors
    /// It cannot be written to its end.
    pub(super) fn end_record(&mut self) -> Result<Option<String>> {
        self.recorder.take().map(Recorder::end).transpose()
    }
}
