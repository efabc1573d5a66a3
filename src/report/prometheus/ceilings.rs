//! Ceilings: what is left below each, in memory and in tasks.

use super::labels::{Escaped, Quoted, Shown, UnitLabel, label};
use super::{MOST, head};
use crate::core::model::ceiling::{Ceiling, Unit};
use crate::core::model::process::Comm;
use crate::core::model::sample::Sample;
use crate::core::unit_names::UnitNames;
use std::io::{self, Write};

/// The ceilings of the last sample, and room for those of the next.
#[derive(Debug, Default)]
pub(super) struct Ceilings(Vec<Ceiling>);

impl Ceilings {
    /// Ceilings by name, each once, so that no series comes twice.
    pub(super) fn gather(&mut self, sample: &Sample) {
        self.0.clear();
        for ceiling in sample.memory.ceilings().chain(sample.ceilings.iter().copied()) {
            let name = |c: &Ceiling| (c.kind, c.place, owner(c, sample));
            let same = self.0.iter_mut().find(|known| name(known) == name(&ceiling));
            if let Some(known) = same {
                // Two trees of one name, each with a budget: the one that is nearer its end.
                if ceiling.headroom() < known.headroom() {
                    *known = ceiling;
                }
            } else if self.0.len() < 4 * MOST {
                self.0.push(ceiling);
            }
        }
    }

    pub(super) fn write(
        &self,
        out: &mut impl Write,
        watch: &str,
        sample: &Sample,
        names: &UnitNames,
    ) -> io::Result<()> {
        let watch = Escaped(watch);
        let mut each = |unit: Unit, name: &str, help: &str, value: fn(&Ceiling) -> u64| {
            head(out, name, "gauge", help)?;
            let all = self.0.iter().filter(|ceiling| ceiling.kind.unit() == unit);
            all.into_iter().try_for_each(|ceiling| {
                let (kind, place) = (ceiling.kind.name(), Shown(ceiling.place));
                let tree = Quoted(owner(ceiling, sample));
                let value = value(ceiling);
                let of = UnitLabel(label(names.at(ceiling.place)));
                writeln!(
                    out,
                    "{name}{{watch=\"{watch}\",ceiling=\"{kind}\",place=\"{place}\",tree=\"{tree}\"{of}}} {value}"
                )
            })
        };
        each(
            Unit::Bytes,
            "leakwatch_ceiling_headroom_bytes",
            "Memory left below the ceiling.",
            Ceiling::headroom,
        )?;
        each(Unit::Bytes, "leakwatch_ceiling_limit_bytes", "The ceiling in bytes.", |c| c.limit)?;
        each(
            Unit::Tasks,
            "leakwatch_ceiling_headroom_tasks",
            "Tasks left below the ceiling.",
            Ceiling::headroom,
        )?;
        each(Unit::Tasks, "leakwatch_ceiling_limit_tasks", "The ceiling in tasks.", |c| c.limit)
    }
}

/// The tree that a limit without a place is about: its root's name; nothing for the others.
fn owner(ceiling: &Ceiling, sample: &Sample) -> Comm {
    let root = ceiling.root.filter(|_| ceiling.kind.is_per_tree());
    let proc = root.and_then(|root| sample.procs.iter().find(|proc| proc.id == root));
    proc.map_or(Comm::default(), |proc| proc.comm)
}
