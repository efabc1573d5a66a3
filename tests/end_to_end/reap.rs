//! What a killed launcher leaves behind is ended with --reap; whatever has any tie is not, and in a dry run
//! nothing is.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::common::cli::{Cli, PROMPTLY};
use crate::common::events;
use crate::common::impostor;
use crate::common::process::Id;
use crate::common::wait;

/// A session of its own, from which each child gets pipes for its standard streams.
const LAUNCHER: &str = r#"
use POSIX; use Socket; $| = 1;
# Under nohup all would ignore it, and who does so is meant to go on.
$SIG{HUP} = 'DEFAULT';
my ($program, $dir) = @ARGV;
POSIX::setsid();
# What the test itself was started with, which others may hold, too, is no tie of theirs.
POSIX::close($_) for 3 .. 1023;
sub start {
    my ($name, $body, %with) = @_;
    pipe(my $in, my $to); pipe(my $from, my $out);
    socketpair(my $near, my $far, AF_UNIX, SOCK_STREAM, PF_UNSPEC);
    my $pid = fork;
    if (!$pid) {
        open(STDIN, '<&', $with{socket} ? $near : $in);
        open(STDOUT, '>&', $out);
        open(STDERR, '>', '/dev/null');
        if ($with{peer}) { open(STDIN, '<&', $theirs) }
        if ($with{null}) { open(STDIN, '<', '/dev/null'); open(STDOUT, '>', '/dev/null') }
        if ($with{file}) { open(STDOUT, '>', "$dir/printed") }
        exec 'unshare', '--uts', $program, '-e', $body, $name, $dir if $with{unshare};
        exec $program, '-e', $body, $name, $dir;
    }
    push @kept, $to, $from, $far;
    print "$name $pid\n";
}
# The other end of this pipe is with a process of its own, which outlives the launcher.
pipe(our $theirs, my $kept);
my $keeper = fork;
if (!$keeper) { close STDOUT; close $theirs; POSIX::setsid(); sleep; exit }
close $kept;
print "keeper $keeper\n";
my $waits = 'select(undef, undef, undef, undef)';
start('useless-1', $waits);
start('useless-2', $waits);
start('useless-3', $waits, socket => 1);
start('useless-4', '$SIG{TERM} = "IGNORE"; ' . $waits);
start('listening', 'use Socket; socket(S, PF_INET, SOCK_STREAM, 0); listen(S, 1); ' . $waits);
start('running', 'select(undef, undef, undef, 20) while 1');
start('nohup', '$SIG{HUP} = "IGNORE"; ' . $waits);
start('setsid', 'use POSIX; POSIX::setsid(); ' . $waits);
start('waiting', 'sleep 100000');
start('hourly', 'select(undef, undef, undef, 3600)');
start('alarm', '$SIG{ALRM} = sub { print "rung" }; alarm 3600; ' . $waits);
start('lock', 'open(F, ">>", "$ARGV[1]/lock"); flock(F, 2); ' . $waits);
start('printing', $waits, file => 1);
start('daemon', $waits, null => 1);
start('precious', $waits);
start('peer', $waits, peer => 1);
start('called', '$SIG{USR1} = sub { print "called" }; ' . $waits);
start('signalled', 'sleep');
start('kept', $waits, unshare => 1);
print "ready 0\n";
sleep;
"#;

/// A launcher with its children, all ended by force at the end.
struct Launched {
    launcher: Child,
    children: BTreeMap<String, Id>,
    name: String,
    _dir: TempDir,
}

impl Launched {
    fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        // Nothing else on the machine has this name.
        let name = format!("{name}{}", std::process::id());
        let program = dir.path().join(&name);
        impostor::copy_perl(&program);
        let script = dir.path().join("launch.pl");
        fs::write(&script, LAUNCHER).unwrap();
        let mut launcher = Command::new("/usr/bin/perl")
            .args([script.as_path(), &program, dir.path()])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("perl runs");
        let mut children = BTreeMap::new();
        for line in BufReader::new(launcher.stdout.take().unwrap()).lines() {
            let line = line.expect("the launcher writes lines");
            let (child, pid) = line.split_once(' ').expect("a name and a pid");
            if child == "ready" {
                break;
            }
            let id = Id::of(pid.parse().unwrap()).expect("it runs");
            children.insert(child.to_owned(), id);
        }
        assert_eq!(children.len(), 20, "{children:?}");
        let has_begun = |(child, id): (&String, &Id)| {
            let comm = fs::read_to_string(format!("/proc/{}/comm", id.pid));
            child == "keeper" || comm.is_ok_and(|comm| comm.trim() == name)
        };
        assert!(wait::until(PROMPTLY, || children.iter().all(has_begun)), "{children:?}");
        Self { launcher, children, name, _dir: dir }
    }

    /// Watches them, and kills their launcher once the watch has seen them.
    fn watch(&mut self, more: &[&str]) -> Cli {
        let pattern = format!("^{}$", self.name);
        let args = ["--pattern", &pattern, "--reap", "--reap-after", "1m", "--interval", "1s"];
        let rest = ["--format", "json", "--grace", "3s", "--protect", "precious"];
        let cli = Cli::leakwatch(args.iter().chain(&rest).chain(more));
        cli.err.expect_line(PROMPTLY, "of the greeting", |line| line.contains("watching"));
        self.launcher.kill().unwrap();
        self.launcher.wait().unwrap();
        cli
    }

    fn names(&self, is_wanted: impl Fn(&str) -> bool) -> Vec<Id> {
        let of = self.children.iter().filter(|(name, _)| is_wanted(name));
        of.map(|(_, id)| *id).collect()
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        self.launcher.kill().ok();
        self.launcher.wait().ok();
        self.children.values().for_each(|id| id.signal(Signal::SIGKILL));
    }
}

