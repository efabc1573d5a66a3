//! PostgreSQL.

use super::row::BLANK;
use super::{FailedFork, RecognisedBy, Server, ServerSetting, Termination, WorkerPolicy};
use crate::core::model::signal::{Signal, Step};

/// Tried under load with PostgreSQL 15. TERM is pg_terminate_backend: that session ends, the others
/// stay. QUIT and KILL make the postmaster end every session and recover.
pub(super) static POSTGRES: Server = Server {
    name: "PostgreSQL",
    key: "postgres",
    verified: "tried under load, PostgreSQL 15",
    by: &[
        RecognisedBy::Exe(&["postgres", "postmaster", "edb-postgres", "edb-postmaster"]),
        RecognisedBy::TitleBegins(&["postgres: "]),
    ],
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
        ServerSetting::new(
            "idle_session_timeout = N",
            "milliseconds a session may idle",
            "0: never",
        ),
        ServerSetting::new(
            "server_lifetime = N",
            "seconds; of the pooler pgbouncer, in pgbouncer.ini",
            "3600",
        ),
    ],
    cap: &[ServerSetting::new("max_connections = N", "sessions; needs a restart", "100")],
    files: &[
        ("Debian, Ubuntu", "/etc/postgresql/VERSION/main/postgresql.conf"),
        ("RHEL family", "/var/lib/pgsql/data/postgresql.conf"),
    ],
    apply: "systemctl reload postgresql",
    ..BLANK
};
