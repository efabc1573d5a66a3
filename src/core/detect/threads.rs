//! A process that starts threads which never end.
//!
//! Nearly all processes keep the number of threads that they begin with, so a series is kept only
//! for those whose number ever changed.

use crate::core::detect::forecast::last_forecast::LastForecast;
use crate::core::detect::sample_clock::SampleTime;
use crate::core::detect::series::block_minima::Series;
use crate::core::detect::series::growth_window::GrowthWindow;
use crate::core::detect::verdict::{JudgeContext, ProcessLife};
use crate::core::model::ceiling::Unit;
use crate::core::model::forecast::Forecast;
use crate::core::model::verdict::Evidence;

/// The numbers of threads of a process.
pub struct ThreadSeries {
    count: Series,
    /// The leak, while its proof holds.
    pub leak: Option<ThreadLeak>,
    /// The forecast that was last reported.
    pub last_reported: Option<LastForecast>,
}

/// Threads that never end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ThreadLeak {
    /// The longest window that proves it, in tasks.
    pub evidence: Evidence,
    /// When the nearest ceiling on tasks is reached by this process alone.
    pub forecast: Option<Forecast>,
    /// Finest blocks until which it holds.
    until: u64,
}

impl Default for ThreadSeries {
    fn default() -> Self {
        Self { count: Series::new(1.0), leak: None, last_reported: None }
    }
}

impl ThreadSeries {
    /// Adds a number and judges; `context` has the nearest ceiling on tasks.
    pub fn judge(
        &mut self,
        moment: &SampleTime,
        threads: u32,
        load: f64,
        context: &JudgeContext<'_>,
        life: ProcessLife,
    ) {
        let thresholds = context.basis.thresholds(Unit::Tasks);
        if self.count.push(moment, threads.into(), load, thresholds) {
            self.leak = self.find_leak(moment.now, context, life).or(self.leak);
        }
        self.leak = self.leak.filter(|leak| leak.until >= moment.now);
    }

    fn find_leak(
        &self,
        now: u64,
        context: &JudgeContext<'_>,
        life: ProcessLife,
    ) -> Option<ThreadLeak> {
        let steady = self.count.growth_windows(now).filter(GrowthWindow::is_steady);
        let windows = context.basis.collect(steady);
        let proof = windows.iter().rev().find(|w| context.leak_rule(w, life).is_some())?;
        Some(ThreadLeak {
            evidence: context.evidence(proof),
            forecast: context.exhaustion(&windows).map(|exhaustion| exhaustion.forecast()),
            until: now + proof.length() / 2,
        })
    }
}
