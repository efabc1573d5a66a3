//! One ceiling's usage over time, and whether it rises steadily by itself.
//!
//! What a ceiling loses is more than its leakers' growth: kernel memory, page tables, processes
//! that are not watched. So each has a series of what is used below it, judged by the same tests as
//! a process's.

use crate::core::detect::basis::JudgeBasis;
use crate::core::detect::ceilings::forecast::Exhaustion;
use crate::core::detect::ceilings::last_forecast::LastForecast;
use crate::core::detect::ceilings::series::{CeilingId, CeilingSeries, Headroom};
use crate::core::detect::sample_clock::SampleTime;
use crate::core::detect::series::block_minima::Series;
use crate::core::detect::series::growth_window::{GrowthWindow, GrowthWindows};
use crate::core::detect::verdict::{JudgeContext, ProcessLife};
use crate::core::model::ceiling::{FilledBy, Unit};
use crate::core::model::verdict::FindingReason;

/// One ceiling: its headroom, the series of what is used, and the trend of that.
pub struct CeilingUsage {
    series: CeilingSeries,
    used: Box<Series>,
    samples: u32,
    /// Tasks of processes that ended by order. The series still counts them, so that it shows what
    /// comes, not what was taken away.
    ended: u64,
    trend: Option<UsageTrend>,
    unproven_end_s: f64,
    last_reported: Option<LastForecast>,
}

/// A usage that rises steadily.
#[derive(Clone, Copy, Debug, PartialEq)]
struct UsageTrend {
    /// When the ceiling is reached, as computed when it was last judged.
    exhaustion: Exhaustion,
    /// What was left then, and how much its evidence had grown by.
    left: f64,
    growth: f64,
    /// Finest blocks until which that holds.
    until: u64,
}

/// A trend is over once this share of what its evidence grew by has come back.
const RECLAIMED: f64 = 0.5;

impl CeilingUsage {
    /// A ceiling at first sight; `page_size` is the unit of its series, if it is one of memory.
    pub fn new(id: CeilingId, page_size: f64) -> Self {
        let unit = if id.kind.unit() == Unit::Bytes { page_size } else { 1.0 };
        Self {
            series: CeilingSeries::new(id),
            used: Box::new(Series::new(unit)),
            samples: 0,
            ended: 0,
            trend: None,
            unproven_end_s: f64::INFINITY,
            last_reported: None,
        }
    }

    /// Its headroom over time.
    pub fn series(&self) -> &CeilingSeries {
        &self.series
    }

    /// Which ceiling it is of.
    pub fn id(&self) -> CeilingId {
        self.series.id()
    }

    /// What is left now.
    pub fn headroom(&self) -> Headroom {
        self.series.headroom()
    }

    /// What fills it.
    pub fn fill(&self) -> FilledBy {
        self.id().kind.filled_by()
    }

    /// When it is reached, if its usage rises steadily and soon enough to be sure of it.
    pub fn trend(&self) -> Option<Exhaustion> {
        let UsageTrend { exhaustion, left, .. } = self.trend?;
        let left_now = self.headroom().left;
        Some(exhaustion.scaled(left_now as f64 / left.max(1.0), left_now))
    }

    /// Seconds until it is reached if a growth goes on that proves nothing yet: reason enough to
    /// sample more often. Infinite without one.
    pub fn unproven_end_s(&self) -> f64 {
        self.unproven_end_s
    }

    /// Whether its trend was reported and not cleared since.
    pub fn is_reported(&self) -> bool {
        self.last_reported.is_some()
    }

    /// The forecast by its trend that was last reported.
    pub fn last_reported(&mut self) -> &mut Option<LastForecast> {
        &mut self.last_reported
    }

    /// A process with so many tasks ended by order.
    pub fn ended(&mut self, tasks: u32) {
        if self.fill() == FilledBy::Tasks {
            self.ended += u64::from(tasks);
        }
    }

    /// Adds what one sample shows, and judges.
    pub fn push(&mut self, moment: &SampleTime, used: u64, limit: u64, basis: &JudgeBasis) {
        self.series.push(moment, used, limit);
        self.samples = self.samples.saturating_add(moment.samples());
        let thresholds = basis.thresholds(self.id().kind.unit());
        if self.used.push(moment, used + self.ended, 0.0, thresholds) {
            self.trend = self.judge(moment.now, basis).or(self.trend);
        }
        let left = self.headroom().left as f64;
        self.trend = self.trend.filter(|trend| {
            trend.until >= moment.now && left - trend.left < RECLAIMED * trend.growth
        });
    }

    /// The trend, if one of its windows is urgent: it covers at least a sixth
    /// (`--max-extrapolation`) of the time left.
    fn judge(&mut self, now: u64, basis: &JudgeBasis) -> Option<UsageTrend> {
        let context = JudgeContext::new(basis, &self.series);
        let left = self.headroom().left as f64;
        let windows: GrowthWindows =
            self.used.growth_windows(now).filter(GrowthWindow::is_steady).collect();
        let end_s = |window: &GrowthWindow| left / context.slope(window);
        self.unproven_end_s = windows.iter().map(end_s).fold(f64::INFINITY, f64::min);
        let life = ProcessLife { samples: self.samples, age_s: f64::INFINITY };
        let is_urgent =
            |window: &&GrowthWindow| context.leak_rule(window, life) == Some(FindingReason::Urgent);
        let urgent = windows.iter().rev().find(is_urgent)?;
        Some(UsageTrend {
            exhaustion: context.exhaustion(&windows)?,
            left,
            growth: urgent.shape.growth(),
            until: now + urgent.length() / 2,
        })
    }
}
