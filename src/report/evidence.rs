//! Evidence: what was kept of processes before they ended, as a report for a bug tracker.
//!
//! Markdown: headings, and below them lines indented by four, so that nothing in them is markup.

use crate::core::model::evidence_file::EvidenceFile;
use crate::core::model::units::Seconds;
use crate::report::escape::Plain;
use crate::report::words::TimeOfDay;
use serde_json::Value;
use std::io::{self, Write};

/// What stands in place of a name.
const MASK: &str = "***";
/// Names shorter than that are words: to mask them would mask half of the report.
const SHORTEST: usize = 3;
/// Fields of `about.json` and of events that name machines, users and places.
const NAMES: [&str; 7] =
    ["exe", "unit", "cgroup", "container", "place", "place_name", "cause_part"];
/// Kinds of units of systemd that processes belong to.
const UNITS: [&str; 4] = [".service", ".slice", ".scope", ".socket"];
/// Lines of `status` that tell of memory.
const STATUS: [&str; 14] = [
    "VmPeak",
    "VmSize",
    "VmLck",
    "VmHWM",
    "VmRSS",
    "RssAnon",
    "RssFile",
    "RssShmem",
    "VmData",
    "VmStk",
    "VmPTE",
    "VmSwap",
    "HugetlbPages",
    "Threads",
];
/// Lines of `limits` that can end a process or fail it.
const LIMITS: [&str; 4] = ["Max address space", "Max data size", "Max open files", "Max processes"];

/// A part of a report: the file, its heading, and which of its lines are shown.
type EvidencePart = (&'static str, &'static str, fn(&str) -> bool);
/// All parts, in the order of the report.
const PARTS: [EvidencePart; 10] = [
    ("events", "What leakwatch saw and did", |_| true),
    ("windows", "Why", |_| true),
    ("heap", "Heap", |_| true),
    ("descriptors", "Open descriptors", |_| true),
    ("status", "Memory", |line| begins(line, &STATUS)),
    ("smaps_rollup", "Memory by kind", |line| line.ends_with(" kB") && !line.ends_with(" 0 kB")),
    ("limits", "Limits", |line| begins(line, &LIMITS)),
    ("cgroup", "Cgroup", |line| !line.ends_with(" 0")),
    ("earlier", "Read at an earlier look", |_| true),
    ("unread", "Not read", |_| true),
];

fn begins(line: &str, names: &[&str]) -> bool {
    names.iter().any(|name| {
        line.strip_prefix(name).is_some_and(|rest| !rest.starts_with(char::is_alphabetic))
    })
}

/// What was kept of one process.
#[derive(Clone, Copy, Debug)]
pub struct Kept<'k> {
    /// Under which name.
    pub name: &'k str,
    /// Its files.
    pub files: &'k [EvidenceFile],
}

impl Kept<'_> {
    fn text(&self, name: &str) -> Option<String> {
        let file = self.files.iter().find(|file| file.name == name)?;
        Some(String::from_utf8_lossy(&file.text).into_owned())
    }

    fn about(&self) -> Value {
        let text = self.text("about.json").unwrap_or_default();
        serde_json::from_str(&text).unwrap_or_default()
    }
}

