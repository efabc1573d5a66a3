//! Lines as real logs have them, and what each proves.

use super::*;
use crate::diagnose::findings::MissingResource;

fn of(tag: &str, body: &str) -> Option<(Failure, String)> {
    let entry = LogEntry { tag, body, ..LogEntry::default() };
    let proved = read(&entry)?;
    Some((proved.failure, proved.who))
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
            "x",
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
        ("kernel", "kswapd0: page allocation failure: order:4, mode:0x0"),
        ("php", "PHP Fatal error:  Allowed memory size of 134217728 bytes exhausted"),
        ("git", "forked from upstream"),
        ("systemd", "Failed to fork: Operation not permitted"),
        ("cron", "can't fork: Permission denied"),
        ("dovecot", "imap-login: Login: user=<fork>"),
    ] {
        assert_eq!(of(tag, body), None, "{tag}: {body}");
    }
}

#[test]
fn what_a_client_wrote_is_no_evidence() {
    let body = "File does not exist: /Out of memory (12)Cannot allocate memory: AH00159: fork: Unable to fork new process";
    assert_eq!(
        read(&LogEntry { tag: "apache2", body, of_client: true, ..LogEntry::default() }),
        None
    );
    // A request that looks like the kernel's line does not begin like it.
    assert_eq!(of("kernel", "x Out of memory: Killed process 1 (init)"), None);
}

#[test]
fn each_row_that_proves_something_begins_its_message() {
    for wording in WORDINGS.iter().filter(|wording| !matches!(wording.proves, Proof::Nothing)) {
        let is_anchored = !wording.begins.is_empty()
            || !wording.ends.is_empty()
            || matches!(wording.kind, Kind::Unit);
        assert!(is_anchored, "{:?} {:?}", wording.has, wording.ends);
    }
}

/// Each search more costs a third of the time that a log takes.
#[test]
fn three_fast_searches_look_for_all_needles() {
    assert!(needles().len() <= 3 * 32, "{}", needles().len());
}

#[test]
fn some_lines_count_only_beside_others() {
    for (tag, body, wanted, pid) in [
        (
            "kernel",
            "Out of memory: Kill process 7 (x) score 9 or sacrifice child",
            Only::Announces,
            Some(7),
        ),
        (
            "kernel",
            "oom-kill:constraint=CONSTRAINT_NONE,task=x,pid=7,uid=0",
            Only::Announces,
            Some(7),
        ),
        ("", "bash: fork: retry: Resource temporarily unavailable", Only::Retries, None),
        ("gunicorn", "[CRITICAL] WORKER TIMEOUT (pid:7)", Only::Excuses, Some(7)),
        (
            "unicorn",
            "ERROR -- : worker=1 PID:7 timeout (61s > 60s), killing",
            Only::Excuses,
            Some(7),
        ),
        ("uwsgi", "*** HARAKIRI ON WORKER 2 (pid: 7, try: 1) ***", Only::Excuses, Some(7)),
        ("celery", "Hard time limit (300s) exceeded for a[0123]", Only::Excuses, None),
        ("systemd", "a.service: State 'stop-sigterm' timed out. Killing.", Only::Excuses, None),
        (
            "gunicorn",
            "[ERROR] Worker (pid:7) was sent SIGKILL! Perhaps out of memory?",
            Only::Always,
            Some(7),
        ),
    ] {
        let entry = LogEntry { tag, body, ..LogEntry::default() };
        let proved = read(&entry).map(|proved| (proved.only, proved.pid));
        assert_eq!(proved, Some((wanted, pid)), "{body}");
    }
}
