//! Recognise: which row of the table a process belongs to.
//!
//! Process names alone do not tell: mod_perl renames its children `/usr/sbin/apach`, and a gunicorn
//! is a python. So the executable counts first, and for an interpreter its title.

use super::{PREFORKING, RecognisedBy, Server, TABLE, ThreadCount, UNKNOWN};
use crate::core::model::process::{Comm, Program};

/// Programs that run scripts: their title names the server.
const INTERPRETERS: [&str; 8] =
    ["python", "pypy", "ruby", "perl", "node", "nodejs", "php", "php-cli"];
/// Words of a title that count where no interpreter begins it: "[ready] gunicorn: worker [app]".
const WORDS: usize = 4;
/// Options of interpreters whose value is a word of its own.
const WITH_VALUE: [&str; 10] =
    ["-W", "-X", "-I", "-r", "-C", "-d", "--require", "--import", "--loader", "--env-file"];
/// Options after which code follows, and no script.
const WITH_CODE: [&str; 4] = ["-c", "-e", "--eval", "-E"];
/// Scripts that run the one that their arguments name.
const RUNNERS: [&str; 16] = [
    "bundle",
    "exec",
    "run",
    "run-program",
    "newrelic-admin",
    "ddtrace-run",
    "opentelemetry-instrument",
    "opentelemetry",
    "poetry",
    "pipenv",
    "uv",
    "coverage",
    "rake",
    "manage.py",
    "django-admin",
    "catchsegv",
];

/// The server that a process belongs to, by its executable, its title, its threads, and whether it
/// is a fork of its parent. The `user_rows` go before the table.
pub fn recognise(program: &Program, comm: Comm, user_rows: &[&'static Server]) -> &'static Server {
    let seen = ProgramSeen::of(program, comm);
    let rows = user_rows.iter().chain(TABLE).copied();
    let mut rows = rows.filter(|server| match server.threads {
        ThreadCount::Any => true,
        ThreadCount::One => program.threads <= 1,
        ThreadCount::Many => program.threads > 1,
    });
    let found = rows.find(|server| server.by.iter().any(|by| seen.is(*by)));
    found.unwrap_or(if program.forked { &PREFORKING } else { &UNKNOWN })
}

/// Whether a program has one of these names: its own, or that of the script that it runs.
pub fn is_called(program: &Program, comm: Comm, names: &[String]) -> bool {
    let seen = ProgramSeen::of(program, comm);
    let is_script = |name: &str| seen.scripted && seen.words.iter().any(|word| base(word) == name);
    names.iter().any(|name| {
        comm.as_bytes() == name.as_bytes() || is_version_of(&seen.name, name) || is_script(name)
    })
}

/// Whether an executable of that name runs scripts.
pub fn is_interpreter(exe: &str) -> bool {
    INTERPRETERS.iter().any(|interpreter| is_version_of(exe, interpreter))
}

/// Whether a child of this server's master handles requests, rather than helping the others.
pub fn handles_requests(server: &Server, program: &Program) -> bool {
    !server.helpers.iter().any(|part| program.title.contains(part))
}

/// The name of the pool that a worker with that title belongs to, where its server has several: "www" of
/// "php-fpm: pool www".
pub fn pool_name<'t>(server: &Server, title: &'t str) -> &'t str {
    let named = !server.pool_title.is_empty();
    title.strip_prefix(server.pool_title).filter(|_| named).unwrap_or("").trim()
}

/// What is seen of a program.
struct ProgramSeen<'a> {
    name: String,
    path: &'a str,
    title: &'a str,
    words: Vec<&'a str>,
    /// Whether the words may name a script: an interpreter's, or those of an unreadable executable.
    scripted: bool,
}

