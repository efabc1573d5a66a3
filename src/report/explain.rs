//! Why a process got its verdict, window by window.
//!
//! Two questions, two tables: does it grow without end, and is that long growth, which may endanger memory? A cell
//! has `ok` or `FAIL`, the value found and, behind the slash, the value needed. The last line is the
//! conclusion in words.

use super::reasons::{cell, conclusion, pair, ratio, size, unproven};
use super::words::{CeilingName, Style, Subject, TimeOfDay};
use crate::core::detect::explain::{EarlierRunMatch, Explanation, Siblings, WindowRow};
use crate::core::detect::forecast::ceiling_series::Headroom;
use crate::core::detect::series::window::GrowthShape;
use crate::core::detect::verdict::rules::{PatientRule, RuleChecks};
use crate::core::model::units::{Bytes, BytesPerSecond, Seconds};
use crate::core::model::verdict::Verdict;
use std::io::{self, Write};

/// Why there is a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ExplainedAt {
    /// The verdict changed, from this one if there was one.
    Changed(Option<Verdict>),
    /// The process is no longer there.
    Gone,
    /// The recording ends.
    End,
    /// Somebody asked.
    Now,
}

/// What the tables mean; printed once, before the first block.
const LEGEND: &str = "\
each cell: ok or FAIL, found/needed; sizes in powers of 1024
  enough      growth, from the median block minimum of the first third to that of the last
  falls       the same growth, and 1.25 times the largest fall ever seen in blocks of this length
  rises       rank sum of the block minima: more than chance would reach
  2nd half    once it grows: growth of the second half, and 0.8 times that of the first
  goes on     slope in the last sixth, as a share of the steady one: it has not stopped
  load        growth as a factor, and CPU use as a factor: CPU use does not explain it
  urgent      reach: growth in --max-extrapolation times the window, and what is left; enough samples in the
              window; share: its part in the loss of headroom meanwhile
  patient     enough samples in all; window long for its age (or doubled); grew by half of itself;
              memory runs out within 30 days
";

/// Writes what the tables mean.
///
/// # Errors
/// When `out` cannot be written.
pub fn legend(out: &mut impl Write) -> io::Result<()> {
    out.write_all(LEGEND.as_bytes())
}

/// Writes one block.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(
    out: &mut impl Write,
    t: f64,
    reason: ExplainedAt,
    explanation: &Explanation,
    style: Style,
) -> io::Result<()> {
    let state = &explanation.state;
    let verdict = state.verdict.name();
    let what = match reason {
        ExplainedAt::Changed(Some(was)) => format!("{} -> {verdict}", was.name()),
        ExplainedAt::Changed(None) => verdict.to_owned(),
        ExplainedAt::Gone => format!("gone, was {verdict}"),
        ExplainedAt::End => format!("{verdict} at the end of the recording"),
        ExplainedAt::Now => format!("{verdict} now"),
    };
    let (bold, off) = if style.colour { ("\x1b[1m", "\x1b[0m") } else { ("", "") };
    let subject = Subject::process(state.comm, state.id);
    writeln!(out, "\n{}  {bold}{subject} started {}: {what}{off}", TimeOfDay(t), state.id.start)?;
    let Headroom { kind, place, left, limit } = explanation.headroom;
    writeln!(
        out,
        "  age {} ({} samples seen), {} now, {} when first seen; {} of {} left in {}",
        Seconds(state.age_s),
        state.samples,
        Bytes(state.footprint),
        Bytes(state.first_footprint),
        Bytes(left),
        Bytes(limit),
        CeilingName(kind, place)
    )?;
    let growth: Vec<Vec<String>> = explanation.windows.iter().map(growth_cells).collect();
    table(out, "does it grow without end?", &GROWTH, &growth, style)?;
    let rules: Vec<Vec<String>> = explanation.windows.iter().filter_map(rule_cells).collect();
    table(out, "is that long growth, which may endanger memory?", &RULES, &rules, style)?;
    aside(out, explanation)?;
    writeln!(out, "  => {}", conclusion(explanation))?;
    match &explanation.unproven {
        Some(checks) => writeln!(out, "  not called a leak: {}", unproven(checks)),
        None => Ok(()),
    }
}

const GROWTH: [&str; 10] = [
    "window", "blocks", "speed", "enough", "falls", "rises", "2nd half", "goes on", "load",
    "growth",
];

