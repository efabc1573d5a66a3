//! Where each ceiling was read, and why others are absent. For people, on demand.

use super::CeilingReader;
use super::kernel_log::KernelLog;
use super::trees::TreeLimits;
use crate::core::model::ceiling::{
    Ceiling, CeilingKind, CeilingNote, CeilingSources, MemoryFailureKind, PastFailures, ReadFrom,
};
use crate::core::model::units::Bytes;
use std::io::ErrorKind;
use std::path::Path;

impl CeilingReader {
    /// How the ceilings of the last sample became known. `overcommit` is vm.overcommit_memory.
    pub(in crate::system) fn sources(
        &self,
        procfs: &Path,
        ceilings: &[Ceiling],
        overcommit: Option<u8>,
        arc: Option<u64>,
        tasks: Option<u64>,
    ) -> CeilingSources {
        let files = ceilings.iter().map(|ceiling| self.file(procfs, ceiling)).collect();
        let mut notes = Vec::new();
        let mut note = |about, text: &str| notes.push(CeilingNote { about, text: text.to_owned() });
        let has = |kind| ceilings.iter().any(|ceiling| ceiling.kind == kind);
        match overcommit {
            Some(2) => {}
            None => note(
                CeilingKind::Commit.name(),
                "not known: vm.overcommit_memory cannot be read, so whether the commit limit is enforced is not known",
            ),
            Some(0) => note(
                CeilingKind::Commit.name(),
                "not enforced: vm.overcommit_memory is 0, so fork is refused only if one mapping of the parent is larger than RAM and swap",
            ),
            _ => note(CeilingKind::Commit.name(), "not enforced: vm.overcommit_memory is 1"),
        }
        if tasks.is_none() {
            note(
                CeilingKind::ThreadsMax.name(),
                "not known: /proc/loadavg, which counts the tasks, cannot be read",
            );
        }
        if let Some(bytes) = arc {
            let text = format!(
                "{} of the cache of ZFS (ARC) count as available: what it has above its c_min",
                Bytes(bytes)
            );
            note("ram", &text);
        }
        let hierarchy = self.groups.hierarchy();
        if !has(CeilingKind::CgroupMemory) && !has(CeilingKind::CgroupHigh) {
            let text = match hierarchy.serves("memory") {
                true => {
                    "no limit: neither the cgroups of the watched processes nor those above have one"
                }
                false => "none: the memory controller is not mounted",
            };
            note(CeilingKind::CgroupMemory.name(), text);
        }
        if !has(CeilingKind::Pids) {
            let text = match hierarchy.serves("pids") {
                true => {
                    "no limit: neither the cgroups of the watched processes nor those above have one"
                }
                false => "none: the pids controller is not mounted",
            };
            note(CeilingKind::Pids.name(), text);
        }
        if hierarchy.is_cut_off() {
            note(
                "cgroup",
                "this is a cgroup namespace: limits set above its top cannot be seen from inside",
            );
        }
        if hierarchy.has_lxcfs() {
            note("ram", "/proc/meminfo is written by lxcfs: it tells this container's memory");
        } else if hierarchy.is_cut_off() {
            note("ram", "/proc/meminfo tells the whole host's memory, not this container's");
        }
        notes.extend(self.past().into_iter().map(|past| {
            let PastFailures { kind, ceiling, place, count, file } = past;
            let what = match kind {
                MemoryFailureKind::OomKill => "processes killed at its limit",
                MemoryFailureKind::Refused | MemoryFailureKind::Stalled => "times refused",
            };
            let of = if place.is_none() { String::new() } else { format!(" of {}", place.plain()) };
            let text = format!("{count} {what}{of} since it began ({file})");
            CeilingNote { about: ceiling.name(), text }
        }));
        notes.extend(user_notes(&self.trees));
        if self.container.is_none()
            && let Err(error) = std::fs::File::open(procfs.join("user_beancounters"))
        {
            let text = match error.kind() {
                ErrorKind::NotFound => "no OpenVZ or Virtuozzo container".to_owned(),
                _ => format!("user_beancounters cannot be read ({error}): that takes root"),
            };
            notes.push(CeilingNote { about: "container", text });
        }
        let log = match &self.log {
            KernelLog::Records(_) => "OOM kills and refused commits are seen in the kernel log".to_owned(),
            KernelLog::Counted(..) => "OOM kills are counted in /proc/vmstat; the kernel log cannot be read (it takes CAP_SYSLOG, which a container's root may not have), so refused commits go unseen".to_owned(),
            KernelLog::Nothing => "OOM kills go unseen: neither the kernel log nor a counter in vmstat can be read".to_owned(),
        };
        notes.push(CeilingNote { about: "failures", text: log });
        if self.pressure.is_none() {
            let text = "waiting for memory goes unseen: no /proc/pressure/memory (PSI; Linux 4.20, not switched off)";
            notes.push(CeilingNote { about: "failures", text: text.to_owned() });
        }
        CeilingSources { files, notes }
    }

    fn file(&self, procfs: &Path, ceiling: &Ceiling) -> String {
        let tree = || self.trees.iter().find(|tree| Some(tree.root) == ceiling.root);
        let of = |name: &str| procfs.join(name).display().to_string();
        let found = match ceiling.kind.read_from() {
            ReadFrom::Procfs(name) => Some(of(name)),
            ReadFrom::CommandLine(option) => Some(option.to_owned()),
            ReadFrom::ForkerFile(name) => tree().map(|tree| of(&format!("{}/{name}", tree.forker))),
            ReadFrom::CgroupFile => tree().and_then(|tree| {
                let is_it = |limit: &super::Limit| {
                    (limit.kind, limit.place) == (ceiling.kind, ceiling.place)
                };
                self.groups.sources(tree).find(|(limit, _)| is_it(limit)).map(|(_, file)| file)
            }),
        };
        found.unwrap_or_default()
    }
}

/// Why users limit some trees not: one note a reason.
fn user_notes(trees: &[TreeLimits]) -> impl Iterator<Item = CeilingNote> {
    let reason = |tree: &TreeLimits| match (tree.owner, tree.ulimits.max_tasks) {
        (_, Some(_)) => 0,
        (None, None) => 1,
        (Some(owner), None) if owner.exempt => 2,
        (Some(_), None) => 3,
    };
    let note = move |(number, text): (usize, &str)| {
        let mut like = trees.iter().filter(|tree| reason(tree) == number).map(|tree| tree.forker);
        let (first, more) = (like.next()?, like.count());
        let whom = match more {
            0 => format!("process {first}"),
            _ => format!("process {first} and {more} more"),
        };
        Some(CeilingNote { about: CeilingKind::UserTasks.name(), text: format!("{whom}: {text}") })
    };
    let reasons = [
        (1, "cannot be read"),
        (2, "not limited: root and processes with CAP_SYS_RESOURCE are exempt"),
        (3, "no limit (ulimit -u)"),
    ];
    reasons.into_iter().filter_map(note)
}
