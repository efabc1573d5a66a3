//! Report: a diagnosis as text, page and JSON, in the same words.

mod headline;
pub mod html;
pub mod json;
mod left_behind;
mod requests;
mod service;
pub(crate) mod spark;
mod steps;
pub mod text;
mod times;
mod wrapped;

use crate::core::model::ceiling::Ceiling;
use crate::core::model::event::Severity;
use crate::core::model::forecast::Forecast;
use crate::core::model::units::{Amount, Seconds};
use crate::diagnose::Diagnosis;
use crate::diagnose::earlier::series::{LEAST_SAMPLES, SeriesSource, SeriesSummary};
use crate::diagnose::findings::{LogEvent, Logs};
use crate::report::balance;
use crate::report::words::CeilingName;

pub use headline::{headline, is_bounded};
pub use requests::request;
pub use service::{growth, heap, matters, others, pace, per_work, processes, reason, verdict};
pub use steps::{find_it, meaning, meanwhile, next, proposal};
pub use times::Times;

/// A sentence that begins with a large letter.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    match chars.next() {
        Some(first) => first.to_uppercase().chain(chars).collect(),
        None => String::new(),
    }
}

fn count(n: u64, one: &str, many: &str) -> String {
    match n {
        1 => format!("1 {one}"),
        n => format!("{n} {many}"),
    }
}

/// "a history of 38 h 00 min (456 checks; 3 of 14 services) and 60 s now (160 samples)": what was seen.
pub fn seen(diagnosis: &Diagnosis) -> String {
    let Diagnosis { looked, services, .. } = diagnosis;
    let mut used: Vec<&SeriesSummary> =
        diagnosis.earlier.iter().filter(|about| about.samples >= LEAST_SAMPLES).collect();
    used.sort_by(|a, b| b.span_s().total_cmp(&a.span_s()));
    let samples = |n: u32| count(u64::from(n), "sample", "samples");
    let now = match looked.live_s > 0.0 {
        true => format!("{} now ({})", Seconds(looked.live_s), samples(looked.samples)),
        false => "one sample now".to_owned(),
    };
    let one = |about: &SeriesSummary, more: &str| match about.source {
        SeriesSource::Checks => {
            format!("a history of {} ({} checks{more})", Seconds(about.span_s()), about.samples)
        }
        SeriesSource::Recording => {
            format!("a recording of {} ({}{more})", Seconds(about.span_s()), samples(about.samples))
        }
    };
    let judged = services.iter().filter(|service| service.earlier.is_some()).count();
    let of = format!("; {judged} of {} services", services.len());
    match &used[..] {
        [] => now,
        [only] => format!("{} and {now}", one(only, &of)),
        [first, second] => format!("{}, {} and {now}", one(first, ""), one(second, &of)),
        [first, second, others @ ..] => format!(
            "{}, {}, {} and {now}",
            one(first, ""),
            one(second, &of),
            count(others.len() as u64, "shorter one", "shorter ones")
        ),
    }
}

/// When and what, of a forecast: "memory ends in 6 h 10 min (..), around 14:20; then the OOM killer
/// strikes".
pub fn end(forecast: &Forecast, times: &Times) -> String {
    let Forecast { ceiling, likely_s, earliest_s, latest_s, window_s, .. } = *forecast;
    let effect = ceiling.effect();
    match forecast.is_reliable() {
        true => format!(
            "{} in {} ({} to {}), around {}; {}",
            effect.verb(),
            Seconds(likely_s),
            Seconds(earliest_s),
            Seconds(latest_s),
            times.soon(times.now_t + likely_s),
            effect.sentence()
        ),
        false => format!(
            "{}, but not within 8 times the {} observed; {}",
            effect.verb(),
            Seconds(window_s),
            effect.sentence()
        ),
    }
}

/// What is left below a ceiling: "100 MiB of 192 MiB left of memory cgroup /x (52 %); then ..."
pub fn left(ceiling: &Ceiling) -> String {
    let Ceiling { kind, place, limit, .. } = *ceiling;
    let unit = kind.unit();
    format!(
        "{:.0} % left of {}: {} of {}; {}",
        100.0 * ceiling.headroom() as f64 / (limit as f64).max(1.0),
        CeilingName(kind, place),
        Amount(ceiling.headroom(), unit),
        Amount(limit, unit),
        kind.effect().sentence()
    )
}

/// When a log event was seen: "Nov 23 02:11 to 02:40".
pub fn when(log_event: &LogEvent, times: &Times) -> String {
    match (log_event.first_t, log_event.last_t) {
        (Some(first), Some(last)) if last - first >= 60.0 => {
            format!("{} to {}", times.minute(first), times.minute(last))
        }
        (_, Some(last)) => times.minute(last),
        _ => "at an unknown time".to_owned(),
    }
}

/// The sentence where no log event was found.
pub fn no_trace(logs: &Logs) -> &'static str {
    match logs.unread.is_empty() {
        _ if logs.sources == 0 => {
            "No log was read: whether forks failed or the OOM killer came is not known."
        }
        true => "No failed fork, no OOM kill, no lack of memory.",
        false => "No failed fork, no OOM kill, no lack of memory in what could be read.",
    }
}

/// What endangers memory beside single processes that leak: what grows outside them, and what they
/// leave behind; each with what to do about it.
pub fn elsewhere(diagnosis: &Diagnosis) -> Vec<(String, String)> {
    let outside = diagnosis.outside().map(|(sheet, line)| {
        let end = balance::end(sheet, line);
        (sentence(&format!("{}; {end}", balance::finding(line))), line.kind.advice().to_owned())
    });
    let left = left_behind::statements(&diagnosis.left_behind).into_iter();
    let left = left.filter(|statement| statement.is_finding);
    let left = left.map(|statement| (statement.what, statement.advice));
    outside.chain(left).collect()
}

/// What processes leave behind without endangering anything yet.
pub fn lesser(diagnosis: &Diagnosis) -> Vec<String> {
    let left = left_behind::statements(&diagnosis.left_behind).into_iter();
    let left = left.filter(|statement| !statement.is_finding);
    left.map(|statement| format!("{}. {}", statement.what, statement.advice)).collect()
}

/// What the exit status says.
pub fn outcome(diagnosis: &Diagnosis) -> &'static str {
    match diagnosis.status {
        Severity::Fine if diagnosis.services.is_empty() => "there is nothing to judge",
        Severity::Fine => "nothing leaks",
        Severity::Leak => "a leak, or growth that endangers memory, was found",
        Severity::Critical => "memory is about to end",
    }
}
