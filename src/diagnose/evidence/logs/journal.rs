//! Journal: what systemd's journal says, by way of journalctl: its files are not ours to parse.

use super::budget::ReadEnd;
use super::gather::LogEventCounts;
use super::hit::{hit, hit_in, record};
use super::lines::LONGEST as LONGEST_LINE;
use super::queue::ReadOutcome;
use super::wordings::LogEntry;
use crate::diagnose::findings::Witness;
use crate::system::wait;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use serde::Deserialize;
use std::io::Read;
use std::os::fd::AsFd;

/// Milliseconds between two questions whether to go on.
const PATIENCE_MS: u16 = 100;
/// The longest entry that is taken; journald cuts messages at 48 KiB.
const LONGEST: usize = 1 << 18;

/// Takes in what journalctl prints.
pub(super) fn read(
    mut output: impl Read + AsFd,
    found: &mut LogEventCounts,
    go_on: &mut dyn FnMut() -> bool,
) -> ReadOutcome {
    let (mut kept, mut part, mut entries) = (Vec::new(), vec![0; 1 << 16], 0);
    loop {
        if !go_on() {
            return ReadOutcome { entries, end: ReadEnd::TimeUp };
        }
        let mut fds = [PollFd::new(output.as_fd(), PollFlags::POLLIN)];
        if found.budget.next(part.len()) == 0 {
            return ReadOutcome { entries, end: ReadEnd::ShareUsed };
        }
        // Nothing yet, or a signal: ask again.
        let began_s = wait::awake_s();
        let ready = poll(&mut fds, PollTimeout::from(PATIENCE_MS));
        found.budget.waited(wait::awake_s() - began_s);
        if !matches!(ready, Ok(1..)) {
            continue;
        }
        let got = match output.read(&mut part) {
            Ok(0) | Err(_) => return ReadOutcome { entries, end: ReadEnd::Whole },
            Ok(got) => got,
        };
        found.read(got);
        kept.extend_from_slice(part.get(..got).unwrap_or_default());
        let mut from = 0;
        while let Some(length) =
            kept.get(from..).and_then(|rest| rest.iter().position(|byte| *byte == b'\n'))
        {
            let line = kept.get(from..from + length).unwrap_or_default();
            if !found.budget.line(line) {
                return ReadOutcome { entries, end: ReadEnd::ShareUsed };
            }
            take(line, found);
            entries += 1;
            from += length + 1;
        }
        kept.drain(..from.min(kept.len()));
        if kept.len() > LONGEST {
            kept.clear();
        }
    }
}

/// The fields of an entry that are read. A message that is no UTF-8 comes as a list of bytes.
#[derive(Deserialize)]
struct JournalLine {
    #[serde(rename = "__REALTIME_TIMESTAMP")]
    micros: String,
    #[serde(rename = "MESSAGE")]
    message: serde_json::Value,
    #[serde(rename = "SYSLOG_IDENTIFIER", default)]
    tag: serde_json::Value,
    #[serde(rename = "_TRANSPORT", default)]
    transport: serde_json::Value,
    #[serde(rename = "_COMM", default)]
    comm: serde_json::Value,
    #[serde(rename = "_UID", default)]
    uid: serde_json::Value,
    #[serde(rename = "_SYSTEMD_UNIT", default)]
    unit: serde_json::Value,
    /// What Docker and podman say of a part of a line, and journald of one that it cut.
    #[serde(rename = "CONTAINER_PARTIAL_MESSAGE", default)]
    partial: serde_json::Value,
    #[serde(rename = "CONTAINER_PARTIAL_ID", default)]
    partial_id: serde_json::Value,
    #[serde(rename = "_LINE_BREAK", default)]
    line_break: serde_json::Value,
}

impl JournalLine {
    /// Whether it is a part of a line, which may begin with what a client sent. Of the last part of one that
    /// journald cut nothing tells.
    fn is_part(&self) -> bool {
        let is_told = |value: &serde_json::Value| !value.is_null();
        is_told(&self.partial) || is_told(&self.partial_id) || self.line_break == "line-max"
    }
}

fn text(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Array(bytes) => {
            let bytes = bytes.iter().filter_map(|byte| u8::try_from(byte.as_u64()?).ok());
            String::from_utf8_lossy(&bytes.collect::<Vec<u8>>()).into_owned()
        }
        _ => String::new(),
    }
}

