//! Cure: what bounds a service's leak: settings with values, the change as a diff, how to apply it.

use super::Readings;
use super::service::{Case, Service};
use super::work::Basis;
use crate::advice::diff::{Edit, indent, unified, with_value};
use crate::advice::{Inputs, Values, fitting, values};
use crate::facts::{Kind, Setting, Setup, WorkUnit};
use crate::sample::ProcId;
use crate::units::MIB;

/// What bounds a leak.
#[derive(Clone, Debug, PartialEq)]
pub struct Cure {
    /// The service's name.
    pub service: String,
    /// The top of its largest tree: names may be shared.
    pub root: Option<ProcId>,
    /// The settings that change: name, value now, value then.
    pub changes: Vec<Change>,
    /// What the values were reckoned from, if they were.
    pub reckoned: Option<(Inputs, Values)>,
    /// Why there is a cure without a measured leak.
    pub occasion: Occasion,
    /// The changes as one unified diff; empty where there is no file to change.
    pub diff: String,
    /// What to type to check them and put them into force.
    pub apply: String,
    /// What else is to be known, in order.
    pub notes: Vec<String>,
}

/// Why something is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion {
    /// It leaks, and by how much a request was measured.
    Measured,
    /// It leaks; how much a request is not known.
    Unmeasured,
    /// As many workers as are allowed would not fit into memory, leak or no leak.
    TooMany,
}

/// A file and, if the setting stands there already, its line.
pub type InFile = (String, Option<usize>);

/// A setting that changes.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Its name.
    pub name: String,
    /// Its value now.
    pub was: u64,
    /// Its value then.
    pub now: u64,
    /// The file and, if it stands there already, its line.
    pub file: Option<InFile>,
}

/// Voluntary waits of a blocking server for a request, as measured: 2.0 for prefork and php-fpm, 3 for
/// gunicorn and uWSGI.
fn waits_per_request(kind: Kind) -> f64 {
    match kind {
        Kind::ApachePrefork | Kind::PhpFpm => 2.0,
        Kind::ApacheThreaded => 5.0,
        Kind::Gunicorn | Kind::Uwsgi => 3.0,
    }
}

/// A recycle value to begin with where nothing could be measured.
const BLIND: u64 = 1000;

/// What bounds the leak of a service that may have `memory` bytes.
pub(super) fn of(
    service: &Service,
    setup: Option<&Setup>,
    readings: Option<&Readings>,
    memory: f64,
) -> Option<Cure> {
    match setup {
        Some(setup) => of_server(service, setup, readings, memory),
        None if service.case == Case::Leaks => {
            Some(of_unit(service)).filter(|cure| !cure.notes.is_empty())
        }
        None => None,
    }
}

