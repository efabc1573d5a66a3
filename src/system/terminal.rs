//! Terminal: raw keys in, a whole screen out. What is changed is put back at every end: on return, at a
//! panic (a release build ends there without unwinding), and, since the caller waits for signals rather
//! than dying of them, at those too.

use anyhow::{Context, Result, bail};
use rustix::io::Errno;
use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcgetwinsize, tcsetattr,
};
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, BorrowedFd};

/// The alternate screen, without a cursor, and without wrapping: a long line stays one.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[?7l\x1b[2J";
const LEAVE: &str = "\x1b[?7h\x1b[?25h\x1b[?1049l";
/// Where a terminal does not tell its size (columns, rows).
const USUAL: (usize, usize) = (80, 24);

/// The terminal of standard input and output, while it shows a screen.
pub struct Terminal {
    before: Termios,
    shown: Vec<String>,
}

impl Terminal {
    /// Whether there is one.
    ///
    /// # Errors
    /// Standard input or output is none.
    pub fn check() -> Result<()> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            bail!(
                "top needs a terminal on standard input and output\n  hint: `leakwatch` prints events as lines, `leakwatch replay FILE` those of a recording"
            );
        }
        Ok(())
    }

    /// Takes the terminal over.
    ///
    /// # Errors
    /// There is none.
    pub fn open() -> Result<Self> {
        Self::check()?;
        let before = tcgetattr(io::stdin()).context("cannot read the terminal's settings")?;
        let (saved, hook) = (before.clone(), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |info| {
            restore(&saved);
            hook(info);
        }));
        let mut terminal = Self { before, shown: Vec::new() };
        terminal.take_over()?;
        Ok(terminal)
    }

    /// Takes it over again, after it was somebody else's: as the process was stopped and continued.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn take_over(&mut self) -> Result<()> {
        let mut raw = self.before.clone();
        // Ctrl-C comes as a key; output stays as it is.
        raw.local_modes -=
            LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG | LocalModes::IEXTEN;
        // It is read once there is something.
        raw.special_codes[SpecialCodeIndex::VMIN] = 1;
        raw.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(io::stdin(), OptionalActions::Now, &raw).context("cannot set the terminal")?;
        self.shown.clear();
        let mut out = io::stdout().lock();
        out.write_all(ENTER.as_bytes()).and_then(|()| out.flush()).context("cannot write")
    }

    /// Gives it back for a while, until [`take_over`](Self::take_over).
    pub fn give_back(&self) {
        restore(&self.before);
    }

    /// What to wait for.
    pub fn input(&self) -> BorrowedFd<'static> {
        rustix::stdio::stdin()
    }

    /// The bytes that were typed; none once the terminal is gone.
    pub fn read(&self) -> Option<Vec<u8>> {
        let mut bytes = vec![0; 256];
        match rustix::io::read(self.input(), &mut bytes) {
            Ok(0) => None,
            Ok(length) => {
                bytes.truncate(length);
                Some(bytes)
            }
            Err(Errno::INTR | Errno::AGAIN) => Some(Vec::new()),
            Err(_) => None,
        }
    }

    /// Its columns and rows.
    pub fn size(&self) -> (usize, usize) {
        let size = tcgetwinsize(io::stdout().as_fd()).ok();
        let size = size.filter(|size| size.ws_col > 0 && size.ws_row > 0);
        size.map_or(USUAL, |size| (usize::from(size.ws_col), usize::from(size.ws_row)))
    }

    /// Forgets what is shown, so that the next screen is drawn as a whole.
    pub fn forget(&mut self) {
        self.shown.clear();
    }

    /// Shows these lines; only those that changed are written.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn show(&mut self, lines: Vec<String>) -> io::Result<()> {
        let mut text = String::new();
        if self.shown.len() != lines.len() {
            text += "\x1b[2J";
            self.shown.clear();
        }
        for (nth, line) in lines.iter().enumerate() {
            if self.shown.get(nth) != Some(line) {
                text += &format!("\x1b[{};1H\x1b[K{line}", nth + 1);
            }
        }
        self.shown = lines;
        if text.is_empty() {
            return Ok(());
        }
        let mut out = io::stdout().lock();
        out.write_all(text.as_bytes())?;
        out.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        restore(&self.before);
    }
}

/// Puts all back; a terminal that is gone has nothing to put back.
fn restore(before: &Termios) {
    let mut out = io::stdout();
    let _ = out.write_all(LEAVE.as_bytes()).and_then(|()| out.flush());
    let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
}
