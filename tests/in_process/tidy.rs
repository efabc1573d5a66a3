//! The layout holds: imports go down, and only the right rooms touch the world.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What each room may import besides itself, lowest room first.
const ROOMS: [(&str, &[&str]); 9] = [
    ("core", &[]),
    ("system", &["core"]),
    ("store", &["core", "system"]),
    ("report", &["core"]),
    ("diagnose", &["core", "system", "store", "report"]),
    ("cli", &["core", "system", "store", "report"]),
    ("command", &["core", "system", "store", "report", "diagnose", "cli"]),
    ("lib", &[]),
    ("main", &["core", "system", "store", "report", "diagnose", "cli", "command"]),
];

/// A source file: its room, its path below `src`, its text without its unit tests.
pub(super) struct Source {
    room: String,
    pub(super) path: PathBuf,
    pub(super) code: String,
}

pub(super) fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    let mut todo = vec![root.clone()];
    while let Some(dir) = todo.pop() {
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let inside = path.strip_prefix(&root).unwrap();
                let room = inside.components().next().unwrap().as_os_str().to_str().unwrap();
                let room = room.trim_end_matches(".rs").to_owned();
                // Files of unit tests only may use what they like.
                if ["tests.rs", "fuzz.rs"].contains(&inside.file_name().unwrap().to_str().unwrap())
                {
                    continue;
                }
                let text = std::fs::read_to_string(&path).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
                let code = lines.collect::<Vec<_>>().join("\n");
                found.push(Source { room, path: inside.to_owned(), code });
            }
        }
    }
    found
}

fn allowed(room: &str) -> &'static [&'static str] {
    let known = ROOMS.iter().find(|(name, _)| *name == room);
    known.unwrap_or_else(|| panic!("give the room `{room}` a row in tests/in_process/tidy.rs")).1
}

/// The rooms that a file imports: every `crate::room`, and `leakwatch::room` of the binary.
fn imports(code: &str) -> Vec<String> {
    let name = |rest: &str| {
        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    let mut found = Vec::new();
    for root in ["crate::", "leakwatch::"] {
        found.extend(code.split(root).skip(1).map(name));
        for list in code.split(&format!("{root}{{")).skip(1) {
            let list = list.split(';').next().unwrap_or_default();
            found.extend(list.split(',').map(|item| name(item.trim())));
        }
    }
    found.retain(|room| ROOMS.iter().any(|(known, _)| known == room));
    found
}

#[test]
fn imports_go_down_only() {
    let mut wrong = Vec::new();
    for Source { room, path, code } in sources() {
        for import in imports(&code) {
            if import != room && !allowed(&room).contains(&import.as_str()) {
                wrong.push(format!("{} imports {import}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The core is pure; reports and the live view only write what they are given.
#[test]
fn core_and_report_read_no_clock_no_file_and_no_kernel() {
    let doors = [
        "std::fs",
        "std::time",
        "std::process",
        "std::net",
        "std::env",
        "nix::",
        "rustix::",
        "procfs::",
        "sysinfo::",
        "crate::system",
        "crate::store",
    ];
    let mut wrong = Vec::new();
    for Source { room, path, code } in sources() {
        let is_pure = ["core", "report"].contains(&room.as_str());
        if is_pure || path.starts_with("command/top/live_view") {
            let used = doors.iter().filter(|door| code.contains(**door));
            wrong.extend(used.map(|door| format!("{} uses {door}", path.display())));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn only_signal_sends_signals_and_only_wait_sleeps() {
    for Source { path, code, .. } in sources() {
        // The number of a system call that is forbidden calls nothing.
        let code = code.replace("libc::SYS_", "");
        let code = code.replace("    pidfd_send_signal,\n", "");
        for (word, owner) in [
            ("pidfd_send_signal", "system/signal"),
            ("kill_process", "system/signal"),
            ("thread::sleep", "system/wait.rs"),
            ("SystemTime::now", "system/wait.rs"),
        ] {
            let allowed = path.starts_with(owner) || !code.contains(word);
            assert!(allowed, "{} uses {word}, which only {owner} may", path.display());
        }
    }
}

/// A name that stands for two things has to be looked up each time.
#[test]
fn a_type_name_means_one_thing() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for Source { path, code, .. } in sources() {
        for line in code.lines() {
            let line = line.split("#[cfg(test)]").next().unwrap();
            let words: Vec<&str> = line.split_whitespace().collect();
            let is_type = |word: &&str| ["struct", "enum", "trait"].contains(word);
            let is_visibility = |word: &&&str| word.starts_with("pub") || word.ends_with(')');
            let words: Vec<&str> = words.iter().skip_while(is_visibility).copied().collect();
            if let [kind, name, ..] = words[..]
                && is_type(&kind)
            {
                let name: String = name.chars().take_while(|c| c.is_alphanumeric()).collect();
                places.entry(name).or_default().push(path.display().to_string());
            }
        }
    }
    assert!(places.len() > 400, "types are not found any more: {}", places.len());
    let of_two: Vec<_> = places.iter().filter(|(_, places)| places.len() > 1).collect();
    assert!(of_two.is_empty(), "{of_two:#?}");
}

#[test]
fn the_version_is_in_the_changelog() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md"))
        .unwrap();
    assert!(text.contains(&format!("## {}", env!("CARGO_PKG_VERSION"))));
}

/// A file that no `mod` names is never compiled, so its tests never run.
#[test]
fn no_file_of_tests_is_forgotten() {
    for program in ["closed_loop", "end_to_end", "in_process"] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(program);
        let main = std::fs::read_to_string(dir.join("main.rs")).unwrap();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension != "rs") {
                continue;
            }
            let name = path.file_stem().unwrap().to_str().unwrap();
            let named = name == "main" || main.contains(&format!("\nmod {name};"));
            assert!(named, "tests/{program}/main.rs does not name {name}");
        }
    }
}
