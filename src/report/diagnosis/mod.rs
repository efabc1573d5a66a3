//! Diagnosis: the words in which text, page and JSON say the same.

pub mod json;
mod paper;
pub mod text;

use super::escape::Plain;
use crate::advice::{self, Bound, Inputs, Values};
use crate::assessment::{Forecast, Status};
use crate::ceiling::{Ceiling, Unit};
use crate::diagnosis::cure::{Cure, Occasion};
use crate::diagnosis::earlier::{About, LEAST, Source};
use crate::diagnosis::service::{Before, Case, Judge, Service, is_known};
use crate::diagnosis::work::{Basis, PerWork};
use crate::diagnosis::{Diagnosis, Scope, implied_end_s};
use crate::facts::{Kind, Logs, Trace, WorkUnit};
use crate::report::text::Named;
use crate::units::{Amount, Bytes, BytesPerSecond, Rate, Seconds};
use jiff::Timestamp;
use jiff::tz::TimeZone;

/// A growth below this many bytes a day is not worth a number.
const NO_RATE: f64 = 1.0;

/// Local times.
#[derive(Clone, Debug)]
pub struct Times {
    /// Where.
    pub zone: TimeZone,
    /// Unix time of the report.
    pub now_t: f64,
}

impl Times {
    fn format(&self, t: f64, format: &str) -> String {
        let time = Timestamp::from_second(t as i64).unwrap_or_default();
        time.to_zoned_datetime(self.zone.clone()).strftime(format).to_string()
    }

    /// "Nov 23 02:11", with the year where it is not this one.
    pub fn minute(&self, t: f64) -> String {
        match self.format(t, "%Y") == self.format(self.now_t, "%Y") {
            true => self.format(t, "%b %e %H:%M").replace("  ", " "),
            false => self.format(t, "%Y-%m-%d %H:%M"),
        }
    }

    /// "14:20", "tomorrow 03:10", "Nov 30".
    pub fn soon(&self, t: f64) -> String {
        let day = |t: f64| self.format(t, "%F");
        match t - self.now_t {
            _ if day(t) == day(self.now_t) => self.format(t, "%H:%M"),
            _ if day(t) == day(self.now_t + 86_400.0) => self.format(t, "tomorrow %H:%M"),
            s if s < 6.0 * 86_400.0 => self.format(t, "%A %H:%M"),
            s if s < 300.0 * 86_400.0 => self.format(t, "%b %e").replace("  ", " "),
            _ => self.format(t, "%B %Y"),
        }
    }

    /// A time on an axis that spans so many seconds.
    pub fn tick(&self, t: f64, span_s: f64) -> String {
        match span_s {
            s if s < 900.0 => self.format(t, "%H:%M:%S"),
            s if s < 2.0 * 86_400.0 => self.format(t, "%H:%M"),
            _ => self.format(t, "%b %e %H:%M"),
        }
    }

    /// "2026-11-24 03:10 CET".
    pub fn whole(&self, t: f64) -> String {
        self.format(t, "%F %H:%M %Z")
    }
}

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

/// A service as a sentence names it.
fn name(service: &Service) -> String {
    Plain(&service.name).to_string()
}

/// Its processes: "24 workers", "process 812".
pub fn processes(service: &Service) -> String {
    match (service.workers, service.processes) {
        (0, 1) => format!("process {}", service.roots.first().map_or(0, |root| root.pid)),
        (0, n) => format!("{n} processes"),
        (1, _) => "1 worker".to_owned(),
        (n, _) => format!("{n} workers"),
    }
}

/// How fast a service grows by what accuses it, with its interval: bytes a second.
pub fn pace(service: &Service) -> Option<(f64, f64, f64)> {
    match service.case {
        Case::Leaks | Case::Suspect => {
            let (rate, _) = service.steady?;
            // The forecast's interval is that of the speed, and calibrated.
            let between = service.forecast.filter(|f| f.ceiling.unit() == Unit::Bytes).map(|f| {
                (rate * f.likely_s / f.latest_s, rate * f.likely_s / f.earliest_s.max(0.1))
            });
            let (low, high) = between.or(service.growth.map(|growth| growth.between))?;
            Some((rate, low.min(rate), high.max(rate)))
        }
        Case::Likely { rate: Some(rate) } => {
            let per_work = service.per_work?;
            let (low, high) = per_work.between;
            Some((per_work.bytes * rate, low * rate, high * rate))
        }
        _ => None,
    }
}

