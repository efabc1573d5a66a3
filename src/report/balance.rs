//! The balance sheet as text and as JSON: where all memory is, what grows first.

use crate::core::balance::directories::Largest;
use crate::core::balance::sheet::{Sheet, SheetLine, SheetPart};
use crate::core::balance::trend::LineGrowth;
use crate::core::model::memory_line::{LineKind, Nature};
use crate::core::model::units::{Bytes, BytesPerSecond, Seconds};
use crate::report::escape::Plain;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Parts shown below a line that grows, and below another.
const MOST_GROWING: usize = 4;
const MOST: usize = 2;
/// A line below this share of all memory that does not grow has no parts shown; nor has such a part.
const SMALL: f64 = 0.01;
/// A line below this share is told with the others.
const TINY: f64 = 0.0005;

/// A row of the sheet.
#[derive(Clone, Debug, PartialEq)]
pub struct SheetRow {
    /// How much.
    pub bytes: u64,
    /// How it moves, in words: "+8.0 MiB/s"; empty where that is not known or next to nothing.
    pub moves: String,
    /// Whether it grows and nothing gives it back.
    pub is_growing: bool,
    /// What it is, and who has it.
    pub text: String,
    /// Whether it is a part of the line above.
    pub is_part: bool,
}

/// The rows of a sheet: its lines with their parts.
pub fn rows(sheet: &Sheet) -> Vec<SheetRow> {
    let share = |bytes: u64| bytes as f64 / (sheet.total as f64).max(1.0);
    let (mut rows, mut rest, mut others) = (Vec::new(), 0_u64, 0);
    for line in &sheet.lines {
        let grows = line.grows() && line.kind.nature() == Nature::Held;
        if share(line.bytes) < TINY && !grows {
            (rest, others) = (rest.saturating_add(line.bytes), others + 1);
            continue;
        }
        let back = match line.kind.nature() {
            Nature::Reclaimable => ", given back when memory is needed",
            _ => "",
        };
        rows.push(SheetRow {
            bytes: line.bytes,
            moves: moves(line.trend.map(|trend| trend.rate), line.bytes),
            is_growing: grows,
            text: format!("{}{back}", line.kind.title()),
            is_part: false,
        });
        let most = if grows { MOST_GROWING } else { MOST };
        let told = |part: &&SheetPart| {
            let moves = part.rate.is_some_and(|rate| rate > 0.1 * line.rate() && rate > 0.0);
            share(part.bytes) >= SMALL || (grows && moves)
        };
        rows.extend(line.parts.iter().filter(told).take(most).map(|part| SheetRow {
            bytes: part.bytes,
            moves: moves(part.rate, part.bytes),
            is_growing: grows && line.culprit() == Some(part),
            text: part_text(part),
            is_part: true,
        }));
    }
    if others > 0 {
        let text = format!("{others} lines of less than {:.2} % each", 100.0 * TINY);
        let (moves, is_growing, is_part) = (String::new(), false, false);
        rows.push(SheetRow { bytes: rest, moves, is_growing, text, is_part });
    }
    rows
}

/// A rate that changes something within an hour: at least a thousandth of the line, or a mebibyte.
fn moves(rate: Option<f64>, bytes: u64) -> String {
    let least = (0.001 * bytes as f64).max(1_048_576.0) / 3600.0;
    rate.filter(|rate| rate.abs() >= least)
        .map_or(String::new(), |rate| BytesPerSecond(rate).to_string())
}

/// "tmpfs /dev/shm, most of it in /dev/shm/spool (user 33)".
fn part_text(part: &SheetPart) -> String {
    let mut text = Plain(&part.name).to_string();
    if let Some(directory) = part.directory.as_ref().filter(|found| !found.path.is_empty()) {
        text += &format!(", mostly in {}", place(part, directory));
    }
    if !part.note.is_empty() {
        text += &format!(", {}", Plain(&part.note));
    }
    text
}

