//! Access logs: which worker served which request, read from what a server appends while it is watched.
//!
//! Not by name: the logs are the regular files that the server's own processes hold open for writing, so
//! whatever paths its settings or a user name, none is followed. They are opened again, for reading, as
//! the very files that they are, and read by a helper that has given up its rights. Which word of a line is
//! the worker's pid is learned from the lines (`shape`); no setting has to be understood.

mod apart;
mod line;
mod open;
mod shape;

pub use apart::{NumberedLogs, serve};
pub use open::{OpenAccessLog, held_by};

use serde::{Deserialize, Serialize};

/// A request, and how often a worker served it since the last reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Served {
    /// The worker, by the pid that it has in its own pid namespace.
    pub pid: u32,
    /// The request, in the words of [`fold`](crate::core::requests::fold).
    pub request: String,
    /// How often.
    pub count: u32,
}

/// What a log was found to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LogNature {
    /// It has no requests, or hardly any yet.
    #[default]
    Unknown,
    /// It has requests, and no pids of these workers.
    WithoutPid,
    /// It has requests with the pids of those who served them.
    WithPid,
}

impl LogNature {
    /// Whether it has pids; not known where it has too few requests yet.
    pub fn has_pid(self) -> Option<bool> {
        match self {
            Self::Unknown => None,
            Self::WithoutPid => Some(false),
            Self::WithPid => Some(true),
        }
    }
}

/// What was read of the logs of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogReading {
    /// Who served what.
    pub served: Vec<Served>,
    /// What each of its logs was found to be.
    pub natures: Vec<LogNature>,
    /// Whether more was appended than is read at once, so that counts are too low.
    pub is_behind: bool,
}