/// "+46 MiB/h (41 to 52)", or what can be said.
pub fn growth(service: &Service) -> String {
    if let Some(tasks) = service.tasks.filter(|_| service.steady.is_none()) {
        return format!("{} processes or threads", Rate(tasks, Unit::Tasks));
    }
    match pace(service) {
        Some((rate, low, high)) => format!("{} {}", BytesPerSecond(rate), between(rate, low, high)),
        None => match service.growth {
            Some(growth) if growth.rate.abs() * 86_400.0 >= NO_RATE => {
                format!("{} so far", BytesPerSecond(growth.rate))
            }
            _ => String::new(),
        },
    }
}

/// "(0.8 to 3.9)": an interval in the unit in which its middle is written.
fn between(rate: f64, low: f64, high: f64) -> String {
    let text = BytesPerSecond(rate).to_string();
    let number: f64 = text
        .trim_start_matches(['+', '-'])
        .split(' ')
        .next()
        .and_then(|number| number.parse().ok())
        .unwrap_or(1.0);
    let unit = rate.abs() / number.max(1e-9);
    let show = |rate: f64| match rate / unit {
        n if n.abs() < 9.95 => format!("{n:.1}"),
        n => format!("{n:.0}"),
    };
    format!("({} to {})", show(low), show(high))
}

/// The verdict in one word.
pub fn verdict(case: Case) -> &'static str {
    match case {
        Case::Leaks => "LEAKS",
        Case::Likely { .. } => "LIKELY",
        Case::Suspect => "suspect",
        Case::Unclear => "unclear",
        _ => "ok",
    }
}

/// Whether it is larger now than ever before the look.
fn is_larger(service: &Service) -> bool {
    service.before.is_some_and(|before| before.judge == Judge::Larger)
}

/// Seconds of what judged it.
fn judged_s(service: &Service) -> f64 {
    match service.before {
        Some(Before { judge: Judge::Earlier, .. }) | None => service.watched_s,
        Some(before) => before.look_s,
    }
}

