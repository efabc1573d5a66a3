//! Servers: how each server is recognised, at which signal its workers finish their request, what a
//! failed fork does to its master, and which settings bound a leak.
//!
//! No signal is gentle everywhere: USR1 lets an Apache prefork child finish and ends a php-fpm
//! worker at once; TERM is the other way round for gunicorn. So the knowledge is data: one file a
//! server, one [`Server`] a row of the [`TABLE`]. The watch, `leakwatch servers` and the diagnosis
//! all ask these rows. A row holds what was verified; a server whose children obey no signal is
//! only reported.
//!
//! "Tried under load" in the comment of a row means: on the real server, with a request of 4 s in
//! the signalled worker; and its master was tried with ENOMEM injected into the fork that replaces
//! a worker. What comes from sources and manuals says so, and so do all file paths of
//! distributions other than Debian.
//!
//! To add a server: its file, and its line in `TABLE`.

mod advice;
mod apache;
mod celery;
mod databases;
mod gunicorn;
mod haproxy;
mod hypnotoad;
mod jobs;
mod kamailio;
mod lsphp;
mod mail;
mod nginx;
mod odoo;
mod others;
mod passenger;
mod php_fpm;
mod pid_in_log;
mod pitchfork;
mod postgres;
mod proxies;
mod puma;
mod recognise;
mod row;
mod runtimes;
mod sessions;
mod shares;
mod sidekiq;
mod unicorn;
mod user_row;
mod uvicorn;
mod uwsgi;
mod zabbix;

pub use advice::{
    Advice, ConfigSyntax, Environment, IniFile, LONG_LIFE_S, ReloadCopies, SHORT_LIFE_S,
    StatusProtocol,
};
pub use jobs::{is_batch, runs_jobs};
pub use others::{PREFORKING, UNKNOWN};
pub use pid_in_log::{PidInLog, after_word};
pub use recognise::{handles_requests, is_called, is_interpreter, pool_name, recognise};
pub use row::{
    FailedFork, RecognisedBy, Server, ServerSetting, Termination, ThreadCount, WorkerPolicy,
};
pub use runtimes::{RUNTIMES, Runtime};
pub use user_row::UserServer;

/// All rows. The first row that fits a process is its row.
pub static TABLE: &[&Server] = &[
    &apache::MOD_WSGI,
    &apache::PREFORK,
    &apache::THREADED,
    &php_fpm::PHP_FPM,
    &nginx::NGINX,
    &gunicorn::SYNC,
    &gunicorn::GTHREAD,
    &uwsgi::UWSGI,
    &puma::PUMA,
    &unicorn::UNICORN,
    &pitchfork::PITCHFORK,
    &odoo::ODOO,
    &hypnotoad::HYPNOTOAD,
    &hypnotoad::STARMAN,
    &lsphp::LSPHP,
    &haproxy::HAPROXY,
    &uvicorn::UVICORN,
    &postgres::POSTGRES,
    &passenger::PASSENGER,
    &celery::CELERY,
    &sidekiq::SIDEKIQ,
    &jobs::RESQUE,
    &jobs::JOBS,
    &zabbix::ZABBIX,
    &kamailio::KAMAILIO,
    &proxies::VARNISH,
    &proxies::SQUID,
    &proxies::UNIT,
    &proxies::LITESPEED,
    &databases::MYSQL,
    &databases::DATABASE,
    &databases::PGPOOL,
    &shares::SAMBA,
    &mail::POSTFIX,
    &mail::DOVECOT,
    &mail::EXIM,
    &mail::SENDMAIL,
    &mail::CYRUS,
    &mail::MAIL,
    &sessions::SSHD,
    &sessions::FTPD,
    &shares::TRANSFER,
    &sessions::CRON,
    &sessions::SUPERVISOR,
    &sessions::SESSION,
    &sessions::INTERACTIVE,
    &jobs::BATCH,
    &proxies::DAEMON,
    &others::PREFORKING,
    &others::UNKNOWN,
];

/// The row with that key.
pub fn by_key(key: &str) -> Option<&'static Server> {
    TABLE.iter().copied().find(|server| server.key == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_keys_are_unique() {
        let (mut names, mut keys) = (Vec::new(), Vec::new());
        for server in TABLE {
            assert!(!names.contains(&server.name) && !keys.contains(&server.key), "{server:?}");
            names.push(server.name);
            keys.push(server.key);
        }
    }

    #[test]
    fn each_row_says_how_it_was_verified() {
        for server in TABLE.iter().filter(|server| server.is_known()) {
            assert!(!server.verified.is_empty(), "{}", server.name);
        }
    }

    #[test]
    fn a_server_with_settings_says_how_they_are_applied() {
        for server in TABLE {
            let settings = server.recycle.iter().chain(server.cap);
            for ServerSetting { line, counts, .. } in settings {
                assert!(line.contains('N') && !counts.is_empty(), "{server:?}");
            }
            let is_set = !server.recycle.is_empty() || !server.cap.is_empty();
            assert!(!is_set || !server.apply.is_empty(), "{}", server.name);
        }
    }

    #[test]
    fn each_step_of_a_termination_is_harder_than_the_one_before() {
        for server in TABLE {
            let (WorkerPolicy::End(ending) | WorkerPolicy::Allow(ending, _)) = server.workers
            else {
                continue;
            };
            let mut last = ending.first.0;
            for step in ending.then {
                assert!(*step > last, "{}", server.name);
                last = *step;
            }
            assert!((1.0..=120.0).contains(&ending.grace_s), "{}", server.name);
        }
    }

    #[test]
    fn a_server_with_advice_has_settings_whose_defaults_are_numbers() {
        for server in TABLE {
            let Some(advice) = server.advice else { continue };
            assert!(!server.recycle.is_empty() && !server.cap.is_empty(), "{}", server.name);
            let settings = server.recycle.iter().take(1).chain(server.cap).chain(advice.jitter);
            for setting in settings {
                let is_number = setting.default.starts_with(|c: char| c.is_ascii_digit());
                assert!(is_number, "{}: {}", server.name, setting.line);
            }
        }
    }

    #[test]
    fn a_setting_knows_its_name_its_default_and_its_line() {
        let php = by_key("php-fpm").unwrap();
        let recycle = &php.recycle[0];
        assert_eq!((recycle.name(), recycle.default_value()), ("pm.max_requests", 0));
        assert_eq!(recycle.with(500), "pm.max_requests = 500");
        let cap = &by_key("apache-prefork").unwrap().cap[0];
        assert_eq!((cap.name(), cap.default_value()), ("MaxRequestWorkers", 256));
        assert_eq!(cap.with(40), "MaxRequestWorkers 40");
    }
}
