//! A history is readable whatever happened to it, and never larger than it may be.

use super::*;
use crate::core::model::ceiling::Unit;
use crate::core::model::order::OrderReason;
use crate::core::model::process::{Comm, Proc, ProcId};
use crate::core::model::signal::{Signal, Step};
use std::os::unix::fs::PermissionsExt;

const NAME: &str = "app";

fn header() -> Header {
    Header { interval_s: 5.0, clock_ticks: 100, page_size: 4096, hostname: "vps1".to_owned() }
}

fn sample(t: f64) -> Sample {
    let comm = Comm::new(b"app");
    let id = ProcId { pid: 7, start: 9 };
    let proc = Proc { id, ppid: 1, comm, rss: 1, anon: None, swap: 0, cpu_s: t, threads: 1 };
    Sample { t, uptime_s: Some(t - 1e9), procs: vec![proc], ..Sample::default() }
}

fn ordered(nth: u32) -> EarlierAction {
    EarlierAction::Ordered {
        victim: ProcId { pid: nth, start: 1 },
        step: Step::Term,
        signal: Signal::Term,
        grace_s: 5.0,
        reason: OrderReason::Stayed,
        unit: Unit::Bytes,
    }
}

/// What a check finds.
struct FoundHistory {
    /// Times of the samples before its own.
    before: Vec<f64>,
    past: Vec<EarlierAction>,
    t: f64,
    history: CheckHistory,
}

fn open(dir: &Path, boot: &str) -> CheckHistory {
    let lock = SelectionLock::take(dir, NAME).unwrap().unwrap();
    let (history, error) = CheckHistory::open(dir, NAME, Some(lock), header(), boot);
    assert!(error.is_none());
    history
}

fn look(dir: &Path, mut now: Sample) -> FoundHistory {
    let mut history = open(dir, "boot-1");
    let (mut before, mut past) = (Vec::new(), Vec::new());
    let each = |sample: &Sample, done: &[EarlierAction]| {
        before.push(sample.t);
        past.extend_from_slice(done);
    };
    history.replay(&mut now, each).unwrap();
    FoundHistory { before, past, t: now.t, history }
}

/// A whole check; what it found.
fn check(dir: &Path, t: f64, past: &[EarlierAction]) -> FoundHistory {
    let mut found = look(dir, sample(t));
    found.history.add(&Sample { t: found.t, ..sample(t) }, past, SIZE).unwrap();
    found
}

fn file(dir: &Path) -> PathBuf {
    dir.join("app.history.jsonl")
}

#[test]
fn each_check_finds_the_samples_of_those_before_and_what_was_done() {
    let dir = tempfile::tempdir().unwrap();
    assert!(check(dir.path(), 1e9, &[]).before.is_empty());
    check(dir.path(), 1e9 + 300.0, &[ordered(1)]);
    check(dir.path(), 1e9 + 600.0, &[EarlierAction::GivenUp(ProcId { pid: 1, start: 1 })]);
    let found = check(dir.path(), 1e9 + 900.0, &[]);
    assert_eq!(found.before, [1e9, 1e9 + 300.0, 1e9 + 600.0]);
    assert_eq!(found.past, [ordered(1), EarlierAction::GivenUp(ProcId { pid: 1, start: 1 })]);
    assert_eq!(found.history.header().interval_s, 300.0);
    let mode = fs::metadata(file(dir.path())).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // `replay` takes it as it is.
    let mut reader = crate::store::recording::Reader::open(&file(dir.path())).unwrap();
    let mut read = Sample::default();
    assert!((0..4).all(|_| reader.read(&mut read).unwrap()));
    assert_eq!(read, sample(1e9 + 900.0));
}

#[test]
fn the_interval_is_the_one_at_which_checks_come() {
    let dir = tempfile::tempdir().unwrap();
    for nth in 0..8 {
        check(dir.path(), 1e9 + 60.0 * f64::from(nth), &[]);
    }
    assert_eq!(look(dir.path(), sample(2e9)).history.header().interval_s, 60.0);
    // A machine that was off for a day changes nothing; another line in the crontab does.
    let day = 1e9 + 86_400.0;
    for nth in 0..5 {
        check(dir.path(), day + 60.0 * f64::from(nth), &[]);
    }
    assert_eq!(look(dir.path(), sample(2e9)).history.header().interval_s, 60.0);
    for nth in 0..8 {
        check(dir.path(), day + 600.0 + 600.0 * f64::from(nth), &[]);
    }
    let found = look(dir.path(), sample(2e9));
    assert_eq!(found.history.header().interval_s, 600.0);
    assert_eq!(found.before.len(), 21, "nothing is lost by that");
}