/// "a history of 38 h 00 min (456 checks; 3 of 14 services) and 60 s now (160 samples)": what was seen.
pub fn seen(diagnosis: &Diagnosis) -> String {
    let Diagnosis { looked, services, .. } = diagnosis;
    let mut used: Vec<&About> =
        diagnosis.earlier.iter().filter(|about| about.samples >= LEAST).collect();
    used.sort_by(|a, b| b.span_s().total_cmp(&a.span_s()));
    let samples = |n: u32| count(u64::from(n), "sample", "samples");
    let now = match looked.live_s > 0.0 {
        true => format!("{} now ({})", Seconds(looked.live_s), samples(looked.samples)),
        false => "one look now".to_owned(),
    };
    let one = |about: &About, more: &str| match about.source {
        Source::Checks => {
            format!("a history of {} ({} checks{more})", Seconds(about.span_s()), about.samples)
        }
        Source::Recording => {
            format!("a recording of {} ({}{more})", Seconds(about.span_s()), samples(about.samples))
        }
    };
    let judged = services.iter().filter(|service| service.before.is_some()).count();
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

/// Why that verdict: what convicts it, or what clears it.
pub fn reason(service: &Service) -> String {
    let watched = Seconds(service.watched_s);
    let up = format!("up {}", Seconds(service.age_s));
    match service.case {
        Case::Leaks if service.tasks.is_some() => {
            "it starts processes or threads that never end".to_owned()
        }
        Case::Leaks => {
            let who = match (service.leaking, service.processes) {
                (1, 1) => "it".to_owned(),
                (n, all) => format!("{n} of its {all} processes"),
            };
            let window = service.steady.map_or(service.watched_s, |(_, window)| window);
            format!(
                "{who} grew steadily for {}, more than ever fell back, and did not slow down",
                Seconds(window)
            )
        }
        Case::Likely { .. } => {
            "those workers hold most that have worked most, and it does not level off".to_owned()
        }
        Case::Suspect if is_larger(service) => format!(
            "grew steadily in these {}, to more than it ever held in the {} before; look longer",
            Seconds(judged_s(service)),
            Seconds(service.before.map_or(0.0, |before| before.span_s))
        ),
        Case::Suspect => format!(
            "grew steadily, but {} is too short to tell a leak from warming up",
            Seconds(judged_s(service))
        ),
        Case::Unclear if is_larger(service) => format!(
            "holds more now than it ever did in the {} before; {up}",
            Seconds(service.before.map_or(0.0, |before| before.span_s))
        ),
        Case::Unclear if service.growth.is_none() => format!("seen too briefly to say; {up}"),
        Case::Unclear => format!("grew in {watched}, not steadily enough to say more; {up}"),
        Case::Flat => format!("flat for {watched}; {up}"),
        Case::Settled(flat_s) => {
            format!("grew, then flat for {}: it filled up; {up}", Seconds(flat_s))
        }
        Case::Shrank => format!("gave memory back in these {watched}; {up}"),
        Case::Warming => format!("grows, but more and more slowly: it warms up; {up}"),
        Case::WithLoad => format!("grows as its CPU use grows: more to do, no leak; {up}"),
        Case::Slight(end_s) => {
            format!("grew a little; at that pace memory would last {}", Seconds(end_s))
        }
        Case::TooSlow(lasts_s) => format!(
            "{up}: even if all it holds had leaked, memory would last another {}",
            Seconds(lasts_s)
        ),
    }
}

/// "every request leaves 9.1 KiB behind (8.8 to 9.5 KiB; 24 workers compared)"
pub fn per_work(service: &Service) -> Option<String> {
    let PerWork { bytes, between: (low, high), unit, basis, .. } = service.per_work?;
    let (what, many) = match unit {
        WorkUnit::Requests => ("every request", "requests"),
        WorkUnit::Waits => {
            ("every time it waits for something (twice a request and more)", "times")
        }
    };
    let of = match basis {
        Basis::Watched(work) => format!("seen over {work:.0} {many}"),
        Basis::Compared(n, _) => format!("seen by comparing {n} workers"),
    };
    let size = |bytes: f64| Bytes(bytes.max(0.0) as u64).to_string();
    let wide = size(low) != size(bytes) || size(high) != size(bytes);
    let interval = if wide { format!("{} to {}; ", size(low), size(high)) } else { String::new() };
    Some(format!("{what} leaves {} behind ({interval}{of})", size(bytes)))
}

/// When and what, of a forecast: "memory ends in 6 h 10 min (..), around 14:20; then the OOM killer
/// strikes".
pub fn end(forecast: &Forecast, times: &Times) -> String {
    let Forecast { ceiling, likely_s, earliest_s, latest_s, window_s, .. } = *forecast;
    let effect = ceiling.effect();
    match forecast.is_founded() {
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
            "{} later than can be told from the {} it was watched; {}",
            effect.verb(),
            Seconds(window_s),
            effect.sentence()
        ),
    }
}

/// The finding in a sentence or three.
pub fn headline(diagnosis: &Diagnosis, times: &Times) -> String {
    let (mut text, mut but) = (String::new(), "The");
    if !diagnosis.signs.is_empty() {
        text += "It is happening now: the kernel refuses forks or ends processes. ";
    }
    let culprits: Vec<&Service> = diagnosis.culprits().collect();
    if let Some(first) = culprits.first() {
        text += &accusation(first, times);
        if let Some(change) = bounded(diagnosis, first).and_then(|cure| cure.changes.first()) {
            text += &format!(
                " But its workers end before that ({} {}), and memory holds them at their largest.",
                change.name, change.now
            );
        }
        if culprits.len() > 1 {
            let others: Vec<String> = culprits.iter().skip(1).take(3).map(|s| name(s)).collect();
            let so = if others.len() == 1 { "So does" } else { "So do" };
            text += &format!(" {so} {}.", listed(&others));
        }
        return text;
    }
    let failures: u64 =
        diagnosis.logs.traces.iter().filter(|t| t.failure.is_of_memory()).map(|t| t.count).sum();
    let suspects: Vec<&Service> =
        diagnosis.services.iter().filter(|s| s.case == Case::Suspect).collect();
    if let Some(first) = suspects.first() {
        text += &format!(
            "{} may leak: {} grew by {} without a break, but {} is too short to tell that from warming up.",
            name(first),
            its(first),
            BytesPerSecond(first.steady.map_or(0.0, |(rate, _)| rate))
                .to_string()
                .trim_start_matches('+'),
            Seconds(judged_s(first))
        );
    } else if diagnosis.services.is_empty() {
        text += &nothing(diagnosis);
    } else if diagnosis.looked.samples < LEAST
        && diagnosis.services.iter().all(|service| service.before.is_none())
    {
        text += "Too little was seen to name a leak.";
    } else {
        text += &format!(
            "Nothing leaks as far as {} can show; {} left of {}.",
            shown(diagnosis),
            Bytes(diagnosis.memory.headroom()),
            Bytes(diagnosis.memory.limit())
        );
        let open = open_question(diagnosis);
        but = if open.is_empty() { "But the" } else { "The" };
        text += &open;
    }
    if failures > 0 {
        let last = diagnosis.logs.traces.iter().find(|t| t.failure.is_of_memory());
        text += &format!(
            " {but} logs tell of {}",
            count(failures, "failure for lack of memory", "failures for lack of memory")
        );
        if let Some(trace) = last {
            text += &format!(", the last of {}", Plain(&trace.who));
            if let Some(t) = trace.last_t {
                text += &format!(" on {}", times.minute(t));
            }
        }
        text += ".";
    }
    text
}

