//! Heap census: the door to another process's memory, for [`core::census`](crate::core::census).
//!
//! It reads, and that is all: the process is not stopped, nothing is written, and what it has in common
//! with a fork stays so. What is not in RAM is not read, so that a look brings nothing in from swap and
//! makes no page. A read may still wait for ever, so whoever has something else to do lets a
//! [helper](CensusHelper) take the census.

mod apart;
mod memory;

pub use apart::{CensusHelper, serve};

use crate::core::census::{self, Census, Regions};
use crate::core::model::process::ProcId;
use crate::system::proc;
use crate::system::proc::procdir::read_in;
use memory::ProcessMemory;
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::fd::OwnedFd;

/// Bytes of smaps that are read: 100 000 regions have about 70 MiB.
const MOST_SMAPS: u64 = 128 << 20;
/// Bytes of a line of smaps that are looked at: a path may have a page of them.
const MOST_LINE: u64 = 8192;
/// Lines of smaps between two questions whether to go on: eleven regions.
const LINES: u32 = 256;

/// Why there is no census.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Refusal {
    /// It has ended, or runs another program by now.
    Gone,
    /// It may not be read.
    Forbidden,
    /// It is a thread of the kernel, or a zombie: it has no memory.
    NoMemory,
    /// Its memory did not come: a page of it is a file's on a file system of its own making (FUSE), or the
    /// kernel takes long.
    NoAnswer,
    /// In words: there is no helper to read it.
    NoHelper(String),
    /// Something else failed, with this errno.
    Failed(i32),
}

impl Refusal {
    fn of(error: Errno) -> Self {
        match error {
            Errno::SRCH | Errno::NOENT => Self::Gone,
            Errno::PERM | Errno::ACCESS => Self::Forbidden,
            error => Self::Failed(error.raw_os_error()),
        }
    }
}

/// A process that can be counted.
pub struct CensusTarget {
    id: ProcId,
    directory: OwnedFd,
}

impl CensusTarget {
    /// The process that has this pid now.
    ///
    /// # Errors
    /// It is gone.
    pub fn of(pid: u32) -> Result<Self, Refusal> {
        let directory = proc::directory_of(pid).map_err(Refusal::of)?;
        let start = proc::state_in(&directory).map_err(Refusal::of)?.start;
        Ok(Self { id: ProcId { pid, start }, directory })
    }

    /// Which one it is.
    pub fn id(&self) -> ProcId {
        self.id
    }

    /// Its directory in /proc.
    pub(in crate::system) fn directory(&self) -> &OwnedFd {
        &self.directory
    }

    /// Its command name.
    pub fn name(&self) -> String {
        let mut buffer = [0; 64];
        let name = read_in(&self.directory, "comm", &mut buffer).unwrap_or_default();
        String::from_utf8_lossy(name.trim_ascii_end()).into_owned()
    }

    /// Counts what it holds, while `go_on` says so.
    ///
    /// # Errors
    /// It is gone, or may not be read.
    pub fn census(&self, go_on: &mut dyn FnMut() -> bool) -> Result<Census, Refusal> {
        // First, since this is the memory that all the rest is to be of.
        let mut memory = ProcessMemory::of(self).map_err(|error| self.because(error))?;
        let program = rustix::fs::readlinkat(&self.directory, "exe", Vec::new());
        let program = program.map_err(|error| self.because(error))?;
        let mut regions = Regions::of(&String::from_utf8_lossy(program.as_bytes()));
        self.regions(&mut regions, go_on).map_err(|error| self.because(error))?;
        let census = census::take(&regions, &mut |at, buffer| memory.read(at, buffer), go_on);
        match memory.refused {
            Some(error) => Err(self.because(error)),
            None if !memory.is_there() => Err(Refusal::Gone),
            // Another process may have had the pid meanwhile; this one's directory knows.
            None => self.is_there().map(|()| census),
        }
    }

    fn because(&self, error: Errno) -> Refusal {
        match (self.is_there(), Refusal::of(error)) {
            (Err(gone), _) => gone,
            // The exe of what has no memory is no link to anything.
            (_, Refusal::Gone) => Refusal::NoMemory,
            (_, refusal) => refusal,
        }
    }

    pub(in crate::system) fn is_there(&self) -> Result<(), Refusal> {
        let state = proc::state_in(&self.directory).map_err(Refusal::of)?;
        match state.letter {
            b'Z' | b'X' => Err(Refusal::Gone),
            _ => Ok(()),
        }
    }

