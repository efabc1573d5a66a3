//! Databases that are only reported: one process that holds all connections. From their manuals.

use super::row::BLANK;
use super::{RecognisedBy, Server, ServerSetting, WorkerPolicy};

/// MySQL and MariaDB.
pub(super) static MYSQL: Server = Server {
    name: "MySQL, MariaDB",
    key: "mysql",
    by: &[RecognisedBy::Exe(&["mysqld", "mariadbd"])],
    workers: WorkerPolicy::Report(
        "ending it ends every connection and may need a recovery; restart its service at a quiet hour",
    ),
    cap: &[ServerSetting::new(
        "max_connections = N",
        "connections, each with buffers of its own",
        "151",
    )],
    files: &[
        ("Debian, Ubuntu", "/etc/mysql/mariadb.conf.d/50-server.cnf"),
        ("RHEL family", "/etc/my.cnf.d/mariadb-server.cnf"),
    ],
    apply: "restart its unit",
    ..BLANK
};

/// Databases in memory, and MongoDB.
pub(super) static DATABASE: Server = Server {
    name: "database",
    key: "database",
    by: &[RecognisedBy::Exe(&["redis-server", "valkey-server", "mongod", "memcached"])],
    workers: WorkerPolicy::Report(
        "ending it ends every connection and may lose what is not on disk; limit it in its configuration",
    ),
    ..BLANK
};
