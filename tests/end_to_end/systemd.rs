//! As a service: the shipped units, their limits, what the manager and the journal hear; and the init
//! script of boxes without systemd.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::common;
use crate::common::cli::{Cli, PROMPTLY};
use crate::common::load::{Load, Plan};
use crate::common::needs::{self, Need};
use crate::common::prefork::{self, Prefork};
use crate::common::process::Id;
use crate::common::unit::Unit;
use crate::common::wait;
use clap::{CommandFactory, Parser};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

const SYSTEMD: Need = Need::Program("systemd-analyze", "systemd");

fn built() -> PathBuf {
    let built = env!("CARGO_BIN_EXE_leakwatch").into();
    std::env::var_os("LEAKWATCH_BIN").unwrap_or(built).into()
}

/// A directory that every user can reach.
fn open_dir() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    dir
}

fn analyze(args: &[&str]) -> (bool, String) {
    let said = Command::new("systemd-analyze").args(args).output().unwrap();
    (said.status.success(), String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into())
}

const UNITS: [&str; 3] = ["leakwatch.service", "leakwatch-check.service", "leakwatch-check.timer"];

#[test]
#[ignore = "needs systemd-analyze"]
fn systemd_accepts_the_units() {
    needs::require(&[SYSTEMD]);
    let dir = open_dir();
    let paths = UNITS.map(|name| {
        let path = dir.path().join(name);
        std::fs::write(&path, Unit::shipped(name).running(&built())).unwrap();
        path.display().to_string()
    });
    for path in &paths {
        let (fine, said) = analyze(&["verify", "--man=no", path]);
        // It also loads what stands around it, and complains of other packages' units.
        let about_us: Vec<&str> = said.lines().filter(|line| line.contains("leakwatch")).collect();
        assert!(fine && about_us.is_empty(), "{path}:\n{said}");
    }
    for path in paths.iter().filter(|path| path.ends_with(".service")) {
        let (fine, said) = analyze(&["security", "--offline=true", "--threshold=20", path]);
        assert!(fine, "more exposed than 2.0:\n{said}");
    }
    // What a hook that sends something needs besides opens the network, and no more.
    let more = dir.path().join("leakwatch.service.d");
    std::fs::create_dir(&more).unwrap();
    let notify = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/hooks/notify.conf");
    std::fs::copy(notify, more.join("notify.conf")).unwrap();
    let (fine, said) = analyze(&["verify", "--man=no", &paths[0]]);
    assert!(fine && !said.contains("notify.conf"), "{said}");
    let (fine, said) = analyze(&["security", "--offline=true", "--threshold=25", &paths[0]]);
    assert!(fine, "with notify.conf more exposed than 2.5:\n{said}");
}

/// What a unit starts is a command line that leakwatch takes.
#[test]
fn the_units_start_valid_command_lines() {
    for name in ["leakwatch.service", "leakwatch-check.service"] {
        let unit = Unit::shipped(name);
        let [line] = unit.values("ExecStart")[..] else { panic!("one ExecStart in {name}") };
        let words = line.split_whitespace().filter(|word| !word.starts_with('$'));
        let words: Vec<&str> = words.collect();
        let known =
            |word: &str| leakwatch::cli::options::Cli::command().find_subcommand(word).is_some();
        if words.get(1).is_none_or(|word| known(word)) {
            leakwatch::cli::options::Cli::try_parse_from(words).unwrap();
        }
    }
}

