//! Apart: logs are read by a helper without rights, which is handed them open.
//!
//! The helper gives up its user, all capabilities, opening and running files, connecting, and all system
//! calls but a few, before it is handed the first log. What it answers is bounded, and no more trusted
//! than the logs.

use super::queue::{LogKind, OpenLog, Queue, ReadOutcome};
use super::{LogEventCounts, LogSources, Stamps, files};
use crate::diagnose::findings::{LogEvent, Logs};
use crate::system::channel::Channel;
use crate::system::helper::{self, Duty};
use crate::system::rights::{self, Fences};
use crate::system::{machine, wait};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::os::fd::{AsFd, BorrowedFd};

/// Bytes of address space: unpacking may take 80 MiB.
const MEMORY: u64 = 256 << 20;
/// Seconds of a processor.
const CPU_S: u64 = 5;
/// Seconds in which it answers once it is to stop.
const STOPPING_S: f64 = 1.0;
/// Milliseconds between two questions whether to go on.
const PATIENCE_MS: u16 = 50;
/// Bounds of its answer.
const MOST_BYTES: usize = 16 << 20;
const MOST_EVENTS: usize = 2048;
const MOST_NOTES: usize = 16;
const LONGEST_TEXT: usize = 4096;

/// What the helper is told.
#[derive(Serialize, Deserialize)]
enum LogStep {
    /// The times that lines are understood by: now, of the boot, of the oldest line that matters.
    Times { now_t: f64, boot_t: f64, since_t: f64 },
    /// Here is a log; so many are not read, this one included.
    Log { kind: LogKind, left: usize },
    /// Read no further in the present one.
    Stop,
    /// There is none left.
    End,
}

/// What it says.
#[derive(Serialize, Deserialize)]
enum LogReply {
    /// It has given up its rights, and this holds it.
    Ready(Fences),
    /// It read a log so far, and wants the next.
    Next(ReadOutcome),
    /// So many bytes follow: what it found.
    Found { bytes: usize },
}

/// Reads the logs by a helper, for as long as `go_on` says so; also what its fences lack.
pub fn read_apart(
    sources: &LogSources,
    (now_t, boot_t): (f64, f64),
    go_on: &mut dyn FnMut() -> bool,
) -> (Logs, Option<String>) {
    let mut queue = Queue::new(sources);
    let times = LogStep::Times { now_t, boot_t, since_t: sources.since_t };
    match ask(&times, &mut queue, go_on) {
        Ok((logs, fences)) => {
            let missing = fences.missing();
            let note = missing.map(|what| {
                format!("the helper that reads logs does so without {what}: here it cannot be had")
            });
            (queue.complete(logs), note)
        }
        Err(why) => {
            let unread = vec![format!("all logs: {why}")];
            (queue.complete(Logs { unread, ..Logs::default() }), None)
        }
    }
}

/// Tells the helper what to read, until it says what it found.
fn ask(
    times: &LogStep,
    queue: &mut Queue<'_>,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<(Logs, Fences), String> {
    let helper = helper::attach(Duty::Logs)?;
    let failed = |error: anyhow::Error| format!("their helper failed: {error:#}");
    let channel = &helper.channel;
    tell(channel, times, None).map_err(failed)?;
    let (mut fences, mut stop_s) = (None, None);
    loop {
        queue.watch();
        if stop_s.is_none() && !go_on() {
            stop_s = Some(wait::awake_s());
            tell(channel, &LogStep::Stop, None).map_err(failed)?;
        }
        if stop_s.is_some_and(|stop_s| wait::awake_s() > stop_s + STOPPING_S) {
            return Err("reading took too long".to_owned());
        }
        if !channel.is_ready(PATIENCE_MS) {
            continue;
        }
        match heard(channel).map_err(failed)? {
            (LogReply::Ready(held_by), None) => {
                fences = Some(held_by);
                hand_on(channel, queue.next(None)).map_err(failed)?;
            }
            (LogReply::Next(outcome), None) if fences.is_some() => {
                hand_on(channel, queue.next(Some(outcome))).map_err(failed)?;
            }
            (LogReply::Found { .. }, Some(logs)) => {
                let fences = fences.ok_or("their helper gave no word of its rights")?;
                return Ok((checked(logs), fences));
            }
            _ => return Err("their helper said something else".to_owned()),
        }
    }
}

