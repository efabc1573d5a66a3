//! Meter: one ceiling's headroom over time, and the trend of its own.
//!
//! What a ceiling loses is more than its leakers' growth: kernel memory, page tables, processes
//! that nobody watches. So each has a series of what is used below it, judged by the same tests as
//! a process's.

use crate::core::detect::ceilings::forecast;
use crate::core::detect::ceilings::forecast::Exhaustion;
use crate::core::detect::ceilings::tree_forecasts::LastForecast;
use crate::core::detect::constants::{Constants, LEVELS, RING, WINDOWS};
use crate::core::detect::sample_clock::{SampleClock, SampleTime, block};
use crate::core::detect::series::block_minima::{GrowthWindow, Series, TestThresholds};
use crate::core::detect::verdict::{JudgeContext, ProcessLife};
use crate::core::model::assessment::FindingReason;
use crate::core::model::ceiling::{CeilingKind, FilledBy, Place, Unit};
use crate::core::model::sample::ProcId;
use crate::core::model::units::MIB;

/// Which ceiling: of the machine, of a place such as a cgroup, or of one tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CeilingId {
    /// What it is.
    pub kind: CeilingKind,
    /// Where it stands; several trees may be below it.
    pub place: Place,
    /// The root of the tree that it limits, where that alone tells which it is.
    pub root: Option<ProcId>,
}

/// What is left below a ceiling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Headroom {
    /// Which ceiling.
    pub kind: CeilingKind,
    /// Where it stands.
    pub place: Place,
    /// Left below it, in its unit.
    pub left: u64,
    /// The ceiling itself, in its unit.
    pub limit: u64,
}

/// Share of a ceiling on memory, and bytes at most, that count as gone already: MemAvailable is
/// worth no more, and the kernel needs some to fork.
const RESERVE: (f64, u64) = (0.05, 256 * MIB);

impl Headroom {
    /// What is left that can be counted on: bytes, at least a page, or tasks, at least one.
    pub fn usable(&self) -> f64 {
        match self.kind.unit() {
            Unit::Bytes => {
                let reserve = (RESERVE.0 * self.limit as f64).min(RESERVE.1 as f64);
                (self.left as f64 - reserve).max(4096.0)
            }
            Unit::Tasks => (self.left as f64).max(1.0),
        }
    }
}

/// One ceiling: what is left now, its mean over the last blocks of every level, and its trend.
pub struct CeilingUsage {
    id: CeilingId,
    now: Headroom,
    levels: Box<[UsageScale; LEVELS]>,
    used: Box<Series>,
    samples: u32,
    /// Tasks of processes that were ordered to end, and did. They are counted on in the series: it
    /// shows what comes, not what was taken away.
    ended: u64,
    trend: Option<UsageTrend>,
    nearing_s: f64,
    told: Option<LastForecast>,
}

/// A ceiling that comes nearer steadily.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UsageTrend {
    /// When it is reached, as seen when it was last judged.
    ends: Exhaustion,
    /// What was left then, and how much its evidence had grown by.
    left: f64,
    growth: f64,
    /// Finest blocks until which that holds.
    until: u64,
}

/// A trend is over when so much of what its evidence grew by has come back at once.
const BROKEN: f64 = 0.5;

#[derive(Clone, Copy, Default)]
struct UsageScale {
    means: [f64; RING + 1],
    /// Of each length of window: reckoned once, as every process that grows asks for them.
    thirds: [(f64, f64); WINDOWS.len()],
    len: u8,
    pending: Option<f64>,
    last: u64,
}

/// By what a meter judges.
pub struct UsageContext<'a> {
    /// The thresholds.
    pub constants: &'a Constants,
    /// Time and samples.
    pub clock: &'a SampleClock,
    /// For memory.
    pub bytes: &'a TestThresholds,
    /// For tasks.
    pub tasks: &'a TestThresholds,
}

impl CeilingUsage {
    /// A ceiling at first sight; `page_size` is the unit of its series, if it is one of memory.
    pub fn new(id: CeilingId, page_size: f64) -> Self {
        let CeilingId { kind, place, .. } = id;
        let unit = if kind.unit() == Unit::Bytes { page_size } else { 1.0 };
        Self {
            id,
            now: Headroom { kind, place, left: 0, limit: 0 },
            levels: Box::new([UsageScale::default(); LEVELS]),
            used: Box::new(Series::new(unit)),
            samples: 0,
            ended: 0,
            trend: None,
            nearing_s: f64::INFINITY,
            told: None,
        }
    }

    /// Which ceiling it is of.
    pub fn id(&self) -> CeilingId {
        self.id
    }

    /// What is left now.
    pub fn headroom(&self) -> Headroom {
        self.now
    }

    /// What makes it come nearer.
    pub fn fill(&self) -> FilledBy {
        self.id.kind.fill()
    }

    /// How it comes nearer, if it does so steadily and soon enough to be sure of it.
    pub fn trend(&self) -> Option<Exhaustion> {
        let UsageTrend { ends, left, .. } = self.trend?;
        // As far as it has come since.
        Some(ends.scaled(self.now.left as f64 / left.max(1.0), self.now.left))
    }

