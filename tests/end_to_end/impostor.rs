//! A local user starts programs that look like servers and asks root's diagnosis, by what they say of
//! themselves, for what he may not have: other files, other sockets, time, memory, a patch of his own.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::impostor::{Impostor, Stage, copy_perl, fifo, give, mode};
use serde_json::Value;

/// Servers whose own words name their configuration.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Kind {
    Apache,
    PhpFpm,
    Uwsgi,
    Gunicorn,
    Puma,
}

use Kind::{Apache, Gunicorn, PhpFpm, Puma, Uwsgi};

const ALL: [Kind; 5] = [Apache, PhpFpm, Uwsgi, Gunicorn, Puma];
/// Those that have their settings in files of any name; puma's is config/puma.rb.
const NAMED: [Kind; 4] = [Apache, PhpFpm, Uwsgi, Gunicorn];

impl Kind {
    fn program(self, stage: &Stage) -> PathBuf {
        match self {
            Apache => stage.program("apache2"),
            PhpFpm => stage.program("php-fpm"),
            Uwsgi => stage.program("uwsgi"),
            Gunicorn | Puma => stage.program("perl"),
        }
    }

    /// Plays it with a configuration at `path`.
    fn play(self, stage: &Stage, path: &Path) -> Impostor {
        self.play_with(stage, path, 0.0)
    }

    fn play_with(self, stage: &Stage, path: &Path, mib_per_s: f64) -> Impostor {
        let (program, file) = (self.program(stage), path.as_os_str());
        let word = OsStr::new;
        match self {
            Apache => stage.play(&program, "apache2", &[word("-f"), file], mib_per_s),
            PhpFpm => {
                let title = format!("php-fpm: master process ({})", path.to_str().unwrap());
                stage.play(&program, &title, &[], mib_per_s)
            }
            Uwsgi => stage.play(&program, "uwsgi", &[word("--ini"), file], mib_per_s),
            Gunicorn => stage.play(&program, "gunicorn", &[word("-c"), file], mib_per_s),
            Puma => stage.play(&program, "puma", &[], mib_per_s),
        }
    }

    /// Where the user puts its configuration.
    fn usual(self) -> &'static str {
        if self == Puma { "config/puma.rb" } else { "server.ini" }
    }

    /// A configuration whose status page is at `address`; none where it has no such page.
    fn asking(self, address: &str) -> Option<String> {
        let port = address.rsplit(':').next().unwrap();
        match self {
            Apache if address.starts_with('/') => None,
            Apache => Some(format!(
                "Listen {port}\n<Location \"/server-status\">\nSetHandler server-status\n</Location>\n"
            )),
            PhpFpm => Some(format!("[www]\nlisten = {address}\npm.status_path = /evil.php\n")),
            Uwsgi => Some(format!("[uwsgi]\nstats = {address}\n")),
            Gunicorn => None,
            Puma if address.starts_with('/') => {
                Some(format!("activate_control_app 'unix://{address}', {{ auth_token: 'x' }}\n"))
            }
            Puma => {
                Some(format!("activate_control_app 'tcp://{address}', {{ auth_token: 'x' }}\n"))
            }
        }
    }
}

/// What root's diagnosis of one look says of these processes.
fn diagnosed(impostors: &[&Impostor]) -> Value {
    let logs = tempfile::tempdir().unwrap();
    let pids: Vec<String> = impostors.iter().map(|impostor| impostor.pid().to_string()).collect();
    let mut args = vec!["diagnose", "--for", "0", "--no-state", "--format", "json", "--logs"];
    args.push(logs.path().to_str().unwrap());
    args.extend(pids.iter().flat_map(|pid| ["--pid", pid]));
    let ended = Cli::leakwatch(args).end(PROMPTLY);
    serde_json::from_str(&ended.out.text()).unwrap_or_else(|_| panic!("{}", ended.err.text()))
}

/// Whether it says so of what it did not see.
fn says(report: &Value, words: &str) -> bool {
    let unseen = report["unseen"].as_array().unwrap();
    unseen.iter().any(|note| note.as_str().unwrap().contains(words))
}

// ---- Sockets of others ----

