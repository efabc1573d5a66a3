//! The options of the watch and of each command, as clap parses them, with their help.
//!
//! The man page's OPTIONS and the shell completions are generated from here.

mod shared;
mod values;

use clap::{Args, Parser, Subcommand};
pub use shared::{
    ConfigOptions, JudgeOptions, OutputOptions, ReportOptions, SelectOptions, StateOptions,
    TimingOptions,
};
use std::path::PathBuf;
pub use values::{Color, ReportFormat, Target, size};
use values::{rest, speed, target, time};

/// Memory-leak watchdog: ends leaking worker processes, gently, before fork starts failing.
///
/// Watches the process trees that match, decides which processes leak, forecasts when memory will
/// run out and which limit will be reached first, and shortly before that ends leaking workers, one
/// at a time, with the signal that lets them finish their current request. It never ends a master.
#[derive(Debug, Parser)]
#[command(name = "leakwatch", version, max_term_width = 100)]
#[command(
    after_help = "Options that a command shares with the watch may stand before or after its name.

Examples:
  leakwatch                          watch every process, signal none
  leakwatch --pattern apache2        keep a leaking Apache alive
  leakwatch --pattern apache2 --dry-run
                                     print what would be signalled, signal nothing
  leakwatch check --pattern apache2  take one sample, judge it with all earlier ones; for cron
  leakwatch diagnose                 find what leaks, and the setting that bounds it
  leakwatch top                      see it live: what grows, and when it ends
  leakwatch census 2291 --for 1m     does it leak, and blocks of which size?
  leakwatch evidence --mask          print what was kept of ended processes
  leakwatch ceilings                 list the limits that can fail a fork, nearest first
  leakwatch memory --for 1m          list where all memory is, and what of it grows
  leakwatch servers                  list the known servers, and how their workers are ended
  leakwatch record vps1.jsonl.gz     take a recording
  leakwatch replay vps1.jsonl.gz     judge it again, on any machine
  leakwatch replay --explain 2291 vps1.jsonl.gz
                                     explain the verdict on process 2291

Exit status: 0 no leak, 1 a leak, or growth that ends memory within two days, was found, 2 memory is about to run out, 3 leakwatch failed."
)]
pub struct Cli {
    /// The command; without one, watch.
    #[command(subcommand)]
    pub command: Option<Command>,
    /// Options of the watch.
    #[command(flatten)]
    pub watch: WatchOptions,
}

/// The modes other than watching.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Count the memory that a process has from malloc: does it leak, or is it freed memory that the allocator keeps?
    Census(CensusOptions),
    /// List every limit that can fail a fork or bring the OOM killer, nearest first
    Ceilings(CeilingsOptions),
    /// Take one sample, judge it with all earlier ones, act, and report what is new (for cron and monitoring)
    Check(CheckOptions),
    /// Print the merged configuration, with the source of each setting
    Config(ConfigOptions),
    /// Observe the whole machine for a minute: what leaks, what the logs say, which setting bounds it
    Diagnose(DiagnoseOptions),
    /// Print the evidence kept of processes that were ended, as a report for a bug tracker
    Evidence(EvidenceOptions),
    /// Show where all memory of the machine and of cgroups is, and what grows
    Memory(MemoryOptions),
    /// Record samples to a file for `replay`; judge and signal nothing
    Record(RecordOptions),
    /// Judge a recording: print what the watch would have printed
    Replay(ReplayOptions),
    /// Show the known servers, and how their workers are ended
    Servers(ServersOptions),
    /// Show live what grows and when memory ends, or play a recording
    Top(TopOptions),
}

