//! Apache's configuration: Include, IncludeOptional, Define, `<IfModule>`, `<IfDefine>` and
//! `<IfVersion>` as httpd has them, from where Debian, Red Hat and SUSE keep it or `-f`, `-d` and
//! `-D` say.

use super::files::{MOST_FILES, exists, foreign_note, is_dir, matching, owned_text, real, text};
use super::{RunningServer, setup};
use crate::core::servers::{Server, ServerSetting, ThreadCount};
use crate::diagnose::findings::{ConfiguredSetting, FileLine, Setup, StatusPage};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Includes within includes.
const DEEPEST: usize = 16;
/// Notes on what was not read.
const MOST_NOTES: usize = 20;
/// Characters of a line with all its continuations.
const LONGEST: usize = 8192;

/// The main file and its server root, below the directory that the executable is installed below:
/// Debian; Red Hat, and its collections in /opt/rh; SUSE, Alpine, Gentoo; cPanel; what is built by hand,
/// Docker's image, Bitnami; XAMPP; Slackware; NetBSD's packages.
const USUAL: [(&str, &str); 9] = [
    ("etc/apache2/apache2.conf", "etc/apache2"),
    ("etc/httpd/conf/httpd.conf", "etc/httpd"),
    ("etc/apache2/httpd.conf", "etc/apache2"),
    ("etc/apache2/conf/httpd.conf", "etc/apache2"),
    ("conf/httpd.conf", ""),
    ("etc/httpd.conf", ""),
    ("etc/httpd/httpd.conf", "etc/httpd"),
    ("etc/httpd/conf/apache.conf", "etc/httpd"),
    ("apache2/conf/httpd.conf", "apache2"),
];
/// Where else it may be, whatever the executable.
const ELSEWHERE: [&str; 3] = ["/", "/usr/local/apache2", "/usr/local"];

/// Reads how `running` is set up; none where the main file is not found or not readable.
pub(super) fn read(server: &'static Server, running: &RunningServer, pool: &str) -> Option<Setup> {
    let (main, root) = main_file(running)?;
    let defined = running.options("-D").map(str::to_owned).collect();
    let mut conf = Conf { root, defined, ..Conf::new(running, is_threaded(server, running)) };
    conf.variables(&main);
    // "-C directive" goes before the files, "-c directive" after them: SUSE loads its modules so.
    conf.typed("-C");
    conf.file(&main, 0, false);
    let read = conf.files;
    conf.typed("-c");
    if read == 0 { None } else { conf.setup(server, &main, pool) }
}

/// Whether the children have threads: by the row that fits them, or by the executable's name where the
/// row is not one of an MPM.
fn is_threaded(server: &Server, running: &RunningServer) -> bool {
    let name = running.exe.rsplit('/').next().unwrap_or_default();
    let named = ["worker", "event"].iter().any(|mpm| name.contains(mpm));
    server.threads == ThreadCount::Many || named
}

/// The main file and the server root that relative paths begin at: as the command line says, else as
/// the executable was compiled, else where a distribution keeps it.
fn main_file(running: &RunningServer) -> Option<(PathBuf, PathBuf)> {
    let compiled = |name: &str| running.compiled_in(&format!("-D {name}=\""));
    let usual = || {
        let prefix = running.prefix();
        let places = [prefix.as_path()].into_iter().chain(ELSEWHERE.iter().map(Path::new));
        let all = places.flat_map(|place| {
            let place = Path::new("/").join(place);
            USUAL.iter().map(move |(file, root)| (place.join(file), place.join(root)))
        });
        all.into_iter().find(|(file, _)| text(running, file).is_ok())
    };
    let own_root = compiled("HTTPD_ROOT").map(PathBuf::from);
    let typed_root = running.option("-d", "").map(PathBuf::from);
    let root = typed_root.clone().or_else(|| own_root.clone());
    if let Some(file) = running.option("-f", "") {
        let root = root.or_else(|| Some(usual()?.1)).unwrap_or_default();
        return Some((root.join(file), root));
    }
    let named = root.and_then(|root| {
        let file = compiled("SERVER_CONFIG_FILE").unwrap_or_else(|| "conf/httpd.conf".to_owned());
        let file = root.join(file);
        text(running, &file).is_ok().then_some((file, root))
    });
    named.or_else(|| {
        let (file, root) = usual()?;
        Some((file, typed_root.unwrap_or(root)))
    })
}

