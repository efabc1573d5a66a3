//! Config: what files and the environment say, as if it had been typed.
//!
//! A setting is called as its option, and becomes that option unless it was typed. So there is one
//! place where options are parsed and checked, and none where they are merged but this. From weak
//! to strong: defaults, `/etc/leakwatch.toml`, `/etc/leakwatch.d/*.toml` by name (for other users
//! than root `leakwatch.toml` in `$XDG_CONFIG_HOME/leakwatch` instead), a `[[watch]]`, `LEAKWATCH_*`
//! in the environment, and the command line. A stronger list replaces a weaker one.

mod file;
mod keys;
mod show;

use std::ffi::OsString;
use std::fmt;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, FromArgMatches};

use crate::cli::options::Cli;
use crate::system::machine;
use file::File;
use keys::KeyKind;
pub use show::show;

/// Commands for which configuration counts; the watch has no name.
const CONFIGURED: [&str; 4] = ["", "check", "replay", "config"];
/// What is configured of a diagnosis: where checks keep their histories.
const DIAGNOSIS: [&str; 2] = ["state-dir", "no-state"];
/// Options that pick processes: typed ones take the place of all `[[watch]]`.
const PICKING: [&str; 3] = ["pattern", "user", "pid"];

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq)]
pub enum Origin {
    /// A line of a file.
    File {
        /// Its path.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
    },
    /// A variable of the environment.
    Variable(String),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// A setting, as it would be typed.
#[derive(Clone, Debug, PartialEq)]
pub struct ConfigSetting {
    /// The long name of its option.
    pub key: String,
    /// Its values: several of a list, none of a switch that is off.
    pub values: Vec<String>,
    /// Where it comes from.
    pub origin: Origin,
}

/// What is read of files and environment.
#[derive(Debug, Default)]
pub struct MergedConfig {
    /// From weak to strong, each key once.
    settings: Vec<ConfigSetting>,
    /// Those of each `[[watch]]`.
    watches: Vec<Vec<ConfigSetting>>,
    variables: Vec<ConfigSetting>,
}

/// What was typed, completed by configuration: one for each `[[watch]]`, or the only one.
#[derive(Debug)]
pub struct Parsed {
    /// The options.
    pub cli: Cli,
    /// The name of the `[[watch]]`.
    pub name: Option<String>,
}

/// Parses what was typed and what is configured.
///
/// # Errors
/// A [`clap::Error`] for what was typed; for what is configured an error with file and line.
pub fn parse(args: &[OsString]) -> Result<Vec<Parsed>> {
    // The options with their help are 140 KiB, the peak of leakwatch's heap: they are made anew for
    // each parse, rather than kept and copied.
    let matches = |words: &[OsString]| Cli::command().try_get_matches_from(words);
    let typed = matches(args)?;
    let name = typed.subcommand_name().unwrap_or_default().to_owned();
    let of_command = typed.subcommand().map_or(&typed, |(_, matches)| matches);
    let (of_diagnosis, configured) = (name == "diagnose", CONFIGURED.contains(&name.as_str()));
    if !of_diagnosis && !configured {
        return Ok(vec![Parsed { cli: Cli::from_arg_matches(&typed)?, name: None }]);
    }
    let command = Cli::command();
    let all = if of_diagnosis {
        // A configuration that is no good says nothing of histories, and is no reason not to look.
        let mut settings = MergedConfig::read(of_command, &command).unwrap_or_default().merged(&[]);
        settings.retain(|setting| DIAGNOSIS.contains(&setting.key.as_str()));
        vec![settings]
    } else {
        let config = MergedConfig::read(of_command, &command)?;
        let picked = PICKING.iter().any(|key| is_typed(named(&command, &name), of_command, key));
        let own = config.variables.iter().any(|setting| PICKING.contains(&setting.key.as_str()));
        // A replay has its processes in the file.
        let several = ["", "check"].contains(&name.as_str()) && !picked && !own;
        if several && !config.watches.is_empty() {
            config.watches.iter().map(|watch| config.merged(watch)).collect()
        } else {
            vec![config.merged(&[])]
        }
    };
    let complete = |settings: Vec<ConfigSetting>| {
        let words = complete(args, &command, &name, of_command, &settings);
        let name = settings.into_iter().find(|setting| setting.key == "name");
        (words, name.and_then(|name| name.values.into_iter().next()))
    };
    let all: Vec<_> = all.into_iter().map(complete).collect();
    drop(command);
    let parse = |(words, name): (Vec<OsString>, _)| {
        Ok(Parsed { cli: Cli::from_arg_matches(&matches(&words)?)?, name })
    };
    all.into_iter().map(parse).collect()
}

fn named<'a>(command: &'a Command, name: &str) -> &'a Command {
    command.find_subcommand(name).unwrap_or(command)
}

