//! Which settings of a server are in force, and where they stand.

use super::cases;
use leakwatch::core::servers::by_key;
use leakwatch::diagnose::evidence::config::{RunningServer, read};
use leakwatch::diagnose::findings::{ConfiguredSetting, Setup};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

/// The setup of a case, whose files are put below `root`.
fn setup(root: &Path, lines: &[&str]) -> Option<Setup> {
    let mut running =
        RunningServer { root: root.to_owned(), cwd: "/".into(), ..RunningServer::default() };
    let (mut key, mut pool, mut file) = ("", "", None);
    for line in lines {
        if let Some(name) = line.strip_prefix("@ ") {
            let (name, target) = match name.split_once(" -> ") {
                Some((name, target)) => (name, Some(target)),
                None => (name, None),
            };
            let path = root.join(name.trim_start_matches('/'));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            match target {
                Some(target) => symlink(target, &path).unwrap(),
                None => fs::write(&path, "").unwrap(),
            }
            file = Some(path);
        } else if let Some(path) = &file {
            fs::write(path, fs::read_to_string(path).unwrap() + line + "\n").unwrap();
        } else {
            let (what, text) = line.split_once(' ').unwrap();
            match what {
                "server" => key = text,
                "exe" => running.exe = text.to_owned(),
                "args" => running.args = text.split(" | ").map(str::to_owned).collect(),
                "cwd" => running.cwd = text.into(),
                "env" => {
                    let (name, value) = text.split_once('=').unwrap();
                    running.env.push((name.to_owned(), value.to_owned()));
                }
                "pool" => pool = text,
                _ => panic!("{line}"),
            }
        }
    }
    read(by_key(key).unwrap(), &running, pool)
}

fn told(setting: &ConfiguredSetting) -> String {
    let unsure = if setting.computed.is_some() { "?" } else { "" };
    let place = match &setting.place {
        Some(place) if place.line > 0 => format!("{}:{}", place.file, place.line),
        Some(place) => place.file.clone(),
        None => "default".to_owned(),
    };
    format!("{} {unsure}{} {place}", setting.name(), setting.value)
}

/// Whether the setup is what a line of the case wants.
fn is_as_wanted(setup: &Setup, wanted: &str) -> bool {
    let any = |texts: &[String], part: &str| texts.iter().any(|text| text.contains(part));
    if let Some(part) = wanted.strip_prefix("warns ") {
        any(&setup.warnings, part)
    } else if let Some(part) = wanted.strip_prefix("notes ") {
        any(&setup.notes, part)
    } else {
        [&setup.recycle, &setup.cap].into_iter().any(|setting| told(setting) == wanted)
    }
}

#[test]
fn settings_are_read_as_their_server_reads_them() {
    let text = include_str!("../../fixtures/machines/settings.txt");
    let mut wrong = Vec::new();
    let cases = cases(text);
    for case in &cases {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().canonicalize().unwrap();
        let Some(setup) = setup(&root, &case.lines) else {
            wrong.push(format!("{}: no file was found", case.name));
            continue;
        };
        for wanted in case.wanted.iter().filter(|wanted| !is_as_wanted(&setup, wanted)) {
            let got = [told(&setup.recycle), told(&setup.cap)];
            wrong.push(format!(
                "{}: wanted {wanted}, got {got:?} {:?} {:?}",
                case.name, setup.warnings, setup.notes
            ));
        }
    }
    assert!(cases.len() > 15 && wrong.is_empty(), "{wrong:#?}");
}
