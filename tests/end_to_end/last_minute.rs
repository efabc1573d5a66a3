//! The last minute of a small machine, in each way in which it may come: leakwatch ends the worker
//! that leaks, in time and gently, and goes on itself.
//!
//! ```text
//! LEAKWATCH_BRINK_RUNS=20 cargo test --test end_to_end last_minute -- --ignored --nocapture
//! ```
//!
//! plays each scene so often, every other time with the trouble there before leakwatch (or after it,
//! where once is the other way round), and says how long the leak was let go on.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::common::cgroup::Cgroup;
use crate::common::cli::{Cli, PROMPTLY};
use crate::common::prefork::{self, Prefork};
use crate::common::process::{self, Id};
use crate::common::small_machine::SmallMachine;
use crate::common::wait;
use rustix::fs::{CWD, FileType, Mode, OFlags};
use tempfile::TempDir;

/// Without leakwatch the leak ends memory within half of it.
const AT_MOST: Duration = Duration::from_secs(60);

/// pids.max: no fork works in the cgroup, for leakwatch neither. It is started by a shell that is left
/// and becomes it.
#[test]
#[ignore = "needs user-mode Linux"]
fn no_fork_succeeds() {
    play(SmallMachine::of_mib(160), |nth| {
        let group = Cgroup::with_tasks(64).unwrap();
        let server = leaking(group.command(&program()), "5M/s");
        let dir = tempfile::tempdir().unwrap();
        let gate = fifo(&dir, "gate");
        let mut shell = group.command("sh");
        shell.args(["-c", "read -r go <\"$0\" && exec \"$@\""]).arg(&gate);
        let leakwatch = Leakwatch::by(shell, &server, &["--on-event", "true"]);
        let trouble = || {
            group.limit_tasks(group.tasks()).unwrap();
            let refused = Cli::start(group.command("sh").args(["-c", "true & wait"]));
            let refused = refused.end(PROMPTLY);
            assert!(
                refused.err.text().contains("fork"),
                "{:?} {}",
                refused.code,
                refused.err.text()
            );
        };
        let start = || fs::write(&gate, "go\n").unwrap();
        in_turn(nth.is_multiple_of(2), trouble, || {
            start();
            leakwatch.wait_ready();
        });
        let kept = leakwatch.keeps_alive(&server);
        let unhooked = leakwatch.cli.err.text().contains("cannot start the helper");
        assert_eq!(unhooked, nth.is_multiple_of(2));
        kept
    });
}

/// vm.overcommit_memory = 2: all that may be promised is, so malloc fails too. leakwatch has no part
/// in the reserve of administrators, as under systemd.
#[test]
#[ignore = "needs user-mode Linux"]
fn all_memory_is_promised() {
    // So large that it is known to leak long before it is to end.
    let machine = SmallMachine::of_mib(320)
        .with_sysctl("vm.overcommit_memory=2")
        .with_sysctl("vm.overcommit_ratio=60")
        .with_sysctl("vm.admin_reserve_kbytes=16384");
    play(machine, |_| {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        // Slow enough that evidence to act on (24 samples) is there long before 48 MiB are, and the end
        // long after: at 4 MiB/s a busy machine was too late for one or too early for the other.
        let server = Prefork::start_as(4242, dir.path(), &leak("2M/s"));
        let mut limited = Command::new("setpriv");
        limited.args(["--bounding-set=-sys_admin", "--"]);
        let leakwatch = Leakwatch::by(limited, &server, &[]);
        leakwatch.cli.out.expect_line(AT_MOST, "of growth", |line| line.contains("GROWING"));
        let leaky = server.started("leaky")[0];
        let is_early = || !server.ends("leaky").is_empty();
        wait_until("a leak of 48 MiB", || process::anon_kib(leaky) >= 48 << 10 || is_early());
        assert!(!is_early(), "it was too early: {}", leakwatch.cli.out.text());
        let hoard = promised(16 << 20);
        let kept = leakwatch.keeps_alive(&server);
        drop(hoard);
        kept
    });
}

/// The last megabytes: others are killed by the kernel all the time.
#[test]
#[ignore = "needs user-mode Linux"]
fn the_oom_killer_strikes() {
    play(SmallMachine::of_mib(160), |nth| {
        let server = leaking(Command::new(program()), "3M/s");
        let (mut hog, mut leakwatch) = (None, None);
        in_turn(
            !nth.is_multiple_of(2),
            || {
                hog = Some(hogs());
                let kills = oom_kills();
                wait_until("an OOM kill", || oom_kills() > kills);
            },
            || leakwatch = Some(Leakwatch::ready(&server, &[])),
        );
        let kept = leakwatch.unwrap().keeps_alive(&server);
        drop(hog);
        kept
    });
}