/// What is said where no process was judged.
fn nothing(diagnosis: &Diagnosis) -> String {
    let memory = &diagnosis.memory;
    match &diagnosis.scope {
        Scope::Machine => format!(
            "No process was seen but leakwatch, what started it and the kernel's own, so there is \
             nothing to judge; {} left of {}.",
            Bytes(memory.headroom()),
            Bytes(memory.limit())
        ),
        Scope::Selected(asked) => format!(
            "No process matches {}, so there is nothing to judge. `ps -e` shows the names; without \
             a selection the whole machine is looked at.",
            Plain(asked)
        ),
        Scope::Recording => "There is no process in the recording, so nothing to judge.".to_owned(),
    }
}

/// " But gunicorn still grows: ..": who may yet turn out to leak.
fn open_question(diagnosis: &Diagnosis) -> String {
    let warming = diagnosis.services.iter().filter(|s| s.case == Case::Warming && s.is_open());
    let names: Vec<String> = warming.take(3).map(name).collect();
    let (grow, they) = if names.len() == 1 { ("grows", "it") } else { ("grow", "they") };
    match names.is_empty() {
        true => String::new(),
        false => format!(
            " But {} still {grow}, ever more slowly: {they} may be warming up, or leak too slowly to tell by now.",
            listed(&names)
        ),
    }
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
fn bounded<'d>(diagnosis: &'d Diagnosis, service: &Service) -> Option<&'d Cure> {
    let is_of = |cure: &&Cure| cure.root.is_some() && cure.root == service.roots.first().copied();
    diagnosis.cures.iter().filter(is_of).find(|cure| cure.occasion == Occasion::Bounded)
}

/// Whether its workers end before memory does, by its own settings.
pub fn is_bounded(diagnosis: &Diagnosis, service: &Service) -> bool {
    bounded(diagnosis, service).is_some()
}

/// "60 s", "a history of up to 38 h 00 min": how far it could be seen.
fn shown(diagnosis: &Diagnosis) -> String {
    let looked = diagnosis.looked;
    let before = diagnosis.services.iter().filter_map(|service| service.before);
    let longest_s = before.map(|before| before.span_s).fold(0.0, f64::max);
    let now = Seconds(looked.live_s + looked.history_s);
    match (longest_s > 0.0, looked.live_s > 0.0) {
        (true, true) => format!("{now} now and up to {} before", Seconds(longest_s)),
        (true, false) => format!("one look now and up to {} before", Seconds(longest_s)),
        (false, _) => now.to_string(),
    }
}

fn its(service: &Service) -> String {
    match service.workers {
        0 => "it".to_owned(),
        1 => "its worker".to_owned(),
        n => format!("its {n} workers"),
    }
}

