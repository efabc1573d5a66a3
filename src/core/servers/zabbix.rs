//! Zabbix.

use super::row::BLANK;
use super::{RecognisedBy, Server, ServerSetting, WorkerPolicy};

/// Each child has a task, and the main process exits when any child has ended.
pub(super) static ZABBIX: Server = Server {
    name: "Zabbix",
    key: "zabbix",
    by: &[
        RecognisedBy::Exe(&[
            "zabbix_server",
            "zabbix_server_mysql",
            "zabbix_server_pgsql",
            "zabbix_server_sqlite3",
            "zabbix_proxy",
            "zabbix_proxy_mysql",
            "zabbix_proxy_pgsql",
            "zabbix_proxy_sqlite3",
            "zabbix_agentd",
            "zabbix_agent2",
        ]),
        RecognisedBy::TitleBegins(&["zabbix_server: ", "zabbix_proxy: ", "zabbix_agentd: "]),
    ],
    verified: "run, zabbix_agentd 6.0: a child ignores TERM from others, and at its KILL the whole agent exits",
    workers: WorkerPolicy::Report(
        "its main process stops everything when a child ends; restart its unit",
    ),
    cap: &[ServerSetting::new(
        "StartPollers=N",
        "pollers; other kinds have settings of their own",
        "5",
    )],
    files: &[("all", "/etc/zabbix/zabbix_server.conf")],
    apply: "systemctl restart zabbix-server",
    ..BLANK
};
