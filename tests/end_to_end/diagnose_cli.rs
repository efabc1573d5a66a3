//! `leakwatch diagnose` as its caller meets it: what it says, where it writes, how it ends.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::fake_proc::{Fake, FakeProc, pid};
use crate::common::needs::{self, Need};
use crate::common::small_machine::SmallMachine;
use nix::sys::signal::Signal;
use serde_json::Value;

/// A small machine on which nothing happens: init, a web server with workers, a database.
fn idle_machine() -> FakeProc {
    let proc = FakeProc::with_memory_kib(1 << 20);
    proc.show(&Fake::new(1, "init").child_of(0));
    proc.show(&Fake::new(pid(0), "apache2"));
    for nth in 1..4 {
        proc.show(&Fake::new(pid(nth), "apache2").child_of(pid(0)));
    }
    proc.show(&Fake::new(pid(9), "mysqld").holding_kib(90_000));
    for of in [pid(0), pid(1), pid(2), pid(3), pid(9)] {
        proc.with(of, "cgroup", "0::/\n");
    }
    proc
}

fn diagnose(proc: &FakeProc, logs: &Path, more: &[&str]) -> Ended {
    let procfs = proc.path().to_str().unwrap();
    let args = ["diagnose", "--procfs", procfs, "--logs", logs.to_str().unwrap()];
    Cli::leakwatch([&args, more].concat()).end(Duration::from_secs(60))
}

fn recorded(name: &str, more: &[&str]) -> Ended {
    let path = format!("{}/tests/recordings/{name}.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let args = ["diagnose", "--recording", &path];
    Cli::leakwatch([&args, more].concat()).end(Duration::from_secs(60))
}

fn json(ended: &Ended) -> Value {
    serde_json::from_str(&ended.out.text()).unwrap_or_else(|e| panic!("{e}: {}", ended.err.text()))
}

#[test]
fn an_idle_machine_is_cleared_with_a_list_of_what_was_seen() {
    let (proc, logs) = (idle_machine(), tempfile::tempdir().unwrap());

    let ended = diagnose(&proc, logs.path(), &["--for", "8s"]);

    let text = ended.out.text();
    assert!(text.contains("No leak shows in"), "{text}");
    assert!(text.contains("mysqld") && text.contains("flat for"), "{text}");
    assert!(text.contains("No log was read: whether forks failed"), "{text}");
    assert_eq!(ended.code, Some(0));
    assert_eq!(ended.err.text(), "", "no progress where no terminal is");
}

#[test]
fn a_single_sample_says_so_and_what_to_type_next() {
    let (proc, logs) = (idle_machine(), tempfile::tempdir().unwrap());
    // Young for its size: it could have grown to this in no time.
    proc.show(&Fake { start: u64::MAX >> 12, ..Fake::new(pid(9), "mysqld").holding_kib(90_000) });

    let ended = diagnose(&proc, logs.path(), &["--for", "0"]);

    let text = ended.out.text();
    assert!(text.contains("There are too few samples to name a leak"), "{text}");
    assert!(text.contains("leakwatch diagnose --for 60s"), "{text}");
    assert_eq!(ended.code, Some(0));
}

/// A slow leak shows in no minute, but eight workers of different ages have their lives behind them.
#[test]
fn workers_that_use_more_memory_the_more_they_worked_are_seen_in_a_single_sample() {
    let (proc, logs) = (idle_machine(), tempfile::tempdir().unwrap());
    let show = |nth: u32, requests: u64, anon_kib: u64| {
        let pid = pid(nth);
        proc.show(&Fake::new(pid, "apache2").child_of(self::pid(0)).holding_kib(anon_kib));
        let exe = proc.path().join(format!("{pid}/exe"));
        fs::remove_file(&exe).unwrap();
        std::os::unix::fs::symlink("/usr/sbin/apache2", exe).unwrap();
        proc.with(pid, "cgroup", "0::/\n");
        let switches = format!("Name:\tapache2\nvoluntary_ctxt_switches:\t{}\n", 2 * requests);
        proc.with(pid, &format!("task/{pid}/status"), switches);
        proc.with(pid, "smaps_rollup", format!("Private_Dirty:  {anon_kib} kB\nSwap:  0 kB\n"));
    };
    let verdict = || {
        let ended = diagnose(&proc, logs.path(), &["--for", "0", "--format", "json"]);
        let report = json(&ended);
        let services = report["services"].as_array().unwrap();
        let apache = services.iter().find(|service| service["name"] == "apache2").unwrap();
        (apache["verdict"].as_str().unwrap().to_owned(), apache["per_work"].clone(), ended.code)
    };

    // 9 KiB a request; a wait is half of one.
    (1..9).for_each(|nth| show(nth, 1000 * u64::from(nth), 10_240 + 9000 * u64::from(nth)));
    let (word, per_work, code) = verdict();
    assert_eq!((word.as_str(), code), ("likely-leaking", Some(1)));
    let bytes = per_work["bytes"].as_f64().unwrap();
    assert!((4500.0..4700.0).contains(&bytes), "{per_work}");

    // A cache that each fills once is none.
    (1..9).for_each(|nth| {
        show(nth, 1000 * u64::from(nth), 10_240 + (9000 * u64::from(nth)).min(27_000))
    });
    let (word, _, code) = verdict();
    assert_ne!(word, "likely-leaking");
    assert_eq!(code, Some(0));
}

#[test]
fn an_interrupt_ends_the_observation_and_prints_the_report() {
    let (proc, logs) = (idle_machine(), tempfile::tempdir().unwrap());
    let procfs = proc.path().to_str().unwrap();
    let args = ["diagnose", "--procfs", procfs, "--logs", logs.path().to_str().unwrap()];
    let cli = Cli::leakwatch([&args[..], &["--for", "1h", "--format", "json"]].concat());
    // There is no event to await before the report; one sent too early would end it all the same.
    std::thread::sleep(Duration::from_millis(1500));

    cli.signal(Signal::SIGINT);

    let report = json(&cli.end(PROMPTLY));
    assert!(report["observed"]["samples"].as_u64().unwrap() >= 1);
    assert!(report["unseen"].to_string().contains("ended early"), "{report:#}");
}

#[test]
fn failures_in_logs_are_reported_even_if_nothing_leaks_now() {
    let (proc, logs) = (idle_machine(), tempfile::tempdir().unwrap());
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now());
    let line = format!("{now} h sshd[812]: error: fork: Cannot allocate memory\n");
    fs::write(logs.path().join("auth.log"), line).unwrap();

    let ended = diagnose(&proc, logs.path(), &["--for", "4s"]);

    let text = ended.out.text().replace('\n', " ");
    assert!(text.contains("But the logs show 1 failure for lack of memory"), "{text}");
    assert!(text.contains("once  fork failed: out of memory (ENOMEM)"), "{text}");
}

