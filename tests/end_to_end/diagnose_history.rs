//! `leakwatch diagnose` with what checks left: hours of evidence beside a minute of live samples.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::fake_proc::{Fake, FakeProc, pid};
use crate::common::past::{self, Growth};
use crate::common::prefork::Prefork;
use leakwatch::core::model::process::ProcId;
use serde_json::Value;
use tempfile::TempDir;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const EVERY_S: f64 = 300.0;

/// A machine of files that is two weeks up, with an `app` and a `db`, and what checks left of it.
struct World {
    proc: FakeProc,
    app: Fake,
    db: Fake,
    logs: TempDir,
    state: TempDir,
}

impl World {
    fn new() -> Self {
        let proc = FakeProc::with_memory_kib(1 << 20);
        // Started right after the boot, which the real clock says was longer ago than any history.
        let app = Fake { start: 100, ..Fake::new(pid(0), "app").holding_kib(200 << 10) };
        let db = Fake { start: 100, ..Fake::new(pid(1), "db").holding_kib(300 << 10) };
        let dir = || tempfile::tempdir().unwrap();
        let world = Self { proc, app, db, logs: dir(), state: dir() };
        world.show(&world.app);
        world.show(&world.db);
        world
    }

    /// Shows a process, which is in no unit.
    fn show(&self, process: &Fake) {
        self.proc.show(process);
        self.proc.with(process.pid, "cgroup", "0::/\n");
    }

    fn procfs(&self) -> &str {
        self.proc.path().to_str().unwrap()
    }

    /// As if these had been checked so often, and had grown by so much at each.
    fn checked(&self, patterns: &[&str], checks: u32, growths: &[Growth]) {
        let state = self.state.path().to_str().unwrap();
        let mut args = vec!["--procfs", self.procfs(), "--state-dir", state];
        patterns.iter().for_each(|pattern| args.extend(["--pattern", pattern]));
        past::forge(self.state.path(), &past::options(&args), checks, EVERY_S, growths);
    }

    /// The app, or the database.
    fn id(of: &Fake) -> ProcId {
        ProcId { pid: of.pid, start: of.start }
    }

    fn history(&self) -> PathBuf {
        let all = fs::read_dir(self.state.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut all = all.filter(|path| path.to_str().unwrap().ends_with(".history.jsonl"));
        all.next().expect("there is a history")
    }

    fn diagnose(&self, more: &[&str]) -> Ended {
        let (logs, state) = (self.logs.path().to_str(), self.state.path().to_str());
        let args = ["diagnose", "--procfs", self.procfs(), "--logs", logs.unwrap()];
        let state = match more.contains(&"--no-state") {
            true => vec![],
            false => vec!["--state-dir", state.unwrap()],
        };
        Cli::leakwatch([&args, &state[..], more].concat()).end(Duration::from_secs(60))
    }

    fn report(&self, more: &[&str]) -> (Value, Option<i32>) {
        let ended = self.diagnose(&[&["--format", "json"], more].concat());
        let report = serde_json::from_str(&ended.out.text());
        (report.unwrap_or_else(|e| panic!("{e}: {}", ended.err.text())), ended.code)
    }
}

fn service<'a>(report: &'a Value, name: &str) -> &'a Value {
    let services = report["services"].as_array().unwrap();
    services.iter().find(|service| service["name"] == name).unwrap()
}

fn verdict<'a>(report: &'a Value, name: &str) -> &'a str {
    service(report, name)["verdict"].as_str().unwrap()
}

