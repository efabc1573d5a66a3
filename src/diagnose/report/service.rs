//! Service: one service in words: its processes, how fast it grows, the verdict and why.

use crate::core::model::ceiling::Unit;
use crate::core::model::units::{Bytes, BytesPerSecond, Rate, Seconds};
use crate::diagnose::Diagnosis;
use crate::diagnose::findings::WorkUnit;
use crate::diagnose::leak_per_request::{Basis, PerWork};
use crate::diagnose::services::service::{JudgedBy, SeenEarlier, Service, ServiceVerdict};
use crate::report::census;
use crate::report::escape::Plain;

/// A growth below this many bytes a day is not worth a number.
const NO_RATE: f64 = 1.0;

/// A service as a sentence names it.
pub(super) fn name(service: &Service) -> String {
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

pub(super) fn its(service: &Service) -> String {
    match service.workers {
        0 => "it".to_owned(),
        1 => "its worker".to_owned(),
        n => format!("its {n} workers"),
    }
}

/// The growth that accuses a service, with its interval: bytes a second.
pub fn pace(service: &Service) -> Option<(f64, f64, f64)> {
    match service.verdict {
        ServiceVerdict::Leaks | ServiceVerdict::Grows | ServiceVerdict::Suspect => {
            let rate = service.steady?.rate;
            // The forecast's interval is that of the speed, and calibrated.
            let between = service.forecast.filter(|f| f.ceiling.unit() == Unit::Bytes).map(|f| {
                (rate * f.likely_s / f.latest_s, rate * f.likely_s / f.earliest_s.max(0.1))
            });
            let (low, high) = between.or(service.growth.map(|growth| growth.between))?;
            Some((rate, low.min(rate), high.max(rate)))
        }
        ServiceVerdict::Likely { rate: Some(rate) } => {
            let per_work = service.per_work?;
            let (low, high) = per_work.between;
            Some((per_work.bytes * rate, low * rate, high * rate))
        }
        _ => None,
    }
}

/// "+46 MiB/h (41 to 52)", or as much as is known.
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
pub fn verdict(case: ServiceVerdict) -> &'static str {
    match case {
        ServiceVerdict::Leaks => "LEAKS",
        ServiceVerdict::Grows => "GROWS",
        ServiceVerdict::Likely { .. } => "LIKELY",
        ServiceVerdict::Suspect => "suspect",
        ServiceVerdict::Unclear => "unclear",
        _ => "ok",
    }
}

/// Whether it is larger now than ever before the look.
fn is_larger(service: &Service) -> bool {
    service.earlier.is_some_and(|before| before.judge == JudgedBy::LiveSinceLarger)
}

/// Seconds of what judged it.
pub(super) fn judged_s(service: &Service) -> f64 {
    match service.earlier {
        Some(SeenEarlier { judge: JudgedBy::Earlier, .. }) | None => service.watched_s,
        Some(earlier) => earlier.live_s,
    }
}

/// Why that verdict: what proves the leak, or what clears the service.
pub fn reason(service: &Service) -> String {
    let watched = Seconds(service.watched_s);
    let up = format!("up {}", Seconds(service.age_s));
    match service.verdict {
        ServiceVerdict::Leaks if service.tasks.is_some() => {
            "it starts processes or threads that never end".to_owned()
        }
        ServiceVerdict::Leaks | ServiceVerdict::Grows => {
            let (who, each) = match (service.leaking, service.processes) {
                (1, 1) => ("it".to_owned(), ""),
                (n, all) => (format!("{n} of its {all} processes"), "each "),
            };
            let window = service.steady.map_or(service.watched_s, |steady| steady.window_s);
            format!(
                "{who} grew steadily for {}, {each}by more than its largest drop, without slowing down",
                Seconds(window)
            )
        }
        ServiceVerdict::Likely { .. } => {
            "workers that handled more requests hold more memory, and the growth does not level off"
                .to_owned()
        }
        ServiceVerdict::Suspect if is_larger(service) => format!(
            "grew steadily in these {}, to more than it ever held in the {} before; observe it longer",
            Seconds(judged_s(service)),
            Seconds(service.earlier.map_or(0.0, |before| before.span_s))
        ),
        ServiceVerdict::Suspect => format!(
            "grew steadily, but {} is too short to tell a leak from warming up",
            Seconds(judged_s(service))
        ),
        ServiceVerdict::Unclear if is_larger(service) => format!(
            "holds more now than ever in the {} before; {up}",
            Seconds(service.earlier.map_or(0.0, |before| before.span_s))
        ),
        ServiceVerdict::Unclear if service.growth.is_none() => {
            format!("seen too briefly for a verdict; {up}")
        }
        ServiceVerdict::Unclear => {
            format!("grew in {watched}, but not steadily enough for a verdict; {up}")
        }
        ServiceVerdict::Flat => format!("flat for {watched}; {up}"),
        ServiceVerdict::Settled(flat_s) => {
            format!("grew, then flat for {}: it has filled up; {up}", Seconds(flat_s))
        }
        ServiceVerdict::Shrank => format!("gave memory back in these {watched}; {up}"),
        ServiceVerdict::Warming => format!("grows more and more slowly: it is warming up; {up}"),
        ServiceVerdict::AsBefore => {
            format!("grows as earlier runs of its program did, which came to their end; {up}")
        }
        ServiceVerdict::WithLoad => {
            format!("grows as its CPU use grows: more work, no leak; {up}")
        }
        ServiceVerdict::Slight(end_s) => {
            format!("grew a little; at that rate memory would last {}", Seconds(end_s))
        }
        ServiceVerdict::TooSlow(lasts_s) => format!(
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
        WorkUnit::Waits => ("every wait (two or more a request)", "waits"),
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

/// `Heap of apache2[2610]: ..`: What was found in the heap of its process in which most grew.
pub fn heap(diagnosis: &Diagnosis, service: &Service) -> Option<String> {
    let heap = diagnosis.heap_of(service)?;
    let found = census::finding(&heap.finding, &heap.last);
    let unit = Some(service.name.as_str());
    let unit = unit.filter(|name| service.is_unit && name.ends_with(".service"));
    let cure = census::cure(&heap.finding, &heap.last, unit);
    let cure = cure.map_or_else(String::new, |cure| format!(" {cure}."));
    Some(format!("Heap of {}[{}]: {found}{cure}", heap.comm, heap.id.pid))
}

/// Whether a service deserves a row of its own: it is accused or suspect, or not small.
pub fn matters(service: &Service) -> bool {
    const SMALL: f64 = 8.0 * 1024.0 * 1024.0;
    service.verdict.accuses() || service.verdict == ServiceVerdict::Suspect || service.size >= SMALL
}

/// One sentence on the services that are not listed; `None` if there are none.
pub fn others<'s>(services: impl Iterator<Item = &'s Service>) -> Option<String> {
    let is_unclear =
        |s: &Service| matches!(s.verdict, ServiceVerdict::Unclear | ServiceVerdict::Suspect);
    let (mut all, mut unclear) = (0, 0);
    for service in services {
        all += 1;
        unclear += u32::from(is_unclear(service));
    }
    Some(match (all, unclear) {
        (0, _) => return None,
        (1, 0) => "does not grow noticeably".to_owned(),
        (_, 0) => "none of them grows noticeably".to_owned(),
        (1, _) => "seen too briefly for a verdict".to_owned(),
        (all, unclear) if all == unclear => "seen too briefly for a verdict".to_owned(),
        (_, unclear) => {
            format!("none grows noticeably, {unclear} of them seen too briefly for a verdict")
        }
    })
}
