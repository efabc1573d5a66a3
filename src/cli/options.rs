//! Cli: the words a user can type, nothing else.

use crate::core::model::signal::Signal;
use crate::core::servers::UserServer;
use crate::system::proc::MOST;
use clap::{Args, Parser, Subcommand, ValueEnum};
use std::path::PathBuf;

/// Memory-leak watchdog: ends leaking worker processes, gently, before fork starts failing.
///
/// Watches the process trees that match, judges which processes leak, says when memory will end
/// and by which limit, and shortly before that ends leaking workers, one at a time, with the
/// signal at which their server lets them finish their request. Masters are never ended.
#[derive(Debug, Parser)]
#[command(
    name = "leakwatch",
    version,
    max_term_width = 100,
    args_conflicts_with_subcommands = true
)]
#[command(after_help = "Examples:
  leakwatch                          look at everything, signal nothing
  leakwatch --pattern apache2        keep a leaking Apache alive
  leakwatch --pattern apache2 --dry-run
                                     say what would be signalled, signal nothing
  leakwatch check --pattern apache2  one look, with all earlier ones; for cron
  leakwatch diagnose                 who leaks, and which setting bounds it
  leakwatch ceilings                 which limit would fail a fork first
  leakwatch servers                  which servers are known, and how they end
  leakwatch record vps1.jsonl.gz     take a recording
  leakwatch replay vps1.jsonl.gz     judge it again, anywhere
  leakwatch replay --explain 2291 vps1.jsonl.gz
                                     why process 2291 got its verdict

Exit status: 0 nothing leaks, 1 a leak was found, 2 memory is about to end, 3 could not do it.")]
pub struct Cli {
    /// What to do; without one, watch.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of the watch.
    #[command(flatten)]
    pub watch: WatchOptions,
}

/// The modes other than watching.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Look once, judge with all earlier looks, act, and say what is new (for cron and monitoring)
    Check(CheckOptions),
    /// List every limit that can fail a fork or summon the OOM killer, nearest first
    Ceilings(CeilingsOptions),
    /// Print the merged configuration, with where each setting comes from
    Config(ConfigOptions),
    /// Look at the whole machine for a minute: who leaks, what the logs say, which setting bounds it
    Diagnose(DiagnoseOptions),
    /// Record samples to a file, for `replay`; judges and signals nothing
    Record(RecordOptions),
    /// Judge a recording: print what watching would have printed
    Replay(ReplayOptions),
    /// Show which servers are known, and how their workers are ended
    Servers(ServersOptions),
}

/// Options of the watch.
#[derive(Args, Debug)]
pub struct WatchOptions {
    /// Which processes.
    #[command(flatten)]
    pub select: SelectOptions,
    /// How often.
    #[command(flatten)]
    pub timing: TimingOptions,
    /// How to judge and act.
    #[command(flatten)]
    pub judge: JudgeOptions,
    /// What to print.
    #[command(flatten)]
    pub output: OutputOptions,
    /// Memory granted to each watched tree, as a ceiling of its own (512M, 1.5G; powers of 1024)
    ///
    /// For a service that may not use what the machine would let it. Counted is the footprint of
    /// the tree's root and what each descendant holds beyond what it inherited from the root.
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Acting")]
    pub budget: Option<u64>,
    /// Where and whether to remember programs.
    #[command(flatten)]
    pub memory: StateOptions,
    /// Keep metrics in this file (*.prom) for Prometheus' node_exporter
    ///
    /// Replaced whole, at most every 15 s, readable by everybody. Debian's node_exporter looks in
    /// /var/lib/prometheus/node-exporter. Two watches at a time want a file each.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub textfile: Option<PathBuf>,
    /// Run this command by `sh -c` for each event that is printed
    ///
    /// LEAKWATCH_EVENT (leak, order, outcome, not_ended, memory_failure, ...), LEAKWATCH_TEXT (the line) and
    /// LEAKWATCH_JSON tell what happened; so does each field of the JSON by itself, such as
    /// LEAKWATCH_PID, LEAKWATCH_COMM and LEAKWATCH_SIGNAL. Commands run one after another, for 30 s
    /// each at most, by a helper that is started with the watch; what goes wrong is said on standard
    /// error and changes nothing. examples/hooks has one for mail and one for a webhook.
    #[arg(long, value_name = "CMD", help_heading = "Output")]
    pub on_event: Option<String>,
    /// What is configured.
    #[command(flatten)]
    pub config: ConfigOptions,
}

