//! The main job the other way round: an admin who knows nothing of leakwatch asks it once, and
//! does what it says.

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::common::apache::{Apache, Mode};
use crate::common::bystander::Bystander;
use crate::common::cgroup::Cgroup;
use crate::common::cli::Cli;
use crate::common::load::{Load, Plan};
use crate::common::needs::{self, Need};
use crate::common::service::{Kind, Service, Setup};
use crate::common::told::{Held, Told, WITHIN, is_long, seconds};
use crate::common::turn::Turn;
use crate::common::wait;
use serde_json::Value;

const NEEDS: [Need; 7] = [
    Need::Apache,
    Need::ModPerl,
    Need::MariaDb,
    Need::PureFtpd,
    Need::Patch,
    Need::Root,
    Need::Cgroup,
];
const MIB: u64 = 1 << 20;
const MEMORY: u64 = 192 * MIB;
/// Kept by each of 30 requests a second: 1.4 MiB/s, memory lasts for under two minutes. The longer
/// run is for a leak whose workers can live for longer than that.
fn leak_kib() -> u32 {
    if is_long() { 12 } else { 48 }
}
const PER_SECOND: f64 = 30.0;
/// A log directory in which this machine has failed before.
fn logs(dir: &Path) {
    let now = nix::time::clock_gettime(nix::time::ClockId::CLOCK_REALTIME).unwrap().tv_sec();
    let ago = |hours: i64| {
        let time = std::time::UNIX_EPOCH + Duration::from_secs((now - hours * 3600) as u64);
        humantime::format_rfc3339_seconds(time).to_string()
    };
    let syslog = format!(
        "{0} vps1 kernel: [81234.5] Out of memory: Killed process 4711 (/usr/sbin/apach) total-vm:301234kB, anon-rss:74512kB, file-rss:0kB, shmem-rss:0kB, UID:33 pgtables:220kB oom_score_adj:0\n\
         {0} vps1 CRON[4712]: (CRON) error (can't fork)\n\
         {1} vps1 sshd[812]: error: fork: Cannot allocate memory\n",
        ago(20),
        ago(19)
    );
    fs::create_dir(dir.join("apache2")).unwrap();
    fs::write(dir.join("syslog"), syslog).unwrap();
    let error = format!(
        "{} (12)Cannot allocate memory: AH00159: fork: Unable to fork new process\n",
        ago(20)
    );
    fs::write(dir.join("apache2/error.log"), error).unwrap();
}

/// Where to keep what a terminal and a browser would show; see examples/pictures.sh.
const PICTURES: &str = "LEAKWATCH_PICTURES";

/// Where the leaking server runs; by a name that can be shown where it will be.
fn small_memory() -> Cgroup {
    let cgroup = match std::env::var_os(PICTURES) {
        Some(_) => Cgroup::called("shop", MEMORY),
        None => Cgroup::with_memory(MEMORY),
    };
    cgroup.unwrap()
}

/// The same diagnosis as people see it, on terminals of two widths. Host and logs have the names that
/// are shown, since lines are broken by their length.
fn pictures(logs: &Path, pids: [u32; 3]) -> Vec<(String, Cli)> {
    const STAGE: &str =
        "echo vps1 >/proc/sys/kernel/hostname && mount --bind \"$0\" /var/log && exec \"$@\"";
    let Some(dir) = std::env::var_os(PICTURES) else { return Vec::new() };
    let start = |columns: &str| {
        let name = format!("{}/diagnose-{columns}", dir.display());
        let mut command = Command::new("unshare");
        command.args(["--mount", "--uts", "sh", "-c", STAGE]).arg(logs);
        command.arg(env!("CARGO_BIN_EXE_leakwatch"));
        command.args(["diagnose", "--color", "always", "--logs", "/var/log"]);
        // Whatever else runs here is no part of the picture.
        for pid in pids {
            command.args(["--pid", &pid.to_string()]);
        }
        command.arg("--html").arg(format!("{name}.html"));
        command.env("COLUMNS", columns).env("LC_ALL", "C.UTF-8");
        (name, Cli::start(&mut command))
    };
    ["80", "120"].map(start).into_iter().collect()
}

fn keep_picture((name, cli): (String, Cli)) {
    fs::write(format!("{name}.ansi"), cli.end(WITHIN).out.text()).unwrap();
}

#[test]
#[ignore = "needs Apache with mod_perl, MariaDB, Pure-FTPd, root and a memory cgroup"]
fn the_culprit_is_named_the_others_are_cleared_and_the_advice_holds() {
    needs::require(&NEEDS);
    let _turn = Turn::take();
    let dir = tempfile::tempdir().unwrap();
    logs(dir.path());
    let (kib, memory) = (leak_kib(), small_memory());
    let apache = Apache::that(Mode::Leak { kib }).with_status().inside(&memory).start();
    let (ftpd, mariadb) = (Bystander::pure_ftpd(), Bystander::mariadb());
    let load = Load::start(Plan::of(apache.port(), Apache::PATH, PER_SECOND));

    let pids = [apache.master().pid, ftpd.id().pid, mariadb.id().pid];
    let pictures = pictures(dir.path(), pids);
    let told = Told::by(&["--for", "60s"], dir.path());

    pictures.into_iter().for_each(keep_picture);
    let report = &told.report;
    println!("{report:#}");
    let culprit = told.service(apache.master());
    assert!(told.flags(apache.master()), "{culprit:#}");
    for bystander in [&ftpd, &mariadb] {
        assert!(told.clears(bystander.id()), "{:#}", told.service(bystander.id()));
    }
    assert!(matches!(told.ended.code, Some(1 | 2)), "{:?}", told.ended.code);
    assert_right_leak(culprit, kib);
    let log_events = report["logs"]["events"].as_array().unwrap();
    for (who, failure) in
        [("apache2", "fork-failed-memory"), ("apache2", "oom-kill"), ("sshd", "fork-failed-memory")]
    {
        assert!(
            log_events.iter().any(|t| t["who"] == who && t["failure"] == failure),
            "{log_events:#?}"
        );
    }

    // Do what it says.
    told.follow(apache.master(), apache.dir());
    apache.log.expect_line(Duration::from_secs(10), "that it was reloaded", |line| {
        line.contains("Graceful restart requested")
    });
    let held = Held::watch(&told, &memory, load, seconds(90));
    print_figures("Apache", &told, told.remedy(apache.master()), &held);
    held.assert_holds(&memory);
    assert_leaked(&held, kib, MEMORY);
}

