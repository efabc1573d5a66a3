//! Wordings: which lines prove that a fork failed or memory ran out, and whose failure it was.
//!
//! The wordings are those of the programs' sources and binaries; each was seen or read (httpd 2.4,
//! php-fpm 8.2, systemd 252, cronie and vixie cron, OpenSSH 9.2, postfix, dovecot, exim, gunicorn
//! 20 and 21, uWSGI 2.0, puma, unicorn, PostgreSQL 15, Linux 4 to 6). A new wording is one row of
//! [`WORDINGS`] and one line of the test. Where a wording begins a message, its row says so: what a
//! client sent may stand further on in a line.

use crate::diagnose::findings::{Failure, MissingResource};
use crate::system::kernel_lines::KernelLine;

/// A line without its time.
#[derive(Clone, Copy, Debug)]
pub(super) struct LogEntry<'a> {
    /// The syslog tag, or what else names the program.
    pub(super) tag: &'a str,
    /// The message.
    pub(super) body: &'a str,
    /// Whether a client is named before the message, which may thus be the client's own words.
    pub(super) of_client: bool,
}

/// A row: what a line looks like, what it proves, and whose failure it was.
struct Wording {
    /// Whether it is a message of systemd about a unit: "a.service: Failed to fork: ..".
    of_unit: bool,
    /// The message begins, goes on and ends like this; empty texts match everything.
    begins: &'static str,
    has: &'static str,
    ends: &'static str,
    proves: Proof,
    who: Who,
}

/// What a wording proves.
#[derive(Clone, Copy)]
enum Proof {
    /// A fork failed, for the reason that the message gives.
    ForkFailed,
    /// This failure.
    Of(Failure),
    /// Nothing: a later row must not match.
    Nothing,
}

/// Whose failure it was.
#[derive(Clone, Copy)]
enum Who {
    /// The program of the syslog tag, or of the log file.
    Tag,
    /// That program, or a shell where the line has no tag.
    Shell,
    /// This program, whatever its processes are called.
    Program(&'static str),
    /// The unit that systemd names.
    Unit,
}

const fn has(has: &'static str, proves: Proof, who: Who) -> Wording {
    Wording { of_unit: false, begins: "", has, ends: "", proves, who }
}

const fn begins(begins: &'static str, proves: Proof, who: Who) -> Wording {
    Wording { of_unit: false, begins, has: "", ends: "", proves, who }
}

const fn unit(begins: &'static str, has: &'static str, proves: Proof) -> Wording {
    Wording { of_unit: true, begins, has, ends: "", proves, who: Who::Unit }
}

use Proof::{ForkFailed, Nothing, Of};
use Who::{Program, Shell, Tag};

const APACHE: Who = Program("apache2");
const NO_TASKS: Proof = Of(Failure::ForkFailed(MissingResource::Tasks));
const KILLED: Proof = Of(Failure::Killed);
const DOWN: Proof = Of(Failure::Down);
const CAP_REACHED: Proof = Of(Failure::CapReached);
const NO_MEMORY: Proof = Of(Failure::NoMemory);

/// All wordings but the kernel's; of several that match, the first counts.
const WORDINGS: &[Wording] = &[
    // Apache: "(12)Cannot allocate memory: AH00159: fork: Unable to fork new process"; 2.2 has no AH
    // number. Event and worker fail to make threads instead.
    has("fork: Unable to fork new process", ForkFailed, APACHE),
    has("unable to create worker thread", ForkFailed, APACHE),
    // bash says "retry:" up to four times before it gives up, which is counted once. The words of nginx
    // and postfix are caught here as well.
    has("fork: Cannot allocate memory", ForkFailed, Shell),
    has("fork: Resource temporarily unavailable", ForkFailed, Shell),
    begins("(CRON) error (can't fork", ForkFailed, Program("cron")),
    begins("(CRON) DEATH (can't fork", ForkFailed, Program("cron")),
    Wording { begins: "(", ..has(") CAN'T FORK (", ForkFailed, Program("cron")) },
    // OpenSSH.
    begins("fatal: fork of unprivileged child failed", ForkFailed, Tag),
    begins("error: fork: ", ForkFailed, Tag),
    Wording { has: "fork", ..begins("error: do_exec", ForkFailed, Tag) },
    // supervisord.
    begins("Too many processes in process table to spawn ", NO_TASKS, Tag),
    begins("unknown error during fork for ", ForkFailed, Tag),
    has("fork() failed", ForkFailed, Tag),
    has("fork(): Cannot allocate memory", ForkFailed, Tag),
    has("fork(): Resource temporarily", ForkFailed, Tag),
    has("fork(2) (Errno::ENOMEM)", ForkFailed, Tag),
    has("could not fork ", ForkFailed, Tag),
    has("process fork failed", ForkFailed, Tag),
    has("fork of queue-runner process failed", ForkFailed, Tag),
    has("Fork failed: ", ForkFailed, Tag),
    has("Unable to start a standalone server: [fork", ForkFailed, Tag),
    has("unable to create native thread", ForkFailed, Tag),
    // dash gives no reason.
    Wording { ends: ": Cannot fork", ..has("", ForkFailed, Shell) },
    has("server reached MaxRequestWorkers setting", CAP_REACHED, APACHE),
    has("server reached MaxClients setting", CAP_REACHED, APACHE),
    has("server reached pm.max_children setting", CAP_REACHED, Tag),
    has("Apache is exiting!", DOWN, Tag),
    has("entered FATAL state", DOWN, Tag),
    has("exited on signal 9", KILLED, Tag),
    has("terminated due to signal 9", KILLED, Tag),
    has("was sent SIGKILL!", KILLED, Tag),
    has("killed by signal 9", KILLED, Tag),
    has("SIGKILL (signal 9)", KILLED, Tag),
    has("terminated by signal 9", KILLED, Tag),
    has("killed with signal 9", KILLED, Tag),
    // A script's own limit (PHP's memory_limit) is no lack of memory.
    has("Allowed memory size of", Nothing, Tag),
    has("Cannot allocate memory", NO_MEMORY, Tag),
    has("cannot allocate memory", NO_MEMORY, Tag),
    has("[Errno 12]", NO_MEMORY, Tag),
    has("Errno::ENOMEM", NO_MEMORY, Tag),
    has("MemoryError", NO_MEMORY, Tag),
    has("insufficient memory for", NO_MEMORY, Tag),
    has("Out of memory", NO_MEMORY, Tag),
    unit("Failed to fork: ", "", ForkFailed),
    unit("Failed to run ", "Cannot allocate memory", ForkFailed),
    unit("Failed to run ", "Resource temporarily unavailable", ForkFailed),
    unit("Failed with result 'oom-kill'", "", DOWN),
    unit("Failed with result 'resources'", "", DOWN),
    unit("systemd-oomd killed ", "", Of(Failure::OomKill)),
    unit("", "code=killed, status=9/KILL", KILLED),
];

/// What every kernel line that proves something has, in the words of [`KernelLine`].
const KERNEL: [&str; 3] = ["fork rejected", "page allocation failure", "Killed process"];

/// A message that ends in "Cannot fork" is a shell's only if it is short.
const LONGEST_END: usize = 200;

impl Wording {
    /// What the search looks for: a rare part of it, else its longest text.
    fn needle(&self) -> &'static str {
        let texts = [self.begins, self.has, self.ends];
        let is_part = |part: &&str| texts.iter().any(|text| text.contains(part));
        let longest = || texts.into_iter().max_by_key(|text| text.len());
        RARE_PARTS.into_iter().find(is_part).or_else(longest).unwrap_or_default()
    }

