//! Configuration as an admin meets it: files, environment, flags, several watches, a reload.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use crate::common::cli::{Cli, Ended, PROMPTLY};
use crate::common::fake_proc::{Fake, FakeProc, pid};
use nix::sys::signal::Signal;
use tempfile::TempDir;

/// A machine of files with a `web` and a `db`, and a configuration.
struct World {
    proc: FakeProc,
    dir: TempDir,
}

impl World {
    fn new(config: &str) -> Self {
        let proc = FakeProc::with_memory_kib(1 << 20);
        proc.show(&Fake::new(pid(0), "web"));
        proc.show(&Fake::new(pid(1), "db"));
        let world = Self { proc, dir: tempfile::tempdir().unwrap() };
        world.configure(config);
        world
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("leakwatch.toml")
    }

    fn configure(&self, config: &str) {
        let procfs = self.proc.path().to_str().unwrap();
        fs::write(self.file(), format!("procfs = '{procfs}'\n{config}")).unwrap();
    }

    fn start(&self, args: &[&str]) -> Cli {
        Cli::leakwatch(args.iter().copied().chain(["--config", self.file().to_str().unwrap()]))
    }

    fn run(&self, args: &[&str]) -> Ended {
        self.start(args).end(PROMPTLY)
    }
}

#[test]
fn the_command_line_beats_the_environment_and_the_environment_the_file() {
    let world = World::new("pattern = 'web'\nlead = '1m'\nmax-extrapolation = 3\n");
    let file = world.file();
    let shown = |variable: &str, value: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_leakwatch"));
        command.args(["config", "--config"]).arg(&file).env(variable, value);
        Cli::start(&mut command).end(PROMPTLY).out.text()
    };
    let text = shown("LEAKWATCH_LEAD", "2m");
    for line in [
        format!("pattern = [\"web\"]                        # {}:2", file.display()),
        format!("max-extrapolation = \"3\"                  # {}:4", file.display()),
        "lead = \"2m\"                              # LEAKWATCH_LEAD".to_owned(),
        "interval = \"5s\"                          # default".to_owned(),
        "dry-run = false                          # default".to_owned(),
    ] {
        assert!(text.lines().any(|of| of == line), "no {line:?} in\n{text}");
    }
    // The output is a configuration with the same meaning.
    world.configure("");
    fs::write(&file, &text).unwrap();
    let values = |text: &str| -> Vec<String> {
        let value = |line: &str| line.split(" # ").next().unwrap().trim_end().to_owned();
        text.lines().filter(|line| !line.starts_with('#')).map(value).collect()
    };
    assert_eq!(values(&shown("LEAKWATCH_LEAD", "2m")), values(&text));

    let world = World::new("pattern = 'web'\n");
    let cli = world.start(&["--pattern", "db"]);
    cli.err.expect_line(PROMPTLY, "that says what is watched", |line| line.contains("'db'"));
    assert!(!cli.stop().err.text().contains("web"));
}

#[test]
fn an_error_names_file_and_line_and_nothing_is_done() {
    let world = World::new("pattern = 'web'\nintervall = '5s'\n");
    for args in [&[][..], &["check"], &["config"]] {
        let ended = world.run(args);
        let text = ended.err.text();
        assert_eq!((ended.code, ended.out.text().as_str()), (Some(3), ""), "{text}");
        assert!(text.contains("leakwatch.toml:3: there is no setting 'intervall'"), "{text}");
        assert!(text.contains("hint: did you mean 'interval'?"), "{text}");
    }
    let absent = Cli::leakwatch(["--config", "/nonexistent/leakwatch.toml"]).end(PROMPTLY);
    assert_eq!(absent.code, Some(3));
    assert!(absent.err.text().contains("/nonexistent/leakwatch.toml"), "{}", absent.err.text());
}

#[test]
fn a_world_writable_file_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new("pattern = 'web'\n");
    fs::set_permissions(world.file(), fs::Permissions::from_mode(0o646)).unwrap();
    let ended = world.run(&["check"]);
    assert_eq!(ended.code, Some(3));
    assert!(ended.err.text().contains("chmod o-w"), "{}", ended.err.text());
}

const TWO: &str = "interval = '200ms'\n[[watch]]\nname = 'site'\npattern = 'web'\nbudget = '500M'\n[[watch]]\npattern = 'db'\ninterval = '300ms'\n";

#[test]
fn several_watches_run_in_one_process_each_with_its_settings() {
    let world = World::new(TWO);
    let cli = world.start(&[]);
    for what in ["'web'", "'db'"] {
        let says = |line: &str| line.contains("watching") && line.contains(what);
        cli.err.expect_line(PROMPTLY, what, says);
    }
    cli.err.expect_line(PROMPTLY, "with its budget", |line| line.contains("of 500 MiB left"));
    world.proc.hide(pid(1));
    cli.err.expect_line(PROMPTLY, "that the db has ended", |line| line.contains("has ended"));
    let ended = cli.stop();
    assert_eq!(ended.err.text().matches("leakwatch: stopped").count(), 2);
    assert_eq!(ended.code, Some(0));
    // A selection on the command line replaces those of the file.
    let one = world.start(&["--pattern", "web"]);
    one.err.expect_line(PROMPTLY, "that says what is watched", |line| line.contains("'web'"));
    assert!(!one.stop().err.text().contains("'db'"));
}

