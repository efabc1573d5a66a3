//! Needs: what an end-to-end test cannot do without, and in one line how to get it.
//!
//! A test that needs more than Rust and a C linker is `#[ignore]`d with the reason, so that `cargo test`
//! passes on any machine. `tests/all` installs everything and runs the ignored tests too; there, a need
//! that is missing is a failure.

use std::path::{Path, PathBuf};

use super::apache::{MODULES, PROGRAM};
use super::cgroup::Cgroup;
use super::service;
use super::small_machine::{self, KERNEL};

/// Something that a test cannot do without.
#[derive(Clone, Copy)]
pub enum Need {
    Apache,
    ModPerl,
    /// Apache's tool that compiles modules, and a compiler.
    Apxs,
    ModWsgi,
    PhpFpm,
    Nginx,
    Gunicorn,
    Uwsgi,
    Puma,
    Unicorn,
    Postgres,
    MariaDb,
    PureFtpd,
    Patch,
    Root,
    /// File systems whose server is a program.
    Fuse,
    Cgroup,
    /// A cgroup that limits tasks.
    PidsCgroup,
    /// A small machine of up to 512 MiB can be booted.
    SmallMachine,
    /// A command, and the Debian package that has it.
    Program(&'static str, &'static str),
}

impl Need {
    /// What is missing and how to get it; nothing when it is there.
    fn missing(self) -> Option<String> {
        let there = |path: &str| Path::new(path).exists();
        match self {
            Self::Apache if !there(PROGRAM) => {
                Some("apache2 is missing: apt-get install apache2 libapache2-mod-perl2".into())
            }
            Self::Fuse if !there("/dev/fuse") => {
                Some("/dev/fuse is missing: modprobe fuse, or a container with that device".into())
            }
            Self::ModPerl if !there(&format!("{MODULES}/mod_perl.so")) => {
                Some("mod_perl is missing: apt-get install libapache2-mod-perl2".into())
            }
            Self::Apxs if !there("/usr/bin/apxs") || !there("/usr/bin/gcc") => {
                Some("apxs or gcc is missing: apt-get install apache2-dev gcc".into())
            }
            Self::ModWsgi if !there(&format!("{MODULES}/mod_wsgi.so")) => {
                Some("mod_wsgi is missing: apt-get install libapache2-mod-wsgi-py3".into())
            }
            Self::PhpFpm if service::php_fpm().is_none() || service::php_extensions().is_none() => {
                Some("php-fpm with FFI is missing: apt-get install php-fpm".into())
            }
            Self::Nginx if !there("/usr/sbin/nginx") => {
                Some("nginx is missing: apt-get install nginx-light".into())
            }
            Self::Gunicorn if !there("/usr/bin/gunicorn") => {
                Some("gunicorn is missing: apt-get install gunicorn".into())
            }
            Self::Uwsgi if !there("/usr/lib/uwsgi/plugins/python3_plugin.so") => {
                Some("uwsgi is missing: apt-get install uwsgi-core uwsgi-plugin-python3".into())
            }
            Self::Puma if !there("/usr/bin/puma") => {
                Some("puma is missing: apt-get install puma".into())
            }
            Self::Unicorn if !there("/usr/bin/unicorn") => {
                Some("unicorn is missing: apt-get install unicorn".into())
            }
            Self::Postgres if service::postgres().is_none() => {
                Some("PostgreSQL is missing: apt-get install postgresql".into())
            }
            Self::MariaDb if !there("/usr/sbin/mariadbd") => {
                Some("mariadbd is missing: apt-get install mariadb-server".into())
            }
            Self::PureFtpd if !there("/usr/sbin/pure-ftpd") => {
                Some("pure-ftpd is missing: apt-get install pure-ftpd".into())
            }
            Self::Patch if !there("/usr/bin/patch") => {
                Some("patch is missing: apt-get install patch".into())
            }
            Self::Root if !nix::unistd::geteuid().is_root() => {
                Some("this needs root: run the tests as root (sudo -E cargo test)".into())
            }
            Self::Cgroup => Cgroup::with_memory(64 << 20).err(),
            Self::PidsCgroup => Cgroup::with_tasks(64).err(),
            Self::SmallMachine if !there(KERNEL) => {
                Some("user-mode Linux is missing: apt-get install user-mode-linux iproute2".into())
            }
            Self::SmallMachine if small_machine::room_for(512).is_none() => Some(
                "a small machine needs 528 MiB free in /dev/shm or TMPDIR, not mounted noexec"
                    .into(),
            ),
            Self::Program(name, package) if !is_on_path(name) => {
                Some(format!("{name} is missing: apt-get install {package}"))
            }
            _ => None,
        }
    }
}

/// Whether there is a command of that name, or at that path.
fn is_on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut system: Vec<PathBuf> = ["/usr/sbin", "/sbin"].map(Into::into).to_vec();
    system.extend(std::env::var_os("CARGO_HOME").map(|home| Path::new(&home).join("bin")));
    std::env::split_paths(&path).chain(system).any(|dir| dir.join(name).exists())
}

/// Fails in one line, with the remedy, when something is missing.
pub fn require(needs: &[Need]) {
    if let Some(missing) = needs.iter().find_map(|need| need.missing()) {
        panic!("{missing} (or let tests/all install everything)");
    }
}
