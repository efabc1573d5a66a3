//! The diagnosis as a page in one file. It has no scripts and loads nothing, so it can be mailed and
//! opened anywhere. It is light or dark as the reader's system is, can be printed, and never tells by
//! colour alone.

mod chart;
mod style;

use super::text::looked;
use super::{
    Times, elsewhere, end, find_it, growth, headline, heap, is_bounded, left, lesser, matters,
    meaning, meanwhile, next, no_trace, per_work, processes, proposal, reason, request, verdict,
    when,
};
use crate::core::model::event::Severity;
use crate::core::model::units::{Bytes, Seconds};
use crate::diagnose::remedy::Remedy;
use crate::diagnose::services::service::{Service, ServiceVerdict};
use crate::diagnose::{Diagnosis, implied_end_s};
use crate::report::balance;
use crate::report::escape::{Html, Plain};
use chart::{Chart, Mark};
use std::io::{self, Write};

/// Services with a picture of their own.
const MOST: usize = 12;
/// Traces in the table.
const MOST_TRACES: usize = 30;

/// A moment worth a mark in the pictures: its Unix time and a few words.
pub type ChartTime = (f64, String);

/// Writes the page. `moments` are marked in the pictures beside the failures in the logs.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(
    out: &mut impl Write,
    diagnosis: &Diagnosis,
    times: &Times,
    moments: &[ChartTime],
) -> io::Result<()> {
    let (hostname, machine) = &diagnosis.host;
    let title = format!("leakwatch on {}", Plain(hostname));
    writeln!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>{}</style>\n</head>\n<body>\n<main>",
        Html(&title),
        style::STYLE
    )?;
    let memory = &diagnosis.memory;
    let up = diagnosis.uptime_s.map_or(String::new(), |s| format!(", up {}", Seconds(s)));
    let swap = match memory.swap_total {
        0 => "no swap".to_owned(),
        swap => format!("{} swap", Bytes(swap)),
    };
    let program_facts = format!(
        "{}{} RAM, {swap}{up}. {}, {}.",
        if machine.is_empty() { String::new() } else { format!("{}, ", Plain(machine)) },
        Bytes(memory.total),
        looked(diagnosis),
        times.whole(diagnosis.t)
    );
    let (class, word) = match diagnosis.status {
        Severity::Fine if diagnosis.services.is_empty() => ("fine", "Nothing to judge"),
        Severity::Fine => ("fine", "Nothing leaks"),
        Severity::Leak if only_grows(diagnosis) => ("bad", "Growth found"),
        Severity::Leak => ("bad", "Leak found"),
        Severity::Critical => ("bad", "Memory is about to end"),
    };
    writeln!(
        out,
        "<header>\n<p class=\"where\">{}</p>\n<p class=\"verdict {class}\">{word}</p>\n<h1>{}</h1>\n\
         <p class=\"facts\">{}</p>\n</header>",
        Html(&title),
        Html(headline(diagnosis, times)),
        Html(program_facts)
    )?;
    memory_section(out, diagnosis, times, moments)?;
    services_section(out, diagnosis, times, moments)?;
    left_behind_section(out, diagnosis)?;
    balance_section(out, diagnosis)?;
    advice_section(out, diagnosis)?;
    logs_section(out, diagnosis, times)?;
    unseen_section(out, diagnosis)?;
    writeln!(
        out,
        "<footer>Made by leakwatch {}. Sizes are what only the exit of a process gives back \
         (RssAnon + VmSwap), in powers of 1024.</footer>\n</main>\n</body>\n</html>",
        env!("CARGO_PKG_VERSION")
    )
}

/// Whether all that was found is growth that may be a leak or a cache that fills.
fn only_grows(diagnosis: &Diagnosis) -> bool {
    let is_growth = |service: &Service| service.verdict == ServiceVerdict::Grows;
    elsewhere(diagnosis).is_empty() && diagnosis.culprits().all(is_growth)
}

