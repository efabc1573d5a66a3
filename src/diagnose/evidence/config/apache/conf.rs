//! Reads the files: lines, includes, variables, and the directives of the server's own scope.

use super::super::RunningServer;
use super::super::files::{MOST_FILES, foreign_note, is_dir, matching, owned_text, real, text};
use super::log_formats::AccessLogs;
use super::section::{CONDITIONS, Section};
use crate::diagnose::findings::FileLine;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Includes within includes.
const DEEPEST: usize = 16;
/// Notes on what was not read.
const MOST_NOTES: usize = 20;
/// Characters of a line with all its continuations.
const LONGEST: usize = 8192;
/// Directives that say what else is read, where the server answers and where it writes.
const LEADING: [&str; 8] = [
    "include",
    "includeoptional",
    "define",
    "undefine",
    "listen",
    "serverroot",
    "sethandler",
    "errorlog",
];

/// What is known of the configuration so far.
pub(super) struct Conf<'r> {
    pub(super) running: &'r RunningServer,
    /// Whether its MPM is event or worker, rather than prefork.
    pub(super) threaded: bool,
    pub(super) root: PathBuf,
    /// Variables, of `Define` and of the environment.
    pub(super) variables: BTreeMap<String, String>,
    pub(super) defined: BTreeSet<String>,
    pub(super) modules: BTreeSet<String>,
    /// The last value of each directive of the server's own scope, by its lower-case name, and the
    /// how manieth directive that was.
    pub(super) settings: BTreeMap<String, (String, FileLine, usize)>,
    /// Every WSGIDaemonProcess: its words, and where it stands.
    pub(super) daemons: Vec<(Vec<String>, FileLine)>,
    pub(super) listens: Vec<String>,
    pub(super) access_logs: AccessLogs,
    /// Whether a macro is used, which is not read.
    pub(super) has_macros: bool,
    pub(super) status: Option<String>,
    /// The last line of a section for the MPM, where a new directive for it belongs.
    pub(super) mpm_end: Option<FileLine>,
    pub(super) files: usize,
    /// Directives read so far.
    pub(super) count: usize,
    /// Files that are being read, each included by the one before.
    pub(super) open: Vec<PathBuf>,
    /// Whether the one that is being read is another user's.
    pub(super) is_foreign: bool,
    pub(super) notes: Vec<String>,
}

impl<'r> Conf<'r> {
    pub(super) fn new(running: &'r RunningServer, threaded: bool) -> Self {
        Self {
            running,
            threaded,
            root: PathBuf::new(),
            variables: running.env.iter().cloned().collect(),
            defined: BTreeSet::new(),
            modules: BTreeSet::new(),
            settings: BTreeMap::new(),
            daemons: Vec::new(),
            listens: Vec::new(),
            access_logs: AccessLogs::default(),
            has_macros: false,
            status: None,
            mpm_end: None,
            files: 0,
            count: 0,
            open: Vec::new(),
            is_foreign: false,
            notes: Vec::new(),
        }
    }

