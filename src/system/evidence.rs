//! Evidence: what the kernel tells of a process that may soon be gone, as files to keep.
//!
//! Sizes, counts and names. What memory holds is not read here, and neither are command lines and
//! environments, in which secrets stand.

use crate::core::model::evidence_file::EvidenceFile;
use crate::system::ceilings::hierarchy::Hierarchy;
use crate::system::heap_census::CensusTarget;
use crate::system::open_files;
use crate::system::origin::Origins;
use crate::system::proc::procdir::read_in;
use crate::system::{foreign_file, wait};
use rustix::io::Errno;
use serde_json::json;
use std::fmt::Write;
use std::path::Path;

/// Files of /proc/PID that are kept as they are; a longer one is cut.
const AS_THEY_ARE: [&str; 3] = ["status", "smaps_rollup", "limits"];
/// Bytes of one.
const MOST: usize = 8 << 10;
/// Files of a cgroup of version 2 and of version 1; each cgroup has those of one.
const CGROUP: [&str; 15] = [
    "memory.current",
    "memory.peak",
    "memory.max",
    "memory.high",
    "memory.swap.current",
    "memory.swap.max",
    "memory.events",
    "memory.pressure",
    "memory.stat",
    "pids.current",
    "pids.max",
    "memory.usage_in_bytes",
    "memory.max_usage_in_bytes",
    "memory.limit_in_bytes",
    "memory.failcnt",
];

/// What was read, and what was not, with the reason.
#[derive(Clone, Debug, Default)]
pub struct EvidenceRead {
    /// The parts, those that go first with the process first.
    pub files: Vec<EvidenceFile>,
    /// `name: why`.
    pub unread: Vec<String>,
}

impl EvidenceRead {
    /// Takes in a part, or why there is none.
    pub fn add(&mut self, name: &str, text: Result<Vec<u8>, String>) {
        match text {
            Ok(text) => self.files.push(EvidenceFile::new(name, text)),
            Err(why) => self.unread.push(format!("{name}: {why}")),
        }
    }
}

/// Reads evidence. What is the same for all processes, it knows beforehand.
pub struct EvidenceReader {
    hierarchy: Hierarchy,
    origins: Origins,
}

impl EvidenceReader {
    /// A reader for the processes of this machine.
    pub fn new() -> Self {
        let procfs = Path::new("/proc");
        Self { hierarchy: Hierarchy::new(procfs, None), origins: Origins::new(procfs) }
    }

    /// Reads all of a process but its heap. Where it is gone, nothing of another that has its pid now is
    /// taken for it.
    pub fn read(&mut self, subject: &CensusTarget) -> EvidenceRead {
        let mut found = EvidenceRead::default();
        for name in AS_THEY_ARE {
            let mut buffer = vec![0; MOST];
            let text = read_in(subject.directory(), name, &mut buffer).map(<[u8]>::to_vec);
            // A zombie has the files still, but without its memory.
            let is_left = |text: &[u8]| match name {
                "status" => text.windows(6).any(|word| word == b"VmRSS:"),
                _ => !text.is_empty(),
            };
            let text =
                text.and_then(|text| if is_left(&text) { Ok(text) } else { Err(Errno::SRCH) });
            found.add(name, text.map_err(why));
        }
        let pid = subject.id().pid;
        let about = self.about(subject);
        let descriptors = descriptors(pid);
        let cgroup = self.cgroup(pid);
        // These are found by its number, which may be another's by now.
        let is_it = subject.is_there().is_ok();
        let mut add = |name, text: Option<Vec<u8>>| {
            let text = text.ok_or("it could not be read".to_owned());
            found.add(name, if is_it { text } else { Err(why(Errno::SRCH)) });
        };
        add("descriptors", descriptors);
        add("cgroup", cgroup);
        add("about.json", Some(about));
        found
    }

