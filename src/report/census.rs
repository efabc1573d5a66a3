//! Census: what a process holds by malloc, in words and as JSON.

use crate::core::census::GrowthCause;
use crate::core::census::{Census, CensusFinding, Cure, Grown, SizeClass, Unknown};
use crate::core::model::process::ProcId;
use crate::core::model::units::{Bytes, Seconds};
use crate::report::escape::Plain;
use serde_json::{Value, json};
use std::io::{self, Write};

/// Sizes in use that are listed, for people and for programs.
const MOST: usize = 8;
const MOST_JSON: usize = 200;
/// Blocks from here on have a mapping each, and 16 bytes of malloc's own instead of 8.
const PAGES: u64 = 128 << 10;

/// Censuses of one process, and what they say.
pub struct CensusReport<'r> {
    /// The process.
    pub id: ProcId,
    /// Its command name, as it was found.
    pub name: &'r str,
    /// Its systemd unit, where it has one.
    pub unit: Option<&'r str>,
    /// Seconds between the first look and the last.
    pub watched_s: f64,
    /// How many looks there were.
    pub looks: usize,
    /// The last census.
    pub last: &'r Census,
    /// What was found.
    pub finding: &'r CensusFinding,
}

/// The sizes that `malloc` was asked for, where its blocks are that large.
fn asked(size: u64) -> (u64, u64) {
    let (own, step) = if size >= PAGES && size.is_multiple_of(4096) { (16, 4096) } else { (8, 16) };
    (size.saturating_sub(own + step - 1).max(1), size.saturating_sub(own))
}

/// "7241 more blocks of 2016 bytes (14 MiB)"
fn more(grown: &Grown) -> String {
    let Grown { size, blocks } = *grown;
    match blocks {
        1 => format!("1 more block of {size} bytes"),
        _ => format!("{blocks} more blocks of {size} bytes ({})", Bytes(grown.bytes())),
    }
}

/// What grows, or why the process holds what it holds: one or two sentences.
pub fn finding(finding: &CensusFinding, census: &Census) -> String {
    match &finding.cause {
        GrowthCause::Leak => leak(finding),
        GrowthCause::Kept(cure) => format!(
            "The allocator keeps what the program freed: {} of its {} are free inside its heaps. That is \
             no leak: {}.",
            Bytes(census.idle_in_memory()),
            Bytes(census.footprint),
            match cure {
                Cure::None => "later requests use it",
                _ => "it is used again, or can be given back",
            }
        ),
        GrowthCause::Unknown(why) => {
            format!("Whether it leaks cannot be told here: {}.", unknown(why, finding))
        }
    }
}

fn leak(finding: &CensusFinding) -> String {
    let all = Bytes(u64::try_from(finding.in_use).unwrap_or(0));
    let named = match finding.grown.as_slice() {
        [] => String::new(),
        [first, ..] => {
            let (least, most) = asked(first.size);
            let mine = first.bytes() as f64 / (finding.in_use as f64).max(1.0);
            let share = match mine {
                share if share >= 0.25 => "",
                _ => ", and of many other sizes",
            };
            format!(": {}, asked of malloc as {least} to {most} bytes{share}", more(first))
        }
    };
    format!(
        "What it has in use grows, by {all}{named}. That is a leak, unless a cache still fills."
    )
}

fn unknown(why: &Unknown, finding: &CensusFinding) -> String {
    let elsewhere = Bytes(u64::try_from(finding.elsewhere).unwrap_or(0));
    let most = match finding.elsewhere >= 64 << 10 {
        true => format!("{elsewhere} of its growth is outside of malloc's heaps"),
        false => "most of what it holds is outside of malloc's heaps".to_owned(),
    };
    match why {
        Unknown::NotWide => "it is a 32-bit program, whose heap is not read".to_owned(),
        Unknown::NoHeap(Some(other)) => {
            format!("{} manages its memory, and not glibc's malloc", other.name())
        }
        Unknown::NoHeap(None) => {
            "no heap of glibc's malloc was found; it may have another allocator".to_owned()
        }
        Unknown::Elsewhere(Some(other)) => {
            format!("{most}, where {} keeps objects of its own", other.name())
        }
        Unknown::Elsewhere(None) => {
            format!("{most}, in memory that the program or another allocator mapped")
        }
        Unknown::Unreadable => {
            "much of its heap is swapped out, or was not read in time".to_owned()
        }
        Unknown::OneLook => {
            "one look shows no growth, and little is free in its heaps; look longer (--for 1m)"
                .to_owned()
        }
        Unknown::NotGrown => {
            "it did not grow meanwhile, and little is free in its heaps".to_owned()
        }
        Unknown::Unsteady => "it grew, but in no size of blocks steadily; look longer".to_owned(),
    }
}

