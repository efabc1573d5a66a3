//! When the next sample of a live run is due: as the engine wants it, or sooner where a glance at what is
//! left calls for it.

use crate::core::decide::glances::Glances;
use crate::core::model::ceiling::Ceiling;
use crate::system::sampler::Sampler;

/// The longest pause after a sample that took long, in seconds.
const LONGEST_PAUSE_S: f64 = 0.2;

/// When samples and glances are due; all times are uptimes in seconds.
pub(super) struct SampleSchedule {
    sample_due_s: f64,
    /// When the next glance or sample is due.
    due_s: f64,
    glances: Glances,
    /// Seconds from one glance to the next.
    glance_s: f64,
    /// What the last glance saw.
    glanced: Vec<Ceiling>,
}

impl SampleSchedule {
    /// The first sample is due now.
    pub(super) fn new(now_s: f64) -> Self {
        let (glances, glanced) = (Glances::default(), Vec::new());
        Self { sample_due_s: now_s, due_s: now_s, glances, glance_s: 0.0, glanced }
    }

    /// The uptime at which the next glance or sample is due.
    pub(super) fn due_s(&self) -> f64 {
        self.due_s
    }

    /// Whether a sample is to be taken now: it is due, or a glance calls for it, since an end within
    /// `near_s` seconds is near. If not, the next glance is planned.
    pub(super) fn wants_sample(&mut self, now_s: f64, sampler: &mut Sampler, near_s: f64) -> bool {
        // A memory that cannot be read is the sample's to report.
        if now_s >= self.sample_due_s || sampler.glance(&mut self.glanced).is_err() {
            return true;
        }
        let glance = self.glances.observe(now_s, self.glanced.iter().copied(), near_s);
        self.glance_s = glance.next_s;
        self.due_s = self.sample_due_s.min(now_s + glance.next_s);
        glance.alarm
    }

    /// Plans the next sample `next_s` seconds after one that began at `began_s` and is done. Without
    /// orders, nothing is gained by a sample before its time, and so not by glances.
    pub(super) fn sampled(&mut self, began_s: f64, now_s: f64, next_s: f64, may_order: bool) {
        // Missed samples (a suspend, a stop) are not made up for, and one that a glance called for
        // came early.
        let planned_s = self.sample_due_s.min(began_s) + next_s;
        // However near the end, half of the time is left to others.
        self.sample_due_s = planned_s.max(now_s + (now_s - began_s).min(LONGEST_PAUSE_S));
        let glance_s = if may_order { self.glance_s } else { f64::INFINITY };
        self.due_s = self.sample_due_s.min(began_s + glance_s);
    }
}
