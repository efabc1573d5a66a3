//! The command line as it was typed: the command and its options, wherever they stand.

use super::keys;
use super::setting::ConfigSetting;
use crate::cli::options::Cli;
use anyhow::{Result, bail};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory};
use std::ffi::OsString;

/// A command line whose options all stand behind the command.
pub(super) struct Typed {
    args: Vec<OsString>,
    pub(super) matches: ArgMatches,
}

impl Typed {
    /// Parses the words, and moves options that stand before a command behind it: `leakwatch
    /// --config F check` means `leakwatch check --config F`.
    ///
    /// clap's own `global` options need a default of their own in every command, which the other
    /// command's default would then beat; and an option of the watch that the command does not have
    /// would be accepted and ignored.
    ///
    /// # Errors
    /// A [`clap::Error`]; an option before a command that does not take it.
    pub(super) fn parse(args: &[OsString]) -> Result<Self> {
        let matches = parsed(args)?;
        let Some(name) = matches.subcommand_name() else {
            return Ok(Self { args: args.to_owned(), matches });
        };
        let Some(at) = position(args, name).filter(|at| *at > 1) else {
            return Ok(Self { args: args.to_owned(), matches });
        };
        refuse_foreign(&Cli::command(), name, &matches)?;
        let mut moved = args.to_owned();
        moved.get_mut(1..=at).unwrap_or_default().rotate_right(1);
        Ok(Self { matches: parsed(&moved)?, args: moved })
    }

    /// The name of the command; empty for the watch.
    pub(super) fn name(&self) -> &str {
        self.matches.subcommand_name().unwrap_or_default()
    }

    /// What was typed for the command.
    pub(super) fn of_command(&self) -> &ArgMatches {
        self.matches.subcommand().map_or(&self.matches, |(_, matches)| matches)
    }

    /// Whether an option of the command was typed.
    pub(super) fn has(&self, command: &Command, key: &str) -> bool {
        let of = command.find_subcommand(self.name()).unwrap_or(command);
        let arg = of.get_arguments().find(|arg| arg.get_long() == Some(key));
        arg.is_some_and(|arg| is_typed(self.of_command(), arg.get_id().as_str()))
    }

    /// The words with the settings that were not typed, as options of the command.
    pub(super) fn completed(&self, command: &Command, settings: &[ConfigSetting]) -> Vec<OsString> {
        let excluded = |key: &str| {
            let rivals = keys::EXCLUSIVE.iter().filter(|pair| pair.contains(&key));
            rivals.flatten().any(|rival| self.has(command, rival))
                || (key == "format" && self.has(command, "explain"))
        };
        let wanted = settings.iter().filter(|setting| {
            let key = setting.key.as_str();
            keys::has(command, self.name(), key) && !self.has(command, key) && !excluded(key)
        });
        let words = wanted
            .flat_map(|s| s.values.iter().map(|value| keys::word(command, &s.key, value).into()));
        // After the program and the command, so that they are the command's options.
        let head = if self.name().is_empty() { 1 } else { 2 };
        let (before, after) = self.args.split_at(head.min(self.args.len()));
        before.iter().cloned().chain(words).chain(after.iter().cloned()).collect()
    }
}

fn parsed(args: &[OsString]) -> Result<ArgMatches> {
    Ok(Cli::command().try_get_matches_from(args)?)
}

fn is_typed(matches: &ArgMatches, id: &str) -> bool {
    matches.value_source(id) == Some(ValueSource::CommandLine)
}

/// Where the command stands: the first word of that name that is not the value of an option, so
/// that the words before it are complete without it.
fn position(args: &[OsString], name: &str) -> Option<usize> {
    let complete = |at: &usize| args.get(..*at).is_some_and(|before| parsed(before).is_ok());
    let same = args.iter().enumerate().skip(1).filter(|(_, word)| *word == name);
    same.map(|(at, _)| at).find(complete)
}

