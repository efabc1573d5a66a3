//! System calls of a running watch fail, once, every now and then or for a while: it lives on or says
//! why not, no healthy process is ended, the leaking worker is, and no message comes twice.
//!
//! Some of the cases in every run; all of them, 129 of a running watch and 588 of one that starts, with
//! LEAKWATCH_FAULTS=all.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common;
use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::events;
use crate::common::needs::{self, Need};
use crate::common::prefork::Prefork;
use crate::common::strace::{Strace, injecting};

const NEEDS: [Need; 2] = [Need::Root, Need::Program("strace", "strace")];
/// Cases under way at once; each takes some ten seconds, most of them spent waiting.
const AT_ONCE: usize = 8;
/// How long the way from a leak to its end may take on a busy machine.
const PATIENTLY: Duration = Duration::from_secs(90);
/// Failed calls after which those that fail one and all work again.
const MANY: usize = 40;

/// What a watch calls, and what may come of it. ESRCH of a kept file is left out: it says for ever
/// that a process is gone, and is believed.
const FAULTS: [(&str, &[&str]); 14] = [
    (
        "pread64",
        &["error=EIO", "error=ENOMEM", "error=EACCES", "error=EINTR", "retval=0", "retval=1"],
    ),
    (
        "openat",
        &[
            "error=EMFILE",
            "error=ENFILE",
            "error=ENOMEM",
            "error=EACCES",
            "error=ESRCH",
            "error=EINTR",
        ],
    ),
    ("open", &["error=EMFILE", "error=ENOMEM", "error=EACCES"]),
    ("getdents64", &["error=ENOMEM", "error=EIO", "error=EINTR", "retval=0"]),
    ("lseek", &["error=ENOMEM"]),
    ("read", &["error=EINTR", "error=EIO", "error=ENOMEM"]),
    ("poll", &["error=EINTR", "error=ENOMEM"]),
    ("write", &["error=EINTR", "error=EAGAIN", "error=EIO", "error=ENOSPC"]),
    ("close", &["error=EINTR", "error=EIO"]),
    ("fstatfs", &["error=ENOMEM"]),
    ("kill", &["error=EPERM", "error=ESRCH", "error=ENOMEM"]),
    ("pidfd_open", &["error=EMFILE", "error=ENOMEM", "error=EPERM", "error=ESRCH"]),
    ("pidfd_send_signal", &["error=EPERM", "error=ENOMEM", "error=ESRCH"]),
    ("mmap,brk,mremap", &["error=ENOMEM"]),
];

/// How often it fails. One in seven would meet the same call of every process each time.
const OFTEN: [&str; 3] = ["when=5", "when=3+11", "when=1+"];

/// Whether all cases are asked for.
fn all() -> bool {
    std::env::var_os("LEAKWATCH_FAULTS").is_some_and(|which| which == "all")
}

