//! A local user gains nothing from root's leakwatch: no file is read or written, no socket asked and no
//! command run that he could not reach himself. SECURITY.md names these tests.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;
use std::time::Duration;

use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::fake_proc::{Fake, FakeProc, pid};
use crate::common::impostor::{Stage, USER, fifo, give, mode};

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap()
}

fn idle_machine() -> FakeProc {
    let proc = FakeProc::with_memory_kib(1 << 20);
    proc.show(&Fake::new(pid(0), "web"));
    proc
}

/// A diagnosis of an idle machine that writes both files.
fn written(page: &Path, patch: &Path) -> Ended {
    let (proc, logs) = (idle_machine(), tempfile::tempdir().unwrap());
    let mut args = vec!["diagnose", "--for", "0", "--no-state", "--procfs"];
    args.extend([proc.path().to_str().unwrap(), "--logs", logs.path().to_str().unwrap()]);
    args.extend(["--html", page.to_str().unwrap(), "--write-advice", patch.to_str().unwrap()]);
    Cli::leakwatch(args).end(PROMPTLY)
}

// ---- The configuration ----

const CONFIG: &str = "on-event = 'id'\npattern = 'x'\n";

fn refused(config: &Path, why: &str) {
    let ended = Cli::leakwatch(["config", "--config", config.to_str().unwrap()]).end(PROMPTLY);
    let said = ended.err.text();
    assert_eq!((ended.code, ended.out.text().as_str()), (Some(3), ""), "{said}");
    assert!(said.contains(why) && said.contains("hint: "), "{said}");
}

#[test]
#[ignore = "needs root"]
fn a_configuration_of_another_user_is_refused() {
    let stage = Stage::new();
    let config = stage.roots("lw.toml");
    fs::write(&config, CONFIG).unwrap();
    give(&config);
    refused(&config, "belongs to uid 54321");
    refused(&stage.users_file("lw.toml", CONFIG), "belongs to uid 54321");
}

#[test]
#[ignore = "needs root"]
fn a_configuration_that_a_group_or_everybody_may_write_to_is_refused() {
    let stage = Stage::new();
    let config = stage.roots("lw.toml");
    fs::write(&config, CONFIG).unwrap();
    chown(&config, None, Some(USER)).unwrap();
    mode(&config, 0o660);
    refused(&config, "writable by the group 54321");
    mode(&config, 0o666);
    refused(&config, "writable by every user");
    mode(&config, 0o640);
    let ended = Cli::leakwatch(["config", "--config", config.to_str().unwrap()]).end(PROMPTLY);
    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
}

#[test]
#[ignore = "needs root"]
fn a_configuration_in_a_directory_that_others_may_write_to_is_refused() {
    let stage = Stage::new();
    let open = stage.roots("open");
    fs::create_dir(&open).unwrap();
    let config = open.join("lw.toml");
    fs::write(&config, CONFIG).unwrap();
    mode(&open, 0o777);
    refused(&config, "open' is writable by every user");
    mode(&open, 0o775);
    chown(&open, None, Some(USER)).unwrap();
    refused(&config, "open' is writable by the group 54321");
}

#[test]
#[ignore = "needs root"]
fn a_configuration_by_way_of_another_users_link_is_refused() {
    let stage = Stage::new();
    let config = stage.roots("lw.toml");
    fs::write(&config, CONFIG).unwrap();
    let link = stage.shared().join("link.toml");
    symlink(&config, &link).unwrap();
    give(&link);
    refused(&link, "belongs to uid 54321");
}

#[test]
#[ignore = "needs root"]
fn a_configuration_that_is_a_fifo_or_a_device_is_refused_at_once() {
    let stage = Stage::new();
    fifo(&stage.roots("fifo"));
    refused(&stage.roots("fifo"), "no regular file");
    refused(Path::new("/dev/zero"), "no regular file");
}

