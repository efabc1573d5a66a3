//! The slow leak of days, found by checks every five minutes; and that what thinning leaves is
//! judged as all of it would have been.

use std::collections::BTreeSet;
use std::path::Path;

use crate::worlds::{Expect, FAMILIES};
use leakwatch::core::decide::rules::Rules;
use leakwatch::core::engine::{Engine, EngineSettings};
use leakwatch::core::model::process::{Comm, Proc, ProcId};
use leakwatch::core::model::sample::{Header, Memory, Sample};
use leakwatch::store::history::lock::SelectionLock;
use leakwatch::store::history::{CheckHistory, SIZE};

const MIB: f64 = 1_048_576.0;
const EVERY_S: f64 = 300.0;
const DAYS: f64 = 86_400.0;

fn header(interval_s: f64) -> Header {
    Header { interval_s, clock_ticks: 100, page_size: 4096, hostname: "vps1".to_owned() }
}

fn engine(header: &Header) -> Engine {
    let rules = Rules { act: false, ..Rules::default() };
    Engine::new(header, EngineSettings { max_extrapolation: 6.0, rules })
}

/// What a check does with its sample, but for looking at the machine.
fn check(dir: &Path, now: &Sample) -> Engine {
    let lock = SelectionLock::take(dir, "slow").unwrap();
    let (mut history, error) = CheckHistory::open(dir, "slow", lock, header(1.0), "boot");
    assert!(error.is_none());
    let mut engine = engine(history.header());
    let mut now = now.clone();
    history
        .replay(&mut now, |sample, _| {
            engine.observe(sample);
        })
        .unwrap();
    engine.observe(&now);
    history.add(&now, &[], SIZE).unwrap();
    engine
}

/// Noise of a footprint, the same in every run: 0 to 1.
fn noise(seed: u64) -> f64 {
    let mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 40) as f64 / f64::from(1 << 24)
}

/// A master with five children, of which the first leaks what is left of memory in
/// three days. All breathe with their requests.
fn sample(nth: u32) -> Sample {
    let passed_s = f64::from(nth) * EVERY_S;
    let left = 1024.0 * MIB;
    let leaked = left * passed_s / (3.0 * DAYS);
    let proc = |child: u32| {
        let grown = if child == 1 { leaked } else { 0.0 };
        let requests = 8.0 * MIB * noise(u64::from(nth) * 8 + u64::from(child));
        let bytes = (40.0 * MIB + grown + requests) as u64;
        Proc {
            id: ProcId { pid: 800 + child, start: 100 },
            ppid: if child == 0 { 1 } else { 800 },
            comm: Comm::new(b"apache2"),
            rss: bytes,
            anon: Some(bytes),
            swap: 0,
            cpu_s: passed_s * 0.02 * (1.0 + noise(u64::from(child))),
            threads: 1,
        }
    };
    let available = (left - leaked).max(0.0) as u64;
    let memory = Memory { total: 2 << 30, available, ..Memory::default() };
    let procs = (0..=5).map(proc).collect();
    Sample { t: 1e9 + passed_s, uptime_s: Some(1e5 + passed_s), memory, procs, ..Sample::default() }
}

#[test]
fn a_leak_of_three_days_is_found_at_under_a_third_of_its_way() {
    let dir = tempfile::tempdir().unwrap();
    let all = (3.0 * DAYS / EVERY_S) as u32;
    let mut found = None;
    for nth in 0..all {
        let engine = check(dir.path(), &sample(nth));
        let leaking: Vec<u32> =
            engine.detector().process_states().filter(|s| s.leaks()).map(|s| s.id.pid).collect();
        if !leaking.is_empty() {
            assert_eq!(leaking, [801], "check {nth}");
            found = Some(nth);
            break;
        }
    }
    let way = f64::from(found.expect("it is found")) / f64::from(all);
    assert!(way < 0.3, "found at {way:.2} of its way");
}

/// The processes that an engine calls leaking.
fn convicted(engine: &Engine) -> BTreeSet<ProcId> {
    engine.detector().process_states().filter(|s| s.leaks()).map(|s| s.id).collect()
}

/// The same worlds as the detector is measured by, sixty times slower: seen by a watch that sees all
/// and by a check at the end that sees what thinning left.
#[test]
fn a_thinned_history_is_judged_as_the_whole_one() {
    let (mut same, mut all) = (0, 0);
    let mut differ = Vec::new();
    for family in &FAMILIES {
        let made = family.recording(1);
        let slower = EVERY_S / made.header.interval_s;
        let dir = tempfile::tempdir().unwrap();
        let lock = SelectionLock::take(dir.path(), "slow").unwrap();
        let (mut history, _) =
            CheckHistory::open(dir.path(), "slow", lock, made.header.clone(), "boot");
        let mut whole = engine(&header(EVERY_S));
        let first = made.samples.first().unwrap().t;
        let slow = |sample: &Sample| {
            let mut sample = sample.clone();
            sample.t = first + (sample.t - first) * slower;
            sample.procs.iter_mut().for_each(|proc| proc.cpu_s *= slower);
            sample.uptime_s = None;
            sample
        };
        let (last, before) = made.samples.split_last().unwrap();
        for sample in before {
            whole.observe(&slow(sample));
            history.add(&slow(sample), &[], SIZE).unwrap();
        }
        whole.observe(&slow(last));
        drop(history);
        let thinned = check(dir.path(), &slow(last));
        all += 1;
        if convicted(&whole) == convicted(&thinned) {
            same += 1;
        } else {
            let (whole, thinned) = (convicted(&whole).len(), convicted(&thinned).len());
            differ.push(format!("{}: {whole} or {thinned}", family.name));
            assert!(family.expect != Expect::Quiet || thinned <= whole, "{differ:?}");
        }
    }
    assert!(10 * same >= 9 * all, "{same} of {all} are judged alike: {differ:?}");
}