/// Options of the watch.
#[derive(Args, Debug)]
pub struct WatchOptions {
    /// Which processes to watch.
    #[command(flatten)]
    pub select: SelectOptions,
    /// How often to sample.
    #[command(flatten)]
    pub timing: TimingOptions,
    /// How to judge and act.
    #[command(flatten)]
    pub judge: JudgeOptions,
    /// What to print.
    #[command(flatten)]
    pub output: OutputOptions,
    /// Memory budget of each watched tree, as one more ceiling (512M, 1.5G; powers of 1024)
    ///
    /// For a service that must stay below what the machine would allow. The footprint of the tree's
    /// root counts in full, and of each descendant what it holds beyond what it inherited.
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Judging and acting")]
    pub budget: Option<u64>,
    /// Also end processes that were left behind and are proven useless; needs --pattern
    ///
    /// One at a time and at most one in 5 s, the oldest first, with TERM, then with KILL if it is still
    /// proven useless after --grace (10 s). What is proven useless matches itself, was left by its parent
    /// to an init or a subreaper, and has no children; the leader of its session is gone, and it has no
    /// terminal; it belongs to no service or container, and does not ignore SIGHUP; it has not run for
    /// --reap-after, and is twice as old; a standard stream of it is a pipe or a socket whose other end is
    /// gone, as those of all its pipes and sockets are; it listens nowhere, no thread of it waits for a
    /// time, a signal or a lock, and it has no eventfd, shared memory or namespace of its own. tmux, screen, sshd, cron, at, postgres, conmon, podman and
    /// their like are never ended, nor what --protect names. Of all others that have not run for as long,
    /// one line says which proof is missing. To read the proof of other users' processes takes root; in the
    /// service of the package also CAP_DAC_READ_SEARCH and the system call pidfd_getfd. `leakwatch check`
    /// does not reap. Where services have no cgroups (OpenRC, runit, sysvinit) they are not known for such:
    /// let --pattern match none.
    #[arg(long, help_heading = "Judging and acting")]
    pub reap: bool,
    /// For --reap, time without running, at least 1m
    #[arg(long, value_name = "TIME", default_value = "5m", value_parser = rest, help_heading = "Judging and acting")]
    pub reap_after: f64,
    /// Whether to remember programs, and where.
    #[command(flatten)]
    pub memory: StateOptions,
    /// Write metrics to this file (*.prom) for Prometheus' node_exporter
    ///
    /// The file is replaced as a whole, at most every 15 s, and is readable by every user. Debian's
    /// node_exporter reads /var/lib/prometheus/node-exporter. Give each watch a file of its own.
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub textfile: Option<PathBuf>,
    /// Run this command with `sh -c` for each printed event
    ///
    /// The command finds the event in LEAKWATCH_EVENT (leak, order, outcome, not_ended,
    /// memory_failure, ...), its line in LEAKWATCH_TEXT and its JSON object in LEAKWATCH_JSON. Each
    /// field of the object also has a variable of its own, such as LEAKWATCH_PID, LEAKWATCH_COMM and
    /// LEAKWATCH_SIGNAL. All but LEAKWATCH_JSON are one line of plain text: a control character in the
    /// name of a process is a question mark there, and so is a backslash. A helper process, started
    /// with the watch, runs the commands one after another, for at most 30 s each. Errors are printed
    /// on standard error and change nothing else. examples/hooks has a command
    /// for mail and one for Slack, Mattermost, Teams, ntfy and other webhooks.
    #[arg(long, value_name = "COMMAND", help_heading = "Output")]
    pub on_event: Option<String>,
    /// Keep evidence of each process that is ordered to end, below this directory
    ///
    /// The kernel's figures of its memory, its heap by block size, its open descriptors by kind, its cgroup,
    /// and why it was ended; never the contents of its memory. The evidence of the last 20 orders is kept,
    /// at most 200 KiB of each; `leakwatch evidence` prints it. A helper process, started with the watch,
    /// does the work: no order waits for it. leakwatch makes the directory if its parent exists, and
    /// refuses one that another user may write to.
    #[arg(long, value_name = "DIR", help_heading = "Output")]
    pub evidence: Option<PathBuf>,
    /// Which configuration to read.
    #[command(flatten)]
    pub config: ConfigOptions,
}

