//! SmallMachine: a throw-away Linux of little memory, in which the test that asks for it runs on.
//!
//! User-mode Linux: a whole kernel as a process of the host, with memory, swap, OOM killer, sysctls
//! and cgroups (v2) of its own and one CPU. The host's root is its root, read-only, so Apache,
//! leakwatch and the test program itself are there; small-machine.sh is its first process. It needs
//! neither root nor any device, is up within two seconds, and ends with the test in any case. Root
//! inside could make the host's files writable, as far as the test's own user can write them: run
//! only what would be run on the host too.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::fs::{StatVfsMountFlags, statvfs};
use tempfile::TempDir;

use super::lines::Lines;
use super::needs::{self, Need};
use super::process;
use super::turn::Turn;

/// The kernel, where Debian's package user-mode-linux has it.
pub const KERNEL: &str = "/usr/bin/linux.uml";
/// Process 1 of a machine with systemd, where the script looks for it.
const SYSTEMD: &str = "/lib/systemd/systemd";
/// Where a machine with systemd has its units; more may be put there.
pub const UNITS: &str = "/run/units";
/// Set inside, to the part that is to be played there.
const INSIDE: &str = "LEAKWATCH_SMALL_MACHINE";
/// What may be set outside and counts inside too.
const HANDED_ON: [&str; 3] = ["LEAKWATCH_BIN", "LEAKWATCH_BRINK_RUNS", "LEAKWATCH_E2E_SECONDS"];
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How to build one.
pub struct SmallMachine {
    memory_mib: u64,
    swap_mib: u64,
    sysctls: Vec<&'static str>,
    systemd: bool,
    at_most: Duration,
}

/// What a command said and how it ended.
pub struct Ran {
    /// Its exit code; absent when the machine ended first or the time was up.
    pub code: Option<i32>,
    pub out: Lines,
    /// What the kernel said.
    pub console: Lines,
}

impl SmallMachine {
    /// The kernel keeps some 26 MiB of it for itself.
    pub fn of_mib(memory_mib: u64) -> Self {
        let at_most = Duration::from_secs(240);
        Self { memory_mib, swap_mib: 0, sysctls: Vec::new(), systemd: false, at_most }
    }

    pub fn with_swap_mib(self, swap_mib: u64) -> Self {
        Self { swap_mib, ..self }
    }

    /// "key=value", as sysctl(8) takes it.
    pub fn with_sysctl(mut self, setting: &'static str) -> Self {
        self.sysctls.push(setting);
        self
    }

    /// systemd is its process 1, with the units in [`UNITS`], and the command one of its services.
    pub fn with_systemd(self) -> Self {
        Self { systemd: true, ..self }
    }

    /// The machine is ended after this time at the latest.
    pub fn at_most(self, at_most: Duration) -> Self {
        Self { at_most, ..self }
    }

    /// Does `scene` inside, once for each of `parts`, each in a machine of its own and all at once.
    /// To get there it runs the very test that calls it again, inside; so the call must be all
    /// that the test does.
    pub fn play(&self, needs: &[Need], parts: &[&str], scene: impl Fn(&str)) {
        if let Ok(part) = std::env::var(INSIDE) {
            needs::require(needs);
            return scene(&part);
        }
        let systemd = self.systemd.then_some(Need::Program(SYSTEMD, "systemd"));
        needs::require(&[needs, &[Need::SmallMachine], systemd.as_slice()].concat());
        let test = std::thread::current().name().expect("a test has a name").to_owned();
        let _turn = Turn::take();
        let all: Vec<Ran> = std::thread::scope(|scope| {
            let go_on = |part| {
                scope.spawn({
                    let test = &test;
                    move || self.go_on(test, part)
                })
            };
            let machines: Vec<_> = parts.iter().copied().map(go_on).collect();
            machines.into_iter().map(|machine| machine.join().expect("it only waits")).collect()
        });
        for ran in &all {
            print(&ran.out.text());
        }
        for (part, ran) in parts.iter().zip(all) {
            let ok = ran.code == Some(0) && ran.out.text().contains("test result: ok. 1 passed");
            assert!(
                ok,
                "'{test}', {part}: ended with {:?} in its machine, whose kernel said last:\n{}{}",
                ran.code,
                ran.last_words(20),
                ran.panic()
            );
        }
    }

    fn go_on(&self, test: &str, part: &str) -> Ran {
        let program = std::env::current_exe().expect("a test has a path");
        let program = program.to_str().expect("a readable path");
        self.run_part(part, &[program, "--exact", test, "--include-ignored", "--nocapture"])
    }

    /// Boots, runs the command, and ends the machine with all that still runs in it.
    pub fn run(&self, command: &[&str]) -> Ran {
        let _turn = Turn::take();
        self.run_part("", command)
    }

