//! Services that come to a limit without memory: zombies, threads, descriptors. The culprit, its unit and
//! the limit are named before anything fails.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use crate::common::cli::Cli;
use crate::common::events;
use crate::common::needs::Need;
use crate::common::small_machine::SmallMachine;
use crate::common::systemd::{install, main_pid, run, systemctl};
use crate::common::wait;

/// Two more a second of what it is told to leave behind, until that is refused.
const SHOP: &str = r#"
import os, socket, sys, threading, time
kept, open_ = [], []
def zombies():
    if os.fork() == 0:
        os._exit(0)
def threads():
    threading.Thread(target=time.sleep, args=(1000,), daemon=True).start()
def files():
    open_.append(socket.socket())
try:
    while True:
        globals()[sys.argv[1]]()
        kept.append(0)
        if len(kept) == 3:
            print('begun', flush=True)
        time.sleep(0.5)
except (OSError, RuntimeError) as error:
    print('refused:', error, flush=True)
    time.sleep(1000)
"#;

/// Starts it as shop.service, with limits that it reaches after a minute.
fn start(kind: &str) -> u32 {
    fs::write("/opt/shop.py", SHOP).unwrap();
    install(
        "shop.service",
        &format!(
            "[Service]\nTasksMax=140\nLimitNOFILE=140\nExecStart=/usr/bin/python3 /opt/shop.py {kind}\n"
        ),
    );
    systemctl(&["start", "shop"]);
    // On a busy host Python takes seconds to start in here.
    assert!(wait::until(Duration::from_secs(60), || has_said("begun")), "it did not begin");
    main_pid("shop")
}

fn has_said(what: &str) -> bool {
    run("journalctl", &["-u", "shop"]).1.contains(what)
}

fn is_refused() -> bool {
    has_said("refused:")
}

const PYTHON: Need = Need::Program("/usr/bin/python3", "python3");

#[test]
#[ignore = "needs user-mode Linux, systemd and python3"]
fn a_diagnosis_names_who_leaves_zombies_and_files_behind_and_the_unit_before_anything_fails() {
    let machine = SmallMachine::of_mib(256).with_systemd();
    machine.play(&[PYTHON], &["zombies", "files"], |part| {
        let pid = start(part);

        let looked = Cli::leakwatch(["diagnose", "--for", "30s", "--format", "json"]);
        let ended = looked.end(Duration::from_secs(120));

        let refused = is_refused();
        let said: Value = serde_json::from_str(&ended.out.text()).unwrap();
        let left = &said["left_behind"];
        println!("{left}\n{}{}", run("ps", &["-eo", "pid,ppid,stat,comm"]).1, ended.err.text());
        assert!(!refused, "too late");
        let (found, others) = match part {
            "zombies" => (&left["unreaped"], &left["open_files"]),
            _ => (&left["open_files"], &left["unreaped"]),
        };
        assert_eq!(found.as_array().unwrap().len(), 1, "{left}");
        assert_eq!((others, &left["piles"]), (&Value::from([0; 0]), &Value::from([0; 0])));
        let found = &found[0];
        assert_eq!(
            (&found["pid"], &found["unit"]),
            (&pid.into(), &"shop.service".into()),
            "{left}"
        );
        assert_eq!((&found["limit"], &found["finding"]), (&140.into(), &true.into()), "{left}");
        assert!(found["ends_s"].as_f64() > Some(5.0), "{left}");
        if part == "zombies" {
            assert_eq!(found["ceiling"], "pids", "{left}");
        } else {
            assert_eq!(found["kinds"][0][0], "sockets", "{left}");
        }
        assert_eq!(ended.code, Some(1), "{left}");
        // It comes to pass.
        assert!(wait::until(Duration::from_secs(120), is_refused), "nothing was refused");
    });
}

#[test]
#[ignore = "needs user-mode Linux, systemd and python3"]
fn a_watch_names_who_starts_threads_without_end_and_the_unit_before_one_is_refused() {
    let machine = SmallMachine::of_mib(256).with_systemd();
    machine.play(&[PYTHON], &["threads"], |part| {
        let pid = start(part);
        let watch = Cli::leakwatch(["--interval", "1s", "--format", "json"]);

        let named = || {
            let all = events::all(&watch.out);
            let is_leak = |e: &events::Event| e.name() == "leak" && e.json["pid"] == pid;
            let is_forecast =
                |e: &events::Event| e.name() == "forecast" && e.json["ceiling"] == "pids";
            all.iter().find(|e| is_leak(e)).cloned().zip(all.into_iter().find(is_forecast))
        };
        wait::until(Duration::from_secs(100), || named().is_some() || is_refused());

        let refused = is_refused();
        let said = watch.stop().out.text();
        println!("{said}");
        assert!(!refused, "too late:\n{said}");
        for line in
            said.lines().filter(|line| events::is(line, "leak") || events::is(line, "forecast"))
        {
            let event: Value = serde_json::from_str(line).unwrap();
            assert_eq!(event["unit"], "shop.service", "{event}");
        }
    });
}
