//! Tests of remedies: what is proposed for services of each server.

use super::*;
use crate::core::detect::forecast::ceiling_series::Headroom;
use crate::core::model::ceiling::{CeilingKind, Place};
use crate::core::model::process::Comm;
use crate::core::model::units::MIB;
use crate::core::servers::{UNKNOWN, by_key};
use crate::diagnose::advice::Bound;
use crate::diagnose::advice::diff::applied;
use crate::diagnose::evidence::config::{self, RunningServer};
use crate::diagnose::findings::{ConfiguredSetting, FileLine, WorkUnit};
use crate::diagnose::leak_per_request::{Basis, PerWork, Worker};
use proptest::prelude::*;
use std::fs;

const ID: ProcId = ProcId { pid: 812, start: 1 };
const MIB_F: f64 = MIB as f64;
const MEMORY: f64 = 700.0 * MIB_F;

/// A service of five workers that leak 9 KiB a request, or not at all.
pub(super) fn service(name: &str, case: ServiceVerdict) -> Service {
    let headroom =
        Headroom { kind: CeilingKind::Ram, place: Place::NONE, left: 400 * MIB, limit: 2048 * MIB };
    let per_work = PerWork {
        bytes: 9.0 * 1024.0,
        between: (8.0 * 1024.0, 10.0 * 1024.0),
        young: 10.0 * MIB_F,
        unit: WorkUnit::Requests,
        basis: Basis::Watched(1000.0),
    };
    Service {
        name: name.to_owned(),
        is_unit: name.ends_with(".service"),
        roots: vec![ID],
        comm: Comm::new(b"apache2"),
        program: String::new(),
        uids: Vec::new(),
        names: Vec::new(),
        server: &UNKNOWN,
        processes: 6,
        workers: 5,
        size: 500.0 * MIB_F,
        age_s: 1e5,
        watched_s: 60.0,
        points: Vec::new(),
        growth: None,
        verdict: case,
        leaking: 5,
        suspects: 0,
        steady: Some(crate::diagnose::leak_figures::SteadyGrowth { rate: 1e4, window_s: 60.0 }),
        tasks: None,
        forecast: None,
        headroom,
        earlier: None,
        per_work: case.accuses().then_some(per_work),
    }
}

/// Ten requests a second.
fn readings() -> WorkReadings {
    let worker = |pid: u32, done: f64| Worker { pid, own: 0.0, done };
    let pool = |done: f64| (0..5).map(|pid| worker(pid, done)).collect();
    WorkReadings {
        root: ID,
        master: ProcId { pid: 813, start: 1 },
        unit: WorkUnit::Requests,
        source: String::new(),
        before: pool(1000.0),
        after: pool(1120.0),
        span_s: 60.0,
        per_connection: None,
        master_own: 20.0 * MIB_F,
    }
}

const CONF: &str =
    "# comment\n<IfModule mpm_prefork_module>\n\tMaxRequestWorkers\t150\n</IfModule>\n";

/// A server with `cap` in line `line` of its file, or with no file if that is 0.
fn setup(key: &str, text: &str, cap: u64, line: usize) -> Setup {
    let server = by_key(key).unwrap();
    let file = "/etc/x.conf".to_owned();
    let place = (line > 0).then(|| FileLine { file: file.clone(), line });
    Setup {
        server,
        recycle: ConfiguredSetting::unset(&server.recycle[0]),
        cap: ConfiguredSetting {
            of: &server.cap[0],
            value: cap,
            place: place.clone(),
            computed: None,
        },
        jitter: server.advice.unwrap().jitter.map(ConfiguredSetting::unset),
        keep_alive: false,
        files: if line > 0 { vec![(file, text.to_owned())] } else { Vec::new() },
        insert: place,
        exe: "/usr/sbin/apache2".to_owned(),
        interpreter: None,
        owner: None,
        options: Vec::new(),
        status: None,
        log_formats: Vec::new(),
        logs: Vec::new(),
        warnings: Vec::new(),
        notes: Vec::new(),
    }
}

fn remedy(name: &str, setup: &Setup, readings: &WorkReadings) -> Remedy {
    of(&service(name, ServiceVerdict::Leaks), Some(setup), Some(readings), MEMORY).unwrap()
}

