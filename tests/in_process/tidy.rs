//! The house is tidy: imports go down, and only the right rooms touch the world.

use std::path::{Path, PathBuf};

/// Rooms by storey, lowest first; a directory counts with all that is in it.
const STOREYS: [(u8, &[&str]); 5] = [
    (1, &["sample", "ceiling", "assessment", "facts", "units"]),
    (
        2,
        &[
            "engine",
            "advice",
            "diagnosis",
            "alarm",
            "detector",
            "policy",
            "rules",
            "victims",
            "brink",
            "pace",
            "lateness",
            "server",
        ],
    ),
    (
        3,
        &[
            "probe",
            "machine",
            "recording",
            "history",
            "profiles",
            "evidence",
            "action",
            "wait",
            "outlet",
            "brace",
            "hook",
            "systemd",
            "textfile",
            // Of unit tests only.
            "fuzz",
        ],
    ),
    (4, &["command", "report"]),
    (5, &["cli", "config", "settings", "main", "lib"]),
];

fn sources() -> Vec<(String, PathBuf, String)> {
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
                let text = std::fs::read_to_string(&path).unwrap();
                found.push((room, inside.to_owned(), text));
            }
        }
    }
    found
}

fn storey(room: &str) -> u8 {
    STOREYS
        .iter()
        .find(|(_, rooms)| rooms.contains(&room))
        .unwrap_or_else(|| {
            panic!("room `{room}` has no storey: give it one in tests/in_process/tidy.rs and src/lib.rs")
        })
        .0
}

/// The rooms a file imports: every `crate::room` outside its tests.
fn imports(text: &str) -> Vec<String> {
    let code = text.split("#[cfg(test)]").next().unwrap();
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    let code = lines.collect::<Vec<_>>().join("\n");
    let name = |rest: &str| {
        rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>()
    };
    let mut found: Vec<String> = code.split("crate::").skip(1).map(name).collect();
    if let Some((_, list)) = code.split_once("crate::{") {
        let list = list.split('}').next().unwrap_or_default();
        found.extend(list.split(',').map(|item| name(item.trim())));
    }
    found.retain(|room| !room.is_empty());
    found
}

#[test]
fn imports_go_down_only_and_reckoning_never_meets_the_doors() {
    for (room, path, text) in sources() {
        let own = storey(&room);
        for import in imports(&text) {
            // Settings and cli are the words of the top: commands take their options from there.
            if ["cli", "settings"].contains(&import.as_str()) && own >= 4 {
                continue;
            }
            let other = storey(&import);
            assert!(
                other <= own,
                "{} (storey {own}) imports {import} (storey {other})",
                path.display()
            );
            assert!(
                !(own == 3 && other == 2),
                "{}: a door imports the reckoning room {import}",
                path.display()
            );
        }
    }
}

#[test]
fn reckoning_reads_no_clock_and_no_file() {
    for (room, path, text) in sources() {
        if storey(&room) <= 2 {
            let code = text.split("#[cfg(test)]").next().unwrap();
            for word in [
                "std::fs",
                "std::time",
                "std::process",
                "std::net",
                "nix::",
                "rustix::",
                "procfs::",
            ] {
                assert!(!code.contains(word), "{} uses {word}", path.display());
            }
        }
    }
}

#[test]
fn only_action_sends_signals_and_only_wait_sleeps() {
    for (room, path, text) in sources() {
        for (word, owner) in [
            ("pidfd_send_signal", "action"),
            ("kill_process", "action"),
            ("thread::sleep", "wait"),
            ("SystemTime::now", "wait"),
        ] {
            let allowed = room == owner || !text.contains(word);
            assert!(allowed, "{} uses {word}, which is {owner}'s", path.display());
        }
    }
}

#[test]
fn the_version_is_in_the_changelog() {
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("CHANGELOG.md"))
        .unwrap();
    assert!(text.contains(&format!("## {}", env!("CARGO_PKG_VERSION"))));
}

/// A file that no `mod` names is compiled by nobody, and its tests pass by not being there.
#[test]
fn no_file_of_tests_is_forgotten() {
    for program in ["end_to_end", "in_process"] {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(program);
        let main = std::fs::read_to_string(dir.join("main.rs")).unwrap();
        for entry in std::fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap();
            let named = name == "main" || main.contains(&format!("\nmod {name};"));
            assert!(named, "tests/{program}/main.rs does not name {name}");
        }
    }
}
