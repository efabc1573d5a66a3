//! Server: what each server's workers are, and the signal at which one finishes its request.
//!
//! No signal is gentle everywhere: USR1 lets an Apache prefork child finish and ends a php-fpm
//! worker at once; TERM is the other way round for gunicorn. So what is known is one row a server
//! in a [`TABLE`], as data; what is not known for sure is not in it, and a server whose children
//! obey no signal is only reported.
//!
//! Signals and their effects were tried on the real servers under load, a 4 s request in the
//! signalled worker: Apache 2.4.71, php-fpm 8.2, nginx 1.22, gunicorn 20.1, uwsgi 2.0, puma 5.6,
//! unicorn 6.0, PostgreSQL 15. So was what a failed fork does to each master (ENOMEM injected as it
//! replaces a worker). Celery, Passenger, Sidekiq, Postfix, Dovecot, Exim and pure-ftpd are from
//! their sources and manuals; so are file paths of distributions other than Debian.

mod recognise;
mod table;
mod user_row;

pub use recognise::{is_worker, pool_name, recognise};
pub use table::{APACHE_THREADED, PREFORKING, TABLE, UNKNOWN};
pub use user_row::UserServer;

use crate::core::model::signal::{Signal, Step};

/// A kind of server, and what is known of its workers.
#[derive(Debug, PartialEq)]
pub struct Server {
    /// Its name for people: "Apache prefork".
    pub name: &'static str,
    /// Its name for options and programs: "apache-prefork".
    pub key: &'static str,
    /// How its processes are told; any one of these suffices.
    pub by: &'static [RecognisedBy],
    /// How many threads they have, where that tells two rows apart.
    pub threads: ThreadCount,
    /// What log lines call it where its processes may have other names; empty elsewhere.
    pub log_name: &'static str,
    /// Whether its children are programs of others (a shell's, cron's): each is a service of its own.
    pub runs_others: bool,
    /// Parts of a title that show a child of the master which is none of its workers: never ended.
    pub helpers: &'static [&'static str],
    /// The part of a title before a pool's name, where one master has several pools.
    pub pool_title: &'static str,
    /// How its workers may be ended.
    pub workers: WorkerPolicy,
    /// What a fork that fails does to its master, at the moment it replaces a worker.
    pub failed_fork: FailedFork,
    /// How to have the server itself end a worker after some work: the cure that outlives leakwatch.
    pub recycle: &'static [ServerSetting],
    /// How to limit the number of its workers.
    pub cap: &'static [ServerSetting],
    /// Where these are set: distribution and path.
    pub files: &'static [(&'static str, &'static str)],
    /// The command that puts a changed setting into force; empty where nothing is to be set.
    pub apply: &'static str,
}

impl Server {
    /// Whether it is a server that somebody named: a row of the table, or one of the user's.
    pub fn is_known(&self) -> bool {
        !matches!(self.by, [] | [RecognisedBy::Fork])
    }

    /// Whether nothing at all is known of it, not even that it forks its workers.
    pub fn is_unknown(&self) -> bool {
        self.by.is_empty()
    }
}

/// How a server's processes are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecognisedBy {
    /// By the name of the executable, a version after it aside ("php-fpm" for php-fpm8.2).
    Exe(&'static [&'static str]),
    /// By a directory on the executable's path ("/usr/lib/postfix/sbin/master").
    Dir(&'static str),
    /// By one of the first words of the title of an interpreter, since its executable is that.
    Title(&'static [&'static str]),
    /// By what is left when nothing else matches: a fork of its parent, without exec.
    Fork,
}

/// How many threads a row is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ThreadCount {
    /// Any number.
    Any,
    /// One.
    One,
    /// Two or more.
    Many,
}

/// How the workers of a server may be ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum WorkerPolicy {
    /// By signals.
    End(Termination),
    /// By signals, but only if the user names this server with `--allow`; the words say why.
    Allow(Termination, &'static str),
    /// Not by a signal of their own: they obey none. With `--reload` this signal to the *master*
    /// has all of them replaced gently; the words say what to do without it.
    Reload(Signal, &'static str),
    /// Not at all; the words say why and what to do instead.
    Report(&'static str),
}

/// The signals by which a worker is ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Termination {
    /// What is sent first. [`Step::Gentle`]: it finishes its request, then exits.
    pub first: (Step, Signal),
    /// Seconds to wait for it: the longest request by the server's defaults.
    pub grace_s: f64,
    /// What follows for one that does not go.
    pub then: &'static [Step],
}

impl Termination {
    /// The step after `step`.
    pub fn after(&self, step: Step) -> Option<Step> {
        self.then.iter().copied().find(|next| *next > step)
    }
}

/// What a fork that fails does to a master, at the moment it replaces a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedFork {
    /// It serves on with one worker fewer and tries again.
    Survives,
    /// It exits, or never replaces that worker: the words say which. So its workers are ended
    /// earlier, and not at all once forks fail.
    Ends(&'static str),
    /// Not known, or its workers are not ended anyway.
    Unknown,
}

/// A setting of a server.
#[derive(Debug, PartialEq, Eq)]
pub struct ServerSetting {
    /// The line as it is written in the file, with N where the value goes.
    pub line: &'static str,
    /// What N counts.
    pub counts: &'static str,
    /// What holds where nothing is set.
    pub default: &'static str,
    /// Versions that know it; empty for all that matter.
    pub versions: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_agrees_with_itself() {
        let (mut names, mut keys) = (Vec::new(), Vec::new());
        for server in TABLE {
            assert!(!names.contains(&server.name) && !keys.contains(&server.key), "{server:?}");
            names.push(server.name);
            keys.push(server.key);
            let settings = server.recycle.iter().chain(server.cap);
            for ServerSetting { line, counts, .. } in settings {
                assert!(!line.is_empty() && !counts.is_empty(), "{server:?}");
            }
            let set = !server.recycle.is_empty() || !server.cap.is_empty();
            assert!(!set || !server.apply.is_empty(), "{}: how is a setting applied?", server.name);
            let (WorkerPolicy::End(ending) | WorkerPolicy::Allow(ending, _)) = server.workers
            else {
                continue;
            };
            let mut last = ending.first.0;
            for step in ending.then {
                assert!(*step > last, "{}: steps go up", server.name);
                last = *step;
            }
            assert!((1.0..=120.0).contains(&ending.grace_s), "{}", server.name);
        }
    }
}
