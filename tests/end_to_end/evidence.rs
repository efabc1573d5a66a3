//! Evidence of processes, as it is taken, kept and printed.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::common::cli::{Cli, Ended, PROMPTLY};

/// A process that waits, until it is dropped.
struct Waits(Child);

impl Waits {
    fn start() -> Self {
        Self(Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Waits {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn evidence(args: &[&str]) -> Ended {
    Cli::leakwatch([&["evidence"], args].concat()).end(PROMPTLY)
}

fn names(dir: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_evidence_of_a_process_is_printed_or_kept_and_printed_later() {
    let process = Waits::start();
    let pid = process.0.id().to_string();
    let printed = evidence(&["--take", &pid]);
    assert_eq!(printed.code, Some(0), "{}", printed.err.text());
    let text = printed.out.text();
    for part in ["### Memory", "### Open descriptors", "VmRSS", " pipes", &format!("cat[{pid}]")] {
        assert!(text.contains(part), "no {part} in {text}");
    }

    let dir = tempfile::tempdir().unwrap();
    let inside = dir.path().join("evidence");
    let path = inside.to_str().unwrap();
    let kept = evidence(&["--take", &pid, path]);
    assert_eq!(kept.code, Some(0), "{}", kept.err.text());
    let name = &names(&inside)[0];
    assert!(name.ends_with(&format!("-{pid}-cat")), "{name}");
    assert_eq!(kept.out.text().trim(), inside.join(name).to_str().unwrap());
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(&inside), mode(&inside.join(name))), (0o700, 0o700));
    let files = names(&inside.join(name));
    assert!(files.iter().all(|file| mode(&inside.join(name).join(file)) == 0o600));
    // Where only a descendant may be read (kernel.yama.ptrace_scope 1), the heap is what is missing.
    let heap = if files.contains(&"unread".to_owned()) { "### Not read" } else { "### Heap" };
    let text = evidence(&[path]).out.text();
    assert!(text.contains(heap) && text.contains("VmRSS") && text.contains("/cat"), "{text}");
    let masked = evidence(&[path, "--mask"]).out.text();
    assert!(masked.contains("VmRSS") && masked.contains("program ***"), "{masked}");
    assert!(!masked.contains("/cat"), "{masked}");
}

#[test]
fn what_cannot_be_done_is_said_with_a_way_out() {
    let dir = tempfile::tempdir().unwrap();
    let missing = dir.path().join("a/b");
    let missing = missing.to_str().unwrap();
    let own = std::process::id().to_string();
    for (args, why) in [
        (&[missing][..], "there is no directory"),
        (&["--take", &own, missing], "cannot keep evidence in"),
        (&["--take", "4294967295"], "it has ended"),
    ] {
        let ended = evidence(args);
        let said = ended.err.text();
        assert_eq!(ended.code, Some(3), "{args:?} {said}");
        assert!(said.contains(why) && said.contains("\n  hint: "), "{said}");
    }
    let ended = evidence(&[]);
    assert_eq!(ended.code, Some(0));
    assert!(ended.out.text().starts_with("No evidence is kept in '"), "{}", ended.out.text());
}
