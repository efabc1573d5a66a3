//! Paper: lines of a given width, where what is broken hangs under its own first word.

use std::io::{self, Write};

/// How it is laid out.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// Columns.
    pub width: usize,
    /// Colours.
    pub colour: bool,
    /// Whether the terminal has more than ASCII.
    pub unicode: bool,
}

pub(super) const BOLD: &str = "\x1b[1m";
pub(super) const DIM: &str = "\x1b[2m";
pub(super) const RED: &str = "\x1b[1;31m";
pub(super) const YELLOW: &str = "\x1b[33m";
pub(super) const GREEN: &str = "\x1b[32m";
const RESET: &str = "\x1b[0m";

/// Where it is written, and how.
pub(super) struct WrappedText<'w, W> {
    pub(super) out: &'w mut W,
    pub(super) layout: Layout,
}

impl<W: Write> WrappedText<'_, W> {
    pub(super) fn on(&self, colour: &'static str) -> &'static str {
        if self.layout.colour { colour } else { "" }
    }

    pub(super) fn off(&self) -> &'static str {
        if self.layout.colour { RESET } else { "" }
    }

    /// Columns that are left behind so many.
    pub(super) fn room(&self, columns: usize) -> usize {
        self.layout.width.saturating_sub(columns)
    }

    pub(super) fn title(&mut self, text: &str) -> io::Result<()> {
        let (on, off) = (self.on(BOLD), self.off());
        writeln!(self.out, "\n{on}{text}{off}")
    }

    /// A paragraph: `lead`, then `text`, whose further lines stand under its first word.
    pub(super) fn hang(&mut self, lead: &str, text: &str) -> io::Result<()> {
        self.hang_behind(lead, lead.chars().count(), text)
    }

    /// The same behind a lead that is shown in so many columns, its colours taking none.
    pub(super) fn hang_behind(&mut self, lead: &str, columns: usize, text: &str) -> io::Result<()> {
        for (nth, line) in wrap(text, self.room(columns)).into_iter().enumerate() {
            match nth {
                0 => writeln!(self.out, "{}", format!("{lead}{line}").trim_end())?,
                _ => writeln!(self.out, "{:columns$}{line}", "")?,
            }
        }
        Ok(())
    }

    /// What was said elsewhere, on `most` lines at most.
    pub(super) fn quote(&mut self, indent: &str, text: &str, most: usize) -> io::Result<()> {
        let (on, off) = (self.on(DIM), self.off());
        let room = self.room(indent.len());
        let mut lines = wrap(text, room);
        if lines.len() > most {
            // What is left out is not broken at a blank: as much as fits is shown.
            let rest = lines.split_off(most.saturating_sub(1)).join(" ");
            lines.push(cut(&rest, room));
        }
        for line in lines {
            writeln!(self.out, "{indent}{on}{}{off}", cut(&line, room))?;
        }
        Ok(())
    }

    /// A command on a line of its own, unbroken whatever its length: it is for copying.
    pub(super) fn command(&mut self, command: impl std::fmt::Display) -> io::Result<()> {
        writeln!(self.out, "       {command}")
    }
}

/// Breaks text at blanks, but for those between what is read as one: "24 GiB", "Nov 23". What has no
/// blank is not broken.
pub(super) fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    let mut length = 0;
    for piece in pieces(text, width) {
        let piece_length = piece.chars().count();
        if length > 0 && length + 1 + piece_length > width {
            lines.push(std::mem::take(&mut line));
            length = 0;
        }
        if !line.is_empty() {
            line.push(' ');
            length += 1;
        }
        line += piece;
        length += piece_length;
    }
    lines.push(line);
    lines
}

/// Words, those that belong together in one piece unless that is too long for a line.
fn pieces(text: &str, width: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let (mut from, mut last) = (0, "");
    let mut at = 0;
    for word in text.split(' ') {
        let end = at + word.len();
        let fits = text.get(from..end).is_some_and(|piece| piece.chars().count() <= width);
        if at > from && !(fits && belong(last, word)) {
            pieces.extend(text.get(from..at.saturating_sub(1)));
            from = at;
        }
        (last, at) = (word, end + 1);
    }
    pieces.extend(text.get(from..));
    pieces.retain(|piece| !piece.is_empty());
    pieces
}