    /// Seconds until it is reached if a growth goes on that is not yet evidence of anything:
    /// reason enough to look more often. Infinite without one.
    pub fn nearing_s(&self) -> f64 {
        self.nearing_s
    }

    /// Whether its trend was told.
    pub fn is_told(&self) -> bool {
        self.told.is_some()
    }

    /// What was said of its trend.
    pub fn told(&mut self) -> &mut Option<LastForecast> {
        &mut self.told
    }

    /// The part of what this ceiling lost over the last `blocks` blocks of a level that `growth`
    /// makes up; 1 where that is all of it or not yet known.
    pub fn share(&self, level: usize, blocks: usize, growth: f64) -> f64 {
        let then = self.levels.get(level).and_then(|level| level.ago(blocks));
        let lost = then.map_or(0.0, |then| then - self.now.left as f64);
        if lost <= growth { 1.0 } else { growth / lost }
    }

    /// Mean headroom over the first and the last third of a window, if it was watched that long.
    pub fn thirds(&self, level: usize, blocks: usize) -> Option<(f64, f64)> {
        let level = self.levels.get(level)?;
        let which = WINDOWS.iter().position(|length| *length == blocks)?;
        (usize::from(level.len) >= blocks).then(|| level.thirds[which])
    }

    /// A process with so many tasks was ordered to end, and did.
    pub fn ended(&mut self, tasks: u32) {
        if self.fill() == FilledBy::Tasks {
            self.ended += u64::from(tasks);
        }
    }

    /// Takes in how it stands.
    pub fn push(
        &mut self,
        moment: &SampleTime,
        (used, limit): (u64, u64),
        measure: &UsageContext<'_>,
        windows: &mut Vec<GrowthWindow>,
    ) {
        let left = limit.saturating_sub(used);
        self.now = Headroom { left, limit, ..self.now };
        self.samples = self.samples.saturating_add(moment.samples());
        self.average(moment, left as f64);
        let thresholds = match self.id.kind.unit() {
            Unit::Bytes => measure.bytes,
            Unit::Tasks => measure.tasks,
        };
        let judged = self.used.push(moment, used + self.ended, 0.0, thresholds);
        if judged {
            self.trend = self.look(moment.now, measure, windows).or(self.trend);
        }
        let stands = |trend: &UsageTrend| {
            let reclaimed = self.now.left as f64 - trend.left;
            trend.until >= moment.now && reclaimed < BROKEN * trend.growth
        };
        self.trend = self.trend.filter(stands);
    }

    fn average(&mut self, moment: &SampleTime, left: f64) {
        let mut mean = left;
        for (index, level) in self.levels.iter_mut().enumerate().skip(moment.level) {
            if moment.now.saturating_sub(level.last) > 3 * block(index) {
                *level = UsageScale::default();
            }
            level.last = moment.now;
            level.means.copy_within(1.., 0);
            level.means[RING] = mean;
            level.len = (level.len + 1).min(RING as u8 + 1);
            level.thirds = WINDOWS.map(|blocks| level.thirds_of(blocks));
            let Some(half) = level.pending.take() else {
                level.pending = Some(mean);
                break;
            };
            mean = f64::midpoint(mean, half);
        }
    }

    /// The trend, where one of its windows is urgent: watched for a sixth (`--max_extrapolation`) of the time
    /// that is left, at least.
    fn look(
        &mut self,
        now: u64,
        measure: &UsageContext<'_>,
        windows: &mut Vec<GrowthWindow>,
    ) -> Option<UsageTrend> {
        let UsageContext { constants, clock, .. } = *measure;
        let scale = JudgeContext { constants, clock, ceiling_usage: self, crowd: 1.0 };
        windows.clear();
        windows.extend(self.used.candidates(now).filter(|window| scale.is_steady(window)));
        let ends_s = |window: &GrowthWindow| self.now.left as f64 / scale.slope(window);
        let nearing_s = windows.iter().map(ends_s).fold(f64::INFINITY, f64::min);
        let life = ProcessLife { samples: self.samples, age_s: f64::INFINITY };
        let is_urgent =
            |window: &&GrowthWindow| scale.convicts(window, life) == Some(FindingReason::Urgent);
        let urgent = windows.iter().rev().find(is_urgent).copied();
        let seconds = |blocks| clock.seconds(blocks);
        let ends = forecast::of_windows(windows, self, constants.max_extrapolation, seconds);
        self.nearing_s = nearing_s;
        let (urgent, left) = (urgent?, self.now.left as f64);
        let (growth, until) = (urgent.shape.growth(), now + urgent.window / 2);
        Some(UsageTrend { ends: ends?, left, growth, until })
    }
}

impl UsageScale {
    fn thirds_of(&self, blocks: usize) -> (f64, f64) {
        let (means, third) = (&self.means[RING + 1 - blocks..], blocks / 3);
        let mean = |means: &[f64]| means.iter().sum::<f64>() / third as f64;
        (mean(&means[..third]), mean(&means[blocks - third..]))
    }

    fn ago(&self, blocks: usize) -> Option<f64> {
        // `means[RING]` is the newest; the block that began the window is `blocks - 1` before it.
        (usize::from(self.len) >= blocks).then(|| self.means[RING + 1 - blocks])
    }
}