    /// The first notes are enough.
    fn note(&mut self, what: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(what);
        }
    }

    /// Debian's `envvars`: the environment of the server may be unreadable.
    pub(super) fn variables(&mut self, main: &Path) {
        let path = main.with_file_name("envvars");
        for line in text(self.running, &path).unwrap_or_default().lines() {
            let Some((name, value)) =
                line.trim().strip_prefix("export ").and_then(|line| line.split_once('='))
            else {
                continue;
            };
            let value = value.trim_matches(['"', '\'']).replace("$SUFFIX", "");
            self.variables.entry(name.to_owned()).or_insert(value);
        }
    }

    /// The directives of an option of the command line.
    pub(super) fn typed(&mut self, option: &str) {
        let running = self.running;
        for line in running.options(option) {
            self.directive(line, FileLine::command_line(), &[], 0, false);
        }
    }

    /// Reads a file, which may be included in a section that is none of conditions.
    pub(super) fn file(&mut self, path: &Path, depth: usize, within: bool) {
        let is_open = self.open.iter().any(|open| open == path);
        if depth > DEEPEST || self.files >= MOST_FILES || is_open {
            return self.note(format!("{}: too many includes, not read", path.display()));
        }
        let read = match owned_text(self.running, path) {
            Ok(read) => read,
            Err(error) => return self.note(format!("{}: {error}", path.display())),
        };
        self.files += 1;
        self.open.push(path.to_owned());
        let name = real(self.running, path).display().to_string();
        if read.is_foreign {
            self.note(foreign_note(&name));
        }
        let before = std::mem::replace(&mut self.is_foreign, read.is_foreign);
        self.lines(&name, &read.text, depth, within);
        self.is_foreign = before;
        self.open.pop();
    }

    fn lines(&mut self, name: &str, text: &str, depth: usize, within: bool) {
        let mut sections: Vec<Section> = Vec::new();
        let mut lines = (1..).zip(text.lines());
        while let Some((number, line)) = lines.next() {
            let mut line = line.trim().to_owned();
            while line.ends_with('\\')
                && line.len() < LONGEST
                && let Some((_, more)) = lines.next()
            {
                line.pop();
                line += more.trim();
            }
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let place = FileLine { file: name.to_owned(), line: number };
            if let Some(inside) = line.strip_prefix('<') {
                let inside = inside.trim_end_matches('>').trim();
                match inside.strip_prefix('/') {
                    Some(_) => {
                        let section = sections.pop();
                        let of_mpm = section.is_some_and(|s| s.counts && self.is_mpm(&s.argument));
                        if of_mpm {
                            let line = number.saturating_sub(1);
                            self.mpm_end = Some(FileLine { line, ..place });
                        }
                    }
                    None => sections.push(self.section(inside, &sections)),
                }
            } else if sections.iter().all(|section| section.counts) {
                self.directive(&line, place, &sections, depth, within);
            }
        }
    }

    fn directive(
        &mut self,
        line: &str,
        place: FileLine,
        sections: &[Section],
        depth: usize,
        inside: bool,
    ) {
        let (name, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let value = self.expand(value.trim());
        let words: Vec<String> = words(&value);
        let first = words.first().map_or("", String::as_str);
        let is_condition = |section: &&Section| CONDITIONS.contains(&section.name.as_str());
        let section = sections.iter().rfind(|section| !is_condition(section));
        let is_inside = inside || section.is_some();
        let name = name.to_ascii_lowercase();
        match (name.as_str(), section) {
            (name, _) if self.is_foreign && LEADING.contains(&name) => {}
            ("include" | "includeoptional", _) => {
                self.include(first, name == "include", depth, is_inside);
            }
            ("wsgidaemonprocess", _) => self.daemons.push((words, place)),
            ("sethandler", Some(section)) if first.eq_ignore_ascii_case("server-status") => {
                if section.name.starts_with("location") && section.argument.starts_with('/') {
                    self.status = Some(section.argument.clone());
                }
            }
            ("logformat", _) => self.access_logs.name(&value, place, is_inside),
            ("customlog", _) => self.access_logs.log(&value, place),
            ("use", _) => {
                self.has_macros = true;
                self.note(format!("Use {first}: what a macro sets is not read"));
            }
            (_, _) if is_inside => {}
            ("loadmodule", _) => {
                let bare = first.trim_end_matches("_module");
                self.modules.insert(bare.to_ascii_lowercase());
                let file = words.get(1).map_or("", |file| file.rsplit('/').next().unwrap_or(file));
                let file = file.trim_start_matches("mod_").trim_end_matches(".so");
                self.modules.insert(file.to_ascii_lowercase());
            }
            ("define", _) => {
                self.defined.insert(first.to_owned());
                if let Some(value) = words.get(1) {
                    self.variables.insert(first.to_owned(), value.clone());
                }
            }
            ("undefine", _) => {
                self.defined.remove(first);
                self.variables.remove(first);
            }
            ("listen", _) => self.listens.push(first.to_owned()),
            ("serverroot", _) => self.root = PathBuf::from(first),
            (name, _) => {
                let nth = self.count;
                self.count += 1;
                self.settings.insert(name.to_owned(), (value, place, nth));
            }
        }
    }

    fn include(&mut self, pattern: &str, must: bool, depth: usize, within: bool) {
        let path = self.root.join(pattern);
        if self.files >= MOST_FILES {
            return self.note(format!("{}: too many includes, not read", path.display()));
        }
        let found = matching(self.running, &path);
        if found.is_empty() && must && !pattern.contains(['*', '?']) {
            self.note(format!("{}: not found", path.display()));
        }
        for path in found {
            if is_dir(self.running, &path) {
                for inside in matching(self.running, &path.join("*")) {
                    self.file(&inside, depth + 1, within);
                }
            } else {
                self.file(&path, depth + 1, within);
            }
        }
    }

    /// Replaces `${NAME}`.
    pub(super) fn expand(&self, text: &str) -> String {
        let mut out = String::new();
        let mut rest = text;
        // A variable of variables of variables would double in every line.
        while out.len() < LONGEST
            && let Some((before, after)) = rest.split_once("${")
        {
            out += before;
            match after.split_once('}') {
                Some((name, behind)) => {
                    out += self.variables.get(name).map_or("", String::as_str);
                    rest = behind;
                }
                None => return out + "${" + after,
            }
        }
        out + rest
    }
}

/// Words, of which those in quotes may hold blanks.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => rest.get(1..).unwrap_or_default().split_once(first).unwrap_or((rest, "")),
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}
