//! The groups of options that several commands share.

use super::values::{
    Color, ReportFormat, interval, max_extrapolation, name_pattern, server_row, signal, time,
};
use crate::core::model::signal::Signal;
use crate::core::servers::UserServer;
use crate::report::events::EventFormat;
use crate::system::proc::MOST;
use clap::Args;
use std::path::PathBuf;

/// Which configuration to read.
#[derive(Args, Debug)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigOptions {
    /// Read only this configuration file [/etc/leakwatch.toml, /etc/leakwatch.d/*.toml; see leakwatch.toml(5)]
    ///
    /// Users other than root have leakwatch.toml in $XDG_CONFIG_HOME/leakwatch or
    /// ~/.config/leakwatch. /dev/null stands for no configuration.
    #[arg(id = "config", long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Whether to remember programs from one watch to the next, and where.
#[derive(Args, Debug, PartialEq)]
#[command(next_help_heading = "State")]
pub struct StateOptions {
    /// Keep in this directory how large each program grew before it ended, and the history of checks
    ///
    /// A program that warms up again is then not suspected again. Default: $STATE_DIRECTORY, as set by
    /// systemd; else /var/lib/leakwatch for root; else $XDG_STATE_HOME/leakwatch or
    /// ~/.local/state/leakwatch. Of two watches of the same processes with one directory, the second
    /// exits at once with status 0.
    #[arg(long, value_name = "DIR", conflicts_with = "no_state")]
    pub state_dir: Option<PathBuf>,
    /// Remember nothing from one watch to the next: read and write no state files
    #[arg(long)]
    pub no_state: bool,
}

/// Which processes to observe.
#[derive(Args, Debug, PartialEq)]
#[command(next_help_heading = "Which processes")]
pub struct SelectOptions {
    /// Watch process trees in which a name matches this regular expression (repeatable)
    ///
    /// As with pgrep(1), the expression may match any part of the process name, of which the kernel
    /// keeps 15 bytes, or of the name of the executable. leakwatch watches whole trees: from the
    /// topmost process that runs the same program as the match, down to every descendant. Without a
    /// selection, it watches every process and signals none.
    #[arg(short, long = "pattern", value_name = "REGEX")]
    pub patterns: Vec<String>,
    /// Match the whole command line instead of the name
    #[arg(short, long)]
    pub full: bool,
    /// Require the expression to match the whole name (with -f: the whole command line)
    #[arg(short = 'x', long)]
    pub exact: bool,
    /// Only processes of this effective user, by name or number (repeatable)
    #[arg(short, long = "user", value_name = "USER")]
    pub users: Vec<String>,
    /// Only the trees of these processes (repeatable)
    #[arg(long = "pid", value_name = "PID")]
    pub pids: Vec<u32>,
    /// Only processes of this systemd unit (repeatable)
    ///
    /// A name without a type is that of a service; `*`, `?` and `[...]` match as in systemctl(1). Units
    /// of a user's own service manager count only for that user.
    #[arg(long = "unit", value_name = "NAME", value_parser = name_pattern)]
    pub units: Vec<String>,
    /// Only processes of this container (repeatable)
    ///
    /// Its name in Docker, Podman, LXC or systemd-nspawn; in Kubernetes the name of the container, POD
    /// or NAMESPACE/POD; or its ID, in full or the first twelve digits. `*`, `?` and `[...]` match as
    /// above.
    #[arg(long = "container", value_name = "NAME", value_parser = name_pattern)]
    pub containers: Vec<String>,
    /// Watch at most this many processes, the largest first; each takes 4 kB of memory
    #[arg(long, value_name = "N", default_value_t = MOST, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_processes: u32,
    /// Read this procfs, such as that of the host as seen from a container
    #[arg(long, value_name = "DIR", default_value = "/proc")]
    pub procfs: PathBuf,
    /// Read this sysfs, where the cgroups that belong to that procfs are mounted
    #[arg(long, value_name = "DIR")]
    pub sysfs: Option<PathBuf>,
}

impl SelectOptions {
    /// Whether every process is selected.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty()
            && self.users.is_empty()
            && self.pids.is_empty()
            && self.units.is_empty()
            && self.containers.is_empty()
    }
}

/// How often to sample.
#[derive(Args, Debug, PartialEq)]
#[command(next_help_heading = "Timing")]
pub struct TimingOptions {
    /// Time between samples [shortened to as little as 0.25 s as memory runs out]
    #[arg(short, long, value_name = "TIME", default_value = "5s", value_parser = interval)]
    pub interval: f64,
}