/// Runs the cases, several at once, and tells of all that failed.
fn try_all<C: std::fmt::Debug + Sync>(cases: &[C], run: impl Fn(&C) -> Result<(), String> + Sync) {
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE.min(cases.len()) {
            scope.spawn(|| {
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let ran = catch_unwind(AssertUnwindSafe(|| run(case)));
                    let ran = ran.unwrap_or_else(|_| Err("a panic, see above".to_owned()));
                    if let Err(what) = ran {
                        wrong.lock().unwrap().push(format!("{case:?}: {what}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} cases:\n{}", wrong.len(), cases.len(), wrong.join("\n\n"));
}

/// It ended by itself or was stopped, by an exit code that it has and with a word where it failed.
fn assert_honest(ended: &Ended) -> Result<(), String> {
    let said = ended.err.text();
    let honest = match ended.code {
        Some(0..=2) => true,
        Some(3) => said.contains("leakwatch: "),
        _ => false,
    };
    match honest && !said.contains("panicked") {
        true => Ok(()),
        false => Err(format!("it ended with {:?} and said:\n{said}", ended.code)),
    }
}

/// No line twice. Those of what happened have their time and pid in them.
fn assert_said_once(ended: &Ended) -> Result<(), String> {
    let lines: Vec<String> = ended.err.all().iter().map(|line| line.text()).collect();
    let again = lines.iter().enumerate().find(|(n, line)| lines[..*n].contains(line));
    match again {
        None => Ok(()),
        Some((_, line)) => Err(format!("said twice: {line}\n{}", lines.join("\n"))),
    }
}

/// One case: a server of its own with a leaking worker, a watch of it, and calls that fail from then
/// on that it has begun.
fn one(call: &str, fault: &str, often: &str) -> Result<(), String> {
    let server = Prefork::start(&[
        "--leaky",
        "1",
        "--healthy",
        "2",
        "--cache",
        "0",
        "--rate",
        "8M/s",
        "--for",
        "3m",
    ]);
    let master = server.master().pid.to_string();
    let cli = Cli::leakwatch([
        "--pid",
        &master,
        "--interval",
        "100ms",
        "--budget",
        "120M",
        "--format",
        "json",
    ]);
    cli.err.expect_line(PROMPTLY, "that says what is watched", |line| line.contains("watching"));
    let mut strace = Strace::attach(cli.pid(), &format!("{call}:{fault}:{often}"));
    // Some are made only when there is something to say or to do.
    let orders = ["kill", "pidfd_open", "pidfd_send_signal", "write"].contains(&call);
    let orders = orders || (call == "open" || call.starts_with("mmap"));
    let wanted = if often == "when=1+" && !orders { MANY } else { 1 };
    let injected = strace.wait_injected(wanted, if orders { PATIENTLY } else { PROMPTLY });
    if often == "when=1+" {
        drop(strace);
    }
    let ended = |line: &str| events::is(line, "outcome") && line.contains("\"result\":\"gone\"");
    let found = cli
        .out
        .wait_for(PATIENTLY, |lines| lines.iter().any(|line| ended(&line.text())).then_some(()));
    let gave_up = cli.out.is_closed();
    let ended = if gave_up { cli.end(PROMPTLY) } else { cli.stop() };
    assert_honest(&ended)?;
    assert_said_once(&ended)?;
    let said = || ended.out.text() + &ended.err.text();
    if !server.ended("healthy").is_empty() || !server.master().runs() {
        return Err(format!("a healthy process was ended:\n{}", said()));
    }
    let leaky = server.started("leaky");
    for event in events::all(&ended.out) {
        let flagged = ["growing", "leak", "order"].contains(&event.name());
        if flagged && event.json["scope"] != "tree" && !leaky.contains(&event.pid()) {
            return Err(format!("not a leaking worker: {}\n{}", event.json, said()));
        }
    }
    // A watch that cannot sample for a minute may give up, if it says so.
    let may_give_up = often == "when=1+" && ended.code == Some(3);
    // A right that is missing is believed to be missing for good, and that is said.
    let forbidden = fault == "error=EPERM" && ended.out.text().contains("\"not-permitted\"");
    if found.is_none() && !may_give_up && !forbidden {
        return Err(format!("the leaking worker was not ended ({injected} injected):\n{}", said()));
    }
    // That a steady watch asks for no memory is what one would wish for.
    if injected == 0 && !call.starts_with("mmap") {
        return Err("it makes no such call".to_owned());
    }
    Ok(())
}

#[test]
#[ignore = "needs strace and root"]
fn a_call_that_fails_costs_no_healthy_process_and_saves_no_leaking_one() {
    needs::require(&NEEDS);
    let mut cases = Vec::new();
    for (call, faults) in FAULTS {
        for fault in faults {
            cases.extend(OFTEN.map(|often| (call, *fault, often)));
        }
    }
    let chosen: Vec<_> = cases
        .into_iter()
        .enumerate()
        .filter(|(n, _)| all() || n % 5 == 0)
        .map(|(_, c)| c)
        .collect();
    try_all(&chosen, |(call, fault, often)| one(call, fault, often));
}

/// From the first call on, as it starts: it watches, or says why not.
#[test]
#[ignore = "needs strace and root"]
fn a_call_that_fails_at_the_start_is_survived_or_reported() {
    needs::require(&NEEDS);
    let server = Prefork::start(&["--leaky", "0", "--healthy", "3", "--cache", "0"]);
    let master = server.master().pid.to_string();
    let more = ["signalfd4", "mlockall", "prlimit64", "uname", "mkdir", "flock"];
    let calls = FAULTS.into_iter().chain(more.map(|call| (call, &["error=ENOMEM"][..])));
    // Without memory for itself no program starts.
    let calls = calls.filter(|(call, _)| !call.starts_with("mmap"));
    let mut cases = Vec::new();
    for (call, faults) in calls {
        for fault in faults {
            for nth in 1..=12 {
                cases.push((call, *fault, nth * nth));
            }
        }
    }
    let chosen: Vec<_> = cases
        .into_iter()
        .enumerate()
        .filter(|(n, _)| all() || n % 3 == 0)
        .map(|(_, c)| c)
        .collect();
    try_all(&chosen, |(call, fault, nth)| {
        let strace = ["strace", "-D", "-q", "-f", "--seccomp-bpf", "-o", "/dev/null"];
        let what = injecting(&format!("{call}:{fault}:when={nth}"));
        let before: Vec<String> = strace.map(str::to_owned).into_iter().chain(what).collect();
        let cli = Cli::leakwatch_by(&before, ["--pid", &master, "--interval", "100ms"]);
        let greets = |line: &common::lines::Line| {
            ["watching", "no process matches"].iter().any(|word| line.text().contains(word))
        };
        let greeted = |lines: &[common::lines::Line]| lines.iter().any(greets).then_some(());
        let watching = cli.err.wait_for(PROMPTLY, greeted).is_some();
        let ended = if watching { cli.stop() } else { cli.end(PROMPTLY) };
        // Before its first line of its own it is the loader's matter.
        if ended.code == Some(127) && ended.err.text().contains("shared librar") {
            return Ok(());
        }
        assert_honest(&ended)?;
        assert_said_once(&ended)
    });
    assert!(server.ended("healthy").is_empty(), "a healthy worker was ended");
}
