//! What a check alerts of: its state, and whether that is worth a report.

use crate::core::engine::Engine;
use crate::core::model::event::{Event, Severity};
use std::collections::BTreeSet;

/// The state of a check, with the exit statuses of monitoring plugins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CheckState {
    /// No leak.
    Ok = 0,
    /// A leak, growth, or a limit that comes nearer.
    Warning = 1,
    /// Memory or tasks are about to run out.
    Critical = 2,
    /// There is nothing to judge.
    Unknown = 3,
}

impl CheckState {
    /// Its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// The state after the engine's last sample; without processes there is nothing to judge.
    pub fn of(engine: &Engine, has_processes: bool) -> Self {
        let detector = engine.detector();
        let is_nearing = || detector.process_states().any(|s| detector.forecast(s.root).is_some());
        // A process is ordered to end only when memory is about to run out.
        let has_order = engine.assessment().order.is_some();
        match engine.status() {
            Severity::Critical => Self::Critical,
            _ if has_order => Self::Critical,
            Severity::Leak => Self::Warning,
            Severity::Fine if !has_processes => Self::Unknown,
            Severity::Fine if is_nearing() => Self::Warning,
            Severity::Fine => Self::Ok,
        }
    }
}

/// The worse of two exit statuses: "unknown" is worse than no leak, and better than a finding.
pub fn worse(a: u8, b: u8) -> u8 {
    let rank = |status: u8| match status {
        0 => 0,
        3 => 1,
        1 => 2,
        2 => 3,
        _ => 4,
    };
    if rank(b) > rank(a) { b } else { a }
}

/// What is wrong, in words that the next check compares with its own.
pub fn findings(engine: &Engine) -> Vec<String> {
    let detector = engine.detector();
    let leaks = detector.process_states().filter(|s| s.leaks()).map(|s| format!("leak {}", s.comm));
    let grows = detector.process_states().filter(|s| s.endangers && !s.leaks());
    let grows = grows.map(|s| format!("growing {}", s.comm));
    let roots = detector.process_states().filter(|s| s.parent.is_none());
    let ends = roots.filter_map(|s| {
        let forecast = detector.forecast(s.root)?;
        Some(format!("end {} {}", s.comm, forecast.ceiling.name()))
    });
    let not_ended = engine.assessment().events().filter_map(|event| match event {
        Event::NotEnded { comm, why, .. } => Some(format!("not ended {comm} {}", why.name())),
        _ => None,
    });
    leaks.chain(grows).chain(ends).chain(not_ended).collect()
}

/// What a check found, or last reported.
#[derive(Clone, Copy, Debug)]
pub struct CheckResult<'a> {
    /// Exit status.
    pub status: u8,
    /// When, in Unix seconds.
    pub t: f64,
    /// What is wrong, in the words of [`findings`].
    pub words: &'a BTreeSet<String>,
}

impl CheckResult<'_> {
    /// Whether it should be reported, after what was last reported: something is new, or something
    /// has been wrong for `repeat_after_s` seconds without a report.
    pub fn is_news(&self, last: &Self, repeat_after_s: f64) -> bool {
        let is_new = self.status != last.status || !self.words.is_subset(last.words);
        // A clock that was set back makes the time negative.
        let is_old = !(0.0..repeat_after_s).contains(&(self.t - last.t));
        is_new || (self.status != CheckState::Ok as u8 && is_old)
    }
}

/// Whether an event is always reported, whatever was reported before.
pub fn is_always_news(event: &Event) -> bool {
    matches!(
        event,
        Event::Order(_)
            | Event::Outcome(_)
            | Event::Regretted(_)
            | Event::SignalFailed { .. }
            | Event::MemoryFailure(_)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::sample::Sample;

    fn words(words: &[&str]) -> BTreeSet<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_new_status_a_new_word_and_a_lasting_problem_are_news() {
        let (leak, both, none) = (words(&["leak a"]), words(&["leak a", "leak b"]), words(&[]));
        let result = |state: CheckState, t, words| CheckResult { status: state as u8, t, words };
        let last = result(CheckState::Warning, 1000.0, &leak);
        let is_news = |state, t, words| result(state, t, words).is_news(&last, 600.0);
        assert!(!is_news(CheckState::Warning, 1300.0, &leak), "the same again");
        assert!(is_news(CheckState::Warning, 1300.0, &both), "a second leak");
        assert!(!is_news(CheckState::Warning, 1300.0, &none), "a verdict that lapsed");
        assert!(is_news(CheckState::Critical, 1300.0, &leak), "it became critical");
        assert!(is_news(CheckState::Ok, 1300.0, &none), "it is over");
        assert!(is_news(CheckState::Warning, 1600.0, &leak), "it lasts");
        assert!(is_news(CheckState::Warning, 900.0, &leak), "the clock was set back");
        let fine = result(CheckState::Ok, 0.0, &none);
        assert!(!result(CheckState::Ok, 9e9, &none).is_news(&fine, 600.0), "still no leak");
    }

    #[test]
    fn unknown_is_worse_than_ok_and_better_than_any_finding() {
        let order = [0, 3, 1, 2];
        for (nth, worst) in order.iter().enumerate() {
            for better in &order[..=nth] {
                assert_eq!((worse(*better, *worst), worse(*worst, *better)), (*worst, *worst));
            }
        }
        assert_eq!(worse(2, 7), 7, "an unheard-of status hides no failure");
    }

    #[test]
    fn a_check_without_processes_is_unknown_and_one_without_findings_is_ok() {
        let mut engine = Engine::that_only_reports();
        engine.observe(&Sample::default());
        assert_eq!(CheckState::of(&engine, false), CheckState::Unknown);
        assert_eq!(CheckState::of(&engine, true), CheckState::Ok);
        assert!(findings(&engine).is_empty());
    }
}
