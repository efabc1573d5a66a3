//! From parsed options to the values that the commands work with.

use crate::cli::options::{JudgeOptions, SelectOptions, StateOptions, WatchOptions};
use crate::core::decide::rules::Rules;
use crate::core::engine;
use crate::core::model::signal::Signal;
use crate::core::piles::useless::ReapRules;
use crate::core::servers::{self, Server, TABLE, UserServer, WorkerPolicy};
use crate::system::machine;
use crate::system::proc::{self, Selection, SelectionArgs};
use crate::system::sampler::Sampler;
use anyhow::{Result, anyhow, bail, ensure};
use regex_lite::Regex;
use std::ffi::OsString;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Seconds between TERM and KILL for what is left behind.
const REAP_GRACE_S: f64 = 10.0;

/// The selected processes.
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
        units: select.units.clone(),
        containers: select.containers.clone(),
        most: Some(select.max_processes),
    };
    Selection::new(&words, Path::new("/etc/passwd"))
}

/// What samples the selected processes; each tree has the budget, if there is one.
///
/// # Errors
/// A bad selection, a procfs that cannot be read.
pub fn sampler(select: &SelectOptions, budget: Option<u64>) -> Result<Sampler> {
    Sampler::new(&select.procfs, select.sysfs.as_deref(), selection(select)?, budget)
}

