//! Ini: a main file with its includes, in sections; php-fpm's pools, uWSGI's `[uwsgi]`.

use super::files::{MOST_FILES, foreign_note, matching, owned_text};
use super::ini_entries::{IniEntry, MOST_ENTRIES, entries};
use super::{RunningServer, setup, uwsgi_entries};
use crate::core::servers::{IniFile, Server, ServerSetting};
use crate::diagnose::findings::{ConfiguredSetting, FileLine, Setup, StatusPage};
use std::path::{Path, PathBuf};

/// The section for the server as a whole, where each pool has one of its own.
const GLOBAL: &str = "global";
/// The section of uWSGI, whose options are read as entries.
const UWSGI: &str = "uwsgi";

/// Reads how `running` is set up. Where pools have sections, reads the one called `pool`, else the
/// first.
pub(super) fn read(
    server: &'static Server,
    file: &IniFile,
    running: &RunningServer,
    pool: &str,
) -> Option<Setup> {
    let running = running.with_environment(server);
    let mut all = Collected::default();
    let main = if file.section.is_empty() {
        let main = main_file(file, &running)?;
        all.collect(&running, &main, GLOBAL, file.include);
        all.entries.iter_mut().for_each(|entry| expand(&running, entry));
        Some(main)
    } else {
        all.sequence(server, file, &running)
    };
    let (entries, notes) = (&all.entries, all.notes);
    let mut heads = entries.iter().filter(|e| e.name.is_empty() && e.section != GLOBAL);
    let wanted = if file.section.is_empty() { pool } else { file.section };
    let head = heads.clone().find(|e| e.section == wanted);
    let head = if file.section.is_empty() { Some(head.or(heads.next())?) } else { head };
    let section = head.map_or(file.section, |head| &head.section);
    let ini = Ini { running: &running, entries, section };
    let (recycle, cap) = (ini.number(server.recycle.first()?), ini.number(server.cap.first()?));
    let beside = recycle.in_file().or(cap.in_file());
    let insert = beside.or(head.map(|head| &head.place)).cloned();
    let log = file.logs.iter().find_map(|name| ini.anywhere(name));
    Some(Setup {
        options: main.map_or(Vec::new(), |main| {
            let option = [file.short_option, file.long_option].into_iter().find(|o| !o.is_empty());
            vec![option.unwrap_or_default().to_owned(), main.display().to_string()]
        }),
        status: ini.status_page(file),
        logs: log.filter(|log| log.starts_with('/')).into_iter().collect(),
        notes,
        ..with_warnings(&ini, file, setup(&running, server, recycle, cap, insert))
    })
}

/// The setup with what is to be said of its reloads.
fn with_warnings(ini: &Ini<'_>, file: &IniFile, mut setup: Setup) -> Setup {
    setup.warnings.splice(0..0, ini.cuts_off(file));
    setup
}

/// The main file: as the master's title has it ("php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)"),
/// or as an option names it.
fn main_file(file: &IniFile, running: &RunningServer) -> Option<PathBuf> {
    let title = running.args.first().and_then(|title| title.split_once("process ("));
    let titled = title.and_then(|(_, rest)| rest.split_once(')')).map(|(path, _)| path);
    let named = titled.or_else(|| running.option(file.short_option, file.long_option));
    Some(running.cwd.join(named?))
}

