//! The main job, end to end, on a real leaking Apache in little memory.

use std::time::{Duration, Instant};

use crate::common::apache::{Apache, Mode};
use crate::common::cgroup::Cgroup;
use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::events::{self, Event};
use crate::common::load::{Load, Plan, Tally};
use crate::common::needs::{self, Need};
use crate::common::process::Id;
use crate::common::turn::Turn;
use crate::common::wait;

const NEEDS: [Need; 4] = [Need::Apache, Need::ModPerl, Need::Root, Need::Cgroup];
const MIB: u64 = 1 << 20;

/// The machine of these tests: what Apache and its workers may have.
const MEMORY: u64 = 192 * MIB;
/// With 30 requests a second 3.75 MiB/s: without leakwatch the first OOM kill comes after 53 s.
const LEAK: Mode = Mode::Leak { kib: 128 };
const PER_SECOND: f64 = 30.0;

/// How long a run lasts whose length is not given by an event.
fn seconds(usual: u64) -> Duration {
    let longer = std::env::var("LEAKWATCH_E2E_SECONDS").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(longer.unwrap_or(usual))
}

/// An Apache in little memory. leakwatch, the load and the test stay outside.
struct Scene {
    apache: Apache,
    /// After Apache: it would take Apache along.
    memory: Cgroup,
    _turn: Turn,
}

impl Scene {
    fn with(mode: Mode) -> Self {
        let turn = Turn::take();
        let memory = Cgroup::with_memory(MEMORY).unwrap();
        let apache = Apache::that(mode).inside(&memory).start();
        Self { apache, memory, _turn: turn }
    }

    fn load(&self) -> Load {
        Load::start(Plan::of(self.apache.port(), Apache::PATH, PER_SECOND))
    }

    /// Long requests that leak while they run (1 MiB/s each), six of them under way at any time.
    fn long_requests(&self) -> Load {
        let path = format!("{}?kib=0&sleep=4&drip=100", Apache::PATH);
        Load::start(Plan::of(self.apache.port(), path, 1.5))
    }

    /// leakwatch on this Apache alone: others may run on this machine.
    fn leakwatch(&self, more: &[&str]) -> Cli {
        let master = self.apache.master().pid.to_string();
        self.leakwatch_selecting(&[&["--pid", &master], more].concat())
    }

    fn leakwatch_selecting(&self, selection: &[&str]) -> Cli {
        let cli = Cli::leakwatch([&["--interval", "1s", "--format", "json"], selection].concat());
        cli.err
            .expect_line(PROMPTLY, "that says what is watched", |line| line.contains("watching"));
        cli
    }

    /// What must be so after every run under leakwatch, however it was selected.
    fn assert_kept(&self, tally: &Tally) {
        let log = self.apache.log.text();
        assert_eq!(self.memory.oom_kills(), 0, "OOM kills");
        assert!(tally.failures().is_empty(), "{}", tally.summary());
        assert!(!log.contains("AH00159"), "Apache could not fork:\n{log}");
        assert!(self.apache.master().runs(), "the master is gone:\n{log}");
    }

    /// The workers that answered requests and are no more. Apache itself ends none here.
    fn ended_workers(&self, tally: &Tally) -> Vec<u32> {
        let running = self.apache.workers();
        let runs = |pid: &u32| running.iter().any(|worker| worker.pid == *pid);
        tally.workers().into_keys().filter(|pid| !runs(pid)).collect()
    }
}

/// Lets the load run for that time, or until a worker is OOM-killed.
fn let_run(scene: &Scene, span: Duration) {
    wait::until(span, || scene.memory.oom_kills() > 0);
}

/// Orders and outcomes as they must be: gentle, in order, each ended worker gone and none hurt.
fn assert_gentle(ended: &Ended, scene: &Scene) -> Vec<Event> {
    let orders = events::named(&ended.out, "order");
    let outcomes = events::named(&ended.out, "outcome");
    for order in &orders {
        assert_eq!(
            (order.text("step"), order.text("signal")),
            ("gentle", "USR1"),
            "{}",
            order.json
        );
        assert_ne!(order.pid(), scene.apache.master().pid, "the master: {}", order.json);
    }
    for outcome in &outcomes {
        assert_eq!(outcome.text("result"), "gone", "{}", outcome.json);
    }
    // One victim at a time; the last order may still be under way when leakwatch is stopped.
    let open = orders.len() - outcomes.len();
    assert!(open <= 1, "{} orders, {} outcomes", orders.len(), outcomes.len());
    orders
}

