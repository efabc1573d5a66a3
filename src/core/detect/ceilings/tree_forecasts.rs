//! Outlook: when each ceiling is reached by all who leak below it together, and what of that is
//! worth saying again.

use crate::core::detect::ceilings::forecast::Exhaustion;
use crate::core::detect::ceilings::usage::CeilingId;
use crate::core::model::assessment::{Event, Forecast};
use crate::core::model::sample::{Comm, ProcId};

/// The end of memory has moved if it did so by this share of the time left.
const MOVED: f64 = 0.25;

/// But not for less than this many seconds: near the end every tick would be news.
const MOVED_S: f64 = 5.0;

/// A forecast is not said again before this share of its evidence is new; that halves the lines
/// and costs no accuracy (at a quarter, the error at half time would double).
const NEW: f64 = 0.1;

/// What was said of an end, and when, in counted seconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastForecast {
    at_s: f64,
    end_s: f64,
}

impl LastForecast {
    /// What to remember if the forecast is worth saying after what was told before.
    pub fn anew(before: Option<Self>, now_s: f64, forecast: Option<&Forecast>) -> Option<Self> {
        let (likely_s, window_s) =
            forecast.map_or((f64::INFINITY, 0.0), |f| (f.likely_s, f.window_s));
        let told = Self { at_s: now_s, end_s: now_s + likely_s };
        let is_news = before.is_none_or(|before| {
            now_s - before.at_s >= NEW * window_s
                && (told.end_s - before.end_s).abs() > (MOVED * likely_s).max(MOVED_S)
        });
        is_news.then_some(told)
    }
}

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
    told: Option<LastForecast>,
}

impl TreeForecasts {
    /// Begins a new sample.
    pub fn begin(&mut self) {
        self.ceilings.clear();
        self.trees.iter_mut().for_each(|tree| tree.ceiling = None);
    }

    /// Adds one who leaks in the tree below `root`, whose nearest ceiling this is.
    pub fn add(&mut self, root: ProcId, ceiling: CeilingId, ends: &Exhaustion) {
        match self.ceilings.iter_mut().find(|(of, _)| *of == ceiling) {
            Some((_, sum)) => *sum = sum.join(ends),
            None => self.ceilings.push((ceiling, *ends)),
        }
        match self.trees.iter_mut().find(|tree| tree.root == root) {
            Some(tree) => tree.ceiling = Some(ceiling),
            None => self.trees.push(TreeForecast { root, ceiling: Some(ceiling), told: None }),
        }
    }

    /// Whether anybody leaks below that ceiling who has no nearer one.
    pub fn covers(&self, ceiling: CeilingId) -> bool {
        self.ceilings.iter().any(|(of, _)| *of == ceiling)
    }

    /// The forecast of a tree.
    pub fn of(&self, root: ProcId) -> Option<Forecast> {
        self.forecast(self.trees.iter().find(|tree| tree.root == root)?)
    }

    /// Says which forecasts are news; forgets trees in which nothing leaks any more.
    pub fn tell(&mut self, now_s: f64, comm: impl Fn(ProcId) -> Comm, events: &mut Vec<Event>) {
        self.trees.retain(|tree| tree.ceiling.is_some());
        for index in 0..self.trees.len() {
            let Some(forecast) = self.forecast(&self.trees[index]) else { continue };
            let tree = &mut self.trees[index];
            if let Some(told) = LastForecast::anew(tree.told, now_s, Some(&forecast)) {
                tree.told = Some(told);
                let root = tree.root;
                let (root, comm) = (Some(root), comm(root));
                events.push(Event::Forecast { root, comm, forecast });
            }
        }
    }

    fn forecast(&self, tree: &TreeForecast) -> Option<Forecast> {
        let (_, ends) = self.ceilings.iter().find(|(of, _)| Some(*of) == tree.ceiling)?;
        Some(ends.forecast())
    }
}
