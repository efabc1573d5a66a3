//! An engine, and the signals that carry out its orders: the one way in which a live sample is
//! acted on, by the watch and by a check.

use crate::core::decide::rules::Rules;
use crate::core::engine::{Engine, EngineSettings};
use crate::core::model::event::Event;
use crate::core::model::process::ProcId;
use crate::core::model::sample::{Header, Sample};
use crate::core::model::signal::SignalFailure;
use crate::system::signal::{DryRun, LiveSignals, Signals};

/// An engine whose orders are carried out.
pub(super) struct ActingEngine {
    pub(super) engine: Engine,
    signals: Box<dyn Signals>,
    /// The victim whose signal could not be sent, for the next sample.
    failure: Option<(ProcId, SignalFailure)>,
}

impl ActingEngine {
    pub(super) fn new(header: &Header, settings: EngineSettings) -> Self {
        let signals = signals(&settings.rules);
        Self { engine: Engine::new(header, settings), signals, failure: None }
    }

    /// Adds to a live sample what only the sender of signals knows, judges the sample and sends the
    /// signal that it calls for. Returns the event of a signal that could not be sent.
    ///
    /// Nothing is written before the signal is sent: a report that blocks or fails must not delay it.
    pub(super) fn act(&mut self, sample: &mut Sample) -> Option<Event> {
        sample.signal_failure = self.failure.take();
        self.signals.rest();
        for program in &mut sample.programs {
            program.permitted = self.signals.permitted(program.id);
        }
        let order = self.engine.observe(sample).order?;
        let why = self.signals.send(&order).err()?;
        self.failure = Some((order.victim, why));
        Some(Event::SignalFailed { order, why })
    }

    /// Continues under other rules.
    pub(super) fn renew(&mut self, rules: Rules) {
        self.signals = signals(&rules);
        self.engine.set_rules(rules);
    }
}

fn signals(rules: &Rules) -> Box<dyn Signals> {
    if rules.dry_run {
        Box::new(DryRun)
    } else {
        Box::new(LiveSignals::alone(rules.protect.clone()))
    }
}
