//! Ini entries: the lines of one file, `name = value` in `[sections]`.

use crate::diagnose::findings::FileLine;

/// A line of such a file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct IniEntry {
    /// The section's name.
    pub(super) section: String,
    /// The name; empty for the line that begins the section.
    pub(super) name: String,
    /// The value without quotes.
    pub(super) value: String,
    /// Where it stands.
    pub(super) place: FileLine,
    /// Whether the value is not known: it names a variable that cannot be read.
    pub(super) unknown: bool,
    /// Whether its file is another user's.
    pub(super) is_foreign: bool,
}

/// Entries kept of one server: php-fpm's own file with every setting has 60.
pub(super) const MOST_ENTRIES: usize = 20_000;

/// The entries of a file, in order; those before its first section belong to `section`.
pub(super) fn entries(file: &str, text: &str, mut section: String) -> Vec<IniEntry> {
    let mut entries = Vec::new();
    for (line, text) in (1..).zip(text.lines()) {
        if entries.len() >= MOST_ENTRIES {
            break;
        }
        let text = text.trim();
        if text.is_empty() || text.starts_with([';', '#']) {
            continue;
        }
        let place = FileLine { file: file.to_owned(), line };
        let (name, value) =
            if let Some(of) = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')) {
                of.trim().clone_into(&mut section);
                (String::new(), String::new())
            } else if let Some((name, value)) = text.split_once('=') {
                let value = value.split(" ;").next().unwrap_or(value).trim();
                let value = value.split(" #").next().unwrap_or(value).trim();
                (name.trim().to_owned(), value.trim_matches(['"', '\'']).to_owned())
            } else {
                continue;
            };
        let section = section.clone();
        entries.push(IniEntry { section, name, value, place, unknown: false, is_foreign: false });
    }
    entries
}
