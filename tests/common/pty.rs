//! Pty: a program on a pseudo-terminal, and the screen that it draws there.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::pty::{Winsize, openpty};
use nix::sys::signal::Signal;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::termios::{Termios, tcgetattr, tcsetwinsize};

use super::process;

/// A program on a terminal of its own, killed on drop.
pub struct Pty {
    child: Child,
    /// The user's end.
    master: File,
    /// The program's end, kept open so that its settings can be read when the program is gone.
    slave: OwnedFd,
    before: Termios,
    /// All that was written to the terminal.
    pub written: Vec<u8>,
}

impl Pty {
    /// Starts a program on a terminal of that size, as the leader of a process group, as a shell does.
    pub fn start(command: &mut Command, (columns, rows): (u16, u16)) -> Self {
        let size = Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        let pty = openpty(&size, None).expect("a pseudo-terminal");
        let before = tcgetattr(&pty.slave).expect("its settings");
        let slave = || pty.slave.try_clone().expect("a descriptor");
        let command = command.stdin(slave()).stdout(slave()).stderr(slave()).process_group(0);
        let child = command.spawn().expect("it starts");
        let (master, written) = (File::from(pty.master), Vec::new());
        Self { child, master, slave: pty.slave, before, written }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: Signal) {
        process::signal(&self.child, signal);
    }

    /// Types these bytes.
    pub fn types(&mut self, bytes: &str) {
        self.master.write_all(bytes.as_bytes()).expect("a terminal");
    }

    /// Makes the terminal as large, which the kernel tells the program where the terminal controls it; this
    /// one controls none.
    pub fn resize(&self, (columns, rows): (u16, u16)) {
        let size =
            rustix::termios::Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&self.master, size).expect("a size");
        self.signal(Signal::SIGWINCH);
    }

    /// Reads until what is on the screen is as wanted, or panics.
    pub fn expect(&mut self, within: Duration, what: &str, is_it: impl Fn(&Screen) -> bool) {
        let end = Instant::now() + within;
        while !is_it(&self.screen()) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what} within {within:?}:\n{}", self.screen().text());
            self.read_within(left);
        }
    }

    /// The same for a text anywhere on it.
    pub fn expect_text(&mut self, within: Duration, text: &str) {
        self.expect(within, text, |screen| screen.text().contains(text));
    }

    /// Waits until it has ended by itself, and reads the rest: a terminal that nobody reads would stop it.
    pub fn end(&mut self, within: Duration) -> ExitStatus {
        let end = Instant::now() + within;
        let pid = Pid::from_raw(self.child.id().cast_signed()).expect("a pid");
        let pidfd = pidfd_open(pid, PidfdFlags::empty()).expect("a child");
        loop {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "it did not end within {within:?}:\n{}", self.screen().text());
            let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
            let mut fds =
                [self.master.as_fd(), pidfd.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            poll(&mut fds, timeout).expect("a wait");
            let has_ended = fds[1].any() == Some(true);
            while self.read_within(Duration::ZERO) {}
            if has_ended {
                return self.child.wait().expect("its own child");
            }
        }
    }

    /// What is on the screen.
    pub fn screen(&self) -> Screen {
        Screen::of(&self.written)
    }

    /// Whether the terminal has the settings that it had before.
    pub fn is_as_before(&self) -> bool {
        let now = tcgetattr(&self.slave).expect("its settings");
        let of = |t: &Termios| (t.input_modes, t.output_modes, t.control_modes, t.local_modes);
        of(&now) == of(&self.before)
            && format!("{:?}", now.special_codes) == format!("{:?}", self.before.special_codes)
    }

    /// Reads what there is within that time; whether there was something.
    fn read_within(&mut self, within: Duration) -> bool {
        let mut fds = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        let timeout = PollTimeout::try_from(within).unwrap_or(PollTimeout::MAX);
        if poll(&mut fds, timeout).unwrap_or(0) == 0 {
            return false;
        }
        let mut buffer = [0; 65_536];
        let length = self.master.read(&mut buffer).unwrap_or(0);
        self.written.extend_from_slice(&buffer[..length]);
        length > 0
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        // Without effect when it was waited for already.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// What a terminal shows, as far as the sequences of leakwatch go: a place, a line erased, the screen
/// erased, the other screen.
#[derive(Debug, Default)]
pub struct Screen {
    rows: BTreeMap<usize, String>,
    /// Whether it is the alternate screen.
    pub is_alternate: bool,
    pub has_cursor: bool,
}

impl Screen {
    fn of(written: &[u8]) -> Self {
        let text = String::from_utf8_lossy(written);
        let (mut screen, mut row) = (Self { has_cursor: true, ..Self::default() }, 1);
        let mut parts = text.split("\x1b[");
        screen.rows.insert(row, parts.next().unwrap_or_default().to_owned());
        for part in parts {
            let Some(at) = part.find(|c: char| c.is_ascii_alphabetic()) else { continue };
            let (parameters, rest) = part.split_at(at);
            match (parameters, &rest[..1]) {
                (place, "H") => row = place.split(';').next().unwrap().parse().unwrap_or(1),
                ("2", "J") => screen.rows.clear(),
                (_, "K") => drop(screen.rows.remove(&row)),
                ("?1049", how) => screen.is_alternate = how == "h",
                ("?25", how) => screen.has_cursor = how == "h",
                _ => {}
            }
            screen.rows.entry(row).or_default().push_str(&rest[1..]);
        }
        screen
    }

    /// Its lines.
    pub fn text(&self) -> String {
        let lines: Vec<&str> = self.rows.values().map(String::as_str).collect();
        lines.join("\n")
    }

    /// One of its lines, from 1; empty where nothing was written.
    pub fn row(&self, nth: usize) -> &str {
        self.rows.get(&nth).map_or("", String::as_str)
    }
}
