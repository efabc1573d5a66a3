//! `leakwatch check` as cron and monitoring meet it: silent unless something is new, one at a time,
//! and mindful of what it did before.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::cli::{Cli, Ended, PROMPTLY};
use common::fake_proc::{Fake, FakeProc, pid};
use common::past;
use common::prefork::Prefork;
use leakwatch::history::lock::Lock;
use leakwatch::sample::ProcId;
use nix::sys::signal::Signal;
use tempfile::TempDir;

const MIB: u64 = 1 << 20;

/// A machine of files with an `app`, and a directory for its history.
struct World {
    proc: FakeProc,
    app: Fake,
    state: TempDir,
}

impl World {
    fn new() -> Self {
        let proc = FakeProc::with_memory_kib(1 << 20);
        proc.show(&Fake::new(1, "init").child_of(0));
        let app = Fake::new(pid(0), "app").holding_kib(200 << 10);
        proc.show(&app);
        Self { proc, app, state: tempfile::tempdir().unwrap() }
    }

    fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let (procfs, state) = (self.proc.path().to_str(), self.state.path().to_str());
        let args = ["--procfs", procfs.unwrap(), "--pattern", "app", "--state", state.unwrap()];
        [&args, more].concat()
    }

    fn check(&self, more: &[&str]) -> Ended {
        check(&self.args(more))
    }

    /// As if the app had grown by a MiB a check for so many checks.
    fn grew(&self, checks: u32) {
        let options = past::options(&self.args(&[]));
        let id = past::look(&options).procs[0].id;
        past::forge(self.state.path(), &options, checks, 300.0, &[(id, MIB)]);
    }

    fn history(&self) -> PathBuf {
        files(self.state.path(), ".history.jsonl").pop().expect("it has a history")
    }
}

fn check(args: &[&str]) -> Ended {
    Cli::leakwatch([&["check"], args].concat()).end(PROMPTLY)
}

fn files(dir: &Path, ends: &str) -> Vec<PathBuf> {
    let all = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    all.filter(|path| path.to_str().unwrap().ends_with(ends)).collect()
}

/// What it printed, and its exit status; nothing on standard error.
fn said(ended: &Ended) -> (String, Option<i32>) {
    assert_eq!(ended.err.text(), "");
    (ended.out.text(), ended.code)
}

fn silent(code: i32) -> (String, Option<i32>) {
    (String::new(), Some(code))
}

#[test]
fn it_is_silent_while_nothing_is_wrong() {
    let world = World::new();
    for _ in 0..3 {
        assert_eq!(said(&world.check(&[])), silent(0));
    }
    let (text, code) = said(&world.check(&["--always"]));
    assert!(text.starts_with("LEAKWATCH OK - app") && text.contains(" | processes=1;"), "{text}");
    assert_eq!((text.lines().count(), code), (1, Some(0)));
}

#[test]
fn a_leak_of_many_checks_is_told_once_and_again_after_a_day() {
    let world = World::new();
    world.grew(150);

    let (text, code) = said(&world.check(&[]));

    assert_eq!(code, Some(1), "{text}");
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("LEAKWATCH WARNING - app[") && first.contains("leaks"), "{text}");
    assert!(first.contains(" exhaustion=") && !first.contains("exhaustion=U"), "{text}");
    assert_eq!(said(&world.check(&[])), silent(1), "it was told");
    let (again, _) = said(&world.check(&["--renotify", "0s"]));
    assert!(again.starts_with("LEAKWATCH WARNING - "), "{again}");

    // It starts anew, as after a repair.
    world.proc.hide(world.app.pid);
    world.proc.show(&Fake::new(pid(1), "app").holding_kib(20 << 10));
    let (text, code) = said(&world.check(&[]));
    assert!(text.starts_with("LEAKWATCH OK - "), "{text}");
    assert_eq!(code, Some(0));
    assert_eq!(said(&world.check(&[])), silent(0));
}

#[test]
fn that_nothing_matches_is_told_once() {
    let world = World::new();
    world.proc.hide(world.app.pid);
    let (text, code) = said(&world.check(&[]));
    assert!(text.starts_with("LEAKWATCH UNKNOWN - no process matches pattern 'app'"), "{text}");
    assert_eq!(code, Some(3));
    assert_eq!(said(&world.check(&[])), silent(3));
}

