//! Apart: access logs are read by a helper without rights, which is handed them open and reads what is
//! appended from then on.

use super::LogReading;
use super::open::OpenAccessLog;
use super::shape::{RequestCounts, Shape};
use crate::system::channel::Channel;
use crate::system::helper::{self, Attached, Duty};
use crate::system::{rights, wait};
use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;

/// Bytes of address space, and seconds of a processor: 100 MB of lines take one.
const MEMORY: u64 = 128 << 20;
const CPU_S: u64 = 60;
/// Bytes that are read of a log at once: 2.5 s at 1000 requests a second have half a megabyte.
const MOST_READ: u64 = 4 << 20;
/// Seconds in which it answers, also where other programs want the processor; one that does not is asked no more.
const ANSWERING_S: f64 = 3.0;
/// Milliseconds between two questions whether to go on.
const PATIENCE_MS: u16 = 50;
/// Bytes of an answer, and of a request's name in it.
const MOST_BYTES: usize = 2 << 20;
const LONGEST_NAME: usize = 256;
/// Logs that it holds.
const MOST_LOGS: usize = 64;

/// What the helper is told.
#[derive(Serialize, Deserialize)]
enum LogsRequest {
    /// Here is a log of that server.
    Log { of: usize },
    /// Read what was appended to the logs of that server, whose workers have these pids.
    Read { of: usize, pids: Vec<u32> },
}

/// What it says: so many bytes follow, a [`LogReading`].
#[derive(Serialize, Deserialize)]
struct LogsReply {
    bytes: usize,
}

/// Access logs of servers, each known by a number.
pub struct NumberedLogs {
    helper: Attached,
}

impl NumberedLogs {
    /// Hands the logs of each server to a helper, which reads what is appended from now on.
    ///
    /// # Errors
    /// In words: there is no helper.
    pub fn follow(servers: Vec<Vec<OpenAccessLog>>) -> Result<Self, String> {
        let helper = helper::attach(Duty::AccessLogs)?;
        let failed = |error: anyhow::Error| format!("its helper failed: {error:#}");
        for (of, log) in
            servers.iter().enumerate().flat_map(|(of, logs)| logs.iter().map(move |log| (of, log)))
        {
            let told = serde_json::to_vec(&LogsRequest::Log { of });
            let told = told.map_err(|error| failed(error.into()))?;
            let sent = helper.channel.send(&told, Some(log.file.as_fd()));
            sent.map_err(|error| failed(error.into()))?;
        }
        Ok(Self { helper })
    }

    /// The pid of the helper.
    pub fn pid(&self) -> u32 {
        self.helper.pid()
    }

    /// Reads what was appended to the logs of a server since the last time.
    ///
    /// # Errors
    /// In words: there is no answer.
    pub fn read(&mut self, of: usize, pids: Vec<u32>) -> Result<LogReading, String> {
        self.ask(of, pids).map_err(|error| format!("its helper failed: {error:#}"))
    }

    fn ask(&mut self, of: usize, pids: Vec<u32>) -> Result<LogReading> {
        let channel = &self.helper.channel;
        let known: BTreeSet<u32> = pids.iter().copied().collect();
        channel.send(&serde_json::to_vec(&LogsRequest::Read { of, pids })?, None)?;
        let until_s = wait::awake_s() + ANSWERING_S;
        while !channel.is_ready(PATIENCE_MS) {
            if wait::awake_s() > until_s {
                bail!("it gives no answer");
            }
        }
        let message = channel.receive()?.context("it is gone")?;
        let LogsReply { bytes } = serde_json::from_slice(&message.bytes)?;
        let answer = channel.receive_parts(bytes, MOST_BYTES)?;
        let mut reading: LogReading = serde_json::from_slice(&answer)?;
        // Its word is no more trusted than the logs.
        reading
            .served
            .retain(|served| known.contains(&served.pid) && served.request.len() <= LONGEST_NAME);
        Ok(reading)
    }
}

/// A log, and what was read of it.
struct Followed {
    of: usize,
    file: File,
    at: u64,
    shape: Shape,
}

