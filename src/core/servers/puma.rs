//! puma.

use super::row::BLANK;
use super::{
    FailedFork, RecognisedBy, Server, ServerSetting, StatusProtocol, Termination, WorkerPolicy,
};
use crate::core::model::signal::{Signal, Step};

/// Tried under load with puma 5.6. INT, QUIT, HUP, USR1 and WINCH do nothing. With fork_worker,
/// worker 0 is the others' parent.
pub(super) static PUMA: Server = Server {
    name: "puma",
    key: "puma",
    verified: "tried under load, puma 5.6",
    by: &[RecognisedBy::Title(&["puma"])],
    workers: WorkerPolicy::End(Termination::gently(Signal::Term, 35.0, &[Step::Kill])),
    failed_fork: FailedFork::Ends("exits: the site is down"),
    // No setting recycles workers: the gem puma_worker_killer restarts them by size or age.
    cap: &[ServerSetting::new("workers N", "workers", "0: no cluster")],
    files: &[("all", "config/puma.rb of the application")],
    apply: "kill -USR1 MASTER",
    status: Some(StatusProtocol::PumaControl),
    ..BLANK
};