#[test]
fn both_values_come_as_one_diff_with_the_command_that_applies_it() {
    let remedy = remedy("apache2.service", &setup("apache-prefork", CONF, 150, 3), &readings());
    assert_eq!(
        remedy.diff,
        "--- /etc/x.conf\n+++ /etc/x.conf\n@@ -3,1 +3,2 @@\n\
         -\tMaxRequestWorkers\t150\n+\tMaxRequestWorkers\tCAP\n+\tMaxConnectionsPerChild RECYCLE\n"
            .replace("CAP", &remedy.changes[1].now.to_string())
            .replace("RECYCLE", &remedy.changes[0].now.to_string())
    );
    assert_eq!(remedy.apply, "apachectl configtest && systemctl reload apache2");
    let (inputs, values) = remedy.computed.unwrap();
    assert_eq!(inputs.rate, Some(10.0));
    assert!(values.cap as f64 * values.full <= 0.7 * MEMORY);
}

#[test]
fn settings_that_bound_the_leak_already_stay() {
    let mut setup = setup("apache-prefork", CONF, 5, 3);
    setup.recycle.value = 1000;
    let bounded = remedy("apache2.service", &setup, &readings());
    assert_eq!(
        (bounded.reason, bounded.diff.as_str(), bounded.apply.as_str()),
        (RemedyReason::Bounded, "", "")
    );
    assert_eq!((bounded.changes.len(), bounded.changes[0].now), (1, 1000));
    // 10 MiB to begin with, and 1000 requests of 9 KiB.
    let full = bounded.computed.unwrap().1.full / MIB_F;
    assert!((full - 18.8).abs() < 0.1, "{full}");
    setup.recycle.value = 100_000;
    let measured = remedy("apache2.service", &setup, &readings());
    assert_eq!(measured.reason, RemedyReason::Measured);
}

#[test]
fn a_limit_that_memory_cannot_hold_is_lowered_leak_or_no_leak() {
    let flat = |cap| {
        let setup = setup("apache-prefork", CONF, cap, 3);
        of(&service("apache2.service", ServiceVerdict::Flat), Some(&setup), None, 2.0 * MEMORY)
    };
    let remedy = flat(150).unwrap();
    assert_eq!(remedy.reason, RemedyReason::TooMany);
    assert_eq!((remedy.changes.len(), remedy.changes[0].now), (1, 9));
    assert_eq!(flat(9), None);
}

#[test]
fn gunicorn_without_a_file_gets_a_drop_in_or_the_options_to_start_it_with() {
    let setup = setup("gunicorn", "", 5, 0);
    let unit = remedy("shop.service", &setup, &readings());
    let line = "+Environment=\"GUNICORN_CMD_ARGS=--max-requests ";
    assert!(unit.diff.contains(line), "{}", unit.diff);
    assert!(unit.diff.contains("+++ /etc/systemd/system/shop.service.d/50-memory.conf"));
    assert_eq!(unit.apply, "systemctl daemon-reload && systemctl restart shop");
    let bare = remedy("shop", &setup, &readings());
    assert!(bare.diff.is_empty() && bare.apply.is_empty());
    assert!(bare.notes[0].contains("start it again with --max-requests "), "{:?}", bare.notes);
}

#[test]
fn a_setting_of_the_command_line_is_noted_beside_the_diff() {
    let mut setup = setup("gunicorn", "bind = 'x'\n", 50_000, 1);
    setup.cap.place = Some(FileLine::command_line());
    let remedy = remedy("shop", &setup, &readings());
    assert!(remedy.diff.contains("+max_requests = "), "{}", remedy.diff);
    assert!(remedy.notes[0].starts_with("workers "), "{:?}", remedy.notes);
    assert!(remedy.notes[0].contains("set on the command line"), "{:?}", remedy.notes);
}

/// Gunicorn with a file, and so much memory left.
fn gunicorn(name: &str, left_mib: u64) -> Remedy {
    let setup = setup("gunicorn", "bind = 'x'\nworkers = 5\n", 5, 2);
    let setup = Setup { interpreter: Some("/srv/venv/bin/python".to_owned()), ..setup };
    let mut service = service(name, ServiceVerdict::Leaks);
    service.headroom.left = left_mib * MIB;
    let readings = WorkReadings { master: ID, ..readings() };
    of(&service, Some(&setup), Some(&readings), MEMORY).unwrap()
}

