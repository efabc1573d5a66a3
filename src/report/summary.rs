//! The state of every watched tree, one line a tree, worst first.
//!
//! The same lines serve the greeting at the start, SIGUSR1, and the block that is redrawn on a
//! terminal.

use super::words::{NamedCeiling, Style, Subject};
use crate::core::detect::forecast::ceiling_series::Headroom;
use crate::core::engine::Engine;
use crate::core::model::forecast::Forecast;
use crate::core::model::process::{Comm, ProcId};
use crate::core::model::units::{Amount, Bytes, Rate, Seconds};
use crate::core::model::verdict::Verdict;
use crate::core::unit_names::UnitNames;
use std::io::{self, Write};

/// One process tree as it stands.
#[derive(Clone, Copy, Debug)]
pub struct TreeSummary<'e> {
    /// Its root.
    pub root: ProcId,
    /// The root's name.
    pub comm: Comm,
    /// Name of the server that its workers belong to; "unknown" if it is in no table.
    pub server: &'static str,
    /// Living processes below the root.
    pub workers: usize,
    /// Footprints of all members together, in bytes. What a worker inherited and still shares
    /// with its parent is counted in each, so this can exceed what they really hold.
    pub footprint: u64,
    /// Members convicted of leaking.
    pub leaking: usize,
    /// Members that grow steadily.
    pub growing: usize,
    /// The nearest ceiling.
    pub headroom: Headroom,
    /// When it will be reached.
    pub forecast: Option<Forecast>,
    /// The units and containers of all of them.
    pub names: &'e UnitNames,
}

/// All trees of the last sample, worst first: leaking, then growing, then by footprint.
pub fn trees(engine: &Engine) -> Vec<TreeSummary<'_>> {
    let detector = engine.detector();
    let mut trees: Vec<TreeSummary<'_>> = Vec::new();
    for s in detector.process_states() {
        let index = trees.iter().position(|tree| tree.root == s.root).unwrap_or_else(|| {
            trees.push(TreeSummary {
                root: s.root,
                comm: s.comm,
                server: engine
                    .policy()
                    .eligibility()
                    .server(s.root)
                    .map_or("unknown", |server| server.name),
                workers: 0,
                footprint: 0,
                leaking: 0,
                growing: 0,
                headroom: detector.headroom(s.root),
                forecast: detector.forecast(s.root),
                names: engine.names(),
            });
            trees.len() - 1
        });
        let Some(tree) = trees.get_mut(index) else { continue };
        if s.id == s.root {
            tree.comm = s.comm;
        } else {
            tree.workers += 1;
        }
        // The master of a threaded Apache has one thread; its workers tell the kind.
        let eligibility = engine.policy().eligibility();
        if let Some(server) =
            eligibility.server(s.id).filter(|_| eligibility.is_worker(s, detector))
        {
            tree.server = server.name;
        }
        tree.footprint += s.footprint;
        tree.leaking += usize::from(s.leaks());
        tree.growing += usize::from(s.verdict == Verdict::Growing);
    }
    trees.sort_by_key(|tree| {
        std::cmp::Reverse((tree.leaking, tree.growing, tree.footprint, tree.root))
    });
    trees
}

/// Writes the state in one line without its end, for a service manager. Allocates nothing.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_summary(out: &mut impl Write, engine: &Engine) -> io::Result<()> {
    let detector = engine.detector();
    let leaking = detector.process_states().filter(|s| s.leaks()).count();
    let roots = || detector.process_states().filter(|s| s.parent.is_none());
    let growing = detector.process_states().filter(|s| s.endangers).count();
    match (engine.alarm().is_on(), leaking) {
        (true, _) => write!(out, "forks fail or the OOM killer strikes")?,
        (_, 0) if growing > 0 => write!(out, "{growing} GROWING")?,
        (_, 0) => write!(out, "nothing leaks")?,
        (_, n) => write!(out, "{n} LEAKING")?,
    }
    match detector.process_states().count() {
        1 => write!(out, " in 1 process")?,
        n => write!(out, " in {n} processes")?,
    }
    let share_left = |h: &Headroom| h.left as f64 / (h.limit as f64).max(1.0);
    let nearest = roots()
        .map(|s| (detector.headroom(s.id), detector.forecast(s.id).filter(Forecast::is_reliable)))
        .min_by(|(a, f), (b, g)| {
            let end_s = |f: &Option<Forecast>| f.map_or(f64::INFINITY, |f| f.likely_s);
            end_s(f).total_cmp(&end_s(g)).then(share_left(a).total_cmp(&share_left(b)))
        });
    match nearest {
        Some((_, Some(f))) => write!(
            out,
            "; {} in {} ({} to {})",
            f.ceiling.effect().verb(),
            Seconds(f.likely_s),
            Seconds(f.earliest_s),
            Seconds(f.latest_s)
        ),
        Some((Headroom { kind, place, left, limit }, None)) => write!(
            out,
            "; {} of {} left of {}",
            Amount(left, kind.unit()),
            Amount(limit, kind.unit()),
            NamedCeiling(kind, place, engine.names())
        ),
        None => Ok(()),
    }
}

/// Writes one line for each of the first `most` trees, and one that counts the rest.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(
    out: &mut impl Write,
    trees: &[TreeSummary<'_>],
    most: usize,
    style: Style,
) -> io::Result<()> {
    let (bold, off) = if style.colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    for tree in trees.iter().take(most) {
        let subject = Subject::tree(tree.comm, tree.root);
        let name = match tree.names.of(tree.root) {
            Some(unit) => format!("{subject} of {unit}"),
            None => subject.to_string(),
        };
        let workers = match tree.workers {
            0 => "alone".to_owned(),
            1 => "1 worker".to_owned(),
            n => format!("{n} workers"),
        };
        let size = Bytes(tree.footprint).to_string();
        write!(out, "  {bold}{name:<22}{off}  {workers:<11}  {size:>8}  {:<15}", tree.server)?;
        match (tree.leaking, tree.growing) {
            (0, 0) => write!(out, "  nothing leaks")?,
            (0, 1) => write!(out, "  1 grows")?,
            (0, n) => write!(out, "  {n} grow")?,
            (1, _) => write!(out, "  1 LEAKING")?,
            (n, _) => write!(out, "  {n} LEAKING")?,
        }
        let Headroom { kind, place, left, limit } = tree.headroom;
        match tree.forecast {
            Some(f) if f.is_reliable() => write!(
                out,
                ", {}; {} in {} ({} to {})",
                Rate(f.slope, f.ceiling.unit()),
                f.ceiling.effect().verb(),
                Seconds(f.likely_s),
                Seconds(f.earliest_s),
                Seconds(f.latest_s)
            )?,
            _ => {
                let named = NamedCeiling(kind, place, tree.names);
                write!(out, "; {} of {} left of {named}", Bytes(left), Bytes(limit))?;
            }
        }
        writeln!(out)?;
    }
    match trees.len().saturating_sub(most) {
        0 => Ok(()),
        rest => {
            let sum: u64 = trees.iter().skip(most).map(|tree| tree.footprint).sum();
            let leaks = match trees.iter().skip(most).filter(|tree| tree.leaking > 0).count() {
                0 => ", nothing leaks there".to_owned(),
                n => format!(", {n} of them leaking"),
            };
            writeln!(out, "  and {rest} more, {} together{leaks}", Bytes(sum))
        }
    }
}
