//! The sampler on a /proc of files: which processes it watches, and what it says of them.

use super::Sampler;
use crate::core::model::sample::Sample;
use crate::system::aside::Hanging;
use crate::system::proc::procdir::ProcDir;
use crate::system::proc::{Selection, SelectionArgs};
use std::fs;
use std::path::Path;
use std::sync::Arc;

/// Shows a process of so many resident pages whose program image lies at `image`.
fn show(root: &Path, pid: u32, ppid: u32, (pages, image): (u32, u32)) {
    let dir = root.join(pid.to_string());
    fs::create_dir_all(&dir).unwrap();
    let stat = format!(
        "{pid} (app) S {ppid} 1 1 0 -1 0 0 0 0 0 1 1 0 0 20 0 1 0 {pid} 9000 9 0 {image} 2 {image}\n"
    );
    fs::write(dir.join("stat"), stat).unwrap();
    fs::write(dir.join("statm"), format!("9000 {pages} 0 1 0 20 0\n")).unwrap();
}

#[test]
fn a_worker_that_runs_another_program_is_no_fork_of_its_master_any_more() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("meminfo"), "MemTotal: 1000 kB\nMemAvailable: 500 kB\n").unwrap();
    show(dir.path(), 10, 1, (50, 4096));
    show(dir.path(), 11, 10, (50, 4096));
    let words = SelectionArgs { patterns: vec!["app".to_owned()], ..SelectionArgs::default() };
    let selection = Selection::new(&words, Path::new("/nonexistent")).unwrap();
    let mut probe = Sampler::new(dir.path(), None, selection, None).unwrap();
    let mut sample = Sample::default();
    let mut forked = |t: f64| {
        probe.sample(t, None, &mut sample).unwrap();
        let programs = sample.programs.iter();
        programs.map(|program| (program.id.pid, program.forked)).collect::<Vec<_>>()
    };

    assert_eq!(forked(1.0), [(10, false), (11, true)]);
    assert_eq!(forked(2.0), [], "told once");
    assert_eq!(forked(3.0).len(), 2, "and once more when it has settled");
    // An exec draws a new image; the name, pid and start time may stay as they are.
    show(dir.path(), 11, 10, (50, 8192));
    assert_eq!(forked(4.0), [(11, false)]);
}

#[test]
fn a_unit_means_its_processes_and_their_children_but_not_the_master_of_another_unit() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("meminfo"), "MemTotal: 1000 kB\nMemAvailable: 500 kB\n").unwrap();
    // The session was forked by the master without exec.
    for (pid, ppid, group) in [
        (10, 1, "/system.slice/ssh.service"),
        (11, 10, "/user.slice/user-7.slice/session-3.scope"),
        (12, 11, "/user.slice/user-7.slice/session-3.scope"),
        (13, 1, "/system.slice/app.service/ssh.service"),
    ] {
        show(dir.path(), pid, ppid, (50, 4096));
        fs::write(dir.path().join(format!("{pid}/cgroup")), format!("0::{group}\n")).unwrap();
    }
    let watched = |unit: &str| {
        let words = SelectionArgs { units: vec![unit.to_owned()], ..SelectionArgs::default() };
        let selection = Selection::new(&words, Path::new("/nonexistent")).unwrap();
        let mut probe = Sampler::new(dir.path(), None, selection, None).unwrap();
        let mut sample = Sample::default();
        probe.sample(1.0, None, &mut sample).unwrap();
        sample.procs.iter().map(|proc| proc.id.pid).collect::<Vec<_>>()
    };
    assert_eq!(watched("ssh"), [10, 11, 12]);
    assert_eq!(watched("session-3.scope"), [11, 12]);
    assert_eq!(watched("user-7.slice"), [11, 12]);
    assert_eq!(watched("app"), [13]);
    assert_eq!(watched("cron"), [0; 0]);
}

