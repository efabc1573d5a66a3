//! Settings in force: what leakwatch reads of a configuration is what its server says of it. Nothing is
//! started: each server checks its configuration and prints it.

use crate::common::needs::{Need, require};
use crate::common::service;
use leakwatch::core::servers::by_key;
use leakwatch::diagnose::evidence::config::{RunningServer, read};
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

/// What a server prints on both outputs.
fn printed(program: &str, args: &[&str], env: &[(&str, &str)], dir: &Path) -> String {
    let mut command = Command::new(program);
    command.args(args).envs(env.iter().copied()).current_dir(dir).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    String::from_utf8_lossy(&text).into_owned()
}

/// The recycle and the cap setting that leakwatch reads; none where they are not certain.
fn seen(key: &str, exe: &str, args: &[&str], env: &[(&str, &str)], dir: &Path) -> [Option<u64>; 2] {
    let running = RunningServer {
        exe: exe.to_owned(),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        env: env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        cwd: dir.to_owned(),
        root: "/".into(),
        ..RunningServer::default()
    };
    let setup = read(by_key(key).unwrap(), &running, "www").unwrap();
    [&setup.recycle, &setup.cap].map(|of| of.computed.is_none().then_some(of.value))
}

/// The number behind the last of these names that begins a line; the default where none does.
fn said(text: &str, names: &[&str], default: u64) -> u64 {
    let number = |line: &str| {
        let line = line.rsplit("NOTICE:").next()?.trim();
        let rest = names.iter().find_map(|name| line.strip_prefix(name))?;
        let rest = rest.strip_prefix([' ', '=', '\t'])?.trim_start_matches([' ', '=', '\t']);
        rest.trim_matches('"').parse().ok()
    };
    text.lines().filter_map(number).next_back().unwrap_or(default)
}

const LOADS: &str = "LoadModule mpm_prefork_module MODULES/mod_mpm_prefork.so\nLoadModule authz_core_module MODULES/mod_authz_core.so\nLoadModule info_module MODULES/mod_info.so\nServerName localhost\nListen 127.0.0.1:1\nErrorLog DIR/error.log\n";

/// Each: what follows the modules, and further arguments.
const APACHE: [(&str, &[&str]); 9] = [
    ("MaxRequestWorkers 150\nMaxConnectionsPerChild 0\n", &[]),
    ("MaxConnectionsPerChild 5\nMaxRequestsPerChild 4000\n", &[]),
    (
        "MaxRequestsPerChild 4000\nMaxConnectionsPerChild 5\nMaxClients 99\nMaxRequestWorkers 98\n",
        &[],
    ),
    (
        "<IfModule mpm_event_module>\nMaxRequestWorkers 7\n</IfModule>\n<IfModule prefork.c>\nMaxRequestWorkers 8\n</IfModule>\n",
        &[],
    ),
    (
        "<IfModule !mod_access_compat.c>\nMaxRequestWorkers 11\n</IfModule>\n<IfModule mod_access_compat.c>\nMaxRequestWorkers 12\n</IfModule>\n",
        &["-C", "LoadModule access_compat_module MODULES/mod_access_compat.so"],
    ),
    (
        "Define CAP 40\nMaxRequestWorkers ${CAP}\n<IfDefine BIG>\nMaxConnectionsPerChild 77\n</IfDefine>\n",
        &["-DBIG"],
    ),
    ("MaxRequestWorkers 9\n", &["-c", "MaxRequestWorkers 10"]),
    (
        "<IfVersion >= 2.4.6>\nMaxConnectionsPerChild 6\n</IfVersion>\n<IfFile DIR/more.conf>\nInclude DIR/more.conf\n</IfFile>\n",
        &[],
    ),
    (
        "MaxConnectionsPerChild ${RECYCLE}\nMaxRequestWorkers \\\n 33\n<VirtualHost *:1>\nInclude DIR/host.conf\n</VirtualHost>\n",
        &[],
    ),
];

