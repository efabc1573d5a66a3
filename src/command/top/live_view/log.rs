//! The events so far, as lines.

use crate::core::model::event::Event;
use crate::core::unit_names::UnitNames;
use crate::report::events::text;
use crate::report::words::{Style, TimeOfDay};
use std::collections::VecDeque;

/// Lines kept: of a bad day, all that matters.
const MOST: usize = 1000;

/// A line of the log.
#[derive(Clone, Debug, PartialEq)]
pub struct LogLine {
    /// When it came, in Unix seconds.
    pub t: f64,
    /// What it says; the word first.
    pub text: String,
}

/// The events so far, the oldest first.
#[derive(Clone, Debug, Default)]
pub struct EventLog {
    lines: VecDeque<LogLine>,
}

impl EventLog {
    /// Adds an event, in the words in which the watch prints it.
    pub fn event(&mut self, t: f64, event: &Event, names: &UnitNames, dry_run: bool) {
        let mut line = Vec::new();
        // Into memory nothing fails.
        let _ = text::write_message(&mut line, event, names, Style { colour: false, dry_run });
        let text = String::from_utf8_lossy(&line);
        if !text.is_empty() {
            self.add(t, text.trim_end().to_owned());
        }
    }

    /// Adds a remark of leakwatch itself.
    pub fn note(&mut self, t: f64, text: &str) {
        let text = text.replace("\n  hint:", "; hint:");
        self.add(t, format!("{:<8}  {text}", "note"));
    }

    fn add(&mut self, t: f64, text: String) {
        if self.lines.len() >= MOST {
            self.lines.pop_front();
        }
        self.lines.push_back(LogLine { t, text });
    }

    /// All lines, the oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &LogLine> + ExactSizeIterator {
        self.lines.iter()
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.lines.clear();
    }
}

/// The time of day of a line, UTC: "04:10:05".
pub(super) fn clock(t: f64) -> String {
    TimeOfDay(t).to_string().chars().skip(11).take(8).collect()
}
