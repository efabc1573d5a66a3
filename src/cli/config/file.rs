//! File: what a configuration file holds, with the line that each setting stands in.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::Command;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys;
use super::keys::KeyKind;
use super::{ConfigSetting, Origin};

/// What a file holds.
#[derive(Debug, Default)]
pub(super) struct File {
    /// The settings at its top.
    pub(super) settings: Vec<ConfigSetting>,
    /// Those of each `[[watch]]`.
    pub(super) watches: Vec<Vec<ConfigSetting>>,
}

/// Reads a file.
///
/// # Errors
/// It cannot be read, anybody may write to it, it is no TOML, or it says something that there is
/// not; with the line.
pub(super) fn read(path: &Path, command: &Command) -> Result<File> {
    let name = path.display();
    let about = fs::metadata(path).with_context(|| format!("cannot read '{name}'"))?;
    ensure!(
        !about.is_file() || about.permissions().mode() & 0o002 == 0,
        "'{name}' may be written by anybody, so it is not trusted\n  hint: chmod o-w '{name}'"
    );
    let text = fs::read_to_string(path).with_context(|| format!("cannot read '{name}'"))?;
    parse(&text, path, command)
}

fn parse(text: &str, path: &Path, command: &Command) -> Result<File> {
    let at = |offset: usize| Origin::File {
        path: path.to_owned(),
        line: 1 + text.get(..offset).unwrap_or(text).matches('\n').count(),
    };
    let table = DeTable::parse(text).map_err(|error| {
        let place = at(error.span().map_or(0, |span| span.start));
        anyhow!("{place}: {}", error.message())
    })?;
    let mut file = File::default();
    for (key, value) in table.get_ref() {
        if key.get_ref() == "server" {
            file.settings.push(servers(value, command, &at)?);
        } else if key.get_ref() == "watch" {
            let place = at(value.span().start);
            let rows = value.get_ref().as_array().with_context(|| {
                format!("{place}: 'watch' is a list of tables\n  hint: write [[watch]]")
            })?;
            for row in rows.iter() {
                let table = row.get_ref().as_table().with_context(|| {
                    format!("{place}: 'watch' is a list of tables\n  hint: write [[watch]]")
                })?;
                let settings = table.iter().map(|(key, value)| setting(key, value, command, &at));
                file.watches.push(settings.collect::<Result<_>>()?);
            }
        } else {
            file.settings.push(setting(key, value, command, &at)?);
        }
    }
    Ok(file)
}

/// All `[[server]]` as one setting: each is a value as `--server` takes it.
fn servers(
    value: &Spanned<DeValue<'_>>,
    command: &Command,
    at: &impl Fn(usize) -> Origin,
) -> Result<ConfigSetting> {
    let origin = at(value.span().start);
    let wrong = || anyhow!("{origin}: 'server' is a list of tables\n  hint: write [[server]]");
    let mut values = Vec::new();
    for row in value.get_ref().as_array().ok_or_else(wrong)?.iter() {
        let table = row.get_ref().as_table().ok_or_else(wrong)?;
        let mut parts = Vec::new();
        for (key, value) in table.iter() {
            let (name, origin) = (key.get_ref().as_ref(), at(key.span().start));
            let text = match value.get_ref() {
                DeValue::Boolean(is) => Some(is.to_string()),
                DeValue::Array(list) => {
                    let words: Option<Vec<String>> =
                        list.iter().map(|value| word(value.get_ref())).collect();
                    words.map(|words| words.join("|"))
                }
                value => word(value),
            };
            let text = text.filter(|text| !text.contains(',')).ok_or_else(|| {
                anyhow!("{origin}: '{name}' is a text without commas, a number, true or false")
            })?;
            parts.push(format!("{name}={text}"));
        }
        values.push(parts.join(","));
        let last = values.last().cloned().into_iter().collect();
        let setting =
            ConfigSetting { key: "server".to_owned(), values: last, origin: at(row.span().start) };
        keys::check(command, &setting)?;
    }
    Ok(ConfigSetting { key: "server".to_owned(), values, origin })
}

fn setting(
    key: &Spanned<std::borrow::Cow<'_, str>>,
    value: &Spanned<DeValue<'_>>,
    command: &Command,
    at: &impl Fn(usize) -> Origin,
) -> Result<ConfigSetting> {
    let (name, origin) = (key.get_ref().as_ref(), at(key.span().start));
    let Some(kind) = keys::kind(command, name) else {
        let nearest = keys::nearest(command, name);
        let hint = nearest.map_or("`leakwatch config` lists all".to_owned(), |nearest| {
            format!("did you mean '{nearest}'?")
        });
        bail!("{origin}: there is no setting '{}'\n  hint: {hint}", name.escape_debug());
    };
    let wrong = |wanted: &str| {
        anyhow!("{origin}: '{name}' is {}, but {wanted} is wanted", value.get_ref().type_str())
    };
    let values = match (kind, value.get_ref()) {
        (KeyKind::Switch, DeValue::Boolean(true)) => vec!["true".to_owned()],
        (KeyKind::Switch, DeValue::Boolean(false)) => Vec::new(),
        (KeyKind::Switch, _) => return Err(wrong("true or false")),
        (KeyKind::List, DeValue::Array(list)) => {
            let words = list.iter().map(|value| word(value.get_ref()));
            words.collect::<Option<_>>().ok_or_else(|| wrong("a list of texts"))?
        }
        (KeyKind::List, value) => {
            vec![word(value).ok_or_else(|| wrong("a text or a list of them"))?]
        }
        (KeyKind::One, value) => vec![word(value).ok_or_else(|| wrong("a text or a number"))?],
    };
    let setting = ConfigSetting { key: name.to_owned(), values, origin };
    keys::check(command, &setting)?;
    Ok(setting)
}