#[test]
#[ignore = "needs root"]
fn another_users_drop_in_is_refused_at_a_reload_too() {
    let stage = Stage::new();
    let proc = idle_machine();
    let config = stage.roots("lw.toml");
    let procfs = format!("procfs = '{}'\npattern = 'web'\n", proc.path().display());
    fs::write(&config, &procfs).unwrap();
    let cli = Cli::leakwatch(["--no-state", "--config", config.to_str().unwrap()]);
    cli.err.expect_line(PROMPTLY, "that says what is watched", |line| line.contains("web"));
    fs::write(&config, procfs + "interval = '1s'\n").unwrap();
    give(&config);
    cli.signal(nix::sys::signal::Signal::SIGHUP);
    cli.err.expect_line(PROMPTLY, "that refuses it", |line| line.contains("belongs to uid"));
    assert_eq!(cli.stop().code, Some(0));
}

// ---- What root writes ----

#[test]
#[ignore = "needs root"]
fn page_and_patch_are_not_written_through_what_a_user_put_there() {
    let stage = Stage::new();
    let shared = stage.shared();
    let precious = stage.roots("precious");
    fs::write(&precious, "precious").unwrap();
    let (page, patch) = (shared.join("page.html"), shared.join("fix.patch"));
    symlink(&precious, &page).unwrap();
    fs::write(&patch, "mine").unwrap();
    mode(&patch, 0o666);
    give(&page);
    give(&patch);

    let ended = written(&page, &patch);

    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
    assert_eq!(text(&precious), "precious");
    for path in [&page, &patch] {
        let found = fs::symlink_metadata(path).unwrap();
        assert!(found.is_file());
        assert_eq!((found.uid(), found.mode() & 0o777), (0, 0o600), "{}", path.display());
    }
}

#[test]
#[ignore = "needs root"]
fn a_users_fifo_in_place_of_the_page_is_not_waited_for() {
    let stage = Stage::new();
    let shared = stage.shared();
    let page = shared.join("page.html");
    fifo(&page);
    give(&page);
    let ended = written(&page, &stage.roots("fix.patch"));
    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
    assert!(text(&page).contains("<html"));
}

#[test]
#[ignore = "needs root"]
fn nothing_is_written_where_a_user_could_exchange_it() {
    let stage = Stage::new();
    let ended = written(&stage.users("page.html"), &stage.roots("fix.patch"));
    assert_eq!(ended.code, Some(3));
    assert!(ended.err.text().contains("belongs to uid 54321"), "{}", ended.err.text());
    assert!(!stage.users("page.html").exists());
    assert!(stage.roots("fix.patch").exists(), "one that cannot be written costs no other");
    let args = ["record", "--samples", "1", "-i", "1s"];
    let record = stage.users("a.jsonl");
    let ended = Cli::leakwatch(args.into_iter().chain([record.to_str().unwrap()])).end(PROMPTLY);
    assert_eq!(ended.code, Some(3), "{}", ended.err.text());
    assert!(!record.exists());
}

#[test]
#[ignore = "needs root"]
fn a_recording_is_its_owners_alone() {
    let stage = Stage::new();
    let record = stage.roots("a.jsonl");
    let args = ["record", "--samples", "1", "-i", "1s", record.to_str().unwrap()];
    let ended = Cli::leakwatch(args).end(PROMPTLY);
    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
    assert_eq!(fs::metadata(&record).unwrap().mode() & 0o777, 0o600);
}

#[test]
#[ignore = "needs root"]
fn a_state_directory_of_another_user_is_neither_read_nor_written() {
    let stage = Stage::new();
    let proc = idle_machine();
    let users = stage.users("");
    let args = ["check", "--pattern", "web", "--procfs", proc.path().to_str().unwrap()];
    let args = args.into_iter().chain(["--state-dir", users.to_str().unwrap()]);
    let ended = Cli::leakwatch(args).end(PROMPTLY);
    assert!(ended.err.text().contains("belongs to uid 54321"), "{}", ended.err.text());
    assert_eq!(fs::read_dir(&users).unwrap().count(), 0);
}

