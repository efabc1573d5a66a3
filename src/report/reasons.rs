//! In words: the values that a test compared, and the reason for a verdict.

use crate::core::detect::bend::SlowBegin;
use crate::core::detect::explain::{Explanation, HeldVerdict, WindowRow};
use crate::core::detect::known_programs::ProgramKind;
use crate::core::detect::proof::ProofChecks;
use crate::core::detect::series::comparison::Comparison;
use crate::core::detect::series::window::GrowthShape;
use crate::core::detect::verdict::rules::RuleChecks;
use crate::core::model::units::{Bytes, Seconds};
use crate::core::model::verdict::{FindingReason, Verdict};

/// The rule that was met, or the nearest one and what it lacks.
pub(crate) fn conclusion(explanation: &Explanation) -> String {
    let row = explanation.decisive();
    let verdict = explanation.state.verdict;
    let nearest = row.map_or_else(|| "no window is full yet".to_owned(), missing);
    if explanation.follows_earlier_run() {
        return "warming: an earlier run of its program grew as much and exited by itself"
            .to_owned();
    }
    let held = explanation.held;
    let stands = held.map_or(String::new(), |HeldVerdict { for_s, .. }| {
        format!(", held for another {}", Seconds(for_s))
    });
    match (verdict, row.and_then(|row| row.rules.as_ref()), held) {
        (Verdict::Leaking, _, Some(HeldVerdict { why: Some(FindingReason::Pool), .. })) => {
            format!("leaking with its worker pool; by itself: {nearest}")
        }
        (Verdict::Leaking, _, Some(HeldVerdict { why: Some(why), .. })) => {
            let window = row.map_or(0.0, |row| row.window_s);
            format!("leaking ({}); {} of growth show it{stands}", rule(why), Seconds(window))
        }
        (Verdict::Leaking, ..) => format!("leaking from before{stands}; now: {nearest}"),
        (Verdict::Growing, Some(RuleChecks { leak: Some(why), .. }), _) => {
            let window = row.map_or(0.0, |row| row.window_s);
            format!("growing: the window of {} shows it ({})", Seconds(window), rule(*why))
        }
        (Verdict::Growing, Some(RuleChecks { suspect: Some(why), .. }), _) => {
            format!("growing: on the way to {}; {nearest}", rule(*why))
        }
        (Verdict::Growing, ..) => format!("growing from before{stands}; now: {nearest}"),
        (Verdict::Warming | Verdict::LoadCoupled, ..) => {
            let (growth, how) = match verdict {
                Verdict::Warming => (GrowthShape::Slowing, "is slowing down"),
                _ => (GrowthShape::WithLoad, "follows CPU use"),
            };
            match explanation.longest(growth).map(|row| Seconds(row.window_s)) {
                Some(window) => {
                    format!("{}: the growth in {window} {how}; {nearest}", verdict.name())
                }
                None => format!("{} from before{stands}; now: {nearest}", verdict.name()),
            }
        }
        (verdict, ..) => format!("{}: {nearest}", verdict.name()),
    }
}

/// What a window lacks to prove a leak.
fn missing(row: &WindowRow) -> String {
    let tests = &row.window.tests;
    let enough = row.enough();
    if !enough.passes {
        // It then fails the other tests as well, which says nothing more.
        let window = Seconds(row.window_s);
        return format!("growth is too small, also in {window} ({})", pair(enough, size));
    }
    let mut lacks = Vec::new();
    let mut need = |check: Comparison, text: &str, show: fn(f64) -> String| {
        if !check.passes {
            lacks.push(format!("{text} ({})", pair(check, show)));
        }
    };
    need(tests.beyond_falls, "it fell about as far before", size);
    need(tests.rising, "it does not rise throughout", |n| format!("{n}"));
    if row.window.growth.is_some() {
        need(tests.lasting, "its second half is slower", size);
        need(tests.going_on, "it has paused", ratio);
        need(tests.not_by_load, "CPU use explains it", |x| format!("x{}", ratio(x)));
    }
    if let Some(RuleChecks { in_a_row, urgent, share, patient, .. }) = &row.rules {
        need(*in_a_row, "too few windows in a row", |n| format!("{n}"));
        need(urgent.reach, "for urgent, memory lasts too long", size);
        need(urgent.samples, "for urgent, too few samples", |n| format!("{n}"));
        need(*share, "for urgent, others take the memory", ratio);
        need(patient.life_samples, "for patient, too few samples", |n| format!("{n}"));
        if !patient.is_long_enough() {
            let time = |s| Seconds(s).to_string();
            need(patient.of_life_s, "for patient, the window is short for its age", time);
        }
        need(patient.own_growth, "for patient, small for its own size", size);
        need(patient.end_s, "for patient, memory lasts for months", |s| Seconds(s).to_string());
    }
    let window = Seconds(row.window_s);
    if lacks.is_empty() {
        format!("the window of {window} lacks nothing")
    } else {
        format!("nearest is the window of {window}: {}", lacks.join("; "))
    }
}

