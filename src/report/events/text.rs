//! The line of an event for people: the time, one word for what it is, its subject, and a sentence.
//!
//! A line can be read without colour. Names are escaped by [`Comm`](crate::core::model::process::Comm).

use super::sentences::Sentence;
use crate::core::model::event::Event;
use crate::core::model::order::{Order, Outcome, Regret};
use crate::core::model::verdict::{ClearedReason, Finding};
use crate::core::unit_names::UnitNames;
use crate::report::words::{GREEN, RED, RESET, Style, Subject, TimeOfDay, YELLOW};
use std::io::{self, Write};

/// Writes one event as one line.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_event(
    out: &mut impl Write,
    t: f64,
    event: &Event,
    names: &UnitNames,
    style: Style,
) -> io::Result<()> {
    if is_covered_elsewhere(event) {
        return Ok(());
    }
    write!(out, "{}  ", TimeOfDay(t))?;
    write_message(out, event, names, style)
}

/// Whether another line says the same: FORECAST, or OUTCOME.
fn is_covered_elsewhere(event: &Event) -> bool {
    matches!(
        event,
        Event::Leak(Finding { is_update: true, .. })
            | Event::Growing(Finding { is_update: true, .. })
            | Event::VerdictCleared { why: ClearedReason::Ended, .. }
    )
}

/// Writes the line without the time, for where each line gets one anyway.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_message(
    out: &mut impl Write,
    event: &Event,
    names: &UnitNames,
    style: Style,
) -> io::Result<()> {
    if is_covered_elsewhere(event) {
        return Ok(());
    }
    let (word, colour) = match event {
        Event::Outcome(_) => ("OUTCOME", GREEN),
        Event::Order(_) if style.dry_run => ("DRY RUN", RED),
        Event::Order(_) => ("ORDER", RED),
        Event::SignalFailed { .. } => ("FAILED", RED),
        Event::NotEnded { .. } => ("SPARED", RED),
        Event::Regretted(_) => ("REGRET", YELLOW),
        Event::Leak(_) => ("LEAK", RED),
        Event::Forecast { .. } => ("FORECAST", YELLOW),
        Event::Growing(_) => ("GROWING", YELLOW),
        Event::VerdictCleared { .. } | Event::ForecastCleared { .. } => ("CLEARED", GREEN),
        Event::MemoryFailure(_) => ("FAILING", RED),
    };
    let (on, off) = if style.colour { (colour, RESET) } else { ("", "") };
    let sentence = Sentence(event, names);
    let mut who = subject(event).map_or("machine".to_owned(), |subject| subject.to_string());
    if let Some(name) = event.subject().and_then(|id| names.of(id))
        && who != "machine"
    {
        who.push_str(&format!(" of {name}"));
    }
    writeln!(out, "{on}{word:<8}{off}  {who:<18}  {sentence}")
}

/// The process or tree that an event is about; none where it is the machine.
fn subject(event: &Event) -> Option<Subject> {
    Some(match *event {
        Event::Growing(Finding { id, comm, scope, .. })
        | Event::Leak(Finding { id, comm, scope, .. })
        | Event::VerdictCleared { id, comm, scope, .. } => Subject::of(comm, id, scope),
        Event::Forecast { root, comm, .. } | Event::ForecastCleared { root, comm, .. } => {
            Subject::tree(comm, root?)
        }
        Event::MemoryFailure(_) => return None,
        Event::NotEnded { id, comm, .. } => Subject::process(comm, id),
        Event::Order(Order { victim, comm, .. })
        | Event::Outcome(Outcome { order: Order { victim, comm, .. }, .. })
        | Event::Regretted(Regret { order: Order { victim, comm, .. }, .. })
        | Event::SignalFailed { order: Order { victim, comm, .. }, .. } => {
            Subject::process(comm, victim)
        }
    })
}
