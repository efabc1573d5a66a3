//! Gunicorn's settings: its configuration file, then GUNICORN_CMD_ARGS, then the command line.

use super::{Running, default, setup, text};
use crate::facts::{Kind, Place, Setting, Setup};
use std::path::PathBuf;

/// Reads them.
pub(super) fn read(running: &Running) -> Setup {
    let more = running.variable("GUNICORN_CMD_ARGS").unwrap_or_default();
    let environment = Running {
        args: more.split_whitespace().map(str::to_owned).collect(),
        ..Running::default()
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
    let number = |name: &str, short: &str, usual: u64| {
        let on_command_line = |value: String| {
            let place = Some(Place { file: "command line".to_owned(), line: 0 });
            Some(Setting { name: name.to_owned(), value: value.parse().ok()?, place })
        };
        let long = format!("--{}", name.replace('_', "-"));
        let in_file = || {
            let set = (1..).zip(conf.lines()).filter_map(|(line, text)| {
                // `workers = multiprocessing.cpu_count() * 2 + 1` is not ours to reckon.
                let (left, right) = text.split_once('=')?;
                let value = right.split('#').next()?.trim().parse().ok()?;
                let place = Some(Place { file: file.clone(), line });
                (left.trim() == name).then(|| Setting { name: name.to_owned(), value, place })
            });
            set.last()
        };
        let typed = option(short, &long).and_then(on_command_line);
        typed.or_else(in_file).unwrap_or_else(|| default(name, usual))
    };
    let recycle = number("max_requests", "", 0);
    let usual = running.variable("WEB_CONCURRENCY").and_then(|n| n.parse().ok()).unwrap_or(1);
    let cap = number("workers", "-w", usual);
    let last = conf.lines().count();
    let end = (!conf.is_empty()).then(|| Place { file: file.clone(), line: last.max(1) });
    let at = |setting: &Setting| setting.place.clone().filter(|place| place.line > 0);
    let insert = at(&recycle).or_else(|| at(&cap)).or(end);
    let log = option("", "--error-logfile").filter(|log| log.starts_with('/'));
    let logs = log.into_iter().collect();
    Setup { config: file, logs, ..setup(running, Kind::Gunicorn, recycle, cap, insert) }
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
            read(&Running {
                args: args.split(' ').map(str::to_owned).collect(),
                env: env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
                cwd: "/".into(),
                root: dir.path().to_owned(),
                ..Running::default()
            })
        };
        let from_file = of("gunicorn -c g.py app:app", &[]);
        assert_eq!((from_file.cap.value, from_file.recycle.value), (3, 100));
        assert_eq!(from_file.recycle.place.unwrap().line, 3);
        let typed =
            of("gunicorn -c g.py -w 4 app:app", &[("GUNICORN_CMD_ARGS", "--max-requests 7 -w 9")]);
        assert_eq!((typed.cap.value, typed.recycle.value), (4, 7));
        let bare = of("gunicorn app:app", &[]);
        assert_eq!((bare.cap.value, bare.recycle.value, bare.insert), (1, 0, None));
    }
}
