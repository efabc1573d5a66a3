//! Table: one row a server. The first row that fits a process is its row.

use super::{
    FailedFork, RecognisedBy, Server, ServerSetting, Termination, ThreadCount, WorkerPolicy,
};
use crate::core::model::signal::{Signal, Step};

/// All rows.
pub static TABLE: &[&Server] = &[
    &APACHE_PREFORK,
    &APACHE_THREADED,
    &PHP_FPM,
    &NGINX,
    &GUNICORN_SYNC,
    &GUNICORN_GTHREAD,
    &UWSGI,
    &PUMA,
    &UNICORN,
    &POSTGRES,
    &PASSENGER,
    &CELERY,
    &SIDEKIQ,
    &MYSQL,
    &DATABASE,
    &POSTFIX,
    &DOVECOT,
    &EXIM,
    &SSHD,
    &FTPD,
    &CRON,
    &SUPERVISOR,
    &SESSION,
    &PREFORKING,
    &UNKNOWN,
];

/// TERM, and KILL for who ignores even that.
const TERM_KILL: &[Step] = &[Step::Term, Step::Kill];

/// Ended by `signal`, at which a worker finishes its request.
const fn gently(signal: Signal, grace_s: f64, then: &'static [Step]) -> Termination {
    Termination { first: (Step::Gentle, signal), grace_s, then }
}

/// What an unknown worker gets: it may lose its request, so not long after it KILL.
const TERM_FIRST: Termination =
    Termination { first: (Step::Term, Signal::Term), grace_s: 10.0, then: &[Step::Kill] };

const fn setting(line: &'static str, counts: &'static str, default: &'static str) -> ServerSetting {
    ServerSetting { line, counts, default, versions: "" }
}

/// What most rows have in common.
pub(super) const BLANK: Server = Server {
    name: "",
    key: "",
    by: &[],
    threads: ThreadCount::Any,
    log_name: "",
    runs_others: false,
    helpers: &[],
    pool_title: "",
    workers: WorkerPolicy::Report(""),
    failed_fork: FailedFork::Unknown,
    recycle: &[],
    cap: &[],
    files: &[],
    apply: "",
};

/// RHEL 6 and SLES 11 still run 2.2 with the old names, which 2.4 accepts too.
const APACHE_RECYCLE: &[ServerSetting] = &[
    ServerSetting {
        line: "MaxConnectionsPerChild N",
        counts: "connections, each of one or more requests",
        default: "0: never",
        versions: "2.3.9 and newer",
    },
    ServerSetting {
        line: "MaxRequestsPerChild N",
        counts: "connections, each of one or more requests",
        default: "10000",
        versions: "2.2 and older",
    },
];
const APACHE_APPLY: &str = "apachectl configtest && apachectl graceful";
const APACHE: &[RecognisedBy] = &[RecognisedBy::Exe(&[
    "apache2",
    "httpd",
    "httpd-prefork",
    "httpd2-prefork",
    "httpd.prefork",
    "apache2-prefork",
])];

/// Finishes its request on USR1; `Timeout` is 60 s by default, plus 10 s to notice. An idle child
/// goes within 0.1 s, one with a kept-alive connection within 7 s, one that waits for the accept
/// mutex of two Listen lines with the next connection.
static APACHE_PREFORK: Server = Server {
    name: "Apache prefork",
    key: "apache-prefork",
    by: APACHE,
    threads: ThreadCount::One,
    log_name: "apache2",
    // After TERM 5 s, as for all. KILL leaves the accept mutex usable (default, fcntl, flock,
    // sysvsem, pthread: 0 of 20 probes failed), but for posixsem (20 of 20 hung): --no-kill.
    workers: WorkerPolicy::End(gently(Signal::Usr1, 70.0, TERM_KILL)),
    failed_fork: FailedFork::Survives,
    recycle: APACHE_RECYCLE,
    cap: &[
        ServerSetting {
            line: "MaxRequestWorkers N",
            counts: "workers; above 256 also ServerLimit, which needs a full restart",
            default: "256, in Debian's file 150",
            versions: "2.3.13 and newer",
        },
        ServerSetting {
            line: "MaxClients N",
            counts: "workers; above 256 also ServerLimit, which needs a full restart",
            default: "256",
            versions: "2.2 and older",
        },
    ],
    files: &[
        ("Debian, Ubuntu", "/etc/apache2/mods-available/mpm_prefork.conf"),
        ("RHEL and kin 7 on", "/etc/httpd/conf.modules.d/00-mpm.conf"),
        ("RHEL and kin to 6", "/etc/httpd/conf/httpd.conf"),
        ("SUSE", "/etc/apache2/server-tuning.conf"),
    ],
    apply: APACHE_APPLY,
    ..BLANK
};

