//! Diff: a proposal as a unified diff, for `patch` and for the eye.

use std::fmt::Write;

/// Lines shown around a change.
const CONTEXT: usize = 3;
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

/// A unified diff of a file with these changes; empty where nothing changes.
pub fn unified(path: &str, text: &str, edits: &[Edit]) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let mut edits: Vec<&Edit> = edits.iter().collect();
    edits.sort_by_key(|edit| (edit.line, edit.insert));
    let at = |edit: &Edit| edit.line.min(lines.len());
    edits.retain(|edit| edit.insert || lines.get(edit.line.wrapping_sub(1)) != Some(&&*edit.text));
    let mut out = String::new();
    let (mut shift, mut rest) = (0, &edits[..]);
    while let Some(first) = rest.first() {
        // One hunk as long as contexts touch.
        let mut end = 1;
        while let (Some(last), Some(next)) = (rest.get(end - 1), rest.get(end)) {
            if at(next) > at(last) + 2 * CONTEXT {
                break;
            }
            end += 1;
        }
        let (hunk, later) = rest.split_at(end);
        rest = later;
        let last = hunk.last().map_or(0, |edit| at(edit));
        let from =
            at(first).saturating_sub(if first.insert { CONTEXT - 1 } else { CONTEXT }).max(1);
        let to = (last + CONTEXT).min(lines.len());
        let (mut body, mut old, mut new) = (String::new(), 0, 0);
        let mut line = |sign: char, text: &str| {
            let _ = writeln!(body, "{sign}{text}");
            old += usize::from(sign != '+');
            new += usize::from(sign != '-');
        };
        for number in from..=to {
            let present = lines.get(number - 1).copied().unwrap_or_default();
            let here = || hunk.iter().filter(|edit| at(edit) == number);
            // patch(1) refuses a last line without a newline unless the diff marks it.
            let open = number == lines.len() && !text.ends_with('\n');
            let followed = here().any(|edit| edit.insert);
            match here().find(|edit| !edit.insert).map(|edit| edit.text.as_str()) {
                None if open && followed => {
                    line('-', &format!("{present}\n{OPEN}"));
                    line('+', present);
                }
                None if open => line(' ', &format!("{present}\n{OPEN}")),
                None => line(' ', present),
                Some(new) if open => {
                    line('-', &format!("{present}\n{OPEN}"));
                    line('+', new);
                }
                Some(new) => {
                    line('-', present);
                    line('+', new);
                }
            }
            here().filter(|edit| edit.insert).for_each(|edit| line('+', &edit.text));
        }
        if lines.is_empty() {
            hunk.iter().for_each(|edit| line('+', &edit.text));
        }
        let start = if lines.is_empty() { 0 } else { from };
        let (new_start, grown) = (from + shift, new - old.min(new));
        let _ = writeln!(out, "@@ -{start},{old} +{new_start},{new} @@");
        out += &body;
        shift += grown;
    }
    if out.is_empty() {
        return out;
    }
    let old = if text.is_empty() { "/dev/null" } else { path };
    format!("--- {old}\n+++ {path}\n{out}")
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
        let edit = |text: &str, insert| Edit { line: 2, text: text.to_owned(), insert };
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
        Edit { line, text: text.to_owned(), insert }
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
        assert_eq!(diff, "--- /etc/x\n+++ /etc/x\n@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n");
        assert_eq!(unified("/etc/x", "a\n", &[edit(1, "a", false)]), "");
        let new = unified("/etc/x", "", &[edit(1, "a", true), edit(1, "b", true)]);
        assert_eq!(new, "--- /dev/null\n+++ /etc/x\n@@ -0,0 +1,2 @@\n+a\n+b\n");
    }
}
