//! Files: a server's configuration files, below its own root.

use super::RunningServer;
use crate::diagnose::findings::FileLine;
use glob::Pattern;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes read of a configuration file.
const LARGEST: u64 = 1 << 20;
/// Configuration files read of one server.
pub(super) const MOST_FILES: usize = 500;

/// The text of a file below the server's root, made valid where it is no UTF-8.
pub(super) fn text(running: &RunningServer, path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(below(running, path))?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("is no file"));
    }
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Our path to a file that the server knows by `path`.
pub(super) fn below(running: &RunningServer, path: &Path) -> PathBuf {
    running.root.join(path.strip_prefix("/").unwrap_or(path))
}

/// A path without its links, as the server sees it.
pub(super) fn real(running: &RunningServer, path: &Path) -> PathBuf {
    match below(running, path).canonicalize() {
        Ok(real) => match real.strip_prefix(&running.root) {
            Ok(inside) => Path::new("/").join(inside),
            Err(_) => real,
        },
        Err(_) => path.to_owned(),
    }
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
            let Ok(entries) = std::fs::read_dir(below(running, dir)) else { continue };
            let names = entries.flatten().map(|entry| entry.file_name());
            let mut names: Vec<String> =
                names.map(|name| name.to_string_lossy().into_owned()).collect();
            names.retain(|name| matches(&part, name) && !name.starts_with('.'));
            names.sort();
            next.extend(names.into_iter().take(MOST_FILES).map(|name| dir.join(name)));
        }
        next.truncate(MOST_FILES);
        found = next;
    }
    found.retain(|path| below(running, path).exists());
    found
}

/// Whether a name matches a pattern, as fnmatch(3) has it without flags. Debian's old
/// `Include conf.d/[^.#]*` negates a set with `^`.
fn matches(pattern: &str, name: &str) -> bool {
    Pattern::new(&pattern.replace("[^", "[!")).is_ok_and(|pattern| pattern.matches(name))
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