fn of_server(
    service: &Service,
    setup: &Setup,
    readings: Option<&Readings>,
    memory: f64,
) -> Option<Cure> {
    let mut notes = Vec::new();
    let leaks = service.case.accuses();
    let in_requests = readings.map_or(1.0, |readings| match readings.unit {
        WorkUnit::Requests => 1.0,
        WorkUnit::Waits => waits_per_request(setup.kind),
    });
    let per_request = service.per_work.filter(|_| leaks);
    let rate = readings.and_then(Readings::rate).map(|rate| rate / in_requests);
    let counts_connections = matches!(setup.kind, Kind::ApachePrefork | Kind::ApacheThreaded);
    let per_connection = match (counts_connections, setup.keep_alive) {
        (true, true) => readings.and_then(|readings| readings.per_connection).unwrap_or(1.0),
        _ => 1.0,
    };
    let workers = u64::from(service.workers.max(1));
    let size = service.own / workers as f64;
    let inputs = per_request.map(|per_work| Inputs {
        leak: per_work.bytes * in_requests,
        young: per_work.young.max(MIB as f64),
        cap: setup.cap.value.max(1),
        workers,
        per_connection,
        rate,
        memory,
    });
    let reckoned = inputs.and_then(|inputs| Some((inputs, values(&inputs)?)));
    let (recycle, cap, occasion) = match reckoned {
        Some((_, values)) => (values.recycle, values.cap, Occasion::Measured),
        None if leaks => (BLIND, setup.cap.value, Occasion::Unmeasured),
        // Not a leak, but a limit that memory does not hold.
        None => {
            let cap = fitting(size, memory);
            if cap >= setup.cap.value || cap < workers {
                return None;
            }
            (setup.recycle.value, cap, Occasion::TooMany)
        }
    };
    let mut changes = Vec::new();
    let mut edits: Vec<(String, Edit)> = Vec::new();
    let mut change = |setting: &Setting, now: u64| {
        let (file, edit) = placed(setup, setting, now);
        edits.extend(edit);
        changes.push(Change { name: setting.name.clone(), was: setting.value, now, file });
    };
    // One that ends its workers earlier already is left as it is.
    let earlier = setup.recycle.value == 0 || recycle < setup.recycle.value;
    if earlier && recycle > 0 && recycle != setup.recycle.value {
        change(&setup.recycle, recycle);
        if setup.kind == Kind::Gunicorn {
            let jitter = Setting { name: "max_requests_jitter".into(), value: 0, place: None };
            change(&jitter, (recycle / 10).max(1));
        }
    }
    if cap < setup.cap.value {
        change(&setup.cap, cap);
    }
    if changes.is_empty() {
        return None;
    }
    let mut diff = String::new();
    for (file, text) in &setup.files {
        let of_file = edits.iter().filter(|(of, _)| of == file).map(|(_, edit)| edit.clone());
        diff += &unified(file, text, &of_file.collect::<Vec<_>>());
    }
    let mut apply = apply(setup, service, readings);
    if diff.is_empty()
        && let Some((drop_in, command)) = by_environment(setup, service, &changes)
    {
        (diff, apply) = (drop_in, command);
    }
    if diff.is_empty() && matches!(setup.kind, Kind::Gunicorn | Kind::Uwsgi) {
        let words = changes.iter().map(|c| format!("--{} {}", c.name.replace('_', "-"), c.now));
        let words: Vec<String> = words.collect();
        let how =
            format!("it is set up by its command line: start it anew with {}", words.join(" "));
        notes.push(how);
        apply.clear();
    }
    if counts_connections
        && setup.keep_alive
        && changes.iter().any(|c| c.name == setup.recycle.name)
    {
        let name = &setup.recycle.name;
        notes.push(match readings.and_then(|readings| readings.per_connection) {
            Some(k) => format!("{name} counts connections, which carry {k:.1} requests each now (KeepAlive)"),
            None => format!("{name} counts connections; with KeepAlive one may carry many requests, so watch the size of old workers and lower it if they grow larger than said here"),
        });
    }
    if setup.posixsem {
        notes.push("`Mutex posixsem` is set: a child that is killed while it holds it hangs the whole server; take another kind".to_owned());
    }
    notes.extend(setup.notes.iter().map(|note| format!("not read: {note}")));
    Some(Cure {
        service: service.name.clone(),
        root: service.roots.first().copied(),
        changes,
        reckoned,
        occasion,
        diff,
        apply,
        notes,
    })
}

/// Where a setting is changed, and how.
fn placed(setup: &Setup, setting: &Setting, now: u64) -> (Option<InFile>, Option<(String, Edit)>) {
    let text = |file: &str| setup.files.iter().find(|(name, _)| name == file).map(|(_, text)| text);
    let line_of = |file: &str, line: usize| text(file)?.lines().nth(line.checked_sub(1)?);
    if let Some(place) = setting.place.as_ref().filter(|place| place.line > 0) {
        let edit = line_of(&place.file, place.line).map(|line| {
            let text = with_value(line, setting.value, now);
            (place.file.clone(), Edit { line: place.line, text, insert: false })
        });
        return (Some((place.file.clone(), Some(place.line))), edit);
    }
    // A setting of the command line is changed there.
    let Some(place) = setup.insert.as_ref().filter(|_| setting.place.is_none()) else {
        return (None, None);
    };
    let Some(text) = text(&place.file) else { return (Some((place.file.clone(), None)), None) };
    let line = place.line.min(text.lines().count());
    let beside = line_of(&place.file, line).unwrap_or_default();
    let separator = match setup.kind {
        Kind::ApachePrefork | Kind::ApacheThreaded => " ",
        _ => " = ",
    };
    let is_section = beside.trim_start().starts_with(['[', '<']);
    let indent = if is_section { "" } else { indent(beside) };
    let text = format!("{indent}{}{separator}{now}", setting.name);
    let edit = (place.file.clone(), Edit { line, text, insert: true });
    (Some((place.file.clone(), None)), Some(edit))
}

