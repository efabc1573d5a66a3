//! Signs: which lines prove that a fork failed or memory ran out, and whose.
//!
//! The wordings are those of the programs' sources and binaries; each was seen or read (httpd 2.4,
//! php-fpm 8.2, systemd 252, cronie and vixie cron, OpenSSH 9.2, postfix, dovecot, exim, gunicorn
//! 20 and 21, uWSGI 2.0, puma, unicorn, PostgreSQL 15, Linux 4 to 6). Where they begin a message
//! they must begin it here: what a client sent may stand further on in a line.

use crate::diagnose::findings::{Failure, MissingResource};
use crate::system::kernel_lines::KernelLine;

/// A line without its time: who says what.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogEntry<'a> {
    /// The syslog tag, or what else tells the program.
    pub(super) tag: &'a str,
    /// The message.
    pub(super) body: &'a str,
    /// A client is named before the message, which may thus be the client's own words.
    pub(super) of_client: bool,
}

/// Substrings of which every line that matters has one: what the search looks for.
pub(super) const NEEDLES: [&str; 22] = [
    "fork",
    "Fork",
    "FORK",
    "ut of memory",
    "annot allocate memory",
    "oom-kill",
    "oomd killed",
    "Killed process",
    "allocation failure",
    "MemoryError",
    "Errno 12",
    "ENOMEM",
    "native thread",
    "nsufficient memory",
    "ignal 9",
    "SIGKILL",
    "9/KILL",
    "server reached ",
    "FATAL state",
    "Apache is exiting",
    "'resources'",
    "in process table",
];

/// What the line proves and whose failure it is; the name may be empty where the line has none.
pub(super) fn read<'a>(entry: &LogEntry<'a>) -> Option<(Failure, &'a str)> {
    let LogEntry { tag, body, .. } = *entry;
    match tag {
        "kernel" => kernel(body),
        "systemd" | "systemd-oomd" => systemd(body),
        _ => fork(entry).or_else(|| other(entry)),
    }
}

fn missing(text: &str) -> MissingResource {
    let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
    if has(&["annot allocate memory", "ENOMEM", "(12:", "Errno 12]", "(12)"]) {
        MissingResource::Memory
    } else if has(&["temporarily unavailable", "EAGAIN", "(11:", "No child processes", "ulimit -u"])
    {
        MissingResource::Tasks
    } else {
        MissingResource::Unsaid
    }
}

fn kernel(body: &str) -> Option<(Failure, &str)> {
    match KernelLine::parse(body)? {
        KernelLine::Killed(victim) => Some((Failure::OomKill, victim.name()?)),
        KernelLine::KilledInCgroup(victim) => Some((Failure::OomKillInCgroup, victim.name()?)),
        // Before 5.0; the other line of the same kill is not counted.
        KernelLine::KilledSomewhere(victim) => Some((Failure::OomKill, victim.name()?)),
        KernelLine::WillKill | KernelLine::CommitRefused => None,
        KernelLine::ForkRejected(path) => {
            let unit = path.rsplit('/').next().unwrap_or(path);
            Some((Failure::ForkFailed(MissingResource::Tasks), unit))
        }
        KernelLine::NoPage(name) => Some((Failure::NoMemory, name)),
    }
}

fn systemd(body: &str) -> Option<(Failure, &str)> {
    let (unit, what) = body.split_once(": ")?;
    let failure = match what {
        w if w.starts_with("Failed to fork: ") => Failure::ForkFailed(missing(w)),
        w if w.starts_with("Failed to run ") && missing(w) != MissingResource::Unsaid => {
            Failure::ForkFailed(missing(w))
        }
        w if w.starts_with("Failed with result 'oom-kill'") => Failure::Down,
        w if w.starts_with("Failed with result 'resources'") => Failure::Down,
        w if w.starts_with("systemd-oomd killed ") => Failure::OomKill,
        w if w.contains("code=killed, status=9/KILL") => Failure::Killed,
        _ => return None,
    };
    Some((failure, unit))
}

