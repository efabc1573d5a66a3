//! Values of labels: each as the exposition format wants it, whatever a process calls itself.

use crate::core::model::ceiling::Place;
use crate::core::model::process::Comm;
use crate::core::unit_names::UnitName;
use std::fmt;

/// A unit or container that may be a label.
pub(super) fn label(name: Option<UnitName<'_>>) -> Option<UnitName<'_>> {
    name.filter(|name| name.is_lasting())
}

/// The unit or container as one more label, where there is one.
pub(super) struct UnitLabel<'n>(pub(super) Option<UnitName<'n>>);

impl fmt::Display for UnitLabel<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, name) = match self.0.map(|name| (name.container(), name.unit())) {
            Some((Some(container), _)) => ("container", container),
            Some((None, Some(unit))) => ("unit", unit),
            _ => return Ok(()),
        };
        write!(f, ",{key}=\"{}\"", Escaped(name))
    }
}

/// A label's value: backslash, quote and newline escaped as the format wants it.
pub(super) struct Escaped<'a>(pub(super) &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        escape(f, self.0)
    }
}

fn escape(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    text.chars().try_for_each(|c| match c {
        '\\' => f.write_str("\\\\"),
        '"' => f.write_str("\\\""),
        '\n' => f.write_str("\\n"),
        c => write!(f, "{c}"),
    })
}

/// A program's name as a label's value: what a terminal would not show is escaped before.
pub(super) struct Quoted(pub(super) Comm);

impl fmt::Display for Quoted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_bytes().iter().try_for_each(|byte| match byte {
            b'"' => f.write_str("\\\""),
            b'\\' => f.write_str("\\\\"),
            b' '..=b'~' => write!(f, "{}", char::from(*byte)),
            byte => write!(f, "\\\\x{byte:02x}"),
        })
    }
}

/// A place as a label's value.
pub(super) struct Shown(pub(super) Place);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dots, text) = self.0.parts();
        f.write_str(dots)?;
        escape(f, text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hostile_name_is_one_label() {
        assert_eq!(Quoted(Comm::new(b"a\"\\\n\xff")).to_string(), "a\\\"\\\\\\\\x0a\\\\xff");
        assert_eq!(Shown(Place::new("/a\"b")).to_string(), "/a\\\"b");
    }
}
