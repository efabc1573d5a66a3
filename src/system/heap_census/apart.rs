//! Apart: censuses are taken by a helper, since reading another process's memory may wait for ever.
//!
//! Right before it is read, a page may become a file's on a file system that its owner made and that
//! never answers (FUSE). The kernel then holds the reader, of whom only SIGKILL may be heard. Let that be
//! the helper. (A page that another process is to deliver, by userfaultfd, is not waited for: EIO.)

use super::{CensusTarget, Refusal};
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
/// Seconds that pass without its running once it is to stop, after which it hangs.
const STANDSTILL_S: f64 = 0.5;
/// Seconds in which it answers in any case, also where many programs want the processor: beside 23 of them on
/// two processors it twice took over half a second, and was called hung.
const STOPPING_S: f64 = 3.0;
/// Milliseconds between two questions whether to go on.
const PATIENCE_MS: u16 = 50;
/// Bytes of its answer: 67 000 sizes of blocks take 2 MiB.
const MOST_BYTES: usize = 4 << 20;

/// What the helper is told.
#[derive(Serialize, Deserialize)]
enum CensusRequest {
    /// Count what this process holds, whose directory comes along.
    Count { pid: u32, start: u64 },
    /// End with what there is.
    Stop,
}

/// What it says: so many bytes follow, a census or why there is none.
#[derive(Serialize, Deserialize)]
struct CensusReply {
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
    /// The process is gone, or may not be read, or the helper then does nothing for half a second, or gives
    /// no answer for three; or there is no helper.
    pub fn census(
        &mut self,
        subject: &CensusTarget,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<Census, Refusal> {
        let attached = match self.attached.take() {
            Some(attached) => attached,
            None => helper::attach(Duty::Census).map_err(Refusal::NoHelper)?,
        };
        let found = ask(&attached, subject, go_on);
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

/// A helper that is to stop.
struct Stopping {
    /// When it was told to, and when it was last seen to have run since.
    told_s: f64,
    ran_s: f64,
    /// Seconds of a processor that it had used by then, where the kernel tells.
    used_s: Option<f64>,
}

impl Stopping {
    fn told(now_s: f64, used_s: Option<f64>) -> Self {
        Self { told_s: now_s, ran_s: now_s, used_s }
    }

    /// Whether it hangs, where it has used so many seconds of a processor by now.
    fn hangs(&mut self, now_s: f64, used_s: Option<f64>) -> bool {
        if used_s > self.used_s {
            (self.ran_s, self.used_s) = (now_s, used_s);
        }
        now_s > self.ran_s + STANDSTILL_S || now_s > self.told_s + STOPPING_S
    }
}

fn ask(
    helper: &Attached,
    subject: &CensusTarget,
    go_on: &mut dyn FnMut() -> bool,
) -> Result<Result<Census, Refusal>> {
    let channel = &helper.channel;
    let used_s = || wait::processor_s_of(helper.pid());
    let ProcId { pid, start } = subject.id;
    let count = serde_json::to_vec(&CensusRequest::Count { pid, start })?;
    channel.send(&count, Some(subject.directory.as_fd()))?;
    let mut stopping: Option<Stopping> = None;
    while !channel.is_ready(PATIENCE_MS) {
        if let Some(stopping) = &mut stopping {
            if stopping.hangs(wait::awake_s(), used_s()) {
                return Ok(Err(Refusal::NoAnswer));
            }
        } else if !go_on() {
            channel.send(&serde_json::to_vec(&CensusRequest::Stop)?, None)?;
            stopping = Some(Stopping::told(wait::awake_s(), used_s()));
        }
    }
    let CensusReply { bytes } =
        serde_json::from_slice(&channel.receive()?.context("it is gone")?.bytes)?;
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
        let CensusRequest::Count { pid, start } = serde_json::from_slice(&message.bytes)? else {
            continue;
        };
        let directory = message.file.context("no process came along")?;
        let subject = CensusTarget { id: ProcId { pid, start }, directory };
        let found = subject.census(&mut || !channel.is_ready(0));
        let answer = serde_json::to_vec(&found)?;
        channel.send(&serde_json::to_vec(&CensusReply { bytes: answer.len() })?, None)?;
        channel.send_parts(&answer)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At so many tenths of a second after it was told to stop.
    fn hangs_after(used_s: impl Fn(u32) -> Option<f64>) -> Option<u32> {
        let mut stopping = Stopping::told(100.0, used_s(0));
        (1..100).find(|tenths| stopping.hangs(100.0 + f64::from(*tenths) / 10.0, used_s(*tenths)))
    }

    #[test]
    fn who_does_nothing_for_half_a_second_hangs_and_who_gets_a_slice_now_and_then_has_three_seconds()
     {
        assert_eq!(hangs_after(|_| Some(7.0)), Some(6));
        assert_eq!(hangs_after(|_| None), Some(6));
        // 3 ms in each 0.4 s.
        let slices = |tenths: u32| 7.0 + f64::from(tenths / 4) * 0.003;
        assert_eq!(hangs_after(|tenths| Some(slices(tenths))), Some(31));
        // It ran once more, and then not.
        assert_eq!(hangs_after(|tenths| Some(slices(tenths.min(4)))), Some(10));
    }
}
