//! The command line of uWSGI: options and files, in the order in which they count.

use super::ini_entries::IniEntry;
use super::ini_files::Collected;
use super::{RunningServer, uwsgi_entries};
use crate::core::servers::{IniFile, Server, ServerSetting};
use crate::diagnose::findings::FileLine;
use std::path::{Path, PathBuf};

impl Collected {
    /// Of uWSGI: files and options, in the order of its command line, for the last one counts (tried
    /// with 2.0: `--processes 3 --ini a.ini` has the file's number); files without an option come
    /// after all others. The first file is returned.
    pub(super) fn sequence(
        &mut self,
        server: &Server,
        file: &IniFile,
        running: &RunningServer,
    ) -> Option<PathBuf> {
        let (mut first, mut bare) = (None, Vec::new());
        let mut args = running.args.iter().skip(1).peekable();
        while let Some(arg) = args.next() {
            let (name, value) = match arg.split_once('=').filter(|_| arg.starts_with("--")) {
                Some((name, value)) => (name, Some(value)),
                None => (arg.as_str(), None),
            };
            let is_bare = !arg.starts_with('-')
                && CONFIGS
                    .iter()
                    .any(|end| arg.split(':').next().is_some_and(|a| a.ends_with(end)));
            let is_file = name == file.long_option || file.also.contains(&name);
            if is_bare {
                bare.push(arg.as_str());
            } else if is_file {
                let next = || args.next_if(|next| !next.starts_with('-')).map(String::as_str);
                let path = value.or_else(next).map(|named| self.named(running, file, named));
                first = first.or(path);
            } else if name.starts_with("--touch") && value.is_none() {
                // A file that is watched, not read.
                args.next();
            } else if let Some(of) = setting_of(server, arg) {
                let value = short_value(of, arg).or(value).map(str::to_owned);
                let value = value.or_else(|| args.next().cloned());
                let place = FileLine::command_line();
                self.entries.extend(value.map(|value| IniEntry {
                    section: file.section.to_owned(),
                    name: of.name().to_owned(),
                    value,
                    place,
                    unknown: false,
                    is_foreign: false,
                }));
            }
        }
        for named in bare {
            let path = self.named(running, file, named);
            first = first.or(Some(path));
        }
        // The environment may name a file too, which is not opened: it is the process's own word.
        let by_variable =
            running.env.iter().find(|(name, _)| FILE_VARIABLES.contains(&name.as_str()));
        if let Some((name, value)) = by_variable {
            self.notes.push(format!("{value}: named by {name}; its settings are not known"));
            let settings = [server.recycle.first(), server.cap.first()].into_iter().flatten();
            let unknown = settings.map(|of| IniEntry {
                section: file.section.to_owned(),
                name: of.name().to_owned(),
                value: format!("{name}={value}"),
                place: FileLine::command_line(),
                unknown: true,
                is_foreign: false,
            });
            self.entries.splice(0..0, unknown);
        }
        self.entries = uwsgi_entries::in_force(running, std::mem::take(&mut self.entries));
        let inner = ["include", "ini", "yaml", "xml", "json", "import", "for"];
        let others = self.entries.iter().filter(|e| inner.contains(&e.name.as_str()));
        self.notes.extend(others.map(|e| {
            format!("{}: named by {}, whose settings may count more", e.value, e.place.file)
        }));
        first
    }

    /// Takes in what a command line names as "app.ini" or "app.ini:production".
    fn named(&mut self, running: &RunningServer, file: &IniFile, named: &str) -> PathBuf {
        let (path, section) = named.split_once(':').unwrap_or((named, file.section));
        let path = running.cwd.join(path);
        self.collect_section(running, &path, section, file.section);
        path
    }

    /// The entries of a section of a file, as those of the section that uWSGI is meant to have.
    fn collect_section(&mut self, running: &RunningServer, path: &Path, named: &str, usual: &str) {
        let from = self.entries.len();
        self.collect(running, path, usual, "");
        let new = self.entries.get_mut(from..).unwrap_or_default();
        let wanted = if new.iter().any(|e| e.section == named) { named } else { usual };
        for entry in new {
            let of = if entry.section == wanted { usual } else { "" };
            of.clone_into(&mut entry.section);
        }
    }
}

/// Variables that name a file of settings.
const FILE_VARIABLES: [&str; 6] =
    ["UWSGI_INI", "UWSGI_YAML", "UWSGI_YML", "UWSGI_XML", "UWSGI_JSON", "UWSGI_CONFIG"];

/// Endings of the files that uWSGI takes without an option.
const CONFIGS: [&str; 6] = [".ini", ".yaml", ".yml", ".json", ".js", ".xml"];

/// The setting that an argument gives a value to.
fn setting_of(server: &Server, arg: &str) -> Option<&'static ServerSetting> {
    let name = arg.split('=').next()?;
    let mut settings = server.recycle.iter().chain(server.cap);
    settings.find(|of| {
        let is_long = |n: &str| name.strip_prefix("--").is_some_and(|name| name == n);
        is_long(of.name())
            || of
                .aliases
                .iter()
                .any(|alias| is_long(alias) || *alias == name || short_value(of, arg).is_some())
    })
}

/// The value of "-p4".
fn short_value<'a>(of: &ServerSetting, arg: &'a str) -> Option<&'a str> {
    let short = of.aliases.iter().find(|alias| alias.starts_with('-'))?;
    let value = arg.strip_prefix(short)?;
    value.starts_with(|c: char| c.is_ascii_digit()).then_some(value)
}
