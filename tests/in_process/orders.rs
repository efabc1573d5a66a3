//! Orders: which process is ended, when and how, and which never is. A small world of processes in memory runs
//! through the engine; nothing here touches a real process.

use leakwatch::core::decide::rules::Rules;
use leakwatch::core::engine::{Engine, EngineSettings};
use leakwatch::core::model::ceiling::{CeilingKind, MemoryFailure, MemoryFailureKind, Place};
use leakwatch::core::model::event::Event;
use leakwatch::core::model::order::{
    NotEnded, Order, OrderReason, Outcome, OutcomeResult, Regret, RegretReason,
};
use leakwatch::core::model::process::{Comm, Proc, ProcId, Program};
use leakwatch::core::model::sample::{CommitCharge, Header, Memory, Sample};
use leakwatch::core::model::signal::{Signal, SignalFailure, Step};
use leakwatch::core::servers::UserServer;
use regex_lite::Regex;

const MIB: u64 = 1 << 20;
const MASTER: u32 = 800;

/// What a worker does with a signal.
#[derive(Clone, Copy, PartialEq)]
enum Nature {
    /// Exits at the next tick.
    Obeys,
    /// Exits at SIGKILL only.
    Stubborn,
    /// Does not even exit at SIGKILL, as in state D.
    Stuck,
}

struct Worker {
    pid: u32,
    footprint: u64,
    /// Bytes a second.
    rate: u64,
    nature: Nature,
    dying: bool,
    missing: bool,
}

/// A master with workers on a machine of one GiB, sampled once a second.
struct World {
    /// Seconds between samples.
    interval_s: f64,
    engine: Engine,
    exe: &'static str,
    threads: u32,
    workers: Vec<Worker>,
    refill: bool,
    lone: bool,
    /// The unit of all of them.
    unit: Option<&'static str>,
    /// Its parent is process 1, as in a container.
    master: u32,
    master_gone: bool,
    /// Every other worker has another name, as under mod_perl.
    renamed: bool,
    /// All work, on a tenth of a core.
    busy: bool,
    /// Memory is limited by the commit limit.
    commit: bool,
    /// Forks are refused in this second.
    refused: bool,
    /// The last order could not be carried out.
    signal_failure: Option<(ProcId, SignalFailure)>,
    next_pid: u32,
    t: f64,
    total: u64,
    sample: Sample,
    orders: Vec<Order>,
    outcomes: Vec<Outcome>,
    spared: Vec<(u32, NotEnded)>,
    regrets: Vec<Regret>,
    /// Least headroom ever seen.
    least: u64,
}

fn rules() -> Rules {
    Rules::default()
}

impl World {
    fn with(rules: Rules) -> Self {
        let header = Header {
            interval_s: 1.0,
            clock_ticks: 100,
            page_size: 4096,
            hostname: "vps1".to_owned(),
        };
        Self {
            interval_s: 1.0,
            engine: Engine::new(&header, EngineSettings { max_extrapolation: 8.0, rules }),
            exe: "/usr/sbin/apache2",
            threads: 1,
            workers: Vec::new(),
            refill: true,
            lone: false,
            unit: None,
            master: MASTER,
            master_gone: false,
            renamed: false,
            busy: false,
            commit: false,
            refused: false,
            signal_failure: None,
            next_pid: 1000,
            t: 1.7e9,
            total: 1024 * MIB,
            sample: Sample::default(),
            orders: Vec::new(),
            outcomes: Vec::new(),
            spared: Vec::new(),
            regrets: Vec::new(),
            least: u64::MAX,
        }
    }

    /// Checks every so many seconds, not a watch.
    fn checked(rules: Rules, interval_s: f64) -> Self {
        let hostname = String::new();
        let header = Header { interval_s, clock_ticks: 100, page_size: 4096, hostname };
        let settings = EngineSettings { max_extrapolation: 8.0, rules };
        let engine = Engine::new(&header, settings);
        Self { interval_s, engine, ..Self::with(Rules::default()) }
    }

    fn serving(mut self, exe: &'static str, threads: u32) -> Self {
        (self.exe, self.threads) = (exe, threads);
        self
    }

    fn worker(&mut self, rate: u64, nature: Nature) -> u32 {
        let pid = self.next_pid;
        self.next_pid += 1;
        let footprint = 20 * MIB;
        self.workers.push(Worker { pid, footprint, rate, nature, dying: false, missing: false });
        pid
    }

    fn workers(mut self, count: usize, rate: u64, nature: Nature) -> Self {
        for _ in 0..count {
            self.worker(rate, nature);
        }
        self
    }