#[test]
#[ignore = "needs apache2"]
fn apache_says_the_same_of_its_configuration() {
    require(&[Need::Apache]);
    let modules = "/usr/lib/apache2/modules";
    for (conf, more) in APACHE {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display().to_string();
        let fill = |text: &str| text.replace("MODULES", modules).replace("DIR", &at);
        let file = dir.path().join("a.conf");
        fs::write(&file, fill(LOADS) + &fill(conf)).unwrap();
        fs::write(dir.path().join("more.conf"), "MaxRequestWorkers 44\n").unwrap();
        fs::write(dir.path().join("host.conf"), "KeepAlive Off\n").unwrap();
        let (file, more) = (file.display().to_string(), more.iter().map(|arg| fill(arg)));
        let args: Vec<String> =
            ["-d", &at, "-f", &file].iter().map(|arg| (*arg).to_owned()).chain(more).collect();
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let env = [("RECYCLE", "21")];
        let check = [&args[..], &["-t", "-D", "DUMP_CONFIG"]].concat();
        let text = printed("/usr/sbin/apache2", &check, &env, dir.path());
        let recycle = said(&text, &["MaxConnectionsPerChild", "MaxRequestsPerChild"], 0);
        let cap = said(&text, &["MaxRequestWorkers", "MaxClients"], 256);
        let whole = [&["apache2"][..], &args].concat();
        let seen = seen("apache-prefork", "/usr/sbin/apache2", &whole, &env, dir.path());
        assert_eq!(seen, [Some(recycle), Some(cap)], "{conf}\n{text}");
    }
}

const PHP_FPM: [&str; 5] = [
    "[www]\nlisten=DIR/s\npm=static\npm.max_children=5\n",
    "[www]\nlisten=DIR/s\npm=static\npm.max_children = 5\npm.max_requests = 500 ; few\npm.max_children = 7\n",
    "[www]\nlisten=DIR/s\npm=static\npm.max_children = ${CAP}\npm.max_requests = \"9\"\n",
    "include=DIR/pool.d/*.conf\n",
    "[other]\nlisten=DIR/o\npm=static\npm.max_children=99\n[www]\nlisten=DIR/s\npm=static\npm.max_children=3\npm.max_requests=4\n",
];

#[test]
#[ignore = "needs php-fpm"]
fn php_fpm_says_the_same_of_its_configuration() {
    require(&[Need::PhpFpm]);
    for conf in PHP_FPM {
        let dir = tempfile::tempdir().unwrap();
        let at = dir.path().display().to_string();
        fs::create_dir(dir.path().join("pool.d")).unwrap();
        let pool = "[www]\nuser=nobody\nlisten=DIR/s\npm=static\npm.max_children=8\n";
        fs::write(dir.path().join("pool.d/a.conf"), pool.replace("DIR", &at)).unwrap();
        fs::write(dir.path().join("pool.d/b.conf"), "[www]\npm.max_children=6\n").unwrap();
        let file = dir.path().join("f.conf");
        let text = format!("[global]\nerror_log=DIR/l\n{conf}");
        let text = text.replace("listen=DIR/s", "user=nobody\nlisten=DIR/s");
        let text = text.replace("listen=DIR/o", "user=nobody\nlisten=DIR/o").replace("DIR", &at);
        fs::write(&file, text).unwrap();
        let (file, env) = (file.display().to_string(), [("CAP", "40")]);
        let program = service::php_fpm().unwrap();
        let program = program.to_str().unwrap();
        let text = printed(program, &["-y", &file, "-tt"], &env, dir.path());
        // Of several pools only this one is meant.
        let www = text.split("[www]").nth(1).unwrap_or_else(|| panic!("{text}"));
        let www = www.split("NOTICE: [").next().unwrap();
        let (recycle, cap) =
            (said(www, &["pm.max_requests"], 0), said(www, &["pm.max_children"], 0));
        let title = format!("php-fpm: master process ({file})");
        let seen = seen("php-fpm", program, &[&title], &env, dir.path());
        assert_eq!(seen, [Some(recycle), Some(cap)], "{conf}\n{text}");
    }
}

