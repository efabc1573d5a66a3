//! Ended: what a supervisor that no row knows says of a process that ended by signal 9.
//!
//! Who sent the signal is not said, so it counts as an end by signal 9 and as nothing more. A supervisor
//! sends it itself to who is too slow, and says so first or in the same sentence: that never counts. As in
//! `sentence`, the words begin the message, and what stands before the signal is the supervisor's own.

use super::super::prefixes::OTHERS_WORDS;
use super::sentence::FAILED_TO;

/// What ended.
const NOUNS: [&str; 9] =
    ["worker", "child", "process", "subprocess", "task", "job", "program", "app", "application"];
/// That it ended.
const ENDED: [&str; 9] =
    ["exit", "exited", "terminated", "killed", "died", "finished", "ended", "crashed", "aborted"];
/// How the signal is named, before which it is said that something ended.
const SIGNALS: [&str; 5] = ["signal 9", "signal=9", "signal=-9", "signal: 9", "SIGKILL"];
/// Parts of words of a supervisor that ends it itself, or of what did not happen.
const BY_ITSELF: [&str; 17] = [
    "sending", "sent", "killing", "timeout", "timed", "deadline", "cancel", "stop", "shut", "forc",
    "request", "not ", "will ", "would ", "should ", " if ", "may ",
];
/// The words for such an end in Go (`os.ProcessState`) and Rust (`ExitStatus`, cargo).
const STATUSES: [&str; 3] = ["signal: killed", "signal: 9 (SIGKILL)", "(signal: 9, SIGKILL: kill)"];
/// The most words before the signal, and of them before what ended.
const MOST_WORDS: usize = 14;
const MOST_BEFORE: usize = 4;
/// The most pieces between colons before a status.
const MOST_PIECES: usize = 3;

/// Of what a supervisor ends a part that holds too much memory.
const FOR_MEMORY: [&str; 3] =
    ["exceeding memory limit", "beyond physical memory limit", "to memory pressure"];

/// Whether that says that a supervisor killed a process for its memory: "Lost executor 9 on a.org: Container
/// killed by YARN for exceeding memory limits". A limit of address space is no lack of memory.
pub(super) fn is_killed_for_memory(text: &str) -> bool {
    let at = FOR_MEMORY.iter().filter_map(|phrase| text.find(phrase)).min();
    let Some(before) = at.and_then(|at| text.get(..at)) else { return false };
    let is_of_space =
        text.contains("virtual memory used") && !text.contains("physical memory used");
    let is_kill = before.contains("killed ") || text.contains(". Killing ");
    let is_over = [" not ", " will ", " would ", " may "].iter().all(|part| !before.contains(part));
    let words: Vec<&str> = before.split(' ').filter(|word| !word.is_empty()).collect();
    let is_noun = |word: &&str| {
        let noun = word.split(['[', '(', '#', ',']).next().unwrap_or_default();
        let noun = noun.to_ascii_lowercase();
        let noun = noun.strip_suffix('s').unwrap_or(&noun);
        NOUNS.contains(&noun) || ["container", "executor"].contains(&noun)
    };
    is_kill
        && is_over
        && !is_of_space
        && words.len() <= MOST_WORDS
        && words.iter().take(2).any(is_noun)
        && words.iter().all(|word| is_own(word))
}

/// Whether that says that a process ended by signal 9. `quoted` is whether a quote stands before it.
pub(super) fn is_killed(head: &str, quoted: bool) -> bool {
    let text = if quoted { head.split('"').next().unwrap_or_default() } else { head };
    let lower = text.to_ascii_lowercase();
    !BY_ITSELF.iter().any(|part| lower.contains(part)) && (is_told(text) || is_status(text))
}

/// "Child process with PID 7 was terminated by signal 9".
fn is_told(text: &str) -> bool {
    let signal = |name: &&str| {
        let at = text.find(*name)?;
        let next = text.as_bytes().get(at + name.len());
        let begins = text.get(..at)?.ends_with([' ', '\'', '"', '(', '[']);
        (begins && !next.is_some_and(u8::is_ascii_alphanumeric)).then_some(at)
    };
    let Some(before) = SIGNALS.iter().filter_map(signal).min().and_then(|at| text.get(..at)) else {
        return false;
    };
    let words: Vec<&str> = before.split(' ').filter(|word| !word.is_empty()).collect();
    let Some(at) = words.iter().take(MOST_BEFORE + 1).position(|word| is_noun(word)) else {
        return false;
    };
    let (by, behind) = words.split_at(at);
    words.len() <= MOST_WORDS
        && by.iter().all(|word| word.bytes().all(|byte| byte.is_ascii_alphabetic()))
        && words.iter().all(|word| is_own(word))
        && behind.iter().any(|word| ENDED.contains(&word.trim_matches(['(', ',', ';', ':'])))
}

/// "worker", "Worker[3]", "process(7)", "worker#0"; not "worker_2", which is a name.
fn is_noun(word: &str) -> bool {
    let noun = word.split(['[', '(', '#', ',']).next().unwrap_or_default();
    NOUNS.iter().any(|known| noun.eq_ignore_ascii_case(known))
}