/// Whether an option of that command was typed.
fn is_typed(command: &Command, typed: &ArgMatches, key: &str) -> bool {
    let arg = command.get_arguments().find(|arg| arg.get_long() == Some(key));
    let source = arg.and_then(|arg| typed.value_source(arg.get_id().as_str()));
    source == Some(ValueSource::CommandLine)
}

/// What was typed, and what was not but is configured.
fn complete(
    args: &[OsString],
    command: &Command,
    name: &str,
    typed: &ArgMatches,
    settings: &[ConfigSetting],
) -> Vec<OsString> {
    let is_typed = |key: &str| is_typed(named(command, name), typed, key);
    let excluded = |key: &str| {
        let rivals = keys::EXCLUSIVE.iter().filter(|pair| pair.contains(&key));
        rivals.flatten().any(|rival| is_typed(rival)) || (key == "format" && is_typed("explain"))
    };
    let wanted = settings.iter().filter(|setting| {
        let key = setting.key.as_str();
        keys::has(command, name, key) && !is_typed(key) && !excluded(key)
    });
    let words: Vec<OsString> = wanted
        .flat_map(|s| s.values.iter().map(|value| keys::word(command, &s.key, value).into()))
        .collect();
    // After the command's name, so that they are its options.
    let at = if name.is_empty() { 1 } else { 2 };
    let at = at.min(args.len());
    let (before, after) = args.split_at(at);
    [before, &words, after].concat()
}

impl MergedConfig {
    fn read(typed: &ArgMatches, command: &Command) -> Result<Self> {
        let variables = variables(command)?;
        let given = typed.try_get_one::<PathBuf>("config").ok().flatten().cloned();
        let given = given.or_else(|| std::env::var_os("LEAKWATCH_CONFIG").map(PathBuf::from));
        let mut config = Self { variables, ..Self::default() };
        for path in match given {
            Some(path) => vec![path],
            None => usual(machine::is_root(), |name| std::env::var_os(name))?,
        } {
            let File { settings, watches } = file::read(&path, command)?;
            config.settings = stronger(&config.settings, &settings);
            config.watches.extend(watches);
        }
        Ok(config)
    }

    /// What counts in a `[[watch]]`.
    fn merged(&self, watch: &[ConfigSetting]) -> Vec<ConfigSetting> {
        stronger(&stronger(&self.settings, watch), &self.variables)
    }
}

/// The weaker settings with the stronger ones in their place.
fn stronger(weaker: &[ConfigSetting], stronger: &[ConfigSetting]) -> Vec<ConfigSetting> {
    let beaten = |setting: &&ConfigSetting| {
        stronger.iter().any(|by| {
            let rivals = |pair: &[&str; 2]| {
                [&setting.key, &by.key].iter().all(|k| pair.contains(&k.as_str()))
            };
            by.key == setting.key || (!by.values.is_empty() && keys::EXCLUSIVE.iter().any(rivals))
        })
    };
    weaker.iter().filter(|setting| !beaten(setting)).chain(stronger).cloned().collect()
}

/// The files that are read unless one is named, weak ones first.
fn usual(root: bool, var: impl Fn(&str) -> Option<OsString>) -> Result<Vec<PathBuf>> {
    let of = |name: &str| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let user = || of("XDG_CONFIG_HOME").or_else(|| Some(of("HOME")?.join(".config")));
    let (main, parts) = match root {
        true => (PathBuf::from("/etc/leakwatch.toml"), Some(PathBuf::from("/etc/leakwatch.d"))),
        false => match user() {
            Some(dir) => (dir.join("leakwatch/leakwatch.toml"), None),
            None => return Ok(Vec::new()),
        },
    };
    let mut files: Vec<PathBuf> = match parts.as_deref().map(std::fs::read_dir) {
        Some(Ok(entries)) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
        Some(Err(error)) if error.kind() != ErrorKind::NotFound => {
            return Err(error).context("cannot read '/etc/leakwatch.d'");
        }
        _ => Vec::new(),
    };
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    // That there is none is usual; that it cannot be read is not. Where not even that can be told,
    // it is not this user's: a program that gave up root still has root's HOME.
    let there = |path: &Path| {
        let none = [ErrorKind::NotFound, ErrorKind::PermissionDenied];
        !path.symlink_metadata().is_err_and(|error| none.contains(&error.kind()))
    };
    Ok(Some(main).filter(|main| there(main)).into_iter().chain(files).collect())
}

