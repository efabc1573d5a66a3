//! The main job on examples/leaky_prefork: no Apache, no root, no cgroup, only a budget.

use std::time::Duration;

use crate::common;
use crate::common::cli::{Cli, PROMPTLY};
use crate::common::events;
use crate::common::load::{Load, Plan};
use crate::common::prefork::Prefork;
use crate::common::wait;
use nix::sys::signal::Signal;

/// leakwatch on this server alone.
fn leakwatch(server: &Prefork, more: &[&str]) -> Cli {
    let master = server.master().pid.to_string();
    let cli = Cli::leakwatch([&["--pid", &master], more].concat());
    cli.err.expect_line(PROMPTLY, "that says what is watched", |line| line.contains("watching"));
    cli
}

/// Two workers leak, one fills a cache as fast as they leak, two are flat. Only two may end.
#[test]
fn only_leaking_workers_are_ended_within_a_budget() {
    let server = Prefork::start(&[
        "--leaky",
        "2",
        "--healthy",
        "2",
        "--cache",
        "1",
        "--rate",
        "2M/s",
        "--cache-size",
        "20M",
    ]);
    server.wait_started("cache", 1);
    let load = Load::start(Plan::of(server.port(), "/", 10.0));
    let cli = leakwatch(&server, &["--interval", "1s", "--budget", "160M", "--format", "json"]);

    let both = server.wait_ended("leaky", 2, Duration::from_secs(120));

    let tally = load.finish();
    let ended = cli.stop();
    let said = ended.out.text() + &ended.err.text();
    assert!(both, "{:?} ended:\n{said}", server.ended("leaky"));
    assert!(server.ended("healthy").is_empty(), "healthy workers ended:\n{said}");
    assert!(server.ended("cache").is_empty(), "cache-filling workers ended:\n{said}");
    assert!(tally.failures().is_empty(), "{}", tally.summary());
    assert!(server.master().runs(), "the master is gone");
    let leaky = server.started("leaky");
    for order in events::named(&ended.out, "order") {
        assert!(leaky.contains(&order.pid()), "not a leaking worker: {}", order.json);
    }
    assert!(
        matches!(ended.code, Some(1 | 2)),
        "a leak was found, yet the code is {:?}",
        ended.code
    );
}

/// A process with no parent in its tree is a service of its own that nothing may start again.
#[test]
#[ignore = "takes a minute"]
fn a_standalone_leaking_process_is_reported_and_never_signalled() {
    let server = Prefork::start(&["--alone", "--rate", "2M/s", "--max", "100M"]);
    let load = Load::start(Plan::of(server.port(), "/", 5.0));
    let cli = leakwatch(&server, &["--interval", "1s", "--budget", "80M", "--format", "json"]);
    cli.out.expect_line(Duration::from_secs(60), "with growth", |line| events::is(line, "growing"));

    // Well over the budget, where a worker would long be gone.
    let leaked = || load.so_far().held_kib(server.master().pid) >= 90 << 10;
    let leaked = wait::until(Duration::from_secs(60), leaked);

    load.finish();
    let ended = cli.stop();
    assert!(leaked, "it did not leak on");
    assert!(server.master().runs(), "it was ended:\n{}", ended.out.text());
    assert!(events::named(&ended.out, "order").is_empty(), "{}", ended.out.text());
    assert!(
        matches!(ended.code, Some(1 | 2)),
        "a leak was found, yet the code is {:?}",
        ended.code
    );
}

#[test]
fn a_standalone_leaking_process_is_ended_with_allow_standalone() {
    let server = Prefork::start(&["--alone", "--rate", "2M/s", "--max", "100M"]);
    let cli = leakwatch(
        &server,
        &["--interval", "1s", "--budget", "80M", "--allow-standalone", "--format", "json"],
    );

    let is_outcome = |line: &str| events::is(line, "outcome");
    cli.out.expect_line(Duration::from_secs(90), "with an outcome", is_outcome);

    let outcome = &events::named(&cli.out, "outcome")[0];
    assert_eq!((outcome.pid(), outcome.text("result")), (server.master().pid, "gone"));
    assert!(!server.master().runs());
}

#[test]
fn an_interrupt_or_a_termination_stops_it_within_a_second() {
    let server = Prefork::start(&["--leaky", "0", "--cache", "0"]);
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        // Long intervals, so that it is asleep when the signal comes.
        let cli = leakwatch(&server, &["--interval", "60s"]);
        cli.signal(signal);
        let ended = cli.end(Duration::from_secs(1));
        assert_eq!(ended.code, Some(0), "{signal}: {}", ended.err.text());
    }
}

#[test]
fn sigusr1_prints_the_state_and_the_watch_goes_on() {
    let server = Prefork::start(&["--leaky", "0", "--cache", "0"]);
    let cli = leakwatch(&server, &["--interval", "60s"]);
    let (before_out, before_err) = (cli.out.all().len(), cli.err.all().len());
    let names_the_server = |lines: &[common::lines::Line], before: usize| {
        lines.iter().skip(before).any(|line| line.text().contains("leaky_prefork"))
    };

    cli.signal(Signal::SIGUSR1);

    let printed = wait::until(PROMPTLY, || {
        names_the_server(&cli.out.all(), before_out) || names_the_server(&cli.err.all(), before_err)
    });
    assert!(printed, "no state:\n{}{}", cli.out.text(), cli.err.text());
    assert_eq!(cli.stop().code, Some(0));
}
