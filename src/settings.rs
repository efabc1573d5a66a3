//! Settings: from what was typed to what is meant.

use crate::cli::{Color, Judge, Output, Select};
use crate::engine;
use crate::policy::Rules;
use crate::probe::{Selection, Words};
use crate::report::text::Style;
use anyhow::{Result, anyhow};
use regex_lite::Regex;
use std::io::IsTerminal;
use std::path::Path;

/// The processes that are meant.
///
/// # Errors
/// A bad pattern, a pattern that can never match, an unknown user.
pub fn selection(select: &Select) -> Result<Selection> {
    let words = Words {
        patterns: select.patterns.clone(),
        full: select.full,
        exact: select.exact,
        users: select.users.clone(),
        pids: select.pids.clone(),
    };
    Selection::new(&words, Path::new("/etc/passwd"))
}

/// How the engine judges; `act` tells whether it gives orders at all.
///
/// # Errors
/// A bad `--protect`.
pub fn engine(judge: &Judge, act: bool) -> Result<engine::Settings> {
    let compile = |re: &String| {
        Regex::new(re).map_err(|e| anyhow!("--protect '{re}' is not a regular expression: {e}"))
    };
    Ok(engine::Settings {
        caution: judge.caution,
        rules: Rules {
            act,
            dry_run: judge.dry_run,
            lead_s: judge.lead,
            grace_s: judge.grace,
            allow_root: judge.allow_root,
            protect: judge.protect.iter().map(compile).collect::<Result<_>>()?,
        },
    })
}

/// How lines on standard output are dressed.
pub fn style(output: &Output, dry_run: bool) -> Style {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let is = |name: &str, value: &str| std::env::var_os(name).is_some_and(|v| v == value);
    // The order of https://bixense.com/clicolors and https://no-color.org.
    let auto = || {
        !set("NO_COLOR")
            && ((set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0"))
                || (std::io::stdout().is_terminal() && !is("CLICOLOR", "0") && !is("TERM", "dumb")))
    };
    let colour = match output.color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => auto(),
    };
    Style { colour, dry_run }
}
