//! The census against programs that say themselves what they hold (tests/fixtures/census/heap.c).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use leakwatch::core::census::{Census, GrowthCause, Looks};
use leakwatch::system::heap_census::CensusTarget;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::lines::Lines;
use crate::common::process;

/// The program, compiled once.
fn program() -> &'static PathBuf {
    static BUILT: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let built = || {
        let dir = tempfile::tempdir().unwrap();
        let path = compile(dir.path());
        (dir, path)
    };
    &BUILT.get_or_init(built).1
}

fn compile(dir: &Path) -> PathBuf {
    let path = dir.join("heap");
    let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/census/heap.c");
    let mut compiler = Command::new("cc");
    compiler.args(["-O1", "-pthread", "-o"]).arg(&path).arg(source);
    let status = compiler.status().expect("cc runs: it links Rust's programs too");
    assert!(status.success(), "cc cannot compile {source}");
    path
}

/// A running one.
struct Heap {
    child: Child,
    input: ChildStdin,
    out: Lines,
    told: usize,
}

/// What its malloc counts.
#[derive(Clone, Copy, Debug)]
struct Told {
    pid: u32,
    in_use: u64,
    fast: u64,
}

impl Heap {
    fn start(environment: &[(&str, &str)]) -> Self {
        let mut command = Command::new(program());
        command.envs(environment.iter().copied()).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Its child after a fork ends with it, by the end of its input.
        let mut child = command.spawn().unwrap();
        let (input, out) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, input, out: Lines::of(out), told: 0 }
    }

    /// Has it do something, and returns what it counts then.
    fn tell(&mut self, command: &str) -> Told {
        writeln!(self.input, "{command}").unwrap();
        let nth = self.told;
        let line = self.out.wait_for(Duration::from_secs(60), |lines| lines.get(nth).cloned());
        let text = line.unwrap_or_else(|| panic!("no answer to '{command}'")).text();
        self.told += 1;
        let words: Vec<u64> = text.split(' ').map(|word| word.parse().unwrap()).collect();
        Told { pid: words[0] as u32, in_use: words[1] + words[2], fast: words[3] }
    }
}

