//! Trusted path: whether anybody else could change what a path leads to.
//!
//! A path is walked one part at a time, each opened without following links, so that what was looked at
//! is what is used. Every directory, every link and the file itself must belong to root or to somebody
//! else who is named, and nobody else may write to it. In a directory with the sticky bit (/tmp) others
//! may add entries but not replace those that are not theirs.

use anyhow::{Context, Result, anyhow, bail, ensure};
use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Links in one path, as the kernel has it (MAXSYMLINKS).
const MOST_LINKS: usize = 40;
/// Mode bits: others may write, the group may, entries belong to their owners.
const OTHERS_WRITE: u32 = 0o002;
const GROUP_WRITES: u32 = 0o020;
const STICKY: u32 = 0o1000;

/// The first line of an error, without its hint: for reports that name the file themselves.
pub fn in_a_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    text.lines().next().unwrap_or_default().to_owned()
}

/// Who may own what is trusted: root, and who runs this.
pub fn owners() -> [u32; 2] {
    [0, rustix::process::geteuid().as_raw()]
}

/// Where a path leads.
#[derive(Debug)]
pub struct Destination {
    /// The directory, which others cannot change as far as its present entries go.
    pub dir: OwnedFd,
    /// The last part of the path.
    pub name: OsString,
    /// What is there now; it may belong to somebody else.
    pub found: Option<Stat>,
}

/// Follows a path as far as its last part. A link at the end is followed too, unless somebody else owns
/// it.
///
/// # Errors
/// Somebody other than `owners` owns a part of the path or may write to it, or it leads nowhere.
pub fn find(path: &Path, owners: &[u32]) -> Result<Destination> {
    let path = std::path::absolute(path)?;
    let mut todo: VecDeque<OsString> = parts(&path).collect();
    let mut seen = PathBuf::from("/");
    let mut dir = enter(CWD, Path::new("/"), &seen, owners)?;
    let mut links = 0;
    while let Some(name) = todo.pop_front() {
        if name == OsStr::new("..") {
            seen.pop();
            dir = enter(&dir, Path::new(".."), &seen, owners)?;
            continue;
        }
        let here = seen.join(&name);
        let found = match rustix::fs::statat(&dir, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat),
            Err(rustix::io::Errno::NOENT) if todo.is_empty() => None,
            Err(error) => return Err(error).with_context(|| format!("'{}'", here.display())),
        };
        let is_ours = found.is_none_or(|stat| owners.contains(&stat.st_uid));
        let is_link = found.is_some_and(|stat| kind(&stat) == FileType::Symlink);
        if is_link && is_ours {
            links += 1;
            ensure!(links <= MOST_LINKS, "'{}' has too many links", path.display());
            let target = rustix::fs::readlinkat(&dir, &name, Vec::new())?;
            let target = PathBuf::from(OsStr::from_bytes(target.as_bytes()));
            if target.is_absolute() {
                seen = PathBuf::from("/");
                dir = enter(CWD, Path::new("/"), &seen, owners)?;
            }
            for part in parts(&target).collect::<Vec<_>>().into_iter().rev() {
                todo.push_front(part);
            }
            continue;
        }
        if todo.is_empty() {
            return Ok(Destination { dir, name, found });
        }
        ensure_owner(&here, found.map_or(0, |stat| stat.st_uid), owners)?;
        dir = enter(&dir, Path::new(&name), &here, owners)?;
        seen = here;
    }
    bail!("'{}' is a directory", path.display())
}

/// Opens a regular file that nobody but `owners` can change or put another in place of.
///
/// # Errors
/// The same, or it is no regular file.
pub fn open(path: &Path, owners: &[u32]) -> Result<File> {
    let place = find(path, owners)?;
    let stat = place.found.ok_or_else(|| anyhow!("'{}': there is no such file", path.display()))?;
    ensure_owner(path, stat.st_uid, owners)?;
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let file = rustix::fs::openat(&place.dir, &place.name, flags | OFlags::NOFOLLOW, Mode::empty())
        .with_context(|| format!("'{}'", path.display()))?;
    let stat = rustix::fs::fstat(&file)?;
    ensure!(kind(&stat) == FileType::RegularFile, "'{}' is no regular file", path.display());
    ensure_closed(path, &stat, owners)?;
    Ok(File::from(file))
}

