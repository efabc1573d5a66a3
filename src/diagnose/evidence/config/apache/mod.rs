//! Apache's configuration: Include, IncludeOptional, Define, `<IfModule>`, `<IfDefine>` and
//! `<IfVersion>` as httpd has them, from where Debian, Red Hat and SUSE keep it or `-f`, `-d` and
//! `-D` say.

mod conditions;
mod conf;
mod in_force;
mod log_formats;
mod section;
#[cfg(test)]
mod tests;

use self::conf::Conf;
use super::RunningServer;
use super::files::text;
use crate::core::servers::{Server, ThreadCount};
use crate::diagnose::findings::Setup;
use std::path::{Path, PathBuf};

/// The main file and its server root, below the directory that the executable is installed below:
/// Debian; Red Hat, and its collections in /opt/rh; SUSE, Alpine, Gentoo; cPanel; what is built by hand,
/// Docker's image, Bitnami; XAMPP; Slackware; NetBSD's packages.
const USUAL: [(&str, &str); 9] = [
    ("etc/apache2/apache2.conf", "etc/apache2"),
    ("etc/httpd/conf/httpd.conf", "etc/httpd"),
    ("etc/apache2/httpd.conf", "etc/apache2"),
    ("etc/apache2/conf/httpd.conf", "etc/apache2"),
    ("conf/httpd.conf", ""),
    ("etc/httpd.conf", ""),
    ("etc/httpd/httpd.conf", "etc/httpd"),
    ("etc/httpd/conf/apache.conf", "etc/httpd"),
    ("apache2/conf/httpd.conf", "apache2"),
];
/// The main file below the root that `-d` names: as httpd is built, and Debian, and SUSE.
const UNDER_ROOT: [&str; 3] = ["conf/httpd.conf", "apache2.conf", "httpd.conf"];
/// Where else it may be, whatever the executable.
const ELSEWHERE: [&str; 3] = ["/", "/usr/local/apache2", "/usr/local"];

/// Reads how `running` is set up; none where the main file is not found or not readable.
pub(super) fn read(server: &'static Server, running: &RunningServer, pool: &str) -> Option<Setup> {
    let (main, root) = main_file(running)?;
    let defined = running.options("-D").map(str::to_owned).collect();
    let mut conf = Conf { root, defined, ..Conf::new(running, is_threaded(server, running)) };
    conf.variables(&main);
    // "-C directive" goes before the files, "-c directive" after them: SUSE loads its modules so.
    conf.typed("-C");
    conf.file(&main, 0, false);
    let read = conf.files;
    conf.typed("-c");
    if read == 0 { None } else { conf.setup(server, &main, pool) }
}

/// Whether the children have threads: by the row that fits them, or by the executable's name where the
/// row is not one of an MPM.
fn is_threaded(server: &Server, running: &RunningServer) -> bool {
    let name = running.exe.rsplit('/').next().unwrap_or_default();
    let named = ["worker", "event"].iter().any(|mpm| name.contains(mpm));
    server.threads == ThreadCount::Many || named
}

/// The main file and the server root that relative paths begin at: as the command line says, else as
/// the executable was compiled, else where a distribution keeps it.
fn main_file(running: &RunningServer) -> Option<(PathBuf, PathBuf)> {
    let compiled = |name: &str| running.compiled_in(&format!("-D {name}=\""));
    let usual = || {
        let prefix = running.prefix();
        let places = [prefix.as_path()].into_iter().chain(ELSEWHERE.iter().map(Path::new));
        let all = places.flat_map(|place| {
            let place = Path::new("/").join(place);
            USUAL.iter().map(move |(file, root)| (place.join(file), place.join(root)))
        });
        all.into_iter().find(|(file, _)| text(running, file).is_ok())
    };
    let own_root = compiled("HTTPD_ROOT").map(PathBuf::from);
    let typed_root = running.option("-d", "").map(PathBuf::from);
    let root = typed_root.clone().or_else(|| own_root.clone());
    if let Some(file) = running.option("-f", "") {
        let root = root.or_else(|| Some(usual()?.1)).unwrap_or_default();
        return Some((root.join(file), root));
    }
    let named = root.and_then(|root| {
        // Of an executable that may not be read the name of its file is not known.
        let names = match compiled("SERVER_CONFIG_FILE") {
            Some(name) => vec![name],
            None => UNDER_ROOT.map(str::to_owned).to_vec(),
        };
        let mut files = names.into_iter().map(|name| root.join(name));
        files.find(|file| text(running, file).is_ok()).map(|file| (file, root.clone()))
    });
    named.or_else(|| {
        let (file, root) = usual()?;
        Some((file, typed_root.unwrap_or(root)))
    })
}
