//! In which directory a file system in memory grows.

use std::collections::BTreeMap;

/// A directory is named instead of the one above it if it has this share of that one's growth.
const MOST_OF_IT: f64 = 0.6;
/// How far down is named.
const DEEPEST: usize = 32;

/// What lies in one directory itself, not below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Directory {
    /// Its path from the mount point on; empty for that itself.
    pub path: String,
    /// Bytes of its files.
    pub bytes: u64,
    /// The owner of its largest file.
    pub uid: u32,
}

/// The directories of one mount.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Directories {
    /// Its mount point, or how else it is called.
    pub mount: String,
    /// Each once.
    pub all: Vec<Directory>,
    /// Whether there were more than could be looked at.
    pub is_cut: bool,
}

/// The directory that holds most of what a mount holds, or grew by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Largest {
    /// Its path from the mount point on; empty for that itself.
    pub path: String,
    /// Bytes in it and below it that it holds, or grew by.
    pub bytes: u64,
    /// The owner of its largest file.
    pub uid: Option<u32>,
}

impl Directories {
    /// Where most of it lies.
    pub fn largest(&self) -> Option<Largest> {
        self.most(&BTreeMap::new())
    }

    /// Where most of the growth since `before` lies; none if nothing grew.
    pub fn grown_since(&self, before: &Self) -> Option<Largest> {
        let old = before.all.iter().map(|dir| (dir.path.as_str(), dir.bytes)).collect();
        self.most(&old)
    }

    fn most(&self, old: &BTreeMap<&str, u64>) -> Option<Largest> {
        // What each directory grew by, with all below it.
        let mut below: BTreeMap<&str, u64> = BTreeMap::new();
        for dir in &self.all {
            let grown = dir.bytes.saturating_sub(old.get(&*dir.path).copied().unwrap_or(0));
            let ancestors = std::iter::successors(Some(dir.path.as_str()), |path| parent(path));
            for path in ancestors.take(DEEPEST) {
                let sum = below.entry(path).or_default();
                *sum = sum.saturating_add(grown);
            }
        }
        let (mut path, mut bytes) = ("", *below.get("").filter(|bytes| **bytes > 0)?);
        for _ in 0..DEEPEST {
            let children = below.iter().filter(|(child, _)| parent(child) == Some(path));
            match children.max_by_key(|(_, bytes)| **bytes) {
                Some((child, most)) if *most as f64 >= MOST_OF_IT * bytes as f64 => {
                    (path, bytes) = (child, *most);
                }
                _ => break,
            }
        }
        let inside = |dir: &&Directory| {
            dir.path.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let uid = self.all.iter().filter(inside).max_by_key(|dir| dir.bytes).map(|dir| dir.uid);
        Some(Largest { path: path.to_owned(), bytes, uid })
    }
}

/// The directory above; the mount point's own is empty and has none.
fn parent(path: &str) -> Option<&str> {
    match path.rsplit_once('/') {
        Some((above, _)) => Some(above),
        None => (!path.is_empty()).then_some(""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(dirs: &[(&str, u64)]) -> Directories {
        let dir = |(path, bytes): &(&str, u64)| Directory {
            path: (*path).to_owned(),
            bytes: *bytes,
            uid: 33,
        };
        Directories { all: dirs.iter().map(dir).collect(), ..Directories::default() }
    }

    #[test]
    fn the_deepest_directory_with_most_of_the_growth_is_named() {
        let before = tree(&[("", 10), ("/a", 500), ("/b", 0), ("/b/spool", 20)]);
        let after = tree(&[("", 12), ("/a", 500), ("/b", 1), ("/b/spool", 120), ("/b/new", 3)]);
        let grown = after.grown_since(&before).unwrap();
        assert_eq!((&*grown.path, grown.bytes, grown.uid), ("/b/spool", 100, Some(33)));
        assert_eq!(after.largest().unwrap().path, "/a");
        assert_eq!(before.grown_since(&before), None);
    }

    #[test]
    fn growth_that_many_directories_share_is_that_of_the_one_above() {
        let many: Vec<(String, u64)> = (0..50).map(|n| (format!("/cache/{n}"), 10)).collect();
        let dirs: Vec<(&str, u64)> = many.iter().map(|(path, bytes)| (&**path, *bytes)).collect();
        let largest = tree(&dirs).largest().unwrap();
        assert_eq!((&*largest.path, largest.bytes), ("/cache", 500));
    }
}
