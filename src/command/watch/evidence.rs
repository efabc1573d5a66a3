//! Evidence: hands to a helper what it needs to keep evidence of the processes that are ordered to end.
//!
//! It is told after the signal was sent. To send a message takes memory of the kernel's, and when there is
//! none the kernel may look for some for seconds: no order waits for that. For a process that is gone at
//! once the helper has what it read before: it hears of each process that grows, and looks at it
//! meanwhile.

use crate::command::evidence::{CALM, ENDANGERED, Orders};
use crate::core::engine::Engine;
use crate::core::model::event::{Event, Severity};
use crate::core::model::verdict::FindingScope;
use crate::report::events::{EventFormat, write_event};
use crate::report::explain::{self, ExplainedAt};
use crate::report::words::Style;
use crate::store::evidence::EvidenceDirectory;
use crate::system::channel::LONGEST;
use crate::system::helper::{Duty, StandingBy};
use anyhow::{Error, Result, anyhow};
use std::io::{self, ErrorKind};
use std::path::Path;

const STYLE: Style = Style { colour: false, dry_run: false };

/// The helper, as the watch sees it.
pub(super) struct EvidenceKeeper {
    helper: Option<StandingBy>,
    /// Set aside, so that a message takes no memory.
    message: Vec<u8>,
    is_stuck: bool,
    is_endangered: bool,
}

impl EvidenceKeeper {
    /// Starts the helper, which keeps evidence below `dir`; within, what keeps it from that and is no
    /// mistake in the options.
    ///
    /// # Errors
    /// There is no such directory, nor can it be made, or others may write to it.
    pub(super) fn start(dir: &Path, is_quiet: bool) -> Result<Result<Self, Error>> {
        let directory = match EvidenceDirectory::open(dir) {
            // A full disk is no reason to protect nothing.
            Err(error) if !error.is_mistake => return Ok(Err(error.into())),
            opened => opened?,
        };
        let started = || {
            let helper = StandingBy::start(Duty::Evidence).map_err(Error::msg)?;
            let orders = Orders { dir: dir.to_owned(), is_quiet };
            let orders = serde_json::to_vec(&orders)?;
            if let Some(channel) = helper.channel() {
                channel.send(&orders, Some(directory.fd()))?;
            }
            let message = Vec::with_capacity(LONGEST);
            let helper = Some(helper);
            Ok(Self { helper, message, is_stuck: false, is_endangered: false })
        };
        Ok(started().map_err(|error: Error| anyhow!("no evidence is kept: {error:#}")))
    }

    /// Tells of what changed with a sample about single processes, `failed` included; returns what is wrong
    /// with the helper, once.
    pub(super) fn tell(
        &mut self,
        t: f64,
        engine: &Engine,
        failed: Option<Event>,
    ) -> Option<&'static str> {
        let mut problem = None;
        for event in engine.assessment().events().chain(failed) {
            if self.write(t, &event, engine).is_ok_and(|is_told| is_told) {
                problem = self.send().or(problem);
            }
        }
        let is_endangered = engine.status() == Severity::Critical;
        if self.is_endangered != is_endangered {
            self.message.clear();
            self.message.push(if is_endangered { ENDANGERED } else { CALM });
            problem = self.send().or(problem);
            self.is_endangered = is_endangered;
        }
        problem
    }

    /// Writes a message of an event: a line of JSON, one of text, and why; whether it is worth one.
    fn write(&mut self, t: f64, event: &Event, engine: &Engine) -> io::Result<bool> {
        let of_process = |scope: &FindingScope| *scope == FindingScope::Process;
        let (id, is_explained) = match event {
            Event::Growing(finding) | Event::Leak(finding) if of_process(&finding.scope) => {
                (finding.id, true)
            }
            Event::Order(order) => (order.victim, true),
            Event::SignalFailed { order, .. } => (order.victim, false),
            Event::Outcome(outcome) => (outcome.order.victim, false),
            Event::Regretted(regret) => (regret.order.victim, false),
            Event::VerdictCleared { id, scope, .. } if of_process(scope) => (*id, false),
            _ => return Ok(false),
        };
        let (out, names) = (&mut self.message, engine.names());
        out.clear();
        write_event(out, t, event, names, EventFormat::Json, STYLE)?;
        let json = out.len();
        write_event(out, t, event, names, EventFormat::Text, STYLE)?;
        if out.len() == json {
            out.push(b'\n');
        }
        let explanation = engine.detector().explain(id).filter(|_| is_explained);
        if let Some(explanation) = explanation {
            explain::write(out, t, ExplainedAt::Now, &explanation, STYLE)?;
        }
        out.truncate(LONGEST);
        Ok(true)
    }

    /// Sends the message without waiting; returns what is wrong, once.
    fn send(&mut self) -> Option<&'static str> {
        let sent = self.helper.as_ref()?.channel()?.send(&self.message, None);
        match sent.map_err(|error| error.kind()) {
            Ok(()) => {
                self.is_stuck = false;
                None
            }
            Err(ErrorKind::WouldBlock | ErrorKind::OutOfMemory) => {
                let was_stuck = std::mem::replace(&mut self.is_stuck, true);
                (!was_stuck)
                    .then_some("the helper that keeps evidence is too slow; evidence is lost")
            }
            Err(_) => {
                self.helper = None;
                Some("the helper that keeps evidence has died; no more is kept")
            }
        }
    }
}
