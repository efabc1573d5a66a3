//! A record of fields, for programs to read: the syntax of JSON Lines.

use crate::core::model::ceiling::Unit;
use crate::core::model::json_text::{write_comm, write_text};
use crate::core::model::process::{Comm, ProcId};
use std::fmt;
use std::io::{self, Write};

/// Writes one record, field by field. Allocates nothing.
pub struct Fields<'w, W> {
    out: &'w mut W,
}

impl<'w, W: Write> Fields<'w, W> {
    pub(crate) fn begin(out: &'w mut W, event: &str, t: impl fmt::Display) -> io::Result<Self> {
        write!(out, "{{\"schema\":1,\"event\":\"{event}\",\"t\":{t}")?;
        Ok(Self { out })
    }

    pub(crate) fn end(self) -> io::Result<()> {
        self.out.write_all(b"}\n")
    }

    /// A number or a truth value.
    pub(crate) fn value(
        &mut self,
        key: impl fmt::Display,
        value: impl fmt::Display,
    ) -> io::Result<()> {
        write!(self.out, ",\"{key}\":{value}")
    }

    /// A number in the unit of a ceiling, which its key names: `growth_bytes`.
    pub(crate) fn amount(
        &mut self,
        key: &str,
        unit: Unit,
        value: impl fmt::Display,
    ) -> io::Result<()> {
        self.value(format_args!("{key}_{}", unit.name()), value)
    }

    /// A rate in the unit of a ceiling: `slope_bytes_per_s`.
    pub(crate) fn rate(&mut self, key: &str, unit: Unit, per_s: f64) -> io::Result<()> {
        self.value(format_args!("{key}_{}_per_s", unit.name()), format_args!("{per_s:.3}"))
    }

    /// One of leakwatch's own words, which need no escaping.
    pub(crate) fn word(&mut self, key: &str, word: &str) -> io::Result<()> {
        write!(self.out, ",\"{key}\":\"{word}\"")
    }

    /// Any text.
    pub(crate) fn text(&mut self, key: &str, text: impl fmt::Display) -> io::Result<()> {
        write!(self.out, ",\"{key}\":")?;
        write_text(self.out, &text)
    }

    /// A command name.
    pub(crate) fn comm(&mut self, key: &str, comm: Comm) -> io::Result<()> {
        write!(self.out, ",\"{key}\":")?;
        write_comm(self.out, comm)
    }

    /// A process.
    pub(crate) fn id(&mut self, key: &str, id: ProcId) -> io::Result<()> {
        self.group(key, &[("pid", &id.pid), ("start", &id.start)])
    }

    /// Several values under one key.
    pub(crate) fn group(
        &mut self,
        key: &str,
        values: &[(&str, &dyn fmt::Display)],
    ) -> io::Result<()> {
        write!(self.out, ",\"{key}\":{{")?;
        for (nth, (key, value)) in values.iter().enumerate() {
            let comma = if nth > 0 { "," } else { "" };
            write!(self.out, "{comma}\"{key}\":{value}")?;
        }
        self.out.write_all(b"}")
    }
}