#[test]
fn what_a_check_did_while_it_stayed_is_kept_and_is_no_interval() {
    let dir = tempfile::tempdir().unwrap();
    for nth in 0..4 {
        let t = 1e9 + 300.0 * f64::from(nth);
        let mut found = check(dir.path(), t, &[]);
        for (order, after_s) in [(1, 10.0), (2, 20.0), (3, 297.0)] {
            let between = Sample { span_s: Some(10.0), ..sample(t + after_s) };
            found.history.add(&between, &[ordered(order)], SIZE).unwrap();
        }
        // What came of an order is kept too.
        let outcome = Sample { span_s: Some(1.0), ..sample(t + 298.0) };
        found.history.add(&outcome, &[], SIZE).unwrap();
    }
    let found = look(dir.path(), sample(1e9 + 1200.0));
    assert_eq!(found.history.header().interval_s, 300.0);
    assert_eq!((found.before.len(), found.past.len()), (20, 12), "also what came right before");
    assert_eq!(found.before.last(), Some(&(1e9 + 1198.0)));
}

#[test]
fn a_check_by_hand_adds_nothing_and_loses_no_order() {
    let dir = tempfile::tempdir().unwrap();
    for nth in 0..5 {
        let past = [ordered(nth)];
        check(dir.path(), 1e9 + 300.0 * f64::from(nth), if nth == 4 { &past } else { &[] });
    }
    for nth in 1..5 {
        let found = check(dir.path(), 1e9 + 1200.0 + 3.0 * f64::from(nth), &[]);
        assert_eq!(found.before.last(), Some(&(1e9 + 900.0)), "the last is left out");
        assert_eq!(found.past, [ordered(4)]);
    }
    assert_eq!(look(dir.path(), sample(1e9 + 1500.0)).before.len(), 5);
}

#[test]
fn a_clock_that_was_set_back_does_not_stop_time() {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), 1e9, &[]);
    check(dir.path(), 1e9 + 300.0, &[]);
    let now = Sample { uptime_s: Some(600.0), ..sample(1e9 - 7200.0) };
    assert_eq!(look(dir.path(), now).t, 1e9 + 600.0);
}

#[test]
fn of_another_boot_it_is_kept_beside_and_begun_anew() {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), 1e9, &[]);
    let old = fs::read(file(dir.path())).unwrap();
    let mut history = open(dir.path(), "boot-2");
    history.replay(&mut sample(1e9 + 300.0), |_, _| panic!("old pids name no process")).unwrap();
    history.add(&sample(1e9 + 300.0), &[], SIZE).unwrap();
    assert_eq!(fs::read(dir.path().join("app.history.jsonl.1")).unwrap(), old);
    assert!(fs::read_to_string(file(dir.path())).unwrap().contains("boot-2"));
}

#[test]
fn torn_anywhere_it_loses_the_last_line_only_and_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    for nth in 0..3 {
        check(dir.path(), 1e9 + 300.0 * f64::from(nth), &[]);
    }
    let whole = fs::read(file(dir.path())).unwrap();
    for length in 0..=whole.len() {
        fs::write(file(dir.path()), &whole[..length]).unwrap();
        let lines = whole[..length].iter().filter(|byte| **byte == b'\n').count();
        let found = check(dir.path(), 1e9 + 5000.0, &[]);
        assert_eq!(found.before.len(), lines.saturating_sub(1), "cut at {length}");
        assert_eq!(found.history.garbled(), 0);
        drop(found);
        let found = look(dir.path(), sample(1e9 + 6000.0));
        assert_eq!(found.before.len(), lines.saturating_sub(1) + 1, "cut at {length}");
    }
}

#[test]
fn a_garbled_line_is_passed_over_and_said() {
    let dir = tempfile::tempdir().unwrap();
    for nth in 0..3 {
        check(dir.path(), 1e9 + 300.0 * f64::from(nth), &[]);
    }
    let text = fs::read_to_string(file(dir.path())).unwrap();
    fs::write(file(dir.path()), text.replacen("\"t\":1000000300", "\0\0\0", 1)).unwrap();
    let found = check(dir.path(), 1e9 + 900.0, &[]);
    assert_eq!((found.before.len(), found.history.garbled()), (2, 1));
    assert_eq!(found.history.extent(), (3, Some(1e9 - 300.0)));
}