/// How to judge and act.
#[derive(Args, Debug)]
#[command(next_help_heading = "Judging and acting")]
pub struct JudgeOptions {
    /// End no worker earlier than this before memory may run out
    ///
    /// Usually a worker is ended later: a proven leak some seconds before the end, and growth that may
    /// still be a cache that fills only when ending it takes as long as memory lasts. Where forks would
    /// fail, workers whose master does not survive a failed fork are ended at twice this time.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub lead: f64,
    /// Time for a worker to exit after the first signal [default: depends on the server, 10 to 70 s]
    ///
    /// When memory likely lasts only five seconds more, the next signal follows after five seconds; in the
    /// last minute it follows as soon as it must.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub grace: Option<f64>,
    /// The first signal, instead of the one that lets the server's workers finish their request
    ///
    /// HUP, INT, QUIT, USR1, USR2, WINCH, TERM or KILL. Report-only servers are still never
    /// signalled.
    #[arg(long, value_name = "SIGNAL", value_parser = signal)]
    pub signal: Option<Signal>,
    /// Never send SIGKILL; processes that ignore the other signals keep running
    ///
    /// For an Apache with `Mutex posixsem` and more than one Listen, which hangs for good after a
    /// KILL.
    #[arg(long)]
    pub no_kill: bool,
    /// Where workers obey no signal, let their master replace all of them (Apache event: graceful)
    ///
    /// At most once a minute. The master gets the signal that `apachectl graceful` sends.
    #[arg(long)]
    pub reload: bool,
    /// Also end workers of this server, although that costs something (postgres: a session, ended by
    /// TERM), or children of this program, which leakwatch does not know (repeatable)
    ///
    /// Children of a program that `leakwatch servers` does not list are ended only once their parent was
    /// seen to replace one that ended. To name the program here says that it does.
    #[arg(long, value_name = "NAME")]
    pub allow: Vec<String>,
    /// Print what would be signalled, in the same words, and signal nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Never signal processes whose name or command line matches (repeatable)
    #[arg(long, value_name = "REGEX")]
    pub protect: Vec<String>,
    /// Describe a server that `leakwatch servers` does not list, or treat a listed one differently (repeatable)
    ///
    /// match=NAME[|NAME...] (its executable or script), and any of name=TEXT, signal=SIGNAL (the
    /// first one; default TERM), grace=TIME (default 10s), no-kill, protect (report only),
    /// survives-failed-fork=false (act earlier, and not once forks fail). In a configuration file it
    /// is a [[server]] table.
    #[arg(long, value_name = "KEY=VALUE,...", value_parser = server_row)]
    pub server: Vec<UserServer>,
    /// Also end a lone leaking process that nothing would restart
    #[arg(long)]
    pub allow_standalone: bool,
    /// Restart the systemd unit of a lone leaking process before memory ends; at most once an hour
    ///
    /// What has no workers to end, the main process of a service that leaks, is restarted through systemd,
    /// once its leak is proven or memory is about to end, with the unit's own stop signals and times. A
    /// unit whose restart gave back less than half of what was expected is not restarted again. Needs root.
    /// Not restarted are servers that are only reported, containers, users' own services, what sessions
    /// depend on, units with other processes or on which others depend, Type=oneshot and transient units.
    #[arg(long)]
    pub restart_unit: bool,
    /// Extrapolate growth to at most K times as long as it was observed, 1 to 32
    ///
    /// Lower values report leaks later, with more certainty.
    #[arg(long, value_name = "K", default_value = "6", value_parser = max_extrapolation)]
    pub max_extrapolation: f64,
}

/// How to print one report.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub struct ReportOptions {
    /// Print a table for people, or one JSON object
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub format: ReportFormat,
    /// Print nothing on standard error
    #[arg(short, long)]
    pub quiet: bool,
}

/// What to print.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputOptions {
    /// Print lines for people, or JSON Lines
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub format: EventFormat,
    /// When to colour the lines [auto: on a terminal, unless NO_COLOR or CLICOLOR=0 is set]
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto")]
    pub color: Color,
    /// Print nothing on standard error
    #[arg(short, long)]
    pub quiet: bool,
    /// Print more on standard error: the state of all trees once a minute
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
}