    fn run_part(&self, part: &str, command: &[&str]) -> Ran {
        let running = self.boot(part, command);
        let status = running.out.wait_for(self.at_most, |lines| {
            lines.iter().find_map(|line| {
                line.text().strip_prefix("small machine: status ")?.trim().parse().ok()
            })
        });
        Ran { code: status, out: running.out.clone(), console: running.console.clone() }
    }

    fn boot(&self, part: &str, command: &[&str]) -> Running {
        // The swap is there too: a slow disk would make it another test.
        let room = room_for(self.memory_mib + self.swap_mib).expect("checked by needs.rs");
        let dir = tempfile::tempdir_in(&room).expect("a temporary directory");
        let init = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/small-machine.sh");
        let mut kernel = Command::new("setpriv");
        // TERM, not KILL, if the test is killed: the kernel then ends its own helper processes.
        kernel.args(["--pdeathsig", "TERM", KERNEL]);
        kernel.arg(format!("mem={}M", self.memory_mib));
        kernel.args(["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "panic=-1"]);
        kernel.args(["console=tty0", "con=null", "con0=null,fd:2", "ssl=null", "ssl0=null,fd:1"]);
        kernel.arg(format!("uml_dir={}", dir.path().display()));
        if self.swap_mib > 0 {
            let swap = dir.path().join("swap");
            let file = File::create(&swap).expect("one's own directory");
            file.set_len(self.swap_mib << 20).expect("a sparse file");
            kernel.arg(format!("ubd0={}", swap.display()));
        }
        // What the kernel does not know is the environment of its first process.
        let mut set = |name: &str, value: &str| {
            kernel.arg(format!("{name}=\"{value}\""));
        };
        set("init", init);
        set("SYSCTLS", &self.sysctls.join(" "));
        set("SYSTEMD", if self.systemd { "yes" } else { "no" });
        set("SWAP", if self.swap_mib > 0 { "yes" } else { "no" });
        set("PATH", PATH);
        set("TMPDIR", "/dev/shm");
        set(INSIDE, part);
        // The load has 32 threads: stacks of 2 MiB would be most of a commit limit, and for each 32
        // bytes of address space (an arena a thread: 2 GiB) a process is granted one less.
        set("RUST_MIN_STACK", "131072");
        set("MALLOC_ARENA_MAX", "1");
        for name in HANDED_ON {
            if let Ok(value) = std::env::var(name) {
                set(name, &value);
            }
        }
        kernel.arg("--").args(command.iter().map(|word| format!("\"{word}\"")));
        let mut child = kernel
            .env("TMPDIR", room)
            // Its helper processes are in its group, which must not be the test's.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("setpriv is there");
        let out = Lines::of(child.stdout.take().expect("stdout is a pipe"));
        let console = Lines::of(child.stderr.take().expect("stderr is a pipe"));
        Running { child, out, console, _dir: dir }
    }
}

impl Ran {
    /// Why the test inside failed, as far as it could still say so: of a long report of many tests
    /// often the end alone is kept.
    fn panic(&self) -> String {
        let lines = self.out.all();
        match lines.iter().rposition(|line| line.text().contains(" panicked at ")) {
            Some(at) => lines[at..].iter().take(20).map(|line| line.text() + "\n").collect(),
            None => "nothing panicked inside".to_owned(),
        }
    }

    fn last_words(&self, count: usize) -> String {
        let lines = self.console.all();
        lines.iter().skip(lines.len().saturating_sub(count)).map(|l| l.text() + "\n").collect()
    }
}

/// A machine that is on; switched off on drop.
struct Running {
    child: Child,
    out: Lines,
    console: Lines,
    _dir: TempDir,
}

impl Drop for Running {
    fn drop(&mut self) {
        // One helper process for each address space inside, all in this group.
        process::kill_group(&self.child);
        self.child.wait().ok();
        // The pipe closes when the last of them is gone.
        self.console.wait_closed(Duration::from_secs(10));
    }
}

/// A directory that can hold a machine's memory, which is a file there. In memory if possible; a
/// container's /dev/shm may be too small or, as the kernel needs it otherwise, not executable.
pub fn room_for(memory_mib: u64) -> Option<PathBuf> {
    let fits = |dir: &Path| {
        statvfs(dir).is_ok_and(|fs| {
            let free = fs.f_bavail.saturating_mul(fs.f_frsize) >> 20;
            free >= memory_mib + 16 && !fs.f_flag.contains(StatVfsMountFlags::NOEXEC)
        })
    };
    [PathBuf::from("/dev/shm"), std::env::temp_dir()].into_iter().find(|dir| fits(dir))
}

/// The figures of a run, shown with --nocapture as where a test runs on the host.
#[allow(clippy::print_stdout)]
fn print(said: &str) {
    println!("{said}");
}
