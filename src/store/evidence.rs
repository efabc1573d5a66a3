//! Evidence: one directory for each process that was ended, of which the oldest go first.
//!
//! Everything is written below a directory that was checked and opened once, whatever is put in its
//! place afterwards; each file is its owner's alone. A directory gets its name when all is in it, so
//! that nobody reads half of one. Nothing waits for the disk: what the kernel has, it writes within half
//! a minute.

use crate::core::model::evidence_file::EvidenceFile;
use crate::core::model::process::ProcId;
use crate::system::{foreign_file, trusted_path, wait};
use anyhow::Result;
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// Directories kept.
pub const MOST: usize = 20;
/// Bytes of all files in one.
pub const MOST_BYTES: usize = 200 << 10;
/// Files in one that are read.
const MOST_FILES: usize = 32;
/// How the names of directories begin that are not whole yet, and the seconds after which whoever wrote
/// one has given up.
const UNFINISHED: &str = ".new-";
const GIVEN_UP_S: f64 = 3600.0;
/// Bytes of a name: the time, the pid and the command name.
const LONGEST_NAME: usize = 64;
/// The way out where no directory can be made.
const PARENT: &str = "\n  hint: name a directory whose parent is there and belongs to root or to whoever runs leakwatch";

/// The directory in which evidence is kept.
#[derive(Debug)]
pub struct EvidenceDirectory {
    dir: OwnedFd,
}

/// Why the directory could not be opened.
#[derive(Debug)]
pub struct NotOpened {
    /// Whether another directory has to be named. If not, it is the disk that fails now.
    pub is_mistake: bool,
    text: String,
}

impl fmt::Display for NotOpened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::error::Error for NotOpened {}

/// Whether a disk fails, which a program that has no need of it must bear.
fn is_of_disk(error: &Errno) -> bool {
    [Errno::NOSPC, Errno::DQUOT, Errno::IO, Errno::ROFS, Errno::NOMEM].contains(error)
}

/// What was kept of one process.
#[derive(Clone, Debug)]
pub struct KeptEvidence {
    /// The name of its directory.
    pub name: String,
    /// Its files, by name.
    pub files: Vec<EvidenceFile>,
}

impl EvidenceDirectory {
    /// Opens the directory, and makes it where its parent is there.
    ///
    /// # Errors
    /// Others may write to it or to what leads there; its parent is missing; the disk is full.
    pub fn open(path: &Path) -> Result<Self, NotOpened> {
        let dir = trusted_path::directory(path, &trusted_path::owners()).map_err(|error| {
            let why = format!("{error:#}");
            // What is not trusted has its own way out.
            let hint = if why.contains("hint:") { "" } else { PARENT };
            NotOpened {
                is_mistake: !error.root_cause().downcast_ref().is_some_and(is_of_disk),
                text: format!("cannot keep evidence in '{}': {why}{hint}", path.display()),
            }
        });
        Ok(Self { dir: dir? })
    }

    /// The directory that is open already.
    pub fn of(dir: OwnedFd) -> Self {
        Self { dir }
    }

    /// The directory, for another process.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// Keeps the files of a process under a new name, which it returns; then the oldest directories go.
    /// Files beyond [`MOST_BYTES`] are cut.
    ///
    /// # Errors
    /// They cannot be written; then nothing of them is left.
    pub fn keep(&self, t: f64, id: ProcId, comm: &str, files: &[EvidenceFile]) -> Result<String> {
        let own = std::process::id();
        let unfinished = CString::new(format!("{UNFINISHED}{own}"))?;
        self.remove(&unfinished).ok();
        let name = name(t, id, comm);
        let written = self.write(&unfinished, files).and_then(|()| {
            rustix::fs::renameat(&self.dir, &unfinished, &self.dir, &*name)
                .map_err(anyhow::Error::from)
        });
        if let Err(error) = written {
            // A full disk is not filled further.
            self.remove(&unfinished).ok();
            return Err(error);
        }
        self.prune();
        Ok(name)
    }

    /// Adds a file to what was kept under that name, or replaces it, as far as there is room.
    ///
    /// # Errors
    /// It cannot be written, or that directory is gone.
    pub fn add(&self, name: &str, file: &EvidenceFile) -> Result<()> {
        let inside = self.enter(&CString::new(name)?)?;
        let names = names(&inside)?;
        let size = |name: &CString| rustix::fs::statat(&inside, name, AtFlags::SYMLINK_NOFOLLOW);
        let others = names.iter().filter(|name| name.as_bytes() != file.name.as_bytes());
        let used: i64 = others.filter_map(|name| size(name).ok()).map(|stat| stat.st_size).sum();
        let room = MOST_BYTES.saturating_sub(usize::try_from(used).unwrap_or(MOST_BYTES));
        write_file(&inside, file, room)
    }

