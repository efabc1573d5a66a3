//! What the kernel, systemd and its OOM daemon say, which have no rows.

use super::{Only, Proved};
use crate::core::origin;
use crate::diagnose::findings::{Failure, MissingResource};
use crate::system::kernel_lines::{ChosenVictim, KernelLine, Victim};

/// What a line of the kernel proves.
pub(super) fn kernel(body: &str) -> Option<Proved> {
    let proved = |failure, who: &str| {
        let (who, only) = (who.to_owned(), Only::Always);
        Some(Proved { failure, who, uid: None, pid: None, only, by_kernel: true })
    };
    let killed = |failure, victim: Victim<'_>| {
        let (uid, pid) = (victim.uid(), victim.pid());
        Some(Proved { uid, pid, ..proved(failure, victim.name()?)? })
    };
    let announced =
        |failure, victim| Some(Proved { only: Only::Announces, ..killed(failure, victim)? });
    match KernelLine::parse(body)? {
        KernelLine::Killed(victim) => killed(Failure::OomKill, victim),
        KernelLine::KilledInCgroup(victim) => killed(Failure::OomKillInCgroup, victim),
        // Before 5.0; the other line of the same kill is not counted.
        KernelLine::KilledSomewhere(victim) => {
            Some(Proved { only: Only::KillSomewhere, ..killed(Failure::OomKill, victim)? })
        }
        KernelLine::WillKill(victim) => announced(Failure::OomKill, victim),
        KernelLine::WillKillInCgroup(victim) => announced(Failure::OomKillInCgroup, victim),
        KernelLine::Chosen(ChosenVictim { name, pid, uid, in_cgroup }) => {
            let failure = if in_cgroup { Failure::OomKillInCgroup } else { Failure::OomKill };
            let (uid, pid, only) = (Some(uid), Some(pid), Only::Announces);
            Some(Proved { uid, pid, only, ..proved(failure, name)? })
        }
        KernelLine::CommitRefused => None,
        KernelLine::ForkRejected(path) => {
            proved(Failure::ForkFailed(MissingResource::Tasks), &of_cgroup(path))
        }
        KernelLine::NoPage(name) => proved(Failure::NoMemory, name),
        KernelLine::Panicked => proved(Failure::Down, "kernel"),
        KernelLine::BeancounterShort { resource: "numproc", container } => {
            proved(Failure::ForkFailed(MissingResource::Tasks), container)
        }
        KernelLine::BeancounterShort { container, .. } => proved(Failure::NoMemory, container),
    }
}

/// What kubelet says of the kernel's kills on its node: "System OOM encountered, victim process: java, pid: 7", also
/// in an event, where others chose names of objects, without blanks. The kernel's own word on it counts instead.
pub(super) fn kubelet(text: &str) -> Option<Proved> {
    let forms = [
        ("\"Event occurred\" object=\"", " reason=\"SystemOOM\" message=\""),
        ("Event(v1.ObjectReference{Kind:\"Node\", ", "): type: 'Warning' reason: 'SystemOOM' "),
    ];
    // What cAdvisor in it found in the kernel's log.
    if let Some(path) = text.strip_prefix("Created an OOM event in container \"") {
        let (who, only) = (of_cgroup(path.split_once("\" at ")?.0), Only::Announces);
        let failure = Failure::OomKillInCgroup;
        return Some(Proved { failure, who, uid: None, pid: None, only, by_kernel: true });
    }
    let behind = |(begins, ends)| text.strip_prefix(begins)?.split_once(ends);
    let event = forms.into_iter().find_map(behind).map_or(text, |(_, event)| event);
    let victim = event.strip_prefix("System OOM encountered, victim process: ")?;
    let (who, pid) = victim.split_once(", pid: ")?;
    let digits = pid.bytes().take_while(u8::is_ascii_digit).count();
    let (pid, who) = (Some(pid.get(..digits)?.parse().ok()?), who.to_owned());
    let (failure, only) = (Failure::OomKill, Only::Announces);
    Some(Proved { failure, who, uid: None, pid, only, by_kernel: true })
}

/// The tag and message of what a part of systemd wrote to the kernel's log, as it does early and late:
/// "systemd-journald[5681]: Failed ..". No line of the kernel's own begins so and ends in an error's words.
pub(super) fn of_systemd_to_kernel(body: &str) -> Option<(&str, &str)> {
    let (tag, message) = body.strip_prefix("systemd-").and_then(|_| body.split_once("]: "))?;
    let (name, pid) = tag.split_once('[')?;
    let is_name = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
    (is_name && pid.bytes().all(|byte| byte.is_ascii_digit())).then_some((name, message))
}

/// The unit that a message of systemd is about, and the rest: "a.service: Failed ..", and before
/// version 220 also "a.service failed ..".
pub(super) fn of_unit(text: &str) -> Option<(&str, &str)> {
    let (word, rest) = text.split_once(' ')?;
    let unit = word.trim_end_matches(':');
    let kinds = ["service", "scope", "socket", "mount", "timer", "slice", "swap", "path", "target"];
    let kind = unit.rsplit_once('.')?.1;
    kinds.contains(&kind).then_some((unit, rest))
}

/// "Killed /system.slice/httpd.service due to memory pressure for /system.slice being 64.15% > ..".
pub(super) fn oomd(text: &str) -> Option<Proved> {
    let (path, _) = text.strip_prefix("Killed ")?.split_once(" due to ")?;
    let (failure, only) = (Failure::OomDaemonKill, Only::Always);
    Some(Proved { failure, who: of_cgroup(path), uid: None, pid: None, only, by_kernel: false })
}

/// Whose cgroup that is. Below a user's own manager or in a container others choose the names, so the
/// last part alone could pass for a service of the machine's.
fn of_cgroup(path: &str) -> String {
    let last = path.rsplit('/').next().unwrap_or(path);
    let user =
        || path.split('/').find_map(|part| part.strip_prefix("user@")?.strip_suffix(".service"));
    origin::unit(path).unwrap_or_else(|| match user() {
        Some(user) => format!("{last} of user {user}"),
        None => last.to_owned(),
    })
}
