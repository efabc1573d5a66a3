//! The words that all reports share: a time, a process, a ceiling, and the little grammar that
//! sentences need.

use crate::core::model::ceiling::{CeilingKind, Place};
use crate::core::model::process::{Comm, ProcId};
use crate::core::model::verdict::FindingScope;
use crate::core::unit_names::UnitNames;
use std::fmt;

/// How lines are dressed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Colour the word that says what a line is.
    pub colour: bool,
    /// Nothing is signalled: orders say so.
    pub dry_run: bool,
}

/// The colour of what needs an admin.
pub(crate) const RED: &str = "\x1b[1;31m";
/// The colour of what may need one soon.
pub(crate) const YELLOW: &str = "\x1b[33m";
/// The colour of good news.
pub(crate) const GREEN: &str = "\x1b[32m";
/// The end of a colour.
pub(crate) const RESET: &str = "\x1b[0m";

/// A Unix time as RFC 3339, UTC, whole seconds.
#[derive(Clone, Copy, Debug)]
pub struct TimeOfDay(pub f64);

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A recording may hold any number; jiff knows times up to the year 9999.
        jiff::Timestamp::from_second(self.0 as i64).unwrap_or(jiff::Timestamp::MAX).fmt(f)
    }
}

/// A process as `apache2[2291]`, a tree as `apache2(812)`, by its root.
#[derive(Clone, Copy, Debug)]
pub struct Subject {
    comm: Comm,
    id: ProcId,
    scope: FindingScope,
}

impl Subject {
    /// What a finding is about.
    pub(crate) fn of(comm: Comm, id: ProcId, scope: FindingScope) -> Self {
        Self { comm, id, scope }
    }

    /// The tree below a root.
    pub fn tree(comm: Comm, id: ProcId) -> Self {
        Self { comm, id, scope: FindingScope::Tree }
    }

    /// One process.
    pub fn process(comm: Comm, id: ProcId) -> Self {
        Self { comm, id, scope: FindingScope::Process }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.scope {
            FindingScope::Process => write!(f, "{}[{}]", self.comm, self.id.pid),
            FindingScope::Tree => write!(f, "{}({})", self.comm, self.id.pid),
        }
    }
}

/// A ceiling with its place: "pids.max of cgroup /system.slice/apache2.service".
#[derive(Clone, Copy, Debug)]
pub struct CeilingName(pub CeilingKind, pub Place);

impl fmt::Display for CeilingName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.title())?;
        if !self.1.is_none() {
            write!(f, " {}", self.1)?;
        }
        Ok(())
    }
}

/// A ceiling by the unit or container whose limit it is, where that is known: "the memory limit of
/// container shop-php".
#[derive(Clone, Copy, Debug)]
pub struct NamedCeiling<'n>(pub CeilingKind, pub Place, pub &'n UnitNames);

impl fmt::Display for NamedCeiling<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(kind, place, names) = *self;
        let Some(name) = names.at(place) else { return CeilingName(kind, place).fmt(f) };
        let limit = kind.title().strip_suffix(" of cgroup").unwrap_or("the memory limit");
        let what = if name.unit().is_some() { "unit " } else { "" };
        write!(f, "{limit} of {what}{name}")
    }
}

/// A number with its noun: "1 worker", "3 workers". The plural is regular, or that of `process`.
pub fn plural(n: u64, noun: &str) -> String {
    match n {
        1 => format!("1 {noun}"),
        n if noun.ends_with("ss") => format!("{n} {noun}es"),
        n => format!("{n} {noun}s"),
    }
}

/// A list as a sentence has it: "a", "a and b", "a, b and c".
pub fn list(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular_and_a_process_has_processes() {
        assert_eq!(plural(1, "process tree"), "1 process tree");
        assert_eq!(plural(2, "process"), "2 processes");
        assert_eq!(plural(0, "worker"), "0 workers");
    }

    #[test]
    fn a_list_has_commas_and_one_and() {
        let items = ["a", "b", "c"].map(str::to_owned);
        assert_eq!(["", "a", "a and b", "a, b and c"], [0, 1, 2, 3].map(|n| list(&items[..n])));
    }

    #[test]
    fn a_time_is_in_whole_seconds_and_never_out_of_range() {
        assert_eq!(TimeOfDay(1_700_000_000.9).to_string(), "2023-11-14T22:13:20Z");
        assert_eq!(TimeOfDay(f64::NAN).to_string(), "1970-01-01T00:00:00Z");
        assert!(TimeOfDay(1e300).to_string().starts_with("9999-12-3"));
    }
}
