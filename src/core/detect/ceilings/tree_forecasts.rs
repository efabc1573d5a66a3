//! When all that leaks below a ceiling reaches it together, and which of that is worth a report.

use crate::core::detect::ceilings::forecast::Exhaustion;
use crate::core::detect::ceilings::last_forecast::LastForecast;
use crate::core::detect::ceilings::series::CeilingId;
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

    /// The forecast of a tree.
    pub fn of(&self, root: ProcId) -> Option<Forecast> {
        self.forecast(self.trees.iter().find(|tree| tree.root == root)?)
    }

    /// Reports the forecasts that are news; forgets trees in which nothing leaks any more.
    pub fn report(&mut self, now_s: f64, comm: impl Fn(ProcId) -> Comm, events: &mut Vec<Event>) {
        self.trees.retain(|tree| tree.ceiling.is_some());
        for index in 0..self.trees.len() {
            let Some(forecast) = self.forecast(&self.trees[index]) else { continue };
            let tree = &mut self.trees[index];
            if let Some(news) = LastForecast::if_news(tree.last_reported, now_s, Some(&forecast)) {
                tree.last_reported = Some(news);
                let (root, comm) = (Some(tree.root), comm(tree.root));
                events.push(Event::Forecast { root, comm, forecast, cause: None });
            }
        }
    }

    fn forecast(&self, tree: &TreeForecast) -> Option<Forecast> {
        let (_, exhaustion) = self.ceilings.iter().find(|(of, _)| Some(*of) == tree.ceiling)?;
        Some(exhaustion.forecast())
    }
}
