//! Advice: how a diagnosis reads a server's settings, and how it proposes to change them.

use super::{PidInLog, ServerSetting};

/// Seconds that a worker should live where its successor comes late or at a price. Workers that
/// started together end together, and Apache prefork checks once a second whether any are missing:
/// for a second in each life requests wait, which must be less than one in a hundred of them. A
/// gunicorn or uWSGI worker loads the whole application anew.
pub const LONG_LIFE_S: f64 = 120.0;

/// The same where the successor is there at once (php-fpm: a fork of 10 ms).
pub const SHORT_LIFE_S: f64 = 30.0;

/// How a server's settings are read, changed, checked and applied.
#[derive(Debug, PartialEq)]
pub struct Advice {
    /// How its configuration is written: this chooses the reader.
    pub syntax: ConfigSyntax,
    /// The setting that adds a random number of requests to each worker's life, if there is one.
    pub jitter: Option<&'static ServerSetting>,
    /// How it takes settings from its environment. Then it takes each as `--name value` on its
    /// command line as well.
    pub environment: Option<Environment>,
    /// Whether its recycle setting counts connections, each of one or more requests.
    pub counts_connections: bool,
    /// Whether it closes each connection after one request, so that closed connections are requests.
    pub one_request_per_connection: bool,
    /// Seconds that a worker should live.
    pub least_life_s: f64,
    /// What it costs to replace workers often.
    pub replacement_cost: &'static str,
    /// Times that a worker waits for something during a request, the application aside.
    pub waits_per_request: f64,
    /// Whether each request wakes all workers: then there are at least as many waits as workers.
    pub wakes_all_workers: bool,
    /// What to do to have its requests counted rather than guessed.
    pub count_requests: &'static str,
    /// How the access log names the pid of the worker that served a request; none where it cannot.
    pub pid_in_log: Option<&'static PidInLog>,
    /// What its workers copy when a reload ends them all.
    pub reload_copies: ReloadCopies,
    /// What to type to check a change and put it into force. The first template whose words in
    /// braces are all known is taken:
    ///
    /// | word | meaning |
    /// |---|---|
    /// | `{exe}`, `{program}` | the executable's path, its name |
    /// | `{options}` | the options that say which configuration is meant |
    /// | `{python}`, `{file}` | the interpreter; the first file that changes |
    /// | `{unit}` | its systemd unit |
    /// | `{main_unit}` | the same, if the unit's main process is the master |
    /// | `{master}` | the master's pid |
    pub apply: &'static [&'static str],
}

/// How a configuration is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigSyntax {
    /// Directives in sections, with includes and conditions, as Apache has them.
    Apache,
    /// `name = value` in `[sections]`.
    Ini(IniFile),
    /// Assignments in Python, as gunicorn has them.
    Python,
}

/// Where the settings stand in a configuration of ini files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IniFile {
    /// The option of one letter that names the main file; may be empty.
    pub short_option: &'static str,
    /// The long option that does.
    pub long_option: &'static str,
    /// Options that name a file of another syntax with the same settings.
    pub also: &'static [&'static str],
    /// The section with the settings; empty where each pool has a section named after it.
    pub section: &'static str,
    /// The setting that includes other files. Empty where includes are not followed: a server's
    /// process names what is read for it, so no more is read than its advice needs.
    pub include: &'static str,
    /// Settings with the address of a status page, the first that is set counts.
    pub status_address: &'static [&'static str],
    /// The setting with the path of that page; empty where connecting is asking.
    pub status_path: &'static str,
    /// Settings that name the server's own log.
    pub logs: &'static [&'static str],
    /// The global setting with the seconds that a reload gives to requests: 0 by default, and then
    /// a reload cuts them off. Empty where reloads let requests finish anyway.
    pub reload_patience: &'static str,
}

/// How a server takes settings from its environment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Environment {
    /// One variable that holds options as on the command line (GUNICORN_CMD_ARGS).
    Options(&'static str),
    /// One variable for each of the settings that the advice changes, with this prefix
    /// (UWSGI_MAX_REQUESTS). No other variable is read: not one that names a file or an address.
    Prefix(&'static str),
}

/// What the workers of an interpreter copy when they end, all at once: it seems that it touches
/// every object that it has then, and so copies what it still had in common with its master. Seen
/// once: at a reload of eight gunicorn workers (3.8 MiB of their own, 16 MiB in common) a cgroup of
/// 211 MiB was full, an old worker was copying a page, and the OOM killer came; after two other
/// reloads nothing of the kind. For uWSGI it is inferred, not measured. It is the most that it can
/// be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadCopies {
    /// Nothing.
    Nothing,
    /// What each has in common with the master.
    Shared,
    /// The same, while the new workers are there before the old ones go (gunicorn).
    SharedBesideNew,
}

/// How a server reports the work of its workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusProtocol {
    /// The HTML page of mod_status.
    ModStatus,
    /// The status page of php-fpm in JSON, asked by FastCGI.
    FpmStatus,
    /// The JSON that uWSGI's stats server sends to each connection.
    UwsgiStats,
    /// The JSON of puma's control server.
    PumaControl,
}
