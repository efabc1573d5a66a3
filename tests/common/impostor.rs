//! Impostor: what a local user can do: own files, and start programs that look like servers.

use std::ffi::OsStr;
use std::fs;
use std::io::Read;
use std::os::unix::fs::{PermissionsExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::needs::{self, Need};

/// The user who wants more than he has: nobody's number.
pub const USER: u32 = 54_321;

/// A directory of root's, with one of the user's inside.
pub struct Stage {
    dir: TempDir,
}

impl Stage {
    pub fn new() -> Self {
        needs::require(&[Need::Root]);
        let dir = tempfile::tempdir().unwrap();
        mode(dir.path(), 0o755);
        let stage = Self { dir };
        fs::create_dir(stage.users("")).unwrap();
        give(&stage.users(""));
        stage
    }

    /// A path of root's.
    pub fn roots(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// A path of the user's.
    pub fn users(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join("user").join(name)
    }

    /// A file that only root may read.
    pub fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.roots(name);
        fs::write(&path, text).unwrap();
        mode(&path, 0o600);
        path
    }

    /// A file of the user's, in directories of the user's.
    pub fn users_file(&self, name: impl AsRef<Path>, text: &str) -> PathBuf {
        let path = self.users(name);
        let mut above = path.parent().unwrap();
        fs::create_dir_all(above).unwrap();
        while above != self.dir.path() {
            give(above);
            above = above.parent().unwrap();
        }
        fs::write(&path, text).unwrap();
        give(&path);
        path
    }

    /// A directory like /tmp.
    pub fn shared(&self) -> PathBuf {
        let path = self.roots("shared");
        fs::create_dir(&path).unwrap();
        mode(&path, 0o1777);
        path
    }

    /// A program of root's under the name of a server's: its file is trusted, its words are not.
    pub fn program(&self, name: &str) -> PathBuf {
        let path = self.roots(name);
        if !path.exists() {
            copy_perl(&path);
        }
        path
    }

    /// The user's program under that name.
    pub fn users_program(&self, name: &str) -> PathBuf {
        let path = self.users(name);
        copy_perl(&path);
        give(&path);
        path
    }

    /// Starts a process of the user's with four workers that grow by so many MiB a second each.
    pub fn play(&self, program: &Path, title: &str, args: &[&OsStr], mib_per_s: f64) -> Impostor {
        // Ends with the test, also where that is killed, since its input ends then.
        const SCRIPT: &str = "$|=1; my $own=$$; for (1..4) { if (!fork) { my @kept; while (getppid == $own) { select undef,undef,undef,.1; push @kept, 'x' x int($ENV{RATE}*104858) if $ENV{RATE} > 0 } exit } } print 'r'; close STDOUT; sysread STDIN, $_, 1";
        self.start(program, title, SCRIPT, (args, mib_per_s))
    }

    /// Starts a perl script of the user's that prints a letter once it is ready, and ends it by force.
    pub fn run(&self, program: &Path, title: &str, script: &str, args: &[&OsStr]) -> Impostor {
        self.start(program, title, script, (args, 0.0))
    }

    fn start(
        &self,
        program: &Path,
        title: &str,
        script: &str,
        (args, mib_per_s): (&[&OsStr], f64),
    ) -> Impostor {
        let mut child = Command::new(program)
            .arg0(title)
            .args(["-e", script, "--"])
            .args(args)
            .env_clear()
            .env("RATE", mib_per_s.to_string())
            .current_dir(self.users(""))
            .uid(USER)
            .gid(USER)
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut ready = [0];
        child.stdout.take().unwrap().read_exact(&mut ready).expect("perl runs");
        Impostor { child }
    }
}

/// A process of the user's that plays a server, with its workers; ended on drop.
pub struct Impostor {
    child: Child,
}

impl Impostor {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Impostor {
    fn drop(&mut self) {
        // Its workers see that it is gone.
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// By a process of its own: while this one has a program open for writing, another test may fork and
/// so keep it from being run.
pub fn copy_perl(path: &Path) {
    let copied = Command::new("cp").arg("/usr/bin/perl").arg(path).status();
    assert!(copied.unwrap().success());
    mode(path, 0o755);
}

pub fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

/// Gives a file to the user.
pub fn give(path: &Path) {
    lchown(path, Some(USER), Some(USER)).unwrap();
}

pub fn fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    mode(path, 0o644);
}
