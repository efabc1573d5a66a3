//! Which trees came and went since the watch began.

use crate::core::engine::Engine;
use crate::core::model::process::ProcId;

/// The roots of the trees of the last sample.
#[derive(Default)]
pub(super) struct TreeChanges {
    roots: Vec<ProcId>,
}

impl TreeChanges {
    /// Takes the trees of a sample. Returns the roots of new trees and of ended ones; those of the
    /// first sample are not new, since the greeting lists them.
    pub(super) fn update(&mut self, engine: &Engine) -> (Vec<ProcId>, Vec<ProcId>) {
        let detector = engine.detector();
        let is_first = self.roots.is_empty();
        let mut came = Vec::new();
        for state in detector.process_states() {
            if !self.roots.contains(&state.root) {
                self.roots.push(state.root);
                came.push(state.root);
            }
        }
        if is_first {
            came.clear();
        }
        let is_alive = |root: &ProcId| detector.process_states().any(|s| s.root == *root);
        let went = self.roots.iter().filter(|root| !is_alive(root)).copied().collect::<Vec<_>>();
        self.roots.retain(|root| !went.contains(root));
        (came, went)
    }
}
