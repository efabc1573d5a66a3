//! Escape: text that others wrote, made harmless for a terminal and for a page.

pub use crate::core::model::plain_text::Plain;
use crate::core::model::plain_text::is_hidden;
use std::fmt;

/// Shows text as a page's text or an attribute's value in quotes.
#[derive(Clone, Copy, Debug)]
pub struct Html<T>(pub T);

impl<T: fmt::Display> fmt::Display for Html<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for c in self.0.to_string().chars() {
            match c {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                // Line breaks stay, for diffs; what was not Plain before is at least no control.
                '\n' | '\t' => write!(f, "{c}")?,
                c if c.is_control() || is_hidden(c) => write!(f, "{}", c.escape_default())?,
                c => write!(f, "{c}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn hostile_text_is_shown_and_does_nothing() {
        assert_eq!(Plain("a\x1b[31m\u{202e}b\n").to_string(), "a\\u{1b}[31m\\u{202e}b\\n");
        assert_eq!(Plain("Zürich ✓").to_string(), "Zürich ✓");
        assert_eq!(
            Html("</svg><script>alert('x')</script>&\"").to_string(),
            "&lt;/svg&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;&quot;"
        );
    }

    proptest! {
        #[test]
        fn nothing_that_acts_gets_through(text in any::<String>()) {
            prop_assert!(!Plain(&text).to_string().chars().any(|c| c.is_control() || is_hidden(c)));
            prop_assert!(!Html(&text).to_string().contains(['<', '>', '"', '\'', '\x1b']));
        }
    }
}
