//! Procdir: a procfs root held open, read without allocating.

use crate::system::aside::ReadMark;
use rustix::fs::{Mode, OFlags, RawDir, SeekFrom};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A directory laid out like /proc.
#[derive(Debug)]
pub(crate) struct ProcDir {
    fd: OwnedFd,
    path: PathBuf,
    is_procfs: bool,
    /// Which process is being read: it may have to be waited for.
    pub(crate) mark: ReadMark,
}

impl ProcDir {
    /// Opens `path`.
    pub(crate) fn open(path: &Path) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let fd = rustix::fs::open(path, flags, Mode::empty())?;
        let is_procfs = is_procfs(&fd);
        Ok(Self { fd, path: path.to_owned(), is_procfs, mark: ReadMark::default() })
    }

    /// Whether it is a procfs and not a directory of files like one: then a kept file answers ESRCH
    /// for ever once its process is gone.
    pub(crate) fn is_procfs(&self) -> bool {
        self.is_procfs
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Calls `each` with every pid, in the kernel's (ascending) order. Says how far the directory's
    /// positions are ahead of the pids that lie at them, where that is the same for all: in
    /// fs/proc/base.c, `proc_pid_readdir`, it is 258 since 3.14 (257 before).
    pub(crate) fn pids(&self, mut each: impl FnMut(u32)) -> Result<Option<u64>, Errno> {
        let (mut position, mut ahead, mut same) = (None, None, true);
        self.list(0, |pid, next| {
            let distance = position.and_then(|at: u64| at.checked_sub(pid.into()));
            same &= position.is_none()
                || (distance.is_some() && ahead.is_none_or(|a| Some(a) == distance));
            (position, ahead) = (Some(next), distance.or(ahead));
            each(pid);
        })?;
        Ok(ahead.filter(|_| same))
    }

    /// The same from the first pid after `last` on; `ahead` as learnt from all of them.
    pub(crate) fn pids_after(
        &self,
        last: u64,
        ahead: u64,
        mut each: impl FnMut(u32),
    ) -> Result<(), Errno> {
        self.list(last.saturating_add(1).saturating_add(ahead), |pid, _| each(pid))
    }

    /// Calls `each` with the pids from a position on, and the position that comes next.
    fn list(&self, position: u64, mut each: impl FnMut(u32, u64)) -> Result<(), Errno> {
        // One getdents64 call returns some 1300 entries of 24 bytes; more processes, more calls.
        let mut buffer = [MaybeUninit::uninit(); 32 * 1024];
        rustix::fs::seek(&self.fd, SeekFrom::Start(position))?;
        let mut entries = RawDir::new(&self.fd, &mut buffer);
        while let Some(entry) = entries.next() {
            let entry = entry?;
            let name = super::parse::number(entry.file_name().to_bytes());
            if let Some(pid) = name.and_then(|n| u32::try_from(n).ok()) {
                each(pid, entry.next_entry_cookie());
            }
        }
        Ok(())
    }

    /// Opens the file `name` of process `pid`.
    pub(crate) fn open_file(&self, pid: u32, name: &str) -> Result<File, Errno> {
        let mut path = [0_u8; 32];
        let mut rest = path.as_mut_slice();
        write!(rest, "{pid}/{name}").map_err(|_| Errno::NAMETOOLONG)?;
        let unused = rest.len();
        let path = path.get(..path.len() - unused).unwrap_or_default();
        // --procfs may name a directory of anything: a fifo in it is not waited for.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let open = || rustix::fs::openat(&self.fd, path, flags, Mode::empty());
        Ok(File::from(self.mark.of(pid, open)?))
    }

    /// Opens the directory of process `pid`.
    pub(crate) fn open_directory(&self, pid: u32) -> Result<OwnedFd, Errno> {
        let mut path = [0_u8; 16];
        let mut rest = path.as_mut_slice();
        write!(rest, "{pid}").map_err(|_| Errno::NAMETOOLONG)?;
        let unused = rest.len();
        let path = path.get(..path.len() - unused).unwrap_or_default();
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        rustix::fs::openat(&self.fd, path, flags, Mode::empty())
    }

    /// Opens, reads and closes the file `name` of process `pid`.
    pub(crate) fn read<'b>(
        &self,
        pid: u32,
        name: &str,
        buffer: &'b mut [u8],
    ) -> Result<&'b [u8], Errno> {
        let file = self.open_file(pid, name)?;
        self.mark.of(pid, || read_kept(&file, buffer))
    }

    /// Where the link `name` of process `pid` leads.
    pub(crate) fn link(&self, pid: u32, name: &str) -> std::io::Result<PathBuf> {
        self.mark.of(pid, || std::fs::read_link(self.path.join(pid.to_string()).join(name)))
    }
}

/// Whether a file is the kernel's own; in a container one of /proc may be lxcfs' instead.
pub(crate) fn is_procfs(file: &impl AsFd) -> bool {
    // PROC_SUPER_MAGIC of linux/magic.h.
    rustix::fs::fstatfs(file).is_ok_and(|stat| stat.f_type == 0x9fa0)
}

/// Opens, reads and closes a file in a directory that is held open.
pub(crate) fn read_in<'b>(
    directory: &OwnedFd,
    name: &str,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], Errno> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    read_kept(&File::from(rustix::fs::openat(directory, name, flags, Mode::empty())?), buffer)
}

/// Reads a kept file from its beginning: as much as fits the buffer.
pub(crate) fn read_kept<'b>(file: &File, buffer: &'b mut [u8]) -> Result<&'b [u8], Errno> {
    loop {
        match file.read_at(buffer, 0) {
            Ok(n) => return Ok(buffer.get(..n).unwrap_or_default()),
            Err(e) if e.kind() == std::io::ErrorKind::Interrupted => {}
            Err(e) => return Err(Errno::from_io_error(&e).unwrap_or(Errno::IO)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_very_process_is_among_the_pids_and_can_be_read() {
        let proc = ProcDir::open(Path::new("/proc")).unwrap();
        let mut found = false;
        proc.pids(|pid| found |= pid == std::process::id()).unwrap();
        assert!(found);
        let mut buffer = [0; 1024];
        let text = proc.read(std::process::id(), "stat", &mut buffer).unwrap();
        assert!(text.starts_with(std::process::id().to_string().as_bytes()));
    }

    #[test]
    fn the_list_can_begin_after_any_pid() {
        let proc = ProcDir::open(Path::new("/proc")).unwrap();
        let own = std::process::id();
        let ahead = proc.pids(|_| {}).unwrap().expect("a /proc has its pids at fixed distances");
        let mut found = Vec::new();
        proc.pids_after(u64::from(own) - 1, ahead, |pid| found.push(pid)).unwrap();
        assert_eq!(found.first(), Some(&own));
        found.clear();
        proc.pids_after(own.into(), ahead, |pid| found.push(pid)).unwrap();
        assert!(found.iter().all(|pid| *pid > own), "{own}: {found:?}");
    }

    #[test]
    fn a_pid_that_does_not_exist_is_no_entry() {
        let proc = ProcDir::open(Path::new("/proc")).unwrap();
        assert_eq!(proc.read(u32::MAX, "stat", &mut [0; 16]), Err(Errno::NOENT));
    }
}
