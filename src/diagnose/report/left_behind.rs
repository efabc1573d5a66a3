//! What processes leave behind, in words and in JSON.

use super::count;
use crate::core::model::ceiling::{Ceiling, Unit};
use crate::core::model::process::Comm;
use crate::core::model::units::{Bytes, BytesPerSecond, Rate, Seconds};
use crate::core::piles::unreaped::Unreaped;
use crate::diagnose::left_behind::{FoundOpenFiles, FoundPile, FoundUnreaped, LeftBehind};
use crate::report::escape::Plain;
use crate::report::words::{CeilingName, list};
use serde_json::{Value, json};

/// Characters of a command line that are shown.
const MOST_TITLE: usize = 60;

/// A sentence about something left behind, and what helps.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Statement {
    /// What it is.
    pub what: String,
    /// What to do about it.
    pub advice: String,
    /// Whether it endangers memory or tasks.
    pub is_finding: bool,
}

/// All of it in sentences.
pub(super) fn statements(left: &LeftBehind) -> Vec<Statement> {
    let unreaped = left.unreaped.iter().map(|found| Statement {
        what: zombies(found),
        advice: reap(found),
        is_finding: found.is_finding(),
    });
    let piles = left.piles.iter().map(|found| Statement {
        what: pile(found),
        advice: end_pile(found),
        is_finding: found.is_finding(),
    });
    let open_files = left.open_files.iter().map(|found| Statement {
        what: open_files(found),
        advice: close(found),
        is_finding: found.is_finding(),
    });
    piles.chain(unreaped).chain(open_files).collect()
}

fn tasks(ceiling: &Ceiling) -> String {
    let Ceiling { kind, place, limit, .. } = *ceiling;
    format!("{} of {limit} tasks left of {}", ceiling.headroom(), CeilingName(kind, place))
}

/// "codex[4711] in app.service does not wait for its children: 1300 zombies (git), +2/s; ...".
fn zombies(found: &FoundUnreaped) -> String {
    let unreaped = &found.unreaped;
    let unit = found.unit.as_ref().map_or(String::new(), |unit| format!(" in {}", Plain(unit)));
    let children: Vec<String> = unreaped.children.iter().map(ToString::to_string).collect();
    let children =
        if children.is_empty() { String::new() } else { format!(" ({})", list(&children)) };
    let mut text = format!(
        "{}[{}]{unit} does not wait for its children: {}{children}",
        unreaped.comm,
        unreaped.parent.pid,
        count(u64::from(unreaped.zombies), "zombie", "zombies")
    );
    if unreaped.grows() {
        text += &format!(", {}", Rate(unreaped.rate(), Unit::Tasks));
    }
    if let Some(ceiling) = &found.tasks {
        text += &format!("; {}", tasks(ceiling));
    }
    if let Some(lasts_s) = found.lasts_s() {
        text += &format!(", used up in {}", Seconds(lasts_s));
    }
    text
}

fn reap(found: &FoundUnreaped) -> String {
    let unreaped = &found.unreaped;
    let restart = restart(found.unit.as_deref(), unreaped.comm, unreaped.parent.pid);
    match (found.is_init, unreaped.parent.pid) {
        (true, _) => "It is process 1 of a container and must wait for everybody's orphans: start the container with an init (`docker run --init`, `init: true` in compose, tini); a restart of the container frees them.".to_owned(),
        (_, 1) => "Process 1 must wait for everybody's orphans, and does not: it is no init.".to_owned(),
        _ => format!("{restart} frees them, since process 1 then waits for them. A zombie holds no memory, and no signal ends it; the program has to call wait()."),
    }
}

/// "app[12] in app.service has 950 of 1024 files open, +2/s: 900 sockets whose peer has closed
/// (CLOSE_WAIT), 20 pipes; the limit is reached in 37 s".
fn open_files(found: &FoundOpenFiles) -> String {
    let FoundOpenFiles { open, limit, unit, kinds } = found;
    let unit = unit.as_ref().map_or(String::new(), |unit| format!(" in {}", Plain(unit)));
    let mut text = format!(
        "{}[{}]{unit} has {} of {limit} files open (RLIMIT_NOFILE)",
        open.comm, open.id.pid, open.files
    );
    if open.grows() {
        text += &format!(", {}", Rate(open.rate(), Unit::Tasks));
    }
    let kinds: Vec<String> =
        kinds.iter().take(3).map(|(kind, count)| format!("{count} {kind}")).collect();
    if !kinds.is_empty() {
        text += &format!(": {}", kinds.join(", "));
    }
    if let Some(lasts_s) = open.lasts_s(*limit) {
        text += &format!("; the limit is reached in {}", Seconds(lasts_s));
    }
    text
}

fn close(found: &FoundOpenFiles) -> String {
    let restart = restart(found.unit.as_deref(), found.open.comm, found.open.id.pid);
    format!(
        "At the limit, opening files and accepting connections fail (EMFILE). {restart} frees them; LimitNOFILE= of the unit raises the limit; the program has to close what it opens."
    )
}