/// Any user can choose names and write log lines.
#[test]
fn hostile_text_breaks_neither_terminal_nor_page() {
    let (proc, logs) = (idle_machine(), tempfile::tempdir().unwrap());
    let hostile = "\x1b]0;x\x07<b>";
    proc.show(&Fake::new(pid(20), hostile).holding_kib(200_000));
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now());
    let line = format!(
        "{now} h kernel: Out of memory: Killed process 7 (</script><img src=x>\x1b[2J\u{202e}) total-vm:1kB\n"
    );
    fs::write(logs.path().join("kern.log"), line).unwrap();
    let page = logs.path().join("page.html");

    let ended = diagnose(&proc, logs.path(), &["--for", "4s", "--html", page.to_str().unwrap()]);

    let text = ended.out.text();
    assert!(text.contains("Killed process 7"), "{text}");
    assert!(!text.chars().any(|c| (c.is_control() && c != '\n') || c == '\u{202e}'), "{text:?}");
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("Killed process 7") && page.contains("&lt;img src=x&gt;"), "{page}");
    for bad in ["<script", "<img", "<b>\u{0}", "\x1b", "\u{202e}", "src=x>"] {
        assert!(!page.contains(bad), "{bad:?} in the page");
    }
    assert!(page.contains("default-src 'none'"));
}

#[test]
fn a_recording_of_another_boot_is_judged_alone() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("page.html");

    let ended = recorded("apache-leak", &["--html", page.to_str().unwrap()]);

    let text = ended.out.text();
    assert!(text.contains("apache2 leaks: its"), "{text}");
    assert!(text.contains("of another machine or of an earlier boot"), "{text}");
    assert!(matches!(ended.code, Some(1 | 2)), "{:?}", ended.code);
    let page = fs::read_to_string(page).unwrap();
    assert!(page.contains("nothing left:") && page.contains("class=\"band\""), "{page}");
}