/// What to do against memory that the allocator keeps, and what that gives back.
pub fn cure(finding: &CensusFinding, census: &Census, unit: Option<&str>) -> Option<String> {
    let GrowthCause::Kept(cure) = finding.cause else { return None };
    let back = |bytes: u64| format!("up to {} of it come back", Bytes(bytes));
    let spare = census.spare();
    let variable = |setting: &str| match unit {
        Some(unit) => format!(
            "`systemctl edit {}`, there [Service] and Environment={setting}, and restart it",
            Plain(unit)
        ),
        None => format!("start it with {setting} in its environment"),
    };
    Some(match cure {
        Cure::FewerArenas => format!(
            "{} heaps, one for every few threads, hold it. To share two: {}; {}",
            census.arenas,
            variable("MALLOC_ARENA_MAX=2"),
            back(spare.min(census.free_in_threads))
        ),
        Cure::TrimThreshold => format!(
            "It lies above the last block in use. To give it back: {}; {}",
            variable("MALLOC_TRIM_THRESHOLD_=131072"),
            back(spare)
        ),
        Cure::OtherAllocator => format!(
            "It lies in whole pages between blocks in use, which glibc does not give back by itself. jemalloc \
             does (Debian: apt-get install libjemalloc2): {}; {}",
            variable("LD_PRELOAD=libjemalloc.so.2"),
            back(spare)
        ),
        Cure::None => {
            "It lies in pieces between blocks in use, so no setting gives it back".to_owned()
        }
    })
}

/// Writes it for people.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(out: &mut impl Write, report: &CensusReport<'_>) -> io::Result<()> {
    let CensusReport { id, name, last, watched_s, looks, .. } = report;
    let about = if last.is_about() { "about " } else { "" };
    write!(out, "{}[{}] holds {}", Plain(name), id.pid, Bytes(last.footprint))?;
    match looks {
        1 => writeln!(out, " that only its exit gives back.")?,
        _ => writeln!(out, ", after {} and {looks} looks.", Seconds(*watched_s))?,
    }
    writeln!(out, "\n{}", finding(report.finding, last))?;
    if let Some(cure) = cure(report.finding, last, report.unit) {
        writeln!(out, "{cure}.")?;
    }
    if last.arenas > 0 {
        writeln!(out)?;
        let heaps = if last.arenas == 1 { "1 heap" } else { "heaps" };
        let many = if last.arenas == 1 { String::new() } else { format!("{} ", last.arenas) };
        let mut row = |word: &str, bytes: u64, text: &str| {
            writeln!(out, "  {word:<10} {about}{:>8}  {text}", Bytes(bytes).to_string())
        };
        let mapped = format!("blocks; {} of it in mappings of their own", Bytes(last.mapped));
        row("in use", last.in_use, &mapped)?;
        let free = format!("inside {many}{heaps}; {} in whole pages", Bytes(last.whole_pages));
        row("free", last.idle(), &free)?;
        row("elsewhere", last.elsewhere(), "stacks, data of libraries, other allocators")?;
        if last.lost > 0 {
            row("unknown", last.lost, "swapped out, or changed while it was read")?;
        }
    }
    sizes(out, report)
}

fn sizes(out: &mut impl Write, report: &CensusReport<'_>) -> io::Result<()> {
    if !report.finding.grown.is_empty() {
        writeln!(out, "\nMORE BLOCKS")?;
        for grown in &report.finding.grown {
            let (least, most) = asked(grown.size);
            writeln!(
                out,
                "  {:>9} x {:>9} bytes  {:>8}  asked as {least} to {most}",
                format!("+{}", grown.blocks),
                grown.size,
                Bytes(grown.bytes()).to_string()
            )?;
        }
    }
    let largest = largest(report.last, MOST);
    if !largest.is_empty() {
        writeln!(out, "\nMOST BYTES IN USE")?;
    }
    for SizeClass { size, count } in largest {
        let bytes = Bytes(size.saturating_mul(count.into()));
        writeln!(out, "  {count:>9} x {size:>9} bytes  {:>8}", bytes.to_string())?;
    }
    Ok(())
}

/// The sizes with the most bytes in use.
fn largest(census: &Census, most: usize) -> Vec<SizeClass> {
    let mut sizes = census.sizes.clone();
    sizes.sort_by_key(|class| std::cmp::Reverse(class.size.saturating_mul(class.count.into())));
    sizes.truncate(most);
    sizes
}

/// A finding for programs: `verdict` (leak, kept-by-the-allocator, unknown), `text`, `cure`, the changes
/// `footprint_change_bytes`, `in_use_change_bytes` and `elsewhere_change_bytes`, and `grown`: `size`
/// (bytes of a block), `blocks` more, `bytes`.
pub fn finding_json(of: &CensusFinding, census: &Census) -> Value {
    let cure = match of.cause {
        GrowthCause::Kept(cure) => Some(cure.name()),
        _ => None,
    };
    json!({
        "verdict": of.cause.name(),
        "text": finding(of, census),
        "cure": cure,
        "footprint_change_bytes": of.footprint,
        "in_use_change_bytes": of.in_use,
        "elsewhere_change_bytes": of.elsewhere,
        "grown": of.grown.iter().map(|grown| json!({
            "size": grown.size, "blocks": grown.blocks, "bytes": grown.bytes(),
        })).collect::<Vec<_>>(),
    })
}