/// Every signal but KILL did nothing, idle or busy; KILL lost each request of the process.
pub static APACHE_THREADED: Server = Server {
    name: "Apache event/worker",
    key: "apache-event",
    by: &[RecognisedBy::Exe(&[
        "apache2",
        "httpd",
        "httpd-event",
        "httpd-worker",
        "httpd2-worker",
        "httpd2-event",
        "httpd.worker",
        "httpd.event",
        "apache2-worker",
    ])],
    threads: ThreadCount::Many,
    log_name: "apache2",
    workers: WorkerPolicy::Reload(
        Signal::Usr1,
        "its children obey no signal but KILL, which loses their requests; `apachectl graceful` replaces them all, and so does leakwatch with --reload",
    ),
    failed_fork: FailedFork::Survives,
    recycle: APACHE_RECYCLE,
    cap: &[
        ServerSetting {
            line: "MaxRequestWorkers N",
            counts: "threads of all processes; divided by ThreadsPerChild, processes",
            default: "400, in Debian's file 150",
            versions: "2.3.13 and newer",
        },
        ServerSetting {
            line: "MaxClients N",
            counts: "threads of all processes; divided by ThreadsPerChild, processes",
            default: "256",
            versions: "2.2 and older",
        },
    ],
    files: &[
        ("Debian, Ubuntu", "/etc/apache2/mods-available/mpm_event.conf"),
        ("RHEL and kin 7 on", "/etc/httpd/conf.modules.d/00-mpm.conf"),
        ("RHEL and kin to 6", "/etc/httpd/conf/httpd.conf"),
        ("SUSE", "/etc/apache2/server-tuning.conf"),
    ],
    apply: APACHE_APPLY,
    ..BLANK
};

/// USR1, HUP, INT and TERM all end a worker at once: nginx then answers 502.
static PHP_FPM: Server = Server {
    name: "php-fpm",
    key: "php-fpm",
    by: &[RecognisedBy::Exe(&["php-fpm"])],
    pool_title: "php-fpm: pool ",
    workers: WorkerPolicy::End(gently(Signal::Quit, 60.0, TERM_KILL)),
    failed_fork: FailedFork::Survives,
    recycle: &[setting("pm.max_requests = N", "requests", "0: never")],
    cap: &[setting(
        "pm.max_children = N",
        "workers of one pool",
        "5 in Debian's file, 50 in RHEL's",
    )],
    files: &[
        ("Debian, Ubuntu", "/etc/php/VERSION/fpm/pool.d/www.conf"),
        ("RHEL and kin", "/etc/php-fpm.d/www.conf"),
        ("SUSE", "/etc/php8/fpm/php-fpm.d/www.conf"),
    ],
    apply: "systemctl reload php-fpm (Debian: php8.2-fpm)",
    ..BLANK
};

/// HUP and USR2 are ignored, WINCH ends in an abort.
static NGINX: Server = Server {
    name: "nginx",
    key: "nginx",
    by: &[RecognisedBy::Exe(&["nginx"])],
    helpers: &["cache manager process", "cache loader process", "privileged agent process"],
    workers: WorkerPolicy::End(gently(Signal::Quit, 60.0, TERM_KILL)),
    failed_fork: FailedFork::Ends("does not replace that worker, also not later; reload it"),
    // A reload replaces all workers; nothing does so by itself.
    cap: &[setting("worker_processes N;", "workers", "1; auto in most packages")],
    files: &[("all", "/etc/nginx/nginx.conf")],
    apply: "nginx -t && nginx -s reload",
    ..BLANK
};

