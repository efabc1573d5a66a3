//! Under a real systemd: the shipped units in a small machine whose process 1 it is. What it and its
//! journal show of leakwatch, and what leakwatch says of its units.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::common::cli::{Cli, PROMPTLY};
use crate::common::prefork;
use crate::common::small_machine::SmallMachine;
use crate::common::systemd::{install, main_pid, property, run, systemctl};
use crate::common::unit::Unit;
use crate::common::wait;

/// Where every unit may read it, whatever ProtectHome= hides.
const PROGRAM: &str = "/opt/leakwatch";

/// The shipped units, as installed, with these settings besides in their [Service].
fn install_shipped(names: &[&str], settings: &str) {
    fs::write(PROGRAM, "").unwrap();
    let built = Cli::program();
    assert!(run("mount", &["--bind", built.to_str().unwrap(), PROGRAM]).0);
    for name in names {
        install(name, &Unit::shipped(name).running(Path::new(PROGRAM)));
        if name.ends_with(".service") {
            install(&format!("{name}.d/test.conf"), &format!("[Service]\n{settings}\n"));
        }
    }
    systemctl(&["daemon-reload"]);
}

/// The entries of the journal that match.
fn journal(matching: &[&str]) -> Vec<Value> {
    let (_, said) = run("journalctl", &[&["-q", "-o", "json"], matching].concat());
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
#[ignore = "needs user-mode Linux and systemd"]
fn the_service_says_how_it_is_stays_alive_and_is_begun_anew_when_it_hangs() {
    SmallMachine::of_mib(256).with_systemd().play(&[], &["service"], |_| {
        let settings =
            "Environment=\"DAEMON_OPTS=--interval 1h\"\nWatchdogSec=3s\nRestartSec=100ms";
        install_shipped(&["leakwatch.service"], settings);

        systemctl(&["start", "leakwatch"]);

        let status = systemctl(&["status", "leakwatch"]);
        assert!(status.contains("active (running)"), "{status}");
        assert!(status.contains("Status: \"nothing leaks in "), "{status}");
        let pid = main_pid("leakwatch");
        // Four signs of life at least, of which the first three are due within the watchdog's time.
        let heard = || property("leakwatch", "WatchdogTimestampMonotonic").parse::<u64>().unwrap();
        let first = heard();
        assert!(wait::until(Duration::from_secs(60), || heard() > first + 4_000_000), "no sign");
        assert_eq!((main_pid("leakwatch"), property("leakwatch", "NRestarts")), (pid, "0".into()));
        systemctl(&["reload", "leakwatch"]);
        assert_eq!(main_pid("leakwatch"), pid);

        systemctl(&["kill", "--kill-whom=main", "--signal=STOP", "leakwatch"]);

        let again = || property("leakwatch", "NRestarts") == "1" && main_pid("leakwatch") > 0;
        assert!(
            wait::until(Duration::from_secs(60), again),
            "{}",
            systemctl(&["status", "leakwatch"])
        );
        let runs = || property("leakwatch", "ActiveState") == "active";
        assert!(wait::until(PROMPTLY, runs), "it does not come back");
        assert_ne!(main_pid("leakwatch"), pid);
        systemctl(&["stop", "leakwatch"]);
        assert_eq!(property("leakwatch", "Result"), "success");
    });
}

#[test]
#[ignore = "needs user-mode Linux and systemd"]
fn a_leak_in_a_unit_is_told_by_the_units_name_in_its_journal_too() {
    SmallMachine::of_mib(384).with_systemd().play(&[], &["unit"], |_| {
        let server = prefork::program();
        install(
            "shop.service",
            &format!(
                "[Service]\nMemoryMax=120M\nMemorySwapMax=0\n\
                 ExecStart={} --leaky 1 --healthy 1 --cache 0 --rate 2M/s\n",
                server.display()
            ),
        );
        let options =
            "--unit shop.service --interval 1s --textfile /var/lib/leakwatch/metrics.prom";
        let settings = format!(
            "Environment=\"DAEMON_OPTS={options}\"\nEnvironment=\"LEAKWATCH_SERVER={}\"",
            prefork::ROW
        );
        install_shipped(&["leakwatch.service"], &settings);
        systemctl(&["start", "shop", "leakwatch"]);
        let master = main_pid("shop");

        let events = |name: &str| journal(&[&format!("LEAKWATCH_EVENT={name}")]);
        let came_back = wait::until(Duration::from_secs(120), || !events("outcome").is_empty());

        let all = run("journalctl", &["-u", "leakwatch", "-u", "shop"]).1;
        println!("{all}");
        assert!(came_back, "nothing was ended");
        let order = &events("order")[0];
        let field = |key: &str| order[key].as_str().unwrap_or_else(|| panic!("no {key}: {order}"));
        assert!(field("MESSAGE").contains("shop.service"), "{order}");
        assert_eq!(field("LEAKWATCH_UNIT"), "shop.service");
        assert_eq!((field("PRIORITY"), field("SYSLOG_IDENTIFIER")), ("4", "leakwatch"));
        assert_eq!(field("_SYSTEMD_UNIT"), "leakwatch.service");
        assert_eq!(field("OBJECT_SYSTEMD_UNIT"), "shop.service");
        assert_eq!(field("OBJECT_PID"), master.to_string());
        let json: Value = serde_json::from_str(field("LEAKWATCH_JSON")).unwrap();
        assert_eq!(json["unit"], "shop.service", "{json}");
        // What an admin types who wonders about the server.
        let (_, of_shop) = run("journalctl", &["-u", "shop"]);
        assert!(of_shop.contains("ORDER"), "{of_shop}");
        assert!(of_shop.contains("the memory limit of unit shop.service"), "{of_shop}");
        let metrics = fs::read_to_string("/var/lib/leakwatch/metrics.prom").unwrap();
        assert!(metrics.contains("unit=\"shop.service\""), "{metrics}");
        assert_eq!(main_pid("shop"), master, "the master was ended");
    });
}

/// A service of one process that leaks 2 MiB/s.
const LONE: &str =
    "my @kept; while (1) { push @kept, 'x' x (1 << 20); select undef, undef, undef, 0.5 }";

#[test]
#[ignore = "needs user-mode Linux and systemd"]
fn a_unit_that_leaks_is_restarted_once_before_the_oom_killer_comes_and_never_in_a_loop() {
    SmallMachine::of_mib(384).with_systemd().play(&[], &["restart"], |_| {
        fs::write("/opt/shop.pl", LONE).unwrap();
        install(
            "shop.service",
            "[Service]\nMemoryMax=120M\nMemorySwapMax=0\nExecStart=/usr/bin/perl /opt/shop.pl\n",
        );
        let settings =
            "Environment=\"DAEMON_OPTS=--unit shop.service --interval 1s --restart-unit\"";
        install_shipped(&["leakwatch.service"], settings);
        systemctl(&["start", "shop", "leakwatch"]);
        let first = main_pid("shop");

        let events = |name: &str| journal(&[&format!("LEAKWATCH_EVENT={name}")]);
        let came_back = wait::until(Duration::from_secs(120), || !events("outcome").is_empty());

        let said = || run("journalctl", &["-u", "leakwatch", "-u", "shop"]).1;
        println!("{}", said());
        assert!(came_back, "nothing was restarted");
        let json = |event: &Value| -> Value {
            serde_json::from_str(event["LEAKWATCH_JSON"].as_str().unwrap()).unwrap()
        };
        let order = json(&events("order")[0]);
        assert_eq!((&order["step"], &order["pid"]), (&"restart".into(), &first.into()), "{order}");
        let outcome = json(&events("outcome")[0]);
        assert_eq!(outcome["result"], "gone", "{outcome}");
        assert!(outcome["reclaimed_bytes"].as_u64() > Some(80 << 20), "{outcome}");
        let runs = || property("shop", "ActiveState") == "active" && main_pid("shop") != first;
        assert!(wait::until(PROMPTLY, runs), "{}", said());
        assert_eq!(property("shop", "Result"), "success");

        // The next one leaks as well: within the hour that is only reported.
        let spared = || events("not_ended").iter().any(|event| json(event)["why"] == "restarted");
        let is_spared = wait::until(Duration::from_secs(120), spared);
        println!("{}", said());
        assert!(is_spared, "{}", said());
        assert_eq!(events("order").len(), 1);
    });
}

/// Units of that leaking program: how each is started, and why it is not restarted.
const REFUSED: [(&str, &str, &str); 4] = [
    ("needed.service", "ExecStart=/usr/bin/perl /opt/shop.pl", "units that depend on it"),
    (
        "helped.service",
        "ExecStart=/bin/sh -c '(sleep 1000 &); exec /usr/bin/perl /opt/shop.pl'",
        "other processes of the unit",
    ),
    ("once.service", "Type=oneshot\nExecStart=/usr/bin/perl /opt/shop.pl", "it runs once only"),
    // Transient: started by systemd-run.
    ("job.service", "", "it runs once only"),
];

#[test]
#[ignore = "needs user-mode Linux and systemd"]
fn a_unit_whose_restart_would_end_more_or_not_begin_it_anew_is_left_alone() {
    SmallMachine::of_mib(512).with_systemd().play(&[], &["refused"], |_| {
        fs::write("/opt/shop.pl", LONE).unwrap();
        let limits = ["MemoryMax=60M", "MemorySwapMax=0"];
        for (name, start, _) in REFUSED.iter().filter(|(_, start, _)| !start.is_empty()) {
            install(name, &format!("[Service]\n{}\n{start}\n", limits.join("\n")));
        }
        install(
            "needs.service",
            "[Unit]\nBindsTo=needed.service\nAfter=needed.service\n\
             [Service]\nExecStart=/bin/sleep 1000\n",
        );
        let settings = "Environment=\"DAEMON_OPTS=--pattern perl --interval 1s --restart-unit\"";
        install_shipped(&["leakwatch.service"], settings);
        let names = ["needs.service", "helped.service", "once.service"];
        systemctl(&[["start", "--no-block"].as_slice(), &names].concat());
        let [max, swap] = limits;
        let job = ["--unit=job", "-p", max, "-p", swap, "/usr/bin/perl", "/opt/shop.pl"];
        assert!(run("systemd-run", &job).0);
        systemctl(&["start", "leakwatch"]);

        let failures = || journal(&["LEAKWATCH_EVENT=signal_failed"]);
        let is_refused = |(name, _, why): &(&str, &str, &str)| {
            let field = |event: &Value, key: &str| event[key].as_str().unwrap_or("").to_owned();
            failures().iter().any(|event| {
                field(event, "LEAKWATCH_UNIT") == *name && field(event, "MESSAGE").contains(why)
            })
        };
        let all = wait::until(Duration::from_secs(120), || REFUSED.iter().all(is_refused));

        let said = run("journalctl", &["-u", "leakwatch"]).1;
        println!("{said}");
        assert!(all, "some were not refused");
        assert!(!said.contains("OUTCOME"), "one was restarted");
        // Whoever is not restarted ends by the OOM killer some seconds later, and what needs it with it.
        let of_systemd = run("journalctl", &["_PID=1"]).1;
        let before = of_systemd.split("killed by the OOM killer").next().unwrap_or_default();
        assert!(!before.contains("Stopping"), "{of_systemd}");
    });
}

#[test]
#[ignore = "needs user-mode Linux and systemd"]
fn the_timer_starts_checks_that_remember_each_other() {
    SmallMachine::of_mib(256).with_systemd().play(&[], &["timer"], |_| {
        let names = ["leakwatch-check.service", "leakwatch-check.timer"];
        install_shipped(&names, "");
        install(
            "leakwatch-check.timer.d/test.conf",
            "[Timer]\nOnBootSec=1s\nOnUnitActiveSec=2s\nAccuracySec=100ms\n",
        );
        systemctl(&["daemon-reload"]);

        systemctl(&["start", "leakwatch-check.timer"]);

        let runs = || {
            journal(&["UNIT=leakwatch-check.service", "JOB_RESULT=done"])
                .iter()
                .filter(|entry| entry["JOB_TYPE"] == "start")
                .count()
        };
        assert!(wait::until(Duration::from_secs(60), || runs() >= 3), "{} checks", runs());
        let said = run("journalctl", &["-u", "leakwatch-check"]).1;
        println!("{said}");
        assert_eq!(property("leakwatch-check.service", "Result"), "success", "{said}");
        let kept: Vec<PathBuf> =
            fs::read_dir("/var/lib/leakwatch").unwrap().map(|e| e.unwrap().path()).collect();
        assert!(!kept.is_empty(), "no history");
        assert!(systemctl(&["list-timers"]).contains("leakwatch-check.timer"));
    });
}
