//! Foreign file: the one way to open a file that others may have put there.
//!
//! Only regular files are read. A fifo is not waited for and a device not touched: whoever may write to
//! a directory chooses what stands there, and leakwatch must neither hang nor read without end.

use rustix::fs::{CWD, Mode, OFlags, ResolveFlags};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

/// Opening never waits, and never makes a terminal ours.
const FLAGS: OFlags =
    OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// Opens a regular file; links are followed.
///
/// # Errors
/// It cannot be opened, or is no regular file.
pub fn open(path: &Path) -> io::Result<File> {
    regular(rustix::fs::open(path, FLAGS, Mode::empty())?)
}

/// Opens a regular file that is no link.
///
/// # Errors
/// It cannot be opened, is a link, or is no regular file.
pub fn open_no_link(path: &Path) -> io::Result<File> {
    regular(rustix::fs::open(path, FLAGS | OFlags::NOFOLLOW, Mode::empty())?)
}

/// Opens a regular file in a directory or below it; no part of `inside` is a link, whoever exchanges what
/// there meanwhile.
///
/// # Errors
/// It cannot be opened, a part is a link, or it is no regular file.
pub fn open_inside(dir: &Path, inside: &Path) -> io::Result<File> {
    let to_dir = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut at = rustix::fs::open(dir, to_dir, Mode::empty())?;
    let mut parts = inside.components().peekable();
    while let Some(Component::Normal(part)) = parts.next() {
        if parts.peek().is_none() {
            return regular(rustix::fs::openat(
                &at,
                part,
                FLAGS | OFlags::NOFOLLOW,
                Mode::empty(),
            )?);
        }
        at = rustix::fs::openat(&at, part, to_dir | OFlags::NOFOLLOW, Mode::empty())?;
    }
    Err(io::Error::other("is no regular file"))
}

/// Opens a regular file that a process knows by `path`, whose root is `root`.
///
/// # Errors
/// It cannot be opened, or is no regular file.
pub fn open_below(root: &Path, path: &Path) -> io::Result<File> {
    regular(below(root, path, FLAGS)?)
}

/// Finds what a process knows by `path`, whose root is `root`, without opening it: for looking at what
/// it is. In a root of its own (a container's) every link stays inside it.
///
/// # Errors
/// It is not there, or, in a root of its own, before Linux 5.6.
pub fn find_below(root: &Path, path: &Path) -> io::Result<OwnedFd> {
    below(root, path, OFlags::PATH | OFlags::CLOEXEC)
}

fn below(root: &Path, path: &Path, flags: OFlags) -> io::Result<OwnedFd> {
    if root == Path::new("/") {
        return Ok(rustix::fs::open(path, flags, Mode::empty())?);
    }
    let dir = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(CWD, root, dir, Mode::empty())?;
    let resolve = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
    Ok(rustix::fs::openat2(dir, path, flags, Mode::empty(), resolve)?)
}

/// The bytes of a file.
///
/// # Errors
/// It cannot be read, or has more than `most` bytes.
pub fn read(file: File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > most {
        true => Err(io::Error::other(format!("is larger than {most} bytes"))),
        false => Ok(bytes),
    }
}

fn regular(fd: OwnedFd) -> io::Result<File> {
    let file = File::from(fd);
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::Error::other("is no regular file")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{FileType, mknodat};
    use std::os::unix::fs::symlink;

    #[test]
    fn a_fifo_a_device_and_a_directory_are_refused_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let fifo = dir.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        for path in [fifo.as_path(), Path::new("/dev/zero"), dir.path()] {
            let error = open(path).unwrap_err().to_string();
            assert!(error.contains("no regular file"), "{}: {error}", path.display());
        }
    }

    #[test]
    fn a_link_of_a_container_stays_inside_it() {
        let dir = tempfile::tempdir().unwrap();
        let outside = dir.path().join("secret");
        std::fs::write(&outside, "outside").unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir_all(root.join("etc")).unwrap();
        std::fs::write(root.join("secret"), "inside").unwrap();
        symlink("/secret", root.join("etc/absolute")).unwrap();
        symlink("../../../../secret", root.join("etc/upward")).unwrap();
        symlink(&outside, root.join("etc/host")).unwrap();
        let read = |path: &str| {
            let bytes = read(open_below(&root, Path::new(path))?, 100)?;
            Ok::<_, io::Error>(String::from_utf8(bytes).unwrap())
        };
        assert_eq!(read("/etc/absolute").unwrap(), "inside");
        assert_eq!(read("/etc/upward").unwrap(), "inside");
        assert!(read("/etc/host").is_err());
    }

    #[test]
    fn no_part_of_a_path_below_a_directory_is_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        std::fs::create_dir_all(log.join("app")).unwrap();
        std::fs::create_dir(dir.path().join("secret")).unwrap();
        for place in ["log/app/a", "secret/a"] {
            std::fs::write(dir.path().join(place), place).unwrap();
        }
        symlink(dir.path().join("secret"), log.join("link")).unwrap();
        symlink("app/a", log.join("file")).unwrap();
        symlink(&log, dir.path().join("itself")).unwrap();
        let opens = |dir: &Path, inside: &str| open_inside(dir, Path::new(inside)).is_ok();
        assert!(opens(&log, "app/a") && opens(&dir.path().join("itself"), "app/a"));
        for inside in ["link/a", "file", "../secret/a", "app", "", "app/../app/a"] {
            assert!(!opens(&log, inside), "{inside}");
        }
    }

    #[test]
    fn a_file_larger_than_allowed_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "12345").unwrap();
        assert_eq!(read(open(&path).unwrap(), 5).unwrap(), b"12345");
        assert!(read(open(&path).unwrap(), 4).unwrap_err().to_string().contains("larger than 4"));
    }
}