/// Another user's server, so that the capability is what lets it signal.
#[test]
#[ignore = "needs systemd-analyze, scmp_sys_resolver, bubblewrap and root"]
fn the_whole_kill_path_works_inside_the_units_limits() {
    let (bwrap, resolver) = ("bubblewrap", "seccomp");
    needs::require(&[
        Need::Root,
        SYSTEMD,
        Need::Program("bwrap", bwrap),
        Need::Program("scmp_sys_resolver", resolver),
    ]);
    let dir = open_dir();
    let (run, state) = (dir.path().join("journal"), dir.path().join("state"));
    for dir in [&run, &state] {
        std::fs::create_dir(dir).unwrap();
    }
    let (entries, heard) = (hear(&run.join("socket")), hear(&state.join("notify")));
    let server = Prefork::start_as(65534, dir.path(), &["--leaky", "2", "--rate", "2M/s"]);
    server.wait_started("healthy", 2);
    let load = Load::start(Plan::of(server.port(), "/", 10.0));

    let sandbox = Unit::shipped("leakwatch.service")
        .sandbox(dir.path(), &built(), &[&state])
        .with_bind(&run, "/run/systemd/journal");
    let master = server.master().pid.to_string();
    let metrics = state.join("leakwatch.prom").display().to_string();
    let mut args = vec!["--pid", &master, "--interval", "1s", "--budget", "120M", "-v"];
    args.extend(["--textfile", &metrics]);
    let mut command = sandbox.command(&args);
    command.env("STATE_DIRECTORY", &state).env("NOTIFY_SOCKET", state.join("notify"));
    command.env("WATCHDOG_USEC", "3000000").env_remove("WATCHDOG_PID");
    command.env("LEAKWATCH_SERVER", prefork::ROW);
    let cli = Cli::start(&mut command);

    let watching = |line: &str| line.contains("watching");
    cli.err.expect_line(PROMPTLY, "that says what is watched", watching);
    let wanted = Unit::shipped("leakwatch.service").values("CapabilityBoundingSet").join(" ");
    let inside = inside(cli.pid());
    assert_eq!(capabilities(inside), wanted.split_whitespace().count() as u32);

    let runs = || Path::new(&format!("/proc/{inside}/exe")).exists();
    wait::until(Duration::from_secs(120), || server.ended("leaky").len() >= 2 || !runs());
    // The sandbox hands on no signal, only the exit code. The pid is still that process's: it runs
    // until it is told to stop, or the test fails by its exit code.
    kill(Pid::from_raw(inside.cast_signed()), Signal::SIGTERM).ok();
    let ended = cli.end(PROMPTLY);
    let said = format!("{}{}", ended.out.text(), ended.err.text());
    assert!(matches!(ended.code, Some(1 | 2)), "{:?}, a forbidden call?\n{said}", ended.code);
    // Its OOM score is systemd's to set, which a container's root may not.
    let prepared = !said.contains("cannot be locked") && !said.contains("rehearsed");
    assert!(prepared, "memory not locked, or a signal refused:\n{said}");
    assert!(server.ended("leaky").len() >= 2, "{:?} ended:\n{said}", server.ended("leaky"));
    assert!(server.ended("healthy").is_empty() && server.master().runs(), "{said}");
    assert!(load.finish().failures().is_empty());

    let stopping = || heard.lock().unwrap().last().is_some_and(|last| last == "STOPPING=1");
    assert!(wait::until(PROMPTLY, stopping), "it stopped without a word");
    let heard = heard.lock().unwrap();
    assert!(heard[0].starts_with("READY=1\nSTATUS=nothing leaks in "), "{heard:?}");
    assert!(heard.iter().any(|message| message == "WATCHDOG=1"), "{heard:?}");
    assert!(heard.iter().skip(1).any(|m| m.starts_with("STATUS=")), "{heard:?}");

    let entries = entries.lock().unwrap();
    let order = entries.iter().find(|e| e.contains("\nLEAKWATCH_EVENT=order\n")).unwrap();
    assert!(order.starts_with("MESSAGE=ORDER     leaky_prefork["), "{order}");
    assert!(order.contains("\nPRIORITY=4\n"), "{order}");
    assert!(order.contains(&format!("\nOBJECT_PID={master}\n")), "{order}");
    let json = order.lines().find_map(|line| line.strip_prefix("LEAKWATCH_JSON=")).unwrap();
    assert!(common::events::is(json, "order"), "{json}");
    let metrics = std::fs::read_to_string(metrics).unwrap();
    assert!(metrics.contains("leakwatch_enforcing{watch=\"pid\"} 1\n"), "{metrics}");
    assert!(ended.out.all().is_empty(), "twice in the journal:\n{}", ended.out.text());
}

