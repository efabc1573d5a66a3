//! Cli: the leakwatch binary as a user meets it: arguments, two streams of lines, signals, exit code.

use std::ffi::{OsStr, OsString};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::lines::Lines;
use super::process;

/// How long leakwatch may take for what it does at once: starting, stopping, refusing. On a host that
/// others took from it for minutes a start in a small machine took over 10 s, and requests beside it 13.
pub const PROMPTLY: Duration = Duration::from_secs(30);

/// A running command, killed on drop.
pub struct Cli {
    child: Child,
    pub out: Lines,
    pub err: Lines,
    /// Where leakwatch remembers programs, unless told otherwise: no test meets another's memory.
    state: Option<TempDir>,
}

/// A command that has ended.
pub struct Ended {
    /// Its exit code; absent when a signal ended it.
    pub code: Option<i32>,
    pub out: Lines,
    pub err: Lines,
}

impl Cli {
    /// Starts leakwatch with these arguments (`LEAKWATCH_BIN` names another binary to test).
    pub fn leakwatch<S: AsRef<OsStr>>(args: impl IntoIterator<Item = S>) -> Self {
        Self::leakwatch_by(&[], args)
    }

    /// The same by a command that runs it as the same process.
    pub fn leakwatch_by<S: AsRef<OsStr>>(
        before: &[String],
        args: impl IntoIterator<Item = S>,
    ) -> Self {
        let mut words = before.iter().map(OsString::from).chain([Self::program()]);
        let mut command = Command::new(words.next().expect("there is one at least"));
        let state = tempfile::tempdir().expect("a temporary directory");
        command
            .args(words)
            .args(args)
            .env("STATE_DIRECTORY", state.path())
            .env("LEAKWATCH_SERVER", super::prefork::ROW)
            .env("LEAKWATCH_CONFIG", "/dev/null");
        let mut cli = Self::start(&mut command);
        cli.state = Some(state);
        cli
    }

    /// The binary that is tested.
    pub fn program() -> OsString {
        let built = env!("CARGO_BIN_EXE_leakwatch").into();
        std::env::var_os("LEAKWATCH_BIN").unwrap_or(built)
    }

    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let out = Lines::of(child.stdout.take().expect("stdout is a pipe"));
        let err = Lines::of(child.stderr.take().expect("stderr is a pipe"));
        Self { child, out, err, state: None }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        process::signal(&self.child, signal);
    }

    /// Waits until it ends by itself; panics when it does not.
    pub fn end(mut self, within: Duration) -> Ended {
        let Some(status) = process::wait(&mut self.child, within) else {
            panic!("it did not end within {within:?}; stderr:\n{}", self.err.text());
        };
        // What a grandchild may still hold open is not waited for.
        self.out.wait_closed(PROMPTLY);
        self.err.wait_closed(PROMPTLY);
        Ended { code: status.code(), out: self.out.clone(), err: self.err.clone() }
    }

    /// Stops it as an admin or systemd would, by SIGTERM.
    pub fn stop(self) -> Ended {
        self.signal(Signal::SIGTERM);
        self.end(PROMPTLY)
    }
}

impl Drop for Cli {
    fn drop(&mut self) {
        // Without effect when it was waited for already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
