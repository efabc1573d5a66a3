//! The entries of a main file and of what it includes.

use super::RunningServer;
use super::files::{MOST_FILES, foreign_note, matching, owned_text};
use super::ini_entries::{IniEntry, MOST_ENTRIES, entries};
use super::uwsgi_entries;
use std::path::{Path, PathBuf};

/// The entries of all files, in the order in which the server reads them.
#[derive(Default)]
pub(super) struct Collected {
    pub(super) entries: Vec<IniEntry>,
    pub(super) notes: Vec<String>,
    seen: Vec<PathBuf>,
}

impl Collected {
    /// Reads a file and all that it includes, by entries called `include`, from `section` on.
    pub(super) fn collect(
        &mut self,
        running: &RunningServer,
        path: &Path,
        section: &str,
        include: &str,
    ) {
        let name = path.display().to_string();
        // Each file once: files that include themselves or each other would never end.
        if self.seen.len() >= MOST_FILES || self.seen.iter().any(|known| known == path) {
            return;
        }
        self.seen.push(path.to_owned());
        let read = match owned_text(running, path) {
            Ok(read) => read,
            Err(error) => return self.notes.push(format!("{name}: {error}")),
        };
        if read.is_foreign {
            self.notes.push(foreign_note(&name));
        }
        let found = uwsgi_entries::entries(&name, &read.text).filter(|_| include.is_empty());
        for entry in found.unwrap_or_else(|| entries(&name, &read.text, section.to_owned())) {
            if self.entries.len() >= MOST_ENTRIES {
                return;
            }
            let entry = IniEntry { is_foreign: read.is_foreign, ..entry };
            if !include.is_empty() && entry.name == include {
                if read.is_foreign {
                    continue;
                }
                for inside in included(running, path, &entry.value).iter().take(MOST_FILES) {
                    self.collect(running, inside, &entry.section, include);
                }
            } else {
                self.entries.push(entry);
            }
        }
    }
}

/// The files that an include names. PHP reads a relative one below its own prefix; which that is tells
/// `-p`, else where the executable and the main file are.
fn included(running: &RunningServer, main: &Path, pattern: &str) -> Vec<PathBuf> {
    let typed = running.option("-p", "--prefix").map(PathBuf::from);
    let bases = [typed, Some(running.prefix()), Some(running.cwd.clone())].into_iter().flatten();
    let above = main.ancestors().skip(1).map(Path::to_owned);
    bases
        .chain(above)
        .map(|base| matching(running, &Path::new("/").join(base).join(pattern)))
        .find(|found| !found.is_empty())
        .unwrap_or_default()
}

/// Replaces `${VARIABLE}`, as PHP does.
pub(super) fn expand(running: &RunningServer, entry: &mut IniEntry) {
    while let Some((before, rest)) = entry.value.split_once("${") {
        let Some((name, behind)) = rest.split_once('}') else { return };
        // PHP 8.3 knows defaults: ${NAME:-5}.
        let (name, default) = match name.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (name, None),
        };
        let value = running.variable(name);
        match value.or(default.filter(|_| !running.env.is_empty())) {
            Some(value) if value.len() < 1000 && !value.contains("${") => {
                entry.value = format!("{before}{value}{behind}");
            }
            _ => {
                entry.unknown = true;
                return;
            }
        }
    }
}