#[test]
fn of_more_than_may_be_watched_the_master_and_the_largest_are() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("meminfo"), "MemTotal: 1000 kB\nMemAvailable: 500 kB\n").unwrap();
    show(dir.path(), 10, 1, (1, 4096));
    for (pid, pages) in [(11, 50), (12, 40), (13, 30), (14, 20)] {
        show(dir.path(), pid, 10, (pages, 4096));
    }
    let words = SelectionArgs {
        patterns: vec!["app".to_owned()],
        most: Some(3),
        ..SelectionArgs::default()
    };
    let selection = Selection::new(&words, Path::new("/nonexistent")).unwrap();
    let mut probe = Sampler::new(dir.path(), None, selection, None).unwrap();
    let mut sample = Sample::default();
    let mut t = 0.0;
    let mut watched = |probe: &mut Sampler, ticks: u32| {
        for _ in 0..ticks {
            t += 1.0;
            probe.sample(t, None, &mut sample).unwrap();
        }
        sample.procs.iter().map(|proc| proc.id.pid).collect::<Vec<_>>()
    };

    assert_eq!(watched(&mut probe, 1), [10, 11, 12]);
    let notes = probe.take_notes().join("\n");
    assert!(
        notes.contains("the selection means 5 processes") && notes.contains("the 3 largest"),
        "{notes}"
    );
    // One that grows gets the place of a smaller one, but not at once, and only if it is worth it.
    show(dir.path(), 13, 10, (60, 4096));
    assert_eq!(watched(&mut probe, 32), [10, 11, 12]);
    show(dir.path(), 14, 10, (90, 4096));
    assert_eq!(watched(&mut probe, 32), [10, 11, 14]);
    assert!(probe.take_notes().is_empty(), "each note comes once");
    // When one goes, the next has room.
    fs::remove_dir_all(dir.path().join("11")).unwrap();
    assert_eq!(watched(&mut probe, 32), [10, 13, 14]);
}

#[test]
fn a_process_that_hangs_stays_as_it_was_until_it_can_be_read_or_is_gone() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("meminfo"), "MemTotal: 1000 kB\nMemAvailable: 500 kB\n").unwrap();
    for (pid, ppid) in [(10, 1), (11, 10), (12, 10)] {
        show(dir.path(), pid, ppid, (50, 4096));
        let uid = 7 * (pid - 10);
        fs::write(dir.path().join(format!("{pid}/status")), format!("Uid:\t{uid} 0 0 0\n"))
            .unwrap();
    }
    let words = SelectionArgs { pids: vec![10], ..SelectionArgs::default() };
    let selection = Selection::new(&words, Path::new("/nonexistent")).unwrap();
    let mut probe = Sampler::new(dir.path(), None, selection, None).unwrap();
    let proc = ProcDir::open(dir.path()).unwrap();
    let page = procfs::page_size();
    let sizes = |probe: &mut Sampler, t: f64| {
        let mut sample = Sample::default();
        probe.sample(t, None, &mut sample).unwrap();
        sample.procs.iter().map(|proc| (proc.id.pid, proc.rss / page)).collect::<Vec<_>>()
    };
    assert_eq!(sizes(&mut probe, 1.0), [(10, 50), (11, 50), (12, 50)]);
    assert_eq!(probe.take_notes().len(), 1, "process 1 cannot be seen");

    let hangs = Arc::new(());
    let add = |probe: &mut Sampler, pid| {
        probe.hanging.add(&proc, pid, Hanging::until_gone(&hangs), 0).unwrap();
        probe.turn = None;
    };
    add(&mut probe, 11);
    show(dir.path(), 11, 10, (60, 4096));
    show(dir.path(), 12, 10, (60, 4096));
    // What the pid meant is meant by the new reader, too.
    assert_eq!(sizes(&mut probe, 2.0), [(10, 50), (11, 50), (12, 60)]);
    drop(hangs);
    assert_eq!(sizes(&mut probe, 3.0), [(10, 50), (11, 60), (12, 60)]);
    assert_eq!(probe.take_notes(), ["process 11 can be read again"]);

    // A second one of that user, soon after: none of that user is read for a while.
    let hangs = Arc::new(());
    probe.hanging.add(&proc, 11, Hanging::until_gone(&hangs), 0).unwrap();
    probe.turn = None;
    drop(hangs);
    show(dir.path(), 11, 10, (70, 4096));
    show(dir.path(), 12, 10, (70, 4096));
    assert_eq!(sizes(&mut probe, 4.0), [(10, 50), (11, 60), (12, 70)]);
    fs::remove_dir_all(dir.path().join("11")).unwrap();
    assert_eq!(sizes(&mut probe, 5.0), [(10, 50), (12, 70)]);
}