#[test]
fn programs_get_the_state_as_json() {
    let world = World::new();
    world.grew(150);
    let ended = world.check(&["--format", "json"]);
    let events = common::events::all(&ended.out);
    assert_eq!((events[0].name(), events[0].text("state")), ("check", "warning"));
    assert_eq!(
        (events[0].json["samples"].as_u64(), events[0].json["leaking"].as_u64()),
        (Some(151), Some(1))
    );
}

#[test]
fn a_second_one_at_a_time_does_nothing() {
    let world = World::new();
    world.check(&[]);
    let lock = fs::read_dir(world.state.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let lock =
        lock.map(|name| name.into_string().unwrap()).find(|name| name.ends_with(".check.lock"));
    let name = lock.unwrap().strip_suffix(".lock").unwrap().to_owned();
    let held = Lock::take(world.state.path(), &name).unwrap().unwrap();
    world.proc.hide(world.app.pid);
    let before = fs::read(world.history()).unwrap();

    assert_eq!(said(&world.check(&["--always"])), silent(0));
    let ended = world.check(&["-v"]);

    assert!(ended.err.text().contains("another check"), "{}", ended.err.text());
    assert_eq!((ended.code, fs::read(world.history()).unwrap()), (Some(0), before));
    drop(held);
    assert_eq!(world.check(&[]).code, Some(3));
}

#[test]
fn without_a_place_to_write_it_judges_all_the_same() {
    let world = World::new();
    let file = world.state.path().join("file");
    fs::write(&file, "").unwrap();
    let nowhere = file.join("below");
    let procfs = world.proc.path().to_str().unwrap();

    let args = ["--procfs", procfs, "--pattern", "app", "--state", nowhere.to_str().unwrap()];
    let ended = check(&args);

    assert!(ended.out.text().starts_with("LEAKWATCH OK - app"), "{}", ended.out.text());
    assert!(ended.err.text().contains("cannot be made"), "{}", ended.err.text());
    let none = check(&["--no-state", "--pattern", "app"]);
    assert_eq!(none.code, Some(3));
    assert!(none.err.text().contains("hint:"), "{}", none.err.text());
}

/// A leaking worker under a budget that is all but used up.
struct Leaking {
    server: Prefork,
    args: Vec<String>,
    state: TempDir,
    worker: ProcId,
}

impl Leaking {
    fn start() -> Self {
        let server = Prefork::start(&[
            "--leaky",
            "1",
            "--healthy",
            "2",
            "--cache",
            "0",
            "--rate",
            "40M/s",
            "--max",
            "80M",
        ]);
        server.wait_started("leaky", 1);
        let (master, state) = (server.master().pid.to_string(), tempfile::tempdir().unwrap());
        let dir = state.path().to_str().unwrap();
        let args = ["--pid", &master, "--budget", "83M", "--state", dir, "--format", "json"];
        let args: Vec<String> = args.map(str::to_owned).to_vec();
        let leaky = server.started("leaky")[0];
        // Until it holds what the history says that it came to.
        let end = std::time::Instant::now() + Duration::from_secs(60);
        while common::process::anon_kib(leaky) < 78 << 10 && std::time::Instant::now() < end {
            std::thread::sleep(Duration::from_millis(50));
        }
        let worker = common::process::Id::of(leaky).unwrap();
        let worker = ProcId { pid: worker.pid, start: worker.start };
        let leaking = Self { server, args, state, worker };
        let options = past::options(&leaking.words(&[]));
        past::forge(leaking.state.path(), &options, 150, 300.0, &[(worker, MIB / 2)]);
        leaking
    }

    fn words<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        self.args.iter().map(String::as_str).chain(more.iter().copied()).collect()
    }

    fn check(&self, more: &[&str]) -> Ended {
        check(&self.words(more))
    }
}

