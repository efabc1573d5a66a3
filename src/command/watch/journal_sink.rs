//! Events as entries of the journal, where a watch runs as a service.

use crate::core::model::event::Event;
use crate::core::unit_names::UnitNames;
use crate::report::events::text;
use crate::report::journal::{level, write_entry};
use crate::report::words::Style;
use crate::system::systemd::Journal;
use std::io::{self, Write};

/// Bytes of an entry, with room to spare.
const ENTRY: usize = 4096;

/// The journal, where events go instead of standard output, which leads there too.
pub(super) struct JournalSink {
    /// None where journald cannot be reached; then events are lines on standard output.
    journal: Option<Journal>,
    entry: Vec<u8>,
}

impl JournalSink {
    /// Connects to journald at `path`.
    pub(super) fn open(path: &str) -> Self {
        Self { journal: Journal::open(path).ok(), entry: Vec::with_capacity(ENTRY) }
    }

    /// Sends one event, or writes it as a line with its level if the journal does not take it.
    ///
    /// # Errors
    /// Neither can be written.
    pub(super) fn write(
        &mut self,
        out: &mut impl Write,
        t: f64,
        event: &Event,
        names: &UnitNames,
        style: Style,
    ) -> io::Result<()> {
        self.entry.clear();
        write_entry(&mut self.entry, t, event, names, style)?;
        if self.entry.is_empty() {
            return Ok(());
        }
        match self.journal.as_ref().map(|journal| journal.send(&self.entry)) {
            Some(Ok(())) => Ok(()),
            _ => {
                write!(out, "<{}>", level(event))?;
                text::write_message(out, event, names, style)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::{CeilingKind, MemoryFailure, MemoryFailureKind, Place};
    use std::os::unix::net::UnixDatagram;

    fn failing() -> Event {
        let (kind, ceiling, place) =
            (MemoryFailureKind::Refused, CeilingKind::Pids, Place::new("/web"));
        Event::MemoryFailure(MemoryFailure { kind, ceiling, root: None, place, count: 3 })
    }

    #[test]
    fn an_event_that_the_journal_does_not_take_becomes_a_line_with_its_level() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("socket").display().to_string();
        let socket = UnixDatagram::bind(&path).unwrap();
        let mut journal_sink = JournalSink::open(&path);
        let mut out = Vec::new();
        journal_sink.write(&mut out, 1e9, &failing(), &UnitNames::new(), Style::default()).unwrap();
        let mut entry = [0; 4096];
        let length = socket.recv(&mut entry).unwrap();
        assert!(entry[..length].starts_with(b"MESSAGE=FAILING") && out.is_empty());
        drop(socket);
        journal_sink.write(&mut out, 1e9, &failing(), &UnitNames::new(), Style::default()).unwrap();
        assert!(String::from_utf8(out).unwrap().starts_with("<2>FAILING   machine"));
    }
}
