//! The pages over the whole screen: help, text, and the question before a signal.

use super::super::line::{Ink, Line, ScreenSize};
use super::super::text_page::TextPage;
use super::super::view::{Clock, View};
use crate::core::model::order::Order;
use crate::report::words::Subject;

const KEYS: [(&str, &str); 12] = [
    ("up, down, page up, page down", "choose a service, or a process"),
    ("tab, enter", "from the services to the processes and back"),
    ("s", "sort by urgency, growth, size, name"),
    ("/", "show only what matches; escape shows all"),
    ("e, enter on a process", "explain its verdict, window by window"),
    ("l", "all events"),
    ("space, p", "let the picture stand still, or go on"),
    ("r", "record to a new file; again to end that"),
    ("k", "end a worker gently, once you have confirmed it"),
    ("?, h", "this page"),
    ("q, Ctrl-C", "quit"),
    ("Ctrl-Z", "back to the shell, until fg"),
];
const TIME_KEYS: [(&str, &str); 5] = [
    ("space, p", "pause"),
    ("right, left", "a minute forward, back"),
    (". ,", "a sample forward, back"),
    ("+ -", "faster, slower"),
    ("home, end", "to the beginning, to the end"),
];
const WORDS: [&str; 6] = [
    "SIZE     what only exit gives back; what workers share counts once",
    "GROWTH   steady, with its interval; 'so far': seen, and no proof yet",
    "TREND    the size since the view began",
    "VERDICT  LEAKS, GROWS (a leak, or a cache that fills), LIKELY (by workers",
    "         compared), suspect and unclear (watch longer), ok",
    "ENDS IN  until the first limit over the service is reached, if it goes on",
];

/// The keys.
pub(super) fn help(view: &View) -> Vec<Line> {
    let row = |(key, what): &(&str, &str)| {
        Line::of(Ink::Strong, format!("  {key:<30}")).and(Ink::Plain, *what)
    };
    let mut lines = vec![Line::of(Ink::Strong, "leakwatch top: keys")];
    let is_recording = matches!(view.clock, Clock::Recording { .. });
    let live_only = |(key, _): &&(&str, &str)| !["r", "k", "space, p"].contains(key);
    lines.extend(KEYS.iter().filter(|key| !is_recording || live_only(key)).map(row));
    if is_recording {
        lines.extend(TIME_KEYS.iter().map(row));
    }
    lines.push(Line::default());
    lines.extend(WORDS.iter().map(|words| Line::of(Ink::Plain, format!("  {words}"))));
    lines
}

/// A page of text.
pub(super) fn text(page: &TextPage, size: ScreenSize) -> Vec<Line> {
    let shown = page.shown(size);
    let (first, rows) = (page.first(shown.len(), size), size.rows.saturating_sub(2));
    let of = if shown.len() > rows {
        format!("  {}-{} of {} lines", first + 1, (first + rows).min(shown.len()), shown.len())
    } else {
        String::new()
    };
    let mut lines = vec![Line::of(Ink::Strong, &page.title).and(Ink::Faint, of)];
    let body = shown.iter().skip(first).take(rows);
    lines.extend(body.map(|line| {
        let is_heading = line.ends_with('?') || line.trim_start().starts_with("=>");
        Line::of(if is_heading { Ink::Strong } else { Ink::Plain }, line)
    }));
    lines
}

/// The question whether to carry out an order.
pub(super) fn question(order: &Order, consequences: &[String]) -> Vec<Line> {
    let subject = Subject::process(order.comm, order.victim);
    let mut lines = vec![
        Line::of(Ink::Strong, format!("End {subject} with {}?", order.signal.name())),
        Line::default(),
    ];
    lines.extend(consequences.iter().map(|line| Line::of(Ink::Plain, format!("  {line}"))));
    lines.push(Line::default());
    lines.push(Line::of(
        Ink::Bad,
        format!("Type y to send {} to {}.", order.signal.name(), order.target.pid),
    ));
    lines
}
