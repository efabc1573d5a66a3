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
        let no_tasks = "not known: /proc/loadavg, which counts the tasks, cannot be read";
        let mut notes: Vec<CeilingNote> = commit_note(overcommit).into_iter().collect();
        notes.extend(tasks.is_none().then(|| note(CeilingKind::ThreadsMax.name(), no_tasks)));
        notes.extend(arc.map(arc_note));
        notes.extend(self.cgroup_notes(ceilings));
        notes.extend(self.past().into_iter().map(past_note));
        notes.extend(user_notes(&self.trees));
        notes.extend(self.beancounter_note(procfs));
        notes.extend(self.failure_notes());
        CeilingSources { files, notes }
    }

    /// Why no cgroup sets a limit, and what a container sees of the machine's.
    fn cgroup_notes(&self, ceilings: &[Ceiling]) -> Vec<CeilingNote> {
        let hierarchy = self.groups.hierarchy();
        let mut notes = Vec::new();
        for (kinds, controller, about) in [
            (
                [CeilingKind::CgroupMemory, CeilingKind::CgroupHigh].as_slice(),
                "memory",
                CeilingKind::CgroupMemory,
            ),
            (&[CeilingKind::Pids], "pids", CeilingKind::Pids),
        ] {
            if ceilings.iter().any(|ceiling| kinds.contains(&ceiling.kind)) {
                continue;
            }
            let text = if hierarchy.serves(controller) {
                "no limit: neither the cgroups of the watched processes nor those above have one"
                    .to_owned()
            } else {
                format!("none: the {controller} controller is not mounted")
            };
            notes.push(note(about.name(), text));
        }
        if hierarchy.is_cut_off() {
            let text =
                "this is a cgroup namespace: limits set above its top cannot be seen from inside";
            notes.push(note("cgroup", text));
        }
        if hierarchy.has_lxcfs() {
            let text = "/proc/meminfo is written by lxcfs: it tells this container's memory";
            notes.push(note("ram", text));
        } else if hierarchy.is_cut_off() {
            let text = "/proc/meminfo tells the whole host's memory, not this container's";
            notes.push(note("ram", text));
        }
        notes
    }

    fn beancounter_note(&self, procfs: &Path) -> Option<CeilingNote> {
        if self.container.is_some() {
            return None;
        }
        let error = std::fs::File::open(procfs.join("user_beancounters")).err()?;
        let text = match error.kind() {
            ErrorKind::NotFound => "no OpenVZ or Virtuozzo container".to_owned(),
            _ => format!("user_beancounters cannot be read ({error}): that takes root"),
        };
        Some(note("container", text))
    }

    /// How failures are seen, and which are not.
    fn failure_notes(&self) -> impl Iterator<Item = CeilingNote> {
        let log = match &self.log {
            KernelLog::Records(_) => "OOM kills and refused commits are seen in the kernel log",
            KernelLog::Counted(..) => {
                "OOM kills are counted in /proc/vmstat; the kernel log cannot be read (it takes CAP_SYSLOG, which a container's root may not have), so refused commits go unseen"
            }
            KernelLog::Nothing => {
                "OOM kills go unseen: neither the kernel log nor a counter in vmstat can be read"
            }
        };
        let stalls = "waiting for memory goes unseen: no /proc/pressure/memory (PSI; Linux 4.20, not switched off)";
        let stalls = self.pressure.is_none().then_some(stalls);
        std::iter::once(log).chain(stalls).map(|text| note("failures", text))
    }

    fn file(&self, procfs: &Path, ceiling: &Ceiling) -> String {
        let tree = || self.trees.iter().find(|tree| Some(tree.root) == ceiling.root);
        let of = |name: &str| procfs.join(name).display().to_string();
        let found = match ceiling.kind.read_from() {
            ReadFrom::Procfs(name) => Some(of(name)),
            ReadFrom::CommandLine(option) => Some(option.to_owned()),
            ReadFrom::ForkerFile(name) => tree().map(|tree| of(&format!("{}/{name}", tree.forker))),
            ReadFrom::CgroupFile => tree().and_then(|tree| {
                let is_it = |limit: &super::CgroupLimit| {
                    (limit.kind, limit.place) == (ceiling.kind, ceiling.place)
                };
                self.groups.sources(tree).find(|(limit, _)| is_it(limit)).map(|(_, file)| file)
            }),
        };
        found.unwrap_or_default()
    }
}

fn note(about: &'static str, text: impl Into<String>) -> CeilingNote {
    CeilingNote { about, text: text.into() }
}

/// Why the commit limit does not count. `overcommit` is vm.overcommit_memory.
fn commit_note(overcommit: Option<u8>) -> Option<CeilingNote> {
    let text = match overcommit {
        Some(2) => return None,
        None => {
            "not known: vm.overcommit_memory cannot be read, so whether the commit limit is enforced is not known"
        }
        Some(0) => {
            "not enforced: vm.overcommit_memory is 0, so fork is refused only if one mapping of the parent is larger than RAM and swap"
        }
        Some(_) => "not enforced: vm.overcommit_memory is 1",
    };
    Some(note(CeilingKind::Commit.name(), text))
}

fn arc_note(bytes: u64) -> CeilingNote {
    let bytes = Bytes(bytes);
    note(
        "ram",
        format!(
            "{bytes} of the cache of ZFS (ARC) count as available: what it has above its c_min"
        ),
    )
}

fn past_note(past: PastFailures) -> CeilingNote {
    let PastFailures { kind, ceiling, place, count, file } = past;
    let what = match kind {
        MemoryFailureKind::OomKill => "processes killed at its limit",
        MemoryFailureKind::Refused | MemoryFailureKind::Stalled => "times refused",
    };
    let of = if place.is_none() { String::new() } else { format!(" of {}", place.plain()) };
    note(ceiling.name(), format!("{count} {what}{of} since it began ({file})"))
}

/// Why some trees have no limit of their user: one note a reason.
fn user_notes(trees: &[TreeLimits]) -> impl Iterator<Item = CeilingNote> {
    let reason = |tree: &TreeLimits| match (tree.owner, tree.ulimits.max_tasks) {
        (_, Some(_)) => 0,
        (None, None) => 1,
        (Some(owner), None) if owner.exempt => 2,
        (Some(_), None) => 3,
    };
    let told = move |(number, text): (usize, &str)| {
        let mut like = trees.iter().filter(|tree| reason(tree) == number).map(|tree| tree.forker);
        let (first, more) = (like.next()?, like.count());
        let whom = match more {
            0 => format!("process {first}"),
            _ => format!("process {first} and {more} more"),
        };
        Some(note(CeilingKind::UserTasks.name(), format!("{whom}: {text}")))
    };
    let reasons = [
        (1, "cannot be read"),
        (2, "not limited: root and processes with CAP_SYS_RESOURCE are exempt"),
        (3, "no limit (ulimit -u)"),
    ];
    reasons.into_iter().filter_map(told)
}
