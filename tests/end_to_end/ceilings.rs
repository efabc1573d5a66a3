//! `leakwatch ceilings`: which limit would fail a fork first, how it was read, and why others are
//! not there.

use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::fake_proc::{Fake, FakeProc, pid};

/// A service with limits, of three processes.
fn machine() -> FakeProc {
    let proc = FakeProc::with_memory_kib(1 << 20).with_cgroups();
    for nth in 0..3 {
        let app = Fake::new(pid(nth), "app").holding_kib(1_000);
        proc.show(&if nth == 0 { app } else { app.child_of(pid(0)) });
    }
    proc
}

fn ceilings(proc: &FakeProc, more: &[&str]) -> Ended {
    let (procfs, sysfs) = (proc.path().display().to_string(), proc.sysfs().display().to_string());
    let mut args = vec!["ceilings", "--procfs", &procfs, "--sysfs", &sysfs];
    args.extend(more);
    Cli::leakwatch(args).end(PROMPTLY)
}

#[test]
fn the_limit_with_the_least_share_left_comes_first_and_each_says_where_it_was_read() {
    let proc = machine();
    let ended = ceilings(&proc, &["--pattern", "app"]);
    assert_eq!(ended.code, Some(0));
    let text = ended.out.text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines[0].contains("LEFT") && lines[0].contains("AT ZERO"), "{text}");
    assert!(lines[1].ends_with("OOM killer    RAM and swap"), "{text}");
    assert!(lines[3].contains("384 MiB   75 %    128 MiB    512 MiB  OOM killer    memory cgroup"));
    let pids = lines.iter().position(|line| line.contains("pids.max of cgroup")).unwrap();
    assert!(lines[pids].contains("79   79 %         21        100  fork: EAGAIN"), "{text}");
    let file = format!("system.slice/fixture.service/pids.max  over app({})", pid(0));
    assert!(lines[pids + 1].ends_with(&file), "{text}");
    assert!(text.contains("commit: not enforced: vm.overcommit_memory is 0"), "{text}");
    assert!(lines.iter().take(pids).all(|line| line.len() <= 120), "{text}");
}

#[test]
fn the_ceilings_are_available_as_one_json_object() {
    let proc = machine();
    let ended = ceilings(&proc, &["--pattern", "app", "--format", "json"]);
    let json: serde_json::Value = serde_json::from_str(&ended.out.text()).unwrap();
    let all = json["ceilings"].as_array().unwrap();
    let pids = all.iter().find(|ceiling| ceiling["ceiling"] == "pids").unwrap();
    assert_eq!((&pids["left_tasks"], &pids["effect"]), (&79.into(), &"eagain".into()));
    assert_eq!(pids["place"], "/system.slice/fixture.service");
    assert_eq!(pids["trees"][0]["pid"], pid(0));
    assert!(json["notes"].as_array().unwrap().iter().any(|note| note["about"] == "commit"));
}

#[test]
fn without_a_process_the_limits_of_the_machine_are_listed() {
    let proc = machine();
    let ended = ceilings(&proc, &["--pattern", "nobody"]);
    assert_eq!(ended.code, Some(0));
    assert!(
        ended.out.text().contains("kernel.pid_max") && !ended.out.text().contains("pids.max of")
    );
    assert!(ended.err.all()[0].text().contains("no process matches"));
}

#[test]
fn a_directory_that_is_no_procfs_is_refused_with_a_remedy() {
    let ended = Cli::leakwatch(["ceilings", "--procfs", "/nonexistent"]).end(PROMPTLY);
    assert_eq!(ended.code, Some(3));
    assert!(ended.err.all().iter().any(|line| line.text().contains("hint: is it a /proc?")));
}