/// INT, QUIT and HUP lose the request; USR1 reopens logs. A second TERM adds nothing.
static GUNICORN_SYNC: Server = Server {
    name: "gunicorn sync",
    key: "gunicorn",
    by: &[RecognisedBy::Title(&["gunicorn", "gunicorn3"]), RecognisedBy::Exe(&["gunicorn"])],
    threads: ThreadCount::One,
    // `timeout` is 30 s by default, then the master itself kills a silent worker.
    workers: WorkerPolicy::End(gently(Signal::Term, 35.0, &[Step::Kill])),
    failed_fork: FailedFork::Ends("exits: the site is down"),
    recycle: GUNICORN_RECYCLE,
    cap: &[setting("workers = N", "workers", "1")],
    files: GUNICORN_FILES,
    apply: "kill -HUP MASTER",
    ..BLANK
};
const GUNICORN_RECYCLE: &[ServerSetting] = &[
    setting("max_requests = N", "requests", "0: never"),
    setting("max_requests_jitter = N", "requests added at random; a tenth of max_requests", "0"),
];
const GUNICORN_FILES: &[(&str, &str)] =
    &[("all", "gunicorn.conf.py where it is started, or its unit's ExecStart (--max-requests N)")];

/// `graceful_timeout` is 30 s: all its requests finish.
static GUNICORN_GTHREAD: Server = Server {
    name: "gunicorn gthread",
    key: "gunicorn-gthread",
    by: GUNICORN_SYNC.by,
    threads: ThreadCount::Many,
    workers: WorkerPolicy::End(gently(Signal::Term, 35.0, &[Step::Kill])),
    failed_fork: FailedFork::Ends("exits: the site is down"),
    recycle: GUNICORN_RECYCLE,
    cap: &[setting("workers = N", "workers of `threads` threads each", "1")],
    files: GUNICORN_FILES,
    apply: "kill -HUP MASTER",
    ..BLANK
};

/// TERM, INT and QUIT lose the request. More deaths at once than it has workers make it sleep 2 s.
static UWSGI: Server = Server {
    name: "uwsgi",
    key: "uwsgi",
    by: &[RecognisedBy::Exe(&["uwsgi", "uwsgi-core", "uwsgi_python"])],
    helpers: &["uWSGI http", "uWSGI master", "uWSGI mule", "uWSGI spooler", "uWSGI cheaper"],
    workers: WorkerPolicy::End(gently(Signal::Hup, 60.0, TERM_KILL)),
    failed_fork: FailedFork::Ends("serves on and leaves that worker's place empty for good"),
    recycle: &[
        setting("max-requests = N", "requests", "0: never"),
        setting("reload-on-rss = N", "MiB of RSS, looked at after each request", "none"),
    ],
    cap: &[setting("processes = N", "workers", "1")],
    files: &[
        ("Debian, Ubuntu", "/etc/uwsgi/apps-enabled/APP.ini"),
        ("RHEL and kin", "/etc/uwsgi.d/APP.ini"),
    ],
    apply: "kill -HUP MASTER",
    ..BLANK
};

/// INT, QUIT, HUP, USR1 and WINCH do nothing. With fork_worker, worker 0 is the others' parent.
static PUMA: Server = Server {
    name: "puma",
    key: "puma",
    by: &[RecognisedBy::Title(&["puma"])],
    workers: WorkerPolicy::End(gently(Signal::Term, 35.0, &[Step::Kill])),
    failed_fork: FailedFork::Ends("exits: the site is down"),
    // None built in: the gem puma_worker_killer restarts workers by size or age.
    cap: &[setting("workers N", "workers", "0: no cluster")],
    files: &[("all", "config/puma.rb of the application")],
    apply: "kill -USR1 MASTER",
    ..BLANK
};

/// TERM and INT end it at once; HUP and WINCH are ignored, USR1 reopens logs.
static UNICORN: Server = Server {
    name: "unicorn",
    key: "unicorn",
    by: &[RecognisedBy::Title(&["unicorn", "unicorn_rails"])],
    workers: WorkerPolicy::End(gently(Signal::Quit, 60.0, TERM_KILL)),
    failed_fork: FailedFork::Ends("exits: the site is down"),
    // None built in: the gem unicorn-worker-killer ends workers by requests or size.
    cap: &[setting("worker_processes N", "workers", "1")],
    files: &[("all", "config/unicorn.rb of the application")],
    apply: "kill -HUP MASTER",
    ..BLANK
};

