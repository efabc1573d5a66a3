//! unicorn.

use super::row::{BLANK, TERM_KILL};
use super::{FailedFork, RecognisedBy, Server, ServerSetting, Termination, WorkerPolicy};
use crate::core::model::signal::Signal;

/// Tried under load with unicorn 6.0. TERM and INT end a worker at once; HUP and WINCH are ignored,
/// USR1 reopens logs. Workers of Rainbows, its sibling, exit after their request at QUIT (its SIGNALS
/// document; requests deferred by EventMachine since 5.1).
pub(super) static UNICORN: Server = Server {
    name: "unicorn",
    key: "unicorn",
    verified: "tried under load, unicorn 6.0; Rainbows by its document",
    by: &[RecognisedBy::Title(&["unicorn", "unicorn_rails", "rainbows"])],
    workers: WorkerPolicy::End(Termination::gently(Signal::Quit, 60.0, TERM_KILL)),
    failed_fork: FailedFork::Ends("exits: the site is down"),
    // No setting recycles workers: the gem unicorn-worker-killer ends them by requests or size.
    cap: &[ServerSetting::new("worker_processes N", "workers", "1")],
    files: &[("all", "config/unicorn.rb of the application")],
    apply: "kill -HUP MASTER",
    ..BLANK
};
