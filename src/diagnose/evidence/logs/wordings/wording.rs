//! A wording: what a line looks like, what it proves, and whose failure it was.

use crate::diagnose::findings::Failure;

/// A row: what a line looks like, what it proves, and whose failure it was.
pub(super) struct Wording {
    pub(super) kind: Kind,
    /// The message begins, goes on and ends like this; empty texts match everything.
    pub(super) begins: &'static str,
    pub(super) has: &'static str,
    pub(super) ends: &'static str,
    pub(super) proves: Proof,
    pub(super) who: Who,
}

/// Where a wording stands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// At the head of a message.
    Message,
    /// The same, also behind a client's address: a module's own words on what it did for the client.
    AlsoOfClients,
    /// In systemd's message on a unit: "a.service: Failed to fork: ..".
    Unit,
}

/// What a wording proves.
#[derive(Clone, Copy)]
pub(super) enum Proof {
    /// A fork failed, for the reason that the message gives, if it gives one.
    ForkFailed,
    /// A fork failed, if the message says that it was for lack of memory or tasks.
    ForkBecause,
    /// The program was refused memory, if the message ends with that; in a traceback of a fork, a fork
    /// failed.
    OutOfMemory,
    /// The program was refused memory, unless the lines above tell so with that text.
    NoMemoryUnlessAbove(&'static str),
    /// This failure.
    Of(Failure),
    /// The service went down, which counts after another failure of the same program.
    DownAfter,
    /// A kill, which counts unless a killer told of it.
    KilledUnlessTold,
    /// A fork failed, and is tried again.
    ForkRetried,
    /// The program's own master kills it, since it was too slow.
    OwnKill,
    /// Nothing: a later row must not match.
    Nothing,
}

/// Whose failure it was.
#[derive(Clone, Copy)]
pub(super) enum Who {
    /// The program of the syslog tag, or of the log file.
    Tag,
    /// That program, or a shell where the line has no tag.
    Shell,
    /// This program, whatever its processes are called.
    Program(&'static str),
    /// The word behind the beginning: "exited: NAME (terminated by SIGKILL".
    NextWord,
    /// What stands in double quotes.
    InQuotes,
    /// What stands in brackets, without a number: "App [NAME:0]".
    InBrackets,
    /// The container whose number the line has.
    Container,
    /// The unit that systemd names.
    Unit,
}

pub(super) const fn has(has: &'static str, proves: Proof, who: Who) -> Wording {
    Wording { kind: Kind::Message, begins: "", has, ends: "", proves, who }
}

pub(super) const fn begins(begins: &'static str, proves: Proof, who: Who) -> Wording {
    Wording { kind: Kind::Message, begins, has: "", ends: "", proves, who }
}

pub(super) const fn ends(ends: &'static str, proves: Proof, who: Who) -> Wording {
    Wording { kind: Kind::Message, begins: "", has: "", ends, proves, who }
}

/// Begins, whoever is named before it.
pub(super) const fn of(begins: &'static str, proves: Proof, who: Who) -> Wording {
    Wording { kind: Kind::AlsoOfClients, begins, has: "", ends: "", proves, who }
}

pub(super) const fn unit(begins: &'static str, has: &'static str, proves: Proof) -> Wording {
    Wording { kind: Kind::Unit, begins, has, ends: "", proves, who: Who::Unit }
}

/// A message that ends in "Cannot fork" is a shell's only if it is short.
const LONGEST_END: usize = 200;

impl Wording {
    /// Whether a text looks like this.
    pub(super) fn matches(&self, text: &str) -> bool {
        text.starts_with(self.begins)
            && text.contains(self.has)
            && (self.ends.is_empty() || (text.ends_with(self.ends) && text.len() < LONGEST_END))
    }
}