/// TERM is pg_terminate_backend: that session ends, the others stay. QUIT and KILL make the
/// postmaster end every session and recover.
static POSTGRES: Server = Server {
    name: "PostgreSQL",
    key: "postgres",
    by: &[RecognisedBy::Exe(&["postgres", "postmaster"])],
    helpers: &[
        "checkpointer",
        "background writer",
        "walwriter",
        "walsender",
        "walreceiver",
        "walsummarizer",
        "autovacuum",
        "logical replication",
        "stats collector",
        "archiver",
        "logger",
        "startup",
        "slotsync worker",
        "io worker",
        "parallel worker",
    ],
    workers: WorkerPolicy::Allow(
        Termination { first: (Step::Term, Signal::Term), grace_s: 30.0, then: &[] },
        "ending a backend ends its session, and KILL ends all of them; limit the life of connections, or allow TERM with --allow postgres",
    ),
    failed_fork: FailedFork::Survives,
    recycle: &[
        setting("idle_session_timeout = N", "milliseconds a session may idle", "0: never"),
        setting(
            "server_lifetime = N",
            "seconds; of the pooler pgbouncer, in pgbouncer.ini",
            "3600",
        ),
    ],
    cap: &[setting("max_connections = N", "sessions; needs a restart", "100")],
    files: &[
        ("Debian, Ubuntu", "/etc/postgresql/VERSION/main/postgresql.conf"),
        ("RHEL and kin", "/var/lib/pgsql/data/postgresql.conf"),
    ],
    apply: "systemctl reload postgresql",
    ..BLANK
};

/// TERM is its hard signal: the request is lost. Its own tool detaches a process gently.
static PASSENGER: Server = Server {
    name: "Passenger",
    key: "passenger",
    by: &[RecognisedBy::Exe(&["PassengerAgent"]), RecognisedBy::Title(&["Passenger"])],
    workers: WorkerPolicy::Report(
        "no signal lets it finish its requests; `passenger-config detach-process PID` does",
    ),
    recycle: &[setting("PassengerMaxRequests N", "requests", "0: never")],
    cap: &[setting("PassengerMaxPoolSize N", "processes of all applications", "6")],
    files: &[
        ("Debian, Ubuntu", "/etc/apache2/mods-available/passenger.conf"),
        ("nginx", "/etc/nginx/conf.d/mod-http-passenger.conf, as passenger_max_requests"),
    ],
    apply: "passenger-config restart-app",
    ..BLANK
};

/// Every signal raises SystemExit in a pool child: its task is lost.
static CELERY: Server = Server {
    name: "Celery",
    key: "celery",
    by: &[RecognisedBy::Title(&["celery", "celeryd"])],
    workers: WorkerPolicy::Report(
        "every signal loses the task of a pool process; TERM to its main process stops all of it gently",
    ),
    recycle: &[
        setting("worker_max_tasks_per_child = N", "tasks", "none"),
        setting("worker_max_memory_per_child = N", "KiB of RSS, looked at after each task", "none"),
    ],
    cap: &[setting("worker_concurrency = N", "pool processes", "one a CPU")],
    files: &[("all", "celeryconfig.py, or the unit's ExecStart")],
    apply: "restart its unit",
    ..BLANK
};

static SIDEKIQ: Server = Server {
    name: "Sidekiq",
    key: "sidekiq",
    by: &[RecognisedBy::Title(&["sidekiq"])],
    workers: WorkerPolicy::Report(
        "it is one process that nobody replaces; `systemctl restart` gives its jobs 25 s to finish",
    ),
    ..BLANK
};

static MYSQL: Server = Server {
    name: "MySQL, MariaDB",
    key: "mysql",
    by: &[RecognisedBy::Exe(&["mysqld", "mariadbd"])],
    workers: WorkerPolicy::Report(
        "ending it ends every connection and may need a recovery; restart its service at a quiet hour",
    ),
    cap: &[setting("max_connections = N", "connections, each with buffers of its own", "151")],
    files: &[
        ("Debian, Ubuntu", "/etc/mysql/mariadb.conf.d/50-server.cnf"),
        ("RHEL and kin", "/etc/my.cnf.d/mariadb-server.cnf"),
    ],
    apply: "restart its unit",
    ..BLANK
};

static DATABASE: Server = Server {
    name: "database",
    key: "database",
    by: &[RecognisedBy::Exe(&["redis-server", "valkey-server", "mongod", "memcached"])],
    workers: WorkerPolicy::Report(
        "ending it ends every connection and may lose what is not on disk; limit it in its configuration",
    ),
    ..BLANK
};

