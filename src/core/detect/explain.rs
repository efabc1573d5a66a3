//! Explain: why one process has its verdict, from the state after the last sample.

use super::Detector;
use crate::core::detect::explanation::{Explanation, Siblings};
use crate::core::detect::verdict::JudgeContext;
use crate::core::model::sample::ProcId;

impl Detector {
    /// Why a living process has its verdict: the very numbers that it was judged by.
    pub fn explain(&self, id: ProcId) -> Option<Explanation> {
        let process = &self.processes[self.forest.slot(id)?];
        let scale = JudgeContext {
            constants: &self.constants,
            clock: &self.clock,
            ceiling_usage: self.ceilings.nearest(process.standing.root),
            crowd: process.crowd,
        };
        let entry = process.member.as_ref().and_then(|(index, _)| self.pools.get(*index));
        let pool = entry.map(|entry| Siblings {
            members: entry.pool.members,
            leaks: entry.leaks,
            crowd: process.crowd,
        });
        let explanation = process.explain(&self.footprints, &scale, &self.runs);
        Some(Explanation { pool, ..explanation })
    }
}