/// Refuses options before a command that are not the command's own.
fn refuse_foreign(command: &Command, name: &str, typed: &ArgMatches) -> Result<()> {
    for arg in command.get_arguments().filter(|arg| is_typed(typed, arg.get_id().as_str())) {
        let key = arg.get_long().unwrap_or_default();
        if !keys::has(command, name, key) {
            bail!(
                "`leakwatch {name}` has no option --{key}\n  hint: leave it out; `leakwatch {name} --help` lists the options"
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::merge::tests::setting;
    use super::*;
    use clap::FromArgMatches;

    fn typed(args: &[&str]) -> Result<Typed> {
        Typed::parse(&args.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn words(args: &[OsString]) -> String {
        args.iter().map(|word| word.to_str().unwrap()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn typed_options_stand_and_settings_are_added_to_the_command_that_has_them() {
        let command = Cli::command();
        let completed = |args: &[&str], settings: &[ConfigSetting]| {
            words(&typed(args).unwrap().completed(&command, settings))
        };
        let settings = [
            setting("pattern", &["a", "-b"]),
            setting("dry-run", &["true"]),
            setting("repeat-after", &["1h"]),
            setting("no-state", &["true"]),
        ];
        assert_eq!(
            completed(&["leakwatch", "-v"], &settings),
            "leakwatch --pattern=a --pattern=-b --dry-run --no-state -v"
        );
        assert_eq!(
            completed(&["leakwatch", "check", "-p", "x", "--state-dir", "/s"], &settings),
            "leakwatch check --dry-run --repeat-after=1h -p x --state-dir /s"
        );
        assert_eq!(
            completed(&["leakwatch", "-p", "x", "check", "--state-dir", "/s"], &settings),
            "leakwatch check --dry-run --repeat-after=1h -p x --state-dir /s"
        );
        assert_eq!(
            completed(&["leakwatch", "replay", "x.gz"], &settings),
            "leakwatch replay --dry-run x.gz"
        );
    }

    /// Every option that the watch shares with a command, with a value other than the default.
    #[test]
    fn each_shared_option_parses_the_same_before_and_after_each_command() {
        let value = |key: &str| match key {
            "format" => "json",
            "color" => "never",
            "signal" => "USR1",
            "server" => "match=appd",
            "max-extrapolation" | "max-processes" | "pid" => "7",
            "budget" => "5M",
            "interval" | "lead" | "grace" => "7s",
            _ => "/dev/null",
        };
        let command = Cli::command();
        let mut pairs = 0;
        for name in [
            "check", "census", "ceilings", "config", "diagnose", "memory", "record", "replay",
            "servers",
        ] {
            let file: &[&str] = match name {
                "record" | "replay" => &["f"],
                "census" => &["7"],
                _ => &[],
            };
            for (key, arg) in keys::all(&command) {
                if !keys::has(&command, "", key) || !keys::has(&command, name, key) {
                    continue;
                }
                let long = match keys::kind_of(arg) {
                    keys::KeyKind::Switch => vec![format!("--{key}")],
                    _ => vec![format!("--{key}"), value(key).to_owned()],
                };
                let mut forms = vec![long];
                if let Some(short) = arg.get_short() {
                    let mut form = forms[0].clone();
                    form[0] = format!("-{short}");
                    forms.push(form);
                }
                for form in forms {
                    let form: Vec<&str> = form.iter().map(String::as_str).collect();
                    let debug = |args: [&[&str]; 4]| {
                        let typed = typed(&args.concat()).unwrap();
                        format!("{:?}", Cli::from_arg_matches(&typed.matches).unwrap())
                    };
                    let before = debug([&["leakwatch"], &form, &[name], file]);
                    let after = debug([&["leakwatch"], &[name], &form, file]);
                    assert_eq!(before, after, "{name} {form:?}");
                    assert_ne!(after, debug([&["leakwatch"], &[name], &[], file]), "{form:?}");
                    pairs += 1;
                }
            }
        }
        assert!(pairs > 60, "{pairs} pairs of a command and an option");
        let config = words(&typed(&["leakwatch", "--config", "F", "check"]).unwrap().args);
        assert_eq!(config, "leakwatch check --config F");
    }

    #[test]
    fn an_option_that_the_command_does_not_have_is_refused_with_a_hint() {
        for (args, wanted) in [
            (
                &["leakwatch", "--lead", "5", "ceilings"][..],
                "`leakwatch ceilings` has no option --lead",
            ),
            (&["leakwatch", "-v", "servers"], "`leakwatch servers` has no option --verbose"),
            (
                &["leakwatch", "--pattern", "x", "replay", "f"],
                "`leakwatch replay` has no option --pattern",
            ),
        ] {
            let error = typed(args).err().unwrap().to_string();
            assert!(error.starts_with(wanted) && error.contains("hint: "), "{error}");
        }
    }

    #[test]
    fn a_value_that_is_the_name_of_a_command_stays_a_value() {
        let args = typed(&["leakwatch", "--pattern", "check", "-f", "check", "-p", "check"]);
        assert_eq!(words(&args.unwrap().args), "leakwatch check --pattern check -f -p check");
        let args = typed(&["leakwatch", "--pattern", "check"]).unwrap();
        assert_eq!((args.name(), words(&args.args).as_str()), ("", "leakwatch --pattern check"));
    }

    #[test]
    fn an_option_typed_on_both_sides_is_refused() {
        for args in [
            ["leakwatch", "--color=never", "check", "--color=always"],
            ["leakwatch", "--no-state", "check", "--state-dir=/s"],
        ] {
            assert!(typed(&args).err().unwrap().to_string().contains("cannot be used"), "{args:?}");
        }
    }
}
