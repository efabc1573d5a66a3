//! Ties: what a process has open, waits for, holds and shares.

use super::ends::{self, LinkKind};
use super::{mask, timeless};
use crate::core::piles::useless::{FileEnd, Ties};
use crate::system::proc::parse::{lines, number};
use std::fs;
use std::path::Path;

/// Open files looked at, and bytes of a list of mappings; what has more is not proven.
const MOST_FILES: usize = 1024;
const MOST_TEXT: usize = 4 << 20;
/// File systems of this machine alone: to ask for a file's kind waits for nobody. An overlay may have others
/// below it.
const LOCAL: [&str; 13] = [
    "ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "zfs", "tmpfs", "ramfs", "rootfs", "squashfs",
    "erofs", "devtmpfs",
];
/// Parts of the names of kernel functions in which a thread waits for a time, a lock, a thaw,
/// or for who opens a named pipe.
const WAITS: [&str; 6] = ["nanosleep", "lock_inode", "flock", "fcntl", "freez", "wait_for_partner"];

/// SIGALRM, SIGVTALRM and SIGPROF in the masks of /proc/PID/status.
const ALARMS: u64 = 1 << 13 | 1 << 25 | 1 << 26;

/// Reads the ties of a process; none where any of it cannot be read.
pub(super) fn read(pid: u32, unwanted: &mut u32) -> Option<Ties> {
    let dir = Path::new("/proc").join(pid.to_string());
    let mut ties = Ties::default();
    let mut pipes: Vec<(u32, u64, bool)> = Vec::new();
    for (nth, entry) in fs::read_dir(dir.join("fd")).ok()?.enumerate() {
        let path = entry.ok().filter(|_| nth < MOST_FILES)?.path();
        let file: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let link = fs::read_link(&path).ok()?.to_string_lossy().into_owned();
        let info = fs::read(dir.join(format!("fdinfo/{file}"))).ok()?;
        ties.holds_lock |= lines(&info).any(|line| line.starts_with(b"lock:"));
        let writes = is_writable(&info)?;
        let end = match ends::kind(&link) {
            LinkKind::Pipe(inode) => {
                pipes.push((file, inode, writes));
                ends::of(pid, file, &link, unwanted)?
            }
            LinkKind::Socket => ends::of(pid, file, &link, unwanted)?,
            LinkKind::Nothing => FileEnd::Nothing,
            LinkKind::Waking => FileEnd::Waking,
            LinkKind::Path => path_end(&dir, &path, &info, writes),
        };
        ties.files.push((file, end));
    }
    own_pipes(pid, &pipes, &mut ties)?;
    ties.holds_lock |= holds_lock(pid)?;
    ties.waits = waits(&dir)? || has_timer(&dir)?;
    ties.shares_memory = shares_memory(&bounded(&dir.join("maps"))?);
    Some(ties)
}

/// Whether a file can be written, by the octal flags in its fdinfo.
fn is_writable(info: &[u8]) -> Option<bool> {
    let flags = lines(info).find_map(|line| line.strip_prefix(b"flags:"))?;
    let flags = u32::from_str_radix(std::str::from_utf8(flags).ok()?.trim(), 8).ok()?;
    Some(flags & 0o3 != 0)
}

/// A file with a path. What is not on a file system of this machine is not asked.
fn path_end(dir: &Path, path: &Path, info: &[u8], writes: bool) -> FileEnd {
    let mount = lines(info).find_map(|line| line.strip_prefix(b"mnt_id:"));
    let mount = mount.and_then(|id| number(id.trim_ascii()));
    let is_local = || {
        let mounts = bounded(&dir.join("mountinfo"))?;
        let is_it = |line: &&str| line.split(' ').next().and_then(|id| id.parse().ok()) == mount;
        let line = mounts.lines().find(is_it)?;
        let kind = line.split_once(" - ")?.1.split(' ').next()?;
        Some(LOCAL.contains(&kind))
    };
    if mount.is_none() || is_local() != Some(true) {
        return FileEnd::Waking;
    }
    match fs::metadata(path).map(|found| found.file_type()) {
        Ok(kind) if kind.is_dir() => FileEnd::Read,
        Ok(kind) if kind.is_file() && writes => FileEnd::Written,
        Ok(kind) if kind.is_file() => FileEnd::Read,
        _ => FileEnd::Waking,
    }
}