/// A word as a shell takes it for one, whatever is in it: admins paste this as root.
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "_./=:@%+,-".contains(c);
    match !word.is_empty() && word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}

fn apply(setup: &Setup, service: &Service, readings: Option<&Readings>) -> String {
    let name = setup.exe.rsplit('/').next().unwrap_or_default();
    let options: Vec<String> = setup.options.iter().map(|word| quoted(word)).collect();
    let options = options.join(" ");
    let master = readings.map(|readings| &readings.master).or(service.roots.first());
    let master = master.map_or(0, |id| id.pid);
    let unit = service.is_unit.then(|| quoted(service.name.trim_end_matches(".service")));
    let reload = |signal: &str| match &unit {
        Some(unit) => format!("systemctl reload {unit}"),
        None => format!("kill -{signal} {master}"),
    };
    match setup.kind {
        Kind::ApachePrefork | Kind::ApacheThreaded if options.is_empty() => match unit {
            Some(unit) => format!("apachectl configtest && systemctl reload {unit}"),
            None => "apachectl configtest && apachectl graceful".to_owned(),
        },
        Kind::ApachePrefork | Kind::ApacheThreaded => {
            format!("{} {options} -t && {}", quoted(&setup.exe), reload("USR1"))
        }
        Kind::PhpFpm => format!("{} {options} -t && {}", quoted(name), reload("USR2")),
        // Both read their file again at HUP; units often have no ExecReload.
        Kind::Gunicorn | Kind::Uwsgi => format!("kill -HUP {master}"),
    }
}

/// A drop-in with settings that a server also takes from its environment.
fn by_environment(
    setup: &Setup,
    service: &Service,
    changes: &[Change],
) -> Option<(String, String)> {
    // Only what is not on the command line, which counts more.
    let free = |name: &str| {
        let typed = [&setup.recycle, &setup.cap].into_iter().find(|s| s.name == name);
        typed.is_none_or(|setting| setting.place.is_none())
    };
    let of = |separator: &str, before: &str| {
        let words = changes.iter().filter(|change| free(&change.name)).map(|change| {
            format!("{before}{}{separator}{}", change.name.replace('_', "-"), change.now)
        });
        words.collect::<Vec<_>>().join(" ")
    };
    let line = match setup.kind {
        Kind::Gunicorn => format!("Environment=\"GUNICORN_CMD_ARGS={}\"", of(" ", "--")),
        Kind::Uwsgi => {
            let words = of("=", "UWSGI_").replace('-', "_").to_ascii_uppercase();
            format!("Environment={words}")
        }
        _ => return None,
    };
    if !service.is_unit || of("", "").is_empty() {
        return None;
    }
    Some(drop_in(service, &["[Service]", &line], true))
}

/// A drop-in for the service's unit as a diff, and how to put it into force.
fn drop_in(service: &Service, lines: &[&str], restart: bool) -> (String, String) {
    let file = format!("/etc/systemd/system/{}.d/50-memory.conf", service.name);
    let edit = |text: &&str| Edit { line: 1, text: (*text).to_owned(), insert: true };
    let diff = unified(&file, "", &lines.iter().map(edit).collect::<Vec<_>>());
    let unit = quoted(service.name.trim_end_matches(".service"));
    let apply = match restart {
        true => format!("systemctl daemon-reload && systemctl restart {unit}"),
        false => "systemctl daemon-reload".to_owned(),
    };
    (diff, apply)
}