/// Whether that word may be the supervisor's own: closed quotes, none behind which others' words stand.
fn is_own(word: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.,;:#()[]+-=/'\"".contains(c);
    let is_closed = ['\'', '"'].iter().all(|quote| word.matches(*quote).count() % 2 == 0);
    let name = word.split('=').next().unwrap_or_default();
    let name = name.trim_end_matches(':').to_ascii_lowercase();
    word.chars().all(plain) && is_closed && !OTHERS_WORDS.contains(&&*name)
}

/// "go build a/b: /usr/lib/go/compile: signal: killed", "process didn't exit successfully: `rustc`
/// (signal: 9, SIGKILL: kill)".
fn is_status(text: &str) -> bool {
    let text = text.trim_end_matches(['.', ' ']);
    let Some(before) = STATUSES.iter().find_map(|status| text.strip_suffix(status)) else {
        return false;
    };
    let before = before.trim_end_matches([' ', ':']);
    // What ran, in backquotes, which it has not itself.
    let before = match before.strip_suffix('`').and_then(|rest| rest.split_once('`')) {
        Some((before, ran)) if !ran.contains('`') => before.trim_end_matches([' ', ':']),
        _ => before,
    };
    let pieces: Vec<&str> = before.split(": ").collect();
    pieces.len() <= MOST_PIECES && pieces.iter().all(|piece| is_own_piece(piece))
}

/// Few words of the program's own, of which the last does not announce others' words.
fn is_own_piece(piece: &str) -> bool {
    let words: Vec<&str> = piece.split(' ').collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./@+-'".contains(c);
    let fails = FAILED_TO.iter().any(|begin| piece.to_ascii_lowercase().starts_with(begin));
    let announces = |word: &&str| OTHERS_WORDS.contains(&&*word.to_ascii_lowercase());
    words.len() <= MOST_BEFORE
        && piece.chars().all(|c| plain(c) || c == ' ')
        && (fails || !words.last().is_some_and(announces))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_by_signal_9_is_understood_in_any_words() {
        for text in [
            "Child process with PID 7 was terminated by signal 9",
            "Worker 0 finished unexpectedly with signal SIGKILL",
            "worker#0 abnormal exit, status=0, signal=9",
            "worker(pid=49, id=4) abnormal exit, status=0, signal=9",
            "Process terminated by signal: signal=-9: signal_name=\"SIGKILL\"",
            "mpirun noticed that process rank 3 with PID 7 on node a exited on signal 9 (Killed).",
            "App name:shop id:0 exited with code SIGKILL",
            "error running command: signal: killed",
            "go build a.org/b: /usr/lib/go/compile: signal: killed",
            "process didn't exit successfully: `rustc a.rs` (signal: 9, SIGKILL: kill)",
            "task exited: signal: 9 (SIGKILL)",
        ] {
            assert!(is_killed(text, false), "{text}");
        }
        assert!(is_killed("error running command: signal: killed\" job=7", true));
    }

    #[test]
    fn what_a_supervisor_did_itself_and_what_others_wrote_is_none() {
        for text in [
            "worker 3 timed out, killed with signal 9",
            "worker 3 did not exit, killed with signal 9",
            "sending signal 9 to worker 3, which exited",
            "process 7 will be killed by signal 9",
            "worker 3 was killed by signal 90",
            "worker 3 was killed by signal 15",
            "worker 3 exited; user=joe signal=9",
            "worker 3 exited; file=signal=9",
            "+++ killed by SIGKILL +++",
            "Process 'a b exited by signal 9' is slow",
            "Task for user joe exited signal 9",
            "worker_2 (terminated by SIGKILL)",
            "login of user: signal: killed",
            "run failed: context deadline exceeded: signal: killed",
            "worker 3: GET /x?exited=signal 9",
        ] {
            assert!(!is_killed(text, false), "{text}");
        }
    }

    #[test]
    fn a_kill_for_memory_is_told_apart_from_a_limit_of_address_space() {
        for (text, is) in [
            (
                "Container killed by YARN for exceeding memory limits. 5 GB of 5 GB physical memory used.",
                true,
            ),
            (
                "Lost executor 9 on a.org: Container killed by YARN for exceeding memory limits. 5 GB",
                true,
            ),
            (
                "Container [pid=8,containerID=c_1] is running beyond physical memory limits. Killing container.",
                true,
            ),
            ("12 Workers (tasks / actors) killed due to memory pressure (OOM)", true),
            (
                "Container killed by YARN for exceeding memory limits. 7 GB of 4 GB virtual memory used.",
                false,
            ),
            (
                "Container [pid=8] is running beyond virtual memory limits. Killing container.",
                false,
            ),
            ("Worker 3 will be killed due to memory pressure", false),
            ("Worker 3 is under memory pressure", false),
            ("Comment of user joe: worker killed for exceeding memory limits", false),
        ] {
            assert_eq!(is_killed_for_memory(text), is, "{text}");
        }
    }
}
