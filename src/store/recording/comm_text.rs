//! Command names, which may be any bytes, read back from the JSON strings of
//! [`write_comm`](crate::core::model::json_text::write_comm).

use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, Visitor};

use crate::core::model::process::Comm;

/// A name as it is read.
pub struct CommText(pub Comm);

impl<'de> Deserialize<'de> for CommText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // As bytes, because a string with lone surrogates is not UTF-8.
        deserializer.deserialize_bytes(NameVisitor)
    }
}

struct NameVisitor;

impl Visitor<'_> for NameVisitor {
    type Value = CommText;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a command name")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<CommText, E> {
        if !bytes.contains(&0xed) && !bytes.contains(&0xef) {
            return Ok(CommText(Comm::new(bytes)));
        }
        // U+F780 to U+F7FF are EF 9E 80 to EF 9F BF; U+DC80 to U+DCFF, lone surrogates as Python's
        // surrogateescape leaves them, are ED B2 80 to ED B3 BF.
        let mut name = [0; Comm::MAX];
        let mut rest = bytes;
        let mut len = 0;
        while let (Some(slot), Some(&first)) = (name.get_mut(len), rest.first()) {
            (*slot, rest) = match rest {
                [0xef, 0x9e, low @ 0x80..=0xbf, rest @ ..]
                | [0xed, 0xb2, low @ 0x80..=0xbf, rest @ ..] => (*low, rest),
                [0xef, 0x9f, low @ 0x80..=0xbf, rest @ ..]
                | [0xed, 0xb3, low @ 0x80..=0xbf, rest @ ..] => (*low | 0x40, rest),
                [_, rest @ ..] => (first, rest),
                [] => break,
            };
            len += 1;
        }
        Ok(CommText(Comm::new(name.get(..len).unwrap_or_default())))
    }
}