/// A fork that failed.
fn fork<'a>(entry: &LogEntry<'a>) -> Option<(Failure, &'a str)> {
    let LogEntry { tag, body, of_client } = *entry;
    let begins = |words: &[&str]| words.iter().any(|word| body.starts_with(word));
    let has = |words: &[&str]| words.iter().any(|word| body.contains(word));
    let failed = |who| Some((Failure::ForkFailed(missing(body)), who));
    // Apache: "(12)Cannot allocate memory: AH00159: fork: Unable to fork new process"; 2.2 has no
    // AH number. Event and worker cannot make threads instead.
    if has(&["fork: Unable to fork new process", "unable to create worker thread"]) {
        return (!of_client).then(|| failed("apache2"))?;
    }
    if of_client {
        return None;
    }
    // bash says "retry:" up to four times before it gives up, which is counted once.
    if has(&["fork: Cannot allocate memory", "fork: Resource temporarily unavailable"]) {
        let shell = body.trim_start_matches('-');
        let own = ["bash: ", "sh: "].iter().find(|name| shell.starts_with(**name));
        let who = match (tag, own) {
            ("", Some(name)) => name.trim_end_matches(": "),
            (tag, _) => tag,
        };
        // nginx and postfix have wordings of their own, which say the same.
        return failed(who);
    }
    let cron = ["(CRON) error (can't fork", "(CRON) DEATH (can't fork", ") CAN'T FORK ("];
    if begins(&cron[..2]) || body.starts_with('(') && body.contains(cron[2]) {
        return failed("cron");
    }
    if begins(&["fatal: fork of unprivileged child failed", "error: fork: ", "error: do_exec"]) {
        return (tag.is_empty() || body.contains("fork")).then(|| failed(tag))?;
    }
    if begins(&["Too many processes in process table to spawn ", "unknown error during fork for "])
    {
        return Some((
            Failure::ForkFailed(if begins(&["Too"]) {
                MissingResource::Tasks
            } else {
                missing(body)
            }),
            tag,
        ));
    }
    let words = [
        "fork() failed",
        "fork(): Cannot allocate memory",
        "fork(): Resource temporarily",
        "fork(2) (Errno::ENOMEM)",
        "could not fork ",
        "process fork failed",
        "fork of queue-runner process failed",
        "Fork failed: ",
        "Unable to start a standalone server: [fork",
        "unable to create native thread",
    ];
    if has(&words) {
        return failed(tag);
    }
    // dash tells no reason.
    let dash = body.ends_with(": Cannot fork") && body.len() < 200;
    dash.then(|| failed(if tag.is_empty() { "sh" } else { tag }))?
}

