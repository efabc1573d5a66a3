//! Known programs: what the history tells of programs, so that it is kept once.

use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use std::collections::BTreeMap;

/// The programs that the history holds.
#[derive(Default)]
pub(super) struct KnownPrograms(BTreeMap<ProcId, KnownProgram>);

struct KnownProgram {
    exe: String,
    is_forked: bool,
    is_threaded: bool,
}

impl KnownPrograms {
    /// Takes in those of a sample that is in the history.
    pub(super) fn learn(&mut self, sample: &Sample) {
        for program in &sample.programs {
            let known = KnownProgram {
                exe: program.exe.clone(),
                is_forked: program.forked,
                is_threaded: program.threads > 1,
            };
            self.0.insert(program.id, known);
        }
    }

    /// The sample without the programs that the history holds already. Titles change all the time in
    /// some servers; the first title is enough.
    pub(super) fn without_known(&self, sample: &Sample) -> Sample {
        let mut kept = sample.clone();
        // Each check tells them anew.
        kept.places.clear();
        kept.programs.retain(|program| {
            let known = self.0.get(&program.id);
            !known.is_some_and(|known| {
                known.exe == program.exe
                    && known.is_forked == program.forked
                    && known.is_threaded == (program.threads > 1)
            })
        });
        kept
    }
}
