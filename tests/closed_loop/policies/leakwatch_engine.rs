//! LeakwatchEngine: the engine as it stands, run as `leakwatch watch` runs it. Its samples come when it asks
//! for them, and each of its orders becomes the signal that the order names.

use super::Policy;
use super::sampler::{Sampler, TICKS, id};
use crate::world::{FIRST_PID, World};
use leakwatch::core::decide::glances::Glances;
use leakwatch::core::decide::rules::Rules;
use leakwatch::core::engine::{Engine, EngineSettings};
use leakwatch::core::model::event::{Assessment, Event};
use leakwatch::core::model::order::Order;
use leakwatch::core::model::process::ProcId;
use leakwatch::core::model::sample::{Header, Sample};
use leakwatch::core::model::signal::SignalFailure;
use std::collections::HashMap;

/// The engine with what feeds it and what obeys it.
pub struct EngineRow {
    engine: Engine,
    sampler: Sampler,
    sample: Sample,
    /// The signal that could not be sent: told with the next sample.
    failure: Option<(ProcId, SignalFailure)>,
    glances: Glances,
    /// Whether each victim leaked.
    leaked: HashMap<ProcId, bool>,
    /// When the next sample is due.
    due_t: f64,
}

impl EngineRow {
    /// With the settings that the command line has by default.
    pub fn new(_: &World<'_>) -> Self {
        let (interval_s, clock_ticks, page_size) = (5.0, TICKS, 4096);
        let header =
            Header { interval_s, clock_ticks, page_size, hostname: "simulated".to_owned() };
        let settings = EngineSettings { max_extrapolation: 6.0, rules: Rules::default() };
        Self {
            engine: Engine::new(&header, settings),
            sampler: Sampler::default(),
            sample: Sample::default(),
            failure: None,
            glances: Glances::default(),
            leaked: HashMap::new(),
            due_t: 0.0,
        }
    }

    /// Sends the signal of an order to its victim.
    fn carry_out(&mut self, order: &Order, world: &mut World<'_>) {
        assert!(order.victim.pid >= FIRST_PID, "a master was ordered to end: {order:?}");
        assert_eq!(order.target, order.victim, "no master is signalled without --reload");
        let victim = world.workers.iter().position(|w| id(w) == order.victim && w.is_alive());
        let Some(victim) = victim else {
            self.failure = Some((order.victim, SignalFailure::Gone));
            return;
        };
        self.leaked.insert(order.victim, world.workers[victim].growth.leaks());
        let server = world.kind.groups[world.workers[victim].group].server;
        if let Some(means) = server.means(order.signal) {
            world.signal(victim, means, order.reason.name());
        }
    }
}

impl Policy for EngineRow {
    fn look(&mut self, world: &mut World<'_>) -> f64 {
        let near_s = self.engine.policy().near_s();
        self.sampler.look_at_memory(world, &mut self.sample);
        let glance = self.glances.observe(world.t, self.sample.every_ceiling(), near_s);
        if world.t + 1e-6 >= self.due_t || glance.alarm {
            self.sampler.look(world, &mut self.sample);
            self.sample.signal_failure = self.failure.take();
            let assessment = self.engine.observe(&self.sample);
            let &Assessment { next_s, order, .. } = assessment;
            for event in assessment.events() {
                let Event::Regretted(regret) = event else { continue };
                match self.leaked.get(&regret.order.victim) {
                    Some(true) => world.tally.regretted_leakers += 1,
                    _ => world.tally.regretted_healthy += 1,
                }
            }
            self.due_t = world.t + next_s;
            if let Some(order) = order {
                self.carry_out(&order, world);
            }
        }
        (self.due_t - world.t).min(glance.next_s)
    }
}
