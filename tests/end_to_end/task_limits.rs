//! How fork comes to fail for want of tasks rather than memory, limit by limit: threads and children
//! that never end. With leakwatch it does not, and the limit was named before.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::cgroup::Cgroup;
use crate::common::cli::{Cli, PROMPTLY};
use crate::common::events::{self, Event};
use crate::common::load::{Load, Plan};
use crate::common::needs::{self, Need};
use crate::common::prefork::{self, Prefork};
use crate::common::process;
use crate::common::small_machine::SmallMachine;
use crate::common::wait;

/// Each in a machine of its own, at the same time.
const PARTS: [&str; 2] = ["without", "with"];
/// Tasks that may be; without leakwatch they are there after 40 s.
const LIMIT: u64 = 85;
/// Four workers, two of which start a thread a second.
const THREADS: [&str; 8] = ["--leaky", "2", "--threads", "1/s", "--healthy", "2", "--cache", "0"];
/// Four workers and every second two children that hang.
const HUNG: [&str; 8] = ["--hang", "2/s", "--leaky", "0", "--healthy", "4", "--cache", "0"];

#[test]
#[ignore = "needs user-mode Linux"]
fn at_pids_max_no_thread_starts_but_with_leakwatch_it_does() {
    SmallMachine::of_mib(384).play(&[], &PARTS, |part| {
        let outer = Cgroup::with_tasks(LIMIT).unwrap();
        let inner = outer.inner();
        play(part, &Server::start(&mut inner.command(&program()), &THREADS), "pids");
    });
}

#[test]
#[ignore = "needs user-mode Linux"]
fn at_pids_max_no_child_starts_but_with_leakwatch_it_does() {
    SmallMachine::of_mib(384).play(&[], &PARTS, |part| {
        let outer = Cgroup::with_tasks(LIMIT).unwrap();
        let inner = outer.inner();
        play(part, &Server::start(&mut inner.command(&program()), &HUNG), "pids");
    });
}

/// As an ordinary user: root may have as many as it likes.
#[test]
#[ignore = "needs user-mode Linux"]
fn at_ulimit_u_no_thread_starts_but_with_leakwatch_it_does() {
    SmallMachine::of_mib(384).play(&[], &PARTS, |part| {
        // Where that user cannot read the program, for want of rights to a directory above.
        let dir = tempfile::tempdir().unwrap();
        let copy = dir.path().join("leaky_prefork");
        process::install(&prefork::program(), &copy);
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let mut command = Command::new("setpriv");
        command.args(["--reuid=4242", "--regid=4242", "--clear-groups", "--"]);
        command.args(["prlimit", &format!("--nproc={LIMIT}"), "--"]).arg(copy);
        play(part, &Server::start(&mut command, &THREADS), "user-tasks");
    });
}

/// The same on the machine at hand, whichever version of cgroups it has.
#[test]
#[ignore = "needs root and a pids cgroup"]
fn at_pids_max_of_this_machine_no_thread_starts_but_with_leakwatch_it_does() {
    needs::require(&[Need::Root, Need::PidsCgroup]);
    std::thread::scope(|scope| {
        for part in PARTS {
            scope.spawn(move || {
                let outer = Cgroup::with_tasks(LIMIT).unwrap();
                let inner = outer.inner();
                play(part, &Server::start(&mut inner.command(&program()), &THREADS), "pids");
            });
        }
    });
}

fn play(part: &str, server: &Server, ceiling: &str) {
    match part {
        "without" => server.comes_to_its_end(),
        _ => server.kept_alive(ceiling),
    }
}

fn program() -> String {
    prefork::program().to_str().unwrap().to_owned()
}

/// An examples/leaky_prefork that runs out of tasks.
struct Server {
    prefork: Prefork,
    start: Instant,
}

impl Server {
    fn start(command: &mut Command, args: &[&str]) -> Self {
        let prefork = Prefork::start_by(command.args(args));
        Self { prefork, start: Instant::now() }
    }

    fn comes_to_its_end(&self) {
        let within = Duration::from_secs(150);
        let line = self.prefork.err().expect_line(within, "of a refusal", is_refusal);
        println!("after {:.0?}: {}", self.start.elapsed(), line.text());
    }

    /// Under leakwatch it runs until a third more was started than the limit allows, and no request fails.
    fn kept_alive(&self, ceiling: &str) {
        let load = Load::start(Plan::of(self.prefork.port(), "/", 40.0));
        let master = self.prefork.master().pid.to_string();
        let args = ["--pid", &master, "--interval", "1s", "--format", "json"];
        let leakwatch = Cli::leakwatch(args);
        let watching = |line: &str| line.contains("watching");
        leakwatch.err.expect_line(PROMPTLY, "that says what is watched", watching);
        let refused = || self.prefork.err().all().iter().any(|line| is_refusal(&line.text()));

        // Both kinds start two tasks a second, by the clock.
        let enough = Duration::from_secs(LIMIT * 2 / 3);
        wait::until(enough.saturating_sub(self.start.elapsed()), refused);

        let tally = load.finish();
        let ended = leakwatch.stop();
        println!("{:.0?}, {}", self.start.elapsed(), tally.summary());
        println!("{}{}", ended.out.text(), ended.err.text());
        println!("{}", self.prefork.err().text());
        assert!(!refused(), "{}", self.prefork.err().text());
        assert!(tally.failures().is_empty(), "{}", tally.summary());
        assert!(self.prefork.master().runs(), "the master is gone");
        assert!(self.prefork.ended("healthy").is_empty(), "a healthy worker was ended");
        let all = events::all(&ended.out);
        let first = |name| all.iter().position(|event| event.name() == name);
        assert!(first("growing").or(first("leak")).is_some(), "no growth");
        let named = |event: &&Event| event.json["ceiling"] == ceiling;
        let forecast = all.iter().position(|e| e.name() == "forecast" && named(&e));
        assert!(forecast.is_some() && forecast < first("order"), "a limit is named, then acted on");
        let orders = events::named(&ended.out, "order");
        for order in &orders {
            assert_eq!(
                (order.text("ceiling"), order.text("effect")),
                (ceiling, "eagain"),
                "{}",
                order.json
            );
        }
        assert!(!events::named(&ended.out, "outcome").is_empty(), "nothing was ended");
        assert!(matches!(ended.code, Some(1 | 2)), "{:?}", ended.code);
    }
}

/// What the example says when the kernel refuses it a thread or a child.
fn is_refusal(line: &str) -> bool {
    line.contains("cannot start") && line.contains("Resource temporarily unavailable")
}