/// Writes a report: `machine` is its system and kernel. With `host`, its own name, the names of
/// machines, users, services and paths are masked.
///
/// # Errors
/// When `out` cannot be written.
pub fn write(
    out: &mut impl Write,
    kept: &[Kept<'_>],
    machine: &str,
    host: Option<&str>,
) -> io::Result<()> {
    writeln!(out, "leakwatch {}, {}", env!("CARGO_PKG_VERSION"), Plain(machine))?;
    for kept in kept {
        let mask = host.map(|host| Mask::of(kept, host));
        let masked = |line: &str| match &mask {
            Some(mask) => mask.apply(line),
            None => line.to_owned(),
        };
        writeln!(out, "\n## {}\n", Plain(kept.name))?;
        let about = kept.about();
        if about.is_object() {
            writeln!(out, "{}", Plain(&masked(&head(&about))))?;
        }
        for (name, heading, is_shown) in PARTS {
            let text = kept.text(name).unwrap_or_default();
            let mut lines = text.lines().filter(|line| is_shown(line)).peekable();
            if lines.peek().is_none() {
                continue;
            }
            writeln!(out, "\n### {heading}\n")?;
            for line in lines {
                writeln!(out, "    {}", Plain(&masked(line).replace('\t', " ")))?;
            }
        }
    }
    Ok(())
}

/// "apache2[2291] of apache2.service, program /usr/sbin/apache2, 3.0 h old, read at ..."
fn head(about: &Value) -> String {
    let word = |key: &str| about.get(key).and_then(Value::as_str);
    let number = |key: &str| about.get(key).and_then(Value::as_f64).unwrap_or(0.0);
    let unit = word("unit").map_or(String::new(), |unit| format!(" of {unit}"));
    let exe = word("exe").map_or(String::new(), |exe| format!(", program {exe}"));
    format!(
        "{}[{}]{unit}{exe}, {} old, read at {}",
        word("comm").unwrap_or("?"),
        number("pid"),
        Seconds(number("age_s")),
        TimeOfDay(number("t")),
    )
}

/// Hides names.
struct Mask {
    /// Those that are known, the longest first.
    names: Vec<String>,
}

impl Mask {
    fn of(kept: &Kept<'_>, host: &str) -> Self {
        let mut names = vec![host.to_owned()];
        let events = kept.text("events.jsonl").unwrap_or_default();
        let events = events.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        for value in events.chain([kept.about()]) {
            let found = NAMES.iter().filter_map(|key| value.get(key)?.as_str());
            names.extend(found.map(|name| name.trim_start_matches("container ").to_owned()));
        }
        names.retain(|name| name.len() >= SHORTEST);
        names.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        names.dedup();
        Self { names }
    }

    fn apply(&self, line: &str) -> String {
        let mut line = line.to_owned();
        for name in &self.names {
            line = without(&line, name);
        }
        let ends_word = |c: char| c.is_whitespace() || "\"'(),;=:".contains(c);
        line.split_inclusive(ends_word)
            .map(|part| {
                let word = part.trim_end_matches(ends_word);
                word_masked(word) + part.strip_prefix(word).unwrap_or_default()
            })
            .collect()
    }
}

/// A path, and a unit of systemd, without its name.
fn word_masked(word: &str) -> String {
    let unit = UNITS.iter().find(|kind| word.ends_with(**kind) && word.len() > kind.len());
    match unit {
        _ if word.starts_with('/') && word.len() > 1 => format!("/{MASK}"),
        Some(kind) => format!("{MASK}{kind}"),
        None => word.to_owned(),
    }
}

/// A text without a name where that stands as a whole word.
fn without(line: &str, name: &str) -> String {
    let (mut rest, mut done) = (line, String::new());
    let ends = |c: Option<char>| c.is_none_or(|c| !c.is_alphanumeric());
    while let Some((before, after)) = rest.split_once(name) {
        let is_whole = ends(before.chars().next_back().or(done.chars().next_back()))
            && ends(after.chars().next());
        done.push_str(before);
        done.push_str(if is_whole { MASK } else { name });
        rest = after;
    }
    done + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn files() -> Vec<EvidenceFile> {
        let about = json!({
            "comm": "php\u{1b}[31m", "pid": 7, "exe": "/srv/my shop/php", "unit": "shop-a.service",
            "cgroup": "/system.slice/shop-a.service", "t": 1.8e9, "age_s": 7200.0,
        });
        let event = json!({ "event": "order", "unit": "shop-a.service", "place": "bob" });
        vec![
            EvidenceFile::new("about.json", about.to_string()),
            EvidenceFile::new(
                "cgroup",
                "cgroup /system.slice/shop-a.service\nmemory.stat anon 0\nmemory.max 9\n",
            ),
            EvidenceFile::new("events.jsonl", format!("{event}\n")),
            EvidenceFile::new(
                "events",
                "ORDER php[7] of shop-a.service: the process limit (ulimit -u) of bob, not bobbin, on web1\n",
            ),
            EvidenceFile::new("heap", "systemctl edit other@x.service, \"/etc/a b\" (/tmp)\n"),
            EvidenceFile::new("smaps_rollup", "55-7f ---p 0 0 0 [rollup]\nRss: 9 kB\nPss: 0 kB\n"),
            EvidenceFile::new("status", "Name:\tphp\nUid:\t33\nVmRSS:\t 9 kB\nThreads:\t1\n"),
        ]
    }

    fn report(host: Option<&str>) -> String {
        let files = files();
        let mut text = Vec::new();
        write(
            &mut text,
            &[Kept { name: "20261130T075039Z-7-php", files: &files }],
            "Linux 6.1",
            host,
        )
        .unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn a_report_has_the_parts_in_order_and_nothing_that_acts() {
        let text = report(None);
        let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("##")).collect();
        assert_eq!(
            heads,
            [
                "## 20261130T075039Z-7-php",
                "### What leakwatch saw and did",
                "### Heap",
                "### Memory",
                "### Memory by kind",
                "### Cgroup",
            ]
        );
        assert!(
            text.contains("php\\u{1b}[31m[7] of shop-a.service, program /srv/my shop/php, 2"),
            "{text}"
        );
        assert!(text.contains("\n    VmRSS:  9 kB\n    Threads: 1\n"), "{text}");
        assert!(
            !text.contains("Uid") && !text.contains("rollup") && !text.contains("anon 0"),
            "{text}"
        );
    }

    #[test]
    fn masked_it_names_no_host_user_service_or_path() {
        let text = report(Some("web1"));
        for name in ["web1", "bob,", "shop", "srv", "etc", "tmp", "other", "system"] {
            let text = text.replace("systemctl", "");
            assert!(!text.contains(name), "{name} in {text}");
        }
        assert!(
            text.contains("of ***: the process limit (ulimit -u) of ***, not bobbin, on ***"),
            "{text}"
        );
        assert!(text.contains("edit ***.service, \"/*** b\" (/***)"), "{text}");
        assert!(text.contains("[7] of ***, program ***, 2"), "{text}");
    }
}
