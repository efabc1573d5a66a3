//! Foreground: a private server that runs in the foreground as a child of the test, in a directory and a
//! memory cgroup of its own, and is watched by the directory's name in its command line.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::cgroup::Cgroup;
use super::cli::{Cli, PROMPTLY};
use super::lines::Lines;
use super::process::{self, Id};
use super::wait;

/// A running server, ended on drop with all that it started.
pub struct Foreground {
    master: Child,
    /// What it writes to stderr.
    pub log: Lines,
    memory: Cgroup,
    dir: TempDir,
}

impl Foreground {
    /// Starts this command line, which names the directory, and returns when it `is_up` with its
    /// children. `preload` is a shared object that changes it, or nothing.
    pub fn start(dir: TempDir, words: &str, preload: &str, is_up: impl Fn(&[Id]) -> bool) -> Self {
        let memory = Cgroup::with_memory(1 << 30).unwrap();
        let mut command = memory.command("setpriv");
        command
            .args(["--pdeathsig", "TERM"])
            .args(words.split_whitespace())
            .env("LD_PRELOAD", preload)
            .current_dir(dir.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut master = command.spawn().expect("sh and setpriv are there");
        let log = Lines::of(master.stderr.take().expect("stderr is a pipe"));
        let server = Self { master, log, memory, dir };
        let up = wait::until(PROMPTLY, || is_up(&server.children()));
        assert!(up, "it does not start: {words}\n{}", server.log.text());
        server
    }

    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its children that run now.
    pub fn children(&self) -> Vec<Id> {
        process::children(self.master.id())
    }

    /// leakwatch on this server alone, once it watches.
    pub fn watch(&self, budget: &str, more: &[&str]) -> Cli {
        let dir = self.dir().to_str().expect("a temporary directory");
        let args = ["--interval", "1s", "--budget", budget, "--format", "json", "-f", "-p", dir];
        let cli = Cli::leakwatch([&args[..], more].concat());
        cli.err.expect_line(PROMPTLY, "that says what is watched", |l| l.contains("watching"));
        cli
    }

    /// Neither did it end, nor has the kernel ended any process of it.
    pub fn assert_runs(&self) {
        let runs = Id::of(self.master.id()).is_some_and(Id::runs);
        assert!(runs, "the master is gone:\n{}", self.log.text());
        assert_eq!(self.memory.oom_kills(), 0);
    }
}

impl Drop for Foreground {
    fn drop(&mut self) {
        process::signal(&self.master, Signal::SIGTERM);
        // The pipe closes when the last process of this server has ended.
        if !self.log.wait_closed(Duration::from_secs(10)) {
            process::kill_group(&self.master);
        }
        self.master.wait().ok();
    }
}
