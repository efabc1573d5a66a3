//! Databases that are only reported: one process that holds all connections. From their manuals.

use super::row::BLANK;
use super::{RecognisedBy, Server, ServerSetting, WorkerPolicy};

/// MySQL and MariaDB.
pub(super) static MYSQL: Server = Server {
    name: "MySQL, MariaDB",
    key: "mysql",
    verified: "manuals",
    by: &[RecognisedBy::Exe(&["mysqld", "mariadbd", "mysqld-debug", "mysqld_safe"])],
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
    verified: "manuals",
    by: &[
        RecognisedBy::Exe(&[
            "redis-server",
            "valkey-server",
            "keydb-server",
            "redis-check-rdb",
            "mongod",
            "mongos",
            "memcached",
            "clickhouse",
            "clickhouse-server",
            "cockroach",
            "influxd",
            "oracle",
            "tnslsnr",
            "firebird",
            "fbserver",
            "fb_smp_server",
            "db2sysc",
            "oninit",
            "dataserver",
            "searchd",
            "pgbouncer",
            "odyssey",
            "proxysql",
            "mysqlrouter",
            "maxscale",
        ]),
        RecognisedBy::TitleBegins(&["ora_", "oracle", "redis-rdb-bgsave", "redis-aof-rewrite"]),
    ],
    workers: WorkerPolicy::Report(
        "ending it ends every connection and may lose what is not on disk; limit it in its configuration",
    ),
    ..BLANK
};

/// Each of its children is a client's session, with its connections to the servers behind.
pub(super) static PGPOOL: Server = Server {
    name: "Pgpool-II",
    key: "pgpool",
    by: &[RecognisedBy::Exe(&["pgpool"]), RecognisedBy::TitleBegins(&["pgpool: "])],
    verified: "manual, Pgpool-II 4.3",
    workers: WorkerPolicy::Report("it is a client's session; limit the life of its children"),
    recycle: &[
        ServerSetting::new("child_max_connections = N", "connections", "0: never"),
        ServerSetting::new("child_life_time = N", "seconds that a child may idle", "300"),
    ],
    cap: &[ServerSetting::new("num_init_children = N", "sessions", "32")],
    files: &[
        ("Debian, Ubuntu", "/etc/pgpool2/pgpool.conf"),
        ("RHEL family", "/etc/pgpool-II/pgpool.conf"),
    ],
    apply: "restart its unit",
    ..BLANK
};
