//! What logs prove, and whose failure it was.

use super::cases;
use jiff::tz::TimeZone;
use leakwatch::diagnose::evidence::logs::{LogSources, Stamps, read};
use std::fs;
use std::path::Path;

/// 2026-11-29 12:00:00 UTC.
const NOW: f64 = 1_795_953_600.0;

/// Writes the logs of a case, each behind its "@ path".
fn write(dir: &Path, lines: &[&str]) {
    let mut path = dir.to_owned();
    for line in lines {
        if let Some(name) = line.strip_prefix("@ ") {
            path = dir.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, "").unwrap();
        } else {
            let text = fs::read_to_string(&path).unwrap() + line + "\n";
            fs::write(&path, text).unwrap();
        }
    }
}

/// What was found: failure, who, how often, and whether no line told the time.
fn found(lines: &[&str]) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    write(dir.path(), lines);
    let stamps = Stamps::new(TimeZone::UTC, NOW, NOW - 86_400.0);
    let forty_years_s = 40.0 * 365.0 * 86_400.0;
    let logs = read(&LogSources::only(dir.path(), NOW - forty_years_s), &stamps, &mut || true);
    let told = logs.log_events.iter().map(|event| {
        let undated = if event.last_t.is_none() { " undated" } else { "" };
        format!("{} {} {}{undated}", event.failure.name(), event.who, event.count)
    });
    told.collect()
}

#[test]
fn logs_prove_what_their_programs_said_and_nothing_that_others_wrote() {
    let mut all = cases(include_str!("../../fixtures/machines/logs.txt"));
    all.extend(cases(include_str!("../../fixtures/machines/log-forms.txt")));
    let mut wrong = Vec::new();
    for case in &all {
        let (mut got, mut wanted) = (found(&case.lines), case.wanted.clone());
        got.sort();
        wanted.sort_unstable();
        if got != wanted {
            wrong.push(format!("{}:\n  got {got:#?}\n  wanted {wanted:#?}", case.name));
        }
    }
    assert!(
        all.len() > 160 && wrong.is_empty(),
        "{} of {}:\n{}",
        wrong.len(),
        all.len(),
        wrong.join("\n")
    );
}