#[test]
fn a_replay_can_be_a_page_with_its_orders_marked() {
    let dir = tempfile::tempdir().unwrap();
    let page = dir.path().join("page.html");
    let path = format!("{}/tests/recordings/apache-leak.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
    let args = ["replay", "--html", page.to_str().unwrap(), &path];

    let ended = Cli::leakwatch(args).end(Duration::from_secs(60));

    assert!(ended.out.text().contains("GROWING"), "the events are printed as ever");
    let page = fs::read_to_string(page).unwrap();
    assert!(
        page.contains("leak named: /usr/sbin/apach") && page.contains("class=\"mark\""),
        "{page}"
    );
}

/// A compiler, caches that fill, and batch jobs take memory too.
#[test]
fn a_process_that_only_works_hard_is_no_suspect() {
    for name in ["cargo-build", "apache-warm", "python-lru", "perl-churn"] {
        let report = json(&recorded(name, &["--format", "json"]));
        for service in report["services"].as_array().unwrap() {
            let verdict = service["verdict"].as_str().unwrap();
            assert!(!verdict.contains("leaking"), "{name}: {service:#}");
        }
        assert_eq!(report["status"], 0, "{name}");
        assert_eq!(
            report["remedies"].as_array().unwrap().len(),
            0,
            "{name}: {}",
            report["remedies"]
        );
    }
}

/// A minute's recording of a program whose two children, `age_s` old at its end, grew by 3 MB/s each.
fn grown_steadily(path: &Path, age_s: f64) {
    grown(path, age_s, |s| 3e6 * s);
}

/// The same where the children held so many bytes more after so many seconds of the recording.
fn grown(path: &Path, age_s: f64, more: impl Fn(f64) -> f64) {
    use std::fmt::Write;
    let mut text = String::from(
        r#"{"format":"leakwatch-recording","version":1,"interval_s":0.375,"clock_ticks":100,"page_size":4096,"hostname":"elsewhere"}"#,
    );
    for nth in 0..165 {
        let t = f64::from(nth) * 0.375;
        let born = 61.5 - age_s;
        let child = |pid: u32| {
            let (anon, start) = (20e6 + more(t - born.max(0.0)), (3000.0 + born) * 100.0);
            format!(
                r#",{{"pid":{pid},"ppid":100,"start":{start:.0},"comm":"rustc","rss":{anon:.0},"anon":{anon:.0},"swap":0,"cpu":{:.2}}}"#,
                (t - born) * 0.3
            )
        };
        let children = if t >= born { child(201) + &child(202) } else { String::new() };
        write!(
            text,
            "\n{{\"t\":{},\"uptime\":{},\"cpu\":{t},\"mem\":{{\"total\":25e9,\"available\":24e9,\"swap_total\":0,\"swap_free\":0}},\"ceilings\":[],\"procs\":[{{\"pid\":100,\"ppid\":1,\"start\":100,\"comm\":\"cargo\",\"rss\":5e7,\"anon\":3e7,\"swap\":0,\"cpu\":{:.3}}}{children}]}}",
            1.8e9 + t,
            3000.0 + t,
            t * 0.001
        )
        .unwrap();
    }
    let text = text.replace("25e9", "25000000000").replace("24e9", "24000000000");
    fs::write(path, text.replace("5e7", "50000000").replace("3e7", "30000000")).unwrap();
}

/// As a compiler does on a busy machine: one minute old, it has never been seen to fall back.
#[test]
fn a_job_younger_than_a_minute_is_not_suspect_and_an_older_one_with_the_same_growth_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.jsonl");
    let report = |age_s: f64| {
        grown_steadily(&path, age_s);
        let args = ["diagnose", "--format", "json", "--recording", path.to_str().unwrap()];
        json(&Cli::leakwatch(args).end(Duration::from_secs(60)))
    };

    let (young, old) = (report(57.0), report(1000.0));

    assert_eq!(young["services"][0]["verdict"], "unclear", "{}", young["services"][0]["reason"]);
    assert_eq!(young["status"], 0);
    assert_eq!(old["services"][0]["verdict"], "growing", "{}", old["services"][0]["reason"]);
    assert_eq!(old["status"], 1);
}