impl<'a> ProgramSeen<'a> {
    fn of(program: &'a Program, comm: Comm) -> Self {
        let words = words(&program.title);
        let first = words.first().copied().unwrap_or("");
        let path = program.exe.trim_end_matches(" (deleted)");
        let name = match path {
            // Other users' executables are unreadable: then the title counts, then the name.
            "" if !first.is_empty() => base(first).to_owned(),
            "" => comm.to_string(),
            path => base(path).to_owned(),
        };
        let scripted = path.is_empty() || is_interpreter(&name);
        Self { name, path, title: &program.title, words, scripted }
    }

    fn is(&self, by: RecognisedBy) -> bool {
        match by {
            RecognisedBy::Exe(names) => names.iter().any(|name| is_version_of(&self.name, name)),
            RecognisedBy::Dir(dir) => self.path.rsplit('/').skip(1).any(|part| part == dir),
            RecognisedBy::Title(names) => {
                self.scripted && self.words.iter().any(|word| names.contains(&base(word)))
            }
            RecognisedBy::TitleBegins(texts) => {
                texts.iter().any(|text| self.title.starts_with(text))
            }
            RecognisedBy::Fork => false,
        }
    }
}

/// The words of a title that may name a server: of an interpreter's command line itself and its
/// script, or what a script that runs others is to run; of any other title the first ones.
fn words(title: &str) -> Vec<&str> {
    let mut all = title.split_ascii_whitespace();
    let Some(first) = all.next() else { return Vec::new() };
    if !is_interpreter(base(first)) {
        return title.split_ascii_whitespace().take(WORDS).collect();
    }
    let mut words = vec![first];
    while let Some(word) = all.next() {
        if WITH_CODE.contains(&word) {
            break;
        } else if WITH_VALUE.contains(&word) {
            all.next();
        } else if !word.starts_with('-') {
            words.push(word);
            if !RUNNERS.contains(&base(word)) {
                break;
            }
        }
    }
    words
}

/// The last part of a path, or of a title's first word: "/usr/bin/puma" and "puma:" are "puma".
fn base(word: &str) -> &str {
    let word = word.trim_matches(['[', ']', ':']);
    word.rsplit('/').next().unwrap_or(word)
}

