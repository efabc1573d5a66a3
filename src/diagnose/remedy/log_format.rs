//! Log format: the change by which an access log names the pids of workers, so that a diagnosis can tell
//! which request leaks.

use super::{AdvisedService, Remedy, RemedyReason};
use crate::core::servers::ConfigSyntax;
use crate::diagnose::advice::diff::{Edit, indent, unified};
use crate::diagnose::findings::{LogFormat, Setup};
use crate::diagnose::services::service::Service;
use std::collections::BTreeMap;

/// What to know about it.
const NOTE: &str =
    "the new workers begin small: diagnose again once they have served for some minutes";

/// The change of the formats that these logs have; none where no file that may be changed has one.
pub(in crate::diagnose) fn pid_in_log(
    service: &Service,
    setup: &Setup,
    logs: &[String],
) -> Option<Remedy> {
    let advice = setup.server.advice?;
    let of = advice.pid_in_log?;
    // Several logs may have the same format.
    let mut edits: BTreeMap<(&str, usize), Edit> = BTreeMap::new();
    let mut notes = vec![NOTE.to_owned()];
    for format in formats_of(setup, logs).filter(|format| !format.has_pid) {
        let place = &format.place;
        let Some((file, text)) = setup.files.iter().find(|(file, _)| *file == place.file) else {
            continue;
        };
        let line = text.lines().nth(place.line.checked_sub(1)?)?;
        let new = match format.is_default {
            true if of.default.is_empty() => continue,
            // The line before may be the last of a function.
            true if advice.syntax == ConfigSyntax::Python => of.default.to_owned(),
            true => format!("{}{}", indent(line), of.default),
            false => of.added_to(line, advice.syntax)?,
        };
        notes.extend(
            of.note.filter(|(word, _)| new.contains(word)).map(|(_, note)| note.to_owned()),
        );
        let insert = format.is_default;
        let edit = Edit { line: place.line, text: new, insert, beside_setting: false };
        edits.insert((file, place.line), edit);
    }
    let mut diff = String::new();
    for (file, text) in &setup.files {
        let of_file = edits.iter().filter(|((of, _), _)| of == file).map(|(_, edit)| edit.clone());
        diff += &unified(file, text, &of_file.collect::<Vec<_>>());
    }
    notes.dedup();
    let subject = AdvisedService { service, setup, advice, readings: None };
    let apply = match of.apply {
        [] => subject.apply(),
        own => subject.first_known(own),
    };
    (!diff.is_empty()).then(|| Remedy {
        server: Some(setup.server),
        diff,
        apply,
        notes: notes.into_iter().chain(setup.warnings.iter().cloned()).collect(),
        ..Remedy::blank(service, RemedyReason::NoPidInLog)
    })
}

/// Whether every format that these logs have names the pid.
pub(in crate::diagnose) fn names_pid(setup: &Setup, logs: &[String]) -> bool {
    formats_of(setup, logs).all(|format| format.has_pid) && formats_of(setup, logs).next().is_some()
}

fn formats_of<'s>(setup: &'s Setup, logs: &'s [String]) -> impl Iterator<Item = &'s LogFormat> {
    let is_of = |format: &&LogFormat| format.log.is_empty() || logs.contains(&format.log);
    setup.log_formats.iter().filter(is_of)
}

#[cfg(test)]
mod tests {
    use super::super::tests::service;
    use super::*;
    use crate::core::servers::by_key;
    use crate::diagnose::evidence::config::{self, RunningServer};
    use crate::diagnose::services::service::ServiceVerdict;
    use std::fs;
    use std::path::Path;

