//! Replay: labelled recordings are judged as their truths say, and as well as the README claims.
//!
//! `tests/recordings` holds what real programs did, `tests/common/worlds.rs` generates the rest.
//! What counts as right is defined in `examples/score`, which prints the same figures.

use crate::baselines::BASELINES;
use crate::figures::Figures;
use crate::rules::{Case, Leaking, Trial, Truth, default_max_extrapolation, leakwatch};
use crate::worlds::{Expect, FAMILIES, Family, Labelled};
use leakwatch::core::model::sample::{Header, Sample};
use leakwatch::store::recording::Reader;
use std::fs;
use std::path::{Path, PathBuf};

/// Recordings of each family: enough for a share, few enough for every run of the tests.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=4;

fn trial_of(header: &Header) -> Trial {
    Trial::new(header, leakwatch(header, default_max_extrapolation().unwrap()))
}

fn recordings() -> Vec<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/recordings");
    let mut files: Vec<PathBuf> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|e| e == "gz"));
    files.sort();
    assert!(files.len() >= 8, "the recordings are gone");
    files
}

fn samples(file: &Path, mut each: impl FnMut(&Sample)) {
    let (mut reader, mut sample) = (Reader::open(file).unwrap(), Sample::default());
    while reader.read(&mut sample).unwrap() {
        each(&sample);
    }
    assert!(!reader.is_torn(), "{} is torn", file.display());
}

#[test]
fn real_programs_are_judged_as_their_truths_say() {
    for file in recordings() {
        let name = file.file_name().unwrap().to_str().unwrap().trim_end_matches(".jsonl.gz");
        let truth = fs::read(file.with_file_name(format!("{name}.truth.json"))).unwrap();
        let known: serde_json::Value = serde_json::from_slice(&truth).unwrap();
        let truth: Truth = serde_json::from_slice(&truth).unwrap();
        let mut trial = trial_of(Reader::open(&file).unwrap().header());
        samples(&file, |sample| trial.observe(sample));
        let case = trial.score(name, &truth);
        assert_eq!(case.false_alarms, 0, "a healthy process was named: {case:?}");
        assert_eq!((case.ended_healthy, case.ended_early), (0, 0), "a wrong order: {case:?}");
        let missed = known["known_miss"].as_bool().unwrap_or(false);
        assert_eq!(case.found, case.leaking > 0 && !missed, "{case:?}");
        assert_ne!(case.in_time, Some(false), "memory ran out without an order: {case:?}");
    }
}

/// They are small, and tell nothing of the machine that they were made on.
#[test]
fn recordings_are_small_and_anonymous() {
    let mut bytes = 0;
    for file in recordings() {
        let size = fs::metadata(&file).unwrap().len();
        assert!(size < 60 << 10, "{} is too large", file.display());
        bytes += size;
        assert_eq!(Reader::open(&file).unwrap().header().hostname, "vps1");
        samples(&file, |sample| {
            for program in &sample.programs {
                let texts = [&program.exe, &program.title];
                let mut paths = texts.into_iter().flat_map(|text| text.split(' '));
                let foreign = paths.find(|word| word.contains('/') && !word.starts_with("/usr/"));
                assert_eq!(foreign, None, "a path in {}", file.display());
            }
        });
    }
    assert!(bytes < 600 << 10, "{bytes} B of recordings");
}

fn judge(made: &Labelled) -> Case {
    judge_by(trial_of(&made.header), made)
}

fn judge_by(mut trial: Trial, made: &Labelled) -> Case {
    made.samples.iter().for_each(|sample| trial.observe(sample));
    let leaking = made.leaking.iter();
    let leaking =
        leaking.map(|(id, from_t)| Leaking { pid: id.pid, start: id.start, from_t: *from_t });
    let (kind, exhaust_t) = ("synthetic".to_owned(), made.exhaust_t);
    trial.score(&made.name, &Truth { kind, leaking: leaking.collect(), exhaust_t })
}

