//! The kernel log: processes that the kernel killed and memory that it refused.
//!
//! /dev/kmsg hands out one record a read and EAGAIN when there is no news: 0.3 µs. It needs root
//! or CAP_SYSLOG; without it the counter of OOM kills in /proc/vmstat has to do, 22 µs a read.

use super::kept_file::{Counter, KeptFile};
use crate::system::kernel_lines::KernelLine;
use crate::system::proc::parse::number;
use rustix::fs::{Mode, OFlags, SeekFrom};
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;

/// Records taken in a tick; what a flood has more of comes with the next.
const MOST: u32 = 64;

/// How kills and refusals become known.
#[derive(Debug)]
pub(in crate::system) enum KernelLog {
    Records(OwnedFd),
    Counted(KeptFile, Counter),
    Nothing,
}

/// What the log had since the last read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::system) struct News {
    /// Processes killed because the machine ran out of memory.
    pub(in crate::system) killed: u64,
    /// Allocations refused by the commit limit, those of forks among them.
    pub(in crate::system) refused: u64,
}

impl KernelLog {
    /// The log of this machine, from now on; `own`: whether `procfs` is this machine's.
    pub(in crate::system) fn open(procfs: &Path, own: bool) -> Self {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let open = || {
            let fd = rustix::fs::open("/dev/kmsg", flags, Mode::empty())?;
            rustix::fs::seek(&fd, SeekFrom::End(0))?;
            // The permission is asked for at the first read.
            match rustix::io::read(&fd, &mut [0; 1024]) {
                Ok(_) | Err(Errno::AGAIN | Errno::PIPE) => Ok(fd),
                Err(error) => Err(error),
            }
        };
        match own.then(open) {
            Some(Ok(fd)) => Self::Records(fd),
            _ => match KeptFile::open(procfs.join("vmstat")) {
                Ok(file) => Self::Counted(file, Counter::default()),
                Err(_) => Self::Nothing,
            },
        }
    }

    /// What is new.
    pub(in crate::system) fn read(&mut self) -> News {
        let mut news = News::default();
        match self {
            Self::Records(fd) => {
                for _ in 0..MOST {
                    let mut buffer = [0; 1024];
                    match rustix::io::read(&*fd, &mut buffer) {
                        Ok(n) => news.take(buffer.get(..n).unwrap_or_default()),
                        // Overwritten before it was read: the next one is there.
                        Err(Errno::PIPE | Errno::INTR) => {}
                        Err(_) => break,
                    }
                }
            }
            Self::Counted(file, counter) => news.killed = counter.grew(file.line("oom_kill")),
            Self::Nothing => {}
        }
        news
    }
}

impl News {
    /// Takes in one record, `priority,number,time,flags;text`.
    pub(in crate::system) fn take(&mut self, record: &[u8]) {
        // Priorities from 8 on belong to programs that wrote to the log themselves.
        let priority = record.split(|b| *b == b',').next().and_then(number);
        if priority.is_none_or(|priority| priority > 7) {
            return;
        }
        let text = record.splitn(2, |b| *b == b';').nth(1).unwrap_or_default();
        // The kernel escapes what is not ASCII, so a record is always text.
        match std::str::from_utf8(text).ok().and_then(KernelLine::parse) {
            Some(KernelLine::Killed(_) | KernelLine::WillKill(_)) => {
                self.killed = self.killed.saturating_add(1);
            }
            Some(KernelLine::CommitRefused) => self.refused = self.refused.saturating_add(1),
            // A kill in a cgroup is counted by that cgroup itself. Of the two lines of a kill before
            // Linux 5.0 the first counts.
            Some(KernelLine::KilledInCgroup(_) | KernelLine::KilledSomewhere(_))
            | Some(KernelLine::WillKillInCgroup(_) | KernelLine::Chosen(_))
            | Some(KernelLine::ForkRejected(_) | KernelLine::NoPage(_))
            | Some(KernelLine::Panicked | KernelLine::BeancounterShort { .. })
            | None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kills_of_the_machine_and_refusals_are_told_from_everything_else() {
        let mut news = News::default();
        for record in [
            "3,1,1,-;Out of memory: Killed process 812 (apache2) total-vm:1kB",
            "3,1,1,-;Out of memory: Kill process 812 (apache2) score 900 or sacrifice child",
            "3,1,1,-;Memory cgroup out of memory: Killed process 9 (x)",
            "4,1,1,-;__vm_enough_memory: pid: 7, comm: apache2, bytes: 4096 not enough memory for the allocation",
            "6,1,1,-;user text: Out of memory: Killed process 1",
            "12,1,1,-;Out of memory: Killed process 1 (said a program)",
            "",
        ] {
            news.take(record.as_bytes());
        }
        assert_eq!(news, News { killed: 2, refused: 1 });
    }

    #[test]
    fn without_the_log_the_counter_has_to_do() {
        let dir = tempfile::tempdir().unwrap();
        let counted = |n: u32| {
            std::fs::write(dir.path().join("vmstat"), format!("pgfault 1\noom_kill {n}\n"))
                .unwrap();
        };
        counted(3);
        let mut log = KernelLog::open(dir.path(), false);
        assert_eq!(log.read().killed, 0);
        counted(5);
        assert_eq!(log.read().killed, 2);
    }
}