    /// The lines that are added for the logs of a server with this command line and this file, in which
    /// AT stands for its directory; none where there is no diff, or the server would not have it in force.
    fn added(key: &str, args: &[&str], name: &str, text: &str, log: &str) -> Option<Vec<String>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        let running = RunningServer {
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            cwd: "/".into(),
            root: dir.path().to_owned(),
            ..RunningServer::default()
        };
        let server = by_key(key).unwrap();
        let setup = config::read(server, &running, "www").unwrap();
        let logs = [log.to_owned()];
        let remedy = pid_in_log(&service("x", ServiceVerdict::Leaks), &setup, &logs)?;
        let changed = remedy.changed_files(&setup).unwrap();
        assert!(
            !names_pid(&setup, &logs)
                && changed[0].0 == Path::new("/").join(name).display().to_string()
        );
        let after = config::read(server, &RunningServer { changed, ..running }, "www").unwrap();
        let added = remedy.diff.lines().skip(2).filter_map(|line| line.strip_prefix('+'));
        names_pid(&after, &logs).then(|| added.map(str::to_owned).collect())
    }

    fn apache(text: &str, log: &str) -> Option<Vec<String>> {
        added("apache-prefork", &["apache2"], "etc/apache2/apache2.conf", text, log)
    }

    const FORMATS: &str =
        "ServerRoot /srv\nLogFormat \"%v %h\" vhosts\nLogFormat \"%h \\\"%r\\\" %>s\" common\n";

    #[test]
    fn apaches_format_of_that_log_gets_the_pid_and_no_other() {
        let site = "<VirtualHost *:80>\nCustomLog logs/a.log common\nCustomLog \"/var/b.log\" \"%h\"\n</VirtualHost>\n";
        let text = format!("{FORMATS}CustomLog /var/o.log vhosts\n{site}");
        let common = apache(&text, "/srv/logs/a.log").unwrap();
        assert_eq!(common, ["LogFormat \"%h \\\"%r\\\" %>s %P\" common"]);
        assert_eq!(apache(&text, "/var/b.log").unwrap(), ["CustomLog \"/var/b.log\" \"%h %P\""]);
        assert_eq!(apache(&text, "/var/other.log"), None);
    }

    #[test]
    fn apaches_format_that_is_not_certain_is_left_alone() {
        let log = "CustomLog /var/a.log common\n";
        for more in [
            "<VirtualHost *:80>\nLogFormat \"%h %v\" common\n</VirtualHost>\n",
            "Use Site x\n",
            "CustomLog /var/a.log \"{%h}\"\n",
        ] {
            assert_eq!(apache(&format!("{FORMATS}{log}{more}"), "/var/a.log"), None, "{more}");
        }
        assert!(apache(&format!("{FORMATS}{log}"), "/var/a.log").is_some());
    }

    #[test]
    fn gunicorns_default_gets_the_pid_unless_another_logger_or_its_command_line_decides() {
        let of = |args: &str, text: &str| {
            let args: Vec<&str> = args.split(' ').collect();
            added("gunicorn", &args, "etc/g.py", text, "/var/a.log")
        };
        let plain = "workers = 3\ndef post_fork(a, b):\n    pass\n";
        let default = by_key("gunicorn").unwrap().advice.unwrap().pid_in_log.unwrap().default;
        assert_eq!(of("gunicorn -c /etc/g.py", plain).unwrap(), [default]);
        let own = "access_log_format = '%(h)s \"%(r)s\"'\nworkers = 3\n";
        assert_eq!(
            of("gunicorn -c /etc/g.py", own).unwrap(),
            ["access_log_format = '%(h)s \"%(r)s\" %(p)s'"]
        );
        assert_eq!(of("gunicorn -c /etc/g.py --access-logformat x", plain), None);
        assert_eq!(of("gunicorn: master [x]", plain), None);
        for text in [
            "logger_class = 'x'\n",
            "if x:\n    access_log_format = 'y'\n",
            "access_log_format = FORMAT\n",
            "access_log_format = 'a' + FORMAT\n",
        ] {
            assert_eq!(of("gunicorn -c /etc/g.py", text), None, "{text}");
        }
    }

    #[test]
    fn a_php_fpm_pool_logs_the_uri_with_the_pid_and_its_own_format_gets_the_pid() {
        let title = ["php-fpm: master process (/etc/f.conf)"];
        let of = |more: &str| {
            let text = format!("[www]\naccess.log = /var/$pool.log\npm.max_children = 5\n{more}");
            added("php-fpm", &title, "etc/f.conf", &text, "/var/www.log")
        };
        let default = by_key("php-fpm").unwrap().advice.unwrap().pid_in_log.unwrap().default;
        assert_eq!(of("").unwrap(), [default]);
        let own = "access.format = \"%R \\\"%m %r\\\"\"";
        assert_eq!(of(own).unwrap(), ["access.format = \"%R \\\"%m %r\\\" %p\""]);
        assert_eq!(of("[other]\naccess.format = x\n").unwrap(), [default]);
    }

    #[test]
    fn uwsgis_own_format_needs_nothing_and_another_gets_the_pid() {
        let of = |args: &[&str], text: &str| added("uwsgi", args, "etc/u.ini", text, "/var/a.log");
        let args = ["uwsgi", "--ini", "/etc/u.ini"];
        assert_eq!(of(&args, "[uwsgi]\nprocesses = 3\n"), None);
        let own = "[uwsgi]\nlogformat = %(addr) \"%(method) %(uri)\"\nprocesses = 3\n";
        let with_pid = ["logformat = %(addr) \"%(method) %(uri)\" %(pid)"];
        assert_eq!(of(&args, own).unwrap(), with_pid);
        assert_eq!(of(&["uwsgi", "--log-format", "x", "--ini", "/etc/u.ini"], own), None);
    }
}
