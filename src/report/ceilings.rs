//! A table of every limit that can fail a fork or bring the OOM killer, nearest first.

use super::words::CeilingName;
use crate::core::model::ceiling::{Ceiling, CeilingNote, CeilingSources, Unit};
use crate::core::model::json_text::{write_comm, write_text};
use crate::core::model::process::{Comm, ProcId};
use crate::core::model::sample::Sample;
use crate::core::model::units::Bytes;
use std::io::{self, Write};

/// Trees named beside a limit.
const MOST: usize = 3;

/// All limits of one sample.
pub struct Rows {
    rows: Vec<CeilingTrees>,
    notes: Vec<CeilingNote>,
}

/// One limit with all the trees below it.
struct CeilingTrees {
    ceiling: Ceiling,
    /// None of a limit of the machine.
    trees: Vec<(ProcId, Comm)>,
    file: String,
}

/// The limits in `sample`, each once, nearest first: by the share that is left. `sources` are those
/// of [`Sample::every_ceiling`].
pub fn rows(sample: &Sample, sources: CeilingSources) -> Rows {
    let mut rows: Vec<CeilingTrees> = Vec::new();
    for (ceiling, file) in sample.every_ceiling().zip(sources.files) {
        let tree = ceiling.root.map(|root| {
            let proc = sample.procs.iter().find(|proc| proc.id == root);
            (root, proc.map_or(Comm::default(), |proc| proc.comm))
        });
        let same = |row: &&mut CeilingTrees| {
            !ceiling.place.is_none()
                && (row.ceiling.kind, row.ceiling.place) == (ceiling.kind, ceiling.place)
        };
        match rows.iter_mut().find(same) {
            Some(row) => row.trees.extend(tree),
            None => rows.push(CeilingTrees { ceiling, trees: tree.into_iter().collect(), file }),
        }
    }
    rows.sort_by(|a, b| share_left(&a.ceiling).total_cmp(&share_left(&b.ceiling)));
    Rows { rows, notes: sources.notes }
}

fn share_left(ceiling: &Ceiling) -> f64 {
    ceiling.headroom() as f64 / (ceiling.limit as f64).max(1.0)
}

/// An amount without the name of its unit, for a column.
fn amount(n: u64, unit: Unit) -> String {
    match unit {
        Unit::Bytes => Bytes(n).to_string(),
        Unit::Tasks => n.to_string(),
    }
}

/// Writes the table, then the notes.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(out: &mut impl Write, rows: &Rows) -> io::Result<()> {
    writeln!(out, "    LEFT              USED      LIMIT  AT ZERO       CEILING")?;
    for CeilingTrees { ceiling, trees, file } in &rows.rows {
        let (unit, effect) = (ceiling.kind.unit(), ceiling.kind.effect());
        writeln!(
            out,
            "{:>8}  {:>3.0} %  {:>9}  {:>9}  {:<12}  {}",
            amount(ceiling.headroom(), unit),
            100.0 * share_left(ceiling),
            amount(ceiling.used, unit),
            amount(ceiling.limit, unit),
            effect.column(),
            CeilingName(ceiling.kind, ceiling.place)
        )?;
        write!(out, "{:42}{file}", "")?;
        for (index, (root, comm)) in trees.iter().take(MOST).enumerate() {
            let before = if index == 0 { "  over " } else { ", " };
            write!(out, "{before}{comm}({})", root.pid)?;
        }
        match trees.len().saturating_sub(MOST) {
            0 => writeln!(out)?,
            rest => writeln!(out, " and {rest} more")?,
        }
    }
    rows.notes.iter().try_for_each(|CeilingNote { about, text }| writeln!(out, "{about}: {text}"))
}

/// Writes one JSON object: `schema` 1; `ceilings`, each with `ceiling`, `place`, `trees` (`pid`,
/// `start`, `comm`), `used_*`, `limit_*`, `left_*` (`bytes` or `tasks`), `effect` (as in events) and
/// `file`; `notes`, each with `about` and `text`.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json(out: &mut impl Write, rows: &Rows) -> io::Result<()> {
    out.write_all(b"{\"schema\":1,\"ceilings\":[")?;
    for (index, CeilingTrees { ceiling, trees, file }) in rows.rows.iter().enumerate() {
        let unit = ceiling.kind.unit().name();
        let comma = if index > 0 { "," } else { "" };
        write!(out, "{comma}{{\"ceiling\":\"{}\",\"place\":", ceiling.kind.name())?;
        write_text(out, &ceiling.place.plain())?;
        out.write_all(b",\"trees\":[")?;
        for (index, (root, comm)) in trees.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            write!(out, "{comma}{{\"pid\":{},\"start\":{},\"comm\":", root.pid, root.start)?;
            write_comm(out, *comm)?;
            out.write_all(b"}")?;
        }
        let Ceiling { used, limit, .. } = *ceiling;
        write!(out, "],\"used_{unit}\":{used},\"limit_{unit}\":{limit},\"left_{unit}\":")?;
        write!(out, "{},\"effect\":\"{}\"", ceiling.headroom(), ceiling.kind.effect().name())?;
        out.write_all(b",\"file\":")?;
        write_text(out, file)?;
        out.write_all(b"}")?;
    }
    out.write_all(b"],\"notes\":[")?;
    for (index, CeilingNote { about, text }) in rows.notes.iter().enumerate() {
        let comma = if index > 0 { "," } else { "" };
        write!(out, "{comma}{{\"about\":\"{about}\",\"text\":")?;
        write_text(out, text)?;
        out.write_all(b"}")?;
    }
    out.write_all(b"]}\n")
}
