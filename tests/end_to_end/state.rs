//! What a watch learns of programs outlives it, and nothing depends on that.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::fake_proc::{Fake, FakeProc, pid};

/// Watches a master, every 0.1 s, until its child has lived for a while and ended.
fn watch(more: &[&str]) -> Ended {
    let proc = FakeProc::with_memory_kib(1 << 20);
    proc.show(&Fake::new(1, "init").child_of(0));
    let master = Fake::new(pid(0), "master");
    proc.show(&master);
    proc.show(&Fake { pid: pid(1), ppid: master.pid, ..Fake::new(pid(1), "job") });
    let procfs = proc.path().to_str().unwrap();
    let args = ["--procfs", procfs, "--pattern", "master", "--interval", "100ms"];
    let cli = Cli::leakwatch([&args, more].concat());
    cli.err.expect_line(PROMPTLY, "that says what is watched", |line| line.contains("watching"));
    // There is no event to await: a child that is judged healthy is not spoken of.
    std::thread::sleep(Duration::from_millis(1500));
    proc.hide(pid(1));
    std::thread::sleep(Duration::from_millis(500));
    cli.stop()
}

fn complaints(ended: &Ended) -> Vec<String> {
    let lines = ended.err.all();
    lines.iter().map(|line| line.text()).filter(|line| line.contains("program profiles")).collect()
}

fn kept(dir: &Path) -> String {
    fs::read_to_string(dir.join("programs.jsonl")).unwrap_or_default()
}

#[test]
fn a_run_that_ended_is_remembered_and_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let args = ["--state-dir", state.to_str().unwrap()];

    let ended = watch(&args);

    assert_eq!(complaints(&ended), [""; 0]);
    let text = kept(&state);
    assert!(text.contains(r#"{"comm":"job","parent":"master","peak":"#), "{text}");
    let mode = fs::metadata(state.join("programs.jsonl")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A larger run than any now: what is read is kept on, and nothing new is learnt.
    let larger =
        text.replace(r#""peak":"#, r#""peak":99"#).replace("longest_s\":", "longest_s\":9");
    fs::write(state.join("programs.jsonl"), &larger).unwrap();
    watch(&args);
    assert_eq!(kept(&state), larger);
}

#[test]
fn a_torn_file_is_reported_once_and_replaced() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("programs.jsonl"), "{\"format\":\"leakwa").unwrap();

    let ended = watch(&["--state-dir", dir.path().to_str().unwrap()]);

    let said = complaints(&ended);
    assert!(said.len() == 1 && said[0].contains("torn or garbled"), "{said:?}");
    assert!(kept(dir.path()).contains("\"job\""));
    assert_eq!(ended.code, Some(0));
}

#[test]
fn a_directory_that_cannot_be_made_is_reported_once_and_the_watch_goes_on() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let below = file.path().join("state");

    let ended = watch(&["--state-dir", below.to_str().unwrap()]);

    assert!(!complaints(&ended).is_empty(), "{}", ended.err.text());
    assert_eq!(ended.code, Some(0));
}

#[test]
fn a_second_watch_of_the_same_processes_exits_at_once() {
    let proc = FakeProc::with_memory_kib(1 << 20);
    proc.show(&Fake::new(pid(0), "master"));
    let state = tempfile::tempdir().unwrap();
    let (procfs, state) = (proc.path().to_str().unwrap(), state.path().to_str().unwrap());
    let args = ["--procfs", procfs, "--state-dir", state, "--pattern"];
    let start = |more: &[&str]| Cli::leakwatch([&args, more].concat());
    let says_what = |line: &str| line.contains("watching");
    let first = start(&["master"]);
    first.err.expect_line(PROMPTLY, "that says what is watched", says_what);

    let second = start(&["master"]).end(PROMPTLY);
    assert_eq!(
        (second.code, second.out.text(), second.err.text()),
        (Some(0), "".into(), "".into())
    );
    let told = start(&["master", "-v"]).end(PROMPTLY);
    assert!(told.err.text().contains("already running"), "{}", told.err.text());
    // Another selection is another watch, and so is one that only says what it would do.
    for more in [&["mast"][..], &["master", "--dry-run"]] {
        let other = start(more);
        other.err.expect_line(PROMPTLY, "that says what is watched", says_what);
        other.stop();
    }
    // However the first one ends, it leaves nothing locked.
    first.signal(nix::sys::signal::Signal::SIGKILL);
    first.end(PROMPTLY);
    let next = start(&["master"]);
    next.err.expect_line(PROMPTLY, "that says what is watched", says_what);
}

#[test]
fn nothing_is_written_with_no_state() {
    let ended = watch(&["--no-state"]);

    assert_eq!(complaints(&ended), [""; 0]);
    let both = Cli::leakwatch(["--no-state", "--state-dir", "/nonexistent"]).end(PROMPTLY);
    assert_eq!(both.code, Some(3), "one excludes the other");
}
