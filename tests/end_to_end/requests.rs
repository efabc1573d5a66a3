//! The request that leaks is named: 16 paths, of which one keeps memory, one fills a cache and one needs
//! large buffers that its heap keeps.

use crate::common::apache::{Apache, Mode};
use crate::common::cli::Cli;
use crate::common::load::{Load, Plan};
use crate::common::needs::{self, Need};
use crate::common::process::{self, Id};
use crate::common::turn::Turn;
use crate::common::{ports, wait};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// Kept by each request for the cart, in KiB.
const KIB: u32 = 64;
const WITH_PID: &str = "%(h)s %(l)s %(u)s %(t)s \"%(r)s\" %(s)s %(b)s %(p)s";
const WITHOUT_PID: &str = "%(h)s %(l)s %(u)s %(t)s \"%(r)s\" %(s)s %(b)s";
const LOOK: &str = "45s";

/// The paths below `at`, each as often as it is asked for in 100 requests.
fn mix(at: &str, kib: u32) -> Vec<String> {
    let mut mix: Vec<String> =
        (0..40).map(|key| format!("{at}/item/{key}?key={key}&kib=0")).collect();
    mix.extend((0..15).map(|_| format!("{at}/cart?kib={kib}")));
    mix.extend((0..4).map(|_| format!("{at}/report?buffer=4096&kib=0")));
    mix.extend((0..41).map(|nth| format!("{at}/page-{}?kib=0", (b'a' + nth % 13) as char)));
    mix
}

fn load(port: u16, at: &str, kib: u32) -> Load {
    Load::start(Plan { mix: mix(at, kib), ..Plan::of(port, "/", 40.0) })
}

/// A gunicorn of three workers, ended with the test.
struct Gunicorn {
    master: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Gunicorn {
    fn start(log_format: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let app = include_str!("../fixtures/servers/app.py");
        std::fs::write(dir.path().join("app.py"), app).unwrap();
        let port = ports::own();
        let mut command = Command::new("setpriv");
        command
            .args([
                "--pdeathsig",
                "TERM",
                "/usr/bin/python3",
                "/usr/bin/gunicorn",
                "--workers",
                "3",
            ])
            .args(["--worker-tmp-dir", "/dev/shm", "-b", &format!("127.0.0.1:{port}")])
            .args(["--access-logfile", "access.log", "--access-logformat", log_format])
            .arg("app:application")
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .current_dir(dir.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let master = command.spawn().expect("setpriv is there");
        let gunicorn = Self { master, port, dir };
        let is_up = wait::until(Duration::from_secs(30), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
                && process::children(gunicorn.master.id()).len() == 3
        });
        assert!(is_up, "gunicorn does not start");
        gunicorn
    }

    fn id(&self) -> Id {
        Id::of(self.master.id()).expect("it runs")
    }
}

impl Drop for Gunicorn {
    fn drop(&mut self) {
        process::signal(&self.master, Signal::SIGTERM);
        if process::wait(&mut self.master, Duration::from_secs(10)).is_none() {
            process::kill_group(&self.master);
            self.master.wait().ok();
        }
    }
}

/// What a diagnosis of these servers says, as JSON and as a page.
fn diagnosis(pids: &[Id], look: &str) -> (Value, String) {
    let logs = tempfile::tempdir().unwrap();
    let mut args = vec!["diagnose", "--for", look, "--no-state", "--format", "json", "--logs"];
    let page = logs.path().join("page.html");
    args.extend([logs.path().to_str().unwrap(), "--html", page.to_str().unwrap()]);
    let pids: Vec<String> = pids.iter().map(|id| id.pid.to_string()).collect();
    pids.iter().for_each(|pid| args.extend(["--pid", pid]));
    let ended = Cli::leakwatch(args).end(Duration::from_secs(120));
    let json = serde_json::from_str(&ended.out.text());
    let json = json.unwrap_or_else(|_| panic!("{}", ended.err.text()));
    (json, std::fs::read_to_string(page).unwrap())
}

fn requests_of(diagnosis: &Value, master: Id) -> &Value {
    let all = diagnosis["requests"].as_array().unwrap();
    let of = all.iter().find(|found| found["root"]["pid"] == master.pid);
    of.unwrap_or_else(|| panic!("{diagnosis:#}"))
}

fn assert_named(found: &Value, path: &str) {
    println!("{found}");
    let leaks = &found["leaks"];
    assert_eq!(leaks["request"], path, "{found:#}");
    let bytes = leaks["bytes"].as_f64().unwrap() / f64::from(KIB << 10);
    // Sure is within a fifth.
    assert!(found["answer"] != "sure" || (bytes - 1.0).abs() <= 0.2, "{found:#}");
    assert!(leaks["share"].as_f64().unwrap() > 0.5, "{found:#}");
}

#[test]
#[ignore = "needs gunicorn"]
fn the_leaking_request_of_gunicorn_is_named_and_a_heap_that_keeps_what_was_freed_accuses_none() {
    needs::require(&[Need::Gunicorn]);
    let _turn = Turn::take();
    let (leaking, healthy) = (Gunicorn::start(WITH_PID), Gunicorn::start(WITH_PID));
    let loads = (load(leaking.port, "", KIB), load(healthy.port, "", 0));
    let (diagnosis, page) = diagnosis(&[leaking.id(), healthy.id()], LOOK);
    drop(loads);
    let healthy = requests_of(&diagnosis, healthy.id());
    println!("{healthy}");
    assert_eq!((&healthy["answer"], &healthy["leaks"]), (&"not-yet".into(), &Value::Null));
    let found = requests_of(&diagnosis, leaking.id());
    assert_named(found, "GET /cart");
    // A likely one of a service that is excused is not worth a word.
    let is_told = page.contains("<p class=\"why\">GET /cart ");
    assert!(is_told || found["answer"] == "likely", "{page}");
    let log = leaking.dir.path().join("access.log");
    assert_eq!(found["logs"][0], log.to_str().unwrap());
}

#[test]
#[ignore = "needs gunicorn"]
fn a_log_without_pids_is_told_from_one_with_them() {
    needs::require(&[Need::Gunicorn]);
    let _turn = Turn::take();
    let server = Gunicorn::start(WITHOUT_PID);
    let load = load(server.port, "", KIB);
    let (diagnosis, _) = diagnosis(&[server.id()], "15s");
    drop(load);
    let found = requests_of(&diagnosis, server.id());
    assert_eq!((&found["log_has_pid"], &found["answer"]), (&false.into(), &"not-yet".into()));
    assert_eq!(found["requests"], 0, "{found:#}");
}

#[test]
#[ignore = "needs Apache with mod_perl"]
fn the_leaking_request_of_apache_is_named() {
    needs::require(&[Need::Apache, Need::ModPerl]);
    let _turn = Turn::take();
    let format = r#"%h %l %u %t \"%r\" %>s %b \"%{User-Agent}i\" %P"#;
    let server = Apache::that(Mode::Leak { kib: 0 }).with_access_log(format).start();
    let load = load(server.port(), Apache::PATH, KIB);
    let (diagnosis, _) = diagnosis(&[server.master()], LOOK);
    drop(load);
    let found = requests_of(&diagnosis, server.master());
    assert_named(found, "GET /app/cart");
    assert!(Path::new(found["logs"][0].as_str().unwrap()).ends_with("access.log"));
}
