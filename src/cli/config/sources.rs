//! Where configuration comes from: the usual files, and the environment.

use super::keys;
use super::keys::KeyKind;
use super::setting::{ConfigSetting, Origin};
use crate::system::machine;
use anyhow::{Context, Result, anyhow};
use clap::Command;
use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

const SYSTEM_FILE: &str = "/etc/leakwatch.toml";
const SYSTEM_DIR: &str = "/etc/leakwatch.d";

/// The files that are read unless one is named, weak ones first.
pub(super) fn usual_files() -> Result<Vec<PathBuf>> {
    if machine::is_root() {
        let parts = drop_ins(Path::new(SYSTEM_DIR))
            .with_context(|| format!("cannot read '{SYSTEM_DIR}'"))?;
        let system = Some(PathBuf::from(SYSTEM_FILE)).filter(|path| exists(path));
        return Ok(system.into_iter().chain(parts).collect());
    }
    let user = user_file(|name| std::env::var_os(name));
    Ok(user.filter(|path| exists(path)).into_iter().collect())
}

/// Where users other than root have their file.
fn user_file(var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let of = |name: &str| var(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let dir = of("XDG_CONFIG_HOME").or_else(|| Some(of("HOME")?.join(".config")))?;
    Some(dir.join("leakwatch/leakwatch.toml"))
}

/// The `*.toml` of a directory by name; none where there is no such directory.
fn drop_ins(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let mut files: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    files.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    files.sort();
    Ok(files)
}

/// Whether there is such a file. A missing file is usual, an unreadable one is an error later.
/// Where even that cannot be determined the file is not this user's: a program that gave up root
/// still has root's HOME.
fn exists(path: &Path) -> bool {
    let none = [ErrorKind::NotFound, ErrorKind::PermissionDenied];
    !path.symlink_metadata().is_err_and(|error| none.contains(&error.kind()))
}

/// The settings of the environment: `LEAKWATCH_DRY_RUN=1`.
pub(super) fn variables(command: &Command) -> Result<Vec<ConfigSetting>> {
    // A command run by --on-event has an event there, in variables such as LEAKWATCH_PID.
    if std::env::var_os("LEAKWATCH_EVENT").is_some() {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for (key, arg) in keys::all(command) {
        let name = format!("LEAKWATCH_{}", key.to_ascii_uppercase().replace('-', "_"));
        let Some(value) = std::env::var_os(&name) else { continue };
        let origin = Origin::Variable(name);
        let value = value
            .into_string()
            .map_err(|_| anyhow!("{origin} is not UTF-8\n  hint: set it anew, or unset it"))?;
        let values = match (keys::kind_of(arg), value.as_str()) {
            (KeyKind::Switch, "1" | "true" | "yes" | "on") => vec!["true".to_owned()],
            (KeyKind::Switch, "" | "0" | "false" | "no" | "off") => Vec::new(),
            (KeyKind::Switch, _) => {
                return Err(anyhow!("{origin} cannot be {value:?}\n  hint: write 1 or 0"));
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

    #[test]
    fn a_user_has_one_file_below_the_home_directory_or_xdg_config_home() {
        let home = |name: &str| (name == "HOME").then(|| OsString::from("/h"));
        assert_eq!(user_file(home).unwrap(), Path::new("/h/.config/leakwatch/leakwatch.toml"));
        let xdg = |name: &str| (name == "XDG_CONFIG_HOME").then(|| OsString::from("/x"));
        assert_eq!(user_file(xdg).unwrap(), Path::new("/x/leakwatch/leakwatch.toml"));
        let relative = |name: &str| (name == "HOME").then(|| OsString::from("h"));
        assert_eq!(user_file(relative), None);
        assert!(!exists(Path::new("/nonexistent/leakwatch.toml")) && exists(Path::new("/")));
    }

    #[test]
    fn drop_in_files_are_read_by_name_and_a_missing_directory_has_none() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["20.toml", "10.toml", "10.toml.bak"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let found = drop_ins(dir.path()).unwrap();
        assert_eq!(found, [dir.path().join("10.toml"), dir.path().join("20.toml")]);
        assert!(drop_ins(&dir.path().join("none")).unwrap().is_empty());
    }
}
