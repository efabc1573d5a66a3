//! Servers: the table of servers, how their workers are ended and which settings bound a leak.

use crate::core::model::units::Seconds;
use crate::core::servers::{
    FailedFork, RecognisedBy, Server, ServerSetting, Termination, ThreadCount, WorkerPolicy,
};
use serde_json::{Value, json};
use std::fmt;
use std::io::{self, Write};

/// Columns, whatever the terminal has.
const WIDTH: usize = 80;

/// How a worker is ended, in words: "USR1, after 70 s TERM, then KILL".
pub struct Ended<'a>(pub &'a Termination);

impl fmt::Display for Ended<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Termination { first, grace_s, then } = self.0;
        write!(f, "{}", first.1.name())?;
        for (index, step) in then.iter().enumerate() {
            match index {
                0 => write!(f, ", after {} {}", Seconds(*grace_s), step.signal().name())?,
                _ => write!(f, ", then {}", step.signal().name())?,
            }
        }
        Ok(())
    }
}

/// Writes one line for each server; a paragraph if `full`.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(out: &mut impl Write, servers: &[&Server], full: bool) -> io::Result<()> {
    if full {
        return servers.iter().try_for_each(|server| write_full(out, server));
    }
    let row = |out: &mut dyn Write, name: &str, ended: &str, fork: &str| {
        writeln!(out, "{}", format!("{name:<28}{ended:<33}{fork}").trim_end())
    };
    row(out, "SERVER", "WORKERS ARE ENDED BY", "MASTER SURVIVES")?;
    row(out, "", "", "A FAILED FORK")?;
    for server in servers {
        let ended = match &server.workers {
            WorkerPolicy::End(ending) => Ended(ending).to_string(),
            WorkerPolicy::Allow(ending, _) => {
                format!("{} if --allow {}", Ended(ending), server.key)
            }
            WorkerPolicy::Reload(signal, _) => {
                format!("{} to the master if --reload", signal.name())
            }
            WorkerPolicy::Report(_) => "nothing, only reported".to_owned(),
        };
        let fork = match server.failed_fork {
            FailedFork::Survives => "yes",
            FailedFork::Ends(_) => "no",
            FailedFork::Unknown => "",
        };
        row(out, server.name, &ended, fork)?;
    }
    writeln!(out, "Details of one: leakwatch servers NAME; of all: leakwatch servers all")
}

fn write_full(out: &mut impl Write, server: &Server) -> io::Result<()> {
    writeln!(out, "{} ({})", server.name, server.key)?;
    let mut line = |what: &str, text: &str| wrap(out, what, text);
    line("known by", &known_by(server))?;
    match &server.workers {
        WorkerPolicy::End(ending) => line("ended by", &Ended(ending).to_string())?,
        WorkerPolicy::Allow(ending, why) => {
            line("ended by", &format!("nothing: {why}"))?;
            line("if allowed", &Ended(ending).to_string())?;
        }
        WorkerPolicy::Reload(_, why) | WorkerPolicy::Report(why) => {
            line("ended by", &format!("nothing: {why}"))?;
        }
    }
    if !server.helpers.is_empty() {
        line("never ended", &server.helpers.join(", "))?;
    }
    match server.failed_fork {
        FailedFork::Survives => line("failed fork", "its master continues and tries again")?,
        FailedFork::Ends(what) => line("failed fork", &format!("its master {what}"))?,
        FailedFork::Unknown => {}
    }
    for (what, settings) in [("recycle", server.recycle), ("cap", server.cap)] {
        for ServerSetting { line: set, counts, default, versions, .. } in settings {
            let versions =
                if versions.is_empty() { String::new() } else { format!("; {versions}") };
            line(what, &format!("{set}   N: {counts}; default {default}{versions}"))?;
        }
    }
    for (distribution, path) in server.files {
        line("file", &format!("{path} ({distribution})"))?;
    }
    if !server.apply.is_empty() {
        line("apply", server.apply)?;
    }
    if !server.verified.is_empty() {
        line("verified", server.verified)?;
    }
    writeln!(out)
}

fn known_by(server: &Server) -> String {
    let by = server.by.iter().map(|by| match by {
        RecognisedBy::Exe(names) => format!("executable {}", names.join(", ")),
        RecognisedBy::Dir(dir) => format!("an executable below {dir}/"),
        RecognisedBy::Title(names) => format!("{} in an interpreter's title", names.join(" or ")),
        RecognisedBy::TitleBegins(texts) => {
            format!("a title that begins with {}", texts.join(" or ").trim_end())
        }
        RecognisedBy::Fork => "a fork of its parent that no other row names".to_owned(),
    });
    let mut by = by.collect::<Vec<_>>().join("; ");
    by += match server.threads {
        ThreadCount::Any => "",
        ThreadCount::One => "; one thread",
        ThreadCount::Many => "; two threads or more",
    };
    if by.is_empty() { "being in no other row".to_owned() } else { by }
}