fn word(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::String(text) => Some(text.to_string()),
        DeValue::Integer(number) => Some(number.as_str().to_owned()),
        DeValue::Float(number) => Some(number.as_str().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::options::Cli;
    use clap::CommandFactory;

    fn read(text: &str) -> Result<File> {
        parse(text, Path::new("/etc/leakwatch.toml"), &Cli::command())
    }

    fn error(text: &str) -> String {
        format!("{:#}", read(text).unwrap_err())
    }

    #[test]
    fn settings_are_named_as_the_options() {
        let text = "# a comment\npattern = [\"apache2\", \"php\"]\ninterval = 2.5\ndry-run = true\n\n[[watch]]\npattern = \"mysqld\"\nmax-extrapolation = 3\n[[watch]]\nlead = '1m'\n";
        let file = read(text).unwrap();
        let of = |key: &str| file.settings.iter().find(|s| s.key == key).unwrap().clone();
        assert_eq!(of("pattern").values, ["apache2", "php"]);
        assert_eq!(of("pattern").origin.to_string(), "/etc/leakwatch.toml:2");
        assert_eq!(
            (of("interval").values, of("dry-run").values),
            (vec!["2.5".into()], vec!["true".into()])
        );
        assert_eq!(file.watches.len(), 2);
        assert_eq!(file.watches[1][0].origin.to_string(), "/etc/leakwatch.toml:10");
    }

    #[test]
    fn fuzz_configuration() {
        let texts: [&[u8]; 3] = [
            b"# x\npattern = [\"apache2\", \"php\"]\ninterval = 2.5\ndry-run = true\n[[watch]]\nname = 'b'\npattern = \"my\"\nmax-extrapolation = 3\n",
            b"[[server]]\nmatch = ['appd', 'app2']\nsignal = 'USR1'\ngrace = '20s'\nno-kill = true\n",
            b"lead = '1m'\nbudget = '1.5G'\nprotect = [ 'a.*b' ]\nhistory-size = \"32M\"\nsignal = 'USR1'\n",
        ];
        let command = Cli::command();
        crate::core::fuzz::fuzz("configuration", 200, &texts, |text| {
            drop(parse(&String::from_utf8_lossy(text), Path::new("/x.toml"), &command));
        });
    }

    #[test]
    fn servers_are_tables_and_become_options() {
        let text = "[[server]]\nmatch = ['appd', 'app2']\nsignal = 'USR1'\ngrace = '20s'\nno-kill = true\n[[server]]\nmatch = 'b'\nprotect = true\n";
        let file = read(text).unwrap();
        assert_eq!(file.settings[0].key, "server");
        assert_eq!(
            file.settings[0].values,
            ["grace=20s,match=appd|app2,no-kill=true,signal=USR1", "match=b,protect=true"]
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_the_way_out() {
        for (text, wanted) in [
            (
                "\nintervall = 5\n",
                "leakwatch.toml:2: there is no setting 'intervall'\n  hint: did you mean 'interval'?",
            ),
            ("dry_run = true", "did you mean 'dry-run'?"),
            ("explain = 5", "there is no setting 'explain'"),
            ("a = 1\nb", "leakwatch.toml:2:"),
            ("interval = \"soon\"", "leakwatch.toml:1: 'interval' cannot be \"soon\":"),
            (
                "\n\nmax-extrapolation = 99",
                "leakwatch.toml:3: 'max-extrapolation' cannot be \"99\": max-extrapolation is a number from 1 to 32",
            ),
            ("format = 'xml'", "[possible values: text, json]"),
            ("dry-run = 'yes'", "true or false is wanted"),
            ("pattern = [1.5, true]", "a list of texts is wanted"),
            ("watch = 5", "write [[watch]]"),
            (
                "[[watch]]\nname = 'web'\nptatern = 'x'",
                "leakwatch.toml:3: there is no setting 'ptatern'\n  hint: did you mean 'pattern'?",
            ),
            ("lead = 5\nlead = 6", "leakwatch.toml:2: "),
            ("server = 5", "write [[server]]"),
            (
                "[[server]]\nmatch = 'a'\n\n[[server]]\nmatch = 'b'\nsginal = 'USR1'",
                "leakwatch.toml:4: 'server' cannot be \"match=b,sginal=USR1\": a server has no \"sginal\"",
            ),
        ] {
            assert!(error(text).contains(wanted), "{text:?} gives {}", error(text));
        }
    }
}