/// Standard output and standard error are a pipe that nothing reads.
#[test]
#[ignore = "needs user-mode Linux"]
fn output_that_nothing_reads() {
    play(SmallMachine::of_mib(160), |nth| {
        let server = leaking(Command::new(program()), "5M/s");
        let dir = tempfile::tempdir().unwrap();
        let pipe = fifo(&dir, "pipe");
        // Open at both ends, so that opening it never waits.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let mut both = OpenOptions::new();
        let mut end = both.read(true).write(true).custom_flags(flags).open(&pipe).unwrap();
        let mut fill = || {
            while end.write(&[b'x'; 4096]).is_ok() {}
            while end.write(b"x").is_ok() {}
        };
        let mut leakwatch = None;
        in_turn(nth.is_multiple_of(2), &mut fill, || {
            leakwatch = Some(Leakwatch::by(to(&pipe), &server, &["--verbose"]));
        });
        leakwatch.unwrap().keeps_alive(&server)
    });
}

/// The file system with the log, the metrics and what is remembered is full.
#[test]
#[ignore = "needs user-mode Linux"]
fn the_disk_is_full() {
    play(SmallMachine::of_mib(160), |nth| {
        let server = leaking(Command::new(program()), "5M/s");
        let disk = Disk::of_kib(256);
        let (log, metrics) = (disk.path("log"), disk.path("leakwatch.prom"));
        File::create(&log).unwrap();
        let mut leakwatch = None;
        in_turn(
            nth.is_multiple_of(2),
            || disk.fill(),
            || {
                let metrics = metrics.to_str().unwrap();
                let mut command = to(&log);
                command.env("STATE_DIRECTORY", disk.path("state"));
                let options = ["--verbose", "--textfile", metrics];
                leakwatch = Some(Leakwatch::by(command, &server, &options));
            },
        );
        let leakwatch = leakwatch.unwrap();
        let kept = leakwatch.keeps_alive(&server);
        assert!(disk.is_full());
        // With room again it goes on where it was.
        fs::remove_file(disk.path("filler")).unwrap();
        leakwatch.cli.signal(nix::sys::signal::Signal::SIGUSR1);
        wait_until("the state in the log", || {
            fs::read_to_string(&log).unwrap().contains("RAM and swap")
        });
        kept
    });
}

/// Every process waits for its pages to come back from swap. The leak begins when they do: by the
/// clock, and what thrashes takes as long as the host lets it.
#[test]
#[ignore = "needs user-mode Linux"]
fn every_task_waits_for_swap() {
    play(SmallMachine::of_mib(128).with_swap_mib(256), |nth| {
        let (mut thrash, mut watched) = (None, None);
        in_turn(
            nth.is_multiple_of(2),
            || {
                // Touches more than there is of RAM, page by page, round and round.
                let script = "vec($x, (120 << 20) - 1, 8) = 1; for (my $i = 0;; $i += 4096) \
                              { vec($x, $i % (120 << 20), 8) = 2 }";
                let swapped = swapped_in();
                thrash = Some(Cli::start(Command::new("perl").args(["-e", script])));
                wait_until("swapping", || swapped_in() > swapped + 10_000);
            },
            || {
                let server = leaking(Command::new(program()), "5M/s");
                let leakwatch = Leakwatch::ready(&server, &[]);
                watched = Some((server, leakwatch));
            },
        );
        let ((server, leakwatch), thrash) = (watched.unwrap(), thrash.unwrap());
        let kept = leakwatch.keeps_alive(&server);
        assert!(Id::of(thrash.pid()).is_some_and(Id::runs), "nothing waited for swap any more");
        kept
    });
}

/// Both, the trouble first or last.
fn in_turn(trouble_first: bool, trouble: impl FnOnce(), leakwatch: impl FnOnce()) {
    if trouble_first {
        trouble();
        leakwatch();
    } else {
        leakwatch();
        trouble();
    }
}

/// Plays the scene in its machine, once or as often as asked for.
fn play(machine: SmallMachine, scene: impl Fn(u32) -> Duration) {
    let runs = std::env::var("LEAKWATCH_BRINK_RUNS").ok().and_then(|runs| runs.parse().ok());
    let runs: u32 = runs.unwrap_or(1);
    machine.at_most(AT_MOST * 2 * runs).play(&[], &["all"], |_| {
        // Later ones go on whatever became of the first.
        let once = |nth| catch_unwind(AssertUnwindSafe(|| scene(nth))).ok();
        let mut kept: Vec<Duration> = (0..runs).filter_map(once).collect();
        kept.sort();
        let name = std::thread::current().name().unwrap().to_owned();
        println!("{name}: {} of {runs}, after {kept:.1?}", kept.len());
        assert_eq!(kept.len(), runs as usize);
    });
}

/// A leakwatch that is to keep a server alive.
struct Leakwatch {
    cli: Cli,
    _state: TempDir,
}

impl Leakwatch {
    /// By a command that becomes it.
    fn by(mut command: Command, server: &Prefork, more: &[&str]) -> Self {
        let state = tempfile::tempdir().unwrap();
        let of = |(name, value): (&OsStr, Option<&OsStr>)| {
            (name == "STATE_DIRECTORY").then(|| value.map(PathBuf::from)).flatten()
        };
        let directory = command.get_envs().find_map(of).unwrap_or(state.path().to_owned());
        command.env("STATE_DIRECTORY", &directory);
        command.env("LEAKWATCH_CONFIG", "/dev/null");
        command.arg(Cli::program());
        command.env("LEAKWATCH_SERVER", prefork::ROW);
        command.args(["--pid", &server.master().pid.to_string(), "--interval", "1s"]).args(more);
        command.arg("--evidence").arg(directory.with_extension("evidence"));
        Self { cli: Cli::start(&mut command), _state: state }
    }