/// Writes a label and a text after it, wrapped between words.
fn wrap(out: &mut dyn Write, what: &str, text: &str) -> io::Result<()> {
    const INDENT: usize = 15;
    let (mut start, mut column) = (format!("  {what}"), 0);
    for word in text.split(' ') {
        if column > 0 && INDENT + column + word.chars().count() > WIDTH {
            (start, column) = (String::new(), 0);
            writeln!(out)?;
        }
        match column {
            0 => write!(out, "{start:<INDENT$}{word}")?,
            _ => write!(out, " {word}")?,
        }
        column += word.chars().count() + 1;
    }
    writeln!(out)
}

/// Writes one JSON object: `schema` 1 and `servers`, each with `name`, `key`, `known_by` (words),
/// `signals` (each with `step`, `signal` and, for the first, `grace_s`), `only_if` (an option) and
/// `instead` (words) where a condition or no signal applies, `helpers`, `survives_failed_fork` (absent
/// if not known), `recycle` and `cap` (each with `line`, `counts`, `default`, `versions`), `files`
/// (each with `distribution`, `path`), `apply` and `verified` (words).
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json(out: &mut impl Write, servers: &[&Server]) -> io::Result<()> {
    let servers: Vec<Value> = servers.iter().map(|server| as_json(server)).collect();
    serde_json::to_writer(&mut *out, &json!({"schema": 1, "servers": servers}))?;
    writeln!(out)
}

fn as_json(server: &Server) -> Value {
    let signals = |ending: &Termination| {
        let (step, signal) = ending.first;
        let first =
            json!({"step": step.name(), "signal": signal.name(), "grace_s": ending.grace_s});
        let then = ending
            .then
            .iter()
            .map(|step| json!({"step": step.name(), "signal": step.signal().name()}));
        Value::Array([first].into_iter().chain(then).collect())
    };
    let settings = |settings: &[ServerSetting]| {
        let one = |s: &ServerSetting| json!({"line": s.line, "counts": s.counts, "default": s.default, "versions": s.versions});
        Value::Array(settings.iter().map(one).collect())
    };
    let files = server.files.iter().map(|(at, path)| json!({"distribution": at, "path": path}));
    let mut object = json!({
        "name": server.name,
        "key": server.key,
        "known_by": known_by(server),
        "helpers": server.helpers,
        "recycle": settings(server.recycle),
        "cap": settings(server.cap),
        "files": Value::Array(files.collect()),
        "apply": server.apply,
        "verified": server.verified,
    });
    let mut more = |key: &str, value: Value| {
        if let Value::Object(object) = &mut object {
            object.insert(key.to_owned(), value);
        }
    };
    match &server.workers {
        WorkerPolicy::End(ending) => more("signals", signals(ending)),
        WorkerPolicy::Allow(ending, why) => {
            more("signals", signals(ending));
            more("only_if", format!("--allow {}", server.key).into());
            more("instead", (*why).into());
        }
        WorkerPolicy::Reload(signal, why) => {
            more("signals", json!([{"step": "reload", "signal": signal.name()}]));
            more("only_if", "--reload".into());
            more("instead", (*why).into());
        }
        WorkerPolicy::Report(why) => more("instead", (*why).into()),
    }
    match server.failed_fork {
        FailedFork::Survives => more("survives_failed_fork", true.into()),
        FailedFork::Ends(_) => more("survives_failed_fork", false.into()),
        FailedFork::Unknown => {}
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::servers::TABLE;

    #[test]
    fn the_table_fits_a_terminal() {
        for full in [false, true] {
            let mut out = Vec::new();
            write(&mut out, TABLE, full).unwrap();
            let text = String::from_utf8(out).unwrap();
            // A path or a command stays on one line, which must fit.
            let long: Vec<&str> =
                text.lines().filter(|line| line.chars().count() > WIDTH).collect();
            assert!(long.is_empty(), "{long:#?}");
            assert!(TABLE.iter().all(|server| text.contains(server.name)));
        }
    }

    #[test]
    fn json_says_for_each_server_how_workers_end_or_what_to_do_instead() {
        let mut out = Vec::new();
        write_json(&mut out, TABLE).unwrap();
        let json: Value = serde_json::from_slice(&out).unwrap();
        for server in json["servers"].as_array().unwrap() {
            assert!(server["signals"].is_array() || server["instead"].is_string(), "{server}");
        }
        assert_eq!(json["servers"][0]["signals"][0]["signal"], "USR1");
        assert_eq!(json["servers"][0]["recycle"][0]["line"], "maximum-requests=N");
    }
}
