//! Reads processes below a procfs root: their files, the table of known ones, and the selection.

pub(in crate::system) mod parse;
pub(in crate::system) mod procdir;
pub(in crate::system) mod select;
pub(in crate::system) mod watched;

pub use select::{MOST, Selection, SelectionArgs};

use parse::Stat;
use procdir::ProcDir;
use std::os::fd::OwnedFd;
use std::path::Path;

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
}

/// The directory in /proc of the process that has this pid now. It stays that process's: once that
/// has been waited for, nothing can be read in it.
pub(crate) fn directory_of(pid: u32) -> Result<OwnedFd, rustix::io::Errno> {
    ProcDir::open(Path::new("/proc"))?.open_directory(pid)
}

/// How the process stands whose directory this is.
///
/// # Errors
/// ESRCH when it is gone.
pub(crate) fn state_in(directory: &OwnedFd) -> Result<TreePosition, rustix::io::Errno> {
    let mut buffer = [0; 1024];
    let stat = procdir::read_in(directory, "stat", &mut buffer)?;
    let Stat { start, state, threads, .. } = Stat::parse(stat).ok_or(rustix::io::Errno::SRCH)?;
    Ok(TreePosition { start, letter: state, threads })
}

/// The file `comm` or `cmdline` in a process's directory, arguments joined by blanks.
pub(crate) fn words_in<'b>(
    directory: &OwnedFd,
    file: &str,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], rustix::io::Errno> {
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
