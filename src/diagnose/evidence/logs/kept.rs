//! Kept: lines that count only beside others, of which each log has its own share.

/// The most that are kept of all logs, as each is compared with others; of each log some, whatever the others had.
const MOST: usize = 4096;
const LEAST: usize = 16;

/// What is kept.
#[derive(Debug)]
pub(super) struct KeptLines<T> {
    all: Vec<T>,
    /// How many there may be at the end of the present log.
    most: usize,
    is_over: bool,
}

impl<T> Default for KeptLines<T> {
    fn default() -> Self {
        Self { all: Vec::new(), most: MOST, is_over: false }
    }
}

impl<T> KeptLines<T> {
    /// Begins a log, with an equal share of what those before it left; there are `left` of them that are not read,
    /// this one included.
    pub(super) fn begin(&mut self, left: usize) {
        let share = MOST.saturating_sub(self.all.len()) / left.max(1);
        self.most = self.all.len() + share.max(LEAST);
        self.is_over = false;
    }

    /// Keeps one, if the present log's share allows; else gives it back.
    pub(super) fn push(&mut self, one: T) -> Option<T> {
        self.is_over |= self.all.len() >= self.most;
        if self.is_over {
            return Some(one);
        }
        self.all.push(one);
        None
    }

    pub(super) fn iter(&self) -> std::slice::Iter<'_, T> {
        self.all.iter()
    }

    pub(super) fn take(&mut self) -> Vec<T> {
        std::mem::take(&mut self.all)
    }

    /// Whether something of the present log was left out.
    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}
