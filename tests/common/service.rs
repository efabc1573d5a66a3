//! Service: a private leaking web server on loopback, of the kinds other than mod_perl's Apache,
//! stopped with the test. It runs in the foreground as a child of the test.

use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use super::apache::{MODULES, PROGRAM};
use super::cgroup::Cgroup;
use super::lines::Lines;
use super::needs::Need;
use super::ports;
use super::process::{self, Id};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Behind an nginx, which stays outside of the cgroup.
    PhpFpm,
    GunicornSync,
    GunicornGthread,
    Uwsgi,
    Puma,
    Unicorn,
    /// prefork with a C module; two Listen lines, so that there is an accept mutex.
    ApachePreforkC,
    /// event with a C module.
    ApacheEvent,
    /// mod_wsgi's processes of its own, behind an event MPM of one process.
    ModWsgi,
}

/// Workers of the servers whose number is fixed: as many requests of four seconds at 1.5 a second.
pub const WORKERS: u32 = 8;

/// A running server.
pub struct Service {
    kind: Kind,
    /// Kept before those that follow: a front end goes first.
    front: Option<Child>,
    master: Child,
    id: Id,
    port: u16,
    /// Its output.
    pub log: Lines,
    dir: TempDir,
}

impl Kind {
    /// What it cannot do without.
    pub fn needs(self) -> Vec<Need> {
        let own: &[Need] = match self {
            Self::PhpFpm => &[Need::PhpFpm, Need::Nginx],
            Self::GunicornSync | Self::GunicornGthread => &[Need::Gunicorn],
            Self::Uwsgi => &[Need::Uwsgi],
            Self::Puma => &[Need::Puma],
            Self::Unicorn => &[Need::Unicorn],
            Self::ApachePreforkC | Self::ApacheEvent => &[Need::Apache, Need::Apxs],
            Self::ModWsgi => &[Need::Apache, Need::ModWsgi],
        };
        [own, &[Need::Root, Need::Cgroup]].concat()
    }

    /// The signal at which a worker finishes its request.
    pub fn gentle(self) -> &'static str {
        match self {
            Self::PhpFpm | Self::Unicorn => "QUIT",
            Self::GunicornSync | Self::GunicornGthread | Self::Puma => "TERM",
            Self::Uwsgi => "HUP",
            Self::ApachePreforkC | Self::ApacheEvent | Self::ModWsgi => "USR1",
        }
    }
}

/// What a server is started with.
#[derive(Clone, Copy)]
pub struct Setup<'a> {
    pub kind: Kind,
    /// Kept by each request.
    pub kib: u32,
    pub cgroup: &'a Cgroup,
    pub keep_alive: bool,
}

