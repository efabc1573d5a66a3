//! Family: the tree below a process, judged as a whole.
//!
//! Children that are started and never end pile up: each is small and flat, their number and sum
//! grow. A load ramp looks the same but for the CPU time that it spends.

use crate::assessment::{Evidence, Forecast};
use crate::detector::clock::{Moment, block};
use crate::detector::constants::{Constants, FINE};
use crate::detector::floors::{Candidate, Gauge, Track};
use crate::detector::forecast;
use crate::detector::verdict::Scale;
use crate::detector::window::Growth;

/// The series of the tree below a process, itself included.
pub struct Family {
    sum: Track,
    count: Track,
    watched: u64,
    samples: u32,
    /// Bytes of the whole tree in the last sample.
    pub footprint: u64,
    /// What the sums showed when children last piled up; none once that has lapsed.
    pub pile: Option<Pile>,
    /// Whether that was told; not where a family below it says the same.
    pub told: bool,
}

/// Children that pile up.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pile {
    /// The longest window of the tree's footprint.
    pub evidence: Evidence,
    /// When memory ends.
    pub forecast: Option<Forecast>,
    /// Finest blocks until which it holds.
    until: u64,
}

/// What a sample says of a tree.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Total {
    /// Bytes.
    pub footprint: u64,
    /// CPU use in cores.
    pub load: f64,
    /// Processes below the one it is counted for.
    pub count: u32,
    /// Whether children pile up somewhere below it.
    pub piled: bool,
}

impl Family {
    /// A tree at the first sight of its first child.
    pub fn new(page_size: f64) -> Self {
        let (sum, count) = (Track::new(page_size), Track::new(1.0));
        Self { sum, count, watched: 0, samples: 0, footprint: 0, pile: None, told: false }
    }

    /// Adds a sample and judges whether children pile up.
    pub fn judge(
        &mut self,
        moment: &Moment,
        total: Total,
        gauges: (&Gauge, &Gauge),
        scale: &Scale<'_>,
        windows: &mut Vec<Candidate>,
    ) {
        self.watched += moment.step();
        self.samples = self.samples.saturating_add(1);
        self.footprint = total.footprint;
        self.sum.push(moment, total.footprint, total.load, gauges.0);
        let judged = self.count.push(moment, u64::from(total.count), total.load, gauges.1);
        if judged && self.samples >= scale.constants.samples {
            self.pile = self.look(moment.now, scale, windows).or(self.pile);
        }
        self.pile = self.pile.filter(|pile| pile.until >= moment.now);
    }

    fn look(&self, now: u64, scale: &Scale<'_>, windows: &mut Vec<Candidate>) -> Option<Pile> {
        let Constants { patient_life, caution, passes, .. } = *scale.constants;
        windows.clear();
        windows.extend(self.sum.candidates(now).filter(|window| scale.is_steady(window)));
        windows.sort_unstable_by_key(|window| (window.window, window.level));
        let left = scale.meter.headroom().left as f64;
        let urgent = windows
            .iter()
            .any(|window| scale.slope(window) * caution * scale.window_s(window) >= left);
        let life_long = patient_life * self.watched as f64;
        let mut counts = self.count.candidates(now).filter(|window| {
            window.growth == Growth::Steady
                && window.passes >= passes
                && (urgent || window.window as f64 >= life_long)
        });
        let evidence = scale.evidence(windows.last()?);
        let until = now + counts.next()?.window.max(24 * block(FINE)) / 2;
        let seconds = |blocks| scale.clock.seconds(blocks);
        let ends = forecast::of_windows(windows, scale.meter, caution, seconds);
        Some(Pile { evidence, forecast: ends.map(|ends| ends.forecast()), until })
    }
}
