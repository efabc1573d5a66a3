//! Apart: censuses are taken by a helper, since reading another process's memory may wait for ever.
//!
//! Right before it is read, a page may become a file's on a file system that its owner made and that
//! never answers (FUSE). The kernel then holds the reader, of whom only SIGKILL may be heard. Let that be
//! the helper. (A page that another process is to deliver, by userfaultfd, is not waited for: EIO.)

use super::{Refusal, Subject};
use crate::core::census::Census;
use crate::core::model::process::ProcId;
use crate::system::channel::Channel;
use crate::system::helper::{self, Attached, Duty};
use crate::system::{rights, wait};
use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use std::os::fd::AsFd;

/// Bytes of address space: a census takes 3 MiB, and at most 15 where a process writes its heap for that.
const MEMORY: u64 = 128 << 20;
/// Seconds of a processor: a look at a heap of 111 MB takes 0.1 s, and who keeps evidence asks for months.
const CPU_S: u64 = 3600;
/// Seconds in which it answers once it is to stop.
const STOPPING_S: f64 = 0.5;
/// Milliseconds between two questions whether to go on.
const PATIENCE_MS: u16 = 50;
/// Bytes of its answer: 67 000 sizes of blocks take 2 MiB.
const MOST_BYTES: usize = 4 << 20;

/// What the helper is told.
#[derive(Serialize, Deserialize)]
enum Told {
    /// Count what this process holds, whose directory comes along.
    Count { pid: u32, start: u64 },
    /// End with what there is.
    Stop,
}

/// What it says: so many bytes follow, a census or why there is none.
#[derive(Serialize, Deserialize)]
struct Found {
    bytes: usize,
}

/// Who takes censuses: a helper that is started for the first, and once more after one that hung.
#[derive(Default)]
pub struct CensusHelper {
    attached: Option<Attached>,
}

impl CensusHelper {
    /// One that is started now, for later there may be no memory for that. Where it cannot be, it is tried
    /// again for a census.
    pub fn started() -> Self {
        Self { attached: helper::attach(Duty::Census).ok() }
    }

    /// The pid of the helper, while there is one.
    pub fn pid(&self) -> Option<u32> {
        self.attached.as_ref().map(Attached::pid)
    }

    /// Counts what a process holds; where `go_on` says no, as far as it came by then.
    ///
    /// # Errors
    /// The process is gone, or may not be read, or half a second later there is no answer; or there is
    /// no helper.
    pub fn census(
        &mut self,
        subject: &Subject,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Census, Refusal> {
        let attached = match self.attached.take() {
            Some(attached) => attached,
            None => helper::attach(Duty::Census).map_err(Refusal::NoHelper)?,
        };
        let found = ask(&attached.channel, subject, go_on);
        let found = found.unwrap_or_else(|error| {
            Err(Refusal::NoHelper(format!("its helper failed: {error:#}")))
        });
        // One that hangs or failed is not asked again.
        if !matches!(found, Err(Refusal::NoAnswer | Refusal::NoHelper(_))) {
            self.attached = Some(attached);
        }
        found
    }
}

fn ask(
    channel: &Channel,
    subject: &Subject,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Result<Census, Refusal>> {
    let ProcId { pid, start } = subject.id;
    let count = serde_json::to_vec(&Told::Count { pid, start })?;
    channel.send(&count, Some(subject.directory.as_fd()))?;
    let mut stop_s = None;
    while !channel.is_ready(PATIENCE_MS) {
        match stop_s {
            None if !go_on() => {
                channel.send(&serde_json::to_vec(&Told::Stop)?, None)?;
                stop_s = Some(wait::awake_s());
            }
            Some(stop_s) if wait::awake_s() > stop_s + STOPPING_S => {
                return Ok(Err(Refusal::NoAnswer));
            }
            _ => {}
        }
    }
    let Found { bytes } = serde_json::from_slice(&channel.receive()?.context("it is gone")?.bytes)?;
    Ok(serde_json::from_slice(&channel.receive_parts(bytes, MOST_BYTES)?)?)
}

/// The helper's side: gives up its rights but that of reading memory, then counts what it is handed.
///
/// # Errors
/// It is told nothing that makes sense, or cannot give up its rights.
pub fn serve() -> Result<()> {
    let channel = Channel::of_helper()?;
    rights::limit(MEMORY, CPU_S)?;
    // It is remembered; who may only read memory cannot ask for it.
    procfs::page_size();
    rights::keep_reading_memory()?;
    while let Some(message) = channel.receive()? {
        // A stop may come when all is said.
        let Told::Count { pid, start } = serde_json::from_slice(&message.bytes)? else { continue };
        let directory = message.file.context("no process came along")?;
        let subject = Subject { id: ProcId { pid, start }, directory };
        let found = subject.census(&mut || !channel.is_ready(0));
        let answer = serde_json::to_vec(&found)?;
        channel.send(&serde_json::to_vec(&Found { bytes: answer.len() })?, None)?;
        channel.send_parts(&answer)?;
    }
    Ok(())
}
