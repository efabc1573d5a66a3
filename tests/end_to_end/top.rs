//! The live view on a real pseudo-terminal: each key, other sizes, and that the terminal is given back at
//! every end.

use std::path::Path;
use std::process::Command;

use crate::common::cli::{Cli, PROMPTLY};
use crate::common::fake_proc::{Fake, FakeProc, pid};
use crate::common::prefork::{self, Prefork};
use crate::common::process;
use crate::common::pty::{Pty, Screen};
use crate::common::wait;
use leakwatch::system::terminal::Terminal;
use nix::sys::signal::Signal;
use std::mem::ManuallyDrop;

const SMALL: (u16, u16) = (80, 24);

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(Cli::program());
    command.args(["top", "--color", "never"]).args(args);
    command.env("LEAKWATCH_CONFIG", "/dev/null").env("TERM", "xterm");
    command
}

/// The view of a recording that stands still at its end.
fn recording() -> Pty {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings/apache-leak.jsonl.gz");
    let mut top = Pty::start(&mut command(&[file.to_str().unwrap()]), SMALL);
    top.expect_text(PROMPTLY, "SERVICE by urgency");
    // End: to the last sample.
    top.types("\x1b[F");
    top.expect_text(PROMPTLY, "at its end");
    top
}

/// Asserts that the terminal is as it was before the program began.
fn assert_given_back(top: &Pty) {
    let screen = top.screen();
    assert!(!screen.is_alternate && screen.has_cursor, "{}", screen.text());
    assert!(top.is_as_before(), "its settings are others");
}

#[test]
fn a_screen_is_shown_and_given_back_at_q() {
    let mut top = recording();
    let screen = top.screen();
    assert!(screen.is_alternate && !screen.has_cursor && !top.is_as_before());
    assert!(screen.row(1).starts_with("leakwatch top"), "{}", screen.text());
    top.types("q");
    assert_eq!(top.end(PROMPTLY).code(), Some(0));
    assert_given_back(&top);
}

#[test]
fn the_terminal_is_given_back_at_every_signal_that_ends_it_and_at_ctrl_c() {
    for signal in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP, Signal::SIGQUIT] {
        let mut top = recording();
        top.signal(signal);
        assert_eq!(top.end(PROMPTLY).code(), Some(0), "{signal}");
        assert_given_back(&top);
    }
    let mut top = recording();
    top.types("\x03");
    assert_eq!(top.end(PROMPTLY).code(), Some(0));
    assert_given_back(&top);
}

/// Whether a process is stopped by a signal.
fn is_stopped(pid: u32) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

#[test]
fn the_terminal_is_given_back_while_it_is_stopped_and_taken_over_again() {
    let mut top = recording();
    let is_left = |screen: &Screen| !screen.is_alternate && screen.has_cursor;
    let by_signal = |top: &mut Pty| top.signal(Signal::SIGTSTP);
    let by_key = |top: &mut Pty| top.types("\x1a");
    for stop in [by_signal as fn(&mut Pty), by_key] {
        stop(&mut top);
        top.expect(PROMPTLY, "screen that was left", is_left);
        assert!(wait::until(PROMPTLY, || is_stopped(top.pid())), "it goes on");
        assert!(top.is_as_before());
        top.signal(Signal::SIGCONT);
        top.expect(PROMPTLY, "whole screen again", |screen| {
            screen.is_alternate && screen.text().contains("> apache2")
        });
        assert!(!top.is_as_before());
    }
    // It reads keys again.
    top.types("q");
    assert_eq!(top.end(PROMPTLY).code(), Some(0));
    assert_given_back(&top);
}

/// Set where a test runs again by itself, on a terminal.
const INSIDE: &str = "LEAKWATCH_TEST_ON_A_TERMINAL";

#[test]
fn the_terminal_is_given_back_at_a_panic_before_the_message() {
    if std::env::var_os(INSIDE).is_some() {
        // Only the hook gives it back, as in a release build, where nothing unwinds.
        let _terminal = ManuallyDrop::new(Terminal::open().unwrap());
        panic!("as it is meant to");
    }
    let test = std::thread::current().name().expect("a test has a name").to_owned();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", &test, "--nocapture"]).env(INSIDE, "1");
    let mut program = Pty::start(&mut command, SMALL);
    assert_ne!(program.end(PROMPTLY).code(), Some(0));
    assert_given_back(&program);
    let written = String::from_utf8_lossy(&program.written).into_owned();
    let (taken, left) = (written.find("\x1b[?1049h"), written.find("\x1b[?1049l"));
    let said = written.find("as it is meant to");
    assert!(taken.is_some() && taken < left && left < said, "{written}");
}