/// For what has no settings of its own that are known here.
fn of_unit(service: &Service) -> Cure {
    let left = service.headroom.left as f64;
    let high = (service.own + 0.4 * left) / MIB as f64;
    let max = (service.own + 0.6 * left) / MIB as f64;
    let mut notes = Vec::new();
    let (mut diff, mut apply) = (String::new(), String::new());
    let is_service = service.is_unit && service.name.ends_with(".service");
    if is_service {
        let (high, max) = (format!("MemoryHigh={high:.0}M"), format!("MemoryMax={max:.0}M"));
        let lines = ["[Service]", &high, &max, "OOMPolicy=continue", "Restart=on-failure"];
        (diff, apply) = drop_in(service, &lines, false);
        notes.push(
            "with this only this service meets the OOM killer, and not the whole machine"
                .to_owned(),
        );
    }
    if service.workers == 0 {
        let unit = quoted(service.name.trim_end_matches(".service"));
        notes.push(match service.is_unit {
            true => format!(
                "restarting it gives the memory back: `systemctl restart {unit}`, at a quiet hour"
            ),
            false => "restarting it gives the memory back; do it at a quiet hour".to_owned(),
        });
    }
    let (changes, reckoned, occasion) = (Vec::new(), None, Occasion::Unmeasured);
    Cure {
        service: service.name.clone(),
        root: service.roots.first().copied(),
        changes,
        reckoned,
        occasion,
        diff,
        apply,
        notes,
    }
}