impl Service {
    /// Starts it and returns when it serves.
    pub fn start(setup: Setup<'_>) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let (port, second) = (ports::own(), ports::own());
        let words = lay_out(setup, dir.path(), port, second);
        // setpriv: the server ends with the test even when the test is killed.
        let mut command = setup.cgroup.command("setpriv");
        command
            .args(["--pdeathsig", "TERM"])
            .args(words)
            .env("LEAKY_KIB", setup.kib.to_string())
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("HOME", dir.path())
            .current_dir(dir.path())
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut master = command.spawn().expect("sh and setpriv are there");
        let log = Lines::of(master.stderr.take().expect("stderr is a pipe"));
        let front = (setup.kind == Kind::PhpFpm).then(|| {
            Command::new("setpriv")
                .args(["--pdeathsig", "TERM", "nginx", "-e", "/dev/null", "-c"])
                .arg(dir.path().join("nginx.conf"))
                .process_group(0)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("setpriv is there")
        });
        let kind = setup.kind;
        let id = Id { pid: 0, start: 0 };
        let mut service = Self { kind, front, master, id, port, log, dir };
        let end = Instant::now() + Duration::from_secs(30);
        while Instant::now() < end && service.master.try_wait().unwrap().is_none() {
            if service.is_up(second) {
                service.id = Id::of(service.master.id()).expect("it runs");
                return service;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("{kind:?} does not start: {}", service.log.text());
    }

    /// Whether it listens and has all the workers that it starts with.
    fn is_up(&self, second: u16) -> bool {
        let open = |port: u16| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok();
        let back = self.kind != Kind::PhpFpm || open(second);
        let workers = match self.kind {
            Kind::ApachePreforkC | Kind::ApacheEvent => 1,
            _ => WORKERS as usize,
        };
        open(self.port) && back && process::children(self.master.id()).len() >= workers
    }

    /// The master's identity.
    pub fn master(&self) -> Id {
        self.id
    }

    /// The workers that run now.
    pub fn workers(&self) -> Vec<Id> {
        process::children(self.id.pid)
    }

    pub fn port(&self) -> u16 {
        self.port
    }

    /// The directory of its configuration.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The master of the web server in front of it, if there is one.
    pub fn front(&self) -> Option<Id> {
        Id::of(self.front.as_ref()?.id())
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        if let Some(front) = &mut self.front {
            process::signal(front, Signal::SIGTERM);
            front.wait().ok();
        }
        process::signal(&self.master, Signal::SIGTERM);
        // The pipe closes when the last process of this server has ended.
        if !self.log.wait_closed(Duration::from_secs(10)) {
            process::kill_group(&self.master);
        }
        self.master.wait().ok();
    }
}

/// Writes what the server needs into its directory and says how it is started there.
fn lay_out(setup: Setup<'_>, dir: &Path, port: u16, second: u16) -> Vec<String> {
    let place = dir.display();
    let write = |name: &str, text: &str| fs::write(dir.join(name), text).expect("a fixture");
    write("app.py", include_str!("../fixtures/servers/app.py"));
    write("config.ru", include_str!("../fixtures/servers/config.ru"));
    write("leak.php", include_str!("../fixtures/servers/leak.php"));
    let words = |text: String| text.split_whitespace().map(str::to_owned).collect();
    let kib = setup.kib;
    match setup.kind {
        Kind::PhpFpm => {
            let state = dir.join("state");
            fs::create_dir(&state).unwrap();
            fs::set_permissions(&state, fs::Permissions::from_mode(0o777)).unwrap();
            write(
                "fpm.conf",
                &format!(
                    "[global]\npid = {place}/fpm.pid\nerror_log = /proc/self/fd/2\ndaemonize = no\n\
                     process_control_timeout = 10s\n\
                     [app]\nuser = www-data\ngroup = www-data\nlisten = 127.0.0.1:{second}\n\
                     pm = static\npm.max_children = {WORKERS}\npm.status_path = /status\n\
                     env[LEAKY_KIB] = {kib}\n"
                ),
            );
            write("nginx.conf", &nginx_conf(dir, port, second));
            let fpm = php_fpm().expect("it was looked for");
            words(format!(
                "{} -F -y {place}/fpm.conf -n -d extension_dir={} -d extension=ffi -d ffi.enable=true",
                fpm.display(),
                php_extensions().expect("it was looked for").display()
            ))
        }
        Kind::GunicornSync => {
            write("gunicorn.conf.py", &format!("workers = {WORKERS}\n"));
            words(format!(
                "/usr/bin/python3 /usr/bin/gunicorn -c {place}/gunicorn.conf.py --worker-tmp-dir \
                 /dev/shm -b 127.0.0.1:{port} app:application"
            ))
        }
        Kind::GunicornGthread => words(format!(
            "/usr/bin/python3 /usr/bin/gunicorn --workers {WORKERS} --worker-class gthread --threads \
             4 --worker-tmp-dir /dev/shm -b 127.0.0.1:{port} app:application"
        )),
        Kind::Uwsgi => words(format!(
            "/usr/bin/uwsgi --plugin python3 --master --processes {WORKERS} --http-socket \
             127.0.0.1:{port} --wsgi-file app.py --die-on-term"
        )),
        Kind::Puma => {
            words(format!("/usr/bin/puma -w {WORKERS} -t 2:4 -b tcp://127.0.0.1:{port} config.ru"))
        }
        Kind::Unicorn => {
            write(
                "unicorn.rb",
                &format!("worker_processes {WORKERS}\nlisten '127.0.0.1:{port}'\ntimeout 60\n"),
            );
            words("/usr/bin/unicorn -c unicorn.rb -E production config.ru".to_owned())
        }
        Kind::ModWsgi => {
            write("apache.conf", &mod_wsgi(dir, port));
            words(format!("{PROGRAM} -DFOREGROUND -f {place}/apache.conf"))
        }
        Kind::ApachePreforkC | Kind::ApacheEvent => {
            build_module(dir);
            write("apache.conf", &apache(setup, dir, port, second));
            words(format!("{PROGRAM} -DFOREGROUND -f {place}/apache.conf"))
        }
    }
}

fn apache(setup: Setup<'_>, dir: &Path, port: u16, second: u16) -> String {
    let (place, kib) = (dir.display(), setup.kib);
    let keep_alive = if setup.keep_alive { "On" } else { "Off" };
    let (mpm, mpm_settings) = match setup.kind {
        Kind::ApacheEvent => (
            "mpm_event",
            "StartServers 2\nServerLimit 8\nThreadsPerChild 5\nMinSpareThreads 5\nMaxSpareThreads \
             40\nMaxRequestWorkers 40",
        ),
        _ => (
            "mpm_prefork",
            "StartServers 3\nMinSpareServers 3\nMaxSpareServers 50\nServerLimit 50\n\
             MaxRequestWorkers 50",
        ),
    };
    format!(
        "ServerRoot \"{place}\"\nServerName localhost\nDefaultRuntimeDir \"{place}\"\n\
         PidFile \"{place}/master.pid\"\nErrorLog /proc/self/fd/2\nLogLevel notice\n\
         User www-data\nGroup www-data\nLoadModule {mpm}_module {MODULES}/mod_{mpm}.so\n\
         LoadModule authz_core_module {MODULES}/mod_authz_core.so\n\
         LoadModule leaky_module {place}/.libs/mod_leaky.so\nListen 127.0.0.1:{port}\n\
         Listen 127.0.0.1:{second}\nKeepAlive {keep_alive}\nKeepAliveTimeout 5\nTimeout 60\n\
         MaxConnectionsPerChild 0\n{mpm_settings}\nLeakyKiB {kib}\n\
         <Location />\nSetHandler leaky\n</Location>\n"
    )
}

fn mod_wsgi(dir: &Path, port: u16) -> String {
    let place = dir.display();
    format!(
        "ServerRoot \"{place}\"\nServerName localhost\nDefaultRuntimeDir \"{place}\"\n\
         PidFile \"{place}/master.pid\"\nErrorLog /proc/self/fd/2\nLogLevel notice\n\
         User www-data\nGroup www-data\nLoadModule mpm_event_module {MODULES}/mod_mpm_event.so\n\
         LoadModule authz_core_module {MODULES}/mod_authz_core.so\n\
         LoadModule wsgi_module {MODULES}/mod_wsgi.so\nListen 127.0.0.1:{port}\n\
         StartServers 1\nServerLimit 1\nThreadsPerChild 40\nMaxRequestWorkers 40\n\
         WSGISocketPrefix {place}/wsgi\n\
         WSGIDaemonProcess app processes={WORKERS} threads=1 display-name=%{{GROUP}}\n\
         WSGIProcessGroup app\nWSGIApplicationGroup %{{GLOBAL}}\nWSGIScriptAlias / {place}/app.py\n"
    )
}

/// Compiles the module that leaks, with Apache's own tool.
fn build_module(dir: &Path) {
    fs::write(dir.join("mod_leaky.c"), include_str!("../fixtures/servers/mod_leaky.c")).unwrap();
    let built = Command::new("apxs")
        .args(["-c", "mod_leaky.c"])
        .current_dir(dir)
        .output()
        .expect("apxs was looked for");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
}

/// The newest php-fpm that is installed, such as /usr/sbin/php-fpm8.2.
pub fn php_fpm() -> Option<PathBuf> {
    newest("/usr/sbin", "php-fpm")
}

/// Where that PHP has its extensions, FFI among them.
pub fn php_extensions() -> Option<PathBuf> {
    newest("/usr/lib/php", "20").filter(|dir| dir.join("ffi.so").exists())
}

/// Where the newest PostgreSQL's programs are, such as /usr/lib/postgresql/15/bin.
pub fn postgres() -> Option<PathBuf> {
    newest("/usr/lib/postgresql", "").map(|version| version.join("bin"))
}

fn newest(dir: &str, prefix: &str) -> Option<PathBuf> {
    let entries = fs::read_dir(dir).ok()?.flatten();
    let named = entries.filter(|e| e.file_name().to_string_lossy().starts_with(prefix));
    named.map(|entry| entry.path()).max()
}

/// What an nginx on this port reads, which hands all requests on to the php-fpm on the other.
pub fn nginx_conf(dir: &Path, port: u16, php_fpm: u16) -> String {
    let place = dir.display();
    format!(
        "daemon off; pid {place}/nginx.pid; user www-data; worker_processes 1;\n\
         events {{ worker_connections 512; }}\n\
         http {{ access_log off; client_body_temp_path {place}/t1; proxy_temp_path {place}/t2; \
         fastcgi_temp_path {place}/t3; uwsgi_temp_path {place}/t4; scgi_temp_path {place}/t5;\n\
         server {{ listen 127.0.0.1:{port};\nlocation / {{ fastcgi_pass 127.0.0.1:{php_fpm}; \
         fastcgi_param SCRIPT_FILENAME {place}/leak.php; fastcgi_param SCRIPT_NAME /leak.php; \
         fastcgi_param REQUEST_URI $request_uri; fastcgi_param QUERY_STRING $query_string; \
         fastcgi_param REQUEST_METHOD $request_method; }} }} }}\n"
    )
}