/// Whether the nth process of the list is the chosen one.
fn is_chosen(screen: &Screen, nth: usize) -> bool {
    let head = (1..24).find(|row| screen.row(*row).starts_with("PROCESS of"));
    head.is_some_and(|head| screen.row(head + nth).starts_with('>'))
}

#[test]
fn each_key_does_what_the_help_says() {
    let mut top = recording();
    top.types("?");
    top.expect_text(PROMPTLY, "leakwatch top: keys");
    top.types("x");
    top.expect_text(PROMPTLY, "> apache2");
    for order in ["growth", "size", "name", "urgency"] {
        top.types("s");
        top.expect_text(PROMPTLY, &format!("SERVICE by {order}"));
    }
    top.types("/nothing has this name");
    top.expect(PROMPTLY, "empty list", |screen| !screen.text().contains("> apache2"));
    top.types("\x1b");
    top.expect_text(PROMPTLY, "> apache2");
    top.types("\t");
    top.expect(PROMPTLY, "chosen process", |screen| is_chosen(screen, 1));
    top.types("\x1b[B");
    top.expect(PROMPTLY, "next process", |screen| is_chosen(screen, 2));
    top.types("\x1b[A");
    top.expect(PROMPTLY, "first process again", |screen| is_chosen(screen, 1));
    top.types("e");
    top.expect_text(PROMPTLY, "is judged so");
    top.types("\x1b[6~\x1b[5~q");
    top.expect_text(PROMPTLY, "PROCESS of apache2");
    top.types("l");
    top.expect(PROMPTLY, "events", |screen| screen.row(1).starts_with("events"));
    top.types("q");
    top.expect_text(PROMPTLY, "PROCESS of apache2");
    top.types("r");
    top.expect_text(PROMPTLY, "this is a recording already");
    top.types("k");
    top.expect_text(PROMPTLY, "nothing is ended here");
    // The beginning, where it stands still, and one sample on.
    top.types(" \x1b[H");
    top.expect_text(PROMPTLY, "  0.0 s of 5 min, paused");
    top.types(".");
    top.expect_text(PROMPTLY, "  1.0 s of 5 min, paused");
    top.types(",");
    top.expect_text(PROMPTLY, "  0.0 s of 5 min, paused");
    top.types("\x1b[C");
    top.expect_text(PROMPTLY, "  59 s of 5 min, paused");
    top.types("\x1b[D");
    top.expect_text(PROMPTLY, "  0.0 s of 5 min, paused");
    top.types(" +");
    top.expect_text(PROMPTLY, "20x as fast");
    top.types("-");
    top.expect_text(PROMPTLY, "10x as fast");
    top.types("q");
    assert_eq!(top.end(PROMPTLY).code(), Some(0));
    assert_given_back(&top);
}

#[test]
fn another_size_is_drawn_anew() {
    let mut top = recording();
    assert!(top.screen().row(24).contains("? help"), "{}", top.screen().text());
    top.resize((100, 30));
    top.expect(PROMPTLY, "larger screen", |screen| screen.row(30).contains("? help"));
    top.resize((50, 12));
    top.expect(PROMPTLY, "smaller screen", |screen| {
        screen.row(12).contains("? help") && screen.row(13).is_empty()
    });
    assert!(top.screen().text().lines().all(|line| line.chars().count() <= 50));
    top.types("q");
    assert_eq!(top.end(PROMPTLY).code(), Some(0));
}

/// The view of a running server, with the nth of its processes chosen.
fn of_server(server: &Prefork, nth: usize, more: &[&str]) -> Pty {
    let pid = server.master().pid.to_string();
    let args = [&["--interval", "1", "--pid", &pid], more].concat();
    let mut command = command(&args);
    command.env("LEAKWATCH_SERVER", prefork::ROW);
    let mut top = Pty::start(&mut command, SMALL);
    top.expect_text(PROMPTLY, "PROCESS of");
    // By name and number, an order that does not change while they run.
    top.types("sss\t");
    top.expect_text(PROMPTLY, "SERVICE by name");
    for _ in 1..nth {
        top.types("\x1b[B");
    }
    top.expect(PROMPTLY, "chosen process", |screen| is_chosen(screen, nth));
    top
}

