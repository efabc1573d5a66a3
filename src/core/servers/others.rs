//! Others: the two rows for programs that no row names.

use super::row::BLANK;
use super::{RecognisedBy, Server, Termination, WorkerPolicy};
use crate::core::model::signal::{Signal, Step};

/// What an unknown worker gets: TERM may lose its request, so KILL follows soon after.
const TERM_FIRST: Termination =
    Termination { first: (Step::Term, Signal::Term), grace_s: 10.0, then: &[Step::Kill] };

/// A program of no other row that works as the pre-forking servers do: forks of a master that do
/// the same work.
pub static PREFORKING: Server = Server {
    name: "unknown pre-forking program",
    key: "preforking",
    by: &[RecognisedBy::Fork],
    workers: WorkerPolicy::End(TERM_FIRST),
    ..BLANK
};

/// A program of no other row: a worker only if it has siblings of its name.
pub static UNKNOWN: Server =
    Server { name: "unknown", key: "unknown", workers: WorkerPolicy::End(TERM_FIRST), ..BLANK };
