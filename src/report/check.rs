//! The result of a check in one line, as monitoring plugins write it.
//!
//! `STATUS - text | label=value[unit];warn;crit;min;max ...`, by the guidelines of
//! monitoring-plugins.org. Nagios, Icinga and their like read the exit status, show the text, and
//! draw what follows the bar.

use super::events::EventFormat;
use super::fields::Fields;
use super::summary::TreeSummary;
use super::words::{NamedCeiling, Subject};
use crate::core::alerting::CheckState;
use crate::core::model::units::{Amount, Bytes, Rate, Seconds};
use std::io::{self, Write};

/// What is reported of a check.
#[derive(Debug)]
pub struct CheckReport<'a> {
    /// How things stand.
    pub state: CheckState,
    /// The selection as it was typed.
    pub wanted: &'a str,
    /// All trees, worst first.
    pub trees: &'a [TreeSummary<'a>],
    /// Samples judged, this one included.
    pub samples: usize,
    /// Seconds from the first to the last.
    pub watched_s: f64,
    /// From this time to exhaustion on it is critical, in seconds.
    pub lead_s: f64,
    /// Memory or tasks were refused just now, or the OOM killer struck.
    pub failing: bool,
}

/// Samples without which there is no verdict.
const FEW: usize = 12;

impl CheckReport<'_> {
    fn write_line(&self, out: &mut impl Write) -> io::Result<()> {
        // The bar ends the text, so a name must not hold one.
        let text = self.text().replace('|', "/");
        write!(out, "LEAKWATCH {} - {text} |", self.state.name())?;
        let trees = self.trees;
        let count = |of: fn(&TreeSummary<'_>) -> usize| trees.iter().map(of).sum::<usize>();
        write!(out, " processes={};;;0", count(|tree| tree.workers + 1))?;
        write!(out, " leaking={};;;0", count(|tree| tree.leaking))?;
        write!(out, " growing={};;;0", count(|tree| tree.growing))?;
        write!(out, " footprint={}B;;;0", trees.iter().map(|tree| tree.footprint).sum::<u64>())?;
        if let Some(tree) = self.nearest() {
            let (left, limit) = (tree.headroom.left, tree.headroom.limit);
            write!(out, " headroom={left}B;;;0;{limit}")?;
        }
        // U is the plugins' word for an unknown value: no exhaustion is in sight.
        match self.first_end() {
            Some(end_s) => write!(out, " exhaustion={end_s:.0}s;;{:.0}:;0", self.lead_s)?,
            None => write!(out, " exhaustion=U;;{:.0}:;0", self.lead_s)?,
        }
        writeln!(out)
    }

    /// Writes the result: the line for people, or an event `check` with `state`, `text`, `processes`,
    /// `leaking`, `growing`, `footprint_bytes`, `samples` and `watched_s`.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn write(&self, out: &mut impl Write, t: f64, format: EventFormat) -> io::Result<()> {
        match format.begin(out, "check", t)? {
            Some(fields) => self.write_record(fields),
            None => self.write_line(out),
        }
    }

    fn write_record<W: Write>(&self, mut fields: Fields<'_, W>) -> io::Result<()> {
        let count = |of: fn(&TreeSummary<'_>) -> usize| self.trees.iter().map(of).sum::<usize>();
        let footprint: u64 = self.trees.iter().map(|tree| tree.footprint).sum();
        fields.word("state", &self.state.name().to_ascii_lowercase())?;
        fields.text("text", self.text())?;
        fields.value("processes", count(|tree| tree.workers + 1))?;
        fields.value("leaking", count(|tree| tree.leaking))?;
        fields.value("growing", count(|tree| tree.growing))?;
        fields.value("footprint_bytes", footprint)?;
        fields.value("samples", self.samples)?;
        fields.value("watched_s", self.watched_s)?;
        fields.end()
    }

    fn text(&self) -> String {
        let trees = self.trees;
        let Some(worst) = trees.first() else {
            return format!("no process matches {}", self.wanted);
        };
        let failing = if self.failing { "memory or tasks ran out just now; " } else { "" };
        let ends = || trees.iter().filter(|tree| tree.forecast.is_some());
        let first_s = |tree: &&TreeSummary<'_>| tree.forecast.map_or(f64::INFINITY, |f| f.likely_s);
        let nearing = ends().min_by(|a, b| first_s(a).total_cmp(&first_s(b)));
        let leaking = trees.iter().find(|tree| tree.leaking > 0);
        let Some(tree) = leaking.or(nearing) else {
            let processes: usize = trees.iter().map(|tree| tree.workers + 1).sum();
            let who = match (trees.len(), processes) {
                (1, 1) => Subject::process(worst.comm, worst.root).to_string(),
                (1, n) => format!("{}, {n} processes", Subject::tree(worst.comm, worst.root)),
                (n, all) => format!("{all} processes in {n} trees"),
            };
            let known = match self.samples {
                n if n < FEW => format!("too early to say: {n} of {FEW} samples"),
                n => format!("nothing leaks; {n} samples in {}", Seconds(self.watched_s)),
            };
            let left = self.nearest().map_or(String::new(), |tree| {
                let (headroom, unit) = (tree.headroom, tree.headroom.kind.unit());
                let named = NamedCeiling(headroom.kind, headroom.place, tree.names);
                let left = Amount(headroom.left, unit);
                format!("; {left} of {} left of {named}", Amount(headroom.limit, unit))
            });
            return format!("{failing}{who}: {known}{left}");
        };
        let subject = Subject::tree(tree.comm, tree.root);
        let who = match (tree.leaking, tree.workers + 1) {
            (0, 1) if tree.growing > 0 => {
                format!("{} grows", Subject::process(tree.comm, tree.root))
            }
            (0, all) if tree.growing > 0 => {
                format!("{subject}: {} of {all} processes grow", tree.growing)
            }
            (0, _) => format!("{subject}: no confirmed leak"),
            (1, 1) => format!("{} leaks", Subject::process(tree.comm, tree.root)),
            (n, all) => format!("{subject}: {n} of {all} processes leak"),
        };
        let others = trees.iter().filter(|of| of.leaking > 0 && of.root != tree.root).count();
        let others = match others {
            0 => String::new(),
            1 => ", and 1 other tree leaks".to_owned(),
            n => format!(", and {n} other trees leak"),
        };
        let end = match tree.forecast {
            Some(f) if f.is_reliable() => format!(
                "; {} in {} ({} to {}), usage {}",
                f.ceiling.effect().verb(),
                Seconds(f.likely_s),
                Seconds(f.earliest_s),
                Seconds(f.latest_s),
                Rate(f.slope, f.ceiling.unit())
            ),
            _ => format!("; {} left", Bytes(tree.headroom.left)),
        };
        format!("{failing}{who}{end}{others}")
    }

    /// The tree with the least left.
    fn nearest(&self) -> Option<&TreeSummary<'_>> {
        self.trees.iter().min_by_key(|tree| tree.headroom.left)
    }

    fn first_end(&self) -> Option<f64> {
        let reliable =
            self.trees.iter().filter_map(|tree| tree.forecast).filter(|f| f.is_reliable());
        reliable.map(|forecast| forecast.likely_s).reduce(f64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::detect::forecast::ceiling_series::Headroom;
    use crate::core::model::ceiling::{CeilingKind, Place};
    use crate::core::model::forecast::Forecast;
    use crate::core::model::process::{Comm, ProcId};
    use crate::core::unit_names::UnitNames;

    const GIB: u64 = 1 << 30;

    fn tree(leaking: usize) -> TreeSummary<'static> {
        let (kind, place) = (CeilingKind::Ram, Place::NONE);
        let forecast = Forecast {
            ceiling: kind,
            place,
            headroom: GIB,
            limit: 2 * GIB,
            slope: 46.0 * 1_048_576.0 / 3600.0,
            earliest_s: 19_800.0,
            likely_s: 22_200.0,
            latest_s: 25_000.0,
            window_s: 20_000.0,
        };
        TreeSummary {
            root: ProcId { pid: 800, start: 1 },
            comm: Comm::new(b"apa|che2"),
            server: "Apache prefork",
            workers: 24,
            footprint: GIB,
            leaking,
            growing: 0,
            headroom: Headroom { kind, place, left: GIB, limit: 2 * GIB },
            forecast: (leaking > 0).then_some(forecast),
            names: &NAMES,
        }
    }

    static NAMES: UnitNames = UnitNames::new();

    fn line(state: CheckState, trees: &[TreeSummary<'static>], samples: usize) -> String {
        let mut out = Vec::new();
        let (wanted, watched_s, lead_s) = ("pattern 'apache2'", 86_400.0, 900.0);
        CheckReport { state, wanted, trees, samples, watched_s, lead_s, failing: false }
            .write_line(&mut out)
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_plugin_reads_status_text_and_performance_data() {
        assert_eq!(
            line(CheckState::Warning, &[tree(3), tree(0)], 300),
            "LEAKWATCH WARNING - apa/che2(800): 3 of 25 processes leak; memory runs out in 6 h 10 min \
             (5 h 30 min to 6 h 57 min), usage +46 MiB/h | processes=50;;;0 leaking=3;;;0 \
             growing=0;;;0 footprint=2147483648B;;;0 headroom=1073741824B;;;0;2147483648 \
             exhaustion=22200s;;900:;0\n"
        );
        assert_eq!(
            line(CheckState::Ok, &[tree(0)], 300),
            "LEAKWATCH OK - apa/che2(800), 25 processes: nothing leaks; 300 samples in 24 h 00 min; \
             1.0 GiB of 2.0 GiB left of RAM and swap | processes=25;;;0 leaking=0;;;0 \
             growing=0;;;0 footprint=1073741824B;;;0 headroom=1073741824B;;;0;2147483648 \
             exhaustion=U;;900:;0\n"
        );
        assert_eq!(
            line(CheckState::Unknown, &[], 1),
            "LEAKWATCH UNKNOWN - no process matches pattern 'apache2' | processes=0;;;0 \
             leaking=0;;;0 growing=0;;;0 footprint=0B;;;0 exhaustion=U;;900:;0\n"
        );
    }

    #[test]
    fn with_few_samples_it_is_too_early_to_say() {
        let text = line(CheckState::Ok, &[tree(0)], 3);
        assert!(text.contains("too early to say: 3 of 12 samples"), "{text}");
    }
}
