//! How a leaking Apache takes a small machine to its end, limit by limit: without leakwatch fork fails
//! or the OOM killer strikes; with it neither does, and the limit was named before.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::{Duration, Instant};

use crate::common::apache::{Apache, Mode};
use crate::common::cgroup::Cgroup;
use crate::common::cli::{Cli, PROMPTLY};
use crate::common::events;
use crate::common::load::{Load, Plan};
use crate::common::needs::Need;
use crate::common::process::{self, Id};
use crate::common::small_machine::SmallMachine;

const NEEDS: [Need; 2] = [Need::Apache, Need::ModPerl];
/// Each in a machine of its own, at the same time.
const PARTS: [&str; 2] = ["without", "with"];
/// Few, so that the processor is never what is short.
const PER_SECOND: f64 = 10.0;
/// Workers at most. A slow host makes Apache start more than it needs; ended ones it does not replace,
/// and leakwatch stops at half of a pool.
const FEW: u32 = 5;
/// Who wait for an answer at once at most, well below the workers that Apache may start.
const MOST_VISITORS: usize = 120;
/// Without leakwatch all is over long before.
const AT_MOST: Duration = Duration::from_secs(180);

/// Strict accounting: what is promised counts, used or not, and fork is refused when it is too much.
#[test]
#[ignore = "needs Apache with mod_perl and user-mode Linux"]
fn over_the_commit_limit_apache_cannot_fork_but_with_leakwatch_it_can() {
    let machine = SmallMachine::of_mib(384)
        .with_sysctl("vm.overcommit_memory=2")
        .with_sysctl("vm.overcommit_ratio=50");
    machine.play(&NEEDS, &PARTS, |part| {
        let scene = Scene::with(480, if part == "without" { 150 } else { FEW }, None);
        if part == "without" {
            // Perl ends a worker that gets no memory, which makes room: fork must be needed just before,
            // and again where a busy machine was too late with it.
            let visitors = RefCell::new(Vec::new());
            scene.leak_until("fork fails", |scene| {
                if Machine::now().commit < 18 && visitors.borrow().len() < MOST_VISITORS {
                    visitors.borrow_mut().extend(scene.visitors(12));
                }
                scene.fork_failed()
            });
            let errno = "(12)Cannot allocate memory: AH00159: fork: Unable to fork new process";
            assert!(scene.apache.log.text().contains(errno), "{}", scene.story());
            return;
        }
        let enough = Machine::now().commit * 4 / 3;
        scene.kept_alive("commit", enough, || {
            for mut visitor in scene.visitors(4) {
                let mut answer = String::new();
                visitor.read_to_string(&mut answer).unwrap();
                assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
            }
        });
    });
}

/// The usual machine: fork never fails, the kernel kills instead.
#[test]
#[ignore = "needs Apache with mod_perl and user-mode Linux"]
fn out_of_ram_workers_are_killed_but_with_leakwatch_none_is() {
    SmallMachine::of_mib(256).play(&NEEDS, &PARTS, |part| {
        let scene = Scene::with(480, FEW, None);
        if part == "without" {
            return scene.leak_until("an OOM kill", |_| Machine::now().oom_kills > 0);
        }
        scene.kept_alive("ram", Machine::now().ram * 4 / 3, || ());
    });
}

/// What leaks is never used again, so it is swapped out: resident sizes fall while the leak goes on.
#[test]
#[ignore = "needs Apache with mod_perl and user-mode Linux"]
fn out_of_swap_workers_are_killed_but_with_leakwatch_none_is() {
    SmallMachine::of_mib(224).with_swap_mib(140).play(&NEEDS, &PARTS, |part| {
        let scene = Scene::with(576, FEW, None);
        let all = Machine::now().ram + Machine::now().swap;
        if part == "without" {
            return scene.leak_until("an OOM kill", |_| Machine::now().oom_kills > 0);
        }
        scene.kept_alive("ram", all * 4 / 3, || ());
        assert!(scene.swap.borrow().hid_growth, "no worker's resident size fell");
    });
}

/// The limit is not on Apache's own cgroup but on the one around it, as on a slice or a container.
#[test]
#[ignore = "needs Apache with mod_perl and user-mode Linux"]
fn out_of_a_cgroup_s_memory_workers_are_killed_but_with_leakwatch_none_is() {
    SmallMachine::of_mib(384).play(&NEEDS, &PARTS, |part| {
        let outer = Cgroup::with_memory(176 << 20).unwrap();
        let inner = outer.inner();
        let scene = Scene::with(480, FEW, Some(&inner));
        if part == "without" {
            scene.leak_until("an OOM kill", |_| outer.oom_kills() > 0);
        } else {
            scene.kept_alive("cgroup-memory", 176 * 4 / 3, || ());
            assert_eq!(outer.oom_kills(), 0);
        }
    });
}

/// A leaking Apache under load.
struct Scene {
    kib: u64,
    apache: Apache,
    load: Load,
    start: Instant,
    at_first: Machine,
    swap: RefCell<SwappedOut>,
}

impl Scene {
    /// Every request keeps so many KiB.
    fn with(kib: u32, workers: u32, cgroup: Option<&Cgroup>) -> Self {
        let setup = Apache::that(Mode::Leak { kib }).with_workers(workers).contained();
        let apache = cgroup.map_or(setup, |cgroup| setup.inside(cgroup)).start();
        let (start, at_first) = (Instant::now(), Machine::now());
        let load = Load::start(Plan::of(apache.port(), Apache::PATH, PER_SECOND));
        let swap = RefCell::default();
        Self { kib: kib.into(), apache, load, start, at_first, swap }
    }

