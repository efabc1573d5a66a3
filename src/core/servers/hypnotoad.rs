//! Servers in Perl.

use super::row::{BLANK, TERM_KILL};
use super::{FailedFork, RecognisedBy, Server, ServerSetting, Termination, WorkerPolicy};
use crate::core::model::signal::Signal;

/// Mojolicious.
pub(super) static HYPNOTOAD: Server = Server {
    name: "hypnotoad",
    key: "hypnotoad",
    by: &[RecognisedBy::Title(&["hypnotoad"])],
    verified: "source, Mojo::Server::Prefork 9.31: a worker stops gracefully at QUIT, at once at TERM; the manager dies if it cannot fork",
    workers: WorkerPolicy::End(Termination::gently(Signal::Quit, 120.0, TERM_KILL)),
    failed_fork: FailedFork::Ends("exits: the site is down"),
    recycle: &[ServerSetting::new("accepts => N", "connections", "10000")],
    cap: &[ServerSetting::new("workers => N", "workers", "4")],
    files: &[("all", "the application's own, under hypnotoad")],
    apply: "hypnotoad APP",
    ..BLANK
};

/// Starman, whose children are those of Net::Server::PreFork.
pub(super) static STARMAN: Server = Server {
    name: "Starman",
    key: "starman",
    by: &[RecognisedBy::Title(&["starman"])],
    helpers: &["master"],
    verified: "source, Net::Server::PreFork of Debian 12: HUP lets a connected child finish; the parent ends if it cannot fork",
    workers: WorkerPolicy::End(Termination::gently(Signal::Hup, 60.0, TERM_KILL)),
    failed_fork: FailedFork::Ends("exits: the site is down"),
    recycle: &[ServerSetting::new("--max-requests N", "requests", "1000")],
    cap: &[ServerSetting::new("--workers N", "workers", "5")],
    files: &[("all", "its unit's ExecStart")],
    apply: "restart its unit",
    ..BLANK
};
