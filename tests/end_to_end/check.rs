//! `leakwatch check` as cron and monitoring meet it: silent unless something is new, one at a time,
//! and mindful of what it did before.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common;
use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::fake_proc::{Fake, FakeProc, pid};
use crate::common::needs::{self, Need};
use crate::common::past;
use crate::common::prefork::Prefork;
use crate::common::process::Id;
use leakwatch::core::model::process::ProcId;
use leakwatch::store::history::lock::SelectionLock;
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
        let app = Fake::new(pid(0), "app").holding_kib(200 << 10);
        proc.show(&app);
        Self { proc, app, state: tempfile::tempdir().unwrap() }
    }

    fn args<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let (procfs, state) = (self.proc.path().to_str(), self.state.path().to_str());
        let args = ["--procfs", procfs.unwrap(), "--pattern", "app", "--state-dir", state.unwrap()];
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
fn a_check_is_silent_while_nothing_is_wrong() {
    let world = World::new();
    for _ in 0..3 {
        assert_eq!(said(&world.check(&[])), silent(0));
    }
    let (text, code) = said(&world.check(&["--report-always"]));
    assert!(text.starts_with("LEAKWATCH OK - app") && text.contains(" | processes=1;"), "{text}");
    assert_eq!((text.lines().count(), code), (1, Some(0)));
}

