//! php-fpm, PHP's FastCGI process manager.

use super::advice::{Advice, ConfigSyntax, IniFile, ReloadCopies, SHORT_LIFE_S, StatusProtocol};
use super::row::{BLANK, TERM_KILL};
use super::{FailedFork, PidInLog, RecognisedBy, Server, ServerSetting, Termination, WorkerPolicy};
use crate::core::model::signal::Signal;

/// The default, with the URI in place of the script, which is one for all paths of most applications (tried with
/// 8.2), and with the pid before both, where nothing that a client sends can move it.
const ACCESS_FORMAT: &str = r#"access.format = "%R - %u %t %p \"%m %{REQUEST_URI}e\" %s""#;

/// Tried under load with php-fpm 8.2. USR1, HUP, INT and TERM all end a worker at once: nginx then
/// answers 502.
pub(super) static PHP_FPM: Server = Server {
    name: "php-fpm",
    key: "php-fpm",
    verified: "tried under load, php-fpm 8.2",
    by: &[
        RecognisedBy::Exe(&["php-fpm", "php5-fpm", "php7-fpm", "sw-engine-fpm", "php-fpm-"]),
        RecognisedBy::TitleBegins(&["php-fpm: pool ", "php-fpm: master process"]),
    ],
    pool_title: "php-fpm: pool ",
    workers: WorkerPolicy::End(Termination::gently(Signal::Quit, 60.0, TERM_KILL)),
    failed_fork: FailedFork::Survives,
    recycle: &[ServerSetting::new("pm.max_requests = N", "requests", "0: never")],
    cap: &[ServerSetting::new(
        "pm.max_children = N",
        "workers of one pool",
        "5 in Debian's file, 50 in RHEL's",
    )],
    files: &[
        ("Debian, Ubuntu", "/etc/php/VERSION/fpm/pool.d/www.conf"),
        ("RHEL family", "/etc/php-fpm.d/www.conf"),
        ("SUSE", "/etc/php8/fpm/php-fpm.d/www.conf"),
    ],
    apply: "systemctl reload php-fpm (Debian: php8.2-fpm)",
    status: Some(StatusProtocol::FpmStatus),
    advice: Some(&Advice {
        syntax: ConfigSyntax::Ini(IniFile {
            short_option: "-y",
            long_option: "--fpm-config",
            also: &[],
            section: "",
            include: "include",
            status_address: &["pm.status_listen", "listen"],
            status_path: "pm.status_path",
            logs: &["error_log"],
            // Of 160 requests of 0.2 s, 20 a second, one reload without it cost 5, with 10s none.
            reload_patience: "process_control_timeout",
        }),
        jitter: None,
        environment: None,
        counts_connections: false,
        one_request_per_connection: true,
        least_life_s: SHORT_LIFE_S,
        replacement_cost: "each new one costs a fork and an empty cache",
        waits_per_request: 2.0,
        wakes_all_workers: false,
        count_requests: "set `pm.status_path = /status` in the pool, reload, and run this again",
        pid_in_log: Some(&PidInLog {
            settings: &["access.format"],
            pids: &["%p"],
            default: ACCESS_FORMAT,
            how: r#"set access.log, and access.format = "%R - %u %t %p \"%m %{REQUEST_URI}e\" %s""#,
            apply: &[],
            note: Some((
                "%r",
                "%r is the script, which may be one and the same for all paths: then log %{REQUEST_URI}e in its place, with which the query comes along",
            )),
        }),
        reload_copies: ReloadCopies::Nothing,
        apply: &[
            "{program} {options} -t && systemctl reload {unit}",
            "{program} {options} -t && kill -USR2 {master}",
        ],
    }),
    ..BLANK
};