/// The settings of the environment: `LEAKWATCH_DRY_RUN=1`.
fn variables(command: &Command) -> Result<Vec<ConfigSetting>> {
    // A command of --on-event finds an event there, with names such as LEAKWATCH_PID.
    if std::env::var_os("LEAKWATCH_EVENT").is_some() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (key, arg) in keys::all(command) {
        let name = format!("LEAKWATCH_{}", key.to_ascii_uppercase().replace('-', "_"));
        let Some(value) = std::env::var_os(&name) else { continue };
        let origin = Origin::Variable(name);
        let value = value.into_string().map_err(|_| anyhow!("{origin} is no text"))?;
        let values = match (keys::kind_of(arg), value.as_str()) {
            (KeyKind::Switch, "1" | "true" | "yes" | "on") => vec!["true".to_owned()],
            (KeyKind::Switch, "" | "0" | "false" | "no" | "off") => Vec::new(),
            (KeyKind::Switch, _) => {
                return Err(anyhow!("{origin} is {value:?}\n  hint: write 1 or 0"));
            }
            _ => vec![value],
        };
        let setting = ConfigSetting { key: key.to_owned(), values, origin };
        keys::check(command, &setting)?;
        found.push(setting);
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(key: &str, values: &[&str]) -> ConfigSetting {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        ConfigSetting { key: key.to_owned(), values, origin: Origin::Variable("X".to_owned()) }
    }

    #[test]
    fn the_stronger_setting_takes_the_place_of_the_weaker_and_of_its_rival() {
        let weak = [
            setting("pattern", &["a", "b"]),
            setting("state-dir", &["/s"]),
            setting("lead", &["5"]),
        ];
        let strong = [setting("pattern", &["c"]), setting("no-state", &["true"])];
        let merged = stronger(&weak, &strong);
        let keys: Vec<&str> = merged.iter().map(|setting| setting.key.as_str()).collect();
        assert_eq!(keys, ["lead", "pattern", "no-state"]);
        // One that is off is no rival.
        assert_eq!(stronger(&weak, &[setting("no-state", &[])]).len(), 4);
    }

    #[test]
    fn what_was_typed_stands_and_the_rest_is_added_where_it_belongs() {
        let command = Cli::command();
        let complete = |args: &[&str], settings: &[ConfigSetting]| {
            let args: Vec<OsString> = args.iter().map(OsString::from).collect();
            let typed = command.clone().try_get_matches_from(&args).unwrap();
            let (name, typed) = match typed.subcommand() {
                Some((name, matches)) => (name, matches),
                None => ("", &typed),
            };
            let words = complete(&args, &command, name, typed, settings);
            words.into_iter().map(|word| word.into_string().unwrap()).collect::<Vec<_>>().join(" ")
        };
        let settings = [
            setting("pattern", &["a", "-b"]),
            setting("dry-run", &["true"]),
            setting("repeat-after", &["1h"]),
            setting("no-state", &["true"]),
        ];
        assert_eq!(
            complete(&["leakwatch", "-v"], &settings),
            "leakwatch --pattern=a --pattern=-b --dry-run --no-state -v"
        );
        assert_eq!(
            complete(&["leakwatch", "check", "-p", "x", "--state-dir", "/s"], &settings),
            "leakwatch check --dry-run --repeat-after=1h -p x --state-dir /s"
        );
        assert_eq!(
            complete(&["leakwatch", "replay", "x.gz"], &settings),
            "leakwatch replay --dry-run x.gz"
        );
    }

    #[test]
    fn root_has_its_files_in_etc_and_others_have_one_in_their_home() {
        let var = |name: &str| (name == "HOME").then(|| OsString::from("/nonexistent/home"));
        assert!(usual(false, var).unwrap().is_empty());
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join("leakwatch")).unwrap();
        let file = dir.path().join("leakwatch/leakwatch.toml");
        std::fs::write(&file, "").unwrap();
        let var = |name: &str| (name == "XDG_CONFIG_HOME").then(|| dir.path().into());
        assert_eq!(usual(false, var).unwrap(), [file]);
    }
}
