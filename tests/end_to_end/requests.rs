//! The request that leaks is named: 16 paths, of which one keeps memory, one fills a cache and one needs
//! large buffers that its heap keeps.

use crate::common::apache::{Apache, Mode};
use crate::common::cli::Cli;
use crate::common::load::{Load, Plan};
use crate::common::logged::Logged;
use crate::common::needs::{self, Need};
use crate::common::process::{self, Id};
use crate::common::turn::Turn;
use crate::common::wait;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// Kept by each request for the cart, in KiB.
const KIB: u32 = 64;
const WITH_PID: &str = r#"access_log_format = '%(h)s %(l)s %(u)s %(t)s "%(r)s" %(s)s %(b)s %(p)s'"#;
/// A look, and the longer one that a user takes where the first says "not yet": so it may on a busy machine.
const LOOKS: [&str; 2] = ["45s", "100s"];

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

/// What a diagnosis of these servers says, as JSON and as a page.
fn diagnosis(pids: &[Id], look: &str) -> (Value, String) {
    let logs = tempfile::tempdir().unwrap();
    let mut args = vec!["diagnose", "--for", look, "--no-state", "--format", "json", "--logs"];
    let page = logs.path().join("page.html");
    args.extend([logs.path().to_str().unwrap(), "--html", page.to_str().unwrap()]);
    let pids: Vec<String> = pids.iter().map(|id| id.pid.to_string()).collect();
    pids.iter().for_each(|pid| args.extend(["--pid", pid]));
    let ended = Cli::leakwatch(args).end(Duration::from_secs(240));
    let json = serde_json::from_str(&ended.out.text());
    let json = json.unwrap_or_else(|_| panic!("{}", ended.err.text()));
    (json, std::fs::read_to_string(page).unwrap())
}

fn requests_of(diagnosis: &Value, master: Id) -> &Value {
    let all = diagnosis["requests"].as_array().unwrap();
    let of = all.iter().find(|found| found["root"]["pid"] == master.pid);
    of.unwrap_or_else(|| panic!("{diagnosis:#}"))
}

/// Diagnoses until the first of these servers has an answer, twice at most; what was said of it is that
/// this path leaks. No diagnosis names a request of the others.
fn assert_named(masters: &[Id], path: &str) -> (Value, String) {
    let (leaking, healthy) = masters.split_first().unwrap();
    for look in LOOKS {
        let (diagnosis, page) = diagnosis(masters, look);
        for healthy in healthy {
            let found = requests_of(&diagnosis, *healthy);
            assert_eq!((&found["answer"], &found["leaks"]), (&"not-yet".into(), &Value::Null));
        }
        let found = requests_of(&diagnosis, *leaking).clone();
        println!("{look}: {found}");
        if found["answer"] == "not-yet" && look != LOOKS[1] {
            continue;
        }
        let leaks = &found["leaks"];
        assert_eq!(leaks["request"], path, "{found:#}");
        let bytes = leaks["bytes"].as_f64().unwrap() / f64::from(KIB << 10);
        // Sure is within a fifth.
        assert!(found["answer"] != "sure" || (bytes - 1.0).abs() <= 0.2, "{found:#}");
        assert!(leaks["share"].as_f64().unwrap() > 0.5, "{found:#}");
        return (found, page);
    }
    unreachable!("the last look is judged")
}

#[test]
#[ignore = "needs gunicorn"]
fn the_leaking_request_of_gunicorn_is_named_and_a_heap_that_keeps_what_was_freed_accuses_none() {
    needs::require(&[Need::Gunicorn]);
    let _turn = Turn::take();
    let (leaking, healthy) = (Logged::gunicorn(WITH_PID), Logged::gunicorn(WITH_PID));
    let _loads = (load(leaking.port(), "", KIB), load(healthy.port(), "", 0));
    let (found, page) = assert_named(&[leaking.master(), healthy.master()], "GET /cart");
    // A likely one of a service that is excused is not worth a word.
    let is_told = page.contains("<p class=\"why\">GET /cart ");
    assert!(is_told || found["answer"] == "likely", "{page}");
    assert_eq!(found["logs"][0], leaking.log().to_str().unwrap());
}

#[test]
#[ignore = "needs uWSGI"]
fn the_leaking_request_of_uwsgi_is_named() {
    needs::require(&[Need::Uwsgi]);
    let _turn = Turn::take();
    let server = Logged::uwsgi("");
    let _load = load(server.port(), "", KIB);
    assert_named(&[server.master()], "GET /cart");
}

