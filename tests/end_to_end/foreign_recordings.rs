//! A recording that somebody else made: who parses it has no right left that its maker lacks.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use crate::common::cli::{Cli, PROMPTLY};
use crate::common::fake_proc::{Fake, FakeProc, pid};
use crate::common::impostor::fifo;
use crate::common::pty::Pty;
use crate::common::{process, wait};

/// A recording of this boot that comes through a pipe, so that its reader waits wherever the test holds it.
struct Flowing {
    dir: TempDir,
    pipe: File,
    t: f64,
    uptime_s: f64,
}

impl Flowing {
    /// Writes the header of a recording of the machine of that name.
    fn of(hostname: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fifo(&dir.path().join("r.jsonl"));
        // For both, so that opening waits for nobody.
        let open = File::options().read(true).write(true).open(dir.path().join("r.jsonl"));
        let uptime = fs::read_to_string("/proc/uptime").unwrap();
        let uptime_s: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let unix_s = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        let (t, uptime_s) = (unix_s - 60.0, uptime_s - 60.0);
        let mut flowing = Self { dir, pipe: open.unwrap(), t, uptime_s };
        writeln!(
            flowing.pipe,
            r#"{{"format":"leakwatch-recording","version":2,"interval_s":1,"clock_ticks":100,"page_size":4096,"hostname":"{hostname}"}}"#
        )
        .unwrap();
        flowing
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("r.jsonl")
    }

    /// Writes the next second's sample.
    fn sample(&mut self) {
        let Self { pipe, t, uptime_s, .. } = self;
        writeln!(
            pipe,
            r#"{{"t":{t},"uptime":{uptime_s},"mem":{{"total":1073741824,"available":536870912}},"procs":[{{"pid":7,"ppid":1,"start":1,"comm":"x","rss":4096}}]}}"#
        )
        .unwrap();
        (self.t, self.uptime_s) = (self.t + 1.0, self.uptime_s + 1.0);
    }

    /// The file that each descriptor of a process refers to, if this recording is among them.
    fn is_open_in(&self, pid: u32) -> bool {
        let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
        fds.flatten().any(|fd| fs::read_link(fd.path()).is_ok_and(|file| file == self.path()))
    }
}

fn status(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default()
}

/// Whether a process has no capability, gets none, and is held by seccomp.
fn has_no_rights(status: &str) -> bool {
    let lines = ["CapPrm:\t0000000000000000", "CapEff:\t0000000000000000", "NoNewPrivs:\t1"];
    let is_nobody = !nix::unistd::geteuid().is_root() || status.contains("Uid:\t65534\t65534");
    is_nobody && lines.iter().all(|line| status.contains(line)) && status.contains("Seccomp:\t2")
}

/// A diagnosis with that recording, whose helper must be without rights as it waits for the next line.
fn diagnosed(mut flowing: Flowing) -> String {
    let (proc, logs) = (FakeProc::with_memory_kib(1 << 20), tempfile::tempdir().unwrap());
    proc.show(&Fake::new(pid(0), "web"));
    let mut args = vec!["diagnose", "--for", "0", "--no-state", "--procfs"];
    args.extend([proc.path().to_str().unwrap(), "--logs", logs.path().to_str().unwrap()]);
    let path = flowing.path();
    args.extend(["--recording", path.to_str().unwrap()]);
    flowing.sample();
    let cli = Cli::leakwatch(args);
    let reader = || {
        let mut children = process::children(cli.pid()).into_iter().map(|child| child.pid);
        children.find(|child| flowing.is_open_in(*child))
    };
    let mut seen = String::new();
    let is_held = || {
        seen = reader().map(status).unwrap_or_default();
        has_no_rights(&seen)
    };
    assert!(wait::until(PROMPTLY, is_held), "{seen}");
    // Who has its rights closes it as soon as the helper runs.
    assert!(wait::until(PROMPTLY, || !flowing.is_open_in(cli.pid())), "it is held open");
    flowing.sample();
    drop(flowing);
    let ended = cli.end(Duration::from_secs(30));
    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
    ended.out.text()
}

#[test]
fn one_beside_a_look_is_read_by_a_helper_without_rights() {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let text = diagnosed(Flowing::of(name.trim()));
    assert!(!text.contains("the recording is of another machine"), "{text}");
}