/// Options of `check`.
#[derive(Args, Debug)]
pub struct CheckOptions {
    /// Which processes to check.
    #[command(flatten)]
    pub select: SelectOptions,
    /// How to judge and act.
    #[command(flatten)]
    pub judge: JudgeOptions,
    /// What to print.
    #[command(flatten)]
    pub output: OutputOptions,
    /// Print the state on every run, as monitoring systems expect, instead of only when it changed
    #[arg(long, help_heading = "Output")]
    pub report_always: bool,
    /// Report a lasting problem again after this time
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = time, help_heading = "Output")]
    pub repeat_after: f64,
    /// Memory budget of each watched tree, as one more ceiling (512M, 1.5G; powers of 1024)
    #[arg(long, value_name = "SIZE", value_parser = size, help_heading = "Judging and acting")]
    pub budget: Option<u64>,
    /// Where to keep the history.
    #[command(flatten)]
    pub memory: StateOptions,
    /// Stay and watch on, until shortly before the next check, while memory may end before that
    ///
    /// A check that does not stay must act on growth that may reach a limit before the check after the
    /// next, and so may end workers that would soon have stopped growing. One that stays samples like a
    /// watch, at least every second, and acts when it must. It prints what it does, and exits within two
    /// intervals.
    #[arg(long, help_heading = "Judging and acting")]
    pub stay: bool,
    /// Maximum size of the history (512K, 32M; powers of 1024)
    ///
    /// The history holds the samples of up to four weeks, older ones merged: about 3 MiB for 25
    /// processes. When it grows too large, the oldest samples go first.
    #[arg(long, value_name = "SIZE", default_value = "32M", value_parser = size, help_heading = "State")]
    pub history_size: u64,
    /// Which configuration to read.
    #[command(flatten)]
    pub config: ConfigOptions,
}

/// Options of `census`.
#[derive(Args, Debug)]
pub struct CensusOptions {
    /// The process
    #[arg(id = "process", value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub pid: u32,
    /// Look several times during this time and tell which block sizes increase; 0 looks once
    ///
    /// Ctrl-C ends it early and reports. Each look reads the heap from outside: the process is not
    /// stopped, and what is swapped out stays there.
    #[arg(long = "for", value_name = "TIME", default_value = "0", value_parser = time)]
    pub time: f64,
    /// Print a report for people, or one JSON object
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub format: ReportFormat,
}

/// Options of `evidence`.
#[derive(Args, Debug)]
pub struct EvidenceOptions {
    /// The directory of `leakwatch --evidence` [default: `evidence` in the directory of state files]
    #[arg(value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Collect evidence of this process now: keep it in DIR, or print it if no DIR is given
    ///
    /// The process is not stopped. This needs the same rights as `leakwatch census`.
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub take: Option<u32>,
    /// Hide the names of machines, users, services and paths
    ///
    /// The names of programs stay. Read the report all the same before you publish it.
    #[arg(long)]
    pub mask: bool,
}

/// Options of `ceilings`.
#[derive(Args, Debug)]
pub struct CeilingsOptions {
    /// Which processes' limits to list, beside the machine's.
    #[command(flatten)]
    pub select: SelectOptions,
    /// What to print.
    #[command(flatten)]
    pub output: ReportOptions,
}

/// Options of `servers`.
#[derive(Args, Debug)]
pub struct ServersOptions {
    /// Show all details of the servers whose name contains this; `all` shows every server
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// Print a table for people, or one JSON object
    #[arg(long, value_name = "FORMAT", value_enum, default_value = "text")]
    pub format: ReportFormat,
}

/// Options of `diagnose`.
#[derive(Args, Debug)]
pub struct DiagnoseOptions {
    /// Which processes to diagnose.
    #[command(flatten)]
    pub select: SelectOptions,
    /// Observe for this long; 0 takes one sample and judges by the histories, ages, sizes and logs
    ///
    /// A leak that uses up memory within minutes is proven in one minute. A slow leak takes longer,
    /// or shows when workers of different ages are compared. Ctrl-C ends the observation early and
    /// prints the report.
    #[arg(long = "for", value_name = "TIME", default_value = "60s", value_parser = time, help_heading = "Timing")]
    pub time: f64,
    /// Also use this recording of the same machine, so that its hours count
    ///
    /// It comes from `leakwatch record`, or is a history of `leakwatch check`. A recording of another
    /// machine, or from before the last boot, is judged by itself.
    #[arg(long, value_name = "FILE", help_heading = "Timing")]
    pub recording: Option<PathBuf>,
    /// Read the histories of `leakwatch check` from this directory
    ///
    /// Default: the directory where `leakwatch check` keeps them: the configured one; else
    /// $STATE_DIRECTORY, as set by systemd; else /var/lib/leakwatch for root; else
    /// $XDG_STATE_HOME/leakwatch or ~/.local/state/leakwatch. Every history since the last boot
    /// counts, whatever it was a check of. Nothing is written there.
    #[arg(long, value_name = "DIR", conflicts_with = "no_state", help_heading = "Evidence")]
    pub state_dir: Option<PathBuf>,
    /// Read no histories of checks
    #[arg(long, help_heading = "Evidence")]
    pub no_state: bool,
    /// Read the log files of this directory instead of /var/log, the journal and the kernel log
    #[arg(long, value_name = "DIR", help_heading = "Evidence")]
    pub logs: Option<PathBuf>,
    /// Read logs as far back as this
    #[arg(long, value_name = "TIME", default_value = "14days", value_parser = time, help_heading = "Evidence")]
    pub since: f64,
    /// Print a report for people, or one JSON object
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value = "text",
        help_heading = "Output"
    )]
    pub format: ReportFormat,
    /// Also write the report to this file, as one HTML page
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
    /// Write the advised change to this file, for `patch -p1 -d /`; leakwatch itself changes nothing
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub write_advice: Option<PathBuf>,
    /// When to colour the report [auto: on a terminal, unless NO_COLOR or CLICOLOR=0 is set]
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto", help_heading = "Output")]
    pub color: Color,
    /// Print nothing on standard error
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
    /// Which configuration names the directory of histories.
    #[command(flatten)]
    pub config: ConfigOptions,
}

