//! A setting has the name and the values of the option that it stands for.

use super::setting::ConfigSetting;
use anyhow::{Result, anyhow};
use clap::{Arg, ArgAction, Command};
use std::error::Error;

/// Options of the command line only.
const COMMAND_LINE_ONLY: [&str; 5] = ["help", "version", "config", "explain", "html"];
/// Commands whose options are settings, besides those of the watch.
const COMMANDS: [&str; 2] = ["check", "replay"];
/// Of each pair the option set last counts, and replaces the other one set before.
pub(super) const EXCLUSIVE: [[&str; 2]; 2] = [["state-dir", "no-state"], ["quiet", "verbose"]];

/// How many values an option takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum KeyKind {
    Switch,
    One,
    List,
}

/// All settings with their options, in the order of the help.
pub(super) fn all(command: &Command) -> Vec<(&str, &Arg)> {
    let of_commands = COMMANDS.iter().filter_map(|name| command.find_subcommand(name));
    let args = command.get_arguments().chain(of_commands.flat_map(Command::get_arguments));
    let mut found: Vec<(&str, &Arg)> = Vec::new();
    for arg in args {
        if let Some(key) = arg.get_long()
            && !COMMAND_LINE_ONLY.contains(&key)
            && found.iter().all(|(known, _)| *known != key)
        {
            found.push((key, arg));
        }
    }
    found
}

/// How many values a setting takes; none where there is no such setting.
pub(super) fn kind(command: &Command, key: &str) -> Option<KeyKind> {
    // The name of a [[watch]].
    if key == "name" {
        return Some(KeyKind::One);
    }
    all(command).into_iter().find(|(known, _)| *known == key).map(|(_, arg)| kind_of(arg))
}

/// How many values an option takes.
pub(super) fn kind_of(arg: &Arg) -> KeyKind {
    match arg.get_action() {
        ArgAction::SetTrue | ArgAction::SetFalse | ArgAction::Count => KeyKind::Switch,
        ArgAction::Append => KeyKind::List,
        _ => KeyKind::One,
    }
}

/// The setting with the most similar name.
pub(super) fn nearest<'a>(command: &'a Command, key: &str) -> Option<&'a str> {
    let distance = |known: &str| strsim::osa_distance(known, &key.replace('_', "-"));
    let known = all(command).into_iter().map(|(known, _)| (distance(known), known));
    // With more than a third of its letters wrong, it is another word.
    known.min().filter(|(distance, known)| *distance <= 1 + known.len() / 3).map(|(_, known)| known)
}

/// Checks that the option of a setting takes its values.
///
/// # Errors
/// It does not; with where the setting stands, and why.
pub(super) fn check(command: &Command, setting: &ConfigSetting) -> Result<()> {
    let ConfigSetting { key, values, origin } = setting;
    if key == "name" || values.is_empty() {
        return Ok(());
    }
    let sub = COMMANDS.into_iter().find(|name| has(command, name, key));
    let prefix: Vec<&str> = if has(command, "", key) { vec![] } else { sub.into_iter().collect() };
    for value in values {
        let words = [vec!["leakwatch"], prefix.clone()].concat().into_iter().map(str::to_owned);
        let words = words.chain([word(command, key, value)]);
        // `replay` needs a file as well.
        let words = words.chain((prefix == ["replay"]).then(|| "-".to_owned()));
        if let Err(error) = command.clone().try_get_matches_from(words) {
            let text = error.to_string();
            let why = error.source().map(ToString::to_string);
            let why = why.unwrap_or_else(|| {
                let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
                lines.take(2).collect::<Vec<_>>().join(" ").trim_start_matches("error: ").to_owned()
            });
            return Err(anyhow!("{origin}: '{key}' cannot be {value:?}: {why}"));
        }
    }
    Ok(())
}

/// Whether a command has the option; the watch has an empty name.
pub(super) fn has(command: &Command, name: &str, key: &str) -> bool {
    let of = if name.is_empty() { Some(command) } else { command.find_subcommand(name) };
    of.is_some_and(|of| of.get_arguments().any(|arg| arg.get_long() == Some(key)))
}

/// The setting as an option of the command line.
pub(super) fn word(command: &Command, key: &str, value: &str) -> String {
    match kind(command, key) {
        Some(KeyKind::Switch) => format!("--{key}"),
        _ => format!("--{key}={value}"),
    }
}
