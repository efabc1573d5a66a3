//! What the open files of a process are, and how many it may have.

use crate::system::proc::parse::{lines, number};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Open files looked at.
const MOST: usize = 65_536;
/// Lines of a table of connections looked at.
const MOST_CONNECTIONS: usize = 200_000;
/// State CLOSE_WAIT in /proc/net/tcp (include/net/tcp_states.h).
const CLOSE_WAIT: &[u8] = b"08";

/// RLIMIT_NOFILE of a process, the soft one; none where it cannot be read or does not bind.
pub fn limit(procfs: &Path, pid: u32) -> Option<u64> {
    let text = std::fs::read(procfs.join(format!("{pid}/limits"))).ok()?;
    let line = lines(&text).find_map(|line| line.strip_prefix(b"Max open files"))?;
    number(line.split(u8::is_ascii_whitespace).find(|field| !field.is_empty())?)
}

/// The kinds of a process's open files with their numbers, the most first; empty where its links
/// may not be read.
pub fn kinds(procfs: &Path, pid: u32) -> Vec<(&'static str, u32)> {
    let dir = procfs.join(pid.to_string());
    let mut counts: BTreeMap<&'static str, u32> = BTreeMap::new();
    let waiting = waiting(&dir);
    for file in std::fs::read_dir(dir.join("fd")).into_iter().flatten().flatten().take(MOST) {
        let Ok(link) = std::fs::read_link(file.path()) else { continue };
        *counts.entry(kind(&link.to_string_lossy(), &waiting)).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    counts
}

fn kind(link: &str, waiting: &BTreeSet<u64>) -> &'static str {
    let inode = |rest: &str| rest.strip_suffix(']').and_then(|inode| inode.parse().ok());
    match link {
        link if link.starts_with("socket:[") => {
            let inode = link.strip_prefix("socket:[").and_then(inode);
            match inode.is_some_and(|inode| waiting.contains(&inode)) {
                true => "sockets whose peer has closed (CLOSE_WAIT)",
                false => "sockets",
            }
        }
        link if link.starts_with("pipe:[") => "pipes",
        link if link.starts_with("anon_inode:") => match link {
            link if link.contains("inotify") => "inotify instances",
            link if link.contains("eventfd") => "eventfds",
            link if link.contains("eventpoll") => "epoll instances",
            link if link.contains("timerfd") => "timerfds",
            link if link.contains("pidfd") => "pidfds",
            _ => "other kernel objects",
        },
        link if link.ends_with(" (deleted)") => "deleted files",
        link if link.starts_with("/dev/") => "devices",
        _ => "files",
    }
}

/// Inodes of connections whose peer has closed, of the process's network namespace.
fn waiting(dir: &Path) -> BTreeSet<u64> {
    let mut found = BTreeSet::new();
    for name in ["net/tcp", "net/tcp6"] {
        let text = std::fs::read(dir.join(name)).unwrap_or_default();
        for line in lines(&text).take(MOST_CONNECTIONS) {
            // sl local remote st tx:rx tr:when retrnsmt uid timeout inode
            let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
            if fields.nth(3) == Some(CLOSE_WAIT) {
                found.extend(fields.nth(5).and_then(number));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, TcpStream};

    #[test]
    fn kinds_are_told_apart_and_who_has_not_closed_after_its_peer() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let kept: Vec<TcpStream> = (0..20)
            .map(|_| {
                let peer = TcpStream::connect(address).unwrap();
                let (kept, _) = listener.accept().unwrap();
                drop(peer);
                kept
            })
            .collect();
        let own = std::process::id();
        let of = |wanted: &str| {
            let kinds = kinds(Path::new("/proc"), own);
            kinds.iter().find(|(kind, _)| kind.contains(wanted)).map_or(0, |(_, count)| *count)
        };
        // The last FIN may be on its way yet.
        while of("CLOSE_WAIT") < 20 {
            std::thread::yield_now();
        }
        drop(kept);
        assert!(limit(Path::new("/proc"), own).is_none_or(|limit| limit > 20));
        assert_eq!(kind("anon_inode:inotify", &BTreeSet::new()), "inotify instances");
        assert_eq!(kind("/tmp/x (deleted)", &BTreeSet::new()), "deleted files");
    }
}