/// Whether nobody but `owners` can change a running program's file, or put another in its place.
/// `link` is its /proc/PID/exe.
///
/// # Errors
/// Somebody can, or it cannot be told.
pub fn ensure_program(link: &Path, owners: &[u32]) -> Result<()> {
    let path = std::fs::read_link(link).context("its program cannot be told")?;
    let name = path.to_string_lossy();
    let path = Path::new(name.trim_end_matches(" (deleted)"));
    // What runs, wherever its path leads by now or in whichever container.
    let running = rustix::fs::stat(link).with_context(|| format!("'{}'", path.display()))?;
    ensure_closed(path, &running, owners)?;
    let is_here =
        std::fs::read_link(link.with_file_name("root")).is_ok_and(|r| r == Path::new("/"));
    if is_here {
        let place = find(path, owners)?;
        ensure_owner(path, place.found.map_or(0, |stat| stat.st_uid), owners)?;
    }
    Ok(())
}

/// Whether nobody but `owners` can change a directory, or put another in its place.
///
/// # Errors
/// Somebody can, or it is no directory.
pub fn ensure_directory(path: &Path, owners: &[u32]) -> Result<()> {
    let inside = path.join(".leakwatch");
    let place = find(&inside, owners)?;
    ensure_closed(path, &rustix::fs::fstat(&place.dir)?, owners)
}

/// Opens a directory that nobody but `owners` can change or put another in place of. One that is
/// missing is made, its owner's alone.
///
/// # Errors
/// The same as of [`open`], it is no directory, or its parent is missing.
pub fn directory(path: &Path, owners: &[u32]) -> Result<OwnedFd> {
    let name = || format!("'{}'", path.display());
    let place = find(path, owners)?;
    if place.found.is_none() {
        match rustix::fs::mkdirat(&place.dir, &place.name, Mode::RWXU) {
            Ok(()) | Err(rustix::io::Errno::EXIST) => {}
            Err(error) => return Err(error).with_context(|| format!("{} cannot be made", name())),
        }
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir =
        rustix::fs::openat(&place.dir, &place.name, flags, Mode::empty()).with_context(name)?;
    ensure_closed(path, &rustix::fs::fstat(&dir)?, owners)?;
    Ok(dir)
}

fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    let parts = path.as_os_str().as_bytes().split(|byte| *byte == b'/');
    let parts = parts.filter(|part| !part.is_empty() && *part != b".");
    parts.map(|part| OsStr::from_bytes(part).to_owned())
}

fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// Enters a directory, unless others could exchange its entries.
fn enter(dir: impl AsFd, name: &Path, seen: &Path, owners: &[u32]) -> Result<OwnedFd> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let fd = rustix::fs::openat(dir, name, flags, Mode::empty())
        .with_context(|| format!("'{}'", seen.display()))?;
    let stat = rustix::fs::fstat(&fd)?;
    if stat.st_mode & STICKY == 0 {
        ensure_closed(seen, &stat, owners)?;
    } else {
        ensure_owner(seen, stat.st_uid, owners)?;
    }
    Ok(fd)
}

fn ensure_owner(path: &Path, uid: u32, owners: &[u32]) -> Result<()> {
    let name = path.display();
    ensure!(
        owners.contains(&uid),
        "'{name}' belongs to uid {uid}, so leakwatch does not trust it\n  hint: chown root '{name}', if what is in it is right"
    );
    Ok(())
}

