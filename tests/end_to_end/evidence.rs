//! Evidence of processes, as it is taken, kept and printed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::events;
use crate::common::load::{Load, Plan};
use crate::common::needs::{self, Need};
use crate::common::prefork::Prefork;
use crate::common::wait;

/// What a worker of the example asks malloc for, again and again, and what that is to malloc.
const CHUNK: u64 = 64 << 10;
const BLOCK: u64 = CHUNK + 16;

/// A process that waits, until it is dropped.
struct Waits(Child);

impl Waits {
    fn start() -> Self {
        Self(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn evidence(args: &[&str]) -> Ended {
    Cli::leakwatch([&["evidence"], args].concat()).end(PROMPTLY)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_evidence_of_a_process_is_printed_or_kept_and_printed_later() {
    let process = Waits::start();
    let pid = process.0.id().to_string();
    let printed = evidence(&["--take", &pid]);
    assert_eq!(printed.code, Some(0), "{}", printed.err.text());
    let text = printed.out.text();
    for part in ["### Memory", "### Open descriptors", "VmRSS", " pipes", &format!("cat[{pid}]")] {
        assert!(text.contains(part), "no {part} in {text}");
    }

    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("evidence");
    let path = inside.to_str().unwrap();
    let kept = evidence(&["--take", &pid, path]);
    assert_eq!(kept.code, Some(0), "{}", kept.err.text());
    let name = &names(&inside)[0];
    assert!(name.ends_with(&format!("-{pid}-cat")), "{name}");
    assert_eq!(kept.out.text().trim(), inside.join(name).to_str().unwrap());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&inside), mode(&inside.join(name))), (0o700, 0o700));
    let files = names(&inside.join(name));
    assert!(files.iter().all(|file| mode(&inside.join(name).join(file)) == 0o600));
    // Where only a descendant may be read (kernel.yama.ptrace_scope 1), the heap is what is missing.
    let heap = if files.contains(&"unread".to_owned()) { "### Not read" } else { "### Heap" };
    let text = evidence(&[path]).out.text();
    assert!(text.contains(heap) && text.contains("VmRSS") && text.contains("/cat"), "{text}");
    let masked = evidence(&[path, "--mask"]).out.text();
    assert!(masked.contains("VmRSS") && masked.contains("program ***"), "{masked}");
    assert!(!masked.contains("/cat"), "{masked}");
}

#[test]
fn what_cannot_be_done_is_said_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("a/b");
    let missing = missing.to_str().unwrap();
    let own = std::process::id().to_string();
    for (args, why) in [
        (&[missing][..], "there is no directory"),
        (&["--take", &own, missing], "cannot keep evidence in"),
        (&["--take", "4294967295"], "it has ended"),
    ] {
        let ended = evidence(args);
        let said = ended.err.text();
        assert_eq!(ended.code, Some(3), "{args:?} {said}");
        assert!(said.contains(why) && said.contains("\n  hint: "), "{said}");
    }
    let ended = evidence(&[]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.text().starts_with("No evidence is kept in '"), "{}", ended.out.text());
}

/// A server that leaks below a budget, under load.
fn leaking() -> (Prefork, Load) {
    let counts = ["--leaky", "3", "--healthy", "1", "--cache", "0", "--rate", "1M/s"];
    let server = Prefork::start(&counts);
    let load = Load::start(Plan::of(server.port(), "/", 10.0));
    (server, load)
}

fn watch(server: &Prefork, before: &[String], evidence: &Path) -> Cli {
    let master = server.master().pid.to_string();
    let args = ["--interval", "1s", "--budget", "120M", "--format", "json", "--no-state"];
    let more = ["--pid", &master, "--evidence", evidence.to_str().unwrap()];
    Cli::leakwatch_by(before, [&args[..], &more].concat())
}

fn expect(cli: &Cli, event: &str) {
    cli.out.expect_line(Duration::from_secs(90), event, |line| events::is(line, event));
}

/// The helper that keeps evidence for this watch.
fn helper(cli: &Cli) -> Option<u32> {
    let children = format!("/proc/{0}/task/{0}/children", cli.pid());
    let children = fs::read_to_string(children).unwrap_or_default();
    let is_helper = |pid: &u32| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        line.starts_with(b"leakwatch-evidence")
    };
    children.split_whitespace().filter_map(|pid| pid.parse().ok()).find(is_helper)
}