/// A census for programs, all in bytes.
pub fn census_json(census: &Census) -> Value {
    json!({
        "footprint_bytes": census.footprint,
        "swapped_bytes": census.swapped,
        "in_use_bytes": census.in_use,
        "mapped_bytes": census.mapped,
        "free_bytes": census.idle(),
        "cached_bytes": census.cached,
        "top_bytes": census.top,
        "free_in_memory_bytes": census.idle_in_memory(),
        "spare_bytes": census.spare(),
        "elsewhere_bytes": census.elsewhere(),
        "unknown_bytes": census.lost,
        "heaps": census.arenas,
        "approximate": census.is_about(),
        "allocators": census.allocators.iter().map(|other| other.name()).collect::<Vec<_>>(),
    })
}

/// Writes one JSON object: `schema` 1, `pid`, `start`, `comm`, `unit`, `watched_s`, `looks`, `finding`
/// (see [`finding_json`]), `census` ([`census_json`]; `free_bytes` has `cached_bytes` and `top_bytes`
/// in it, `in_use_bytes` has `mapped_bytes`), and `sizes`, those with most bytes first: `size`,
/// `blocks`.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_json(out: &mut impl Write, report: &CensusReport<'_>) -> io::Result<()> {
    let largest = largest(report.last, MOST_JSON);
    let value = json!({
        "schema": 1,
        "pid": report.id.pid,
        "start": report.id.start,
        "comm": report.name,
        "unit": report.unit,
        "watched_s": report.watched_s,
        "looks": report.looks,
        "finding": finding_json(report.finding, report.last),
        "census": census_json(report.last),
        "sizes": largest.iter().map(|class| json!({
            "size": class.size, "blocks": class.count,
        })).collect::<Vec<_>>(),
    });
    serde_json::to_writer(&mut *out, &value)?;
    out.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1 << 20;

    fn leaking() -> (CensusFinding, Census) {
        let finding = CensusFinding {
            cause: GrowthCause::Leak,
            footprint: 18 << 20,
            in_use: 15 << 20,
            elsewhere: 0,
            grown: vec![Grown { size: 2016, blocks: 7241 }],
        };
        (finding, Census { footprint: 40 * MIB, in_use: 30 * MIB, ..Census::default() })
    }

    fn kept(cure: Cure) -> (CensusFinding, Census) {
        let (finding, _) = leaking();
        let census = Census {
            footprint: 33 * MIB,
            in_heaps: 32 * MIB,
            in_use: 3 * MIB,
            free: 29 * MIB,
            whole_pages: 27 * MIB,
            free_in_threads: 20 * MIB,
            arenas: 9,
            is_whole: true,
            ..Census::default()
        };
        (CensusFinding { cause: GrowthCause::Kept(cure), grown: Vec::new(), ..finding }, census)
    }

    #[test]
    fn a_leak_names_its_size_as_malloc_has_it_and_as_it_was_asked() {
        let (found, census) = leaking();
        assert_eq!(
            finding(&found, &census),
            "What it has in use grows, by 15 MiB: 7241 more blocks of 2016 bytes (14 MiB), asked of malloc as \
             1993 to 2008 bytes. That is a leak, unless a cache still fills."
        );
        assert_eq!(cure(&found, &census, None), None);
        assert_eq!(asked(135_168), (131_057, 135_152));
    }

    #[test]
    fn what_is_kept_has_its_cure_and_what_that_gives_back() {
        let (found, census) = kept(Cure::FewerArenas);
        assert!(
            finding(&found, &census).contains("29 MiB of its 33 MiB are free inside its heaps")
        );
        let words = cure(&found, &census, Some("a\x1b.service")).unwrap();
        assert!(words.contains("systemctl edit a\\u{1b}.service"), "{words}");
        assert!(words.ends_with(
            "Environment=MALLOC_ARENA_MAX=2, and restart it; up to 20 MiB of it come back"
        ));
        let (found, census) = kept(Cure::TrimThreshold);
        let words = cure(&found, &census, None).unwrap();
        assert!(words.ends_with(
            "MALLOC_TRIM_THRESHOLD_=131072 in its environment; up to 27 MiB of it come back"
        ));
    }

    #[test]
    fn a_report_is_written_for_people_and_for_programs() {
        let (found, census) = kept(Cure::OtherAllocator);
        let report = CensusReport {
            id: ProcId { pid: 7, start: 9 },
            name: "we\nb",
            unit: None,
            watched_s: 0.0,
            looks: 1,
            last: &census,
            finding: &found,
        };
        let mut text = Vec::new();
        write(&mut text, &report).unwrap();
        let text = String::from_utf8(text).unwrap();
        assert!(
            text.starts_with("we\\nb[7] holds 33 MiB that only its exit gives back.\n"),
            "{text}"
        );
        assert!(text.contains("  in use      3.0 MiB  blocks"), "{text}");
        let mut json = Vec::new();
        write_json(&mut json, &report).unwrap();
        let json: Value = serde_json::from_slice(&json).unwrap();
        assert_eq!(json["finding"]["cure"], "other-allocator");
        assert_eq!(json["census"]["spare_bytes"], 27 * MIB);
    }
}
