//! php-fpm's configuration: the file that its master's title names, and its pools.

use super::ini::{IniEntry, entries};
use super::{MOST_FILES, RunningServer, default, files, glob, text};
use crate::diagnose::findings::{ConfigKind, ConfiguredSetting, FileLine, Setup, StatusPage};
use std::path::{Path, PathBuf};

/// How long a reload lets requests go on: seconds, or with a unit; 0 by default.
const PATIENCE: &str = "process_control_timeout";

/// Reads the pool of that name, or the first one.
pub(super) fn read(running: &RunningServer, pool: &str) -> Option<Setup> {
    // "php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)"
    let title = running.args.first()?;
    let named = title.split_once("process (").and_then(|(_, rest)| rest.split_once(')'));
    let option = running.option("-y", "--fpm-config");
    let main = PathBuf::from(named.map(|(path, _)| path).or(option)?);
    let mut notes = Vec::new();
    let mut all = Vec::new();
    collect(running, &main, "global", &mut all, &mut notes, &mut Vec::new());
    let pools = || all.iter().filter(|e| e.name.is_empty() && e.section != "global");
    let pool = pools().find(|e| e.section == pool).or_else(|| pools().next())?;
    let of =
        |name: &str| all.iter().rfind(|entry| entry.section == pool.section && entry.name == name);
    let number = |name: &str, usual: u64| {
        let set = of(name).and_then(|entry| {
            let (value, place) = (entry.value.parse().ok()?, Some(entry.place.clone()));
            Some(ConfiguredSetting { name: name.to_owned(), value, place })
        });
        set.unwrap_or_else(|| default(name, usual))
    };
    let (recycle, cap) = (number("pm.max_requests", 0), number("pm.max_children", 5));
    let beside = cap.place.clone().unwrap_or_else(|| pool.place.clone());
    let insert = recycle.place.clone().unwrap_or(beside);
    let status = of("pm.status_path").and_then(|path| {
        let listen = of("pm.status_listen").or_else(|| of("listen"))?;
        let listen = listen.value.replace("$pool", &pool.section);
        let address = match listen.parse::<u16>() {
            Ok(port) => format!("127.0.0.1:{port}"),
            Err(_) => listen,
        };
        Some(StatusPage { address, path: path.value.clone() })
    });
    // Without it a reload gives running requests no time: of 160 requests of 0.2 s, 20 a second, one
    // reload cost 5, with 10s none (8.2).
    let patience = all.iter().rfind(|e| e.section == "global" && e.name == PATIENCE);
    let cuts_off =
        patience.is_none_or(|e| e.value.trim_end_matches(char::is_alphabetic).parse() == Ok(0));
    let log = all.iter().find(|e| e.name == "error_log" && e.value.starts_with('/'));
    let places: [Option<&FileLine>; 3] =
        [recycle.place.as_ref(), cap.place.as_ref(), Some(&insert)];
    Some(Setup {
        kind: ConfigKind::PhpFpm,
        version: None,
        files: files(running, &places),
        recycle,
        cap,
        jitter: None,
        cuts_off,
        server_limit: None,
        keep_alive: false,
        posixsem: false,
        insert: Some(insert),
        config: pool.section.clone(),
        exe: running.exe.clone(),
        interpreter: None,
        options: vec!["-y".to_owned(), main.display().to_string()],
        status,
        logs: log.map(|entry| entry.value.clone()).into_iter().collect(),
        notes,
    })
}

fn collect(
    running: &RunningServer,
    path: &Path,
    section: &str,
    all: &mut Vec<IniEntry>,
    notes: &mut Vec<String>,
    seen: &mut Vec<PathBuf>,
) {
    let name = path.display().to_string();
    // Each once: of files that include themselves and each other there would be no end.
    if seen.len() >= MOST_FILES || seen.iter().any(|known| known == path) {
        return;
    }
    seen.push(path.to_owned());
    let text = match text(running, path) {
        Ok(text) => text,
        Err(error) => return notes.push(format!("{name}: {error}")),
    };
    for entry in entries(&name, &text, section.to_owned()) {
        if entry.name == "include" {
            for inside in glob(running, Path::new(&entry.value)).iter().take(MOST_FILES) {
                collect(running, inside, &entry.section, all, notes, seen);
            }
        } else {
            all.push(entry);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn setup(pool: &str) -> Setup {
        let dir = tempfile::tempdir().unwrap();
        let etc = dir.path().join("etc/php/8.2/fpm");
        fs::create_dir_all(etc.join("pool.d")).unwrap();
        let main = "[global]\nerror_log = /var/log/php8.2-fpm.log\ninclude=/etc/php/8.2/fpm/pool.d/*.conf\n";
        fs::write(etc.join("php-fpm.conf"), main).unwrap();
        let www = "; a pool\n[www]\nlisten = /run/php/$pool.sock\npm = dynamic\npm.max_children = 5 ; few\n;pm.max_requests = 500\npm.status_path = /status\n";
        fs::write(etc.join("pool.d/www.conf"), www).unwrap();
        fs::write(
            etc.join("pool.d/shop.conf"),
            "[shop]\nlisten = 9001\npm.max_children = 20\npm.max_requests = 100\n",
        )
        .unwrap();
        let args = vec!["php-fpm: master process (/etc/php/8.2/fpm/php-fpm.conf)".to_owned()];
        read(&RunningServer { args, root: dir.path().to_owned(), ..RunningServer::default() }, pool)
            .unwrap()
    }

    #[test]
    fn a_pool_is_read_with_its_defaults() {
        let www = setup("www");
        assert_eq!((www.recycle.value, www.recycle.place.as_ref()), (0, None));
        assert_eq!((www.cap.value, www.cap.place.as_ref().unwrap().line), (5, 5));
        assert_eq!(www.insert.unwrap().line, 5);
        assert_eq!(
            www.status,
            Some(StatusPage { address: "/run/php/www.sock".into(), path: "/status".into() })
        );
        assert_eq!(www.logs, ["/var/log/php8.2-fpm.log"]);
        assert!(www.cuts_off, "process_control_timeout is 0 by default");
    }

    #[test]
    fn the_pool_that_is_meant_is_read() {
        let shop = setup("shop");
        assert_eq!((shop.config.as_str(), shop.cap.value, shop.recycle.value), ("shop", 20, 100));
        assert_eq!(shop.status, None);
    }
}
