//! Textfile: replaces one file for node_exporter, whole or not at all.

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

/// What node_exporter's textfile collector reads.
#[derive(Debug)]
pub struct MetricsFile {
    path: PathBuf,
    /// Beside it, under a name that the collector does not read: a rename within a directory is
    /// atomic.
    new: PathBuf,
}

impl MetricsFile {
    /// A file to be replaced.
    ///
    /// # Errors
    /// The collector would not read a file of that name.
    pub fn new(path: &Path) -> Result<Self> {
        anyhow::ensure!(
            path.extension().is_some_and(|extension| extension == "prom"),
            "--textfile '{}' does not end in .prom, so node_exporter would not read it\n  hint: \
             /var/lib/prometheus/node-exporter/leakwatch.prom is where Debian's looks",
            path.display()
        );
        Ok(Self { path: path.to_owned(), new: path.with_extension("prom.new") })
    }

    /// Puts `text` in its place, world-readable whatever the umask. Allocates nothing and
    /// does not wait for the disk: after a crash of the machine it is written anew anyway.
    ///
    /// # Errors
    /// The directory is not there or may not be written, the disk is full.
    pub fn replace(&self, text: &[u8]) -> Result<()> {
        let open = || {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            rustix::fs::open(&self.new, flags, Mode::from_raw_mode(0o600))
        };
        let fd = match open() {
            // Left by a watch that was killed. Never written through: it may be a link of others.
            Err(Errno::EXIST) => rustix::fs::unlink(&self.new).and_then(|()| open()),
            other => other,
        };
        let written = fd.map_err(Into::into).and_then(|fd| {
            rustix::fs::fchmod(&fd, Mode::from_raw_mode(0o644))?;
            File::from(fd).write_all(text)?;
            std::fs::rename(&self.new, &self.path)
        });
        if written.is_err() {
            // A full disk is not filled further.
            let _ = rustix::fs::unlink(&self.new);
        }
        written.with_context(|| format!("cannot write '{}'", self.path.display()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, symlink};

    #[test]
    fn it_is_replaced_whole_and_everybody_may_read_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("leakwatch.prom");
        let file = MetricsFile::new(&path).unwrap();
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
}