#[test]
fn no_gunicorn_worker_outlives_the_computed_requests_and_no_two_end_together() {
    let remedy = gunicorn("shop", 400);
    let [base, jitter] = &remedy.changes[..] else { panic!("{:?}", remedy.changes) };
    assert_eq!((base.name, jitter.name), ("max_requests", "max_requests_jitter"));
    assert_eq!(base.now + jitter.now, remedy.computed.unwrap().1.recycle);
    assert!(jitter.now * 5 >= base.now, "{:?}", remedy.changes);
}

#[test]
fn a_file_of_gunicorn_is_checked_before_its_master_reads_it() {
    let check = "/srv/venv/bin/python -I -c 'import ast,sys;ast.parse(open(sys.argv[1],\"rb\").read())' /etc/x.conf && ";
    assert_eq!(gunicorn("shop", 400).apply, format!("{check}kill -HUP 812"));
    let unit = gunicorn("shop.service", 400);
    assert_eq!(unit.apply, format!("{check}systemctl kill -s HUP --kill-who=main shop"));
}

#[test]
fn where_a_reload_does_not_fit_workers_are_ended_one_by_one_first() {
    // Five workers of 10 MiB to begin with, and 20 in common with their master: 150 MiB.
    let tight = gunicorn("shop", 140);
    assert_eq!(
        tight.apply,
        "/srv/venv/bin/python -I -c 'import ast,sys;ast.parse(open(sys.argv[1],\"rb\").read())' /etc/x.conf && \
         for p in $(pgrep -P 812); do kill -TERM $p; sleep 2; done && kill -HUP 812"
    );
    assert!(tight.notes[0].contains("up to 150 MiB where 140 MiB are left"), "{:?}", tight.notes);
    assert!(gunicorn("shop", 160).notes.is_empty());
}

#[test]
fn guessed_requests_are_called_a_guess() {
    let setup = setup("php-fpm", "[www]\npm.max_children = 9\n", 9, 2);
    let readings = WorkReadings { unit: WorkUnit::Waits, ..readings() };
    let remedy = remedy("php8.2-fpm.service", &setup, &readings);
    // Two waits of its own and four of the application's: 10 waits a second are 1.7 requests.
    let (inputs, _) = remedy.computed.unwrap();
    assert_eq!((remedy.guessed_waits, inputs.rate), (Some(6.0), Some(10.0 / 6.0)));
    assert!(remedy.notes[0].contains("pm.status_path = /status"), "{:?}", remedy.notes);
}

#[test]
fn a_service_of_no_known_server_gets_a_limit_of_its_own() {
    let remedy = of(&service("tool.service", ServiceVerdict::Leaks), None, None, 0.0).unwrap();
    assert!(remedy.diff.contains("+MemoryHigh=660M\n+MemoryMax=740M\n"), "{}", remedy.diff);
    assert_eq!(of(&service("tool.service", ServiceVerdict::Suspect), None, None, 0.0), None);
}

#[test]
fn what_runs_alone_gets_the_bound_of_its_runtime_and_a_restart_in_time() {
    let alone = |name: &str, comm: &str| Service {
        comm: Comm::new(comm.as_bytes()),
        workers: 0,
        ..service(name, ServiceVerdict::Leaks)
    };
    let remedy = |service: &Service| of(service, None, None, 0.0).unwrap();
    let java = remedy(&alone("shop.service", "java"));
    let option = "+Environment=\"JAVA_TOOL_OPTIONS=-Xmx495m -XX:+ExitOnOutOfMemoryError\"\n";
    assert!(java.diff.contains(option) && java.diff.contains("MemoryHigh=660M"), "{}", java.diff);
    assert!(java.apply.contains("systemctl restart shop"), "{}", java.apply);
    assert!(java.notes.iter().any(|note| note.contains("RuntimeMaxSec=4h")), "{:?}", java.notes);
    let node = remedy(&alone("job", "node"));
    let wanted = "start it with `NODE_OPTIONS=--max-old-space-size=495`";
    assert!(node.diff.is_empty() && node.notes.iter().any(|note| note == wanted), "{node:?}");
    let container = remedy(&alone("container shop-php", "app"));
    assert!(container.notes[0].contains("--memory 740m --restart on-failure"), "{container:?}");
    let celery = crate::core::servers::by_key("celery").unwrap();
    let celery = remedy(&Service { server: celery, ..alone("worker.service", "python3") });
    let wanted = "`worker_max_memory_per_child = N`";
    assert!(celery.notes.iter().any(|note| note.contains(wanted)), "{celery:?}");
    let sidekiq = crate::core::servers::by_key("sidekiq").unwrap();
    let sidekiq = remedy(&Service { server: sidekiq, ..alone("jobs.service", "ruby") });
    assert!(sidekiq.diff.contains("+Environment=\"MALLOC_ARENA_MAX=2\"\n"), "{}", sidekiq.diff);
}