/// Failures and what happened while it was watched, as marks.
fn marks(diagnosis: &Diagnosis, moments: &[ChartTime]) -> Vec<Mark> {
    let log_events = diagnosis.logs.log_events.iter().filter_map(|log_event| {
        Some(Mark {
            t: log_event.last_t?,
            text: format!(
                "{} {}{}",
                Plain(&log_event.who),
                log_event.failure.title(),
                log_event.witness.reservation()
            ),
        })
    });
    let moments = moments.iter().map(|(t, text)| Mark { t: *t, text: text.clone() });
    log_events.chain(moments).collect()
}

fn memory_section(
    out: &mut impl Write,
    diagnosis: &Diagnosis,
    times: &Times,
    moments: &[ChartTime],
) -> io::Result<()> {
    let worst = diagnosis.culprits().next().or(diagnosis.services.first());
    writeln!(out, "<section>\n<h2>What is left</h2>")?;
    writeln!(out, "<ul>")?;
    for ceiling in &diagnosis.ceilings {
        writeln!(out, "<li>{}.</li>", Html(left(ceiling)))?;
    }
    writeln!(out, "</ul>")?;
    let Some(service) = worst else { return writeln!(out, "</section>") };
    let ends = match &service.forecast {
        Some(forecast) if forecast.is_reliable() => {
            writeln!(out, "<p>At this pace {}.</p>", Html(end(forecast, times)))?;
            Some((forecast.earliest_s, forecast.likely_s, forecast.latest_s))
        }
        _ => implied_end_s(service),
    };
    // A ceiling of the service's own is drawn as what it leaves; RAM as it was watched.
    let headroom = service.headroom;
    let of_ram = headroom.limit == diagnosis.memory.limit();
    let points = match of_ram || service.points.is_empty() {
        true => diagnosis.available.clone(),
        false => {
            let now = service.points.last().map_or(0.0, |(_, bytes)| *bytes);
            let left = |bytes: f64| (headroom.left as f64 + now - bytes).max(0.0);
            service.points.iter().map(|(t, bytes)| (*t, left(*bytes))).collect()
        }
    };
    let chart = Chart {
        title: "Memory left".to_owned(),
        points,
        limit: Some(headroom.limit as f64),
        ends,
        marks: marks(diagnosis, moments),
        large: true,
    };
    chart.write(out, times)?;
    writeln!(out, "</section>")
}

fn services_section(
    out: &mut impl Write,
    diagnosis: &Diagnosis,
    times: &Times,
    moments: &[ChartTime],
) -> io::Result<()> {
    if diagnosis.services.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section>\n<h2>What holds the memory</h2>\n<div class=\"services\">")?;
    let listed: Vec<&Service> =
        diagnosis.services.iter().filter(|s| matters(s)).take(MOST).collect();
    for service in &listed {
        let class = match service.verdict {
            ServiceVerdict::Leaks | ServiceVerdict::Likely { .. } | ServiceVerdict::Grows => "bad",
            ServiceVerdict::Suspect | ServiceVerdict::Unclear => "unsure",
            _ => "fine",
        };
        let growth = growth(service);
        writeln!(
            out,
            "<article class=\"{class}\">\n<h3><span class=\"tag\">{}</span> {}</h3>\n\
             <p class=\"size\"><b>{}</b> {} {}</p>",
            verdict(service.verdict),
            Html(Plain(&service.name)),
            Bytes(service.size as u64),
            Html(processes(service)),
            Html(if service.verdict.accuses() || service.verdict == ServiceVerdict::Suspect {
                growth
            } else {
                String::new()
            })
        )?;
        let chart = Chart {
            title: format!("Size of {}", Plain(&service.name)),
            points: service.points.clone(),
            limit: None,
            ends: None,
            marks: marks(diagnosis, moments),
            large: false,
        };
        chart.write(out, times)?;
        let mut text = reason(service);
        if let Some(per_work) = per_work(service) {
            text += &format!("; {per_work}");
        }
        writeln!(out, "<p class=\"why\">{}</p>", Html(text))?;
        for text in heap(diagnosis, service).into_iter().chain(request(diagnosis, service)) {
            writeln!(out, "<p class=\"why\">{}</p>", Html(text))?;
        }
        writeln!(out, "</article>")?;
    }
    writeln!(out, "</div>")?;
    let rest = diagnosis.services.len() - listed.len();
    if rest > 0 {
        let sum = diagnosis.services.iter().map(|s| s.size).sum::<f64>()
            - listed.iter().map(|s| s.size).sum::<f64>();
        writeln!(out, "<p>And {rest} more, {} together.</p>", Bytes(sum as u64))?;
    }
    writeln!(out, "</section>")
}

