//! A ceiling is a limit that can fail a fork or bring the OOM killer; a memory failure is one of these
//! happening.

mod kinds;

pub use kinds::{CeilingKind, Effect, FilledBy, ReadFrom, Unit};

use crate::core::model::process::ProcId;
use std::fmt;

/// Where a limit stands: a cgroup's path, a user; at most 61 bytes of it, the end where it is longer.
///
/// Of fixed size, so that a sample's ceilings and a forecast are copied without allocating.
/// [`fmt::Display`] writes it safe for a terminal.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Place {
    bytes: [u8; Self::MAX],
    len: u8,
    cut: bool,
}

impl Place {
    /// Bytes kept.
    pub const MAX: usize = 61;
    /// The machine as a whole, or a tree as such.
    pub const NONE: Self = Self { bytes: [0; Self::MAX], len: 0, cut: false };

    /// Keeps the last 61 bytes of `text`: of a cgroup's path they tell most.
    pub fn new(text: &str) -> Self {
        let whole = text.strip_prefix("...");
        let text = whole.unwrap_or(text);
        let cut = text.len().saturating_sub(Self::MAX);
        let tail = text.as_bytes().get(text.ceil_char_boundary(cut)..).unwrap_or_default();
        let mut place = Self { cut: cut > 0 || whole.is_some(), ..Self::NONE };
        for (slot, byte) in place.bytes.iter_mut().zip(tail) {
            *slot = *byte;
        }
        place.len = tail.len().min(Self::MAX) as u8;
        place
    }

    /// Whether it says nothing.
    pub fn is_none(&self) -> bool {
        self.len == 0
    }

    /// The text kept, as it is; `...` stands before it where the beginning was cut off.
    pub fn parts(&self) -> (&'static str, &str) {
        let bytes = self.bytes.get(..usize::from(self.len)).unwrap_or_default();
        let dots = if self.cut { "..." } else { "" };
        (dots, std::str::from_utf8(bytes).unwrap_or_default())
    }

    /// The same as one text, not escaped: for formats that escape by themselves.
    pub fn plain(&self) -> impl fmt::Display {
        let (dots, text) = self.parts();
        fmt::from_fn(move |f| write!(f, "{dots}{text}"))
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::NONE
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (dots, text) = self.parts();
        f.write_str(dots)?;
        text.chars().try_for_each(|c| match c.is_control() {
            true => write!(f, "{}", c.escape_default()),
            false => write!(f, "{c}"),
        })
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{self}\"")
    }
}

/// A limit, as it stands in one sample.
///
/// RAM and the machine's commit limit are not listed: they follow from
/// [`Memory`](crate::core::model::sample::Memory).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ceiling {
    /// What it is.
    pub kind: CeilingKind,
    /// The root of the tree that it limits; none where it limits everybody. A limit over several
    /// trees is listed once for each.
    pub root: Option<ProcId>,
    /// Where it stands: the cgroup's path, or the user; nothing for a budget and for the machine's.
    pub place: Place,
    /// Used under it, in its unit; of memory without what the kernel can drop at once (file pages).
    pub used: u64,
    /// The limit in its unit.
    pub limit: u64,
}

impl Ceiling {
    /// What is left below it, in its unit.
    pub fn headroom(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Whether it is a limit on the memory of processes beyond which something ends, is refused or is
    /// over budget. Beyond `memory.high` they are only slowed down.
    pub fn is_hard_memory_limit(&self) -> bool {
        self.kind.filled_by() == FilledBy::Footprints
            && self.kind.effect() != Effect::Throttled
            && self.limit > 0
    }
}

/// Where the ceilings of a sample were read, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CeilingSources {
    /// For each ceiling, in the sample's order, the file that it was read from.
    pub files: Vec<String>,
    /// Limits that are absent, each with the reason, and what to know of those that are there.
    pub notes: Vec<CeilingNote>,
}

/// A remark on a kind of ceiling.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CeilingNote {
    /// What it is about.
    pub about: &'static str,
    /// A sentence.
    pub text: String,
}

/// What has begun to happen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemoryFailureKind {
    /// The OOM killer ended a process.
    OomKill,
    /// A fork, or an allocation that a fork needs, was refused.
    Refused,
    /// Everybody waited for memory; the count is the share of the last 10 seconds in percent.
    Stalled,
}

/// What the kernel counted before leakwatch looked, since the machine, the container or the cgroup began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastFailures {
    /// What happened.
    pub kind: MemoryFailureKind,
    /// At which limit.
    pub ceiling: CeilingKind,
    /// The cgroup; empty of a container's counters.
    pub place: Place,
    /// How often.
    pub count: u64,
    /// The file that counts it.
    pub file: String,
}

impl MemoryFailureKind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::OomKill, Self::Refused, Self::Stalled];

    /// The name used in recordings and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::OomKill => "oom-kill",
            Self::Refused => "refused",
            Self::Stalled => "stalled",
        }
    }

    /// The kind of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A sign that the end has begun: the kernel counted it since the sample before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MemoryFailure {
    /// What happened.
    pub kind: MemoryFailureKind,
    /// Under which ceiling.
    pub ceiling: CeilingKind,
    /// The root of the tree that it struck; none where that is not known.
    pub root: Option<ProcId>,
    /// Where that ceiling stands.
    pub place: Place,
    /// How often since the sample before.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_long_path_the_end_is_kept_and_comes_back_from_its_own_text() {
        let long = format!("/{}/apache2.service", "x".repeat(80));
        let place = Place::new(&long);
        assert!(place.to_string().starts_with("...x") && place.to_string().ends_with(".service"));
        assert_eq!(Place::new(&place.to_string()), place);
        assert_eq!(Place::new("/a\u{1b}b").to_string(), "/a\\u{1b}b");
        assert_eq!(Place::new(&"é".repeat(40)).parts(), ("...", &*"é".repeat(30)));
    }
}
