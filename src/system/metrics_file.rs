//! Textfile: replaces one file for node_exporter, whole or not at all.
//!
//! It is written in the directory that was found at the start, and nowhere else, whatever others put in
//! that directory's place or into it.

use crate::system::trusted_path;
use anyhow::{Context, Result, ensure};
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What node_exporter's textfile collector reads.
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    name: OsString,
    /// Beside it, under a name that the collector does not read: a rename within a directory is
    /// atomic.
    new: OsString,
    /// None where there is no such directory yet, or no longer.
    dir: Option<OwnedFd>,
}

impl MetricsFile {
    /// A file to be replaced.
    ///
    /// # Errors
    /// The collector would not read a file of that name, or others may write to its directory.
    pub fn new(path: &Path) -> Result<Self> {
        ensure!(
            path.extension().is_some_and(|extension| extension == "prom"),
            "--textfile '{}' does not end in .prom, so node_exporter would not read it\n  hint: \
             /var/lib/prometheus/node-exporter/leakwatch.prom is where Debian's looks",
            path.display()
        );
        let dir = match directory(path) {
            Ok(dir) => Some(dir),
            Err(error) if error.root_cause().downcast_ref() == Some(&Errno::NOENT) => None,
            Err(error) => return Err(error.context(format!("--textfile '{}'", path.display()))),
        };
        let name = path.file_name().unwrap_or_default().to_owned();
        let mut new = name.clone();
        new.push(".new");
        Ok(Self { path: path.to_owned(), name, new, dir })
    }

    /// Puts `text` in its place, world-readable whatever the umask. Allocates nothing and
    /// does not wait for the disk: after a crash of the machine it is written anew anyway.
    ///
    /// # Errors
    /// The directory is not there or may not be written, the disk is full.
    pub fn replace(&mut self, text: &[u8]) -> Result<()> {
        let written = self.write(text);
        if written.is_err() {
            // Somebody may have made it anew.
            self.dir = None;
        }
        written.with_context(|| format!("cannot write '{}'", self.path.display()))
    }

    fn write(&mut self, text: &[u8]) -> Result<()> {
        let dir = match self.dir.take() {
            Some(dir) => dir,
            None => directory(&self.path)?,
        };
        let dir = self.dir.insert(dir);
        let open = || {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            rustix::fs::openat(&*dir, &self.new, flags, Mode::from_raw_mode(0o600))
        };
        let remove = || rustix::fs::unlinkat(&*dir, &self.new, AtFlags::empty());
        let fd = match open() {
            // Left by a watch that was killed. Never written through: it may be a link of others.
            Err(Errno::EXIST) => remove().and_then(|()| open()),
            other => other,
        };
        let written = fd.map_err(anyhow::Error::from).and_then(|fd| {
            rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o644))?;
            File::from(fd).write_all(text)?;
            Ok(rustix::fs::renameat(&*dir, &self.new, &*dir, &self.name)?)
        });
        if written.is_err() {
            // A full disk is not filled further.
            let _ = remove();
        }
        written
    }
}

/// The directory of a file, which nobody else may write to. It may belong to the collector's own user,
/// who then chooses no other by a link.
fn directory(path: &Path) -> Result<OwnedFd> {
    let [root, own] = trusted_path::owners();
    let found = trusted_path::find(path, &[root, own]);
    let absolute = std::path::absolute(path)?;
    let user = absolute.parent().and_then(|dir| Some(std::fs::metadata(dir).ok()?.uid()));
    match (found, user) {
        (Ok(place), _) => Ok(place.dir),
        (Err(error), Some(user)) if user != root && user != own => {
            let place = trusted_path::find(path, &[root, own, user]).map_err(|_| error)?;
            ensure!(rustix::fs::fstat(&place.dir)?.st_uid == user, "its directory is exchanged");
            Ok(place.dir)
        }
        (Err(error), _) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, lchown, symlink};

    #[test]
    fn it_is_replaced_whole_and_everybody_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leakwatch.prom");
        let mut file = MetricsFile::new(&path).unwrap();
        let other = dir.path().join("other");
        std::fs::write(&other, "precious").unwrap();
        symlink(&other, dir.path().join("leakwatch.prom.new")).unwrap();
        for text in ["a 1\n", "a 2\n"] {
            file.replace(text.as_bytes()).unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
        assert_eq!(std::fs::read_to_string(&other).unwrap(), "precious");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 2, "nothing is left over");
    }

    #[test]
    fn a_name_that_nobody_reads_and_a_directory_that_is_not_there_are_errors() {
        assert!(MetricsFile::new(Path::new("/x/leakwatch.txt")).is_err());
        assert!(
            MetricsFile::new(Path::new("/nonexistent/a.prom")).unwrap().replace(b"a 1\n").is_err()
        );
    }

    #[test]
    fn it_stays_in_the_directory_that_was_found_and_is_not_begun_where_anybody_may_write() {
        let dir = tempfile::tempdir().unwrap();
        let (metrics, other) = (dir.path().join("metrics"), dir.path().join("other"));
        std::fs::create_dir(&metrics).unwrap();
        std::fs::create_dir(&other).unwrap();
        let path = metrics.join("a.prom");
        let mut file = MetricsFile::new(&path).unwrap();
        std::fs::rename(&metrics, dir.path().join("moved")).unwrap();
        symlink(&other, &metrics).unwrap();
        file.replace(b"a 1\n").unwrap();
        assert!(dir.path().join("moved/a.prom").exists() && !other.join("a.prom").exists());
        std::fs::set_permissions(&other, std::fs::Permissions::from_mode(0o777)).unwrap();
        let error = format!("{:#}", MetricsFile::new(&other.join("a.prom")).unwrap_err());
        assert!(error.contains("writable by every user"), "{error}");
    }

    #[test]
    fn the_collectors_own_directory_is_written_to_and_a_link_of_its_user_is_not_followed() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let (home, roots) = (dir.path().join("home"), dir.path().join("roots"));
        std::fs::create_dir_all(home.join("metrics")).unwrap();
        std::fs::create_dir(&roots).unwrap();
        let given = |path: &Path| lchown(path, Some(12345), Some(12345)).is_ok();
        // Only root gives directories away.
        if !given(&home.join("metrics")) || !given(&home) {
            return;
        }
        let path = home.join("metrics/a.prom");
        MetricsFile::new(&path).unwrap().replace(b"a 1\n").unwrap();
        assert!(path.exists());
        symlink(&roots, home.join("link")).unwrap();
        assert!(given(&home.join("link")));
        assert!(MetricsFile::new(&home.join("link/a.prom")).is_err());
    }
}