/// Whether the leak per request was told by comparing workers rather than by watching them.
pub fn is_compared(service: &Service) -> bool {
    service.per_work.is_some_and(|per_work| matches!(per_work.basis, Basis::Compared(..)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ceiling::{CeilingKind, Place};
    use crate::detector::meter::Headroom;
    use crate::diagnosis::work::{PerWork, Worker};
    use crate::facts;
    use crate::sample::Comm;

    const ID: ProcId = ProcId { pid: 812, start: 1 };
    const MIB_F: f64 = MIB as f64;

    /// A service of five workers that leak 9 KiB a request, or not at all.
    fn service(name: &str, case: Case) -> Service {
        let headroom = Headroom {
            kind: CeilingKind::Ram,
            place: Place::NONE,
            left: 400 * MIB,
            limit: 2048 * MIB,
        };
        let per_work = PerWork {
            bytes: 9.0 * 1024.0,
            between: (8.0 * 1024.0, 10.0 * 1024.0),
            young: 10.0 * MIB_F,
            unit: WorkUnit::Requests,
            basis: Basis::Watched(1000.0),
        };
        Service {
            name: name.to_owned(),
            is_unit: name.ends_with(".service"),
            roots: vec![ID],
            comm: Comm::new(b"apache2"),
            program: String::new(),
            names: Vec::new(),
            server: "Apache prefork",
            processes: 6,
            workers: 5,
            own: 500.0 * MIB_F,
            age_s: 1e5,
            watched_s: 60.0,
            points: Vec::new(),
            growth: None,
            case,
            leaking: 5,
            suspects: 0,
            steady: Some((1e4, 60.0)),
            tasks: None,
            forecast: None,
            headroom,
            before: None,
            per_work: case.accuses().then_some(per_work),
        }
    }

    fn readings() -> Readings {
        let worker = |pid: u32, done: f64| Worker { pid, own: 0.0, done };
        let pool = |done: f64| (0..5).map(|pid| worker(pid, done)).collect();
        Readings {
            root: ID,
            master: ProcId { pid: 813, start: 1 },
            unit: WorkUnit::Requests,
            source: String::new(),
            before: pool(1000.0),
            after: pool(1120.0),
            span_s: 60.0,
            per_connection: None,
        }
    }

    const CONF: &str =
        "# comment\n<IfModule mpm_prefork_module>\n\tMaxRequestWorkers\t150\n</IfModule>\n";

    fn setup(kind: Kind, text: &str, cap: u64, line: usize) -> Setup {
        let file = "/etc/x.conf".to_owned();
        let place = (line > 0).then(|| facts::Place { file: file.clone(), line });
        let name = |name: &str| name.to_owned();
        Setup {
            kind,
            version: None,
            recycle: Setting { name: name("MaxConnectionsPerChild"), value: 0, place: None },
            cap: Setting { name: name("MaxRequestWorkers"), value: cap, place: place.clone() },
            server_limit: None,
            keep_alive: false,
            posixsem: false,
            files: vec![(file, text.to_owned())],
            insert: place,
            config: String::new(),
            exe: "/usr/sbin/apache2".to_owned(),
            options: Vec::new(),
            status: None,
            logs: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn both_values_come_as_one_diff_with_the_command_that_applies_it() {
        let setup = setup(Kind::ApachePrefork, CONF, 150, 3);
        let cure = of(
            &service("apache2.service", Case::Leaks),
            Some(&setup),
            Some(&readings()),
            700.0 * MIB_F,
        )
        .unwrap();
        assert_eq!(
            cure.diff,
            "--- /etc/x.conf\n+++ /etc/x.conf\n@@ -1,4 +1,5 @@\n # comment\n <IfModule mpm_prefork_module>\n\
             -\tMaxRequestWorkers\t150\n+\tMaxRequestWorkers\t44\n+\tMaxConnectionsPerChild 80\n </IfModule>\n"
                .replace("44", &cure.changes[1].now.to_string())
                .replace("80", &cure.changes[0].now.to_string())
        );
        assert_eq!(cure.apply, "apachectl configtest && systemctl reload apache2");
        let (inputs, values) = cure.reckoned.unwrap();
        assert_eq!(inputs.rate, Some(10.0));
        assert!(values.cap as f64 * values.full <= 0.7 * 700.0 * MIB_F);
    }

    #[test]
    fn what_ends_its_workers_early_already_is_left_as_it_is() {
        let mut setup = setup(Kind::ApachePrefork, CONF, 5, 3);
        setup.recycle.value = 10;
        let service = service("apache2.service", Case::Leaks);
        assert_eq!(of(&service, Some(&setup), Some(&readings()), 700.0 * MIB_F), None);
    }

    #[test]
    fn a_limit_that_memory_does_not_hold_is_lowered_leak_or_no_leak() {
        let setup = setup(Kind::ApachePrefork, CONF, 150, 3);
        let cure = of(&service("apache2.service", Case::Flat), Some(&setup), None, 1400.0 * MIB_F)
            .unwrap();
        assert_eq!(cure.occasion, Occasion::TooMany);
        assert_eq!((cure.changes.len(), cure.changes[0].now), (1, 9));
        let few = self::setup(Kind::ApachePrefork, CONF, 9, 3);
        assert_eq!(
            of(&service("apache2.service", Case::Flat), Some(&few), None, 1400.0 * MIB_F),
            None
        );
    }

    #[test]
    fn without_a_file_gunicorn_gets_a_drop_in_or_a_word_on_its_command_line() {
        let setup = Setup { files: Vec::new(), ..setup(Kind::Gunicorn, "", 5, 0) };
        let setup = Setup {
            recycle: Setting { name: "max_requests".to_owned(), ..setup.recycle.clone() },
            cap: Setting { name: "workers".to_owned(), ..setup.cap.clone() },
            ..setup
        };
        let unit = of(
            &service("shop.service", Case::Leaks),
            Some(&setup),
            Some(&readings()),
            700.0 * MIB_F,
        )
        .unwrap();
        assert!(
            unit.diff.contains("+Environment=\"GUNICORN_CMD_ARGS=--max-requests "),
            "{}",
            unit.diff
        );
        assert!(unit.diff.contains("+++ /etc/systemd/system/shop.service.d/50-memory.conf"));
        assert_eq!(unit.apply, "systemctl daemon-reload && systemctl restart shop");
        let bare =
            of(&service("shop", Case::Leaks), Some(&setup), Some(&readings()), 700.0 * MIB_F)
                .unwrap();
        assert!(bare.diff.is_empty() && bare.apply.is_empty());
        assert!(bare.notes[0].contains("start it anew with --max-requests "), "{:?}", bare.notes);
    }

    #[test]
    fn a_service_of_no_known_server_gets_a_limit_of_its_own() {
        let cure = of(&service("tool.service", Case::Leaks), None, None, 0.0).unwrap();
        assert!(cure.diff.contains("+MemoryHigh=660M\n+MemoryMax=740M\n"), "{}", cure.diff);
        assert_eq!(of(&service("tool.service", Case::Suspect), None, None, 0.0), None);
    }

    #[test]
    fn what_an_admin_pastes_as_root_is_one_word() {
        assert_eq!(quoted("/etc/x.conf"), "/etc/x.conf");
        assert_eq!(quoted("a b; rm -rf /"), "'a b; rm -rf /'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
