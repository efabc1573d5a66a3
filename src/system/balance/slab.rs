//! The kernel's caches of objects (slab), each with what it takes.

use super::cut;
use crate::core::balance::{Details, Part};
use crate::core::model::memory_line::LineKind;
use crate::core::model::units::MIB;
use crate::system::proc::parse::{lines, number};
use std::path::Path;

/// Caches below this are not told.
const LEAST: u64 = MIB;
/// Caches that hold nothing but what is given back, where /sys does not say so.
const GIVEN_BACK: [&str; 4] = ["dentry", "radix_tree_node", "buffer_head", "inode_cache"];

/// Reads slabinfo, which takes root.
pub(super) fn read(procfs: &Path, sysfs: &Path, page_size: u64, details: &mut Details) {
    let text = match std::fs::read(procfs.join("slabinfo")) {
        Ok(text) => text,
        Err(error) => {
            details.notes.push(format!(
                "the kernel's caches cannot be told apart: slabinfo cannot be read ({error})"
            ));
            return;
        }
    };
    for (name, bytes) in lines(&text).filter_map(|line| cache(line, page_size)) {
        if bytes >= LEAST {
            let reclaimable = is_reclaimable(sysfs, &name);
            let of = match reclaimable {
                true => LineKind::SlabReclaimable,
                false => LineKind::SlabUnreclaimable,
            };
            let note = if reclaimable { "given back when memory is needed" } else { "" };
            details.parts.push(Part {
                of,
                name: cut(&name),
                bytes,
                limit: None,
                note: note.to_owned(),
            });
        }
    }
}

/// name active num objsize objperslab pagesperslab : tunables .. : slabdata active_slabs num_slabs ..
fn cache(line: &[u8], page_size: u64) -> Option<(String, u64)> {
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    let name = String::from_utf8_lossy(fields.next()?).into_owned();
    let pages = number(fields.nth(4)?)?;
    fields.find(|field| *field == b"slabdata")?;
    let slabs = number(fields.nth(1)?)?;
    Some((name, slabs.checked_mul(pages)?.checked_mul(page_size)?))
}

/// Whether a cache counts as reclaimable: as /sys has it, else by its name.
fn is_reclaimable(sysfs: &Path, name: &str) -> bool {
    // The name becomes part of a path.
    let is_plain = !name.contains('/') && !name.starts_with('.');
    let file = sysfs.join("kernel/slab").join(if is_plain { name } else { "-" });
    match std::fs::read(file.join("reclaim_account")) {
        Ok(text) => text.trim_ascii() == b"1",
        Err(_) => GIVEN_BACK.iter().any(|known| name.ends_with(known)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cache_takes_its_slabs_and_dentries_are_given_back() {
        let dir = tempfile::tempdir().unwrap();
        let text = "slabinfo - version: 2.1\n\
            # name            <active_objs> <num_objs> <objsize> <objperslab> <pagesperslab> : tunables\n\
            ebitmap_node      900000 900032     64   64    1 : tunables    0    0    0 : slabdata  14063  14063      0\n\
            dentry            210000 210000    192   21    1 : tunables    0    0    0 : slabdata  10000  10000      0\n\
            small                 10     10    192   21    1 : tunables    0    0    0 : slabdata      1      1      0\n";
        std::fs::write(dir.path().join("slabinfo"), text).unwrap();
        let mut details = Details::default();
        read(dir.path(), dir.path(), 4096, &mut details);
        let all: Vec<_> = details.parts.iter().map(|p| (p.of, &*p.name, p.bytes)).collect();
        assert_eq!(
            all,
            [
                (LineKind::SlabUnreclaimable, "ebitmap_node", 14_063 * 4096),
                (LineKind::SlabReclaimable, "dentry", 10_000 * 4096),
            ]
        );
        assert!(details.notes.is_empty());
    }

    #[test]
    fn without_slabinfo_that_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let mut details = Details::default();
        read(dir.path(), dir.path(), 4096, &mut details);
        assert!(details.notes[0].contains("slabinfo"), "{:?}", details.notes);
    }
}
