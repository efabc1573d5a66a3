//! Again: what a test needs a process of its own for, since others run in this one: the very test is
//! run again, alone.

use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use super::cli::Cli;

/// Set inside.
const INSIDE: &str = "LEAKWATCH_TEST_AGAIN";

/// Runs the test that calls this again by a command that becomes it or waits for it (`before`), and
/// says what it printed; nothing when this is that run, where the test then goes on.
pub fn alone(before: &[&str], within: Duration) -> Option<String> {
    if std::env::var_os(INSIDE).is_some() {
        return None;
    }
    let test = std::thread::current().name().expect("a test has a name").to_owned();
    let program = std::env::current_exe().expect("a test has a path");
    let mut words = before.iter().map(OsString::from).chain([program.into()]);
    let mut command = Command::new(words.next().expect("there is one at least"));
    command
        .args(words)
        .args(["--exact", &test, "--include-ignored", "--nocapture"])
        .env(INSIDE, "1");
    let ended = Cli::start(&mut command).end(within);
    let said = ended.out.text();
    let passed = ended.code == Some(0) && said.contains("test result: ok. 1 passed");
    assert!(passed, "'{test}' by itself: {:?}\n{said}{}", ended.code, ended.err.text());
    Some(said)
}
