//! Ending by hand: the order that would end a process, and what its user must know before.

use crate::core::engine::Engine;
use crate::core::model::order::Order;
use crate::core::model::process::ProcId;
use crate::core::model::signal::Step;
use crate::core::model::units::Bytes;
use crate::report::events::sentences::WhyNotEnded;
use crate::report::words::Subject;
use std::fmt;

/// Why a process is not ended.
pub(super) struct EndRefusal {
    /// Whose refusal it is.
    pub(super) title: String,
    /// Why, with what helps.
    pub(super) why: String,
}

impl EndRefusal {
    pub(super) fn new(subject: impl fmt::Display, why: impl fmt::Display) -> Self {
        Self { title: format!("{subject} is not ended"), why: why.to_string() }
    }
}

/// The order, by the rules of every other, and what follows from it, a line each.
///
/// # Errors
/// Why the process is not ended.
pub(super) fn order(
    id: ProcId,
    engine: &Engine,
    is_dry: bool,
) -> Result<(Order, Vec<String>), EndRefusal> {
    let (policy, detector) = (engine.policy(), engine.detector());
    let state = detector.process_state(id);
    let gone = || EndRefusal::new(format!("process {}", id.pid), "it is gone");
    let s = state.ok_or_else(gone)?;
    let subject = Subject::process(s.comm, id);
    if policy.is_told_to_exit(s) {
        return Err(EndRefusal::new(subject, "it was told to exit already"));
    }
    let order = policy.order_by_hand(s, detector);
    let order = order.map_err(|why| EndRefusal::new(subject, WhyNotEnded(why)))?;

    let eligibility = policy.eligibility();
    let master = s.parent.and_then(|parent| detector.process_state(parent));
    let of = match (master, eligibility.server(id)) {
        (Some(master), Some(server)) => format!(
            "It is one of {} workers of {} ({}).",
            eligibility.pool_size(s.pool(), detector),
            Subject::process(master.comm, master.id),
            server.name
        ),
        _ if order.step == Step::Restart => {
            "It stands alone, as its unit's only process.".to_owned()
        }
        _ => "It stands alone: nothing is known to start it again.".to_owned(),
    };
    let signal = order.signal.name();
    let how = match order.step {
        Step::Restart => "systemd restarts its unit: what it does now is lost.".to_owned(),
        Step::Reload => {
            format!("At {signal} its master replaces all its workers, each after its request.")
        }
        Step::Gentle => format!("At {signal} it finishes the request under way, then exits."),
        Step::Term | Step::Kill => format!("{signal} ends it at once: what it does now is lost."),
    };
    let gives = format!(
        "Its end gives back about {} of {}.",
        Bytes(order.expected),
        Bytes(order.footprint)
    );
    let mut lines =
        vec![of, how, gives, "If it stays all the same, nothing harder follows.".to_owned()];
    if is_dry {
        lines.push("This is a dry run: nothing is sent.".to_owned());
    }
    Ok((order, lines))
}
