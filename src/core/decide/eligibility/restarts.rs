//! Restarts of units: at most one an hour of each, and none after one that did not help.

use crate::core::model::process::ProcId;

/// Seconds until a unit may be restarted again: what leaks again sooner is helped by a limit, not by restarts.
const EVERY_S: f64 = 3600.0;
/// Restarts that are remembered.
const MOST: usize = 256;

/// The restarts of the last hour.
#[derive(Debug, Default)]
pub(super) struct Restarts {
    t: f64,
    all: Vec<Restart>,
}

#[derive(Debug)]
struct Restart {
    victim: ProcId,
    unit: String,
    t: f64,
    did_not_help: bool,
}

impl Restarts {
    pub(super) fn observe(&mut self, t: f64) {
        self.t = t;
        self.all.retain(|of| of.did_not_help || t - of.t < EVERY_S);
    }

    /// Whether a unit may not be restarted now.
    pub(super) fn refuse(&self, unit: &str) -> bool {
        self.all.len() >= MOST || self.all.iter().any(|of| of.unit == unit)
    }

    pub(super) fn add(&mut self, victim: ProcId, unit: &str) {
        let unit = unit.to_owned();
        self.all.push(Restart { victim, unit, t: self.t, did_not_help: false });
    }

    pub(super) fn remove(&mut self, victim: ProcId) {
        self.all.retain(|of| of.victim != victim);
    }

    pub(super) fn did_not_help(&mut self, victim: ProcId) {
        let restarts = self.all.iter_mut().filter(|of| of.victim == victim);
        restarts.for_each(|of| of.did_not_help = true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VICTIM: ProcId = ProcId { pid: 7, start: 1 };

    #[test]
    fn a_unit_is_restarted_once_an_hour_unless_it_did_not_help() {
        let mut restarts = Restarts::default();
        restarts.observe(1000.0);
        assert!(!restarts.refuse("a.service"));
        restarts.add(VICTIM, "a.service");
        assert!(restarts.refuse("a.service") && !restarts.refuse("b.service"));
        restarts.observe(1000.0 + EVERY_S);
        assert!(!restarts.refuse("a.service"));

        restarts.add(VICTIM, "a.service");
        restarts.did_not_help(VICTIM);
        restarts.observe(1e9);
        assert!(restarts.refuse("a.service"), "never again");
    }

    #[test]
    fn a_restart_that_was_not_made_does_not_count() {
        let mut restarts = Restarts::default();
        restarts.add(VICTIM, "a.service");
        restarts.remove(VICTIM);
        assert!(!restarts.refuse("a.service"));
    }
}
