//! How good is the detector? Replays labelled recordings and prints the score as Markdown.
//!
//! ```text
//! cargo run --release --example score -- tests/recordings
//! cargo run --release --example score -- --baselines tests/recordings
//! cargo run --release --example score -- --machine-years 100
//! cargo run --release --example score -- --detector 'other-detector {}' tests/recordings
//! cargo run --release --example score -- --max-extrapolation 4 --max-extrapolation 8 --max-extrapolation 16 tests/recordings
//! ```
//!
//! A recording `NAME.jsonl` or `NAME.jsonl.gz` counts if `NAME.truth.json` lies beside it:
//!
//! ```json
//! {"kind":"real","what":"one sentence","leaking":[{"pid":812,"start":12399,"from_t":1700000100.0}],
//!  "growing_not_leaking":[],"exhaust_t":null}
//! ```
//!
//! Every process that is not in `leaking` is healthy, whatever it does. `exhaust_t` is when memory
//! ran out, or would have, where that is known. Where processes pile up, the root of their tree
//! stands for all of them. Recordings are replayed with orders on and standalone processes allowed to be
//! ended; in a replay no process dies, so a leak goes on after its order.
//!
//! # Definitions
//!
//! Leak level, from `leak` events:
//!
//! - A verdict on a process is *right* if that process leaks and its leak has begun (two intervals
//!   of grace); else it is a *false alarm*, too early ones included. A process counts once however
//!   often it is named. A verdict on a tree is right if a leak has begun at or below its root.
//! - *recall*: leaking recordings with at least one right verdict, of all leaking ones. *by
//!   process*: share of leaking processes that were named, mean over the leaking recordings.
//! - *precision*: right processes, of right ones and false alarms in all recordings; a recording
//!   found by its tree alone counts as one right process.
//! - *F1*: harmonic mean of recall and case precision, which is the leaking recordings found, of
//!   those and the healthy ones with a false alarm.
//! - *healthy named*: healthy recordings with any false alarm, of all healthy ones.
//! - *delay*: of the first right verdict, as a share of the way from the leak's begin to the end of
//!   memory, or of the recording where the former is not known; median over those found.
//! - *warned in time*: recordings in which memory runs out and a leak was said to grow or to leak, with a
//!   forecast, before 15 % of the way; of all in which it runs out.
//! - *error*: of the forecast, as a share of the time that was really left: of the first right
//!   verdict that has a forecast, and of the last one told by half the way; medians.
//! - *interval*: how often the forecast's 90 % interval holds the real end of memory, over the
//!   first forecast of each recording, and over all of them, on processes that leak.
//!
//! Kill level, from orders: *healthy ended* are processes that got an order but do not leak, *too
//! early* those whose leak had not begun; *regretted* are orders that leakwatch itself calls needless
//! afterwards; *in time* are the leaks that ran out of memory within the
//! recording and had a leaking process ordered to end before.
#![allow(clippy::print_stdout, reason = "an example talks to its reader")]

mod baselines;
mod figures;
mod healthy_life;
mod rules;
mod trends;
#[path = "../../tests/common/worlds.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    clippy::expect_used,
    reason = "shared with the tests"
)]
mod worlds;

use anyhow::{Context, Result, bail};
use baselines::BASELINES;
use clap::Parser;
use figures::Figures;
use leakwatch::core::model::sample::{Header, Sample};
use leakwatch::store::recording::Reader;
use rules::{Case, Detector, Trial, Truth, default_max_extrapolation, leakwatch};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

/// Replays labelled recordings and prints the detector's score as Markdown.
#[derive(Parser)]
struct Options {
    /// Directories with recordings (NAME.jsonl or NAME.jsonl.gz) and their NAME.truth.json
    #[arg(required_unless_present = "machine_years")]
    directories: Vec<PathBuf>,
    /// A row for every family (the name without its number) too
    #[arg(long)]
    families: bool,
    /// A row for every recording too
    #[arg(long)]
    cases: bool,
    /// Textbook methods and the rules of two known monitors, beside leakwatch
    #[arg(long)]
    baselines: bool,
    /// So many machine-years of generated healthy life, with orders on: how many processes were ended
    #[arg(long, value_name = "YEARS", conflicts_with = "directories")]
    machine_years: Option<f64>,
    /// Scores another detector: a shell command that prints JSON Lines; {} is the recording's path
    #[arg(long, value_name = "COMMAND")]
    detector: Vec<String>,
    /// As leakwatch's own option; repeated: the score at each, a line a value
    #[arg(long, value_name = "K")]
    max_extrapolation: Vec<f64>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let max_extrapolation = match options.max_extrapolation.first() {
        Some(max_extrapolation) => *max_extrapolation,
        None => default_max_extrapolation().context("replay is no command any more")?,
    };
    if let Some(years) = options.machine_years {
        healthy_life::live(years, max_extrapolation);
        return Ok(());
    }
    let files = recordings(&options.directories)?;
    if let [_, _, ..] = options.max_extrapolation[..] {
        return curve(&files, &options.max_extrapolation);
    }
    let cases = judge(&files, max_extrapolation)?;
    let mut rows = Vec::new();
    let mut groups: BTreeMap<&str, Vec<&Case>> = BTreeMap::new();
    for case in cases.iter().filter(|_| options.families || options.cases) {
        let name = if options.cases { &case.name } else { case.family() };
        groups.entry(name).or_default().push(case);
    }
    rows.extend(groups.into_iter().map(|(name, cases)| (name.to_owned(), Figures::of(cases))));
    for kind in ["synthetic", "real"] {
        let of_kind: Vec<&Case> = cases.iter().filter(|case| case.kind == kind).collect();
        if !of_kind.is_empty() {
            rows.push((kind.to_owned(), Figures::of(of_kind)));
        }
    }
    rows.push(("all".to_owned(), Figures::of(&cases)));
    print("recordings", &rows);
    let mut others = Vec::new();
    for (name, detector) in BASELINES.iter().filter(|_| options.baselines) {
        let judge = |file: &PathBuf| judge_one(file, |_| detector(), None);
        let cases = files.iter().map(judge).collect::<Result<Vec<Case>>>()?;
        others.push(((*name).to_owned(), Figures::of(&cases)));
    }
    for command in &options.detector {
        let judge = |file: &PathBuf| judge_one(file, |_| Box::new(|_, _| ()), Some(command));
        let cases = files.iter().map(judge).collect::<Result<Vec<Case>>>()?;
        others.push((command.clone(), Figures::of(&cases)));
    }
    if !others.is_empty() {
        others.insert(0, ("leakwatch".to_owned(), Figures::of(&cases)));
        println!();
        print("detectors", &others);
    }
    Ok(())
}

