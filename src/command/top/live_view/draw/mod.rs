//! Draw: the lines of a screen.

mod head;
mod lists;
mod pages;

use super::line::{Ink, Line, ScreenSize, ScreenStyle};
use super::log::clock;
use super::scene::Scene;
use super::view::{Clock, Input, Page, Purpose, View};

/// The least that a screen must have.
const LEAST: ScreenSize = ScreenSize { columns: 40, rows: 12 };

/// The lines of the screen, one for each of its rows, for a terminal that looks so.
pub fn draw(view: &View, scene: &Scene, look: ScreenStyle) -> Vec<String> {
    let size = view.size;
    let mut lines = match &view.page {
        _ if size.columns < LEAST.columns || size.rows < LEAST.rows => vec![Line::of(
            Ink::Plain,
            format!("leakwatch top needs {} columns and {} rows", LEAST.columns, LEAST.rows),
        )],
        Page::Overview => overview(view, scene, look),
        Page::Help => pages::help(view),
        Page::Text(page) => pages::text(page, size),
        Page::Question(order, lines) => pages::question(order, lines),
    };
    lines.resize(size.rows.saturating_sub(1), Line::default());
    lines.push(foot(view));
    lines.truncate(size.rows);
    lines.iter().map(|line| line.render(size.columns, look)).collect()
}

fn overview(view: &View, scene: &Scene, look: ScreenStyle) -> Vec<Line> {
    let size = view.size;
    let mut lines = head::head(view, scene, look);
    let services = view.services(scene);
    let (processes, process_at) = view.processes(scene);
    // Three headings and the last line.
    let body = size.rows.saturating_sub(lines.len() + 4);
    let room = Room::of(body, services.len(), processes.len());
    let service_at = view.chosen(&services);
    lines.extend(lists::services(view, &services, service_at, room.services, look));
    let name = services.get(service_at).map_or("", |(_, service)| service.name.as_str());
    lines.extend(lists::processes(view, name, &processes, process_at, room.processes));
    lines.extend(events(view, room.events));
    lines
}

/// How many rows each list has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Room {
    services: usize,
    processes: usize,
    events: usize,
}

impl Room {
    /// Two fifths of the rows for each of the first two lists, as far as they need them; the rest shows
    /// events.
    fn of(body: usize, services: usize, processes: usize) -> Self {
        let share = (2 * body / 5).max(1);
        let processes_least = processes.min(share);
        let services = services.min(share.max(body.saturating_sub(processes_least + share / 2)));
        let processes = processes.min(share.max(body.saturating_sub(services + share)));
        Self { services, processes, events: body.saturating_sub(services + processes) }
    }
}

/// The last events, the latest at the bottom.
fn events(view: &View, rows: usize) -> Vec<Line> {
    let all = view.log.lines().len();
    let counted = match all.saturating_sub(rows) {
        0 => String::new(),
        more => format!("  {more} earlier: l"),
    };
    let mut lines = vec![Line::of(Ink::Strong, "EVENTS").and(Ink::Faint, counted)];
    for line in view.log.lines().skip(all.saturating_sub(rows)) {
        let (word, rest) = line.text.split_at_checked(8).unwrap_or((&line.text, ""));
        lines.push(
            Line::of(Ink::Faint, clock(line.t))
                .and(Ink::Plain, "  ")
                .and(event_ink(word), word)
                .and(Ink::Plain, rest),
        );
    }
    lines
}

/// How the word of an event stands out.
fn event_ink(word: &str) -> Ink {
    match word.trim() {
        "OUTCOME" | "CLEARED" => Ink::Good,
        "FORECAST" | "GROWING" => Ink::Soon,
        "note" => Ink::Faint,
        _ => Ink::Bad,
    }
}

/// The last line: what is typed, what is to be said, or the keys.
fn foot(view: &View) -> Line {
    if let Some(Input { purpose, text }) = &view.input {
        let what = match purpose {
            Purpose::Filter => "show only: ",
            Purpose::Record => "record to a new file: ",
        };
        return Line::of(Ink::Strong, what).and(Ink::Plain, text).and(Ink::Plain, "_");
    }
    if let Some(message) = &view.message {
        return Line::of(Ink::Strong, message);
    }
    let keys = match (&view.page, &view.clock) {
        (Page::Overview, Clock::Live { .. }) => {
            "? help  q quit  tab list  s sort  / filter  e explain  r record  k end a worker"
        }
        (Page::Overview, Clock::Recording { .. }) => {
            "? help  q quit  space pause  arrows , . time  + - speed  s sort  e explain"
        }
        (Page::Help, _) => "any key: back",
        (Page::Text(page), _) if page.indent.is_some() => "up down: scroll   q: back",
        (Page::Text(_), _) => "arrows: scroll   q: back",
        (Page::Question(..), _) => "y: send the signal   any other key: leave it alone",
    };
    Line::of(Ink::Faint, keys)
}

/// How much of a list is shown: " 3-8 of 40"; nothing where that is all.
fn part(first: usize, shown: usize, all: usize) -> String {
    match shown < all {
        true => format!(" {}-{} of {all}", first + 1, first + shown),
        false => String::new(),
    }
}

/// The first row that is shown of a list, so that the chosen one is.
fn first_of(at: usize, rows: usize) -> usize {
    (at + 1).saturating_sub(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_share_the_rows_and_never_take_more() {
        for body in 0..60 {
            for (services, processes) in [(0, 0), (1, 25), (40, 1), (40, 400), (3, 3)] {
                let room = Room::of(body, services, processes);
                let used = room.services + room.processes;
                assert!(used <= body.max(2), "{body}: {room:?}");
                assert!(room.services <= services && room.processes <= processes);
            }
        }
        assert_eq!(Room::of(15, 1, 25), Room { services: 1, processes: 8, events: 6 });
    }
}