/// The directory with its mount point, and whose files are in it.
fn place(part: &SheetPart, directory: &Largest) -> String {
    let mount = part.name.split_once(' ').map_or("", |(_, point)| point);
    // "tmpfs /tmp of nginx[12]" is a mount that only that process sees.
    let (point, of) = match mount.rsplit_once(" of ") {
        Some((point, of)) => (point, format!(" as {} sees it", Plain(of))),
        None => (mount, String::new()),
    };
    let user = directory.uid.map_or(String::new(), |uid| format!(" (files of user {uid})"));
    let whole = format!("{}{}", point.trim_end_matches('/'), directory.path);
    format!("{}{of}{user}", Plain(&whole))
}

/// What a line that grows is: "shared memory and tmpfs grow by 8.0 MiB/s: tmpfs /dev/shm, mostly in
/// /dev/shm/spool (files of user 33)".
pub fn finding(line: &SheetLine) -> String {
    let rate = BytesPerSecond(line.rate()).to_string();
    let (subject, verb) = match line.kind {
        LineKind::Unexplained => ("memory that no counter has", "grows"),
        LineKind::Balloon => ("what the host takes (balloon)", "grows"),
        LineKind::Zram | LineKind::Zswap | LineKind::Percpu | LineKind::Kernel => {
            (line.kind.title(), "grows")
        }
        kind => (kind.title(), "grow"),
    };
    let mut text = format!("{subject} {verb} by {}", rate.trim_start_matches('+'));
    if let Some(part) = line.culprit() {
        text += &format!(": {}", part_text(part));
    }
    text
}

/// When that ends: "memory would end in 48 min", "it is full in 3 min, and memory holds that".
pub fn end(sheet: &Sheet, line: &SheetLine) -> String {
    let in_time = |bytes: u64| Seconds(bytes as f64 / line.rate().max(1e-9));
    match (line.lasts_s(sheet), line.culprit().and_then(SheetPart::room)) {
        (Some(lasts_s), _) => format!("at this rate memory ends in {}", Seconds(lasts_s)),
        (None, Some(room)) => format!("it is full in {}, before memory ends", in_time(room)),
        (None, None) => String::new(),
    }
}

/// Writes the sheet for people; a cgroup's under its name.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(out: &mut impl Write, sheet: &Sheet) -> io::Result<()> {
    let span_s =
        sheet.lines.iter().filter_map(|line| line.trend).map(|t| t.span_s).fold(0.0, f64::max);
    match sheet.place.is_empty() {
        true => write!(out, "{} of memory, {} left", Bytes(sheet.total), Bytes(sheet.headroom))?,
        false => write!(out, "\n{} in cgroup {}", Bytes(sheet.total), Plain(&sheet.place))?,
    }
    match span_s > 0.0 {
        true => writeln!(out, "; looked at for {} ({} readings)", Seconds(span_s), sheet.readings)?,
        false => writeln!(out)?,
    }
    let growing =
        || sheet.lines.iter().filter(|line| line.grows() && line.kind.nature() == Nature::Held);
    for line in growing() {
        let end = end(sheet, line);
        let end = if end.is_empty() { end } else { format!("; {end}") };
        writeln!(out, "\nGROWING: {}{end}.\n  {}", finding(line), line.kind.advice())?;
    }
    writeln!(out, "\n     SIZE  SHARE      CHANGE  WHERE")?;
    for row in rows(sheet) {
        let share = 100.0 * row.bytes as f64 / (sheet.total as f64).max(1.0);
        let indent = if row.is_part { "  " } else { "" };
        let size = Bytes(row.bytes).to_string();
        writeln!(out, "{size:>9}  {share:>4.1} %  {:>10}  {indent}{}", row.moves, row.text)?;
    }
    sheet.notes.iter().try_for_each(|note| writeln!(out, "Not seen: {}", Plain(note)))
}