/// A text as one line, for what may be broken anywhere.
fn flowing(ended: &Ended) -> String {
    ended.out.text().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn lines(path: &Path) -> Vec<String> {
    fs::read_to_string(path).unwrap().lines().map(str::to_owned).collect()
}

/// Three days at 200 KiB a check: 4 KiB in the six seconds of live samples.
#[test]
fn a_leak_too_slow_for_live_samples_is_proven_by_the_history() {
    let world = World::new();
    world.checked(&["app"], 864, &[(World::id(&world.app), 200 * KIB)]);

    let (alone, code) = world.report(&["--for", "6s", "--no-state"]);
    assert!(!is_accused(verdict(&alone, "app")), "the live samples alone do not show it");
    assert_eq!(code, Some(0));

    let (report, code) = world.report(&["--for", "6s"]);
    let app = service(&report, "app");
    assert!(app["verdict"].as_str().is_some_and(is_accused) && code == Some(1), "{app:#}");
    assert_eq!(app["judged_by"], "earlier");
    let pace = app["growth"]["bytes_per_s"].as_f64().unwrap();
    let really = 200.0 * KIB as f64 / EVERY_S;
    assert!((pace / really - 1.0).abs() < 0.1, "{pace} instead of {really} bytes a second");
    let (low, high) = (app["growth"]["low"].as_f64().unwrap(), app["growth"]["high"].as_f64());
    assert!(low <= really && high.unwrap() >= really, "{app:#}");
    let end_s = app["forecast"]["likely_s"].as_f64().unwrap();
    let left = 512.0 * MIB as f64;
    assert!((end_s / (left / really) - 1.0).abs() < 0.1, "{end_s} s instead of {}", left / really);
    // The picture begins with the history, of the service and of the machine.
    for series in [&app["series"], &report["available"]] {
        let t = |point: &Value| point[0].as_f64().unwrap();
        let points = series.as_array().unwrap();
        let span_s = t(points.last().unwrap()) - t(&points[0]);
        assert!(span_s > 2.9 * 86_400.0, "{span_s} s");
    }
    let earlier = &report["observed"]["earlier"][0];
    assert_eq!(
        (earlier["samples"].as_u64(), earlier["source"].as_str()),
        (Some(864), Some("checks"))
    );
    assert!(earlier["name"].as_str().unwrap().starts_with("app"));
    assert!(!is_accused(verdict(&report, "db")), "no other service is flagged");
}

#[test]
fn the_text_names_the_history_and_clears_by_it() {
    let world = World::new();
    world.checked(&[], 456, &[]);

    let ended = world.diagnose(&["--for", "4s"]);

    let text = flowing(&ended);
    assert!(
        text.contains("a history of 37 h 55 min (456 checks; 2 of 2 services) and 4"),
        "{text}"
    );
    assert!(text.contains("db 300 MiB") && text.contains("flat for 37 h"), "{text}");
    assert!(text.contains("now and up to 37 h"), "{text}");
    assert_eq!((ended.code, ended.err.text()), (Some(0), String::new()));
}

/// The history of a database that grew for five hours until its cache was full, and of which a check
/// has just been made.
#[test]
fn a_cache_that_has_filled_is_cleared_with_since_when() {
    let world = World::new();
    let id = World::id(&world.db);
    world.checked(&["db"], 180, &[(id, MIB)]);
    // The lines of the last 120 checks have its size of now.
    let path = world.history();
    let all = lines(&path);
    let full = format!("\"rss\":{0},\"anon\":{0}", 300 * MIB);
    let edited: Vec<String> = (all.iter().enumerate())
        .map(|(nth, line)| match (nth >= all.len() - 120, line.find("\"rss\":")) {
            (true, Some(at)) => {
                let end =
                    at + line[at..].find(",\"swap\"").or(line[at..].find(",\"cpu\"")).unwrap();
                format!("{}{full}{}", &line[..at], &line[end..])
            }
            _ => line.clone(),
        })
        .collect();
    fs::write(&path, edited.join("\n") + "\n").unwrap();

    let (report, code) = world.report(&["--for", "0"]);

    let db = service(&report, "db");
    assert_eq!((db["verdict"].as_str(), code), (Some("settled"), Some(0)), "{db:#}");
    assert!(db["reason"].as_str().unwrap().contains("grew, then flat for 10 h"), "{db:#}");
}

#[test]
fn one_look_and_a_history_are_enough_for_a_verdict() {
    let world = World::new();
    world.checked(&["app"], 300, &[(World::id(&world.app), 512 * KIB)]);

    let ended = world.diagnose(&["--for", "0"]);

    let text = flowing(&ended);
    assert!(text.contains("app grows steadily: it holds 200 MiB and grows by 6.0 MiB/h"), "{text}");
    assert!(text.contains("(300 checks; 1 of 2 services) and one sample now"), "{text}");
    assert!(text.contains("grew steadily for"), "{text}");
    assert_eq!(ended.code, Some(1));
}

/// A leak of which half came back is none any more, whatever the history says.
#[test]
fn a_leak_verdict_does_not_outlive_the_growth() {
    let world = World::new();
    world.checked(&["app"], 300, &[(World::id(&world.app), 512 * KIB)]);
    world.show(&Fake { anon_kib: 90 << 10, ..world.app.clone() });

    let (report, code) = world.report(&["--for", "0"]);

    assert!(!is_accused(verdict(&report, "app")), "{:#}", service(&report, "app"));
    assert_eq!(code, Some(0));
}

#[test]
fn a_history_does_not_count_for_another_process_with_the_same_pid() {
    let world = World::new();
    world.checked(&["app"], 300, &[(World::id(&world.app), 512 * KIB)]);
    world.proc.hide(world.app.pid);
    world.show(&Fake { start: 200, ..world.app.clone() });

    let (report, code) = world.report(&["--for", "0"]);

    assert!(!is_accused(verdict(&report, "app")));
    assert!(service(&report, "app")["earlier"].is_null());
    assert_eq!(code, Some(0));
}

#[test]
fn a_service_larger_than_ever_is_not_called_flat() {
    let world = World::new();
    world.checked(&["db"], 200, &[]);
    world.show(&Fake { anon_kib: 380 << 10, ..world.db.clone() });

    let (report, code) = world.report(&["--for", "4s"]);

    let db = service(&report, "db");
    assert_eq!((db["verdict"].as_str(), code), (Some("unclear"), Some(0)));
    let reason = db["reason"].as_str().unwrap();
    assert!(reason.contains("holds more now than ever in the 16 h"), "{reason}");
}

#[test]
fn the_history_of_another_boot_is_left_out_and_reported() {
    let world = World::new();
    world.checked(&["app"], 300, &[(World::id(&world.app), 512 * KIB)]);
    let path = world.history();
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains("\"boot\":\"\""));
    fs::write(&path, text.replacen("\"boot\":\"\"", "\"boot\":\"0f0f-1\"", 1)).unwrap();

    let (report, code) = world.report(&["--for", "0"]);

    assert!(!is_accused(verdict(&report, "app")));
    assert_eq!(report["observed"]["earlier"].as_array().unwrap().len(), 0);
    let unseen = report["unseen"].to_string();
    assert!(unseen.contains("the history of app") && unseen.contains("another boot"), "{unseen}");
    assert_eq!(code, Some(0));
}

