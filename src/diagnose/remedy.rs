//! Cure: what bounds a service's leak: settings with values, the change as a diff, how to apply it.

use super::Readings;
use super::leak_per_request::Basis;
use super::service::{Case, Service};
use crate::core::model::process::ProcId;
use crate::core::model::units::{Bytes, MIB};
use crate::diagnose::advice;
use crate::diagnose::advice::diff::{Edit, indent, unified, with_value};
use crate::diagnose::advice::{Inputs, Values, fitting, values};
use crate::diagnose::findings::{ConfigKind, ConfiguredSetting, Setup, WorkUnit};

/// What bounds a leak.
#[derive(Clone, Debug, PartialEq)]
pub struct Remedy {
    /// The service's name.
    pub service: String,
    /// The top of its largest tree: names may be shared.
    pub root: Option<ProcId>,
    /// The settings that change: name, value now, value then.
    pub changes: Vec<Change>,
    /// What the values were reckoned from, if they were.
    pub reckoned: Option<(Inputs, Values)>,
    /// Of which server, where its settings are known here.
    pub server: Option<ConfigKind>,
    /// How often a worker is taken to wait for a request, where requests could not be counted.
    pub guessed_waits: Option<f64>,
    /// Why there is a cure without a measured leak.
    pub reason: RemedyReason,
    /// The changes as one unified diff; empty where there is no file to change.
    pub diff: String,
    /// What to type to check them and put them into force.
    pub apply: String,
    /// What else is to be known, in order.
    pub notes: Vec<String>,
}

/// Why something is proposed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RemedyReason {
    /// It leaks, and by how much a request was measured.
    Measured,
    /// It leaks, and is set up already so that its workers end before memory does. The one change that
    /// is listed changes nothing.
    Bounded,
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

/// Voluntary waits for a request, where requests cannot be counted. A server alone, as measured: 2 for
/// prefork and php-fpm, 3 for uWSGI, 5 for Apache's threads; gunicorn wakes all of its workers for
/// each (3.0 with three of them, 8.8 with eight). The application waits for its database and its files
/// as well, between not at all and fifty times: that is a guess, and said to be one.
fn waits_per_request(kind: ConfigKind, workers: u64) -> f64 {
    const OF_THE_APPLICATION: f64 = 4.0;
    let of_the_server = match kind {
        ConfigKind::ApachePrefork | ConfigKind::PhpFpm => 2.0,
        ConfigKind::ApacheThreaded => 5.0,
        ConfigKind::Uwsgi => 3.0,
        ConfigKind::Gunicorn => (workers as f64).max(3.0),
    };
    of_the_server + OF_THE_APPLICATION
}

