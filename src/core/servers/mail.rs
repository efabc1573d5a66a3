//! Mail servers, which are only reported. From their sources and manuals.

use super::row::BLANK;
use super::{RecognisedBy, Server, ServerSetting, WorkerPolicy};

/// Its master starts each process by exec; they end after max_use clients.
pub(super) static POSTFIX: Server = Server {
    name: "Postfix",
    key: "postfix",
    verified: "source and manual",
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
    verified: "source and manual",
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
    verified: "source and manual",
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

/// Its processes are messages under way, and the queue's runs.
pub(super) static SENDMAIL: Server = Server {
    name: "sendmail",
    key: "sendmail",
    by: &[
        RecognisedBy::Exe(&["sendmail-mta", "sendmail.sendmail", "sendmail-msp", "sendmail"]),
        RecognisedBy::TitleBegins(&["sendmail: "]),
    ],
    verified: "manual, sendmail 8.17",
    workers: WorkerPolicy::Report("it is receiving or delivering a message"),
    cap: &[ServerSetting::new("O MaxDaemonChildren=N", "children", "none")],
    files: &[("all", "/etc/mail/sendmail.mc, as confMAX_DAEMON_CHILDREN")],
    apply: "make -C /etc/mail && systemctl restart sendmail",
    ..BLANK
};

/// Its processes are mailbox sessions; idle ones are used again.
pub(super) static CYRUS: Server = Server {
    name: "Cyrus IMAP",
    key: "cyrus",
    by: &[
        RecognisedBy::Dir("cyrus"),
        RecognisedBy::Dir("cyrus-imapd"),
        RecognisedBy::Exe(&["cyrmaster"]),
    ],
    verified: "manual, Cyrus 3.6",
    workers: WorkerPolicy::Report("it is a user's mailbox session or a delivery"),
    recycle: &[ServerSetting::new("-U N", "sessions, an option of the service's cmd", "250")],
    cap: &[ServerSetting::new("maxchild=N", "processes of one service", "none")],
    files: &[("all", "/etc/cyrus.conf")],
    apply: "systemctl restart cyrus-imapd",
    ..BLANK
};

/// Other mail servers, and the filters that mail passes.
pub(super) static MAIL: Server = Server {
    name: "mail server or filter",
    key: "mail",
    by: &[
        RecognisedBy::Exe(&[
            "courierd",
            "couriertcpd",
            "imapd",
            "pop3d",
            "authdaemond",
            "opensmtpd",
            "qmail-send",
            "qmail-smtpd",
            "qmail-remote",
            "qmail-local",
            "tcpserver",
            "clamd",
            "rspamd",
            "opendkim",
            "opendmarc",
            "postgrey",
            "dspam",
            "mimedefang",
            "mimedefang-multiplexor",
            "stalwart",
            "maddy",
            "fetchmail",
            "getmail",
        ]),
        RecognisedBy::Dir("courier"),
        RecognisedBy::Dir("opensmtpd"),
        RecognisedBy::TitleBegins(&["spamd child", "amavisd (", "rspamd: ", "MailScanner: "]),
        RecognisedBy::Title(&[
            "spamd",
            "amavisd",
            "amavisd-new",
            "MailScanner",
            "postgrey",
            "policyd-spf",
            "mimedefang.pl",
        ]),
    ],
    verified: "manuals",
    workers: WorkerPolicy::Report(
        "it may have a message; such a server limits the messages of a process itself (amavisd: $max_requests, spamd: --max-conn-per-child)",
    ),
    ..BLANK
};