/// What is configured.
#[derive(Args, Debug)]
#[command(next_help_heading = "Configuration")]
pub struct ConfigOptions {
    /// Read this configuration only [/etc/leakwatch.toml, /etc/leakwatch.d/*.toml; see leakwatch.toml(5)]
    ///
    /// For other users than root, leakwatch.toml in $XDG_CONFIG_HOME/leakwatch or
    /// ~/.config/leakwatch. /dev/null for none.
    #[arg(id = "config", long, value_name = "FILE")]
    pub file: Option<PathBuf>,
}

/// Where and whether programs are remembered from one watch to the next.
#[derive(Args, Debug)]
#[command(next_help_heading = "Memory of programs")]
pub struct StateOptions {
    /// Remember there, from one watch to the next, how large each program grew before it ended
    ///
    /// So the second warm-up of a program is not a suspect again. Default: $STATE_DIRECTORY, as
    /// systemd sets it; else /var/lib/leakwatch for root; else $XDG_STATE_HOME/leakwatch or
    /// ~/.local/state/leakwatch. Two watches of the same processes are never run from one directory:
    /// the second ends at once, with exit status 0.
    #[arg(long, value_name = "DIR", conflicts_with = "no_state")]
    pub state_dir: Option<PathBuf>,
    /// Remember nothing from one watch to the next, and read and write no such file
    #[arg(long)]
    pub no_state: bool,
}

/// Options of `check`.
#[derive(Args, Debug)]
pub struct CheckOptions {
    /// Which processes.
    #[command(flatten)]
    pub select: SelectOptions,
    /// How to judge and act.
    #[command(flatten)]
    pub judge: JudgeOptions,
    /// What to print.
    #[command(flatten)]
    pub output: OutputOptions,
    /// Print the state at every run, as monitoring systems want it, and not only when it changed
    #[arg(long, help_heading = "Output")]
    pub report_always: bool,
    /// While something is wrong, say so again after this time
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time, help_heading = "Output")]
    pub repeat_after: f64,
    /// Memory granted to each watched tree, as a ceiling of its own (512M, 1.5G; powers of 1024)
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Acting")]
    pub budget: Option<u64>,
    /// Where the history is kept.
    #[command(flatten)]
    pub memory: StateOptions,
    /// The history is never larger than this (512K, 32M; powers of 1024)
    ///
    /// It holds the samples of four weeks at most, older ones joined. That is some 3 MiB for 25
    /// processes, and the oldest go first where it is too much.
    #[arg(long, value_name = "SIZE", default_value = "32M", value_parser = size, help_heading = "Memory of programs")]
    pub history_size: u64,
    /// What is configured.
    #[command(flatten)]
    pub config: ConfigOptions,
}

/// Options of `ceilings`.
#[derive(Args, Debug)]
pub struct CeilingsOptions {
    /// Which processes.
    #[command(flatten)]
    pub select: SelectOptions,
    /// A table for people, or one JSON object
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub format: Format,
}

/// Options of `servers`.
#[derive(Args, Debug)]
pub struct ServersOptions {
    /// Show all that is known of these, by a part of the name; `all` shows it of every one
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// A table for people, or one JSON object
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub format: Format,
}

