//! Real forks of a program in no table: in a container, stubborn, stopped, of another user, and
//! with pids that come round. A Perl script forks them; no memory limit but a budget.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use leakwatch::core::model::order::{Order, OrderReason};
use leakwatch::core::model::process::{Comm, ProcId};
use leakwatch::core::model::signal::{SignalFailure, Step};
use leakwatch::system::signal::{LiveSignals, Signals};

use crate::common::again;
use crate::common::cli::{Cli, PROMPTLY};
use crate::common::events;
use crate::common::lines::Lines;
use crate::common::needs::{self, Need};
use crate::common::prefork;
use crate::common::process::{self, Id};
use crate::common::wait;
use nix::sys::signal::Signal;

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/prefork.pl");

/// The script, in a pid namespace of its own if asked: its master is process 1 there.
struct Pool {
    child: Child,
    out: Lines,
    master: Id,
}

impl Pool {
    fn start(before: &[&str], args: &[&str]) -> Self {
        let mut words = before.iter().copied().chain(["perl", SCRIPT]).chain(args.iter().copied());
        let mut child = Command::new(words.next().unwrap())
            .args(words)
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("perl and util-linux are there");
        let out = Lines::of(child.stdout.take().unwrap());
        out.expect_line(PROMPTLY, "that names a worker", |line| line.ends_with("started"));
        // unshare stays its parent, and sees its own pids; perl by itself is the child.
        let below = process::children(child.id());
        let in_namespace = before.first() == Some(&"unshare");
        let master = if in_namespace { below[0] } else { Id::of(child.id()).unwrap() };
        Self { child, out, master }
    }

    /// In a pid namespace with a /proc of its own; gone with it is all that runs there.
    fn in_container(args: &[&str]) -> Self {
        Self::start(&["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"], args)
    }

    /// Pids and statuses of the workers that ended, as the master sees them.
    fn ended(&self) -> Vec<(u32, u32)> {
        let parse = |line: String| {
            let rest = line.strip_prefix("worker ")?.to_owned();
            let (pid, status) = rest.split_once(" ended: ")?;
            Some((pid.parse().ok()?, status.parse().ok()?))
        };
        self.out.all().iter().filter_map(|line| parse(line.text())).collect()
    }

    /// The first of them, once the master says so: leakwatch may see it go a moment before.
    fn first_end(&self) -> (u32, u32) {
        self.out.expect_line(PROMPTLY, "of a worker's end", |line| line.contains(" ended: "));
        self.ended()[0]
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        process::kill_group(&self.child);
        self.child.wait().ok();
        self.out.wait_closed(PROMPTLY);
    }
}

const ARGS: [&str; 6] = ["--interval", "1s", "--format", "json", "--budget", "100M"];

fn watch(pool: &Pool, more: &[&str]) -> Cli {
    let master = pool.master.pid.to_string();
    let cli = Cli::leakwatch([&ARGS[..], &["--pid", &master], more].concat());
    cli.err.expect_line(PROMPTLY, "that says what is watched", |line| line.contains("watching"));
    cli
}

fn expect(cli: &Cli, name: &str) -> events::Event {
    cli.out.expect_line(Duration::from_secs(90), name, |line| events::is(line, name));
    events::named(&cli.out, name).remove(0)
}

#[test]
#[ignore = "needs all of perl"]
fn an_unknown_preforking_program_is_recognised_and_a_worker_gets_term() {
    let pool = Pool::start(&["env"], &["3", "2048"]);
    let master = pool.master.pid.to_string();
    let no_row = ["env", "-u", "LEAKWATCH_SERVER"].map(str::to_owned);
    let more = ["--pid", &master, "--allow", "prefork.pl"];
    let cli = Cli::leakwatch_by(&no_row, [&ARGS[..], &more].concat());
    let greeting = format!("unknown pre-forking program: master {}, 3 workers", pool.master.pid);
    cli.err.expect_line(PROMPTLY, "that says how they are ended", |line| line.contains(&greeting));

    let outcome = expect(&cli, "outcome");

    assert_eq!(events::named(&cli.out, "order")[0].text("signal"), "TERM");
    assert_eq!(pool.first_end(), (outcome.pid(), Signal::SIGTERM as u32));
}

#[test]
#[ignore = "needs all of perl"]
fn a_worker_that_ignores_every_signal_is_killed_in_the_end() {
    let pool = Pool::start(&["env"], &["3", "2048", "stubborn"]);
    let cli = watch(&pool, &["--grace", "2s"]);

    let outcome = expect(&cli, "outcome");

    let orders = events::named(&cli.out, "order");
    let signals: Vec<&str> = orders.iter().map(|order| order.text("signal")).collect();
    assert_eq!(signals, ["TERM", "KILL"]);
    assert_eq!(pool.first_end(), (outcome.pid(), Signal::SIGKILL as u32));
}

#[test]
#[ignore = "needs all of perl"]
fn without_kill_a_worker_that_ignores_the_rest_stays_and_is_reported() {
    let pool = Pool::start(&["env"], &["3", "2048", "stubborn"]);
    let cli = watch(&pool, &["--grace", "2s", "--no-kill"]);

    let outcome = expect(&cli, "outcome");

    assert_eq!(outcome.text("result"), "stayed");
    assert_eq!(pool.ended(), []);
}

