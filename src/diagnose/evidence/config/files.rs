//! Files: a server's configuration files, below its own root.

use super::RunningServer;
use crate::diagnose::findings::FileLine;
use crate::system::{foreign_file, trusted_path};
use glob::Pattern;
use rustix::fs::FileType;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Bytes read of a configuration file.
const LARGEST: u64 = 1 << 20;
/// Configuration files read of one server, and their bytes.
pub(super) const MOST_FILES: usize = 500;
const MOST_BYTES: u64 = 4 << 20;
/// The mode bit by which everybody may write to a file.
const OTHERS_WRITE: u32 = 0o002;
/// Names looked at in a directory.
const MOST_NAMES: usize = 10_000;

/// A configuration file.
pub(super) struct ConfigText {
    /// Its text, made valid where it is no UTF-8.
    pub(super) text: String,
    /// Whether it is the word of another than root and the server's own user. Settings count as the
    /// server has them, but no other file, no address and no log is taken from it: leakwatch would
    /// open or ask them with rights that its author lacks.
    pub(super) is_foreign: bool,
}

/// The text of a file below the server's root.
pub(super) fn text(running: &RunningServer, path: &Path) -> io::Result<String> {
    Ok(owned_text(running, path)?.text)
}

/// The same, with whose word it is.
pub(super) fn owned_text(running: &RunningServer, path: &Path) -> io::Result<ConfigText> {
    // It would be several lines of a diff.
    if path.to_string_lossy().chars().any(char::is_control) {
        return Err(io::Error::other("has control characters in its name"));
    }
    if !running.changed.is_empty() {
        let name = real(running, path).display().to_string();
        let is_of = |(file, _): &&(String, String)| *file == name || Path::new(file) == path;
        if let Some((_, text)) = running.changed.iter().find(is_of) {
            return Ok(ConfigText { text: text.clone(), is_foreign: false });
        }
    }
    let file = foreign_file::open_below(&running.root, path)?;
    let about = file.metadata()?;
    let is_foreign =
        !trusted_path::owners().contains(&about.uid()) || about.mode() & OTHERS_WRITE != 0;
    let left = MOST_BYTES.saturating_sub(running.bytes_read.get());
    let bytes = foreign_file::read(file, LARGEST.min(left)).map_err(|error| match left {
        ..LARGEST => io::Error::other("all its files together have more than 4 MiB"),
        _ => error,
    })?;
    running.bytes_read.set(running.bytes_read.get() + bytes.len() as u64);
    Ok(ConfigText { text: String::from_utf8_lossy(&bytes).into_owned(), is_foreign })
}

/// What is said of such a file.
pub(super) fn foreign_note(name: &str) -> String {
    format!("{name} belongs to another user: what it includes and where it says to ask is not used")
}

/// Whether there is such a file, and a directory.
fn stat(running: &RunningServer, path: &Path) -> io::Result<rustix::fs::Stat> {
    Ok(rustix::fs::fstat(foreign_file::find_below(&running.root, path)?)?)
}

/// Whether it is there.
pub(super) fn exists(running: &RunningServer, path: &Path) -> bool {
    stat(running, path).is_ok()
}

/// Whether that is a directory.
pub(super) fn is_dir(running: &RunningServer, path: &Path) -> bool {
    let is = |stat: rustix::fs::Stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory;
    stat(running, path).is_ok_and(is)
}

/// A path without its links, as the server sees it.
pub(super) fn real(running: &RunningServer, path: &Path) -> PathBuf {
    let found = foreign_file::find_below(&running.root, path);
    match found.and_then(|fd| std::fs::read_link(descriptor(&fd))) {
        // A root may be named by a link itself, as that of a recorded /proc is.
        Ok(real) => {
            let root = running.root.canonicalize();
            let roots = [Some(running.root.as_path()), root.as_deref().ok()];
            let inside = roots.into_iter().flatten().find_map(|root| real.strip_prefix(root).ok());
            inside.map_or(real.clone(), |inside| Path::new("/").join(inside))
        }
        Err(_) => path.to_owned(),
    }
}

/// The path by which this process reaches what it has found.
fn descriptor(fd: &OwnedFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_raw_fd()))
}

/// The files that match a pattern whose parts may hold `*`, `?` and `[..]`, sorted by name.
pub(super) fn matching(running: &RunningServer, pattern: &Path) -> Vec<PathBuf> {
    let mut found = vec![PathBuf::from("/")];
    for part in pattern.components().skip(1) {
        let part = part.as_os_str().to_string_lossy();
        if !part.contains(['*', '?', '[']) {
            found.iter_mut().for_each(|path| path.push(&*part));
            continue;
        }
        let mut next = Vec::new();
        for dir in &found {
            let Ok(found) = foreign_file::find_below(&running.root, dir) else { continue };
            let Ok(entries) = std::fs::read_dir(descriptor(&found)) else { continue };
            let names = entries.flatten().take(MOST_NAMES).map(|entry| entry.file_name());
            let mut names: Vec<String> =
                names.map(|name| name.to_string_lossy().into_owned()).collect();
            names.retain(|name| matches(&part, name) && !name.starts_with('.'));
            names.sort();
            next.extend(names.into_iter().take(MOST_FILES).map(|name| dir.join(name)));
        }
        next.truncate(MOST_FILES);
        found = next;
    }
    found.retain(|path| exists(running, path));
    found
}

