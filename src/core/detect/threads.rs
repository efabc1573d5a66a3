//! Threads: a process that starts threads which never end.
//!
//! Nearly all processes keep the number that they begin with, so a series is kept only for those
//! whose number ever changed.

use crate::core::detect::ceilings::forecast;
use crate::core::detect::ceilings::tree_forecasts::LastForecast;
use crate::core::detect::sample_clock::SampleTime;
use crate::core::detect::series::block_minima::{GrowthWindow, Series, TestThresholds};
use crate::core::detect::verdict::{JudgeContext, ProcessLife};
use crate::core::model::assessment::{Evidence, Forecast};
use crate::core::model::ceiling::Unit;

/// The numbers of threads of a process.
pub struct ThreadSeries {
    count: Series,
    /// What convicts it, while that holds.
    pub leak: Option<ThreadLeak>,
    /// What was said of it.
    pub told: Option<LastForecast>,
}

/// A conviction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThreadLeak {
    /// The longest window that convicts, in tasks.
    pub evidence: Evidence,
    /// When the nearest ceiling on tasks is reached by this process alone.
    pub forecast: Option<Forecast>,
    until: u64,
}

impl Default for ThreadSeries {
    fn default() -> Self {
        Self { count: Series::new(1.0), leak: None, told: None }
    }
}

impl ThreadSeries {
    /// Adds a number and judges; `scale` has the nearest ceiling on tasks.
    pub fn judge(
        &mut self,
        moment: &SampleTime,
        (threads, load): (u32, f64),
        thresholds: &TestThresholds,
        scale: &JudgeContext<'_>,
        life: ProcessLife,
        windows: &mut Vec<GrowthWindow>,
    ) {
        if self.count.push(moment, threads.into(), load, thresholds) {
            self.leak = self.look(moment.now, scale, life, windows).or(self.leak);
        }
        self.leak = self.leak.filter(|leak| leak.until >= moment.now);
    }

    fn look(
        &self,
        now: u64,
        scale: &JudgeContext<'_>,
        life: ProcessLife,
        windows: &mut Vec<GrowthWindow>,
    ) -> Option<ThreadLeak> {
        windows.clear();
        windows.extend(self.count.candidates(now).filter(|window| scale.is_steady(window)));
        let convicting = windows.iter().rev().find(|w| scale.convicts(w, life).is_some())?;
        let evidence = Evidence { unit: Unit::Tasks, ..scale.evidence(convicting) };
        let until = now + convicting.window / 2;
        let seconds = |blocks| scale.clock.seconds(blocks);
        let ends = forecast::of_windows(
            windows,
            scale.ceiling_usage,
            scale.constants.max_extrapolation,
            seconds,
        );
        Some(ThreadLeak { evidence, forecast: ends.map(|ends| ends.forecast()), until })
    }
}
