//! Settings: from what was typed to what is meant.

use crate::cli::options::{Color, JudgeOptions, OutputOptions, SelectOptions, StateOptions};
use crate::core::decide::policy::Rules;
use crate::core::engine;
use crate::core::model::signal::Signal;
use crate::core::servers::UserServer;
use crate::core::servers::{TABLE, WorkerPolicy};
use crate::diagnose::report::text::Layout;
use crate::report::words::Style;
use crate::system::machine;
use crate::system::proc::{Selection, SelectionArgs};
use anyhow::{Result, anyhow, ensure};
use regex_lite::Regex;
use std::ffi::OsString;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// The processes that are meant.
///
/// # Errors
/// A bad pattern, a pattern that can never match, an unknown user.
pub fn selection(select: &SelectOptions) -> Result<Selection> {
    let words = SelectionArgs {
        patterns: select.patterns.clone(),
        full: select.full,
        exact: select.exact,
        users: select.users.clone(),
        pids: select.pids.clone(),
        most: Some(select.max_processes),
    };
    Selection::new(&words, Path::new("/etc/passwd"))
}

/// What the watch is called in metrics: by what was asked for, not by pids, which change.
pub fn name(select: &SelectOptions) -> String {
    match (&select.patterns[..], &select.users[..]) {
        ([], []) if select.pids.is_empty() => "all".to_owned(),
        ([], []) => "pid".to_owned(),
        ([], users) => users.join("|"),
        (patterns, _) => patterns.join("|"),
    }
}

/// The selection in words, as it was typed: "pattern 'apache2' or 'httpd', user '33'".
pub fn wanted(select: &SelectOptions) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut add = |name: &str, words: Vec<String>| {
        if !words.is_empty() {
            parts.push(format!("{name} {}", words.join(" or ")));
        }
    };
    let quoted =
        |words: &[String]| words.iter().map(|w| format!("'{}'", w.escape_debug())).collect();
    add("pattern", quoted(&select.patterns));
    add("user", quoted(&select.users));
    add("pid", select.pids.iter().map(u32::to_string).collect());
    parts.join(", ")
}

/// How the engine judges; `act` tells whether it gives orders at all.
///
/// # Errors
/// A bad `--protect` or `--allow`; signals that exclude each other.
pub fn engine(judge: &JudgeOptions, act: bool) -> Result<engine::EngineSettings> {
    let compile = |re: &String| {
        Regex::new(re).map_err(|e| anyhow!("--protect '{re}' is not a regular expression: {e}"))
    };
    for key in &judge.allow {
        let servers =
            TABLE.iter().filter(|server| matches!(server.workers, WorkerPolicy::Allow(..)));
        let known: Vec<&str> = servers.map(|server| server.key).collect();
        ensure!(
            known.contains(&key.as_str()),
            "--allow '{}' names no server that it is for\n  hint: these are known: {}; of all others `leakwatch servers` says what is done",
            key.escape_debug(),
            known.join(", ")
        );
    }
    ensure!(
        !(judge.no_kill && judge.signal == Some(Signal::Kill)),
        "--signal KILL and --no-kill exclude each other\n  hint: leave one of them out"
    );
    Ok(engine::EngineSettings {
        max_extrapolation: judge.max_extrapolation,
        rules: Rules {
            act,
            dry_run: judge.dry_run,
            lead_s: judge.lead,
            grace_s: judge.grace,
            signal: judge.signal,
            no_kill: judge.no_kill,
            reload: judge.reload,
            allow: judge.allow.clone(),
            allow_standalone: judge.allow_standalone,
            protect: judge.protect.iter().map(compile).collect::<Result<_>>()?,
            servers: judge.server.iter().map(UserServer::keep).collect(),
        },
    })
}

/// Where programs are remembered; nowhere if that is not wanted.
///
/// # Errors
/// No place can be told from who runs leakwatch and its environment.
pub fn state(memory: &StateOptions) -> Result<Option<PathBuf>> {
    if memory.no_state {
        return Ok(None);
    }
    let known = memory.state_dir.clone();
    known
        .or_else(|| usual_state(machine::is_root(), |name| std::env::var_os(name)))
        .map(Some)
        .ok_or_else(|| {
            anyhow!(
                "HOME is not set, so programs are remembered nowhere; name a directory with --state-dir"
            )
        })
}

/// The same for who only reads there: nowhere also if no place can be told.
pub fn state_there(memory: &StateOptions) -> Option<PathBuf> {
    state(memory).ok().flatten()
}

/// As in systemd.exec(5), hier(7) and the XDG Base Directory Specification, in that order.
fn usual_state(root: bool, var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let of = |name: &str| {
        // systemd separates several by colons. The specification has relative paths ignored.
        let value = var(name)?;
        let first = std::env::split_paths(&value).next()?;
        first.is_absolute().then_some(first)
    };
    of("STATE_DIRECTORY")
        .or_else(|| root.then(|| PathBuf::from("/var/lib/leakwatch")))
        .or_else(|| Some(of("XDG_STATE_HOME")?.join("leakwatch")))
        .or_else(|| Some(of("HOME")?.join(".local/state/leakwatch")))
}

