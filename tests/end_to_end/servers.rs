//! The main job on the real servers that people run, each leaking under load in little memory.

use std::time::{Duration, Instant};

use crate::common;
use crate::common::cgroup::Cgroup;
use crate::common::cli::{Cli, PROMPTLY};
use crate::common::events::{self, Event};
use crate::common::load::{Load, Plan, Tally};
use crate::common::needs;
use crate::common::service::{Kind, Service, Setup};
use crate::common::told::is_long;
use crate::common::turn::Turn;

const MIB: u64 = 1 << 20;
/// What the workers may leak together until memory ends.
const ROOM: u64 = 96 * MIB;
/// The same for long requests: a victim takes four seconds to go, in which six more MiB/s leak, so
/// it must give back more than 24 MiB.
const LONG_ROOM: u64 = 224 * MIB;
const PER_SECOND: f64 = 30.0;
/// With 30 requests a second 3.75 MiB/s.
const KIB: u32 = 128;

/// A server in little memory. leakwatch, the load and the test stay outside.
struct Scene {
    service: Service,
    kind: Kind,
    keep_alive: bool,
    /// After the server: it would take the server along.
    memory: Cgroup,
    _turn: Turn,
}

/// What was seen of a pool while the load ran.
struct Watched {
    /// Most workers at a time, and the least of them after that: a pool that grows has not fallen.
    most: usize,
    least: usize,
}

impl Scene {
    fn with(kind: Kind, kib: u32, keep_alive: bool) -> Self {
        let turn = Turn::take();
        let memory = Cgroup::with_memory(1 << 30).unwrap();
        let service = Service::start(Setup { kind, kib, cgroup: &memory, keep_alive });
        // One request to each worker, so that what it loads for the first of them is no leak.
        let warm = Load::start(Plan::of(service.port(), "/?kib=0&sleep=0.2", 40.0));
        std::thread::sleep(Duration::from_secs(2));
        warm.finish();
        let room = if kib > 0 { ROOM } else { LONG_ROOM };
        memory.limit_memory(memory.usage() + room).unwrap();
        Self { service, kind, keep_alive, memory, _turn: turn }
    }

    fn load(&self) -> Load {
        let plan = Plan::of(self.service.port(), "/", PER_SECOND);
        Load::start(Plan { keep_alive: self.keep_alive, ..plan })
    }

    /// The 99th percentile without leakwatch and with memory enough.
    fn percentile_alone(&self) -> u128 {
        self.memory.limit_memory(1 << 30).unwrap();
        let load = self.load();
        std::thread::sleep(Duration::from_secs(20));
        let tally = load.finish();
        self.memory.limit_memory(self.memory.usage() + ROOM).unwrap();
        tally.percentile_ms(99)
    }

    /// Requests of four seconds that leak while they run (1 MiB/s each), six of them under way at
    /// any time.
    fn long_requests(&self) -> Load {
        Load::start(Plan::of(self.service.port(), "/?kib=0&sleep=4&drip=100", 1.5))
    }

    fn leakwatch(&self, more: &[&str]) -> Cli {
        let master = self.service.master().pid.to_string();
        let args = [&["--interval", "1s", "--format", "json", "--pid", &master], more].concat();
        let cli = Cli::leakwatch(args);
        cli.err
            .expect_line(PROMPTLY, "that says what is watched", |line| line.contains("watching"));
        cli
    }

    /// Lets the load run until `done`, and watches the pool.
    fn run_until(&self, at_most: Duration, mut done: impl FnMut() -> bool) -> Watched {
        let end = Instant::now() + at_most;
        let now = self.service.workers().len();
        let mut seen = Watched { most: now, least: now };
        while Instant::now() < end && self.memory.oom_kills() == 0 && !done() {
            std::thread::sleep(Duration::from_millis(50));
            let now = self.service.workers().len();
            if now > seen.most {
                seen = Watched { most: now, least: now };
            }
            seen.least = seen.least.min(now);
        }
        seen
    }