fn pids(events: &[Event]) -> Vec<u32> {
    events.iter().map(Event::pid).collect()
}

/// The danger is real: without leakwatch the kernel kills workers in the middle of their requests.
#[test]
#[ignore = "needs Apache with mod_perl, root and a memory cgroup"]
fn without_leakwatch_a_leaking_apache_ends_in_oom_kills() {
    needs::require(&NEEDS);
    let scene = Scene::with(LEAK);
    let (base, start) = (scene.memory.usage() / MIB, Instant::now());
    let load = scene.load();

    let_run(&scene, Duration::from_secs(180));

    let kills = scene.memory.oom_kills();
    let tally = load.finish();
    println!("base {base} MiB, first kill after {:.0?}, {}", start.elapsed(), tally.summary());
    assert!(kills > 0, "no OOM kill; usage {} MiB", scene.memory.usage() / MIB);
}

/// The main job: the same leak and load, and only leakwatch's log shows that anything happened.
#[test]
#[ignore = "needs Apache with mod_perl, root and a memory cgroup"]
fn with_leakwatch_a_leaking_apache_loses_no_request_and_no_healthy_worker() {
    needs::require(&NEEDS);
    let scene = Scene::with(LEAK);
    let load = scene.load();
    let leakwatch = scene.leakwatch(&[]);

    let_run(&scene, seconds(70));

    let tally = load.finish();
    let ended = leakwatch.stop();
    let orders = assert_gentle(&ended, &scene);
    let gone = events::named(&ended.out, "outcome").len();
    let peak = scene.memory.peak().unwrap_or_default() / MIB;
    println!("{gone} workers ended, peak {peak} of {} MiB, {}", MEMORY / MIB, tally.summary());
    println!("{}{}", ended.err.text(), ended.out.text());
    scene.assert_kept(&tally);
    assert!(gone >= 2, "{gone} workers ended");
    for order in &orders {
        let held = tally.held_kib(order.pid());
        assert!(held >= 1024, "it held {held} KiB when it had to end: {}", order.json);
    }
    for pid in scene.ended_workers(&tally) {
        assert!(pids(&orders).contains(&pid), "worker {pid} ended without an order");
    }
    assert!(
        matches!(ended.code, Some(1 | 2)),
        "a leak was found, yet the code is {:?}",
        ended.code
    );
}

/// Only some workers leak, as when only some requests do: the others are left alone.
#[test]
#[ignore = "needs Apache with mod_perl, root and a memory cgroup"]
fn of_leaking_and_healthy_workers_only_leaking_ones_are_ended() {
    needs::require(&NEEDS);
    let scene = Scene::with(Mode::LeakInOddPids { kib: 256 });
    let load = scene.load();
    let leakwatch = scene.leakwatch(&[]);

    // One or two workers leak: memory would last for 90 s, and the order comes when it is due.
    let is_outcome = |line: &str| events::is(line, "outcome");
    leakwatch.out.expect_line(Duration::from_secs(150), "with an outcome", is_outcome);

    let tally = load.finish();
    let ended = leakwatch.stop();
    let orders = assert_gentle(&ended, &scene);
    println!("{} orders, {}", orders.len(), tally.summary());
    scene.assert_kept(&tally);
    assert!(!orders.is_empty(), "nothing was done:\n{}{}", ended.out.text(), ended.err.text());
    for order in &orders {
        assert_eq!(order.pid() % 2, 1, "a healthy worker: {}", order.json);
    }
    for pid in scene.ended_workers(&tally) {
        assert!(pids(&orders).contains(&pid), "worker {pid} ended without an order");
    }
}

/// A full command line names this Apache as `--pid` does.
#[test]
#[ignore = "needs Apache with mod_perl, root and a memory cgroup"]
fn an_apache_found_by_its_command_line_is_kept_alive_too() {
    needs::require(&NEEDS);
    let scene = Scene::with(LEAK);
    let load = scene.load();
    let config = format!("apache2 .*{}", scene.apache.dir().display());
    let leakwatch = scene.leakwatch_selecting(&["-f", "--pattern", &config]);
    let is_outcome = |line: &str| events::is(line, "outcome");

    leakwatch.out.expect_line(Duration::from_secs(90), "with an outcome", is_outcome);

    let tally = load.finish();
    assert_gentle(&leakwatch.stop(), &scene);
    scene.assert_kept(&tally);
}