fn is_useless(name: &str) -> bool {
    name.starts_with("useless")
}

/// Rest of a minute, an age of two, and four of them one after another.
const WITHIN: Duration = Duration::from_secs(240);

#[test]
#[ignore = "takes two minutes"]
fn what_a_killed_launcher_left_behind_is_ended_and_nothing_else() {
    let mut launched = Launched::new("lwreap");
    let useless = launched.names(is_useless);
    let cli = launched.watch(&[]);
    let gone = |id: &Id| {
        cli.out.expect_line(WITHIN, &format!("of the end of {id:?}"), |line| {
            events::is(line, "outcome") && line.contains(&format!("\"pid\":{},", id.pid))
        })
    };
    useless.iter().for_each(|id| drop(gone(id)));
    for (name, why) in [
        ("listening", "useful-listening"),
        ("nohup", "useful-detached"),
        ("setsid", "useful-session"),
        ("waiting", "useful-waiting"),
        ("hourly", "useful-waiting"),
        ("alarm", "useful-waiting"),
        ("lock", "useful-lock"),
        ("printing", "useful-output"),
        ("daemon", "useful-nobody-gone"),
        ("precious", "useful-protected"),
        ("peer", "useful-peer"),
        ("called", "useful-waiting"),
        ("signalled", "useful-waiting"),
        ("kept", "useful-namespace"),
    ] {
        let pid = format!("\"pid\":{},", launched.children[name].pid);
        let of_it = |line: &str| events::is(line, "not_ended") && line.contains(&pid);
        let told = cli.out.expect_line(WITHIN, &format!("that spares '{name}'"), of_it).text();
        assert!(told.contains(&format!("\"why\":\"{why}\"")), "{name}: {told}");
    }
    let said = cli.stop().out;
    let orders = events::named(&said, "order");
    assert!(orders.iter().all(|order| order.text("reason") == "useless"), "{}", said.text());
    let ended: Vec<u32> = orders.iter().map(events::Event::pid).collect();
    let mut wanted: Vec<u32> = useless.iter().map(|id| id.pid).collect();
    // The last one did not obey TERM.
    wanted.push(useless[3].pid);
    assert_eq!(ended, wanted, "the oldest first\n{}", said.text());
    assert_eq!(orders.last().unwrap().text("signal"), "KILL");
    assert!(useless.iter().all(|id| !id.runs()));
    let useful = launched.names(|name| !is_useless(name));
    assert!(useful.iter().all(|id| id.runs()), "{useful:?}\n{}", said.text());
}

#[test]
#[ignore = "takes two minutes"]
fn a_dry_run_says_whom_it_would_end_and_signals_nothing() {
    let mut launched = Launched::new("lwdry");
    let useless = launched.names(is_useless);
    let cli = launched.watch(&["--dry-run"]);
    for id in &useless {
        cli.out.expect_line(WITHIN, "of an order", |line| {
            events::is(line, "order") && line.contains(&format!("\"pid\":{},", id.pid))
        });
    }
    let said = cli.stop().out;
    assert_eq!(events::named(&said, "order").len(), useless.len(), "{}", said.text());
    assert!(launched.children.values().all(|id| id.runs()), "{}", said.text());
}

#[test]
fn without_a_selection_of_programs_reap_is_refused() {
    for args in [&["--reap"][..], &["--reap", "--user", "root"], &["--reap", "--pid", "1"]] {
        let ended = Cli::leakwatch(args).end(PROMPTLY);
        assert_eq!(ended.code, Some(3), "{args:?}");
        assert!(ended.err.text().contains("--pattern"), "{}", ended.err.text());
    }
    let ended = Cli::leakwatch(["--pattern", "x", "--reap", "--reap-after", "59s"]).end(PROMPTLY);
    assert_eq!(ended.code, Some(3));
    let ended = Cli::leakwatch(["check", "--pattern", "x", "--reap"]).end(PROMPTLY);
    assert_eq!(ended.code, Some(3), "a check cannot see that nothing ran");
}
