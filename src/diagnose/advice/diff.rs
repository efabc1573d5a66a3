//! Diff: a proposal as a unified diff, for `patch` and for the eye.
//!
//! It shows the lines that change and no others: what stands beside them may be secret. Root applies
//! it, so nothing in a path or a line may begin another line of it.

use std::fmt::Write;

/// The mark of a last line without a newline.
const OPEN: &str = "\\ No newline at end of file";

/// One change to a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The line's number, from 1.
    pub line: usize,
    /// The text to put in its place, or after it.
    pub text: String,
    /// Whether it goes after the line.
    pub insert: bool,
    /// Whether that line is one of these settings, and so may be shown: one without an end has to be.
    pub beside_setting: bool,
}

/// The line with another value; the rest of the line stays.
pub fn with_value(line: &str, old: u64, new: u64) -> String {
    let old = old.to_string();
    // The last match is the value: a name may hold digits too.
    let digit = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_digit);
    let bytes = line.as_bytes();
    let whole = |at: &usize| {
        !digit(at.checked_sub(1).and_then(|n| bytes.get(n))) && !digit(bytes.get(at + old.len()))
    };
    let code = line.find(['#', ';']).unwrap_or(line.len());
    let found: Vec<usize> =
        line.match_indices(&old).map(|(at, _)| at).filter(|at| *at < code).filter(whole).collect();
    match found.last() {
        Some(at) => {
            let (before, rest) = line.split_at(*at);
            format!("{before}{new}{}", rest.get(old.len()..).unwrap_or_default())
        }
        None => line.to_owned(),
    }
}

/// The indentation of a line.
pub fn indent(line: &str) -> &str {
    line.get(..line.len() - line.trim_start().len()).unwrap_or_default()
}

/// A unified diff of a file with these changes; empty where nothing changes, and where it cannot be
/// written without showing other lines or with lines of its own alone.
pub fn unified(path: &str, text: &str, edits: &[Edit]) -> String {
    // With its carriage return a line is not plain: `lines` would hide it.
    let lines: Vec<&str> = text.split_terminator('\n').collect();
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| (edit.line.min(lines.len()), edit.insert));
    let changes = |edit: &Edit| {
        let present = edit.line.checked_sub(1).and_then(|at| lines.get(at));
        present.is_some_and(|present| *present != edit.text)
    };
    edits.retain(|edit| edit.insert || changes(edit));
    let is_plain = |line: &str| !line.chars().any(|c| c.is_control() && c != '\t');
    if edits.is_empty() || !is_plain(path) || !edits.iter().all(|edit| is_plain(&edit.text)) {
        return String::new();
    }
    let old = if text.is_empty() { "/dev/null" } else { path };
    let mut out = format!("--- {old}\n+++ {path}\n");
    let (mut shift, mut rest) = (0, &edits[..]);
    while let Some(first) = rest.first() {
        let at = first.line.min(lines.len());
        let (here, later) = rest.split_at(rest.partition_point(|e| e.line.min(lines.len()) <= at));
        rest = later;
        let is_open = at == lines.len() && !text.is_empty() && !text.ends_with('\n');
        let present = at.checked_sub(1).and_then(|at| lines.get(at)).copied().unwrap_or_default();
        let Some(hunk) = Hunk::of(here, present, is_open).filter(|_| is_plain(present)) else {
            return String::new();
        };
        shift += hunk.write(&mut out, at, shift);
    }
    out
}

/// The changes at one line.
struct Hunk<'e> {
    old: Option<&'e str>,
    new: Vec<&'e str>,
    /// Whether the old line has no end.
    is_open: bool,
}

