//! Lines: the output of a running command, awaited line by line with a deadline.

use std::io::{BufRead, BufReader, Read};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

/// One line, without its end, and when it arrived.
#[derive(Clone)]
pub struct Line {
    pub at: Instant,
    pub bytes: Vec<u8>,
}

impl Line {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

#[derive(Default)]
struct State {
    lines: Vec<Line>,
    closed: bool,
}

/// A pipe that a thread of its own reads to the end; every line is kept.
#[derive(Clone)]
pub struct Lines(Arc<(Mutex<State>, Condvar)>);

impl Lines {
    pub fn of(pipe: impl Read + Send + 'static) -> Self {
        let lines = Self(Arc::default());
        let writer = lines.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(pipe).split(b'\n') {
                let Ok(bytes) = line else { break };
                writer.change(|state| state.lines.push(Line { at: Instant::now(), bytes }));
            }
            writer.change(|state| state.closed = true);
        });
        lines
    }

    fn change(&self, f: impl FnOnce(&mut State)) {
        let (state, changed) = &*self.0;
        f(&mut state.lock().unwrap());
        changed.notify_all();
    }

    /// All lines so far.
    pub fn all(&self) -> Vec<Line> {
        self.0.0.lock().unwrap().lines.clone()
    }

    /// All lines so far as one text.
    pub fn text(&self) -> String {
        self.all().iter().map(|line| line.text() + "\n").collect()
    }

    /// Waits until `done` says something of the lines so far, the pipe has closed or the time is up.
    pub fn wait_for<T>(&self, within: Duration, done: impl Fn(&[Line]) -> Option<T>) -> Option<T> {
        let end = Instant::now() + within;
        let (state, changed) = &*self.0;
        let mut state = state.lock().unwrap();
        loop {
            if let Some(value) = done(&state.lines) {
                return Some(value);
            }
            let left = end.saturating_duration_since(Instant::now());
            if state.closed || left.is_zero() {
                return None;
            }
            state = changed.wait_timeout(state, left).unwrap().0;
        }
    }

    /// The first line that `matches`, old or new; panics with everything said when none comes.
    pub fn expect_line(
        &self,
        within: Duration,
        what: &str,
        matches: impl Fn(&str) -> bool,
    ) -> Line {
        self.wait_for(within, |lines| lines.iter().find(|line| matches(&line.text())).cloned())
            .unwrap_or_else(|| {
                panic!("no line {what} within {within:?}; it said:\n{}", self.text())
            })
    }

    /// Whether every process that held the other end of the pipe has ended.
    pub fn is_closed(&self) -> bool {
        self.0.0.lock().unwrap().closed
    }

    /// Waits until every process that holds the other end of the pipe has ended.
    pub fn wait_closed(&self, within: Duration) -> bool {
        let (state, changed) = &*self.0;
        let state = state.lock().unwrap();
        changed.wait_timeout_while(state, within, |state| !state.closed).unwrap().0.closed
    }
}
