//! Helper: leakwatch itself, started once more to answer one question and end.
//!
//! It does what must not be done with leakwatch's own rights or memory. It may hang, die, or be
//! under the control of another user once it has that user's rights: its answer comes in time or not
//! at all, has a limit of bytes, and is not trusted.

use crate::system::wait;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::OFlags;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// The program that is running, also where another was installed meanwhile.
const ITSELF: &str = "/proc/self/exe";
/// The name by which it knows that it is a helper.
const NAME: &str = "leakwatch-reader";
/// Bytes of a question or an answer.
pub const MOST_BYTES: usize = 8 << 20;
/// Milliseconds between two questions whether to go on.
const PATIENCE_MS: u16 = 50;
/// A killed helper is gone by then, unless the kernel itself holds it.
const KILLED: Duration = Duration::from_millis(200);

/// Whether this process was started as a helper.
pub fn is_asked_for() -> bool {
    std::env::args_os().next().is_some_and(|name| name == NAME)
}

/// Starts a helper, asks it, and awaits its answer while `go_on` says so.
///
/// # Errors
/// In words: it could not be started, or gave no answer.
pub fn ask(question: &[u8], go_on: &mut dyn FnMut() -> bool) -> Result<Vec<u8>, String> {
    let mut command = Command::new(ITSELF);
    command.arg0(NAME).env_clear().current_dir("/");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let started = command.spawn();
    let mut helper = started.map_err(|error| format!("no helper could be started: {error}"))?;
    let answer = exchange(&mut helper, question, go_on);
    helper.kill().ok();
    wait::child(&mut helper, KILLED);
    answer
}

/// The helper reads its question before it gives up any rights, so nobody else can stop it yet.
fn exchange(
    helper: &mut Child,
    question: &[u8],
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Vec<u8>, String> {
    let broken = |error: std::io::Error| format!("its helper failed: {error}");
    if let Some(mut input) = helper.stdin.take() {
        input.write_all(question).map_err(broken)?;
    }
    let Some(mut output) = helper.stdout.take() else { return Err("it has no pipe".to_owned()) };
    rustix::fs::fcntl_setfl(&output, OFlags::NONBLOCK).map_err(|error| broken(error.into()))?;
    let (mut answer, mut part) = (Vec::new(), vec![0; 1 << 16]);
    loop {
        if !go_on() {
            return Err("reading took too long".to_owned());
        }
        let mut fds = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        if !matches!(poll(&mut fds, PollTimeout::from(PATIENCE_MS)), Ok(1..)) {
            continue;
        }
        match output.read(&mut part) {
            Ok(0) if answer.is_empty() => return Err("its helper gave no answer".to_owned()),
            Ok(0) => return Ok(answer),
            Ok(length) => answer.extend_from_slice(part.get(..length).unwrap_or_default()),
            Err(error)
                if [ErrorKind::WouldBlock, ErrorKind::Interrupted].contains(&error.kind()) => {}
            Err(error) => return Err(broken(error)),
        }
        if answer.len() > MOST_BYTES {
            return Err("its helper's answer is too long".to_owned());
        }
    }
}