fn take(line: &[u8], found: &mut LogEventCounts) {
    let Ok(line) = serde_json::from_slice::<JournalLine>(line) else { return };
    if line.is_part() {
        return;
    }
    let t = line.micros.parse::<f64>().ok().map(|micros| micros * 1e-6);
    let (message, mut tag) = (text(&line.message), text(&line.tag));
    // Anyone may call himself "kernel" by syslog; the transport is journald's own word.
    let is_kernel = line.transport == "kernel";
    if is_kernel {
        "kernel".clone_into(&mut tag);
    } else {
        if tag == "kernel" || tag.is_empty() {
            // A process may be called so, too.
            tag = text(&line.comm).replace("kernel", "");
        }
        // What a user's own manager or a program in its name says is of that user's units.
        let uid = text(&line.uid);
        if ["systemd", "systemd-oomd"].contains(&&*tag) && !is_of_system(&tag, &uid, &line) {
            tag = format!("{tag} of user {uid}");
        }
    }
    // The kernel says one thing in a record; what follows a line break is a name that a user chose.
    let most = if is_kernel { 1 } else { usize::MAX };
    for body in message.lines().take(most) {
        // An application's own stamp and brackets may stand before what it says.
        let body = body.get(..body.floor_char_boundary(LONGEST_LINE)).unwrap_or(body);
        let (_, inner) = super::lines::split(body, &tag, found.stamps());
        let entry = if is_kernel { LogEntry { body, ..LogEntry::default() } } else { inner };
        let (entry, witness) = (LogEntry { tag: &tag, ..entry }, ("journal", Witness::Kernel));
        let hit = match record(body, &entry, found.stamps()) {
            Some(record) => hit_in(record, t, &entry, witness),
            None => hit(t, &entry, witness),
        };
        hit.into_iter().for_each(|hit| found.take(hit));
    }
}

/// Whether systemd's own word on the machine's units comes from where it must; journald tells that
/// itself.
fn is_of_system(tag: &str, uid: &str, line: &JournalLine) -> bool {
    match tag {
        "systemd-oomd" => text(&line.unit) == "systemd-oomd.service",
        // Journals of other makes do not tell.
        _ => uid.is_empty() || uid == "0",
    }
}

#[cfg(test)]
mod fuzz {
    #[test]
    fn fuzz_journal() {
        let texts: [&[u8]; 3] = [
            br#"{"__REALTIME_TIMESTAMP":"1795514400123456","MESSAGE":"error: fork: Cannot allocate memory","SYSLOG_IDENTIFIER":"sshd","_TRANSPORT":"syslog","_COMM":"sshd"}"#,
            br#"{"__REALTIME_TIMESTAMP":"1795514400123456","MESSAGE":"Out of memory: Killed process 7 (x) total-vm:1kB","_TRANSPORT":"kernel"}"#,
            br#"{"__REALTIME_TIMESTAMP":"1","MESSAGE":[102,111,114,107,58,32,255],"SYSLOG_IDENTIFIER":null}"#,
        ];
        let stamps = super::super::Stamps::new(jiff::tz::TimeZone::UTC, 1.795e9, 0.0);
        let mut found = super::super::LogEventCounts::new(&stamps, 0.0);
        crate::core::fuzz::fuzz("journal entries", 4, &texts, |line| super::take(line, &mut found));
    }
}

#[cfg(test)]
mod tests {
    use super::super::{LogSources, Stamps};
    use crate::diagnose::findings::{Failure, LogEvent, Logs};
    use jiff::tz::TimeZone;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    const ENTRY: &str = r#"{"__REALTIME_TIMESTAMP":"1795514400000000","_TRANSPORT":"kernel","MESSAGE":"Out of memory: Killed process 7 (apache2) total-vm:1kB"}"#;