/// Pipes of which it has both ends are its own if nobody else has any: all processes must be readable.
fn own_pipes(pid: u32, pipes: &[(u32, u64, bool)], ties: &mut Ties) -> Option<()> {
    let has = |inode: u64, wanted: bool| {
        pipes.iter().any(|(_, other, writes)| *other == inode && *writes == wanted)
    };
    let open = |file: u32| ties.files.iter().any(|(f, end)| *f == file && *end == FileEnd::Open);
    let both: Vec<(u32, u64)> = pipes
        .iter()
        .filter(|(file, inode, _)| open(*file) && has(*inode, true) && has(*inode, false))
        .map(|(file, inode, _)| (*file, *inode))
        .collect();
    if both.is_empty() {
        return Some(());
    }
    for entry in fs::read_dir("/proc").ok()? {
        let entry = entry.ok()?;
        let other: Option<u32> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let Some(other) = other.filter(|other| *other != pid) else { continue };
        // One that ends meanwhile has none any more; one that may not be read may have any.
        let files = match fs::read_dir(format!("/proc/{other}/fd")) {
            Ok(files) => files,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(_) => return Some(()),
        };
        for file in files.flatten() {
            let link = fs::read_link(file.path()).unwrap_or_default();
            if let LinkKind::Pipe(inode) = ends::kind(&link.to_string_lossy())
                && both.iter().any(|(_, own)| *own == inode)
            {
                return Some(());
            }
        }
    }
    for (file, end) in &mut ties.files {
        if both.iter().any(|(own, _)| own == file) {
            *end = FileEnd::Own;
        }
    }
    Some(())
}

/// Whether a lock in /proc/locks is of that process.
fn holds_lock(pid: u32) -> Option<bool> {
    let text = bounded(Path::new("/proc/locks"))?;
    let pid = pid.to_string();
    Some(text.lines().any(|line| line.split_ascii_whitespace().any(|field| field == pid)))
}

/// Whether a thread waits for a time, a lock or a thaw. "0" is what is said where it may not be told.
fn waits(dir: &Path) -> Option<bool> {
    let mut waits = false;
    for task in fs::read_dir(dir.join("task")).ok()? {
        let task = task.ok()?.path();
        let text = fs::read_to_string(task.join("wchan")).ok()?;
        let place = Some(text.as_str()).filter(|text| !text.is_empty() && *text != "0")?;
        waits |= WAITS.iter().any(|part| place.contains(part));
        waits |= !timeless::is_timeless(&fs::read_to_string(task.join("syscall")).ok()?);
    }
    Some(waits)
}

/// Whether a process has a timer, or catches the signals of those that cannot be seen (setitimer(2)).
fn has_timer(dir: &Path) -> Option<bool> {
    let status = fs::read(dir.join("status")).ok()?;
    let caught = mask(&status, b"SigCgt:")?;
    Some(caught & ALARMS != 0 || !fs::read(dir.join("timers")).ok()?.is_empty())
}

/// Whether a list of mappings has one that is shared and can be written.
fn shares_memory(maps: &str) -> bool {
    maps.lines().any(|line| {
        let rights = line.split(' ').nth(1).unwrap_or_default();
        rights.contains('w') && rights.ends_with('s')
    })
}

/// A text of the kernel's; none where it is longer than wanted.
fn bounded(path: &Path) -> Option<String> {
    use std::io::Read;
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(MOST_TEXT as u64).read_to_end(&mut bytes).ok()?;
    (bytes.len() < MOST_TEXT).then(|| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_shared_and_written_counts_as_shared_memory() {
        let line = |rights: &str| format!("7f00-7f01 {rights} 00000000 00:01 5 /dev/shm/a\n");
        assert!(shares_memory(&line("rw-s")));
        assert!(!shares_memory(&[line("r--s"), line("rw-p"), line("r-xp")].concat()));
    }

    #[test]
    fn the_way_of_opening_tells_who_writes() {
        for (flags, wanted) in
            [("0100000", Some(false)), ("0100001", Some(true)), ("02", Some(true)), ("x", None)]
        {
            assert_eq!(is_writable(format!("pos:\t0\nflags:\t{flags}\n").as_bytes()), wanted);
        }
    }
}
