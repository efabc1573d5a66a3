//! The documents: every example in README, man pages and --help is run as it is printed.
//!
//! They see a machine made of files: its processes carry the names and pids of the examples, and
//! since it is not this machine's /proc, nothing is ever signalled. What watches on is interrupted.
//! What is not run stands in [`NOT_RUN`], with the reason.

use std::os::unix::fs::symlink;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::common;
use crate::common::fake_proc::{Fake, FakeProc};
use crate::common::needs::{self, Need};
use crate::common::process::{self, Id};
use clap::CommandFactory;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Commands by their first word, and why they are not run.
const NOT_RUN: [(&str, &str); 4] = [
    ("tests/all", "runs this test among all others"),
    ("cargo", "builds anew; the examples and tests that it names must exist"),
    ("systemctl", "needs systemd as process 1; tests/end_to_end/systemd.rs runs the unit's limits"),
    (
        "journalctl",
        "needs journald; tests/end_to_end/systemd.rs reads the entries as it would get them",
    ),
];

/// What may be run.
const RUN: [&str; 4] = ["leakwatch", "timeout", "flock", "install"];

fn root() -> PathBuf {
    env!("CARGO_MANIFEST_DIR").into()
}

fn text(name: &str) -> String {
    std::fs::read_to_string(root().join(name)).unwrap()
}

fn man_pages() -> Vec<String> {
    let entries = std::fs::read_dir(root().join("man")).unwrap();
    entries.map(|entry| format!("man/{}", entry.unwrap().file_name().display())).collect()
}

/// Commands in Markdown: lines of `sh` blocks, those after a prompt elsewhere, and crontab lines.
fn of_markdown(text: &str) -> Vec<String> {
    let mut language: Option<&str> = None;
    let mut found = Vec::new();
    for line in text.lines() {
        match (language, line.strip_prefix("```")) {
            (None, Some(name)) => language = Some(name),
            (Some(_), Some(_)) => language = None,
            (Some("sh"), None) => found.push(line.to_owned()),
            // Five fields of time and a user.
            (Some("cron"), None) => {
                found.extend(line.splitn(7, ' ').nth(6).map(str::to_owned));
            }
            (Some(_), None) => found.extend(line.strip_prefix("$ ").map(str::to_owned)),
            (None, None) => {}
        }
    }
    found.retain(|line| !line.is_empty());
    found
}

/// Commands in the EXAMPLES of a man page: what is indented there.
fn of_man_page(text: &str) -> Vec<String> {
    let examples = text.split(".SH ").find(|section| section.starts_with("EXAMPLES\n"));
    let mut inside = false;
    let mut found = Vec::new();
    for line in examples.unwrap_or_default().lines() {
        match line {
            ".RS" => inside = true,
            ".RE" => inside = false,
            line if inside && !line.starts_with('.') => {
                let line = line.replace("\\-", "-").replace("\\(aq", "'");
                // A crontab's five fields of time and a user go before.
                let command = match line.contains(" * * root ") {
                    true => line.splitn(7, ' ').nth(6).map(str::to_owned),
                    false => Some(line),
                };
                found.extend(command);
            }
            _ => {}
        }
    }
    found
}

/// A recording in the EXAMPLES of a man page: its lines.
fn recording_of(text: &str) -> String {
    let examples = text.split(".SH ").find(|section| section.starts_with("EXAMPLES\n"));
    let lines = examples.unwrap_or_default().lines().filter(|line| line.starts_with('{'));
    lines.map(|line| line.to_owned() + "\n").collect()
}

/// Commands in the help: the first column.
fn of_help() -> Vec<String> {
    let help = leakwatch::cli::options::Cli::command().get_after_help().unwrap().to_string();
    let lines = help.lines().filter_map(|line| line.strip_prefix("  leakwatch"));
    lines.map(|rest| format!("leakwatch{}", rest.split("   ").next().unwrap())).collect()
}

/// A place in which the examples find what they speak of.
struct Stage {
    dir: tempfile::TempDir,
    proc: FakeProc,
}

