//! A restart of the unit whose main process an order names.
//!
//! The process is held by its directory in /proc from before systemd is asked whose it is until after: what
//! is then still alive with the same start time had its pid all the while.

use super::kernel::{HandleState, ProcDirectory, ProcessHandles};
use crate::core::model::order::Order;
use crate::core::model::signal::SignalFailure;
use crate::core::origin;
use crate::system::service_bus::{BusError, ServiceBus};
use regex_lite::Regex;
use rustix::io::Errno;
use std::fs;
use std::path::{Path, PathBuf};

/// The object that stands for the manager, and the interfaces of a unit.
const MANAGER: &str = "/org/freedesktop/systemd1";
const UNIT: &str = "org.freedesktop.systemd1.Unit";
const SERVICE: &str = "org.freedesktop.systemd1.Service";
/// Lists of the units that a restart goes on to.
const DEPENDENTS: [&str; 4] = ["RequiredBy", "RequisiteOf", "BoundBy", "ConsistsOf"];
/// Where systemd has its cgroups: version 2, or version 1 with its own hierarchies beside the controllers'.
const HIERARCHIES: [&str; 3] =
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified", "/sys/fs/cgroup/systemd"];
/// Cgroups of a unit that are looked into: whom a unit is delegated to makes as many as he likes.
const MOST_CGROUPS: usize = 64;

/// Has systemd restart the unit of the order's target.
pub(super) fn unit_of(order: &Order, protect: &[Regex]) -> Result<(), SignalFailure> {
    let mut kernel = ProcDirectory;
    let pid = order.target.pid;
    let held = kernel.hold(pid).map_err(|_| SignalFailure::Gone)?;
    let is_protected = kernel.is_called(pid, |text| {
        let text = String::from_utf8_lossy(text);
        protect.iter().any(|re| re.is_match(&text))
    });
    let lives = |kernel: &mut ProcDirectory| match kernel.look(&held, pid) {
        Ok(HandleState { start, is_dead, .. }) => start == order.target.start && !is_dead,
        Err(_) => false,
    };
    if !lives(&mut kernel) {
        return Err(SignalFailure::Gone);
    }
    if is_protected {
        return Err(SignalFailure::Protected);
    }
    let mut bus = ServiceBus::connect().map_err(failure)?;
    let unit = bus.unit_by_pid(MANAGER, pid).map_err(failure)?;
    let name = bus.text(&unit, UNIT, "Id").map_err(failure)?;
    let main = bus.number(&unit, SERVICE, "MainPID").map_err(failure)?;
    if main != pid || !origin::is_restartable(&name) {
        return Err(SignalFailure::NoService);
    }
    starts_again_and_ends_nothing_else(&mut bus, &unit, pid)?;
    if !lives(&mut kernel) {
        return Err(SignalFailure::Gone);
    }
    bus.try_restart(&unit).map_err(failure)
}

/// A restart is wider than an end: it goes on to the units that depend on this one, and ends every process of
/// the unit. What ran once only, or was described on a command line, is not the same again.
fn starts_again_and_ends_nothing_else(
    bus: &mut ServiceBus,
    unit: &str,
    pid: u32,
) -> Result<(), SignalFailure> {
    let kind = bus.text(unit, SERVICE, "Type").map_err(failure)?;
    if kind == "oneshot" || bus.flag(unit, UNIT, "Transient").map_err(failure)? {
        return Err(SignalFailure::RunsOnce);
    }
    // It is being started, stopped or reloaded: a moment later it is not.
    if bus.text(unit, UNIT, "ActiveState").map_err(failure)? != "active" {
        return Err(BUSY);
    }
    for list in DEPENDENTS {
        if !bus.is_empty(unit, UNIT, list).map_err(failure)? {
            return Err(SignalFailure::NotAlone);
        }
    }
    let group = bus.text(unit, SERVICE, "ControlGroup").map_err(failure)?;
    let is_hierarchy = |root: &&Path| root.join("cgroup.procs").exists();
    match HIERARCHIES.iter().map(Path::new).find(is_hierarchy) {
        Some(root) if is_alone_in(root, &group, pid) => Ok(()),
        _ => Err(SignalFailure::NotAlone),
    }
}

