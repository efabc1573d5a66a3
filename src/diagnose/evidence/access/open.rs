//! Open: the files that a server's processes hold open for writing, opened again for reading.

use crate::system::foreign_file;
use std::collections::BTreeSet;
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Open files of a process that are looked at, and logs of a server.
const MOST_FILES: usize = 256;
const MOST_LOGS: usize = 8;
/// Bits of an open file's flags that say how it is used, of which 0 is for reading alone.
const ACCESS_MODE: u32 = 3;
/// File systems that somebody answers for who need not.
const REMOTE: [&str; 9] = ["fuse", "nfs", "cifs", "smb", "9p", "ceph", "afs", "autofs", "virtiofs"];

/// A log, open for reading.
#[derive(Debug)]
pub struct OpenAccessLog {
    /// The path that the kernel has for it: to be shown, not to be opened.
    pub name: String,
    /// The file.
    pub file: File,
}

/// The regular files that these processes hold open for writing, each once, the largest first: what is
/// written most is the access log. None where they may not be looked at or opened.
pub fn held_by(procfs: &Path, pids: impl Iterator<Item = u32>) -> Option<Vec<OpenAccessLog>> {
    let mut seen = BTreeSet::new();
    let mut logs = Vec::new();
    let (mut is_seen, mut is_refused) = (false, false);
    for pid in pids {
        let process = procfs.join(pid.to_string());
        let Ok(files) = std::fs::read_dir(process.join("fd")) else { continue };
        is_seen = true;
        let mounts = std::fs::read_to_string(process.join("mountinfo")).unwrap_or_default();
        for entry in files.flatten().take(MOST_FILES) {
            let Ok(link) = std::fs::read_link(entry.path()) else { continue };
            let info = process.join("fdinfo").join(entry.file_name());
            let info = std::fs::read_to_string(info).unwrap_or_default();
            if !link.starts_with("/") || !is_written(&info) || !is_local(&info, &mounts) {
                continue;
            }
            match opened(&entry.path(), &link.to_string_lossy()) {
                Ok(Some((about, log))) if seen.insert((about.dev(), about.ino())) => {
                    logs.push((about.size(), log));
                }
                Ok(_) => {}
                Err(_) => is_refused = true,
            }
        }
    }
    logs.sort_by_key(|(size, _)| std::cmp::Reverse(*size));
    logs.truncate(MOST_LOGS);
    let is_known = is_seen && !(logs.is_empty() && is_refused);
    is_known.then(|| logs.into_iter().map(|(_, log)| log).collect())
}

/// The very file that the link in /proc stands for, if it is a regular one: opening a device may do something.
fn opened(link: &Path, name: &str) -> io::Result<Option<(Metadata, OpenAccessLog)>> {
    if !std::fs::metadata(link)?.is_file() {
        return Ok(None);
    }
    let file = foreign_file::open(link)?;
    let about = file.metadata()?;
    let log = OpenAccessLog { name: name.to_owned(), file };
    Ok(Some((about, log)))
}

/// A value of fdinfo.
fn value<'i>(info: &'i str, name: &str) -> Option<&'i str> {
    info.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

fn is_written(info: &str) -> bool {
    let flags = value(info, "flags:").and_then(|flags| u32::from_str_radix(flags, 8).ok());
    flags.is_some_and(|flags| flags & ACCESS_MODE != 0)
}

/// Whether it is on a mount that is known, of a file system in whose kernel code nobody is waited for.
fn is_local(info: &str, mounts: &str) -> bool {
    let Some(id) = value(info, "mnt_id:") else { return false };
    let kind = mounts.lines().find_map(|line| {
        let (before, behind) = line.split_once(" - ")?;
        (before.split(' ').next() == Some(id)).then(|| behind.split(' ').next())?
    });
    kind.is_some_and(|kind| !REMOTE.iter().any(|remote| kind.starts_with(remote)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::OpenOptions;

    #[test]
    fn only_what_is_written_is_opened_and_each_file_once() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        std::fs::write(at("read"), "x").unwrap();
        let append = || OpenOptions::new().append(true).create(true).open(at("log")).unwrap();
        let kept = (append(), append(), File::open(at("read")).unwrap());
        let own = std::process::id();
        let logs = held_by(Path::new("/proc"), [own, own].into_iter()).unwrap();
        let names: Vec<_> =
            logs.iter().filter(|log| log.name.starts_with(dir.path().to_str().unwrap())).collect();
        assert_eq!(names.len(), 1, "{logs:?}");
        assert_eq!(names[0].name, at("log").to_str().unwrap());
        drop(kept);
        assert!(
            held_by(dir.path(), std::iter::once(own)).is_none(),
            "nobody there may be looked at"
        );
    }

    #[test]
    fn a_file_system_that_need_not_answer_is_left_alone() {
        let mounts = "21 1 8:1 / / rw shared:1 - ext4 /dev/sda1 rw\n22 21 0:40 / /mnt rw - fuse.sshfs x rw\n";
        let info = |id: u32| format!("pos:\t0\nflags:\t0102001\nmnt_id:\t{id}\nino:\t7\n");
        assert!(is_written(&info(21)) && is_local(&info(21), mounts));
        assert!(!is_local(&info(22), mounts) && !is_local(&info(23), mounts));
        assert!(!is_written("flags:\t0100000\n") && !is_written(""));
    }
}