/// Options of `diagnose`.
#[derive(Args, Debug)]
pub struct DiagnoseOptions {
    /// Which processes.
    #[command(flatten)]
    pub select: SelectOptions,
    /// Look for so long; 0 looks once and judges by the history of checks, ages, sizes and logs alone
    ///
    /// A leak that ends memory within some minutes is proven in one; a slow one is told by comparing
    /// workers of different ages, or takes longer. Ctrl-C ends the look early and reports.
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = time, help_heading = "Timing")]
    pub time: f64,
    /// Also judge by this recording of the same machine, so that its hours count
    ///
    /// Made by `leakwatch record`, or a history of `leakwatch check`. That of another machine, or from
    /// before the last boot, is judged alone.
    #[arg(long, value_name = "FILE", help_heading = "Timing")]
    pub recording: Option<PathBuf>,
    /// Read the histories of checks in this directory
    ///
    /// Default: where `leakwatch check` keeps them: as configured; else $STATE_DIRECTORY, as systemd
    /// sets it; else /var/lib/leakwatch for root; else $XDG_STATE_HOME/leakwatch or
    /// ~/.local/state/leakwatch. All of this boot count, whatever they were checks of; nothing is
    /// written there.
    #[arg(long, value_name = "DIR", conflicts_with = "no_state", help_heading = "Evidence")]
    pub state_dir: Option<PathBuf>,
    /// Read no history of checks
    #[arg(long, help_heading = "Evidence")]
    pub no_state: bool,
    /// Read the log files of this directory instead of /var/log, the journal and the kernel's messages
    #[arg(long, value_name = "DIR", help_heading = "Evidence")]
    pub logs: Option<PathBuf>,
    /// How far back to look into logs
    #[arg(long, value_name = "TIME", default_value = "14days", value_parser = time, help_heading = "Evidence")]
    pub since: f64,
    /// A report for people, or one JSON object
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "text",
        help_heading = "Output"
    )]
    pub format: Format,
    /// Also write the report as a page, in one file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
    /// Write the advised change there, for `patch -p1 -d /`; nothing is changed by leakwatch itself
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub write_advice: Option<PathBuf>,
    /// Colour the report [auto: on a terminal, unless NO_COLOR or CLICOLOR=0 is set]
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto", help_heading = "Output")]
    pub color: Color,
    /// Show no progress on standard error
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
}

impl DiagnoseOptions {
    /// Where histories are.
    pub fn memory(&self) -> StateOptions {
        StateOptions { state_dir: self.state_dir.clone(), no_state: self.no_state }
    }
}

/// Options of `record`.
#[derive(Args, Debug)]
pub struct RecordOptions {
    /// Where to write: a new file (compressed if it ends in .gz), or - for standard output
    pub file: PathBuf,
    /// Which processes.
    #[command(flatten)]
    pub select: SelectOptions,
    /// How often.
    #[command(flatten)]
    pub timing: TimingOptions,
    /// Stop after so many samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub samples: Option<u64>,
    /// Say nothing on standard error
    #[arg(short, long)]
    pub quiet: bool,
}

/// Options of `replay`.
#[derive(Args, Debug)]
pub struct ReplayOptions {
    /// A recording, plain or .gz, or - for standard input
    pub file: PathBuf,
    /// Say why this process got its verdicts, window by window, instead of printing events
    ///
    /// At every change of its verdict, at its exit and at the end of the recording: each window of
    /// time with the tests that it passed or failed, the numbers compared, and what was missing.
    /// PID:START means one of several processes that had the pid; without it, all are explained.
    #[arg(long, value_name = "PID[:START]", value_parser = target, conflicts_with = "format")]
    pub explain: Option<Target>,
    /// Also write what was found as a page, in one file
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
    /// How to judge and act.
    #[command(flatten)]
    pub judge: JudgeOptions,
    /// What to print.
    #[command(flatten)]
    pub output: OutputOptions,
    /// What is configured.
    #[command(flatten)]
    pub config: ConfigOptions,
}

/// A process in a recording: a pid and, where it came round again, a start time in clock ticks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its pid.
    pub pid: u32,
    /// When it started, as recordings and JSON have it.
    pub start: Option<u64>,
}

