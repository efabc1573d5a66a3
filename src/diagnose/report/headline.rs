//! Headline: the finding in a sentence or three.

use super::service::{its, judged_s, name, pace};
use super::{Times, count, elsewhere, end, sentence};
use crate::core::model::units::{Bytes, BytesPerSecond, Seconds};
use crate::diagnose::earlier::series::LEAST_SAMPLES;
use crate::diagnose::findings::{LogEvent, Witness};
use crate::diagnose::remedy::{Remedy, RemedyReason};
use crate::diagnose::services::service::{Service, ServiceVerdict};
use crate::diagnose::{Diagnosis, ObservedScope, implied_end_s};
use crate::report::escape::Plain;
use std::cmp::Ordering::Equal;

/// The finding in a sentence or three.
pub fn headline(diagnosis: &Diagnosis, times: &Times) -> String {
    let mut text = String::new();
    if !diagnosis.memory_failures.is_empty() {
        text += "It is happening now: the kernel refuses forks or ends processes. ";
    }
    let culprits: Vec<&Service> = diagnosis.culprits().collect();
    let elsewhere = elsewhere(diagnosis);
    if let Some((first, others)) = culprits.split_first() {
        text += &found(diagnosis, first, others, times);
        return elsewhere.iter().fold(text, |text, (what, _)| format!("{text} Besides: {what}."));
    }
    let suspect = diagnosis.services.iter().find(|s| s.verdict == ServiceVerdict::Suspect);
    if !elsewhere.is_empty() {
        text += &match suspect {
            Some(suspect) => suspicion(suspect) + "",
            None => "No process leaks by itself.".to_owned(),
        };
        text = elsewhere.iter().fold(text, |text, (what, _)| format!("{text} {what}."));
        return text + &logged(diagnosis, "The", times);
    }
    let mut but = "The";
    if let Some(suspect) = suspect {
        text += &suspicion(suspect);
    } else if diagnosis.services.is_empty() {
        text += &nothing(diagnosis);
    } else if diagnosis.looked.samples < LEAST_SAMPLES
        && diagnosis.services.iter().all(|service| service.earlier.is_none())
    {
        text += "There are too few samples to name a leak.";
    } else {
        text += &format!(
            "No leak shows in {}; {} left of {}.",
            shown(diagnosis),
            Bytes(diagnosis.memory.headroom()),
            Bytes(diagnosis.memory.limit())
        );
        let open = open_question(diagnosis);
        but = if open.is_empty() { "But the" } else { "The" };
        text += &open;
    }
    text + &logged(diagnosis, but, times)
}

/// What leaks: the service that is most urgent, what already bounds it, and which others leak too.
fn found(diagnosis: &Diagnosis, first: &Service, others: &[&Service], times: &Times) -> String {
    let mut text = accusation(first, times);
    if let Some(change) = bounded(diagnosis, first).and_then(|remedy| remedy.changes.first()) {
        text += &format!(
            " But its workers end before that ({} {}), and memory holds them at their largest.",
            change.name, change.now
        );
    }
    let others: Vec<String> = others.iter().take(3).map(|s| name(s)).collect();
    match others.len() {
        0 => text,
        1 => text + &format!(" So does {}.", listed(&others)),
        _ => text + &format!(" So do {}.", listed(&others)),
    }
}

/// What may leak, and why that is not certain.
fn suspicion(suspect: &Service) -> String {
    let rate = BytesPerSecond(suspect.steady.map_or(0.0, |steady| steady.rate)).to_string();
    format!(
        "{} may leak: {} grew by {} without a break, but {} is too short to tell that from warming up.",
        name(suspect),
        its(suspect),
        rate.trim_start_matches('+'),
        Seconds(judged_s(suspect))
    )
}

/// The failures for lack of memory in the logs, if there are any.
fn logged(diagnosis: &Diagnosis, but: &str, times: &Times) -> String {
    // A line without a time may be years old.
    let dated = || diagnosis.logs.log_events.iter().filter(|t| t.last_t.is_some());
    let of_memory = || dated().filter(|t| t.failure.is_of_memory());
    let believed = || of_memory().filter(|t| t.witness != Witness::SaidToBeKernel);
    let told = |events: &[&LogEvent]| {
        let last = events.iter().max_by(|a, b| a.last_t.partial_cmp(&b.last_t).unwrap_or(Equal))?;
        let failures = events.iter().map(|t| t.count).sum();
        let failures = count(failures, "failure for lack of memory", "failures for lack of memory");
        let on = last.last_t.map_or(String::new(), |t| format!(" on {}", times.minute(t)));
        Some(format!("{failures}, the last of {}{on}", Plain(&last.who)))
    };
    if let Some(told) = told(&believed().collect::<Vec<_>>()) {
        return format!(" {but} logs show {told}.");
    }
    told(&of_memory().collect::<Vec<_>>()).map_or(String::new(), |told| {
        format!(
            " {but} logs have lines in the kernel's name, which any user can write there, on {told}."
        )
    })
}

