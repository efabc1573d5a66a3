//! The tree below a process, judged as a whole.
//!
//! Children that are started and never end: each is small and flat, their number and sum grow. A
//! load ramp looks the same but for the CPU time that it spends.

use crate::core::detect::constants::{Constants, INTERVAL_LEVEL};
use crate::core::detect::sample_clock::{SampleTime, block};
use crate::core::detect::series::block_minima::Series;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::series::window::GrowthShape;
use crate::core::detect::verdict::JudgeContext;
use crate::core::model::ceiling::Unit;
use crate::core::model::forecast::Forecast;
use crate::core::model::verdict::Evidence;

/// The series of the tree below a process, itself included.
pub struct Subtree {
    sum: Series,
    count: Series,
    watched: u64,
    samples: u32,
    /// Bytes of the whole tree in the last sample.
    pub footprint: u64,
    /// Processes below it in the last sample.
    pub processes: u32,
    /// Processes below it that ended by order. The series still counts them: their end does not
    /// show that children end by themselves.
    pub ended: u32,
    /// What the sums showed when children last leaked; none once that has expired.
    pub child_leak: Option<ChildLeak>,
    /// Whether that was reported; it is not where a subtree below it shows the same.
    pub is_reported: bool,
}

/// Children that are started and never end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChildLeak {
    /// The longest window of the tree's footprint, or of its tasks where those end first.
    pub evidence: Evidence,
    /// When memory, or a limit on tasks, is used up.
    pub forecast: Option<Forecast>,
    /// The evidence in tasks, where that proves a leak.
    pub tasks: Option<Evidence>,
    /// When it began, in finest blocks: the start of the window that first showed it.
    pub began: u64,
    /// Finest blocks until which it holds.
    until: u64,
}

/// The sums over a tree in one sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SubtreeTotal {
    /// Bytes.
    pub footprint: u64,
    /// CPU use in cores.
    pub load: f64,
    /// Processes below the one it is counted for.
    pub count: u32,
    /// Threads of those.
    pub tasks: u32,
    /// Whether a process below it has a child leak of its own.
    pub has_child_leak_below: bool,
}

impl Subtree {
    /// A tree at the first sight of its first child.
    pub fn new(page_size: f64) -> Self {
        Self {
            sum: Series::new(page_size),
            count: Series::new(1.0),
            watched: 0,
            samples: 0,
            footprint: 0,
            processes: 0,
            ended: 0,
            child_leak: None,
            is_reported: false,
        }
    }

    /// Adds a sample and judges whether children leak; `in_tasks` has the nearest ceiling on tasks.
    pub fn judge(
        &mut self,
        moment: &SampleTime,
        total: SubtreeTotal,
        context: &JudgeContext<'_>,
        in_tasks: Option<&JudgeContext<'_>>,
    ) {
        self.watched += moment.step();
        self.samples = self.samples.saturating_add(moment.samples());
        self.footprint = total.footprint;
        self.processes = total.count;
        let thresholds = |unit| context.basis.thresholds(unit);
        self.sum.push(moment, total.footprint, total.load, thresholds(Unit::Bytes));
        let count = u64::from(total.count + self.ended);
        let judged = self.count.push(moment, count, total.load, thresholds(Unit::Tasks));
        if judged && self.samples >= context.basis.constants.hasty_samples {
            let found = self.find_child_leak(moment.now, total, context, in_tasks);
            // A longer window that shows it later reaches back to workers that were there before.
            let began = self.child_leak.map(|before| before.began);
            let found = found.map(|leak| ChildLeak { began: began.unwrap_or(leak.began), ..leak });
            self.child_leak = found.or(self.child_leak);
        }
        self.child_leak = self.child_leak.filter(|leak| leak.until >= moment.now);
    }

    fn find_child_leak(
        &self,
        now: u64,
        total: SubtreeTotal,
        context: &JudgeContext<'_>,
        in_tasks: Option<&JudgeContext<'_>>,
    ) -> Option<ChildLeak> {
        let threads = f64::from(total.tasks) / f64::from(total.count.max(1));
        let in_tasks = in_tasks.and_then(|context| self.leak_in_tasks(now, threads, context));
        let long_enough = self.samples >= context.basis.constants.samples;
        let in_bytes = if long_enough { self.leak_in_bytes(now, context) } else { None };
        let Some(in_bytes) = in_bytes else { return in_tasks };
        Some(ChildLeak {
            tasks: in_tasks.and_then(|leak| leak.tasks),
            began: in_tasks.map_or(in_bytes.began, |leak| leak.began),
            ..in_bytes
        })
    }

    /// A child leak by the memory that is left: footprint and number both grow.
    fn leak_in_bytes(&self, now: u64, context: &JudgeContext<'_>) -> Option<ChildLeak> {
        let Constants { patient_life, max_extrapolation, passes, .. } = context.basis.constants;
        let steady = self.sum.growth_windows(now).filter(GrowthWindow::is_steady);
        let windows = context.basis.collect(steady);
        let left = context.ceiling.headroom().left as f64;
        let urgent = windows.iter().any(|window| {
            context.slope(window) * max_extrapolation * context.window_s(window) >= left
        });
        let least_length = patient_life * self.watched as f64;
        let mut counts = self.count.growth_windows(now).filter(|window| {
            window.growth == GrowthShape::Steady
                && window.passes >= passes
                && (urgent || window.length() as f64 >= least_length)
        });
        let evidence = context.evidence(windows.last()?);
        let until = holds_until(now, &counts.next()?);
        let forecast = context.exhaustion(&windows).map(|exhaustion| exhaustion.forecast());
        let began = now.saturating_sub(windows.first()?.length());
        Some(ChildLeak { evidence, forecast, tasks: None, began, until })
    }

    /// A child leak by the tasks that are left: children may be small and yet too many. Each has
    /// `threads` of them.
    fn leak_in_tasks(
        &self,
        now: u64,
        threads: f64,
        context: &JudgeContext<'_>,
    ) -> Option<ChildLeak> {
        let Constants { max_extrapolation, passes, samples, least_headroom, .. } =
            context.basis.constants;
        let steady = self.count.growth_windows(now).filter(GrowthWindow::is_steady);
        let windows = context.basis.collect(
            steady.map(|window| GrowthWindow { shape: window.shape.scaled(threads), ..window }),
        );
        let headroom = context.ceiling.headroom();
        let left = (headroom.left as f64).max(least_headroom * headroom.limit as f64);
        let urgent = windows.iter().rev().find(|window| {
            let reach = context.slope(window) * context.window_s(window);
            window.growth == GrowthShape::Steady
                && window.passes >= passes
                && max_extrapolation * reach >= left
                && (self.samples >= samples || reach >= left)
        })?;
        let evidence = context.evidence(urgent);
        let forecast = context.exhaustion(&windows).map(|exhaustion| exhaustion.forecast());
        let began = now.saturating_sub(urgent.length());
        let until = holds_until(now, urgent);
        Some(ChildLeak { evidence, forecast, tasks: Some(evidence), began, until })
    }
}

/// Half the window's length from now, and at least 12 planned intervals.
fn holds_until(now: u64, window: &GrowthWindow) -> u64 {
    now + window.length().max(24 * block(INTERVAL_LEVEL)) / 2
}