/// Each: the arguments, beside files that all have.
const UWSGI: [&[&str]; 8] = [
    &["--ini", "a.ini"],
    &["--processes", "9", "--ini", "a.ini"],
    &["--ini", "a.ini", "--processes", "9"],
    &["--ini", "a.ini", "--ini", "b.ini"],
    &["b.ini", "-p", "5"],
    &["--yaml", "c.yaml"],
    &["--json", "d.json"],
    &["e.ini"],
];

#[test]
#[ignore = "needs uwsgi"]
fn uwsgi_says_the_same_of_its_configuration() {
    require(&[Need::Uwsgi]);
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("a.ini", "[uwsgi]\nprocesses = 2\nmax-requests = 50\n"),
        ("b.ini", "[uwsgi]\nworkers = 3\nprocesses = 4\n"),
        ("c.yaml", "uwsgi:\n  workers: 3\n  max-requests: 1000\n"),
        ("d.json", "{ \"uwsgi\": { \"processes\": 4, \"max-requests\": 2000 } }\n"),
        (
            "e.ini",
            "[uwsgi]\nif-env = CAP\nworkers = %(_)\nendif =\nif-not-env = CAP\nworkers = 2\nendif =\nmax-requests = $(RECYCLE)\n",
        ),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    let env = [("CAP", "8"), ("RECYCLE", "512")];
    for args in UWSGI {
        let check = [args, &["--show-config", "--no-server"]].concat();
        let text = printed("uwsgi", &check, &env, dir.path());
        let (recycle, cap) =
            (said(&text, &["max-requests"], 0), said(&text, &["processes", "workers", "p"], 1));
        let whole = [&["uwsgi"], args].concat();
        let seen = seen("uwsgi", "/usr/bin/uwsgi-core", &whole, &env, dir.path());
        assert_eq!(seen, [Some(recycle), Some(cap)], "{args:?}\n{text}");
    }
}

/// Each: the configuration, and the arguments.
const GUNICORN: [(&str, &[&str]); 6] = [
    ("max_requests = 5\nworkers = 3\n", &[]),
    ("max_requests = 5\nworkers = 3\n", &["--max-requests", "7", "-w4"]),
    (
        "import os\nmax_requests = int(os.environ.get('RECYCLE', 9))\nworkers = int(os.getenv('NONE', '6'))\n",
        &[],
    ),
    (
        "max_requests = 5\nmax_requests = 1_000\ndef post_fork(server, worker):\n    max_requests = 1\n",
        &[],
    ),
    ("if True:\n    max_requests = 8\n", &["--workers=2"]),
    ("workers: int = 2  # few\n", &[]),
];

#[test]
#[ignore = "needs gunicorn"]
fn gunicorn_says_the_same_of_its_configuration() {
    require(&[Need::Gunicorn]);
    for (conf, args) in GUNICORN {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("g.py");
        fs::write(&file, conf).unwrap();
        fs::write(dir.path().join("app.py"), "def app(env, start):\n    pass\n").unwrap();
        let file = file.display().to_string();
        let env = [("RECYCLE", "21")];
        let args = [&["-c", &file][..], args].concat();
        let check = [&args[..], &["--print-config", "app:app"]].concat();
        let text = printed("gunicorn", &check, &env, dir.path());
        let (recycle, cap) = (said(&text, &["max_requests"], 0), said(&text, &["workers"], 1));
        let whole = [&["/usr/bin/python3", "/usr/bin/gunicorn"][..], &args, &["app:app"]].concat();
        let seen = seen("gunicorn", "/usr/bin/python3.11", &whole, &env, dir.path());
        assert_eq!(seen, [Some(recycle), Some(cap)], "{conf} {args:?}\n{text}");
    }
}
