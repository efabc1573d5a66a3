//! Shared memory segments of System V (shmget), of our own IPC namespace.

use crate::core::balance::Part;
use crate::core::balance::kinds::LineKind;
use crate::system::proc::parse::{lines, number};
use std::path::Path;

/// Segments told one by one; the others are told together.
const MOST: usize = 16;

/// A line of /proc/sysvipc/shm.
#[derive(Debug, PartialEq, Eq)]
struct Segment {
    id: u64,
    creator: u64,
    attached: u64,
    uid: u64,
    bytes: u64,
}

/// All of them, the largest first.
pub(super) fn parts(procfs: &Path) -> Vec<Part> {
    let text = std::fs::read(procfs.join("sysvipc/shm")).unwrap_or_default();
    let mut all: Vec<Segment> = lines(&text).filter_map(segment).collect();
    all.sort_by_key(|segment| std::cmp::Reverse(segment.bytes));
    let part = |name: String, bytes, note| Part {
        of: LineKind::SharedMemory,
        name,
        bytes,
        limit: None,
        note,
    };
    let (told, rest) = all.split_at(all.len().min(MOST));
    let mut parts: Vec<Part> = Vec::new();
    for Segment { id, creator, attached, uid, bytes } in told {
        let who = match attached {
            0 => format!("nobody has it attached: `ipcrm -m {id}` frees it"),
            1 => "1 process has it attached".to_owned(),
            n => format!("{n} processes have it attached"),
        };
        let note = format!("of user {uid}, made by process {creator}; {who}");
        parts.push(part(format!("SysV segment {id}"), *bytes, note));
    }
    let bytes = rest.iter().map(|segment| segment.bytes).fold(0, u64::saturating_add);
    if bytes > 0 {
        parts.push(part(
            "other SysV segments".to_owned(),
            bytes,
            format!("{} of them", rest.len()),
        ));
    }
    // Programs that make one segment after another grow in none of them.
    if all.len() > 1 {
        let bytes = all.iter().map(|segment| segment.bytes).fold(0, u64::saturating_add);
        parts.push(part("all SysV segments".to_owned(), bytes, format!("{} of them", all.len())));
    }
    parts
}

/// key shmid perms size cpid lpid nattch uid gid cuid cgid atime dtime ctime rss swap (ipc/shm.c).
fn segment(line: &[u8]) -> Option<Segment> {
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let mut skip = |steps: usize| number(fields.nth(steps)?);
    let id = skip(1)?;
    let creator = skip(2)?;
    let attached = skip(1)?;
    let uid = skip(0)?;
    let bytes = skip(6)?;
    Some(Segment { id, creator, attached, uid, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHM: &str = "\
       key      shmid perms                  size  cpid  lpid nattch   uid   gid  cuid  cgid      atime      dtime      ctime                   rss                  swap
         0      32768   600              67108864  4242  4243      2    33    33    33    33 1700000000          0 1700000000              67108864                     0
1234567890          1   666               1048576    77     0      0     0     0     0     0          0          0 1700000000                  4096                     0
";

    #[test]
    fn a_segment_is_named_by_its_number_with_who_made_it_and_who_has_it() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("sysvipc")).unwrap();
        std::fs::write(dir.path().join("sysvipc/shm"), SHM).unwrap();
        let parts = parts(dir.path());
        assert_eq!(parts.len(), 3);
        assert_eq!((&*parts[0].name, parts[0].bytes), ("SysV segment 32768", 67_108_864));
        assert!(parts[0].note.contains("2 processes have it attached"), "{}", parts[0].note);
        assert!(parts[1].note.contains("ipcrm -m 1"), "{}", parts[1].note);
        assert_eq!(parts[2].bytes, 67_108_864 + 4096);
    }
}
