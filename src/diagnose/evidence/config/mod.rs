//! Setup: how a running server is configured, read where its distribution and its command line put
//! it. Files are read as the server reads them: includes, conditions, later lines over earlier
//! ones. Nothing is run for it, and nothing written.

mod apache;
mod gunicorn;
mod ini;
mod php_fpm;
mod puma;
mod uwsgi;

pub use puma::control as puma_control;

use crate::diagnose::findings::{ConfigKind, ConfiguredSetting, FileLine, Setup};
use std::io::Read;
use std::path::{Path, PathBuf};

/// Bytes read of a configuration file.
const LARGEST: u64 = 1 << 20;
/// Configuration files read of one server.
const MOST_FILES: usize = 500;

/// A running server's master, as /proc tells.
#[derive(Clone, Debug, Default)]
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
}

impl RunningServer {
    /// Process `pid` of the procfs at `procfs`.
    pub fn look(procfs: &Path, pid: u32) -> Self {
        let dir = procfs.join(pid.to_string());
        let words = |name: &str| {
            let bytes = std::fs::read(dir.join(name)).unwrap_or_default();
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
        }
    }

    /// The value of an option given as `-x VALUE`, `--xx VALUE`, `-xVALUE` or `--xx=VALUE`; the last
    /// one counts.
    fn option(&self, short: &str, long: &str) -> Option<&str> {
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
    fn options<'a>(&'a self, short: &'a str) -> impl Iterator<Item = &'a str> {
        let next = self.args.iter().skip(1).map(Some).chain([None]);
        self.args.iter().zip(next).filter_map(move |(arg, next)| match arg.strip_prefix(short)? {
            "" => next.map(String::as_str),
            value => Some(value),
        })
    }

    /// All options of one letter that are among these, each with its value.
    fn chosen(&self, wanted: &[&str]) -> Vec<String> {
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

    fn variable(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }
}

fn long_value<'a>(arg: &'a str, long: &str) -> Option<&'a str> {
    if long.is_empty() { None } else { arg.strip_prefix(long)?.strip_prefix('=') }
}

/// Reads how a server is set up. `pool` names the php-fpm pool that is meant.
pub fn read(kind: ConfigKind, running: &RunningServer, pool: &str) -> Option<Setup> {
    match kind {
        ConfigKind::ApachePrefork | ConfigKind::ApacheThreaded => apache::read(kind, running),
        ConfigKind::PhpFpm => php_fpm::read(running, pool),
        ConfigKind::Gunicorn => Some(gunicorn::read(running)),
        ConfigKind::Uwsgi => Some(uwsgi::read(running)),
    }
}

/// The kind of a server by its key.
pub fn kind(key: &str) -> Option<ConfigKind> {
    Some(match key {
        "apache-prefork" => ConfigKind::ApachePrefork,
        "apache-event" => ConfigKind::ApacheThreaded,
        "php-fpm" => ConfigKind::PhpFpm,
        "gunicorn" | "gunicorn-gthread" => ConfigKind::Gunicorn,
        "uwsgi" => ConfigKind::Uwsgi,
        _ => return None,
    })
}

