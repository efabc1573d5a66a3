//! Ties: what a process has open, waits for, holds and shares.

use super::ends::{self, LinkKind};
use super::{mask, timeless};
use crate::core::piles::useless::{FileEnd, Ties};
use crate::system::proc::parse::{lines, number};
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Open files looked at, those of all threads, and bytes of a list of mappings, of mounts or of locks; what
/// has more is not proven. 20 000 mounts, read anew for each of 900 files, took 15 s.
const MOST_FILES: usize = 512;
const MOST_LINKS: usize = 4096;
const MOST_TEXT: usize = 256 << 10;
/// Kinds of namespaces that a process can keep for others.
const NAMESPACES: [&str; 6] = ["net", "mnt", "user", "ipc", "uts", "pid"];
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
/// SIGUSR1, SIGUSR2, SIGIO and those of real time but the C library's two (32, 33): who catches one may be
/// there to be told by it.
const MESSAGES: u64 = 1 << 9 | 1 << 11 | 1 << 28 | !0 << 33;

/// Reads the ties of a process; none where any of it cannot be read.
pub(super) fn read(pid: u32, ppid: u32, unwanted: &mut u32) -> Option<Ties> {
    let dir = Path::new("/proc").join(pid.to_string());
    let mut ties = Ties::default();
    let (mut links, mut inodes, mut polls) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
    let mut mounts = None;
    for (nth, entry) in fs::read_dir(dir.join("fd")).ok()?.enumerate() {
        let path = entry.ok().filter(|_| nth < MOST_FILES)?.path();
        let file: u32 = path.file_name()?.to_str()?.parse().ok()?;
        let link = fs::read_link(&path).ok()?.to_string_lossy().into_owned();
        let info = fs::read(dir.join(format!("fdinfo/{file}"))).ok()?;
        ties.holds_lock |= lines(&info).any(|line| line.starts_with(b"lock:"));
        let inode = lines(&info).find_map(|line| line.strip_prefix(b"ino:"));
        inodes.extend(inode.and_then(|inode| number(inode.trim_ascii())).map(|of| (file, of)));
        let end = match ends::kind(&link) {
            LinkKind::Pipe | LinkKind::Socket => ends::of(pid, file, &link, unwanted)?,
            LinkKind::Nothing => FileEnd::Nothing,
            LinkKind::Waking => FileEnd::Waking,
            LinkKind::Poll => {
                polls.push(info);
                FileEnd::Nothing
            }
            LinkKind::Path => {
                if mounts.is_none() {
                    mounts = Some(bounded(&dir.join("mountinfo"))?);
                }
                path_end(mounts.as_deref().unwrap_or_default(), &path, &info, is_writable(&info)?)
            }
        };
        links.insert(file, link);
        ties.files.push((file, end));
    }
    if !polls.iter().all(|info| polls_own(info, &inodes)) || !have_one_table(&dir, &links)? {
        return None;
    }
    ties.keeps_namespaces = !is_in_namespaces_of(&dir, ppid)?;
    ties.holds_lock |= holds_lock(pid)?;
    ties.waits = waits(&dir)? || is_called(&dir)?;
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
fn path_end(mounts: &str, path: &Path, info: &[u8], writes: bool) -> FileEnd {
    let mount = lines(info).find_map(|line| line.strip_prefix(b"mnt_id:"));
    let mount = mount.and_then(|id| number(id.trim_ascii()));
    let is_local = || {
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

/// Whether all that an eventpoll watches are open files of this process: one may stay in it when its own
/// descriptor was closed and another process has it still.
fn polls_own(info: &[u8], inodes: &BTreeMap<u32, u64>) -> bool {
    lines(info).filter_map(|line| line.strip_prefix(b"tfd:")).all(|line| {
        let text = String::from_utf8_lossy(line);
        let file = text.split_ascii_whitespace().next().and_then(|file| file.parse().ok());
        let inode = text.split_once(" ino:").and_then(|(_, rest)| rest.split(' ').next());
        let inode = inode.and_then(|inode| u64::from_str_radix(inode, 16).ok());
        let own = file.and_then(|file: u32| inodes.get(&file).copied());
        inode.is_some() && own == inode
    })
}

/// Whether each thread has the open files of the whole process: one may have a table of its own.
fn have_one_table(dir: &Path, links: &BTreeMap<u32, String>) -> Option<bool> {
    let mut looked_at = 0;
    for task in fs::read_dir(dir.join("task")).ok()? {
        let task = task.ok()?.path();
        let mut count = 0;
        for entry in fs::read_dir(task.join("fd")).ok()? {
            looked_at += 1;
            let path = entry.ok().filter(|_| looked_at < MOST_LINKS)?.path();
            let file = path.file_name()?.to_str()?.parse().ok()?;
            let link = fs::read_link(&path).ok()?;
            if links.get(&file).is_none_or(|own| *own != link.to_string_lossy()) {
                return Some(false);
            }
            count += 1;
        }
        if count != links.len() {
            return Some(false);
        }
    }
    Some(true)
}

/// Whether a process is in no namespaces but leakwatch's and its parent's: one in others may be what keeps them.
fn is_in_namespaces_of(dir: &Path, parent: u32) -> Option<bool> {
    let parent = Path::new("/proc").join(parent.to_string());
    for name in NAMESPACES {
        let of = |dir: &Path| fs::read_link(dir.join("ns").join(name));
        let own = match of(dir) {
            Ok(own) => own,
            // This kernel does not have them.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(_) => return None,
        };
        if of(Path::new("/proc/self")).is_ok_and(|here| here == own) {
            continue;
        }
        // Of process 1 even root may not be told.
        if of(&parent).ok().is_none_or(|other| other != own) {
            return Some(false);
        }
    }
    Some(true)
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

/// Whether a process has a timer, or awaits the signals of those that cannot be seen (setitimer(2)), or those
/// by which others tell it something. Who blocks one may read it from a descriptor or wait for it.
fn is_called(dir: &Path) -> Option<bool> {
    let status = fs::read(dir.join("status")).ok()?;
    let awaited = mask(&status, b"SigCgt:")? | mask(&status, b"SigBlk:")?;
    let has_timers = !fs::read(dir.join("timers")).ok()?.is_empty();
    Some(awaited & (ALARMS | MESSAGES) != 0 || has_timers)
}

/// Whether a list of mappings has one that is shared and can be written. The C library shares files that it only
/// reads; who waits on one of those is told by its futex (`timeless.rs`).
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
    fn an_eventpoll_may_watch_only_what_the_process_has_open() {
        let info = b"pos:\t0\nflags:\t02\ntfd:        7 events:       19 data:        7  pos:0 ino:1a sdev:f\n";
        assert!(polls_own(info, &BTreeMap::from([(7, 26)])));
        assert!(!polls_own(info, &BTreeMap::from([(7, 27)])), "its number is another file's now");
        assert!(!polls_own(info, &BTreeMap::new()), "it was closed here");
        assert!(!polls_own(b"tfd: 7 events: 19 data: 7\n", &BTreeMap::from([(7, 26)])));
        assert!(polls_own(b"pos:\t0\nflags:\t02\n", &BTreeMap::new()));
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
