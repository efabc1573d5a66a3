//! SIP servers.

use super::row::BLANK;
use super::{RecognisedBy, Server, ServerSetting, WorkerPolicy};

/// The children share their locks and dialogs, and the main process stops all when one has ended.
pub(super) static KAMAILIO: Server = Server {
    name: "Kamailio, OpenSIPS",
    key: "kamailio",
    by: &[RecognisedBy::Exe(&["kamailio", "opensips", "openser", "ser"])],
    verified: "run, Kamailio 5.6: after TERM to a child the main process ended all others and itself",
    workers: WorkerPolicy::Report(
        "its main process stops the whole service when a child ends; restart its unit at a quiet hour",
    ),
    cap: &[ServerSetting::new("children=N", "processes of each socket", "8")],
    files: &[("all", "/etc/kamailio/kamailio.cfg")],
    apply: "kamailio -c && systemctl restart kamailio",
    ..BLANK
};
