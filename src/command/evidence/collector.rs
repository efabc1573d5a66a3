//! Collector: all that is kept of one process, and what earlier looks at it add.

use crate::core::census::{Census, Looks};
use crate::core::model::evidence_file::EvidenceFile;
use crate::core::model::process::ProcId;
use crate::report::census::{self, CensusReport};
use crate::system::evidence::{EvidenceRead, EvidenceReader};
use crate::system::heap_census::{CensusHelper, CensusTarget, Refusal};
use crate::system::wait;

/// Reads evidence of processes.
pub(super) struct Collector {
    reader: EvidenceReader,
    helper: CensusHelper,
}

/// What one look found.
pub(super) struct CollectorLook {
    /// All but the heap.
    pub(super) found: EvidenceRead,
    /// The heap, where it could be read.
    pub(super) census: Option<Census>,
}

impl Collector {
    /// Everything that needs preparation is prepared here.
    pub(super) fn new() -> Self {
        Self { reader: EvidenceReader::new(), helper: CensusHelper::started() }
    }

    /// Looks at a process; its heap for so many seconds at most. What goes first with a process is read
    /// first.
    pub(super) fn collect(&mut self, subject: &CensusTarget, census_s: f64) -> CollectorLook {
        let mut found = self.reader.read(subject);
        let until_s = wait::awake_s() + census_s;
        let census = self.helper.census(subject, &mut || wait::awake_s() < until_s);
        if let Err(refusal) = &census {
            found.unread.push(format!("heap: {}", why(refusal)));
        }
        CollectorLook { found, census: census.ok() }
    }
}

impl CollectorLook {
    /// The files of this look alone.
    pub(super) fn files(&self, id: ProcId, comm: &str) -> Vec<EvidenceFile> {
        let mut looks = Looks::default();
        self.census.iter().for_each(|census| looks.push(census.clone()));
        let mut files = self.found.files.clone();
        files.extend(heap(id, comm, &files, &looks, 0.0));
        files.extend(unread(&self.found.unread));
        files
    }
}

/// What several looks at a heap say, for people and for programs; nothing where there is no census.
/// `others` are the files beside it, which name its unit.
pub(super) fn heap(
    id: ProcId,
    name: &str,
    others: &[EvidenceFile],
    looks: &Looks,
    watched_s: f64,
) -> Vec<EvidenceFile> {
    let (Some(last), Some(finding)) = (looks.last(), looks.judge()) else { return Vec::new() };
    let about = others.iter().find(|file| file.name == "about.json");
    let about = about.and_then(|file| serde_json::from_slice(&file.text).ok());
    let about: serde_json::Value = about.unwrap_or_default();
    let unit = about.get("unit").and_then(serde_json::Value::as_str);
    let unit = unit.filter(|unit| unit.ends_with(".service"));
    let report =
        CensusReport { id, name, unit, watched_s, looks: looks.len(), last, finding: &finding };
    let (mut text, mut json) = (Vec::new(), Vec::new());
    let written = census::write(&mut text, &report).is_ok();
    let is_json = census::write_json(&mut json, &report).is_ok();
    let files = [(written, "heap", text), (is_json, "heap.json", json)].into_iter();
    let files = files.filter(|(is_written, ..)| *is_written);
    files.map(|(_, name, text)| EvidenceFile::new(name, text)).collect()
}

/// What could not be read, with the reasons; nothing where all could be.
pub(super) fn unread(lines: &[String]) -> Option<EvidenceFile> {
    (!lines.is_empty()).then(|| EvidenceFile::new("unread", lines.join("\n") + "\n"))
}

fn why(refusal: &Refusal) -> String {
    match refusal {
        Refusal::Gone => "it had ended".to_owned(),
        Refusal::Forbidden => "the kernel forbids it; leakwatch needs CAP_SYS_PTRACE".to_owned(),
        Refusal::NoMemory => "it has no memory of its own".to_owned(),
        Refusal::NoAnswer => "its memory gave no answer in time".to_owned(),
        Refusal::NoHelper(why) => why.clone(),
        Refusal::Failed(errno) => std::io::Error::from_raw_os_error(*errno).to_string(),
    }
}