/// Its processes are exec'd one by one and end after max_use clients.
static POSTFIX: Server = Server {
    name: "Postfix",
    key: "postfix",
    by: &[RecognisedBy::Dir("postfix")],
    workers: WorkerPolicy::Report(
        "it may be delivering; Postfix itself ends its processes after max_use clients",
    ),
    recycle: &[setting("max_use = N", "clients", "100")],
    cap: &[setting("default_process_limit = N", "processes of one service", "100")],
    files: &[("all", "/etc/postfix/main.cf")],
    apply: "postfix reload",
    ..BLANK
};

static DOVECOT: Server = Server {
    name: "Dovecot",
    key: "dovecot",
    by: &[RecognisedBy::Exe(&["dovecot"]), RecognisedBy::Dir("dovecot")],
    workers: WorkerPolicy::Report("it is somebody's mailbox session; limit it by vsz_limit"),
    recycle: &[setting(
        "service_count = N",
        "sessions, in the service's section",
        "1 or unlimited",
    )],
    cap: &[
        setting("process_limit = N", "processes of one service", "100; imap 1024"),
        setting("vsz_limit = N M", "MiB of address space, then it ends itself", "256"),
    ],
    files: &[("all", "/etc/dovecot/conf.d/10-master.conf")],
    apply: "doveadm reload",
    ..BLANK
};

static EXIM: Server = Server {
    name: "Exim",
    key: "exim",
    by: &[RecognisedBy::Exe(&["exim"])],
    workers: WorkerPolicy::Report("it is receiving or delivering a message"),
    cap: &[setting("smtp_accept_max = N", "connections at a time", "20")],
    files: &[
        ("Debian, Ubuntu", "/etc/exim4/exim4.conf.template"),
        ("RHEL and kin", "/etc/exim/exim.conf"),
    ],
    apply: "systemctl reload exim4 (RHEL: exim)",
    ..BLANK
};

static SSHD: Server = Server {
    name: "sshd",
    key: "sshd",
    runs_others: true,
    by: &[RecognisedBy::Exe(&["sshd", "sshd-session", "sshd-auth"])],
    workers: WorkerPolicy::Report("it is somebody's session; end it yourself if it must go"),
    cap: &[setting("MaxStartups N", "connections not logged in yet", "10:30:100")],
    files: &[("all", "/etc/ssh/sshd_config")],
    apply: "systemctl reload ssh (RHEL, SUSE: sshd)",
    ..BLANK
};

static FTPD: Server = Server {
    name: "FTP server",
    key: "ftpd",
    by: &[RecognisedBy::Exe(&[
        "pure-ftpd",
        "pure-ftpd-mysql",
        "pure-ftpd-postgresql",
        "pure-ftpd-ldap",
        "vsftpd",
        "proftpd",
    ])],
    workers: WorkerPolicy::Report("it is somebody's transfer; end it yourself if it must go"),
    cap: &[setting(
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

static CRON: Server = Server {
    name: "cron",
    key: "cron",
    runs_others: true,
    by: &[RecognisedBy::Exe(&["cron", "crond", "atd", "anacron", "fcron"])],
    workers: WorkerPolicy::Report(
        "it is a job, which would not be started again before its next time",
    ),
    ..BLANK
};

/// A program that it has to start four times in quick succession stays down ("FATAL state").
static SUPERVISOR: Server = Server {
    name: "supervisord",
    key: "supervisord",
    runs_others: true,
    by: &[
        RecognisedBy::Title(&["supervisord"]),
        RecognisedBy::Exe(&["supervisord", "runsvdir", "runsv", "s6-supervise"]),
    ],
    workers: WorkerPolicy::Report("it is a service; `supervisorctl restart NAME` restarts it"),
    ..BLANK
};

/// What people and containers run programs by. `sudo leakwatch -p bash` must end no shell.
static SESSION: Server = Server {
    name: "session",
    key: "session",
    runs_others: true,
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
    ])],
    workers: WorkerPolicy::Report(
        "it is somebody's session or runs others; end it yourself if it must go",
    ),
    ..BLANK
};

/// What is in no row but works as they do: forks of a master that do the same work.
pub static PREFORKING: Server = Server {
    name: "unknown pre-forking program",
    key: "preforking",
    by: &[RecognisedBy::Fork],
    workers: WorkerPolicy::End(TERM_FIRST),
    ..BLANK
};

/// What is in no row: a worker only if it has siblings of its name.
pub static UNKNOWN: Server =
    Server { name: "unknown", key: "unknown", workers: WorkerPolicy::End(TERM_FIRST), ..BLANK };