impl Followed {
    fn of(of: usize, file: File) -> Result<Self> {
        let at = file.metadata().context("it cannot be looked at")?.len();
        Ok(Self { of, file, at, shape: Shape::default() })
    }

    /// Reads what was appended, as far as its last whole line; whether that is all.
    fn read(&mut self, pids: &BTreeSet<u32>, counts: &mut RequestCounts) -> bool {
        let end = self.file.metadata().map_or(self.at, |about| about.len());
        if end < self.at {
            // It was cut (copytruncate): what was written since is at its beginning.
            self.at = 0;
        }
        let is_behind = end - self.at > MOST_READ;
        if is_behind {
            self.at = end - MOST_READ;
        }
        let mut text = vec![0; usize::try_from(end - self.at).unwrap_or(0)];
        if self.file.read_exact_at(&mut text, self.at).is_err() {
            return true;
        }
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |last| last + 1);
        if self.shape.read(text.get(..whole).unwrap_or_default(), pids, counts) {
            self.at += whole as u64;
        }
        !is_behind
    }
}

/// The helper's side: gives up its rights, then reads what it is handed.
///
/// # Errors
/// It is told nothing that makes sense, or cannot give up its rights.
pub fn serve() -> Result<()> {
    let channel = Channel::of_helper()?;
    rights::limit(MEMORY, CPU_S)?;
    rights::keep_open_files_only()?;
    let mut logs: Vec<Followed> = Vec::new();
    while let Some(message) = channel.receive()? {
        match serde_json::from_slice(&message.bytes)? {
            LogsRequest::Log { of } => {
                let file = message.file.context("no file came along")?;
                if logs.len() < MOST_LOGS {
                    logs.push(Followed::of(of, File::from(file))?);
                }
            }
            LogsRequest::Read { of, pids } => {
                let pids = pids.into_iter().collect();
                let (mut counts, mut reading) = (RequestCounts::default(), LogReading::default());
                for log in logs.iter_mut().filter(|log| log.of == of) {
                    reading.is_behind |= !log.read(&pids, &mut counts);
                    reading.natures.push(log.shape.nature());
                }
                reading.served = counts.served();
                let answer = serde_json::to_vec(&reading)?;
                channel.send(&serde_json::to_vec(&LogsReply { bytes: answer.len() })?, None)?;
                channel.send_parts(&answer)?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::line::tests::LINES;
    use super::*;
    use std::io::Write;

    #[test]
    fn only_what_is_appended_is_read_line_by_line_also_after_the_file_was_cut() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        let (line, _) = LINES[0];
        let lines = |count: usize| format!("{line}\n").repeat(count);
        log.write_all(lines(20).as_bytes()).unwrap();
        let mut followed = Followed::of(0, log.reopen().unwrap()).unwrap();
        let pids = BTreeSet::from([4711]);
        let mut read = || {
            let mut counts = RequestCounts::default();
            assert!(followed.read(&pids, &mut counts));
            counts.served().iter().map(|served| served.count).sum::<u32>()
        };
        assert_eq!(read(), 0);
        log.write_all(lines(4).as_bytes()).unwrap();
        assert_eq!(read(), 0, "too few to know their shape");
        log.write_all(format!("{}{}", lines(2), &line[..40]).as_bytes()).unwrap();
        assert_eq!(read(), 6);
        log.write_all(format!("{}\n", &line[40..]).as_bytes()).unwrap();
        assert_eq!(read(), 1);
        log.as_file().set_len(0).unwrap();
        log.reopen().unwrap().write_all(lines(3).as_bytes()).unwrap();
        assert_eq!(read(), 3);
        assert_eq!(read(), 0);
    }

    #[test]
    fn a_flood_is_read_in_part_and_that_is_said() {
        let mut log = tempfile::NamedTempFile::new().unwrap();
        let mut followed = Followed::of(0, log.reopen().unwrap()).unwrap();
        let line = format!("{}\n", LINES[3].0);
        log.write_all(line.repeat(2 * MOST_READ as usize / line.len()).as_bytes()).unwrap();
        let mut counts = RequestCounts::default();
        assert!(!followed.read(&BTreeSet::from([4711]), &mut counts));
        assert!(counts.served()[0].count > 10_000);
    }
}
