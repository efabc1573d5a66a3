//! pitchfork.

use super::row::{BLANK, TERM_KILL};
use super::{FailedFork, RecognisedBy, Server, ServerSetting, Termination, WorkerPolicy};
use crate::core::model::signal::Signal;

/// unicorn's successor, whose workers are forked by a mold that serves no requests itself.
pub(super) static PITCHFORK: Server = Server {
    name: "pitchfork",
    key: "pitchfork",
    by: &[RecognisedBy::Title(&["pitchfork"])],
    helpers: &["mold", "service"],
    verified: "its manual, docs/SIGNALS.md: at QUIT a worker finishes its request",
    workers: WorkerPolicy::End(Termination::gently(Signal::Quit, 60.0, TERM_KILL)),
    // Not read: so as unicorn's, whose code it is.
    failed_fork: FailedFork::Ends("may exit: the site is down"),
    recycle: &[ServerSetting::new(
        "refork_after [N]",
        "requests, then all workers are forked anew",
        "none",
    )],
    cap: &[ServerSetting::new("worker_processes N", "workers", "1")],
    files: &[("all", "config/pitchfork.conf.rb of the application")],
    apply: "kill -USR1 MASTER",
    ..BLANK
};
