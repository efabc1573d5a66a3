//! How output looks: colour, width and characters, as the options and the terminal have it.

use crate::cli::options::{Color, OutputOptions};
use crate::diagnose::report::text::Layout;
use crate::report::words::Style;
use crate::system::machine;
use std::io::IsTerminal;

/// The style of lines on standard output.
pub(super) fn style(output: &OutputOptions, dry_run: bool) -> Style {
    Style { colour: colour(output.color), dry_run }
}

/// The layout of a report on standard output: as wide as COLUMNS or the terminal says, or 80.
pub(super) fn layout(color: Color) -> Layout {
    let typed = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width: u16 = typed.or_else(machine::columns).unwrap_or(80);
    Layout { width: usize::from(width.clamp(60, 140)), colour: colour(color), unicode: unicode() }
}

/// Whether the terminal's characters are more than ASCII.
pub(super) fn unicode() -> bool {
    // The first of these that is set names the character set (locale(7)).
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
    let locale = set.filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty());
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    ["utf-8", "utf8"].iter().any(|name| locale.ends_with(name))
}

/// Whether output is coloured.
pub(super) fn colour(color: Color) -> bool {
    let is_set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let is = |name: &str, value: &str| std::env::var_os(name).is_some_and(|v| v == value);
    // The order of https://bixense.com/clicolors and https://no-color.org.
    let auto = || {
        !is_set("NO_COLOR")
            && ((is_set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0"))
                || (std::io::stdout().is_terminal() && !is("CLICOLOR", "0") && !is("TERM", "dumb")))
    };
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => auto(),
    }
}
