//! `--on-event`: the user's command sees each event, and nothing that it does harms the watch.

use std::process::Command;
use std::time::Duration;

use crate::common::cli::{Cli, PROMPTLY};
use crate::common::events;
use crate::common::load::{Load, Plan};
use crate::common::prefork::{self, Prefork};
use crate::common::wait;

const ARGS: [&str; 6] = ["--interval", "1s", "--budget", "120M", "--format", "json"];

fn leaking() -> Prefork {
    Prefork::start(&["--leaky", "3", "--healthy", "1", "--cache", "0", "--rate", "1M/s"])
}

/// Awaits an outcome.
fn ended_one(cli: &Cli) {
    let is_outcome = |line: &str| events::is(line, "outcome");
    cli.out.expect_line(Duration::from_secs(90), "with an outcome", is_outcome);
}

#[test]
fn the_command_runs_for_each_event_with_its_fields_in_the_environment() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("seen");
    let server = leaking();
    let _load = Load::start(Plan::of(server.port(), "/", 10.0));
    let master = server.master().pid.to_string();
    let command = format!(
        "echo \"$LEAKWATCH_EVENT $LEAKWATCH_PID $LEAKWATCH_SIGNAL: $LEAKWATCH_TEXT, \
         score $(cat /proc/self/oom_score_adj)\" >>'{}'",
        file.display()
    );
    let args = [&ARGS[..], &["--pid", &master, "--on-event", &command, "--no-state"]].concat();
    // As a unit with OOMScoreAdjust= has it, where that is allowed here.
    let lowered = "echo -400 2>/dev/null >/proc/self/oom_score_adj; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.env("LEAKWATCH_SERVER", prefork::ROW);
    let cli = Cli::start(shell.args(["-c", lowered, env!("CARGO_BIN_EXE_leakwatch")]).args(args));
    ended_one(&cli);

    let order = events::named(&cli.out, "order").remove(0);
    let wanted = format!("order {} {}: ", order.pid(), order.text("signal"));
    let seen = || std::fs::read_to_string(&file).unwrap_or_default();
    wait::until(PROMPTLY, || seen().lines().any(|line| line.starts_with("outcome ")));
    let seen = seen();

    assert!(seen.contains(&wanted), "no '{wanted}' in:\n{seen}");
    assert!(seen.contains("ORDER ") && seen.contains("OUTCOME "), "{seen}");
    assert!(seen.lines().all(|line| !line.contains("score -")), "favoured: {seen}");
    let ended = cli.stop();
    assert!(!ended.err.text().contains("hook"), "{}", ended.err.text());
}

#[test]
#[ignore = "takes a minute"]
fn a_command_that_fails_or_never_ends_changes_nothing_in_the_watch() {
    for (command, said) in [("exit 3", "failed: exit status: 3"), ("exec sleep 1000", "")] {
        let server = leaking();
        let _load = Load::start(Plan::of(server.port(), "/", 10.0));
        let master = server.master().pid.to_string();
        let args = [&ARGS[..], &["--pid", &master, "--on-event", command]].concat();
        let cli = Cli::leakwatch(args);

        ended_one(&cli);

        if !said.is_empty() {
            cli.err.expect_line(PROMPTLY, "that says so", |line| line.contains(said));
        }
        assert!(server.master().runs());
        cli.signal(nix::sys::signal::Signal::SIGTERM);
        // Not by `end`, which would wait for the helper's hold on standard error.
        assert!(cli.out.wait_closed(PROMPTLY), "it does not stop");
    }
}
