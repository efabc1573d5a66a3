//! Apache httpd.

use super::advice::{Advice, ConfigSyntax, LONG_LIFE_S, ReloadCopies, StatusProtocol};
use super::row::{BLANK, TERM_KILL};
use super::{
    FailedFork, PidInLog, RecognisedBy, Server, ServerSetting, Termination, ThreadCount,
    WorkerPolicy,
};
use crate::core::model::signal::Signal;

/// RHEL 6 and SLES 11 still run 2.2 with the old names, which 2.4 accepts too.
const RECYCLE: &[ServerSetting] = &[
    ServerSetting {
        versions: "2.3.9 and newer",
        ..ServerSetting::new("MaxConnectionsPerChild N", CONNECTIONS, "0: never")
    },
    ServerSetting {
        versions: "2.2 and older",
        ..ServerSetting::new("MaxRequestsPerChild N", CONNECTIONS, "10000")
    },
];
const CONNECTIONS: &str = "connections, each of one or more requests";
const WORKERS: &str = "workers; above 256 also ServerLimit, which needs a full restart";
const THREADS: &str = "threads of all processes; divided by ThreadsPerChild, processes";
const APPLY: &str = "apachectl configtest && apachectl graceful";

/// Tried under load with Apache 2.4.71. A worker finishes its request on USR1; `Timeout` is 60 s by
/// default, plus 10 s to notice. An idle child goes within 0.1 s, one with a kept-alive connection
/// within 7 s, one that waits for the accept mutex of two Listen lines with the next connection.
pub(super) static PREFORK: Server = Server {
    name: "Apache prefork",
    key: "apache-prefork",
    verified: "tried under load, Apache 2.4.71",
    by: &[RecognisedBy::Exe(&[
        "apache2",
        "apache",
        "httpd",
        "httpd-prefork",
        "httpd2-prefork",
        "httpd.prefork",
        "apache2-prefork",
        "httpd.itk",
        "httpd-itk",
        "httpd2-itk",
        "apache2-itk",
    ])],
    threads: ThreadCount::One,
    log_name: "apache2",
    // After TERM 5 s, as for all. KILL leaves the accept mutex usable (default, fcntl, flock,
    // sysvsem, pthread: 0 of 20 probes failed), except posixsem (20 of 20 hung): --no-kill.
    workers: WorkerPolicy::End(Termination::gently(Signal::Usr1, 70.0, TERM_KILL)),
    failed_fork: FailedFork::Survives,
    recycle: RECYCLE,
    cap: &[
        ServerSetting {
            versions: "2.3.13 and newer",
            ..ServerSetting::new("MaxRequestWorkers N", WORKERS, "256, in Debian's file 150")
        },
        ServerSetting {
            versions: "2.2 and older",
            ..ServerSetting::new("MaxClients N", WORKERS, "256")
        },
    ],
    files: &[
        ("Debian, Ubuntu", "/etc/apache2/mods-available/mpm_prefork.conf"),
        ("RHEL family from 7", "/etc/httpd/conf.modules.d/00-mpm.conf"),
        ("RHEL family to 6", "/etc/httpd/conf/httpd.conf"),
        ("SUSE", "/etc/apache2/server-tuning.conf"),
    ],
    apply: APPLY,
    status: Some(StatusProtocol::ModStatus),
    advice: Some(&ADVICE),
    ..BLANK
};

