//! Python: gunicorn's configuration file, then GUNICORN_CMD_ARGS, then its command line.
//!
//! A value that is a number is read. One that the file computes (`multiprocessing.cpu_count() * 2 + 1`)
//! is not known; a variable of the environment is, where that can be read.

use super::files::text;
use super::{RunningServer, setup, with_log_formats};
use crate::core::servers::{Server, ServerSetting};
use crate::diagnose::findings::{ConfiguredSetting, FileLine, LogFormat, Setup};
use std::path::Path;

/// Reads how `running` is set up.
pub(super) fn read(server: &'static Server, running: &RunningServer) -> Option<Setup> {
    let advice = server.advice?;
    let running = running.with_environment(server);
    let named = running.option("-c", "--config").unwrap_or("gunicorn.conf.py");
    // It is read where gunicorn was started, before --chdir.
    let started = running.variable("PWD").filter(|_| running.option("", "--chdir").is_some());
    let dir = started.map_or(running.cwd.as_path(), Path::new);
    let path = dir.join(named.trim_start_matches("file:"));
    let file = path.display().to_string();
    let conf = text(&running, &path).unwrap_or_default();
    let assigned = |of: &'static ServerSetting| number(&running, (&file, &conf), of);
    let recycle = assigned(server.recycle.first()?);
    let jitter = advice.jitter.map(assigned);
    let mut cap = assigned(server.cap.first()?);
    if cap.place.is_none() && !is_computed(&cap) {
        let concurrency = running.variable("WEB_CONCURRENCY").and_then(|n| n.parse().ok());
        cap.value = concurrency.unwrap_or(cap.value);
    }
    let last = conf.lines().count();
    let end = (!conf.is_empty()).then(|| FileLine { file: file.clone(), line: last.max(1) });
    // Of two assignments the later one counts: behind a computed one only the end is safe.
    let computed =
        [Some(&recycle), jitter.as_ref(), Some(&cap)].into_iter().flatten().any(is_computed);
    let beside = recycle.in_file().or(cap.in_file()).filter(|_| !computed).cloned();
    let log = running.option("", "--error-logfile").filter(|log| log.starts_with('/'));
    let program = running.args.first();
    let hidden = program.is_some_and(|word| word.starts_with("gunicorn: "));
    let note = "its command line, which its title hides (setproctitle); what is set there overrides the file";
    let module = named.strip_prefix("python:").map(|module| {
        format!(
            "the module {module}, which is its configuration; what is set there overrides the rest"
        )
    });
    let format = log_format(server, &running, &conf, end.as_ref()).filter(|_| !hidden);
    let setup = Setup {
        logs: log.into_iter().map(str::to_owned).collect(),
        jitter,
        interpreter: program.filter(|word| word.contains("python")).cloned(),
        notes: hidden.then(|| note.to_owned()).into_iter().chain(module).collect(),
        ..setup(&running, server, recycle, cap, beside.or(end))
    };
    Some(with_log_formats(&running, setup, format.into_iter().collect()))
}

/// Settings by which another logger than gunicorn's own may write, with another format.
const OTHER_LOGGERS: [&str; 4] = ["logger_class", "logconfig", "logconfig_dict", "logconfig_json"];

/// The format of its access log, where a file of its own decides that: not under a condition, nor by
/// the command line.
fn log_format(
    server: &Server,
    running: &RunningServer,
    conf: &str,
    end: Option<&FileLine>,
) -> Option<LogFormat> {
    let of = server.advice?.pid_in_log?;
    let is_typed =
        |name: &str| running.option("", &format!("--{}", name.replace('_', "-"))).is_some();
    let is_elsewhere = running.option("", "--access-logformat").is_some()
        || running.option("", "--log-config").is_some()
        || OTHER_LOGGERS.iter().any(|name| is_typed(name) || assignment(conf, name).is_some());
    let end = end.filter(|_| !is_elsewhere)?;
    let name = of.settings.first()?;
    let place = |line| FileLine { line, ..end.clone() };
    match assignment(conf, name) {
        None => Some(LogFormat {
            log: String::new(),
            place: end.clone(),
            is_default: true,
            has_pid: false,
        }),
        Some((line, value)) => {
            let text = conf.lines().nth(line.checked_sub(1)?)?;
            let is_plain = text.starts_with(name) && value.starts_with(['\'', '"']);
            let has_pid = of.is_in(text);
            is_plain.then(|| LogFormat {
                log: String::new(),
                place: place(line),
                is_default: false,
                has_pid,
            })
        }
    }
}