    /// The time to the next sample goes by.
    fn tick(&mut self) {
        self.t += self.interval_s;
        let ended: Vec<u64> = self.workers.iter().filter(|w| w.dying).map(|w| w.rate).collect();
        self.workers.retain(|w| !w.dying);
        let refilled = if self.refill { ended } else { Vec::new() };
        for rate in refilled {
            self.worker(rate, Nature::Obeys);
        }
        let mut used = 100 * MIB;
        for worker in &mut self.workers {
            worker.footprint += (worker.rate as f64 * self.interval_s) as u64;
            used += worker.footprint;
        }
        let left = self.total.saturating_sub(used);
        self.least = self.least.min(left);
        self.fill_sample(left);
        let events: Vec<Event> = self.engine.observe(&self.sample).events().collect();
        for event in events {
            match event {
                Event::Order(order) => self.obey(order),
                Event::Outcome(outcome) => self.outcomes.push(outcome),
                Event::NotEnded { id, why, .. } => self.spared.push((id.pid, why)),
                Event::Regretted(regret) => self.regrets.push(regret),
                _ => {}
            }
        }
    }

    fn obey(&mut self, order: Order) {
        self.orders.push(order);
        if order.step == Step::Reload {
            assert_eq!(order.target.pid, self.master);
            self.workers.iter_mut().for_each(|w| w.dying = w.nature == Nature::Obeys);
            return;
        }
        let victim = self.workers.iter_mut().find(|w| w.pid == order.victim.pid);
        let Some(victim) = victim else { return };
        victim.dying = match victim.nature {
            Nature::Obeys => true,
            Nature::Stubborn => order.signal == Signal::Kill,
            Nature::Stuck => false,
        };
    }

    fn fill_sample(&mut self, left: u64) {
        let known: Vec<u32> = self.sample.procs.iter().map(|p| p.id.pid).collect();
        let proc = |pid: u32, ppid: u32, footprint: u64| Proc {
            id: ProcId { pid, start: u64::from(pid) },
            ppid,
            comm: Comm::new(if self.renamed && pid % 2 == 1 {
                b"/usr/sbin/apach"
            } else {
                b"apache2"
            }),
            rss: footprint,
            anon: Some(footprint),
            swap: 0,
            cpu_s: if self.busy { 0.1 * (self.t - 1.7e9) } else { 0.0 },
            threads: 1,
        };
        let master = (!self.lone && !self.master_gone)
            .then(|| proc(self.master, self.master.min(1), 10 * MIB));
        let parent = if self.lone { 1 } else { self.master };
        let present = self.workers.iter().filter(|w| !w.missing);
        let procs: Vec<Proc> =
            master.into_iter().chain(present.map(|w| proc(w.pid, parent, w.footprint))).collect();
        let program = |p: &Proc| Program {
            id: p.id,
            exe: self.exe.to_owned(),
            title: format!("{} -k start", self.exe),
            threads: if p.id.pid == self.master { 1 } else { self.threads },
            forked: p.id.pid != self.master && !self.lone,
            permitted: Some(true),
            uid: None,
            unit: self.unit.map(str::to_owned),
        };
        let programs = procs.iter().filter(|p| !known.contains(&p.id.pid)).map(program).collect();
        let (total, available) = (self.total, left);
        let used = total - left;
        let used = used + 4 * MIB;
        let commit = self.commit.then_some(CommitCharge { limit: total, used });
        let memory = Memory { total, available, commit, ..Memory::default() };
        let root = Some(ProcId { pid: self.master, start: u64::from(self.master) });
        let (kind, ceiling) = (MemoryFailureKind::Refused, CeilingKind::Commit);
        let sign = MemoryFailure { kind, ceiling, root, place: Place::NONE, count: 1 };
        let memory_failures = if self.refused { vec![sign] } else { Vec::new() };
        let signal_failure = self.signal_failure.take();
        self.sample = Sample {
            t: self.t,
            memory,
            procs,
            programs,
            memory_failures,
            signal_failure,
            ..Sample::default()
        };
    }

    fn run(&mut self, seconds: u32) {
        (0..seconds).for_each(|_| self.tick());
    }

    fn run_until_order(&mut self) -> Order {
        for _ in 0..3000 {
            self.tick();
            if let Some(order) = self.orders.last() {
                return *order;
            }
        }
        panic!("no order in 3000 s; spared: {:?}", self.spared);
    }

    fn eligibility(&self) -> Vec<u32> {
        self.orders.iter().map(|order| order.victim.pid).collect()
    }