/// The command that restarts a unit, else the process: "`systemctl restart a.service`".
fn restart(unit: Option<&str>, comm: Comm, pid: u32) -> String {
    let plain =
        |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || "@._:-".contains(c));
    match unit.filter(|unit| unit.ends_with(".service")).filter(plain) {
        Some(unit) => format!("`systemctl restart {unit}`"),
        None => format!("A restart of {comm}[{pid}]"),
    }
}

/// "26 processes of /usr/bin/node (node /opt/mcp/server.js --port #) of user 1000 pile up: ..".
fn pile(found: &FoundPile) -> String {
    let pile = &found.pile;
    let kind = &pile.kind;
    let title = Plain(&kind.title).to_string();
    let shown: String = title.chars().take(MOST_TITLE).collect();
    let dots = if shown.len() < title.len() { ".." } else { "" };
    let title = if title.is_empty() { String::new() } else { format!(" ({shown}{dots})") };
    let mut text = format!(
        "{} of {}{title} of user {} pile up, {} of them orphans: they hold {}",
        count(u64::from(pile.processes), "process", "processes"),
        Plain(&kind.exe),
        kind.uid,
        pile.orphans,
        Bytes(pile.bytes)
    );
    let mut grows = Vec::new();
    if pile.number.rise >= 1.0 {
        let rate = Rate(pile.number.rate, Unit::Tasks).to_string();
        grows.push(format!("their number grows by {}", rate.trim_start_matches('+')));
    }
    if pile.size.rate > 0.0 {
        let rate = BytesPerSecond(pile.size.rate).to_string();
        grows.push(format!("their memory by {}", rate.trim_start_matches('+')));
    }
    if !grows.is_empty() {
        text += &format!(", {}", grows.join(", "));
    }
    let starters: Vec<String> = pile.starters.iter().map(ToString::to_string).collect();
    let born =
        if kind.origin == "/" { String::new() } else { format!(" in {}", Plain(&kind.origin)) };
    match (starters.is_empty(), born.is_empty()) {
        (true, true) => {}
        (true, false) => text += &format!("; born{born}"),
        (false, _) => text += &format!("; started by {}{born}", list(&starters)),
    }
    if let Some(lasts_s) = found.lasts_s() {
        text += &format!("; at this rate memory or tasks end in {}", Seconds(lasts_s));
    }
    text
}

fn end_pile(found: &FoundPile) -> String {
    let pids: Vec<String> = found.pile.pids.iter().map(u32::to_string).collect();
    format!(
        "What starts them must end them. Their oldest are {}: see what they wait for (`ls -l /proc/PID/fd`) before ending any.",
        list(&pids)
    )
}

