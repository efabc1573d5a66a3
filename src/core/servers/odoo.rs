//! Odoo with several workers.

use super::row::{BLANK, TERM_KILL};
use super::{FailedFork, RecognisedBy, Server, ServerSetting, Termination, WorkerPolicy};
use crate::core::model::signal::Signal;

/// A worker finishes its request at INT; TERM has no handler there, and the request is lost.
pub(super) static ODOO: Server = Server {
    name: "Odoo",
    key: "odoo",
    by: &[
        RecognisedBy::TitleBegins(&["odoo: ", "openerp: "]),
        RecognisedBy::Title(&["odoo", "odoo-bin", "odoo.py", "openerp-server"]),
    ],
    // The one with WebSockets, which is made by exec, and scheduled jobs, which may take an hour.
    helpers: &["gevent", "WorkerCron"],
    verified: "source, service/server.py of Odoo 11 and 17: INT sets alive = False in a worker",
    // limit_time_real, after which the master itself kills a worker.
    workers: WorkerPolicy::End(Termination::gently(Signal::Int, 120.0, TERM_KILL)),
    failed_fork: FailedFork::Ends("stops all workers and exits: the site is down"),
    recycle: &[
        ServerSetting::new("limit_request = N", "requests", "65536; 8192 before Odoo 17"),
        ServerSetting::new(
            "limit_memory_soft = N",
            "bytes of address space, checked after each request",
            "2147483648",
        ),
    ],
    cap: &[ServerSetting::new("workers = N", "workers", "0: one process with threads")],
    files: &[("all", "/etc/odoo/odoo.conf")],
    apply: "systemctl restart odoo",
    ..BLANK
};