    /// The kernel walks the page tables of each region for it, which of a large process takes seconds.
    fn regions(&self, regions: &mut Regions, go_on: &mut dyn FnMut() -> bool) -> Result<(), Errno> {
        let text = BufReader::new(std::io::Read::take(self.open("smaps")?, MOST_SMAPS));
        let mut lines = 0_u32;
        let taken = each_line(text, &mut |line| {
            regions.line(line);
            lines = lines.wrapping_add(1);
            !lines.is_multiple_of(LINES) || go_on()
        });
        taken.map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    }

    fn open(&self, name: &str) -> Result<File, Errno> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(File::from(rustix::fs::openat(&self.directory, name, flags, Mode::empty())?))
    }
}

/// Calls `each` with the lines of a text, each as far as it is looked at, until that says no. A path is
/// as long as its owner likes, and what stands further on in its line is no line of its own.
fn each_line(mut text: impl BufRead, each: &mut dyn FnMut(&str) -> bool) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = std::io::Read::take(&mut text, MOST_LINE).read_until(b'\n', &mut line)?;
        if read as u64 == MOST_LINE && line.last() != Some(&b'\n') {
            text.skip_until(b'\n')?;
        }
        if read == 0 || !each(&String::from_utf8_lossy(line.trim_ascii_end())) {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_process_is_counted() {
        let held: Vec<Vec<u8>> = (0..3000).map(|_| vec![1; 3000]).collect();
        let subject = CensusTarget::of(std::process::id()).unwrap();
        let census = subject.census(&mut || true).unwrap();
        assert!(census.is_wide && census.arenas > 0, "{census:?}");
        let size = 3000_u64.next_multiple_of(16) + 16;
        let class = census.sizes.iter().find(|class| class.size == size - 16);
        let counted = class.map_or(0, |class| class.count);
        assert!((3000..3400).contains(&counted), "{counted} {:?}", census.sizes);
        assert!(census.footprint > 9_000_000 && census.in_use > 9_000_000);
        drop(held);
    }

    #[test]
    fn a_path_longer_than_a_line_makes_no_line_of_its_own() {
        let forged = "1000-9000 rw-p 0 0:0 0 [heap]";
        let long = "x".repeat(MOST_LINE as usize);
        let text = format!("one\n{long}{forged}\n{}\ntwo", "y".repeat(MOST_LINE as usize - 1));
        let mut lines = Vec::new();
        each_line(text.as_bytes(), &mut |line| {
            lines.push(line.to_owned());
            true
        })
        .unwrap();
        assert!(lines.iter().all(|line| !line.contains("heap")), "{lines:?}");
        assert_eq!((lines.len(), lines.last().map(String::as_str)), (4, Some("two")));
        let mut many = 0;
        let mut some = |_: &str| {
            many += 1;
            many < 3
        };
        each_line("a\nb\nc\nd\n".as_bytes(), &mut some).unwrap();
        assert_eq!(many, 3);
    }

    #[test]
    fn a_process_that_runs_another_program_meanwhile_is_gone() {
        let mut child = std::process::Command::new("sh");
        let mut child = child
            .args(["-c", "echo x; read x; exec cat"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let (mut input, mut output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        // It is the shell by now, and has all of the shell's memory.
        std::io::Read::read_exact(&mut output, &mut [0; 2]).unwrap();
        let subject = CensusTarget::of(child.id()).unwrap();
        let mut is_told = false;
        let found = subject.census(&mut || {
            if !std::mem::replace(&mut is_told, true) {
                std::io::Write::write_all(&mut input, b"\nx").unwrap();
                // It answers once it is the other program.
                std::io::Read::read_exact(&mut output, &mut [0]).unwrap();
            }
            true
        });
        drop(input);
        child.wait().unwrap();
        assert!(is_told, "the census asked whether to go on");
        assert_eq!(found, Err(Refusal::Gone));
    }

    #[test]
    fn what_is_gone_or_has_no_memory_is_refused() {
        assert_eq!(CensusTarget::of(u32::MAX).err(), Some(Refusal::Gone));
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let subject = CensusTarget::of(child.id()).unwrap();
        child.wait().unwrap();
        assert_eq!(subject.census(&mut || true), Err(Refusal::Gone));
    }
}