/// mod_wsgi's daemon processes, where WSGIDaemonProcess has display-name=%{GROUP}; without that they
/// look like the server's own children of many threads, which obey no signal.
pub(super) static MOD_WSGI: Server = Server {
    name: "mod_wsgi daemon",
    key: "mod_wsgi",
    by: &[RecognisedBy::TitleBegins(&["(wsgi:"])],
    pool_title: "(wsgi:",
    verified: "run, mod_wsgi 4.9.4 under Apache 2.4.71: USR1 with requests of 4 s in two processes; both were answered, and so were all others",
    // graceful-timeout is 15 s by default, shutdown-timeout 5 s; then mod_wsgi ends the process itself.
    workers: WorkerPolicy::End(Termination::gently(Signal::Usr1, 25.0, TERM_KILL)),
    failed_fork: FailedFork::Unknown,
    recycle: &[
        ServerSetting::new(
            "maximum-requests=N",
            "requests, an option of WSGIDaemonProcess",
            "0: never",
        ),
        ServerSetting::new("restart-interval=N", "seconds, an option of WSGIDaemonProcess", "none"),
    ],
    cap: &[ServerSetting::new("processes=N", "processes, an option of WSGIDaemonProcess", "1")],
    files: &[("Debian, Ubuntu", "/etc/apache2/sites-enabled/SITE.conf")],
    apply: APPLY,
    advice: Some(&Advice {
        counts_connections: false,
        one_request_per_connection: true,
        least_life_s: LONG_LIFE_S,
        replacement_cost: "each new one loads the whole application",
        waits_per_request: 5.0,
        count_requests: "compare with the access log",
        // %P is the pid of the child that hands it on.
        pid_in_log: None,
        reload_copies: ReloadCopies::Nothing,
        ..ADVICE
    }),
    ..BLANK
};

/// Tried under load with Apache 2.4.71. Every signal but KILL did nothing, idle or busy; KILL lost
/// each request of the process.
pub(super) static THREADED: Server = Server {
    name: "Apache event/worker",
    key: "apache-event",
    verified: "tried under load, Apache 2.4.71",
    by: &[RecognisedBy::Exe(&[
        "apache2",
        "apache",
        "httpd",
        "httpd-event",
        "httpd-worker",
        "httpd2-worker",
        "httpd2-event",
        "httpd.worker",
        "httpd.event",
        "apache2-worker",
        "apache2-event",
    ])],
    threads: ThreadCount::Many,
    log_name: "apache2",
    workers: WorkerPolicy::Reload(
        Signal::Usr1,
        "its children obey no signal but KILL, which loses their requests; `apachectl graceful` replaces them all, and so does leakwatch with --reload",
    ),
    failed_fork: FailedFork::Survives,
    recycle: RECYCLE,
    cap: &[
        ServerSetting {
            versions: "2.3.13 and newer",
            ..ServerSetting::new("MaxRequestWorkers N", THREADS, "400, in Debian's file 150")
        },
        ServerSetting {
            versions: "2.2 and older",
            ..ServerSetting::new("MaxClients N", THREADS, "400")
        },
    ],
    files: &[
        ("Debian, Ubuntu", "/etc/apache2/mods-available/mpm_event.conf"),
        ("RHEL family from 7", "/etc/httpd/conf.modules.d/00-mpm.conf"),
        ("RHEL family to 6", "/etc/httpd/conf/httpd.conf"),
        ("SUSE", "/etc/apache2/server-tuning.conf"),
    ],
    apply: APPLY,
    status: Some(StatusProtocol::ModStatus),
    advice: Some(&Advice { waits_per_request: 5.0, ..ADVICE }),
    ..BLANK
};

const ADVICE: Advice = Advice {
    syntax: ConfigSyntax::Apache,
    jitter: None,
    environment: None,
    counts_connections: true,
    one_request_per_connection: false,
    least_life_s: LONG_LIFE_S,
    replacement_cost: "where they end together requests wait up to a second for new ones",
    waits_per_request: 2.0,
    wakes_all_workers: false,
    count_requests: "switch on mod_status for localhost, and run this again",
    pid_in_log: Some(&PidInLog {
        settings: &["LogFormat", "CustomLog"],
        pids: &["%P", "%{pid}P"],
        default: "",
        how: "add %P to its LogFormat: LogFormat \"%h %l %u %t \\\"%r\\\" %>s %b %P\" common",
        apply: &[],
        note: None,
    }),
    reload_copies: ReloadCopies::Nothing,
    apply: &[
        "{exe} {options} -t && systemctl reload {unit}",
        "{exe} {options} -t && kill -USR1 {master}",
        "apachectl configtest && systemctl reload {unit}",
        "apachectl configtest && apachectl graceful",
    ],
};