fn growth_cells(row: &WindowRow) -> Vec<String> {
    let tests = &row.window.tests;
    let blocks = row.window.blocks;
    let growth = match row.window.growth {
        None => "none".to_owned(),
        Some(growth) if tests.going_on.passes => kind(growth).to_owned(),
        Some(growth) => format!("{}, paused", kind(growth)),
    };
    // How it grows is no question where it does not.
    let kinds = |cell: String| if row.window.growth.is_some() { cell } else { "-".to_owned() };
    vec![
        Seconds(row.window_s).to_string(),
        format!("{blocks} x {}", Seconds(row.window_s / blocks as f64)),
        BytesPerSecond(row.slope).to_string(),
        cell(row.enough(), size),
        cell(tests.beyond_falls, size),
        cell(tests.rising, |n| format!("{n}")),
        kinds(cell(tests.lasting, size)),
        kinds(cell(tests.going_on, ratio)),
        kinds(cell(tests.not_by_load, |x| format!("x{}", ratio(x)))),
        growth,
    ]
}

const RULES: [&str; 10] = [
    "window",
    "in a row",
    "urgent: reach",
    "samples",
    "share",
    "patient: samples",
    "of life",
    "of itself",
    "runs out in",
    "verdict",
];

fn rule_cells(row: &WindowRow) -> Option<Vec<String>> {
    let RuleChecks { in_a_row, urgent, share, patient, leak, suspect } = row.rules.as_ref()?;
    let number = |n: f64| format!("{n}");
    let time = |s: f64| Seconds(s).to_string();
    let of_life = match patient {
        PatientRule { of_life_s, .. } if of_life_s.passes => cell(*of_life_s, time),
        patient if patient.is_long_enough() => {
            format!("ok doubled {}", pair(patient.doubled, size))
        }
        PatientRule { of_life_s, .. } => cell(*of_life_s, time),
    };
    let so = match (leak, suspect) {
        (Some(why), _) => why.name(),
        (None, Some(_)) => "growing",
        (None, None) => "no",
    };
    Some(vec![
        time(row.window_s),
        cell(*in_a_row, number),
        cell(urgent.reach, size),
        cell(urgent.samples, number),
        cell(*share, ratio),
        cell(patient.life_samples, number),
        of_life,
        cell(patient.own_growth, size),
        cell(patient.end_s, time),
        so.to_owned(),
    ])
}

fn table(
    out: &mut impl Write,
    question: &str,
    head: &[&str],
    rows: &[Vec<String>],
    style: Style,
) -> io::Result<()> {
    if rows.is_empty() {
        return Ok(());
    }
    writeln!(out, "  {question}")?;
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column)).map(String::len);
        cells.chain(head.get(column).map(|name| name.len())).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..head.len()).map(width).collect();
    let head: Vec<String> = head.iter().map(|name| (*name).to_owned()).collect();
    for row in std::iter::once(&head).chain(rows) {
        let mut line = String::from("   ");
        for (cell, width) in row.iter().zip(&widths) {
            let padded = format!(" {cell:<width$} ");
            line += &if style.colour && cell.starts_with("FAIL") {
                format!("\x1b[31m{padded}\x1b[0m")
            } else {
                padded
            };
        }
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// What beside its own windows weighs in.
fn aside(out: &mut impl Write, explanation: &Explanation) -> io::Result<()> {
    if let Some(Siblings { members, leaks, group_factor }) = explanation.pool {
        let pooled = match leaks {
            true => "pooled by age, its members grow until they exit",
            false => "not leaking as a pool",
        };
        write!(out, "  pool: {members} alive; {pooled}")?;
        match group_factor > 1.0 {
            true => {
                writeln!(out, "; those that grow alike make up {group_factor:.1} times its growth")?
            }
            false => writeln!(out)?,
        }
    }
    let Some(EarlierRunMatch { size: bytes, age_s, explains }) = explanation.earlier else {
        return Ok(());
    };
    let time = |s: f64| Seconds(s).to_string();
    let so = match (explains, bytes.passes && age_s.passes) {
        (true, _) => "explains the growth",
        (false, true) => "explains nothing, that run leaked",
        (false, false) => "explains nothing",
    };
    let (bytes, age) = (cell(bytes, size), cell(age_s, time));
    writeln!(out, "  earlier run, with a quarter to spare: size {bytes}, age {age}: {so}")
}

fn kind(growth: GrowthShape) -> &'static str {
    match growth {
        GrowthShape::Steady => "steady",
        GrowthShape::AtEqualLoad => "steady at equal load",
        GrowthShape::WithLoad => "with load",
        GrowthShape::Slowing => "slowing",
    }
}
