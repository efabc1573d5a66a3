//! PostgreSQL: a leaking session belongs to a client, so it is only reported; where ending it is
//! allowed it ends by TERM, and the other sessions go on.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::common::cli::{Cli, PROMPTLY};
use crate::common::events;
use crate::common::lines::Lines;
use crate::common::needs::{self, Need};
use crate::common::process::{self, Id};
use crate::common::service;
use crate::common::wait;
use nix::sys::signal::Signal;
use tempfile::TempDir;

const SESSIONS: usize = 4;

/// A database cluster of its own with sessions that each prepare statements for good.
struct Cluster {
    postmaster: Child,
    log: Lines,
    sessions: Arc<Mutex<Vec<(Child, ChildStdin)>>>,
    over: Arc<AtomicBool>,
    feeder: Option<JoinHandle<()>>,
    dir: TempDir,
}

/// A command as the user postgres: the server refuses to run as root.
fn as_postgres(program: &Path) -> Command {
    let mut command = Command::new("setpriv");
    let user = ["--reuid", "postgres", "--regid", "postgres", "--clear-groups"];
    command.args(user).args(["--pdeathsig", "INT"]).arg(program);
    command.process_group(0).stdin(Stdio::null()).stdout(Stdio::null());
    command
}

impl Cluster {
    fn start() -> Self {
        needs::require(&[Need::Root, Need::Postgres]);
        let bin = service::postgres().expect("it was looked for");
        let dir = tempfile::tempdir().unwrap();
        let user = nix::unistd::User::from_name("postgres").unwrap().expect("the package's user");
        chown(dir.path(), Some(user.uid.as_raw()), Some(user.gid.as_raw())).unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
        let data = dir.path().join("data");
        let made = as_postgres(&bin.join("initdb"))
            .args(["--no-sync", "-A", "trust", "-U", "postgres", "-D"])
            .arg(&data)
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        // On no port: a socket in the directory alone.
        let mut postmaster = as_postgres(&bin.join("postgres"))
            .args(["-c", "listen_addresses=", "-c", "shared_buffers=16MB", "-D"])
            .arg(&data)
            .arg("-k")
            .arg(dir.path())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Lines::of(postmaster.stderr.take().unwrap());
        log.expect_line(Duration::from_secs(30), "that says it is ready", |line| {
            line.contains("ready to accept connections")
        });
        let open = || {
            let mut psql = Command::new(bin.join("psql"))
                .args(["-X", "-q", "-U", "postgres", "-h"])
                .arg(dir.path())
                .stdin(Stdio::piped())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let input = psql.stdin.take().unwrap();
            (psql, input)
        };
        let sessions = Arc::new(Mutex::new((0..SESSIONS).map(|_| open()).collect::<Vec<_>>()));
        // A watch that starts before there is a session has no worker to speak of.
        let all = wait::until(PROMPTLY, || backends(postmaster.id()) >= SESSIONS);
        assert!(all, "{} of {SESSIONS} sessions", backends(postmaster.id()));
        let over = Arc::new(AtomicBool::new(false));
        let feeder = std::thread::spawn({
            let (sessions, over) = (Arc::clone(&sessions), Arc::clone(&over));
            move || feed(&sessions, &over)
        });
        Self { postmaster, log, sessions, over, feeder: Some(feeder), dir }
    }

    /// Sessions whose client is still connected.
    fn connected(&self) -> usize {
        let mut sessions = self.sessions.lock().unwrap();
        let ended = sessions.iter_mut().map(|(psql, _)| psql.try_wait().unwrap());
        ended.filter(Option::is_none).count()
    }

    fn watch(&self, more: &[&str]) -> Cli {
        let pid = self.postmaster.id().to_string();
        let args = ["--interval", "1s", "--budget", "120M", "--format", "json", "--pid", &pid];
        let cli = Cli::leakwatch([&args[..], more].concat());
        cli.err
            .expect_line(PROMPTLY, "that says what is watched", |line| line.contains("watching"));
        cli
    }
}

/// The server's processes that serve a session: their titles name where it comes from.
fn backends(postmaster: u32) -> usize {
    let title = |id: &Id| std::fs::read(format!("/proc/{}/cmdline", id.pid)).unwrap_or_default();
    let serves = |id: &Id| String::from_utf8_lossy(&title(id)).contains("[local]");
    process::children(postmaster).iter().filter(|id| serves(id)).count()
}

/// Statements of 400 columns, which a session keeps until it ends.
fn feed(sessions: &Mutex<Vec<(Child, ChildStdin)>>, over: &AtomicBool) {
    let columns: Vec<String> = (0..400).map(|n| format!("{n} AS column_number_{n}")).collect();
    let columns = columns.join(", ");
    for nth in 0.. {
        for (_, input) in sessions.lock().unwrap().iter_mut() {
            // A session that was ended reads no more.
            writeln!(input, "PREPARE p{nth} AS SELECT {columns};").ok();
        }
        std::thread::sleep(Duration::from_millis(250));
        if over.load(Ordering::Relaxed) {
            return;
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(feeder) = self.feeder.take() {
            feeder.join().ok();
        }
        for (mut psql, input) in self.sessions.lock().unwrap().drain(..) {
            drop(input);
            psql.kill().ok();
            psql.wait().ok();
        }
        // Fast shutdown.
        process::signal(&self.postmaster, Signal::SIGINT);
        if !self.log.wait_closed(Duration::from_secs(20)) {
            process::kill_group(&self.postmaster);
        }
        self.postmaster.wait().ok();
        assert!(self.dir.path().exists());
    }
}

#[test]
#[ignore = "needs PostgreSQL and root"]
fn a_leaking_session_is_only_reported() {
    let cluster = Cluster::start();
    let cli = cluster.watch(&[]);
    let greeting =
        |line: &str| line.contains("PostgreSQL: master") && line.contains("only reported");
    cli.err.expect_line(PROMPTLY, "that says so", greeting);

    let spared = |line: &str| events::is(line, "not_ended") && line.contains("\"server\"");
    cli.out.expect_line(Duration::from_secs(120), "that spares a session", spared);

    assert_eq!(cluster.connected(), SESSIONS);
    assert!(events::named(&cli.out, "order").is_empty());
}

#[test]
#[ignore = "needs PostgreSQL and root"]
fn an_allowed_session_ends_by_term_and_the_others_go_on() {
    let cluster = Cluster::start();
    let cli = cluster.watch(&["--allow", "postgres"]);

    let is_outcome = |line: &str| events::is(line, "outcome");
    cli.out.expect_line(Duration::from_secs(120), "with an outcome", is_outcome);

    let outcome = events::named(&cli.out, "outcome").remove(0);
    assert_eq!(outcome.text("result"), "gone");
    for order in events::named(&cli.out, "order") {
        assert_eq!((order.text("signal"), order.json["then"].as_str()), ("TERM", None));
    }
    let said = |line: &str| line.contains("terminating connection due to administrator command");
    cluster.log.expect_line(PROMPTLY, "of the session's end", said);
    assert!(!cluster.log.text().contains("recovery"), "{}", cluster.log.text());
    assert!(cluster.connected() >= SESSIONS / 2, "{} sessions left", cluster.connected());
    assert!(Id::of(cluster.postmaster.id()).is_some_and(Id::runs));
}
