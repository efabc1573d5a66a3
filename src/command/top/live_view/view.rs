//! What the user chose. What a key changes of it is in `press.rs`.

use super::line::ScreenSize;
use super::log::EventLog;
use super::rows::{self, ServiceKey, Sort};
use super::scene::{ProcessRow, Scene};
use super::text_page::TextPage;
use crate::core::model::order::Order;
use crate::core::model::process::ProcId;
use crate::diagnose::services::service::Service;

/// What a key asks for that the view cannot do itself.
#[derive(Clone, Debug, PartialEq)]
pub enum Request {
    /// End the view.
    Quit,
    /// Give the terminal back to the shell, and stop.
    Suspend,
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
    pub(super) size: ScreenSize,
    pub(super) sort: Sort,
    pub(super) filter: String,
    pub(super) input: Option<Input>,
    pub(super) focus: Focus,
    pub(super) service: Option<ServiceKey>,
    pub(super) process: Option<ProcId>,
    pub(super) page: Page,
    pub(super) is_paused: bool,
    pub(super) log: EventLog,
    pub(super) message: Option<String>,
}

impl View {
    /// A view of that size on samples whose time comes from there, with the events so far.
    pub fn new(clock: Clock, size: ScreenSize, log: EventLog) -> Self {
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
    pub fn set_size(&mut self, size: ScreenSize) {
        self.size = size;
    }

    /// Tells how time stands.
    pub fn set_clock(&mut self, clock: Clock) {
        self.clock = clock;
    }

    /// The events, to be added to.
    pub fn log(&mut self) -> &mut EventLog {
        &mut self.log
    }

    /// Says something in the last line, until the next key.
    pub fn say(&mut self, message: impl Into<String>) {
        self.message = Some(message.into());
    }

    /// Shows text over the whole screen.
    pub fn show_text(&mut self, title: String, lines: Vec<String>) {
        self.page = Page::Text(TextPage { title, lines, indent: None, top: 0, left: 0 });
    }

    /// Says what is longer than a line, over the whole screen.
    pub fn show_sentence(&mut self, title: String, sentence: String) {
        let (lines, indent) = (vec![sentence], Some(0));
        self.page = Page::Text(TextPage { title, lines, indent, top: 0, left: 0 });
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
}
