//! The command of `--on-event`, run for each event by a helper process.
//!
//! The helper is leakwatch itself, started with the watch and waiting at a pipe: when memory is
//! short leakwatch forks nothing, and a hook that fails or hangs changes nothing in the watch. The
//! helper starts commands by posix_spawn, which copies no page table.

use crate::core::model::plain_text::ShellText;
use crate::system::prepare;
use crate::system::signal;
use crate::system::wait;
use anyhow::{Context, Result, anyhow};
use rustix::fs::OFlags;
use serde_json::{Map, Value};
use std::io::{BufRead, Write};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

/// A command may run for so many seconds.
pub const LIMIT_S: f64 = 30.0;

/// The name of the helper, by which leakwatch knows that it is one.
const HELPER: &str = "leakwatch-hook";

/// The command to run for each event, if this process was started as the helper.
pub fn asked_for() -> Option<String> {
    let mut args = std::env::args_os();
    let helper = args.next().is_some_and(|name| name == HELPER);
    helper.then(|| args.next().unwrap_or_default().to_string_lossy().into_owned())
}

/// The helper, as the watch sees it.
#[derive(Debug)]
pub struct Hook {
    /// It exits by itself when the pipe is closed; leakwatch does not wait for it.
    _helper: Child,
    pipe: Option<ChildStdin>,
    line: Vec<u8>,
    stuck: bool,
}

impl Hook {
    /// Starts the helper that will run `command`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &str) -> Result<Self> {
        let program = std::env::current_exe().context("cannot tell where leakwatch itself is")?;
        // What the command prints belongs to neither stream of events.
        let mut helper = Command::new(program)
            .arg0(HELPER)
            .arg(command)
            .stdin(Stdio::piped())
            .stdout(std::io::stderr())
            // Ctrl-C at the watch does not cut the mail that tells of it.
            .process_group(0)
            .spawn()
            .map_err(|error| {
                let hint = "restart leakwatch when forks work again";
                anyhow!("its command is not run: cannot start the helper for --on-event: {error}\n  hint: {hint}")
            })?;
        let pipe = helper.stdin.take();
        if let Some(pipe) = &pipe {
            // A hook that hangs must not stop the watch.
            rustix::fs::fcntl_setfl(pipe, OFlags::NONBLOCK)
                .context("cannot prepare the pipe to the helper")?;
        }
        Ok(Self { _helper: helper, pipe, line: Vec::with_capacity(4096), stuck: false })
    }

    /// Hands on an event: `write` writes it as one line of JSON, then one of text. Returns what is
    /// wrong when that fails, once; the event is then lost.
    pub fn tell(
        &mut self,
        write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>,
    ) -> Option<&'static str> {
        let pipe = self.pipe.as_mut()?;
        self.line.clear();
        write(&mut self.line).ok()?;
        // Below PIPE_BUF bytes, which an event is, a pipe takes all or nothing.
        match pipe.write(&self.line) {
            Ok(_) => {
                self.stuck = false;
                None
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                let told = std::mem::replace(&mut self.stuck, true);
                (!told).then_some("the --on-event command is too slow; dropping events")
            }
            Err(_) => {
                self.pipe = None;
                Some(
                    "the helper that runs the --on-event command has died; events are no longer handed to it",
                )
            }
        }
    }
}

