//! Remedy: what bounds a service's leak: settings with values, the change as a diff, how to apply it.
//!
//! A service whose server's settings are known gets it in four steps: compute the values, place the
//! edits, say what applies them, note what else matters. All that differs from server to server is
//! data of its [`Advice`]. Any other service gets a memory limit of its own.

mod apply;
mod compute;
mod drop_in;
mod edits;
mod log_format;
mod notes;

pub(super) use self::log_format::{names_pid, pid_in_log};

use self::compute::Proposal;
use self::edits::Planned;
use super::services::service::{Service, ServiceVerdict};
use crate::core::model::process::ProcId;
use crate::core::servers::{Advice, Server};
use crate::diagnose::advice::diff::applied;
use crate::diagnose::advice::{Inputs, Values};
use crate::diagnose::findings::Setup;
use crate::diagnose::work_readings::WorkReadings;

/// What bounds a leak.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// The service's name.
    pub service: String,
    /// The top of its largest tree: names may be shared.
    pub root: Option<ProcId>,
    /// The settings that change.
    pub changes: Vec<Change>,
    /// What the values were computed from, if they were.
    pub computed: Option<(Inputs, Values)>,
    /// Its server, where the server's settings are known.
    pub server: Option<&'static Server>,
    /// How many waits are taken for a request, where requests could not be counted.
    pub guessed_waits: Option<f64>,
    /// Why something is proposed.
    pub reason: RemedyReason,
    /// The changes as one unified diff; empty where there is no file to change.
    pub diff: String,
    /// What to type to check them and put them into force.
    pub apply: String,
    /// What else matters, in order.
    pub notes: Vec<String>,
}

/// Why something is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemedyReason {
    /// It leaks, and the leak per request was measured.
    Measured,
    /// It leaks, and its settings already end its workers before memory does. The one change that is
    /// listed changes nothing.
    Bounded,
    /// It leaks; how much a request leaks is not known.
    Unmeasured,
    /// As many workers as are allowed would not fit into memory, leak or no leak.
    TooMany,
    /// Which request leaks cannot be told, since its access log does not name the workers' pids.
    NoPidInLog,
}

/// A file and, if the setting stands there already, its line.
pub type InFile = (String, Option<usize>);

/// A setting that changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its name.
    pub name: &'static str,
    /// Its value now.
    pub was: u64,
    /// Its value then.
    pub now: u64,
    /// Where it is changed.
    pub file: Option<InFile>,
    /// What computes its value now, where that is not known for certain.
    pub computed: Option<String>,
}

/// What bounds the leak of a service that may have `memory` bytes.
pub(super) fn of(
    service: &Service,
    setup: Option<&Setup>,
    readings: Option<&WorkReadings>,
    memory: f64,
) -> Option<Remedy> {
    match setup {
        Some(setup) => {
            let advice = setup.server.advice?;
            AdvisedService { service, setup, advice, readings }.remedy(memory)
        }
        None if matches!(service.verdict, ServiceVerdict::Leaks | ServiceVerdict::Grows) => {
            Some(drop_in::of_unit(service)).filter(|remedy| !remedy.notes.is_empty())
        }
        None => None,
    }
}

impl Remedy {
    /// The files of a setup as its diff makes them; none where it changes no such file.
    pub(super) fn changed_files(&self, setup: &Setup) -> Option<Vec<(String, String)>> {
        let files = setup.files.iter();
        let changed = files.filter(|(file, _)| self.diff.contains(&format!("\n+++ {file}\n")));
        let changed = changed.map(|(file, text)| {
            // One that does not fit leaves the text as it was, which then gives other values.
            (file.clone(), applied(file, text, &self.diff).unwrap_or_else(|| text.clone()))
        });
        Some(changed.collect::<Vec<_>>()).filter(|changed| !changed.is_empty())
    }

    /// Whether a setup has the values that it proposes in files.
    pub(super) fn is_in_force(&self, setup: &Setup) -> bool {
        let settings = || [Some(&setup.recycle), setup.jitter.as_ref(), Some(&setup.cap)];
        self.changes.iter().filter(|change| change.file.is_some()).all(|change| {
            let mut settings = settings().into_iter().flatten();
            settings.any(|of| {
                of.name() == change.name && of.value == change.now && of.computed.is_none()
            })
        })
    }

    /// Proposes its values without a diff.
    pub(super) fn take_diff_back(&mut self) {
        self.diff.clear();
        self.apply.clear();
        self.notes.push(
            "no diff: read again with it, the configuration has other values, so change it by hand"
                .to_owned(),
        );
    }

    /// Whether it bounds something.
    pub fn bounds(&self) -> bool {
        self.reason != RemedyReason::NoPidInLog
    }

    /// One that changes nothing yet.
    fn blank(service: &Service, reason: RemedyReason) -> Self {
        Self {
            service: service.name.clone(),
            root: service.roots.first().copied(),
            changes: Vec::new(),
            computed: None,
            server: None,
            guessed_waits: None,
            reason,
            diff: String::new(),
            apply: String::new(),
            notes: Vec::new(),
        }
    }
}

/// A service whose server's settings are known.
struct AdvisedService<'a> {
    service: &'a Service,
    setup: &'a Setup,
    advice: &'static Advice,
    readings: Option<&'a WorkReadings>,
}

impl AdvisedService<'_> {
    fn remedy(&self, memory: f64) -> Option<Remedy> {
        let proposal = self.compute(memory)?;
        let planned = self.plan(&proposal);
        if planned.is_empty() {
            return None;
        }
        let (changes, diff) = self.edit(&planned);
        let mut remedy = Remedy {
            changes,
            computed: proposal.computed,
            server: Some(self.setup.server),
            guessed_waits: proposal.guessed_waits,
            diff,
            ..Remedy::blank(self.service, proposal.reason)
        };
        if proposal.reason != RemedyReason::Bounded {
            self.add_command(&mut remedy, &planned);
            self.add_notes(&mut remedy, &proposal, &planned);
        }
        Some(remedy)
    }

    /// What applies the diff; where there is no file to change, a drop-in or a command line instead.
    fn add_command(&self, remedy: &mut Remedy, planned: &[Planned<'_>]) {
        if !remedy.diff.is_empty() {
            remedy.apply = self.apply();
            remedy.notes.extend(self.note_typed(planned));
        } else if let Some((diff, apply)) = self.by_environment(planned) {
            (remedy.diff, remedy.apply) = (diff, apply);
        } else if let Some(note) = self.note_command_line(planned) {
            remedy.notes.push(note);
        } else {
            remedy.apply = self.apply();
        }
    }

    fn add_notes(&self, remedy: &mut Remedy, proposal: &Proposal, planned: &[Planned<'_>]) {
        remedy.notes.extend(self.note_guess(proposal));
        remedy.notes.extend(self.end_one_by_one(&mut remedy.apply));
        remedy.notes.extend(self.note_connections(planned));
        remedy.notes.extend_from_slice(&self.setup.warnings);
        remedy.notes.extend(self.setup.notes.iter().map(|note| format!("not read: {note}")));
    }

    /// Its workers, at least one.
    fn workers(&self) -> u64 {
        u64::from(self.service.workers.max(1))
    }

    /// The master's pid.
    fn master(&self) -> u32 {
        let master = self.readings.map(|readings| &readings.master);
        master.or(self.service.roots.first()).map_or(0, |id| id.pid)
    }
}

#[cfg(test)]
mod tests;
