//! Plain text: what others wrote, on one line and without effect.

use std::fmt;

/// Shows text on one line without anything that moves the cursor, hides or turns text around:
/// control characters, the marks of writing direction, and invisible ones are escaped.
#[derive(Clone, Copy, Debug)]
pub struct Plain<'a>(pub &'a str);

impl fmt::Display for Plain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.chars() {
            match c {
                c if c.is_control() || is_hidden(c) => write!(f, "{}", c.escape_default())?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

/// Unicode's marks of direction, joiners and other characters that are not seen but act.
pub(crate) fn is_hidden(c: char) -> bool {
    matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Shows text as a shell may safely have it in a variable: what would be escaped is a question mark,
/// and so is a backslash, with which some shells' `echo` begins a line break.
#[derive(Clone, Copy, Debug)]
pub struct ShellText<'a>(pub &'a str);

impl fmt::Display for ShellText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.chars().try_for_each(|c| match c {
            c if c == '\\' || c.is_control() || is_hidden(c) => f.write_str("?"),
            c => write!(f, "{c}"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_gets_one_line_whatever_its_echo_makes_of_backslashes() {
        let text = ShellText("a\nb\\nc\u{2028}d\u{202e}e\0 Zürich").to_string();
        assert_eq!(text, "a?b?nc?d?e? Zürich");
    }
}
