//! Stand-by: the helper that keeps evidence of the processes that a watch orders to end.
//!
//! It hears of each process that grows, looks at it now and then while memory is not endangered, and at
//! the order once more. What that look cannot read any more is taken from the look before.

use super::collector::{self, Collector, CollectorLook};
use crate::core::census::{Census, Looks};
use crate::core::model::evidence_file::EvidenceFile;
use crate::core::model::process::ProcId;
use crate::core::model::units::Seconds;
use crate::store::evidence::EvidenceDirectory;
use crate::system::heap_census::CensusTarget;
use crate::system::wait;
use anyhow::Result;
use serde_json::Value;

/// Processes that are looked at.
const MOST: usize = 16;
/// Seconds between the first looks; later ones come when a process was known a quarter longer.
const EVERY_S: f64 = 5.0;
const LATER: f64 = 0.25;
/// Seconds that the census of one look may take.
const CENSUS_S: f64 = 1.0;
/// Censuses that are remembered of one process: the first two and the last ones.
const MOST_CENSUSES: usize = 5;
const FIRST: usize = 2;
/// Bytes of the events of one process, as text or as JSON.
const MOST_TEXT: usize = 24 << 10;
/// Files that say more than what the kernel told: they are written anew with each event.
const SAID: [&str; 3] = ["events", "events.jsonl", "windows"];

/// A process that may be ordered to end.
struct Noted {
    id: ProcId,
    comm: String,
    /// None where it was gone when it was first told of.
    subject: Option<CensusTarget>,
    since_s: f64,
    next_s: f64,
    last: Option<(f64, CollectorLook)>,
    censuses: Vec<(f64, Census)>,
    /// The contents of the files that [`SAID`] names.
    said: [Vec<u8>; 3],
    /// The name under which its evidence is kept, once it was ordered to end.
    kept: Option<String>,
}

/// The helper's state.
pub(super) struct StandBy {
    directory: EvidenceDirectory,
    collector: Collector,
    noted: Vec<Noted>,
    is_endangered: bool,
}

impl StandBy {
    /// One that keeps evidence there. It looks at itself once, so that all it needs has been used.
    pub(super) fn new(directory: EvidenceDirectory) -> Self {
        let mut collector = Collector::new();
        if let Ok(own) = CensusTarget::of(std::process::id()) {
            drop(collector.collect(&own, CENSUS_S).files(own.id(), "leakwatch"));
        }
        Self { directory, collector, noted: Vec::with_capacity(MOST), is_endangered: false }
    }

    /// While memory is endangered it looks at nothing but what is ordered to end.
    pub(super) fn set_endangered(&mut self, is_endangered: bool) {
        self.is_endangered = is_endangered;
    }

    /// When the next look is due, on the clock of [`wait::uptime_s`].
    pub(super) fn next_s(&self) -> f64 {
        let due = self.noted.iter().filter(|noted| noted.kept.is_none() && !self.is_endangered);
        due.map(|noted| noted.next_s).fold(f64::INFINITY, f64::min)
    }

    /// Looks at the process that is due first; one that is gone is forgotten.
    pub(super) fn look(&mut self) {
        let now_s = wait::uptime_s();
        let may_look = !self.is_endangered;
        let due = |noted: &&mut Noted| noted.kept.is_none() && noted.next_s <= now_s;
        if let Some(noted) = self.noted.iter_mut().find(|noted| may_look && due(noted)) {
            noted.look(&mut self.collector);
        }
        self.noted.retain(|noted| noted.kept.is_some() || noted.next_s.is_finite());
    }

    /// Takes in a message of the watch.
    ///
    /// # Errors
    /// Evidence cannot be written.
    pub(super) fn hear(&mut self, message: &[u8]) -> Result<()> {
        let mut lines = message.splitn(3, |byte| *byte == b'\n');
        let mut next = || lines.next().unwrap_or_default();
        let (json, text, windows) = (next(), next(), next());
        let event: Value = serde_json::from_slice(json)?;
        let number = |key: &str| event.get(key).and_then(Value::as_u64);
        let word = |key: &str| event.get(key).and_then(Value::as_str).unwrap_or_default();
        let (Some(pid), Some(start)) = (number("pid"), number("start")) else { return Ok(()) };
        let id = ProcId { pid: u32::try_from(pid)?, start };
        let name = word("event");
        if name == "cleared" {
            self.noted.retain(|noted| noted.id != id || noted.kept.is_some());
            return Ok(());
        }
        let at = self.note(id, word("comm"));
        let Some(noted) = self.noted.get_mut(at) else { return Ok(()) };
        noted.say(json, text, windows);
        let t = event.get("t").and_then(Value::as_f64).unwrap_or_default();
        match (&noted.kept, name) {
            (Some(kept), _) => {
                for file in noted.said() {
                    self.directory.add(kept, &file)?;
                }
            }
            (None, "order") => {
                let files = noted.at_the_order(&mut self.collector);
                let kept = self.directory.keep(t, id, &noted.comm, &files)?;
                noted.kept = Some(kept);
            }
            _ => {}
        }
        Ok(())
    }