    /// Lets the load run until that is so; panics when it never is.
    fn leak_until(&self, what: &str, happened: impl Fn(&Self) -> bool) {
        while !happened(self) {
            assert!(self.start.elapsed() < AT_MOST, "{what}: never; {}", self.story());
            std::thread::sleep(Duration::from_millis(200));
            self.swap.borrow_mut().look_at(&self.apache.workers());
        }
        println!("{what}: after {}", self.story());
    }

    /// Under leakwatch it may leak so many MiB, more than there is, and no request fails; `then` runs at the end.
    fn kept_alive(&self, ceiling: &str, mib: u64, then: impl FnOnce()) {
        let leakwatch = leakwatch();
        self.leak_until(&format!("{mib} MiB are leaked"), |scene| {
            scene.leaked_mib() > mib || scene.fork_failed() || Machine::now().oom_kills > 0
        });
        then();

        let (tally, log) = (self.load.so_far(), self.apache.log.text());
        let ended = leakwatch.stop();
        println!("{}{}", ended.out.text(), ended.err.text());
        assert!(!self.fork_failed(), "{log}");
        assert_eq!(Machine::now().oom_kills, 0);
        assert!(tally.failures().is_empty(), "{}", tally.summary());
        assert!(self.apache.master().runs(), "the master is gone:\n{log}");
        let all = events::all(&ended.out);
        // By time: of one sample, the worst is said first.
        let first = |name| {
            all.iter().find(|event| event.name() == name).map(|event| event.json["t"].as_f64())
        };
        assert!(first("growing").or(first("leak")).is_some(), "no growth");
        assert!(first("forecast").is_some(), "no forecast");
        assert!(first("forecast") <= first("order"), "ended a worker before it said why");
        let named: Vec<_> =
            all.iter().filter(|e| ["forecast", "order"].contains(&e.name())).collect();
        for event in &named {
            assert_eq!(event.text("ceiling"), ceiling, "{}", event.json);
        }
        let orders = events::named(&ended.out, "order");
        assert!(orders.len() >= 2, "{} orders", orders.len());
        assert!(orders.iter().all(|order| order.text("signal") == "USR1"), "not gentle");
        assert!(matches!(ended.code, Some(1 | 2)), "{:?}", ended.code);
    }

    /// So many at once and for so long that Apache needs more workers: it has to fork.
    fn visitors(&self, count: usize) -> Vec<TcpStream> {
        let request = format!(
            "GET {}?kib=0&sleep=5 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
            Apache::PATH
        );
        let visit = |_| {
            let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.apache.port())).unwrap();
            stream.write_all(request.as_bytes()).unwrap();
            stream
        };
        (0..count).map(visit).collect()
    }

    fn fork_failed(&self) -> bool {
        self.apache.log.text().contains("AH00159")
    }

    /// By all workers so far, also those that are gone.
    fn leaked_mib(&self) -> u64 {
        (self.load.so_far().answers().count() as u64 * self.kib) >> 10
    }

    fn story(&self) -> String {
        format!(
            "{:.0?}, {}, {} MiB leaked, at first {}, now {}; Apache said:\n{}",
            self.start.elapsed(),
            self.load.so_far().summary(),
            self.leaked_mib(),
            self.at_first,
            Machine::now(),
            self.apache.log.text()
        )
    }
}

/// Whether swapping made a leak look like its opposite.
#[derive(Default)]
struct SwappedOut {
    /// The most that was resident of each worker, in KiB.
    peaks: HashMap<Id, u64>,
    /// A worker lost a tenth of what was resident, and in all it had more than ever.
    hid_growth: bool,
}

impl SwappedOut {
    fn look_at(&mut self, workers: &[Id]) {
        for &worker in workers {
            let (resident, swapped) = process::anon_and_swap_kib(worker.pid);
            let peak = self.peaks.entry(worker).or_default();
            self.hid_growth |= resident * 10 < *peak * 9 && resident + swapped > *peak;
            *peak = resident.max(*peak);
        }
    }
}

/// leakwatch as in the README, but with JSON and a sample every second.
fn leakwatch() -> Cli {
    let cli = Cli::leakwatch(["--pattern", "apache2", "--interval", "1s", "--format", "json"]);
    cli.err.expect_line(PROMPTLY, "that says what is watched", |line| line.contains("watching"));
    cli
}

/// What this machine has left, in MiB, and how many processes its kernel killed.
struct Machine {
    ram: u64,
    swap: u64,
    commit: u64,
    oom_kills: u64,
}

impl Machine {
    fn now() -> Self {
        let read = |path, name: &str| -> u64 {
            let text = std::fs::read_to_string(path).unwrap();
            let line = text.lines().find(|line| line.starts_with(name)).unwrap();
            line.split_whitespace().nth(1).unwrap().parse().unwrap()
        };
        let mib = |name| read("/proc/meminfo", name) >> 10;
        Self {
            ram: mib("MemAvailable:"),
            swap: mib("SwapFree:"),
            commit: mib("CommitLimit:").saturating_sub(mib("Committed_AS:")),
            oom_kills: read("/proc/vmstat", "oom_kill "),
        }
    }
}

impl std::fmt::Display for Machine {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let Self { ram, swap, commit, oom_kills } = self;
        write!(f, "{ram} MiB RAM, {swap} swap, {commit} to commit left, {oom_kills} OOM kills")
    }
}