#[test]
fn an_order_leaves_evidence_that_names_what_leaks() {
    let (server, _load) = leaking();
    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("evidence");
    let cli = watch(&server, &[], &inside);
    assert!(wait::until(PROMPTLY, || server.workers().len() == 4 && helper(&cli).is_some()));
    expect(&cli, "growing");
    // When a service is stopped, all its processes get this: the helper goes on until the watch ends.
    kill(Pid::from_raw(helper(&cli).unwrap().cast_signed()), Signal::SIGTERM).unwrap();
    expect(&cli, "outcome");
    let order = events::named(&cli.out, "order").remove(0);
    let ended = cli.stop();
    assert!(!ended.err.text().contains("evidence"), "{}", ended.err.text());

    let of_order = |name: &String| name.contains(&format!("Z-{}-leaky_prefork", order.pid()));
    let name = names(&inside).into_iter().find(of_order).expect("there is its directory");
    let kept = inside.join(name);
    let read = |name: &str| fs::read_to_string(kept.join(name)).unwrap_or_default();
    let files = names(&kept);
    for part in
        ["about.json", "descriptors", "heap", "heap.json", "smaps_rollup", "status", "windows"]
    {
        assert!(files.contains(&part.to_owned()), "no {part} in {files:?}: {}", read("unread"));
    }
    let said = read("events");
    assert!(said.contains("ORDER ") && said.contains("OUTCOME "), "{said}");
    let records: Vec<Value> =
        read("events.jsonl").lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.contains(&order.json), "{records:?}");
    // Two looks are enough to tell what grew.
    let heap: Value = serde_json::from_str(&read("heap.json")).unwrap();
    assert!(heap["looks"].as_u64().unwrap() >= 2, "{heap}");
    assert_eq!(heap["finding"]["verdict"], "leak", "{heap}");
    assert_eq!(heap["finding"]["grown"][0]["size"], BLOCK, "{heap}");
    let size = files.iter().map(|file| fs::metadata(kept.join(file)).unwrap().len()).sum::<u64>();
    assert!(size < 200 << 10, "{size} bytes");
    let report = evidence(&[inside.to_str().unwrap()]).out.text();
    assert!(report.contains(&format!("more blocks of {BLOCK} bytes")), "{report}");
}

#[test]
fn a_helper_that_dies_costs_the_evidence_and_nothing_else() {
    let (server, _load) = leaking();
    let dir = tempfile::tempdir().unwrap();
    let cli = watch(&server, &[], dir.path());
    assert!(wait::until(PROMPTLY, || helper(&cli).is_some()));
    kill(Pid::from_raw(helper(&cli).unwrap().cast_signed()), Signal::SIGKILL).unwrap();
    expect(&cli, "outcome");
    let ended = cli.stop();
    let said = ended.err.text();
    assert_eq!(said.matches("the helper that keeps evidence has died").count(), 1, "{said}");
    assert!(names(dir.path()).is_empty());
}

#[test]
#[ignore = "needs root"]
fn a_full_disk_loses_the_evidence_and_not_the_order() {
    needs::require(&[Need::Root]);
    let (server, _load) = leaking();
    let dir = tempfile::tempdir().unwrap();
    const FULL: &str = "mount -t tmpfs -o size=64k,mode=700 tmpfs \"$0\" && \
                        ! cat /dev/zero 2>/dev/null >\"$0/filler\" && exec \"$@\"";
    let own = ["unshare", "--mount", "sh", "-c", FULL].map(str::to_owned);
    let own = [&own[..], &[dir.path().to_str().unwrap().to_owned()]].concat();
    let cli = watch(&server, &own, dir.path());
    expect(&cli, "outcome");
    let lost = |line: &str| line.contains("evidence is lost: cannot write to '");
    cli.err.expect_line(PROMPTLY, "that evidence is lost", lost);
    // Its own view of the disk, as long as it runs.
    let seen = PathBuf::from(format!("/proc/{}/root", cli.pid()));
    let seen = seen.join(dir.path().strip_prefix("/").unwrap());
    assert_eq!(names(&seen), ["filler"]);
    let ended = cli.stop();
    assert!(ended.err.text().contains("No space left on device"), "{}", ended.err.text());
}

#[test]
fn where_evidence_cannot_be_kept_a_watch_does_not_begin() {
    let (server, _load) = leaking();
    let dir = tempfile::tempdir().unwrap();
    let open = dir.path().join("open");
    fs::create_dir(&open).unwrap();
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).unwrap();
    for (path, why) in [(dir.path().join("a/b"), "No such file"), (open, "writable by every user")]
    {
        let ended = watch(&server, &[], &path).end(PROMPTLY);
        let said = ended.err.text();
        assert_eq!(ended.code, Some(3), "{said}");
        assert!(said.contains("cannot keep evidence in '") && said.contains(why), "{said}");
        assert!(said.contains("\n  hint: "), "{said}");
    }
}
