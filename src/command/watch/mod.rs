//! The watch: sample, judge, act, report, wait, and again.

mod events;
mod evidence;
mod journal_sink;
pub mod metrics;
mod reload;
mod sample_failures;
mod self_report;
mod service_manager;
mod session;
mod tree_changes;

use self_report::{Destinations, write_self_report};
use service_manager::ManagerReports;
use session::Session;

use crate::cli::options::WatchOptions;
use crate::command::tolerant::Tolerant;
use crate::core::model::event::Severity;
use crate::core::scheduling_delay::SchedulingDelay;
use crate::report::messages;
use crate::system::wait::{Waiter, Wake};
use crate::system::{prepare, wait};
use anyhow::Result;
use std::io::{IsTerminal, Write};

/// Watches until SIGINT or SIGTERM; returns the worst that was found. Each of `watches` has its own
/// processes and settings. At SIGHUP, `reload` returns what to watch from then on.
///
/// # Errors
/// Bad options, a procfs that cannot be read. While the watch acts, it drops output that cannot be
/// written: a full log disk must not end the protection.
pub fn run(
    watches: Vec<WatchOptions>,
    reload: &dyn Fn() -> Result<Vec<WatchOptions>>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Severity> {
    reload::check_files(&watches)?;
    let mut watch = Watch::start(watches, err)?;
    // Without a session, other processes watch everything already.
    while let Some(wake_s) = watch.next_wake_s() {
        match watch.waiter.wait_until(wake_s) {
            Wake::Tick => watch.sample_if_due(out, err)?,
            Wake::ShowState => watch.show_state(out, err)?,
            Wake::Continued => watch.scheduling_delay.forgive(wait::awake_s()),
            // Without a terminal, no terminal can have hung up.
            Wake::HangUp if !std::io::stderr().is_terminal() => watch.reload(reload, out, err)?,
            Wake::Stop | Wake::HangUp => return watch.stop(out, err),
            // A watch has no screen.
            Wake::Input | Wake::Resized | Wake::Suspend => {}
        }
    }
    Ok(watch.found)
}

/// All watches of this process, and what they share.
struct Watch {
    sessions: Vec<Session>,
    waiter: Waiter,
    manager: ManagerReports,
    scheduling_delay: SchedulingDelay,
    /// Whether the process is prepared for the moment when memory runs out.
    is_prepared: bool,
    /// The worst that was found by the sessions that a reload ended.
    found: Severity,
}

impl Watch {
    fn start(watches: Vec<WatchOptions>, err: &mut impl Write) -> Result<Self> {
        let waiter = Waiter::new()?;
        let (manager, unreachable) = ManagerReports::from_env();
        let is_quiet = watches.iter().all(|options| options.output.quiet);
        if let Some(error) = unreachable.filter(|_| !is_quiet) {
            messages::notes(err, &[format!("{error:#}")])?;
        }
        let is_only = watches.len() == 1;
        let mut sessions = Vec::new();
        for options in watches {
            sessions.extend(Session::open(options, is_only, &waiter, err)?);
        }
        let scheduling_delay = SchedulingDelay::new(wait::awake_s());
        let (is_prepared, found) = (false, Severity::Fine);
        let mut watch = Self { sessions, waiter, manager, scheduling_delay, is_prepared, found };
        watch.prepare();
        Ok(watch)
    }

    /// Prepares the process for the moment when memory runs out, once a session acts.
    fn prepare(&mut self) {
        let first = self.sessions.iter_mut().find(|session| session.acts());
        if let Some(first) = first.filter(|_| !self.is_prepared) {
            first.add_notes(prepare::prepare());
            self.is_prepared = true;
        }
    }

    /// When to wake up: for a sample, or for a sign of life; none without sessions.
    fn next_wake_s(&mut self) -> Option<f64> {
        let due_s = first_due(&mut self.sessions)?.schedule.due_s();
        Some(due_s.min(self.manager.keep_alive(self.waiter.uptime_s())))
    }

    fn sample_if_due(&mut self, out: &mut impl Write, err: &mut impl Write) -> Result<()> {
        let Self { sessions, waiter, manager, scheduling_delay, .. } = self;
        let first = first_due(sessions);
        let Some(session) = first.filter(|session| waiter.uptime_s() >= session.schedule.due_s())
        else {
            return Ok(());
        };
        if !session.wants_sample(waiter) {
            return Ok(());
        }
        let now_s = wait::awake_s();
        let late_s = scheduling_delay.observe(session.expected_s.unwrap_or(now_s), now_s);
        session.sample(waiter, scheduling_delay, out, err)?;
        if let Some(late_s) = late_s {
            session.report_delay(late_s, out, err)?;
        }
        manager.update(sessions, waiter.uptime_s());
        Ok(())
    }

    fn show_state(&self, out: &mut impl Write, err: &mut impl Write) -> Result<()> {
        for session in &self.sessions {
            session.show_state(err)?;
        }
        let destinations = Destinations { err: true, ..self.destinations() };
        self.report_self(destinations, self.acts(), out, err)
    }

    /// Where the process as a whole reports.
    fn destinations(&self) -> Destinations {
        let outputs = || self.sessions.iter().map(|session| &session.options.output);
        Destinations {
            err: !outputs().all(|output| output.quiet),
            out: outputs().map(|output| output.format).find(|format| !format.is_for_people()),
        }
    }

    /// Whether any session protects something.
    fn acts(&self) -> bool {
        self.sessions.iter().any(Session::acts)
    }

    /// Reports what leakwatch itself uses.
    fn report_self(
        &self,
        destinations: Destinations,
        acts: bool,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<()> {
        let (out, err) = (&mut Tolerant::new(out, acts), &mut Tolerant::new(err, acts));
        write_self_report(destinations, &self.scheduling_delay, &self.waiter, out, err)
    }

    /// Watches what the configuration says now; a bad one changes nothing.
    fn reload(
        &mut self,
        reload: &dyn Fn() -> Result<Vec<WatchOptions>>,
        out: &mut impl Write,
        err: &mut impl Write,
    ) -> Result<()> {
        let err = &mut Tolerant::new(err, true);
        let watches = reload().and_then(|watches| reload::check(&watches).map(|()| watches));
        let watches = match watches {
            Ok(watches) => watches,
            Err(error) => {
                let error = error.context("not reloaded, continuing as before");
                return Ok(messages::notes(err, &[format!("{error:#}")])?);
            }
        };
        let old = std::mem::take(&mut self.sessions);
        let (sessions, found) = reload::renew(old, watches, &self.waiter, out, err)?;
        self.sessions = sessions;
        self.found = self.found.max(found);
        self.prepare();
        self.scheduling_delay.forgive(wait::awake_s());
        Ok(())
    }

    fn stop(mut self, out: &mut impl Write, err: &mut impl Write) -> Result<Severity> {
        self.manager.stopping();
        let (destinations, acts) = (self.destinations(), self.acts());
        for session in std::mem::take(&mut self.sessions) {
            self.found = self.found.max(session.end(out, err)?);
        }
        self.report_self(destinations, acts, out, err)?;
        Ok(self.found)
    }
}

/// The session whose sample is due first.
fn first_due(sessions: &mut [Session]) -> Option<&mut Session> {
    sessions.iter_mut().min_by(|a, b| a.schedule.due_s().total_cmp(&b.schedule.due_s()))
}
