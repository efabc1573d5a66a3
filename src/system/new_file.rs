//! New file: what leakwatch writes at a path that it was given.
//!
//! A file is written beside its place under a name of its own, mode 0600, and takes the place by a
//! rename: what others put there, a link or a fifo, is neither written to nor kept. Where others could
//! exchange it afterwards nothing is written.

use crate::system::trusted_path::{self, Destination};
use anyhow::{Context, Result, ensure};
use rustix::fs::{AtFlags, FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::{Path, PathBuf};

/// Names that are tried: somebody may fill a directory with them, but cannot guess them.
const ATTEMPTS: usize = 8;

/// Puts a text at a path, as a whole or not at all.
///
/// # Errors
/// Others may write to its directory, what is there is no regular file, or it cannot be written.
pub fn replace(path: &Path, text: &[u8]) -> Result<()> {
    NewFile::at(path)?.write(text)
}

/// Where a text is to be put, found while all rights are there.
#[derive(Debug)]
pub struct NewFile {
    place: Destination,
    path: PathBuf,
}

impl NewFile {
    /// At that path.
    ///
    /// # Errors
    /// Others may write to its directory, or what is there is no regular file.
    pub fn at(path: &Path) -> Result<Self> {
        let find = || -> Result<Self> {
            let place = trusted_path::find(path, &trusted_path::owners())?;
            ensure_replaceable(path, &place)?;
            Ok(Self { place, path: path.to_owned() })
        };
        find().with_context(|| format!("cannot write '{}'", path.display()))
    }

    /// The directory that it is written to, and nothing outside of it.
    pub fn directory(&self) -> BorrowedFd<'_> {
        self.place.dir.as_fd()
    }

    /// Puts the text there, as a whole or not at all.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, text: &[u8]) -> Result<()> {
        let place = &self.place;
        let write = || {
            let (new, file) = beside(place)?;
            let written = fill(file, text).and_then(|()| {
                rustix::fs::renameat(&place.dir, &new, &place.dir, &place.name)?;
                sync(place)
            });
            if written.is_err() {
                let _ = rustix::fs::unlinkat(&place.dir, &new, AtFlags::empty());
            }
            written
        };
        write().with_context(|| format!("cannot write '{}'", self.path.display()))
    }
}

/// Makes a file that only its owner may read; there must be none yet.
///
/// # Errors
/// There is something, others may write to its directory, or it cannot be made.
pub fn create(path: &Path) -> Result<File> {
    let place = trusted_path::find(path, &trusted_path::owners())?;
    Ok(File::from(new(&place, &place.name)?))
}

/// Only a regular file of ours gives way, and whatever somebody else put there.
fn ensure_replaceable(path: &Path, place: &Destination) -> Result<()> {
    let Some(found) = place.found else { return Ok(()) };
    let kind = FileType::from_raw_mode(found.st_mode);
    let is_ours = trusted_path::owners().contains(&found.st_uid);
    let gives_way = kind == FileType::RegularFile || (!is_ours && kind != FileType::Directory);
    ensure!(gives_way, "'{}' is no regular file", path.display());
    Ok(())
}

fn beside(place: &Destination) -> Result<(OsString, File)> {
    let mut last = Errno::EXIST;
    for _ in 0..ATTEMPTS {
        let name = OsString::from(format!(".leakwatch-{:016x}", RandomState::new().hash_one(0)));
        match new(place, &name) {
            Ok(file) => return Ok((name, File::from(file))),
            Err(error) => last = error,
        }
        if last != Errno::EXIST {
            break;
        }
    }
    Err(last.into())
}

fn new(place: &Destination, name: &OsString) -> Result<rustix::fd::OwnedFd, Errno> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(&place.dir, name, flags, Mode::from_raw_mode(0o600))
}

fn fill(mut file: File, text: &[u8]) -> Result<()> {
    file.write_all(text)?;
    file.sync_all()?;
    Ok(())
}

/// The rename is on the disk too; not every file system can tell.
fn sync(place: &Destination) -> Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let dir = rustix::fs::openat(&place.dir, c".", flags, Mode::empty());
    let _ = dir.and_then(|dir| rustix::fs::fsync(&dir));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, mknodat};
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_replaced_as_a_whole_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page.html");
        fs::write(&path, "a longer text than the next").unwrap();
        for text in ["short", "other"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!((fs::read_to_string(&path).unwrap().as_str(), mode(&path)), (text, 0o600));
        }
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "nothing is left beside it");
        assert!(create(&path).is_err());
        assert_eq!(mode(&dir.path().join("page.html")), 0o600);
    }

    #[test]
    fn where_anybody_could_exchange_it_nothing_is_written() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = format!("{:#}", replace(&dir.path().join("a"), b"x").unwrap_err());
        assert!(error.contains("writable by every user"), "{error}");
        assert!(create(&dir.path().join("a")).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_fifo_of_ours_is_neither_written_to_nor_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("fifo");
        mknodat(CWD, &path, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let error = format!("{:#}", replace(&path, b"x").unwrap_err());
        assert!(error.contains("no regular file"), "{error}");
    }

    #[test]
    fn what_another_user_put_there_gives_way() {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let precious = dir.path().join("precious");
        fs::write(&precious, "precious").unwrap();
        let link = dir.path().join("link");
        symlink(&precious, &link).unwrap();
        // Only root can make a link of another user.
        if lchown(&link, Some(12345), None).is_err() {
            return;
        }
        replace(&link, b"x").unwrap();
        assert_eq!(fs::read_to_string(&precious).unwrap(), "precious");
        assert!(fs::symlink_metadata(&link).unwrap().is_file());
    }
}
