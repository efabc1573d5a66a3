//! Output parts: of a container's log the lines that begin within a line of its program. A runtime cuts those at
//! 16 KiB, so what follows may begin with anything in them, and so with what a client sent.

use super::records::strings::string;

/// The lines of a container's log, one after another.
pub(super) struct OutputParts<'t> {
    text: &'t [u8],
    /// Whether what follows in each stream goes on with a line. Of the first one that is not known: where a log is
    /// rotated or a piece of it begins, the line above is not at hand.
    goes_on: [bool; 2],
    looked_to: usize,
}

impl<'t> OutputParts<'t> {
    pub(super) fn new(text: &'t [u8]) -> Self {
        Self { text, goes_on: [true; 2], looked_to: 0 }
    }

    /// Whether the line at `at` goes on, or may go on, with one that was cut. A later call is for a line further
    /// down: each is looked at once.
    pub(super) fn goes_on(&mut self, at: usize) -> bool {
        let Some(part) = self.part(at) else { return false };
        while self.looked_to < at {
            let line = self.line(self.looked_to);
            if let Some(OutputPart { stream, is_partial }) = OutputPart::of(line) {
                stream.of(&mut self.goes_on).clone_from(&is_partial);
            }
            self.looked_to += line.len() + 1;
        }
        *part.stream.of(&mut self.goes_on)
    }

    fn part(&self, at: usize) -> Option<OutputPart> {
        OutputPart::of(self.line(at))
    }

    fn line(&self, at: usize) -> &'t [u8] {
        let rest = self.text.get(at..).unwrap_or_default();
        rest.split(|byte| *byte == b'\n').next().unwrap_or_default()
    }
}

/// Where a program writes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

impl Stream {
    fn of(self, both: &mut [bool; 2]) -> &mut bool {
        let [stdout, stderr] = both;
        match self {
            Self::Stdout => stdout,
            Self::Stderr => stderr,
        }
    }

    /// The stream that a text begins with, and what follows.
    fn split(text: &str) -> Option<(Self, &str)> {
        let stdout = text.strip_prefix("stdout").map(|rest| (Self::Stdout, rest));
        stdout.or_else(|| text.strip_prefix("stderr").map(|rest| (Self::Stderr, rest)))
    }
}

/// What a runtime says of a part of a container's output.
#[derive(Clone, Copy)]
struct OutputPart {
    stream: Stream,
    /// Whether the program's line goes on in the next one.
    is_partial: bool,
}

impl OutputPart {
    fn of(line: &[u8]) -> Option<Self> {
        let line = String::from_utf8_lossy(line);
        if let Some((inner, stream, _)) = of_docker(&line) {
            // An even number of backslashes before the n are the program's own.
            let before = inner.strip_suffix('n').map_or("", |inner| inner);
            let escapes = before.len() - before.trim_end_matches('\\').len();
            return Some(Self { stream, is_partial: escapes % 2 == 0 });
        }
        let (stream, tag, _) = of_kubernetes(&line)?;
        Some(Self { stream, is_partial: tag == "P" })
    }
}

/// `{"log":"..\n","stream":"stderr",..`: the program's words with their escapes, the stream, and what follows.
pub(super) fn of_docker(line: &str) -> Option<(&str, Stream, &str)> {
    let (inner, rest) = string(line.strip_prefix("{\"log\":")?)?;
    let (stream, rest) = Stream::split(rest.strip_prefix(",\"stream\":\"")?)?;
    Some((inner, stream, rest.strip_prefix('"')?))
}

/// `2026-11-24T10:00:00.123456789Z stderr F ..`, at any offset from UTC: the stream, its tag, and the program's words.
pub(super) fn of_kubernetes(line: &str) -> Option<(Stream, &str, &str)> {
    let (stamp, rest) = line.split_once(' ')?;
    let of_time = |byte: &u8| byte.is_ascii_digit() || b"-:.+TZ".contains(byte);
    let is_time = stamp.as_bytes().get(10) == Some(&b'T') && stamp.as_bytes().iter().all(of_time);
    let (stream, rest) = Stream::split(rest).filter(|_| is_time)?;
    let rest = rest.strip_prefix(' ')?;
    let (tags, inner) = rest.split_once(' ').unwrap_or((rest, ""));
    let tag = tags.split(':').next()?;
    ["P", "F"].contains(&tag).then_some((stream, tag, inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_on_with_a_line_is_no_line_of_its_own() {
        let docker = |log: &str, of: &str| {
            format!("{{\"log\":\"{log}\",\"stream\":\"{of}\",\"time\":\"2026-11-24T10:00:00Z\"}}")
        };
        let (line, other) = (docker("fork: x\\n", "stderr"), docker("y\\n", "stdout"));
        let kubernetes = |of: &str| format!("2026-11-24T10:00:00.1Z std{of} fork: x");
        let east = |of: &str| format!("2026-11-24T15:30:00.1+05:30 std{of} Z std: x");
        let many = format!("{}\n", kubernetes("out F")).repeat(20);
        for (above, line, goes_on) in [
            (docker("GET /", "stderr"), &line, true),
            (docker("GET /", "stderr") + "\n" + &other, &line, true),
            (docker("GET /\\n", "stderr"), &line, false),
            (docker("GET \\\\n", "stderr"), &line, true),
            (docker(&format!("{}\\n", "x".repeat(9000)), "stderr"), &line, false),
            // Of the first line of a stream it is not known.
            (other, &line, true),
            (String::new(), &line, true),
            (kubernetes("err P"), &kubernetes("err F"), true),
            (kubernetes("err F"), &kubernetes("err P"), false),
            (kubernetes("out F"), &kubernetes("err F"), true),
            (kubernetes("err P") + "\n" + many.trim_end(), &kubernetes("err F"), true),
            (kubernetes("err F") + "\n" + many.trim_end(), &kubernetes("err F"), false),
            (east("err P"), &east("err F"), true),
            (east("err F"), &east("err F"), false),
            (String::new(), &"2026-11-24 10:00:00 fork: x".to_owned(), false),
            (String::new(), &"2026-11-24T10:00:00Z h a: Z stderr F fork: x".to_owned(), false),
        ] {
            let above = if above.is_empty() { above } else { above + "\n" };
            let text = format!("{above}{line}\n");
            let got = OutputParts::new(text.as_bytes()).goes_on(above.len());
            assert_eq!(got, goes_on, "{text}");
        }
    }
}