impl<'e> Hunk<'e> {
    fn of(edits: &[&'e Edit], present: &'e str, is_open: bool) -> Option<Self> {
        let changed = edits.iter().find(|edit| !edit.insert).map(|edit| edit.text.as_str());
        let added = edits.iter().filter(|edit| edit.insert);
        // patch(1) adds nothing after a line without an end.
        let must_show = is_open && changed.is_none();
        if must_show && !added.clone().all(|edit| edit.beside_setting) {
            return None;
        }
        let kept = changed.or(must_show.then_some(present));
        let new = kept.into_iter().chain(added.map(|edit| edit.text.as_str())).collect();
        Some(Self { old: kept.map(|_| present), new, is_open })
    }

    /// Writes it for a line that `shift` lines were added before; how many it adds itself.
    fn write(&self, out: &mut String, at: usize, shift: usize) -> usize {
        let old = usize::from(self.old.is_some());
        // What is only added goes after the line with that number.
        let to = at + shift + usize::from(old == 0);
        let _ = writeln!(out, "@@ -{at},{old} +{to},{} @@", self.new.len());
        if let Some(old) = self.old {
            let _ = writeln!(out, "-{old}");
            if self.is_open {
                let _ = writeln!(out, "{OPEN}");
            }
        }
        self.new.iter().for_each(|line| {
            let _ = writeln!(out, "+{line}");
        });
        self.new.len() - old
    }
}

/// What the part of a diff for one file makes of its text; none where there is no such part, and unless
/// it fits exactly, as patch(1) takes it without guessing.
pub fn applied(path: &str, text: &str, diff: &str) -> Option<String> {
    let old = if text.is_empty() { "/dev/null" } else { path };
    let (_, part) = diff.split_once(&format!("--- {old}\n+++ {path}\n"))?;
    let mut lines = part.lines().peekable();
    let mut source = text.split_inclusive('\n');
    let (mut out, mut taken) = (String::new(), 0);
    while let Some(head) = lines.next_if(|line| !line.starts_with("--- ")) {
        let (from, to) = head.strip_prefix("@@ -")?.strip_suffix(" @@")?.split_once(" +")?;
        let range = |text: &str| {
            let (at, count) = text.split_once(',')?;
            Some((at.parse::<usize>().ok()?, count.parse::<usize>().ok()?))
        };
        let ((at, old), (_, new)) = (range(from)?, range(to)?);
        let before = if old == 0 { at } else { at.checked_sub(1)? };
        while taken < before {
            out += source.next()?;
            taken += 1;
        }
        for _ in 0..old {
            let gone = source.next()?;
            taken += 1;
            let same = lines.next()?.strip_prefix('-') == Some(gone.trim_end_matches('\n'));
            let open = lines.next_if(|line| *line == OPEN).is_some();
            if !same || open == gone.ends_with('\n') {
                return None;
            }
        }
        for _ in 0..new {
            out += lines.next()?.strip_prefix('+')?;
            out.push('\n');
        }
    }
    source.for_each(|line| out += line);
    Some(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn a_last_line_without_a_newline_can_be_changed_and_followed() {
        if Command::new("patch").arg("--version").output().is_err() {
            return;
        }
        let edit = |text: &str, insert| edit(2, text, insert);
        for (edits, wanted) in [
            (vec![edit("b = 3", false)], "a = 1\nb = 3\n"),
            (vec![edit("c = 4", true)], "a = 1\nb = 2\nc = 4\n"),
            (vec![edit("b = 3", false), edit("c = 4", true)], "a = 1\nb = 3\nc = 4\n"),
            (vec![Edit { line: 1, ..edit("a = 5", false) }], "a = 5\nb = 2"),
        ] {
            let dir = tempfile::tempdir().unwrap();
            let file = dir.path().join("x.conf");
            std::fs::write(&file, "a = 1\nb = 2").unwrap();
            let diff = unified(&file.display().to_string(), "a = 1\nb = 2", &edits);
            let patch = dir.path().join("x.patch");
            std::fs::write(&patch, &diff).unwrap();
            let done =
                Command::new("patch").args(["-s", "-p1", "-d", "/", "-i"]).arg(&patch).status();
            assert!(done.unwrap().success(), "{diff}");
            assert_eq!(std::fs::read_to_string(&file).unwrap(), wanted, "{diff}");
            let path = file.display().to_string();
            assert_eq!(applied(&path, "a = 1\nb = 2", &diff).unwrap(), wanted);
        }
        let beside_another = Edit { beside_setting: false, ..edit("c = 4", true) };
        assert_eq!(unified("/x", "a = 1\nb = 2", &[beside_another]), "", "b = 2 may be secret");
    }

    #[test]
    fn a_path_or_a_line_of_several_lines_is_no_diff() {
        for path in ["/a\n--- /b\n+++ /b", "/a\r", "/\u{85}a", "/a\x0b"] {
            assert_eq!(unified(path, "a = 1\n", &[edit(1, "a = 2", false)]), "", "{path:?}");
        }
        for text in ["a = 2\n+++ /b", "a = 2\r"] {
            assert_eq!(unified("/a", "a = 1\n", &[edit(1, text, false)]), "", "{text:?}");
        }
        assert_eq!(unified("/a", "a = 1\x0c\n", &[edit(1, "a = 2", false)]), "");
    }

    proptest::proptest! {
        #[test]
        fn it_shows_no_line_but_those_that_change(
            lines in proptest::collection::vec("[-+@ a-z/=0-9\\\\]{0,12}", 1..12),
            at in proptest::collection::vec((1..14_usize, proptest::bool::ANY), 1..4),
            ends in proptest::bool::ANY,
        ) {
            let text = lines.join("\n") + if ends { "\n" } else { "" };
            let edits: Vec<Edit> = at
                .iter()
                .map(|(line, insert)| Edit { beside_setting: false, ..edit(*line, "new = 1", *insert) })
                .collect();
            let diff = unified("/etc/x", &text, &edits);
            if diff.is_empty() {
                return Ok(());
            }
            let after = applied("/etc/x", &text, &diff);
            proptest::prop_assert!(after.is_some(), "{}", diff);
            // Whatever the lines of the file are, patch(1) counts lines and sees one file.
            proptest::prop_assert_eq!(diff.lines().filter(|line| line.starts_with("+++ ")).count(), 1);
            let lines: Vec<&str> = text.lines().collect();
            for shown in diff.lines().skip(2).filter_map(|line| line.strip_prefix('-')) {
                let changed = edits.iter().filter(|edit| !edit.insert);
                let mut changed = changed.map(|edit| lines.get(edit.line - 1));
                proptest::prop_assert!(changed.any(|line| line == Some(&shown)), "{}", diff);
            }
        }
    }

    /// Path, text and new line are hostile: what comes is no diff, or one of this very file that patch(1)
    /// takes as it is meant.
    #[test]
    fn fuzz_diffs() {
        let texts: [&[u8]; 3] = [
            b"/etc/x.conf\0a\n\tMaxRequestWorkers 150\nb\0\tMaxRequestWorkers 9",
            b"/etc/x.conf\n+++ /etc/y\0[www]\npm.max_children = 5 ; few\0--- /etc/y\n+++ /etc/y\n@@ -0,0 +1,1 @@",
            b"/a b\t/c\0x\r\n--- y\n+++ z\n@@ -1 +1 @@\n\0++ /etc/y\r",
        ];
        crate::core::fuzz::fuzz("diffs", 1, &texts, |case| {
            let case = String::from_utf8_lossy(case);
            let mut parts = case.splitn(3, '\0');
            let (path, text) = (parts.next().unwrap(), parts.next().unwrap_or_default());
            let new = parts.next().unwrap_or_default();
            let edits = [false, true].map(|insert| Edit {
                line: case.len() % 5,
                text: new.to_owned(),
                insert,
                beside_setting: case.len().is_multiple_of(2),
            });
            let diff = unified(path, text, &edits);
            if diff.is_empty() {
                return;
            }
            let made = applied(path, text, &diff);
            assert!(made.is_some_and(|made| made.contains(new)), "{diff}");
            assert_one_file(&diff, path);
        });
    }

    /// Reads it as patch(1) does: by the counts of its hunks.
    fn assert_one_file(diff: &str, path: &str) {
        let mut lines = diff.split_terminator('\n');
        let first = lines.next().unwrap();
        assert!(first == format!("--- {path}") || first == "--- /dev/null", "{diff}");
        assert_eq!(lines.next(), Some(&*format!("+++ {path}")), "{diff}");
        while let Some(head) = lines.next() {
            let ranges = head.strip_prefix("@@ -").and_then(|head| head.strip_suffix(" @@"));
            let count = |range: &str| range.split_once(',').unwrap().1.parse::<usize>().unwrap();
            let (old, new) = ranges.unwrap_or_else(|| panic!("{diff}")).split_once(" +").unwrap();
            let (old, new) = (count(old), count(new));
            let body: Vec<&str> = lines.by_ref().take(old).collect();
            assert!(body.iter().all(|line| line.starts_with('-')), "{diff}");
            let mut rest = lines.clone();
            if rest.next() == Some(OPEN) {
                lines = rest;
            }
            let body: Vec<&str> = lines.by_ref().take(new).collect();
            assert!(body.len() == new && body.iter().all(|line| line.starts_with('+')), "{diff}");
        }
    }

    #[test]
    fn only_the_number_in_a_line_changes() {
        for (line, new) in [
            ("\tMaxRequestWorkers\t  150", "\tMaxRequestWorkers\t  16"),
            ("MaxRequestWorkers 150 # was 150", "MaxRequestWorkers 16 # was 150"),
            ("workers150=150", "workers150=16"),
            ("MaxRequestWorkers 1500", "MaxRequestWorkers 1500"),
        ] {
            assert_eq!(with_value(line, 150, 16), new);
        }
    }

    /// What patch(1) makes of the text.
    fn patched(text: &str, edits: &[Edit]) -> String {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("f");
        std::fs::write(&file, text).unwrap();
        std::fs::write(dir.path().join("d"), unified("f", text, edits)).unwrap();
        let args = ["-s", "-p0", "-i", "d"];
        let ended = Command::new("patch").args(args).current_dir(dir.path()).output().unwrap();
        assert!(
            ended.status.success(),
            "{}\n{}",
            String::from_utf8_lossy(&ended.stdout),
            unified("f", text, edits)
        );
        std::fs::read_to_string(file).unwrap()
    }

    fn edit(line: usize, text: &str, insert: bool) -> Edit {
        Edit { line, text: text.to_owned(), insert, beside_setting: true }
    }

    #[test]
    fn patch_applies_it() {
        if Command::new("patch").arg("--version").output().is_err() {
            return;
        }
        let text: String = (1..=30).map(|n| format!("line {n}\n")).collect();
        let wanted = text
            .replace("line 2\n", "two\n")
            .replace("line 9\n", "line 9\nnew\n")
            .replace("line 30\n", "line 30\nend\n");
        let edits = [edit(30, "end", true), edit(2, "two", false), edit(9, "new", true)];
        assert_eq!(patched(&text, &edits), wanted);
        assert_eq!(patched("a\n", &[edit(1, "b", false), edit(1, "c", true)]), "b\nc\n");
        assert_eq!(patched("a\nb\n", &[edit(usize::MAX, "c", true)]), "a\nb\nc\n");
    }

    #[test]
    fn it_reads_as_a_diff() {
        let diff = unified("/etc/x", "a\nb\nc\n", &[edit(2, "B", false)]);
        assert_eq!(diff, "--- /etc/x\n+++ /etc/x\n@@ -2,1 +2,1 @@\n-b\n+B\n");
        assert_eq!(unified("/etc/x", "a\n", &[edit(1, "a", false)]), "");
        let new = unified("/etc/x", "", &[edit(1, "a", true), edit(1, "b", true)]);
        assert_eq!(new, "--- /dev/null\n+++ /etc/x\n@@ -0,0 +1,2 @@\n+a\n+b\n");
    }
}
