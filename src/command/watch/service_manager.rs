//! When a watch tells the service manager that it is ready, alive, and how it stands.

use super::session::Session;
use crate::core::model::event::Severity;
use crate::report::summary;
use crate::system::systemd::ServiceManager;
use anyhow::Error;

/// Seconds between two lines of state.
const STATUS_S: f64 = 15.0;

/// The service manager, and what it was told.
pub(super) struct ManagerReports {
    manager: ServiceManager,
    /// When the next line of state is due; none before the manager knows that the watch is ready.
    status_due_s: Option<f64>,
    status: Severity,
}

impl ManagerReports {
    /// The service manager named by the environment; with an error, there is none to report to.
    pub(super) fn from_env() -> (Self, Option<Error>) {
        let (manager, error) = match ServiceManager::from_env() {
            Ok(manager) => (manager, None),
            Err(error) => (ServiceManager::default(), Some(error)),
        };
        (Self { manager, status_due_s: None, status: Severity::Fine }, error)
    }

    /// Gives a sign of life where one is due; returns when the next one is. The manager does not
    /// expect any before it knows that the watch is ready.
    pub(super) fn keep_alive(&mut self, uptime_s: f64) -> f64 {
        if self.status_due_s.is_none() {
            return f64::INFINITY;
        }
        self.manager.alive(uptime_s);
        self.manager.alive_due_s()
    }

    /// After a sample: reports that all watches are ready, or the state of the worst.
    pub(super) fn update(&mut self, sessions: &[Session], uptime_s: f64) {
        let worst = sessions.iter().map(Session::engine).max_by_key(|engine| engine.status());
        let Some(engine) = worst else { return };
        match self.status_due_s {
            None if sessions.iter().all(Session::is_greeted) => {
                self.manager.ready(|line| summary::write_summary(line, engine));
            }
            Some(due_s) if uptime_s >= due_s || engine.status() != self.status => {
                self.manager.status(|line| summary::write_summary(line, engine));
            }
            _ => return,
        }
        self.status_due_s = Some(uptime_s + STATUS_S);
        self.status = engine.status();
    }

    /// Reports that the watch stops.
    pub(super) fn stopping(&self) {
        self.manager.stopping();
    }
}