fn curve(files: &[PathBuf], cautions: &[f64]) -> Result<()> {
    let mut rows = Vec::new();
    for max_extrapolation in cautions {
        rows.push((max_extrapolation.to_string(), Figures::of(&judge(files, *max_extrapolation)?)));
    }
    print("max-extrapolation", &rows);
    Ok(())
}

/// The recordings with a truth beside them, by name.
fn recordings(directories: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for directory in directories {
        let entries = fs::read_dir(directory)
            .with_context(|| format!("'{}' cannot be read", directory.display()))?;
        for entry in entries {
            let path = entry?.path();
            if stem(&path).is_some() && truth_of(&path).is_some_and(|truth| truth.exists()) {
                found.push(path);
            }
        }
    }
    if found.is_empty() {
        bail!("no NAME.jsonl[.gz] with a NAME.truth.json beside it; give other directories");
    }
    found.sort_by(|a, b| a.file_name().cmp(&b.file_name()));
    Ok(found)
}

fn stem(path: &Path) -> Option<&str> {
    let name = path.file_name().and_then(OsStr::to_str)?;
    name.strip_suffix(".gz").unwrap_or(name).strip_suffix(".jsonl")
}

fn truth_of(recording: &Path) -> Option<PathBuf> {
    Some(recording.with_file_name(format!("{}.truth.json", stem(recording)?)))
}

fn judge(files: &[PathBuf], max_extrapolation: f64) -> Result<Vec<Case>> {
    let ours = |header: &Header| leakwatch(header, max_extrapolation);
    files.iter().map(|file| judge_one(file, ours, None)).collect()
}

/// What a detector's command prints for a recording, which it gets unpacked.
fn events_of(command: &str, file: &Path) -> Result<String> {
    let mut unpacked = tempfile::NamedTempFile::with_suffix(".jsonl")?;
    let is_packed = file.extension() == Some(OsStr::new("gz"));
    let mut packed = fs::File::open(file)?;
    if is_packed {
        std::io::copy(&mut flate2::read::MultiGzDecoder::new(packed), &mut unpacked)?;
    } else {
        std::io::copy(&mut packed, &mut unpacked)?;
    }
    let line = command.replace("{}", &unpacked.path().display().to_string());
    let output = std::process::Command::new("sh")
        .args(["-c", &line])
        .stderr(std::process::Stdio::inherit())
        .output()
        .with_context(|| format!("'{line}' cannot be run"))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

fn judge_one(
    file: &Path,
    detector: impl Fn(&Header) -> Detector,
    command: Option<&str>,
) -> Result<Case> {
    let (name, truth) = stem(file).zip(truth_of(file)).context("a recording has a name")?;
    let text = fs::read(&truth)?;
    let truth: Truth = serde_json::from_slice(&text)
        .with_context(|| format!("'{}' is no truth", truth.display()))?;
    let mut recording = Reader::open(file)?;
    let mut trial = Trial::new(recording.header(), detector(recording.header()));
    let mut sample = Sample::default();
    while recording.read(&mut sample)? {
        trial.observe(&sample);
    }
    if let Some(command) = command {
        trial.hear(&events_of(command, file)?);
    }
    Ok(trial.score(name, &truth))
}

fn print(what: &str, rows: &[(String, Figures)]) {
    let share = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2}"));
    println!(
        "| {what} | cases (leaking) | recall | by process | precision | F1 | healthy named | delay \
         | warned in time | error: first | half-way | interval: first | all |"
    );
    println!("|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|");
    for (name, f) in rows {
        print!("| {name} | {} ({})", f.cases, f.leaking);
        for value in [
            f.recall,
            f.recall_process,
            f.precision,
            f.f1,
            f.healthy_alarmed,
            f.delay,
            f.warned,
            f.error_first,
            f.error_half,
            f.covered_first,
            f.covered,
        ] {
            print!(" | {}", share(value));
        }
        println!(" |");
    }
    println!();
    println!(
        "| {what} | healthy ended | ended too early | regretted | out of memory: ended in time |"
    );
    println!("|---|--:|--:|--:|--:|");
    for (name, f) in rows {
        let Figures { ended_healthy, ended_early, regretted, in_time, exhausted, .. } = f;
        println!(
            "| {name} | {ended_healthy} | {ended_early} | {regretted} | {in_time} of {exhausted} |"
        );
    }
}
