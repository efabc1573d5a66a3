//! Trees: what those whose root has one name hold, how they grow and how long memory lasts.

use super::labels::{Escaped, Quoted, Shown, UnitLabel, label};
use super::{MOST, MetricValue, head};
use crate::core::engine::Engine;
use crate::core::model::ceiling::Unit;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::{Comm, ProcId};
use crate::core::model::verdict::Verdict;
use crate::core::unit_names::UnitNames;
use std::io::{self, Write};

/// The trees of the last sample, and room for those of the next.
#[derive(Debug, Default)]
pub(super) struct Trees(Vec<TreeMetrics>);

/// All trees whose root has one name, and is of one unit.
#[derive(Debug)]
struct TreeMetrics {
    comm: Comm,
    /// One of the roots.
    root: ProcId,
    processes: u64,
    footprint: u64,
    leaking: u64,
    growing: u64,
    growth: f64,
    forecast: Option<Forecast>,
}

impl Trees {
    /// Trees by name, each once, so that no series comes twice: one collision, and the collector drops
    /// the file.
    pub(super) fn gather(&mut self, engine: &Engine) {
        let (detector, names) = (engine.detector(), engine.names());
        self.0.clear();
        for s in detector.process_states() {
            let root = detector.process_state(s.root).unwrap_or(s);
            let of = |root| label(names.of(root));
            let is_same =
                |tree: &TreeMetrics| tree.comm == root.comm && of(tree.root) == of(root.id);
            let index = self.0.iter().position(is_same);
            let index = index.unwrap_or_else(|| {
                self.0.push(TreeMetrics {
                    comm: root.comm,
                    root: root.id,
                    processes: 0,
                    footprint: 0,
                    leaking: 0,
                    growing: 0,
                    growth: 0.0,
                    forecast: None,
                });
                self.0.len() - 1
            });
            let Some(tree) = self.0.get_mut(index) else { continue };
            tree.processes += 1;
            tree.footprint += s.footprint;
            tree.leaking += u64::from(s.leaks());
            tree.growing += u64::from(s.verdict == Verdict::Growing);
            let evidence = s.evidence.filter(|e| e.unit == Unit::Bytes);
            if let Some(evidence) = evidence.filter(|_| s.verdict >= Verdict::Growing) {
                tree.growth += evidence.slope;
            }
            if s.id == s.root {
                let forecast = detector.forecast(s.root).filter(Forecast::is_reliable);
                let nearer =
                    |known: Forecast| forecast.is_some_and(|f| f.likely_s < known.likely_s);
                if tree.forecast.is_none_or(nearer) {
                    tree.forecast = forecast.or(tree.forecast);
                }
            }
        }
        self.0.sort_unstable_by(|a, b| {
            let weight = |tree: &TreeMetrics| (tree.leaking > 0, tree.growing > 0, tree.footprint);
            let unit = |tree: &TreeMetrics| label(names.of(tree.root));
            weight(b)
                .cmp(&weight(a))
                .then_with(|| a.comm.as_bytes().cmp(b.comm.as_bytes()))
                .then_with(|| unit(a).cmp(&unit(b)))
        });
        self.0.truncate(MOST);
    }

    pub(super) fn write(
        &self,
        out: &mut impl Write,
        watch: &str,
        names: &UnitNames,
    ) -> io::Result<()> {
        let watch = Escaped(watch);
        let mut each = |name: &str, help: &str, value: fn(&TreeMetrics) -> f64| {
            head(out, name, "gauge", help)?;
            self.0.iter().try_for_each(|tree| {
                let (comm, value) = (Quoted(tree.comm), value(tree));
                let of = UnitLabel(label(names.of(tree.root)));
                writeln!(out, "{name}{{watch=\"{watch}\",tree=\"{comm}\"{of}}} {value}")
            })
        };
        each(
            "leakwatch_tree_processes",
            "Processes in the trees whose root has this name.",
            |tree| tree.processes as f64,
        )?;
        each(
            "leakwatch_tree_footprint_bytes",
            "RssAnon plus VmSwap of all members; shared pages count in each.",
            |tree| tree.footprint as f64,
        )?;
        each("leakwatch_tree_leaking_processes", "Members that leak memory or threads.", |tree| {
            tree.leaking as f64
        })?;
        each(
            "leakwatch_tree_growing_processes",
            "Members that grow steadily, not yet long enough to call it a leak.",
            |tree| tree.growing as f64,
        )?;
        each(
            "leakwatch_tree_growth_bytes_per_second",
            "Growth of the leaking and growing members.",
            |tree| tree.growth,
        )?;
        let name = "leakwatch_exhaustion_seconds";
        head(
            out,
            name,
            "gauge",
            "Seconds until the first ceiling is reached; absent without a forecast.",
        )?;
        for tree in &self.0 {
            let Some(f) = tree.forecast else { continue };
            for (bound, seconds) in
                [("earliest", f.earliest_s), ("likely", f.likely_s), ("latest", f.latest_s)]
            {
                let (comm, ceiling, place) = (Quoted(tree.comm), f.ceiling.name(), Shown(f.place));
                let of = UnitLabel(label(names.of(tree.root)));
                writeln!(
                    out,
                    "{name}{{watch=\"{watch}\",tree=\"{comm}\",ceiling=\"{ceiling}\",place=\"{place}\",bound=\"{bound}\"{of}}} {}",
                    MetricValue(seconds)
                )?;
            }
        }
        Ok(())
    }
}
