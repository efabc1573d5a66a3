//! uWSGI.

use super::advice::{
    Advice, ConfigSyntax, Environment, IniFile, LONG_LIFE_S, ReloadCopies, StatusProtocol,
};
use super::row::{BLANK, TERM_KILL};
use super::{FailedFork, PidInLog, RecognisedBy, Server, ServerSetting, Termination, WorkerPolicy};
use crate::core::model::signal::Signal;

/// Tried under load with uWSGI 2.0. TERM, INT and QUIT lose the request. If more workers die at
/// once than it has, its master sleeps for 2 s.
pub(super) static UWSGI: Server = Server {
    name: "uwsgi",
    key: "uwsgi",
    verified: "tried under load, uWSGI 2.0",
    by: &[
        RecognisedBy::Exe(&["uwsgi", "uwsgi-core", "uwsgi_python", "uwsgi-python", "pyuwsgi"]),
        RecognisedBy::Title(&["uwsgi", "pyuwsgi"]),
        RecognisedBy::TitleBegins(&["uWSGI worker ", "uWSGI master"]),
    ],
    helpers: &[
        "uWSGI http",
        "uWSGI master",
        "uWSGI mule",
        "uWSGI spooler",
        "uWSGI cheaper",
        "router",
        "emperor",
    ],
    workers: WorkerPolicy::End(Termination::gently(Signal::Hup, 60.0, TERM_KILL)),
    failed_fork: FailedFork::Ends("serves on and leaves that worker's place empty for good"),
    recycle: &[
        ServerSetting::new("max-requests = N", "requests", "0: never"),
        ServerSetting::new("reload-on-rss = N", "MiB of RSS, checked after each request", "none"),
    ],
    cap: &[ServerSetting {
        aliases: &["-p", "workers"],
        ..ServerSetting::new("processes = N", "workers", "1")
    }],
    files: &[
        ("Debian, Ubuntu", "/etc/uwsgi/apps-enabled/APP.ini"),
        ("RHEL family", "/etc/uwsgi.d/APP.ini"),
    ],
    apply: "kill -HUP MASTER",
    status: Some(StatusProtocol::UwsgiStats),
    advice: Some(&Advice {
        syntax: ConfigSyntax::Ini(IniFile {
            short_option: "",
            long_option: "--ini",
            also: &[
                "--yaml",
                "--yml",
                "-y",
                "--json",
                "-j",
                "--xml",
                "-x",
                "--config",
                "--ini-paste",
            ],
            section: "uwsgi",
            include: "",
            status_address: &["stats", "stats-server"],
            status_path: "",
            logs: &["logto", "daemonize"],
            reload_patience: "",
        }),
        jitter: None,
        environment: Some(Environment::Prefix("UWSGI_")),
        counts_connections: false,
        one_request_per_connection: true,
        least_life_s: LONG_LIFE_S,
        replacement_cost: "each new one loads the whole application",
        waits_per_request: 3.0,
        wakes_all_workers: false,
        count_requests: "set `stats = 127.0.0.1:9191`, restart, and run this again",
        pid_in_log: Some(&PidInLog {
            // Its own format begins with the pid.
            settings: &["log-format", "logformat"],
            pids: &["%(pid)"],
            default: "",
            how: "set logto = FILE, without disable-logging",
            apply: &[],
            note: None,
        }),
        reload_copies: ReloadCopies::Shared,
        apply: &["kill -HUP {master}"],
    }),
    ..BLANK
};
