//! Compute: the values to propose, from what was measured of the service.

use super::{AdvisedService, RemedyReason};
use crate::core::model::units::MIB;
use crate::diagnose::advice::{self, Inputs, Values};
use crate::diagnose::findings::WorkUnit;
use crate::diagnose::work_readings::WorkReadings;

/// Waits of an application during a request, for its database and its files: between none and fifty,
/// so this is a guess, and the report says so. The server's own waits are measured, and come on top.
const WAITS_OF_THE_APPLICATION: f64 = 4.0;

/// A recycle value to begin with where nothing could be measured.
const UNMEASURED_RECYCLE: u64 = 1000;

/// The values that would bound the leak.
pub(super) struct Proposal {
    /// Requests (or connections) that a worker may live.
    pub(super) recycle: u64,
    /// Workers at most.
    pub(super) cap: u64,
    /// The same now.
    pub(super) cap_now: u64,
    pub(super) reason: RemedyReason,
    pub(super) computed: Option<(Inputs, Values)>,
    pub(super) guessed_waits: Option<f64>,
}

impl AdvisedService<'_> {
    /// The values for a service that may have `memory` bytes; none where all is well.
    pub(super) fn compute(&self, memory: f64) -> Option<Proposal> {
        // A number that the file computes: as many as there are.
        let cap_now = if self.setup.cap.value == 0 { self.workers() } else { self.setup.cap.value };
        let guessed_waits = self.guessed_waits();
        let proposal = |recycle, cap, reason, computed| {
            Some(Proposal { recycle, cap, cap_now, reason, computed, guessed_waits })
        };
        let inputs = self.inputs(memory, cap_now, guessed_waits.unwrap_or(1.0));
        if let Some(inputs) = inputs
            && let Some(values) = advice::values(&inputs)
        {
            let lives = self.lives_now();
            let bounded = advice::holds(&inputs, lives).filter(|_| self.setup.recycle.value > 0);
            return match bounded {
                Some(now) => proposal(lives, cap_now, RemedyReason::Bounded, Some((inputs, now))),
                None => {
                    let computed = Some((inputs, values));
                    proposal(values.recycle, values.cap, RemedyReason::Measured, computed)
                }
            };
        }
        if self.service.verdict.accuses() {
            return proposal(UNMEASURED_RECYCLE, cap_now, RemedyReason::Unmeasured, None);
        }
        // Not a leak, but a limit that memory cannot hold.
        let cap = advice::fitting(self.service.size / self.workers() as f64, memory);
        let is_too_many = cap < cap_now && cap >= self.workers();
        let now = self.setup.recycle.value;
        proposal(now, cap, RemedyReason::TooMany, None).filter(|_| is_too_many)
    }

    /// Requests that a worker lives now at most: 0 for ever.
    pub(super) fn lives_now(&self) -> u64 {
        self.setup.recycle.value + self.setup.jitter.as_ref().map_or(0, |jitter| jitter.value)
    }

    /// Waits that are taken for one request, where requests could not be counted.
    fn guessed_waits(&self) -> Option<f64> {
        self.readings.filter(|readings| readings.unit == WorkUnit::Waits)?;
        let workers = if self.advice.wakes_all_workers { self.workers() as f64 } else { 0.0 };
        Some(self.advice.waits_per_request.max(workers) + WAITS_OF_THE_APPLICATION)
    }

    /// What the values follow from, if it leaks and the leak was measured. A request is so many units
    /// of work.
    fn inputs(&self, memory: f64, cap_now: u64, units: f64) -> Option<Inputs> {
        let per_work = self.service.per_work.filter(|_| self.service.verdict.accuses())?;
        let carries_many = self.advice.counts_connections && self.setup.keep_alive;
        let per_connection = self.readings.filter(|_| carries_many).and_then(|r| r.per_connection);
        Some(Inputs {
            leak: per_work.bytes * units,
            young: per_work.young.max(MIB as f64),
            cap: cap_now,
            workers: self.workers(),
            per_connection: per_connection.unwrap_or(1.0),
            rate: self.readings.and_then(WorkReadings::rate).map(|rate| rate / units),
            memory,
            least_life_s: self.advice.least_life_s,
        })
    }
}
