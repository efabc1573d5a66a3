//! The lists of services and of processes.

use super::super::line::{Ink, Line, ScreenStyle, cut, cut_start};
use super::super::scene::ProcessRow;
use super::super::view::{Focus, View};
use super::{first_of, part};
use crate::core::model::units::{Bytes, BytesPerSecond, Seconds};
use crate::core::model::verdict::Verdict;
use crate::diagnose::report::spark::spark;
use crate::diagnose::report::{growth, verdict};
use crate::diagnose::services::service::{Service, ServiceVerdict};
use crate::report::words::CeilingName;

/// Columns of a growth with its interval.
const GROWTH: usize = 24;
/// Columns of a growth with the time that it was watched for.
const PACE: usize = 22;
/// A screen from so many columns on shows the server and the ceiling of a service too.
const WIDE: usize = 130;

/// How many columns each part of a service's row has.
struct Widths {
    name: usize,
    trend: usize,
    ends: usize,
    is_wide: bool,
}

impl Widths {
    fn of(columns: usize) -> Self {
        let is_wide = columns >= WIDE;
        let (trend, ends) = match columns {
            WIDE.. => (16, 22),
            100.. => (12, 22),
            _ => (6, 10),
        };
        let others = 2 + 5 + 5 + 1 + GROWTH + 1 + trend + 1 + 8 + ends;
        let extra = if is_wide { 54 } else { 0 };
        Self { name: columns.saturating_sub(others + extra).max(8), trend, ends, is_wide }
    }
}

/// The services.
pub(super) fn services(
    view: &View,
    services: &[(usize, &Service)],
    at: usize,
    rows: usize,
    look: ScreenStyle,
) -> Vec<Line> {
    let widths = Widths::of(view.size.columns);
    let has_focus = view.focus == Focus::Services;
    let first = first_of(at, rows);
    let filter =
        if view.filter.is_empty() { String::new() } else { format!(" /{}", plain(&view.filter)) };
    let (sort, shown) = (view.sort.name(), part(first, rows, services.len()));
    let title = format!("SERVICE{shown}{filter} by {sort}");
    let mut lines = vec![service_head(&title, &widths)];
    for (nth, (_, service)) in services.iter().enumerate().skip(first).take(rows) {
        let line = service_row(service, &widths, nth == at, look);
        lines.push(line.chosen(nth == at && has_focus));
    }
    lines
}

fn service_head(title: &str, widths: &Widths) -> Line {
    let Widths { name, trend, ends, is_wide } = *widths;
    let title = cut(title, name + 2);
    let wide = if is_wide {
        format!("{:<18}{:<36}", "SERVER", "LEFT BELOW THE NEAREST")
    } else {
        String::new()
    };
    let (growth, verdict) = ("GROWTH", "VERDICT");
    let text = format!(
        " PROC SIZE {growth:<GROWTH$} {:<trend$} {verdict:<7} {:<ends$} {wide}",
        "TREND", "ENDS IN"
    );
    Line::of(Ink::Strong, title).to(name + 2).and(Ink::Strong, text)
}

