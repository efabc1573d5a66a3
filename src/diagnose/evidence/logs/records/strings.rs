//! Strings: texts in double quotes, with escapes.

use std::borrow::Cow;

/// The string that a text begins with, without its quotes, and what follows; of a cut one all there is.
pub(in super::super) fn string(text: &str) -> Option<(&str, &str)> {
    let text = text.strip_prefix('"')?;
    let mut is_escaped = false;
    let end = text.bytes().position(|byte| {
        let ends = byte == b'"' && !is_escaped;
        is_escaped = byte == b'\\' && !is_escaped;
        ends
    });
    let (string, rest) = text.split_at_checked(end.unwrap_or(text.len()))?;
    Some((string, rest.strip_prefix('"').unwrap_or(rest)))
}

/// A string without its escapes. Those of JSON are known, and of others the same ones.
pub(in super::super) fn unescaped(raw: &str) -> Cow<'_, str> {
    if !raw.contains('\\') {
        return Cow::Borrowed(raw);
    }
    let (mut text, mut chars) = (String::with_capacity(raw.len()), raw.chars());
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('r') => text.push('\r'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                let code = u32::from_str_radix(&digits, 16).ok();
                text.push(code.and_then(char::from_u32).unwrap_or(char::REPLACEMENT_CHARACTER));
            }
            Some(other) => text.push(other),
            None => {}
        }
    }
    Cow::Owned(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_ends_at_the_first_quote_that_is_not_escaped() {
        assert_eq!(string(r#""a\"b\\" c"#), Some((r#"a\"b\\"#, " c")));
        assert_eq!(string(r#""a\"b"#), Some((r#"a\"b"#, "")));
        assert_eq!(string("a"), None);
        assert_eq!(unescaped(r#"a\n\"b\"\u0041\/\\"#), "a\n\"b\"A/\\");
    }
}
