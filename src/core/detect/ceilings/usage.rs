//! One ceiling's usage over time, and whether it rises steadily by itself.
//!
//! What a ceiling loses is more than its leakers' growth: kernel memory, page tables, processes
//! that are not watched. So each has a series of what is used below it, judged by the same tests as
//! a process's.

use crate::core::detect::basis::JudgeBasis;
use crate::core::detect::forecast::ceiling_series::{CeilingId, CeilingSeries, Headroom};
use crate::core::detect::forecast::exhaustion::Exhaustion;
use crate::core::detect::forecast::last_forecast::LastForecast;
use crate::core::detect::sample_clock::SampleTime;
use crate::core::detect::series::block_minima::Series;
use crate::core::detect::series::growth_window::GrowthWindow;
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

    /// What its evidence grew by, as a share of what is left: 1 is half of the way.
    pub fn way(&self) -> f64 {
        let left = (self.headroom().left as f64).max(1.0);
        self.trend.map_or(0.0, |trend| trend.growth / left)
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

    /// Takes over how it stands in a sample that is not counted.
    pub fn follow(&mut self, used: u64, limit: u64) {
        self.series.follow(used, limit);
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
        let steady = self.used.growth_windows(now).filter(GrowthWindow::is_steady);
        let windows = basis.collect(steady);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::detect::constants::Constants;
    use crate::core::model::ceiling::{CeilingKind, Place};

    /// A limit of 600 tasks whose usage is sampled every second.
    struct Tasks {
        basis: JudgeBasis,
        usage: CeilingUsage,
        t: f64,
    }

    impl Tasks {
        fn new() -> Self {
            let (kind, place) = (CeilingKind::Pids, Place::NONE);
            let usage = CeilingUsage::new(CeilingId { kind, place, root: None }, 4096.0);
            Self { basis: JudgeBasis::new(Constants::default(), 4096.0, 1.0), usage, t: 0.0 }
        }

        fn push(&mut self, used: u64) -> Option<f64> {
            self.t += 1.0;
            let moment = self.basis.clock.advance(self.t, None);
            self.usage.push(&moment, used, 600, &self.basis);
            self.usage.trend().map(|exhaustion| exhaustion.forecast().likely_s)
        }
    }

    #[test]
    fn a_trend_counts_down_with_the_headroom() {
        let mut tasks = Tasks::new();
        let ends_s: Vec<_> = (0..400).map(|k| tasks.push(100 + k)).collect();
        let first = ends_s.iter().position(Option::is_some).unwrap();
        for (k, end_s) in ends_s.iter().enumerate().skip(first) {
            let left = 500.0 - k as f64;
            let end_s = end_s.unwrap();
            assert!((end_s - left).abs() <= 0.05 * left + 2.0, "{end_s} s at sample {k}");
        }
        // The first window of 120 samples has 17 blocks of 8 s, and two of them must pass.
        assert_eq!(first, 143);
    }

    #[test]
    fn a_trend_ends_when_its_growth_comes_back() {
        let mut tasks = Tasks::new();
        assert!((0..300).filter_map(|k| tasks.push(100 + k)).next().is_some());
        assert!(tasks.push(399).is_some());
        assert_eq!(tasks.push(100), None);
    }

    #[test]
    fn tasks_that_ended_by_order_still_count_in_the_trend() {
        let mut tasks = Tasks::new();
        let mut ended = 0;
        let mut trends = 0;
        for k in 0..300 {
            if k % 20 == 19 {
                tasks.usage.ended(15);
                ended += 15;
            }
            trends += usize::from(tasks.push(100 + k - ended).is_some());
        }
        assert!(trends > 100, "{trends}");
    }

    #[test]
    fn a_growth_without_proof_has_an_end_but_no_trend() {
        let mut tasks = Tasks::new();
        assert!((0..30).all(|k| tasks.push(100 + k).is_none()));
        let end_s = tasks.usage.unproven_end_s();
        assert!((end_s / 470.0 - 1.0).abs() < 0.05, "{end_s}");
    }
}
