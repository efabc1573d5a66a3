//! Strace: makes system calls of a running leakwatch fail, of one that runs or from its first on.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::cli::PROMPTLY;
use super::lines::Lines;
use super::process;

/// What to do to which calls, as strace's `inject` has it: `pread64:error=EIO:when=3+5`.
pub fn injecting(what: &str) -> [String; 4] {
    let call = what.split(':').next().unwrap_or_default();
    ["-e".into(), format!("trace={call}"), "-e".into(), format!("inject={what}")]
}

/// A tracer of a process that runs; its calls work again when the tracer is let go.
pub struct Strace {
    child: Child,
    dir: TempDir,
}

impl Strace {
    /// Attaches to the process; from then on its calls are counted.
    pub fn attach(pid: u32, what: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let mut child = Command::new("strace")
            .args(["-f", "-p", &pid.to_string(), "-o"])
            .arg(dir.path().join("calls"))
            .args(injecting(what))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("strace is there");
        let err = Lines::of(child.stderr.take().expect("stderr is a pipe"));
        err.expect_line(PROMPTLY, "that it is attached", |line| line.contains("attached"));
        Self { child, dir }
    }

    fn calls(&self) -> PathBuf {
        self.dir.path().join("calls")
    }

    /// How many calls were tampered with so far.
    pub fn injected(&self) -> usize {
        let calls = std::fs::read(self.calls()).unwrap_or_default();
        String::from_utf8_lossy(&calls).matches("(INJECTED)").count()
    }

    /// Waits until so many were, or the time is up, or the process has ended: how many by then.
    pub fn wait_injected(&mut self, count: usize, within: Duration) -> usize {
        let end = Instant::now() + within;
        while self.injected() < count && Instant::now() < end {
            if process::wait(&mut self.child, Duration::from_millis(50)).is_some() {
                break;
            }
        }
        self.injected()
    }
}

impl Drop for Strace {
    fn drop(&mut self) {
        // It lets go of the process at that; it may have ended with it already.
        if let Ok(None) = self.child.try_wait() {
            process::signal(&self.child, Signal::SIGTERM);
        }
        self.child.wait().ok();
    }
}