    /// What must be so after every run under leakwatch.
    fn assert_kept(&self, cli: &Cli, tally: &Tally) -> Vec<Event> {
        let said = || format!("{}{}{}", cli.out.text(), cli.err.text(), self.service.log.text());
        let orders = events::named(&cli.out, "order");
        assert_eq!(self.memory.oom_kills(), 0, "OOM kills\n{}", said());
        assert!(tally.failures().is_empty(), "{}\n{}", tally.summary(), said());
        assert!(self.service.master().runs(), "the master is gone:\n{}", said());
        for order in &orders {
            // An idle Apache child with an accept mutex hears USR1 with its next connection only:
            // TERM after the grace then costs no request.
            let idle = self.kind == Kind::ApachePreforkC && order.text("signal") == "TERM";
            // On a busy machine the last minute may come before a gentle end is done; no request may
            // fail all the same.
            let is_hurried = ["emergency", "stayed"].contains(&order.text("reason"));
            let is_gentle = order.text("signal") == self.kind.gentle();
            assert!(idle || is_hurried || is_gentle, "{}", order.json);
            assert_ne!(order.pid(), self.service.master().pid, "the master: {}", order.json);
        }
        for outcome in events::named(&cli.out, "outcome") {
            assert_eq!(outcome.text("result"), "gone", "{}", outcome.json);
        }
        orders
    }

    /// The workers that answered requests and are no more.
    fn ended_workers(&self, tally: &Tally) -> Vec<u32> {
        let running = self.service.workers();
        let runs = |pid: &u32| running.iter().any(|worker| worker.pid == *pid);
        tally.workers().into_keys().filter(|pid| !runs(pid)).collect()
    }
}

fn outcomes(cli: &Cli) -> usize {
    events::named(&cli.out, "outcome").len()
}

/// Three leaking workers are ended in time: no request fails, no other worker ends.
fn no_request_is_lost(kind: Kind, keep_alive: bool, more: &[&str]) {
    needs::require(&kind.needs());
    let scene = Scene::with(kind, KIB, keep_alive);
    let alone = is_long().then(|| scene.percentile_alone());
    let load = scene.load();
    let cli = scene.leakwatch(more);

    let mut own = std::collections::BTreeMap::new();
    let seen = scene.run_until(Duration::from_secs(120), || {
        for worker in scene.service.workers() {
            own.insert(worker.pid, common::process::own_kib(worker.pid));
        }
        outcomes(&cli) >= 3
    });

    let tally = load.finish();
    let gone = outcomes(&cli);
    let orders = scene.assert_kept(&cli, &tally);
    let peak = scene.memory.peak().unwrap_or_default() / MIB;
    println!(
        "{kind:?} keep-alive {keep_alive}: {gone} ended, pool {} to {}, peak {peak} MiB, p99 unwatched {alone:?} ms, {}",
        seen.least,
        seen.most,
        tally.summary()
    );
    for outcome in events::named(&cli.out, "outcome") {
        let order = orders.iter().find(|order| order.pid() == outcome.pid()).expect("its order");
        let kib = |event: &Event, key: &str| event.json[key].as_u64().unwrap_or(0) / 1024;
        println!(
            "  {}: holds {} KiB, its own {:?} KiB, expected {}, came back {}, after {:.1} s",
            outcome.pid(),
            kib(order, "footprint_bytes"),
            own.get(&outcome.pid()),
            kib(order, "expected_bytes"),
            kib(&outcome, "reclaimed_bytes"),
            outcome.json["after_s"].as_f64().unwrap_or(0.0)
        );
    }
    assert!(gone >= 3, "{gone} workers ended:\n{}{}", cli.out.text(), cli.err.text());
    // A reloaded Apache event lets all idle processes go at once; the kernel keeps the connections
    // for those that follow.
    let all_at_once = kind == Kind::ApacheEvent;
    let kept = 2 * seen.least >= seen.most;
    assert!(kept || all_at_once, "the pool fell from {} to {}", seen.most, seen.least);
    let ordered: Vec<u32> = orders.iter().map(Event::pid).collect();
    for pid in scene.ended_workers(&tally) {
        assert!(ordered.contains(&pid) || all_at_once, "worker {pid} ended without an order");
    }
    cli.stop();
}

/// The victim is in the middle of a request of four seconds: it is answered before it goes.
fn a_long_request_is_answered(kind: Kind, more: &[&str]) {
    needs::require(&kind.needs());
    let scene = Scene::with(kind, 0, false);
    let load = scene.long_requests();
    let cli = scene.leakwatch(more);
    let margin = Duration::from_millis(200);
    let mut caught = None;

    scene.run_until(Duration::from_secs(150), || {
        let (orders, tally) = (events::named(&cli.out, "order"), load.so_far());
        caught = tally.0.into_iter().find_map(|request| {
            let pid = request.result.as_ref().ok()?.pid;
            let (from, to) = (request.due + margin, request.done - margin);
            let caught = orders.iter().any(|o| o.pid() == pid && (from..to).contains(&o.at));
            caught.then_some((pid, request.done - request.due))
        });
        caught.is_some()
    });

    let tally = load.finish();
    println!("{kind:?}: pid and time of the request: {caught:?}, {}", tally.summary());
    scene.assert_kept(&cli, &tally);
    assert!(caught.is_some(), "no order fell into a request:\n{}", cli.out.text());
    cli.stop();
}