#[test]
fn options_may_stand_before_the_command_unless_it_does_not_have_them() {
    let world = World::new("pattern = 'web'\nlead = '1m'\n");
    let file = world.file();
    let config = ["--config", file.to_str().unwrap()];
    let before = Cli::leakwatch([&config[..], &["config"]].concat()).end(PROMPTLY);
    let after = Cli::leakwatch([&["config"], &config[..]].concat()).end(PROMPTLY);
    assert_eq!((before.code, before.out.text()), (Some(0), after.out.text()));
    assert!(after.out.text().contains("lead = \"1m\""), "{}", after.out.text());
    let refused = Cli::leakwatch(["--lead", "1m", "ceilings"]).end(PROMPTLY);
    let text = refused.err.text();
    assert_eq!((refused.code, refused.out.text().as_str()), (Some(3), ""), "{text}");
    assert!(text.contains("no option --lead") && text.contains("hint: "), "{text}");
}

#[test]
fn a_check_covers_every_watch_and_returns_the_worst_state() {
    let world = World::new(TWO);
    world.proc.hide(pid(1));
    let ended = world.run(&["check", "--report-always"]);
    let text = ended.out.text();
    let firsts: Vec<&str> = text.lines().map(|line| line.split(" - ").next().unwrap()).collect();
    assert_eq!(firsts, ["LEAKWATCH OK", "LEAKWATCH UNKNOWN"], "{text}");
    assert_eq!(ended.code, Some(3));
}

#[test]
fn sighup_reloads_and_a_bad_file_changes_nothing() {
    let world = World::new("pattern = 'web'\ninterval = '100ms'\n");
    let cli = world.start(&[]);
    let says = |what: &'static str| move |line: &str| line.contains(what);
    cli.err.expect_line(PROMPTLY, "that says what is watched", says("'web'"));

    world.configure("pattern = 'web'\ninterval = 'often'\n");
    cli.signal(Signal::SIGHUP);
    let line = cli.err.expect_line(PROMPTLY, "that it was not reloaded", says("not reloaded"));
    assert!(line.text().contains("leakwatch.toml:3: 'interval' cannot be"), "{}", line.text());
    world.configure("pattern = '('\n");
    cli.signal(Signal::SIGHUP);
    cli.err.expect_line(PROMPTLY, "about the pattern", says("not a regular expression"));

    // The same processes: the watch goes on.
    world.configure("pattern = 'web'\ninterval = '100ms'\nlead = '2m'\n");
    cli.signal(Signal::SIGHUP);
    cli.err.expect_line(PROMPTLY, "that it was reloaded", says("leakwatch: reloaded"));
    assert_eq!(cli.err.text().matches("watching").count(), 1, "{}", cli.err.text());
    // Other processes: a new watch begins.
    world.configure("pattern = 'db'\ninterval = '100ms'\n");
    cli.signal(Signal::SIGHUP);
    cli.err.expect_line(PROMPTLY, "that says what is watched", says("for pattern 'db'"));
    let ended = cli.stop();
    assert_eq!(ended.code, Some(0), "{}", ended.err.text());
}

/// The TOML in a text between two marks.
fn example(file: &str, (begin, end): (&str, &str)) -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let text = fs::read_to_string(path).unwrap();
    let (_, rest) = text.split_once(begin).expect("the example begins");
    rest.split_once(end).expect("the example ends").0.to_owned()
}

#[test]
fn the_examples_of_the_docs_are_configurations() {
    for (file, marks) in [
        ("README.md", ("```toml\n", "```\n")),
        ("man/leakwatch.toml.5", (".SH EXAMPLES\n.nf\n", ".fi\n")),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("example.toml");
        fs::write(&path, example(file, marks)).unwrap();
        let ended = Cli::leakwatch(["config", "--config", path.to_str().unwrap()]).end(PROMPTLY);
        assert_eq!((ended.code, ended.err.text()), (Some(0), String::new()), "{file}");
        assert_eq!(ended.out.text().matches("[[watch]]").count(), 2, "{file}");
        assert!(ended.out.text().contains("budget = \"700M\""), "{file}");
    }
}

/// Two watches choose the same pool, by two patterns: only one of them ends its workers.
#[test]
fn two_watches_of_one_pool_do_not_end_its_workers_side_by_side() {
    use crate::common::events;
    use crate::common::load::{Load, Plan};
    use crate::common::prefork::Prefork;
    use std::time::Duration;

    let server =
        Prefork::start(&["--leaky", "4", "--healthy", "0", "--cache", "0", "--rate", "1M/s"]);
    let _load = Load::start(Plan::of(server.port(), "/", 10.0));
    let master = server.master().pid;
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("two.toml");
    // Each is the same tree, and each would count its own victims.
    let watch = format!("[[watch]]\npid = {master}\nbudget = '120M'\n");
    fs::write(&config, format!("interval = '500ms'\n{watch}{watch}")).unwrap();
    let args = ["--no-state", "--format", "json", "--config", config.to_str().unwrap()];
    let cli = Cli::leakwatch(args);
    cli.out.expect_line(Duration::from_secs(90), "of the second that leaves it alone", |line| {
        events::is(line, "signal_failed")
    });
    cli.out.expect_line(Duration::from_secs(90), "with an outcome", |line| {
        events::is(line, "outcome")
    });
    let ended = cli.stop();
    let victims: Vec<u32> = events::named(&ended.out, "outcome").iter().map(|e| e.pid()).collect();
    let mut once = victims.clone();
    once.dedup();
    assert_eq!(victims, once, "no worker is ended twice");
}