#[test]
fn garbled_and_torn_lines_are_skipped_and_reported() {
    let world = World::new();
    world.checked(&["app"], 300, &[(World::id(&world.app), 512 * KIB)]);
    let path = world.history();
    let mut all = lines(&path);
    let half = all[40].len() / 2;
    all[40].truncate(half);
    all[41] = "\u{0}\u{0}\u{0}".to_owned();
    // No newline at its end: a check writes it just now, or was killed.
    let torn = all.last().unwrap()[..30].to_owned();
    fs::write(&path, all.join("\n") + "\n" + &torn).unwrap();
    let before = fs::read(&path).unwrap();

    let (report, code) = world.report(&["--for", "0"]);

    assert!(is_accused(verdict(&report, "app")) && code == Some(1));
    let unseen = report["unseen"].to_string();
    assert!(unseen.contains("2 garbled lines of the history of app"), "{unseen}");
    assert_eq!(fs::read(&path).unwrap(), before, "it is only read");
    assert_eq!(fs::read_dir(world.state.path()).unwrap().count(), 2, "and its lock let alone");
}

#[test]
fn each_service_is_judged_by_the_history_that_saw_it_longest() {
    let world = World::new();
    world.checked(&["app"], 300, &[(World::id(&world.app), 512 * KIB)]);
    world.checked(&[], 100, &[(World::id(&world.app), 512 * KIB)]);

    let (report, code) = world.report(&["--for", "0"]);

    assert!(is_accused(verdict(&report, "app")));
    assert_eq!(verdict(&report, "db"), "flat");
    assert_eq!(code, Some(1));
    let earlier = report["observed"]["earlier"].as_array().unwrap();
    let by = |name: &str| {
        let index = service(&report, name)["earlier"]["index"].as_u64().unwrap() as usize;
        earlier[index]["name"].as_str().unwrap().split('-').next().unwrap().to_owned()
    };
    assert_eq!((by("app").as_str(), by("db").as_str(), earlier.len()), ("app", "all", 2));
    let span_s = |name| service(&report, name)["watched_s"].as_f64().unwrap();
    assert!(span_s("app") > 24.0 * 3600.0 && span_s("db") < 9.0 * 3600.0);
}

