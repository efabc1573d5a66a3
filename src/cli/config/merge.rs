//! Which of two settings counts.

use super::file::ConfigFile;
use super::setting::ConfigSetting;
use super::{file, keys, sources};
use anyhow::Result;
use clap::{ArgMatches, Command};
use std::path::PathBuf;

/// The settings of all files and of the environment.
#[derive(Debug, Default)]
pub(super) struct MergedConfig {
    /// From weak to strong, each key once.
    settings: Vec<ConfigSetting>,
    /// The settings of each `[[watch]]`.
    pub(super) watches: Vec<Vec<ConfigSetting>>,
    /// The settings of the environment.
    pub(super) variables: Vec<ConfigSetting>,
}

impl MergedConfig {
    /// Reads the file named by `--config` or `LEAKWATCH_CONFIG`, else the usual ones.
    pub(super) fn read(typed: &ArgMatches, command: &Command) -> Result<Self> {
        let variables = sources::variables(command)?;
        let named = typed.try_get_one::<PathBuf>("config").ok().flatten().cloned();
        let named = named.or_else(|| std::env::var_os("LEAKWATCH_CONFIG").map(PathBuf::from));
        let mut config = Self { variables, ..Self::default() };
        for path in named.map_or_else(sources::usual_files, |path| Ok(vec![path]))? {
            let ConfigFile { settings, watches } = file::read(&path, command)?;
            config.settings = stronger(&config.settings, &settings);
            config.watches.extend(watches);
        }
        Ok(config)
    }

    /// The settings that count in a `[[watch]]`.
    pub(super) fn merged(&self, watch: &[ConfigSetting]) -> Vec<ConfigSetting> {
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

#[cfg(test)]
pub(super) mod tests {
    use super::super::setting::Origin;
    use super::*;

    pub(in super::super) fn setting(key: &str, values: &[&str]) -> ConfigSetting {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        ConfigSetting { key: key.to_owned(), values, origin: Origin::Variable("X".to_owned()) }
    }

    #[test]
    fn a_stronger_setting_replaces_the_weaker_one_and_its_rival() {
        let weak = [
            setting("pattern", &["a", "b"]),
            setting("state-dir", &["/s"]),
            setting("lead", &["5"]),
        ];
        let strong = [setting("pattern", &["c"]), setting("no-state", &["true"])];
        let merged = stronger(&weak, &strong);
        let keys: Vec<&str> = merged.iter().map(|setting| setting.key.as_str()).collect();
        assert_eq!(keys, ["lead", "pattern", "no-state"]);
        // A switch that is off is no rival.
        assert_eq!(stronger(&weak, &[setting("no-state", &[])]).len(), 4);
    }
}