/// The command for an Apache, php-fpm or uWSGI with these options, in a unit or not.
fn command(key: &str, options: &[&str], name: &str) -> String {
    let setup = setup(key, "[www]\nprocesses = 150\n", 150, 2);
    let options = options.iter().map(|option| (*option).to_owned()).collect();
    remedy(name, &Setup { options, ..setup }, &readings()).apply
}

#[test]
fn each_server_is_checked_and_reloaded_in_its_own_way() {
    let of = ["-f", "/srv/my shop.conf"];
    for (key, options, name, wanted) in [
        ("apache-prefork", &[][..], "x", "apachectl configtest && apachectl graceful"),
        ("apache-event", &of, "x", "/usr/sbin/apache2 -f '/srv/my shop.conf' -t && kill -USR1 813"),
        (
            "apache-event",
            &of,
            "x.service",
            "/usr/sbin/apache2 -f '/srv/my shop.conf' -t && systemctl reload x",
        ),
        ("php-fpm", &["-y", "/etc/f.conf"], "x", "apache2 -y /etc/f.conf -t && kill -USR2 813"),
        ("uwsgi", &[], "x.service", "kill -HUP 813"),
    ] {
        assert_eq!(command(key, options, name), wanted);
    }
}

#[test]
fn every_template_can_be_filled() {
    let python = Some("/usr/bin/python3".to_owned());
    for server in crate::core::servers::TABLE {
        let Some(advice) = server.advice else { continue };
        let options = vec!["-f".to_owned(), "x".to_owned()];
        let setup = Setup { options, interpreter: python.clone(), ..setup(server.key, "x", 9, 1) };
        let service = service("x.service", ServiceVerdict::Leaks);
        let subject = AdvisedService { service: &service, setup: &setup, advice, readings: None };
        for template in advice.apply {
            let filled = subject.fill(template);
            assert!(filled.is_some_and(|text| !text.contains(['{', '}'])), "{template}");
        }
    }
}

/// What a diff makes of a text.
fn patched(text: &str, diff: &str) -> String {
    let path = diff.lines().nth(1).unwrap().strip_prefix("+++ ").unwrap();
    applied(path, text, diff).unwrap_or_else(|| panic!("{diff}"))
}

/// How a server of each syntax writes a file with these lines for its cap and its recycle setting.
const FILES: [(&str, &str, &[&str], [&str; 4]); 4] = [
    (
        "apache-prefork",
        "etc/apache2/apache2.conf",
        &["apache2"],
        [
            "LoadModule mpm_prefork_module x.so\nLoadModule authz_core_module x.so\n<IfModule mpm_prefork_module>\n  StartServers 5\n",
            "  MaxRequestWorkers   150\n",
            "  MaxConnectionsPerChild 900000\n",
            "</IfModule>\nTimeout 60\n",
        ],
    ),
    (
        "php-fpm",
        "etc/f.conf",
        &["php-fpm: master process (/etc/f.conf)"],
        ["[www]\nlisten = 9000\n", "pm.max_children = 150 ; few\n", "pm.max_requests=900000\n", ""],
    ),
    (
        "uwsgi",
        "etc/u.ini",
        &["uwsgi", "--ini", "/etc/u.ini"],
        ["[uwsgi]\nmaster = true\n", "processes = 150\n", "max-requests = 900000\n", "[other]\n"],
    ),
    (
        "gunicorn",
        "etc/g.py",
        &["gunicorn", "-c", "/etc/g.py"],
        [
            "bind = 'x'\n",
            "workers = 150\n",
            "max_requests = 900000  # many\n",
            "def post_fork(a, b):\n    pass\n",
        ],
    ),
];