#[test]
fn a_history_that_others_could_have_written_is_not_parsed() {
    let proc = idle_machine();
    let stage = tempfile::tempdir().unwrap();
    let (state, logs) = (stage.path().join("state"), stage.path().join("logs"));
    for dir in [&state, &logs] {
        fs::create_dir(dir).unwrap();
    }
    fs::write(state.join("web.history.jsonl"), "no header\n").unwrap();
    let [procfs, dir, logs] = [proc.path(), &state, &logs].map(|path| path.to_str().unwrap());
    let args = ["diagnose", "--for", "0", "--format", "json", "--procfs", procfs, "--logs", logs];
    let said = |bits: u32| {
        mode(&state, bits);
        let ended = Cli::leakwatch(args.into_iter().chain(["--state-dir", dir])).end(PROMPTLY);
        let report: serde_json::Value = serde_json::from_str(&ended.out.text()).unwrap();
        report["unseen"].to_string()
    };
    let own = said(0o700);
    assert!(own.contains("its first line is no header"), "{own}");
    let others = said(0o777);
    assert!(others.contains("is writable by every user"), "{others}");
    assert!(!others.contains("header"), "{others}");
}

// ---- Nothing waits, nothing grows without end ----

#[test]
fn a_procfs_with_a_fifo_in_place_of_a_file_is_refused_at_once() {
    for name in ["meminfo", "stat", "loadavg"] {
        let proc = idle_machine();
        let path = proc.path().join(name);
        fs::remove_file(&path).ok();
        fifo(&path);
        let args = ["diagnose", "--for", "0", "--no-state", "--procfs"];
        let logs = tempfile::tempdir().unwrap();
        let more = [proc.path().to_str().unwrap(), "--logs", logs.path().to_str().unwrap()];
        let ended = Cli::leakwatch(args.into_iter().chain(more)).end(PROMPTLY);
        let wanted = if name == "meminfo" { Some(3) } else { Some(0) };
        assert_eq!(ended.code, wanted, "{name}: {}", ended.err.text());
    }
}

/// Runs leakwatch with at most so much address space, which an unbounded line would exceed.
fn in_half_a_gibibyte(args: &[&str]) -> Ended {
    let limit = ["prlimit", "--as=536870912", "--"].map(str::to_owned);
    Cli::leakwatch_by(&limit, args).end(Duration::from_secs(60))
}

#[test]
fn a_recording_without_a_line_end_is_an_error_and_not_read_into_memory() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bomb.jsonl.gz");
    let file = fs::File::create(&path).unwrap();
    let mut packed = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    for _ in 0..800 {
        std::io::Write::write_all(&mut packed, &vec![b'x'; 1 << 20]).unwrap();
    }
    packed.finish().unwrap();
    for file in [path.to_str().unwrap(), "/dev/zero"] {
        let ended = in_half_a_gibibyte(&["replay", file]);
        assert_eq!(ended.code, Some(3), "{file}: {}", ended.err.text());
        assert!(ended.err.text().contains("more than 32 MiB"), "{file}: {}", ended.err.text());
    }
}

#[test]
#[ignore = "needs root"]
fn a_page_of_a_replay_is_not_written_through_what_a_user_put_there() {
    let stage = Stage::new();
    let shared = stage.shared();
    let (precious, page) = (stage.roots("precious"), shared.join("page.html"));
    fs::write(&precious, "precious").unwrap();
    symlink(&precious, &page).unwrap();
    give(&page);
    let recording = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recordings/perl-pile.jsonl.gz");
    let ended = Cli::leakwatch(["replay", "-q", "--html", page.to_str().unwrap(), recording]);
    let ended = ended.end(Duration::from_secs(60));
    assert!(ended.code.is_some_and(|code| code < 3), "{}", ended.err.text());
    assert_eq!(text(&precious), "precious");
    assert_eq!(fs::symlink_metadata(&page).unwrap().uid(), 0);
}

