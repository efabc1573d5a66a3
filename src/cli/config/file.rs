//! Reads a configuration file, with the line of each setting.

use std::path::Path;

use anyhow::{Result, anyhow, bail};
use clap::Command;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::keys;
use super::keys::KeyKind;
use super::setting::{ConfigSetting, Origin};
use crate::system::{foreign_file, trusted_path};

/// What stands for no configuration.
const NONE: &str = "/dev/null";
/// Bytes of a configuration; one of a hundred watches has twenty thousand.
const MOST_BYTES: u64 = 1 << 20;

/// The settings of a file.
#[derive(Debug, Default)]
pub(super) struct ConfigFile {
    /// The settings at its top.
    pub(super) settings: Vec<ConfigSetting>,
    /// The settings of each `[[watch]]`.
    pub(super) watches: Vec<Vec<ConfigSetting>>,
}

/// Reads a file.
///
/// # Errors
/// The file cannot be read, somebody else could change it, it is not TOML, or it has an unknown
/// setting or a bad value; with the line.
pub(super) fn read(path: &Path, command: &Command) -> Result<ConfigFile> {
    let name = path.display();
    let hint = "  hint: --config names another file; /dev/null stands for no configuration";
    let unreadable = |error| anyhow!("cannot read '{name}': {error}\n{hint}");
    if path == Path::new(NONE) {
        return Ok(ConfigFile::default());
    }
    let open = || trusted_path::open(path, &trusted_path::owners());
    // It names commands that are run with the rights of whoever runs leakwatch.
    let file = open().map_err(|error| match format!("{error:#}") {
        error if error.contains("hint:") => anyhow!("cannot read '{name}': {error}"),
        error => anyhow!("cannot read '{name}': {error}\n{hint}"),
    })?;
    let bytes = foreign_file::read(file, MOST_BYTES).map_err(unreadable)?;
    let text = String::from_utf8(bytes).map_err(|_| anyhow!("'{name}' is not UTF-8\n{hint}"))?;
    parse(&text, path, command)
}

fn parse(text: &str, path: &Path, command: &Command) -> Result<ConfigFile> {
    let at = |offset: usize| Origin::File {
        path: path.to_owned(),
        line: 1 + text.get(..offset).unwrap_or(text).matches('\n').count(),
    };
    let table = DeTable::parse(text).map_err(|error| {
        let place = at(error.span().map_or(0, |span| span.start));
        anyhow!("{place}: {}\n  hint: leakwatch.toml(5) has the format", error.message())
    })?;
    let mut file = ConfigFile::default();
    for (key, value) in table.get_ref() {
        match key.get_ref().as_ref() {
            "server" => file.settings.push(servers(value, command, &at)?),
            "watch" => {
                for (_, row) in rows(value, "watch", &at)? {
                    let settings = row.iter().map(|(key, value)| setting(key, value, command, &at));
                    file.watches.push(settings.collect::<Result<_>>()?);
                }
            }
            _ => file.settings.push(setting(key, value, command, &at)?),
        }
    }
    Ok(file)
}

/// The tables of a `[[name]]`, each with its line.
fn rows<'t, 'd>(
    value: &'t Spanned<DeValue<'d>>,
    name: &str,
    at: &impl Fn(usize) -> Origin,
) -> Result<Vec<(Origin, &'t DeTable<'d>)>> {
    let place = at(value.span().start);
    let wrong = || anyhow!("{place}: '{name}' must be a list of tables\n  hint: write [[{name}]]");
    let rows = value.get_ref().as_array().ok_or_else(wrong)?.iter();
    rows.map(|row| {
        let table = row.get_ref().as_table().ok_or_else(wrong)?;
        Ok((at(row.span().start), table))
    })
    .collect()
}

/// All `[[server]]` as one setting, with values as `--server` takes them.
fn servers(
    value: &Spanned<DeValue<'_>>,
    command: &Command,
    at: &impl Fn(usize) -> Origin,
) -> Result<ConfigSetting> {
    let server = |values, origin| ConfigSetting { key: "server".to_owned(), values, origin };
    let mut values = Vec::new();
    for (origin, table) in rows(value, "server", at)? {
        let mut parts = Vec::new();
        for (key, value) in table.iter() {
            let name = key.get_ref();
            let text = server_value(value.get_ref()).filter(|text| !text.contains(','));
            let text = text.ok_or_else(|| {
                let origin = at(key.span().start);
                anyhow!("{origin}: '{name}' must be a text without commas, a number, true or false")
            })?;
            parts.push(format!("{name}={text}"));
        }
        let row = parts.join(",");
        keys::check(command, &server(vec![row.clone()], origin))?;
        values.push(row);
    }
    Ok(server(values, at(value.span().start)))
}

/// A value in a `[[server]]`, as `--server` takes it.
fn server_value(value: &DeValue<'_>) -> Option<String> {
    match value {
        DeValue::Boolean(is) => Some(is.to_string()),
        DeValue::Array(list) => {
            let words: Option<Vec<_>> = list.iter().map(|value| word(value.get_ref())).collect();
            words.map(|words| words.join("|"))
        }
        value => word(value),
    }
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
        let hint = nearest.map_or_else(
            || "`leakwatch config` lists all settings".to_owned(),
            |nearest| format!("did you mean '{nearest}'?"),
        );
        bail!("{origin}: there is no setting '{}'\n  hint: {hint}", name.escape_debug());
    };
    let wrong = |wanted: &str| {
        anyhow!("{origin}: '{name}' must be {wanted}, not {}", value.get_ref().type_str())
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

    fn read(text: &str) -> Result<ConfigFile> {
        parse(text, Path::new("/etc/leakwatch.toml"), &Cli::command())
    }

    fn error(text: &str) -> String {
        format!("{:#}", read(text).unwrap_err())
    }

    #[test]
    fn a_setting_has_the_name_of_its_option() {
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
    fn a_server_table_becomes_an_option() {
        let text = "[[server]]\nmatch = ['appd', 'app2']\nsignal = 'USR1'\ngrace = '20s'\nno-kill = true\n[[server]]\nmatch = 'b'\nprotect = true\n";
        let file = read(text).unwrap();
        assert_eq!(file.settings[0].key, "server");
        assert_eq!(
            file.settings[0].values,
            ["grace=20s,match=appd|app2,no-kill=true,signal=USR1", "match=b,protect=true"]
        );
    }

    #[test]
    fn an_error_names_its_line_and_the_way_out() {
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
            ("dry-run = 'yes'", "must be true or false"),
            ("pattern = [1.5, true]", "must be a list of texts"),
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