/// The values of all settings of a running server.
fn values_of(setup: &Setup) -> Vec<(&'static str, u64)> {
    let settings = [Some(&setup.recycle), setup.jitter.as_ref(), Some(&setup.cap)];
    settings.into_iter().flatten().map(|setting| (setting.name(), setting.value)).collect()
}

fn read(key: &str, running: &RunningServer) -> Setup {
    config::read(by_key(key).unwrap(), running, "www").unwrap()
}

/// Whether a server reads exactly the promised values.
fn assert_promised(remedy: &Remedy, setup: &Setup) {
    assert!(!remedy.changes.is_empty());
    let values = values_of(setup);
    for change in &remedy.changes {
        assert!(
            values.contains(&(change.name, change.now)),
            "{change:?} {values:?}\n{}",
            remedy.diff
        );
    }
}

#[test]
fn a_patched_file_reads_as_promised_whatever_it_held_before() {
    for (key, file, args, [head, cap, recycle, tail]) in FILES {
        for lines in [
            [head, cap, recycle, tail],
            [head, recycle, cap, tail],
            [head, cap, "", tail],
            [head, "", recycle, tail],
            [head, "", "", tail],
        ] {
            let dir = tempfile::tempdir().unwrap();
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, lines.concat()).unwrap();
            let args = args.iter().map(|arg| (*arg).to_owned()).collect();
            let root = dir.path().canonicalize().unwrap();
            let running = RunningServer { args, cwd: "/".into(), root, ..RunningServer::default() };
            let remedy = remedy("shop", &read(key, &running), &readings());
            fs::write(&path, patched(&lines.concat(), &remedy.diff)).unwrap();
            assert_promised(&remedy, &read(key, &running));
        }
    }
}

#[test]
fn a_drop_in_reads_as_promised() {
    for key in ["gunicorn", "uwsgi"] {
        let args = vec![key.to_owned()];
        let running =
            RunningServer { args, cwd: "/nonexistent".into(), ..RunningServer::default() };
        let remedy = remedy("shop.service", &read(key, &running), &readings());
        let line = remedy.diff.lines().find_map(|line| line.strip_prefix("+Environment=")).unwrap();
        let assignments: Vec<&str> = match line.strip_prefix('"') {
            Some(whole) => vec![whole.trim_end_matches('"')],
            None => line.split(' ').collect(),
        };
        let pair = |text: &&str| text.split_once('=').map(|(n, v)| (n.to_owned(), v.to_owned()));
        let env = assignments.iter().filter_map(pair).collect();
        assert_promised(&remedy, &read(key, &RunningServer { env, ..running }));
    }
}

proptest! {
    #[test]
    fn the_settings_then_bound_the_leak(
        leak in 1.0..1e7_f64,
        young in 0.0..1e8_f64,
        cap in 5..2000_u64,
        recycle in prop::option::of(1..1_000_000_u64),
        key in prop::sample::select(vec!["apache-prefork", "php-fpm", "uwsgi", "gunicorn"]),
        memory in 1e8..1e11_f64,
    ) {
        let mut service = service("shop", ServiceVerdict::Leaks);
        let per_work = service.per_work.as_mut().unwrap();
        (per_work.bytes, per_work.young) = (leak, young);
        let mut setup = setup(key, "x\n", cap, 1);
        setup.recycle.value = recycle.unwrap_or(0);
        let remedy = of(&service, Some(&setup), Some(&readings()), memory);
        let then = |setting: &ConfiguredSetting| {
            let mut changes = remedy.iter().flat_map(|remedy| &remedy.changes);
            changes.rfind(|c| c.name == setting.name()).map_or(setting.value, |c| c.now)
        };
        let requests = then(&setup.recycle) + setup.jitter.as_ref().map_or(0, then);
        let workers = then(&setup.cap);
        let most = workers as f64 * (young.max(MIB_F) + leak * requests as f64);
        let computed = remedy.as_ref().and_then(|remedy| remedy.computed);
        if computed.is_none_or(|(_, values)| values.bound != Bound::Hopeless) {
            prop_assert!(requests > 0 && most <= memory, "{} of {}: {:?}", most, memory, remedy);
        }
    }
}