    /// The same once it has taken its first sample.
    fn ready(server: &Prefork, more: &[&str]) -> Self {
        let leakwatch = Self::by(Command::new("env"), server, more);
        leakwatch.wait_ready();
        leakwatch
    }

    /// A start amid the trouble takes what it takes.
    fn wait_ready(&self) {
        self.cli.err.expect_line(AT_MOST, "of the server", |line| line.contains("watching"));
    }

    /// Only the leaking worker ends, by leakwatch's signals, and leakwatch watches on. Returns how long
    /// the leak went on.
    fn keeps_alive(&self, server: &Prefork) -> Duration {
        let own = Id::of(self.cli.pid()).expect("leakwatch runs");
        let ends = || !server.ends("leaky").is_empty() || !own.runs();
        let said = || format!("{}{}", self.cli.out.text(), self.cli.err.text());
        let ended = wait::until(AT_MOST, ends);
        let after = server.age();
        println!("{}", said());
        assert!(ended, "the leaking worker never ended");
        assert!(own.runs(), "leakwatch has ended");
        match server.ends("leaky")[0].as_str() {
            "exit status: 0" => {}
            // In a stall the worker may get no turn to end within its grace, and where memory ends at
            // once there is no time for a grace; then it is killed by
            // leakwatch, and not by the kernel.
            "signal: 9 (SIGKILL)" => {
                assert!(said().contains("KILL: "), "{}", said());
            }
            how => panic!("{how}: {}", said()),
        }
        assert_eq!(server.ends("healthy"), [""; 0], "{}", said());
        let looks = process::switches(own.pid);
        wait_until("looks", || process::switches(own.pid) > looks + 4);
        assert!(own.runs(), "it is another");
        let score = fs::read_to_string(format!("/proc/{}/oom_score_adj", own.pid)).unwrap();
        assert_eq!(score.trim(), "-1000", "as far down as it goes");
        after
    }
}

fn wait_until(what: &str, is: impl Fn() -> bool) {
    assert!(wait::until(AT_MOST, is), "{what}: never");
}

fn program() -> String {
    prefork::program().to_str().unwrap().to_owned()
}

/// A server of whose two workers one leaks.
fn leaking(mut command: Command, rate: &str) -> Prefork {
    let server = Prefork::start_by(command.args(leak(rate)));
    server.wait_started("healthy", 1);
    server
}

fn leak(rate: &str) -> [&str; 10] {
    ["--leaky", "1", "--healthy", "1", "--cache", "0", "--max", "1G", "--rate", rate]
}

/// A command that becomes another one, whose output goes to that file.
fn to(file: &Path) -> Command {
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec \"$@\" >>\"$0\" 2>&1"]).arg(file);
    shell
}

fn fifo(dir: &TempDir, name: &str) -> PathBuf {
    let path = dir.path().join(name);
    rustix::fs::mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
    path
}

/// Processes that take all memory again and again, and that the kernel kills first.
fn hogs() -> Cli {
    let take = "while :; do choom -n 1000 -- \"$0\" --alone --rate 1G/s --max 16G; sleep 1; done";
    Cli::start(Command::new("sh").args(["-c", take]).arg(program()))
}

/// Promised memory, never used, until only the administrators' reserve is left. In one leap, since
/// leakwatch does not wait for the last one.
fn promised(reserve: u64) -> Vec<Vec<u8>> {
    let left = || meminfo("CommitLimit:").saturating_sub(meminfo("Committed_AS:"));
    let mut hoard = Vec::with_capacity(4096);
    hoard.push(Vec::with_capacity((left() - reserve) as usize));
    while left() >= reserve {
        hoard.push(Vec::with_capacity(256 << 10));
    }
    hoard
}

/// In bytes.
fn meminfo(name: &str) -> u64 {
    number("/proc/meminfo", name) << 10
}

fn oom_kills() -> u64 {
    number("/proc/vmstat", "oom_kill ")
}

fn swapped_in() -> u64 {
    number("/proc/vmstat", "pswpin ")
}

fn number(file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(file).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A file system of its own.
struct Disk(TempDir);

impl Disk {
    fn of_kib(size: u32) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let options = format!("size={size}k");
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &options, "tmpfs"]).arg(dir.path());
        assert!(mount.status().unwrap().success());
        Self(dir)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn fill(&self) {
        let mut file = File::create(self.path("filler")).unwrap();
        while file.write(&[0; 4096]).is_ok() {}
    }

    fn is_full(&self) -> bool {
        rustix::fs::statvfs(self.0.path()).unwrap().f_bavail == 0
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // A process that still writes there keeps it until it ends.
        Command::new("umount").arg("--lazy").arg(self.0.path()).status().ok();
    }
}