impl Drop for Heap {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn census(pid: u32) -> Census {
    CensusTarget::of(pid).unwrap().census(&mut || true).unwrap()
}

/// The share by which the census is wrong: what malloc has in use includes what threads keep (tcache),
/// and not the fastbins.
fn error(told: Told, census: &Census) -> f64 {
    let counted = census.in_use + census.cached - told.fast.min(census.cached);
    (counted as f64 - told.in_use as f64).abs() / told.in_use as f64
}

fn assert_agrees(heap: &mut Heap, last: &str) {
    let told = heap.tell(last);
    let census = census(told.pid);
    let error = error(told, &census);
    assert!(error < 0.02, "{:.1} % wrong after '{last}': {told:?}\n{census:?}", 100.0 * error);
    assert!(census.lost < census.in_heaps / 100, "{census:?}");
}

#[test]
fn bytes_in_use_are_what_the_program_s_own_malloc_counts() {
    for commands in [
        &["a 7000 2000"][..],
        &["a 20000 24", "f 10"],
        &["a 20000 3000", "f 3", "a 5000 1000"],
        &["a 40 300000", "a 3000 701"],
        &["t 6 2000 500", "a 1000 100"],
        &["t 2 30000 4000"],
        &["a 10000 2000", "k", "a 5000 1500", "f 2"],
    ] {
        let mut heap = Heap::start(&[]);
        let (last, before) = commands.split_last().unwrap();
        for command in before {
            heap.tell(command);
        }
        assert_agrees(&mut heap, last);
    }
}

#[test]
fn a_census_leaves_in_common_what_a_fork_has_in_common() {
    let mut heap = Heap::start(&[]);
    heap.tell("a 20000 2000");
    let worker = heap.tell("k").pid;
    let before = process::own_kib(worker);
    let counted = census(worker).in_use >> 10;
    let copied = process::own_kib(worker) - before;
    assert!(counted > 35_000 && copied < 1_000, "{copied} of {counted} KiB");
}

#[test]
fn a_leak_is_named_by_its_size_and_growth_that_was_freed_is_none() {
    let mut heap = Heap::start(&[]);
    let mut looks = Looks::default();
    for _ in 0..5 {
        heap.tell("c 3000 700");
        looks.push(census(heap.tell("a 300 2000").pid));
    }
    let finding = looks.judge().unwrap();
    assert_eq!(finding.cause, GrowthCause::Leak);
    let named = (finding.grown[0].size, finding.grown[0].blocks);
    assert_eq!(named, (2016, 4 * 300));

    let mut heap = Heap::start(&[]);
    heap.tell("a 20000 2000");
    heap.tell("f 20");
    let mut looks = Looks::default();
    for _ in 0..5 {
        looks.push(census(heap.tell("c 300 5000").pid));
    }
    let finding = looks.judge().unwrap();
    assert!(matches!(finding.cause, GrowthCause::Kept(_)), "{finding:?}");
}

#[test]
fn threads_that_share_one_heap_are_counted() {
    let mut heap = Heap::start(&[("GLIBC_TUNABLES", "glibc.malloc.arena_max=1")]);
    assert_agrees(&mut heap, "t 4 1000 100");
}

#[test]
fn a_heap_that_is_used_meanwhile_is_counted_all_the_same() {
    let mut heap = Heap::start(&[]);
    let pid = heap.tell("w 20000").pid;
    let subject = CensusTarget::of(pid).unwrap();
    // Once it has its blocks, it holds 40 MB and more, whatever it does.
    while process::anon_kib(pid) < 40_000 {
        std::thread::yield_now();
    }
    let mut lost = Vec::new();
    for _ in 0..20 {
        let census = subject.census(&mut || true).unwrap();
        let share = (census.in_use + census.lost) as f64 / (census.footprint as f64);
        assert!((0.5..1.02).contains(&share), "{share}: {census:?}");
        lost.push(census.lost as f64 / census.in_heaps as f64);
    }
    // The processor may be taken from a census for as long as the heap takes to change all over.
    lost.sort_by(f64::total_cmp);
    assert!(lost[15] < 0.02 && lost[19] < 0.2, "{lost:?}");
}

#[test]
fn the_command_reports_and_says_what_it_cannot_read() {
    let mut heap = Heap::start(&[]);
    heap.tell("a 20000 2000");
    let pid = heap.tell("f 20").pid.to_string();
    // Where only a descendant may be read (kernel.yama.ptrace_scope 1), root alone can.
    let ended = Cli::leakwatch(["census", &pid, "--format", "json"]).end(PROMPTLY);
    if ended.code == Some(0) {
        let json: serde_json::Value = serde_json::from_str(&ended.out.text()).unwrap();
        assert_eq!(json["finding"]["verdict"], "kept-by-the-allocator", "{json}");
        assert_eq!(json["sizes"][0]["size"], 2016, "{json}");
        let ended = Cli::leakwatch(["census", &pid]).end(PROMPTLY);
        assert!(ended.out.text().contains("That is no leak"), "{}", ended.out.text());
    } else {
        assert!(ended.err.text().contains("hint: run as root"), "{}", ended.err.text());
    }
    let ended = Cli::leakwatch(["census", "4294967295"]).end(PROMPTLY);
    assert_eq!(ended.code, Some(3));
    assert!(ended.err.text().contains("it has ended\n  hint:"), "{}", ended.err.text());
}

#[test]
fn a_diagnosis_says_that_the_allocator_keeps_what_was_freed() {
    let mut heap = Heap::start(&[]);
    heap.tell("a 40000 2000");
    let pid = heap.tell("f 20").pid.to_string();
    let logs = tempfile::tempdir().unwrap();
    let logs = logs.path().to_str().unwrap();
    let diagnose = |more: &[&str]| {
        let args = ["diagnose", "--for", "0", "--pid", &pid, "--no-state", "--logs", logs];
        Cli::leakwatch([&args, more].concat()).end(PROMPTLY).out.text()
    };
    let json: serde_json::Value = serde_json::from_str(&diagnose(&["--format", "json"])).unwrap();
    let unseen = json["unseen"].as_array().unwrap();
    if unseen.iter().any(|note| note.as_str().unwrap().contains("CAP_SYS_PTRACE")) {
        return; // Only a descendant may be read here.
    }
    assert_eq!(json["heaps"][0]["finding"]["verdict"], "kept-by-the-allocator", "{json}");
    let text = diagnose(&[]);
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("Heap of heap[{pid}]: The allocator keeps")), "{text}");
}

/// Whether that is the helper who takes censuses.
fn takes_censuses(helper: &process::Id) -> bool {
    let name = std::fs::read(format!("/proc/{}/cmdline", helper.pid)).unwrap_or_default();
    name.starts_with(b"leakwatch-census")
}

/// Starts a command whose census takes a while, stops the helper as the kernel may where a page never
/// comes, and says how the command ended and how long after that.
fn held(args: impl Fn(&str) -> Vec<String>, then: impl Fn(&Cli)) -> (Ended, Duration) {
    let mut heap = Heap::start(&[]);
    let pid = heap.tell("a 200000 2000").pid;
    let cli = Cli::leakwatch(args(&pid.to_string()));
    // Without a pause: a census takes a few tenths of a second.
    let started = Instant::now();
    let helper = loop {
        if let Some(helper) = process::children(cli.pid()).into_iter().find(takes_censuses) {
            break Pid::from_raw(helper.pid.cast_signed());
        }
        assert!(started.elapsed() < PROMPTLY, "no helper:\n{}", cli.err.text());
        std::thread::yield_now();
    };
    kill(helper, Signal::SIGSTOP).expect("a helper of what this test started");
    let began = Instant::now();
    then(&cli);
    (cli.end(PROMPTLY), began.elapsed())
}