/// The finding where no process was judged.
fn nothing(diagnosis: &Diagnosis) -> String {
    let memory = &diagnosis.memory;
    match &diagnosis.scope {
        ObservedScope::Machine => format!(
            "There is no process but leakwatch, what started it and kernel threads, so there is \
             nothing to judge; {} left of {}.",
            Bytes(memory.headroom()),
            Bytes(memory.limit())
        ),
        ObservedScope::Selected(asked) => format!(
            "No process matches {}, so there is nothing to judge. `ps -e` shows the names; without \
             a selection the whole machine is observed.",
            Plain(asked)
        ),
        ObservedScope::Recording => {
            "The recording has no process, so there is nothing to judge.".to_owned()
        }
    }
}

/// " But gunicorn still grows, ..": services that may yet turn out to leak.
fn open_question(diagnosis: &Diagnosis) -> String {
    let open = |verdict| move |s: &&Service| s.verdict == verdict && s.is_open();
    let ask = |verdict, how| {
        let services = diagnosis.services.iter().filter(open(verdict));
        let names: Vec<String> = services.take(3).map(name).collect();
        let (grow, they) = if names.len() == 1 { ("grows", "it") } else { ("grow", "they") };
        match names.is_empty() {
            true => String::new(),
            false => format!(
                " But {} still {grow}, {how}: {they} may be warming up, or leak too slowly to tell by now.",
                listed(&names)
            ),
        }
    };
    let warming = ask(ServiceVerdict::Warming, "ever more slowly");
    warming + &ask(ServiceVerdict::AsBefore, "as earlier runs did")
}

/// "a", "a and b", "a, b and c".
fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// What bounds the leak of a service already.
fn bounded<'d>(diagnosis: &'d Diagnosis, service: &Service) -> Option<&'d Remedy> {
    let is_of =
        |remedy: &&Remedy| remedy.root.is_some() && remedy.root == service.roots.first().copied();
    diagnosis.remedies.iter().filter(is_of).find(|remedy| remedy.reason == RemedyReason::Bounded)
}

/// Whether its workers end before memory does, by its own settings.
pub fn is_bounded(diagnosis: &Diagnosis, service: &Service) -> bool {
    bounded(diagnosis, service).is_some()
}

/// "60 s now and up to 38 h 00 min before": how long the services were observed.
fn shown(diagnosis: &Diagnosis) -> String {
    let looked = diagnosis.looked;
    let before = diagnosis.services.iter().filter_map(|service| service.earlier);
    let longest_s = before.map(|before| before.span_s).fold(0.0, f64::max);
    let now = Seconds(looked.live_s + looked.history_s);
    match (longest_s > 0.0, looked.live_s > 0.0) {
        (true, true) => format!("{now} now and up to {} before", Seconds(longest_s)),
        (true, false) => format!("one sample now and up to {} before", Seconds(longest_s)),
        (false, _) => now.to_string(),
    }
}

fn accusation(service: &Service, times: &Times) -> String {
    let very = match service.verdict {
        ServiceVerdict::Leaks => "leaks",
        ServiceVerdict::Grows => "grows steadily",
        _ => "very likely leaks",
    };
    let name = name(service);
    if service.tasks.is_some() && service.steady.is_none() {
        let mut text = format!("{name} {very}: it starts processes or threads that never end.");
        if let Some(forecast) = &service.forecast {
            text += &format!(" {}.", sentence(&end(forecast, times)));
        }
        return text;
    }
    let (hold, grow) = if service.workers > 1 { ("hold", "grow") } else { ("holds", "grows") };
    let mut text = format!("{name} {very}: {} {hold} {}", its(service), Bytes(service.size as u64));
    if let Some((rate, ..)) = pace(service) {
        text +=
            &format!(" and {grow} by {}", BytesPerSecond(rate).to_string().trim_start_matches('+'));
    }
    text += ".";
    match (&service.forecast, implied_end_s(service)) {
        (Some(forecast), _) => text += &format!(" {}.", sentence(&end(forecast, times))),
        (None, Some((early, likely, late))) => {
            text += &format!(
                " At the present rate of requests memory would end in {} ({} to {}), around {}.",
                Seconds(likely),
                Seconds(early),
                Seconds(late),
                times.soon(times.now_t + likely)
            );
        }
        _ => {}
    }
    if service.verdict == ServiceVerdict::Grows {
        text += " That is a leak, or a cache that fills: if it goes on past the size that its \
                 settings allow it, or does not slow down in hours of the same work, it leaks.";
    }
    text
}