    fn matches(&self, text: &str) -> bool {
        text.starts_with(self.begins)
            && text.contains(self.has)
            && (self.ends.is_empty() || (text.ends_with(self.ends) && text.len() < LONGEST_END))
    }
}

/// Parts of wordings that are rare in logs: searched for in place of a wording that has one. A wording
/// that has none is searched for as it is, so this list is for speed only: whole wordings are two to
/// three times slower (300 instead of 800 MB/s), since many begin like common words ("error", "code").
const RARE_PARTS: [&str; 22] = [
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

/// The texts of which every line that matters has one: what the search looks for.
pub(super) fn needles() -> Vec<&'static str> {
    let proving = WORDINGS.iter().filter(|wording| !matches!(wording.proves, Nothing));
    let kernel = KERNEL.map(|text| has(text, Nothing, Tag).needle());
    let mut needles: Vec<&str> = proving.map(Wording::needle).chain(kernel).collect();
    needles.sort_unstable();
    needles.dedup();
    needles
}

/// What the line proves and whose failure it is; the name may be empty where the line has none.
pub(super) fn read<'a>(entry: &LogEntry<'a>) -> Option<(Failure, &'a str)> {
    let LogEntry { tag, body, of_client } = *entry;
    let of_unit = matches!(tag, "systemd" | "systemd-oomd");
    if tag == "kernel" {
        return kernel(body);
    }
    if of_client && !of_unit {
        return None;
    }
    let (unit, text) = if of_unit { body.split_once(": ")? } else { ("", body) };
    let matches = |wording: &&Wording| wording.of_unit == of_unit && wording.matches(text);
    let wording = WORDINGS.iter().find(matches)?;
    let failure = match wording.proves {
        ForkFailed => Failure::ForkFailed(missing(text)),
        Of(failure) => failure,
        Nothing => return None,
    };
    let who = match wording.who {
        Program(name) => name,
        Who::Unit => unit,
        Shell if tag.is_empty() => shell(body),
        Tag | Shell => tag,
    };
    Some((failure, who))
}

/// The shell that wrote a line without a tag: "-bash: fork: ..".
fn shell(body: &str) -> &str {
    match body.trim_start_matches('-').split_once(": ") {
        _ if body.ends_with(": Cannot fork") => "sh",
        Some((name @ ("bash" | "sh"), _)) => name,
        _ => "",
    }
}

/// The resource that a message names.
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

/// What a line of the kernel proves.
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
        let needles = needles();
        for (tag, body, failure, who) in known {
            assert_eq!(of(tag, body), Some((failure, who.to_owned())), "{tag}: {body}");
            assert!(needles.iter().any(|needle| body.contains(needle)), "not searched for: {body}");
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
