//! LiteSpeed's PHP.

use super::row::{BLANK, TERM_KILL};
use super::{FailedFork, RecognisedBy, Server, ServerSetting, Termination, WorkerPolicy};
use crate::core::model::signal::Signal;

/// A child finishes its request at USR1 and then exits; the parent forks the next when one is needed.
pub(super) static LSPHP: Server = Server {
    name: "LiteSpeed PHP",
    key: "lsphp",
    by: &[RecognisedBy::Exe(&["lsphp"]), RecognisedBy::TitleBegins(&["lsphp"])],
    verified: "source, lsapilib.c: USR1 ends the loop of a child after its request; a failed fork is logged",
    workers: WorkerPolicy::End(Termination::gently(Signal::Usr1, 60.0, TERM_KILL)),
    failed_fork: FailedFork::Survives,
    recycle: &[ServerSetting::new("LSAPI_MAX_REQS=N", "requests, in its environment", "10000")],
    cap: &[ServerSetting::new(
        "LSAPI_CHILDREN=N",
        "children, in its environment",
        "the PHP_LSAPI_CHILDREN of its external application",
    )],
    files: &[("OpenLiteSpeed", "/usr/local/lsws/conf/httpd_config.conf, extprocessor lsphp")],
    apply: "systemctl reload lsws",
    ..BLANK
};