/// What a request leaves behind, and what the language's own memory adds to it.
fn assert_right_leak(culprit: &Value, kib: u32) {
    let leak = culprit["per_work"]["bytes"].as_f64().unwrap() / 1024.0;
    assert_eq!(culprit["per_work"]["unit"], "requests");
    let is_right = (0.9..1.25).contains(&(leak / f64::from(kib)));
    assert!(is_right, "{leak} KiB a request, and not {kib}");
}

/// Whether enough was leaked to prove anything.
fn assert_leaked(held: &Held, kib: u32, room: u64) {
    let leaked = held.tally.0.len() as u64 * u64::from(kib) * 1024;
    assert!(leaked > room, "{} MiB leaked: too little to prove anything", leaked / MIB);
}

fn print_figures(name: &str, told: &Told, remedy: &Value, held: &Held) {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    println!(
        "{name}: {}; told after {:.0?}, peak {} MiB, p99 {} -> {} ms, a healthy twin's meanwhile {:?} ms; load {}; {}",
        remedy["changes"],
        told.to - told.from,
        held.peak / MIB,
        held.p99_ms.0,
        held.p99_ms.1,
        held.twin_p99_ms,
        load.trim(),
        held.tally.summary()
    );
}

/// Workers of a server.
const WORKERS: usize = 8;

/// A server of eight workers in little memory, under load, next to healthy ones.
struct Scene {
    service: Service,
    memory: Cgroup,
    load: Load,
}

impl Scene {
    fn of(kind: Kind, kib: u32, room: u64) -> Self {
        let memory = Cgroup::with_memory(1 << 30).unwrap();
        let service = Service::start(Setup { kind, kib, cgroup: &memory, keep_alive: false });
        // A request to each, so that what it loads for the first of them is no leak.
        let warm = Load::start(Plan::of(service.port(), "/?kib=0&sleep=0.2", 40.0));
        let all_answered = || warm.so_far().workers().len() >= WORKERS;
        assert!(wait::until(Duration::from_secs(30), all_answered), "a worker gets no request");
        warm.finish();
        memory.limit_memory(memory.usage() + room).unwrap();
        let load = Load::start(Plan::of(service.port(), "/", PER_SECOND));
        Self { service, memory, load }
    }
}

/// What they may hold above what they hold without any leak, and what a request keeps.
fn room_and_kib() -> (u64, u32) {
    (if is_long() { 480 * MIB } else { 160 * MIB }, 64)
}

/// A server that leaks beside one of its kind that does not, both under the same load: the one is
/// named, the other cleared, and what is advised holds.
fn bounded_by_its_advice(kind: Kind) {
    needs::require(&[&kind.needs()[..], &[Need::Patch]].concat());
    let _turn = Turn::take();
    let (logs, (room, kib)) = (tempfile::tempdir().unwrap(), room_and_kib());
    let (twin, scene) = (Scene::of(kind, 0, room), Scene::of(kind, kib, room));
    let (culprit, healthy) = (scene.service.master(), twin.service.master());

    // Of these alone: three services of a machine get advice, and other tests' leak too.
    let watched: Vec<String> = [Some(culprit), Some(healthy), scene.service.front()]
        .into_iter()
        .flatten()
        .map(|id| format!("--pid={}", id.pid))
        .collect();
    let mut args = vec!["--for", if is_long() { "60s" } else { "40s" }];
    args.extend(watched.iter().map(String::as_str));
    let told = Told::by(&args, logs.path());

    println!("{:#}", told.remedy(culprit));
    assert!(told.flags(culprit), "{:#}", told.service(culprit));
    for other in [Some(healthy), scene.service.front()].into_iter().flatten() {
        assert!(told.clears(other), "{:#}", told.service(other));
    }
    assert_right_leak(told.service(culprit), kib);
    told.follow(culprit, scene.service.dir());
    let held = Held::watch(&told, &scene.memory, scene.load, seconds(50)).beside(twin.load);
    print_figures(&format!("{kind:?}"), &told, told.remedy(culprit), &held);
    held.assert_holds(&scene.memory);
    held.assert_promised(told.remedy(culprit));
    assert_leaked(&held, kib, room);
}

#[test]
#[ignore = "needs php-fpm, nginx, patch, root and a memory cgroup"]
fn the_leaking_php_fpm_is_named_its_twin_and_nginx_are_cleared_and_the_advice_holds() {
    bounded_by_its_advice(Kind::PhpFpm);
}

#[test]
#[ignore = "needs gunicorn, patch, root and a memory cgroup"]
fn the_leaking_gunicorn_is_named_its_twin_is_cleared_and_the_advice_holds() {
    bounded_by_its_advice(Kind::GunicornSync);
}
