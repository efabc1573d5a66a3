//! Outlook: when each tree's nearest ceiling is reached by all who leak below it together.

use crate::assessment::{Event, Forecast};
use crate::process::{MOVED, MOVED_S};
use crate::sample::{CeilingKind, Comm, ProcId};

/// The forecasts of trees in which something leaks.
#[derive(Default)]
pub struct Outlooks {
    trees: Vec<Outlook>,
}

struct Outlook {
    root: ProcId,
    forecast: Option<Forecast>,
    /// The end that was last told, in seconds of the detector's own count.
    told_s: Option<f64>,
}

impl Outlooks {
    /// The forecast of a tree.
    pub fn of(&self, root: ProcId) -> Option<Forecast> {
        self.trees.iter().find(|tree| tree.root == root)?.forecast
    }

    /// Begins a new sample.
    pub fn begin(&mut self) {
        self.trees.iter_mut().for_each(|tree| tree.forecast = None);
    }

    /// Adds the forecast of one who leaks.
    pub fn add(&mut self, root: ProcId, forecast: Forecast) {
        match self.trees.iter_mut().find(|tree| tree.root == root) {
            Some(tree) => {
                tree.forecast = Some(tree.forecast.map_or(forecast, |sum| join(sum, forecast)))
            }
            None => self.trees.push(Outlook { root, forecast: Some(forecast), told_s: None }),
        }
    }

    /// Ends the sample: a ceiling of the whole machine is reached by all trees together.
    pub fn end(&mut self) {
        for kind in [CeilingKind::Ram, CeilingKind::Commit] {
            let shared = |tree: &Outlook| tree.forecast.filter(|f| f.ceiling == kind);
            let together = self.trees.iter().filter_map(shared).reduce(join);
            for tree in &mut self.trees {
                if shared(tree).is_some() {
                    tree.forecast = together;
                }
            }
        }
    }

    /// Says which forecasts are new or moved; forgets trees in which nothing leaks any more.
    pub fn tell(
        &mut self,
        now_s: f64,
        comm: impl Fn(ProcId) -> Option<Comm>,
        events: &mut Vec<Event>,
    ) {
        self.trees.retain(|tree| tree.forecast.is_some());
        for tree in &mut self.trees {
            let Some(forecast) = tree.forecast else { continue };
            let least = (MOVED * forecast.likely_s).max(MOVED_S);
            // That the end comes nearer as time goes by is no news; that it moves is.
            let end_s = now_s + forecast.likely_s;
            if tree.told_s.is_none_or(|told_s| (end_s - told_s).abs() > least) {
                tree.told_s = Some(end_s);
                let comm = comm(tree.root).unwrap_or_default();
                events.push(Event::Forecast { root: tree.root, comm, forecast });
            }
        }
    }
}

/// Two growths under one ceiling: their speeds add up, so times to the end add up like resistors
/// side by side. The evidence is that of the faster.
pub fn join(a: Forecast, b: Forecast) -> Forecast {
    let together = |a: f64, b: f64| 1.0 / (1.0 / a + 1.0 / b);
    let faster = if a.slope >= b.slope { a } else { b };
    Forecast {
        slope: a.slope + b.slope,
        earliest_s: together(a.earliest_s, b.earliest_s),
        likely_s: together(a.likely_s, b.likely_s),
        latest_s: together(a.latest_s, b.latest_s),
        ..faster
    }
}