/// Which processes are meant.
#[derive(Args, Debug)]
#[command(next_help_heading = "Which processes")]
pub struct SelectOptions {
    /// Trees with a process whose name matches this regular expression (repeatable)
    ///
    /// As with pgrep(1): the expression is looked for anywhere in the process name, of which the
    /// kernel keeps 15 bytes, and in the name of its executable. A tree is watched whole: from the root, which runs the same program
    /// as what matched, down to every descendant. Without any selection every process is looked
    /// at and none is signalled.
    #[arg(short, long = "pattern", value_name = "RE")]
    pub patterns: Vec<String>,
    /// Match the whole command line instead of the name
    #[arg(short, long)]
    pub full: bool,
    /// The expression must match the whole name (with -f: command line)
    #[arg(short = 'x', long)]
    pub exact: bool,
    /// Only processes of this effective user, by name or number (repeatable)
    #[arg(short, long = "user", value_name = "USER")]
    pub users: Vec<String>,
    /// Only the trees of these processes (repeatable)
    #[arg(long = "pid", value_name = "PID")]
    pub pids: Vec<u32>,
    /// Watch at most so many processes, the largest, with 4 kB of memory each
    #[arg(long, value_name = "N", default_value_t = MOST, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_processes: u32,
    /// Another root of procfs, such as the host's as seen from a container
    #[arg(long, value_name = "DIR", default_value = "/proc")]
    pub procfs: PathBuf,
    /// Another root of sysfs, where that procfs' cgroups are mounted below its /sys
    #[arg(long, value_name = "DIR")]
    pub sysfs: Option<PathBuf>,
}

impl SelectOptions {
    /// Nothing was picked.
    pub fn is_empty(&self) -> bool {
        self.patterns.is_empty() && self.users.is_empty() && self.pids.is_empty()
    }
}

/// How often samples are taken.
#[derive(Args, Debug)]
#[command(next_help_heading = "Timing")]
pub struct TimingOptions {
    /// Time between samples [shortened as memory nears its end, to no less than 0.25 s]
    #[arg(short, long, value_name = "TIME", default_value = "5s", value_parser = interval)]
    pub interval: f64,
}

/// How to judge and act.
#[derive(Args, Debug)]
#[command(next_help_heading = "Acting")]
pub struct JudgeOptions {
    /// End a leaking worker when memory may end within this time
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub lead: f64,
    /// Time a worker gets after the first signal [default: what its server may need, 10 to 70 s]
    ///
    /// The default is cut to the time that memory may still last, but not below 10 s.
    #[arg(long, value_name = "TIME", value_parser = time)]
    pub grace: Option<f64>,
    /// The first signal, instead of the one at which the server's workers finish their request
    ///
    /// HUP, INT, QUIT, USR1, USR2, WINCH, TERM or KILL. What is only reported stays so.
    #[arg(long, value_name = "SIG", value_parser = signal)]
    pub signal: Option<Signal>,
    /// Never send SIGKILL: who ignores the other signals stays
    ///
    /// For an Apache with `Mutex posixsem` and more than one Listen: after a KILL it hangs for good.
    #[arg(long)]
    pub no_kill: bool,
    /// Where workers obey no signal, let their master replace all of them (Apache event: graceful)
    ///
    /// At most once a minute. The master gets the signal that `apachectl graceful` sends.
    #[arg(long)]
    pub reload: bool,
    /// Also end workers of this server, although that costs something (postgres: a session; by TERM)
    #[arg(long, value_name = "SERVER")]
    pub allow: Vec<String>,
    /// Say what would be signalled, in the same words, and signal nothing
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Processes whose name or command line matches are never signalled (repeatable)
    #[arg(long, value_name = "RE")]
    pub protect: Vec<String>,
    /// A server that is in no row of `leakwatch servers`, or that is to be treated otherwise (repeatable)
    ///
    /// match=NAME[|NAME...] (its executable or script), and any of name=TEXT, signal=SIG (the first
    /// one; TERM), grace=TIME (10s), no-kill, protect (only report), survives-failed-fork=false (act
    /// earlier, and not once forks fail). In a configuration file it is a [[server]] table.
    #[arg(long, value_name = "ROW", value_parser = server_row)]
    pub server: Vec<UserServer>,
    /// A lone leaking process, which nobody would start again, may be ended too
    #[arg(long)]
    pub allow_standalone: bool,
    /// How many times longer than it was watched a growth may be extrapolated, 1 to 32
    ///
    /// Less convicts later and more surely.
    #[arg(long, value_name = "K", default_value = "6", value_parser = max_extrapolation)]
    pub max_extrapolation: f64,
}

