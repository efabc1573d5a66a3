//! Running server: the command line, environment and root of a server's master.

use crate::core::servers::{Environment, Server, ServerSetting};
use crate::system::foreign_file;
use serde::{Deserialize, Serialize};
use std::cell::Cell;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes read of an executable; Apache has one million.
const LARGEST_EXE: u64 = 4 << 20;
/// Bytes read of a command line or an environment.
const LONGEST: u64 = 256 << 10;

/// A running server's master, as /proc tells.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunningServer {
    /// Its executable.
    pub exe: String,
    /// Its command line.
    pub args: Vec<String>,
    /// Where it runs.
    pub cwd: PathBuf,
    /// Its environment; empty without the right to read it.
    pub env: Vec<(String, String)>,
    /// Where its files are: `/`, or `/proc/PID/root` of one in a container.
    pub root: PathBuf,
    /// Files that are read as if they had these texts.
    pub changed: Vec<(String, String)>,
    /// Bytes of its files that were read so far.
    #[serde(skip)]
    pub bytes_read: Cell<u64>,
}

impl RunningServer {
    /// Process `pid` of the procfs at `procfs`.
    pub fn look(procfs: &Path, pid: u32) -> Self {
        let dir = procfs.join(pid.to_string());
        let words = |name: &str| {
            let mut bytes = Vec::new();
            if let Ok(file) = foreign_file::open(&dir.join(name)) {
                // What was read until an error is used.
                let _ = file.take(LONGEST).read_to_end(&mut bytes);
            }
            let words = bytes.split(|byte| *byte == 0).filter(|word| !word.is_empty());
            words.map(|word| String::from_utf8_lossy(word).into_owned()).collect::<Vec<_>>()
        };
        let pair = |text: &String| {
            let (name, value) = text.split_once('=')?;
            Some((name.to_owned(), value.to_owned()))
        };
        let link = |name: &str| std::fs::read_link(dir.join(name)).unwrap_or_default();
        // The host's processes, seen from a container, have the host's files.
        let root = match link("root") {
            root if procfs == Path::new("/proc") && root == Path::new("/") => root,
            _ => dir.join("root"),
        };
        Self {
            exe: link("exe").to_string_lossy().trim_end_matches(" (deleted)").to_owned(),
            args: words("cmdline"),
            cwd: link("cwd"),
            env: words("environ").iter().filter_map(pair).collect(),
            root,
            changed: Vec::new(),
            bytes_read: Cell::default(),
        }
    }

    /// The same with the options of its environment before those of its command line, which override
    /// them since the last one counts.
    pub(super) fn with_environment(&self, server: &Server) -> Self {
        let words: Vec<String> = match server.advice.and_then(|advice| advice.environment) {
            None => Vec::new(),
            Some(Environment::Options(name)) => {
                let words = self.variable(name).unwrap_or_default().split_whitespace();
                words.map(str::to_owned).collect()
            }
            Some(Environment::Prefix(prefix)) => {
                let settings = || server.recycle.iter().chain(server.cap);
                let is_setting = |name: &str| {
                    settings().any(|of| of.name() == name || of.aliases.contains(&name))
                };
                let option = |(name, value): &(String, String)| {
                    let name = name.strip_prefix(prefix)?.to_ascii_lowercase().replace('_', "-");
                    is_setting(&name).then(|| format!("--{name}={value}"))
                };
                self.env.iter().filter_map(option).collect()
            }
        };
        let (program, args) = self.args.split_at(self.args.len().min(1));
        Self { args: [program, &words, args].concat(), ..self.clone() }
    }

    /// The value that the command line gives to a setting, under any of its names.
    pub(super) fn typed(&self, setting: &ServerSetting) -> Option<&str> {
        let is_short = |name: &&&str| name.starts_with('-');
        let short = setting.aliases.iter().find(is_short).copied().unwrap_or_default();
        self.option(short, &long_option(setting.name())).or_else(|| {
            let mut others = setting.aliases.iter().filter(|name| !is_short(name));
            others.find_map(|name| self.option("", &long_option(name)))
        })
    }

    /// The value of an option given as `-x VALUE`, `--xx VALUE`, `-xVALUE` or `--xx=VALUE`; the last
    /// one counts.
    pub(super) fn option(&self, short: &str, long: &str) -> Option<&str> {
        let mut found = None;
        let mut args = self.args.iter().map(String::as_str).peekable();
        while let Some(arg) = args.next() {
            if (!short.is_empty() && arg == short) || (!long.is_empty() && arg == long) {
                found = args.peek().copied().or(found);
            } else if let Some(value) = long_value(arg, long) {
                found = Some(value);
            } else if let Some(value) = arg.strip_prefix(short)
                && !short.is_empty()
                && !arg.starts_with("--")
            {
                found = Some(value);
            }
        }
        found
    }

