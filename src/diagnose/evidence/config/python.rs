//! Python: gunicorn's configuration file, then GUNICORN_CMD_ARGS, then its command line.
//!
//! A value that is a number is read. One that the file computes (`multiprocessing.cpu_count() * 2 + 1`)
//! is 0 here: as many as there are.

use super::files::text;
use super::{RunningServer, setup};
use crate::core::servers::{Server, ServerSetting};
use crate::diagnose::findings::{ConfiguredSetting, FileLine, Setup};

/// Reads how `running` is set up.
pub(super) fn read(server: &'static Server, running: &RunningServer) -> Option<Setup> {
    let advice = server.advice?;
    let running = running.with_environment(server);
    let named = running.option("-c", "--config").unwrap_or("gunicorn.conf.py");
    let path = running.cwd.join(named.trim_start_matches("file:"));
    let file = path.display().to_string();
    let conf = text(&running, &path).unwrap_or_default();
    let assigned = |of: &'static ServerSetting| number(&running, (&file, &conf), of);
    let recycle = assigned(server.recycle.first()?);
    let jitter = advice.jitter.map(assigned);
    let mut cap = assigned(server.cap.first()?);
    if cap.place.is_none() && !is_computed(&cap, &conf) {
        let concurrency = running.variable("WEB_CONCURRENCY").and_then(|n| n.parse().ok());
        cap.value = concurrency.unwrap_or(cap.value);
    }
    let last = conf.lines().count();
    let end = (!conf.is_empty()).then(|| FileLine { file: file.clone(), line: last.max(1) });
    // Of two assignments the later one counts: behind a computed one only the end is safe.
    let computed = [Some(&recycle), jitter.as_ref(), Some(&cap)]
        .into_iter()
        .flatten()
        .any(|s| is_computed(s, &conf));
    let beside = recycle.in_file().or(cap.in_file()).filter(|_| !computed).cloned();
    let log = running.option("", "--error-logfile").filter(|log| log.starts_with('/'));
    let program = running.args.first();
    let hidden = program.is_some_and(|word| word.starts_with("gunicorn: "));
    let note = "its command line, which its title hides (setproctitle); what is set there overrides the file";
    Some(Setup {
        logs: log.into_iter().map(str::to_owned).collect(),
        jitter,
        interpreter: program.filter(|word| word.contains("python")).cloned(),
        notes: hidden.then(|| note.to_owned()).into_iter().collect(),
        ..setup(&running, server, recycle, cap, beside.or(end))
    })
}

/// A setting: by option, else as the last line of the file assigns it, else as it is by default.
fn number(
    running: &RunningServer,
    (file, conf): (&str, &str),
    of: &'static ServerSetting,
) -> ConfiguredSetting {
    if let Some(value) = running.typed(of).and_then(|value| value.parse().ok()) {
        return ConfiguredSetting { of, value, place: Some(FileLine::command_line()) };
    }
    match assignment(conf, of.name()) {
        Some((line, Ok(value))) => {
            let place = Some(FileLine { file: file.to_owned(), line });
            ConfiguredSetting { of, value, place }
        }
        Some((_, Err(_))) => ConfiguredSetting { of, value: 0, place: None },
        None => ConfiguredSetting::unset(of),
    }
}

/// Whether the file computes a setting that stands nowhere else.
fn is_computed(setting: &ConfiguredSetting, conf: &str) -> bool {
    setting.place.is_none() && assignment(conf, setting.name()).is_some()
}

/// The last line that assigns a name, and the number, if it is one.
fn assignment(conf: &str, name: &str) -> Option<(usize, Result<u64, std::num::ParseIntError>)> {
    let assigned = |(line, text): (usize, &str)| {
        let (left, right) = text.split_once('=')?;
        let is_of = left.trim() == name && !right.starts_with('=');
        is_of.then(|| (line, right.split('#').next().unwrap_or_default().trim().parse()))
    };
    (1..).zip(conf.lines()).filter_map(assigned).last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::servers::by_key;

    /// A gunicorn with these files.
    fn started(dir: &std::path::Path, args: &str, env: &[(&str, &str)]) -> Setup {
        let running = RunningServer {
            args: args.split(' ').map(str::to_owned).collect(),
            env: env.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect(),
            cwd: "/".into(),
            root: dir.to_owned(),
            ..RunningServer::default()
        };
        read(by_key("gunicorn").unwrap(), &running).unwrap()
    }

    #[test]
    fn the_command_line_overrides_the_environment_and_that_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let file = "bind = 'x'\nworkers = 3\nmax_requests = 100  # few\n";
        std::fs::write(dir.path().join("g.py"), file).unwrap();
        let from_file = started(dir.path(), "gunicorn -c g.py app:app", &[]);
        assert_eq!((from_file.cap.value, from_file.recycle.value), (3, 100));
        assert_eq!(from_file.recycle.place.unwrap().line, 3);
        let environment = [("GUNICORN_CMD_ARGS", "--max-requests 7 -w 9")];
        let typed = started(dir.path(), "gunicorn -c g.py -w 4 app:app", &environment);
        assert_eq!((typed.cap.value, typed.recycle.value), (4, 7));
        let bare = started(dir.path(), "gunicorn app:app", &[]);
        assert_eq!((bare.cap.value, bare.recycle.value, bare.insert), (1, 0, None));
        let many = started(dir.path(), "gunicorn app:app", &[("WEB_CONCURRENCY", "6")]);
        assert_eq!(many.cap.value, 6);
    }

    #[test]
    fn behind_a_computed_value_only_the_end_of_the_file_is_safe() {
        let dir = tempfile::tempdir().unwrap();
        let file = "max_requests = 100\nworkers = cpus() * 2\ndef post_fork(a, b):\n    pass\n";
        std::fs::write(dir.path().join("r.py"), file).unwrap();
        let computed = started(dir.path(), "gunicorn -c r.py app:app", &[]);
        assert_eq!((computed.cap.value, computed.cap.place), (0, None));
        assert_eq!(computed.insert.unwrap().line, 4);
    }
}
