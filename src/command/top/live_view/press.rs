//! What each key changes of the view, and what it asks for beyond that.

use super::keys::Key;
use super::log::clock;
use super::rows::ServiceKey;
use super::scene::Scene;
use super::text_page::{PAGE, TextPage};
use super::view::{Clock, Focus, Input, Page, Purpose, Request, TimeRequest, View};
use crate::core::model::process::ProcId;

/// Characters of a filter or of the name of a file.
const MOST_TYPED: usize = 200;
/// Columns before the words of an event: its time and its kind.
const EVENT_INDENT: usize = 19;
/// Seconds of a recording that an arrow skips.
const SKIPPED_S: f64 = 60.0;

impl View {
    /// Takes a key; returns what it asks for beyond the view.
    pub fn press(&mut self, key: Key, scene: &Scene) -> Option<Request> {
        self.message = None;
        match key {
            Key::Interrupt => return Some(Request::Quit),
            Key::Suspend => return Some(Request::Suspend),
            _ => {}
        }
        if self.input.is_some() {
            return self.type_in(key);
        }
        match std::mem::take(&mut self.page) {
            Page::Overview => self.press_overview(key, scene),
            Page::Help => None,
            Page::Text(page) => {
                self.page = page.scrolled(key, self.size).map_or(Page::Overview, Page::Text);
                None
            }
            Page::Question(order, _) if key == Key::Char('y') => Some(Request::End(order)),
            Page::Question(..) => {
                self.say("nothing was signalled");
                None
            }
        }
    }

    fn press_overview(&mut self, key: Key, scene: &Scene) -> Option<Request> {
        match key {
            Key::Up => self.step(scene, -1),
            Key::Down => self.step(scene, 1),
            Key::PageUp => self.step(scene, -PAGE.cast_signed()),
            Key::PageDown => self.step(scene, PAGE.cast_signed()),
            Key::Tab => self.change_focus(),
            Key::Enter if self.focus == Focus::Services => self.change_focus(),
            Key::Enter | Key::Char('e') => return self.explain(scene),
            Key::Escape => self.filter.clear(),
            Key::Char('q') => return Some(Request::Quit),
            Key::Char('?' | 'h') => self.page = Page::Help,
            Key::Char('s') => {
                self.sort = self.sort.next();
                self.say(format!("sorted by {}", self.sort.name()));
            }
            Key::Char('/') => self.begin_input(Purpose::Filter, self.filter.clone()),
            Key::Char(' ' | 'p') => self.is_paused = !self.is_paused,
            Key::Char('l') => self.show_log(),
            Key::Char('r') => return self.record(scene),
            Key::Char('k') => return self.ask_to_end(scene),
            key => return self.move_time(key),
        }
        None
    }

    fn change_focus(&mut self) {
        self.focus = match self.focus {
            Focus::Services => Focus::Processes,
            Focus::Processes => Focus::Services,
        };
    }

    /// Moves the choice in the list that has the focus.
    fn step(&mut self, scene: &Scene, by: isize) {
        let moved = |at: usize, len: usize| at.saturating_add_signed(by).min(len.saturating_sub(1));
        match self.focus {
            Focus::Services => {
                let services = self.services(scene);
                let at = moved(self.chosen(&services), services.len());
                self.service = services.get(at).map(|(_, service)| ServiceKey::of(service));
                self.process = None;
            }
            Focus::Processes => {
                let (rows, at) = self.processes(scene);
                self.process = rows.get(moved(at, rows.len())).map(|row| row.id);
            }
        }
    }

    /// The chosen process; of a service where none was chosen the first, which is the worst.
    fn process(&mut self, scene: &Scene) -> Option<ProcId> {
        let (rows, at) = self.processes(scene);
        let id = rows.get(at).map(|row| row.id);
        if id.is_none() {
            self.say("no process is chosen");
        }
        id
    }

    fn explain(&mut self, scene: &Scene) -> Option<Request> {
        self.process(scene).map(Request::Explain)
    }

    fn ask_to_end(&mut self, scene: &Scene) -> Option<Request> {
        match self.clock {
            Clock::Live { .. } => self.process(scene).map(Request::AskToEnd),
            Clock::Recording { .. } => {
                self.say("nothing is ended here: this is a recording");
                None
            }
        }
    }

    fn record(&mut self, scene: &Scene) -> Option<Request> {
        match &self.clock {
            Clock::Live { recording: Some(_), .. } => return Some(Request::EndRecord),
            Clock::Live { recording: None, .. } => {
                let time = clock(scene.t).replace(':', "");
                self.begin_input(Purpose::Record, format!("leakwatch-{time}.jsonl"));
            }
            Clock::Recording { .. } => self.say("this is a recording already"),
        }
        None
    }

    fn move_time(&mut self, key: Key) -> Option<Request> {
        if !matches!(self.clock, Clock::Recording { .. }) {
            return None;
        }
        Some(Request::Time(match key {
            Key::Char('+' | '=') => TimeRequest::Faster,
            Key::Char('-') => TimeRequest::Slower,
            Key::Char('.') => TimeRequest::Samples(1),
            Key::Char(',') => TimeRequest::Samples(-1),
            Key::Right => TimeRequest::Seconds(SKIPPED_S),
            Key::Left => TimeRequest::Seconds(-SKIPPED_S),
            Key::Home => TimeRequest::First,
            Key::End => TimeRequest::Last,
            _ => return None,
        }))
    }

    fn show_log(&mut self) {
        let lines = self.log.lines().map(|line| format!("{}  {}", clock(line.t), line.text));
        let lines: Vec<String> = lines.collect();
        let (title, indent, top) = ("events".to_owned(), Some(EVENT_INDENT), usize::MAX);
        self.page = Page::Text(TextPage { title, lines, indent, top, left: 0 });
    }

    fn begin_input(&mut self, purpose: Purpose, text: String) {
        self.input = Some(Input { purpose, text });
    }

    fn type_in(&mut self, key: Key) -> Option<Request> {
        let mut input = self.input.take()?;
        match key {
            Key::Enter if input.purpose == Purpose::Record => {
                return (!input.text.is_empty()).then_some(Request::Record(input.text));
            }
            Key::Enter => return None,
            Key::Escape => {
                if input.purpose == Purpose::Filter {
                    self.filter.clear();
                }
                return None;
            }
            Key::Backspace => {
                input.text.pop();
            }
            Key::Char(c) if input.text.len() < MOST_TYPED => input.text.push(c),
            _ => {}
        }
        if input.purpose == Purpose::Filter {
            self.filter = input.text.clone();
        }
        self.input = Some(input);
        None
    }
}