/// Whether a name matches a pattern, as fnmatch(3) has it without flags. Debian's old
/// `Include conf.d/[^.#]*` negates a set with `^`.
fn matches(pattern: &str, name: &str) -> bool {
    Pattern::new(&pattern.replace("[^", "[!")).is_ok_and(|pattern| pattern.matches(name))
}

/// Marks of what writes files anew, and what to call it.
const MANAGERS: [(&str, &str); 22] = [
    ("puppet", "Puppet"),
    ("ansible", "Ansible"),
    ("chef", "Chef"),
    ("saltstack", "Salt"),
    ("managed by salt", "Salt"),
    ("cfengine", "CFEngine"),
    ("rudder", "Rudder"),
    ("terraform", "Terraform"),
    ("cpanel", "cPanel"),
    ("plesk", "Plesk"),
    ("directadmin", "DirectAdmin"),
    ("ispconfig", "ISPConfig"),
    ("froxlor", "Froxlor"),
    ("virtualmin", "Virtualmin"),
    ("cyberpanel", "CyberPanel"),
    ("hestia", "HestiaCP"),
    ("vesta", "VestaCP"),
    ("kloxo", "Kloxo"),
    ("nixos", "NixOS"),
    ("cloud-init", "cloud-init"),
    ("juju", "Juju"),
    ("kubernetes", "Kubernetes"),
];
/// Lines at the top of a file that tell who writes it.
const TOP: usize = 12;

/// A warning for each file that something else writes: it would take a change back.
pub(super) fn managed(files: &[(String, String)]) -> Vec<String> {
    let warning = |(file, text): &(String, String)| {
        let top: Vec<String> = text
            .lines()
            .take(TOP)
            .filter(|line| line.trim_start().starts_with(['#', ';']))
            .map(str::to_lowercase)
            .collect();
        let path = file.to_lowercase();
        let says = |words: &[&str]| top.iter().any(|line| words.iter().any(|w| line.contains(w)));
        let named = MANAGERS.iter().find(|(mark, _)| {
            path.contains(mark)
                || (says(&[*mark])
                    && says(&[
                        "managed",
                        "generated",
                        "templating",
                        "written by",
                        "do not",
                        "don't",
                        "created by",
                    ]))
        });
        let is_generated = || {
            says(&["do not edit", "don't edit", "do not modify", "not be edited"])
                || says(&[
                    "automatically generated",
                    "auto-generated",
                    "autogenerated",
                    "generated automatically",
                    "generated by",
                ])
                || path.starts_with("/nix/store/")
        };
        match named {
            Some((_, who)) => Some(format!(
                "{who} writes {file}: make the change there, or it is taken back at the next run"
            )),
            None => is_generated().then(|| {
                format!("{file} says that it is generated: make the change where it comes from, or it is lost")
            }),
        }
    };
    files.iter().filter_map(warning).collect()
}

/// Reads the files in which these settings stand.
pub(super) fn texts(
    running: &RunningServer,
    places: &[Option<&FileLine>],
) -> Vec<(String, String)> {
    let mut files: Vec<(String, String)> = Vec::new();
    for place in places.iter().flatten().filter(|place| place.line > 0) {
        if files.iter().all(|(file, _)| *file != place.file)
            && let Ok(text) = text(running, Path::new(&place.file))
        {
            files.push((place.file.clone(), text));
        }
    }
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_match_as_with_fnmatch() {
        for (pattern, name) in [
            ("*.conf", "a.conf"),
            ("a*b*c", "aXbYbc"),
            ("?[0-9]", "x7"),
            ("[!a]*", "b"),
            ("[^.#]*", "b"),
            ("*", ""),
        ] {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in [
            ("*.conf", "a.conf~"),
            ("a", "ab"),
            ("[a", "a"),
            ("?", ""),
            ("ab", "a"),
            ("[^.#]*", "#b"),
        ] {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn fuzz_patterns() {
        let texts: [&[u8]; 1] = [b"a*b?[!a-c]*.conf\na1b2.conf"];
        crate::core::fuzz::fuzz("patterns of names", 1, &texts, |text| {
            let text = String::from_utf8_lossy(text.get(..300).unwrap_or(text));
            let (pattern, name) = text.split_once('\n').unwrap_or((&text, &text));
            matches(pattern, name);
        });
    }
}
