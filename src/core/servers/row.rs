//! Row: what is known of one server, as data.

use super::{Advice, StatusProtocol};
use crate::core::model::signal::{Signal, Step};

/// A kind of server, and what is known of its workers.
#[derive(Debug, PartialEq)]
pub struct Server {
    /// Its name for people: "Apache prefork".
    pub name: &'static str,
    /// Its name for options and programs: "apache-prefork".
    pub key: &'static str,
    /// How what the row says was verified, for people; empty where nothing is known.
    pub verified: &'static str,
    /// How its processes are recognised; any one of these suffices.
    pub by: &'static [RecognisedBy],
    /// How many threads they have, where that tells two rows apart.
    pub threads: ThreadCount,
    /// What log lines call it where its processes may have other names; empty elsewhere.
    pub log_name: &'static str,
    /// Whether its children are programs of others (a shell's, cron's): each is a service of its own.
    pub runs_others: bool,
    /// Parts of a title that mark a child of the master that is no worker: never ended.
    pub helpers: &'static [&'static str],
    /// The part of a title before the name of a pool, where one master has several pools.
    pub pool_title: &'static str,
    /// How its workers may be ended.
    pub workers: WorkerPolicy,
    /// What a failed fork does to its master, at the moment it replaces a worker.
    pub failed_fork: FailedFork,
    /// How the server itself ends a worker after some work: the remedy that outlives leakwatch. The
    /// first is the usual one.
    pub recycle: &'static [ServerSetting],
    /// How to limit the number of its workers. The first is the usual one.
    pub cap: &'static [ServerSetting],
    /// Where these are set: distribution and path.
    pub files: &'static [(&'static str, &'static str)],
    /// The command that puts a changed setting into force; empty where there are no settings.
    pub apply: &'static str,
    /// How it reports the work of each worker, if it can.
    pub status: Option<StatusProtocol>,
    /// How a diagnosis reads and changes its settings; none where it only names them.
    pub advice: Option<&'static Advice>,
}

impl Server {
    /// Whether it is a named server: a row of the table, or one of the user's.
    pub fn is_known(&self) -> bool {
        !matches!(self.by, [] | [RecognisedBy::Fork])
    }

    /// The word for it in the title of its processes, where an interpreter runs it.
    pub fn title_word(&self) -> Option<&'static str> {
        self.by.iter().find_map(|by| match by {
            RecognisedBy::Title(names) => names.first().copied(),
            RecognisedBy::Exe(_)
            | RecognisedBy::Dir(_)
            | RecognisedBy::TitleBegins(_)
            | RecognisedBy::Fork => None,
        })
    }

    /// Whether nothing at all is known of it, not even that it forks its workers.
    pub fn is_unknown(&self) -> bool {
        self.by.is_empty()
    }
}

/// How a server's processes are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecognisedBy {
    /// By the name of the executable, without a version after it ("php-fpm" for php-fpm8.2).
    Exe(&'static [&'static str]),
    /// By a directory on the executable's path ("/usr/lib/postfix/sbin/master").
    Dir(&'static str),
    /// By one of the first words of an interpreter's title: its executable is the interpreter.
    Title(&'static [&'static str]),
    /// By how the title begins, whatever runs it: for servers that set it ("postgres: ").
    TitleBegins(&'static [&'static str]),
    /// By being a fork of its parent, without exec, that matches no other row.
    Fork,
}

/// How many threads the processes of a row have.
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
    /// replaces all of them gently; the words say what to do without it.
    Reload(Signal, &'static str),
    /// Not at all; the words say why and what to do instead.
    Report(&'static str),
}

/// The signals that end a worker.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Termination {
    /// What is sent first. [`Step::Gentle`]: the worker finishes its request, then exits.
    pub first: (Step, Signal),
    /// Seconds to wait for it: the longest request by the server's defaults.
    pub grace_s: f64,
    /// What follows if the worker stays.
    pub then: &'static [Step],
}

impl Termination {
    /// Ends by `signal`, at which a worker finishes its request.
    pub(super) const fn gently(signal: Signal, grace_s: f64, then: &'static [Step]) -> Self {
        Self { first: (Step::Gentle, signal), grace_s, then }
    }

    /// The step after `step`.
    pub fn after(&self, step: Step) -> Option<Step> {
        self.then.iter().copied().find(|next| *next > step)
    }
}

/// TERM, then KILL for a worker that ignores even that.
pub(super) const TERM_KILL: &[Step] = &[Step::Term, Step::Kill];

/// What a failed fork does to a master, at the moment it replaces a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailedFork {
    /// It continues with one worker fewer and tries again.
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
    /// Other spellings: a synonym ("workers"), or an option of one letter ("-p").
    pub aliases: &'static [&'static str],
    /// What N counts.
    pub counts: &'static str,
    /// What holds where nothing is set, in words that begin with the number if it is one.
    pub default: &'static str,
    /// Versions that know it; empty for all that matter.
    pub versions: &'static str,
}

impl ServerSetting {
    pub(super) const fn new(
        line: &'static str,
        counts: &'static str,
        default: &'static str,
    ) -> Self {
        Self { line, aliases: &[], counts, default, versions: "" }
    }

    /// Its name: the line's first word, or what is before the = of an option in a longer line.
    pub fn name(&self) -> &'static str {
        let word = self.line.split(' ').next().unwrap_or(self.line);
        word.strip_suffix("=N").unwrap_or(word)
    }

    /// Whether it is an option in a longer line ("maximum-requests=N" of WSGIDaemonProcess).
    pub fn is_option(&self) -> bool {
        self.line.ends_with("=N")
    }

    /// The number that holds where nothing is set; 0 where the default is no number.
    pub fn default_value(&self) -> u64 {
        let digits = self.default.split(|c: char| !c.is_ascii_digit()).next();
        digits.and_then(|digits| digits.parse().ok()).unwrap_or(0)
    }

    /// The line with a value.
    pub fn with(&self, value: u64) -> String {
        match self.line.strip_suffix("=N") {
            Some(name) => format!("{name}={value}"),
            None => self.line.replacen(" N", &format!(" {value}"), 1),
        }
    }
}

/// What most rows have in common.
pub(super) const BLANK: Server = Server {
    name: "",
    key: "",
    verified: "",
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
    status: None,
    advice: None,
};