#[test]
fn a_history_of_a_few_checks_gives_no_verdict_yet() {
    let world = World::new();
    world.checked(&[], 5, &[]);

    let text = flowing(&world.diagnose(&["--for", "0"]));

    assert!(text.contains("too short for a verdict: 5 of the 12 checks"), "{text}");
    assert!(text.contains("One sample,") && text.contains("There are too few samples"), "{text}");
}

#[test]
fn a_file_that_is_no_history_is_left_out_and_reported() {
    let world = World::new();
    let state = world.state.path();
    fs::write(state.join("a.history.jsonl"), "nonsense\n").unwrap();
    std::os::unix::fs::symlink("/etc/passwd", state.join("b.history.jsonl")).unwrap();
    let (fifo, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU);
    rustix::fs::mknodat(rustix::fs::CWD, state.join("c.history.jsonl"), fifo, mode, 0).unwrap();
    fs::create_dir(state.join("d.history.jsonl")).unwrap();
    fs::write(state.join("e.history.jsonl"), "").unwrap();
    let huge = fs::File::create(state.join("f.history.jsonl")).unwrap();
    huge.set_len(1 << 30).unwrap();

    let (report, code) = world.report(&["--for", "0"]);

    let unseen = report["unseen"].to_string();
    for name in ["a", "b", "c", "d", "f"] {
        assert!(unseen.contains(&format!("the history of {name} was left out")), "{unseen}");
    }
    assert!(!unseen.contains("root:x:"), "nothing of what a link leads to is shown: {unseen}");
    assert_eq!(code, Some(0));
}

#[test]
fn a_missing_history_is_reported_only_if_one_was_named() {
    let world = World::new();
    let said = |ended: &Ended| flowing(ended).contains("there is no history of checks in");
    assert!(said(&world.diagnose(&["--for", "0"])));
    assert!(!said(&world.diagnose(&["--for", "0", "--no-state"])));
    let procfs = world.procfs();
    let args = ["diagnose", "--for", "0", "--procfs", procfs, "--logs"];
    // The directory that it would be in by default, as the environment has it, is empty.
    let usual = Cli::leakwatch([&args[..], &[world.logs.path().to_str().unwrap()]].concat());
    assert!(!said(&usual.end(PROMPTLY)));
    let both = Cli::leakwatch(["diagnose", "--state-dir", "/x", "--no-state"]).end(PROMPTLY);
    assert_eq!(both.code, Some(3));
}

