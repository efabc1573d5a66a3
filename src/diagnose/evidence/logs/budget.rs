//! Budget: what reading all logs together may cost, and the share that each of them has in it.
//!
//! Whoever may write to a log chooses how large it is and how long it takes to understand: 64 MB of lines that
//! all looked like failed forks took all of four seconds, and no other log was read. So each log has an equal
//! share of what those before it left, and of a file its newest part is read within that.

use crate::system::wait;
use serde::{Deserialize, Serialize};

/// Bytes that are read, unpacked ones included.
const MOST_BYTES: u64 = 1 << 30;
/// Bytes of lines that are looked at closely: those that hold a word of memory. A MiB takes 0.15 s.
const MOST_LINES: u64 = 4 << 20;
/// What a line counts for beside its bytes.
const LINE: u64 = 128;
/// Seconds of a processor, and seconds in all where others use it.
const MOST_CPU_S: f64 = 1.2;
const MOST_S: f64 = 3.0;
/// Of each log so many bytes are read, and so many of its lines looked at, whatever the others took.
const LEAST_BYTES: u64 = 64 << 10;
const LEAST_LINES: u64 = 4 << 10;

/// Where the reading of a log ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum ReadEnd {
    /// All of it was read that is not too old.
    Whole,
    /// Its share of what all logs may cost was used up.
    ShareUsed,
    /// Time was up for all logs.
    TimeUp,
}

/// What is left for all logs, and for the one that is being read.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: u64,
    lines: u64,
    /// Of the one that is being read.
    share: Share,
    /// Where the clocks stood when reading began: the processor's, and that of all.
    began: (f64, f64),
}

#[derive(Debug)]
struct Share {
    bytes: u64,
    lines: u64,
    /// The part of all time at which it is over.
    until: f64,
    is_begun: bool,
    is_over: bool,
}

impl Budget {
    /// All of it; no log has a share yet, and until then nothing is limited.
    pub(super) fn new() -> Self {
        let (bytes, lines, until) = (u64::MAX, u64::MAX, f64::INFINITY);
        let share = Share { bytes, lines, until, is_begun: false, is_over: false };
        Self { bytes: MOST_BYTES, lines: MOST_LINES, share, began: clocks() }
    }

    /// Begins a log; there are `left` of them that are not read, this one included.
    pub(super) fn begin(&mut self, left: usize) {
        let left = left.max(1);
        let equal = |all: u64, least: u64| (all / left as u64).max(least);
        let (bytes, lines) = (equal(self.bytes, LEAST_BYTES), equal(self.lines, LEAST_LINES));
        let spent = self.spent();
        let until = spent + (1.0 - spent).max(0.0) / left as f64;
        self.share = Share { bytes, lines, until, is_begun: false, is_over: false };
    }

    /// How many bytes of the present log may be read next, up to `most`; none where its share is used up.
    pub(super) fn next(&mut self, most: usize) -> usize {
        let is_late = self.spent() >= self.share.until;
        let bytes = match self.share.is_begun {
            _ if self.share.is_over => 0,
            false if is_late => LEAST_BYTES.min(self.share.bytes),
            true if is_late => 0,
            _ => self.share.bytes,
        };
        self.share.is_begun = true;
        self.share.is_over |= bytes == 0;
        usize::try_from(bytes).unwrap_or(usize::MAX).min(most)
    }

    /// Takes note of bytes that were read.
    pub(super) fn read(&mut self, bytes: usize) {
        self.share.bytes = self.share.bytes.saturating_sub(bytes as u64);
        self.bytes = self.bytes.saturating_sub(bytes as u64);
    }

    /// Takes note of a line that is to be looked at closely; false where that is too much.
    pub(super) fn line(&mut self, line: &[u8]) -> bool {
        let cost = line.len() as u64 + LINE;
        if self.share.is_over || cost > self.share.lines {
            self.share.is_over = true;
            return false;
        }
        self.share.lines -= cost;
        self.lines = self.lines.saturating_sub(cost);
        true
    }

    /// Whether something of the present log was left out.
    pub(super) fn is_over(&self) -> bool {
        self.share.is_over
    }

    /// When the time of the present log is over.
    pub(super) fn deadline(&self) -> Deadline {
        Deadline { until: self.share.until, began: self.began }
    }

    /// Leaves out time that was spent waiting for another process.
    pub(super) fn waited(&mut self, s: f64) {
        self.began.1 += s;
    }

    /// The part of all time that was spent.
    fn spent(&self) -> f64 {
        spent(self.began)
    }
}

/// When the time of a log is over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    until: f64,
    began: (f64, f64),
}

impl Deadline {
    pub(super) fn is_over(&self) -> bool {
        spent(self.began) >= self.until
    }
}

/// The part of all time that was spent since the clocks stood so.
fn spent((began_processor_s, began_s): (f64, f64)) -> f64 {
    let (processor_s, s) = clocks();
    ((processor_s - began_processor_s) / MOST_CPU_S).max((s - began_s) / MOST_S)
}

fn clocks() -> (f64, f64) {
    (wait::processor_s_of_thread(), wait::awake_s())
}

/// What the budget is, in words.
pub(super) fn words() -> String {
    let (gib, mib) = (MOST_BYTES >> 30, MOST_LINES >> 20);
    format!(
        "all logs together have {gib} GiB, {mib} MiB of lines about memory and {MOST_CPU_S} s of CPU ({MOST_S} s where others use it), each an equal share"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_log_has_an_equal_share_of_what_those_before_it_left() {
        let mut budget = Budget::new();
        budget.begin(4);
        assert_eq!(budget.next(usize::MAX), 256 << 20);
        budget.read(1 << 20);
        budget.begin(3);
        assert_eq!(budget.next(usize::MAX), 341 << 20);
        budget.read(341 << 20);
        assert!(budget.next(1) == 0 && budget.is_over());
        budget.begin(2);
        assert_eq!(budget.next(1 << 20), 1 << 20);
        assert!(!budget.is_over());
    }

    #[test]
    fn lines_are_looked_at_up_to_a_share_and_a_few_of_each_log_always() {
        let mut budget = Budget::new();
        budget.begin(2);
        let line = [b'x'; 1024 - LINE as usize];
        assert_eq!((0..10_000).take_while(|_| budget.line(&line)).count(), 2048);
        assert!(budget.is_over() && budget.next(1) == 0);
        budget.begin(1);
        assert_eq!((0..10_000).take_while(|_| budget.line(&line)).count(), 2048);
        budget.begin(1);
        assert_eq!((0..10_000).take_while(|_| budget.line(&line)).count(), 4);
    }

    #[test]
    fn waiting_for_another_process_is_nobodys_share() {
        let mut budget = Budget::new();
        budget.began.1 -= 2.0;
        budget.begin(1);
        budget.began.1 -= 2.0;
        assert!(budget.deadline().is_over());
        budget.waited(2.0);
        assert!(!budget.deadline().is_over() && budget.next(1 << 20) == 1 << 20);
    }

    #[test]
    fn of_each_log_the_newest_is_read_though_time_is_up() {
        let mut budget = Budget { began: (-9.0, -9.0), ..Budget::new() };
        budget.begin(3);
        assert_eq!(budget.next(usize::MAX) as u64, LEAST_BYTES);
        budget.read(1);
        assert_eq!(budget.next(usize::MAX), 0);
        assert!(budget.is_over());
    }
}