#[test]
fn a_file_that_cannot_be_written_or_read_is_an_error_with_status_3() {
    let (proc, logs) = (idle_machine(), tempfile::tempdir().unwrap());
    let ended = diagnose(&proc, logs.path(), &["--for", "0", "--html", "/nonexistent/page.html"]);
    assert_eq!(ended.code, Some(3));
    assert!(ended.err.text().contains("cannot write '/nonexistent/page.html'"));
    let none = Cli::leakwatch(["diagnose", "--recording", "/nonexistent"]).end(PROMPTLY);
    assert_eq!(none.code, Some(3));
}

/// What this machine's kernel and services have logged, in lines that are too long for a terminal.
fn log_failures(logs: &Path) {
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now());
    // As Linux 6.18 logs a child of Apache under mod_perl, and one of a plain Apache.
    let text = format!(
        "{now} h kernel: Out of memory: Killed process 30433 (/usr/sbin/apach) total-vm:61296kB, anon-rss:50900kB, file-rss:4608kB, shmem-rss:0kB, UID:33 pgtables:160kB oom_score_adj:0\n\
         {now} h kernel: Out of memory: Killed process 30434 (apache2) total-vm:61296kB, anon-rss:50900kB, file-rss:4608kB, shmem-rss:0kB, UID:33 pgtables:160kB oom_score_adj:0\n\
         {now} h kernel: Memory cgroup out of memory: Killed process 7 (/opt/shop/bin/w) total-vm:61296kB, anon-rss:50900kB\n\
         {now} h sshd[812]: error: fork: Cannot allocate memory\n"
    );
    fs::write(logs.join("syslog"), text).unwrap();
}

#[test]
fn a_truncated_name_counts_for_its_program_and_one_that_fits_none_is_shown_as_logged() {
    let (proc, logs) = (idle_machine(), tempfile::tempdir().unwrap());
    log_failures(logs.path());

    let report = json(&diagnose(&proc, logs.path(), &["--for", "0", "--format", "json"]));

    let log_events = report["logs"]["events"].as_array().unwrap();
    let told = |who: &str, failure: &str| {
        let mut of = log_events.iter().filter(|t| t["who"] == who && t["failure"] == failure);
        of.next().map(|log_event| log_event["count"].clone())
    };
    assert_eq!(told("apache2", "oom-kill"), Some(2.into()), "{log_events:#?}");
    assert_eq!(told("/opt/shop/bin/w", "oom-kill-in-cgroup"), Some(1.into()), "{log_events:#?}");
    assert_eq!(log_events.len(), 3, "{log_events:#?}");
}

/// Paragraphs of the report: a line that begins one, and those below it that continue it.
#[test]
fn no_line_is_longer_than_the_terminal_and_broken_lines_have_a_hanging_indent() {
    let (proc, logs) = (idle_machine(), tempfile::tempdir().unwrap());
    proc.show(&Fake::new(pid(20), "a-name-of-15-by").holding_kib(50_000));
    log_failures(logs.path());
    for width in [60, 72, 80, 100, 132] {
        let recording =
            format!("{}/tests/recordings/apache-leak.jsonl.gz", env!("CARGO_MANIFEST_DIR"));
        let of = |more: &[&str]| {
            let env = ["env".to_owned(), format!("COLUMNS={width}")];
            let cli = Cli::leakwatch_by(&env, [&["diagnose"], more].concat());
            cli.end(Duration::from_secs(60)).out.text()
        };
        let (procfs, dir) = (proc.path().to_str().unwrap(), logs.path().to_str().unwrap());
        let idle = of(&["--procfs", procfs, "--logs", dir, "--for", "2s"]);
        let leaking = of(&["--recording", &recording]);

        let mut broken = 0;
        for text in [&idle, &leaking] {
            let lines: Vec<&str> = text.lines().collect();
            for line in &lines {
                // Commands are for copying, and the name of a temporary directory has no blank.
                let whole = line.starts_with("       leakwatch ") || line.contains("/.tmp");
                assert!(whole || line.chars().count() <= width, "{width}: {line:?}\n{text}");
            }
            for pair in lines.windows(2) {
                let column = match pair[0] {
                    item if item.starts_with("  - ") => 4,
                    item if item.starts_with("  1. ") || item.starts_with("  2. ") => 5,
                    log_event
                        if log_event.contains(" ended by ")
                            || log_event.contains("  fork failed") =>
                    {
                        log_event.find("ended by").or(log_event.find("fork failed")).unwrap()
                    }
                    _ => continue,
                };
                let deep = pair[1].len() - pair[1].trim_start().len();
                // The next item, the quote below a trace, a command, or the end of the section.
                if ["  - ", "  1. ", "  2. ", "  All ", "       leakwatch", "      /"]
                    .iter()
                    .any(|begin| pair[1].starts_with(begin))
                    || deep == 0
                {
                    continue;
                }
                broken += 1;
                assert_eq!(deep, column, "{width}: {pair:#?}\n{text}");
            }
        }
        assert!(broken > 0, "{width}: nothing was broken\n{idle}\n{leaking}");
    }
}

