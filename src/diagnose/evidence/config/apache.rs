//! Apache's configuration: Include, IncludeOptional, Define, `<IfModule>`, `<IfDefine>` and
//! `<IfVersion>` as httpd has them, from where Debian, Red Hat and SUSE keep it or `-f`, `-d` and
//! `-D` say.

use super::{MOST_FILES, RunningServer, default, files, glob, real, text};
use crate::diagnose::findings::{ConfigKind, ConfiguredSetting, FileLine, Setup, StatusPage};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Includes within includes.
const DEEPEST: usize = 16;
/// Notes on what was not read.
const MOST_NOTES: usize = 20;
/// Characters of a line with all its continuations.
const LONGEST: usize = 8192;

/// The main file by distribution, with its server root.
const USUAL: [(&str, &str); 4] = [
    ("/etc/apache2/apache2.conf", "/etc/apache2"),
    ("/etc/httpd/conf/httpd.conf", "/etc/httpd"),
    ("/etc/apache2/httpd.conf", "/etc/apache2"),
    ("/usr/local/apache2/conf/httpd.conf", "/usr/local/apache2"),
];

/// Reads it; none where the main file is not to be found or read.
pub(super) fn read(kind: ConfigKind, running: &RunningServer) -> Option<Setup> {
    let root = running.option("-d", "").map(PathBuf::from);
    let usual = USUAL.iter().find(|(file, _)| text(running, Path::new(file)).is_ok());
    let root = root.or_else(|| Some(PathBuf::from(usual?.1))).unwrap_or_default();
    let main = match running.option("-f", "") {
        Some(file) => root.join(file),
        None => PathBuf::from(usual?.0),
    };
    let defined = running.options("-D").map(str::to_owned).collect();
    let mut conf = Conf { running, kind, root, defined, ..Conf::new(running, kind) };
    conf.variables(&main);
    conf.file(&main, 0);
    if conf.files == 0 {
        return None;
    }
    Some(conf.setup(&main))
}