/// A setting: by option, else as the last line of the file assigns it, else as it is by default.
fn number(
    running: &RunningServer,
    (file, conf): (&str, &str),
    of: &'static ServerSetting,
) -> ConfiguredSetting {
    if let Some(value) = running.typed(of).and_then(|value| value.parse().ok()) {
        let place = Some(FileLine::command_line());
        return ConfiguredSetting { of, value, place, computed: None };
    }
    let Some((line, text)) = assignment(conf, of.name()) else {
        return ConfiguredSetting::unset(of);
    };
    let place = Some(FileLine { file: file.to_owned(), line });
    match value(running, text) {
        Value::Number(value) => ConfiguredSetting { of, value, place, computed: None },
        // Of what the file computes the default holds, if it names one.
        Value::Default(value) => {
            ConfiguredSetting { of, value, place: None, computed: Some(text.to_owned()) }
        }
    }
}

/// Whether the file computes a setting that stands nowhere else.
fn is_computed(setting: &ConfiguredSetting) -> bool {
    setting.computed.is_some()
}

/// The last line that assigns a name, outside functions, and what it assigns.
fn assignment<'c>(conf: &'c str, name: &str) -> Option<(usize, &'c str)> {
    let (mut found, mut inner): (Option<(usize, &str)>, Option<usize>) = (None, None);
    for (line, text) in (1..).zip(conf.lines()) {
        let bare = text.trim_start();
        let indent = text.len() - bare.len();
        if bare.is_empty() || bare.starts_with('#') {
            continue;
        }
        // What is in a function or a class is not the module's.
        if inner.is_some_and(|depth| indent <= depth) {
            inner = None;
        }
        if inner.is_none()
            && ["def ", "class ", "async def "].iter().any(|word| bare.starts_with(word))
        {
            inner = Some(indent);
        }
        if let Some((left, right)) = text.split_once('=').filter(|_| inner.is_none())
            && left.split(':').next().is_some_and(|left| left.trim() == name)
            && !right.starts_with('=')
        {
            found = Some((line, right.split(" #").next().unwrap_or_default().trim()));
        }
    }
    found
}

/// A value as far as it can be told.
enum Value {
    /// A number.
    Number(u64),
    /// Computed; this where nothing else is said, or 0.
    Default(u64),
}

/// What an expression is: a number, or a variable of the environment with a default.
fn value(running: &RunningServer, text: &str) -> Value {
    let number = |text: &str| {
        text.trim().trim_matches(['"', '\'', '(', ')']).replace('_', "").parse::<u64>().ok()
    };
    if let Some(value) = number(text) {
        return Value::Number(value);
    }
    let text =
        text.trim().strip_prefix("int(").and_then(|t| t.strip_suffix(')')).unwrap_or(text.trim());
    let call =
        ["os.environ.get(", "environ.get(", "os.getenv(", "getenv(", "env(", "env.int(", "config("]
            .iter()
            .find_map(|call| text.strip_prefix(call)?.strip_suffix(')'));
    let Some(arguments) = call else { return Value::Default(0) };
    let (name, default) = arguments.split_once(',').unwrap_or((arguments, ""));
    let name = name.trim().trim_matches(['"', '\'']);
    let has_default = !default.trim().is_empty();
    let default = number(default.trim().trim_start_matches("default=")).unwrap_or(0);
    match running.variable(name).and_then(number) {
        Some(value) => Value::Number(value),
        // Its environment can be read, and has no such variable. Without a default the line would be an
        // error, so it stands in a condition that does not hold.
        None if has_default && !running.env.is_empty() && running.variable(name).is_none() => {
            Value::Number(default)
        }
        None => Value::Default(default),
    }
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
