//! Apache as distributions and admins set it up, read from files.

use super::*;
use crate::core::servers::by_key;
use crate::diagnose::findings::StatusPage;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// A machine with these files, on which Apache was started with these arguments.
fn prefork(files: &[(&str, &str)], args: &[&str]) -> Option<Setup> {
    started(&machine(files), args)
}

fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = dir.path().join(path.trim_start_matches('/'));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        match text.strip_prefix("-> ") {
            Some(target) => std::os::unix::fs::symlink(target, path).unwrap(),
            None => fs::write(path, text).unwrap(),
        }
    }
    dir
}

fn started(dir: &tempfile::TempDir, args: &[&str]) -> Option<Setup> {
    let args = args.iter().map(|arg| (*arg).to_owned()).collect();
    let root = dir.path().canonicalize().unwrap();
    let server = by_key("apache-prefork").unwrap();
    read(server, &RunningServer { args, root, ..RunningServer::default() }, "")
}

const DEBIAN: [(&str, &str); 7] = [
    (
        "/etc/apache2/apache2.conf",
        "ServerRoot \"/etc/apache2\"\nMutex file:${APACHE_LOCK_DIR} default\nErrorLog ${APACHE_LOG_DIR}/error.log\nIncludeOptional mods-enabled/*.load\nIncludeOptional mods-enabled/*.conf\nInclude ports.conf\n",
    ),
    ("/etc/apache2/envvars", "export APACHE_LOG_DIR=/var/log/apache2$SUFFIX\n"),
    ("/etc/apache2/ports.conf", "Listen 80\n<IfModule ssl_module>\n Listen 443\n</IfModule>\n"),
    (
        "/etc/apache2/mods-available/mpm_prefork.conf",
        "# comment\nStartServers 5\nMaxRequestWorkers\t  150\nMaxConnectionsPerChild   0\n",
    ),
    ("/etc/apache2/mods-enabled/mpm_prefork.conf", "-> ../mods-available/mpm_prefork.conf"),
    (
        "/etc/apache2/mods-enabled/mpm.load",
        "LoadModule mpm_prefork_module /usr/lib/apache2/modules/mod_mpm_prefork.so\nLoadModule status_module /x/mod_status.so\nLoadModule authz_core_module x.so\n",
    ),
    (
        "/etc/apache2/mods-enabled/status.conf",
        "<IfModule mod_status.c>\n<Location /server-status>\nSetHandler server-status\nRequire local\n</Location>\n</IfModule>\n",
    ),
];

#[test]
fn debians_files_are_found_behind_links() {
    let setup = prefork(&DEBIAN, &["/usr/sbin/apache2", "-k", "start"]).unwrap();
    assert_eq!((setup.recycle.value, setup.cap.value), (0, 150));
    let place = setup.cap.place.unwrap();
    assert_eq!(
        (place.file.as_str(), place.line),
        ("/etc/apache2/mods-available/mpm_prefork.conf", 3)
    );
    assert_eq!(
        setup.status,
        Some(StatusPage { address: "127.0.0.1:80".into(), path: "/server-status".into() })
    );
    assert_eq!(setup.logs, ["/var/log/apache2/error.log"]);
    assert_eq!(setup.files.len(), 1);
    assert!(
        setup.keep_alive && setup.warnings.is_empty() && setup.notes.is_empty(),
        "{:?}",
        setup.notes
    );
}

#[test]
fn what_another_user_includes_names_no_address_no_log_and_no_further_file() {
    let users = "MaxRequestWorkers 33\nListen 127.0.0.1:9\nErrorLog /home/u/e.log\nInclude /secret.conf\nDefine PORT 9\nServerRoot /home/u\n<Location /evil>\nSetHandler server-status\n</Location>\n";
    let files = [
        (
            "/etc/httpd/conf/httpd.conf",
            "ServerRoot /etc/httpd\nInclude /home/u/site.conf\nInclude own.conf\nListen ${PORT}80\n",
        ),
        ("/etc/httpd/own.conf", "<Location /status>\nSetHandler server-status\n</Location>\n"),
        ("/home/u/site.conf", users),
        ("/secret.conf", "MaxConnectionsPerChild 77\n"),
    ];
    let read = |mode: u32| {
        let dir = machine(&files);
        let site = dir.path().join("home/u/site.conf");
        fs::set_permissions(site, fs::Permissions::from_mode(mode)).unwrap();
        started(&dir, &[]).unwrap()
    };
    let own = read(0o644);
    assert_eq!((own.cap.value, own.recycle.value), (33, 77));
    assert_eq!(own.status.unwrap().path, "/evil", "own.conf is looked for in /home/u then");
    let others = read(0o666);
    assert_eq!((others.cap.value, others.recycle.value), (33, 0), "settings count as they are");
    let status = others.status.unwrap();
    assert_eq!((&*status.address, &*status.path), ("127.0.0.1:80", "/status"));
    assert!(others.logs.is_empty() && others.notes[0].contains("another user"));
}