#[test]
#[ignore = "needs root"]
fn a_socket_that_the_user_may_not_open_is_not_connected_to() {
    for kind in [PhpFpm, Uwsgi, Puma] {
        let stage = Stage::new();
        let socket = stage.roots("victim.sock");
        let victim = UnixListener::bind(&socket).unwrap();
        mode(&socket, 0o660);
        victim.set_nonblocking(true).unwrap();
        let config = kind.asking(socket.to_str().unwrap()).unwrap();
        let report = diagnosed(&[&kind.play(&stage, &stage.users_file(kind.usual(), &config))]);
        assert!(victim.accept().is_err(), "{kind:?} had root connect to it");
        assert!(says(&report, "Permission denied"), "{kind:?}: {:#}", report["unseen"]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_socket_of_another_process_is_told_nothing() {
    for kind in [PhpFpm, Uwsgi, Puma] {
        let stage = Stage::new();
        let socket = stage.roots("victim.sock");
        let victim = UnixListener::bind(&socket).unwrap();
        mode(&socket, 0o666);
        let config = kind.asking(socket.to_str().unwrap()).unwrap();
        let report = diagnosed(&[&kind.play(&stage, &stage.users_file(kind.usual(), &config))]);
        assert!(says(&report, "another process listens"), "{kind:?}: {:#}", report["unseen"]);
        let mut heard = Vec::new();
        victim.accept().unwrap().0.read_to_end(&mut heard).unwrap();
        assert!(heard.is_empty(), "{kind:?} had root say {heard:?}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_port_where_another_process_listens_is_not_connected_to() {
    for kind in [Apache, PhpFpm, Uwsgi, Puma] {
        let stage = Stage::new();
        let victim = TcpListener::bind("127.0.0.1:0").unwrap();
        victim.set_nonblocking(true).unwrap();
        let config = kind.asking(&victim.local_addr().unwrap().to_string()).unwrap();
        let report = diagnosed(&[&kind.play(&stage, &stage.users_file(kind.usual(), &config))]);
        assert!(victim.accept().is_err(), "{kind:?} had root connect to it");
        assert!(says(&report, "does not listen there"), "{kind:?}: {:#}", report["unseen"]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_link_to_a_socket_leads_no_further_than_the_user_himself() {
    let stage = Stage::new();
    let socket = stage.roots("victim.sock");
    let victim = UnixListener::bind(&socket).unwrap();
    mode(&socket, 0o600);
    victim.set_nonblocking(true).unwrap();
    symlink(&socket, stage.users("mine.sock")).unwrap();
    let config = PhpFpm.asking(stage.users("mine.sock").to_str().unwrap()).unwrap();
    diagnosed(&[&PhpFpm.play(&stage, &stage.users_file("server.ini", &config))]);
    assert!(victim.accept().is_err());
}

// ---- Files of others, and such as are none ----

#[test]
#[ignore = "needs root"]
fn a_configuration_that_the_user_may_not_read_is_not_read() {
    for kind in [Apache, PhpFpm] {
        let stage = Stage::new();
        let secret = stage.secret("secret.ini", "[www]\npm.max_children = 5\nTimeout 5\n");
        let report = diagnosed(&[&kind.play(&stage, &secret)]);
        assert!(says(&report, "may not be read"), "{kind:?}: {:#}", report["unseen"]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_fifo_in_place_of_a_configuration_is_not_waited_for() {
    for kind in ALL {
        let stage = Stage::new();
        let path = stage.users_file(kind.usual(), "");
        fs::remove_file(&path).unwrap();
        fifo(&path);
        give(&path);
        let began = Instant::now();
        diagnosed(&[&kind.play(&stage, &path)]);
        assert!(began.elapsed() < Duration::from_secs(8), "{kind:?}: {:?}", began.elapsed());
    }
}

#[test]
#[ignore = "needs root"]
fn a_device_in_place_of_a_configuration_is_not_read() {
    for kind in NAMED {
        let stage = Stage::new();
        symlink("/dev/zero", stage.users("server.ini")).unwrap();
        diagnosed(&[&kind.play(&stage, &stage.users("server.ini"))]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_path_of_several_lines_is_refused() {
    for kind in NAMED {
        let stage = Stage::new();
        let name = "a\n--- /etc/passwd\n+++ /etc/passwd\n@@ -1,0 +2,1 @@\n+x::0:0::/:/bin/sh\n";
        let path = stage.users_file(name, "[www]\npm.max_children = 500\nTimeout 5\n");
        let report = diagnosed(&[&kind.play(&stage, &path)]);
        // gunicorn runs without a file too: then it has the settings that it has by default.
        let refused = says(&report, "were not read");
        assert!(refused || [Uwsgi, Gunicorn].contains(&kind), "{kind:?}: {:#}", report["unseen"]);
        let text = report.to_string();
        assert!(!text.contains("+++ /etc/passwd\\n@@"), "{kind:?}: {text}");
    }
}

#[test]
#[ignore = "needs root"]
fn a_log_that_is_not_the_users_own_is_not_read() {
    let stage = Stage::new();
    let line = "2026-11-24T10:00:00Z host MARK[1]: fork: Cannot allocate memory\n".repeat(3);
    let log = stage.secret("secret.log", &line);
    symlink(&log, stage.users("link.log")).unwrap();
    let mut impostors = Vec::new();
    for (nth, path) in [&log, &stage.users("link.log")].into_iter().enumerate() {
        let text = format!("[global]\nerror_log = {}\n[www]\npm = static\n", path.display());
        let config = stage.users_file(format!("{nth}.ini"), &text);
        impostors.push(PhpFpm.play(&stage, &config));
    }
    let pids: Vec<String> = impostors.iter().map(|impostor| impostor.pid().to_string()).collect();
    let args = ["diagnose", "--for", "0", "--no-state", "--since", "1000d", "--format", "json"];
    let pids = pids.iter().flat_map(|pid| ["--pid", pid]);
    let ended = Cli::leakwatch(args.into_iter().chain(pids)).end(PROMPTLY);
    assert!(!ended.out.text().contains("MARK"), "{}", ended.out.text());
}

// ---- Programs ----

#[test]
#[ignore = "needs root"]
fn a_program_that_somebody_else_could_have_put_there_is_no_server() {
    let stage = Stage::new();
    let config = stage.users_file("server.ini", "[www]\npm.max_children = 5\n");
    let title = format!("php-fpm: master process ({})", config.display());
    let users = stage.users_program("php-fpm");
    let report = diagnosed(&[&stage.play(&users, &title, &[], 0.0)]);
    assert!(says(&report, "belongs to uid 54321"), "{:#}", report["unseen"]);

    let open = stage.program("php-fpm8");
    mode(&open, 0o757);
    let report = diagnosed(&[&stage.play(&open, &title, &[], 0.0)]);
    assert!(says(&report, "writable by every user"), "{:#}", report["unseen"]);

    // A program of root's that lies where the user could put another.
    let inside = stage.users("bin/php-fpm");
    fs::create_dir(stage.users("bin")).unwrap();
    copy_perl(&inside);
    give(&stage.users("bin"));
    let report = diagnosed(&[&stage.play(&inside, &title, &[], 0.0)]);
    assert!(says(&report, "belongs to uid 54321"), "{:#}", report["unseen"]);
}

// ---- Memory and time ----

#[test]
#[ignore = "needs root"]
fn many_large_files_of_one_server_take_bounded_memory_and_time() {
    for kind in [PhpFpm, Apache] {
        let stage = Stage::new();
        let (line, include) = match kind {
            Apache => ("Define a\n", "Include"),
            _ => ("a=\n", "include ="),
        };
        for nth in 0..40 {
            let next = stage.users(format!("{}.ini", nth + 1));
            let lines = line.repeat(1_000_000 / line.len());
            let text = format!("[p{nth}]\n{lines}{include} {}\n", next.display());
            stage.users_file(format!("{nth}.ini"), &text);
        }
        let impostor = kind.play(&stage, &stage.users("0.ini"));
        let pid = impostor.pid().to_string();
        let limit = ["prlimit", "--as=402653184", "--"].map(str::to_owned);
        let args =
            ["diagnose", "--for", "0", "--no-state", "--logs", "/nonexistent", "--pid", &pid];
        let began = Instant::now();
        let ended = Cli::leakwatch_by(&limit, args).end(Duration::from_secs(60));
        assert_eq!(ended.code, Some(0), "{kind:?}: {}", ended.err.text());
        assert!(began.elapsed() < Duration::from_secs(20), "{kind:?}: {:?}", began.elapsed());
    }
}

#[test]
#[ignore = "needs root"]
fn a_term_ends_a_diagnosis_that_reads_what_never_comes() {
    let stage = Stage::new();
    fifo(&stage.roots("recording"));
    let recording = stage.roots("recording");
    let args = ["diagnose", "--no-state", "--recording", recording.to_str().unwrap()];
    let cli = Cli::leakwatch(args);
    // It has begun to wait for the writer once it can be seen to sleep in open(2).
    let wchan = format!("/proc/{}/wchan", cli.pid());
    let waits = || fs::read_to_string(&wchan).is_ok_and(|wchan| wchan.contains("fifo"));
    crate::common::wait::until(PROMPTLY, waits);
    let began = Instant::now();
    cli.signal(nix::sys::signal::Signal::SIGTERM);
    let ended: Ended = cli.end(PROMPTLY);
    assert!(ended.code.is_none() && began.elapsed() < Duration::from_secs(1));
}

// ---- Advice ----

/// Four servers of the user's leak at once, and each tries to have root's patch, page and report do
/// more than they say.
#[test]
#[ignore = "takes a minute, and needs root and patch"]
fn advice_for_a_users_servers_changes_their_own_files_alone_and_tells_no_secret() {
    crate::common::needs::require(&[crate::common::needs::Need::Patch]);
    let stage = Stage::new();
    let secret = stage.secret("my.cnf", "[client]\npassword = hunter2\npm.max_children = 900\n");
    let roots = stage.roots("roots.ini");
    fs::write(&roots, "[uwsgi]\nprocesses = 900\nkey = hunter2\n").unwrap();
    symlink(&roots, stage.users("link.ini")).unwrap();
    let own = "[www]\nuser = hunter2\npm = static\npm.max_children = 900\npassword = hunter2\n";
    let evil = "a\n--- /etc/passwd\n+++ /etc/passwd\n@@ -1,0 +2,1 @@\n+x::0:0::/:/bin/sh\n";
    let include = format!("[global]\ninclude = {}\n", secret.display());
    let impostors = [
        PhpFpm.play_with(&stage, &stage.users_file("own.ini", own), 1.0),
        PhpFpm.play_with(&stage, &stage.users_file("include.ini", &include), 1.0),
        Uwsgi.play_with(&stage, &stage.users("link.ini"), 1.0),
        Gunicorn.play_with(&stage, &stage.users_file(evil, "workers = 900\n"), 1.0),
    ];
    let (page, patch) = (stage.roots("page.html"), stage.roots("fix.patch"));
    let mut args = vec!["diagnose", "--for", "45", "--no-state", "--format", "json"];
    args.extend(["--logs", "/nonexistent", "--html", page.to_str().unwrap()]);
    args.extend(["--write-advice", patch.to_str().unwrap()]);
    let pids: Vec<String> = impostors.iter().map(|impostor| impostor.pid().to_string()).collect();
    args.extend(pids.iter().flat_map(|pid| ["--pid", pid]));
    let ended = Cli::leakwatch(args).end(Duration::from_secs(120));

    let report: Value = serde_json::from_str(&ended.out.text()).unwrap();
    let services = report["services"].as_array().unwrap();
    assert!(
        services
            .iter()
            .any(|service| service["verdict"] == "leaking" || service["verdict"] == "growing"),
        "{report:#}"
    );
    let (page, patch) = (fs::read_to_string(&page).unwrap(), fs::read_to_string(&patch).unwrap());
    for text in [&page, &patch, &ended.out.text()] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    let own = stage.users("own.ini");
    let files: Vec<&str> = patch.lines().filter_map(|line| line.strip_prefix("+++ ")).collect();
    assert!(files.iter().all(|file| Path::new(file) == own), "{patch}");
    // The one remedy that is a diff says the file that it changes, and nothing of the lines beside.
    println!("{patch}");
    let shown = patch.lines().filter(|line| line.starts_with(['-', '+', ' ']));
    assert!(shown.skip(2).all(|line| line.contains("pm.max_")), "{patch}");
}

#[test]
fn names_of_files_are_bytes_and_nothing_of_that_harms() {
    let name = OsStr::from_bytes(b"/nonexistent/\xff\n.ini");
    let args = [OsStr::new("config"), OsStr::new("--config"), name];
    assert_eq!(Cli::leakwatch(args).end(PROMPTLY).code, Some(3));
}

// ---- Without root ----

/// Runs leakwatch as another user than the one who plays the server.
fn as_another(args: &[&str]) -> Ended {
    let words = ["setpriv", "--reuid=54322", "--regid=54322", "--clear-groups", "--"];
    let words = words.map(str::to_owned);
    // What is built need not lie where every user may run it.
    let dir = tempfile::tempdir().unwrap();
    mode(dir.path(), 0o755);
    let program = dir.path().join("leakwatch");
    let copied = std::process::Command::new("cp").arg(Cli::program()).arg(&program).status();
    assert!(copied.unwrap().success());
    mode(&program, 0o755);
    let mut command = std::process::Command::new("setpriv");
    command.args(&words[1..]).arg(&program).args(args);
    command.env("LEAKWATCH_CONFIG", "/dev/null").env("HOME", "/nonexistent");
    Cli::start(&mut command).end(PROMPTLY)
}

#[test]
#[ignore = "needs root"]
fn a_user_who_runs_a_diagnosis_reads_nothing_in_another_users_name() {
    let stage = Stage::new();
    let own = stage.roots("own.ini");
    fs::write(&own, "[www]\npm.max_children = 5\n").unwrap();
    std::os::unix::fs::chown(&own, Some(54_322), None).unwrap();
    mode(&own, 0o600);
    let impostor = PhpFpm.play(&stage, &own);
    let pid = impostor.pid().to_string();
    let args =
        ["diagnose", "--for", "0", "--no-state", "--format", "json", "--logs", "/nonexistent"];
    let ended = as_another(&[&args[..], &["--pid", &pid]].concat());
    let report: Value = serde_json::from_str(&ended.out.text()).unwrap();
    assert!(says(&report, "belongs to another user"), "{:#}", report["unseen"]);
}

// ---- What must still work ----

/// A server of the user's own that is what it says: its page is asked, with his rights, and answers.
#[test]
#[ignore = "needs root"]
fn a_users_own_socket_at_which_the_master_listens_is_asked() {
    let stage = Stage::new();
    let socket = stage.users("stats.sock");
    let config = format!("[uwsgi]\nprocesses = 4\nstats = {}\n", socket.display());
    let config = stage.users_file("server.ini", &config);
    // Listens, and answers each connection as uWSGI's stats server does, for its four workers.
    let script = "use IO::Socket::UNIX; my $s = IO::Socket::UNIX->new(Local => shift, Listen => 5) or die; my ($own, @pids) = $$; for (1..4) { my $p = fork; if (!$p) { close $s; while (getppid == $own) { select undef,undef,undef,.1 } exit } push @pids, $p } $| = 1; print 'r'; close STDOUT; while (my $c = $s->accept) { print $c '{\"workers\":[' . join(',', map { \"{\\\"pid\\\":$_,\\\"delta_requests\\\":7}\" } @pids) . ']}'; close $c }";
    let program = Uwsgi.program(&stage);
    let master = stage.run(
        &program,
        "uwsgi",
        script,
        &[socket.as_os_str(), OsStr::new("--ini"), config.as_os_str()],
    );
    let report = diagnosed(&[&master]);
    assert!(
        !says(&report, "were not read") && !says(&report, "status page"),
        "{:#}",
        report["unseen"]
    );
}

#[test]
#[ignore = "needs root"]
fn a_configuration_of_the_user_himself_is_read() {
    for kind in NAMED {
        let stage = Stage::new();
        let text = "[www]\npm.max_children = 5\nTimeout 5\n";
        let config = stage.users_file("server.ini", text);
        mode(&config, 0o600);
        let report = diagnosed(&[&kind.play(&stage, &config)]);
        assert!(!says(&report, "were not read"), "{kind:?}: {:#}", report["unseen"]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_configuration_below_a_thousand_links_or_in_a_loop_ends_at_once() {
    let stage = Stage::new();
    symlink(stage.users("loop.ini"), stage.users("loop.ini")).unwrap();
    for nth in 0..1000 {
        symlink(stage.users(format!("{}.ini", nth + 1)), stage.users(format!("{nth}.ini")))
            .unwrap();
    }
    for name in ["loop.ini", "0.ini"] {
        for kind in [PhpFpm, Apache] {
            let report = diagnosed(&[&kind.play(&stage, &stage.users(name))]);
            assert!(says(&report, "were not read"), "{kind:?}: {:#}", report["unseen"]);
        }
    }
}

#[test]
#[ignore = "needs root"]
fn files_that_include_each_other_end_at_once() {
    let stage = Stage::new();
    let (a, b) = (stage.users("a.ini"), stage.users("b.ini"));
    for (kind, include) in [(PhpFpm, "include ="), (Apache, "Include")] {
        stage.users_file("a.ini", &format!("[x]\n{include} {0}\n{include} {0}\n", b.display()));
        stage.users_file("b.ini", &format!("[y]\n{include} {0}\n{include} {0}\n", a.display()));
        diagnosed(&[&kind.play(&stage, &a)]);
    }
}

#[test]
#[ignore = "needs root"]
fn a_pattern_over_many_directories_ends_in_time() {
    let stage = Stage::new();
    for one in 0..30 {
        for two in 0..30 {
            stage.users_file(format!("d/{one}/{two}/x.conf"), "");
        }
    }
    let pattern = stage.users("d/*/*/*");
    let config =
        stage.users_file("server.ini", &format!("[www]\ninclude = {}\n", pattern.display()));
    let began = Instant::now();
    diagnosed(&[&PhpFpm.play(&stage, &config)]);
    assert!(began.elapsed() < Duration::from_secs(8), "{:?}", began.elapsed());
}
