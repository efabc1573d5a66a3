//! The harness itself, without leakwatch: a harness that sees nothing would let everything pass.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

use crate::common::cgroup::Cgroup;
use crate::common::cli::{Cli, PROMPTLY};
use crate::common::fake_proc::{Fake, FakeProc, pid};
use crate::common::load::{Failure, Load, Plan};
use crate::common::needs::{self, Need};
use crate::common::ports;
use crate::common::prefork::Prefork;
use crate::common::process::{self, Id};
use crate::common::wait;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn shell(script: &str) -> Cli {
    Cli::start(Command::new("sh").args(["-c", script]))
}

#[test]
fn a_line_is_awaited_and_an_exit_code_seen() {
    let cli = shell("echo ready >&2; read -r _ || :; echo done; exit 3");
    cli.err.expect_line(PROMPTLY, "ready", |line| line == "ready");
    let ended = cli.end(PROMPTLY);
    assert_eq!((ended.code, ended.out.text().as_str()), (Some(3), "done\n"));
}

#[test]
fn a_signal_reaches_the_command() {
    let cli = shell("trap 'echo caught; exit 7' USR1; echo set; while :; do sleep 0.05; done");
    cli.out.expect_line(PROMPTLY, "set", |line| line == "set");
    cli.signal(Signal::SIGUSR1);
    assert_eq!(cli.end(PROMPTLY).code, Some(7));
}

#[test]
#[should_panic(expected = "no line that never comes")]
fn a_line_that_does_not_come_is_a_failure() {
    let cli = shell("echo something else");
    cli.out.expect_line(PROMPTLY, "that never comes", |line| line == "awaited");
}

#[test]
#[ignore = "needs root and a memory cgroup"]
fn the_kernel_kills_a_process_that_outgrows_the_cgroup() {
    needs::require(&[Need::Root, Need::Cgroup]);
    let memory = Cgroup::with_memory(32 << 20).unwrap();
    // tail looks for a line's end in an endless line, so it holds all of it.
    let ended = Cli::start(memory.command("tail").arg("/dev/zero")).end(Duration::from_secs(60));
    assert_eq!(ended.code, None, "a signal ended it");
    assert_eq!(memory.oom_kills(), 1);
    assert!(memory.peak().is_none_or(|peak| peak == 32 << 20), "{:?}", memory.peak());
}

#[test]
#[ignore = "needs root and a memory cgroup"]
fn a_cgroup_takes_its_members_with_it() {
    needs::require(&[Need::Root, Need::Cgroup]);
    let memory = Cgroup::with_memory(32 << 20).unwrap();
    let cli = Cli::start(memory.command("sh").args(["-c", "echo in; exec sleep 600"]));
    cli.out.expect_line(PROMPTLY, "from inside", |line| line == "in");
    drop(memory);
    assert_eq!(cli.end(PROMPTLY).code, None, "a signal ended it");
}

#[test]
fn a_load_counts_failures_by_kind() {
    /// Answers one request in its own way, then is gone.
    fn outcome(answer: &'static str) -> BTreeMap<Failure, usize> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let server = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let _request = client.read(&mut [0; 1024]).unwrap();
            client.write_all(answer.as_bytes()).unwrap();
        });
        let at_most = Duration::ZERO;
        let load = Load::start(Plan { at_most, ..Plan::of(port, "/", 1000.0) });
        server.join().unwrap();
        load.finish().failures()
    }
    let good = "HTTP/1.1 200 OK\r\nContent-Length: 27\r\n\r\npid=1 served=1 held_kib=64\n";
    assert_eq!(outcome(good), BTreeMap::new());
    assert_eq!(outcome(""), BTreeMap::from([(Failure::Empty, 1)]));
    assert_eq!(outcome(&good[..60]), BTreeMap::from([(Failure::Short, 1)]));
    let error = "HTTP/1.1 503 Unavailable\r\nContent-Length: 0\r\n\r\n";
    assert_eq!(outcome(error), BTreeMap::from([(Failure::Status(503), 1)]));

    let closed = ports::own();
    let load = Load::start(Plan { at_most: Duration::ZERO, ..Plan::of(closed, "/", 1000.0) });
    wait::until(PROMPTLY, || !load.so_far().failures().is_empty());
    assert_eq!(load.finish().failures(), BTreeMap::from([(Failure::Refused, 1)]));
}

/// In the example server leaky workers grow, others do not, and a worker that ends is replaced.
#[test]
fn the_example_server_leaks_in_its_leaky_workers_only_and_replaces_them() {
    let growth = ["--rate", "7.5M/s", "--cache-size", "4M"];
    let kinds = ["--leaky", "1", "--healthy", "1", "--cache", "1"];
    let server = Prefork::start(&[&kinds[..], &growth].concat());
    server.wait_started("cache", 1);
    let load = Load::start(Plan::of(server.port(), "/", 50.0));
    let [leaky, healthy, cache] = ["leaky", "healthy", "cache"].map(|kind| server.started(kind)[0]);
    wait::until(Duration::from_secs(30), || process::anon_kib(leaky) >= 20 << 10);

    let grown = [leaky, healthy, cache].map(|pid| process::anon_kib(pid) >> 10);
    let victim = Id::of(leaky).unwrap();
    assert!(server.workers().contains(&victim));
    kill(Pid::from_raw(leaky.cast_signed()), Signal::SIGUSR1).unwrap();
    server.wait_started("leaky", 2);

    assert!(grown[0] >= 20 && grown[1] < 2 && (4..6).contains(&grown[2]), "{grown:?} MiB");
    let tally = load.finish();
    assert!(tally.failures().is_empty(), "{}", tally.summary());
    assert!(!victim.runs());
    assert_eq!(server.ended("leaky"), [leaky]);
    assert_eq!(server.workers().len(), 3);
}

/// The fixture is what the kernel would show, as a reader that we did not write understands it.
#[test]
fn a_fixture_reads_as_a_real_proc() {
    let proc = FakeProc::with_memory_kib(1 << 20);
    let child = Fake::new(pid(0), "a) Z (").child_of(pid(1)).holding_kib(4096);
    proc.show(&child);

    let seen =
        procfs::process::Process::new_with_root(proc.path().join(pid(0).to_string())).unwrap();

    let (stat, status) = (seen.stat().unwrap(), seen.status().unwrap());
    assert_eq!((stat.comm.as_str(), stat.state), ("a) Z (", 'S'));
    assert_eq!((stat.ppid.cast_unsigned(), stat.starttime, stat.rss), (pid(1), child.start, 1024));
    assert_eq!((stat.startstack, stat.exit_code), (140_720_000_000_000, Some(0)));
    assert_eq!((status.rssanon, status.vmswap), (Some(4096), Some(0)));
    assert_eq!(seen.statm().unwrap().resident, 1024);
    assert_eq!(seen.cmdline().unwrap(), ["a) Z (", "--flag"]);
}