    fn signals(&self) -> Vec<Signal> {
        self.orders.iter().map(|order| order.signal).collect()
    }
}

#[test]
fn leaking_workers_are_ended_one_at_a_time_before_memory_ends() {
    let mut world =
        World::with(rules()).workers(4, MIB, Nature::Obeys).workers(4, 0, Nature::Obeys);

    world.run(2000);

    assert!(world.orders.len() >= 5, "{} orders", world.orders.len());
    assert!(world.eligibility().iter().all(|pid| ![1004, 1005, 1006, 1007, MASTER].contains(pid)));
    assert!(world.signals().iter().all(|signal| *signal == Signal::Usr1));
    assert!(world.least > 0, "memory ended");
    assert!(world.outcomes.len() + 1 >= world.orders.len());
    for outcome in &world.outcomes {
        let OutcomeResult::Gone { reclaimed, .. } = outcome.result else { panic!("{outcome:?}") };
        let (back, expected) = (reclaimed.unwrap() as f64, outcome.order.expected as f64);
        assert!((back / expected - 1.0).abs() < 0.25, "{outcome:?}");
    }
}

#[test]
fn a_healthy_pool_gets_no_order_however_little_memory_is_left() {
    let mut world = World::with(rules()).workers(8, 0, Nature::Obeys);
    world.total = 270 * MIB;

    world.run(1000);

    assert_eq!(world.orders, []);
}

#[test]
fn a_victim_that_ignores_the_gentle_signal_gets_term_and_then_kill() {
    let mut world =
        World::with(rules()).workers(3, MIB, Nature::Stubborn).workers(3, 0, Nature::Obeys);
    let first = world.run_until_order();

    world.run(60);

    let steps: Vec<(u32, Step)> =
        world.orders.iter().map(|o| (o.victim.pid, o.step)).take(3).collect();
    let pid = first.victim.pid;
    assert_eq!(steps, [(pid, Step::Gentle), (pid, Step::Term), (pid, Step::Kill)]);
    assert_eq!(world.orders[1].reason, OrderReason::Stayed);
    assert!(matches!(world.outcomes[0].result, OutcomeResult::Gone { .. }));
}

#[test]
fn a_victim_that_survives_sigkill_is_reported_and_another_is_chosen() {
    let mut world = World::with(rules()).workers(4, MIB, Nature::Stuck);
    let first = world.run_until_order();

    world.run(60);

    assert!(matches!(world.outcomes[0].result, OutcomeResult::Stayed), "{:?}", world.outcomes);
    assert!(world.eligibility().iter().any(|pid| *pid != first.victim.pid));
}

#[test]
fn a_check_that_stays_ends_nobody_before_it_must() {
    for stays in [false, true] {
        let rules = Rules { stays, ..rules() };
        let mut world = World::checked(rules, 300.0).workers(3, 0, Nature::Obeys);
        world.total = 16 * 1024 * MIB;
        world.worker(MIB, Nature::Obeys);
        while world.least > 2 * 300 * MIB && world.orders.is_empty() {
            world.tick();
        }
        assert_eq!(world.orders.is_empty(), stays, "{} MiB left", world.least / MIB);
        if stays {
            world.interval_s = 1.0;
            while world.least > 0 && world.orders.is_empty() {
                world.tick();
            }
            // Half a minute before only the 256 MiB are left that the machine itself needs.
            let left = world.least / MIB;
            assert!((256..290).contains(&left), "{left} MiB left");
        }
    }
}

#[test]
fn a_dry_run_orders_each_victim_once_and_never_escalates() {
    let rules = Rules { dry_run: true, ..rules() };
    let mut world = World::with(rules).workers(4, MIB, Nature::Stuck);

    world.run(2000);

    let mut eligibility = world.eligibility();
    eligibility.sort_unstable();
    eligibility.dedup();
    assert_eq!(eligibility.len(), world.orders.len());
    assert!(world.orders.iter().all(|order| order.reason != OrderReason::Stayed));
}

#[test]
fn a_standalone_process_is_not_ended_without_allow_standalone() {
    for (allow_standalone, ordered) in [(false, false), (true, true)] {
        let mut world =
            World::with(Rules { allow_standalone, ..rules() }).workers(1, MIB, Nature::Obeys);
        world.lone = true;

        world.run(900);

        assert_eq!(!world.orders.is_empty(), ordered);
        assert_eq!(world.spared.contains(&(1000, NotEnded::NotAWorker)), !ordered);
    }
}

