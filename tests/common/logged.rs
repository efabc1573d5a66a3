//! Logged: a private web server of three workers on loopback that logs its requests, ended with the test.

use super::ports;
use super::process::{self, Id};
use super::service::{nginx_conf, php_extensions, php_fpm};
use super::wait;
use nix::sys::signal::Signal;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running server.
pub struct Logged {
    /// Goes first.
    front: Option<Child>,
    master: Child,
    port: u16,
    dir: tempfile::TempDir,
}

impl Logged {
    /// A gunicorn with these lines in its configuration.
    pub fn gunicorn(conf: &str) -> Self {
        Self::start(|dir, port| {
            let conf = format!(
                "bind = '127.0.0.1:{port}'\nworkers = 3\nworker_tmp_dir = '/dev/shm'\n\
                 accesslog = 'access.log'\n{conf}\n"
            );
            write(dir, "gunicorn.conf.py", &conf);
            write(dir, "app.py", include_str!("../fixtures/servers/app.py"));
            let conf = dir.join("gunicorn.conf.py");
            let conf = conf.to_str().unwrap();
            (words(&["/usr/bin/python3", "/usr/bin/gunicorn", "-c", conf, "app:application"]), None)
        })
    }

    /// A uWSGI with these lines in its configuration.
    pub fn uwsgi(conf: &str) -> Self {
        Self::start(|dir, port| {
            write(dir, "app.py", include_str!("../fixtures/servers/app.py"));
            let text = format!(
                "[uwsgi]\nplugin = python3\nmaster = true\nprocesses = 3\nhttp-socket = 127.0.0.1:{port}\n\
                 wsgi-file = app.py\ndie-on-term = true\nlogto = {}\n{conf}\n",
                dir.join("access.log").display()
            );
            write(dir, "uwsgi.ini", &text);
            (words(&["/usr/bin/uwsgi", "--ini", dir.join("uwsgi.ini").to_str().unwrap()]), None)
        })
    }

    /// A php-fpm with these lines in its pool behind nginx, of which one script serves all paths, as most
    /// applications have it.
    pub fn php_fpm(pool: &str) -> Self {
        Self::start(|dir, port| {
            let (place, second) = (dir.display(), ports::own());
            lay_out_php(dir);
            let conf = format!(
                "[global]\nerror_log = /dev/null\ndaemonize = no\n[app]\nuser = www-data\n\
                 group = www-data\nlisten = 127.0.0.1:{second}\npm = static\npm.max_children = 3\n\
                 env[LEAKY_KIB] = 0\naccess.log = {place}/access.log\n{pool}\n"
            );
            write(dir, "fpm.conf", &conf);
            write(dir, "nginx.conf", &nginx_conf(dir, port, second));
            let fpm = php_fpm().expect("it was looked for");
            let extensions = php_extensions().expect("it was looked for");
            let extensions = format!("extension_dir={}", extensions.display());
            let conf = dir.join("fpm.conf");
            let fpm = [fpm.to_str().unwrap(), "-F", "-n", "-y", conf.to_str().unwrap()];
            let ffi = ["-d", &extensions, "-d", "extension=ffi", "-d", "ffi.enable=true"];
            let nginx = dir.join("nginx.conf");
            let nginx = words(&["nginx", "-e", "/dev/null", "-c", nginx.to_str().unwrap()]);
            (words(&[&fpm[..], &ffi].concat()), Some(nginx))
        })
    }

    /// Lays it out in a directory for a port, says its command line and that of the server in front of it,
    /// and returns when it serves.
    pub fn start(lay_out: impl FnOnce(&Path, u16) -> (Vec<String>, Option<Vec<String>>)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let port = ports::own();
        let (own, front) = lay_out(dir.path(), port);
        let run = |words: &[String]| {
            Command::new("setpriv")
                .args(["--pdeathsig", "TERM"])
                .args(words)
                .env("LEAKY_KIB", "0")
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .current_dir(dir.path())
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("setpriv is there")
        };
        let (master, front) = (run(&own), front.map(|words| run(&words)));
        let server = Self { front, master, port, dir };
        let is_up = wait::until(Duration::from_secs(60), || {
            TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok() && server.workers().len() == 3
        });
        assert!(is_up, "{own:?} does not start");
        server
    }

    pub fn master(&self) -> Id {
        Id::of(self.master.id()).expect("it runs")
    }

    pub fn workers(&self) -> Vec<Id> {
        process::children(self.master.id())
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of its configuration.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    pub fn log(&self) -> PathBuf {
        self.dir.path().join("access.log")
    }
}

impl Drop for Logged {
    fn drop(&mut self) {
        for server in self.front.iter_mut().chain([&mut self.master]) {
            process::signal(server, Signal::SIGTERM);
            if process::wait(server, Duration::from_secs(10)).is_none() {
                process::kill_group(server);
                server.wait().ok();
            }
        }
    }
}

/// PHP's application, and where it remembers what it holds.
pub fn lay_out_php(dir: &Path) {
    write(dir, "leak.php", include_str!("../fixtures/servers/leak.php"));
    fs::create_dir(dir.join("state")).unwrap();
    fs::set_permissions(dir.join("state"), fs::Permissions::from_mode(0o777)).unwrap();
}

pub fn write(dir: &Path, name: &str, text: &str) {
    fs::write(dir.join(name), text).unwrap();
}

pub fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}