/// Replaces `${VARIABLE}`, as PHP does.
fn expand(running: &RunningServer, entry: &mut IniEntry) {
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

/// The entries of all files, in the order in which the server reads them.
#[derive(Default)]
struct Collected {
    entries: Vec<IniEntry>,
    notes: Vec<String>,
    seen: Vec<PathBuf>,
}

impl Collected {
    fn collect(&mut self, running: &RunningServer, path: &Path, section: &str, include: &str) {
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

impl Collected {
    /// Of uWSGI: files and options, in the order of its command line, for the last one counts (tried
    /// with 2.0: `--processes 3 --ini a.ini` has the file's number); files without an option come
    /// after all others. The first file is returned.
    fn sequence(
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
        if let Some((name, value)) = by_variable.filter(|_| first.is_none()) {
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

/// What holds in one section.
struct Ini<'a> {
    running: &'a RunningServer,
    entries: &'a [IniEntry],
    section: &'a str,
}

impl Ini<'_> {
    /// The last entry of one of these names in the section.
    fn entry(&self, names: &[&str]) -> Option<&IniEntry> {
        let is_of = |e: &&IniEntry| e.section == self.section && names.contains(&e.name.as_str());
        self.entries.iter().rfind(is_of)
    }

    /// The entries whose files are root's or the server's own user's.
    fn own_entries(&self) -> impl DoubleEndedIterator<Item = &IniEntry> {
        self.entries.iter().filter(|entry| !entry.is_foreign)
    }

    /// Where it says to ask, by its option or by its entry.
    fn value(&self, name: &str) -> Option<String> {
        let typed = self.running.option("", &format!("--{name}"));
        typed.map(str::to_owned).or_else(|| {
            let is_of = |e: &&IniEntry| e.section == self.section && e.name == name;
            Some(self.own_entries().rfind(is_of)?.value.clone())
        })
    }

    /// The same in any section: a log belongs to the whole server.
    fn anywhere(&self, name: &str) -> Option<String> {
        let typed = self.running.option("", &format!("--{name}")).map(str::to_owned);
        typed.or_else(|| Some(self.own_entries().rfind(|e| e.name == name)?.value.clone()))
    }

    fn number(&self, of: &'static ServerSetting) -> ConfiguredSetting {
        // uWSGI's options are entries themselves.
        let is_pools = self.section != UWSGI;
        let typed = self.running.typed(of).filter(|_| is_pools);
        if let Some(value) = typed.and_then(|value| value.parse().ok()) {
            let place = Some(FileLine::command_line());
            return ConfiguredSetting { of, value, place, computed: None };
        }
        let names = [&[of.name()], of.aliases].concat();
        let Some(entry) = self.entry(&names) else { return ConfiguredSetting::unset(of) };
        let place = Some(entry.place.clone());
        match entry.value.parse() {
            Ok(value) if !entry.unknown => ConfiguredSetting { of, value, place, computed: None },
            _ => {
                let computed = Some(entry.value.clone());
                ConfiguredSetting { place, computed, ..ConfiguredSetting::unset(of) }
            }
        }
    }

    fn status_page(&self, file: &IniFile) -> Option<StatusPage> {
        let path = match file.status_path {
            "" => String::new(),
            name => self.value(name)?,
        };
        let listen = file.status_address.iter().find_map(|name| self.value(name))?;
        let listen = listen.replace("$pool", self.section);
        let address = match listen.strip_prefix(':').unwrap_or(&listen).parse::<u16>() {
            Ok(port) => format!("127.0.0.1:{port}"),
            Err(_) => listen,
        };
        Some(StatusPage { address, path })
    }

    /// A warning if a reload gives running requests no time: seconds, or with a unit; 0 by default.
    fn cuts_off(&self, file: &IniFile) -> Option<String> {
        let name = Some(file.reload_patience).filter(|name| !name.is_empty())?;
        let set = self.entries.iter().rfind(|e| e.section == GLOBAL && e.name == name);
        let is_zero = |e: &IniEntry| e.value.trim_end_matches(char::is_alphabetic).parse() == Ok(0);
        set.is_none_or(is_zero).then(|| {
            format!("this reload cuts off running requests, since {name} is 0: do it at a quiet moment. With `{name} = 10s` in [{GLOBAL}] later reloads let them finish")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::servers::by_key;
    use crate::diagnose::evidence::config;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn php_fpm(pool: &str) -> Setup {
        let dir = tempfile::tempdir().unwrap();
        let etc = dir.path().join("etc/php/8.2/fpm");
        fs::create_dir_all(etc.join("pool.d")).unwrap();
        let main = "[global]\nerror_log = /var/log/php8.2-fpm.log\ninclude=/etc/php/8.2/fpm/pool.d/*.conf\n";
        fs::write(etc.join("php-fpm.conf"), main).unwrap();
        let www = "; a pool\n[www]\nlisten = /run/php/$pool.sock\npm = dynamic\npm.max_children = 5 ; few\n;pm.max_requests = 500\npm.status_path = /status\n";
        fs::write(etc.join("pool.d/www.conf"), www).unwrap();
        fs::write(
            etc.join("pool.d/shop.conf"),
            "[shop]\nlisten = 9001\npm.max_children = 20\npm.max_requests = 100\n",
        )
        .unwrap();
        let args = vec!["php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)".to_owned()];
        let root = dir.path().to_owned();
        let running = RunningServer { args, root, ..RunningServer::default() };
        config::read(by_key("php-fpm").unwrap(), &running, pool).unwrap()
    }

    #[test]
    fn a_pool_file_of_another_user_names_no_socket_no_log_and_no_further_file() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(dir.path().join(name), text).unwrap();
        write("main.conf", "[global]\ninclude=/pool.conf\n");
        write(
            "pool.conf",
            "error_log = /home/u/x.log\n[www]\nlisten = 9001\npm.status_path = /evil\npm.max_children = 7\ninclude = /more.conf\n",
        );
        write("more.conf", "pm.max_requests = 50\n");
        let read = |mode: u32| {
            let pool = dir.path().join("pool.conf");
            fs::set_permissions(pool, fs::Permissions::from_mode(mode)).unwrap();
            let args = vec!["php-fpm: master process (/main.conf)".to_owned()];
            let root = dir.path().to_owned();
            let running = RunningServer { args, root, ..RunningServer::default() };
            config::read(by_key("php-fpm").unwrap(), &running, "www").unwrap()
        };
        let own = read(0o644);
        assert_eq!((own.cap.value, own.recycle.value, own.logs.len()), (7, 50, 1));
        assert_eq!(own.status.unwrap().path, "/evil");
        let others = read(0o666);
        assert_eq!((others.cap.value, others.recycle.value, others.logs.len()), (7, 0, 0));
        assert_eq!(others.status, None);
        assert!(others.notes[0].contains("another user"), "{:?}", others.notes);
    }

    #[test]
    fn a_pool_has_its_settings_and_defaults() {
        let www = php_fpm("www");
        assert_eq!((www.recycle.value, www.recycle.place.as_ref()), (0, None));
        assert_eq!((www.cap.value, www.cap.place.as_ref().unwrap().line), (5, 5));
        assert_eq!(www.insert.unwrap().line, 5);
        assert_eq!(
            www.status,
            Some(StatusPage { address: "/run/php/www.sock".into(), path: "/status".into() })
        );
        assert_eq!(www.logs, ["/var/log/php8.2-fpm.log"]);
        assert_eq!(www.options, ["-y", "/etc/php/8.2/fpm/php-fpm.conf"]);
        assert!(www.warnings[0].contains("process_control_timeout is 0"), "0 by default");
    }

    #[test]
    fn the_wanted_pool_is_read() {
        let shop = php_fpm("shop");
        assert_eq!((shop.cap.value, shop.recycle.value), (20, 100));
        assert_eq!(shop.status, None);
    }

    fn uwsgi(args: &str, env: &[(&str, &str)]) -> Setup {
        let dir = tempfile::tempdir().unwrap();
        let ini = "[uwsgi]\nprocesses = 4\nstats = :9191\ninclude = other.ini\n";
        fs::write(dir.path().join("app.ini"), ini).unwrap();
        fs::write(dir.path().join("other.ini"), "[uwsgi]\nmax-requests = 7\n").unwrap();
        let running = RunningServer {
            args: args.split(' ').map(str::to_owned).collect(),
            env: env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            cwd: "/".into(),
            root: dir.path().to_owned(),
            ..RunningServer::default()
        };
        config::read(by_key("uwsgi").unwrap(), &running, "").unwrap()
    }

    #[test]
    fn the_command_line_overrides_the_file() {
        let setup = uwsgi("uwsgi --ini app.ini --max-requests=50", &[]);
        assert_eq!((setup.cap.value, setup.recycle.value), (4, 50));
        assert_eq!(setup.status.unwrap().address, "127.0.0.1:9191");
        assert_eq!(setup.insert.unwrap().line, 2);
        assert_eq!(uwsgi("uwsgi --ini app.ini:prod", &[]).cap.value, 4);
        assert_eq!(uwsgi("uwsgi -p 8", &[]).cap.value, 8);
        assert_eq!(uwsgi("uwsgi", &[("UWSGI_MAX_REQUESTS", "500")]).recycle.value, 500);
    }

    #[test]
    fn what_a_uwsgi_file_includes_is_not_opened() {
        assert_eq!(uwsgi("uwsgi --ini app.ini", &[]).recycle.value, 0);
    }
}
