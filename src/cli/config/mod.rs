//! What configuration files and the environment say, treated as if it had been typed.
//!
//! A setting has the name of its option, and becomes that option unless the option was typed. So
//! options are parsed and checked in one place, and merged here only. From weak to strong: defaults,
//! `/etc/leakwatch.toml`, `/etc/leakwatch.d/*.toml` by name (users other than root have
//! `leakwatch.toml` in `$XDG_CONFIG_HOME/leakwatch` instead), a `[[watch]]`, `LEAKWATCH_*` in the
//! environment, and the command line. A stronger list replaces a weaker one.

mod file;
mod keys;
mod merge;
mod setting;
mod show;
mod sources;
mod typed;

use crate::cli::options::Cli;
use anyhow::Result;
use clap::{Command, CommandFactory, FromArgMatches};
use merge::MergedConfig;
use setting::ConfigSetting;
pub use show::show;
use std::ffi::OsString;
use typed::Typed;

/// Commands that configuration completes; the watch has an empty name.
const CONFIGURED: [&str; 6] = ["", "check", "replay", "config", "diagnose", "top"];
/// The only settings that `diagnose` takes: where checks keep their histories.
const DIAGNOSE_KEYS: [&str; 2] = ["state-dir", "no-state"];
/// What the live view does not take: unless it is told otherwise, it shows the whole machine.
const NOT_OF_TOP: [&str; 8] =
    ["pattern", "user", "pid", "unit", "container", "full", "exact", "max-processes"];
/// Options that select processes: a typed one replaces every `[[watch]]`.
const SELECTING: [&str; 5] = ["pattern", "user", "pid", "unit", "container"];

/// The command line completed by configuration: one for each `[[watch]]`, or the only one.
#[derive(Debug)]
pub struct Parsed {
    /// The options.
    pub cli: Cli,
    /// The name of the `[[watch]]`.
    pub name: Option<String>,
}

/// Parses the command line and the configuration.
///
/// # Errors
/// A [`clap::Error`] for what was typed; for configuration an error with file and line.
pub fn parse(args: &[OsString]) -> Result<Vec<Parsed>> {
    let typed = Typed::parse(args)?;
    if !CONFIGURED.contains(&typed.name()) {
        return Ok(vec![Parsed { cli: Cli::from_arg_matches(&typed.matches)?, name: None }]);
    }
    let command = Cli::command();
    let complete = |settings: Vec<ConfigSetting>| {
        let args = typed.completed(&command, &settings);
        let name = settings.into_iter().find(|setting| setting.key == "name");
        (args, name.and_then(|name| name.values.into_iter().next()))
    };
    let all: Vec<_> = settings(&typed, &command)?.into_iter().map(complete).collect();
    // The options with their help take 140 KiB, the peak of leakwatch's heap. Each parse makes and
    // drops its own.
    drop(command);
    let parse = |(args, name): (Vec<OsString>, _)| {
        let matches = Cli::command().try_get_matches_from(args)?;
        Ok(Parsed { cli: Cli::from_arg_matches(&matches)?, name })
    };
    all.into_iter().map(parse).collect()
}

/// The settings that count, once for each run of the command.
fn settings(typed: &Typed, command: &Command) -> Result<Vec<Vec<ConfigSetting>>> {
    let config = MergedConfig::read(typed.of_command(), command);
    if typed.name() == "diagnose" {
        // A bad configuration is no reason to refuse a diagnosis, unless it was asked for by name.
        let config =
            if typed.has(command, "config") { config? } else { config.unwrap_or_default() };
        let mut settings = config.merged(&[]);
        settings.retain(|setting| DIAGNOSE_KEYS.contains(&setting.key.as_str()));
        return Ok(vec![settings]);
    }
    let config = config?;
    if typed.name() == "top" {
        return Ok(vec![of_top(&config)]);
    }
    // A replay has its processes in the recording.
    let several = ["", "check"].contains(&typed.name());
    let selected = SELECTING.iter().any(|key| typed.has(command, key))
        || config.variables.iter().any(|setting| SELECTING.contains(&setting.key.as_str()));
    Ok(if several && !selected && !config.watches.is_empty() {
        config.watches.iter().map(|watch| config.merged(watch)).collect()
    } else {
        vec![config.merged(&[])]
    })
}

/// The settings of the live view. What any `[[watch]]` protects is protected from the user's hand too.
fn of_top(config: &MergedConfig) -> Vec<ConfigSetting> {
    let mut settings = config.merged(&[]);
    settings.retain(|setting| !NOT_OF_TOP.contains(&setting.key.as_str()));
    let is_protect = |setting: &&ConfigSetting| setting.key == "protect";
    for protect in config.watches.iter().flatten().filter(is_protect) {
        match settings.iter_mut().find(|setting| setting.key == "protect") {
            Some(known) => known.values.extend(protect.values.iter().cloned()),
            None => settings.push(protect.clone()),
        }
    }
    settings
}