const MONTHS: [&str; 12] =
    ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const UNITS: [&str; 18] = [
    "%", "B", "KiB", "MiB", "GiB", "TiB", "ms", "s", "min", "h", "days", "day", "CPU", "CPUs", "x",
    "samples", "checks", "requests",
];

/// Whether a blank between two words is not for breaking: a number and its unit, a day and its month, a
/// command and its options.
fn belong(word: &str, next: &str) -> bool {
    let word = word.trim_start_matches(['(', '+', '-', '~']);
    let is_number = word.starts_with(|c: char| c.is_ascii_digit())
        && word.chars().all(|c| c.is_ascii_digit() || c == '.');
    let end = next.find(|c: char| !c.is_alphanumeric() && c != '%').unwrap_or(next.len());
    let unit = next.get(..end).unwrap_or(next);
    let is_date = word.len() >= 8 && word.chars().all(|c| c.is_ascii_digit() || c == '-');
    let begins = next.starts_with(|c: char| c.is_ascii_digit());
    let is_time = begins && next.contains(':');
    (is_number && UNITS.contains(&unit))
        || ((is_number || is_date) && is_time)
        || (begins && (MONTHS.contains(&word) || word == "h"))
        || next.starts_with(['-', '<'])
        || next == "/"
}

/// So many columns of a text at most.
pub(super) fn cut(text: &str, width: usize) -> String {
    match text.chars().count() > width {
        true => text.chars().take(width.saturating_sub(3)).chain("...".chars()).collect(),
        false => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paper(
        width: usize,
        write: impl Fn(&mut WrappedText<'_, Vec<u8>>) -> io::Result<()>,
    ) -> String {
        let mut out = Vec::new();
        let layout = Layout { width, colour: false, unicode: true };
        write(&mut WrappedText { out: &mut out, layout }).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn what_is_broken_stands_under_its_own_first_word() {
        let text =
            "53 % left of memory cgroup /shop: 103 MiB of 192 MiB; then the OOM killer strikes.";
        assert_eq!(
            paper(40, |paper| paper.hang("  - ", text)),
            "  - 53 % left of memory cgroup /shop:\n    103 MiB of 192 MiB; then the OOM\n    killer strikes.\n"
        );
    }

    #[test]
    fn colours_take_no_columns() {
        assert_eq!(
            paper(16, |paper| paper.hang_behind("\x1b[1mok\x1b[0m  ", 4, "one two three")),
            "\x1b[1mok\x1b[0m  one two\n    three\n"
        );
    }

    #[test]
    fn a_quote_ends_after_the_lines_it_may_have() {
        assert_eq!(
            paper(20, |paper| paper.quote(
                "  ",
                "Killed process 4711 (/usr/sbin/apach) total-vm:1kB",
                2
            )),
            "  Killed process\n  4711 (/usr/sbin...\n"
        );
    }

    #[test]
    fn a_number_stays_with_its_unit_a_day_with_its_month_and_a_command_in_one() {
        assert_eq!(wrap("of 24 GiB, up 10 h 55 min.", 12), ["of 24 GiB,", "up", "10 h 55 min."]);
        assert_eq!(wrap("at once, Nov 23 21:13", 15), ["at once,", "Nov 23 21:13"]);
        assert_eq!(wrap("(41 to 52)", 6), ["(41 to", "52)"]);
        assert_eq!(wrap("by patch -p1 -d / <FILE:", 22), ["by", "patch -p1 -d / <FILE:"]);
    }

    proptest! {
        #[test]
        fn words_come_through_in_order_and_lines_are_short(text in "[a-z0-9% ]{0,200}", width in 10..100_usize) {
            let lines = wrap(&text, width);
            prop_assert!(lines.iter().all(|line| line.len() <= width || !line.trim().contains(' ')), "{lines:?}");
            let words = |s: &str| s.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(words(&lines.join(" ")), words(&text));
        }
    }
}
