//! Systemd: that of a small machine, its units, and what systemctl says of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::small_machine::UNITS;

/// Runs a command; its words, and whether it succeeded.
pub fn run(program: &str, args: &[&str]) -> (bool, String) {
    let said = Command::new(program).args(args).env("SYSTEMD_PAGER", "").output().unwrap();
    (said.status.success(), String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into())
}

/// Runs systemctl, which must succeed.
pub fn systemctl(args: &[&str]) -> String {
    let (succeeded, said) = run("systemctl", args);
    assert!(succeeded, "systemctl {args:?}: {said}\n{}", run("journalctl", &["-n", "40"]).1);
    said
}

/// A property of a unit.
pub fn property(unit: &str, name: &str) -> String {
    systemctl(&["show", "--value", "-p", name, unit]).trim().to_owned()
}

/// The process of a service.
pub fn main_pid(unit: &str) -> u32 {
    property(unit, "MainPID").parse().unwrap()
}

/// Writes a unit, or a drop-in of one.
pub fn install(name: &str, text: &str) {
    let path = Path::new(UNITS).join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}