/// The process named leakwatch below the sandbox.
fn inside(sandbox: u32) -> u32 {
    let mut pid = sandbox;
    while std::fs::read_to_string(format!("/proc/{pid}/comm")).unwrap().trim() != "leakwatch" {
        pid = common::process::children(pid)[0].pid;
    }
    pid
}

/// How many capabilities it may use.
fn capabilities(pid: u32) -> u32 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = |key: &str| status.lines().find_map(|line| line.strip_prefix(key)).unwrap().trim();
    assert_eq!(line("Seccomp:"), "2", "a filter is on");
    assert_eq!(line("NoNewPrivs:"), "1");
    u64::from_str_radix(line("CapEff:"), 16).unwrap().count_ones()
}

/// Everything that comes, taken at once: a socket holds ten messages.
fn hear(path: &Path) -> Arc<Mutex<Vec<String>>> {
    let socket = UnixDatagram::bind(path).unwrap();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let writer = heard.clone();
    std::thread::spawn(move || {
        let mut buffer = [0; 8192];
        while let Ok(length) = socket.recv(&mut buffer) {
            let message = String::from_utf8_lossy(&buffer[..length]).into_owned();
            writer.lock().unwrap().push(message);
        }
    });
    heard
}

#[test]
fn a_long_interval_still_feeds_the_watchdog() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let notify = UnixDatagram::bind(&path).unwrap();
    let server = Prefork::start(&["--leaky", "0", "--cache", "0"]);
    let mut command = Command::new(built());
    command.args(["--no-state", "--interval", "1h", "--pid", &server.master().pid.to_string()]);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "600000").env_remove("WATCHDOG_PID");
    let cli = Cli::start(&mut command);
    notify.set_read_timeout(Some(PROMPTLY)).unwrap();
    let mut buffer = [0; 8192];
    for nth in 0..4 {
        let length = notify.recv(&mut buffer).expect("a sign of life");
        let wanted = if nth == 0 { &b"READY=1"[..] } else { b"WATCHDOG=1" };
        assert!(buffer[..length].starts_with(wanted), "{:?}", String::from_utf8_lossy(&buffer));
    }
    assert_eq!(cli.stop().code, Some(0));
}

#[test]
#[ignore = "needs start-stop-daemon and dash"]
fn the_init_script_starts_reports_and_stops() {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/init/leakwatch");
    needs::require(&[Need::Program("start-stop-daemon", "dpkg"), Need::Program("dash", "dash")]);
    assert!(Command::new("dash").arg("-n").arg(&script).status().unwrap().success());
    let dir = open_dir();
    let file = |name: &str| dir.path().join(name);
    let server = Prefork::start(&["--leaky", "0", "--cache", "0"]);
    let options = format!("DAEMON_OPTS=\"--no-state -v --pid {}\"\n", server.master().pid);
    std::fs::write(file("defaults"), options).unwrap();
    let call = |word: &str| {
        let mut command = Command::new("dash");
        command.arg(&script).arg(word).env("DAEMON", built()).env("PIDFILE", file("pid"));
        command.env("LOG", file("log")).env("DEFAULTS", file("defaults"));
        // Not output(): what it starts would keep the pipe open.
        command.stdout(Stdio::null()).status().unwrap().code()
    };
    assert_eq!(call("status"), Some(3));
    assert_eq!(call("start"), Some(0));
    let log = || std::fs::read_to_string(file("log")).unwrap_or_default();
    let watches = wait::until(PROMPTLY, || log().contains("watching 1 process tree"));
    assert!(watches, "it does not watch: {}", log());
    let pid = || std::fs::read_to_string(file("pid")).unwrap();
    let first = pid();
    assert_eq!((call("status"), call("start")), (Some(0), Some(0)));
    assert_eq!(pid(), first, "it runs once");
    assert_eq!(call("restart"), Some(0));
    assert_ne!(pid(), first);
    let second = Id::of(pid().trim().parse().unwrap()).expect("it runs");
    assert_eq!((call("stop"), call("status"), call("stop")), (Some(0), Some(3), Some(0)));
    assert!(log().contains("leakwatch: stopped; nothing leaks"), "{}", log());
    assert!(!second.runs(), "it was left behind");
    assert_eq!(call("dance"), Some(2));
}
