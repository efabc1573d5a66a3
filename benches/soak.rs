//! Whether leakwatch grows: a watch for a long time, whose memory, descriptors and state must stay flat.
//!
//! ```text
//! cargo bench --bench soak                 # a million ticks on a clock of its own: some minutes
//! cargo bench --bench soak -- ticks 20000  # or so many
//! cargo bench --bench soak -- live 30      # so many minutes of a real watch, 200 forks a second
//! ```
//!
//! Exits with 1 when something grew: heap in use, anonymous and private dirty memory, descriptors,
//! files of state. The first tenth (live: fifth) is warm-up, in which every window fills once.
#![allow(clippy::print_stdout, clippy::unwrap_used, clippy::expect_used, reason = "a bench")]
#![allow(unsafe_code, reason = "it counts the bytes that are in use")]

use std::fs;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

#[allow(dead_code, unreachable_pub, missing_docs, reason = "the tests use the rest")]
#[path = "../tests/common"]
mod common {
    pub mod churn;
    pub mod fake_proc;
    pub mod live;
}

use common::churn::Churn;
use common::live;

#[global_allocator]
static GLOBAL: live::Counting = live::Counting;

/// Forks a second.
const FORKS: u32 = 200;
/// Seconds that such a child lives: longer than an interval, so that all are seen.
const LIFE: &str = "0.4";
/// Bytes that are no growth: a page of the heap here or there.
const SLACK: u64 = 64 << 10;

/// What must not grow.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    /// Heap in use in bytes, where it can be counted.
    heap: u64,
    /// RssAnon and Private_Dirty in bytes.
    anon: u64,
    dirty: u64,
    descriptors: u64,
    /// Bytes of files below a directory.
    state: u64,
}

/// What a file of /proc/PID says in kB.
fn bytes(pid: u32, file: &str, name: &str) -> u64 {
    let text = fs::read_to_string(format!("/proc/{pid}/{file}")).expect("it runs");
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let word = line.and_then(|line| line.split_whitespace().next());
    word.and_then(|word| word.parse::<u64>().ok()).expect("a size") << 10
}

impl Use {
    /// Of a process whose files are in that directory.
    fn of(pid: u32, dir: &Path) -> Self {
        let kib = |file: &str, name: &str| bytes(pid, file, name);
        let files = fs::read_dir(dir).expect("a directory").flatten();
        Self {
            heap: 0,
            anon: kib("status", "RssAnon:"),
            dirty: kib("smaps_rollup", "Private_Dirty:"),
            descriptors: fs::read_dir(format!("/proc/{pid}/fd")).expect("its owner").count() as u64,
            state: files.filter_map(|file| Some(file.metadata().ok()?.len())).sum(),
        }
    }

    /// The value of each below which so large a share of all lie: 0.5 is the median, 1 the most.
    fn quantile(all: &[Self], share: f64) -> Self {
        let of = |get: fn(&Self) -> u64| {
            let mut values: Vec<u64> = all.iter().map(get).collect();
            values.sort_unstable();
            let last = values.len().saturating_sub(1) as f64;
            values.get((last * share) as usize).copied().unwrap_or(0)
        };
        Self {
            heap: of(|u| u.heap),
            anon: of(|u| u.anon),
            dirty: of(|u| u.dirty),
            descriptors: of(|u| u.descriptors),
            state: of(|u| u.state),
        }
    }

    fn print(&self, when: &str) {
        let Self { heap, anon, dirty, descriptors, state } = self;
        let kib = |bytes: &u64| format!("{} KiB", bytes >> 10);
        println!(
            "{when:>14}  heap {:>9}  anon {:>9}  private dirty {:>9}  {descriptors:>4} descriptors  state {:>8}",
            kib(heap),
            kib(anon),
            kib(dirty),
            kib(state)
        );
    }
}

