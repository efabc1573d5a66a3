//! The merged configuration, written as a file, each setting with its source.

use super::keys;
use super::keys::KeyKind;
use super::merge::MergedConfig;
use super::setting::ConfigSetting;
use crate::cli::options::Cli;
use anyhow::Result;
use clap::{ArgMatches, CommandFactory};
use std::io::Write;

/// Writes the settings that count, as a file with the same meaning; what is not set is a comment.
///
/// # Errors
/// A bad configuration, or `out` cannot be written.
pub fn show(config: Option<&std::path::Path>, out: &mut impl Write) -> Result<()> {
    let command = Cli::command();
    let words = match config {
        Some(path) => vec!["leakwatch".into(), "--config".into(), path.into()],
        None => vec![std::ffi::OsString::from("leakwatch")],
    };
    let typed: ArgMatches = command.clone().try_get_matches_from(words)?;
    let config = MergedConfig::read(&typed, &command)?;
    write(out, &command, &config.merged(&[]), true)?;
    for watch in &config.watches {
        writeln!(out, "\n[[watch]]")?;
        write(out, &command, watch, false)?;
    }
    Ok(())
}

fn write(
    out: &mut impl Write,
    command: &clap::Command,
    settings: &[ConfigSetting],
    whole: bool,
) -> Result<()> {
    if let Some(name) = settings.iter().find(|setting| setting.key == "name") {
        let text = name.values.first().map_or("", String::as_str);
        line(out, &format!("name = {}", quoted(text)), &name.origin.to_string())?;
    }
    for (key, arg) in keys::all(command) {
        let kind = keys::kind_of(arg);
        let set = settings.iter().find(|setting| setting.key == key);
        let values: Vec<String> = match set {
            Some(setting) => setting.values.clone(),
            None if !whole => continue,
            None => {
                let defaults = arg.get_default_values().iter();
                defaults.map(|value| value.to_string_lossy().into_owned()).collect()
            }
        };
        let text = match (kind, values.first()) {
            (KeyKind::Switch, first) => {
                format!("{key} = {}", set.is_some() && first.is_some())
            }
            (KeyKind::List, Some(_)) => {
                let list: Vec<String> = values.iter().map(|value| quoted(value)).collect();
                format!("{key} = [{}]", list.join(", "))
            }
            (KeyKind::One, Some(value)) => format!("{key} = {}", quoted(value)),
            (_, None) => {
                line(out, &format!("# {key} ="), "not set")?;
                continue;
            }
        };
        line(out, &text, &set.map_or("default".to_owned(), |set| set.origin.to_string()))?;
    }
    Ok(())
}

fn line(out: &mut impl Write, text: &str, origin: &str) -> Result<()> {
    Ok(writeln!(out, "{text:<40} # {origin}")?)
}

/// A text in TOML's quotes.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted += &format!("\\u{:04X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}
