//! Server: what each server's workers are, and the signal at which one finishes its request.
//!
//! No signal is gentle everywhere: USR1 lets an Apache prefork child finish and ends a php-fpm
//! worker at once; TERM is the other way round for gunicorn. So what is not known for sure is not
//! in the table, and a server whose children obey no signal (Apache event) is only reported. Each
//! row was tried on the real server under load: a 4 s request in the signalled worker ended with
//! status 200 (Apache 2.4.71, php-fpm 8.2, nginx 1.22, gunicorn 20.1, uwsgi 2.0, puma 5.6,
//! unicorn 6.0, PostgreSQL 15).

use crate::assessment::Signal;
use crate::sample::{Comm, Program};

/// A kind of server, as seen from one of its workers.
#[derive(Debug, PartialEq)]
pub struct Server {
    /// Its name for people.
    pub name: &'static str,
    /// How its workers may be ended.
    pub workers: Workers,
}

/// How the workers of a server may be ended.
#[derive(Debug, PartialEq)]
pub enum Workers {
    /// By signals.
    End {
        /// Lets a worker finish its request, then exit. `None`: TERM comes first.
        gentle: Option<Signal>,
        /// Seconds to wait before the next step: the longest request by the server's defaults.
        grace_s: f64,
    },
    /// Not at all; the words say why and what to do instead.
    Report(&'static str),
}

const fn end(name: &'static str, gentle: Signal, grace_s: f64) -> Server {
    Server { name, workers: Workers::End { gentle: Some(gentle), grace_s } }
}

const fn report(name: &'static str, why: &'static str) -> Server {
    Server { name, workers: Workers::Report(why) }
}

/// Finishes its request on USR1; `Timeout` is 60 s by default, plus 10 s to notice.
pub static APACHE_PREFORK: Server = end("Apache prefork", Signal::Usr1, 70.0);
static APACHE_THREADED: Server = report(
    "Apache event/worker",
    "its children obey no signal but KILL, which loses their requests; `apachectl graceful` replaces them all",
);
static PHP_FPM: Server = end("php-fpm", Signal::Quit, 60.0);
static NGINX: Server = end("nginx", Signal::Quit, 60.0);
static GUNICORN: Server = end("gunicorn", Signal::Term, 35.0);
static UWSGI: Server = end("uwsgi", Signal::Hup, 60.0);
static PUMA: Server = end("puma", Signal::Term, 30.0);
static UNICORN: Server = end("unicorn", Signal::Quit, 60.0);
static POSTGRES: Server = report(
    "PostgreSQL",
    "ending a backend ends its session, and KILL ends all of them; limit connection lifetime instead",
);
static SESSIONS: Server = report(
    "sessions and jobs",
    "it is somebody's session, job or delivery; end it yourself if it must go",
);
static DATABASE: Server = report(
    "database",
    "ending it ends every connection and may need a recovery; restart its service at a quiet hour",
);
/// What is in no row: TERM, then KILL.
pub static UNKNOWN: Server =
    Server { name: "unknown", workers: Workers::End { gentle: None, grace_s: 10.0 } };

/// Programs whose children are people's sessions or other programs' deliveries.
const SESSION_PROGRAMS: [&str; 32] = [
    "bash",
    "sh",
    "dash",
    "zsh",
    "fish",
    "su",
    "sudo",
    "tmux",
    "screen",
    "cron",
    "crond",
    "atd",
    "systemd",
    "containerd-shim",
    "containerd-shim-runc-v2",
    "runc",
    "supervisord",
    "runsvdir",
    "agetty",
    "exim",
    "sshd",
    "sshd-session",
    "login",
    "dovecot",
    "imap",
    "imap-login",
    "pop3",
    "pure-ftpd",
    "vsftpd",
    "proftpd",
    "exim4",
    "master",
];

/// The server whose worker a process would be, by its executable, its title and its threads.
/// Names are no help alone: mod_perl renames its children `/usr/sbin/apach`.
pub fn recognise(program: &Program, comm: Comm) -> &'static Server {
    let words: Vec<&str> = program.title.split_ascii_whitespace().collect();
    let first = words.first().copied().unwrap_or("");
    let base = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let name = match program.exe.as_str() {
        // Not readable for other users' processes: the title has to do, then the name.
        "" if !first.is_empty() => base(first.trim_end_matches(':')),
        "" => comm.to_string(),
        exe => base(exe.trim_end_matches(" (deleted)")),
    };
    let has = |word: &str| words.iter().take(4).any(|w| base(w).trim_end_matches(':') == word);
    match name.as_str() {
        "apache2" | "httpd" | "httpd-prefork" | "apache2-prefork" | "httpd2-prefork" => {
            if program.threads > 1 { &APACHE_THREADED } else { &APACHE_PREFORK }
        }
        n if n.starts_with("php-fpm") => &PHP_FPM,
        "nginx" => &NGINX,
        "uwsgi" | "uwsgi-core" => &UWSGI,
        "postgres" | "postmaster" => &POSTGRES,
        "mysqld" | "mariadbd" | "redis-server" | "mongod" => &DATABASE,
        n if SESSION_PROGRAMS.contains(&n) => &SESSIONS,
        _ if has("gunicorn") => &GUNICORN,
        _ if has("puma") => &PUMA,
        _ if has("unicorn") || has("unicorn_rails") => &UNICORN,
        _ => &UNKNOWN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(exe: &str, title: &str, threads: u32) -> &'static str {
        let program =
            Program { exe: exe.to_owned(), title: title.to_owned(), threads, ..Program::unknown() };
        recognise(&program, Comm::new(b"x")).name
    }

    #[test]
    fn apache_is_told_by_its_executable_and_its_mpm_by_the_threads() {
        assert_eq!(name("/usr/sbin/apache2", "/usr/sbin/apach", 1), "Apache prefork");
        assert_eq!(
            name("/usr/sbin/httpd", "/usr/sbin/httpd -DFOREGROUND", 27),
            "Apache event/worker"
        );
        assert_eq!(name("/usr/sbin/apache2 (deleted)", "", 1), "Apache prefork");
    }

    #[test]
    fn interpreters_are_told_by_their_title() {
        assert_eq!(
            name("/usr/bin/python3.11", "/usr/bin/python3 /usr/bin/gunicorn app:app", 1),
            "gunicorn"
        );
        assert_eq!(name("/usr/bin/python3.11", "gunicorn: worker [app]", 1), "gunicorn");
        assert_eq!(name("/usr/bin/ruby3.1", "puma: cluster worker 0: 4242 [app]", 5), "puma");
        assert_eq!(name("/usr/bin/ruby3.1", "unicorn worker[1] -c u.rb", 1), "unicorn");
    }

    #[test]
    fn without_the_right_to_read_the_executable_the_title_has_to_do() {
        assert_eq!(name("", "php-fpm: pool www", 1), "php-fpm");
        assert_eq!(name("", "nginx: worker process", 1), "nginx");
    }

    #[test]
    fn what_is_not_in_the_table_is_unknown_and_sessions_are_only_reported() {
        assert_eq!(name("/usr/local/bin/job", "job", 1), "unknown");
        assert!(matches!(
            recognise(
                &Program { exe: "/usr/sbin/sshd".into(), ..Program::unknown() },
                Comm::new(b"sshd")
            )
            .workers,
            Workers::Report(_)
        ));
    }
}