#[test]
fn a_helper_that_is_held_up_holds_up_no_census_and_no_signal() {
    let census = |pid: &str| vec!["census".to_owned(), pid.to_owned()];
    let (ended, after) = held(census, |_| {});
    assert_eq!(ended.code, Some(3), "{}", ended.out.text());
    assert!(ended.err.text().contains("it gives no answer\n  hint:"), "{}", ended.err.text());
    assert!(after < Duration::from_secs(15), "5.5 s, and what a busy machine adds: {after:?}");
    let (ended, after) = held(census, |cli| cli.signal(Signal::SIGTERM));
    assert!(ended.code.is_some() && after < Duration::from_secs(4), "{after:?}");
}

#[test]
fn a_helper_that_is_held_up_holds_up_no_diagnosis() {
    let args = |pid: &str| {
        let words =
            ["diagnose", "--for", "2", "--no-state", "--logs", "/nonexistent", "--pid", pid];
        words.map(str::to_owned).to_vec()
    };
    let (ended, after) = held(args, |_| {});
    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
    let text = ended.out.text();
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("gave no answer, as where a file system"), "{text}");
    assert!(after < Duration::from_secs(15), "{after:?}");
}

/// A generator of programs: the same for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

/// One random program: how wrong its bytes in use were, whether it leaks, and the verdict.
fn mix(seed: u64) -> (f64, &'static str, GrowthCause) {
    let mut dice = Dice(seed);
    let mut heap = Heap::start(&[]);
    let size = |dice: &mut Dice| 16 << dice.roll(9) | dice.roll(16);
    for _ in 0..2 + dice.roll(5) {
        let size = size(&mut dice);
        let many = 1 + (2 << 20) / size * (1 + dice.roll(4));
        heap.tell(&match dice.roll(5) {
            0 => format!("t {} {} {size}", 1 + dice.roll(4), many / 4 + 1),
            1 => format!("c {many} {size}"),
            2 => format!("f {}", 2 + dice.roll(9)),
            _ => format!("a {many} {size}"),
        });
    }
    if dice.roll(4) == 0 {
        heap.tell("k");
    }
    let kind = ["leak", "kept", "still"][dice.roll(3) as usize];
    if kind == "kept" {
        // Twice as much as there is, freed but for one in 30.
        let held = heap.tell("c 1 1").in_use;
        heap.tell("f 1");
        let size = 1000 + dice.roll(3000) * 2;
        heap.tell(&format!("a {} {size}", 2 * held / size + 8000));
        heap.tell("f 30");
    }
    let (leaked, churned) = (size(&mut dice), size(&mut dice));
    let mut looks = Looks::default();
    let mut worst = 0.0_f64;
    for _ in 0..7 {
        heap.tell(&format!("c {} {churned}", 1 + dice.roll(400)));
        let command = match kind {
            "leak" => format!("a {} {leaked}", 1 + (200 << 10) / leaked),
            _ => format!("c {} {leaked}", 1 + dice.roll(400)),
        };
        let told = heap.tell(&command);
        let census = census(told.pid);
        worst = worst.max(error(told, &census));
        looks.push(census);
    }
    (worst, kind, looks.judge().unwrap().cause)
}

/// How many random programs: LEAKWATCH_E2E_MIXES makes it more. 200 take four minutes.
fn mixes() -> u64 {
    std::env::var("LEAKWATCH_E2E_MIXES").ok().and_then(|text| text.parse().ok()).unwrap_or(12)
}

#[test]
#[ignore = "takes a while"]
fn random_programs_are_counted_and_judged_rightly() {
    let (mut wrong, mut far, mut worst) = (Vec::new(), 0, 0.0_f64);
    for seed in 0..mixes() {
        let (error, kind, cause) = mix(seed);
        let is_right = match kind {
            "leak" => cause == GrowthCause::Leak,
            "kept" => matches!(cause, GrowthCause::Kept(_)),
            _ => cause != GrowthCause::Leak,
        };
        far += u32::from(error > 0.02);
        worst = worst.max(error);
        if !is_right {
            println!("{seed}: {kind} was judged {cause:?}");
            wrong.push((kind, cause));
        }
    }
    println!(
        "{} programs: {} judged wrongly, {far} counted more than 2 % wrong, {:.2} % at worst",
        mixes(),
        wrong.len(),
        100.0 * worst
    );
    assert!(wrong.len() as u64 <= mixes() / 20 && far == 0, "{wrong:?}");
    assert!(!wrong.iter().any(|(kind, cause)| *kind != "leak" && *cause == GrowthCause::Leak));
}
