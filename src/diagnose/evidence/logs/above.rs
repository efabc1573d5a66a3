//! Above: what a line without a time goes by, the lines before it.

use super::lines::LONGEST;
use super::timestamp::Stamps;
use std::borrow::Cow;

/// Bytes and lines looked back for the time of a line that has none, and for what a traceback was about.
const BACK: usize = 16_384;
const LINES_BACK: usize = 12;

/// The lines of a text above one after another of its lines. Each is looked at once for a time: a
/// log of nothing but tracebacks took 1.8 s of CPU for 64 KiB when every line looked back by itself.
pub(super) struct Above<'t> {
    text: &'t [u8],
    /// The last line with a time among those looked at: where it begins, and its time.
    dated: Option<(usize, f64)>,
    looked_to: usize,
}

impl<'t> Above<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, dated: None, looked_to: 0 }
    }

    /// The time of the nearest line above the one at `at` that has one, and the lines from there on.
    /// A later call is for a line further down.
    pub(super) fn of(&mut self, at: usize, stamps: &Stamps) -> (Option<f64>, String) {
        let oldest = at.saturating_sub(BACK);
        self.look(oldest.max(self.looked_to), at, stamps);
        self.looked_to = at;
        let dated = self.dated.filter(|(from, _)| *from >= oldest);
        let before = self.text.get(..at).unwrap_or_default();
        let newlines =
            before.iter().enumerate().rev().skip(1).take_while(|(nth, _)| *nth >= oldest);
        let nth_back = newlines.filter(|(_, byte)| **byte == b'\n').nth(LINES_BACK - 1);
        let from = nth_back.map_or(oldest, |(nth, _)| nth + 1);
        let from = dated.map_or(from, |(dated, _)| from.max(dated));
        let lines = String::from_utf8_lossy(before.get(from..).unwrap_or_default());
        (dated.map(|(_, t)| t), lines.into_owned())
    }

    /// The line whose time the last one asked for goes by.
    pub(super) fn dated_line(&self) -> Cow<'t, str> {
        let rest = self.dated.and_then(|(from, _)| self.text.get(from..)).unwrap_or_default();
        let line = rest.split(|byte| *byte == b'\n').next().unwrap_or_default();
        String::from_utf8_lossy(line.get(..LONGEST).unwrap_or(line))
    }

    /// Looks for the last line with a time in a part of the text.
    fn look(&mut self, from: usize, to: usize, stamps: &Stamps) {
        let part = self.text.get(from..to).unwrap_or_default();
        let mut end = part.strip_suffix(b"\n").unwrap_or(part).len();
        loop {
            let lines = part.get(..end).unwrap_or_default();
            let begin = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |nth| nth + 1);
            let line = String::from_utf8_lossy(lines.get(begin..).unwrap_or_default());
            if let Some(t) = stamps.split(&line).t {
                self.dated = Some((from + begin, t));
                return;
            }
            match begin.checked_sub(1) {
                Some(newline) => end = newline,
                None => return,
            }
        }
    }
}

/// What the writer of a dated line said in the few lines above it, without what stands before that: "hass[812]: "
/// is in each line of a traceback that goes to syslog, and a container has a file of its own.
pub(super) fn of_its_writer(text: &[u8], at: usize, line: &str) -> String {
    // What goes by the lines above: errors of Python's, and Java's of memory.
    let depends = ["rrno 1", "for the Java Runtime", "Native memory allocation ("];
    if !depends.iter().any(|words| line.contains(words)) {
        return String::new();
    }
    let of_container = ["{\"log\":\"", " stderr F ", " stdout F "];
    let writer = match line.split_once("]: ") {
        _ if of_container.iter().any(|of| line.contains(of)) => None,
        Some((writer, _)) => Some(format!("{}]: ", writer.rsplit(' ').next().unwrap_or(writer))),
        None => return String::new(),
    };
    let own = |line: &str| {
        let behind = |of: &str| line.split_once(of).map(|(_, own)| own.to_owned());
        match &writer {
            Some(writer) => behind(writer),
            None => of_container.iter().find_map(|of| behind(of)),
        }
    };
    let before = text.get(at.saturating_sub(BACK)..at).unwrap_or_default();
    let lines = before.rsplit(|byte| *byte == b'\n').skip(1).take(LINES_BACK);
    let mut lines: Vec<String> =
        lines.filter_map(|line| own(&String::from_utf8_lossy(line))).collect();
    lines.reverse();
    lines.join("\n")
}

/// Of the lines above a line of docker compose ("web-1  | OSError: ..") those of the same container, without its
/// name; above any other line all.
pub(super) fn of_its_container(above: String, line: &str) -> String {
    let Some((name, _)) = line.split_once("| ").filter(|(name, _)| !name.trim().contains(' '))
    else {
        return above;
    };
    let own = |line| str::strip_prefix(line, name)?.strip_prefix("| ");
    above.lines().filter_map(own).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::tz::TimeZone;

    /// What stands above the last line of a text, looked at after all lines before it.
    fn above_the_last(text: &str) -> (Option<f64>, String) {
        let stamps = Stamps::new(TimeZone::UTC, 1_795_521_600.0, 0.0);
        let mut above = Above::new(text.as_bytes());
        let begins = text.match_indices('\n').map(|(at, _)| at + 1).filter(|at| *at < text.len());
        begins.map(|at| above.of(at, &stamps)).last().unwrap()
    }

    #[test]
    fn a_line_goes_by_the_nearest_dated_line_above() {
        let (t, lines) = above_the_last(
            "2026-11-24 10:00:00,000 ERROR x\n2026-11-24 10:00:01,000 ERROR y\nTraceback\n  z\nMemoryError\n",
        );
        assert_eq!(t, Some(1_795_514_401.0));
        assert_eq!(lines, "2026-11-24 10:00:01,000 ERROR y\nTraceback\n  z\n");
    }

    #[test]
    fn only_lines_of_the_same_writer_stand_above() {
        let above = "web-1  | x\napi-1  |   os.fork()\nweb-1  |   y".to_owned();
        assert_eq!(of_its_container(above.clone(), "web-1  | OSError: z"), "x\n  y");
        assert_eq!(of_its_container(above.clone(), "OSError: z"), above);
        let text = "24 h a[1]: x\n24 h b[2]:   os.fork()\n24 h a[1]:   y\n24 h a[1]: [Errno 11] z";
        let at = text.rfind('\n').unwrap() + 1;
        assert_eq!(of_its_writer(text.as_bytes(), at, &text[at..]), "x\n  y");
    }

    #[test]
    fn twelve_lines_are_kept_and_the_time_of_one_further_up() {
        let text = format!("2026-11-24 10:00:01,000 ERROR y\n{}MemoryError\n", "  z\n".repeat(20));
        let (t, lines) = above_the_last(&text);
        assert_eq!((t, lines), (Some(1_795_514_401.0), "  z\n".repeat(12)));
    }

    #[test]
    fn a_time_too_far_above_does_not_count() {
        let filler = "  z\n".repeat(BACK / 4);
        let text = format!("2026-11-24 10:00:01,000 ERROR y\n{filler}MemoryError\n");
        assert_eq!(above_the_last(&text).0, None);
    }
}