#[test]
fn an_old_server_keeps_its_old_names() {
    let conf = "ServerRoot \"/etc/httpd\"\nKeepAlive Off\nLoadModule authz_host_module modules/mod_authz_host.so\n\
                <IfModule prefork.c>\nStartServers 8\nMaxClients 256\nMaxRequestsPerChild 4000\n</IfModule>\n\
                <IfModule worker.c>\nMaxClients 300\nMaxRequestsPerChild 1\n</IfModule>\nListen 127.0.0.1:8080\n";
    let setup = prefork(&[("/etc/httpd/conf/httpd.conf", conf)], &[]).unwrap();
    assert_eq!((setup.recycle.name(), setup.recycle.value), ("MaxRequestsPerChild", 4000));
    assert_eq!((setup.cap.name(), setup.cap.value), ("MaxClients", 256));
    assert!(!setup.keep_alive);
}

#[test]
fn without_a_line_the_default_holds_and_a_new_line_goes_into_the_mpm_section() {
    let conf = "LoadModule mpm_prefork_module x.so\nLoadModule authz_core_module x.so\n<IfModule mpm_prefork_module>\nStartServers 5\n</IfModule>\n";
    let setup = prefork(&[("/etc/httpd/conf/httpd.conf", conf)], &[]).unwrap();
    assert_eq!((setup.recycle.value, setup.recycle.place), (0, None));
    assert_eq!((setup.cap.value, setup.insert.unwrap().line), (256, 4));
}

#[test]
fn the_command_line_names_the_file_the_root_and_defines() {
    let files = [
        ("/srv/a/my.conf", "Include inner/*.conf\nInclude gone.conf\n"),
        (
            "/srv/a/inner/b.conf",
            "Define CAP 40\n<IfDefine BIG>\nMaxRequestWorkers ${CAP}\n</IfDefine>\n<IfDefine !BIG>\nMaxRequestWorkers 9\n</IfDefine>\nMutex posixsem\n",
        ),
    ];
    let args = ["httpd", "-d", "/srv/a", "-f", "my.conf", "-DBIG"];
    let found = prefork(&files, &args).unwrap();
    assert_eq!(found.cap.value, 40);
    assert!(found.warnings[0].contains("posixsem"));
    assert_eq!(found.notes, ["/srv/a/gone.conf: not found"]);
    assert_eq!(prefork(&files, &args[..5]).unwrap().cap.value, 9);
}

#[test]
fn a_file_that_includes_itself_is_read_once() {
    let conf = "ServerRoot /etc/httpd\nInclude conf/httpd.conf\nMaxClients 7\n";
    let setup = prefork(&[("/etc/httpd/conf/httpd.conf", conf)], &[]).unwrap();
    assert_eq!(setup.cap.value, 7);
    assert!(setup.notes.iter().any(|note| note.contains("too many includes")));
}

#[test]
fn lines_of_a_virtual_host_do_not_count_for_the_server() {
    let conf =
        "MaxClients 7\n<VirtualHost *:80>\nKeepAlive Off\n</VirtualHost>\nMaxClients \\\n  8\n";
    let setup = prefork(&[("/etc/httpd/conf/httpd.conf", conf)], &[]).unwrap();
    assert!(setup.keep_alive);
    assert_eq!(setup.cap.value, 8);
}

#[test]
fn without_a_file_there_is_no_setup() {
    assert_eq!(prefork(&[], &[]), None);
}