#[test]
#[ignore = "needs php-fpm, nginx, root and a memory cgroup"]
fn php_fpm_behind_nginx_loses_no_request() {
    no_request_is_lost(Kind::PhpFpm, false, &[]);
}

#[test]
#[ignore = "needs php-fpm, nginx, root and a memory cgroup"]
fn php_fpm_behind_nginx_answers_a_long_request_before_its_worker_goes() {
    a_long_request_is_answered(Kind::PhpFpm, &[]);
}

#[test]
#[ignore = "needs gunicorn, root and a memory cgroup"]
fn gunicorn_sync_loses_no_request() {
    no_request_is_lost(Kind::GunicornSync, false, &[]);
}

#[test]
#[ignore = "needs gunicorn, root and a memory cgroup"]
fn gunicorn_sync_answers_a_long_request_before_its_worker_goes() {
    a_long_request_is_answered(Kind::GunicornSync, &[]);
}

#[test]
#[ignore = "needs gunicorn, root and a memory cgroup"]
fn gunicorn_gthread_loses_no_request() {
    no_request_is_lost(Kind::GunicornGthread, false, &[]);
}

#[test]
#[ignore = "needs gunicorn, root and a memory cgroup"]
fn gunicorn_gthread_answers_a_long_request_before_its_worker_goes() {
    a_long_request_is_answered(Kind::GunicornGthread, &[]);
}

#[test]
#[ignore = "needs Apache, mod_wsgi, root and a memory cgroup"]
fn mod_wsgis_daemon_processes_lose_no_request() {
    no_request_is_lost(Kind::ModWsgi, false, &[]);
}

#[test]
#[ignore = "needs uWSGI, root and a memory cgroup"]
fn uwsgi_loses_no_request() {
    no_request_is_lost(Kind::Uwsgi, false, &[]);
}

#[test]
#[ignore = "needs uWSGI, root and a memory cgroup"]
fn uwsgi_answers_a_long_request_before_its_worker_goes() {
    a_long_request_is_answered(Kind::Uwsgi, &[]);
}

#[test]
#[ignore = "needs puma, root and a memory cgroup"]
fn puma_loses_no_request() {
    no_request_is_lost(Kind::Puma, false, &[]);
}

#[test]
#[ignore = "needs puma, root and a memory cgroup"]
fn puma_answers_a_long_request_before_its_worker_goes() {
    a_long_request_is_answered(Kind::Puma, &[]);
}

#[test]
#[ignore = "needs unicorn, root and a memory cgroup"]
fn unicorn_loses_no_request() {
    no_request_is_lost(Kind::Unicorn, false, &[]);
}

#[test]
#[ignore = "needs unicorn, root and a memory cgroup"]
fn unicorn_answers_a_long_request_before_its_worker_goes() {
    a_long_request_is_answered(Kind::Unicorn, &[]);
}

#[test]
#[ignore = "needs Apache with apxs, root and a memory cgroup"]
fn apache_event_by_reloads_of_its_master_loses_no_request() {
    no_request_is_lost(Kind::ApacheEvent, false, &["--reload"]);
}

#[test]
#[ignore = "needs Apache with apxs, root and a memory cgroup"]
fn apache_event_by_reloads_of_its_master_answers_a_long_request_before_its_worker_goes() {
    a_long_request_is_answered(Kind::ApacheEvent, &["--reload"]);
}

#[test]
#[ignore = "needs Apache with apxs, root and a memory cgroup"]
fn apache_prefork_with_an_accept_mutex_loses_no_request() {
    no_request_is_lost(Kind::ApachePreforkC, false, &[]);
}

#[test]
#[ignore = "needs Apache with apxs, root and a memory cgroup"]
fn apache_prefork_with_an_accept_mutex_answers_a_long_request_before_its_worker_goes() {
    a_long_request_is_answered(Kind::ApachePreforkC, &[]);
}

#[test]
#[ignore = "needs Apache with apxs, root and a memory cgroup"]
fn apache_prefork_with_kept_alive_connections_loses_no_request() {
    no_request_is_lost(Kind::ApachePreforkC, true, &[]);
}