/// What files of a selection are called: by its pattern where that is a plain word and all there
/// is, else with a number that tells it from others alike.
pub fn file_name(select: &SelectOptions) -> String {
    let SelectOptions { patterns, full, exact, users, pids, procfs, .. } = select;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let own = procfs == Path::new("/proc");
    let only = !full && !exact && users.is_empty() && pids.is_empty() && own;
    let first = patterns.first().map_or("all", String::as_str);
    let word: String = first.chars().filter(|c| plain(*c)).take(40).collect();
    let word = word.trim_start_matches('.');
    let everything = patterns.is_empty();
    if only && patterns.len() < 2 && word == first && everything == (word == "all") {
        return word.to_owned();
    }
    // FNV-1a: the same in every version of Rust, unlike the standard library's.
    let words = format!("{patterns:?} {full} {exact} {users:?} {pids:?} {procfs:?}");
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let number = words.bytes().fold(0xcbf2_9ce4_8422_2325, hash) >> 32;
    format!("{}-{number:08x}", if word.is_empty() { "any" } else { word })
}

/// How lines on standard output are dressed.
pub fn style(output: &OutputOptions, dry_run: bool) -> Style {
    Style { colour: colour(output.color), dry_run }
}

/// How a page of text on standard output is laid out: as wide as the terminal, or COLUMNS, or 80.
pub fn layout(color: Color) -> Layout {
    let typed = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    let width: u16 = typed.or_else(machine::columns).unwrap_or(80);
    // The first of these that is set tells the character set (locale(7)).
    let set = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter();
    let locale = set.filter_map(|name| std::env::var(name).ok()).find(|value| !value.is_empty());
    let locale = locale.unwrap_or_default().to_ascii_lowercase();
    let unicode = ["utf-8", "utf8"].iter().any(|name| locale.ends_with(name));
    Layout { width: usize::from(width.clamp(60, 140)), colour: colour(color), unicode }
}

fn colour(color: Color) -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|v| !v.is_empty());
    let is = |name: &str, value: &str| std::env::var_os(name).is_some_and(|v| v == value);
    // The order of https://bixense.com/clicolors and https://no-color.org.
    let auto = || {
        !set("NO_COLOR")
            && ((set("CLICOLOR_FORCE") && !is("CLICOLOR_FORCE", "0"))
                || (std::io::stdout().is_terminal() && !is("CLICOLOR", "0") && !is("TERM", "dumb")))
    };
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => auto(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_called_by_the_pattern_and_every_selection_has_its_own() {
        let select = |patterns: &[&str], full| SelectOptions {
            patterns: patterns.iter().map(|p| (*p).to_owned()).collect(),
            full,
            exact: false,
            users: Vec::new(),
            pids: Vec::new(),
            procfs: "/proc".into(),
            sysfs: None,
            max_processes: 1,
        };
        assert_eq!(file_name(&select(&["apache2"], false)), "apache2");
        assert_eq!(file_name(&select(&[], false)), "all");
        assert_ne!(file_name(&select(&["all"], false)), "all");
        let names = [
            file_name(&select(&["apache2"], true)),
            file_name(&select(&["all"], true)),
            file_name(&select(&["^(a|b)/../$"], false)),
            file_name(&select(&["a", "b"], false)),
            file_name(&select(&["a b"], false)),
            file_name(&select(&["../../x"], false)),
        ];
        for (nth, name) in names.iter().enumerate() {
            assert!(!name.contains('/') && !name.starts_with('.'), "{name}");
            assert!(!names[..nth].contains(name), "{names:?}");
        }
    }

    #[test]
    fn programs_are_remembered_where_systemd_root_or_the_user_has_state() {
        let at = |root, set: &[(&str, &str)]| {
            let var = |name: &str| set.iter().find(|(n, _)| *n == name).map(|(_, v)| v.into());
            usual_state(root, var).map(|path| path.display().to_string())
        };
        let user = [("XDG_STATE_HOME", "/h/state"), ("HOME", "/h")];
        let unit = [("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), ("HOME", "/h")];
        assert_eq!(at(true, &unit).unwrap(), "/var/lib/a");
        assert_eq!(at(true, &user).unwrap(), "/var/lib/leakwatch");
        assert_eq!(at(false, &user).unwrap(), "/h/state/leakwatch");
        let relative = [("XDG_STATE_HOME", "state"), ("HOME", "/h")];
        assert_eq!(at(false, &relative).unwrap(), "/h/.local/state/leakwatch");
        assert_eq!(at(false, &[]), None);
    }
}
