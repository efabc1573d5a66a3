//! Open files of each process over time: which process opens more and more and closes none.
//!
//! A server under a rising load opens more connections too, so what grows with CPU use is none; and a
//! number that only touched its peak once more is none: the floor must rise.

use super::{Known, Listing};
use crate::core::balance::trend::{LineGrowth, LineTrend, Trend};
use crate::core::detect::basis::JudgeBasis;
use crate::core::detect::constants::Constants;
use crate::core::model::ceiling::Unit;
use crate::core::model::event::SOON_S;
use crate::core::model::process::{Comm, ProcId};
use std::collections::HashMap;

/// Processes whose files are counted.
const MOST: usize = 20_000;
/// More open files than this make a leak.
const LEAST_RISE: f64 = 16.0;
/// Share of the limit from which on a process is told, though nothing grows.
const NEAR: f64 = 0.8;

/// A process with its open files.
#[derive(Clone, Debug, PartialEq)]
pub struct OpenFiles {
    /// The process.
    pub id: ProcId,
    /// Its command name.
    pub comm: Comm,
    /// How many it has open.
    pub files: u32,
    /// How that moved; none of one listing.
    pub trend: Option<Trend>,
}

/// One look at a process.
#[derive(Clone, Copy, Debug)]
struct DescriptorLook {
    t: f64,
    files: u32,
    cpu_s: f64,
}

/// The open files of all processes.
#[derive(Debug, Default)]
pub(super) struct Descriptors {
    procs: HashMap<ProcId, (Comm, Vec<DescriptorLook>)>,
}

impl OpenFiles {
    /// Whether their number rises steadily.
    pub fn grows(&self) -> bool {
        self.trend.is_some_and(|t| t.growth == LineGrowth::Steady && t.rise >= LEAST_RISE)
    }

    /// Files a second.
    pub fn rate(&self) -> f64 {
        self.trend.map_or(0.0, |trend| trend.rate)
    }

    /// Seconds until so many are open.
    pub fn lasts_s(&self, limit: u64) -> Option<f64> {
        let left = limit.saturating_sub(u64::from(self.files));
        (self.grows() && self.rate() > 0.0).then(|| left as f64 / self.rate())
    }

    /// Whether the limit is reached within two days.
    pub fn is_finding(&self, limit: u64) -> bool {
        self.lasts_s(limit).is_some_and(|lasts_s| lasts_s < SOON_S)
    }

    /// Whether it is worth telling: it grows, or is near its limit.
    pub fn is_told(&self, limit: u64) -> bool {
        self.is_finding(limit) || f64::from(self.files) >= NEAR * limit as f64
    }
}

impl Descriptors {
    pub(super) fn push(&mut self, listing: &Listing, known: &HashMap<ProcId, Known>) {
        for seen in listing.procs.iter().filter(|seen| seen.files > 0) {
            if self.procs.len() >= MOST && !self.procs.contains_key(&seen.id) {
                continue;
            }
            let look = DescriptorLook { t: listing.t, files: seen.files, cpu_s: seen.cpu_s };
            let (comm, looks) = self.procs.entry(seen.id).or_default();
            *comm = seen.comm;
            looks.push(look);
        }
        self.procs.retain(|id, _| known.contains_key(id));
    }

    /// Those with a rising number, and those with most, the fastest first.
    pub(super) fn suspects(&self, interval_s: f64) -> Vec<OpenFiles> {
        let told = |(id, (comm, looks)): (&ProcId, &(Comm, Vec<DescriptorLook>))| {
            let trend = trend(looks, interval_s);
            Some(OpenFiles { id: *id, comm: *comm, files: looks.last()?.files, trend })
        };
        let mut all: Vec<OpenFiles> = self.procs.iter().filter_map(told).collect();
        all.sort_by(|a, b| {
            let rate = |of: &OpenFiles| if of.grows() { of.rate() } else { 0.0 };
            rate(b).total_cmp(&rate(a)).then(b.files.cmp(&a.files)).then(a.id.cmp(&b.id))
        });
        all
    }
}

fn trend(looks: &[DescriptorLook], interval_s: f64) -> Option<Trend> {
    let mut basis = JudgeBasis::new(Constants::default(), 4096.0, interval_s);
    let mut line = LineTrend::new(Unit::Tasks, 4096.0);
    let mut before = *looks.first()?;
    for look in looks {
        let moment = basis.clock.advance(look.t, None);
        let load = (look.cpu_s - before.cpu_s) / (look.t - before.t).max(1e-9);
        line.push_under_load(&moment, look.t, u64::from(look.files), load, &basis);
        before = *look;
    }
    line.trend(basis.clock.now())
}
