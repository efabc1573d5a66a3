//! A line that proves something, with what is kept of it.

use super::records::{Record, RecordText};
use super::timestamp::Stamps;
use super::wordings;
use super::wordings::{LogEntry, Proved};
use crate::core::model::process::Comm;
use crate::diagnose::findings::Witness;

/// A line that proves something.
#[derive(Debug)]
pub(super) struct Hit {
    pub(super) t: Option<f64>,
    pub(super) proved: Proved,
    /// The program that wrote it.
    pub(super) tag: String,
    pub(super) body: String,
    pub(super) source: String,
    pub(super) witness: Witness,
}

/// What a line proves, with all that is kept of it. `kernel` is on whose word a line of the kernel's stands
/// in that source.
pub(super) fn hit(
    t: Option<f64>,
    entry: &LogEntry<'_>,
    (source, kernel): (&str, Witness),
) -> Option<Hit> {
    let proved = wordings::read(entry)?;
    let witness = match proved.by_kernel {
        true if entry.tag == "kernel" => kernel,
        // kubelet's, or who calls himself so.
        true => Witness::SaidToBeKernel,
        false => Witness::Program,
    };
    let (tag, body) = (entry.tag.to_owned(), entry.body.to_owned());
    Some(Hit { t, proved, tag, body, source: source.to_owned(), witness })
}

/// Who tells of kills in containers.
const TELLERS: [&str; 7] =
    ["containerd", "dockerd", "docker", "podman", "kubelet", "conmon", "crio"];

/// The record that a line is, or that stands in it behind what syslog writes.
pub(super) fn record(line: &str, entry: &LogEntry<'_>, stamps: &Stamps) -> Option<Record> {
    if entry.of_client || entry.tag == "kernel" {
        return None;
    }
    let record = Record::of(line, stamps).or_else(|| Record::of(entry.body, stamps));
    // These tell of a container's end as of anything else, at any level; rows have their words for it.
    let tells = TELLERS.contains(&entry.tag);
    record.filter(|record| !tells || !record.said.is_empty())
}

/// What the first of a record's messages that proves something does.
pub(super) fn hit_in(
    record: Record,
    t: Option<f64>,
    entry: &LogEntry<'_>,
    witness: (&str, Witness),
) -> Option<Hit> {
    let hit_of = |said: RecordText| {
        hit(t, &LogEntry { body: &said.line, above: &said.above, ..*entry }, witness)
    };
    record.said.into_iter().find_map(hit_of)
}

/// A program's name without its path and what it does there: `/usr/sbin/CRON`, `postfix/master`. A path
/// that the kernel may have cut stays whole: what it was is told by what runs.
pub(super) fn program(who: &str) -> String {
    let who = who.trim();
    if who.starts_with('/') && who.len() == Comm::MAX {
        return who.to_owned();
    }
    let name = match who.split_once('/') {
        Some(("postfix" | "postfix-out", _)) => "postfix",
        _ => who.rsplit('/').next().unwrap_or(who),
    };
    let name = match name {
        "CRON" | "crond" => "cron",
        "" => "?",
        name => name,
    };
    name.chars().take(48).collect()
}
