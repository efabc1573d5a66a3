//! Steps: what to do about a service, and how to learn more.

use crate::core::model::units::{Bytes, Seconds};
use crate::core::requests::Answer;
use crate::core::servers::Server;
use crate::diagnose::Diagnosis;
use crate::diagnose::advice;
use crate::diagnose::advice::{Bound, Inputs, Values};
use crate::diagnose::remedy::{Remedy, RemedyReason};
use crate::diagnose::services::service::Service;
use crate::report::escape::Plain;

/// What to do about a service, in a sentence before the change itself.
pub fn proposal(remedy: &Remedy) -> String {
    let set = |n: usize| {
        let change = remedy.changes.get(n)?;
        let was = match &change.computed {
            Some(by) => format!("unknown: {}", Plain(by)),
            None => change.was.to_string(),
        };
        Some(format!("{} {} (now {was})", change.name, change.now))
    };
    let all: Vec<String> = (0..remedy.changes.len()).filter_map(set).collect();
    let all = all.join(", ");
    match remedy.reason {
        RemedyReason::Measured => format!("Bound it: {all}."),
        RemedyReason::Bounded => {
            let set = remedy.changes.first().map(|c| format!("{} {}", c.name, c.now));
            format!("It is bounded: {} ends its workers in time.", set.unwrap_or_default())
        }
        RemedyReason::Unmeasured if remedy.changes.is_empty() => {
            "Bound it from outside.".to_owned()
        }
        RemedyReason::Unmeasured => format!(
            "Bound it: {all}. The leak per request could not be measured, so this is a value to begin with."
        ),
        RemedyReason::NoPidInLog => {
            "Have the access log name the worker's pid: then a diagnosis can tell which request leaks."
                .to_owned()
        }
        RemedyReason::TooMany => format!("More workers are allowed than memory holds: {all}."),
    }
}

/// What the values mean.
pub fn meaning(remedy: &Remedy) -> Option<String> {
    let (inputs, values) = remedy.computed?;
    let size = |bytes: f64| Bytes(bytes as u64);
    let mut text = format!("A worker then ends at {}", size(values.full));
    if let Some(life_s) = values.life_s {
        text += &format!(
            ", after about {} at {} requests a second{}",
            Seconds(life_s),
            few(inputs.rate.unwrap_or(0.0)),
            if remedy.guessed_waits.is_some() { " (a guess)" } else { "" }
        );
    }
    text += &match values.bound {
        Bound::Hopeless => format!(
            "; but even so {} workers need more than the {} there are: it leaks too fast for this memory. Until the leak is fixed, only more memory helps",
            values.cap,
            size(inputs.memory)
        ),
        _ => format!(
            "; {} of them hold at most {} of the {} that the service may have",
            values.cap,
            size(values.cap as f64 * values.full),
            size(inputs.memory)
        ),
    };
    text += &match values.bound {
        Bound::Life if values.cap < inputs.cap => format!(
            ". With {} workers they would have to end so soon that starting new ones costs more than the leak",
            inputs.cap
        ),
        Bound::Tight => tight(remedy.server, &inputs, &values),
        _ => String::new(),
    };
    Some(text + ".")
}

/// What short lives cost, by what a server does when a worker ends.
fn tight(server: Option<&Server>, inputs: &Inputs, values: &Values) -> String {
    let cost = server.and_then(|server| server.advice).map_or("", |advice| advice.replacement_cost);
    let least_life = Seconds(inputs.least_life_s);
    let mut text =
        format!(". Workers live less than {least_life}, and {cost}: memory is short for this leak");
    // Young workers alone may fill most of the memory.
    let half = values.cap / 2;
    if let (Some(all), Some(fewer)) = (values.life_s, advice::life_s(inputs, half))
        && half > 0
        && fewer > 1.5 * all
    {
        text += &format!("; {half} workers, if that is enough, would live for {}", Seconds(fewer));
    }
    text
}

/// A rate with one decimal if it is small: "0.4", "30".
fn few(n: f64) -> String {
    if n < 9.95 { format!("{n:.1}") } else { format!("{n:.0}") }
}

/// What to type until the change is made: a watch of this service.
pub fn meanwhile(service: &Service) -> String {
    if service.is_interpreted()
        && let Some(word) = service.server.title_word()
    {
        return format!("leakwatch -f --pattern {word}");
    }
    let plain = match service.comm.to_string() {
        // The pattern matches the executable's name as well.
        cut if cut.contains('/') => service.program.clone(),
        comm => comm,
    };
    // The dot of "php-fpm8.2" stands for any character in a pattern, itself among them.
    let known = plain.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    if known && !plain.is_empty() {
        format!("leakwatch --pattern {plain}")
    } else {
        format!("leakwatch --pid {}", service.roots.first().map_or(0, |root| root.pid))
    }
}

/// How to find a leak in a service.
pub fn find_it(diagnosis: &Diagnosis, service: &Service) -> String {
    let named = diagnosis.requests_of(service).and_then(|found| match &found.answer {
        Answer::Named(culprit) => Some(Plain(&culprit.request)),
        Answer::NotYet(_) => None,
    });
    let how = match named {
        Some(request) => format!(
            "begin with the code behind {request}; leakwatch census PID --for 1m tells which block sizes \
             increase in a worker that serves it"
        ),
        None => "watch a growing worker's heap (leakwatch census PID --for 1m: which block sizes \
                 increase?), switch off modules or extensions one by one, and update them first"
            .to_owned(),
    };
    format!("Recycling bounds a leak but does not fix it. To find it, {how}.")
}

/// A step and the command to type for it.
type ReportStep = (&'static str, &'static str);

/// How to learn more, where too little was seen to accuse or to clear: a longer observation, and checks
/// that write a history.
pub fn next(diagnosis: &Diagnosis) -> Vec<ReportStep> {
    const AGAIN: ReportStep = (
        "Diagnose again in a few hours; the checks continue meanwhile, and their history counts:",
        "leakwatch diagnose",
    );
    const MINUTE: ReportStep =
        ("Observe for a minute to learn more:", "leakwatch diagnose --for 60s");
    const LONGER: ReportStep = (
        "Observe longer; for some minutes a slow leak looks like a warm-up:",
        "leakwatch diagnose --for 10m",
    );
    const SURER: ReportStep = (
        "To be surer, observe longer; a filling cache looks like a leak until it is full:",
        "leakwatch diagnose --for 10m",
    );
    const HISTORY: ReportStep = (
        "For a leak of hours or days, have cron check everything every five minutes (it sends no signals):",
        // Whatever /etc/leakwatch.toml selects.
        "echo '*/5 * * * * root leakwatch check --dry-run' >/etc/cron.d/leakwatch",
    );
    const LATER: ReportStep =
        ("Then, after a few hours, diagnose again with that history:", "leakwatch diagnose");
    let open = || diagnosis.services.iter().filter(|service| service.is_open());
    let seen_s = diagnosis.looked.live_s + diagnosis.looked.history_s;
    match diagnosis.culprits().next() {
        Some(_) if diagnosis.culprits().all(Service::is_far) && seen_s < 300.0 => vec![SURER],
        Some(_) => Vec::new(),
        None if open().next().is_none() => Vec::new(),
        None if seen_s < 30.0 => vec![MINUTE],
        None if open().all(|service| service.earlier.is_some()) => vec![AGAIN],
        None if seen_s < 300.0 => vec![LONGER, HISTORY, LATER],
        None => vec![HISTORY, LATER],
    }
}
