//! An engine, and the signals that carry out its orders: the one way in which a live sample is
//! acted on, by the watch and by a check.

use crate::core::decide::rules::Rules;
use crate::core::engine::{Engine, EngineSettings};
use crate::core::model::event::Event;
use crate::core::model::order::Order;
use crate::core::model::process::ProcId;
use crate::core::model::sample::{Header, Sample};
use crate::core::model::signal::SignalFailure;
use crate::system::signal::{DryRun, LiveSignals, Signals};

/// An engine whose orders are carried out.
pub(super) struct ActingEngine {
    pub(super) engine: Engine,
    hand: Hand,
}

impl ActingEngine {
    pub(super) fn new(header: &Header, settings: EngineSettings) -> Self {
        let hand = Hand::new(&settings.rules);
        Self { engine: Engine::new(header, settings), hand }
    }

    /// Adds to a live sample what only the sender of signals knows, judges the sample and sends the
    /// signal that it calls for. Returns the event of a signal that could not be sent.
    ///
    /// Nothing is written before the signal is sent: a report that blocks or fails must not delay it.
    pub(super) fn act(&mut self, sample: &mut Sample) -> Option<Event> {
        self.hand.prepare(sample);
        let order = self.engine.observe(sample).order?;
        self.hand.send(order)
    }

    /// Sends the signal of an order that is not the engine's own. Returns why it could not be sent.
    pub(super) fn send(&mut self, order: &Order) -> Option<SignalFailure> {
        self.hand.signals.send(order).err()
    }

    /// Continues under other rules.
    pub(super) fn renew(&mut self, rules: Rules) {
        self.hand.signals = signals(&rules);
        self.engine.set_rules(rules);
    }
}

/// The sender of signals, and what the next sample must tell of the last one.
pub(super) struct Hand {
    signals: Box<dyn Signals>,
    /// The victim whose signal could not be sent, for the next sample.
    failure: Option<(ProcId, SignalFailure)>,
}

impl Hand {
    pub(super) fn new(rules: &Rules) -> Self {
        Self { signals: signals(rules), failure: None }
    }

    /// Adds to a live sample what only the sender of signals knows.
    pub(super) fn prepare(&mut self, sample: &mut Sample) {
        sample.signal_failure = self.failure.take();
        self.signals.rest();
        for program in &mut sample.programs {
            program.permitted = self.signals.permitted(program.id);
        }
    }

    /// Sends the signal of an order. Returns the event of one that could not be sent.
    pub(super) fn send(&mut self, order: Order) -> Option<Event> {
        let why = self.signals.send(&order).err()?;
        self.failure = Some((order.victim, why));
        Some(Event::SignalFailed { order, why })
    }
}

fn signals(rules: &Rules) -> Box<dyn Signals> {
    if rules.dry_run {
        Box::new(DryRun)
    } else {
        Box::new(LiveSignals::alone(rules.protect.clone()))
    }
}