/// Whether a cgroup and those below it hold that process and no other; not if that cannot be read, or if they
/// are many.
fn is_alone_in(root: &Path, group: &str, pid: u32) -> bool {
    let Some(group) = group.strip_prefix('/').filter(|group| !group.is_empty()) else {
        return false;
    };
    let top = root.join(group);
    let mut dirs = vec![top.clone()];
    let mut left = MOST_CGROUPS;
    while let Some(dir) = dirs.pop() {
        left -= 1;
        let Ok(pids) = fs::read_to_string(dir.join("cgroup.procs")) else { return false };
        let is_as_wanted =
            if dir == top { pids.trim() == pid.to_string() } else { pids.is_empty() };
        let Some(below) = directories(&dir).filter(|_| is_as_wanted) else { return false };
        dirs.extend(below);
        if dirs.len() > left {
            return false;
        }
    }
    true
}

/// The directories in a directory; none where one cannot be told, or where they are many.
fn directories(dir: &Path) -> Option<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).ok()? {
        let entry = entry.ok()?;
        if entry.file_type().ok()?.is_dir() {
            found.push(entry.path());
        }
        if found.len() > MOST_CGROUPS {
            return None;
        }
    }
    Some(found)
}

const BUSY: SignalFailure = SignalFailure::Failed(Errno::BUSY.raw_os_error());

fn failure(error: BusError) -> SignalFailure {
    match error {
        BusError::Refused(name) if name.ends_with(".AccessDenied") => SignalFailure::NotPermitted,
        // A stop or a start of it, or of what depends on it, is under way.
        BusError::Refused(name) if name.ends_with(".TransactionIsDestructive") => BUSY,
        // It is in no unit, its unit has no main process, or refuses to be restarted by hand.
        BusError::Refused(_) => SignalFailure::NoService,
        BusError::Failed(Errno::ACCESS | Errno::PERM) => SignalFailure::NotPermitted,
        // No systemd runs here.
        BusError::Failed(Errno::NOENT | Errno::CONNREFUSED) => SignalFailure::NoService,
        BusError::Failed(errno) => SignalFailure::Failed(errno.raw_os_error()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_cgroup_with_that_process_alone_is_restarted() {
        let root = tempfile::tempdir().unwrap();
        let group = |name: &str, pids: Option<&str>| {
            let dir = root.path().join("system.slice").join(name);
            fs::create_dir_all(&dir).unwrap();
            if let Some(pids) = pids {
                fs::write(dir.join("cgroup.procs"), pids).unwrap();
            }
        };
        group("a.service", Some("4711\n"));
        group("empty-child.service", Some("4711\n"));
        group("empty-child.service/old/older", Some(""));
        group("empty-child.service/old", Some(""));
        group("two.service", Some("4711\n4712\n"));
        group("other.service", Some("4712\n"));
        group("none.service", Some(""));
        group("child.service", Some("4711\n"));
        group("child.service/a/b", Some("4712\n"));
        group("child.service/a", Some(""));
        group("below.service", Some(""));
        group("below.service/main", Some("4711\n"));
        group("unread.service", None);
        group("unread-child.service", Some("4711\n"));
        group("unread-child.service/a", None);
        group("delegated.service", Some("4711\n"));
        (0..=MOST_CGROUPS).for_each(|nth| group(&format!("delegated.service/{nth}"), Some("")));
        group("deep.service", Some("4711\n"));
        let mut deep = "deep.service".to_owned();
        for _ in 0..=MOST_CGROUPS {
            deep += "/a";
            group(&deep, Some(""));
        }
        for (name, is_alone) in [
            ("a", true),
            ("delegated", false),
            ("deep", false),
            ("empty-child", true),
            ("two", false),
            ("other", false),
            ("none", false),
            ("child", false),
            ("below", false),
            ("unread", false),
            ("unread-child", false),
            ("missing", false),
        ] {
            let group = format!("/system.slice/{name}.service");
            assert_eq!(is_alone_in(root.path(), &group, 4711), is_alone, "{name}");
        }
        fs::write(root.path().join("cgroup.procs"), "4711\n").unwrap();
        assert!(!is_alone_in(root.path(), "/", 4711) && !is_alone_in(root.path(), "", 4711));
    }

    #[test]
    fn a_job_under_way_is_waited_for_and_other_refusals_are_not() {
        let refused = |name: &str| failure(BusError::Refused(name.to_owned()));
        assert_eq!(refused("org.freedesktop.systemd1.TransactionIsDestructive"), BUSY);
        assert_eq!(refused("org.freedesktop.systemd1.OnlyByDependency"), SignalFailure::NoService);
        let denied = "org.freedesktop.DBus.Error.AccessDenied";
        assert_eq!(refused(denied), SignalFailure::NotPermitted);
        let late = failure(BusError::Failed(Errno::TIMEDOUT));
        assert_eq!(late, SignalFailure::Failed(Errno::TIMEDOUT.raw_os_error()));
    }
}
