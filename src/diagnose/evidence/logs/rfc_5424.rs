//! RFC 5424: lines of syslog in its newer form, as rsyslog and syslog-ng write them when told so.

/// What such a line says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct SyslogLine<'a> {
    pub(super) host: &'a str,
    /// The program, and its pid if that is said.
    pub(super) app: &'a str,
    pub(super) pid: Option<&'a str>,
    pub(super) message: &'a str,
}

impl<'a> SyslogLine<'a> {
    /// `<14>1 2026-11-24T10:00:00Z h electrs 812 - - message`.
    pub(super) fn of(line: &'a str) -> Option<Self> {
        let (_, behind) = priority(line)?;
        let (stamp, rest) = behind.strip_prefix("1 ")?.split_once(' ')?;
        let (host, rest) = rest.split_once(' ').filter(|_| stamp.starts_with('2'))?;
        let (app, rest) = rest.split_once(' ')?;
        let (pid, rest) = rest.split_once(' ')?;
        let (_id, rest) = rest.split_once(' ')?;
        let message = match rest.strip_prefix('-') {
            Some(rest) => rest,
            None => behind_data(rest)?,
        };
        // A message in UTF-8 begins with a mark of order.
        let message = message.strip_prefix(' ')?.trim_start_matches('\u{feff}');
        let pid = (pid != "-").then_some(pid);
        let host = if host == "-" { "" } else { host };
        Some(Self { host, app, pid, message })
    }
}

/// The priority that a line begins with, "<14>", and what follows it.
pub(super) fn priority(line: &str) -> Option<(u8, &str)> {
    let (priority, behind) = line.strip_prefix('<')?.split_once('>')?;
    Some((priority.parse().ok()?, behind))
}

/// What follows structured data: `[origin@1 ip="10.0.0.7"][x y="\"]"]`. In values `"`, `\` and `]` have a `\`
/// before them.
fn behind_data(text: &str) -> Option<&str> {
    let (mut is_quoted, mut is_escaped, mut is_open) = (false, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' if is_open => is_quoted = !is_quoted,
            '[' if !is_open => is_open = true,
            ']' if !is_quoted => is_open = false,
            _ if is_open => {}
            _ => return text.get(at..),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_message_stands_behind_the_fields() {
        let of = |line: &'static str| {
            SyslogLine::of(line).map(|line| (line.app, line.pid, line.message))
        };
        for (line, found) in [
            (
                "<14>1 2026-11-24T10:00:00Z h app 812 - - fork: x",
                Some(("app", Some("812"), "fork: x")),
            ),
            ("<2>1 2026-11-24T10:00:00Z h kernel - - - x y", Some(("kernel", None, "x y"))),
            ("<2>1 2026-11-24T10:00:00Z - kernel - - - x y", Some(("kernel", None, "x y"))),
            ("<2>1 - h kernel - - - x y", None),
            (
                "<14>1 2026-11-24T10:00:00Z h app 8 id [a b=\"c\\\"] d\"][e] \u{feff}x",
                Some(("app", Some("8"), "x")),
            ),
            (
                "<14>1 2026-11-24T10:00:00Z h app 8 id [a b=\"] fork: x\"] y",
                Some(("app", Some("8"), "y")),
            ),
            ("<14>1 2026-11-24T10:00:00Z h app 8 id [a b=\"] fork: x", None),
            ("<14>1 2026-11-24T10:00:00Z h app[8]: fork: x", None),
            ("<14>2026-11-24T10:00:00Z h app 8 - - x", None),
            ("<joe>1 2026-11-24T10:00:00Z h app 8 - - x", None),
        ] {
            assert_eq!(of(line), found, "{line}");
        }
    }
}