    /// Where a process is among those that are noted; a new one takes the place of the one that was noted
    /// first.
    fn note(&mut self, id: ProcId, comm: &str) -> usize {
        if let Some(at) = self.noted.iter().position(|noted| noted.id == id) {
            return at;
        }
        if self.noted.len() >= MOST {
            let kept = self.noted.iter().position(|noted| noted.kept.is_some());
            self.noted.remove(kept.unwrap_or(0));
        }
        self.noted.push(Noted::new(id, comm));
        self.noted.len() - 1
    }
}

impl Noted {
    fn new(id: ProcId, comm: &str) -> Self {
        let now_s = wait::uptime_s();
        Self {
            id,
            comm: comm.to_owned(),
            subject: CensusTarget::of(id.pid).ok().filter(|subject| subject.id() == id),
            since_s: now_s,
            next_s: now_s,
            last: None,
            censuses: Vec::with_capacity(MOST_CENSUSES),
            said: Default::default(),
            kept: None,
        }
    }

    /// Looks at it, and plans the next look; none follows where it is gone.
    fn look(&mut self, collector: &mut Collector) {
        self.next_s = f64::INFINITY;
        let Some(subject) = &self.subject else { return };
        let look = collector.collect(subject, CENSUS_S);
        if look.found.files.is_empty() {
            return;
        }
        let now_s = wait::uptime_s();
        self.next_s = now_s + EVERY_S.max(LATER * (now_s - self.since_s));
        self.remember(now_s, &look);
        self.last = Some((now_s, look));
    }

    fn remember(&mut self, now_s: f64, look: &CollectorLook) {
        let Some(census) = &look.census else { return };
        if self.censuses.len() >= MOST_CENSUSES {
            self.censuses.remove(FIRST);
        }
        self.censuses.push((now_s, census.clone()));
    }

    /// Adds what was said of an event.
    fn say(&mut self, json: &[u8], text: &[u8], windows: &[u8]) {
        let [events, records, why] = &mut self.said;
        for (said, line) in [(events, text), (records, json)] {
            if !line.is_empty() && said.len() + line.len() < MOST_TEXT {
                said.extend_from_slice(line);
                said.push(b'\n');
            }
        }
        if !windows.is_empty() {
            *why = windows.trim_ascii_start().to_vec();
        }
    }

    fn said(&self) -> impl Iterator<Item = EvidenceFile> {
        let files = SAID.iter().zip(&self.said).filter(|(_, text)| !text.is_empty());
        files.map(|(name, text)| EvidenceFile::new(name, text.clone()))
    }

    /// All that is kept: what can still be read, and of the rest what the last look found.
    fn at_the_order(&mut self, collector: &mut Collector) -> Vec<EvidenceFile> {
        let now_s = wait::uptime_s();
        let mut look = self.subject.as_ref().map(|subject| collector.collect(subject, CENSUS_S));
        let mut files: Vec<EvidenceFile> = self.said().collect();
        let mut earlier = Vec::new();
        if let Some(look) = &mut look {
            self.remember(now_s, look);
            files.append(&mut look.found.files);
        }
        let is_counted = look.as_ref().is_some_and(|look| look.census.is_some());
        if let Some((at_s, last)) = &self.last {
            let before = format!("{} before the order", Seconds(now_s - at_s));
            for file in &last.found.files {
                if files.iter().all(|found| found.name != file.name) {
                    earlier.push(format!("{}: {before}", file.name));
                    files.push(file.clone());
                }
            }
            if !is_counted && !self.censuses.is_empty() {
                earlier.push(format!("heap: {before}"));
            }
        }
        let mut looks = Looks::default();
        self.censuses.iter().for_each(|(_, census)| looks.push(census.clone()));
        let at = |census: Option<&(f64, Census)>| census.map_or(now_s, |(at_s, _)| *at_s);
        let watched_s = at(self.censuses.last()) - at(self.censuses.first());
        let of = look.as_ref().or(self.last.as_ref().map(|(_, last)| last));
        let (id, comm) = (self.id, &self.comm);
        files.extend(collector::heap(id, comm, &files, &looks, watched_s));
        let gone = ["all: it had ended before it could be looked at".to_owned()];
        let unread = of.map_or(&gone[..], |look| &look.found.unread);
        files.extend(collector::unread(unread));
        if !earlier.is_empty() {
            files.push(EvidenceFile::new("earlier", earlier.join("\n") + "\n"));
        }
        files
    }
}
