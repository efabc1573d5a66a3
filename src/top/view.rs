//! View: what the user chose, and what each key changes.

use super::keys::Key;
use super::log::{Log, clock};
use super::rows::{self, ServiceKey, Sort};
use super::scene::{ProcessRow, Scene};
use crate::core::model::order::Order;
use crate::core::model::process::ProcId;
use crate::diagnose::services::service::Service;

/// Rows that a page key moves by.
const PAGE: usize = 10;
/// Columns that a page of text moves sideways.
const SIDEWAYS: usize = 16;
/// Characters of a filter or of the name of a file.
const MOST_TYPED: usize = 200;
/// Columns by which what follows of a folded line is indented.
const INDENT: usize = 19;
/// Seconds of a recording that an arrow skips.
const SKIPPED_S: f64 = 60.0;

/// How large a screen is, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Its columns.
    pub columns: usize,
    /// Its rows.
    pub rows: usize,
}

/// What a key asks for that the view cannot do itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// End the view.
    Quit,
    /// Show why a process has its verdict.
    Explain(ProcId),
    /// Find out whether a process may be ended, and ask for the confirmation.
    AskToEnd(ProcId),
    /// Carry out the order that was confirmed.
    End(Box<Order>),
    /// Begin a recording with this name.
    Record(String),
    /// End the recording.
    EndRecord,
    /// Move the time of what is played.
    Time(TimeRequest),
}

/// How the time of a recording moves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum TimeRequest {
    /// Twice as fast, or more.
    Faster,
    /// Half as fast, or less.
    Slower,
    /// By so many samples.
    Samples(i32),
    /// By so many seconds.
    Seconds(f64),
    /// To the beginning.
    First,
    /// To the end.
    Last,
}

/// Where time comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Clock {
    /// Samples are taken; the next one in so many seconds.
    Live {
        /// Seconds from one sample to the next.
        next_s: f64,
        /// The file that is recorded to.
        recording: Option<String>,
    },
    /// A recording is played.
    Recording {
        /// Times of its first and last sample.
        span: (f64, f64),
        /// Seconds of it in one second.
        speed: f64,
        /// Whether samples are judged as fast as that goes, to reach a time that was asked for.
        is_seeking: bool,
    },
}

/// Which list the arrows move in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Focus {
    #[default]
    Services,
    Processes,
}

/// What is typed at the last line.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Input {
    pub(super) purpose: Purpose,
    pub(super) text: String,
}

/// What it is typed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    Filter,
    Record,
}

/// A page of text over the whole screen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TextPage {
    pub(super) title: String,
    pub(super) lines: Vec<String>,
    /// Whether long lines are folded; else the arrows move sideways.
    pub(super) is_folded: bool,
    pub(super) top: usize,
    pub(super) left: usize,
}

impl TextPage {
    /// All its lines as a screen has room for them.
    pub(super) fn shown(&self, size: Size) -> Vec<String> {
        let folded = self.lines.iter().flat_map(|line| match self.is_folded {
            true => fold(line, size.columns),
            false => vec![line.chars().skip(self.left).collect()],
        });
        folded.collect()
    }

    /// The first of them that stands on the screen.
    pub(super) fn first(&self, shown: usize, size: Size) -> usize {
        self.top.min(shown.saturating_sub(size.rows.saturating_sub(2)))
    }

    /// The page as a key moves it; none where the key closes it.
    fn scrolled(mut self, key: Key, size: Size) -> Option<Self> {
        let top = self.first(self.shown(size).len(), size);
        self.top = match key {
            Key::Up => top.saturating_sub(1),
            Key::PageUp => top.saturating_sub(PAGE),
            Key::Down => top + 1,
            Key::PageDown | Key::Char(' ') => top + PAGE,
            Key::Home => 0,
            Key::End => usize::MAX,
            _ => top,
        };
        match key {
            Key::Left => self.left = self.left.saturating_sub(SIDEWAYS),
            Key::Right if !self.is_folded => self.left = (self.left + SIDEWAYS).min(MOST_TYPED),
            Key::Escape | Key::Enter | Key::Tab | Key::Char('q' | 'e' | 'l') => return None,
            _ => {}
        }
        Some(self)
    }
}