/// "php-fpm8.2" is a version of "php-fpm", and Bitnami's "httpd.bin" is "httpd".
pub(super) fn is_version_of(name: &str, program: &str) -> bool {
    name.trim_end_matches(".bin")
        .strip_prefix(program)
        .is_some_and(|rest| rest.chars().all(|c| c.is_ascii_digit() || c == '.'))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::servers::WorkerPolicy;

    fn program(exe: &str, title: &str, threads: u32) -> Program {
        Program { exe: exe.to_owned(), title: title.to_owned(), threads, ..Program::unknown() }
    }

    fn name(exe: &str, title: &str, threads: u32) -> &'static str {
        recognise(&program(exe, title, threads), Comm::new(b"x"), &[]).name
    }

    #[test]
    fn the_executable_tells_apache_and_the_threads_tell_its_mpm() {
        assert_eq!(name("/usr/sbin/apache2", "/usr/sbin/apach", 1), "Apache prefork");
        let threaded = "Apache event/worker";
        assert_eq!(name("/usr/sbin/httpd", "/usr/sbin/httpd -DFOREGROUND", 27), threaded);
        assert_eq!(name("/usr/sbin/httpd.worker", "/usr/sbin/httpd.worker", 27), threaded);
        assert_eq!(name("/usr/sbin/apache2 (deleted)", "", 1), "Apache prefork");
        assert_eq!(name("/usr/sbin/httpd2-prefork", "", 1), "Apache prefork");
    }

    #[test]
    fn the_title_tells_what_an_interpreter_runs() {
        for (exe, title, threads, expected) in [
            (
                "/usr/bin/python3.11",
                "/usr/bin/python3 /usr/bin/gunicorn app:app",
                1,
                "gunicorn sync",
            ),
            ("/usr/bin/python3.11", "gunicorn: worker [app]", 5, "gunicorn gthread"),
            ("/usr/bin/ruby3.1", "puma: cluster worker 0: 4242 [app]", 5, "puma"),
            ("/usr/bin/ruby3.1", "puma 5.6.5 (tcp://127.0.0.1:80) [app]", 2, "puma"),
            ("/usr/bin/ruby3.1", "unicorn worker[1] -c u.rb", 1, "unicorn"),
            ("/usr/bin/ruby3.1", "sidekiq 6.5.12 app [0 of 5 busy]", 9, "Sidekiq"),
            ("/usr/bin/ruby3.1", "Passenger RubyApp: /srv/app (production)", 3, "Passenger"),
            ("/usr/bin/python3.11", "/usr/bin/python3 -m celery -A app worker", 1, "Celery"),
            ("/usr/bin/python3.11", "[celeryd: celery@h:ForkPoolWorker-1]", 1, "Celery"),
            ("/usr/bin/python3.11", "/usr/bin/python3 /usr/bin/supervisord -n", 1, "supervisord"),
        ] {
            assert_eq!(name(exe, title, threads), expected, "{title}");
        }
    }

    #[test]
    fn the_script_is_found_behind_options_and_runners_and_nowhere_else() {
        for (title, expected) in [
            ("python3 -u -W ignore /usr/bin/gunicorn app:app", "gunicorn sync"),
            ("python3 -X dev -m gunicorn app:app", "gunicorn sync"),
            ("python3 /venv/bin/newrelic-admin run-program gunicorn app:app", "gunicorn sync"),
            ("python3 manage.py rqworker default", "job queue"),
            ("python3 /srv/train.py --server gunicorn", "unknown"),
            ("python3 -c import gunicorn", "unknown"),
            ("python3 /usr/bin/odoo --config /etc/odoo/odoo.conf", "Odoo"),
            ("odoo: WorkerHTTP 4711", "Odoo"),
            ("resque-1.27.4: Processing mail since 1324410958", "Resque"),
        ] {
            assert_eq!(name("/usr/bin/python3.11", title, 1), expected, "{title}");
        }
    }

    #[test]
    fn packagers_give_servers_other_names_and_places() {
        for (exe, title, threads, expected) in [
            ("/opt/bitnami/apache2/bin/httpd.bin", "", 1, "Apache prefork"),
            ("/opt/bitnami/apache2/bin/httpd.bin", "", 27, "Apache event/worker"),
            ("/usr/sbin/httpd.itk", "", 1, "Apache prefork"),
            ("/usr/sbin/apache2", "(wsgi:app)        -k start", 17, "mod_wsgi daemon"),
            ("/opt/rh/httpd24/root/usr/sbin/httpd", "", 1, "Apache prefork"),
            ("/usr/edb/as15/bin/edb-postgres", "postgres: a b idle", 1, "PostgreSQL"),
            ("/opt/pg/bin/postgres.bin", "", 1, "PostgreSQL"),
            ("/usr/sbin/angie", "angie: worker process", 1, "nginx"),
            ("/usr/sbin/sw-engine-fpm", "", 1, "php-fpm"),
            ("/usr/sbin/fpm", "php-fpm: pool shop", 1, "php-fpm"),
            ("/opt/cpanel/ea-php81/root/usr/bin/lsphp", "lsphp", 1, "LiteSpeed PHP"),
            ("/opt/bitnami/mysql/bin/mysqld.bin", "", 40, "MySQL, MariaDB"),
            ("/usr/bin/ruby2.1", "Rack: /srv/app", 1, "Passenger"),
        ] {
            assert_eq!(name(exe, title, threads), expected, "{exe} {title}");
        }
    }

    #[test]
    fn what_takes_its_service_down_is_only_reported() {
        for exe in [
            "/usr/sbin/zabbix_server",
            "/usr/sbin/kamailio",
            "/usr/sbin/varnishd",
            "/usr/sbin/unitd",
            "/usr/local/lsws/bin/openlitespeed",
            "/usr/sbin/smbd",
            "/usr/sbin/pgpool",
            "/usr/bin/rsync",
            "/usr/lib/cyrus/bin/imapd",
            "/usr/sbin/sendmail-mta",
            "/usr/sbin/squid",
            "/usr/bin/xargs",
            "/usr/bin/make",
            "/usr/lib/jvm/bin/java",
        ] {
            let server = recognise(&program(exe, "", 1), Comm::new(b"x"), &[]);
            assert!(matches!(server.workers, WorkerPolicy::Report(_)), "{exe}: {server:?}");
        }
    }

    #[test]
    fn a_server_name_in_the_title_of_another_program_does_not_count() {
        assert_eq!(name("/usr/bin/vim.basic", "vim gunicorn", 1), "unknown");
        assert_eq!(name("/usr/bin/journalctl", "journalctl -fu puma", 1), "unknown");
        assert_eq!(name("/opt/grand/master", "master", 1), "unknown");
    }

    #[test]
    fn a_name_may_carry_a_version_and_a_directory_may_stand_for_it() {
        assert_eq!(name("/usr/sbin/php-fpm8.2", "php-fpm: pool www", 1), "php-fpm");
        assert_eq!(name("/usr/bin/uwsgi-core", "uwsgi --ini a.ini", 1), "uwsgi");
        assert_eq!(name("/usr/lib/postfix/sbin/smtpd", "smtpd -n smtp", 1), "Postfix");
        assert_eq!(name("/usr/lib/dovecot/imap", "dovecot/imap", 1), "Dovecot");
        assert_eq!(
            name("/usr/lib/postgresql/15/bin/postgres", "postgres: a b [local] idle", 1),
            "PostgreSQL"
        );
    }

    #[test]
    fn each_pool_of_a_php_fpm_has_its_own_name() {
        let shop = program("/usr/sbin/php-fpm8.2", "php-fpm: pool shop", 1);
        assert_eq!(pool_name(recognise(&shop, Comm::default(), &[]), &shop.title), "shop");
        let nginx = program("/usr/sbin/nginx", "nginx: worker process", 1);
        assert_eq!(pool_name(recognise(&nginx, Comm::default(), &[]), &nginx.title), "");
    }

    #[test]
    fn the_title_counts_where_the_executable_is_unreadable() {
        assert_eq!(name("", "php-fpm: pool www", 1), "php-fpm");
        assert_eq!(name("", "nginx: worker process", 1), "nginx");
        assert_eq!(name("", "postgres: checkpointer", 1), "PostgreSQL");
    }

    #[test]
    fn a_program_of_no_row_is_unknown_and_its_fork_is_a_preforked_worker() {
        assert_eq!(name("/usr/local/bin/job", "job", 1), "unknown");
        let fork = Program { forked: true, ..program("/usr/local/bin/job", "job", 1) };
        assert_eq!(recognise(&fork, Comm::new(b"job"), &[]).name, "unknown pre-forking program");
    }

    #[test]
    fn sessions_and_databases_are_only_reported() {
        for exe in ["/usr/sbin/sshd", "/usr/sbin/cron", "/usr/sbin/mariadbd", "/usr/bin/bash"] {
            let server = recognise(&program(exe, "", 1), Comm::new(b"x"), &[]);
            assert!(matches!(server.workers, WorkerPolicy::Report(_)), "{exe}: {server:?}");
        }
    }

    #[test]
    fn a_helper_of_a_master_is_no_worker() {
        for (exe, title, worker) in [
            ("/usr/sbin/nginx", "nginx: worker process", true),
            ("/usr/sbin/nginx", "nginx: cache manager process", false),
            ("/usr/bin/postgres", "postgres: shop shop 10.0.0.7(5123) idle", true),
            ("/usr/bin/postgres", "postgres: 15/main: checkpointer ", false),
            ("/usr/bin/uwsgi", "uWSGI worker 1", true),
            ("/usr/bin/uwsgi", "uWSGI http 1", false),
        ] {
            let program = program(exe, title, 1);
            let server = recognise(&program, Comm::new(b"x"), &[]);
            assert_eq!(handles_requests(server, &program), worker, "{title}");
        }
    }
}
