//! Mail servers, which are only reported. From their sources and manuals.

use super::row::BLANK;
use super::{RecognisedBy, Server, ServerSetting, WorkerPolicy};

/// Its master starts each process by exec; they end after max_use clients.
pub(super) static POSTFIX: Server = Server {
    name: "Postfix",
    key: "postfix",
    by: &[RecognisedBy::Dir("postfix")],
    workers: WorkerPolicy::Report(
        "it may be delivering; Postfix itself ends its processes after max_use clients",
    ),
    recycle: &[ServerSetting::new("max_use = N", "clients", "100")],
    cap: &[ServerSetting::new("default_process_limit = N", "processes of one service", "100")],
    files: &[("all", "/etc/postfix/main.cf")],
    apply: "postfix reload",
    ..BLANK
};

/// Its processes are mailbox sessions.
pub(super) static DOVECOT: Server = Server {
    name: "Dovecot",
    key: "dovecot",
    by: &[RecognisedBy::Exe(&["dovecot"]), RecognisedBy::Dir("dovecot")],
    workers: WorkerPolicy::Report("it is a user's mailbox session; limit it by vsz_limit"),
    recycle: &[ServerSetting::new(
        "service_count = N",
        "sessions, in the service's section",
        "1 or unlimited",
    )],
    cap: &[
        ServerSetting::new("process_limit = N", "processes of one service", "100; imap 1024"),
        ServerSetting::new("vsz_limit = N M", "MiB of address space, then it ends itself", "256"),
    ],
    files: &[("all", "/etc/dovecot/conf.d/10-master.conf")],
    apply: "doveadm reload",
    ..BLANK
};

/// Its processes are messages under way.
pub(super) static EXIM: Server = Server {
    name: "Exim",
    key: "exim",
    by: &[RecognisedBy::Exe(&["exim"])],
    workers: WorkerPolicy::Report("it is receiving or delivering a message"),
    cap: &[ServerSetting::new("smtp_accept_max = N", "connections at a time", "20")],
    files: &[
        ("Debian, Ubuntu", "/etc/exim4/exim4.conf.template"),
        ("RHEL family", "/etc/exim/exim.conf"),
    ],
    apply: "systemctl reload exim4 (RHEL: exim)",
    ..BLANK
};
