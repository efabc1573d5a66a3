//! A setting, and where it comes from.

use std::fmt;
use std::path::PathBuf;

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Origin {
    /// A line of a file.
    File {
        /// Its path.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
    },
    /// A variable of the environment.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// A setting, with its values as they would be typed.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ConfigSetting {
    /// The name of the option, without dashes.
    pub(super) key: String,
    /// Its values; none for a switch that is off.
    pub(super) values: Vec<String>,
    /// Where it comes from.
    pub(super) origin: Origin,
}
