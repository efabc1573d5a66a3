//! A page of text over the whole screen, folded or moved by keys.

use super::keys::Key;
use super::line::ScreenSize;

/// Rows that a page key moves by.
pub(super) const PAGE: usize = 10;
/// Columns that a page of text moves sideways.
const SIDEWAYS: usize = 16;
/// Columns that a page can be moved sideways by.
const WIDEST: usize = 200;

/// A page of text over the whole screen.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TextPage {
    pub(super) title: String,
    pub(super) lines: Vec<String>,
    /// Columns by which what follows of a folded line is indented; none where lines are not folded and the
    /// arrows move sideways.
    pub(super) indent: Option<usize>,
    pub(super) top: usize,
    pub(super) left: usize,
}

impl TextPage {
    /// All its lines as a screen has room for them.
    pub(super) fn shown(&self, size: ScreenSize) -> Vec<String> {
        let folded = self.lines.iter().flat_map(|line| match self.indent {
            Some(indent) => fold(line, size.columns, indent),
            None => vec![line.chars().skip(self.left).collect()],
        });
        folded.collect()
    }

    /// The first of them that stands on the screen.
    pub(super) fn first(&self, shown: usize, size: ScreenSize) -> usize {
        self.top.min(shown.saturating_sub(size.rows.saturating_sub(2)))
    }

    /// The page as a key moves it; none where the key closes it.
    pub(super) fn scrolled(mut self, key: Key, size: ScreenSize) -> Option<Self> {
        let top = self.first(self.shown(size).len(), size);
        self.top = match key {
            Key::Up => top.saturating_sub(1),
            Key::PageUp => top.saturating_sub(PAGE),
            Key::Down => top + 1,
            Key::PageDown | Key::Char(' ') => top + PAGE,
            Key::Home => 0,
            Key::End => usize::MAX,
            _ => top,
        };
        match key {
            Key::Left => self.left = self.left.saturating_sub(SIDEWAYS),
            Key::Right if self.indent.is_none() => self.left = (self.left + SIDEWAYS).min(WIDEST),
            Key::Escape | Key::Enter | Key::Tab | Key::Char('q' | 'e' | 'l') => return None,
            _ => {}
        }
        Some(self)
    }
}

/// A line in pieces of so many columns; those that follow are indented.
fn fold(line: &str, columns: usize, indent: usize) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    for word in line.split(' ') {
        let is_full = piece.chars().count() + 1 + word.chars().count() > columns;
        if is_full && !piece.trim().is_empty() {
            pieces.push(std::mem::replace(&mut piece, " ".repeat(indent)));
        }
        if !piece.is_empty() {
            piece.push(' ');
        }
        piece += word;
    }
    pieces.push(piece);
    pieces
}
