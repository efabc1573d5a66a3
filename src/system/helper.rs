//! Helper: leakwatch itself, started once more to answer one question and end.
//!
//! It does what must not be done with leakwatch's own rights or memory. It may hang, die, or be
//! under the control of another user once it has that user's rights: its answer comes in time or not
//! at all, has a limit of bytes, and is not trusted.

use crate::system::channel::Channel;
use crate::system::wait;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::OFlags;
use std::ffi::OsStr;
use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::Duration;

/// The program that is running, also where another was installed meanwhile.
const ITSELF: &str = "/proc/self/exe";
/// What a helper is for; the name that it is started with tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Duty {
    /// Answers a question on standard input.
    Inquiry,
    /// Reads logs that it is handed over a [`Channel`].
    Logs,
    /// Reads what servers append to their access logs, which it is handed over one.
    AccessLogs,
    /// Takes censuses of processes that it is handed over one.
    Census,
    /// Keeps evidence of the processes that it is told of over a [`Channel`].
    Evidence,
    /// Reads a recording on standard input, and writes on standard output what it understood of it.
    Recording,
}

impl Duty {
    fn name(self) -> &'static str {
        match self {
            Self::Inquiry => "leakwatch-reader",
            Self::Logs => "leakwatch-log-reader",
            Self::AccessLogs => "leakwatch-access-log-reader",
            Self::Census => "leakwatch-census",
            Self::Evidence => "leakwatch-evidence",
            Self::Recording => "leakwatch-recording-reader",
        }
    }
}

/// Bytes of a question or an answer.
pub const MOST_BYTES: usize = 8 << 20;
/// Bytes of the words with which one fails.
const LONGEST_WORDS: u64 = 4096;
/// Milliseconds between two questions whether to go on.
const PATIENCE_MS: u16 = 50;
/// A killed helper is gone by then, unless the kernel itself holds it.
const KILLED: Duration = Duration::from_millis(200);
/// What a helper that stands by was told last is done by then.
const COMPLETED: Duration = Duration::from_secs(1);

/// What this process was started for, if it is a helper.
pub fn asked_for() -> Option<Duty> {
    let name = std::env::args_os().next()?;
    let attached = [Duty::Inquiry, Duty::Logs, Duty::AccessLogs, Duty::Census];
    let all = attached.into_iter().chain([Duty::Evidence, Duty::Recording]);
    all.into_iter().find(|duty| name == duty.name())
}

/// A helper at the other end of a channel, which ends with this value.
pub struct Attached {
    child: Child,
    /// The way to it.
    pub channel: Channel,
}

impl Attached {
    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// A helper that stands by for as long as the watch runs, and ends by itself when its channel does.
pub struct StandingBy {
    child: Child,
    channel: Option<Channel>,
}

impl StandingBy {
    /// Starts one; what goes wrong with it, it tells on standard error itself.
    ///
    /// # Errors
    /// In words: it could not be started.
    pub fn start(duty: Duty) -> Result<Self, String> {
        let failed = |error: std::io::Error| format!("no helper could be started: {error}");
        let (channel, there) = Channel::pair().map_err(failed)?;
        let mut command = itself(duty);
        command.stdin(there).stdout(Stdio::null()).stderr(Stdio::inherit());
        let child = command.spawn().map_err(failed)?;
        Ok(Self { child, channel: Some(channel) })
    }

    /// The way to it.
    pub fn channel(&self) -> Option<&Channel> {
        self.channel.as_ref()
    }
}

impl Drop for StandingBy {
    /// What it was told before it may complete.
    fn drop(&mut self) {
        drop(self.channel.take());
        if wait::child(&mut self.child, COMPLETED).is_none() {
            end(&mut self.child);
        }
    }
}

/// Starts a helper with a channel to it. Of the environment it has the time zone alone.
///
/// # Errors
/// In words: it could not be started.
pub fn attach(duty: Duty) -> Result<Attached, String> {
    let failed = |error: std::io::Error| format!("no helper could be started: {error}");
    let (channel, there) = Channel::pair().map_err(failed)?;
    let mut command = itself(duty);
    if let Some(zone) = std::env::var_os("TZ") {
        command.env("TZ", zone);
    }
    let child = command.stdin(there).stdout(Stdio::null()).spawn().map_err(failed)?;
    Ok(Attached { child, channel })
}

/// A helper that reads a file and writes what it understood of it, which ends with this value.
pub struct Filter(Child);

impl Filter {
    /// Starts one; what it writes is read at the other value. Its own words call the file by that name.
    ///
    /// # Errors
    /// In words: it could not be started.
    pub fn start(duty: Duty, name: &OsStr, input: Stdio) -> Result<(Self, ChildStdout), String> {
        let mut command = itself(duty);
        command.arg(name).stdin(input).stdout(Stdio::piped()).stderr(Stdio::piped());
        let started = command.spawn();
        let mut child = started.map_err(|error| format!("no helper could be started: {error}"))?;
        let Some(output) = child.stdout.take() else { return Err("it has no pipe".to_owned()) };
        Ok((Self(child), output))
    }

    /// Why it failed, in its own words in one line; none if it did not. To be asked when its output is at the end.
    pub fn failure(&mut self) -> Option<String> {
        match wait::child(&mut self.0, COMPLETED) {
            Some(status) if status.success() => return None,
            Some(_) => {}
            None => return Some("its helper does not end".to_owned()),
        }
        let mut words = Vec::new();
        if let Some(said) = self.0.stderr.take() {
            // What it wrote and where are in the pipe: it has ended.
            let _ = said.take(LONGEST_WORDS).read_to_end(&mut words);
        }
        let words = String::from_utf8_lossy(&words);
        let words = words.trim().trim_start_matches("leakwatch: ");
        let plain: String = words.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
        Some(if plain.is_empty() { "its helper was ended".to_owned() } else { plain })
    }
}

impl Drop for Filter {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

fn itself(duty: Duty) -> Command {
    let mut command = Command::new(ITSELF);
    command.arg0(duty.name()).env_clear().current_dir("/").stderr(Stdio::null());
    command
}

fn end(helper: &mut Child) {
    helper.kill().ok();
    wait::child(helper, KILLED);
}

/// Starts a helper, asks it, and awaits its answer while `go_on` says so.
///
/// # Errors
/// In words: it could not be started, or gave no answer.
pub fn ask(question: &[u8], go_on: &mut dyn FnMut() -> bool) -> Result<Vec<u8>, String> {
    let started = itself(Duty::Inquiry).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut helper = started.map_err(|error| format!("no helper could be started: {error}"))?;
    let answer = exchange(&mut helper, question, go_on);
    end(&mut helper);
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