/// A lone process of that unit that leaks, where units may be restarted.
fn lone_in(unit: &'static str, rate: u64, nature: Nature) -> World {
    let rules = Rules { restart_unit: true, ..rules() };
    let mut world = World::with(rules).serving("/opt/shop", 1).workers(1, rate, nature);
    (world.lone, world.unit) = (true, Some(unit));
    world
}

#[test]
fn the_unit_of_a_lone_leak_is_restarted_before_memory_ends_and_once_an_hour() {
    let mut world = lone_in("shop.service", MIB, Nature::Obeys);

    let order = world.run_until_order();

    let restart = (order.step, order.reason, order.then);
    assert_eq!(restart, (Step::Restart, OrderReason::Danger, None));
    assert!(world.least > 0, "too late");
    world.run(5);
    let [outcome] = &world.outcomes[..] else { panic!("{:?}", world.outcomes) };
    assert!(outcome.is_as_expected(), "{outcome:?}");
    let (first_t, next) = (world.t, world.workers[0].pid);
    world.run(1500);
    assert_eq!(world.orders.len(), 1, "within the hour: {:?}", world.orders);
    assert!(world.spared.contains(&(next, NotEnded::Restarted)), "{:?}", world.spared);

    // An hour later it may be restarted again.
    world.workers[0].footprint = 20 * MIB;
    world.workers[0].rate = 0;
    world.run((3700.0 - (world.t - first_t)) as u32);
    world.workers[0].rate = MIB;
    world.run(1500);
    assert_eq!(world.orders.len(), 2, "{:?}", world.orders);
}

#[test]
fn a_restart_that_gives_nothing_back_is_the_last_one_of_its_unit() {
    let mut world = lone_in("shop.service", MIB, Nature::Obeys);
    world.run_until_order();
    // The next main process is as large at once.
    world.refill = false;
    world.worker(MIB, Nature::Obeys);
    world.workers[1].footprint = 700 * MIB;
    world.tick();
    assert!(!world.outcomes[0].is_as_expected(), "{:?}", world.outcomes);
    for _ in 0..3 {
        world.t += 3600.0;
        world.workers[0].footprint = 20 * MIB;
        world.run(1500);
    }
    assert_eq!(world.orders.len(), 1, "{:?}", world.orders);
}

#[test]
fn what_is_no_lone_service_is_not_restarted() {
    for unit in ["dbus.service", "user@1000.service", "a.service of user 1000", "session-3.scope"] {
        let mut world = lone_in(unit, MIB, Nature::Obeys);
        world.run(900);
        assert_eq!(world.orders, [], "{unit}");
    }
    let mut without = lone_in("shop.service", MIB, Nature::Obeys);
    without.engine.set_rules(rules());
    without.run(900);
    assert_eq!(without.orders, [], "without --restart-unit");

    // A master with workers: those are ended one by one.
    let rules = Rules { restart_unit: true, ..rules() };
    let mut world = World::with(rules).workers(3, MIB, Nature::Obeys);
    world.unit = Some("apache2.service");
    world.run(900);
    assert!(!world.orders.is_empty());
    assert!(world.orders.iter().all(|o| o.step != Step::Restart && o.victim.pid != MASTER));
}

#[test]
fn a_lone_process_that_grew_and_stopped_is_not_restarted() {
    for stop_at in [200, 400, 600, 700] {
        let mut world = lone_in("shop.service", MIB, Nature::Obeys);
        world.run(stop_at);
        world.workers[0].rate = 0;
        world.run(600);
        assert_eq!(world.orders, [], "stopped after {stop_at} s");
    }
}

#[test]
fn a_restart_that_systemd_does_not_make_is_not_counted_as_one() {
    let mut world = lone_in("shop.service", MIB, Nature::Stuck);
    let order = world.run_until_order();
    world.signal_failure = Some((order.victim, SignalFailure::NoService));
    world.run(60);
    assert_eq!(world.orders.len(), 1, "nor is it asked again: {:?}", world.orders);

    let mut world = lone_in("shop.service", MIB, Nature::Stuck);
    let order = world.run_until_order();
    world.signal_failure = Some((order.victim, SignalFailure::Failed(110)));
    world.run(60);
    assert!(world.orders.len() > 1, "systemd was busy: {:?}", world.orders);
}

#[test]
fn what_systemd_does_not_restart_is_ended_by_signals_where_that_is_allowed_too() {
    use SignalFailure::{NoService, NotAlone, NotPermitted, RunsOnce};
    for why in [NoService, NotPermitted, NotAlone, RunsOnce] {
        for allow_standalone in [false, true] {
            let mut world = lone_in("shop.service", MIB, Nature::Stuck);
            let rules = Rules { restart_unit: true, allow_standalone, ..rules() };
            world.engine.set_rules(rules);
            let order = world.run_until_order();
            assert_eq!(order.step, Step::Restart);
            world.signal_failure = Some((order.victim, why));

            // A signal takes less time than a restart, and is due later.
            world.run(30);

            let next = world.orders.get(1).map(|order| order.step);
            assert_eq!(next, allow_standalone.then_some(Step::Term), "{why:?}");
        }
    }
}

