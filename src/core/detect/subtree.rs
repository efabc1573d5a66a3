//! Family: the tree below a process, judged as a whole.
//!
//! Children that are started and never end pile up: each is small and flat, their number and sum
//! grow. A load ramp looks the same but for the CPU time that it spends.

use crate::core::detect::ceilings::forecast;
use crate::core::detect::constants::{Constants, FINE};
use crate::core::detect::sample_clock::{SampleTime, block};
use crate::core::detect::series::block_minima::{GrowthWindow, Series, TestThresholds};
use crate::core::detect::series::window::GrowthShape;
use crate::core::detect::verdict::JudgeContext;
use crate::core::model::assessment::{Evidence, Forecast};
use crate::core::model::ceiling::Unit;

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
    /// Processes below it that were ordered to end, and did. They are counted on: what was taken
    /// away is no sign that children end by themselves.
    pub ended: u32,
    /// What the sums showed when children last piled up; none once that has lapsed.
    pub child_leak: Option<ChildLeak>,
    /// Whether that was told; not where a family below it says the same.
    pub told: bool,
}

/// Children that pile up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChildLeak {
    /// The longest window of the tree's footprint, or of its tasks where those end first.
    pub evidence: Evidence,
    /// When memory, or a limit on tasks, is used up.
    pub forecast: Option<Forecast>,
    /// The same in tasks, where that convicts.
    pub tasks: Option<Evidence>,
    /// When it began, in finest blocks: that of the window that first showed it.
    pub began: u64,
    /// Finest blocks until which it holds.
    until: u64,
}

/// What a sample says of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SubtreeTotal {
    /// Bytes.
    pub footprint: u64,
    /// CPU use in cores.
    pub load: f64,
    /// Processes below the one it is counted for, and their tasks.
    pub count: u32,
    /// Threads of those.
    pub tasks: u32,
    /// Whether children pile up somewhere below it.
    pub piled: bool,
}

impl Subtree {
    /// A tree at the first sight of its first child.
    pub fn new(page_size: f64) -> Self {
        let (sum, count) = (Series::new(page_size), Series::new(1.0));
        Self {
            sum,
            count,
            watched: 0,
            samples: 0,
            footprint: 0,
            processes: 0,
            ended: 0,
            child_leak: None,
            told: false,
        }
    }

    /// Adds a sample and judges whether children pile up.
    pub fn judge(
        &mut self,
        moment: &SampleTime,
        total: SubtreeTotal,
        gauges: (&TestThresholds, &TestThresholds),
        scale: &JudgeContext<'_>,
        in_tasks: Option<&JudgeContext<'_>>,
        windows: &mut Vec<GrowthWindow>,
    ) {
        self.watched += moment.step();
        self.samples = self.samples.saturating_add(moment.samples());
        self.footprint = total.footprint;
        self.processes = total.count;
        self.sum.push(moment, total.footprint, total.load, gauges.0);
        let judged =
            self.count.push(moment, u64::from(total.count + self.ended), total.load, gauges.1);
        if judged && self.samples >= scale.constants.hasty_samples {
            let threads = f64::from(total.tasks) / f64::from(total.count.max(1));
            let in_tasks =
                in_tasks.and_then(|scale| self.look_at_tasks(moment.now, threads, scale, windows));
            let tasks = in_tasks.and_then(|child_leak| child_leak.tasks);
            let in_bytes = match self.samples >= scale.constants.samples {
                true => self.look(moment.now, scale, windows),
                false => None,
            };
            let began = |child_leak: &ChildLeak| {
                in_tasks.map_or(child_leak.began, |of_tasks| of_tasks.began)
            };
            let child_leak = in_bytes
                .map(|child_leak| ChildLeak { tasks, began: began(&child_leak), ..child_leak })
                .or(in_tasks);
            // A longer window that shows it later reaches back to workers that were there before.
            let began = self.child_leak.map(|child_leak| child_leak.began);
            let child_leak = child_leak.map(|child_leak| ChildLeak {
                began: began.unwrap_or(child_leak.began),
                ..child_leak
            });
            self.child_leak = child_leak.or(self.child_leak);
        }
        self.child_leak = self.child_leak.filter(|child_leak| child_leak.until >= moment.now);
    }

    fn look(
        &self,
        now: u64,
        scale: &JudgeContext<'_>,
        windows: &mut Vec<GrowthWindow>,
    ) -> Option<ChildLeak> {
        let Constants { patient_life, max_extrapolation, passes, .. } = *scale.constants;
        windows.clear();
        windows.extend(self.sum.candidates(now).filter(|window| scale.is_steady(window)));
        let left = scale.ceiling_usage.headroom().left as f64;
        let urgent = windows
            .iter()
            .any(|window| scale.slope(window) * max_extrapolation * scale.window_s(window) >= left);
        let life_long = patient_life * self.watched as f64;
        let mut counts = self.count.candidates(now).filter(|window| {
            window.growth == GrowthShape::Steady
                && window.passes >= passes
                && (urgent || window.window as f64 >= life_long)
        });
        let evidence = scale.evidence(windows.last()?);
        let until = now + counts.next()?.window.max(24 * block(FINE)) / 2;
        let seconds = |blocks| scale.clock.seconds(blocks);
        let ends = forecast::of_windows(windows, scale.ceiling_usage, max_extrapolation, seconds);
        let forecast = ends.map(|ends| ends.forecast());
        let began = now.saturating_sub(windows.first()?.window);
        Some(ChildLeak { evidence, forecast, tasks: None, began, until })
    }

    /// The same, by the tasks that are left: children may be small and yet too many. Each has
    /// `threads` of them.
    fn look_at_tasks(
        &self,
        now: u64,
        threads: f64,
        scale: &JudgeContext<'_>,
        windows: &mut Vec<GrowthWindow>,
    ) -> Option<ChildLeak> {
        let Constants { max_extrapolation, passes, samples, .. } = *scale.constants;
        windows.clear();
        windows.extend(self.count.candidates(now).filter(|window| scale.is_steady(window)));
        let scaled =
            |window: &GrowthWindow| GrowthWindow { shape: window.shape.scaled(threads), ..*window };
        windows.iter_mut().for_each(|window| *window = scaled(window));
        let headroom = scale.ceiling_usage.headroom();
        let left = (headroom.left as f64).max(scale.constants.material * headroom.limit as f64);
        let urgent = *windows.iter().rev().find(|window| {
            let reach = scale.slope(window) * scale.window_s(window);
            window.growth == GrowthShape::Steady
                && window.passes >= passes
                && max_extrapolation * reach >= left
                && (self.samples >= samples || reach >= left)
        })?;
        let evidence = Evidence { unit: Unit::Tasks, ..scale.evidence(&urgent) };
        let until = now + urgent.window.max(24 * block(FINE)) / 2;
        let seconds = |blocks| scale.clock.seconds(blocks);
        let ends = forecast::of_windows(windows, scale.ceiling_usage, max_extrapolation, seconds);
        let forecast = ends.map(|ends| ends.forecast());
        let (tasks, began) = (Some(evidence), now.saturating_sub(urgent.window));
        Some(ChildLeak { evidence, forecast, tasks, began, until })
    }
}