#[test]
fn what_another_detector_says_is_scored_by_the_same_rules() {
    let made = FAMILIES.iter().find(|family| family.name == "linear").unwrap().recording(1);
    let (id, from_t) = made.leaking[0];
    let score = |lines: &str| {
        let mut trial = trial_of(&made.header);
        made.samples.iter().for_each(|sample| trial.observe(sample));
        trial.hear(lines);
        let leaking = vec![Leaking { pid: id.pid, start: id.start, from_t }];
        let kind = "synthetic".to_owned();
        trial.score(&made.name, &Truth { kind, leaking, exhaust_t: made.exhaust_t })
    };
    let leak = |pid: u32, t: f64| {
        format!("{{\"event\":\"leak\",\"t\":{t},\"pid\":{pid},\"start\":{}}}\n", id.start)
    };

    let right = score(&(leak(id.pid, from_t + 60.0) + "a line of another kind\n"));
    let wrong = score(&(leak(id.pid, from_t - 600.0) + &leak(id.pid + 9999, from_t + 60.0)));
    let silent = score("");

    assert!(right.found && right.false_alarms == 0, "{right:?}");
    assert!(!wrong.found && wrong.false_alarms == 2, "{wrong:?}");
    assert!(!silent.found && silent.false_alarms == 0, "{silent:?}");
}

fn judge_family(family: &Family) -> Vec<Case> {
    SEEDS.map(|seed| judge(&family.recording(seed))).collect()
}

#[test]
fn generated_worlds_are_judged_as_well_as_claimed() {
    let mut all = Vec::new();
    for family in &FAMILIES {
        let cases = judge_family(family);
        let f = Figures::of(&cases);
        // A family may surprise once; twice of four is a regression.
        match family.expect {
            Expect::Found => assert!(f.recall >= Some(0.75), "{}: {cases:#?}", family.name),
            Expect::Quiet => {
                assert!(f.healthy_alarmed <= Some(0.25), "{}: {cases:#?}", family.name);
            }
            Expect::Hard => {}
        }
        all.extend(cases);
    }
    let hard =
        |case: &&Case| FAMILIES.iter().any(|f| f.name == case.family() && f.expect == Expect::Hard);
    let f = Figures::of(all.iter().filter(|case| !hard(case)));
    assert!(f.precision >= Some(0.95) && f.healthy_alarmed <= Some(0.03), "{f:#?}");
    let f = Figures::of(&all);
    assert_eq!((f.ended_healthy, f.ended_early), (0, 0), "{f:#?}");
    assert!(f.precision >= Some(0.95) && f.recall >= Some(0.95), "{f:#?}");
    assert!(f.healthy_alarmed <= Some(0.08) && f.delay <= Some(0.5), "{f:#?}");
    assert!(f.error_first <= Some(0.5) && f.error_half <= Some(0.25), "{f:#?}");
    assert!(f.covered_first >= Some(0.75), "{f:#?}");
    // In piles no child is ended: none of them is the one too many.
    let named_only = |case: &&Case| case.family() != "pile-up";
    let f = Figures::of(all.iter().filter(named_only));
    assert!(f.exhausted > 0 && f.in_time == f.exhausted, "memory ran out without an order: {f:#?}");
}

/// As the table in leakwatch-accuracy(7) says, of two seeds a family.
#[test]
fn leakwatch_is_ahead_of_textbook_methods_and_monitors() {
    let made: Vec<Labelled> =
        FAMILIES.iter().flat_map(|family| [1, 2].map(|seed| family.recording(seed))).collect();
    let ours = Figures::of(&made.iter().map(judge).collect::<Vec<_>>());
    for (name, detector) in BASELINES {
        let judge = |made: &Labelled| judge_by(Trial::new(&made.header, detector()), made);
        let theirs = Figures::of(&made.iter().map(judge).collect::<Vec<_>>());
        assert!(ours.f1 > theirs.f1 && ours.recall >= theirs.recall, "{name}: {theirs:#?}");
    }
}

#[test]
fn a_family_and_a_seed_are_one_recording_for_ever() {
    for family in &FAMILIES {
        let (once, again) = (family.recording(1), family.recording(1));
        assert_eq!(once.samples, again.samples, "{}", family.name);
        assert_eq!((once.leaking.clone(), once.exhaust_t), (again.leaking, again.exhaust_t));
        assert_ne!(once.samples, family.recording(2).samples, "{}", family.name);
        assert_eq!(once.leaking.is_empty(), family.expect != Expect::Found, "{}", family.name);
        let rising = once.samples.windows(2).all(|pair| pair[0].t < pair[1].t);
        assert!(rising, "{}: t must increase", family.name);
    }
}
