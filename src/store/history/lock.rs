//! Lock: one process at a time for each selection, whichever way it was started.
//!
//! An flock dies with its process, so nothing is ever left locked; its file stays and means
//! nothing by itself.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::fs::OFlags;

use crate::system::{foreign_file, trusted_path};

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct SelectionLock {
    file: File,
}

impl SelectionLock {
    /// Takes the lock `name` in `dir`, which is made if need be; nothing if somebody holds it.
    ///
    /// # Errors
    /// A directory or file that cannot be made, or is another user's.
    pub fn take(dir: &Path, name: &str) -> Result<Option<Self>> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(dir);
        made.with_context(|| format!("'{}' cannot be made", dir.display()))?;
        trusted_path::ensure_directory(dir, &trusted_path::owners())?;
        let path = dir.join(format!("{name}.lock"));
        let file = open(OpenOptions::new().read(true).create(true), &path)
            .with_context(|| format!("'{}' cannot be opened", path.display()))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(e)) => {
                Err(e).with_context(|| format!("'{}' cannot be locked", path.display()))
            }
        }
    }

    /// Whether another process holds the lock `name` in `dir`; false where that cannot be found out.
    pub fn is_held(dir: &Path, name: &str) -> bool {
        let path = dir.join(format!("{name}.lock"));
        let Ok(file) = foreign_file::open_no_link(&path) else { return false };
        let taken = file.try_lock_shared();
        file.unlock().ok();
        matches!(taken, Err(TryLockError::WouldBlock))
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }
}

impl Drop for SelectionLock {
    /// To close the file would not do: a process that is being forked has it open until its exec, and
    /// with it the lock.
    fn drop(&mut self) {
        self.file.unlock().ok();
    }
}

/// Opens a file for writing that only its owner may read, and never through a link.
pub(super) fn open(how: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    how.write(true).truncate(false).mode(0o600).custom_flags(flags).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_at_a_time_holds_it_and_it_goes_with_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        assert!(!SelectionLock::is_held(&state, "a"));
        let held = SelectionLock::take(&state, "a").unwrap().unwrap();
        assert!(
            SelectionLock::take(&state, "a").unwrap().is_none()
                && SelectionLock::is_held(&state, "a")
        );
        assert!(SelectionLock::take(&state, "b").unwrap().is_some(), "another's is another");
        drop(held);
        assert!(
            !SelectionLock::is_held(&state, "a")
                && SelectionLock::take(&state, "a").unwrap().is_some()
        );
    }

    #[test]
    fn it_is_not_taken_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let other = dir.path().join("other");
        std::fs::write(&other, "mine").unwrap();
        std::os::unix::fs::symlink(&other, dir.path().join("a.lock")).unwrap();
        assert!(SelectionLock::take(dir.path(), "a").is_err());
        assert_eq!(std::fs::read(&other).unwrap(), b"mine");
    }
}
