//! A line of a screen: text of some inks, of which every character takes one column.

use crate::report::escape::Plain;
use crate::report::words::{GREEN, RED, RESET, YELLOW};
use std::fmt;

/// What the terminal shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScreenStyle {
    /// Colours, and what is bold or reversed.
    pub colour: bool,
    /// Characters beyond ASCII, for bars.
    pub unicode: bool,
}

/// How large a screen is, in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScreenSize {
    /// Its columns.
    pub columns: usize,
    /// Its rows.
    pub rows: usize,
}

/// How a piece of text stands out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ink {
    Plain,
    /// Headings.
    Strong,
    /// What matters less.
    Faint,
    /// Good news.
    Good,
    /// What may need an admin soon.
    Soon,
    /// What needs one.
    Bad,
}

impl Ink {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "\x1b[1m",
            Self::Faint => "\x1b[2m",
            Self::Good => GREEN,
            Self::Soon => YELLOW,
            Self::Bad => RED,
        }
    }
}

/// A line, as yet without its width.
#[derive(Clone, Debug, Default)]
pub(super) struct Line {
    pieces: Vec<(Ink, String)>,
    columns: usize,
    is_chosen: bool,
}

impl Line {
    /// A line of one piece.
    pub(super) fn of(ink: Ink, text: impl fmt::Display) -> Self {
        Self::default().and(ink, text)
    }

    /// Adds text, whoever wrote it: what is not printable ASCII is escaped, so that nothing acts on the
    /// terminal and every character takes one column.
    pub(super) fn and(self, ink: Ink, text: impl fmt::Display) -> Self {
        let plain = Plain(&text.to_string()).to_string();
        let ascii = plain.chars().map(|c| match c.is_ascii() {
            true => c.to_string(),
            false => c.escape_default().to_string(),
        });
        let ascii: String = ascii.collect();
        self.and_own(ink, ascii)
    }

    /// Adds text of ours, which may have bars.
    pub(super) fn and_own(mut self, ink: Ink, text: String) -> Self {
        self.columns += text.chars().count();
        self.pieces.push((ink, text));
        self
    }

    /// Adds blanks up to a column.
    pub(super) fn to(self, column: usize) -> Self {
        let missing = column.saturating_sub(self.columns);
        if missing == 0 { self } else { self.and_own(Ink::Plain, " ".repeat(missing)) }
    }

    /// Adds another line's pieces so that they end at a column, if there is room.
    pub(super) fn ending_at(mut self, column: usize, tail: Self) -> Self {
        if self.columns + 2 + tail.columns > column {
            return self;
        }
        self = self.to(column - tail.columns);
        self.columns += tail.columns;
        self.pieces.extend(tail.pieces);
        self
    }

    /// The same line as the one that is chosen.
    pub(super) fn chosen(mut self, is_chosen: bool) -> Self {
        self.is_chosen = is_chosen;
        self
    }

    /// Columns that it takes.
    pub(super) fn columns(&self) -> usize {
        self.columns
    }

    /// The line for a terminal of so many columns; what has no room ends in a mark.
    pub(super) fn render(&self, width: usize, look: ScreenStyle) -> String {
        let blanks = self.pieces.iter().rev().flat_map(|(_, piece)| piece.chars().rev());
        let blanks = blanks.take_while(|c| *c == ' ').count();
        let is_cut = self.columns - blanks > width;
        let room = if is_cut { width.saturating_sub(1) } else { width };
        let mut text = String::new();
        let mut used = 0;
        let reversed = look.colour && self.is_chosen;
        if reversed {
            text += "\x1b[7m";
        }
        for (ink, piece) in &self.pieces {
            let part: String = piece.chars().take(room - used).collect();
            used += part.chars().count();
            // Of the chosen line only the bars are reversed, whatever its inks.
            let code = if look.colour && !self.is_chosen { ink.code() } else { "" };
            text += code;
            text += &part;
            if !code.is_empty() {
                text += RESET;
            }
        }
        if is_cut && width > 0 {
            text.push(if look.unicode { '…' } else { '~' });
        }
        if reversed {
            text += &" ".repeat(width.saturating_sub(used + usize::from(is_cut)));
            text += RESET;
            return text;
        }
        text.truncate(text.trim_end_matches(' ').len());
        text
    }
}

/// Text for a column of so many characters: its end is left out where it is longer.
pub(super) fn cut(text: &str, columns: usize) -> String {
    match text.chars().count() > columns {
        true => text.chars().take(columns.saturating_sub(1)).chain(['~']).collect(),
        false => text.to_owned(),
    }
}

/// The same, with the beginning left out.
pub(super) fn cut_start(text: &str, columns: usize) -> String {
    match text.chars().count().checked_sub(columns) {
        Some(more) if more > 0 => ['~'].into_iter().chain(text.chars().skip(more + 1)).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const PLAIN: ScreenStyle = ScreenStyle { colour: false, unicode: false };

    #[test]
    fn a_line_that_is_too_long_says_so() {
        let line = Line::of(Ink::Bad, "memory runs out").and(Ink::Plain, " soon");
        assert_eq!(line.render(10, PLAIN), "memory ru~");
        assert_eq!(line.render(20, PLAIN), "memory runs out soon");
        let coloured = line.render(20, ScreenStyle { colour: true, unicode: false });
        assert_eq!(coloured, "\x1b[1;31mmemory runs out\x1b[0m soon");
    }

    #[test]
    fn a_hostile_name_is_shown_and_does_nothing() {
        let line = Line::of(Ink::Plain, "a\x1b[2J\u{202e}b\nüc");
        assert_eq!(line.render(80, PLAIN), "a\\u{1b}[2J\\u{202e}b\\n\\u{fc}c");
    }

    #[test]
    fn a_tail_stands_at_the_right_or_not_at_all() {
        let tail = || Line::of(Ink::Plain, "end");
        let line = Line::of(Ink::Plain, "begin");
        assert_eq!(line.clone().ending_at(12, tail()).render(12, PLAIN), "begin    end");
        assert_eq!(line.ending_at(9, tail()).render(9, PLAIN), "begin");
    }

    proptest! {
        #[test]
        fn a_line_is_never_wider_than_its_screen(text in any::<String>(), width in 1..100_usize) {
            let shown = Line::of(Ink::Soon, &text).render(width, PLAIN);
            prop_assert!(shown.chars().count() <= width && shown.is_ascii());
        }
    }
}
