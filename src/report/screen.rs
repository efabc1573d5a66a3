//! On a terminal, a block at the end of the output that is redrawn with every sample.

use super::summary;
use super::summary::TreeSummary;
use super::words::{Style, TimeOfDay};
use crate::core::model::units::Seconds;
use std::io::{self, Write};

/// Trees shown in the block.
const MOST: usize = 8;

/// The block last drawn.
#[derive(Debug, Default)]
pub struct Screen {
    lines: usize,
}

impl Screen {
    /// Takes the block away, so that lines can be written where it began.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn clear(&mut self, out: &mut impl Write) -> io::Result<()> {
        if self.lines > 0 {
            // Up to the block's first line, then erase to the end of the screen.
            write!(out, "\x1b[{}A\x1b[J", self.lines)?;
            self.lines = 0;
        }
        out.flush()
    }

    /// Draws the block for the sample of time `t`; the next one follows in `next_s` seconds.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn draw(
        &mut self,
        out: &mut impl Write,
        t: f64,
        next_s: f64,
        trees: &[TreeSummary<'_>],
        style: Style,
    ) -> io::Result<()> {
        // Without wrapping, a long line stays one line and the block can be found again.
        write!(out, "\x1b[?7l")?;
        writeln!(out, "{}, next sample in {}", TimeOfDay(t), Seconds(next_s))?;
        summary::write(out, trees, MOST, style)?;
        write!(out, "\x1b[?7h")?;
        self.lines = 1 + trees.len().min(MOST) + usize::from(trees.len() > MOST);
        out.flush()
    }
}
