//! What a wording that matches proves, and of whom.

use super::reasons::{missing_at_end, missing_before};
use super::sentence;
use super::wording::{Proof, Who, Wording};
use super::{LogEntry, Only};
use crate::diagnose::findings::{Failure, MissingResource};

/// What is called in a traceback where a process is made.
const CALLS: [&str; 3] = ["fork", "_execute_child", "spawn"];

/// What a call that fails says when neither memory nor tasks are short (EPERM, EACCES, ENOENT, ENOEXEC, ENOSYS,
/// EINVAL): a sandbox, or a program that is not there.
const NOT_SHORT: [&str; 6] = [
    "Operation not permitted",
    "Permission denied",
    "No such file or directory",
    "Exec format error",
    "Function not implemented",
    "Invalid argument",
];

/// The lines of the traceback that ends where a text does, without the paths in them: all are indented, and
/// what stands above them may be a client's request.
fn frames(above: &str) -> impl Iterator<Item = &str> {
    // Some syslogs drop the blanks that a message begins with.
    let is_frame = |line: &&str| line.starts_with([' ', '\t']) || line.starts_with("File \"");
    above.lines().rev().take_while(is_frame).map(without_path)
}

/// `  File "/x/a.py", line 7, in run` without the path.
fn without_path(frame: &str) -> &str {
    if !frame.trim_start_matches([' ', '\t', '|']).starts_with("File ") {
        return frame;
    }
    frame.rfind(", line ").and_then(|at| frame.get(at..)).unwrap_or_default()
}

/// What failed, and when that counts: by the message from `head` on, its whole text, and the lines above.
pub(super) fn prove(proof: Proof, head: &str, text: &str, above: &str) -> Option<(Failure, Only)> {
    let reason = || missing_at_end(head).or_else(|| missing_before(text, head));
    let failure = match proof {
        Proof::ForkFailed => match reason() {
            None if NOT_SHORT.iter().any(|error| head.contains(error)) => return None,
            reason => Failure::ForkFailed(reason.unwrap_or(MissingResource::Unsaid)),
        },
        Proof::ForkBecause => Failure::ForkFailed(reason()?),
        Proof::OutOfMemory => {
            let missing = missing_at_end(head)?;
            let prefixes = text.get(..text.len() - head.len()).unwrap_or_default();
            let of_fork = frames(above).any(|frame| CALLS.iter().any(|call| frame.contains(call)))
                || head.contains(" (fork/exec /")
                || sentence::is_called_before(prefixes);
            // What std::thread throws where a thread cannot be made.
            let of_thread =
                missing == MissingResource::Tasks && above.contains("'std::system_error'");
            match missing {
                _ if of_fork || of_thread => Failure::ForkFailed(missing),
                MissingResource::Memory => Failure::NoMemory,
                // A call that would wait says the same, and means no harm.
                _ => return None,
            }
        }
        Proof::NoMemoryUnlessAbove(told) if is_told_above(above, told) => return None,
        Proof::NoMemoryUnlessAbove(_) => Failure::NoMemory,
        Proof::Of(failure) => failure,
        Proof::DownAfter => return Some((Failure::Down, Only::After)),
        Proof::KilledUnlessTold => return Some((Failure::Killed, Only::UnlessTold)),
        Proof::ForkRetried => return Some((Failure::ForkFailed(reason()?), Only::Retries)),
        Proof::OwnKill => return Some((Failure::Killed, Only::Excuses)),
        Proof::Nothing => return None,
    };
    Some((failure, Only::Always))
}

/// Whether one of the lines above has that text and counts itself.
fn is_told_above(above: &str, text: &str) -> bool {
    let counts = |body| super::read(&LogEntry { body, ..LogEntry::default() }).is_some();
    above.lines().any(|line| line.contains(text) && counts(line))
}

/// Whose failure it was.
pub(super) fn who(wording: &Wording, head: &str, text: &str, tag: &str, unit: &str) -> String {
    let behind = head.get(wording.begins.len()..).unwrap_or_default();
    let found = match wording.who {
        Who::Program(name) => Some(name),
        Who::Unit => Some(unit),
        Who::Shell if tag.is_empty() => shell(text),
        Who::Tag | Who::Shell => None,
        Who::NextWord => behind.trim_start().split([' ', ',', ':', '(', ')']).next(),
        Who::InQuotes => head.split('"').nth(1),
        Who::InBrackets => {
            head.split(['[', ']']).nth(1).and_then(|inside| inside.split(':').next())
        }
        Who::Container => return container(text).unwrap_or_else(|| tag.to_owned()),
    };
    found.unwrap_or(tag).to_owned()
}

/// The container of `ContainerID:0123..` or `container_id:\"0123..`.
fn container(text: &str) -> Option<String> {
    let at = ["ContainerID:", "container_id:", "containerID="]
        .iter()
        .find_map(|key| Some(text.split_once(key)?.1.trim_start_matches(['\\', '"', '\''])))?;
    let id: String = at.chars().take_while(char::is_ascii_hexdigit).take(12).collect();
    (!id.is_empty()).then(|| format!("container {id}"))
}

/// The shell that wrote a line without a tag: "-bash: fork: ..".
fn shell(body: &str) -> Option<&str> {
    match body.trim_start_matches('-').split_once(": ") {
        _ if body.ends_with(": Cannot fork") => Some("sh"),
        Some((name @ ("bash" | "sh" | "zsh" | "ksh" | "ash"), _)) => Some(name),
        _ => None,
    }
}

/// The number behind "pid": "Worker (pid:7) ..", "#<Process::Status: pid 7 SIGKILL ..", "PID:7".
pub(super) fn pid(text: &str) -> Option<u32> {
    let at = text.find("pid").or_else(|| text.find("PID"))?;
    let number = text.get(at + 3..)?.trim_start_matches([' ', ':']);
    let digits = number.bytes().take_while(u8::is_ascii_digit).count();
    number.get(..digits)?.parse().ok()
}