/// The name of the watch in metrics: from patterns, units, containers and users, not from pids, which
/// change.
pub fn name(select: &SelectOptions) -> String {
    let lists = [&select.patterns, &select.units, &select.containers, &select.users];
    match lists.into_iter().find(|list| !list.is_empty()) {
        Some(list) => list.join("|"),
        None if select.pids.is_empty() => "all".to_owned(),
        None => "pid".to_owned(),
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
    add("unit", quoted(&select.units));
    add("container", quoted(&select.containers));
    parts.join(", ")
}

/// How the engine judges; without `act` it gives no orders.
///
/// # Errors
/// A bad `--protect` or `--allow`; signals that exclude each other.
pub fn engine(judge: &JudgeOptions, act: bool) -> Result<engine::EngineSettings> {
    let compile = |re: &String| {
        Regex::new(re).map_err(|e| anyhow!("--protect '{re}' is not a regular expression: {e}\n  hint: put a backslash before a character that stands for itself"))
    };
    for key in &judge.allow {
        let needs_none = |server: &&Server| !matches!(server.workers, WorkerPolicy::Allow(..));
        // What is no key of the table is the name of a program.
        if servers::by_key(key).is_some_and(|server| needs_none(&server)) {
            let may = TABLE.iter().filter(|server| !needs_none(server));
            bail!(
                "--allow does not apply to '{key}'\n  hint: it applies to {} and to programs that `leakwatch servers` does not list; that list shows how the workers of every server are ended",
                may.map(|server| server.key).collect::<Vec<_>>().join(", ")
            );
        }
    }
    ensure!(
        !(judge.no_kill && judge.signal == Some(Signal::Kill)),
        "--signal KILL and --no-kill exclude each other\n  hint: leave one of them out"
    );
    Ok(engine::EngineSettings {
        max_extrapolation: judge.max_extrapolation,
        rules: Rules {
            stays: false,
            act,
            dry_run: judge.dry_run,
            lead_s: judge.lead,
            grace_s: judge.grace,
            signal: judge.signal,
            no_kill: judge.no_kill,
            reload: judge.reload,
            allow: judge.allow.clone(),
            allow_standalone: judge.allow_standalone,
            restart_unit: judge.restart_unit,
            protect: judge.protect.iter().map(compile).collect::<Result<_>>()?,
            servers: judge.server.iter().map(UserServer::keep).collect(),
        },
    })
}

/// What is left behind and may be ended; none without `--reap`.
///
/// # Errors
/// No selection that means programs, another machine's procfs, a bad `--protect`.
pub fn reaping(options: &WatchOptions) -> Result<Option<ReapRules>> {
    let WatchOptions { select, judge, reap, reap_after, .. } = options;
    if !reap {
        return Ok(None);
    }
    ensure!(
        !select.patterns.is_empty(),
        "--reap needs to know which processes it may end\n  hint: name their program with --pattern"
    );
    ensure!(
        proc::is_own(&select.procfs),
        "--reap cannot end processes of another procfs\n  hint: leave --procfs out"
    );
    let rules = engine(judge, true)?.rules;
    Ok(Some(ReapRules {
        idle_s: *reap_after,
        age_s: 2.0 * reap_after,
        grace_s: judge.grace.unwrap_or(REAP_GRACE_S),
        no_kill: judge.no_kill,
        dry_run: judge.dry_run,
        protect: rules.protect,
    }))
}

/// The directory of state files; none with `--no-state`.
///
/// # Errors
/// Neither the options, nor the user, nor the environment determine one.
pub fn state(memory: &StateOptions) -> Result<Option<PathBuf>> {
    if memory.no_state {
        return Ok(None);
    }
    let named = memory.state_dir.clone();
    let found = named.or_else(|| usual_state(machine::is_root(), |name| std::env::var_os(name)));
    found.map(Some).ok_or_else(|| {
        anyhow!(
            "no directory for state files, since HOME is not set\n  hint: name one with --state-dir, or use --no-state"
        )
    })
}

/// The same for a reader: none also where no directory is determined.
pub fn state_to_read(memory: &StateOptions) -> Option<PathBuf> {
    state(memory).ok().flatten()
}

/// As in systemd.exec(5), hier(7) and the XDG Base Directory Specification, in that order.
fn usual_state(root: bool, var: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let of = |name: &str| {
        // systemd separates several by colons. The specification ignores relative paths.
        let value = var(name)?;
        let first = std::env::split_paths(&value).next()?;
        first.is_absolute().then_some(first)
    };
    of("STATE_DIRECTORY")
        .or_else(|| root.then(|| PathBuf::from("/var/lib/leakwatch")))
        .or_else(|| Some(of("XDG_STATE_HOME")?.join("leakwatch")))
        .or_else(|| Some(of("HOME")?.join(".local/state/leakwatch")))
}

/// The name of a selection's state files: its pattern where that is one plain word and the whole
/// selection, else with a number that tells it from similar selections.
pub fn file_name(select: &SelectOptions) -> String {
    let SelectOptions { patterns, full, exact, users, pids, units, containers, procfs, .. } =
        select;
    let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
    let usual_procfs = procfs == Path::new("/proc");
    let by_origin = units.iter().chain(containers).next();
    let only = !full
        && !exact
        && users.is_empty()
        && pids.is_empty()
        && by_origin.is_none()
        && usual_procfs;
    let first = patterns.first().or(by_origin).map_or("all", String::as_str);
    let word: String = first.chars().filter(|c| plain(*c)).take(40).collect();
    let word = word.trim_start_matches('.');
    let everything = patterns.is_empty();
    if only && patterns.len() < 2 && word == first && everything == (word == "all") {
        return word.to_owned();
    }
    // FNV-1a, which never changes, unlike the hash of the standard library.
    let hash = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
    let number = encoded(select).into_iter().fold(0xcbf2_9ce4_8422_2325, hash) >> 32;
    format!("{}-{number:08x}", if word.is_empty() { "any" } else { word })
}

/// The selection in bytes, in which no two selections are alike: the number of fields of each list,
/// and of each field its length and its bytes. It must never change, or every history of an update's
/// users is lost.
fn encoded(select: &SelectOptions) -> Vec<u8> {
    let SelectOptions { patterns, full, exact, users, pids, units, containers, procfs, .. } =
        select;
    let pids: Vec<String> = pids.iter().map(u32::to_string).collect();
    let mut bytes = Vec::new();
    let add = |bytes: &mut Vec<u8>, list: &[String]| {
        bytes.extend(format!("{}\0", list.len()).bytes());
        for field in list {
            bytes.extend(format!("{}\0{field}", field.len()).bytes());
        }
    };
    [patterns, users, &pids].into_iter().for_each(|list| add(&mut bytes, list));
    bytes.extend([u8::from(*full), u8::from(*exact)]);
    bytes.extend(procfs.as_os_str().as_bytes());
    // Only where there are any: selections without them have the names that they always had.
    if !units.is_empty() || !containers.is_empty() {
        bytes.push(0);
        [units, containers].into_iter().for_each(|list| add(&mut bytes, list));
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn select(patterns: &[&str], full: bool) -> SelectOptions {
        SelectOptions {
            patterns: patterns.iter().map(|p| (*p).to_owned()).collect(),
            full,
            exact: false,
            users: Vec::new(),
            pids: Vec::new(),
            units: Vec::new(),
            containers: Vec::new(),
            procfs: "/proc".into(),
            sysfs: None,
            max_processes: 1,
        }
    }

    #[test]
    fn a_plain_pattern_names_the_files_and_every_selection_has_its_own() {
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
    fn units_and_containers_have_files_and_names_of_their_own() {
        let of = |units: &[&str], containers: &[&str]| {
            let all = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
            SelectOptions { units: all(units), containers: all(containers), ..select(&[], false) }
        };
        let (unit, container) = (of(&["php-fpm"], &[]), of(&[], &["php-fpm"]));
        assert!(!unit.is_empty() && !container.is_empty());
        assert_ne!(file_name(&unit), file_name(&container));
        assert_ne!(file_name(&unit), file_name(&select(&["php-fpm"], false)));
        assert_eq!((name(&unit), name(&of(&[], &["a", "b"]))), ("php-fpm".into(), "a|b".into()));
        assert_eq!(wanted(&of(&["a"], &["b"])), "unit 'a', container 'b'");
    }

    /// A changed name orphans the histories of every user.
    #[test]
    fn the_names_of_files_never_change() {
        let mut by_user = select(&["a"], false);
        by_user.users = vec!["www-data".to_owned()];
        by_user.pids = vec![1, 22];
        assert_eq!(file_name(&select(&["apache2"], true)), "apache2-be953386");
        assert_eq!(file_name(&select(&["^(a|b)$", "c"], false)), "ab-1d949f10");
        assert_eq!(file_name(&by_user), "a-cc4f9bf4");
    }

    #[test]
    fn the_state_directory_is_that_of_systemd_of_root_or_of_the_user() {
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
