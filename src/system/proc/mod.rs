//! Reads processes below a procfs root: their files, the table of known ones, and the selection.

pub(in crate::system) mod parse;
pub(in crate::system) mod procdir;
pub(in crate::system) mod select;
pub(in crate::system) mod watched;

pub use select::{MOST, Selection, SelectionArgs};

use crate::system::aside::{Aside, MANY_LOOKS, ReadMark};
use parse::Stat;
use procdir::ProcDir;
use rustix::io::Errno;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

/// Whether `root` is the procfs of our own pid namespace: only then do its pids mean ours.
pub fn is_own(root: &Path) -> bool {
    let own = std::process::id().to_string();
    std::fs::read_link(root.join("self")).is_ok_and(|link| link.as_os_str() == own.as_str())
}

/// How a process stands.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TreePosition {
    /// When it was started, in clock ticks since boot.
    pub(crate) start: u64,
    /// Field 3 of its stat.
    pub(crate) letter: u8,
    /// Its threads.
    pub(crate) threads: u32,
    /// Its parent.
    pub(crate) ppid: u32,
}

/// The directory in /proc of the process that has this pid now. It stays that process's: once that
/// has been waited for, nothing can be read in it.
pub(crate) fn directory_of(pid: u32) -> Result<OwnedFd, Errno> {
    ProcDir::open(Path::new("/proc"))?.open_directory(pid)
}

/// How the process stands whose directory this is.
///
/// # Errors
/// ESRCH when it is gone.
pub(crate) fn state_in(directory: &OwnedFd) -> Result<TreePosition, Errno> {
    let mut buffer = [0; 1024];
    let stat = procdir::read_in(directory, "stat", &mut buffer)?;
    let Stat { start, state, threads, ppid, .. } = Stat::parse(stat).ok_or(Errno::SRCH)?;
    Ok(TreePosition { start, letter: state, threads, ppid })
}

/// A look at how a process stands.
#[derive(Debug)]
struct StateRead {
    directory: OwnedFd,
    mark: ReadMark,
    found: Option<Result<TreePosition, Errno>>,
}

/// Where the watch looks at processes that it is about to signal: their owners may make readers hang.
static STATES: Mutex<Option<Aside<StateRead>>> = Mutex::new(None);

/// Gets ready for [`state_aside`] while there is memory.
pub(crate) fn prepare_states() {
    states(&mut STATES.lock().unwrap_or_else(PoisonError::into_inner)).prepare();
}

fn states(states: &mut Option<Aside<StateRead>>) -> &mut Aside<StateRead> {
    states.get_or_insert_with(|| {
        Aside::new(|StateRead { directory, mark, found }| {
            *found = Some(mark.of(u32::MAX, || state_in(directory)));
        })
    })
}

/// The same as [`state_in`], without waiting for the process itself; for memory it may wait, since who is to be
/// signalled is so when that is short.
///
/// # Errors
/// ESRCH when it is gone, ETIMEDOUT where reading it hangs.
pub(crate) fn state_aside(directory: &OwnedFd) -> Result<TreePosition, Errno> {
    let directory = rustix::io::fcntl_dupfd_cloexec(directory, 0)?;
    let mark = ReadMark::default();
    let read = StateRead { directory, mark: mark.clone(), found: None };
    let mut kept = STATES.lock().unwrap_or_else(PoisonError::into_inner);
    let read = states(&mut kept).run(read, &mark, MANY_LOOKS).map_err(|_| Errno::TIMEDOUT)?;
    read.found.unwrap_or(Err(Errno::TIMEDOUT))
}

/// The file `comm` or `cmdline` in a process's directory, arguments joined by blanks.
pub(crate) fn words_in<'b>(
    directory: &OwnedFd,
    file: &str,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], Errno> {
    let length = procdir::read_in(directory, file, buffer)?.len();
    let text = buffer.get_mut(..length).unwrap_or_default();
    text.iter_mut().filter(|byte| **byte == 0).for_each(|byte| *byte = b' ');
    Ok(text.trim_ascii_end())
}

/// The parent of the process that has this pid now.
pub(crate) fn parent_of(pid: u32) -> Option<u32> {
    start_and_parent(Path::new("/proc"), pid).map(|(_, parent)| parent)
}

/// When a process of the procfs at `procfs` started, in clock ticks since boot, and its parent.
pub(crate) fn start_and_parent(procfs: &Path, pid: u32) -> Option<(u64, u32)> {
    let mut buffer = [0; 1024];
    let proc = ProcDir::open(procfs).ok()?;
    let stat = Stat::parse(proc.read(pid, "stat", &mut buffer).ok()?)?;
    Some((stat.start, stat.ppid))
}

/// The pid that a process of the procfs at `procfs` has in its own pid namespace: the one that it knows,
/// and writes into its logs.
pub(crate) fn innermost_pid(procfs: &Path, pid: u32) -> Option<u32> {
    let mut buffer = [0; 4096];
    let proc = ProcDir::open(procfs).ok()?;
    let status = proc.read(pid, "status", &mut buffer).ok()?;
    let line = parse::lines(status).find_map(|line| line.strip_prefix(b"NSpid:"))?;
    let last = line.split(u8::is_ascii_whitespace).rfind(|field| !field.is_empty())?;
    u32::try_from(parse::number(last)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_pid_is_the_last_of_the_line() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("7")).unwrap();
        let status = |line: &str| std::fs::write(dir.path().join("7/status"), line).unwrap();
        status("Name:\tx\nNSpid:\t7\t31\t2\nNSpgid:\t7\n");
        assert_eq!(innermost_pid(dir.path(), 7), Some(2));
        status("Name:\tx\nNSpid:\t7\n");
        assert_eq!(innermost_pid(dir.path(), 7), Some(7));
        assert_eq!(innermost_pid(dir.path(), 8), None);
    }
}
