//! Text as JSON strings, written without an allocation: reports and recordings write the same.

use crate::core::model::process::Comm;
use serde::Serializer;
use std::fmt;
use std::io::{self, Write};

/// Writes a text as a JSON string, quotes included.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_text(out: &mut impl Write, text: &(impl fmt::Display + ?Sized)) -> io::Result<()> {
    // `collect_str` streams the text: a steady recording allocates nothing.
    serde_json::Serializer::new(out).collect_str(text).map_err(io::Error::from)
}

/// Writes a command name, which may be any bytes, as a JSON string that gives the same bytes back.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_comm(out: &mut impl Write, comm: Comm) -> io::Result<()> {
    out.write_all(b"\"")?;
    for chunk in comm.as_bytes().utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => write!(out, "\\{c}")?,
                '\0'..'\x20' | '\x7f' => write!(out, "\\u{:04x}", u32::from(c))?,
                // A name that really has one of these is written byte by byte, to come back as it is.
                '\u{f780}'..='\u{f7ff}' => write_bytes(out, c.encode_utf8(&mut [0; 4]).as_bytes())?,
                c => write!(out, "{c}")?,
            }
        }
        write_bytes(out, chunk.invalid())?;
    }
    out.write_all(b"\"")
}

fn write_bytes(out: &mut impl Write, bytes: &[u8]) -> io::Result<()> {
    bytes.iter().try_for_each(|byte| write!(out, "\\uf7{byte:02x}"))
}
