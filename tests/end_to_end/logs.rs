//! Large logs cost little memory and little time. LEAKWATCH_LOG_MB makes them larger (2048 for the
//! figures in the README). In a process of its own: the peak is that of all its children.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::time::{Duration, SystemTime};

use crate::common::again;
use crate::common::cli::Cli;
use crate::common::fake_proc::{Fake, FakeProc};
use nix::sys::resource::{UsageWho, getrusage};
use serde_json::Value;

#[test]
fn large_logs_are_read_in_little_memory() {
    if let Some(said) = again::alone(&[], Duration::from_secs(240)) {
        println!("{said}");
        return;
    }
    let mib: u64 = std::env::var("LEAKWATCH_LOG_MB").map_or(64, |text| text.parse().unwrap());
    let logs = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let stamp = |seconds: u64| {
        humantime::format_rfc3339_seconds(now - Duration::from_secs(seconds)).to_string()
    };
    let mut written = 0;
    for nth in 0..4 {
        let name = logs.path().join(format!("syslog.{nth}"));
        let mut file = BufWriter::with_capacity(1 << 20, File::create(name).unwrap());
        let at = stamp(3600 * (nth + 1));
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
    let proc = FakeProc::with_memory_kib(1 << 20);
    proc.show(&Fake::new(1, "init").child_of(0));
    let procfs = proc.path().to_str().unwrap();
    let logs = logs.path().to_str().unwrap();
    let args = ["diagnose", "--for", "0", "--format", "json", "--procfs", procfs, "--logs", logs];

    let ended = Cli::leakwatch(args).end(Duration::from_secs(120));

    let report: Value = serde_json::from_str(&ended.out.text()).unwrap();
    let peak_kib = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    let (read, took) = (&report["logs"]["bytes"], &report["logs"]["took_s"]);
    println!("{written} bytes of logs, {read} read in {took} s, peak {peak_kib} KiB");
    assert!(peak_kib < 20 * 1024, "{peak_kib} KiB");
    assert!(took.as_f64().unwrap() < 10.0, "bounded to 4 s, and one piece more: {took}");
    let log_events = report["logs"]["events"].as_array().unwrap();
    assert!(
        log_events.iter().any(|log_event| log_event["who"] == "cron"),
        "the end is read first: {report}"
    );
}
