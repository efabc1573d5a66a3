//! Events, one a line: as a sentence for people or as a record of fields for programs.
//!
//! Another format for programs is a variant of [`EventFormat`] and its syntax in
//! [`fields`](super::fields): what events hold is written once, in [`record`].

pub mod record;
pub mod sentences;
pub mod text;

use super::fields::Fields;
use super::words::Style;
use crate::core::model::event::Event;
use crate::core::unit_names::UnitNames;
use clap::ValueEnum;
use std::fmt;
use std::io::{self, Write};

/// Formats of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EventFormat {
    /// Text for people.
    Text,
    /// JSON: one object for each event.
    Json,
}

impl EventFormat {
    /// Whether it is for people: then other messages may stand between the events.
    pub fn is_for_people(self) -> bool {
        self == Self::Text
    }

    /// Begins a record of that event at `t`; none in the format for people, which has sentences.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn begin<'w, W: Write>(
        self,
        out: &'w mut W,
        event: &str,
        t: impl fmt::Display,
    ) -> io::Result<Option<Fields<'w, W>>> {
        match self {
            Self::Text => Ok(None),
            Self::Json => Fields::begin(out, event, t).map(Some),
        }
    }
}

/// Writes an event of the sample at `t`, with its newline; nothing where the format has no line for it.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_event(
    out: &mut impl Write,
    t: f64,
    event: &Event,
    names: &UnitNames,
    format: EventFormat,
    style: Style,
) -> io::Result<()> {
    match format.begin(out, record::name(event), t)? {
        Some(mut fields) => {
            record::write_fields(&mut fields, t, event, names)?;
            fields.end()
        }
        None => text::write_event(out, t, event, names, style),
    }
}