#[test]
fn while_a_unit_starts_again_what_came_back_is_counted_once() {
    let mut world = lone_in("shop.service", MIB, Nature::Obeys);
    world.run_until_order();
    world.refill = false;
    world.run(3);
    assert!(world.outcomes.is_empty(), "it is not back yet: {:?}", world.outcomes);
    assert!(world.engine.policy().has_order_under_way());
    // Something else takes memory meanwhile: the limit is seen to fall.
    for _ in 0..20 {
        world.total -= 45 * MIB;
        world.tick();
    }
    assert!(world.outcomes.is_empty(), "{:?}", world.outcomes);
    assert!(world.engine.policy().next_s().is_some(), "the last minute is blind");
}

#[test]
fn the_protected_are_spared_by_name_executable_or_title() {
    for pattern in ["^apache2$", "sbin/apache2 -k"] {
        let protect = vec![Regex::new(pattern).unwrap()];
        let mut world = World::with(Rules { protect, ..rules() }).workers(3, MIB, Nature::Obeys);

        world.run(700);

        assert_eq!(world.orders, [], "{pattern}");
        assert!(world.spared.iter().any(|(_, why)| *why == NotEnded::Protected), "{pattern}");
    }
}

#[test]
fn children_of_a_threaded_apache_are_only_reported() {
    let mut world =
        World::with(rules()).serving("/usr/sbin/apache2", 27).workers(3, MIB, Nature::Obeys);

    world.run(700);

    assert_eq!(world.orders, []);
    assert!(world.spared.iter().any(|(_, why)| matches!(why, NotEnded::Server(_))));
}

#[test]
fn an_unknown_pre_forking_program_gets_term_alone_and_only_if_it_replaces_its_children() {
    let pool = |rules| {
        World::with(rules).serving("/usr/local/bin/app", 1).workers(3, MIB, Nature::Stubborn)
    };
    let mut world = pool(Rules { allow: vec!["app".to_owned()], ..rules() });
    assert_eq!(world.run_until_order().signal, Signal::Term);
    world.run(60);
    assert!(!world.signals().contains(&Signal::Kill), "it may have a reason to stay");

    let mut world = pool(rules());
    world.run(700);
    assert_eq!(world.orders, [], "nothing replaces its children as far as is known");
    assert!(
        world.spared.iter().all(|(_, why)| *why == NotEnded::Unproven) && world.spared.len() == 3
    );
}

#[test]
fn a_user_defined_server_is_ended_as_the_user_says() {
    let time = |text: &str| text.parse().map_err(|_| "no time".to_owned());
    let row = UserServer::parse("match=appd,signal=QUIT,grace=20,no-kill", time).unwrap();
    let rules = Rules { servers: vec![row.keep()], ..rules() };
    let mut world = World::with(rules).serving("/opt/appd", 1).workers(3, MIB, Nature::Stubborn);
    world.run_until_order();
    world.run(60);
    let of_first: Vec<Signal> = world.signals();
    assert_eq!(of_first[..2], [Signal::Quit, Signal::Term]);
    assert!(!of_first.contains(&Signal::Kill), "{of_first:?}");

    let row = UserServer::parse("match=apache2,protect", time).unwrap();
    let rules = Rules { servers: vec![row.keep()], ..self::rules() };
    let mut world = World::with(rules).workers(3, MIB, Nature::Obeys);
    world.run(400);
    assert_eq!(world.orders.len(), 0, "also one that is in the table");
}

#[test]
fn a_worker_missing_in_one_sample_keeps_its_gentle_signal() {
    let mut world = World::with(rules()).workers(4, MIB, Nature::Obeys);
    world.run(60);
    world.workers.iter_mut().for_each(|w| w.missing = true);
    world.tick();
    world.workers.iter_mut().for_each(|w| w.missing = false);

    assert_eq!(world.run_until_order().signal, Signal::Usr1);
}