#[test]
fn a_report_without_anything_to_judge_says_why() {
    let (proc, logs) = (FakeProc::with_memory_kib(1 << 20), tempfile::tempdir().unwrap());

    let nothing = diagnose(&proc, logs.path(), &["--for", "2s"]);
    let unmatched = diagnose(
        &idle_machine(),
        logs.path(),
        &["--for", "0", "--pattern", "apach2", "--pid", "7"],
    );

    let text = nothing.out.text().replace('\n', " ");
    assert!(text.contains("There is no process but leakwatch, what started it"), "{text}");
    assert!(text.contains("512 MiB left of 1.0 GiB"), "{text}");
    assert!(!text.contains("WHAT HOLDS THE MEMORY"), "{text}");
    let text = unmatched.out.text().replace('\n', " ");
    assert!(text.contains("No process matches pattern 'apach2', pid 7"), "{text}");
    for ended in [nothing, unmatched] {
        assert!(ended.out.text().ends_with("Exit status 0: there is nothing to judge.\n"));
        assert_eq!(ended.code, Some(0));
    }
}

/// What a minute cannot tell needs a longer observation or a history; the report has both commands.
#[test]
fn a_service_seen_too_briefly_is_followed_by_what_to_type_next() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("r.jsonl");
    let report =
        || Cli::leakwatch(["diagnose", "--recording", path.to_str().unwrap()]).end(PROMPTLY);
    let commands = |text: &str| {
        let commands = text.lines().filter_map(|line| line.strip_prefix("       "));
        commands.filter(|line| !line.starts_with(' ')).map(str::to_owned).collect::<Vec<_>>()
    };
    let (look, history, later) = (
        "leakwatch diagnose --for 10m",
        "echo '*/5 * * * * root leakwatch check --dry-run' >/etc/cron.d/leakwatch",
        "leakwatch diagnose",
    );

    // A job that is too young to be suspect, and one that grows more and more slowly, which in a
    // minute may be either: 24 GB would be full within a day.
    grown_steadily(&path, 57.0);
    let unclear = report();
    grown(&path, 1000.0, |s| 60e6 * (1.0 - (-s / 70.0).exp()));
    let warming = report();

    for ended in [&unclear, &warming] {
        let text = ended.out.text();
        assert_eq!(commands(&text), [look, history, later], "{text}");
        assert_eq!(ended.code, Some(0));
    }
    let text = warming.out.text().replace('\n', " ");
    assert!(text.contains("But cargo still grows, ever more slowly"), "{text}");

    // Accused after a minute, with an hour left: there is time to be surer.
    grown_steadily(&path, 1000.0);
    let ended = report();
    let text = ended.out.text();
    assert_eq!(commands(&text).last().unwrap(), look, "{text}");
    assert_eq!(ended.code, Some(1));
}

#[test]
#[ignore = "needs user-mode Linux"]
fn a_freshly_booted_idle_machine_has_no_suspect() {
    needs::require(&[Need::SmallMachine]);
    let program = Cli::program();
    let look = format!("{} diagnose -q --color never --logs /dev/shm/logs", program.display());
    let script =
        format!("mkdir /dev/shm/logs; {look} --for 2s; echo then; sleep 1000 & {look} --for 8s");

    let ran = SmallMachine::of_mib(96).run(&["sh", "-c", &script]);

    let said = ran.out.text();
    assert_eq!(ran.code, Some(0), "{said}");
    let (empty, idle) = said.split_once("\nthen\n").unwrap();
    assert!(empty.ends_with("Exit status 0: there is nothing to judge."), "{said}");
    let empty = empty.replace('\n', " ");
    assert!(empty.contains("There is no process but leakwatch, what started it"), "{said}");
    assert!(idle.contains("No leak shows in"), "{said}");
    assert!(idle.contains("1 other"), "{said}");
    assert!(!idle.contains("WHAT TO DO"), "{said}");
    assert!(idle.contains("Exit status 0: nothing leaks."), "{said}");
}