#[test]
#[ignore = "needs root"]
fn a_recording_is_not_begun_where_a_user_put_something() {
    let stage = Stage::new();
    let shared = stage.shared();
    let precious = stage.roots("precious");
    fs::write(&precious, "precious").unwrap();
    let link = shared.join("a.jsonl");
    symlink(&precious, &link).unwrap();
    fifo(&shared.join("b.jsonl"));
    for path in [link, shared.join("b.jsonl")] {
        give(&path);
        let args = ["record", "--samples", "1", "-i", "1s", path.to_str().unwrap()];
        let ended = Cli::leakwatch(args).end(PROMPTLY);
        assert_eq!(ended.code, Some(3), "{}", ended.err.text());
        assert!(ended.err.text().contains("name a new file"), "{}", ended.err.text());
    }
    assert_eq!(text(&precious), "precious");
}

#[test]
#[ignore = "needs root"]
fn metrics_are_not_written_through_a_users_link() {
    let stage = Stage::new();
    let proc = idle_machine();
    let shared = stage.shared();
    let (precious, metrics) = (stage.roots("precious"), shared.join("a.prom"));
    fs::write(&precious, "precious").unwrap();
    for name in ["a.prom", "a.prom.new"] {
        symlink(&precious, shared.join(name)).unwrap();
        give(&shared.join(name));
    }
    let args = ["--no-state", "--pattern", "web", "--procfs", proc.path().to_str().unwrap()];
    let cli = Cli::leakwatch(args.into_iter().chain(["--textfile", metrics.to_str().unwrap()]));
    let is_written = || fs::symlink_metadata(&metrics).is_ok_and(|found| found.is_file());
    crate::common::wait::until(PROMPTLY, is_written);
    cli.stop();
    assert_eq!(text(&precious), "precious");
}

#[test]
#[ignore = "needs root"]
fn what_is_remembered_is_not_read_through_another_users_link() {
    let stage = Stage::new();
    let proc = idle_machine();
    let state = stage.roots("state");
    fs::create_dir(&state).unwrap();
    mode(&state, 0o755);
    let link = stage.shared().join("state");
    symlink(&state, &link).unwrap();
    give(&link);
    let args = ["check", "--pattern", "web", "--procfs", proc.path().to_str().unwrap()];
    let args = args.into_iter().chain(["--state-dir", link.to_str().unwrap()]);
    let ended = Cli::leakwatch(args).end(PROMPTLY);
    assert!(ended.err.text().contains("54321"), "{}", ended.err.text());
    assert_eq!(fs::read_dir(&state).unwrap().count(), 0);
}

#[test]
#[ignore = "needs root"]
fn recordings_carry_no_password_of_a_command_line() {
    let stage = Stage::new();
    let record = stage.roots("a.jsonl");
    let perl = stage.program("perl");
    let word = std::ffi::OsStr::new;
    let args = [word("--password=hunter2"), word("--token"), word("hunter2")];
    let player = stage.play(&perl, "job", &args, 0.0);
    let pid = player.pid().to_string();
    let args = ["record", "--samples", "1", "-i", "1s", "--pid", &pid, record.to_str().unwrap()];
    let ended = Cli::leakwatch(args).end(PROMPTLY);
    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
    let recorded = text(&record);
    assert!(recorded.contains("\"title\":\"job"), "{recorded}");
    assert!(recorded.contains("\"uid\":54321"), "{recorded}");
    assert!(!recorded.contains("hunter2"), "{recorded}");
}

#[test]
fn a_size_that_no_machine_has_is_refused() {
    for size in ["99999999999999999999999G", "1e30", "2000000T"] {
        let args = ["--budget", size, "--pattern", "nosuch", "--no-state"];
        let ended = Cli::leakwatch(args).end(PROMPTLY);
        assert_eq!(ended.code, Some(3), "{size}: {}", ended.err.text());
        assert!(ended.err.text().contains("more than any machine"), "{}", ended.err.text());
    }
}