#[test]
#[ignore = "needs php-fpm and nginx"]
fn the_leaking_request_of_php_fpm_is_named_where_one_script_serves_all_paths() {
    needs::require(&[Need::PhpFpm, Need::Nginx, Need::Root]);
    let _turn = Turn::take();
    let server = Logged::php_fpm(r#"access.format = "%R - %u %t %p \"%m %{REQUEST_URI}e\" %s""#);
    let _load = load(server.port(), "", KIB);
    assert_named(&[server.master()], "GET /cart");
}

#[test]
#[ignore = "needs Apache with mod_perl"]
fn the_leaking_request_of_apache_is_named() {
    needs::require(&[Need::Apache, Need::ModPerl]);
    let _turn = Turn::take();
    let format = r#"%h %l %u %t \"%r\" %>s %b \"%{User-Agent}i\" %P"#;
    let server = Apache::that(Mode::Leak { kib: 0 }).with_access_log(format).start();
    let _load = load(server.port(), Apache::PATH, KIB);
    let (found, _) = assert_named(&[server.master()], "GET /app/cart");
    assert!(Path::new(found["logs"][0].as_str().unwrap()).ends_with("access.log"));
}

/// Whether the last line of a log has the pid of one of these processes.
fn names_one_of(log: &Path, workers: &[Id]) -> bool {
    let log = std::fs::read_to_string(log).unwrap();
    let last = log.lines().last().unwrap_or_default();
    last.split([' ', '<', '>']).any(|word| workers.iter().any(|id| word == id.pid.to_string()))
}

/// Diagnoses servers whose logs have no pids, until a change is proposed for each of them, twice at most.
fn proposed(masters: &[Id]) -> Vec<Value> {
    for look in ["20s", "60s"] {
        let (diagnosis, page) = diagnosis(masters, look);
        for master in masters {
            let found = requests_of(&diagnosis, *master);
            assert_ne!(found["log_has_pid"], true, "{found:#}");
            assert_eq!((&found["answer"], &found["requests"]), (&"not-yet".into(), &0.into()));
        }
        let of = |master: &Id| {
            let remedies = diagnosis["remedies"].as_array().unwrap().iter();
            let mut of = remedies.filter(|remedy| remedy["root"]["pid"] == master.pid);
            of.rfind(|remedy| remedy["changes"] == Value::Array(Vec::new())).cloned()
        };
        let proposed: Vec<Value> = masters.iter().filter_map(of).collect();
        println!("{proposed:#?}");
        if proposed.len() == masters.len() {
            assert!(page.contains("a change that does this is below"), "{page}");
            return proposed;
        }
    }
    panic!("no change is proposed");
}

/// Takes a change as an admin does.
fn patch(remedy: &Value) {
    let diff = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(diff.path(), remedy["diff"].as_str().unwrap()).unwrap();
    let mut command = Command::new("patch");
    command.args(["-s", "-p1", "-d", "/", "-i"]).arg(diff.path());
    assert!(command.status().unwrap().success(), "{remedy:#}");
}

#[test]
#[ignore = "needs Apache with mod_perl, php-fpm, nginx and uWSGI"]
fn logs_without_pids_have_them_once_the_proposed_changes_are_applied() {
    let needs = [Need::Apache, Need::ModPerl, Need::PhpFpm, Need::Nginx, Need::Uwsgi, Need::Root];
    needs::require(&needs);
    let _turn = Turn::take();
    let apache = Apache::that(Mode::Leak { kib: 0 }).with_access_log(r#"%h %t \"%r\" %>s"#).start();
    let uwsgi = Logged::uwsgi("log-format = %(addr) [%(ltime)] \"%(method) %(uri)\" %(status)");
    let php_fpm = Logged::php_fpm("");
    let loads = [(apache.port(), Apache::PATH), (uwsgi.port(), ""), (php_fpm.port(), "")];
    let _loads = loads.map(|(port, at)| load(port, at, KIB));
    let masters = [apache.master(), uwsgi.master(), php_fpm.master()];
    for remedy in proposed(&masters) {
        patch(&remedy);
        let apply = remedy["apply"].as_str().unwrap();
        assert!(Command::new("sh").args(["-c", apply]).status().unwrap().success(), "{apply}");
    }
    for (master, log) in
        masters.iter().zip([apache.dir().join("access.log"), uwsgi.log(), php_fpm.log()])
    {
        let is_named = || names_one_of(&log, &process::children(master.pid));
        assert!(wait::until(Duration::from_secs(60), is_named), "no pid in {}", log.display());
    }
}

#[test]
#[ignore = "needs gunicorn"]
fn gunicorns_log_has_pids_once_it_is_started_with_the_proposed_change() {
    needs::require(&[Need::Gunicorn]);
    let _turn = Turn::take();
    let server = Logged::gunicorn("");
    let first = load(server.port(), "", KIB);
    let remedy = proposed(&[server.master()]).remove(0);
    drop(first);
    patch(&remedy);
    assert!(remedy["notes"].to_string().contains("at a restart only"), "{remedy:#}");
    let conf = std::fs::read_to_string(server.dir().join("gunicorn.conf.py")).unwrap();
    let (_, format) = conf.split_once("access_log_format").expect("it was added");
    let again = Logged::gunicorn(&format!("access_log_format{format}"));
    let _load = load(again.port(), "", KIB);
    let is_named = || names_one_of(&again.log(), &again.workers());
    assert!(wait::until(Duration::from_secs(60), is_named), "no pid in the log");
}
