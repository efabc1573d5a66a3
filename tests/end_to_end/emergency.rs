//! The minute in which nothing works: leakwatch still ends the leaking worker.

use std::io::{PipeReader, Write};
use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::common::cli::{Cli, PROMPTLY};
use crate::common::prefork::{self, Prefork};
use crate::common::process;
use rustix::fs::{OFlags, fcntl_setfl};
use rustix::process::{Pid, Resource, Rlimit, prlimit};

/// A server of whose workers one leaks.
fn leaking() -> Prefork {
    Prefork::start(&["--leaky", "1", "--healthy", "1", "--cache", "0", "--rate", "2M/s"])
}

/// leakwatch on it, with outputs that nothing reads.
struct Unread {
    child: Child,
    _state: tempfile::TempDir,
    _reader: PipeReader,
}

impl Unread {
    fn start(server: &Prefork) -> Self {
        let (reader, mut writer) = std::io::pipe().unwrap();
        // Filled to the brim: the first byte that leakwatch writes has to wait.
        fcntl_setfl(writer.as_fd(), OFlags::NONBLOCK).unwrap();
        while writer.write(&[b'x'; 4096]).is_ok() {}
        while writer.write(b"x").is_ok() {}
        fcntl_setfl(writer.as_fd(), OFlags::empty()).unwrap();
        let state = tempfile::tempdir().unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_leakwatch"))
            .args(["--pid", &server.master().pid.to_string(), "--interval", "1s", "--verbose"])
            .args(["--budget", "100M"])
            .env("LEAKWATCH_SERVER", prefork::ROW)
            .env("STATE_DIRECTORY", state.path())
            .stdin(Stdio::null())
            .stdout(writer.try_clone().unwrap())
            .stderr(writer)
            .spawn()
            .unwrap();
        Self { child, _state: state, _reader: reader }
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
#[ignore = "takes a minute"]
fn a_reader_that_has_stopped_does_not_keep_a_leaking_worker_alive() {
    let server = leaking();
    let mut leakwatch = Unread::start(&server);
    let ended = server.wait_ended("leaky", 1, Duration::from_secs(120));
    assert!(ended, "the leaking worker still runs");
    assert!(server.ended("healthy").is_empty());
    // It can be stopped too: the last lines are waited for a second, not for ever.
    let pid = nix::unistd::Pid::from_raw(leakwatch.child.id().cast_signed());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
    let status = process::wait(&mut leakwatch.child, Duration::from_secs(20));
    let code = status.expect("it stops").code();
    assert!(matches!(code, Some(1 | 2)), "{code:?}");
}

#[test]
fn new_processes_do_not_end_a_watch_that_gets_no_more_memory() {
    let server =
        Prefork::start(&["--leaky", "0", "--healthy", "1", "--cache", "0", "--hang", "40/s"]);
    let pid = server.master().pid.to_string();
    let leakwatch = Cli::leakwatch(["--pid", &pid, "--interval", "200ms", "--budget", "1G"]);
    leakwatch.err.expect_line(PROMPTLY, "that says what is watched", |l| l.contains("watching"));
    let own = Pid::from_raw(leakwatch.pid().cast_signed());
    // From here on malloc gets nothing from the kernel, as where all memory is promised.
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    prlimit(own, Resource::Data, none).unwrap();
    server.wait_started("hung", server.started("hung").len() + 200);
    leakwatch.signal(nix::sys::signal::Signal::SIGUSR1);
    leakwatch.err.expect_line(PROMPTLY, "of the state", |line| line.contains(" workers "));
    let ended = leakwatch.stop();
    assert!(matches!(ended.code, Some(0..=2)), "{:?}: {}", ended.code, ended.err.text());
}
