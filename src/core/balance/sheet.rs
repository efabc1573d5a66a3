//! The balance sheet: lines with their trends, what grows first.

use crate::core::balance::directories::Largest;
use crate::core::balance::trend::{LineGrowth, Trend};
use crate::core::model::event::SOON_S;
use crate::core::model::memory_line::{LineKind, Nature};
use crate::core::model::units::MIB;

/// A line that grew by less than this is no finding.
const LEAST_FINDING: f64 = (4 * MIB) as f64;

/// Where all memory is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sheet {
    /// The cgroup; empty for the machine.
    pub place: String,
    /// Bytes that there are, or that the cgroup is charged with.
    pub total: u64,
    /// What is left.
    pub headroom: u64,
    /// Readings that the trends rest on.
    pub readings: u32,
    /// The lines: what grows first, then the largest.
    pub lines: Vec<SheetLine>,
    /// What could not be read, and what is lost by it.
    pub notes: Vec<String>,
}

/// A line with its trend.
#[derive(Clone, Debug, PartialEq)]
pub struct SheetLine {
    /// Which.
    pub kind: LineKind,
    /// How much.
    pub bytes: u64,
    /// How it moved; none of one reading.
    pub trend: Option<Trend>,
    /// Its bytes over time.
    pub points: Vec<(f64, f64)>,
    /// What it consists of, as far as that is known: what grows most first.
    pub parts: Vec<SheetPart>,
}

/// A part of a line.
#[derive(Clone, Debug, PartialEq)]
pub struct SheetPart {
    /// What it is, as it was found.
    pub name: String,
    /// How much.
    pub bytes: u64,
    /// The most that it may be.
    pub limit: Option<u64>,
    /// Who has it.
    pub note: String,
    /// Bytes a second that it changed by; none of one reading.
    pub rate: Option<f64>,
    /// Its directory that grew most, or is the largest.
    pub directory: Option<Largest>,
}

impl Sheet {
    /// What grows first, then the largest.
    pub(super) fn sort(&mut self) {
        let key = |line: &SheetLine| {
            let grows = line.grows() && line.kind.nature() == Nature::Held;
            (grows, if grows { line.rate() } else { line.bytes as f64 })
        };
        self.lines.sort_by(|a, b| {
            let (a, b) = (key(a), key(b));
            b.0.cmp(&a.0).then(b.1.total_cmp(&a.1))
        });
    }

    /// The line of that kind.
    pub fn line(&self, kind: LineKind) -> Option<&SheetLine> {
        self.lines.iter().find(|line| line.kind == kind)
    }

    /// Lines outside processes that grow steadily, no pressure brings back, and that end memory
    /// within two days.
    pub fn findings(&self) -> Vec<&SheetLine> {
        let is_finding = |line: &&SheetLine| {
            let steady = line.trend.filter(|trend| trend.growth == LineGrowth::Steady);
            line.kind.nature() == Nature::Held
                && steady.is_some_and(|trend| trend.rise >= LEAST_FINDING)
                && line.lasts_s(self).is_some_and(|lasts_s| lasts_s < SOON_S)
        };
        self.lines.iter().filter(is_finding).collect()
    }
}

impl SheetLine {
    /// Whether its floor rises.
    pub fn grows(&self) -> bool {
        self.trend.is_some_and(|trend| trend.growth > LineGrowth::None)
    }

    /// Bytes a second that it changed by.
    pub fn rate(&self) -> f64 {
        self.trend.map_or(0.0, |trend| trend.rate)
    }

    /// The part that explains most of its growth: half of it at least. Who holds deleted files is told
    /// rather than the mount on which they take room.
    pub fn culprit(&self) -> Option<&SheetPart> {
        let explains = |part: &&SheetPart| {
            self.grows() && part.rate.is_some_and(|rate| rate >= 0.5 * self.rate())
        };
        let mut parts = self.parts.iter().filter(explains);
        parts.clone().find(|part| part.limit.is_none()).or_else(|| parts.next())
    }

    /// Seconds until what is left is used up, or what grows is full, at its rate; none if it does not
    /// grow, or is full before memory is.
    pub fn lasts_s(&self, sheet: &Sheet) -> Option<f64> {
        if !self.grows() || self.rate() <= 0.0 {
            return None;
        }
        let full =
            self.parts.first().filter(|_| self.culprit().is_some()).and_then(SheetPart::room);
        let is_bounded = full.is_some_and(|room| room < sheet.headroom);
        (!is_bounded).then(|| sheet.headroom as f64 / self.rate())
    }
}

impl SheetPart {
    /// Bytes that it may still grow by, where it has a limit.
    pub fn room(&self) -> Option<u64> {
        self.limit.map(|limit| limit.saturating_sub(self.bytes))
    }
}
