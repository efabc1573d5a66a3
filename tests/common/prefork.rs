//! Prefork: a running examples/leaky_prefork, ended with the test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use super::cli::Cli;
use super::lines::Lines;
use super::process::{self, Id};
use super::wait;

/// What an admin says of the servers of the tests: a program of which nothing is known is not ended
/// before it was seen to replace a worker.
pub const ROW: &str = "match=leaky_prefork|prefork.pl";

/// The example as a child of the test.
pub struct Prefork {
    cli: Cli,
    id: Id,
    port: u16,
    begun: Instant,
}

impl Prefork {
    /// Starts it with these arguments and returns when it listens.
    pub fn start(args: &[&str]) -> Self {
        Self::start_by(Command::new(program()).args(args))
    }

    /// One of three workers leaks to so many MiB and no further: returns with that one when it holds
    /// nearly all of that.
    pub fn start_leaked(mib: u64) -> (Self, Id) {
        let max = format!("{mib}M");
        let counts = ["--leaky", "1", "--healthy", "2", "--cache", "0"];
        let server = Self::start(&[&counts[..], &["--rate", "60M/s", "--max", &max]].concat());
        server.wait_started("leaky", 1);
        let leaky = Id::of(server.started("leaky")[0]).expect("it runs");
        let leaked = || process::anon_kib(leaky.pid) >= (mib - 2) << 10;
        let all = wait::until(Duration::from_secs(60), leaked);
        assert!(all, "it holds {} KiB", process::anon_kib(leaky.pid));
        (server, leaky)
    }

    /// As `start`, as another user; the program is copied to `dir`, which that user must be able to
    /// reach.
    pub fn start_as(uid: u32, dir: &Path, args: &[&str]) -> Self {
        let copy = dir.join("leaky_prefork");
        process::install(&program(), &copy);
        let uid = uid.to_string();
        let mut setpriv = Command::new("setpriv");
        setpriv.args(["--reuid", &uid, "--regid", &uid, "--clear-groups"]);
        Self::start_by(setpriv.arg(copy).args(args))
    }

    /// The same by a command that becomes it (by exec, so that its pid stays), in a cgroup say.
    pub fn start_by(command: &mut Command) -> Self {
        let cli = Cli::start(command);
        let promptly = Duration::from_secs(10);
        let line =
            cli.out.expect_line(promptly, "with its address", |line| line.contains("http://"));
        let port = line.text().split([':', '/']).find_map(|word| word.parse().ok());
        let id = Id::of(cli.pid()).expect("it runs");
        let begun = Instant::now();
        Self { cli, id, port: port.expect("the line names the port"), begun }
    }

    pub fn master(&self) -> Id {
        self.id
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    pub fn workers(&self) -> Vec<Id> {
        process::children(self.id.pid)
    }

    /// The pids of all workers of that kind (leaky, healthy, cache, hung) that were ever started.
    pub fn started(&self, kind: &str) -> Vec<u32> {
        self.said(kind, "started")
    }

    /// The pids of the workers of that kind that ended.
    pub fn ended(&self, kind: &str) -> Vec<u32> {
        self.said(kind, "ended:")
    }

    /// How the workers of that kind ended that did.
    pub fn ends(&self, kind: &str) -> Vec<String> {
        let is = format!(" {kind} ended: ");
        let lines = self.cli.out.all();
        let end = |line: &super::lines::Line| Some(line.text().split_once(&is)?.1.to_owned());
        lines.iter().filter_map(end).collect()
    }

    /// How long ago it was started.
    pub fn age(&self) -> Duration {
        self.begun.elapsed()
    }

    /// What it and its workers complained of.
    pub fn err(&self) -> &Lines {
        &self.cli.err
    }

    /// Waits until so many workers of that kind have been started.
    pub fn wait_started(&self, kind: &str, count: usize) {
        let counts = |lines: &[super::lines::Line]| {
            let said = lines.iter().filter(|line| says(&line.text(), kind, "started").is_some());
            (said.count() >= count).then_some(())
        };
        assert!(
            self.cli.out.wait_for(Duration::from_secs(60), counts).is_some(),
            "{count} {kind} workers were not started; it said:\n{}",
            self.cli.out.text()
        );
    }

    /// Waits until so many workers of that kind have ended; whether they have within that time.
    pub fn wait_ended(&self, kind: &str, count: usize, within: Duration) -> bool {
        let enough = |lines: &[super::lines::Line]| {
            let said = lines.iter().filter(|line| says(&line.text(), kind, "ended:").is_some());
            (said.count() >= count).then_some(())
        };
        self.cli.out.wait_for(within, enough).is_some()
    }

    fn said(&self, kind: &str, what: &str) -> Vec<u32> {
        self.cli.out.all().iter().filter_map(|line| says(&line.text(), kind, what)).collect()
    }
}

/// The pid in "worker PID KIND WHAT ...".
fn says(line: &str, kind: &str, what: &str) -> Option<u32> {
    let mut words = line.split(' ');
    let pid = (words.next() == Some("worker")).then(|| words.next()?.parse().ok()).flatten()?;
    (words.next() == Some(kind) && words.next() == Some(what)).then_some(pid)
}

/// Cargo builds the examples with the integration tests, beside the directory these lie in.
pub fn program() -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let profile = test.ancestors().nth(2).expect("target/PROFILE/deps/test");
    let program = profile.join("examples/leaky_prefork");
    assert!(
        program.exists(),
        "'{}' is missing: cargo test builds it, `cargo test --test NAME` needs \
         `cargo build --example leaky_prefork` first",
        program.display()
    );
    program
}
