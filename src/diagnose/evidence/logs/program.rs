//! Program: which program writes a log, by its place.

use std::path::Path;

/// Directories of the path that are looked at.
const DEEPEST: usize = 3;

/// Directories of logs that are named after their program, and its name.
const OF_PROGRAM: [(&str, &str); 36] = [
    ("apt", "apt"),
    ("apache2", "apache2"),
    ("httpd", "httpd"),
    ("nginx", "nginx"),
    ("angie", "angie"),
    ("postgresql", "postgresql"),
    ("mysql", "mysql"),
    ("mariadb", "mariadb"),
    ("uwsgi", "uwsgi"),
    ("gunicorn", "gunicorn"),
    ("redis", "redis"),
    ("tomcat", "tomcat"),
    ("elasticsearch", "elasticsearch"),
    ("opensearch", "opensearch"),
    ("jenkins", "jenkins"),
    ("haproxy", "haproxy"),
    ("varnish", "varnish"),
    ("squid", "squid"),
    ("samba", "samba"),
    ("mongodb", "mongod"),
    ("rabbitmq", "rabbitmq"),
    ("celery", "celery"),
    ("odoo", "odoo"),
    ("kamailio", "kamailio"),
    ("puma", "puma"),
    ("unicorn", "unicorn"),
    ("pgpool", "pgpool"),
    ("airflow", "airflow"),
    ("nagios", "nagios"),
    ("icinga2", "icinga2"),
    ("cassandra", "cassandra"),
    ("kafka", "kafka"),
    ("passenger", "passenger"),
    ("asterisk", "asterisk"),
    ("td-agent", "td-agent"),
    ("emqx", "emqx"),
];
/// Names of files that say nothing of a program.
const OF_ANY: [&str; 18] = [
    "error",
    "errors",
    "main",
    "other",
    "ssl",
    "log",
    "out",
    "err",
    "stderr",
    "stdout",
    "server",
    "production",
    "app",
    "application",
    "debug",
    "current",
    "console",
    "output",
];

/// Words behind a program's name that say what the log is for.
const BEHIND: [&str; 18] = [
    "access", "console", "current", "debug", "err", "error", "errors", "info", "json", "log",
    "main", "out", "output", "plain", "slow", "stderr", "stdout", "warn",
];

/// Which program writes a log, by its place: `apache2/error.log`, `php8.2-fpm.log.1`.
pub(super) fn program_of(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stem = stem(&name);
    let dirs = || path.parent().into_iter().flat_map(Path::components).rev().take(DEEPEST);
    let dir = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let known = || {
        let of_first = first_part(stem);
        let by_name = || OF_PROGRAM.iter().find(|(of, _)| *of == of_first).map(|(_, name)| *name);
        let by_dir = |dir: &str| {
            let bare = dir.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
            OF_PROGRAM.iter().find(|(of, _)| *of == dir || *of == bare).map(|(_, name)| *name)
        };
        dirs().find_map(|dir| by_dir(&dir.as_os_str().to_string_lossy())).or_else(by_name)
    };
    match first_part(stem) {
        php if php.starts_with("php") => "php-fpm".to_owned(),
        "dmesg" | "vmcore" => "dmesg".to_owned(),
        "zabbix" => stem.split('-').next().unwrap_or_default().to_owned(),
        "catalina" | "localhost" => "tomcat".to_owned(),
        first => match known() {
            Some(program) => program.to_owned(),
            None if OF_ANY.contains(&first) && !["log", "logs", ""].contains(&&*dir) => {
                dir.into_owned()
            }
            None => stem.to_owned(),
        },
    }
}

fn first_part(name: &str) -> &str {
    name.split(['-', '_']).next().unwrap_or_default()
}

/// A file's name without what stands behind a program's: `shop-error.log.1`, `laravel-2026-11-24.log`,
/// but `ovs-vswitchd.log`.
fn stem(name: &str) -> &str {
    let mut stem = name.split('.').next().unwrap_or_default();
    while let Some((before, last)) = stem.rsplit_once(['-', '_']) {
        let is_number = last.bytes().all(|byte| byte.is_ascii_digit());
        if before.is_empty() || !(is_number || BEHIND.contains(&last)) {
            break;
        }
        stem = before;
    }
    stem
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_of_a_log_is_told_by_its_place() {
        for (path, program) in [
            ("/var/log/apache2/error.log", "apache2"),
            ("/var/log/apache2/other_vhosts.log.1", "apache2"),
            ("/var/log/httpd/error_log-20261101", "httpd"),
            ("/var/log/php8.2-fpm.log.2.gz", "php-fpm"),
            ("/var/log/postgresql/postgresql-15-main.log", "postgresql"),
            ("/var/log/gunicorn/error.log", "gunicorn"),
            ("/var/log/syslog", "syslog"),
            ("/var/log/asterisk/full", "asterisk"),
            ("/var/log/td-agent/td-agent.log", "td-agent"),
            ("/var/log/emqx/erl_crash.dump", "emqx"),
            ("/tmp/x/dmesg.0", "dmesg"),
            ("/var/log/zabbix/zabbix_server.log", "zabbix_server"),
            ("/var/log/tomcat9/catalina.out", "tomcat"),
            ("/var/log/uwsgi/app/shop.log", "uwsgi"),
            ("/var/log/shop/error.log", "shop"),
            ("/var/log/supervisor/worker-stderr.log", "worker"),
            ("/var/log/openvswitch/ovs-vswitchd.log", "ovs-vswitchd"),
            ("/srv/home-assistant.log.1", "home-assistant"),
            ("/var/log/clickhouse-server/clickhouse-server.err.log", "clickhouse-server"),
            ("/var/log/laravel-2026-11-24.log", "laravel"),
            ("/var/log/shop_error.log-20261124.gz", "shop"),
            ("/var/log/redis-server.log", "redis"),
            ("/var/log/celery-beat.log", "celery"),
            ("/var/log/error_log", "error"),
            ("/var/log/x/-1.log", "-1"),
        ] {
            assert_eq!(program_of(Path::new(path)), program, "{path}");
        }
    }
}
