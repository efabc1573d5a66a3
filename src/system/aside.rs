//! Aside: work in a thread of its own, which is left behind where it hangs in the kernel.
//!
//! What /proc tells of a process may have to wait for that process. While it runs another program, it holds
//! its `exec_update_lock` (fs/exec.c, `begin_new_exec`), and that long its close-on-exec files are closed,
//! which waits for whoever serves them: a user's own FUSE server need never answer. `maps`, `io` and
//! `environ` wait for that lock since Linux 5.11; measured on 6.18, `stat`, `exe` and the links of `fd` do
//! too, and `ps` hangs. Only SIGKILL ends such a wait, so it must not be the watch that waits.

use nix::sys::signal::SigSet;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Weak};
use std::time::Duration;

/// Between two looks at whether the work goes on. A read hangs that so many looks in a row find asleep at the
/// same process: by number, not by the clock, for after a pause of the whole machine only one has passed.
const LOOK: Duration = Duration::from_millis(75);
/// No second in all, in which a signal must be heard.
pub(crate) const FEW_LOOKS: u32 = 12;
/// Six seconds, where a read may have to wait for swap or for memory.
pub(crate) const MANY_LOOKS: u32 = 80;
/// Bytes of the thread's stack: 32 KiB are a list of directory entries, the rest buffers of up to 4 KiB.
const STACK: usize = 192 << 10;

/// Which process is being read now, told to who waits for it.
#[derive(Clone, Debug, Default)]
pub(crate) struct ReadMark(Arc<AtomicU64>);

impl ReadMark {
    /// Reads something of a process.
    pub(crate) fn of<R>(&self, pid: u32, read: impl FnOnce() -> R) -> R {
        self.set(pid);
        let found = read();
        self.set(0);
        found
    }

    /// The process that is being read, if any.
    pub(crate) fn pid(&self) -> Option<u32> {
        Some(self.now() as u32).filter(|pid| *pid > 0)
    }