/// What the gentle signal is for: the victim is in the middle of a request of four seconds.
#[test]
#[ignore = "needs Apache with mod_perl, root and a memory cgroup"]
fn a_long_request_in_the_victim_is_answered_before_it_goes() {
    needs::require(&NEEDS);
    let scene = Scene::with(LEAK);
    let load = scene.long_requests();
    let leakwatch = scene.leakwatch(&[]);
    let margin = Duration::from_millis(200);
    let answered_after_the_order = || {
        let (orders, tally) = (events::named(&leakwatch.out, "order"), load.so_far());
        tally.0.into_iter().find_map(|request| {
            let pid = request.result.as_ref().ok()?.pid;
            let (from, to) = (request.due + margin, request.done - margin);
            let caught = orders.iter().any(|o| o.pid() == pid && (from..to).contains(&o.at));
            caught.then_some((pid, request.done - request.due))
        })
    };

    let mut caught = None;
    wait::until(Duration::from_secs(150), || {
        caught = answered_after_the_order();
        caught.is_some() || scene.memory.oom_kills() > 0
    });

    let tally = load.finish();
    let ended = leakwatch.stop();
    println!("pid and time of the request: {caught:?}, {}", tally.summary());
    assert_gentle(&ended, &scene);
    scene.assert_kept(&tally);
    assert!(caught.is_some(), "no order fell into a request:\n{}", ended.out.text());
}

/// A victim takes up to four seconds to go; leakwatch does not make systemd wait for that.
#[test]
#[ignore = "needs Apache with mod_perl, root and a memory cgroup"]
fn leakwatch_stops_at_once_while_a_victim_finishes_its_request() {
    needs::require(&NEEDS);
    let scene = Scene::with(LEAK);
    let _load = scene.long_requests();
    let leakwatch = scene.leakwatch(&[]);
    let is_order = |line: &str| events::is(line, "order");
    leakwatch.out.expect_line(Duration::from_secs(90), "with an order", is_order);

    leakwatch.signal(nix::sys::signal::Signal::SIGTERM);

    let ended = leakwatch.end(Duration::from_secs(1));
    assert!(matches!(ended.code, Some(1 | 2)), "{:?}", ended.code);
}

/// Growth that ends is no leak: each worker fills a cache of 8 MiB, together at the leak's speed.
#[test]
#[ignore = "needs Apache with mod_perl, root and a memory cgroup"]
fn an_apache_that_warms_up_gets_no_order_and_no_signal() {
    needs::require(&NEEDS);
    assert_left_alone(&Scene::with(Mode::Warm { kib: 128, cap_kib: 8192 }));
}

#[test]
#[ignore = "needs Apache with mod_perl, root and a memory cgroup"]
fn a_healthy_apache_gets_no_order_and_no_signal() {
    needs::require(&NEEDS);
    assert_left_alone(&Scene::with(Mode::None));
}

fn assert_left_alone(scene: &Scene) {
    let load = scene.load();
    let leakwatch = scene.leakwatch(&[]);

    let_run(scene, seconds(45));

    let tally = load.finish();
    let ended = leakwatch.stop();
    println!("{}", tally.summary());
    scene.assert_kept(&tally);
    for name in ["order", "leak"] {
        assert!(events::named(&ended.out, name).is_empty(), "{name}:\n{}", ended.out.text());
    }
    assert!(scene.ended_workers(&tally).is_empty(), "{:?}", scene.ended_workers(&tally));
    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
}

/// The command of the README, harmlessly: this pattern finds every Apache of the machine.
#[test]
#[ignore = "needs Apache with mod_perl, root and a memory cgroup"]
fn a_dry_run_prints_what_it_would_do_and_nothing_dies() {
    needs::require(&NEEDS);
    let scene = Scene::with(LEAK);
    let load = scene.load();
    let before: Vec<Id> = scene.apache.workers();
    let leakwatch = scene.leakwatch_selecting(&["--pattern", "apache2", "--dry-run"]);
    let root = scene.apache.master().pid;
    let ours = |line: &str| {
        events::is(line, "order")
            && serde_json::from_str::<serde_json::Value>(line)
                .is_ok_and(|o| o["root"]["pid"] == root)
    };

    leakwatch.out.expect_line(Duration::from_secs(90), "with an order for this Apache", ours);
    // An idle worker that was told to go would be gone after a twentieth of this.
    std::thread::sleep(Duration::from_secs(1));

    let tally = load.finish();
    leakwatch.stop();
    assert!(before.iter().all(|worker| worker.runs()), "a worker is gone");
    assert!(scene.ended_workers(&tally).is_empty(), "{:?}", scene.ended_workers(&tally));
    scene.assert_kept(&tally);
}