    /// Every value of an option of one letter.
    pub(super) fn options<'a>(&'a self, short: &'a str) -> impl Iterator<Item = &'a str> {
        let next = self.args.iter().skip(1).map(Some).chain([None]);
        self.args.iter().zip(next).filter_map(move |(arg, next)| match arg.strip_prefix(short)? {
            "" => next.map(String::as_str),
            value => Some(value),
        })
    }

    /// All options of one letter that are among these, each with its value.
    pub(super) fn chosen(&self, wanted: &[&str]) -> Vec<String> {
        let mut chosen = Vec::new();
        let mut args = self.args.iter().skip(1);
        while let Some(arg) = args.next() {
            let Some(short) = wanted.iter().find(|short| arg.starts_with(**short)) else {
                continue;
            };
            let value = if arg == short { args.next().map(String::as_str) } else { arg.get(2..) };
            // How it was started is no part of its configuration.
            if let Some(value) = value.filter(|value| *value != "FOREGROUND") {
                chosen.extend([(*short).to_owned(), value.to_owned()]);
            }
        }
        chosen
    }

    /// The directory that its executable is installed below: "/usr/local" of /usr/local/sbin/php-fpm, "" of
    /// /usr/sbin/httpd.
    pub(super) fn prefix(&self) -> PathBuf {
        let dir = Path::new(&self.exe).parent().unwrap_or(Path::new(""));
        let mut dir = dir.to_owned();
        if dir.ends_with("bin") || dir.ends_with("sbin") {
            dir.pop();
        }
        if dir.ends_with("usr") {
            dir.pop();
        }
        dir
    }

    /// A text that its executable was compiled with: what follows `mark`, up to a quote.
    pub(super) fn compiled_in(&self, mark: &str) -> Option<String> {
        let file = foreign_file::open_below(&self.root, Path::new(&self.exe)).ok()?;
        let mut bytes = Vec::new();
        file.take(LARGEST_EXE).read_to_end(&mut bytes).ok()?;
        let at = bytes.windows(mark.len()).position(|part| part == mark.as_bytes())? + mark.len();
        let rest = bytes.get(at..at + 256)?;
        let end = rest.iter().position(|byte| *byte == b'"')?;
        String::from_utf8(rest.get(..end)?.to_vec()).ok()
    }

    /// A variable of its environment.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

/// The option for a setting: "--max-requests" for `max_requests`.
fn long_option(name: &str) -> String {
    format!("--{}", name.replace('_', "-"))
}

fn long_value<'a>(arg: &'a str, long: &str) -> Option<&'a str> {
    if long.is_empty() { None } else { arg.strip_prefix(long)?.strip_prefix('=') }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::servers::by_key;

    fn started(args: &[&str]) -> RunningServer {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        RunningServer { args, ..RunningServer::default() }
    }

    #[test]
    fn options_come_in_four_forms() {
        for args in
            [&["x", "-w", "4"][..], &["x", "-w4"], &["x", "--workers", "4"], &["x", "--workers=4"]]
        {
            assert_eq!(started(args).option("-w", "--workers"), Some("4"), "{args:?}");
        }
        assert_eq!(started(&["x", "--worker-class", "sync"]).option("-w", "--workers"), None);
        let defines = started(&["x", "-D", "A", "-DB", "-k", "start"]);
        assert_eq!(defines.options("-D").collect::<Vec<_>>(), ["A", "B"]);
    }

    #[test]
    fn the_command_line_overrides_the_environment() {
        let cap = &by_key("uwsgi").unwrap().cap[0];
        let env = vec![("UWSGI_PROCESSES".to_owned(), "8".to_owned())];
        let uwsgi = by_key("uwsgi").unwrap();
        let of = |args: &[&str]| {
            RunningServer { env: env.clone(), ..started(args) }.with_environment(uwsgi)
        };
        assert_eq!(of(&["uwsgi"]).typed(cap), Some("8"));
        assert_eq!(of(&["uwsgi", "-p", "4"]).typed(cap), Some("4"));
        assert_eq!(of(&["uwsgi", "--workers=5"]).typed(cap), Some("8"), "the first name counts");
    }

    #[test]
    fn the_environment_names_no_file_no_address_and_no_log() {
        let env = ["UWSGI_INI", "UWSGI_INCLUDE", "UWSGI_STATS", "UWSGI_LOGTO", "UWSGI_DAEMONIZE"]
            .map(|name| (name.to_owned(), "/etc/shadow".to_owned()));
        let running = RunningServer { env: env.to_vec(), ..started(&["uwsgi"]) };
        assert_eq!(running.with_environment(by_key("uwsgi").unwrap()).args, ["uwsgi"]);
    }
}
