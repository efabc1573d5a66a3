//! Configuration: how a running server is set up, read where its distribution and its command line
//! put it. Files are read as the server reads them: includes, conditions, later lines over earlier
//! ones. Nothing is run for it, and nothing written. The syntax in the server's row chooses the
//! reader; a server of a known syntax needs no code here.

mod apache;
mod files;
mod ini;
mod ini_entries;
mod ini_files;
mod puma;
mod python;
mod running;
mod uwsgi_command_line;
mod uwsgi_entries;

pub use running::RunningServer;

use crate::core::servers::{ConfigSyntax, Server, StatusProtocol};
use crate::diagnose::findings::{ConfiguredSetting, FileLine, LogFormat, Setup, StatusPage};

/// Reads how a server with advice is set up. `pool` names the php-fpm pool that is meant.
pub fn read(server: &'static Server, running: &RunningServer, pool: &str) -> Option<Setup> {
    match server.advice?.syntax {
        ConfigSyntax::Apache => apache::read(server, running, pool),
        ConfigSyntax::Ini(file) => ini::read(server, &file, running, pool),
        ConfigSyntax::Python => python::read(server, running),
    }
}

/// The status page of a server whose other settings are not read.
pub fn status_page(server: &Server, running: &RunningServer) -> Option<StatusPage> {
    match server.status? {
        StatusProtocol::PumaControl => puma::control(running),
        StatusProtocol::ModStatus | StatusProtocol::FpmStatus | StatusProtocol::UwsgiStats => None,
    }
}

/// A setup of which only these two settings have been read.
fn setup(
    running: &RunningServer,
    server: &'static Server,
    recycle: ConfiguredSetting,
    cap: ConfiguredSetting,
    insert: Option<FileLine>,
) -> Setup {
    let places = [recycle.place.as_ref(), cap.place.as_ref(), insert.as_ref()];
    let files = files::texts(running, &places);
    let managed = files::managed(&files);
    Setup {
        server,
        files,
        recycle,
        cap,
        jitter: None,
        keep_alive: false,
        insert,
        exe: running.exe.clone(),
        interpreter: None,
        owner: None,
        options: Vec::new(),
        status: None,
        log_formats: Vec::new(),
        logs: Vec::new(),
        warnings: managed,
        notes: Vec::new(),
    }
}

/// The setup with the formats of its access logs, and the files in which they stand.
fn with_log_formats(running: &RunningServer, mut setup: Setup, formats: Vec<LogFormat>) -> Setup {
    let is_known = |file: &str| setup.files.iter().any(|(known, _)| known == file);
    let places: Vec<_> =
        formats.iter().map(|of| &of.place).filter(|at| !is_known(&at.file)).map(Some).collect();
    let texts = files::texts(running, &places);
    setup.files.extend(texts);
    Setup { log_formats: formats, ..setup }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::servers::by_key;

    #[test]
    fn fuzz_setups() {
        let apache: [&[u8]; 4] = [
            b"Include out/*.conf\nInclude /etc/up/a.conf\nInclude /etc/file.conf\nInclude ../secret/a.conf\nServerRoot /out\nInclude a.conf\n",
            b"Include a/*.conf\nIncludeOptional /etc/apache2/apache2.conf\nLoadModule mpm_prefork_module m.so\nTimeout 5 \\\n 6\n",
            b"<IfModule mpm_prefork_module>\nMaxRequestWorkers 150\nMaxConnectionsPerChild 0\n</IfModule>\nListen 80\n",
            b"Define A x\nDefine A ${A}${A}\nDefine A ${A}${A}\nDefine B ${A}\n<Location \"/s\">\nSetHandler server-status\n</Location>\n<IfVersion >= 2.4>\n<IfDefine !X>\nErrorLog ${B}/e.log\n",
        ];
        let ini: [&[u8]; 2] = [
            b"[global]\nerror_log = /var/log/x\ninclude=/etc/f.conf\ninclude=/out/*.conf\ninclude=/etc/up/a.conf\n[www]\ninclude = /etc/file.conf\nlisten = 9000\npm.max_children = 5 ; few\npm.status_path = /s\n",
            b"[uwsgi]\nprocesses = 4\nmax-requests = 50\nstats = :9191\nlogto = \"/x\"\n",
        ];
        let python: [&[u8]; 1] = [b"bind = 'x'\nworkers = 3\nmax_requests = 100  # few\n"];
        let dir = machine();
        for (key, file, args, texts) in [
            ("apache-prefork", "etc/apache2/apache2.conf", &["apache2"][..], &apache[..]),
            ("php-fpm", "etc/f.conf", &["php-fpm: master process (/etc/f.conf)"], &ini[..1]),
            ("uwsgi", "etc/u.ini", &["uwsgi", "--ini", "/etc/u.ini"], &ini[1..]),
            ("gunicorn", "etc/g.py", &["gunicorn", "-c", "/etc/g.py"], &python[..]),
        ] {
            let args = args.iter().map(|arg| (*arg).to_owned()).collect();
            let root = dir.path().join("root");
            std::fs::write(root.join(file), texts[0]).unwrap();
            let running = RunningServer { args, cwd: "/".into(), root, ..RunningServer::default() };
            let server = by_key(key).unwrap();
            crate::core::fuzz::fuzz(file, 4, texts, |text| {
                let text = String::from_utf8_lossy(text).into_owned();
                // A case may repeat a 42 of its own.
                let is_its_own = text.contains("4242424");
                let changed = vec![(format!("/{file}"), text)];
                let running = RunningServer { changed, ..running.clone() };
                let told = format!("{:?}", read(server, &running, "www"));
                assert!(
                    is_its_own || !told.contains("4242424"),
                    "read outside the server's root: {told}"
                );
            });
        }
    }

    /// A root whose links lead out of it, to files with a value that is found nowhere inside.
    fn machine() -> tempfile::TempDir {
        use std::os::unix::fs::symlink;
        let dir = tempfile::tempdir().unwrap();
        let secret = dir.path().join("secret");
        std::fs::create_dir(&secret).unwrap();
        let text = "MaxRequestWorkers 4242424\nErrorLog /4242424\npm.max_children = 4242424\nprocesses = 4242424\nlisten = 4242424\n";
        std::fs::write(secret.join("a.conf"), text).unwrap();
        std::fs::create_dir_all(dir.path().join("root/etc/apache2")).unwrap();
        for (to, name) in [
            (secret.as_path(), "out"),
            (std::path::Path::new("../../../../../../secret"), "etc/up"),
            (&secret.join("a.conf"), "etc/file.conf"),
        ] {
            symlink(to, dir.path().join("root").join(name)).unwrap();
        }
        dir
    }
}
