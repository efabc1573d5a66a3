//! Gunicorn's settings: its configuration file, then GUNICORN_CMD_ARGS, then the command line.
//!
//! The file is Python. A value that is a number is read; one that is reckoned there
//! (`multiprocessing.cpu_count() * 2 + 1`) is 0 here: as many as there are.

use super::{RunningServer, default, setup, text};
use crate::diagnose::findings::{ConfigKind, ConfiguredSetting, FileLine, Setup};
use std::path::PathBuf;

/// Reads them.
pub(super) fn read(running: &RunningServer) -> Setup {
    let more = running.variable("GUNICORN_CMD_ARGS").unwrap_or_default();
    let environment = RunningServer {
        args: more.split_whitespace().map(str::to_owned).collect(),
        ..RunningServer::default()
    };
    let option = |short: &str, long: &str| {
        let typed = running.option(short, long).or_else(|| environment.option(short, long));
        typed.map(str::to_owned)
    };
    let named = option("-c", "--config");
    let path = named.unwrap_or_else(|| "gunicorn.conf.py".to_owned());
    let path: PathBuf = running.cwd.join(path.trim_start_matches("file:"));
    let file = path.display().to_string();
    let conf = text(running, &path).unwrap_or_default();
    let mut reckoned = false;
    let mut number = |name: &str, short: &str, usual: u64| {
        let long = format!("--{}", name.replace('_', "-"));
        if let Some(value) = option(short, &long).and_then(|value| value.parse().ok()) {
            let place = Some(FileLine { file: "command line".to_owned(), line: 0 });
            return ConfiguredSetting { name: name.to_owned(), value, place };
        }
        let set = (1..).zip(conf.lines()).filter_map(|(line, text)| {
            let (left, right) = text.split_once('=')?;
            let is_of = left.trim() == name && !right.starts_with('=');
            is_of.then(|| (line, right.split('#').next().unwrap_or_default().trim().parse()))
        });
        match set.last() {
            Some((line, Ok(value))) => {
                let place = Some(FileLine { file: file.clone(), line });
                ConfiguredSetting { name: name.to_owned(), value, place }
            }
            Some((_, Err(_))) => {
                reckoned = true;
                default(name, 0)
            }
            None => default(name, usual),
        }
    };
    let recycle = number("max_requests", "", 0);
    let jitter = number("max_requests_jitter", "", 0);
    let usual = running.variable("WEB_CONCURRENCY").and_then(|n| n.parse().ok()).unwrap_or(1);
    let cap = number("workers", "-w", usual);
    let last = conf.lines().count();
    let end = (!conf.is_empty()).then(|| FileLine { file: file.clone(), line: last.max(1) });
    let at = |setting: &ConfiguredSetting| setting.place.clone().filter(|place| place.line > 0);
    // Of two assignments the later one counts: behind one that is reckoned only the end is safe.
    let beside = at(&recycle).or_else(|| at(&cap)).filter(|_| !reckoned);
    let insert = beside.or(end);
    let log = option("", "--error-logfile").filter(|log| log.starts_with('/'));
    let logs = log.into_iter().collect();
    let interpreter = running.args.first().filter(|word| word.contains("python")).cloned();
    let hidden = running.args.first().is_some_and(|word| word.starts_with("gunicorn: "));
    let notes = hidden.then(|| {
        "its command line, which its title hides (setproctitle); what is set there counts more than a file"
            .to_owned()
    });
    Setup {
        config: file,
        logs,
        jitter: Some(jitter),
        interpreter,
        notes: notes.into_iter().collect(),
        ..setup(running, ConfigKind::Gunicorn, recycle, cap, insert)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_beats_the_environment_and_that_the_file() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(
            dir.path().join("g.py"),
            "bind = 'x'\nworkers = 3\nmax_requests = 100  # few\n",
        )
        .unwrap();
        let of = |args: &str, env: &[(&str, &str)]| {
            read(&RunningServer {
                args: args.split(' ').map(str::to_owned).collect(),
                env: env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
                cwd: "/".into(),
                root: dir.path().to_owned(),
                ..RunningServer::default()
            })
        };
        let from_file = of("gunicorn -c g.py app:app", &[]);
        assert_eq!((from_file.cap.value, from_file.recycle.value), (3, 100));
        assert_eq!(from_file.recycle.place.unwrap().line, 3);
        let typed =
            of("gunicorn -c g.py -w 4 app:app", &[("GUNICORN_CMD_ARGS", "--max-requests 7 -w 9")]);
        assert_eq!((typed.cap.value, typed.recycle.value), (4, 7));
        let reckoned = "max_requests = 100\nworkers = cpus() * 2\ndef post_fork(a, b):\n    pass\n";
        std::fs::write(dir.path().join("r.py"), reckoned).unwrap();
        let reckoned = of("gunicorn -c r.py app:app", &[]);
        assert_eq!((reckoned.cap.value, reckoned.cap.place), (0, None));
        assert_eq!(reckoned.insert.unwrap().line, 4, "behind all that is there");
        let bare = of("gunicorn app:app", &[]);
        assert_eq!((bare.cap.value, bare.recycle.value, bare.insert), (1, 0, None));
    }
}