#[test]
fn one_of_another_machine_is_read_by_a_helper_without_rights() {
    let text = diagnosed(Flowing::of("elsewhere.example"));
    assert!(text.contains("the recording is of another machine"), "{text}");
}

/// Waits until a process that reads a recording is as it must be.
fn held(pid: u32, mut is_held: impl FnMut(&str) -> bool) {
    let mut seen = String::new();
    let held = wait::until(PROMPTLY, || {
        seen = status(pid);
        is_held(&seen)
    });
    assert!(held, "{seen}");
}

#[test]
fn a_replay_has_no_rights_while_it_reads() {
    let mut flowing = Flowing::of("elsewhere.example");
    flowing.sample();
    let cli = Cli::leakwatch(["replay", flowing.path().to_str().unwrap()]);
    held(cli.pid(), has_no_rights);
    flowing.sample();
    drop(flowing);
    let ended = cli.end(PROMPTLY);
    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
}

/// It may write into the directory of the page, and do nothing else (`rights::tests` look at Landlock).
#[test]
fn a_replay_that_writes_a_page_has_the_rights_for_that_alone() {
    let mut flowing = Flowing::of("elsewhere.example");
    flowing.sample();
    let page = flowing.dir.path().join("page.html");
    let path = flowing.path();
    let args = ["replay", "--html", page.to_str().unwrap(), path.to_str().unwrap()];
    let cli = Cli::leakwatch(args);
    held(cli.pid(), |seen| {
        let is_root = nix::unistd::geteuid().is_root();
        let files = if is_root { "CapPrm:\t0000000000000006" } else { "CapPrm:\t0000000000000000" };
        [files, "NoNewPrivs:\t1", "Seccomp:\t2"].iter().all(|line| seen.contains(line))
    });
    flowing.sample();
    let dir = std::mem::replace(&mut flowing.dir, tempfile::tempdir().unwrap());
    drop(flowing);
    let ended = cli.end(PROMPTLY);
    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
    assert!(fs::read_to_string(page).unwrap().contains("</html>"));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 2, "the pipe and the page");
}

#[test]
fn a_recording_that_is_played_is_read_without_rights_from_its_beginning_again() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/prefork-leak.jsonl.gz");
    let mut command = Command::new(Cli::program());
    command.args(["top", "--color", "never", file]);
    let mut top = Pty::start(&mut command, (80, 24));
    top.expect_text(PROMPTLY, "SERVICE by urgency");
    held(top.pid(), has_no_rights);
    top.types("\x1b[F");
    top.expect_text(PROMPTLY, "at its end");
    top.types("\x1b[H");
    top.expect(PROMPTLY, "an earlier time", |screen| !screen.text().contains("at its end"));
    top.types("q");
    assert_eq!(top.end(PROMPTLY).code(), Some(0));
}

/// The words of a failed diagnosis with a recording.
fn refused(path: &Path) -> String {
    let ended = Cli::leakwatch(["diagnose", "--for", "0", "--recording", path.to_str().unwrap()]);
    let ended = ended.end(PROMPTLY);
    assert_eq!((ended.code, ended.out.text().as_str()), (Some(3), ""));
    ended.err.text()
}

#[test]
fn what_the_helper_cannot_read_is_told_as_ever_and_in_one_line() {
    let flowing = Flowing::of("elsewhere.example");
    let path = flowing.dir.path().join("broken\x1b.jsonl");
    let header = r#"{"format":"leakwatch-recording","version":1,"interval_s":1,"clock_ticks":100,"page_size":4096,"hostname":"x"}"#;
    let sample = r#"{"t":1,"mem":{"total":2,"available":1},"procs":[]}"#;
    for (text, why) in [
        (String::new(), "is empty; a recording begins with a header line"),
        ("{}\n".to_owned(), "line 1: is not a recording's header"),
        (format!("{header}\n{sample}\n{sample}\n"), "line 3: t is 1 after 1, but t must increase"),
        (format!("{header}\n{sample}\nnonsense\n"), "line 3: expected"),
    ] {
        fs::write(&path, text).unwrap();
        let said = refused(&path);
        assert!(said.contains(why) && said.lines().count() == 1, "{why}: {said:?}");
        assert!(!said.contains('\x1b'), "{said:?}");
    }
    assert!(refused(Path::new("/nonexistent")).contains("make a recording with"));
}