impl DiagnoseOptions {
    /// Where the histories are.
    pub fn memory(&self) -> StateOptions {
        StateOptions { state_dir: self.state_dir.clone(), no_state: self.no_state }
    }
}

/// Options of `memory`.
#[derive(Args, Debug)]
pub struct MemoryOptions {
    /// Whose cgroups have a sheet of their own, beside the machine's.
    #[command(flatten)]
    pub select: SelectOptions,
    /// Observe for this long and tell what grows; 0 looks once
    #[arg(long = "for", value_name = "TIME", default_value = "0", value_parser = time, help_heading = "Timing")]
    pub time: f64,
    /// What to print.
    #[command(flatten)]
    pub output: ReportOptions,
}

/// Options of `record`.
#[derive(Args, Debug)]
pub struct RecordOptions {
    /// The file to write: a new one (compressed if it ends in .gz), or - for standard output
    pub file: PathBuf,
    /// Which processes to record.
    #[command(flatten)]
    pub select: SelectOptions,
    /// How often to sample.
    #[command(flatten)]
    pub timing: TimingOptions,
    /// Stop after this many samples
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub samples: Option<u64>,
    /// Print nothing on standard error
    #[arg(short, long, help_heading = "Output")]
    pub quiet: bool,
}

/// Options of `replay`.
#[derive(Args, Debug)]
pub struct ReplayOptions {
    /// The recording to read, plain or .gz, or - for standard input
    pub file: PathBuf,
    /// Explain the verdicts on this process, window by window, instead of printing events
    ///
    /// An explanation follows every change of its verdict, its exit and the end of the recording:
    /// each window of time with the tests that it passed or failed, the numbers compared, and what
    /// was missing. PID:START names one of several processes that had the same pid; without START,
    /// all of them are explained.
    #[arg(long, value_name = "PID[:START]", value_parser = target, conflicts_with = "format")]
    pub explain: Option<Target>,
    /// Also write the findings to this file, as one HTML page
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub html: Option<PathBuf>,
    /// How to judge and act.
    #[command(flatten)]
    pub judge: JudgeOptions,
    /// What to print.
    #[command(flatten)]
    pub output: OutputOptions,
    /// Which configuration to read.
    #[command(flatten)]
    pub config: ConfigOptions,
}

/// Options of `top`.
#[derive(Args, Debug)]
pub struct TopOptions {
    /// Play this recording, plain or .gz, instead of what runs here
    pub file: Option<PathBuf>,
    /// Which processes to show.
    #[command(flatten)]
    pub select: SelectOptions,
    /// How often to sample.
    #[command(flatten)]
    pub timing: TimingOptions,
    /// Play a recording this many times as fast as it was made, 1 to 1000; keys change it
    #[arg(long, value_name = "N", default_value = "10", value_parser = speed, help_heading = "Timing")]
    pub speed: f64,
    /// How to judge, and what may be ended by hand.
    #[command(flatten)]
    pub judge: JudgeOptions,
    /// When to colour the screen [auto: unless NO_COLOR or CLICOLOR=0 is set]
    #[arg(long, value_name = "WHEN", value_enum, default_value = "auto", help_heading = "Output")]
    pub color: Color,
    /// Which configuration to read.
    #[command(flatten)]
    pub config: ConfigOptions,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_definitions_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
