//! When all that leaks below a ceiling reaches it together, and which of that is worth a report.

use crate::core::detect::forecast::ceiling_series::CeilingId;
use crate::core::detect::forecast::exhaustion::Exhaustion;
use crate::core::detect::forecast::last_forecast::LastForecast;
use crate::core::model::event::Event;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::{Comm, ProcId};

/// The forecasts of ceilings and of the trees below them in which something leaks.
#[derive(Default)]
pub struct TreeForecasts {
    ceilings: Vec<(CeilingId, Exhaustion)>,
    trees: Vec<TreeForecast>,
}

struct TreeForecast {
    root: ProcId,
    /// Its nearest ceiling; none if nothing in it leaks now.
    ceiling: Option<CeilingId>,
    last_reported: Option<LastForecast>,
}

impl TreeForecasts {
    /// Begins a new sample.
    pub fn begin(&mut self) {
        self.ceilings.clear();
        self.trees.iter_mut().for_each(|tree| tree.ceiling = None);
    }

    /// Adds a leaking process of the tree below `root`, whose nearest ceiling this is.
    pub fn add(&mut self, root: ProcId, ceiling: CeilingId, exhaustion: &Exhaustion) {
        match self.ceilings.iter_mut().find(|(of, _)| *of == ceiling) {
            Some((_, sum)) => *sum = sum.join(exhaustion),
            None => self.ceilings.push((ceiling, *exhaustion)),
        }
        match self.trees.iter_mut().find(|tree| tree.root == root) {
            Some(tree) => tree.ceiling = Some(ceiling),
            None => {
                self.trees.push(TreeForecast { root, ceiling: Some(ceiling), last_reported: None });
            }
        }
    }

    /// Whether a process leaks whose nearest ceiling this is.
    pub fn covers(&self, ceiling: CeilingId) -> bool {
        self.ceilings.iter().any(|(of, _)| *of == ceiling)
    }

    /// The forecast of a tree, as much being left as `left` now: a sample between two that are judged
    /// may find more than the last forecast knew of.
    pub fn of(&self, root: ProcId, left: u64) -> Option<Forecast> {
        let exhaustion = self.exhaustion(self.trees.iter().find(|tree| tree.root == root)?)?;
        Some(exhaustion.with_freed(left).forecast())
    }

    /// Reports the forecasts that are news; forgets trees in which nothing leaks any more.
    pub fn report(&mut self, now_s: f64, comm: impl Fn(ProcId) -> Comm, events: &mut Vec<Event>) {
        self.trees.retain(|tree| tree.ceiling.is_some());
        for index in 0..self.trees.len() {
            let exhaustion = self.exhaustion(&self.trees[index]);
            let Some(forecast) = exhaustion.map(Exhaustion::forecast) else { continue };
            let tree = &mut self.trees[index];
            if let Some(news) = LastForecast::if_news(tree.last_reported, now_s, Some(&forecast)) {
                tree.last_reported = Some(news);
                let (root, comm) = (Some(tree.root), comm(tree.root));
                events.push(Event::Forecast { root, comm, forecast, cause: None });
            }
        }
    }

    fn exhaustion(&self, tree: &TreeForecast) -> Option<&Exhaustion> {
        let mut ceilings = self.ceilings.iter();
        ceilings.find(|(of, _)| Some(*of) == tree.ceiling).map(|(_, exhaustion)| exhaustion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::model::ceiling::{CeilingKind, Place};

    #[test]
    fn memory_that_a_victim_gave_back_counts_before_the_next_judgement() {
        let own = Forecast {
            ceiling: CeilingKind::Ram,
            place: Place::NONE,
            headroom: 10,
            limit: 100,
            slope: 2.5,
            earliest_s: 2.0,
            likely_s: 4.0,
            latest_s: 8.0,
            window_s: 30.0,
        };
        let exhaustion = Exhaustion { own, earliest_with_total_loss_s: 1.0 };
        let ceiling = CeilingId { kind: CeilingKind::Ram, place: Place::NONE, root: None };
        let (root, other) = (ProcId { pid: 1, start: 1 }, ProcId { pid: 2, start: 1 });
        let mut forecasts = TreeForecasts::default();
        forecasts.add(root, ceiling, &exhaustion);

        let of =
            |left| forecasts.of(root, left).map(|of| (of.headroom, of.earliest_s, of.likely_s));
        assert_eq!(of(60), Some((60, 6.0, 24.0)));
        assert_eq!(of(9), Some((10, 1.0, 4.0)), "a fall is for the next judgement to tell");
        assert_eq!(forecasts.of(other, 60), None);
    }
}