#[test]
fn a_leak_of_many_checks_is_reported_once_and_again_after_a_day() {
    let world = World::new();
    world.grew(150);

    let (text, code) = said(&world.check(&[]));

    assert_eq!(code, Some(1), "{text}");
    let first = text.lines().next().unwrap();
    assert!(first.starts_with("LEAKWATCH WARNING - app[") && first.contains("grows"), "{text}");
    assert!(first.contains(" exhaustion=") && !first.contains("exhaustion=U"), "{text}");
    assert_eq!(said(&world.check(&[])), silent(1), "it was told");
    let (again, _) = said(&world.check(&["--repeat-after", "0s"]));
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
fn no_match_is_reported_once() {
    let world = World::new();
    world.proc.hide(world.app.pid);
    let (text, code) = said(&world.check(&[]));
    assert!(text.starts_with("LEAKWATCH UNKNOWN - no process matches pattern 'app'"), "{text}");
    assert_eq!(code, Some(3));
    assert_eq!(said(&world.check(&[])), silent(3));
}

#[test]
fn the_state_is_available_as_json() {
    let world = World::new();
    world.grew(150);
    let ended = world.check(&["--format", "json"]);
    let events = common::events::all(&ended.out);
    assert_eq!((events[0].name(), events[0].text("state")), ("check", "warning"));
    assert_eq!(
        (events[0].json["samples"].as_u64(), events[0].json["growing"].as_u64()),
        (Some(151), Some(1))
    );
}

#[test]
fn a_second_check_at_a_time_does_nothing() {
    let world = World::new();
    world.check(&[]);
    let lock = fs::read_dir(world.state.path()).unwrap().map(|entry| entry.unwrap().file_name());
    let lock =
        lock.map(|name| name.into_string().unwrap()).find(|name| name.ends_with(".check.lock"));
    let name = lock.unwrap().strip_suffix(".lock").unwrap().to_owned();
    let held = SelectionLock::take(world.state.path(), &name).unwrap().unwrap();
    world.proc.hide(world.app.pid);
    let before = fs::read(world.history()).unwrap();

    assert_eq!(said(&world.check(&[])), silent(0));
    // A monitoring system would take that for a good result.
    let asked = world.check(&["--report-always"]);
    assert_eq!((asked.out.text(), asked.code), (String::new(), Some(3)));
    assert!(asked.err.text().contains("hint: give each"), "{}", asked.err.text());
    let ended = world.check(&["-v"]);

    assert!(ended.err.text().contains("another check"), "{}", ended.err.text());
    assert_eq!((ended.code, fs::read(world.history()).unwrap()), (Some(0), before));
    drop(held);
    assert_eq!(world.check(&[]).code, Some(3));
}

#[test]
fn a_check_without_a_place_to_write_still_judges() {
    let world = World::new();
    let file = world.state.path().join("file");
    fs::write(&file, "").unwrap();
    let nowhere = file.join("below");
    let procfs = world.proc.path().to_str().unwrap();

    let args = ["--procfs", procfs, "--pattern", "app", "--state-dir", nowhere.to_str().unwrap()];
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
        // What it holds is what the history says that it came to.
        let (server, worker) = Prefork::start_leaked(80);
        let (master, state) = (server.master().pid.to_string(), tempfile::tempdir().unwrap());
        let dir = state.path().to_str().unwrap();
        let args = ["--pid", &master, "--budget", "83M", "--state-dir", dir, "--format", "json"];
        let args: Vec<String> = args.map(str::to_owned).to_vec();
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
fn a_check_follows_up_on_the_order_of_the_last_one() {
    let leaking = Leaking::start();

    let first = leaking.check(&[]);

    let orders = common::events::named(&first.out, "order");
    assert_eq!(orders.len(), 1, "{}{}", first.out.text(), first.err.text());
    assert_eq!(orders[0].pid(), leaking.worker.pid);
    assert_eq!(first.code, Some(2), "{}", first.out.text());
    let gone = || common::process::Id::of(leaking.worker.pid).is_none_or(|id| !id.runs());
    assert!(common::wait::until(PROMPTLY, gone), "it was not signalled");

    let second = leaking.check(&[]);

    assert!(common::events::named(&second.out, "order").is_empty(), "{}", second.out.text());
    let outcomes = common::events::named(&second.out, "outcome");
    assert_eq!(outcomes.len(), 1, "{}", second.out.text());
    assert_eq!((outcomes[0].pid(), outcomes[0].text("result")), (leaking.worker.pid, "gone"));
    assert!(leaking.server.ended("healthy").is_empty() && leaking.server.master().runs());
}

#[test]
fn a_dry_run_prints_its_order_once_and_signals_nothing() {
    let leaking = Leaking::start();
    let orders = |ended: &Ended| common::events::named(&ended.out, "order").len();
    assert_eq!(orders(&leaking.check(&["--dry-run"])), 1);
    assert_eq!(orders(&leaking.check(&["--dry-run", "--report-always"])), 0, "it is said already");
    assert!(leaking.server.ended("leaky").is_empty());
    // Only said: meant for real, it is given.
    assert_eq!(orders(&leaking.check(&[])), 1);
}

#[test]
fn a_check_beside_a_watch_only_reports() {
    let leaking = Leaking::start();
    let options = past::options(&leaking.words(&[]));
    let name = format!("{}.watch", leakwatch::cli::resolve::file_name(&options.select));
    let _watch = SelectionLock::take(leaking.state.path(), &name).unwrap().unwrap();
    let ended = leaking.check(&[]);
    assert!(common::events::named(&ended.out, "order").is_empty(), "{}", ended.out.text());
    assert!(matches!(ended.code, Some(1 | 2)), "{}", ended.out.text());
    assert!(leaking.server.ended("leaky").is_empty());
}

/// A check that stays with a server of which one worker will have used up a budget before the check after
/// the next, by what earlier checks saw. Just now the worker is stopped.
struct Staying {
    server: Prefork,
    worker: Id,
    check: Cli,
    state: TempDir,
}

impl Staying {
    fn start() -> Self {
        let counts = ["--leaky", "1", "--healthy", "2", "--cache", "0"];
        let server = Prefork::start(&[&counts[..], &["--rate", "3M/s", "--max", "400M"]].concat());
        server.wait_started("leaky", 1);
        let worker = Id::of(server.started("leaky")[0]).expect("it runs");
        let held = || common::process::anon_kib(worker.pid) >= 100 << 10;
        assert!(common::wait::until(Duration::from_secs(120), held), "it does not grow");
        worker.signal(Signal::SIGSTOP);
        let (master, state) = (server.master().pid.to_string(), tempfile::tempdir().unwrap());
        let dir = state.path().to_str().unwrap();
        let args = ["--pid", &master, "--state-dir", dir, "--format", "json", "--report-always"];
        let now = past::look(&past::options(&args));
        let held: u64 = now.procs.iter().map(|proc| proc.footprint()).sum();
        let budget = (held + 8 * MIB).to_string();
        let args = [&args[..], &["--budget", &budget, "--stay"]].concat();
        let id = ProcId { pid: worker.pid, start: worker.start };
        past::forge(state.path(), &past::options(&args), 20, 300.0, &[(id, 5 * MIB)]);
        let check = Cli::leakwatch([&["check"], &args[..]].concat());
        check.out.expect_line(PROMPTLY, "with its state", |line| line.contains("\"check\""));
        Self { server, worker, check, state }
    }
}

#[test]
fn a_check_that_stays_ends_a_worker_when_it_must_and_not_before() {
    let Staying { server, worker, check, state: _state } = Staying::start();
    let before = Instant::now();
    worker.signal(Signal::SIGCONT);
    assert!(server.wait_ended("leaky", 1, PROMPTLY), "{}", check.out.text());
    check.out.expect_line(PROMPTLY, "with the outcome", |line| line.contains("\"outcome\""));
    let ended = check.stop();
    let orders = common::events::named(&ended.out, "order");
    assert_eq!(orders[0].pid(), worker.pid, "{}", ended.out.text());
    // The budget is near: one that does not stay ends it at once.
    assert!(orders[0].at > before, "{}", ended.out.text());
    assert_eq!(ended.code, Some(2), "{}", ended.err.text());
    assert!(server.ended("healthy").is_empty() && server.master().runs());
}

#[test]
fn a_check_that_stays_ends_at_once_when_it_is_told_to() {
    let Staying { server, worker, check, state: _state } = Staying::start();
    check.signal(Signal::SIGTERM);
    let ended = check.end(PROMPTLY);
    assert!(common::events::named(&ended.out, "order").is_empty(), "{}", ended.out.text());
    assert_eq!((ended.code, ended.err.text()), (Some(0), String::new()), "it only grows");
    assert!(worker.runs() && server.ended("leaky").is_empty());
    worker.signal(Signal::SIGCONT);
}

#[test]
fn a_check_does_not_stay_where_nothing_ends_soon() {
    let world = World::new();
    world.grew(100);
    assert_eq!(world.check(&["--stay"]).code, Some(0));
}

/// A script that runs as root with a tiny file system of its own, `$1`, for the state.
const FULL: &str = r#"set -e
mount -t tmpfs -o size=256k,mode=755 tmpfs "$1"; cp "$2"/* "$1"
dd if=/dev/zero of="$1/filler" bs=4k 2>/dev/null || true
shift 2
"$@"
"$@""#;

#[test]
#[ignore = "needs root"]
fn a_full_disk_is_reported_once_and_the_check_still_judges() {
    needs::require(&[Need::Root]);
    let world = World::new();
    // So many that their sample does not fit into what is left of the file's last block.
    (2..40).for_each(|nth| world.proc.show(&Fake::new(pid(nth), "app").child_of(world.app.pid)));
    world.grew(20);
    let mount = tempfile::tempdir().unwrap();
    let procfs = world.proc.path().to_str().unwrap();
    let state = mount.path().to_str().unwrap();
    let mut command = std::process::Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c", FULL, "sh", state])
        .arg(world.state.path())
        .args([env!("CARGO_BIN_EXE_leakwatch"), "check", "--procfs", procfs, "--pattern", "app"])
        .args(["--state-dir", state])
        .env("LEAKWATCH_CONFIG", "/dev/null");

    let ended = Cli::start(&mut command).end(PROMPTLY);

    let (out, err) = (ended.out.text(), ended.err.text());
    assert_eq!(out.matches("LEAKWATCH OK - app").count(), 1, "{out}{err}");
    assert_eq!(err.matches("No space left on device").count(), 1, "{err}");
    assert!(err.contains("hint:"), "{err}");
}

#[test]
#[ignore = "needs root"]
fn another_users_history_is_neither_read_nor_written() {
    needs::require(&[Need::Root]);
    let world = World::new();
    world.grew(150);
    fs::set_permissions(world.state.path(), fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(world.proc.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let before = fs::read(world.history()).unwrap();
    // Where every user may run it.
    let place = tempfile::tempdir().unwrap();
    let program = place.path().join("leakwatch");
    common::process::install(Path::new(env!("CARGO_BIN_EXE_leakwatch")), &program);
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = std::process::Command::new("setpriv");
    command
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&program)
        .args([&["check"], &world.args(&["--report-always"])[..]].concat())
        .env("LEAKWATCH_CONFIG", "/dev/null");

    let ended = Cli::start(&mut command).end(PROMPTLY);

    let (out, err) = (ended.out.text(), ended.err.text());
    assert!(out.starts_with("LEAKWATCH OK - app"), "{out}{err}");
    assert!(err.contains("Permission denied"), "{err}");
    assert_eq!(fs::read(world.history()).unwrap(), before);
}

/// Killed at any instant, it leaves a history that the next one reads, less its own sample at most.
/// `LEAKWATCH_LONG=1` kills a thousand.
#[test]
fn a_check_killed_at_any_moment_leaves_a_readable_history() {
    let world = World::new();
    // Just before it is thinned.
    world.grew(120);
    let history = world.history();
    let options = past::options(&world.args(&[]));
    let rounds: u32 = if std::env::var_os("LEAKWATCH_LONG").is_some() { 1000 } else { 150 };
    let start = Instant::now();
    world.check(&[]);
    let mut takes = start.elapsed();
    let (mut taken, mut killed, mut added) = (past::taken(world.state.path(), &options), 0, 0);
    for round in 0..10 * rounds {
        // A machine that is suddenly slower has all of them killed, until one is let end.
        if round >= rounds && killed > rounds / 4 && added > 9 {
            break;
        }
        // As if the next one came five minutes later.
        age(&history);
        let start = Instant::now();
        let cli = Cli::leakwatch([&["check"], &world.args(&[])[..]].concat());
        // At any instant of what the last one took that was let end: on a busy machine that varies.
        if cli.out.wait_closed(takes * (round * 7919 % 1250) / 1000) {
            takes = start.elapsed();
        }
        cli.signal(Signal::SIGKILL);
        let code = cli.end(PROMPTLY).code;
        let now = past::taken(world.state.path(), &options);
        killed += u32::from(code.is_none());
        added += now - taken;
        assert!(now >= taken, "{now} samples after {taken}");
        assert!(code.is_none() || now > taken, "it ended, yet its sample is lost");
        taken = now;
    }
    assert!(killed > rounds / 4 && added > 9, "{killed} of {rounds} were killed, {added} kept");
    assert_eq!(world.check(&["--report-always"]).err.text(), "", "no line is garbled");
}

/// Makes all samples older, so that the last one was taken five minutes ago.
fn age(history: &Path) {
    let text = fs::read_to_string(history).unwrap();
    let (whole, torn) = text.split_at(text.rfind('\n').map_or(0, |end| end + 1));
    let t = |line: &str| -> Option<(String, f64, String)> {
        let (before, rest) = line.split_once("\"t\":")?;
        let (t, after) = rest.split_once(',')?;
        Some((before.to_owned(), t.parse().ok()?, after.to_owned()))
    };
    let last = whole.lines().filter_map(t).next_back().unwrap().1;
    let by_s = leakwatch::system::wait::unix_s() - 300.0 - last;
    let shift = |line: &str| match t(line) {
        Some((before, t, after)) => format!("{before}\"t\":{},{after}\n", t + by_s),
        None => format!("{line}\n"),
    };
    let aged: String = whole.lines().map(shift).collect();
    fs::write(history, aged + torn).unwrap();
}