/// Where checks keep their histories may be configured; no other setting is a diagnosis's.
#[test]
fn the_history_directory_is_the_one_configured_for_checks() {
    let world = World::new();
    world.checked(&["app"], 300, &[(World::id(&world.app), 512 * KIB)]);
    let file = world.logs.path().join("leakwatch.toml");
    let text = format!("pattern = 'db'\nstate-dir = '{}'\n", world.state.path().display());
    fs::write(&file, text).unwrap();
    let logs = world.logs.path().to_str().unwrap();
    let args = ["diagnose", "--for", "0", "--procfs", world.procfs(), "--logs", logs];
    let configured = |file: &Path| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_leakwatch"));
        let none = world.logs.path().join("none");
        command.args(args).env("LEAKWATCH_CONFIG", file).env("STATE_DIRECTORY", none);
        flowing(&Cli::start(&mut command).end(PROMPTLY))
    };
    assert!(configured(&file).contains("app grows steadily:"), "{}", configured(&file));
    // A broken configuration stops a check, not a diagnosis.
    fs::write(&file, "nonsense").unwrap();
    assert!(configured(&file).contains("WHAT HOLDS THE MEMORY"), "{}", configured(&file));
}

/// A recording is judged the same way, be it one of `record` or the history of a check.
#[test]
fn a_recording_of_this_boot_counts_beside_the_live_samples() {
    let world = World::new();
    world.checked(&["app"], 300, &[(World::id(&world.app), 512 * KIB)]);
    let path = world.history();

    let more = ["--for", "2s", "--no-state", "--recording", path.to_str().unwrap()];
    let (report, code) = world.report(&more);

    assert!(is_accused(verdict(&report, "app")) && code == Some(1), "{report:#}");
    assert_eq!(report["observed"]["earlier"][0]["source"], "recording");
    assert!(
        report["observed"]["live_s"].as_f64().unwrap() > 1.0,
        "live samples were taken as well"
    );
}

/// Any user can choose names, those of files included.
#[test]
fn the_page_begins_with_the_history_and_escapes_hostile_names() {
    let world = World::new();
    world.checked(&["app"], 300, &[(World::id(&world.app), 512 * KIB)]);
    fs::write(world.state.path().join("<img src=x>\x1b[2J.history.jsonl"), "x\n").unwrap();
    let page = world.logs.path().join("page.html");

    let ended = world.diagnose(&["--for", "0", "--html", page.to_str().unwrap()]);

    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("a history of 24 h 55 min (300 checks; 1 of 2 services)"), "{page}");
    assert!(page.contains("nothing left:") && page.contains("in 24 h 5"), "{page}");
    assert!(page.contains("&lt;img src=x&gt;") && !page.contains("<img"), "{page}");
    assert!(!page.contains('\x1b') && !ended.out.text().contains('\x1b'));
}

/// A real server whose leaking worker rests: a quiet minute does not clear what an hour of checks saw.
#[test]
fn a_running_pool_leaks_by_its_history_and_its_healthy_workers_do_not() {
    let (server, worker) = Prefork::start_leaked(160);
    let worker = ProcId { pid: worker.pid, start: worker.start };
    let (master, state) = (server.master().pid.to_string(), tempfile::tempdir().unwrap());
    let dir = state.path().to_str().unwrap();
    // A MiB in 30 s: the memory of any test machine ends within the 30 days that are of concern.
    let options = past::options(&["--pid", &master, "--state-dir", dir]);
    past::forge(state.path(), &options, 150, 30.0, &[(worker, MIB)]);

    let logs = tempfile::tempdir().unwrap();
    let args = ["--for", "4s", "--format", "json", "--logs", logs.path().to_str().unwrap()];
    let args = [&["diagnose", "--pid", &master, "--state-dir", dir][..], &args].concat();
    let ended = Cli::leakwatch(args).end(Duration::from_secs(60));

    let report: Value = serde_json::from_str(&ended.out.text()).unwrap();
    let pool = &report["services"][0];
    assert!(pool["verdict"].as_str().is_some_and(is_accused), "{pool:#}");
    assert!(pool["reason"].as_str().unwrap().starts_with("1 of its 4 processes"), "{pool:#}");
    assert!(matches!(ended.code, Some(1 | 2)), "{:?}", ended.code);
    assert!(server.master().runs() && server.ended("leaky").is_empty(), "nothing is signalled");
}

/// It leaks, or grows for so long that it endangers memory.
fn is_accused(verdict: &str) -> bool {
    ["leaking", "growing"].contains(&verdict)
}