/// The process that a question names: "End leaky_prefork[123] with TERM?".
fn asked(screen: &Screen) -> Option<u32> {
    let rest = screen.row(1).strip_prefix("End ")?.split_once('[')?.1;
    rest.split_once(']')?.0.parse().ok()
}

#[test]
fn a_worker_is_ended_gently_once_that_is_confirmed_and_a_master_never() {
    let server = Prefork::start(&["--leaky", "0", "--healthy", "4", "--cache", "0"]);
    server.wait_started("healthy", 4);
    let (before, master) = (server.workers(), server.master());
    let (mut questions, mut refusals) = (0, 0);
    for nth in 1..=before.len() + 1 {
        let mut top = of_server(&server, nth, &["--dry-run"]);
        top.types("k");
        top.expect(PROMPTLY, "answer", |screen| {
            asked(screen).is_some() || screen.text().contains("is not ended")
        });
        let screen = top.screen();
        if let Some(pid) = asked(&screen) {
            assert!(before.iter().any(|id| id.pid == pid), "{}", screen.text());
            assert!(screen.text().contains("one of 4 workers of"), "{}", screen.text());
            top.types("y");
            top.expect_text(PROMPTLY, "dry run: nothing was signalled");
            top.types("k");
            top.expect(PROMPTLY, "the question again", |screen| asked(screen) == Some(pid));
            questions += 1;
        } else {
            assert!(screen.row(1).contains(&format!("[{}]", master.pid)), "{}", screen.text());
            assert!(screen.text().contains("it has children"), "{}", screen.text());
            refusals += 1;
        }
    }
    assert_eq!((questions, refusals), (4, 1));
    assert_eq!(server.workers(), before, "a dry run ended one");

    let nth = (1..=before.len()).find(|nth| {
        let mut top = of_server(&server, *nth, &[]);
        top.types("k");
        top.expect(PROMPTLY, "answer", |screen| {
            asked(screen).is_some() || screen.text().contains("is not ended")
        });
        let Some(pid) = asked(&top.screen()) else { return false };
        top.types("n");
        top.expect_text(PROMPTLY, "nothing was signalled");
        assert_eq!(server.workers(), before, "one ended without a confirmation");
        top.types("k");
        top.expect(PROMPTLY, "the question again", |screen| asked(screen) == Some(pid));
        top.types("y");
        top.expect_text(PROMPTLY, "it was told to exit");
        let is_gone = || server.workers().iter().all(|id| id.pid != pid);
        assert!(wait::until(PROMPTLY, is_gone), "{pid} goes on");
        true
    });
    assert!(nth.is_some(), "no worker could be chosen");
    let left = server.workers();
    assert!(master.runs(), "the master is gone");
    assert_eq!(before.iter().filter(|id| left.contains(id)).count(), 3, "others ended too");
}

#[test]
fn processes_are_recorded_from_a_key_to_the_next() {
    let machine = FakeProc::with_memory_kib(1 << 20);
    machine.show(&Fake::new(pid(1), "worker"));
    let dir = tempfile::tempdir().unwrap();
    let procfs = machine.path().to_str().unwrap();
    let mut command = command(&["--interval", "1", "--procfs", procfs]);
    let mut top = Pty::start(command.current_dir(dir.path()), SMALL);
    top.expect_text(PROMPTLY, "worker");
    top.types("r");
    top.expect_text(PROMPTLY, ".jsonl");
    top.types("\r");
    top.expect_text(PROMPTLY, "recording to leakwatch-");
    top.types("r");
    top.expect(PROMPTLY, "end of it", |screen| !screen.text().contains("r ends it"));
    top.signal(Signal::SIGTERM);
    assert_eq!(top.end(PROMPTLY).code(), Some(0));
    assert_given_back(&top);
    let names: Vec<_> = std::fs::read_dir(dir.path()).unwrap().flatten().collect();
    assert_eq!(names.len(), 1, "{names:?}");
    assert!(process::Id::of(top.pid()).is_none_or(|id| !id.runs()));
}