/// A file below the server's root; its text, made valid where it is no UTF-8.
fn text(running: &RunningServer, path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    let file = std::fs::File::open(below(running, path))?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("is no file"));
    }
    file.take(LARGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Where a path of the server's is for us.
fn below(running: &RunningServer, path: &Path) -> PathBuf {
    running.root.join(path.strip_prefix("/").unwrap_or(path))
}

/// A path without its links, as the server sees it.
fn real(running: &RunningServer, path: &Path) -> PathBuf {
    match below(running, path).canonicalize() {
        Ok(real) => match real.strip_prefix(&running.root) {
            Ok(inside) => Path::new("/").join(inside),
            Err(_) => real,
        },
        Err(_) => path.to_owned(),
    }
}

/// What is known of a server's settings where only these two have been read.
fn setup(
    running: &RunningServer,
    kind: ConfigKind,
    recycle: ConfiguredSetting,
    cap: ConfiguredSetting,
    insert: Option<FileLine>,
) -> Setup {
    Setup {
        kind,
        version: None,
        files: files(running, &[recycle.place.as_ref(), cap.place.as_ref(), insert.as_ref()]),
        recycle,
        cap,
        jitter: None,
        cuts_off: false,
        server_limit: None,
        keep_alive: false,
        posixsem: false,
        insert,
        config: String::new(),
        exe: running.exe.clone(),
        interpreter: None,
        options: Vec::new(),
        status: None,
        logs: Vec::new(),
        notes: Vec::new(),
    }
}

/// A setting as it is by default.
fn default(name: &str, value: u64) -> ConfiguredSetting {
    ConfiguredSetting { name: name.to_owned(), value, place: None }
}

/// The files that match a pattern whose parts may hold `*`, `?` and `[..]`, sorted by name.
fn glob(running: &RunningServer, pattern: &Path) -> Vec<PathBuf> {
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

/// Whether a name matches a pattern, as fnmatch(3) has it without flags.
fn matches(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    // `star` is where to go back to: one more character for the last `*`.
    let (mut p, mut n, mut star) = (0, 0, None);
    while n < name.len() || p < pattern.len() {
        let next = match (pattern.get(p), name.get(n)) {
            (Some('*'), _) => {
                star = Some((p, n));
                Some((p + 1, n))
            }
            (Some('?'), Some(_)) => Some((p + 1, n + 1)),
            (Some('['), Some(c)) => set(&pattern, p, *c).map(|after| (after, n + 1)),
            (Some(a), Some(b)) if a == b => Some((p + 1, n + 1)),
            _ => None,
        };
        match (next, star) {
            (Some((next_p, next_n)), _) => (p, n) = (next_p, next_n),
            (None, Some((at, from))) if from < name.len() => {
                star = Some((at, from + 1));
                (p, n) = (at + 1, from + 1);
            }
            _ => return false,
        }
    }
    true
}

/// Behind a `[..]` that has the character; none if it has not, or never ends.
fn set(pattern: &[char], at: usize, c: char) -> Option<usize> {
    let end = at + 2 + pattern.get(at + 2..)?.iter().position(|c| *c == ']')?;
    let inside = pattern.get(at + 1..end)?;
    let (not, inside) = match inside.split_first() {
        Some(('!' | '^', rest)) => (true, rest),
        _ => (false, inside),
    };
    let range = |w: &[char]| matches!(w, [a, '-', b] if (*a..=*b).contains(&c));
    let has = inside.contains(&c) || inside.windows(3).any(range);
    (has != not).then_some(end + 1)
}

/// Keeps the text of the files that settings stand in.
fn files(running: &RunningServer, places: &[Option<&FileLine>]) -> Vec<(String, String)> {
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
        for (pattern, name) in
            [("*.conf", "a.conf"), ("a*b*c", "aXbYbc"), ("?[0-9]", "x7"), ("[!a]*", "b"), ("*", "")]
        {
            assert!(matches(pattern, name), "{pattern} {name}");
        }
        for (pattern, name) in
            [("*.conf", "a.conf~"), ("a", "ab"), ("[a", "a"), ("?", ""), ("ab", "a")]
        {
            assert!(!matches(pattern, name), "{pattern} {name}");
        }
    }

    #[test]
    fn fuzz_setups() {
        let apache: [&[u8]; 3] = [
            b"Include a/*.conf\nIncludeOptional /etc/apache2/apache2.conf\nLoadModule mpm_prefork_module m.so\nTimeout 5 \\\n 6\n",
            b"<IfModule mpm_prefork_module>\nMaxRequestWorkers 150\nMaxConnectionsPerChild 0\n</IfModule>\nListen 80\n",
            b"Define A x\nDefine A ${A}${A}\nDefine A ${A}${A}\nDefine B ${A}\n<Location \"/s\">\nSetHandler server-status\n</Location>\n<IfVersion >= 2.4>\n<IfDefine !X>\nErrorLog ${B}/e.log\n",
        ];
        let ini: [&[u8]; 2] = [
            b"[global]\nerror_log = /var/log/x\ninclude=/etc/f.conf\n[www]\nlisten = 9000\npm.max_children = 5 ; few\npm.status_path = /s\n",
            b"[uwsgi]\nprocesses = 4\nmax-requests = 50\nstats = :9191\nlogto = \"/x\"\n",
        ];
        let python: [&[u8]; 1] = [b"bind = 'x'\nworkers = 3\nmax_requests = 100  # few\n"];
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("etc/apache2")).unwrap();
        for (kind, file, args, texts) in [
            (ConfigKind::ApachePrefork, "etc/apache2/apache2.conf", "apache2", &apache[..]),
            (ConfigKind::PhpFpm, "etc/f.conf", "php-fpm: master process (/etc/f.conf)", &ini[..1]),
            (ConfigKind::Uwsgi, "etc/u.ini", "uwsgi --ini /etc/u.ini", &ini[1..]),
            (ConfigKind::Gunicorn, "etc/g.py", "gunicorn -c /etc/g.py", &python[..]),
        ] {
            let args: Vec<String> = match kind {
                ConfigKind::PhpFpm => vec![args.to_owned()],
                _ => args.split(' ').map(str::to_owned).collect(),
            };
            let root = dir.path().to_owned();
            let running = RunningServer { args, cwd: "/".into(), root, ..RunningServer::default() };
            crate::core::fuzz::fuzz(file, 40, texts, |text| {
                std::fs::write(dir.path().join(file), text).unwrap();
                drop(read(kind, &running, "www"));
            });
        }
        crate::core::fuzz::fuzz(
            "patterns of names",
            1,
            &[b"a*b?[!a-c]*.conf\na1b2.conf"],
            |text| {
                let text = String::from_utf8_lossy(text.get(..300).unwrap_or(text));
                let (pattern, name) = text.split_once('\n').unwrap_or((&text, &text));
                matches(pattern, name);
            },
        );
    }

    #[test]
    fn options_come_in_four_ways() {
        let of = |args: &[&str]| RunningServer {
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            ..RunningServer::default()
        };
        for args in
            [&["x", "-w", "4"][..], &["x", "-w4"], &["x", "--workers", "4"], &["x", "--workers=4"]]
        {
            assert_eq!(of(args).option("-w", "--workers"), Some("4"), "{args:?}");
        }
        assert_eq!(of(&["x", "--worker-class", "sync"]).option("-w", "--workers"), None);
        let defines = of(&["x", "-D", "A", "-DB", "-k", "start"]);
        assert_eq!(defines.options("-D").collect::<Vec<_>>(), ["A", "B"]);
    }
}