#[test]
fn an_order_is_given_once_and_followed_up_by_the_next_check() {
    let leaking = Leaking::start();

    let first = leaking.check(&[]);

    let orders = common::events::named(&first.out, "order");
    assert_eq!(orders.len(), 1, "{}{}", first.out.text(), first.err.text());
    assert_eq!(orders[0].pid(), leaking.worker.pid);
    assert_eq!(first.code, Some(2), "{}", first.out.text());
    let gone = || common::process::Id::of(leaking.worker.pid).is_none_or(|id| !id.runs());
    let end = std::time::Instant::now() + PROMPTLY;
    while !gone() && std::time::Instant::now() < end {
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(gone(), "it was not signalled");

    let second = leaking.check(&[]);

    assert!(common::events::named(&second.out, "order").is_empty(), "{}", second.out.text());
    let outcomes = common::events::named(&second.out, "outcome");
    assert_eq!(outcomes.len(), 1, "{}", second.out.text());
    assert_eq!((outcomes[0].pid(), outcomes[0].text("result")), (leaking.worker.pid, "gone"));
    assert!(leaking.server.ended("healthy").is_empty() && leaking.server.master().runs());
}

#[test]
fn a_dry_run_says_its_order_once_and_signals_nobody() {
    let leaking = Leaking::start();
    let orders = |ended: &Ended| common::events::named(&ended.out, "order").len();
    assert_eq!(orders(&leaking.check(&["--dry-run"])), 1);
    assert_eq!(orders(&leaking.check(&["--dry-run", "--always"])), 0, "it is said already");
    assert!(leaking.server.ended("leaky").is_empty());
    // Only said: meant for real, it is given.
    assert_eq!(orders(&leaking.check(&[])), 1);
}

#[test]
fn beside_a_watch_of_the_same_it_only_reports() {
    let leaking = Leaking::start();
    let options = past::options(&leaking.words(&[]));
    let name = format!("{}.watch", leakwatch::settings::name(&options.select));
    let _watch = Lock::take(leaking.state.path(), &name).unwrap().unwrap();
    let ended = leaking.check(&[]);
    assert!(common::events::named(&ended.out, "order").is_empty(), "{}", ended.out.text());
    assert!(matches!(ended.code, Some(1 | 2)), "{}", ended.out.text());
    assert!(leaking.server.ended("leaky").is_empty());
}

/// Killed at any instant, it leaves a history that the next one reads, less its own sample at most.
#[test]
fn whenever_it_is_killed_the_history_stays_readable() {
    let world = World::new();
    world.grew(126);
    let history = world.history();
    let lines = || fs::read_to_string(&history).unwrap().lines().count();
    let mut least = lines();
    let mut killed = 0;
    let rounds: u32 = if std::env::var_os("LEAKWATCH_LONG").is_some() { 1000 } else { 150 };
    for round in 0..rounds {
        age(&history, 300.0);
        let cli = Cli::leakwatch([&["check"], &world.args(&[])[..]].concat());
        std::thread::sleep(Duration::from_micros(u64::from(round) * 37 % 12_000));
        cli.signal(Signal::SIGKILL);
        killed += usize::from(cli.end(PROMPTLY).code.is_none());
        let whole = fs::read(&history).unwrap();
        let count = whole.iter().filter(|byte| **byte == b'\n').count();
        // Thinning joins; nothing else makes it shorter.
        assert!(count + 70 >= least && count > 60, "{count} lines after {least}");
        least = count;
    }
    assert!(killed > rounds as usize / 4, "{killed} of {rounds} were still running");
    let ended = world.check(&["--always"]);
    assert_eq!(ended.err.text(), "", "no line is garbled");
}

/// Makes all samples older.
fn age(history: &Path, by_s: f64) {
    let text = fs::read_to_string(history).unwrap();
    let (torn, whole) = match text.rfind('\n') {
        Some(end) => (&text[end + 1..], &text[..end + 1]),
        None => (&text[..], ""),
    };
    let shift = |line: &str| match line.split_once("\"t\":") {
        Some((before, rest)) => {
            let (t, after) = rest.split_once(',').unwrap();
            let t: f64 = t.parse().unwrap();
            format!("{before}\"t\":{},{after}\n", t - by_s)
        }
        None => format!("{line}\n"),
    };
    let aged: String = whole.lines().map(shift).collect();
    fs::write(history, aged + torn).unwrap();
}