fn accusation(service: &Service, times: &Times) -> String {
    let very = match service.case {
        Case::Leaks => "leaks",
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
    let mut text = format!("{name} {very}: {} {hold} {}", its(service), Bytes(service.own as u64));
    if let Some((rate, ..)) = pace(service) {
        text +=
            &format!(" and {grow} by {}", BytesPerSecond(rate).to_string().trim_start_matches('+'));
    }
    text += ".";
    match (&service.forecast, implied_end_s(service)) {
        (Some(forecast), _) => text += &format!(" {}.", sentence(&end(forecast, times))),
        (None, Some((early, likely, late))) => {
            text += &format!(
                " At the pace of requests seen now memory would end in {} ({} to {}), around {}.",
                Seconds(likely),
                Seconds(early),
                Seconds(late),
                times.soon(times.now_t + likely)
            );
        }
        _ => {}
    }
    text
}

/// What is left below a ceiling: "100 MiB of 192 MiB left of memory cgroup /x (52 %); then ..."
pub fn left(ceiling: &Ceiling) -> String {
    let Ceiling { kind, place, limit, .. } = *ceiling;
    let unit = kind.unit();
    format!(
        "{:.0} % left of {}: {} of {}; {}",
        100.0 * ceiling.headroom() as f64 / (limit as f64).max(1.0),
        Named(kind, place),
        Amount(ceiling.headroom(), unit),
        Amount(limit, unit),
        kind.effect().sentence()
    )
}

/// When a trace was seen: "Nov 23 02:11 to 02:40".
pub fn when(trace: &Trace, times: &Times) -> String {
    match (trace.first_t, trace.last_t) {
        (Some(first), Some(last)) if last - first >= 60.0 => {
            format!("{} to {}", times.minute(first), times.minute(last))
        }
        (_, Some(last)) => times.minute(last),
        _ => "at a time not told".to_owned(),
    }
}

/// What is said where no trace was found.
pub fn no_trace(logs: &Logs) -> &'static str {
    match logs.unread.is_empty() {
        true => "No failed fork, no OOM kill, no lack of memory.",
        false => "No failed fork, no OOM kill, no lack of memory in what could be read.",
    }
}

/// What to do about a service, in a sentence before the change itself.
pub fn proposal(cure: &Cure) -> String {
    let set = |n: usize| {
        let change = cure.changes.get(n)?;
        Some(format!("{} {} (now {})", change.name, change.now, change.was))
    };
    let all: Vec<String> = (0..cure.changes.len()).filter_map(set).collect();
    let all = all.join(", ");
    match cure.occasion {
        Occasion::Measured => format!("Bound it: {all}."),
        Occasion::Bounded => {
            let set = cure.changes.first().map(|c| format!("{} {}", c.name, c.now));
            format!("It is bounded: {} ends its workers in time.", set.unwrap_or_default())
        }
        Occasion::Unmeasured if cure.changes.is_empty() => "Bound it from outside.".to_owned(),
        Occasion::Unmeasured => format!(
            "Bound it: {all}. What a request leaks could not be measured, so this is a value to begin with."
        ),
        Occasion::TooMany => format!("More workers are allowed than memory holds: {all}."),
    }
}

/// What the values mean.
pub fn meaning(cure: &Cure) -> Option<String> {
    let (inputs, values) = cure.reckoned?;
    let size = |bytes: f64| Bytes(bytes as u64);
    let mut text = format!("A worker then ends at {}", size(values.full));
    if let Some(life_s) = values.life_s {
        text += &format!(
            ", after about {} at {} requests a second{}",
            Seconds(life_s),
            few(inputs.rate.unwrap_or(0.0)),
            if cure.guessed_waits.is_some() { " (a guess)" } else { "" }
        );
    }
    text += &match values.bound {
        Bound::Hopeless => format!(
            "; but even so {} workers need more than the {} there are: it leaks too fast for this memory. Until it is mended more memory is the only help",
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
        Bound::Tight => tight(cure.server, &inputs, &values),
        _ => String::new(),
    };
    Some(text + ".")
}

/// What short lives cost, by what a server does when a worker ends.
fn tight(server: Option<Kind>, inputs: &Inputs, values: &Values) -> String {
    let short = "memory is short for this leak";
    let cost = match server {
        Some(Kind::PhpFpm) => "each new one costs a fork and an empty cache",
        Some(Kind::Gunicorn | Kind::Uwsgi) => "each new one loads the whole application",
        _ => "where they end together requests wait up to a second for new ones",
    };
    let mut text =
        format!(". Workers live less than {}, and {cost}: {short}", Seconds(inputs.least_life_s));
    // What all of them need to begin with may be most of what there is.
    let half = values.cap / 2;
    if let (Some(all), Some(fewer)) = (values.life_s, advice::life_s(inputs, half))
        && half > 0
        && fewer > 1.5 * all
    {
        text += &format!("; {half} workers, if that is enough, would live for {}", Seconds(fewer));
    }
    text
}

/// A small number of requests: "0.4", "30".
fn few(n: f64) -> String {
    if n < 9.95 { format!("{n:.1}") } else { format!("{n:.0}") }
}

/// What to type until the change is made; a regular expression that means this service.
pub fn meanwhile(service: &Service) -> String {
    let interpreter = service.is_interpreted();
    if interpreter && is_known(service.server) {
        let word = service.server.split(' ').next().unwrap_or_default();
        return format!("leakwatch -f --pattern {word}");
    }
    let plain = match service.comm.to_string() {
        // The pattern is looked for in the executable's name as well.
        cut if cut.contains('/') => service.program.clone(),
        comm => comm,
    };
    // The dot of "php-fpm8.2" stands for any character in a pattern, itself among them.
    let known = plain.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c));
    match known && !plain.is_empty() {
        true => format!("leakwatch --pattern {plain}"),
        false => format!("leakwatch --pid {}", service.roots.first().map_or(0, |root| root.pid)),
    }
}