fn balance_section(out: &mut impl Write, diagnosis: &Diagnosis) -> io::Result<()> {
    for sheet in diagnosis.sheet.iter().chain(&diagnosis.cgroups) {
        let place = match sheet.place.is_empty() {
            true => "Where all memory is".to_owned(),
            false => format!("Of it in cgroup {}", Plain(&sheet.place)),
        };
        writeln!(
            out,
            "<section>\n<h2>{}</h2>\n<table>\n<thead><tr><th>Size<th>Change<th>Where</tr></thead>\n<tbody>",
            Html(place)
        )?;
        for row in balance::rows(sheet) {
            let text = if row.is_part { format!("\u{2013} {}", row.text) } else { row.text };
            writeln!(
                out,
                "<tr><td class=\"number\">{}<td class=\"number\">{}<td>{}{}</tr>",
                Bytes(row.bytes),
                Html(row.moves),
                Html(text),
                if row.is_growing { " <b>(grows)</b>" } else { "" }
            )?;
        }
        writeln!(out, "</tbody>\n</table>\n</section>")?;
    }
    Ok(())
}

fn left_behind_section(out: &mut impl Write, diagnosis: &Diagnosis) -> io::Result<()> {
    let lesser = lesser(diagnosis);
    if lesser.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section>\n<h2>What is left behind</h2>\n<ul>")?;
    lesser.iter().try_for_each(|what| writeln!(out, "<li>{}</li>", Html(what)))?;
    writeln!(out, "</ul>\n</section>")
}

fn advice_section(out: &mut impl Write, diagnosis: &Diagnosis) -> io::Result<()> {
    let culprit = diagnosis.culprits().next();
    let next = next(diagnosis);
    let elsewhere = elsewhere(diagnosis);
    if diagnosis.remedies.is_empty() && culprit.is_none() && next.is_empty() && elsewhere.is_empty()
    {
        return Ok(());
    }
    writeln!(out, "<section>\n<h2>What to do</h2>\n<ol>")?;
    for (what, advice) in elsewhere {
        writeln!(out, "<li>{}. {}</li>", Html(what), Html(advice))?;
    }
    for remedy in &diagnosis.remedies {
        advice(out, remedy, diagnosis.remedies.len() > 1)?;
    }
    if let Some(service) = culprit.filter(|service| !is_bounded(diagnosis, service)) {
        let command = meanwhile(service);
        writeln!(
            out,
            "<li>{} leakwatch end its leaking workers gently, in time; first see what it \
             would do:<pre>{} --dry-run</pre></li>\n<li>{}</li>",
            if diagnosis.is_bounding_proposed() { "Until then have" } else { "Have" },
            Html(command),
            Html(find_it(diagnosis, service))
        )?;
    }
    for (why, command) in next {
        writeln!(out, "<li>{}<pre>{}</pre></li>", Html(why), Html(command))?;
    }
    writeln!(out, "</ol>\n</section>")
}

fn advice(out: &mut impl Write, remedy: &Remedy, several: bool) -> io::Result<()> {
    let of = if several { format!("{}: ", Plain(&remedy.service)) } else { String::new() };
    write!(out, "<li><p>{}{}</p>", Html(of), Html(proposal(remedy)))?;
    if let Some(meaning) = meaning(remedy) {
        write!(out, "<p>{}</p>", Html(meaning))?;
    }
    if !remedy.diff.is_empty() {
        write!(
            out,
            "<p>By hand, or saved by <code>--write-advice FILE</code> for <code>patch -p1 -d / &lt;FILE</code>:</p>"
        )?;
        write!(out, "<pre class=\"diff\">")?;
        for line in remedy.diff.lines() {
            match line.as_bytes().first() {
                Some(b'+') => writeln!(out, "<ins>{}</ins>", Html(line))?,
                Some(b'-') => writeln!(out, "<del>{}</del>", Html(line))?,
                _ => writeln!(out, "{}", Html(line))?,
            }
        }
        write!(out, "</pre>")?;
    }
    if !remedy.apply.is_empty() {
        write!(out, "<p>Check it and put it into force:</p><pre>{}</pre>", Html(&remedy.apply))?;
    }
    for note in &remedy.notes {
        write!(out, "<p class=\"note\">Note: {}.</p>", Html(Plain(note)))?;
    }
    writeln!(out, "</li>")
}