#[test]
fn a_pool_that_is_not_refilled_keeps_half_of_itself_and_a_quarter_when_the_end_is_near() {
    let mut world = World::with(rules()).workers(8, MIB, Nature::Obeys);
    world.refill = false;
    world.run_until_order();

    world.run(250);

    let near = |o: &Order| o.forecast.is_some_and(|f| f.earliest_s <= 10.0);
    let far = world.orders.iter().filter(|o| !near(o)).count();
    assert!(far <= 4, "{far} ended while the end was far");
    assert!(world.workers.len() >= 2, "{} workers left", world.workers.len());
}

#[test]
fn a_suspend_does_not_use_up_a_grace() {
    let mut world =
        World::with(rules()).workers(3, MIB, Nature::Stubborn).workers(3, 0, Nature::Obeys);
    world.run_until_order();

    world.t += 3600.0;
    world.tick();

    assert_eq!(world.orders.len(), 1, "{:?}", world.orders);
}

#[test]
fn memory_that_runs_out_within_ten_samples_brings_an_urgent_order() {
    let mut world = World::with(rules()).workers(5, 0, Nature::Obeys);
    world.run(60);
    world.workers[2].rate = 60 * MIB;

    let order = world.run_until_order();

    assert_eq!((order.victim.pid, order.reason), (1002, OrderReason::Emergency));
    assert!(world.least > 0, "too late");
}

#[test]
fn the_forks_of_process_one_are_ended_in_a_container_and_itself_never_is() {
    let mut world =
        World::with(Rules { allow_standalone: true, ..rules() }).workers(3, MIB, Nature::Obeys);
    world.master = 1;

    assert_eq!(world.run_until_order().signal, Signal::Usr1);
    world.run(300);

    assert!(world.orders.len() > 1 && !world.eligibility().contains(&1), "{:?}", world.orders);
}

#[test]
fn a_pool_of_many_names_is_one_pool() {
    let left = |renamed| {
        let mut world = World::with(rules()).workers(6, MIB, Nature::Obeys);
        (world.refill, world.renamed) = (false, renamed);
        world.run_until_order();
        world.run(250);
        world.workers.len()
    };

    assert_eq!(left(true), left(false));
    assert!(left(true) >= 2);
}

const GUNICORN: &str = "/usr/bin/gunicorn";

#[test]
fn workers_of_a_master_that_would_not_survive_a_failed_fork_are_ended_earlier() {
    let first = |exe| {
        let mut world = World::with(rules()).serving(exe, 1).workers(4, MIB / 4, Nature::Obeys);
        world.commit = true;
        world.run_until_order().forecast.unwrap().earliest_s
    };

    let (gunicorn, apache) = (first(GUNICORN), first("/usr/sbin/apache2"));

    assert!(apache <= 30.0, "{apache}");
    assert!((40.0..=60.0).contains(&gunicorn), "{gunicorn}");
}

#[test]
fn once_forks_fail_such_workers_are_not_ended_and_those_of_apache_are() {
    for (exe, spared) in [(GUNICORN, true), ("/usr/sbin/apache2", false)] {
        let mut world = World::with(rules()).serving(exe, 1).workers(3, MIB, Nature::Obeys);
        world.refused = true;

        world.run(700);

        assert_eq!(world.orders.is_empty(), spared, "{exe}");
        let fork_fails = |(_, why): &(u32, NotEnded)| matches!(why, NotEnded::ForkFails(_));
        assert_eq!(world.spared.iter().any(fork_fails), spared, "{exe}: {:?}", world.spared);
    }
}

#[test]
fn sessions_of_postgresql_end_by_term_alone_and_only_if_allowed() {
    let postgres = |allow: &[&str]| {
        let allow = allow.iter().map(|key| (*key).to_owned()).collect();
        let rules = Rules { allow, ..rules() };
        let mut world = World::with(rules)
            .serving("/usr/lib/postgresql/15/bin/postgres", 1)
            .workers(3, MIB, Nature::Stubborn);
        world.run(1000);
        world
    };

    assert_eq!(postgres(&[]).orders, []);
    let allowed = postgres(&["postgres"]);
    assert!(!allowed.orders.is_empty());
    assert!(allowed.signals().iter().all(|signal| *signal == Signal::Term), "{:?}", allowed.orders);
    assert!(matches!(allowed.outcomes[0].result, OutcomeResult::Stayed));
}

#[test]
fn a_threaded_apache_is_reloaded_if_wanted_and_not_twice_at_a_time() {
    let rules = Rules { reload: true, ..rules() };
    let event = |nature| {
        World::with(rules.clone()).serving("/usr/sbin/apache2", 27).workers(3, MIB, nature)
    };
    let mut world = event(Nature::Obeys);
    assert_eq!(world.run_until_order().signal, Signal::Usr1);
    world.run(600);
    assert!(world.orders.len() > 1 && world.least > 0, "{:?}", world.orders);
    assert!(world.orders.iter().all(|order| order.step == Step::Reload));

    let mut stuck = event(Nature::Stuck);
    stuck.run_until_order();
    stuck.run(60);
    assert_eq!(stuck.orders.len(), 1);
}

