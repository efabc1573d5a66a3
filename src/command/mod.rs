//! Commands: one file a mode. Each wires doors to the engine and holds the loop, nothing else.

pub mod ceilings;
pub mod check;
pub mod diagnose;
pub mod record;
pub mod replay;
pub mod servers;
pub mod watch;

use crate::cli::options::Format;
use crate::core::model::event::Event;
use crate::report::events;
use crate::report::events::EventFormat;
use crate::report::words::Style;
use std::io::{self, Write};

/// Writes one event in the format asked for.
fn write_event(
    out: &mut impl Write,
    t: f64,
    event: &Event,
    format: Format,
    style: Style,
) -> io::Result<()> {
    let format = match format {
        Format::Text => EventFormat::Text,
        Format::Json => EventFormat::Json,
    };
    events::write_event(out, t, event, format, style)
}
