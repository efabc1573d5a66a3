//! uWSGI's settings: its ini file and its command line, which are of one kind.

use super::ini::{IniEntry, entries};
use super::{RunningServer, default, setup, text};
use crate::diagnose::findings::{ConfigKind, ConfiguredSetting, FileLine, Setup, StatusPage};
use std::path::PathBuf;

/// Reads them.
pub(super) fn read(running: &RunningServer) -> Setup {
    let bare =
        running.args.iter().skip(1).find(|arg| arg.ends_with(".ini") && !arg.starts_with('-'));
    let named = running.option("", "--ini").map(str::to_owned).or_else(|| bare.cloned());
    let path: Option<PathBuf> =
        named.map(|name| running.cwd.join(name.split(':').next().unwrap_or_default()));
    let file = path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
    let conf = path.and_then(|path| text(running, &path).ok()).unwrap_or_default();
    let all: Vec<IniEntry> = entries(&file, &conf, "uwsgi".to_owned());
    let find = |names: &[&str]| {
        let is =
            |entry: &&IniEntry| entry.section == "uwsgi" && names.contains(&entry.name.as_str());
        let typed = names.iter().find_map(|name| {
            let value = running.option("", &format!("--{name}"))?;
            Some((value.to_owned(), FileLine { file: "command line".to_owned(), line: 0 }))
        });
        typed.or_else(|| all.iter().rfind(is).map(|e| (e.value.clone(), e.place.clone())))
    };
    let number = |names: &[&str], usual: u64| {
        let set = find(names).and_then(|(value, place)| {
            let name = names.first().map_or("", |name| name).to_owned();
            Some(ConfiguredSetting { name, value: value.parse().ok()?, place: Some(place) })
        });
        set.unwrap_or_else(|| default(names.first().map_or("", |name| name), usual))
    };
    let recycle = number(&["max-requests"], 0);
    let cap = match running.option("-p", "").and_then(|value| value.parse().ok()) {
        Some(value) => {
            let place = Some(FileLine { file: "command line".to_owned(), line: 0 });
            ConfiguredSetting { name: "processes".to_owned(), value, place }
        }
        None => number(&["processes", "workers"], 1),
    };
    let head = all.iter().find(|e| e.name.is_empty() && e.section == "uwsgi");
    let at = |setting: &ConfiguredSetting| setting.place.clone().filter(|place| place.line > 0);
    let insert =
        at(&recycle).or_else(|| at(&cap)).or_else(|| head.map(|entry| entry.place.clone()));
    let status = find(&["stats", "stats-server"]).map(|(value, _)| {
        let address = match value.strip_prefix(':') {
            Some(port) => format!("127.0.0.1:{port}"),
            None => value,
        };
        StatusPage { address, path: String::new() }
    });
    let log = find(&["logto", "daemonize"]).map(|(log, _)| log).filter(|log| log.starts_with('/'));
    let logs = log.into_iter().collect();
    Setup { config: file, status, logs, ..setup(running, ConfigKind::Uwsgi, recycle, cap, insert) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_and_command_line_are_read() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("app.ini"), "[uwsgi]\nprocesses = 4\nstats = :9191\n")
            .unwrap();
        let of = |args: &str| {
            let args = args.split(' ').map(str::to_owned).collect();
            read(&RunningServer {
                args,
                cwd: "/".into(),
                root: dir.path().to_owned(),
                ..RunningServer::default()
            })
        };
        let setup = of("uwsgi --ini app.ini --max-requests=50");
        assert_eq!((setup.cap.value, setup.recycle.value), (4, 50));
        assert_eq!(setup.status.unwrap().address, "127.0.0.1:9191");
        assert_eq!(setup.insert.unwrap().line, 2);
        assert_eq!(of("uwsgi -p 8").cap.value, 8);
    }
}