/// Everything else.
fn other<'a>(entry: &LogEntry<'a>) -> Option<(Failure, &'a str)> {
    let LogEntry { tag, body, of_client } = *entry;
    let has = |words: &[&str]| words.iter().any(|word| body.contains(word));
    if of_client {
        return None;
    }
    if has(&["server reached MaxRequestWorkers setting", "server reached MaxClients setting"]) {
        return Some((Failure::CapReached, "apache2"));
    }
    if has(&["server reached pm.max_children setting"]) {
        return Some((Failure::CapReached, tag));
    }
    if has(&["Apache is exiting!", "entered FATAL state"]) {
        return Some((Failure::Down, tag));
    }
    let killed = [
        "exited on signal 9",
        "terminated due to signal 9",
        "was sent SIGKILL!",
        "died, killed by signal 9",
        "SIGKILL (signal 9)",
        "terminated by signal 9",
        "killed by signal 9",
        "killed with signal 9",
    ];
    if has(&killed) {
        return Some((Failure::Killed, tag));
    }
    // A script's own limit of memory (PHP's memory_limit) is no lack of it.
    if has(&["Allowed memory size of"]) {
        return None;
    }
    let refused = [
        "Cannot allocate memory",
        "cannot allocate memory",
        "[Errno 12]",
        "Errno::ENOMEM",
        "MemoryError",
        "insufficient memory for",
        "Out of memory",
    ];
    has(&refused).then_some((Failure::NoMemory, tag))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(tag: &str, body: &str) -> Option<(Failure, String)> {
        let entry = LogEntry { tag, body, of_client: false };
        read(&entry).map(|(failure, who)| (failure, who.to_owned()))
    }

    #[test]
    fn each_programs_own_words_are_known() {
        use Failure::{CapReached, Down, ForkFailed, Killed, NoMemory, OomKill, OomKillInCgroup};
        use MissingResource::{Memory, Tasks, Unsaid};
        let known = [
            (
                "x",
                "(12)Cannot allocate memory: AH00159: fork: Unable to fork new process",
                ForkFailed(Memory),
                "apache2",
            ),
            (
                "x",
                "(11)Resource temporarily unavailable: AH00159: fork: Unable to fork new process",
                ForkFailed(Tasks),
                "apache2",
            ),
            (
                "x",
                "(12)Cannot allocate memory: fork: Unable to fork new process",
                ForkFailed(Memory),
                "apache2",
            ),
            (
                "x",
                "AH00161: server reached MaxRequestWorkers setting, consider raising the MaxRequestWorkers setting",
                CapReached,
                "apache2",
            ),
            (
                "kernel",
                "[812.12] Out of memory: Killed process 4711 (apache2) total-vm:1kB, anon-rss:74512kB, UID:33",
                OomKill,
                "apache2",
            ),
            (
                "kernel",
                "Memory cgroup out of memory: Killed process 12 (a) (b)) total-vm:1kB",
                OomKillInCgroup,
                "a) (b)",
            ),
            (
                "kernel",
                "Killed process 12 (httpd) total-vm:1kB, anon-rss:2kB, file-rss:0kB",
                OomKill,
                "httpd",
            ),
            ("kernel", "Killed process 12, UID 48, (httpd) total-vm:1kB", OomKill, "httpd"),
            (
                "kernel",
                "cgroup: fork rejected by pids controller in /system.slice/php8.2-fpm.service",
                ForkFailed(Tasks),
                "php8.2-fpm.service",
            ),
            ("kernel", "apache2: page allocation failure: order:0, mode:0x0", NoMemory, "apache2"),
            ("systemd", "apache2.service: Failed with result 'oom-kill'.", Down, "apache2.service"),
            (
                "systemd",
                "cron.service: Failed to fork: Cannot allocate memory",
                ForkFailed(Memory),
                "cron.service",
            ),
            (
                "systemd",
                "a.service: Failed to run 'start' task: Cannot allocate memory",
                ForkFailed(Memory),
                "a.service",
            ),
            (
                "systemd",
                "a.service: Main process exited, code=killed, status=9/KILL",
                Killed,
                "a.service",
            ),
            ("", "-bash: fork: Cannot allocate memory", ForkFailed(Memory), "bash"),
            ("", "bash: fork: Resource temporarily unavailable", ForkFailed(Tasks), "bash"),
            ("backup", "dash: 3: Cannot fork", ForkFailed(Unsaid), "backup"),
            ("cron", "(CRON) error (can't fork)", ForkFailed(Unsaid), "cron"),
            (
                "crond",
                "(root) CAN'T FORK (do_command): Cannot allocate memory",
                ForkFailed(Memory),
                "cron",
            ),
            ("sshd", "error: fork: Cannot allocate memory", ForkFailed(Memory), "sshd"),
            ("sshd", "fatal: fork of unprivileged child failed", ForkFailed(Unsaid), "sshd"),
            (
                "postfix/master",
                "fatal: master_spawn: fork: Cannot allocate memory -- throttling",
                ForkFailed(Memory),
                "postfix/master",
            ),
            (
                "postfix/smtpd",
                "fatal: mymalloc: insufficient memory for 4096 bytes",
                NoMemory,
                "postfix/smtpd",
            ),
            (
                "dovecot",
                "master: Error: fork() failed: Cannot allocate memory",
                ForkFailed(Memory),
                "dovecot",
            ),
            (
                "exim4",
                "daemon: accept process fork failed: Cannot allocate memory",
                ForkFailed(Memory),
                "exim4",
            ),
            (
                "php-fpm",
                "ERROR: fork() failed: Cannot allocate memory (12)",
                ForkFailed(Memory),
                "php-fpm",
            ),
            (
                "php-fpm",
                "WARNING: [pool www] child 3 exited on signal 9 (SIGKILL) after 2 seconds from start",
                Killed,
                "php-fpm",
            ),
            (
                "php-fpm",
                "WARNING: [pool www] server reached pm.max_children setting (5), consider raising it",
                CapReached,
                "php-fpm",
            ),
            (
                "php",
                "PHP Warning:  proc_open(): Fork failed: Cannot allocate memory in /x.php",
                ForkFailed(Memory),
                "php",
            ),
            (
                "gunicorn",
                "[ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?",
                Killed,
                "gunicorn",
            ),
            ("gunicorn", "OSError: [Errno 12] Cannot allocate memory", NoMemory, "gunicorn"),
            ("nginx", "[alert] 1#1: worker process 7 exited on signal 9", Killed, "nginx"),
            (
                "nginx",
                "[alert] 1#1: fork() failed while spawning \"worker process\" (12: Cannot allocate memory)",
                ForkFailed(Memory),
                "nginx",
            ),
            (
                "uwsgi",
                "DAMN ! worker 1 (pid: 7) died, killed by signal 9 :( trying respawn ...",
                Killed,
                "uwsgi",
            ),
            (
                "uwsgi",
                "fork(): Cannot allocate memory [core/master_utils.c line 766]",
                ForkFailed(Memory),
                "uwsgi",
            ),
            (
                "puma",
                "in `_fork': Cannot allocate memory - fork(2) (Errno::ENOMEM)",
                ForkFailed(Memory),
                "puma",
            ),
            (
                "unicorn",
                "ERROR -- : reaped #<Process::Status: pid 7 SIGKILL (signal 9)> worker=1",
                Killed,
                "unicorn",
            ),
            (
                "postgres",
                "[7] LOG:  could not fork new process for connection: Cannot allocate memory",
                ForkFailed(Memory),
                "postgres",
            ),
            (
                "postgres",
                "[7] LOG:  server process (PID 8) was terminated by signal 9: Killed",
                Killed,
                "postgres",
            ),
            (
                "supervisord",
                "INFO gave up: x entered FATAL state, too many start retries too quickly",
                Down,
                "supervisord",
            ),
            (
                "java",
                "java.lang.OutOfMemoryError: unable to create native thread",
                ForkFailed(Unsaid),
                "java",
            ),
            ("", "MemoryError", NoMemory, ""),
        ];
        for (tag, body, failure, who) in known {
            assert_eq!(of(tag, body), Some((failure, who.to_owned())), "{tag}: {body}");
            assert!(NEEDLES.iter().any(|needle| body.contains(needle)), "not searched for: {body}");
        }
    }

    #[test]
    fn harmless_lines_prove_nothing() {
        for (tag, body) in [
            ("kernel", "apache2 invoked oom-killer: gfp_mask=0x140cca, order=0"),
            ("kernel", "oom_reaper: reaped process 7 (apache2), now anon-rss:0kB"),
            ("kernel", "Out of memory: Kill process 7 (apache2) score 9 or sacrifice child"),
            ("kernel", "kswapd0: page allocation failure: order:4, mode:0x0"),
            ("", "bash: fork: retry: Resource temporarily unavailable"),
            ("php", "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted"),
            ("git", "forked from upstream"),
            ("dovecot", "imap-login: Login: user=<fork>"),
        ] {
            assert_eq!(of(tag, body), None, "{tag}: {body}");
        }
    }

    #[test]
    fn what_a_client_wrote_is_no_evidence() {
        let body = "File does not exist: /Out of memory (12)Cannot allocate memory: AH00159: fork: Unable to fork new process";
        assert_eq!(read(&LogEntry { tag: "apache2", body, of_client: true }), None);
        // A request that looks like the kernel's line does not begin like it.
        assert_eq!(of("kernel", "x Out of memory: Killed process 1 (init)"), None);
    }
}
