//! Requests: which request leaks, from what each worker served and how much more it then had in use.
//!
//! A [`Ledger`] takes in looks at the bytes in use of each worker (not at the footprint: a heap that keeps
//! what was freed grows when the next large block is wanted, and blames the request that wants it) and the
//! requests between them, by [`fold`]ed path. Its [`Answer`] comes from least squares without negative
//! coefficients, and an interval from 200 systems of blocks of rows, drawn with replacement.
//!
//! It names a request only where that one carries more than half of the growth. What [`Sure`](Confidence::Sure)
//! and [`Likely`](Confidence::Likely) mean was measured by simulation (`simulated.rs`: 16 requests of which one
//! leaks, none, two alike, or one that always comes with another; 2 to 6 workers, a minute; 2000 seeds each):
//! 3 wrong ones of 8000 were sure and 46 were likely; of 2000 that leaked 1418 were sure, 283 likely, and the
//! interval held the true bytes in 1617. A cache of one request's that fills by 39 to 71 % within the look
//! was sure 11 times in 2000: in that time it is a leak's beginning. Real servers: `benches/requests.rs`.
//!
//! Status pages are no source. Of 13 requests a second and worker, a page asked every 2.5 s (4 a second) named
//! 2 % (21 %) with mod_status; php-fpm's names the script, which of most applications is one for all paths; and
//! uWSGI's stats name what runs at the look: 1 request of 784. Simulated, of 200 leaks a page every 2.5 s and
//! every second named none and 1; one asked 4 times a second, which is 240 requests of the server's own, made
//! 4 sure and 46 likely, where the log made 127 and 30.

mod judge;
mod least_squares;
mod ledger;
mod path;
#[cfg(test)]
mod simulated;
mod system;

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

impl Answer {
    /// Its name in JSON: "sure", "likely" or "not-yet".
    pub fn name(&self) -> &'static str {
        match self {
            Self::Named(culprit) => culprit.confidence.name(),
            Self::NotYet(_) => "not-yet",
        }
    }

    /// Whether a request is named for sure.
    pub fn is_sure(&self) -> bool {
        matches!(self, Self::Named(culprit) if culprit.confidence == Confidence::Sure)
    }

    /// Why no request is named.
    pub fn why_not(&self) -> Option<&'static str> {
        match self {
            Self::Named(_) => None,
            Self::NotYet(why) => Some(why.name()),
        }
    }
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
    /// Said in at most one of fifty minutes in which no request carries more than half.
    Likely,
    /// The same in one of a thousand, and the bytes are right within a fifth.
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