    /// What is kept, the oldest first.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn read(&self) -> Result<Vec<KeptEvidence>> {
        let mut kept = Vec::new();
        for name in self.kept()? {
            // It may have gone meanwhile.
            let Ok(inside) = self.enter(&name) else { continue };
            let mut files = Vec::new();
            for file in names(&inside)?.into_iter().take(MOST_FILES) {
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                let Ok(fd) = rustix::fs::openat(&inside, &file, flags, Mode::empty()) else {
                    continue;
                };
                let opened = File::from(fd);
                let is_file = opened.metadata().is_ok_and(|found| found.is_file());
                let text = foreign_file::read(opened, MOST_BYTES as u64);
                if let (true, Ok(text)) = (is_file, text) {
                    files.push(EvidenceFile::new(&file.to_string_lossy(), text));
                }
            }
            kept.push(KeptEvidence { name: name.to_string_lossy().into_owned(), files });
        }
        Ok(kept)
    }

    fn write(&self, name: &CStr, files: &[EvidenceFile]) -> Result<()> {
        rustix::fs::mkdirat(&self.dir, name, Mode::RWXU)?;
        let inside = self.enter(name)?;
        let mut room = MOST_BYTES;
        for file in files {
            write_file(&inside, file, room)?;
            room = room.saturating_sub(file.text.len());
        }
        Ok(())
    }

    fn enter(&self, name: &CStr) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        rustix::fs::openat(&self.dir, name, flags, Mode::empty())
    }

    /// The names of what is kept, the oldest first. What has another name is not ours to remove.
    fn kept(&self) -> Result<Vec<CString>, Errno> {
        let mut names = names(&self.dir)?;
        names.retain(|name| is_ours(name.as_bytes()));
        names.sort();
        Ok(names)
    }

    /// Removes the oldest beyond [`MOST`], and what was left unfinished.
    fn prune(&self) {
        let kept = self.kept().unwrap_or_default();
        for name in kept.iter().take(kept.len().saturating_sub(MOST)) {
            self.remove(name).ok();
        }
        for name in names(&self.dir).unwrap_or_default() {
            let made = rustix::fs::statat(&self.dir, &name, AtFlags::SYMLINK_NOFOLLOW);
            let is_old = made.is_ok_and(|stat| stat.st_mtime as f64 + GIVEN_UP_S < wait::unix_s());
            if is_old && name.as_bytes().starts_with(UNFINISHED.as_bytes()) {
                self.remove(&name).ok();
            }
        }
    }

    /// Removes a directory of files.
    fn remove(&self, name: &CStr) -> Result<(), Errno> {
        let inside = self.enter(name)?;
        for file in names(&inside)? {
            rustix::fs::unlinkat(&inside, &file, AtFlags::empty())?;
        }
        rustix::fs::unlinkat(&self.dir, name, AtFlags::REMOVEDIR)
    }
}

/// "20261130T075039Z-2291-apache2": in the order of time, and harmless in a shell.
fn name(t: f64, id: ProcId, comm: &str) -> String {
    let time = jiff::Timestamp::from_second(t as i64).unwrap_or(jiff::Timestamp::UNIX_EPOCH);
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._".contains(c) { c } else { '-' };
    let comm: String = comm.chars().map(plain).collect();
    let mut name = format!("{}-{}-{comm}", time.strftime("%Y%m%dT%H%M%SZ"), id.pid);
    name.truncate(LONGEST_NAME);
    name
}

/// Whether a name is one of [`name`].
fn is_ours(name: &[u8]) -> bool {
    let shape = b"00000000T000000Z-0";
    name.len() >= shape.len()
        && shape.iter().zip(name).all(|(wanted, found)| match wanted {
            b'0' => found.is_ascii_digit(),
            _ => wanted == found,
        })
}