fn logs_section(out: &mut impl Write, diagnosis: &Diagnosis, times: &Times) -> io::Result<()> {
    let logs = &diagnosis.logs;
    if logs.since_t == 0.0 {
        return Ok(());
    }
    let days = ((diagnosis.t - logs.since_t) / 86_400.0).round();
    writeln!(out, "<section>\n<h2>What the logs say of the last {days:.0} days</h2>")?;
    match logs.log_events.is_empty() {
        true => writeln!(out, "<p>{}</p>", no_trace(logs))?,
        false => {
            writeln!(
                out,
                "<table>\n<thead><tr><th>Program<th>Times<th>Failure<th>Last</tr></thead>\n<tbody>"
            )?;
            for log_event in logs.log_events.iter().take(MOST_TRACES) {
                writeln!(
                    out,
                    "<tr><td>{}<td class=\"number\">{}<td>{}{}<td>{}</tr>\n\
                     <tr class=\"quote\"><td colspan=\"4\"><code>{}: {}</code></tr>",
                    Html(Plain(&log_event.who)),
                    log_event.count,
                    log_event.failure.title(),
                    log_event.witness.reservation(),
                    Html(when(log_event, times)),
                    Html(Plain(&log_event.source)),
                    Html(Plain(&log_event.text))
                )?;
            }
            writeln!(out, "</tbody>\n</table>")?;
        }
    }
    writeln!(
        out,
        "<p class=\"facts\">Read: {} logs, {} in {}.</p>\n</section>",
        logs.sources,
        Bytes(logs.bytes),
        Seconds(logs.took_s)
    )
}

fn unseen_section(out: &mut impl Write, diagnosis: &Diagnosis) -> io::Result<()> {
    let unread = diagnosis.logs.unread.iter().map(|what| format!("not read: {what}"));
    let all: Vec<String> = diagnosis.unseen.iter().cloned().chain(unread).collect();
    if all.is_empty() {
        return Ok(());
    }
    writeln!(out, "<section>\n<h2>What could not be seen</h2>\n<ul>")?;
    for what in all {
        writeln!(out, "<li>{}</li>", Html(Plain(&what.replace("\n  hint: ", "; "))))?;
    }
    writeln!(out, "</ul>\n</section>")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::engine::Engine;
    use crate::core::model::process::{Comm, Proc, ProcId};
    use crate::core::model::sample::{Header, Sample};
    use crate::diagnose::Looked;
    use crate::diagnose::findings::Logs;
    use crate::diagnose::observer::Observer;
    use jiff::tz::TimeZone;

    #[test]
    fn growth_that_may_be_a_cache_is_not_called_a_leak() {
        let hostname = String::new();
        let header = Header { interval_s: 1.0, clock_ticks: 100, page_size: 4096, hostname };
        let mut observer = Observer::recorded(Engine::that_only_reports(), &header);
        let id = ProcId { pid: 7, start: 1 };
        let (comm, anon) = (Comm::new(b"app"), Some(1 << 20));
        let proc = Proc { id, ppid: 1, comm, rss: 1 << 20, anon, swap: 0, cpu_s: 0.0, threads: 1 };
        observer.observe(&Sample { t: 1.0, procs: vec![proc], ..Sample::default() });
        let mut diagnosis = observer.diagnose(&[], Logs::default(), Looked::default());
        diagnosis.status = Severity::Leak;
        for (verdict, word) in
            [(ServiceVerdict::Grows, ">Growth found<"), (ServiceVerdict::Leaks, ">Leak found<")]
        {
            diagnosis.services.iter_mut().for_each(|service| service.verdict = verdict);
            let mut page = Vec::new();
            write(&mut page, &diagnosis, &Times { zone: TimeZone::UTC, now_t: 1.0 }, &[]).unwrap();
            let page = String::from_utf8(page).unwrap();
            assert!(page.contains(word), "{word}{page}");
        }
    }
}
