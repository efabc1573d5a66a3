//! Bystander: real healthy servers beside a leaking one, each the test's own and gone with it.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

use super::ports;
use super::process::{self, Id};
use super::wait;

/// A running server; killed on drop.
pub struct Bystander {
    child: Child,
    id: Id,
    _dir: TempDir,
}

impl Bystander {
    /// A pure-ftpd without clients, as it listens on most machines.
    pub fn pure_ftpd() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let port = ports::own();
        let mut command = with_the_test("/usr/sbin/pure-ftpd");
        command.arg("--bind").arg(format!("127.0.0.1,{port}"));
        command.arg("--pidfile").arg(dir.path().join("pid"));
        Self::start(command, dir)
    }

    /// A MariaDB with an empty database and no network, as the test's user.
    pub fn mariadb() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = dir.path().join("data");
        let args = |command: &mut Command| {
            command.arg("--no-defaults").arg(format!("--datadir={}", data.display()));
            if nix::unistd::geteuid().is_root() {
                command.arg("--user=root");
            }
        };
        let mut install = Command::new("mariadb-install-db");
        args(&mut install);
        install.args(["--auth-root-authentication-method=normal", "--skip-test-db"]);
        let made = install.stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(made.is_ok_and(|status| status.success()), "mariadb-install-db failed");
        let mut command = with_the_test("/usr/sbin/mariadbd");
        args(&mut command);
        let socket = dir.path().join("socket");
        command.arg("--skip-networking").arg(format!("--socket={}", socket.display()));
        command.arg("--innodb-buffer-pool-size=8M");
        let started = Self::start(command, dir);
        let up = wait::until(Duration::from_secs(60), || socket.exists() || !started.id.runs());
        assert!(up && socket.exists(), "mariadbd does not start");
        started
    }

    fn start(mut command: Command, dir: TempDir) -> Self {
        let child = command
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("setpriv is there");
        let id = Id::of(child.id()).expect("it runs");
        Self { child, id, _dir: dir }
    }

    /// Its identity.
    pub fn id(&self) -> Id {
        self.id
    }
}

/// A command that ends with the test even when the test is killed.
fn with_the_test(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", program]);
    command
}

impl Drop for Bystander {
    fn drop(&mut self) {
        process::kill_group(&self.child);
        self.child.wait().ok();
    }
}