/// The helper: reads events and runs `command` for each, for `limit_s` seconds at most. Failures go
/// to `err`.
///
/// # Errors
/// When the events or `err` fail.
pub fn serve(
    command: &str,
    limit_s: f64,
    events: impl BufRead,
    err: &mut impl Write,
) -> Result<()> {
    prepare::undo_prepare();
    let mut lines = events.lines();
    while let Some(json) = lines.next() {
        let json = json.context("cannot read the events")?;
        let text = lines.next().transpose().context("cannot read the events")?.unwrap_or_default();
        let event: Map<String, Value> = serde_json::from_str(&json).unwrap_or_default();
        let name = event.get("event").and_then(Value::as_str).unwrap_or("unknown").to_owned();
        let child = Command::new("/bin/sh")
            .args(["-c", command])
            .envs(event.iter().filter_map(|(key, value)| variable(key, value)))
            .env("LEAKWATCH_TEXT", ShellText(text.trim_end()).to_string())
            .env("LEAKWATCH_JSON", &json)
            .stdin(Stdio::null())
            // Its whole group is ended if it takes too long.
            .process_group(0)
            .spawn();
        let wrong = match child {
            Err(error) => Some(format!("could not be started: {error}")),
            Ok(mut child) => match wait::child(&mut child, Duration::from_secs_f64(limit_s)) {
                Some(status) if status.success() => None,
                Some(status) => Some(format!("failed: {status}")),
                None => {
                    signal::end_group(&child);
                    child.wait().ok();
                    Some(format!("took longer than {limit_s} s and was ended"))
                }
            },
        };
        if let Some(wrong) = wrong {
            writeln!(err, "leakwatch: the hook for the event '{}' {wrong}", name.escape_debug())?;
        }
    }
    Ok(())
}

/// `"footprint_bytes": 7` as LEAKWATCH_FOOTPRINT_BYTES=7, always one line of plain text; objects are left
/// to LEAKWATCH_JSON.
fn variable(key: &str, value: &Value) -> Option<(String, String)> {
    let value = match value {
        // A process chose its name, and a hook puts it into headers and commands.
        Value::String(text) => ShellText(text).to_string(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        _ => return None,
    };
    Some((format!("LEAKWATCH_{}", key.to_ascii_uppercase()), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the helper says while it runs `command` for these events.
    fn served(command: &str, limit_s: f64, events: &str) -> String {
        let mut err = Vec::new();
        serve(command, limit_s, events.as_bytes(), &mut err).unwrap();
        String::from_utf8(err).unwrap()
    }

    const ORDER: &str =
        "{\"event\":\"order\",\"pid\":7,\"comm\":\"a\\u0000b\",\"root\":{\"pid\":1}}\nORDER a[7]\n";

    #[test]
    fn a_command_gets_the_event_in_its_environment() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        let command = format!(
            "echo \"$LEAKWATCH_EVENT $LEAKWATCH_PID $LEAKWATCH_COMM $LEAKWATCH_TEXT${{LEAKWATCH_ROOT-}}\" >>{}",
            out.display()
        );

        assert_eq!(served(&command, 10.0, &ORDER.repeat(2)), "");

        let text = std::fs::read_to_string(out).unwrap();
        assert_eq!(text, "order 7 a?b ORDER a[7]\n".repeat(2));
    }

    #[test]
    fn no_variable_has_more_than_one_line_whatever_a_process_is_called() {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out");
        for name in [
            "x\nBcc:evil@e.co",
            "x\\nBcc:evil",
            "\r\nA",
            "a\u{2028}b",
            "\u{1b}[2J",
            "$(id)`id`",
            "\u{85}x",
        ] {
            let event = serde_json::json!({ "event": "order", "comm": name, "place": name });
            // dash's echo makes a line break of a backslash and an n.
            let command = format!(
                "echo \"$LEAKWATCH_COMM|$LEAKWATCH_PLACE|$LEAKWATCH_TEXT\" >{}",
                out.display()
            );
            assert_eq!(served(&command, 10.0, &format!("{event}\nORDER {}\n", "x")), "");
            let text = std::fs::read_to_string(&out).unwrap();
            assert_eq!(text.lines().count(), 1, "{name:?}: {text:?}");
            assert!(!text.trim_end().chars().any(char::is_control), "{text:?}");
        }
    }

    #[test]
    fn a_command_that_fails_or_hangs_is_said_and_the_next_event_follows() {
        let failed = "leakwatch: the hook for the event 'order' failed: exit status: 3\n";
        assert_eq!(served("exit 3", 10.0, &ORDER.repeat(2)), failed.repeat(2));
        // The sleep holds the group, as a hanging curl would.
        let hung = served("sleep 60 & wait", 0.05, ORDER);
        assert!(hung.contains("took longer than 0.05 s and was ended"), "{hung}");
    }
}
