//! uWSGI's other syntaxes (YAML, JSON, XML) as the entries of an ini file, and its conditions and
//! placeholders.

use super::RunningServer;
use super::files::exists;
use super::ini_entries::IniEntry;
use crate::diagnose::findings::FileLine;
use std::path::Path;

/// The section of all of them.
const SECTION: &str = "uwsgi";

/// The entries of a file by the ending of its name; none for an ini file.
pub(super) fn entries(file: &str, text: &str) -> Option<Vec<IniEntry>> {
    match file.rsplit('.').next()? {
        "yaml" | "yml" => Some(yaml(file, text)),
        "json" | "js" => Some(json(file, text)),
        "xml" => Some(xml(file, text)),
        _ => None,
    }
}

fn entry(file: &str, line: usize, name: &str, value: &str) -> IniEntry {
    let place = FileLine { file: file.to_owned(), line };
    let value = value.trim().trim_matches(['"', '\'']).to_owned();
    IniEntry {
        section: SECTION.to_owned(),
        name: name.to_owned(),
        value,
        place,
        unknown: false,
        is_foreign: false,
    }
}

/// `uwsgi:` and indented below it `name: value`, as uWSGI's own small parser has it.
fn yaml(file: &str, text: &str) -> Vec<IniEntry> {
    let (mut inside, mut entries) = (false, Vec::new());
    for (number, line) in (1..).zip(text.lines()) {
        let bare = line.split(" #").next().unwrap_or_default().trim_end();
        if bare.trim().is_empty() || bare.trim_start().starts_with('#') {
            continue;
        }
        if !bare.starts_with([' ', '\t', '-']) {
            inside = bare.trim_end_matches(':') == SECTION;
            continue;
        }
        let item = bare.trim_start().trim_start_matches("- ");
        if let Some((name, value)) = item.split_once(':').filter(|_| inside) {
            entries.push(entry(file, number, name.trim(), value));
        }
    }
    entries
}

/// `{ "uwsgi": { "name": value } }`; the line is where the name stands.
fn json(file: &str, text: &str) -> Vec<IniEntry> {
    let Ok(value) = serde_json::from_str::<serde_json::Value>(text) else { return Vec::new() };
    let Some(settings) = value.get(SECTION).and_then(|value| value.as_object()) else {
        return Vec::new();
    };
    let line_of = |name: &str| {
        let quoted = format!("\"{name}\"");
        text.lines().position(|line| line.contains(&quoted)).map_or(1, |index| index + 1)
    };
    let written = |value: &serde_json::Value| match value {
        serde_json::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    settings.iter().map(|(name, value)| entry(file, line_of(name), name, &written(value))).collect()
}

/// `<uwsgi> <name>value</name> </uwsgi>`.
fn xml(file: &str, text: &str) -> Vec<IniEntry> {
    let mut entries = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let mut rest = line;
        while let Some((_, after)) = rest.split_once('<') {
            let Some((name, behind)) = after.split_once('>') else { break };
            rest = behind;
            if let Some((value, _)) = behind.split_once(&format!("</{name}>"))
                && !value.contains('<')
            {
                entries.push(entry(file, number, name.trim(), value));
            }
        }
    }
    entries
}

/// What holds of the entries: those in conditions that do not hold are left out, and variables and
/// placeholders replaced. What the environment decides is unknown where it cannot be read.
pub(super) fn in_force(running: &RunningServer, entries: Vec<IniEntry>) -> Vec<IniEntry> {
    let (mut kept, mut open): (Vec<IniEntry>, Vec<bool>) = (Vec::new(), Vec::new());
    let mut last = String::new();
    for mut entry in entries {
        if let Some(condition) = entry.name.strip_prefix("if-") {
            let (not, what) = match condition.strip_prefix("not-") {
                Some(what) => (true, what),
                None => (false, condition),
            };
            let (holds, value) = condition_holds(running, what, &entry.value, &kept);
            last = value;
            open.push(holds != not);
        } else if entry.name == "endif" || entry.name == "end-if" {
            open.pop();
        } else if open.iter().all(|holds| *holds) {
            replace(running, &mut entry, &kept, &last);
            kept.push(entry);
        }
    }
    kept
}

/// Whether a condition holds, and the value that `%(_)` then is.
fn condition_holds(
    running: &RunningServer,
    what: &str,
    argument: &str,
    before: &[IniEntry],
) -> (bool, String) {
    let (name, wanted) = match argument.split_once('=') {
        Some((name, wanted)) => (name.trim(), Some(wanted.trim())),
        None => (argument.trim(), None),
    };
    let found = match what {
        "env" => running.variable(name).map(str::to_owned),
        "opt" => before.iter().rfind(|entry| entry.name == name).map(|entry| entry.value.clone()),
        "exists" | "file" | "dir" => {
            let path = running.cwd.join(argument);
            exists(running, Path::new(&path)).then(|| argument.to_owned())
        }
        _ => None,
    };
    let holds = found.as_deref().is_some_and(|found| wanted.is_none_or(|wanted| wanted == found));
    (holds, found.unwrap_or_default())
}

/// Replaces `$(VARIABLE)`, `%(option)` and `%(_)`.
fn replace(running: &RunningServer, entry: &mut IniEntry, before: &[IniEntry], last: &str) {
    let mut out = String::new();
    let mut rest = entry.value.as_str();
    while let Some(at) = rest.find("$(").into_iter().chain(rest.find("%(")).min() {
        let (head, tail) = rest.split_at(at);
        let Some((name, behind)) = tail.get(2..).and_then(|tail| tail.split_once(')')) else {
            break;
        };
        out += head;
        let value = match tail.starts_with('$') {
            true => running.variable(name).map(str::to_owned),
            false if name == "_" => Some(last.to_owned()),
            false => before.iter().rfind(|e| e.name == name).map(|e| {
                entry.is_foreign |= e.is_foreign;
                e.value.clone()
            }),
        };
        entry.unknown |= value.is_none();
        out += value.as_deref().unwrap_or_default();
        rest = behind;
    }
    if !entry.unknown {
        entry.value = out + rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_syntax_has_the_same_entries() {
        for (file, text) in [
            (
                "a.yaml",
                "uwsgi:\n  master: true\n  workers: 3 # few\n  max-requests: 1000\nother:\n  workers: 9\n",
            ),
            (
                "a.json",
                "{ \"uwsgi\": { \"master\": true,\n \"workers\": 3,\n \"max-requests\": \"1000\" } }",
            ),
            (
                "a.xml",
                "<uwsgi>\n<master/>\n<workers>3</workers><max-requests>1000</max-requests>\n</uwsgi>",
            ),
        ] {
            let entries = entries(file, text).unwrap();
            let value = |name: &str| {
                entries.iter().rfind(|entry| entry.name == name).map(|entry| entry.value.as_str())
            };
            assert_eq!(
                (value("workers"), value("max-requests")),
                (Some("3"), Some("1000")),
                "{file}"
            );
        }
        assert_eq!(entries("a.ini", ""), None);
    }
}
