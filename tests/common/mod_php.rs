//! Mod_php: an Apache whose workers run PHP themselves, for benches; Debian has it in libapache2-mod-php.

use super::apache::{MODULES, PROGRAM};
use super::logged::{Logged, lay_out_php, words, write};
use super::service::php_extensions;
use std::path::PathBuf;

/// Starts one with an access log of that format, in which quotes are escaped; one script serves all paths.
pub fn start(format: &str) -> Logged {
    Logged::start(|dir, port| {
        lay_out_php(dir);
        let (place, module) = (dir.display(), module());
        let extensions = php_extensions().expect("PHP with FFI, of php-fpm");
        let extensions = extensions.display();
        let php = format!("extension_dir = {extensions}\nextension = ffi\nffi.enable = true\n");
        write(dir, "php.ini", &php);
        let conf = format!(
            "ServerRoot {place}\nServerName localhost\nDefaultRuntimeDir {place}\n\
             PidFile {place}/master.pid\nErrorLog {place}/error.log\nUser www-data\nGroup www-data\n\
             LoadModule mpm_prefork_module {MODULES}/mod_mpm_prefork.so\n\
             LoadModule authz_core_module {MODULES}/mod_authz_core.so\n\
             LoadModule alias_module {MODULES}/mod_alias.so\n\
             LoadModule php_module {}\nPHPIniDir {place}\n\
             Listen 127.0.0.1:{port}\nKeepAlive Off\nStartServers 3\nMinSpareServers 3\n\
             LogFormat \"{format}\" wanted\nCustomLog {place}/access.log wanted\n\
             AliasMatch ^/ {place}/leak.php\n\
             <Files leak.php>\nSetHandler application/x-httpd-php\n</Files>\n",
            module.display()
        );
        write(dir, "apache.conf", &conf);
        let conf = dir.join("apache.conf");
        (words(&[PROGRAM, "-DFOREGROUND", "-f", conf.to_str().unwrap()]), None)
    })
}

/// The newest that is installed, such as libphp8.2.so.
fn module() -> PathBuf {
    let entries = std::fs::read_dir(MODULES).expect("Apache's modules").flatten();
    let named = entries.filter(|e| e.file_name().to_string_lossy().starts_with("libphp"));
    named.map(|entry| entry.path()).max().expect("mod_php: apt-get install libapache2-mod-php")
}
