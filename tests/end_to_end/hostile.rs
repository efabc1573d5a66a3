//! Whatever a process is called and whenever it vanishes: no crash, no garbage on the terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::fake_proc::{Fake, FakeProc, pid};
use serde_json::Value;

/// Names that have broken readers of /proc: they end the field early, fake one, break the line,
/// colour the terminal, are no UTF-8, are cut within a character, are empty or blank.
const NAMES: [&[u8]; 12] = [
    b"a) Z (",
    b") R 1 1 1 (",
    b"two\nlines",
    b"\x1b[31mred\x1b[0m",
    b"\x1b]0;title\x07",
    b"back\\slash\t",
    b"\xff\xfe\x80",
    "fünfzehn-bytes-ü".as_bytes(),
    b"",
    b"   ",
    b"\r\x08\x08\x08gone",
    b"\"quoted\"",
];

/// A machine on which every process has such a name: a master of each with one child.
fn hostile_machine() -> FakeProc {
    let proc = FakeProc::with_memory_kib(1 << 20);
    proc.show(&Fake::new(1, "init").child_of(0));
    for (nth, name) in (0..).zip(NAMES) {
        let title = [name, b"\0", name, b"\0\x1b[2J\0"].concat();
        let master = Fake::new(pid(2 * nth + 1), name).with_cmdline(title);
        proc.show(&Fake { pid: pid(2 * nth), ppid: master.pid, ..master.clone() });
        proc.show(&master);
    }
    proc
}

/// Records one sample of all processes in this tree.
fn record(proc: &FakeProc) -> Ended {
    let procfs = proc.path().to_str().unwrap();
    Cli::leakwatch(["record", "--procfs", procfs, "--pattern", "^", "--samples", "1", "-"])
        .end(PROMPTLY)
}

/// Nothing that a terminal would obey; a newline only ends a line.
fn assert_harmless(ended: &Ended) {
    for line in ended.out.all().iter().chain(&ended.err.all()) {
        let text = str::from_utf8(&line.bytes).expect("all output is UTF-8");
        let control = text.chars().find(|c| c.is_control() && *c != '\t');
        assert_eq!(control, None, "a raw control character in: {text:?}");
    }
}

/// The sample's processes.
fn processes(ended: &Ended) -> Vec<Value> {
    let lines: Vec<Value> =
        ended.out.all().iter().map(|line| serde_json::from_str(&line.text()).unwrap()).collect();
    assert_eq!(lines.len(), 2, "a header and one sample; stderr: {}", ended.err.text());
    assert_eq!(lines[0]["format"], "leakwatch-recording");
    lines[1]["procs"].as_array().expect("the sample has processes").clone()
}

#[test]
fn a_recording_is_valid_json_whatever_processes_are_called() {
    let proc = hostile_machine();

    let ended = record(&proc);

    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
    assert_harmless(&ended);
    let known = processes(&ended);
    for nth in 0..2 * NAMES.len() as u32 {
        let process = known.iter().find(|p| p["pid"] == pid(nth)).expect("each one is recorded");
        // A name that fakes fields must not reach them.
        assert_eq!(process["start"], 9_000_000);
        assert_eq!(process["anon"], 8192 << 10);
        assert_eq!(process["ppid"], if nth % 2 == 0 { pid(nth + 1) } else { 1 });
    }
}

#[test]
fn watching_hostile_names_keeps_the_terminal_clean() {
    let proc = hostile_machine();
    let procfs = proc.path().to_str().unwrap();
    for format in ["text", "json"] {
        let cli = Cli::leakwatch([
            "--procfs",
            procfs,
            "--pattern",
            "^",
            "--dry-run",
            "--interval",
            "1s",
            "-v",
            "--format",
            format,
        ]);
        cli.err
            .expect_line(PROMPTLY, "that says what is watched", |line| line.contains("watching"));

        let ended = cli.stop();

        assert_eq!(ended.code, Some(0), "{}", ended.err.text());
        assert_harmless(&ended);
    }
}

#[test]
fn a_process_that_vanishes_while_it_is_read_is_left_out() {
    let proc = FakeProc::with_memory_kib(1 << 20);
    proc.show(&Fake::new(1, "init").child_of(0));
    proc.show(&Fake::new(pid(0), "there"));
    proc.leave_an_empty_directory(pid(1));
    for (nth, file) in (2..).zip(["stat", "statm", "status", "cmdline", "cgroup", "exe"]) {
        proc.show(&Fake::new(pid(nth), "going"));
        proc.without(pid(nth), file);
    }
    proc.show(&Fake::new(pid(8), "dead").zombie());

    let ended = record(&proc);

    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
    assert_harmless(&ended);
    let known = processes(&ended);
    assert!(known.iter().any(|p| p["pid"] == pid(0)), "the one that stayed: {known:?}");
    assert!(
        !known.iter().any(|p| p["pid"] == pid(1)),
        "an empty directory is no process: {known:?}"
    );
}

#[test]
fn an_unreadable_or_broken_entry_does_not_hide_the_others() {
    let proc = FakeProc::with_memory_kib(1 << 20);
    proc.show(&Fake::new(1, "init").child_of(0));
    proc.show(&Fake::new(pid(0), "readable"));
    for (nth, file) in (1..).zip(["stat", "statm", "status", "cmdline", "cgroup"]) {
        proc.show(&Fake::new(pid(nth), "closed"));
        proc.unreadable(pid(nth), file);
    }
    for (nth, file) in (11..).zip(["stat", "statm", "status", "cgroup"]) {
        for (more, content) in
            [(0, &b""[..]), (10, b"\xff\x00) (\n"), (20, b"99999999999999999999999 ")]
        {
            proc.show(&Fake::new(pid(nth + more), "broken"));
            proc.with(pid(nth + more), file, content);
        }
    }

    let ended = record(&proc);

    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
    assert_harmless(&ended);
    assert!(processes(&ended).iter().any(|p| p["pid"] == pid(0)));
}

#[test]
fn processes_come_and_go_while_they_are_recorded() {
    let proc = FakeProc::with_memory_kib(1 << 20);
    proc.show(&Fake::new(1, "init").child_of(0));
    let procfs = proc.path().to_str().unwrap();
    let cli = Cli::leakwatch([
        "record",
        "--procfs",
        procfs,
        "--pattern",
        "^",
        "--interval",
        "100ms",
        "--samples",
        "20",
        "-",
    ]);
    let over = AtomicBool::new(false);

    let ended = std::thread::scope(|scope| {
        scope.spawn(|| {
            for nth in (0..50).cycle().take_while(|_| !over.load(Ordering::Relaxed)) {
                proc.show(&Fake {
                    start: 9_000_000 + u64::from(nth),
                    ..Fake::new(pid(nth % 7), "x")
                });
                proc.hide(pid(nth % 7));
            }
        });
        let ended = cli.end(Duration::from_secs(20));
        over.store(true, Ordering::Relaxed);
        ended
    });

    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
    assert_harmless(&ended);
    assert_eq!(ended.out.all().len(), 21, "a header and every sample");
}

#[test]
fn a_procfs_without_processes_is_reported_without_a_crash() {
    let empty = FakeProc::with_memory_kib(1 << 20);
    let cli = Cli::leakwatch(["--procfs", empty.path().to_str().unwrap(), "--pattern", "apache2"]);
    cli.err.expect_line(PROMPTLY, "that says nothing matches", |line| {
        line.contains("no process matches")
    });

    let ended = cli.stop();

    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
}