    /// One thread alone writes it: a number that rises, and the pid.
    fn set(&self, pid: u32) {
        let count = (self.now() >> 32).wrapping_add(1);
        self.0.store(count << 32 | u64::from(pid), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// A kind of work that is done in a thread of its own.
#[derive(Debug)]
pub(crate) struct Aside<T> {
    work: fn(&mut T),
    thread: Option<ReadingThread<T>>,
    last_hung: Weak<()>,
}

#[derive(Debug)]
struct ReadingThread<T> {
    to: SyncSender<T>,
    from: Receiver<T>,
    /// Its own stat, kept open: there may be no descriptor left when it hangs.
    stat: Option<File>,
    alive: Weak<()>,
}

/// Work that hangs.
#[derive(Debug)]
pub(crate) struct Hanging(Weak<()>);

impl Hanging {
    /// As long as that token is there.
    #[cfg(test)]
    pub(crate) fn until_gone(token: &Arc<()>) -> Self {
        Self(Arc::downgrade(token))
    }

    /// Whether it has come back meanwhile.
    pub(crate) fn is_over(&self) -> bool {
        self.0.strong_count() == 0
    }
}

impl<T: Send + 'static> Aside<T> {
    /// Its thread is started for the first piece, or by [`Self::prepare`].
    pub(crate) fn new(work: fn(&mut T)) -> Self {
        Self { work, thread: None, last_hung: Weak::new() }
    }

    /// Starts the thread now, for later there may be no memory for one.
    pub(crate) fn prepare(&mut self) {
        if self.thread.is_none() {
            self.thread = ReadingThread::start(self.work).ok();
        }
    }

    /// Does a piece of work that marks what it reads in `mark`. Where no thread can be started (memory or
    /// tasks have run out) it is done in this one, for to wait is better than not to look; unless another
    /// piece hangs.
    ///
    /// # Errors
    /// That many looks found it asleep at one process. The piece is lost, and its thread is left behind; the
    /// next piece gets a new one.
    pub(crate) fn run(
        &mut self,
        mut piece: T,
        mark: &ReadMark,
        most_looks: u32,
    ) -> Result<T, Hanging> {
        self.prepare();
        let Some(thread) = &self.thread else {
            if self.last_hung.strong_count() > 0 {
                return Err(Hanging(Weak::new()));
            }
            (self.work)(&mut piece);
            return Ok(piece);
        };
        let alive = Weak::clone(&thread.alive);
        if thread.to.send(piece).is_err() {
            self.thread = None;
            return Err(Hanging(alive));
        }
        let (mut seen, mut looks) = (mark.now(), 0);
        while looks < most_looks {
            match thread.from.recv_timeout(LOOK) {
                Ok(piece) => return Ok(piece),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = mark.now();
            let hangs = now == seen && mark.pid().is_some() && thread.sleeps();
            looks = if hangs { looks + 1 } else { 0 };
            seen = now;
        }
        self.thread = None;
        self.last_hung = Weak::clone(&alive);
        Err(Hanging(alive))
    }
}

impl<T: Send + 'static> ReadingThread<T> {
    fn start(work: fn(&mut T)) -> io::Result<Self> {
        let (to, pieces) = sync_channel::<T>(1);
        let (done, from) = sync_channel(1);
        let (told, tid) = sync_channel(1);
        let token = Arc::new(());
        let alive = Arc::downgrade(&token);
        std::thread::Builder::new().name("reader".to_owned()).stack_size(STACK).spawn(
            move || {
                let _token = token;
                // They are for the thread that waits for them, which may begin to later.
                SigSet::all().thread_block().ok();
                // Who asks is there until it is told, unless all ends.
                let _ = told.send(rustix::thread::gettid().as_raw_pid());
                while let Ok(mut piece) = pieces.recv() {
                    work(&mut piece);
                    if done.send(piece).is_err() {
                        break;
                    }
                }
            },
        )?;
        let tid = tid.recv().map_err(io::Error::other)?;
        let stat = File::open(format!("/proc/self/task/{tid}/stat")).ok();
        Ok(Self { to, from, stat, alive })
    }

    /// Whether its thread waits for something, and not for a processor.
    fn sleeps(&self) -> bool {
        let mut stat = [0; 128];
        let read = self.stat.as_ref().and_then(|file| file.read_at(&mut stat, 0).ok());
        let stat = stat.get(..read.unwrap_or(0)).unwrap_or_default();
        let name_end = stat.iter().rposition(|byte| *byte == b')');
        name_end.and_then(|at| stat.get(at + 2)).is_some_and(|state| matches!(state, b'S' | b'D'))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};

    /// A read, of a pipe where it is to wait.
    struct Piece(ReadMark, Option<std::io::PipeReader>);

    fn aside() -> Aside<Piece> {
        Aside::new(|Piece(mark, pipe)| {
            mark.of(7, || pipe.as_mut().map(|pipe| pipe.read(&mut [0])));
        })
    }

    #[test]
    fn what_hangs_is_left_behind_and_the_next_is_done() {
        let (pipe, mut writer) = std::io::pipe().unwrap();
        let (mut aside, mark) = (aside(), ReadMark::default());
        let hanging = aside.run(Piece(mark.clone(), Some(pipe)), &mark, 3).err().unwrap();
        assert!(mark.pid() == Some(7) && !hanging.is_over());
        assert!(aside.run(Piece(ReadMark::default(), None), &ReadMark::default(), 3).is_ok());
        writer.write_all(b"x").unwrap();
        while !hanging.is_over() {
            std::thread::yield_now();
        }
    }

    #[test]
    fn what_only_takes_long_is_waited_for() {
        let mut aside = Aside::new(|mark: &mut ReadMark| {
            let (begin, long) = (std::time::Instant::now(), LOOK * 6);
            mark.of(7, || while begin.elapsed() < long {});
        });
        let mark = ReadMark::default();
        assert!(aside.run(mark.clone(), &mark, 3).is_ok());
    }
}