/// The sheet as JSON: `place` (a cgroup's), `total_bytes`, `headroom_bytes`, `readings`, `lines` and
/// `notes`. A line has `line`, `title`, `nature` (free, reclaimable, processes, held), `bytes`, `growth`
/// (none, rises, steady), `bytes_per_s`, `span_s`, `ends_s` and `parts`; a part has `name`, `bytes`,
/// `limit_bytes`, `bytes_per_s`, `note` and `directory` (`path` below the mount point, `bytes`, `uid`).
/// Text is as it was found.
pub fn json(sheet: &Sheet) -> Value {
    let line = |line: &SheetLine| {
        json!({
            "line": line.kind.name(),
            "title": line.kind.title(),
            "nature": line.kind.nature().name(),
            "bytes": line.bytes,
            "growth": line.trend.map(|trend| match trend.growth {
                LineGrowth::None => "none",
                LineGrowth::Rises => "rises",
                LineGrowth::Steady => "steady",
            }),
            "bytes_per_s": line.trend.map(|trend| trend.rate),
            "span_s": line.trend.map(|trend| trend.span_s),
            "ends_s": line.lasts_s(sheet),
            "parts": line.parts.iter().map(part).collect::<Vec<_>>(),
        })
    };
    json!({
        "place": sheet.place,
        "total_bytes": sheet.total,
        "headroom_bytes": sheet.headroom,
        "readings": sheet.readings,
        "lines": sheet.lines.iter().map(line).collect::<Vec<_>>(),
        "notes": sheet.notes,
    })
}

fn part(part: &SheetPart) -> Value {
    json!({
        "name": part.name,
        "bytes": part.bytes,
        "limit_bytes": part.limit,
        "bytes_per_s": part.rate,
        "note": part.note,
        "directory": part.directory.as_ref().map(|directory| json!({
            "path": directory.path, "bytes": directory.bytes, "uid": directory.uid,
        })),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::balance::trend::Trend;

    const MIB: u64 = 1 << 20;

    fn line(kind: LineKind, mib: u64, rate: f64, parts: Vec<SheetPart>) -> SheetLine {
        let growth = if rate > 0.0 { LineGrowth::Steady } else { LineGrowth::None };
        let trend = Some(Trend { growth, rate, rise: 60.0 * rate, span_s: 60.0 });
        SheetLine { kind, bytes: mib * MIB, trend, points: Vec::new(), parts }
    }

    fn sheet(name: &str, limit: Option<u64>) -> Sheet {
        let rate = 8.0 * MIB as f64;
        let directory =
            Some(Largest { path: "/spool\u{1b}[31m".to_owned(), bytes: MIB, uid: Some(33) });
        let name = name.to_owned();
        let note = String::new();
        let part = SheetPart { name, bytes: 900 * MIB, limit, note, rate: Some(rate), directory };
        Sheet {
            total: 24_000 * MIB,
            headroom: 20_000 * MIB,
            readings: 160,
            lines: vec![
                line(LineKind::SharedMemory, 1000, rate, vec![part]),
                line(LineKind::Free, 23_000, 0.0, Vec::new()),
                line(LineKind::Percpu, 1, 0.0, Vec::new()),
            ],
            ..Sheet::default()
        }
    }

    #[test]
    fn what_grows_is_said_first_with_its_directory_and_its_end() {
        let mut out = Vec::new();
        write(&mut out, &sheet("tmpfs /dev/shm", None)).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(
            text.contains(
                "GROWING: shared memory and tmpfs grow by 8.0 MiB/s: tmpfs /dev/shm, mostly in \
                 /dev/shm/spool\\u{1b}[31m (files of user 33); at this rate memory ends in 42 min."
            ),
            "{text}"
        );
        assert!(text.contains("  1.0 MiB   0.0 %              1 lines of less than"), "{text}");
    }

    #[test]
    fn a_mount_that_is_full_before_memory_ends_nothing() {
        let sheet = sheet("tmpfs /run", Some(1000 * MIB));
        assert_eq!(end(&sheet, &sheet.lines[0]), "it is full in 12 s, before memory ends");
        assert!(sheet.findings().is_empty());
    }

    #[test]
    fn a_mount_of_another_namespace_is_told_with_who_sees_it() {
        let text = finding(&sheet("tmpfs /tmp of nginx[12]", None).lines[0]);
        assert!(
            text.contains("mostly in /tmp/spool\\u{1b}[31m as nginx[12] sees it (files"),
            "{text}"
        );
    }

    #[test]
    fn json_has_every_line_with_its_trend() {
        let value = json(&sheet("tmpfs /dev/shm", None));
        assert_eq!(value["lines"][0]["line"], "shared-memory");
        assert_eq!(value["lines"][0]["growth"], "steady");
        assert_eq!(value["lines"][0]["parts"][0]["directory"]["uid"], 33);
        assert_eq!(value["lines"].as_array().unwrap().len(), 3);
    }
}
