//! Standard output and standard error, written without ever waiting.
//!
//! The reader may have stopped: a pager, a stuck journal, the open end of a pipe. A watch that waited
//! for it would end no process any more. So lines are kept, at most 64 KiB of them, and handed on as
//! far as the reader takes them; beyond that whole lines are dropped, and a line reports it.

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fd::BorrowedFd;
use std::collections::VecDeque;
use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

/// Bytes kept at most.
const KEPT: usize = 64 << 10;
/// Bytes written at once: a pipe that is ready takes a page without blocking, a terminal less
/// (WAKEUP_CHARS of linux/tty.h).
const PAGE: usize = 4096;
const CHARS: usize = 256;
/// How long the last lines may take at the end.
const FAREWELL: Duration = Duration::from_secs(1);

/// A descriptor that is written without waiting.
pub struct NonblockingOutput {
    fd: BorrowedFd<'static>,
    chunk: usize,
    kept: VecDeque<u8>,
    /// The rest of a line whose beginning was dropped is dropped too.
    dropping: bool,
    lost: u64,
}

impl NonblockingOutput {
    /// Standard output.
    pub fn stdout() -> Self {
        Self::new(rustix::stdio::stdout(), io::stdout().is_terminal())
    }

    /// Standard error.
    pub fn stderr() -> Self {
        Self::new(rustix::stdio::stderr(), io::stderr().is_terminal())
    }

    fn new(fd: BorrowedFd<'static>, is_terminal: bool) -> Self {
        let chunk = if is_terminal { CHARS } else { PAGE };
        Self { fd, chunk, kept: VecDeque::with_capacity(KEPT), dropping: false, lost: 0 }
    }

    /// Whether the reader takes more within that time.
    fn is_ready(&self, within: Duration) -> io::Result<bool> {
        let mut fds = [PollFd::new(self.fd, PollFlags::POLLOUT)];
        let timeout = PollTimeout::try_from(within).unwrap_or(PollTimeout::ZERO);
        match poll(&mut fds, timeout) {
            Ok(0) => Ok(false),
            // An error shows at the write.
            Ok(_) => Ok(true),
            Err(nix::errno::Errno::EINTR) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Hands on what is kept, as far as the reader takes it within that time.
    fn drain(&mut self, within: Duration) -> io::Result<()> {
        let end = Instant::now() + within;
        while !self.kept.is_empty() {
            if !self.is_ready(end.saturating_duration_since(Instant::now()))? {
                return Ok(());
            }
            let (front, _) = self.kept.as_slices();
            let chunk = front.get(..front.len().min(self.chunk)).unwrap_or_default();
            match rustix::io::write(self.fd, chunk) {
                Ok(written) => drop(self.kept.drain(..written)),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            if self.kept.is_empty() && self.lost > 0 {
                let lost = std::mem::take(&mut self.lost);
                writeln!(
                    self.kept,
                    "leakwatch: {lost} bytes of output were lost: the reader had stopped"
                )?;
            }
        }
        Ok(())
    }

    /// Hands on the last lines; waits a second for them at most.
    ///
    /// # Errors
    /// When the reader is gone.
    pub fn close(mut self) -> io::Result<()> {
        self.drain(FAREWELL)
    }
}

impl Write for NonblockingOutput {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        let begins_line = self.kept.back().is_none_or(|last| *last == b'\n');
        if self.dropping || (begins_line && self.kept.len() + text.len() > KEPT / 2) {
            self.dropping = !text.ends_with(b"\n");
            self.lost += text.len() as u64;
            return Ok(text.len());
        }
        // A line that was begun is kept whole, up to the other half.
        let room = KEPT - self.kept.len();
        let taken = text.get(..text.len().min(room)).unwrap_or_default();
        self.kept.extend(taken);
        self.lost += (text.len() - taken.len()) as u64;
        if text.ends_with(b"\n") {
            self.flush()?;
        }
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.drain(Duration::ZERO)
    }
}
