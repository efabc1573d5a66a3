//! Apache: a private prefork Apache on loopback that leaks as told, stopped with the test.
//!
//! It runs in the foreground as a child of the test, in a process group and directory of its own,
//! with its error log on its standard error: so its lines can be awaited, its pid stays its own
//! until the test has waited for it, and the closing of the pipe says that its last worker ended.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::cgroup::Cgroup;
use super::lines::{Line, Lines};
use super::ports;
use super::process::{self, Id};

/// The server, where Debian and its kin have it.
pub const PROGRAM: &str = "/usr/sbin/apache2";
/// Its modules.
pub const MODULES: &str = "/usr/lib/apache2/modules";

/// What the workers do with memory at each request; see tests/fixtures/apache/Leaky.pm.
#[derive(Clone, Copy, Debug)]
pub enum Mode {
    /// Every worker keeps `kib` per request for good.
    Leak { kib: u32 },
    /// The same, in workers with an odd pid only.
    LeakInOddPids { kib: u32 },
    /// A cache fills by `kib` per request up to `cap_kib`, per worker.
    Warm { kib: u32, cap_kib: u32 },
    /// Nothing is kept.
    None,
}

/// A running Apache.
pub struct Apache {
    master: Child,
    id: Id,
    port: u16,
    /// The error log.
    pub log: Lines,
    /// Holds the configuration and the handler; www-data must be able to read them.
    dir: TempDir,
}

/// What an Apache is started with.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    mode: Mode,
    contained: bool,
    workers: u32,
    status: bool,
    log_format: Option<&'a str>,
    cgroup: Option<&'a Cgroup>,
}

impl<'a> Setup<'a> {
    /// Runs it, and all its workers, in that cgroup.
    pub fn inside(self, cgroup: &'a Cgroup) -> Self {
        Self { cgroup: Some(cgroup), ..self }
    }

    /// At most so many, as where memory is little: the other visitors wait.
    pub fn with_workers(self, workers: u32) -> Self {
        Self { workers, ..self }
    }

    /// Without CAP_SYS_ADMIN, as in a container: what the kernel keeps back for administrators
    /// (vm.admin_reserve_kbytes) is then left to the test.
    pub fn contained(self) -> Self {
        Self { contained: true, ..self }
    }

    /// With `/server-status`, as Debian's Apache has it.
    pub fn with_status(self) -> Self {
        Self { status: true, ..self }
    }

    /// With an access log of that format, in which quotes are escaped.
    pub fn with_access_log(self, format: &'a str) -> Self {
        Self { log_format: Some(format), ..self }
    }

    /// Starts it and returns when it serves.
    pub fn start(self) -> Apache {
        Apache::start(self)
    }
}

impl Apache {
    pub fn that(mode: Mode) -> Setup<'static> {
        Setup {
            mode,
            contained: false,
            workers: 150,
            status: false,
            log_format: None,
            cgroup: None,
        }
    }

    fn start(setup: Setup) -> Self {
        let port = ports::own();
        let dir = tempfile::tempdir().expect("a temporary directory");
        let readable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(dir.path(), readable).expect("one's own directory");
        let config = dir.path().join("apache.conf");
        fs::write(dir.path().join("Leaky.pm"), include_str!("../fixtures/apache/Leaky.pm"))
            .and_then(|()| fs::write(&config, self::config(dir.path(), port, setup)))
            .expect("a writable temporary directory");

        // setpriv: Apache ends with the test even when the test is killed.
        let setpriv = "setpriv";
        let mut command =
            setup.cgroup.map_or_else(|| Command::new(setpriv), |cgroup| cgroup.command(setpriv));
        if setup.contained {
            command.args(["--bounding-set", "-sys_admin", "--inh-caps", "-sys_admin"]);
        }
        let mut master = command
            .args(["--pdeathsig", "TERM", PROGRAM, "-DFOREGROUND", "-f"])
            .arg(config)
            // At its end Apache signals its whole group; this one must not be the test's.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("sh and setpriv are there");
        let log = Lines::of(master.stderr.take().expect("stderr is a pipe"));
        let up = log.wait_for(Duration::from_secs(30), |lines| {
            let says = |line: &Line| line.text().contains("resuming normal operations");
            lines.iter().any(says).then_some(())
        });
        let id = up.and_then(|()| Id::of(master.id()));
        let id = id.unwrap_or_else(|| panic!("Apache does not start; it said:\n{}", log.text()));
        Self { master, id, port, log, dir }
    }

    /// The master's identity.
    pub fn master(&self) -> Id {
        self.id
    }

    /// The workers that run now.
    pub fn workers(&self) -> Vec<Id> {
        process::children(self.id.pid)
    }

    /// The directory of its configuration, which its command line names.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// Where the handler answers.
    pub const PATH: &'static str = "/app";
}

impl Drop for Apache {
    fn drop(&mut self) {
        process::signal(&self.master, Signal::SIGTERM);
        // The pipe closes when the last process of this Apache has ended.
        if !self.log.wait_closed(Duration::from_secs(10)) {
            process::kill_group(&self.master);
        }
        self.master.wait().ok();
    }
}

/// The story's Apache: 3 servers at start, up to 150, 10000 connections each, one Listen.
///
/// The error log is standard error by way of /proc: a bare /dev may have no stderr, and Apache would
/// make a file of that name. MaxSpareServers is so high that Apache itself ends no worker: leakwatch alone does.
fn config(dir: &Path, port: u16, setup: Setup) -> String {
    let dir = dir.display();
    let (name, kib, cap_kib) = match setup.mode {
        Mode::Leak { kib } => ("leak", kib, 0),
        Mode::LeakInOddPids { kib } => ("odd", kib, 0),
        Mode::Warm { kib, cap_kib } => ("warm", kib, cap_kib),
        Mode::None => ("none", 64, 0),
    };
    let user = if nix::unistd::geteuid().is_root() { "User www-data\nGroup www-data" } else { "" };
    let (path, workers) = (Apache::PATH, setup.workers);
    let status = match setup.status {
        true => format!(
            "LoadModule status_module {MODULES}/mod_status.so\n\
             <Location /server-status>\n  SetHandler server-status\n</Location>"
        ),
        false => String::new(),
    };
    let log = setup.log_format.map_or_else(String::new, |format| {
        format!("LogFormat \"{format}\" pids\nCustomLog {dir}/access.log pids")
    });
    format!(
        r#"ServerRoot "{dir}"
ServerName localhost
DefaultRuntimeDir "{dir}"
PidFile "{dir}/master.pid"
ErrorLog /proc/self/fd/2
LogLevel notice
{user}
LoadModule mpm_prefork_module {MODULES}/mod_mpm_prefork.so
LoadModule authz_core_module {MODULES}/mod_authz_core.so
LoadModule perl_module {MODULES}/mod_perl.so
{status}
{log}
Listen 127.0.0.1:{port}
KeepAlive Off
Timeout 60
StartServers 3
MinSpareServers 3
MaxSpareServers 150
ServerLimit {workers}
MaxRequestWorkers {workers}
MaxConnectionsPerChild 10000
PerlSwitches -I"{dir}"
PerlModule Leaky
<Location {path}>
  SetHandler modperl
  PerlResponseHandler Leaky
  PerlSetVar LeakyMode {name}
  PerlSetVar LeakyKiB {kib}
  PerlSetVar LeakyCapKiB {cap_kib}
</Location>
"#
    )
}
