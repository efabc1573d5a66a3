//! Sessions, jobs and what starts them: only reported, since nothing would start them again. From
//! their manuals.

use super::row::BLANK;
use super::{RecognisedBy, Server, ServerSetting, WorkerPolicy};

/// OpenSSH.
pub(super) static SSHD: Server = Server {
    name: "sshd",
    key: "sshd",
    verified: "manual",
    by: &[RecognisedBy::Exe(&["sshd", "sshd-session", "sshd-auth", "dropbear"])],
    runs_others: true,
    workers: WorkerPolicy::Report("it is a user's session; end it yourself if it must go"),
    cap: &[ServerSetting::new("MaxStartups N", "connections not logged in yet", "10:30:100")],
    files: &[("all", "/etc/ssh/sshd_config")],
    apply: "systemctl reload ssh (RHEL, SUSE: sshd)",
    ..BLANK
};

/// FTP servers; of pure-ftpd its source was read.
pub(super) static FTPD: Server = Server {
    name: "FTP server",
    key: "ftpd",
    verified: "manuals; source of pure-ftpd",
    by: &[RecognisedBy::Exe(&[
        "pure-ftpd",
        "pure-ftpd-mysql",
        "pure-ftpd-postgresql",
        "pure-ftpd-ldap",
        "vsftpd",
        "proftpd",
        "ftpd",
        "in.ftpd",
        "sftpgo",
    ])],
    workers: WorkerPolicy::Report("it is a user's transfer; end it yourself if it must go"),
    cap: &[ServerSetting::new(
        "MaxClientsNumber N",
        "sessions; of pure-ftpd (vsftpd: max_clients, proftpd: MaxInstances)",
        "50",
    )],
    files: &[
        ("Debian, Ubuntu", "/etc/pure-ftpd/conf/MaxClientsNumber"),
        ("others", "/etc/pure-ftpd/pure-ftpd.conf"),
    ],
    apply: "restart its unit",
    ..BLANK
};

/// Names of what runs jobs at set times; CROND is the name of a child of crond.
pub(super) const CRON_NAMES: &[&str] =
    &["cron", "crond", "atd", "anacron", "fcron", "cronie", "CROND"];

/// What runs jobs at set times.
pub(super) static CRON: Server = Server {
    name: "cron",
    key: "cron",
    verified: "manuals",
    by: &[RecognisedBy::Exe(CRON_NAMES)],
    runs_others: true,
    workers: WorkerPolicy::Report("it is a job, which would not start again before its next time"),
    ..BLANK
};

/// supervisord leaves a program down ("FATAL state") that ends four times in quick succession.
pub(super) static SUPERVISOR: Server = Server {
    name: "supervisord",
    key: "supervisord",
    verified: "manual",
    by: &[
        RecognisedBy::Title(&["supervisord"]),
        RecognisedBy::Exe(&["supervisord", "runsvdir", "runsv", "s6-supervise"]),
    ],
    runs_others: true,
    workers: WorkerPolicy::Report("it is a service; `supervisorctl restart NAME` restarts it"),
    ..BLANK
};

/// What shows somebody a page, a desktop or an administration: each child is what one person looks at.
pub(super) static INTERACTIVE: Server = Server {
    name: "interactive program",
    key: "interactive",
    verified: "manuals",
    by: &[
        RecognisedBy::Exe(&[
            "chrome",
            "chromium",
            "chromium-browser",
            "chrome-headless-shell",
            "headless_shell",
            "msedge",
            "firefox",
            "firefox-esr",
            "firefox-bin",
            "electron",
            "guacd",
            "x11vnc",
            "Xtigervnc",
            "xrdp-chansrv",
            "xrdp-sesexec",
            "shellinaboxd",
            "Rserve",
        ]),
        RecognisedBy::Title(&["miniserv.pl"]),
    ],
    workers: WorkerPolicy::Report(
        "it is a page, a desktop or a session that somebody looks at; end it yourself if it must go",
    ),
    ..BLANK
};

/// What people and containers run programs by. `sudo leakwatch -p bash` must end no shell.
pub(super) static SESSION: Server = Server {
    name: "session",
    key: "session",
    verified: "manuals",
    by: &[RecognisedBy::Exe(&[
        "bash",
        "sh",
        "dash",
        "zsh",
        "fish",
        "ksh",
        "busybox",
        "su",
        "sudo",
        "doas",
        "tmux",
        "screen",
        "login",
        "agetty",
        "getty",
        "systemd",
        "init",
        "containerd-shim",
        "containerd-shim-runc-v",
        "runc",
        "conmon",
        "dockerd",
        "lxc-start",
        "podman",
        "docker-containerd-shim",
        "tini",
        "dumb-init",
        "xinetd",
        "inetd",
        "mosh-server",
        "telnetd",
        "in.telnetd",
        "xrdp",
        "xrdp-sesman",
        "Xvnc",
        "Xorg",
        "gdm",
        "gdm3",
        "sddm",
        "lightdm",
        "rserver",
        "rsession",
        "ttyd",
    ])],
    runs_others: true,
    workers: WorkerPolicy::Report(
        "it is a user's session or runs other programs; end it yourself if it must go",
    ),
    ..BLANK
};