/// Whether there is something to say of a service by itself: it is accused, or not small.
pub fn matters(service: &Service) -> bool {
    const SMALL: f64 = 8.0 * 1024.0 * 1024.0;
    service.case.accuses() || service.case == Case::Suspect || service.own >= SMALL
}

/// A step and the command to type for it.
pub type Step = (&'static str, &'static str);

/// What to do to know more, where too little was seen to accuse or to clear: look for longer, and have
/// checks write a history.
pub fn next(diagnosis: &Diagnosis) -> Vec<Step> {
    const AGAIN: Step = (
        "Diagnose again in some hours; the checks go on meanwhile, and their history counts:",
        "leakwatch diagnose",
    );
    const MINUTE: Step =
        ("Look for a minute, so that more can be said:", "leakwatch diagnose --for 60s");
    const LONGER: Step = (
        "Look longer; what leaks slowly and what only warms up are alike for some minutes:",
        "leakwatch diagnose --for 10m",
    );
    const SURER: Step = (
        "To be surer look longer; a cache that fills is like a leak until it stops:",
        "leakwatch diagnose --for 10m",
    );
    const HISTORY: Step = (
        "For a leak of hours or days have cron look at everything every five minutes (it signals nobody):",
        // Whatever /etc/leakwatch.toml selects.
        "echo '*/5 * * * * root leakwatch check --dry-run' >/etc/cron.d/leakwatch",
    );
    const LATER: Step =
        ("Then, after some hours, all that was seen meanwhile counts:", "leakwatch diagnose");
    let open = || diagnosis.services.iter().filter(|service| service.is_open());
    let seen_s = diagnosis.looked.live_s + diagnosis.looked.history_s;
    match diagnosis.culprits().next() {
        Some(_) if diagnosis.culprits().all(Service::is_far) && seen_s < 300.0 => vec![SURER],
        Some(_) => Vec::new(),
        None if open().next().is_none() => Vec::new(),
        None if seen_s < 30.0 => vec![MINUTE],
        None if open().all(|service| service.before.is_some()) => vec![AGAIN],
        None if seen_s < 300.0 => vec![LONGER, HISTORY, LATER],
        None => vec![HISTORY, LATER],
    }
}

/// What is to be said of the services that are not listed; nothing if there are none.
pub fn others<'s>(services: impl Iterator<Item = &'s Service>) -> Option<String> {
    let is_unclear = |s: &Service| matches!(s.case, Case::Unclear | Case::Suspect);
    let (mut all, mut unclear) = (0, 0);
    for service in services {
        all += 1;
        unclear += u32::from(is_unclear(service));
    }
    Some(match (all, unclear) {
        (0, _) => return None,
        (1, 0) => "does not grow to speak of".to_owned(),
        (_, 0) => "none of them grows to speak of".to_owned(),
        (1, _) => "seen too briefly to say".to_owned(),
        (all, unclear) if all == unclear => "seen too briefly to say".to_owned(),
        (_, unclear) => {
            format!("none grows to speak of, {unclear} of them seen too briefly to say")
        }
    })
}

/// What the exit status says.
pub fn outcome(diagnosis: &Diagnosis) -> &'static str {
    match diagnosis.status {
        Status::Fine if diagnosis.services.is_empty() => "there is nothing to judge",
        Status::Fine => "nothing leaks",
        Status::Leak => "a leak was found",
        Status::Critical => "memory is about to end",
    }
}