#[test]
fn weeks_of_checks_stay_small_and_nothing_is_left_beside() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path(), "boot-1");
    let (mut most, mut t) = (0, 1e9);
    for nth in 0..9000 {
        t += 300.0;
        let past = [ordered(nth)];
        history.add(&sample(t), if nth == 4000 { &past } else { &[] }, SIZE).unwrap();
        most = most.max(history.entries.len());
    }
    assert!(most < 1100, "{most} samples");
    let (count, extent) = (history.entries.len(), history.extent());
    let weeks = (t - extent.1.unwrap()) / 604_800.0;
    assert!(weeks >= 4.0 && extent.0 >= 8064, "{weeks} weeks, {} samples", extent.0);
    drop(history);
    let found = look(dir.path(), sample(t + 300.0));
    assert_eq!((found.before.len(), found.past), (count, vec![ordered(4000)]));
    assert_eq!(found.history.extent(), extent);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "it and its lock");
}

#[test]
fn it_is_never_larger_than_it_may_be_by_more_than_a_sample() {
    let dir = tempfile::tempdir().unwrap();
    let mut history = open(dir.path(), "boot-1");
    let size = 10_000;
    let line = 300;
    for nth in 0..500 {
        history.add(&sample(1e9 + 300.0 * f64::from(nth)), &[], size).unwrap();
        let bytes = fs::metadata(file(dir.path())).unwrap().len();
        assert!(bytes <= size + line, "{bytes} B");
    }
    drop(history);
    let found = look(dir.path(), sample(2e9));
    assert!(found.before.len() > 20, "{} samples are left", found.before.len());
    assert_eq!(found.before.last(), Some(&(1e9 + 300.0 * 499.0)), "the newest of all");
}

#[test]
fn what_cannot_be_written_is_said_and_nothing_is_torn() {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), 1e9, &[]);
    let before = fs::read(file(dir.path())).unwrap();
    let mut found = look(dir.path(), sample(1e9 + 300.0));
    fs::rename(file(dir.path()), dir.path().join("away")).unwrap();
    fs::create_dir(file(dir.path())).unwrap();
    let error = found.history.add(&sample(1e9 + 300.0), &[], SIZE).unwrap_err().to_string();
    assert!(error.contains("cannot be written") && error.contains("hint:"), "{error}");
    fs::remove_dir(file(dir.path())).unwrap();
    fs::rename(dir.path().join("away"), file(dir.path())).unwrap();
    assert_eq!(fs::read(file(dir.path())).unwrap(), before);
}

#[test]
fn without_a_lock_it_is_read_and_nothing_is_written() {
    let dir = tempfile::tempdir().unwrap();
    check(dir.path(), 1e9, &[]);
    let before = fs::read(file(dir.path())).unwrap();
    let (mut history, _) = CheckHistory::open(dir.path(), NAME, None, header(), "boot-1");
    let mut count = 0;
    history.replay(&mut sample(1e9 + 300.0), |_, _| count += 1).unwrap();
    history.add(&sample(1e9 + 300.0), &[], SIZE).unwrap();
    assert_eq!((count, fs::read(file(dir.path())).unwrap()), (1, before));
}

#[test]
fn fuzz_histories() {
    let mut sample_of = sample(1.0);
    sample_of.uptime_s = Some(7.0);
    let mut line = Vec::new();
    line::write(&mut line, &sample_of, &[ordered(0), ordered(1)]).unwrap();
    let (mut out, mut past) = (Sample::default(), Vec::new());
    crate::core::fuzz::fuzz("history lines", 4, &[&line], |text| {
        line::parse(text, &mut out, &mut past);
    });
    let told = br#"{"status":2,"t":1700000000.5,"words":["leak a","suspect b"]}                "#;
    let file = tempfile::tempfile().unwrap();
    crate::core::fuzz::fuzz("what was told", 20, &[told], |text| {
        file.set_len(0).unwrap();
        file.write_all_at(text, 0).unwrap();
        let _ = LastReport::read(&file);
    });
}