/// As JSON: `piles`, each with `exe`, `title`, `uid`, `origin`, `processes`, `orphans`, `bytes`,
/// `processes_per_s`, `bytes_per_s`, `started_by`, `pids`, `ends_s`, `finding`; `unreaped`, each with
/// `pid`, `start`, `comm`, `unit`, `zombies`, `lasting`, `zombies_per_s`, `ceiling`, `place`, `left`,
/// `limit`, `ends_s`, `finding`; `open_files`, each with `pid`, `start`, `comm`, `unit`, `files`,
/// `limit`, `files_per_s`, `kinds` ([kind, number]), `ends_s`, `finding`.
pub(super) fn json(left: &LeftBehind) -> Value {
    let pile = |found: &FoundPile| {
        let pile = &found.pile;
        json!({
            "exe": pile.kind.exe, "title": pile.kind.title, "uid": pile.kind.uid,
            "origin": pile.kind.origin, "processes": pile.processes, "orphans": pile.orphans,
            "bytes": pile.bytes, "processes_per_s": pile.number.rate,
            "bytes_per_s": pile.size.rate, "pids": pile.pids,
            "started_by": pile.starters.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "ends_s": found.lasts_s(), "finding": found.is_finding(),
        })
    };
    let unreaped = |found: &FoundUnreaped| {
        let Unreaped { parent, comm, zombies, lasting, .. } = &found.unreaped;
        json!({
            "pid": parent.pid, "start": parent.start, "comm": comm.to_string(), "unit": found.unit,
            "zombies": zombies, "lasting": lasting, "zombies_per_s": found.unreaped.rate(),
            "ceiling": found.tasks.map(|tasks| tasks.kind.name()),
            "place": found.tasks.map(|tasks| tasks.place.plain().to_string()),
            "left": found.tasks.map(|tasks| tasks.headroom()),
            "limit": found.tasks.map(|tasks| tasks.limit),
            "ends_s": found.lasts_s(), "finding": found.is_finding(),
        })
    };
    let open_files = |found: &FoundOpenFiles| {
        let FoundOpenFiles { open, limit, unit, kinds } = found;
        json!({
            "pid": open.id.pid, "start": open.id.start, "comm": open.comm.to_string(),
            "unit": unit, "files": open.files, "limit": limit, "files_per_s": open.rate(),
            "kinds": kinds, "ends_s": open.lasts_s(*limit), "finding": found.is_finding(),
        })
    };
    json!({
        "open_files": left.open_files.iter().map(open_files).collect::<Vec<_>>(),
        "piles": left.piles.iter().map(pile).collect::<Vec<_>>(),
        "unreaped": left.unreaped.iter().map(unreaped).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::balance::trend::{LineGrowth, Trend};
    use crate::core::model::ceiling::{CeilingKind, Place};
    use crate::core::model::process::ProcId;
    use crate::core::piles::descriptors::OpenFiles;
    use crate::core::piles::{Pile, PileKind};

    fn trend(rate: f64) -> Trend {
        Trend { growth: LineGrowth::Steady, rate, rise: 60.0 * rate, span_s: 60.0 }
    }

    fn unreaped(unit: Option<&str>, is_init: bool) -> FoundUnreaped {
        let (kind, place) = (CeilingKind::Pids, Place::new("/system.slice/app.service"));
        FoundUnreaped {
            unreaped: Unreaped {
                parent: ProcId { pid: 4711, start: 1 },
                comm: Comm::new(b"co\x1bdex"),
                zombies: 1300,
                lasting: 1180,
                trend: Some(trend(2.0)),
                children: vec![Comm::new(b"git")],
            },
            unit: unit.map(str::to_owned),
            is_init,
            tasks: Some(Ceiling { kind, root: None, place, used: 1400, limit: 2000 }),
        }
    }

    fn only(left: &LeftBehind) -> Statement {
        statements(left).remove(0)
    }

    #[test]
    fn zombies_are_told_with_parent_unit_rate_limit_and_remedy() {
        let found = vec![unreaped(Some("app.service"), false)];
        let said = only(&LeftBehind { unreaped: found, ..LeftBehind::default() });
        assert_eq!(
            said.what,
            "co\\x1bdex[4711] in app.service does not wait for its children: 1300 zombies (git), +2/s; \
             600 of 2000 tasks left of pids.max of cgroup /system.slice/app.service, used up in 5 min"
        );
        assert!(
            said.is_finding && said.advice.starts_with("`systemctl restart app.service` frees")
        );
    }

    #[test]
    fn process_1_of_a_container_needs_an_init_and_a_hostile_unit_is_no_command() {
        let advice = |unit, is_init| reap(&unreaped(unit, is_init));
        assert!(advice(Some("container shop"), true).contains("`init: true`"));
        assert!(
            advice(Some("a;reboot.service"), false).starts_with("A restart of co\\x1bdex[4711]")
        );
    }

    #[test]
    fn open_files_are_told_with_their_kinds_and_the_limit() {
        let open = OpenFiles {
            id: ProcId { pid: 12, start: 1 },
            comm: Comm::new(b"app"),
            files: 950,
            trend: Some(trend(2.0)),
        };
        let kinds = vec![("sockets whose peer has closed (CLOSE_WAIT)", 900), ("pipes", 20)];
        let unit = Some("app.service".to_owned());
        let found = FoundOpenFiles { open, limit: 1024, unit, kinds };
        let said = only(&LeftBehind { open_files: vec![found], ..LeftBehind::default() });
        assert_eq!(
            said.what,
            "app[12] in app.service has 950 of 1024 files open (RLIMIT_NOFILE), +2/s: 900 sockets whose \
             peer has closed (CLOSE_WAIT), 20 pipes; the limit is reached in 37 s"
        );
        assert!(said.advice.contains("`systemctl restart app.service` frees them"));
    }

    #[test]
    fn a_pile_is_told_with_its_program_its_size_and_who_starts_it() {
        let kind = PileKind {
            exe: "/usr/bin/node".to_owned(),
            title: format!("node /opt/mcp/{}\n", "x".repeat(80)),
            uid: 1000,
            origin: "session # of user #".to_owned(),
        };
        let pile = Pile {
            kind,
            processes: 26,
            orphans: 25,
            bytes: 440 << 20,
            number: trend(0.7),
            size: trend(11.0 * 1_048_576.0),
            starters: vec![Comm::new(b"agent")],
            pids: vec![7, 8],
        };
        let found = FoundPile { pile, headroom: 20 << 30, tasks: None };
        let said = only(&LeftBehind { piles: vec![found], ..LeftBehind::default() });
        assert!(
            said.what.starts_with("26 processes of /usr/bin/node (node /opt/mcp/xxx")
                && said.what.ends_with(
                    "..) of user 1000 pile up, 25 of them orphans: they hold 440 MiB, their number grows \
                     by 42/min, their memory by 11 MiB/s; started by agent in session # of user #; at this rate memory or tasks end \
                     in 31 min"
                )
                && !said.what.contains('\n'),
            "{}",
            said.what
        );
        assert!(said.is_finding);
    }
}
