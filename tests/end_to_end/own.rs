//! What leakwatch reports about itself: its size, its cost, and late samples.

use std::time::Duration;

use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::events::{self, Event};
use crate::common::fake_proc::{Fake, FakeProc, pid};
use crate::common::process;
use crate::common::wait;
use nix::sys::signal::Signal;

/// A watch of one quiet process, by its own options.
fn watch(proc: &FakeProc, more: &[&str]) -> Cli {
    proc.show(&Fake::new(pid(0), "app"));
    let procfs = proc.path().to_str().unwrap();
    let args = ["--procfs", procfs, "--pattern", "app", "--interval", "100ms"];
    let cli = Cli::leakwatch([&args, more].concat());
    cli.err.expect_line(PROMPTLY, "that says what is watched", |line| line.contains("watching"));
    cli
}

fn own_lines(ended: &Ended) -> Vec<String> {
    let lines = ended.err.all();
    let own = lines.iter().map(|line| line.text());
    own.filter(|line| line.starts_with("leakwatch itself: ")).collect()
}

fn late_lines(ended: &Ended) -> Vec<String> {
    let lines = ended.err.all();
    lines.iter().map(|line| line.text()).filter(|line| line.contains(" late: ")).collect()
}

#[test]
fn it_prints_its_own_usage_on_sigusr1_and_at_the_end() {
    let proc = FakeProc::with_memory_kib(1 << 20);
    let cli = watch(&proc, &["--format", "json"]);
    cli.signal(Signal::SIGUSR1);
    cli.err.expect_line(PROMPTLY, "of itself", |line| line.starts_with("leakwatch itself: "));
    cli.out.expect_line(PROMPTLY, "of itself", |line| events::is(line, "self"));
    let anon_kib = process::anon_kib(cli.pid());
    let ended = cli.stop();

    let lines = own_lines(&ended);
    assert_eq!(lines.len(), 2, "{}", ended.err.text());
    let of = events::named(&ended.out, "self");
    assert_eq!(of.len(), 2, "{}", ended.out.text());
    let number = |event: &Event, key: &str| event.json[key].as_f64().unwrap();
    for event in &of {
        let kib = number(event, "anon_bytes") / 1024.0;
        // What the kernel batches per processor may be missing in either.
        assert!((kib - anon_kib as f64).abs() < 600.0, "{kib} and {anon_kib} KiB");
        assert!(number(event, "file_bytes") > 100e3 && number(event, "cpu_s") > 0.0);
        assert!((0.0..=number(event, "delay_max_s")).contains(&number(event, "delay_s")));
    }
    assert!(
        number(&of[0], "samples") >= 1.0 && number(&of[0], "samples") <= number(&of[1], "samples")
    );
}

#[test]
fn a_stop_by_a_signal_delays_no_sample() {
    let proc = FakeProc::with_memory_kib(1 << 20);
    let cli = watch(&proc, &["--format", "json"]);
    cli.signal(Signal::SIGSTOP);
    std::thread::sleep(Duration::from_millis(2500));
    cli.signal(Signal::SIGCONT);
    let looks = process::switches(cli.pid());
    assert!(wait::until(PROMPTLY, || process::switches(cli.pid()) >= looks + 5), "it sleeps on");
    let ended = cli.stop();
    assert_eq!(late_lines(&ended), [""; 0]);
    let own = events::named(&ended.out, "self").pop().unwrap();
    // Under load a sample may be late, but not by as much as it was stopped.
    assert!(own.json["delay_max_s"].as_f64().unwrap() < 2.0, "{}", own.json);
}
