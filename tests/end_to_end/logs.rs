//! Large logs cost little memory and little time. LEAKWATCH_LOG_MB makes them larger (2048 for the
//! figures in the README). In a process of its own: the peak is that of all its children.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use crate::common::again;
use crate::common::cli::Cli;
use crate::common::fake_proc::{Fake, FakeProc, pid};
use crate::common::{process, wait};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;
use serde_json::Value;

/// Four logs of together so many MiB, each with a failure at either end.
fn large_logs(dir: &Path, mib: u64) -> u64 {
    let now = SystemTime::now();
    let mut written = 0;
    for nth in 0..4 {
        let name = dir.join(format!("syslog.{nth}"));
        let mut file = BufWriter::with_capacity(1 << 20, File::create(name).unwrap());
        let at = stamp(now, 3600 * (nth + 1));
        let line = format!(
            "{at} vps1 postfix/smtpd[4711]: disconnect from mail.example.net[192.0.2.7] ehlo=1 mail=1 rcpt=1 data=1 quit=1 commands=5\n"
        );
        let failure = format!("{at} vps1 sshd[{nth}]: error: fork: Cannot allocate memory\n");
        file.write_all(failure.as_bytes()).unwrap();
        let piece = line.repeat(8192);
        let mut size = 0;
        while size < mib * (1 << 20) / 4 {
            file.write_all(piece.as_bytes()).unwrap();
            size += piece.len() as u64;
        }
        file.write_all(failure.replace("sshd", "cron").as_bytes()).unwrap();
        file.flush().unwrap();
        written += size;
    }
    written
}

fn stamp(now: SystemTime, ago_s: u64) -> String {
    humantime::format_rfc3339_seconds(now - Duration::from_secs(ago_s)).to_string()
}

/// LEAKWATCH_LOG_MB, or so many.
fn log_mib(usual: u64) -> u64 {
    std::env::var("LEAKWATCH_LOG_MB").map_or(usual, |text| text.parse().unwrap())
}

#[test]
fn large_logs_are_read_in_little_memory() {
    if let Some(said) = again::alone(&[], Duration::from_secs(240)) {
        println!("{said}");
        return;
    }
    let logs = tempfile::tempdir().unwrap();
    let written = large_logs(logs.path(), log_mib(64));
    let proc = FakeProc::with_memory_kib(1 << 20);
    proc.show(&Fake::new(1, "init").child_of(0));
    let procfs = proc.path().to_str().unwrap();
    let logs = logs.path().to_str().unwrap();
    let args = ["diagnose", "--for", "0", "--format", "json", "--procfs", procfs, "--logs", logs];

    let ended = Cli::leakwatch(args).end(Duration::from_secs(120));

    let report: Value = serde_json::from_str(&ended.out.text()).unwrap();
    let peak_kib = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    let (read, took) = (&report["logs"]["bytes"], &report["logs"]["took_s"]);
    println!(
        "{written} bytes of logs, {read} read in {took} s, {:.2} s of CPU, peak {peak_kib} KiB",
        cpu_s()
    );
    assert!(peak_kib < 20 * 1024, "{peak_kib} KiB");
    assert!(took.as_f64().unwrap() < 10.0, "bounded to 4 s, and one piece more: {took}");
    assert!(read.as_u64().unwrap() <= 1 << 30, "{read}");
    let log_events = report["logs"]["events"].as_array().unwrap();
    assert!(
        log_events.iter().any(|log_event| log_event["who"] == "cron"),
        "the end is read first: {report}"
    );
}

/// Whoever fills the logs that he may write to hides nothing that others have in theirs: of the newest ones one
/// has no end, one is unpacked without end, and one has more lines to understand than are understood in all.
#[test]
fn a_log_that_takes_all_it_can_leaves_others_their_share() {
    let logs = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let write = |name: &str, ago_s: u64, text: &[u8]| {
        let path = logs.path().join(name);
        std::fs::write(&path, text).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.set_modified(now - Duration::from_secs(ago_s)).unwrap();
    };
    let failure = |who: &str, ago_s: u64| {
        format!("{} vps1 {who}: error: fork: Cannot allocate memory\n", stamp(now, ago_s))
    };
    write("auth.log", 3600, failure("sshd[1]", 3600).as_bytes());
    let other = format!("{} vps1 postfix[2]: connect from mail.example.net\n", stamp(now, 3600));
    let large = other.repeat((7 << 20) / other.len()) + &failure("cron[3]", 3600);
    write("syslog", 3600, large.as_bytes());
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(failure("exim[4]", 90_000).as_bytes()).unwrap();
    write("mail.log.2.gz", 3600, &packed.finish().unwrap());
    let forged: String =
        (0..).map(|n| failure(&format!("p{n}"), 60)).take(6 * (1 << 20) / 80).collect();
    write("forged.log", 60, forged.as_bytes());
    write("bomb.log.1.gz", 60, b"");
    bomb(&logs.path().join("bomb.log.1.gz"));
    write("endless.log", 60, b"");
    let endless = File::options().write(true).open(logs.path().join("endless.log")).unwrap();
    endless.set_len(1 << 40).unwrap();

    let proc = FakeProc::with_memory_kib(1 << 20);
    proc.show(&Fake::new(1, "init").child_of(0));
    let (procfs, dir) = (proc.path().to_str().unwrap(), logs.path().to_str().unwrap());
    let args = ["diagnose", "--for", "0", "--no-state", "--format", "json"];
    let args = [args.as_slice(), &["--procfs", procfs, "--logs", dir]].concat();
    let ended = Cli::leakwatch(args).end(Duration::from_secs(60));

    let report: Value = serde_json::from_str(&ended.out.text()).unwrap();
    let events = report["logs"]["events"].as_array().unwrap();
    for who in ["sshd", "cron", "exim"] {
        let is_told = events.iter().any(|event| event["who"] == who);
        assert!(is_told, "{who}: {events:?} {}", report["logs"]["unread"]);
    }
    let unread = report["logs"]["unread"].as_array().unwrap();
    let told: Vec<&str> = unread.iter().filter_map(Value::as_str).collect();
    let cut = told.iter().find(|what| what.starts_with("parts of")).unwrap();
    for name in ["forged.log", "endless.log", "bomb.log.1.gz"] {
        assert!(cut.contains(name), "{told:?}");
    }
    assert!(!cut.contains("syslog") && told.len() == 1, "{told:?}");
}