/// Nothing stronger follows a reload, and it cuts no request: it needs no last responsible moment.
#[test]
fn a_reload_comes_earlier_than_the_end_of_one_worker() {
    let left_at_first_order = |threads| {
        let rules = Rules { reload: true, ..rules() };
        let apache = World::with(rules).serving("/usr/sbin/apache2", threads);
        let mut world = apache.workers(3, MIB, Nature::Obeys);
        world.interval_s = 0.25;
        let order = world.run_until_order();
        (order.step, world.least)
    };
    let (reload, gentle) = (left_at_first_order(27), left_at_first_order(1));
    assert_eq!((reload.0, gentle.0), (Step::Reload, Step::Gentle));
    assert!(reload.1 > gentle.1, "{reload:?}, {gentle:?}");
}

/// A bystander whose counters move is not the cause where the leak itself does not go.
#[test]
fn beside_a_leak_that_ignores_its_signal_the_healthy_worker_is_not_ended() {
    let rules = Rules { allow: vec!["app".to_owned()], ..rules() };
    let mut world =
        World::with(rules).serving("/usr/local/bin/app", 1).workers(1, MIB, Nature::Stubborn);
    world.worker(0, Nature::Obeys);
    world.interval_s = 0.25;
    while world.least > 4 * MIB {
        world.tick();
    }
    (world.workers[0].rate, world.workers[1].rate) = (0, MIB);
    world.run(40);
    assert_eq!(world.least, 0, "nothing is left");
    assert!(world.eligibility().iter().all(|pid| *pid == 1000), "{:?}", world.orders);
    assert!(!world.orders.is_empty());
}

#[test]
fn without_kill_a_victim_that_ignores_the_rest_stays_and_is_reported() {
    let rules = Rules { no_kill: true, ..rules() };
    let mut world =
        World::with(rules).workers(1, MIB, Nature::Stubborn).workers(3, 0, Nature::Obeys);
    world.run_until_order();

    world.run(60);

    assert_eq!(world.signals(), [Signal::Usr1, Signal::Term]);
    assert!(matches!(world.outcomes[0].result, OutcomeResult::Stayed));
}

#[test]
fn no_signal_is_sent_after_the_master_died() {
    let mut world = World::with(rules()).workers(3, MIB, Nature::Stubborn);
    world.run_until_order();

    world.master_gone = true;
    world.run(60);

    assert_eq!(world.orders.len(), 1, "{:?}", world.orders);
}

#[test]
fn a_victim_that_had_gone_by_itself_is_no_success_and_the_next_one_follows() {
    let mut world = World::with(rules()).workers(4, MIB, Nature::Stuck);
    let first = world.run_until_order();
    world.signal_failure = Some((first.victim, SignalFailure::Gone));
    world.workers.retain(|worker| worker.pid != first.victim.pid);

    world.run(300);

    let of_first = |outcome: &&Outcome| outcome.order.victim == first.victim;
    assert_eq!(world.outcomes.iter().find(of_first), None);
    assert_ne!(world.orders.last().unwrap().victim, first.victim);
}

#[test]
fn a_victim_whose_signal_could_not_be_sent_for_a_moment_gets_it_later() {
    let mut world = World::with(rules()).workers(1, MIB, Nature::Stuck);
    let enomem = SignalFailure::Failed(12);
    let mut sent = Vec::new();
    for _ in 0..4 {
        let order = world.run_until_order();
        world.signal_failure = Some((order.victim, enomem));
        sent.push(order);
        world.orders.clear();
    }

    assert!(sent.iter().all(|order| order.victim == sent[0].victim), "{sent:?}");

    let order = world.run_until_order();
    world.signal_failure = Some((order.victim, SignalFailure::NotPermitted));
    world.orders.clear();
    world.run(300);
    assert!(world.orders.is_empty(), "a victim that may not be signalled is not tried again");
}