/// What is known of the configuration so far.
struct Conf<'r> {
    running: &'r RunningServer,
    kind: ConfigKind,
    root: PathBuf,
    /// Variables, of `Define` and of the environment.
    variables: BTreeMap<String, String>,
    defined: BTreeSet<String>,
    modules: BTreeSet<String>,
    /// The last value of each directive of the server's own scope, by its lower-case name.
    settings: BTreeMap<String, (String, FileLine)>,
    listens: Vec<String>,
    status: Option<String>,
    /// The last line of a section for the MPM, where a new directive for it belongs.
    mpm_end: Option<FileLine>,
    files: usize,
    /// Files that are being read, each included by the one before.
    open: Vec<PathBuf>,
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
    fn new(running: &'r RunningServer, kind: ConfigKind) -> Self {
        Self {
            running,
            kind,
            root: PathBuf::new(),
            variables: running.env.iter().cloned().collect(),
            defined: BTreeSet::new(),
            modules: BTreeSet::new(),
            settings: BTreeMap::new(),
            listens: Vec::new(),
            status: None,
            mpm_end: None,
            files: 0,
            open: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// The first notes are enough.
    fn note(&mut self, what: String) {
        if self.notes.len() < MOST_NOTES {
            self.notes.push(what);
        }
    }

    /// Debian's `envvars`, for whom the environment of the server may not be read.
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

    fn file(&mut self, path: &Path, depth: usize) {
        let is_open = self.open.iter().any(|open| open == path);
        if depth > DEEPEST || self.files >= MOST_FILES || is_open {
            return self.note(format!("{}: too many includes, not read", path.display()));
        }
        let text = match text(self.running, path) {
            Ok(text) => text,
            Err(error) => return self.note(format!("{}: {error}", path.display())),
        };
        self.files += 1;
        self.open.push(path.to_owned());
        let name = real(self.running, path).display().to_string();
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
            let place = FileLine { file: name.clone(), line: number };
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
                self.directive(&line, place, &sections, depth);
            }
        }
        self.open.pop();
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
            // 2.4 is what all who use it have; older ones than that have no <IfVersion> in use.
            "ifversion" => version_holds(what),
            _ => !not,
        };
        let counts = open.iter().all(|section| section.counts) && holds != not;
        Section { name, argument, counts }
    }

    /// By the module's name or its source file; a static one is not listed, but that of the MPM is
    /// told by how the processes look.
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
        match (self.kind, bare.trim_start_matches("mpm_")) {
            (ConfigKind::ApachePrefork, "prefork" | "itk") => true,
            (ConfigKind::ApacheThreaded, "event") => self.modules.contains("mpm_event"),
            (ConfigKind::ApacheThreaded, "worker") => !self.modules.contains("mpm_event"),
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

    fn directive(&mut self, line: &str, place: FileLine, sections: &[Section], depth: usize) {
        let (name, value) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let value = self.expand(value.trim());
        let words: Vec<String> = words(&value);
        let first = words.first().map_or("", String::as_str);
        let conditions = ["ifmodule", "ifdefine", "ifversion"];
        let within = sections.iter().rfind(|section| !conditions.contains(&section.name.as_str()));
        let name = name.to_ascii_lowercase();
        match (name.as_str(), within) {
            ("include" | "includeoptional", _) => self.include(first, name == "include", depth),
            ("sethandler", Some(section)) if first.eq_ignore_ascii_case("server-status") => {
                if section.name.starts_with("location") && section.argument.starts_with('/') {
                    self.status = Some(section.argument.clone());
                }
            }
            (_, Some(_)) => {}
            ("loadmodule", None) => {
                let bare = first.trim_end_matches("_module");
                self.modules.insert(bare.to_ascii_lowercase());
                let file = words.get(1).map_or("", |file| file.rsplit('/').next().unwrap_or(file));
                let file = file.trim_start_matches("mod_").trim_end_matches(".so");
                self.modules.insert(file.to_ascii_lowercase());
            }
            ("define", None) => {
                self.defined.insert(first.to_owned());
                if let Some(value) = words.get(1) {
                    self.variables.insert(first.to_owned(), value.clone());
                }
            }
            ("undefine", None) => {
                self.defined.remove(first);
                self.variables.remove(first);
            }
            ("listen", None) => self.listens.push(first.to_owned()),
            ("serverroot", None) => self.root = PathBuf::from(first),
            (name, None) => {
                self.settings.insert(name.to_owned(), (value, place));
            }
        }
    }

    fn include(&mut self, pattern: &str, must: bool, depth: usize) {
        let path = self.root.join(pattern);
        if self.files >= MOST_FILES {
            return self.note(format!("{}: too many includes, not read", path.display()));
        }
        let found = glob(self.running, &path);
        if found.is_empty() && must && !pattern.contains(['*', '?']) {
            self.note(format!("{}: not found", path.display()));
        }
        for path in found {
            if super::below(self.running, &path).is_dir() {
                for inside in glob(self.running, &path.join("*")) {
                    self.file(&inside, depth + 1);
                }
            } else {
                self.file(&path, depth + 1);
            }
        }
    }

    /// The later of two names of a directive; 2.4 takes the old ones as well.
    fn number(&self, names: [(&str, &str); 2]) -> Option<ConfiguredSetting> {
        let found = names.iter().filter_map(|(lower, name)| {
            let (value, place) = self.settings.get(*lower)?;
            let value = value.split_whitespace().next()?.parse().ok()?;
            Some(ConfiguredSetting { name: (*name).to_owned(), value, place: Some(place.clone()) })
        });
        let found: Vec<ConfiguredSetting> = found.collect();
        found.into_iter().next()
    }

    fn setup(self, main: &Path) -> Setup {
        let threaded = self.kind == ConfigKind::ApacheThreaded;
        // mod_authz_core came with 2.3, as did the names that are better.
        let old = !self.modules.contains("authz_core")
            && ["authz_default", "authz_host"].iter().any(|module| self.modules.contains(*module));
        let (recycle_name, cap_name) = match old {
            true => ("MaxRequestsPerChild", "MaxClients"),
            false => ("MaxConnectionsPerChild", "MaxRequestWorkers"),
        };
        let recycle = self.number([
            ("maxconnectionsperchild", "MaxConnectionsPerChild"),
            ("maxrequestsperchild", "MaxRequestsPerChild"),
        ]);
        let cap =
            self.number([("maxrequestworkers", "MaxRequestWorkers"), ("maxclients", "MaxClients")]);
        let limit = self.number([("serverlimit", "ServerLimit"), ("", "")]);
        let value = |name: &str| {
            let (value, _) = self.settings.get(name)?;
            Some(value.to_ascii_lowercase())
        };
        let keep_alive = value("keepalive").is_none_or(|value| value != "off");
        let posixsem = ["mutex", "acceptmutex"]
            .iter()
            .any(|name| value(name).is_some_and(|value| value.starts_with("posixsem")));
        let recycle =
            recycle.unwrap_or_else(|| default(recycle_name, if old { 10_000 } else { 0 }));
        let cap = cap.unwrap_or_else(|| default(cap_name, if threaded { 400 } else { 256 }));
        let end =
            FileLine { file: real(self.running, main).display().to_string(), line: usize::MAX };
        let beside = recycle
            .place
            .clone()
            .or_else(|| cap.place.clone())
            .or(limit.as_ref().and_then(|l| l.place.clone()));
        let insert = beside.or(self.mpm_end.clone()).unwrap_or(end);
        let files =
            files(self.running, &[recycle.place.as_ref(), cap.place.as_ref(), Some(&insert)]);
        let log = self.settings.get("errorlog").map(|(log, _)| log.trim_matches('"').to_owned());
        let log = log.filter(|log| !log.starts_with(['|', 's']));
        let status = self.status.as_ref().and_then(|path| {
            let address = self.listens.iter().find_map(|listen| loopback(listen))?;
            Some(StatusPage { address, path: path.clone() })
        });
        Setup {
            kind: self.kind,
            version: None,
            recycle,
            cap,
            jitter: None,
            cuts_off: false,
            server_limit: limit,
            keep_alive,
            posixsem,
            files,
            insert: Some(insert),
            config: main.display().to_string(),
            exe: self.running.exe.clone(),
            interpreter: None,
            options: self.running.chosen(&["-d", "-f", "-D"]),
            status,
            logs: log.map(|log| self.root.join(log).display().to_string()).into_iter().collect(),
            notes: self.notes,
        }
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
    use std::fs;

    /// A machine with these files, on which Apache was started with these arguments.
    fn setup(files: &[(&str, &str)], args: &[&str], kind: ConfigKind) -> Option<Setup> {
        let dir = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = dir.path().join(path.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match text.strip_prefix("-> ") {
                Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
                None => fs::write(path, text).unwrap(),
            }
        }
        let args = args.iter().map(|arg| (*arg).to_owned()).collect();
        let root = dir.path().canonicalize().unwrap();
        read(kind, &RunningServer { args, root, ..RunningServer::default() })
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
    fn debians_files_are_found_and_links_followed() {
        let setup =
            setup(&DEBIAN, &["/usr/sbin/apache2", "-k", "start"], ConfigKind::ApachePrefork)
                .unwrap();
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
        assert!(setup.keep_alive && !setup.posixsem && setup.notes.is_empty(), "{:?}", setup.notes);
    }

    #[test]
    fn old_names_are_kept_where_the_server_is_old() {
        let conf = "ServerRoot \"/etc/httpd\"\nKeepAlive Off\nLoadModule authz_host_module modules/mod_authz_host.so\n\
                    <IfModule prefork.c>\nStartServers 8\nMaxClients 256\nMaxRequestsPerChild 4000\n</IfModule>\n\
                    <IfModule worker.c>\nMaxClients 300\nMaxRequestsPerChild 1\n</IfModule>\nListen 127.0.0.1:8080\n";
        let setup =
            setup(&[("/etc/httpd/conf/httpd.conf", conf)], &[], ConfigKind::ApachePrefork).unwrap();
        assert_eq!(
            (setup.recycle.name.as_str(), setup.recycle.value),
            ("MaxRequestsPerChild", 4000)
        );
        assert_eq!((setup.cap.name.as_str(), setup.cap.value), ("MaxClients", 256));
        assert!(!setup.keep_alive);
    }

    #[test]
    fn without_a_line_the_defaults_hold_and_new_ones_go_beside_their_like() {
        let conf = "LoadModule mpm_prefork_module x.so\nLoadModule authz_core_module x.so\n<IfModule mpm_prefork_module>\nStartServers 5\n</IfModule>\n";
        let setup =
            setup(&[("/etc/httpd/conf/httpd.conf", conf)], &[], ConfigKind::ApachePrefork).unwrap();
        assert_eq!((setup.recycle.value, setup.recycle.place), (0, None));
        assert_eq!((setup.cap.value, setup.insert.unwrap().line), (256, 4));
    }

    #[test]
    fn the_command_line_names_file_root_and_defines() {
        let files = [
            ("/srv/a/my.conf", "Include inner/*.conf\nInclude gone.conf\n"),
            (
                "/srv/a/inner/b.conf",
                "Define CAP 40\n<IfDefine BIG>\nMaxRequestWorkers ${CAP}\n</IfDefine>\n<IfDefine !BIG>\nMaxRequestWorkers 9\n</IfDefine>\nMutex posixsem\n",
            ),
        ];
        let args = ["httpd", "-d", "/srv/a", "-f", "my.conf", "-DBIG"];
        let found = setup(&files, &args, ConfigKind::ApachePrefork).unwrap();
        assert_eq!(found.cap.value, 40);
        assert!(found.posixsem);
        assert_eq!(found.notes, ["/srv/a/gone.conf: not found"]);
        assert_eq!(setup(&files, &args[..5], ConfigKind::ApachePrefork).unwrap().cap.value, 9);
    }

    #[test]
    fn a_file_that_includes_itself_ends() {
        let conf = "ServerRoot /etc/httpd\nInclude conf/httpd.conf\nMaxClients 7\n";
        let setup =
            setup(&[("/etc/httpd/conf/httpd.conf", conf)], &[], ConfigKind::ApachePrefork).unwrap();
        assert_eq!(setup.cap.value, 7);
        assert!(setup.notes.iter().any(|note| note.contains("too many includes")));
    }

    #[test]
    fn a_virtual_hosts_lines_are_not_the_servers() {
        let conf =
            "MaxClients 7\n<VirtualHost *:80>\nKeepAlive Off\n</VirtualHost>\nMaxClients \\\n  8\n";
        let setup =
            setup(&[("/etc/httpd/conf/httpd.conf", conf)], &[], ConfigKind::ApachePrefork).unwrap();
        assert!(setup.keep_alive);
        assert_eq!(setup.cap.value, 8);
    }

    #[test]
    fn nothing_is_claimed_where_there_is_nothing() {
        assert_eq!(setup(&[], &[], ConfigKind::ApachePrefork), None);
    }
}