fn tell(channel: &Channel, what: &LogStep, file: Option<BorrowedFd<'_>>) -> Result<()> {
    Ok(channel.send(&serde_json::to_vec(what)?, file)?)
}

fn hand_on(channel: &Channel, log: Option<OpenLog>) -> Result<()> {
    match log {
        Some(OpenLog { kind, file, left }) => {
            tell(channel, &LogStep::Log { kind, left }, Some(file.as_fd()))
        }
        None => tell(channel, &LogStep::End, None),
    }
}

/// The next thing that the helper says, with the logs where it found some.
fn heard(channel: &Channel) -> Result<(LogReply, Option<Logs>)> {
    let message = channel.receive()?.context("it is gone")?;
    let said: LogReply = serde_json::from_slice(&message.bytes)?;
    let LogReply::Found { bytes } = said else { return Ok((said, None)) };
    let answer = channel.receive_parts(bytes, MOST_BYTES)?;
    Ok((said, Some(serde_json::from_slice(&answer)?)))
}

/// The helper's word within bounds; reports escape it.
fn checked(mut logs: Logs) -> Logs {
    let cut = |text: &mut String| text.truncate(text.floor_char_boundary(LONGEST_TEXT));
    logs.log_events.truncate(MOST_EVENTS);
    for LogEvent { who, source, text, .. } in &mut logs.log_events {
        [who, source, text].into_iter().for_each(cut);
    }
    logs.unread.truncate(MOST_NOTES);
    logs.unread.iter_mut().for_each(cut);
    logs
}

/// The helper's side: gives up its rights, then reads what it is handed.
///
/// # Errors
/// It is told nothing that makes sense, or cannot give up its rights.
pub fn serve() -> Result<()> {
    let channel = Channel::of_helper()?;
    let first = channel.receive()?.context("there is nobody")?;
    let LogStep::Times { now_t, boot_t, since_t } = serde_json::from_slice(&first.bytes)? else {
        bail!("this is no question for a helper");
    };
    // Of the files of the machine it reads this one.
    let (stamps, name) = (Stamps::new(machine::zone(), now_t, boot_t), machine::name());
    rights::limit(MEMORY, CPU_S)?;
    say(&channel, &LogReply::Ready(rights::keep_open_files_only()?))?;
    let mut found = LogEventCounts::new(&stamps, since_t).of_machine(&name);
    let mut is_stopped = false;
    loop {
        let message = channel.receive()?.context("nobody is left")?;
        match serde_json::from_slice(&message.bytes)? {
            LogStep::Log { kind, left } => {
                let file = message.file.context("no file came along")?;
                // What was found is told while it still can be.
                let is_late = || wait::processor_s(&[]).is_some_and(|s| s > CPU_S as f64 - 1.0);
                let mut go_on = || !is_stopped && !channel.is_ready(0) && !is_late();
                let outcome = files::read(OpenLog { kind, file, left }, &mut found, &mut go_on);
                say(&channel, &LogReply::Next(outcome))?;
            }
            LogStep::Stop => is_stopped = true,
            LogStep::End => break,
            LogStep::Times { .. } => bail!("it was told the time twice"),
        }
    }
    let answer = serde_json::to_vec(&found.finish())?;
    say(&channel, &LogReply::Found { bytes: answer.len() })?;
    channel.send_parts(&answer)?;
    Ok(())
}

fn say(channel: &Channel, what: &LogReply) -> Result<()> {
    Ok(channel.send(&serde_json::to_vec(what)?, None)?)
}
