//! HAProxy.

use super::row::BLANK;
use super::{RecognisedBy, Server, ServerSetting, WorkerPolicy};
use crate::core::model::signal::Signal;

/// Its one worker is the service: the master exits once that has ended, whatever the signal ("All
/// workers exited").
pub(super) static HAPROXY: Server = Server {
    name: "HAProxy",
    key: "haproxy",
    by: &[RecognisedBy::Exe(&["haproxy", "hapee-lb"])],
    verified: "run, HAProxy 2.6 with -W: after USR2 to the master a request of 4 s was answered; after USR1 to the worker the master exited",
    workers: WorkerPolicy::Reload(
        Signal::Usr2,
        "its master stops the service when a worker ends; `systemctl reload haproxy` replaces it gently, and so does leakwatch with --reload",
    ),
    cap: &[ServerSetting::new("maxconn N", "connections, each with two buffers", "by its limits")],
    files: &[("all", "/etc/haproxy/haproxy.cfg")],
    apply: "haproxy -c -f /etc/haproxy/haproxy.cfg && systemctl reload haproxy",
    ..BLANK
};