/// A line in pieces of so many columns; those that follow are indented.
fn fold(line: &str, columns: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for word in line.split(' ') {
        let is_full = piece.chars().count() + 1 + word.chars().count() > columns;
        if is_full && !piece.trim().is_empty() {
            pieces.push(std::mem::replace(&mut piece, " ".repeat(INDENT)));
        }
        if !piece.is_empty() {
            piece.push(' ');
        }
        piece += word;
    }
    pieces.push(piece);
    pieces
}

/// What is on the screen.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Page {
    #[default]
    Overview,
    Help,
    Text(TextPage),
    /// The question whether to end a process, by this order, with its lines.
    Question(Box<Order>, Vec<String>),
}

/// What the user chose.
#[derive(Clone, Debug)]
pub struct View {
    pub(super) clock: Clock,
    pub(super) size: Size,
    pub(super) sort: Sort,
    pub(super) filter: String,
    pub(super) input: Option<Input>,
    pub(super) focus: Focus,
    pub(super) service: Option<ServiceKey>,
    pub(super) process: Option<ProcId>,
    pub(super) page: Page,
    pub(super) is_paused: bool,
    pub(super) log: Log,
    pub(super) message: Option<String>,
}

impl View {
    /// A view of that size on samples whose time comes from there, with the events so far.
    pub fn new(clock: Clock, size: Size, log: Log) -> Self {
        Self {
            clock,
            size,
            sort: Sort::default(),
            filter: String::new(),
            input: None,
            focus: Focus::default(),
            service: None,
            process: None,
            page: Page::default(),
            is_paused: false,
            log,
            message: None,
        }
    }

    /// Whether the picture stands still.
    pub fn is_paused(&self) -> bool {
        self.is_paused
    }

    /// Lets the picture stand still, or go on.
    pub fn set_paused(&mut self, is_paused: bool) {
        self.is_paused = is_paused;
    }

    /// Tells how large the screen is now.
    pub fn set_size(&mut self, size: Size) {
        self.size = size;
    }

    /// Tells how time stands.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// The events, to be added to.
    pub fn log(&mut self) -> &mut Log {
        &mut self.log
    }

    /// Says something in the last line, until the next key.
    pub fn say(&mut self, message: impl Into<String>) {
        self.message = Some(message.into());
    }

    /// Shows text over the whole screen.
    pub fn show_text(&mut self, title: String, lines: Vec<String>) {
        self.page = Page::Text(TextPage { title, lines, is_folded: false, top: 0, left: 0 });
    }

    /// Asks whether this order is to be carried out.
    pub fn ask(&mut self, order: Order, lines: Vec<String>) {
        self.page = Page::Question(Box::new(order), lines);
    }

    /// The services that are listed.
    pub(super) fn services<'s>(&self, scene: &'s Scene) -> Vec<(usize, &'s Service)> {
        rows::services(scene, &self.filter, self.sort)
    }

    /// The place of the chosen service among them; the first, where that one is gone.
    pub(super) fn chosen(&self, services: &[(usize, &Service)]) -> usize {
        let is_it =
            |(_, service): &(usize, &Service)| Some(ServiceKey::of(service)) == self.service;
        services.iter().position(is_it).unwrap_or(0)
    }

    /// The processes of the chosen service, and the place of the chosen one.
    pub(super) fn processes<'s>(&self, scene: &'s Scene) -> (Vec<&'s ProcessRow>, usize) {
        let services = self.services(scene);
        let chosen = services.get(self.chosen(&services));
        let rows =
            chosen.map_or(Vec::new(), |(index, _)| rows::processes(scene, *index, self.sort));
        let at = rows.iter().position(|row| Some(row.id) == self.process).unwrap_or(0);
        (rows, at)
    }

    /// Takes a key; returns what it asks for beyond the view.
    pub fn press(&mut self, key: Key, scene: &Scene) -> Option<Request> {
        self.message = None;
        if key == Key::Interrupt {
            return Some(Request::Quit);
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
        let (title, top) = ("events".to_owned(), usize::MAX);
        self.page = Page::Text(TextPage { title, lines, is_folded: true, top, left: 0 });
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
