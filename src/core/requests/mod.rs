//! Requests: which request leaks, from what each worker served and how much more it then had in use.
//!
//! A [`Ledger`] takes in looks at the bytes in use of each worker (not at the footprint: a heap that keeps
//! what was freed grows when the next large block is wanted, and blames the request that wants it) and the
//! requests between them, by [`fold`]ed path. Its [`Answer`] comes from least squares without negative
//! coefficients, and an interval from 200 systems of blocks of rows, drawn with replacement.
//!
//! It names a request only where that one carries more than half of the growth. What [`Sure`](Confidence::Sure)
//! and [`Likely`](Confidence::Likely) mean was measured by simulation (`simulated.rs`: 16 requests of which one
//! leaks, none, two alike, or one that always comes with another; 2 to 6 workers, a minute; 200 seeds each): no
//! wrong one was sure, 6 of 800 were likely, and of 200 that leaked 146 were sure and 38 likely. A cache of
//! one request's that fills by 39 to 71 % within the look was sure 2 times in 200: in that time it is a leak's
//! beginning.

mod judge;
mod least_squares;
mod ledger;
mod path;
#[cfg(test)]
mod simulated;

pub use ledger::Ledger;
pub use path::fold;

/// Which request leaks.
#[derive(Clone, Debug, PartialEq)]
pub enum Answer {
    /// This one.
    Named(Culprit),
    /// It cannot be told, for a reason.
    NotYet(NotYet),
}

/// A request that leaks.
#[derive(Clone, Debug, PartialEq)]
pub struct Culprit {
    /// Its method and folded path: "GET /p/#".
    pub request: String,
    /// Bytes that it keeps each time.
    pub bytes: f64,
    /// The interval of this that holds the true value 95 times in 100.
    pub between: (f64, f64),
    /// Its share of the growth.
    pub share: f64,
    /// How often it was seen.
    pub hits: u64,
    /// How sure that is.
    pub confidence: Confidence,
}

/// How sure an answer is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Confidence {
    /// Wrong at most once in twenty times; another may leak beside it.
    Likely,
    /// Wrong at most once in 200 times, and the bytes are right within a fifth.
    Sure,
}

impl Confidence {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Likely => "likely",
            Self::Sure => "sure",
        }
    }
}

/// Why no request is named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotYet {
    /// Too few looks or requests.
    TooLittle,
    /// Hardly more is in use than was.
    NoGrowth,
    /// No request carries more than half of the growth.
    NoOne,
    /// Other requests, or time itself, explain the growth as well.
    NotApart,
    /// It grows less and less with each request, like a cache that fills.
    Flattens,
}

impl NotYet {
    /// Its name in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::TooLittle => "too-little-seen",
            Self::NoGrowth => "no-growth",
            Self::NoOne => "no-request-carries-half",
            Self::NotApart => "not-told-apart",
            Self::Flattens => "flattens",
        }
    }
}
