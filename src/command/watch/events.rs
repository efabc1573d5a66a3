//! Where the events of a watch go: standard output or the journal, and the command of `--on-event`.

use super::journal_sink::JournalSink;
use crate::cli::options::OutputOptions;
use crate::core::engine::Engine;
use crate::core::model::event::Event;
use crate::core::unit_names::UnitNames;
use crate::report::events::{EventFormat, write_event};
use crate::report::screen::Screen;
use crate::report::summary;
use crate::report::words::Style;
use crate::system::hook::Hook;
use crate::system::systemd;
use anyhow::{Context, Result};
use std::io::{IsTerminal, Write};

/// The places that events are written to, and how.
pub(super) struct EventOutputs {
    format: EventFormat,
    style: Style,
    screen: Option<Screen>,
    journal_sink: Option<JournalSink>,
    hook: Option<Hook>,
}

impl EventOutputs {
    /// As the options say. `is_only`: no other watch runs in this process, so this one may have the
    /// screen.
    pub(super) fn new(
        output: &OutputOptions,
        style: Style,
        is_only: bool,
        hook: Option<Hook>,
    ) -> Self {
        let stdout = std::io::stdout();
        let is_text = output.format.is_for_people();
        let screen = (is_text && is_only && stdout.is_terminal()).then(Screen::default);
        let is_journal = is_text && systemd::is_journal(&stdout);
        let journal_sink = is_journal.then(|| JournalSink::open(systemd::JOURNAL));
        Self { format: output.format, style, screen, journal_sink, hook }
    }

    /// Continues with another format and style.
    pub(super) fn restyle(&mut self, output: &OutputOptions, style: Style) {
        self.format = output.format;
        self.style = style;
    }

    /// Writes one event.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub(super) fn write(
        &mut self,
        out: &mut impl Write,
        t: f64,
        event: &Event,
        names: &UnitNames,
    ) -> Result<()> {
        self.clear_screen(out)?;
        match &mut self.journal_sink {
            Some(journal_sink) => journal_sink.write(out, t, event, names, self.style)?,
            None => write_event(out, t, event, names, self.format, self.style)?,
        }
        out.flush().context("cannot write the report")
    }

    /// Hands one event to the hook; returns what is wrong with the hook, once.
    pub(super) fn run_hook(
        &mut self,
        t: f64,
        event: &Event,
        names: &UnitNames,
    ) -> Option<&'static str> {
        let hook = self.hook.as_mut()?;
        let plain = Style { colour: false, ..self.style };
        let mut text = Vec::new();
        write_event(&mut text, t, event, names, EventFormat::Text, plain).ok();
        // An event without a line for people is none for a hook either.
        if text.is_empty() {
            return None;
        }
        hook.tell(|line| {
            write_event(line, t, event, names, EventFormat::Json, plain)?;
            line.write_all(&text)
        })
    }

    /// Draws the block of the trees again, where there is a screen.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub(super) fn redraw(
        &mut self,
        out: &mut impl Write,
        t: f64,
        next_s: f64,
        engine: &Engine,
    ) -> Result<()> {
        if let Some(screen) = &mut self.screen {
            screen.clear(out)?;
            screen.draw(out, t, next_s, &summary::trees(engine), self.style)?;
        }
        Ok(())
    }

    /// Removes the block of the trees, where there is a screen.
    ///
    /// # Errors
    /// `out` cannot be written.
    pub(super) fn clear_screen(&mut self, out: &mut impl Write) -> Result<()> {
        if let Some(screen) = &mut self.screen {
            screen.clear(out)?;
        }
        Ok(())
    }
}