/// What is known of the configuration so far.
struct Conf<'r> {
    running: &'r RunningServer,
    /// Whether its MPM is event or worker, rather than prefork.
    threaded: bool,
    root: PathBuf,
    /// Variables, of `Define` and of the environment.
    variables: BTreeMap<String, String>,
    defined: BTreeSet<String>,
    modules: BTreeSet<String>,
    /// The last value of each directive of the server's own scope, by its lower-case name, and the
    /// how manieth directive that was.
    settings: BTreeMap<String, (String, FileLine, usize)>,
    /// Every WSGIDaemonProcess: its words, and where it stands.
    daemons: Vec<(Vec<String>, FileLine)>,
    listens: Vec<String>,
    status: Option<String>,
    /// The last line of a section for the MPM, where a new directive for it belongs.
    mpm_end: Option<FileLine>,
    files: usize,
    /// Directives read so far.
    count: usize,
    /// Files that are being read, each included by the one before.
    open: Vec<PathBuf>,
    /// Whether the one that is being read is another user's.
    is_foreign: bool,
    notes: Vec<String>,
}

/// A section that is open.
struct Section {
    name: String,
    argument: String,
    /// Whether what is in it counts at all.
    counts: bool,
}

impl<'r> Conf<'r> {
    fn new(running: &'r RunningServer, threaded: bool) -> Self {
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
    fn variables(&mut self, main: &Path) {
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
    fn typed(&mut self, option: &str) {
        let running = self.running;
        for line in running.options(option) {
            self.directive(line, FileLine::command_line(), &[], 0, false);
        }
    }

    /// Reads a file, which may be included in a section that is none of conditions.
    fn file(&mut self, path: &Path, depth: usize, within: bool) {
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

    fn section(&self, inside: &str, open: &[Section]) -> Section {
        let (name, argument) = inside.split_once(char::is_whitespace).unwrap_or((inside, ""));
        let argument = argument.trim().trim_matches('"').to_owned();
        let name = name.to_ascii_lowercase();
        let (not, what) = match argument.strip_prefix('!') {
            Some(what) => (true, what),
            None => (false, argument.as_str()),
        };
        let holds = match name.as_str() {
            "ifmodule" => self.has_module(what),
            "ifdefine" => self.defined.contains(what),
            // All that use <IfVersion> have 2.4.
            "ifversion" => version_holds(what),
            "iffile" => exists(self.running, &self.root.join(self.expand(what))),
            "ifdirective" => self.settings.contains_key(&what.to_ascii_lowercase()),
            _ => !not,
        };
        let counts = open.iter().all(|section| section.counts) && holds != not;
        Section { name, argument, counts }
    }

    /// By the module's name or its source file. Static modules are not listed, but the processes
    /// show which MPM they have.
    fn has_module(&self, what: &str) -> bool {
        let what = what.to_ascii_lowercase();
        let bare =
            what.trim_end_matches(".c").trim_start_matches("mod_").trim_end_matches("_module");
        if self.is_mpm(&what) {
            return true;
        }
        let of_mpm =
            ["prefork", "worker", "event", "itk"].contains(&bare.trim_start_matches("mpm_"));
        // Compiled in everywhere.
        let fixed = ["core", "so", "http", "http_core", "log_config", "unixd", "version"];
        !of_mpm && (self.modules.contains(bare) || fixed.contains(&bare))
    }

    /// Whether a module's name is that of the MPM that runs.
    fn is_mpm(&self, what: &str) -> bool {
        let what = what.to_ascii_lowercase();
        let bare =
            what.trim_end_matches(".c").trim_start_matches("mod_").trim_end_matches("_module");
        match bare.trim_start_matches("mpm_") {
            "prefork" | "itk" => !self.threaded,
            "event" => self.threaded && self.modules.contains("mpm_event"),
            "worker" => self.threaded && !self.modules.contains("mpm_event"),
            _ => false,
        }
    }

    /// Replaces `${NAME}`.
    fn expand(&self, text: &str) -> String {
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

    /// A directive's number, if it is set, where that is, and the how manieth directive.
    fn number(&self, name: &str) -> Option<(u64, FileLine, usize)> {
        let (value, place, nth) = self.settings.get(&name.to_ascii_lowercase())?;
        let value = value.split_whitespace().next()?.trim_matches('"').parse().ok()?;
        Some((value, place.clone(), *nth))
    }

    /// The directive of a row that is set; of both its names, which mean the same, the later one counts.
    /// Where none is, the default of the newest one holds; of the
    /// last one, if the server is old.
    fn setting(&self, row: &'static [ServerSetting], old: bool) -> Option<ConfiguredSetting> {
        let set = row.iter().filter_map(|of| {
            let (value, place, nth) = self.number(of.name())?;
            let place = Some(place);
            Some((nth, ConfiguredSetting { of, value, place, computed: None }))
        });
        let set = set.max_by_key(|(nth, _)| *nth).map(|(_, setting)| setting);
        let usual = if old { row.last() } else { row.first() };
        set.or_else(|| Some(ConfiguredSetting::unset(usual?)))
    }

    /// The options of the daemon process group that is meant, or of the first one.
    fn daemon(&self, server: &'static Server, pool: &str) -> Option<[ConfiguredSetting; 2]> {
        let name = pool.split([')', ' ']).next().unwrap_or_default();
        let is_named =
            |(words, _): &&(Vec<String>, FileLine)| words.first().is_some_and(|w| w == name);
        let (words, place) = self.daemons.iter().find(is_named).or_else(|| self.daemons.first())?;
        let option = |of: &'static ServerSetting| {
            let value =
                words.iter().find_map(|word| word.strip_prefix(of.name())?.strip_prefix('='));
            let value = value.and_then(|value| value.parse().ok()).unwrap_or(of.default_value());
            ConfiguredSetting { of, value, place: Some(place.clone()), computed: None }
        };
        Some([option(server.recycle.first()?), option(server.cap.first()?)])
    }

    fn setup(self, server: &'static Server, main: &Path, pool: &str) -> Option<Setup> {
        // mod_authz_core came with 2.3, as did the better names.
        let old = !self.modules.contains("authz_core")
            && ["authz_default", "authz_host"].iter().any(|module| self.modules.contains(*module));
        let daemon_options = server.recycle.first().is_some_and(|of| of.is_option());
        let [recycle, mut cap] = if daemon_options {
            self.daemon(server, pool)?
        } else {
            [self.setting(server.recycle, old)?, self.setting(server.cap, old)?]
        };
        // Apache lowers what is above the other limit, and says so at its start.
        if !self.threaded && !daemon_options {
            let limit = self.number("serverlimit").map_or(256, |(limit, ..)| limit);
            cap.value = cap.value.min(limit);
        }
        let value = |name: &str| {
            let (value, ..) = self.settings.get(name)?;
            Some(value.to_ascii_lowercase())
        };
        let keep_alive = value("keepalive").is_none_or(|value| value != "off");
        let posixsem = ["mutex", "acceptmutex"]
            .iter()
            .any(|name| value(name).is_some_and(|value| value.starts_with("posixsem")));
        let warning = "`Mutex posixsem` is set: a child that is killed while it holds the mutex hangs the whole server; take another kind";
        let end =
            FileLine { file: real(self.running, main).display().to_string(), line: usize::MAX };
        let beside = recycle.place.clone().or_else(|| cap.place.clone());
        let beside = beside.or_else(|| Some(self.number("serverlimit")?.1));
        let insert = beside.or(self.mpm_end.clone()).unwrap_or(end);
        let log = self.settings.get("errorlog").map(|(log, ..)| log.trim_matches('"').to_owned());
        let log = log.filter(|log| !log.starts_with(['|', 's']));
        let status = self.status.as_ref().and_then(|path| {
            let address = self.listens.iter().find_map(|listen| loopback(listen))?;
            Some(StatusPage { address, path: path.clone() })
        });
        let base = setup(self.running, server, recycle, cap, Some(insert));
        Some(Setup {
            keep_alive,
            options: self.running.chosen(&["-d", "-f", "-D"]),
            status,
            logs: log.map(|log| self.root.join(log).display().to_string()).into_iter().collect(),
            warnings: posixsem
                .then(|| warning.to_owned())
                .into_iter()
                .chain(base.warnings.clone())
                .collect(),
            notes: self.notes,
            ..base
        })
    }
}

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

/// Sections that are conditions.
const CONDITIONS: [&str; 6] =
    ["ifmodule", "ifdefine", "ifversion", "iffile", "ifdirective", "ifsection"];

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

fn version_holds(condition: &str) -> bool {
    let (operator, version) = condition.split_once(char::is_whitespace).unwrap_or(("=", condition));
    let mut parts = version.trim().split('.').map(|part| part.parse::<u32>().unwrap_or(0));
    let wanted = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    match operator {
        ">=" | ">" => (2, 4) >= wanted,
        "<=" | "<" => (2, 4) < wanted,
        _ => wanted == (2, 4),
    }
}

/// An address on loopback at which a `Listen` answers plain HTTP.
fn loopback(listen: &str) -> Option<String> {
    let (host, port) = match listen.rsplit_once(':') {
        Some((host, port)) => (host.trim_matches(['[', ']']), port),
        None => ("", listen),
    };
    let port: u16 = port.parse().ok().filter(|port| ![443, 8443].contains(port))?;
    match host {
        "" | "*" | "0.0.0.0" | "::" | "localhost" => Some(format!("127.0.0.1:{port}")),
        "::1" => Some(format!("[::1]:{port}")),
        host if host.starts_with("127.") => Some(format!("{host}:{port}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::servers::by_key;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    /// A machine with these files, on which Apache was started with these arguments.
    fn prefork(files: &[(&str, &str)], args: &[&str]) -> Option<Setup> {
        started(&machine(files), args)
    }

    fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match text.strip_prefix("-> ") {
                Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
                None => fs::write(path, text).unwrap(),
            }
        }
        dir
    }

    fn started(dir: &tempfile::TempDir, args: &[&str]) -> Option<Setup> {
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let root = dir.path().canonicalize().unwrap();
        let server = by_key("apache-prefork").unwrap();
        read(server, &RunningServer { args, root, ..RunningServer::default() }, "")
    }

    const DEBIAN: [(&str, &str); 7] = [
        (
            "/etc/apache2/apache2.conf",
            "ServerRoot \"/etc/apache2\"\nMutex file:${APACHE_LOCK_DIR} default\nErrorLog ${APACHE_LOG_DIR}/error.log\nIncludeOptional mods-enabled/*.load\nIncludeOptional mods-enabled/*.conf\nInclude ports.conf\n",
        ),
        ("/etc/apache2/envvars", "export APACHE_LOG_DIR=/var/log/apache2$SUFFIX\n"),
        ("/etc/apache2/ports.conf", "Listen 80\n<IfModule ssl_module>\n Listen 443\n</IfModule>\n"),
        (
            "/etc/apache2/mods-available/mpm_prefork.conf",
            "# comment\nStartServers 5\nMaxRequestWorkers\t  150\nMaxConnectionsPerChild   0\n",
        ),
        ("/etc/apache2/mods-enabled/mpm_prefork.conf", "-> ../mods-available/mpm_prefork.conf"),
        (
            "/etc/apache2/mods-enabled/mpm.load",
            "LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so\nLoadModule status_module /x/mod_status.so\nLoadModule authz_core_module x.so\n",
        ),
        (
            "/etc/apache2/mods-enabled/status.conf",
            "<IfModule mod_status.c>\n<Location /server-status>\nSetHandler server-status\nRequire local\n</Location>\n</IfModule>\n",
        ),
    ];

    #[test]
    fn debians_files_are_found_behind_links() {
        let setup = prefork(&DEBIAN, &["/usr/sbin/apache2", "-k", "start"]).unwrap();
        assert_eq!((setup.recycle.value, setup.cap.value), (0, 150));
        let place = setup.cap.place.unwrap();
        assert_eq!(
            (place.file.as_str(), place.line),
            ("/etc/apache2/mods-available/mpm_prefork.conf", 3)
        );
        assert_eq!(
            setup.status,
            Some(StatusPage { address: "127.0.0.1:80".into(), path: "/server-status".into() })
        );
        assert_eq!(setup.logs, ["/var/log/apache2/error.log"]);
        assert_eq!(setup.files.len(), 1);
        assert!(
            setup.keep_alive && setup.warnings.is_empty() && setup.notes.is_empty(),
            "{:?}",
            setup.notes
        );
    }

    #[test]
    fn what_another_user_includes_names_no_address_no_log_and_no_further_file() {
        let users = "MaxRequestWorkers 33\nListen 127.0.0.1:9\nErrorLog /home/u/e.log\nInclude /secret.conf\nDefine PORT 9\nServerRoot /home/u\n<Location /evil>\nSetHandler server-status\n</Location>\n";
        let files = [
            (
                "/etc/httpd/conf/httpd.conf",
                "ServerRoot /etc/httpd\nInclude /home/u/site.conf\nInclude own.conf\nListen ${PORT}80\n",
            ),
            ("/etc/httpd/own.conf", "<Location /status>\nSetHandler server-status\n</Location>\n"),
            ("/home/u/site.conf", users),
            ("/secret.conf", "MaxConnectionsPerChild 77\n"),
        ];
        let read = |mode: u32| {
            let dir = machine(&files);
            let site = dir.path().join("home/u/site.conf");
            fs::set_permissions(site, fs::Permissions::from_mode(mode)).unwrap();
            started(&dir, &[]).unwrap()
        };
        let own = read(0o644);
        assert_eq!((own.cap.value, own.recycle.value), (33, 77));
        assert_eq!(own.status.unwrap().path, "/evil", "own.conf is looked for in /home/u then");
        let others = read(0o666);
        assert_eq!((others.cap.value, others.recycle.value), (33, 0), "settings count as they are");
        let status = others.status.unwrap();
        assert_eq!((&*status.address, &*status.path), ("127.0.0.1:80", "/status"));
        assert!(others.logs.is_empty() && others.notes[0].contains("another user"));
    }

    #[test]
    fn an_old_server_keeps_its_old_names() {
        let conf = "ServerRoot \"/etc/httpd\"\nKeepAlive Off\nLoadModule authz_host_module modules/mod_authz_host.so\n\
                    <IfModule prefork.c>\nStartServers 8\nMaxClients 256\nMaxRequestsPerChild 4000\n</IfModule>\n\
                    <IfModule worker.c>\nMaxClients 300\nMaxRequestsPerChild 1\n</IfModule>\nListen 127.0.0.1:8080\n";
        let setup = prefork(&[("/etc/httpd/conf/httpd.conf", conf)], &[]).unwrap();
        assert_eq!((setup.recycle.name(), setup.recycle.value), ("MaxRequestsPerChild", 4000));
        assert_eq!((setup.cap.name(), setup.cap.value), ("MaxClients", 256));
        assert!(!setup.keep_alive);
    }

    #[test]
    fn without_a_line_the_default_holds_and_a_new_line_goes_into_the_mpm_section() {
        let conf = "LoadModule mpm_prefork_module x.so\nLoadModule authz_core_module x.so\n<IfModule mpm_prefork_module>\nStartServers 5\n</IfModule>\n";
        let setup = prefork(&[("/etc/httpd/conf/httpd.conf", conf)], &[]).unwrap();
        assert_eq!((setup.recycle.value, setup.recycle.place), (0, None));
        assert_eq!((setup.cap.value, setup.insert.unwrap().line), (256, 4));
    }

    #[test]
    fn the_command_line_names_the_file_the_root_and_defines() {
        let files = [
            ("/srv/a/my.conf", "Include inner/*.conf\nInclude gone.conf\n"),
            (
                "/srv/a/inner/b.conf",
                "Define CAP 40\n<IfDefine BIG>\nMaxRequestWorkers ${CAP}\n</IfDefine>\n<IfDefine !BIG>\nMaxRequestWorkers 9\n</IfDefine>\nMutex posixsem\n",
            ),
        ];
        let args = ["httpd", "-d", "/srv/a", "-f", "my.conf", "-DBIG"];
        let found = prefork(&files, &args).unwrap();
        assert_eq!(found.cap.value, 40);
        assert!(found.warnings[0].contains("posixsem"));
        assert_eq!(found.notes, ["/srv/a/gone.conf: not found"]);
        assert_eq!(prefork(&files, &args[..5]).unwrap().cap.value, 9);
    }

    #[test]
    fn a_file_that_includes_itself_is_read_once() {
        let conf = "ServerRoot /etc/httpd\nInclude conf/httpd.conf\nMaxClients 7\n";
        let setup = prefork(&[("/etc/httpd/conf/httpd.conf", conf)], &[]).unwrap();
        assert_eq!(setup.cap.value, 7);
        assert!(setup.notes.iter().any(|note| note.contains("too many includes")));
    }

    #[test]
    fn lines_of_a_virtual_host_do_not_count_for_the_server() {
        let conf =
            "MaxClients 7\n<VirtualHost *:80>\nKeepAlive Off\n</VirtualHost>\nMaxClients \\\n  8\n";
        let setup = prefork(&[("/etc/httpd/conf/httpd.conf", conf)], &[]).unwrap();
        assert!(setup.keep_alive);
        assert_eq!(setup.cap.value, 8);
    }

    #[test]
    fn without_a_file_there_is_no_setup() {
        assert_eq!(prefork(&[], &[]), None);
    }
}