/// A packed log that takes longer to unpack than leakwatch reads logs.
fn bomb(path: &Path) {
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(&vec![b'x'; 32 << 20]).unwrap();
    std::fs::write(path, gz.finish().unwrap().repeat(1000)).unwrap();
}

#[test]
fn logs_are_read_by_a_helper_without_rights_which_ends_at_a_signal() {
    let logs = tempfile::tempdir().unwrap();
    bomb(&logs.path().join("syslog.2.gz"));
    let proc = FakeProc::with_memory_kib(1 << 20);
    proc.show(&Fake::new(1, "init").child_of(0));
    let (procfs, logs) = (proc.path().to_str().unwrap(), logs.path().to_str().unwrap());
    let cli = Cli::leakwatch([
        "diagnose",
        "--for",
        "0",
        "--no-state",
        "--format",
        "json",
        "--procfs",
        procfs,
        "--logs",
        logs,
    ]);
    let helper = || {
        let mut pids = process::children(cli.pid()).into_iter().map(|id| id.pid);
        pids.find_map(|pid| std::fs::read_to_string(format!("/proc/{pid}/status")).ok())
    };
    let mut status = String::new();
    let is_held = || {
        status = helper().unwrap_or_default();
        status.contains("NoNewPrivs:\t1") && status.contains("CapPrm:\t0000000000000000")
    };
    assert!(wait::until(Duration::from_secs(30), is_held), "{status}");
    wait::until(Duration::from_secs(1), || {
        status = helper().unwrap_or(std::mem::take(&mut status));
        status.contains("Seccomp:\t2")
    });
    cli.signal(Signal::SIGTERM);
    let began = Instant::now();
    let ended = cli.end(Duration::from_secs(30));
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let report: Value = serde_json::from_str(&ended.out.text()).unwrap();
    assert!(report["logs"]["unread"].to_string().contains("time was up"), "{report:#}");
    if nix::unistd::geteuid().is_root() {
        assert!(status.contains("Uid:\t65534\t65534\t65534\t65534"), "{status}");
    }
    // Where the kernel has no seccomp, the report says that.
    let is_told = report["unseen"].to_string().contains("without");
    assert!(is_told || status.contains("Seccomp:\t2"), "{status}\n{report:#}");
}

/// CPU seconds of all children so far.
fn cpu_s() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap();
    let times = [usage.user_time(), usage.system_time()];
    times.iter().map(|t| t.tv_sec() as f64 + t.tv_usec() as f64 * 1e-6).sum()
}

/// LEAKWATCH_PROCESSES makes it larger; with 20000 the figures are those of a large host.
#[test]
#[ignore = "takes a quarter of a minute"]
fn a_machine_of_many_processes_and_cgroups_is_diagnosed_in_little_memory() {
    if let Some(said) = again::alone(&[], Duration::from_secs(240)) {
        println!("{said}");
        return;
    }
    let many: u32 = std::env::var("LEAKWATCH_PROCESSES").map_or(2000, |text| text.parse().unwrap());
    let proc = FakeProc::in_memory(64 << 20).with_cgroups();
    let services = 200.min(many / 10);
    for service in 0..services {
        let dir = format!("fake-sys/fs/cgroup/system.slice/s{service}.service");
        for (file, text) in [
            ("memory.max", "536870912\n"),
            ("memory.current", "134217728\n"),
            ("memory.stat", "anon 134217728\ninactive_file 0\n"),
            ("memory.events", "low 0\nhigh 0\nmax 0\noom 0\noom_kill 0\n"),
            ("pids.max", "1000\n"),
            ("pids.current", "100\n"),
            ("pids.events", "max 0\n"),
        ] {
            proc.write(&format!("{dir}/{file}"), text);
        }
        let members = many / services;
        let master = pid(service * members);
        for nth in 0..members {
            let of = if nth == 0 { 1 } else { master };
            let id = pid(service * members + nth);
            proc.show(&Fake::new(id, format!("worker{service}")).child_of(of));
            proc.with(id, "cgroup", format!("0::/system.slice/s{service}.service\n"));
        }
    }
    let procfs = proc.path().to_str().unwrap();
    let run = |args: &[&str]| {
        let before_s = cpu_s();
        let args = [args, &["--procfs", procfs]].concat();
        let ended = Cli::leakwatch(&args).end(Duration::from_secs(200));
        assert_eq!(ended.code, Some(0), "{}", ended.err.text());
        cpu_s() - before_s
    };
    let logs = tempfile::tempdir().unwrap();
    let recording = logs.path().join("looked.dat");
    large_logs(logs.path(), log_mib(0));
    let (logs, recording) = (logs.path().to_str().unwrap(), recording.to_str().unwrap());
    let look_s = run(&["record", "--samples", "21", "--interval", "0.25", "--quiet", recording]);
    let all_s = run(&["diagnose", "--for", "5", "--no-state", "--logs", logs]);
    let peak_kib = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    println!(
        "{many} processes: {all_s:.1} s of CPU, {look_s:.1} s to record as many samples, {peak_kib} KiB"
    );
    assert!(peak_kib < 64 << 10, "{peak_kib} KiB");
}
