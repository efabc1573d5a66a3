//! Prefixes: what a program puts before its own words, and where those may therefore begin.
//!
//! What a client sent (a path, a user's name, a statement) stands further on in a line. So a wording
//! has to begin the message, behind nothing but what loggers write: levels, names of programs and
//! modules, pids, brackets.

mod fields;
mod forms;
mod loggers;
mod shapes;
mod starts;
mod words;

pub(super) use loggers::is_answer_of_ansible;
pub(super) use words::OTHERS_WORDS;

use fields::error_field;
use forms::{FORMS, of_the_first_word};

/// The most prefixes of one line.
const MOST: usize = 12;
/// Bytes of one prefix.
const LONGEST: usize = 160;

/// Every place where the program's own words may begin: the message, and what is left of it after each
/// prefix.
pub(super) fn heads(message: &str) -> impl Iterator<Item = &str> {
    let (mut next, mut error) = (Some(message.trim_start()), None);
    let mut left = MOST;
    std::iter::from_fn(move || {
        let now = next.take().or_else(|| error.take())?;
        left = left.checked_sub(1)?;
        next = after_prefix(now);
        error = error.or_else(|| error_field(now));
        Some(now)
    })
}

/// What is left of a text after its first prefix, if it begins with one.
fn after_prefix(text: &str) -> Option<&str> {
    let known = FORMS.iter().find_map(|form| form(text));
    known.unwrap_or_else(|| of_the_first_word(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_whose_end_may_have_been_cut_off_holds_nothing_known() {
        let span = |filler: usize| format!("login{{user=a}}: x::y: fork: {}", "A".repeat(filler));
        let reads = |text: &str| heads(text).any(|head| head.starts_with("fork: A"));
        assert_eq!((reads(&span(700)), reads(&span(800))), (true, false));
    }

    #[test]
    fn what_loggers_write_is_taken_off_and_nothing_else() {
        for (message, head) in [
            ("[alert] 1#1: fork() failed", Some("fork() failed")),
            ("[813] app@shop ERROR:  out of memory", Some("out of memory")),
            ("fatal: master_spawn: fork: x", Some("fork: x")),
            ("/usr/local/bin/backup.sh: line 7: fork: x", Some("fork: x")),
            ("[ALERT]    (1) : Current worker (25)", Some("Current worker (25)")),
            ("kid1| fork: x", Some("fork: x")),
            ("/a.sh: línea 3: fork: x", Some("fork: x")),
            ("/a.sh: ligne 3 : fork: x", Some("fork: x")),
            ("level=error msg=\"no start\" error=\"fork: x", Some("fork: x")),
            ("level=error msg=\"no \\\" error=\\\"fork: x", None),
            ("ts=2026-11-24T10:00:00Z caller=a.go:1 level=error err=\"fork: x", Some("fork: x")),
            ("Handler for POST /v1.41/x/start returned error: fork: x", Some("fork: x")),
            ("Handler for POST /v1.41/x y returned error: fork: x", None),
            ("Could not spawn process for application /srv/app: fork: x", Some("fork: x")),
            ("thread 'main' panicked at 'fork: x', a.rs:1:2", None),
            ("{local_task.py:225} INFO - fork: x", Some("fork: x")),
            ("{\"text\": 1} fork: x", None),
            ("I NETWORK  [conn1] fork: x", Some("fork: x")),
            ("I COMMAND  [conn1] fork: x", None),
            ("Invalid user fork: x from 10.0.0.7", None),
            ("Invalid user a: fork: x from 10.0.0.7", None),
            ("open() \"/fork: x\" failed", None),
            ("STATEMENT:  fork: x", None),
            ("(root) CMD (fork: x)", None),
            ("WARNING[2818][C-00003345] res_agi.c: fork: x", Some("fork: x")),
            ("E! [inputs.exec] Error in plugin: fork: x", Some("fork: x")),
            ("(mod_cgi.c.999) fork: x", Some("fork: x")),
            ("(joe.smith) fork: x", None),
            ("GetCommits: GetCommitByPath (/a.md): fork: x", Some("fork: x")),
            ("GetCommitByPath (/a): fork: x): no such object", None),
            ("Comment (a): fork: x", None),
            ("a/b/hook.go:428:Post() [E] Failed to Update: a/b Error: fork: x", Some("fork: x")),
            ("failed to exec du - fork: x", Some("fork: x")),
            ("Fail to execute git command: fork: x", Some("fork: x")),
            ("Cannot start container 706e19e1: fork: x", Some("fork: x")),
            ("#1864(main) <e7cd9c>; main; rspamd_fork_worker: fork: x", Some("fork: x")),
            ("ERROR; fork: x", Some("fork: x")),
            ("\"Failed\" pod=\"a/b\" err=\"fork: x", Some("fork: x")),
            ("\"Failed\" pod=\"a\\\" err=\\\"fork: x", None),
            ("PM2        | Error: fork: x", Some("fork: x")),
            ("PM2 error: Trace: { Error: fork: x", Some("fork: x")),
            ("App 18926 stderr: fork: x", Some("fork: x")),
            ("Failed to call 'git gc': fork: x", Some("fork: x")),
            ("Failed to execute /usr/bin/pgrep. Error: 'fork: x", Some("fork: x")),
            ("Failed to start session of user joe: fork: x", None),
            ("Failed to find joe: fork: x", None),
            ("Failed to run a query which is long and of a user: fork: x", None),
            ("user: fork: x", None),
            ("failed to \"StartContainer\" for \"a\" with RunError: \"fork: x", Some("fork: x")),
            ("failed to \"StartContainer\" for \"a b\" with RunError: \"fork: x", None),
            ("rpc error: code = Unknown desc = fork: x", Some("fork: x")),
            ("remote: fork: x", None),
            ("STL Exception: fork: x", Some("fork: x")),
            ("netdata ERROR : PLUGIN[cgroup] : CGROUP: fork: x", Some("fork: x")),
            ("Syntax error: fork: x", None),
            ("<bob> fork: x", None),
            ("[ 86427 ] <Error> executeQuery: fork: x", Some("fork: x")),
            ("|00001|ovs_thread(main)|EMER|fork: x", Some("fork: x")),
            ("[813] app@shop NOTICE:  fork: x", None),
            ("[813] app@shop ERROR:  fork: x", None),
            ("[813] app@shop WARNING:  fork: x", None),
            ("[813] ERROR:  fork: x", None),
            ("[ 7 ] {} fork: x} <Debug> executeQuery: y", None),
            ("[ 7 ] {} fork: x", None),
            ("[ 7 ] {1f-2} <Error> executeQuery: fork: x", Some("fork: x")),
            ("request{id=7 path=/a}: shop::db: fork: x", Some("fork: x")),
            ("login{user=a}: x::y: fork: x}: shop::db: no", None),
            ("login{user=a}: x::y: fork: x}:check: shop::db: no", None),
            ("login{user=a}:check: shop::db: }: x::y: fork: x", None),
            ("login{user=a}: fork: x", None),
            ("start - start.c:lxc_spawn:1746 - fork: x", Some("fork: x")),
            ("joe - a.c:b - fork: x", None),
            ("p=812 u=root n=ansible | ERROR! Unexpected Exception: fork: x", Some("fork: x")),
            ("p=812 u=root n=ansible | fork: x", None),
            ("p=812 u=root n=ansible | web1 | FAILED | rc=254 >> fork: x", None),
            ("p=joe u=root | fork: x", None),
            ("KeyError: fork: x", None),
            ("java.io.FileNotFoundException: fork: x", None),
            ("File::NotFound: fork: x", None),
            ("shop.models.User.DoesNotExist: fork: x", None),
            ("NoSuchFileException: fork: x", None),
            ("NoSuchKey: fork: x", None),
            ("java.net.UnknownHostException: fork: x", None),
        ] {
            let wanted = head.unwrap_or("fork: x");
            assert_eq!(heads(message).any(|found| found == wanted), head.is_some(), "{message}");
        }
    }
}