fn service_row(service: &Service, widths: &Widths, is_chosen: bool, look: ScreenStyle) -> Line {
    let Widths { name, trend, ends, is_wide } = *widths;
    let (mark, ink) = (if is_chosen { "> " } else { "  " }, verdict_ink(service.verdict));
    let growth = growth(service);
    // A number that is cut would be another number.
    let growth = if growth.chars().count() > GROWTH {
        growth.split(" (").next().unwrap_or_default().replace(" so far", "")
    } else {
        growth
    };
    let end = service.forecast.filter(|forecast| forecast.is_reliable()).map(|forecast| {
        let with = format!(
            "{} ({} to {})",
            Seconds(forecast.likely_s),
            Seconds(forecast.earliest_s),
            Seconds(forecast.latest_s)
        );
        if with.len() <= ends { with } else { Seconds(forecast.likely_s).to_string() }
    });
    let trend_text = spark(&service.points, trend, look.unicode);
    let line = Line::of(Ink::Plain, mark)
        .and(ink, cut(&plain(&service.name), name))
        .to(name + 2)
        .and(
            Ink::Plain,
            format!(
                " {:>4} {:>4} ",
                service.processes,
                format!("{:#}", Bytes(service.size as u64))
            ),
        )
        .and(ink, format!("{growth:<GROWTH$} "))
        .and_own(Ink::Plain, format!("{trend_text:<trend$} "))
        .and(ink, format!("{:<7} ", verdict(service.verdict)))
        .and(ink, format!("{:<ends$} ", end.unwrap_or_default()));
    if !is_wide {
        return line;
    }
    let headroom = service.headroom;
    let ceiling = CeilingName(headroom.kind, headroom.place).to_string();
    let left = format!("{} {}", Bytes(headroom.left), cut_start(&ceiling, 24));
    line.and(Ink::Faint, format!("{:<18}{left}", cut(service.server.name, 17)))
}

/// A name as a line shows it, so that its columns can be counted.
fn plain(name: &str) -> String {
    Line::of(Ink::Plain, name).render(usize::MAX, ScreenStyle { colour: false, unicode: false })
}

fn verdict_ink(verdict: ServiceVerdict) -> Ink {
    match verdict {
        ServiceVerdict::Leaks | ServiceVerdict::Likely { .. } => Ink::Bad,
        ServiceVerdict::Grows | ServiceVerdict::Suspect => Ink::Soon,
        _ => Ink::Plain,
    }
}

/// The processes of the chosen service.
pub(super) fn processes(
    view: &View,
    service: &str,
    all: &[&ProcessRow],
    at: usize,
    rows: usize,
) -> Vec<Line> {
    let name = view.size.columns.saturating_sub(65).clamp(15, 32);
    let has_focus = view.focus == Focus::Processes;
    let first = first_of(at, rows);
    let title = format!("PROCESS of {}{}", plain(service), part(first, rows, all.len()));
    let head = Line::of(Ink::Strong, cut(&title, name + 10)).to(name + 10).and(
        Ink::Strong,
        format!(" {:>5} {:<PACE$} {:<9} {:>10} THR", "SIZE", "GROWTH", "VERDICT", "AGE"),
    );
    let mut lines = vec![head];
    for (nth, row) in all.iter().enumerate().skip(first).take(rows) {
        let line = process_row(row, name, nth == at && has_focus);
        lines.push(line.chosen(nth == at && has_focus));
    }
    lines
}

fn process_row(row: &ProcessRow, name: usize, is_chosen: bool) -> Line {
    let ink = match row.verdict {
        Verdict::Leaking => Ink::Bad,
        Verdict::Growing => Ink::Soon,
        _ => Ink::Plain,
    };
    let growth = row.growth.map_or(String::new(), |(slope, window_s)| {
        let (pace, window) = (BytesPerSecond(slope).to_string(), Seconds(window_s));
        let with = format!("{pace} in {window}");
        // A number that is cut would be another number.
        if with.len() <= PACE { with } else { pace }
    });
    let comm = cut(&row.comm.to_string(), name);
    let mark = if is_chosen { "> " } else { "  " };
    Line::of(Ink::Plain, mark)
        .and(Ink::Plain, format!("{:>7} ", row.id.pid))
        .and(ink, comm)
        .to(name + 10)
        .and(Ink::Plain, format!(" {:>5} ", format!("{:#}", Bytes(row.footprint))))
        .and(ink, format!("{growth:<PACE$} {:<9} ", short(row.verdict)))
        .and(Ink::Plain, format!("{:>10} {:>3}", Seconds(row.age_s).to_string(), row.threads))
}

/// A verdict in at most nine characters.
fn short(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Leaking => "LEAKING",
        Verdict::LoadCoupled => "with load",
        verdict => verdict.name(),
    }
}
