//! Others: the two rows for programs that no row names.

use super::row::BLANK;
use super::{RecognisedBy, Server, Termination, WorkerPolicy};
use crate::core::model::signal::{Signal, Step};

/// What an unknown worker gets: TERM. One that ignores it may have a reason, so no KILL follows.
const TERM_FIRST: Termination =
    Termination { first: (Step::Term, Signal::Term), grace_s: 10.0, then: &[] };

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
