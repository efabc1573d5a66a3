//! nginx.

use super::row::{BLANK, TERM_KILL};
use super::{FailedFork, RecognisedBy, Server, ServerSetting, Termination, WorkerPolicy};
use crate::core::model::signal::Signal;

/// Tried under load with nginx 1.22. HUP and USR2 are ignored, WINCH ends in an abort.
pub(super) static NGINX: Server = Server {
    name: "nginx",
    key: "nginx",
    verified: "tried under load, nginx 1.22; angie and the other forks by their sources",
    by: &[
        RecognisedBy::Exe(&[
            "nginx",
            "angie",
            "freenginx",
            "openresty",
            "tengine",
            "nginx-debug",
            "angie-debug",
            "sw-cp-serverd",
        ]),
        RecognisedBy::TitleBegins(&["nginx: ", "angie: "]),
    ],
    helpers: &["cache manager process", "cache loader process", "privileged agent process"],
    workers: WorkerPolicy::End(Termination::gently(Signal::Quit, 60.0, TERM_KILL)),
    failed_fork: FailedFork::Ends("does not replace that worker, also not later; reload it"),
    // No setting recycles workers: only a reload replaces them.
    cap: &[ServerSetting::new("worker_processes N;", "workers", "1; auto in most packages")],
    files: &[("all", "/etc/nginx/nginx.conf")],
    apply: "nginx -t && nginx -s reload",
    ..BLANK
};