/// A stopped worker acts on TERM only once it is continued.
#[test]
#[ignore = "needs all of perl"]
fn a_stopped_worker_is_still_ended_by_term() {
    let pool = Pool::start(&["env"], &["4", "768"]);
    // No program minds WINCH: the victim is stopped before the next signal, which is TERM.
    let cli = watch(&pool, &["--signal", "WINCH"]);
    let victim = expect(&cli, "order").pid();
    let workers = process::children(pool.master.pid);
    let stopped = *workers.iter().find(|worker| worker.pid == victim).expect("it is a worker");
    stopped.signal(Signal::SIGSTOP);

    let ended = || pool.ended().into_iter().find(|(pid, _)| *pid == victim);
    wait::until(Duration::from_secs(90), || ended().is_some());

    let (pid, status) = ended().expect("the stopped one was ended");
    assert_eq!(status, Signal::SIGTERM as u32, "{pid}:\n{}", cli.out.text());
    stopped.signal(Signal::SIGCONT);
}

/// Seen from outside its master is any process; seen from inside it is process 1.
#[test]
#[ignore = "needs root"]
fn workers_in_a_container_are_ended_from_outside() {
    needs::require(&[Need::Root]);
    let pool = Pool::in_container(&["3", "2048"]);
    let cli = watch(&pool, &[]);

    expect(&cli, "outcome");

    assert_eq!(pool.first_end().1, Signal::SIGTERM as u32);
    assert!(pool.master.runs());
}

#[test]
#[ignore = "needs root"]
fn workers_of_process_one_are_ended_from_inside_their_container_and_itself_is_not() {
    needs::require(&[Need::Root]);
    let pool = Pool::in_container(&["3", "2048"]);
    let target = pool.master.pid.to_string();
    let leakwatch = std::env::var("LEAKWATCH_BIN")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_leakwatch").to_owned());
    let enter = ["--target", &target, "--pid", "--mount", &leakwatch, "--no-state"];
    let mut command = Command::new("nsenter");
    command.args(enter).args(ARGS).args(["--pattern", "perl", "--allow", "prefork.pl"]);
    let cli = Cli::start(&mut command);
    let greeting = "unknown pre-forking program: master 1, 3 workers";
    cli.err.expect_line(PROMPTLY, "that knows the master", |line| line.contains(greeting));

    let outcome = expect(&cli, "outcome");

    assert_eq!(pool.first_end(), (outcome.pid(), Signal::SIGTERM as u32));
    for order in events::named(&cli.out, "order") {
        assert_ne!(order.pid(), 1, "{}", order.json);
    }
    assert!(pool.master.runs());
}

/// Without the right to signal it says which one is missing.
#[test]
#[ignore = "needs root"]
fn a_watch_without_the_right_to_signal_names_the_capability() {
    needs::require(&[Need::Root]);
    let pool = Pool::start(&["env"], &["3", "2048"]);
    let master = pool.master.pid.to_string();
    let leakwatch = std::env::var("LEAKWATCH_BIN")
        .unwrap_or_else(|_| env!("CARGO_BIN_EXE_leakwatch").to_owned());
    let user = ["--reuid", "65534", "--regid", "65534", "--clear-groups", &leakwatch, "--no-state"];
    let mut command = Command::new("setpriv");
    command.args(user).args(["--interval", "1s", "--budget", "100M", "--pid", &master]);
    command.env("LEAKWATCH_SERVER", prefork::ROW);
    let cli = Cli::start(&mut command);
    let may_none = |line: &str| line.contains("may signal none of them");
    cli.err.expect_line(PROMPTLY, "that says so at the start", may_none);

    let names_it = |line: &str| line.contains("SPARED") && line.contains("CAP_KILL");
    cli.out.expect_line(Duration::from_secs(90), "that names the capability", names_it);
    assert_eq!(pool.ended(), []);
}

/// A pid is really reused, a hundred times, and the order for its earlier process comes late.
#[test]
#[ignore = "needs root"]
fn a_late_signal_never_reaches_a_process_that_reuses_the_pid() {
    needs::require(&[Need::Root]);
    // In a pid namespace of its own: there the next pid can be chosen, and no other process is harmed.
    let namespace = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc"];
    match again::alone(&namespace, Duration::from_secs(120)) {
        Some(said) => assert!(said.contains("100 pids came round"), "{said}"),
        None => reuse_pids(),
    }
}

fn reuse_pids() {
    use std::os::unix::process::ExitStatusExt;
    let sleeper = || Command::new("sleep").arg("1000").spawn().unwrap();
    let (mut rounds, mut tries) = (0, 0);
    while rounds < 100 {
        tries += 1;
        assert!(tries < 2000, "only {rounds} of {tries} pids came round");
        let mut first = sleeper();
        let old = Id::of(first.id()).unwrap();
        first.kill().unwrap();
        first.wait().unwrap();
        // The next one in the same clock tick could not be told apart; normally a pid
        // comes round after pid_max others.
        std::thread::sleep(Duration::from_millis(11));
        std::fs::write("/proc/sys/kernel/ns_last_pid", (old.pid - 1).to_string()).unwrap();
        let mut second = sleeper();
        let new = Id::of(second.id()).unwrap();
        if new.pid == old.pid {
            rounds += 1;
            let mut live = LiveSignals::new(Vec::new());
            assert_eq!(live.send(&order(old)), Err(SignalFailure::Gone));
            assert_eq!(second.try_wait().unwrap(), None, "a stranger got the signal");
            assert_eq!(live.send(&order(new)), Ok(()));
            assert_eq!(second.wait().unwrap().signal(), Some(15));
        } else {
            second.kill().unwrap();
            second.wait().unwrap();
        }
    }
    println!("100 pids came round in {tries} tries");
}

/// An order to send TERM.
fn order(id: Id) -> Order {
    let victim = ProcId { pid: id.pid, start: id.start };
    Order {
        victim,
        target: victim,
        comm: Comm::new(b"sleep"),
        root: victim,
        step: Step::Term,
        signal: leakwatch::core::model::signal::Signal::Term,
        grace_s: 1.0,
        then: None,
        helpers: &[],
        reason: OrderReason::Danger,
        footprint: 0,
        expected: 0,
        forecast: None,
    }
}