/// Compares the most that was used after the warm-up with what usually is in the end. The most, since
/// on a busy machine more children live at a time now and then: 1.5 to 2 MB for 50 to 100 of them.
fn verdict(after_warm_up: &[Use], in_the_end: &[Use]) -> ExitCode {
    let (before, after) = (Use::quantile(after_warm_up, 1.0), Use::quantile(in_the_end, 0.5));
    before.print("after warm-up");
    after.print("in the end");
    let mut flat = true;
    for (what, before, after, slack) in [
        ("heap in use", before.heap, after.heap, SLACK / 8),
        ("anonymous memory", before.anon, after.anon, SLACK),
        ("private dirty memory", before.dirty, after.dirty, SLACK),
        ("descriptors", before.descriptors, after.descriptors, 1 + before.descriptors / 20),
        ("state", before.state, after.state, SLACK),
    ] {
        if after > before + slack {
            println!("GREW: {what}, from {before} to {after}");
            flat = false;
        }
    }
    println!("{}", if flat { "flat" } else { "not flat" });
    if flat { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// On a fixture and a clock of its own.
fn ticks(count: u32) -> ExitCode {
    let mut server = Churn::start();
    let files = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    // At once, as it counts too.
    let mut uses = Vec::with_capacity(2_000);
    // An odd step, so that what is compared is in any state of what goes by tens.
    for nth in 1..=count {
        server.tick();
        if nth.is_multiple_of((count / 1000) | 1) {
            let own = Use::of(std::process::id(), files.path());
            uses.push(Use { heap: live::bytes() as u64, ..own });
        }
        if nth.is_multiple_of((count / 10).max(1)) {
            uses.last().copied().unwrap_or_default().print(&format!("{nth} ticks"));
        }
    }
    let us = begun.elapsed().as_micros() / u128::from(count.max(1));
    println!("{count} ticks, {us} µs each with the fixture's own work, {} orders", server.orders);
    let tenth = uses.len() / 10;
    verdict(&uses[tenth..2 * tenth], &uses[uses.len() - tenth..])
}

/// Killed on drop.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A real watch of a real server that forks.
fn watch(minutes: f64) -> ExitCode {
    let dir = tempfile::tempdir().unwrap();
    let own = std::env::current_exe().unwrap();
    let server = Running(Command::new(own).arg("churn").stdin(Stdio::null()).spawn().unwrap());
    let metrics = dir.path().join("leakwatch.prom");
    let watch = Command::new(env!("CARGO_BIN_EXE_leakwatch"))
        .args(["--pid", &server.0.id().to_string(), "--interval", "1s", "--budget", "8G"])
        .args(["--format", "json", "--textfile"])
        .arg(metrics)
        .args(["--state-dir".as_ref(), dir.path()])
        .env("LEAKWATCH_CONFIG", "/dev/null")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let mut watch = Running(watch);
    let begun = Instant::now();
    let all = Duration::from_secs_f64(minutes * 60.0);
    let mut uses = Vec::new();
    std::thread::sleep(Duration::from_secs(1));
    // The heap that it sets aside for the worst minute: only an optimised build optimises it away.
    assert!(bytes(watch.0.id(), "status", "VmData:") > 2 << 20, "no heap is set aside");
    while begun.elapsed() < all {
        std::thread::sleep(Duration::from_secs(2));
        uses.push(Use::of(watch.0.id(), dir.path()));
        if uses.len().is_multiple_of((all.as_secs() as usize / 20).max(1)) {
            let age = format!("{:.1} min", begun.elapsed().as_secs_f64() / 60.0);
            let last = uses.last_chunk::<10>().map_or(&uses[..], |last| &last[..]);
            Use::quantile(last, 0.5).print(&age);
        }
    }
    // It says what it used and how late it was.
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(watch.0.id().cast_signed()),
        nix::sys::signal::Signal::SIGTERM,
    )
    .unwrap();
    let _ = watch.0.wait();
    let fifth = uses.len() / 5;
    verdict(&uses[fifth..2 * fifth], &uses[uses.len() - fifth..])
}

/// The server: so many forks a second, for ever; ends with its parent.
fn churn() -> ExitCode {
    let parent = nix::unistd::getppid();
    let mut children: Vec<Child> = Vec::new();
    let mut due = Instant::now();
    while nix::unistd::getppid() == parent {
        children.extend(Command::new("sleep").arg(LIFE).stdin(Stdio::null()).spawn());
        children.retain_mut(|child| !matches!(child.try_wait(), Ok(Some(_))));
        // A fork that was missed is not made up for: thousands at once would be another test.
        let now = Instant::now();
        due = (due + Duration::from_secs(1) / FORKS).max(now);
        std::thread::sleep(due - now);
    }
    ExitCode::SUCCESS
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let number = args.get(1).and_then(|arg| arg.parse::<f64>().ok());
    match args.first().map(String::as_str) {
        Some("churn") => churn(),
        Some("live") => watch(number.unwrap_or(30.0)),
        _ => ticks(number.unwrap_or(1e6) as u32),
    }
}