    /// A program that stands in for journalctl.
    fn program(dir: &tempfile::TempDir, script: &str) -> PathBuf {
        let path = dir.path().join("journalctl");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    fn ask(script: &str, go_on: &mut dyn FnMut() -> bool) -> Logs {
        let dir = tempfile::tempdir().unwrap();
        let stamps = Stamps::new(TimeZone::UTC, 1_795_521_600.0, 0.0);
        let sources = LogSources {
            journalctl: Some(program(&dir, script)),
            ..LogSources::only(&dir.path().join("none"), 0.0)
        };
        super::super::read(&sources, &stamps, go_on)
    }

    #[test]
    fn entries_are_read_and_the_kernel_cannot_be_played() {
        let forged = ENTRY.replace("\"kernel\"", "\"syslog\",\"SYSLOG_IDENTIFIER\":\"kernel\"");
        let bytes = ENTRY.replace("Killed process 7", "Killed process 8");
        let logs = ask(&format!("cat <<'X'\n{ENTRY}\n{forged}\n{bytes}\nX"), &mut || true);
        let kills: Vec<_> =
            logs.log_events.iter().filter(|t| t.failure == Failure::OomKill).collect();
        assert_eq!(kills.iter().map(|log_event| log_event.count).sum::<u64>(), 2, "{logs:?}");
        assert_eq!(kills[0].last_t, Some(1_795_514_400.0));
    }

    #[test]
    fn neither_a_name_nor_a_line_break_nor_a_tag_makes_a_user_the_kernel_or_systemd() {
        let entry = |fields: &str, message: &str| {
            format!(
                r#"{{"__REALTIME_TIMESTAMP":"1795514400000000","MESSAGE":"{message}",{fields}}}"#
            )
        };
        let kill = "Out of memory: Killed process 7 (mysqld) total-vm:1kB";
        let oomd =
            "Killed /system.slice/mysqld.service due to memory pressure for /x being 64% > 1%";
        let unit = "mysqld.service: Failed to fork: Cannot allocate memory";
        let forged = [
            entry(r#""_TRANSPORT":"syslog","_COMM":"kernel","SYSLOG_IDENTIFIER":"kernel""#, kill),
            entry(r#""_TRANSPORT":"stdout","_COMM":"kernel""#, kill),
            entry(r#""_TRANSPORT":"kernel""#, &format!("x\\n{kill}")),
            entry(
                r#""_TRANSPORT":"syslog","_UID":"1000","SYSLOG_IDENTIFIER":"systemd-oomd""#,
                oomd,
            ),
        ];
        let logs = ask(&format!("cat <<'X'\n{}\nX", forged.join("\n")), &mut || true);
        let is_certain = |event: &&LogEvent| event.who.starts_with("mysqld");
        assert_eq!(logs.log_events.iter().find(is_certain), None, "{logs:?}");
        let tag = r#""_TRANSPORT":"syslog","SYSLOG_IDENTIFIER":"systemd","_UID""#;
        let [users, systems] = ["1000", "0"].map(|uid| {
            ask(&format!("echo '{}'", entry(&format!("{tag}:\"{uid}\""), unit)), &mut || true)
        });
        assert!(users.log_events.iter().all(|event| event.who != "mysqld.service"), "{users:?}");
        assert_eq!(systems.log_events[0].who, "mysqld.service");
    }

    #[test]
    fn parts_of_lines_do_not_count_and_an_answer_that_comes_late_does() {
        let fork = |more: &str| {
            format!(
                r#"{{"__REALTIME_TIMESTAMP":"1795514400000000","MESSAGE":"fork: Cannot allocate memory","SYSLOG_IDENTIFIER":"shop"{more}}}"#
            )
        };
        let entries = [
            fork(r#","CONTAINER_PARTIAL_MESSAGE":"true""#),
            fork(r#","CONTAINER_PARTIAL_ID":"1f","CONTAINER_PARTIAL_LAST":"true""#),
            fork(r#","_LINE_BREAK":"line-max""#),
        ];
        let logs = ask(&format!("cat <<'X'\n{}\nX", entries.join("\n")), &mut || true);
        assert_eq!(logs.log_events, []);
        let logs = ask(&format!("cat <<'X'\n{}\nX", fork("")), &mut || true);
        assert_eq!(logs.log_events.len(), 1, "{logs:?}");
    }

    #[test]
    fn a_journalctl_that_cannot_sift_is_asked_for_all() {
        let script = format!("case \"$*\" in *--grep*) exit 1;; esac\necho '{ENTRY}'");
        assert_eq!(ask(&script, &mut || true).log_events.len(), 1);
    }

    #[test]
    fn one_that_takes_too_long_leaves_time_for_files() {
        for script in ["exec sleep 600", "while :; do :; done"] {
            let dir = tempfile::tempdir().unwrap();
            let log = "Nov 24 10:00:00 h sshd[1]: error: fork: Cannot allocate memory\n";
            std::fs::write(dir.path().join("auth.log"), log).unwrap();
            let stamps = Stamps::new(TimeZone::UTC, 1_795_521_600.0, 0.0);
            let programs = tempfile::tempdir().unwrap();
            let sources = LogSources {
                journalctl: Some(program(&programs, script)),
                ..LogSources::only(dir.path(), 0.0)
            };
            let logs = super::super::read(&sources, &stamps, &mut || true);
            assert_eq!(logs.log_events.len(), 1, "{logs:?}");
            let told = logs.unread.iter().filter(|what| what.starts_with("older entries"));
            assert_eq!(told.count(), 2, "{:?}", logs.unread);
        }
    }

    #[test]
    fn one_that_hangs_is_given_up() {
        let mut patience = 3;
        let logs = ask("exec sleep 600", &mut || {
            patience -= 1;
            patience > 0
        });
        assert!(logs.unread[0].contains("time was up"), "{:?}", logs.unread);
    }
}
