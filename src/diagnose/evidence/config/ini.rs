//! Ini: a main file with its includes, in sections; php-fpm's pools, uWSGI's `[uwsgi]`.

use super::files::real;
use super::ini_entries::IniEntry;
use super::ini_files::{Collected, expand};
use super::{RunningServer, setup, with_log_formats};
use crate::core::servers::{IniFile, PidInLog, Server, ServerSetting};
use crate::diagnose::findings::{ConfiguredSetting, FileLine, LogFormat, Setup, StatusPage};
use std::path::PathBuf;

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
    let formats = ini.log_formats(server);
    let setup = Setup {
        options: main.map_or(Vec::new(), |main| {
            let option = [file.short_option, file.long_option].into_iter().find(|o| !o.is_empty());
            vec![option.unwrap_or_default().to_owned(), main.display().to_string()]
        }),
        status: ini.status_page(file),
        logs: log.filter(|log| log.starts_with('/')).into_iter().collect(),
        notes,
        ..with_warnings(&ini, file, setup(&running, server, recycle, cap, insert))
    };
    Some(with_log_formats(&running, setup, formats))
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

    /// The formats of access logs: php-fpm's of the pool, and uWSGI's where its files have one.
    fn log_formats(&self, server: &Server) -> Vec<LogFormat> {
        let Some(of) = server.advice.and_then(|advice| advice.pid_in_log) else {
            return Vec::new();
        };
        let format = self.entry(of.settings).filter(|entry| entry.place.line > 0);
        if self.section == UWSGI {
            let is_named = |word: &str| of.settings.iter().any(|name| word.starts_with(name));
            let typed = self.running.args.iter().filter_map(|arg| arg.strip_prefix("--"));
            let mut words =
                typed.map(str::to_owned).chain(self.running.env.iter().filter_map(|(name, _)| {
                    Some(name.strip_prefix("UWSGI_")?.to_ascii_lowercase().replace('_', "-"))
                }));
            let format = format.filter(|_| !words.any(|word| is_named(&word)));
            return format.map(|e| log_format(of, String::new(), e)).into_iter().collect();
        }
        let Some(log) = self.entry(&["access.log"]).filter(|entry| !entry.unknown) else {
            return Vec::new();
        };
        let path = PathBuf::from(log.value.replace("$pool", self.section));
        let path = real(self.running, &path).display().to_string();
        vec![match format {
            Some(entry) => log_format(of, path, entry),
            None => {
                let place = log.place.clone();
                LogFormat { log: path, place, is_default: true, has_pid: false }
            }
        }]
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

/// The format of a log that an entry is.
fn log_format(of: &PidInLog, log: String, entry: &IniEntry) -> LogFormat {
    let has_pid = of.is_in(&entry.value);
    LogFormat { log, place: entry.place.clone(), is_default: false, has_pid }
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