/// What a growth lacks to be called a leak: why more cannot be said of it yet.
pub(crate) fn unproven(checks: &ProofChecks) -> String {
    let ProofChecks { kind, samples, seconds, weight, day_s, .. } = checks;
    let time = |s| Seconds(s).to_string();
    if *kind == ProgramKind::Job {
        return "it works as a job does, which ends".to_owned();
    }
    if let Some(size_allowed) = checks.beyond_declared.filter(|beyond| !beyond.passes) {
        let allowed = pair(size_allowed, size);
        return format!("its command line allows it that size, with a margin ({allowed})");
    }
    if !samples.passes {
        let (is, needs) = (samples.is, samples.needs);
        return format!("too few samples ({is} of {needs}); on its shape it grows steadily");
    }
    if !seconds.passes {
        return format!("watched too briefly ({})", pair(*seconds, time));
    }
    let mut lacks = Vec::new();
    if !checks.is_spread {
        lacks.push("it grew in a few steps, which may be over".to_owned());
    }
    if !checks.at_equal_work {
        lacks.push("it does more and more work".to_owned());
    }
    if !weight.passes {
        let weight = pair(*weight, ratio);
        lacks.push(format!(
            "it has filled too little of what was left, in too short a time ({weight})"
        ));
    }
    match checks.slow_begin {
        Some(SlowBegin::SpeedsUp) => {
            lacks.push("it speeds up, as a warm-up that begins slowly does".to_owned());
        }
        Some(SlowBegin::IsAnS) => {
            lacks.push("it began slowly and slows down, as a warm-up does".to_owned());
        }
        None => {}
    }
    if !day_s.passes {
        let lasts = pair(*day_s, time);
        lacks.push(format!("daily load is not excluded before a day, and half its life ({lasts})"));
    }
    match lacks.is_empty() {
        true => "it bends as what comes to rest does, or is small".to_owned(),
        false => lacks.join("; "),
    }
}

fn rule(why: FindingReason) -> &'static str {
    match why {
        FindingReason::Urgent => {
            "urgent: memory runs out within --max-extrapolation times the window"
        }
        FindingReason::Patient => {
            "patient: it grew by a large part of its own size through much of its life"
        }
        FindingReason::AfterSettling => {
            "after settling: it grew on well after its size had settled, without more work"
        }
        FindingReason::UnlikeSiblings => "unlike siblings: those at the same work do not grow",
        FindingReason::BeyondDeclared => "beyond the size that its command line allows it",
        FindingReason::NearEnd => "near the end: what fits its memory settles long before",
        FindingReason::LongSteady => "long and steady: over much of the way, without slowing down",
        FindingReason::DayLong => "a day long: through most of its life, without slowing down",
        FindingReason::Outgrown => "outgrown: it became several times what it was",
        FindingReason::Pool => "its worker pool",
        FindingReason::PileUp => "its children never exit",
        FindingReason::Threads => "its threads never exit",
    }
}

/// `ok` or `FAIL`, found/needed.
pub(crate) fn cell(check: Comparison, show: impl Fn(f64) -> String) -> String {
    let word = if check.passes { "ok" } else { "FAIL" };
    format!("{word} {}", pair(check, show))
}

/// Found/needed.
pub(crate) fn pair(check: Comparison, show: impl Fn(f64) -> String) -> String {
    format!("{}/{}", show(check.is), show(check.needs))
}

/// Bytes that may be negative.
pub(crate) fn size(bytes: f64) -> String {
    let sign = if bytes < 0.0 { "-" } else { "" };
    format!("{sign}{:#}", Bytes(bytes.abs() as u64))
}

/// A ratio with two places.
pub(crate) fn ratio(number: f64) -> String {
    if number.abs() < 1000.0 { format!("{number:.2}") } else { ">999".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_growth_lacks_to_be_a_leak_is_said_in_words() {
        let ok = Comparison::at_least(2.0, 1.0);
        let no = |is, needs| Comparison::at_least(is, needs);
        let checks = ProofChecks {
            kind: ProgramKind::Service,
            beyond_declared: None,
            samples: ok,
            seconds: ok,
            is_spread: true,
            slow_begin: None,
            at_equal_work: true,
            weight: ok,
            day_s: ok,
        };
        let few = ProofChecks { samples: no(12.0, 24.0), is_spread: false, ..checks };
        assert_eq!(unproven(&few), "too few samples (12 of 24); on its shape it grows steadily");
        let steps = ProofChecks { is_spread: false, weight: no(0.4, 2.0), ..checks };
        assert_eq!(
            unproven(&steps),
            "it grew in a few steps, which may be over; it has filled too little of what was left, \
             in too short a time (0.40/2.00)"
        );
        let half_a_day = ProofChecks { day_s: no(43_200.0, 86_400.0), ..checks };
        assert!(unproven(&half_a_day).ends_with("(12 h 00 min/24 h 00 min)"));
        let declared = Some(Comparison::above(1e8, 4e8));
        let within = ProofChecks { beyond_declared: declared, ..few };
        assert!(unproven(&within).starts_with("its command line allows it"));
        let job = ProofChecks { kind: ProgramKind::Job, ..within };
        assert_eq!(unproven(&job), "it works as a job does, which ends");
    }
}