    /// `schema` 1, `pid`, `start`, `comm`, `exe`, `unit`, `cgroup`, `t` (when it was read), `age_s`.
    fn about(&mut self, subject: &CensusTarget) -> Vec<u8> {
        let id = subject.id();
        let exe = rustix::fs::readlinkat(subject.directory(), "exe", Vec::new()).ok();
        let started_s = id.start as f64 / procfs::ticks_per_second() as f64;
        let cgroup = crate::system::origin::cgroup_of(Path::new("/proc"), id.pid);
        let about = json!({
            "schema": 1,
            "pid": id.pid,
            "start": id.start,
            "comm": subject.name(),
            "exe": exe.map(|exe| exe.to_string_lossy().into_owned()),
            "unit": cgroup.as_deref().and_then(|path| self.origins.unit_of(path)),
            "cgroup": cgroup,
            "t": wait::unix_s(),
            "age_s": (wait::uptime_s() - started_s).max(0.0),
        });
        about.to_string().into_bytes()
    }

    /// The files of its innermost cgroup, each below its name.
    fn cgroup(&self, pid: u32) -> Option<Vec<u8>> {
        let inner = self.hierarchy.of(pid, "memory").into_iter().next()?;
        let mut text = format!("cgroup {}\n", inner.place);
        for name in CGROUP {
            let Ok(file) = foreign_file::open(&inner.path.join(name)) else { continue };
            let Ok(bytes) = foreign_file::read(file, MOST as u64) else { continue };
            for line in String::from_utf8_lossy(&bytes).lines() {
                let _ = writeln!(text, "{name} {line}");
            }
        }
        Some(text.into_bytes())
    }
}

impl Default for EvidenceReader {
    fn default() -> Self {
        Self::new()
    }
}

/// The open descriptors by kind, the most first, and how many it may have.
fn descriptors(pid: u32) -> Option<Vec<u8>> {
    let procfs = Path::new("/proc");
    let kinds = open_files::kinds(procfs, pid);
    if kinds.is_empty() {
        return None;
    }
    let all: u64 = kinds.iter().map(|(_, count)| u64::from(*count)).sum();
    let mut text = match open_files::limit(procfs, pid) {
        Some(limit) => format!("{all} open, at most {limit}\n"),
        None => format!("{all} open\n"),
    };
    for (kind, count) in kinds {
        let _ = writeln!(text, "{count:>7} {kind}");
    }
    Some(text.into_bytes())
}

fn why(error: Errno) -> String {
    match error {
        Errno::SRCH => "it had ended".to_owned(),
        error => std::io::Error::from(error).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(found: &EvidenceRead, name: &str) -> String {
        let file = found.files.iter().find(|file| file.name == name);
        String::from_utf8(file.unwrap_or_else(|| panic!("no {name}: {found:?}")).text.clone())
            .unwrap()
    }

    #[test]
    fn what_is_read_of_this_very_process_is_its_own() {
        let subject = CensusTarget::of(std::process::id()).unwrap();
        let found = EvidenceReader::new().read(&subject);
        assert!(text(&found, "status").contains(&format!("Pid:\t{}\n", std::process::id())));
        assert!(text(&found, "smaps_rollup").contains("Private_Dirty:"));
        assert!(text(&found, "descriptors").contains(" open"));
        let about: serde_json::Value = serde_json::from_str(&text(&found, "about.json")).unwrap();
        assert_eq!(about["pid"], std::process::id());
        assert!(about["age_s"].as_f64().unwrap() < 86_400.0);
        // A machine without a memory controller has no cgroup to tell of.
        assert_eq!(found.files.len() + found.unread.len(), AS_THEY_ARE.len() + 3);
    }

    #[test]
    fn a_zombie_has_no_status_worth_keeping() {
        let mut child =
            std::process::Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let subject = CensusTarget::of(child.id()).unwrap();
        let mut reader = EvidenceReader::new();
        assert!(reader.read(&subject).files.iter().any(|file| file.name == "status"));
        drop(child.stdin.take());
        while subject.is_there().is_ok() {
            std::thread::yield_now();
        }
        let found = reader.read(&subject);
        assert!(found.files.iter().all(|file| file.name == "limits"), "{found:?}");
        child.wait().unwrap();
    }

    #[test]
    fn of_a_process_that_is_gone_nothing_is_read_and_that_is_said() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let subject = CensusTarget::of(child.id()).unwrap();
        child.wait().unwrap();
        let found = EvidenceReader::new().read(&subject);
        assert!(found.files.is_empty(), "{found:?}");
        assert!(found.unread.iter().all(|line| line.ends_with(": it had ended")), "{found:?}");
    }
}