/// How long a worker should live: see there.
fn least_life_s(kind: ConfigKind) -> f64 {
    match kind {
        ConfigKind::PhpFpm => advice::SHORT_LIFE_S,
        _ => advice::LONG_LIFE_S,
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
) -> Option<Remedy> {
    match setup {
        Some(setup) => of_server(service, setup, readings, memory),
        None if service.case == Case::Leaks => {
            Some(of_unit(service)).filter(|remedy| !remedy.notes.is_empty())
        }
        None => None,
    }
}

fn of_server(
    service: &Service,
    setup: &Setup,
    readings: Option<&Readings>,
    memory: f64,
) -> Option<Remedy> {
    let leaks = service.case.accuses();
    let workers = u64::from(service.workers.max(1));
    let guessed_waits = readings
        .filter(|readings| readings.unit == WorkUnit::Waits)
        .map(|_| waits_per_request(setup.kind, workers));
    let in_requests = guessed_waits.unwrap_or(1.0);
    // A number that its file reckons: as many as there are.
    let cap_now = if setup.cap.value == 0 { workers } else { setup.cap.value };
    let per_request = service.per_work.filter(|_| leaks);
    let rate = readings.and_then(Readings::rate).map(|rate| rate / in_requests);
    let counts_connections =
        matches!(setup.kind, ConfigKind::ApachePrefork | ConfigKind::ApacheThreaded);
    let per_connection = match (counts_connections, setup.keep_alive) {
        (true, true) => readings.and_then(|readings| readings.per_connection).unwrap_or(1.0),
        _ => 1.0,
    };
    let size = service.own / workers as f64;
    let inputs = per_request.map(|per_work| Inputs {
        leak: per_work.bytes * in_requests,
        young: per_work.young.max(MIB as f64),
        cap: cap_now,
        workers,
        per_connection,
        rate,
        memory,
        least_life_s: least_life_s(setup.kind),
    });
    let reckoned = inputs.and_then(|inputs| Some((inputs, values(&inputs)?)));
    let (recycle, cap, reason) = match reckoned {
        Some((_, values)) => (values.recycle, values.cap, RemedyReason::Measured),
        None if leaks => (BLIND, cap_now, RemedyReason::Unmeasured),
        // Not a leak, but a limit that memory does not hold.
        None => {
            let cap = fitting(size, memory);
            if cap >= cap_now || cap < workers {
                return None;
            }
            (setup.recycle.value, cap, RemedyReason::TooMany)
        }
    };
    let drawn = setup.jitter.as_ref().map_or(0, |jitter| jitter.value);
    let lives_now = setup.recycle.value + drawn;
    if let Some((inputs, _)) = reckoned.filter(|_| setup.recycle.value > 0)
        && let Some(bounded) = advice::holds(&inputs, lives_now)
    {
        return Some(already_bounded(service, setup, (inputs, bounded), guessed_waits));
    }
    let mut changes = Vec::new();
    let mut edits: Vec<(String, Edit)> = Vec::new();
    let mut typed = Vec::new();
    let mut change = |setting: &ConfiguredSetting, was: u64, now: u64| {
        let (file, edit) = placed(setup, setting, now);
        if setting.place.as_ref().is_some_and(|place| place.line == 0) {
            typed.push(format!("{} {now}", setting.name));
        }
        edits.extend(edit);
        changes.push(Change { name: setting.name.clone(), was, now, file });
    };
    // One that ends its workers earlier already is left as it is.
    let earlier = setup.recycle.value == 0 || recycle < lives_now;
    if earlier && recycle > 0 {
        let jitter = setup.jitter.as_ref().map(|setting| (setting, advice::jitter(recycle)));
        let base = recycle - jitter.map_or(0, |(_, jitter)| jitter);
        if base != setup.recycle.value {
            change(&setup.recycle, setup.recycle.value, base);
        }
        if let Some((setting, jitter)) = jitter.filter(|(s, jitter)| s.value != *jitter) {
            change(setting, setting.value, jitter);
        }
    }
    if cap < cap_now {
        change(&setup.cap, cap_now, cap);
    }
    if changes.is_empty() {
        return None;
    }
    let mut diff = String::new();
    for (file, text) in &setup.files {
        let of_file = edits.iter().filter(|(of, _)| of == file).map(|(_, edit)| edit.clone());
        diff += &unified(file, text, &of_file.collect::<Vec<_>>());
    }
    let mut notes = Vec::new();
    let mut apply = apply(setup, service, readings);
    if !diff.is_empty() && !typed.is_empty() {
        let typed = typed.join(", ");
        notes.push(format!("{typed}: that one is set on its command line, which counts more than the file; change it there (`systemctl cat` shows a unit's) and restart"));
    }
    if diff.is_empty()
        && let Some((drop_in, command)) = by_environment(setup, service, &changes)
    {
        (diff, apply) = (drop_in, command);
    }
    if diff.is_empty() && matches!(setup.kind, ConfigKind::Gunicorn | ConfigKind::Uwsgi) {
        let words = changes.iter().map(|c| format!("--{} {}", c.name.replace('_', "-"), c.now));
        let words: Vec<String> = words.collect();
        let how =
            format!("it is set up by its command line: start it anew with {}", words.join(" "));
        notes.push(how);
        apply.clear();
    }
    notes.extend(
        reckoned.and_then(|(inputs, values)| guess(setup, guessed_waits, &inputs, &values)),
    );
    notes.extend(crowd(setup, service, readings, &mut apply));
    if setup.cuts_off && !changes.is_empty() {
        notes.push("this reload cuts off requests that are under way, since process_control_timeout is 0: do it at a quiet moment. With `process_control_timeout = 10s` in [global] later reloads let them finish".to_owned());
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
    Some(Remedy {
        service: service.name.clone(),
        root: service.roots.first().copied(),
        changes,
        reckoned,
        server: Some(setup.kind),
        guessed_waits,
        reason,
        diff,
        apply,
        notes,
    })
}

/// Nothing is to be changed, and that is worth saying.
fn already_bounded(
    service: &Service,
    setup: &Setup,
    reckoned: (Inputs, Values),
    guessed_waits: Option<f64>,
) -> Remedy {
    let ConfiguredSetting { name, value, place } = &setup.recycle;
    let file = place.as_ref().filter(|p| p.line > 0).map(|p| (p.file.clone(), Some(p.line)));
    Remedy {
        service: service.name.clone(),
        root: service.roots.first().copied(),
        changes: vec![Change { name: name.clone(), was: *value, now: *value, file }],
        reckoned: Some(reckoned),
        server: Some(setup.kind),
        guessed_waits,
        reason: RemedyReason::Bounded,
        diff: String::new(),
        apply: String::new(),
        notes: Vec::new(),
    }
}

/// What to look at where requests had to be guessed, and how to have them counted.
fn guess(setup: &Setup, waits: Option<f64>, inputs: &Inputs, values: &Values) -> Option<String> {
    let waits = waits?;
    let how = match setup.kind {
        ConfigKind::PhpFpm => {
            "set `pm.status_path = /status` in the pool, reload, and run this again"
        }
        ConfigKind::ApachePrefork | ConfigKind::ApacheThreaded => {
            "switch on mod_status for localhost, and run this again"
        }
        ConfigKind::Uwsgi => "set `stats = 127.0.0.1:9191`, restart, and run this again",
        ConfigKind::Gunicorn => "have it listen at a port of 127.0.0.1, and run this again",
    };
    let rate = inputs.rate.map_or(String::new(), |rate| format!(" ({rate:.1} a second)"));
    Some(format!(
        "requests could not be counted: they were guessed{rate} from how often workers wait, {waits:.0} times for each. Compare with the access log: if there are half as many, halve {name}, and if workers end far larger than {full} lower it in proportion. To have them counted, {how}",
        name = setup.recycle.name,
        full = Bytes(values.full as u64),
    ))
}

/// What Python workers take when they end, all at once: it seems that an interpreter touches every
/// object that it has then, and so copies what it still had in common with its master. Seen once: at a
/// reload of eight gunicorn workers (3.8 MiB of their own, 16 MiB in common) a cgroup of 211 MiB was full,
/// an old worker was copying a page, and the OOM killer came; after two other reloads nothing of the
/// kind. Gunicorn's new workers are there before the old ones go, and count as well. For uWSGI it is
/// inferred, not measured. This is the most that it can be.
///
/// Where that does not fit, the workers are ended one by one first: what they leaked comes back.
fn crowd(
    setup: &Setup,
    service: &Service,
    readings: Option<&Readings>,
    apply: &mut String,
) -> Option<String> {
    let readings = readings?;
    let young = match setup.kind {
        ConfigKind::Gunicorn => service.per_work?.young,
        ConfigKind::Uwsgi => 0.0,
        _ => return None,
    };
    let takes = f64::from(service.workers) * (young + readings.master_own);
    let left = service.headroom.left;
    if apply.is_empty() || takes <= left as f64 {
        return None;
    }
    let (signal, master) = match setup.kind {
        ConfigKind::Gunicorn => ("TERM", readings.master.pid),
        _ => ("HUP", readings.master.pid),
    };
    let one_by_one =
        format!("for p in $(pgrep -P {master}); do kill -{signal} $p; sleep 2; done && ");
    // Behind the check, if there is one.
    let at = apply.rfind("&& ").map_or(0, |at| at + "&& ".len());
    apply.insert_str(at, &one_by_one);
    Some(format!(
        "a reload ends all workers at once, and what they have in common with their master is copied then: up to {} where {} are left. So this ends them one by one first, each after its request",
        Bytes(takes as u64),
        Bytes(left)
    ))
}

/// Where a setting is changed, and how.
fn placed(
    setup: &Setup,
    setting: &ConfiguredSetting,
    now: u64,
) -> (Option<InFile>, Option<(String, Edit)>) {
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
        ConfigKind::ApachePrefork | ConfigKind::ApacheThreaded => " ",
        _ => " = ",
    };
    // A function at the end of gunicorn's file, or the head of a section: nothing to line up with.
    let is_ours = [&setup.recycle, &setup.cap].into_iter().any(|s| beside.contains(&s.name));
    let apart = beside.trim_start().starts_with(['[', '<'])
        || (setup.kind == ConfigKind::Gunicorn && !is_ours);
    let indent = if apart { "" } else { indent(beside) };
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
        ConfigKind::ApachePrefork | ConfigKind::ApacheThreaded if options.is_empty() => {
            match unit {
                Some(unit) => format!("apachectl configtest && systemctl reload {unit}"),
                None => "apachectl configtest && apachectl graceful".to_owned(),
            }
        }
        ConfigKind::ApachePrefork | ConfigKind::ApacheThreaded => {
            format!("{} {options} -t && {}", quoted(&setup.exe), reload("USR1"))
        }
        ConfigKind::PhpFpm => format!("{} {options} -t && {}", quoted(name), reload("USR2")),
        // Both read their file again at HUP; units often have no ExecReload. With an error in its file
        // gunicorn's master ends.
        ConfigKind::Gunicorn => {
            let is_main = service.roots.first().is_some_and(|root| root.pid == master);
            let hang_up = match unit.filter(|_| is_main) {
                Some(unit) => format!("systemctl kill -s HUP --kill-who=main {unit}"),
                None => format!("kill -HUP {master}"),
            };
            let check = setup.interpreter.as_ref().zip(setup.files.first());
            let check = check.map(|(python, (file, _))| {
                format!("{} -m py_compile {} && ", quoted(python), quoted(file))
            });
            check.unwrap_or_default() + &hang_up
        }
        ConfigKind::Uwsgi => format!("kill -HUP {master}"),
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
        ConfigKind::Gunicorn => format!("Environment=\"GUNICORN_CMD_ARGS={}\"", of(" ", "--")),
        ConfigKind::Uwsgi => {
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
fn of_unit(service: &Service) -> Remedy {
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
    let (changes, reckoned, reason) = (Vec::new(), None, RemedyReason::Unmeasured);
    Remedy {
        service: service.name.clone(),
        root: service.roots.first().copied(),
        changes,
        reckoned,
        server: None,
        guessed_waits: None,
        reason,
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
    use crate::core::detect::ceilings::series::Headroom;
    use crate::core::model::ceiling::{CeilingKind, Place};
    use crate::core::model::process::Comm;
    use crate::core::servers::UNKNOWN;
    use crate::diagnose::findings;
    use crate::diagnose::leak_per_request::{PerWork, Worker};

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
            server: &UNKNOWN,
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
            master_own: 20.0 * MIB_F,
        }
    }

    const CONF: &str =
        "# comment\n<IfModule mpm_prefork_module>\n\tMaxRequestWorkers\t150\n</IfModule>\n";

    fn setup(kind: ConfigKind, text: &str, cap: u64, line: usize) -> Setup {
        let file = "/etc/x.conf".to_owned();
        let place = (line > 0).then(|| findings::FileLine { file: file.clone(), line });
        let name = |name: &str| name.to_owned();
        Setup {
            kind,
            version: None,
            recycle: ConfiguredSetting {
                name: name("MaxConnectionsPerChild"),
                value: 0,
                place: None,
            },
            cap: ConfiguredSetting {
                name: name("MaxRequestWorkers"),
                value: cap,
                place: place.clone(),
            },
            jitter: None,
            cuts_off: false,
            server_limit: None,
            keep_alive: false,
            posixsem: false,
            files: vec![(file, text.to_owned())],
            insert: place,
            config: String::new(),
            exe: "/usr/sbin/apache2".to_owned(),
            interpreter: None,
            options: Vec::new(),
            status: None,
            logs: Vec::new(),
            notes: Vec::new(),
        }
    }

    #[test]
    fn both_values_come_as_one_diff_with_the_command_that_applies_it() {
        let setup = setup(ConfigKind::ApachePrefork, CONF, 150, 3);
        let remedy = of(
            &service("apache2.service", Case::Leaks),
            Some(&setup),
            Some(&readings()),
            700.0 * MIB_F,
        )
        .unwrap();
        assert_eq!(
            remedy.diff,
            "--- /etc/x.conf\n+++ /etc/x.conf\n@@ -1,4 +1,5 @@\n # comment\n <IfModule mpm_prefork_module>\n\
             -\tMaxRequestWorkers\t150\n+\tMaxRequestWorkers\t44\n+\tMaxConnectionsPerChild 80\n </IfModule>\n"
                .replace("44", &remedy.changes[1].now.to_string())
                .replace("80", &remedy.changes[0].now.to_string())
        );
        assert_eq!(remedy.apply, "apachectl configtest && systemctl reload apache2");
        let (inputs, values) = remedy.reckoned.unwrap();
        assert_eq!(inputs.rate, Some(10.0));
        assert!(values.cap as f64 * values.full <= 0.7 * 700.0 * MIB_F);
    }

    #[test]
    fn what_ends_its_workers_early_already_is_left_as_it_is() {
        let mut setup = setup(ConfigKind::ApachePrefork, CONF, 5, 3);
        setup.recycle.value = 1000;
        let service = service("apache2.service", Case::Leaks);
        let remedy = of(&service, Some(&setup), Some(&readings()), 700.0 * MIB_F).unwrap();
        assert_eq!(
            (remedy.reason, remedy.diff.as_str(), remedy.apply.as_str()),
            (RemedyReason::Bounded, "", "")
        );
        // 10 MiB to begin with, and 1000 requests of 9 KiB.
        let full = remedy.reckoned.unwrap().1.full / MIB_F;
        assert!((full - 18.8).abs() < 0.1, "{full}");
        setup.recycle.value = 100_000;
        let remedy = of(&service, Some(&setup), Some(&readings()), 700.0 * MIB_F).unwrap();
        assert_eq!(remedy.reason, RemedyReason::Measured);
    }

    #[test]
    fn a_limit_that_memory_does_not_hold_is_lowered_leak_or_no_leak() {
        let setup = setup(ConfigKind::ApachePrefork, CONF, 150, 3);
        let remedy =
            of(&service("apache2.service", Case::Flat), Some(&setup), None, 1400.0 * MIB_F)
                .unwrap();
        assert_eq!(remedy.reason, RemedyReason::TooMany);
        assert_eq!((remedy.changes.len(), remedy.changes[0].now), (1, 9));
        let few = self::tests::tests::setup(ConfigKind::ApachePrefork, CONF, 9, 3);
        assert_eq!(
            of(&service("apache2.service", Case::Flat), Some(&few), None, 1400.0 * MIB_F),
            None
        );
    }

    #[test]
    fn without_a_file_gunicorn_gets_a_drop_in_or_a_word_on_its_command_line() {
        let setup = Setup { files: Vec::new(), ..setup(ConfigKind::Gunicorn, "", 5, 0) };
        let setup = Setup {
            recycle: ConfiguredSetting { name: "max_requests".to_owned(), ..setup.recycle.clone() },
            cap: ConfiguredSetting { name: "workers".to_owned(), ..setup.cap.clone() },
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

    /// Gunicorn with a file, and so much memory left.
    fn gunicorn(name: &str, left_mib: u64) -> Remedy {
        let setup = setup(ConfigKind::Gunicorn, "bind = 'x'\nworkers = 5\n", 5, 2);
        let named = |name: &str, setting: &ConfiguredSetting| ConfiguredSetting {
            name: name.into(),
            ..setting.clone()
        };
        let setup = Setup {
            recycle: named("max_requests", &setup.recycle),
            jitter: Some(named("max_requests_jitter", &setup.recycle)),
            cap: named("workers", &setup.cap),
            interpreter: Some("/srv/venv/bin/python".to_owned()),
            ..setup
        };
        let mut service = service(name, Case::Leaks);
        service.headroom.left = left_mib * MIB;
        let readings = Readings { master: ID, ..readings() };
        of(&service, Some(&setup), Some(&readings), 700.0 * MIB_F).unwrap()
    }

    #[test]
    fn no_gunicorn_worker_lives_longer_than_was_reckoned_and_no_two_equally_long() {
        let remedy = gunicorn("shop", 400);
        let [base, jitter] = &remedy.changes[..] else { panic!("{:?}", remedy.changes) };
        assert_eq!(
            (base.name.as_str(), jitter.name.as_str()),
            ("max_requests", "max_requests_jitter")
        );
        assert_eq!(base.now + jitter.now, remedy.reckoned.unwrap().1.recycle);
        assert!(jitter.now * 5 >= base.now, "{:?}", remedy.changes);
    }

    #[test]
    fn a_file_of_gunicorn_is_checked_before_its_master_reads_it() {
        let check = "/srv/venv/bin/python -m py_compile /etc/x.conf && ";
        assert_eq!(gunicorn("shop", 400).apply, format!("{check}kill -HUP 812"));
        let unit = gunicorn("shop.service", 400);
        assert_eq!(unit.apply, format!("{check}systemctl kill -s HUP --kill-who=main shop"));
    }

    #[test]
    fn where_a_reload_does_not_fit_workers_are_ended_one_by_one_first() {
        // Five workers of 10 MiB to begin with, and 20 in common with their master: 150 MiB.
        let tight = gunicorn("shop", 140);
        assert_eq!(
            tight.apply,
            "/srv/venv/bin/python -m py_compile /etc/x.conf && \
             for p in $(pgrep -P 812); do kill -TERM $p; sleep 2; done && kill -HUP 812"
        );
        assert!(
            tight.notes[0].contains("up to 150 MiB where 140 MiB are left"),
            "{:?}",
            tight.notes
        );
        assert!(gunicorn("shop", 160).notes.is_empty());
    }

    #[test]
    fn requests_that_were_guessed_are_said_to_be() {
        let setup = setup(ConfigKind::PhpFpm, "[www]\npm.max_children = 9\n", 9, 2);
        let readings = Readings { unit: WorkUnit::Waits, ..readings() };
        let service = service("php8.2-fpm.service", Case::Leaks);
        let remedy = of(&service, Some(&setup), Some(&readings), 700.0 * MIB_F).unwrap();
        // Two waits of its own and four of the application's: 10 waits a second are 1.7 requests.
        let (inputs, _) = remedy.reckoned.unwrap();
        assert_eq!((remedy.guessed_waits, inputs.rate), (Some(6.0), Some(10.0 / 6.0)));
        assert!(remedy.notes[0].contains("pm.status_path = /status"), "{:?}", remedy.notes);
    }

    #[test]
    fn a_service_of_no_known_server_gets_a_limit_of_its_own() {
        let remedy = of(&service("tool.service", Case::Leaks), None, None, 0.0).unwrap();
        assert!(remedy.diff.contains("+MemoryHigh=660M\n+MemoryMax=740M\n"), "{}", remedy.diff);
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