/// A group that has root alone, or is who runs this alone, is no other.
fn ensure_closed(path: &Path, stat: &Stat, owners: &[u32]) -> Result<()> {
    let name = path.display();
    ensure_owner(path, stat.st_uid, owners)?;
    ensure!(
        stat.st_mode & OTHERS_WRITE == 0,
        "'{name}' is writable by every user, so leakwatch does not trust it\n  hint: chmod o-w '{name}'"
    );
    let own = rustix::process::getegid().as_raw();
    let is_dir = kind(stat) == FileType::Directory;
    let is_own_group = (stat.st_gid == 0 && is_dir) || (own != 0 && stat.st_gid == own);
    ensure!(
        stat.st_mode & GROUP_WRITES == 0 || is_own_group,
        "'{name}' is writable by the group {}, so leakwatch does not trust it\n  hint: chmod g-w '{name}'",
        stat.st_gid
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, chown, symlink};

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn error(path: &Path) -> String {
        format!("{:#}", open(path, &owners()).unwrap_err())
    }

    #[test]
    fn what_nobody_else_can_change_is_opened_also_by_way_of_an_own_link() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        fs::write(&file, "x").unwrap();
        mode(&file, 0o644);
        assert!(open(&file, &owners()).is_ok());
        symlink("a", dir.path().join("link")).unwrap();
        symlink(dir.path(), dir.path().join("itself")).unwrap();
        assert!(
            open(&dir.path().join("itself/../itself/link"), &owners()).is_err(),
            "up from /tmp"
        );
        assert!(open(&dir.path().join("itself/./link"), &owners()).is_ok());
        symlink("loop", dir.path().join("loop")).unwrap();
        assert!(error(&dir.path().join("loop")).contains("too many links"));
        assert!(error(&dir.path().join("none")).contains("no such file"));
        assert!(error(&dir.path().join("none/a")).contains("none"));
        assert!(error(Path::new("/dev/zero")).contains("no regular file"));
    }

    #[test]
    fn what_others_may_write_to_is_refused_and_so_is_what_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("open");
        fs::create_dir(&inside).unwrap();
        let file = inside.join("a");
        fs::write(&file, "x").unwrap();
        mode(&file, 0o666);
        assert!(error(&file).contains("writable by every user"), "{}", error(&file));
        mode(&file, 0o644);
        mode(&inside, 0o777);
        assert!(error(&file).contains("open' is writable by every user"), "{}", error(&file));
        assert!(ensure_directory(&inside, &owners()).is_err());
        mode(&inside, 0o1777);
        assert!(open(&file, &owners()).is_ok(), "nobody else can replace it");
        assert!(ensure_directory(&inside, &owners()).is_err(), "others may add to it");
        mode(&inside, 0o700);
        assert!(ensure_directory(&inside, &owners()).is_ok());
    }

    #[test]
    fn a_missing_directory_is_made_where_nobody_else_can_change_it() {
        let dir = tempfile::tempdir().unwrap();
        let inside = dir.path().join("a");
        let open = |path: &Path| directory(path, &owners());
        assert!(open(&inside).is_ok() && open(&inside).is_ok());
        assert_eq!(fs::metadata(&inside).unwrap().permissions().mode() & 0o777, 0o700);
        assert!(open(&dir.path().join("b/c")).is_err(), "its parent is missing");
        fs::write(dir.path().join("file"), "x").unwrap();
        assert!(open(&dir.path().join("file")).is_err());
        mode(&inside, 0o770 | STICKY);
        assert!(open(&inside).is_err() || rustix::process::getegid().as_raw() == 0);
        mode(&inside, 0o1777);
        assert!(open(&inside).is_err(), "others may add to it");
        assert!(open(&inside.join("d")).is_ok(), "nobody else can replace it");
    }

    #[test]
    fn what_another_user_owns_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        fs::write(&file, "x").unwrap();
        // Where no file can be given away, one's own is another's if only root is trusted.
        let given = chown(&file, Some(12345), Some(12345)).is_ok();
        let trusted: &[u32] = if given { &owners() } else { &[u32::MAX] };
        if fs::metadata(&file).unwrap().uid() == 0 {
            return;
        }
        let error = format!("{:#}", open(&file, trusted).unwrap_err());
        assert!(error.contains("belongs to uid"), "{error}");
    }
}