/// The names in a directory, in order.
fn names(dir: &OwnedFd) -> Result<Vec<CString>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// Writes a file as far as there is room, in place of what has its name.
fn write_file(dir: &OwnedFd, file: &EvidenceFile, room: usize) -> Result<()> {
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    match rustix::fs::unlinkat(dir, &*file.name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let fd = rustix::fs::openat(dir, &*file.name, flags, Mode::RUSR | Mode::WUSR)?;
    let text = file.text.get(..room).unwrap_or(&file.text);
    Ok(File::from(fd).write_all(text)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{PermissionsExt, symlink};

    const T: f64 = 1_796_025_039.0;

    fn id(pid: u32) -> ProcId {
        ProcId { pid, start: 7 }
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn entries(path: &Path) -> Vec<String> {
        let names =
            fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    #[test]
    fn what_is_kept_is_read_again_and_is_its_owners_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("evidence");
        let directory = EvidenceDirectory::open(&path).unwrap();
        let files = [EvidenceFile::new("status", "x"), EvidenceFile::new("heap", "y")];
        let name = directory.keep(T, id(2291), "a b/../c\n", &files).unwrap();
        assert_eq!(name, "20261130T075039Z-2291-a-b-..-c-");
        directory.add(&name, &EvidenceFile::new("outcome", "z")).unwrap();
        directory.add(&name, &EvidenceFile::new("outcome", "zz")).unwrap();
        let kept = directory.read().unwrap();
        assert_eq!((kept.len(), kept[0].name.as_str()), (1, name.as_str()));
        let texts: Vec<_> = kept[0].files.iter().map(|f| (f.name.as_str(), &*f.text)).collect();
        assert_eq!(texts, [("heap", &b"y"[..]), ("outcome", b"zz"), ("status", b"x")]);
        assert_eq!((mode(&path), mode(&path.join(&name))), (0o700, 0o700));
        assert_eq!(mode(&path.join(&name).join("status")), 0o600);
    }

    #[test]
    fn the_oldest_go_first_and_what_is_not_ours_stays() {
        let dir = tempfile::tempdir().unwrap();
        let directory = EvidenceDirectory::open(dir.path()).unwrap();
        fs::create_dir(dir.path().join("0-mine")).unwrap();
        fs::write(dir.path().join("0-mine/x"), "precious").unwrap();
        for nth in 0..MOST as u32 + 5 {
            let file = EvidenceFile::new("status", nth.to_string());
            directory.keep(T + f64::from(nth), id(1), "web", &[file]).unwrap();
        }
        let kept = directory.read().unwrap();
        assert_eq!((kept.len(), &*kept[0].files[0].text), (MOST, &b"5"[..]));
        assert_eq!(fs::read_to_string(dir.path().join("0-mine/x")).unwrap(), "precious");
        assert_eq!(entries(dir.path()).len(), MOST + 1, "nothing is left unfinished");
    }

    #[test]
    fn a_directory_never_has_more_than_its_share() {
        let dir = tempfile::tempdir().unwrap();
        let directory = EvidenceDirectory::open(dir.path()).unwrap();
        let large = |name: &str| EvidenceFile::new(name, vec![b'x'; MOST_BYTES - 10]);
        let name = directory.keep(T, id(1), "web", &[large("a"), large("b")]).unwrap();
        directory.add(&name, &large("c")).unwrap();
        directory.add(&name, &large("b")).unwrap();
        let sizes: Vec<_> =
            directory.read().unwrap()[0].files.iter().map(|f| f.text.len()).collect();
        assert_eq!(sizes, [MOST_BYTES - 10, 10, 0]);
    }

    #[test]
    fn links_that_others_left_are_neither_followed_nor_written_through() {
        let dir = tempfile::tempdir().unwrap();
        let other = tempfile::tempdir().unwrap();
        fs::write(other.path().join("x"), "precious").unwrap();
        let directory = EvidenceDirectory::open(dir.path()).unwrap();
        let own = std::process::id();
        symlink(other.path(), dir.path().join(format!("{UNFINISHED}{own}"))).unwrap();
        symlink(other.path(), dir.path().join("20261130T000000Z-1-x")).unwrap();
        assert!(directory.keep(T, id(1), "web", &[EvidenceFile::new("x", "y")]).is_err());
        assert!(directory.add("20261130T000000Z-1-x", &EvidenceFile::new("x", "y")).is_err());
        assert!(directory.read().unwrap().is_empty());
        assert_eq!(fs::read_to_string(other.path().join("x")).unwrap(), "precious");
    }

    #[test]
    fn where_it_cannot_be_kept_that_is_said_with_a_way_out() {
        let dir = tempfile::tempdir().unwrap();
        let missing = dir.path().join("a/b");
        let error = EvidenceDirectory::open(&missing).unwrap_err();
        assert!(error.is_mistake && !is_of_disk(&Errno::NOENT) && is_of_disk(&Errno::NOSPC));
        let error = error.to_string();
        assert!(
            error.starts_with("cannot keep evidence in '") && error.contains("\n  hint: name a"),
            "{error}"
        );
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        let error = EvidenceDirectory::open(&dir.path().join("b")).unwrap_err().to_string();
        assert!(
            error.contains("writable by every user") && error.contains("hint: chmod"),
            "{error}"
        );
    }
}