impl Stage {
    fn set() -> Self {
        let proc = FakeProc::with_memory_kib(1 << 20).with_cgroups();
        for (pid, parent, name) in [
            (1, 0, "init"),
            (812, 1, "apache2"),
            (2291, 812, "apache2"),
            (2610, 812, "apache2"),
            (6399, 1, "app"),
        ] {
            proc.show(&Fake::new(pid, name).child_of(parent));
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["bin", "state", "run", "log", "metrics", "dest", "target/release"] {
            std::fs::create_dir_all(at(name)).unwrap();
        }
        for name in ["man", "examples"] {
            symlink(root().join(name), at(name)).unwrap();
        }
        let built = env!("CARGO_BIN_EXE_leakwatch");
        symlink(built, at("target/release/leakwatch")).unwrap();
        // Every command that reads processes reads those of the stage. Commands that read none
        // (`replay`, say) do not take the option.
        let script = format!(
            "#!/bin/sh\n\
             case \" $1 $* \" in *' --procfs '*) exec {built} \"$@\" ;; esac\n\
             case \"$1\" in -* | '') ;; *)\n\
             {built} \"$1\" --help | grep -q -e --procfs || exec {built} \"$@\" ;; esac\n\
             exec {built} \"$@\" --procfs {proc} --sysfs {sys}\n",
            proc = proc.path().display(),
            sys = proc.sysfs().display()
        );
        std::fs::write(at("script"), script).unwrap();
        process::install(&at("script"), &at("bin/leakwatch"));
        // A pager would wait for a key, and a bare machine has none.
        std::fs::write(at("script"), "#!/bin/sh\nexec cat\n").unwrap();
        process::install(&at("script"), &at("bin/less"));
        Self { dir, proc }
    }

    /// The command, on the stage's files instead of the machine's.
    fn translate(&self, line: &str) -> String {
        let at = |name: &str| self.dir.path().join(name).display().to_string();
        // It may read no process but itself for certain.
        line.replace("leakwatch census 2291 --for 1m", "sh -c 'exec leakwatch census $$ --for 1s'")
            .replace("/host/proc", &self.proc.path().display().to_string())
            .replace("/host/sys", &self.proc.sysfs().display().to_string())
            .replace("/var/lib/prometheus/node-exporter", &at("metrics"))
            .replace("/var/log", &at("log"))
            .replace("/run/", &(at("run") + "/"))
    }

    /// Runs it as a shell would; interrupts it when it does not end by itself.
    fn run(&self, line: &str) -> Result<(), String> {
        let path = std::env::var("PATH").unwrap();
        let path = format!("{}:{path}", self.dir.path().join("bin").display());
        let said = std::fs::File::create(self.dir.path().join("said")).unwrap();
        let mut child = Command::new("sh")
            .args(["-c", &self.translate(line)])
            .current_dir(self.dir.path())
            .env("PATH", path)
            .env("STATE_DIRECTORY", self.dir.path().join("state"))
            .env("DESTDIR", self.dir.path().join("dest"))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(said)
            .spawn()
            .unwrap();
        let read = || std::fs::read_to_string(self.dir.path().join("said")).unwrap();
        // A quiet command gets a second; one that prints its greeting is interrupted at once.
        let mut status = None;
        for _ in 0..40 {
            status = process::wait(&mut child, Duration::from_millis(25));
            if status.is_some() || read().contains("nothing is signalled") {
                break;
            }
        }
        let status = status.or_else(|| {
            if let Some(id) = leakwatch_below(child.id()) {
                kill(Pid::from_raw(id.pid.cast_signed()), Signal::SIGINT).ok();
            }
            process::wait(&mut child, common::cli::PROMPTLY)
        });
        let said = read();
        match status.and_then(|status| status.code()) {
            Some(0..=2) => Ok(()),
            // Its options were read; it wants a terminal.
            Some(3) if said.contains("top needs a terminal") => Ok(()),
            code => {
                process::kill_group(&child);
                Err(format!("`{line}` ended with {code:?}: {said}"))
            }
        }
    }
}

/// The leakwatch that a shell runs, perhaps by way of others. It runs until it is interrupted, so
/// its pid cannot be reused.
fn leakwatch_below(pid: u32) -> Option<Id> {
    let name = |id: Id| std::fs::read_to_string(format!("/proc/{}/comm", id.pid));
    if let Some(id) = Id::of(pid).filter(|id| name(*id).is_ok_and(|name| name == "leakwatch\n")) {
        return Some(id);
    }
    process::children(pid).into_iter().find_map(|child| leakwatch_below(child.pid))
}

/// Whether what a cargo command names is there.
fn exists(line: &str) -> bool {
    let mut words = line.split_whitespace().peekable();
    let mut fine = true;
    while let Some(word) = words.next() {
        let place = match word {
            "--example" => "examples",
            "--test" => "tests",
            "--bench" => "benches",
            _ => continue,
        };
        let name = words.next().unwrap_or_default();
        let there = |file: String| root().join(place).join(file).exists();
        fine &= there(format!("{name}.rs")) || there(format!("{name}/main.rs"));
        if place == "tests"
            && let Some(module) = words.next_if(|word| !word.starts_with(['-', '#', '>']))
        {
            fine &= there(format!("{name}/{module}.rs"));
        }
    }
    fine
}

#[test]
fn every_printed_example_works() {
    let mut documents = vec![("README.md".to_owned(), of_markdown(&text("README.md")))];
    documents.push(("--help".to_owned(), of_help()));
    for page in man_pages() {
        let commands = of_man_page(&text(&page));
        documents.push((page, commands));
    }
    let mut wrong = Vec::new();
    let mut ran = 0;
    for (document, lines) in &documents {
        let stage = Stage::set();
        for line in lines {
            let first = line.split_whitespace().next().unwrap();
            if NOT_RUN.iter().any(|(word, _)| *word == first) {
                if !exists(line) {
                    wrong.push(format!("{document}: what `{line}` names is not there"));
                }
            } else if !RUN.contains(&first) {
                wrong.push(format!("{document}: `{line}` is neither run nor is said why not"));
            } else {
                ran += 1;
                wrong.extend(stage.run(line).err().map(|error| format!("{document}: {error}")));
            }
        }
        if document == "README.md" {
            let installed = stage.dir.path().join("dest/usr/bin/leakwatch");
            let version = Command::new(installed).arg("--version").status();
            assert!(version.unwrap().success(), "what was installed by hand runs");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(ran > 25, "only {ran} examples were found: {documents:?}");
}

#[test]
fn the_recording_in_the_manual_can_be_replayed() {
    let stage = Stage::set();
    let recording = recording_of(&text("man/leakwatch-recording.5"));
    assert!(recording.lines().count() > 1, "{recording}");
    std::fs::write(stage.dir.path().join("example.jsonl"), recording).unwrap();
    stage.run("leakwatch replay example.jsonl").unwrap();
}

#[test]
#[ignore = "needs mandoc"]
fn the_man_pages_are_clean() {
    needs::require(&[Need::Program("mandoc", "mandoc")]);
    for page in man_pages() {
        let said = Command::new("mandoc")
            .args(["-T", "lint", "-W", "warning"])
            .arg(root().join(&page))
            .output()
            .unwrap();
        assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stdout));
    }
}

/// A metric that is written is in the manual, and the reverse is what prometheus.rs sees.
#[test]
fn every_metric_is_in_the_manual() {
    let files = ["mod.rs", "trees.rs", "ceilings.rs"];
    let source = files.map(|file| text(&format!("src/report/prometheus/{file}"))).concat();
    let page = text("man/leakwatch.8");
    let names = source.split('"').filter(|word| {
        word.strip_prefix("leakwatch_")
            .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_'))
    });
    let names: Vec<&str> = names.collect();
    assert!(names.len() > 20, "only {names:?} were found");
    let missing: Vec<&str> = names.into_iter().filter(|name| !page.contains(*name)).collect();
    assert!(missing.is_empty(), "not in leakwatch.8: {missing:?}");
}

/// As a path below the root, so that a link in a document leads somewhere.
#[test]
fn every_file_that_the_readme_names_is_there() {
    let readme = text("README.md");
    let words = readme.split(['`', '"', ' ', '\n', '(', ')']);
    let rooms = ["examples/", "man/", "tests/", ".github/"];
    let paths = words.filter(|word| rooms.iter().any(|room| word.starts_with(room)));
    for path in paths {
        let path = path.trim_end_matches(['.', ',', ':', ';']);
        let there = Path::new(&root()).join(path).exists();
        assert!(there, "README.md names {path}, which is not there");
    }
}
