//! Reaping: ends what is left behind and proven useless, beside the orders of an engine.

use crate::cli::options::WatchOptions;
use crate::cli::resolve;
use crate::command::act::ActingEngine;
use crate::core::model::event::{Event, Severity};
use crate::core::model::order::Order;
use crate::core::model::sample::Sample;
use crate::core::piles::reaper::Reaper;
use crate::system::leftover::LeftoverReader;
use crate::system::wait;
use anyhow::Result;

/// Seconds of a look after which no further process is judged, until the next one.
const MOST_S: f64 = 0.05;

/// What reaps, and what it reads.
pub(super) struct Reaping {
    reaper: Reaper,
    reader: LeftoverReader,
}

impl Reaping {
    /// As the options say; none without `--reap`.
    ///
    /// # Errors
    /// Bad options, a /proc that cannot be opened.
    pub(super) fn new(options: &WatchOptions) -> Result<Option<Self>> {
        let Some(rules) = resolve::reaping(options)? else { return Ok(None) };
        let reader = LeftoverReader::new(resolve::selection(&options.select)?)?;
        Ok(Some(Self { reaper: Reaper::new(rules), reader }))
    }

    /// After the engine acted on a sample: sends at most one signal, at `now_s` on a clock that stands still
    /// while the machine sleeps. Returns what happened. While memory is in danger, it waits.
    pub(super) fn act(
        &mut self,
        sample: &Sample,
        now_s: f64,
        acting: &mut ActingEngine,
    ) -> Vec<Event> {
        let Self { reaper, reader } = self;
        reaper.observe(&sample.procs);
        let assessment = acting.engine.assessment();
        if assessment.order.is_some() || assessment.status == Severity::Critical {
            return Vec::new();
        }
        let Some(uptime_s) = sample.uptime_s else { return Vec::new() };
        let headroom = sample.memory.headroom();
        let mut events = Vec::new();
        if let Some(victim) = reaper.victim() {
            let standing = reader.standing(victim, uptime_s);
            let proof = || {
                let ties = standing.as_ref().and_then(|standing| reader.ties(standing));
                (ties, reader.standing(victim, uptime_s))
            };
            events.extend(reaper.follow(now_s, standing.as_ref(), proof, headroom));
        } else if reaper.is_due(now_s) {
            let candidates = reaper.candidates(|pid| reader.is_init(pid));
            let read = |id| reader.standing(id, uptime_s);
            let standings: Vec<_> = candidates.into_iter().filter_map(read).collect();
            let begun_s = wait::awake_s();
            for id in reaper.look(now_s, &standings) {
                let standing = standings.iter().find(|standing| standing.id == id);
                let ties = standing
                    .filter(|standing| reaper.is_proven_by(standing))
                    .and_then(|standing| reader.ties(standing));
                // Read last and anew: it would have run to change its ties meanwhile.
                let Some(standing) = reader.standing(id, uptime_s) else { continue };
                let judged = reaper.judge(now_s, &standing, ties.as_ref(), headroom);
                let is_order = matches!(judged, Some(Event::Order(_)));
                events.extend(judged);
                if is_order || wait::awake_s() > begun_s + MOST_S {
                    break;
                }
            }
        }
        if let Some(Event::Order(order)) = events.last().copied() {
            events.extend(self.send(order, acting));
        }
        events
    }

    fn send(&mut self, order: Order, acting: &mut ActingEngine) -> Option<Event> {
        let why = acting.send(&order)?;
        self.reaper.failed();
        Some(Event::SignalFailed { order, why })
    }
}
