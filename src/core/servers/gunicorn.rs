//! gunicorn.

use super::advice::{Advice, ConfigSyntax, Environment, LONG_LIFE_S, ReloadCopies};
use super::row::BLANK;
use super::{
    FailedFork, PidInLog, RecognisedBy, Server, ServerSetting, Termination, ThreadCount,
    WorkerPolicy,
};
use crate::core::model::signal::{Signal, Step};

const RECYCLE: &[ServerSetting] =
    &[ServerSetting::new("max_requests = N", "requests", "0: never"), JITTER];
const JITTER: ServerSetting = ServerSetting::new(
    "max_requests_jitter = N",
    "requests added at random; a tenth of max_requests",
    "0",
);
const FILES: &[(&str, &str)] =
    &[("all", "gunicorn.conf.py where it is started, or its unit's ExecStart (--max-requests N)")];

/// Tried under load with gunicorn 20.1. INT, QUIT and HUP lose the request; USR1 reopens logs. A
/// second TERM adds nothing.
pub(super) static SYNC: Server = Server {
    name: "gunicorn sync",
    key: "gunicorn",
    verified: "tried under load, gunicorn 20.1",
    by: &[RecognisedBy::Title(&["gunicorn", "gunicorn3"]), RecognisedBy::Exe(&["gunicorn"])],
    threads: ThreadCount::One,
    // `timeout` is 30 s by default, then the master itself kills a silent worker.
    workers: WorkerPolicy::End(Termination::gently(Signal::Term, 35.0, &[Step::Kill])),
    failed_fork: FailedFork::Ends("exits: the site is down"),
    recycle: RECYCLE,
    cap: &[ServerSetting { aliases: &["-w"], ..ServerSetting::new("workers = N", "workers", "1") }],
    files: FILES,
    apply: "kill -HUP MASTER",
    advice: Some(&ADVICE),
    ..BLANK
};

/// Tried under load with gunicorn 20.1. `graceful_timeout` is 30 s: all its requests finish.
pub(super) static GTHREAD: Server = Server {
    name: "gunicorn gthread",
    key: "gunicorn-gthread",
    verified: "tried under load, gunicorn 20.1",
    by: SYNC.by,
    threads: ThreadCount::Many,
    workers: WorkerPolicy::End(Termination::gently(Signal::Term, 35.0, &[Step::Kill])),
    failed_fork: FailedFork::Ends("exits: the site is down"),
    recycle: RECYCLE,
    cap: &[ServerSetting {
        aliases: &["-w"],
        ..ServerSetting::new("workers = N", "workers of `threads` threads each", "1")
    }],
    files: FILES,
    apply: "kill -HUP MASTER",
    advice: Some(&ADVICE),
    ..BLANK
};

const ADVICE: Advice = Advice {
    syntax: ConfigSyntax::Python,
    jitter: Some(&JITTER),
    environment: Some(Environment::Options("GUNICORN_CMD_ARGS")),
    counts_connections: false,
    one_request_per_connection: true,
    least_life_s: LONG_LIFE_S,
    replacement_cost: "each new one loads the whole application",
    // All workers wake for each request: 3.0 waits with three of them, 8.8 with eight.
    waits_per_request: 3.0,
    wakes_all_workers: true,
    count_requests: "have it listen at a port of 127.0.0.1, and run this again",
    pid_in_log: Some(&PidInLog {
        settings: &["access_log_format"],
        pids: &["%(p)s"],
        default: r#"access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s "%(f)s" "%(a)s" %(p)s'"#,
        how: "set accesslog, and access_log_format = '%(h)s %(l)s %(u)s %(t)s \"%(r)s\" %(s)s %(b)s %(p)s'",
        // The master keeps its logger, and that the old format, at HUP (Arbiter.setup of 20.1; tried).
        apply: &[
            "{python} -I -c 'import ast,sys;ast.parse(open(sys.argv[1],\"rb\").read())' {file} && systemctl restart {main_unit}",
            "systemctl restart {main_unit}",
        ],
        note: Some((
            "access_log_format",
            "gunicorn takes a new format of its log at a restart only, not at HUP",
        )),
    }),
    reload_copies: ReloadCopies::SharedBesideNew,
    // The master reads its file again at HUP and ends if that has an error; units often have no
    // ExecReload.
    apply: &[
        "{python} -I -c 'import ast,sys;ast.parse(open(sys.argv[1],\"rb\").read())' {file} && systemctl kill -s HUP --kill-who=main {main_unit}",
        "{python} -I -c 'import ast,sys;ast.parse(open(sys.argv[1],\"rb\").read())' {file} && kill -HUP {master}",
        "systemctl kill -s HUP --kill-who=main {main_unit}",
        "kill -HUP {master}",
    ],
};
