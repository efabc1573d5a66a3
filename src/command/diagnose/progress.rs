//! Progress: one line on a terminal that says what goes on.

use anyhow::Result;
use std::io::Write;

/// One line on a terminal that says what goes on.
pub(super) struct Progress<'e, W> {
    pub(super) err: &'e mut W,
    pub(super) talk: bool,
    pub(super) shown: bool,
}

impl<W: Write> Progress<'_, W> {
    pub(super) fn say(&mut self, what: &str) -> Result<()> {
        if self.talk {
            write!(self.err, "\r\x1b[Kleakwatch: {what} ...")?;
            self.err.flush()?;
            self.shown = true;
        }
        Ok(())
    }

    pub(super) fn watch(&mut self, now_s: f64, all_s: f64) -> Result<()> {
        let bar = (20.0 * now_s / all_s.max(1e-9)) as usize;
        let bar = format!("{:<20}", "#".repeat(bar.min(20)));
        self.say(&format!(
            "watching [{bar}] {:.0} of {all_s:.0} s, Ctrl-C reports now",
            now_s.floor()
        ))
    }

    pub(super) fn clear(&mut self) -> Result<()> {
        if std::mem::take(&mut self.shown) {
            write!(self.err, "\r\x1b[K")?;
            self.err.flush()?;
        }
        Ok(())
    }
}