#[test]
fn an_idle_worker_goes_before_a_busy_one_but_the_last_idle_one_stays() {
    // Rates so that the busiest is the largest.
    let run = |idle_from: u32, idlers: &[u32]| {
        let mut world = World::with(rules());
        for extra in 0..5 {
            world.worker(MIB + extra * MIB / 16, Nature::Obeys);
        }
        for second in 0..3000 {
            if second == idle_from {
                for worker in world.workers.iter_mut().filter(|w| idlers.contains(&w.pid)) {
                    worker.rate = 0;
                }
            }
            world.tick();
            if let Some(order) = world.orders.last() {
                return (order.victim.pid, second);
            }
        }
        panic!("no order");
    };
    let (largest, second) = run(u32::MAX, &[]);
    assert_eq!(largest, 1004);

    assert_eq!(run(second - 5, &[1001, 1002]).0, 1002, "the larger of two idle ones");
    assert_eq!(run(second - 5, &[1002]).0, 1004, "the last idle one stays");
}

/// What was regretted of a pool of leaking workers within 2000 s, which changes after the first order.
fn regretted_when(dry_run: bool, change: impl Fn(&mut World, &Order)) -> Vec<Regret> {
    let rules = Rules { dry_run, ..rules() };
    let mut world = World::with(rules).workers(4, MIB, Nature::Obeys);
    if dry_run {
        world.workers.iter_mut().for_each(|w| w.nature = Nature::Stuck);
    }
    let order = world.run_until_order();
    change(&mut world, &order);
    world.run(2000);
    let least = world.least;
    assert!(dry_run || least > 0, "memory ended");
    world.regrets
}

fn stop(world: &mut World) {
    world.workers.iter_mut().for_each(|w| w.rate = 0);
}

#[test]
fn an_order_is_regretted_if_the_others_stop_growing_and_not_if_they_go_on() {
    let [regret] = regretted_when(false, |world, _| stop(world))[..] else { panic!("none") };
    assert_eq!(regret.why, RegretReason::OthersStopped);
    assert!((60.0..=600.0).contains(&regret.after_s), "{}", regret.after_s);
    assert_eq!(regretted_when(false, |_, _| {}), [], "a leak goes on");
}

#[test]
fn an_order_is_regretted_if_another_rises_as_far_and_gives_it_back() {
    let regrets = regretted_when(false, |world, order| {
        stop(world);
        world.run(20);
        for _ in 0..20 {
            world.workers[0].footprint += order.expected / 20 + 1;
            world.run(1);
        }
        world.workers[0].footprint -= order.expected;
    });
    // Another one of them may have had to go while it rose.
    assert!(!regrets.is_empty(), "none");
    for regret in regrets {
        assert_eq!(regret.why, RegretReason::GivenBack);
        assert!(regret.after_s < 60.0, "before it is known whether the others stopped");
    }
}

#[test]
fn an_order_of_a_dry_run_is_regretted_if_memory_lasts() {
    let regrets = regretted_when(true, |world, _| stop(world));
    assert!(!regrets.is_empty() && regrets.iter().all(|of| of.why == RegretReason::Lasted));
    assert_eq!(regretted_when(true, |_, _| {}), [], "memory ended");
}

#[test]
fn a_victim_that_frees_what_it_holds_on_its_way_out_gives_nothing_back() {
    let regrets = regretted_when(false, |world, order| {
        let victim = world.workers.iter().position(|w| w.pid == order.victim.pid).unwrap();
        world.workers[victim].dying = false;
        world.workers[victim].footprint += 20 * MIB;
        world.run(1);
        let victim = world.workers.iter().position(|w| w.pid == order.victim.pid).unwrap();
        world.workers[victim].footprint -= order.expected + 20 * MIB;
        world.run(2);
        world.workers.iter_mut().filter(|w| w.pid == order.victim.pid).for_each(|w| w.dying = true);
    });
    assert_eq!(regrets, []);
}

#[test]
fn an_order_that_could_not_be_carried_out_is_not_regretted() {
    let spared = std::cell::Cell::new(None);
    let regrets = regretted_when(false, |world, order| {
        world.workers.iter_mut().for_each(|w| w.dying = false);
        world.signal_failure = Some((order.victim, SignalFailure::Protected));
        spared.set(Some(order.victim));
        stop(world);
    });
    // Another may have been ended in its place.
    assert!(regrets.iter().all(|of| Some(of.order.victim) != spared.get()), "{regrets:?}");
}

#[test]
fn who_stopped_growing_half_a_minute_ago_is_not_ended_for_what_another_fills() {
    for rate in [4, 16] {
        let mut world = World::with(rules()).workers(4, MIB, Nature::Obeys);
        world.busy = true;
        world.run(160);
        stop(&mut world);
        world.run(30);
        while world.least > 0 {
            world.total -= rate * MIB;
            world.run(1);
        }
        assert_eq!(world.orders.len(), 0, "{rate} MiB/s of another: {:?}", world.orders);
    }
}