/// What to print.
#[derive(Args, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputOptions {
    /// Lines for people, or JSON Lines
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub format: Format,
    /// Colour the lines [auto: on a terminal, unless NO_COLOR or CLICOLOR=0 is set]
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto")]
    pub color: Color,
    /// Say nothing on standard error
    #[arg(short, long)]
    pub quiet: bool,
    /// Say more on standard error: the state of all trees once a minute
    #[arg(short, long, conflicts_with = "quiet")]
    pub verbose: bool,
}

/// Output formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One line an event, for people.
    Text,
    /// One JSON object an event.
    Json,
}

/// When to colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

fn server_row(text: &str) -> Result<UserServer, String> {
    UserServer::parse(text, time)
}

/// A time in seconds: `30s`, `5m`, `1h30m`, or a bare number of seconds.
fn time(text: &str) -> Result<f64, String> {
    if let Ok(seconds) = text.parse::<f64>() {
        return match seconds {
            s if s.is_finite() && s >= 0.0 => Ok(s),
            _ => Err("a time is not negative".to_owned()),
        };
    }
    match humantime::parse_duration(text) {
        Ok(duration) => Ok(duration.as_secs_f64()),
        Err(e) => Err(format!("{e}; write 30s, 5m or 1h30m")),
    }
}

fn target(text: &str) -> Result<Target, String> {
    let (pid, start) = match text.split_once(':') {
        Some((pid, start)) => (pid, Some(start.parse::<u64>())),
        None => (text, None),
    };
    match (pid.parse(), start.transpose()) {
        (Ok(pid), Ok(start)) => Ok(Target { pid, start }),
        _ => Err("write PID or PID:START, such as 2291:51773".to_owned()),
    }
}

fn signal(text: &str) -> Result<Signal, String> {
    use strum::VariantArray;
    Signal::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = Signal::VARIANTS.iter().map(|signal| signal.name()).collect();
        format!("write one of {}", names.join(", "))
    })
}

fn interval(text: &str) -> Result<f64, String> {
    match time(text)? {
        s if (0.05..=86400.0).contains(&s) => Ok(s),
        _ => Err("an interval is between 0.05s and 1day".to_owned()),
    }
}

fn max_extrapolation(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(k) if (1.0..=32.0).contains(&k) => Ok(k),
        _ => Err("max-extrapolation is a number from 1 to 32".to_owned()),
    }
}

/// A size in bytes: a number with K, M, G or T for powers of 1024, as `free` and systemd have it.
fn size(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or("").to_ascii_uppercase();
    let factor = match unit.trim_end_matches("IB").trim_end_matches('B') {
        "" => 1.0,
        "K" => 1024.0,
        "M" => 1024.0_f64.powi(2),
        "G" => 1024.0_f64.powi(3),
        "T" => 1024.0_f64.powi(4),
        _ => return Err("write 512M or 1.5G".to_owned()),
    };
    match digits.trim().parse::<f64>() {
        Ok(n) if n.is_finite() && n > 0.0 => Ok((n * factor) as u64),
        _ => Err("write 512M or 1.5G".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_may_be_bare_seconds() {
        assert_eq!((time("30"), time("1h30m"), time("0.5")), (Ok(30.0), Ok(5400.0), Ok(0.5)));
        assert!(time("-1").is_err() && time("soon").is_err() && interval("0.01").is_err());
    }

    #[test]
    fn a_process_is_a_pid_with_or_without_a_start_time() {
        assert_eq!(target("2291"), Ok(Target { pid: 2291, start: None }));
        assert_eq!(target("2291:7"), Ok(Target { pid: 2291, start: Some(7) }));
        assert!(target("apache2").is_err() && target("1:").is_err() && target("-1").is_err());
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        assert_eq!(
            (size("512M"), size("1.5GiB"), size("4096")),
            (Ok(512 << 20), Ok(3 << 29), Ok(4096))
        );
        assert!(size("80%").is_err() && size("M").is_err() && size("-1G").is_err());
    }

    #[test]
    fn the_definitions_agree_with_themselves() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
