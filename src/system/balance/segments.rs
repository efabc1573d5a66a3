//! Shared memory segments of System V (shmget), of our own IPC namespace.

use super::mounts::comm;
use crate::core::balance::Part;
use crate::core::model::memory_line::LineKind;
use crate::system::proc::parse::{lines, number};
use std::collections::BTreeMap;
use std::path::Path;

/// Makers told one by one; the others are told together.
const MOST: usize = 32;

/// A line of /proc/sysvipc/shm.
#[derive(Debug, PartialEq, Eq)]
struct Segment {
    id: u64,
    creator: u64,
    attached: u64,
    uid: u64,
    bytes: u64,
}

/// All of them by who made them: a program that makes one segment after another grows in none of them.
pub(super) fn parts(procfs: &Path) -> Vec<Part> {
    let text = std::fs::read(procfs.join("sysvipc/shm")).unwrap_or_default();
    let mut makers: BTreeMap<(u64, u64), Vec<Segment>> = BTreeMap::new();
    for segment in lines(&text).filter_map(segment) {
        makers.entry((segment.creator, segment.uid)).or_default().push(segment);
    }
    let mut parts: Vec<Part> = Vec::new();
    for ((creator, uid), segments) in makers {
        // Its pid may be another's by now.
        let comm = comm(&procfs.join(creator.to_string()));
        let now = comm.map_or("ended".to_owned(), |comm| format!("now {comm}"));
        let maker = format!("pid {creator}, {now},");
        let name = match parts.len() {
            nth if nth < MOST => format!("SysV segments that {maker} made"),
            _ => "SysV segments that others made".to_owned(),
        };
        let bytes = segments.iter().map(|segment| segment.bytes).fold(0, u64::saturating_add);
        let ids = segments.iter().filter(|segment| segment.attached == 0);
        let ids: Vec<String> = ids.map(|segment| segment.id.to_string()).collect();
        let unused = match &ids[..] {
            [] => String::new(),
            [id, ..] => format!(
                "; {} of them attached to nobody, which `ipcrm -m {id}` and the like free",
                ids.len()
            ),
        };
        let note = format!("{} of user {uid}{unused}", segments.len());
        match parts.iter_mut().find(|part| part.name == name) {
            Some(part) => part.bytes = part.bytes.saturating_add(bytes),
            None => parts.push(Part { of: LineKind::SharedMemory, name, bytes, limit: None, note }),
        }
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
    fn segments_are_told_by_who_made_them_and_which_nobody_has() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("sysvipc")).unwrap();
        std::fs::write(dir.path().join("sysvipc/shm"), SHM).unwrap();
        std::fs::create_dir(dir.path().join("4242")).unwrap();
        std::fs::write(dir.path().join("4242/comm"), "postgres\n").unwrap();
        let parts = parts(dir.path());
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].name, "SysV segments that pid 77, ended, made");
        assert!(parts[0].note.contains("1 of them attached to nobody"), "{}", parts[0].note);
        assert!(parts[0].note.contains("ipcrm -m 1`"), "{}", parts[0].note);
        assert_eq!(parts[1].name, "SysV segments that pid 4242, now postgres, made");
        assert_eq!((&*parts[1].note, parts[1].bytes), ("1 of user 33", 67_108_864));
    }
}
