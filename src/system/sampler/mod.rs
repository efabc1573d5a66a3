//! Takes samples of the machine from a procfs root, and never waits for a process for ever.
//!
//! They are read in a thread of its own ([`Aside`]), to which the reader goes and from which it comes back
//! with each sample: 20 µs. One that hangs is lost with what it knew; another begins anew without the
//! process that it hung at.

mod discovery;
mod left_out;
mod machine_files;
mod pid_list;
mod reader;
#[cfg(test)]
mod tests;
mod watch_set;

use crate::core::model::ceiling::{Ceiling, CeilingSources, PastFailures};
use crate::core::model::process::{Proc, ProcId};
use crate::core::model::sample::Sample;
use crate::system::aside::{Aside, FEW_LOOKS, MANY_LOOKS};
use crate::system::proc::procdir::ProcDir;
use crate::system::proc::{Selection, is_own};
use anyhow::{Result, bail};
use left_out::{HangingReads, LeftOut};
use reader::SampleReader;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Processes at which one sample may hang: between samples signals are heard, and other work is done.
const MOST_ROUNDS: usize = 3;

/// Takes samples, and knows the processes of the last one.
#[derive(Debug)]
pub struct Sampler {
    source: SamplerSource,
    /// Absent while it is read, and where no reader could be made after one that hung.
    turn: Option<Box<SampleTurn>>,
    aside: Aside<Box<SampleTurn>>,
    hanging: HangingReads,
    /// What the pids of the selection meant in the first sample.
    meant: Option<Vec<ProcId>>,
    /// The processes of the last sample, and how many files were kept open for them.
    last: Vec<Proc>,
    files: u64,
    notes: Vec<String>,
}

/// What samples are taken of.
#[derive(Clone, Debug)]
struct SamplerSource {
    root: PathBuf,
    sysfs: Option<PathBuf>,
    selection: Selection,
    budget: Option<u64>,
    /// Whether it is the procfs of our own pid namespace.
    own: bool,
    /// Leakwatch itself and its ancestors.
    excluded: Vec<u32>,
}

/// One sample to read.
#[derive(Debug)]
struct SampleTurn {
    reader: SampleReader,
    t: f64,
    uptime_s: Option<f64>,
    sample: Sample,
    result: Result<()>,
}

impl SampleTurn {
    fn of(reader: SampleReader) -> Box<Self> {
        Box::new(Self { reader, t: 0.0, uptime_s: None, sample: Sample::default(), result: Ok(()) })
    }
}

impl Sampler {
    /// Samples the procfs at `root` and watches what `selection` means, with `budget` bytes granted
    /// to each tree if given. `sysfs` stands for /sys where cgroups are mounted elsewhere.
    ///
    /// # Errors
    /// When `root` is no procfs.
    pub fn new(
        root: &Path,
        sysfs: Option<&Path>,
        selection: Selection,
        budget: Option<u64>,
    ) -> Result<Self> {
        // The fixture trees of tests and the host's /proc have pids that are not ours.
        let own = is_own(root);
        let source = SamplerSource {
            root: root.to_owned(),
            sysfs: sysfs.map(Path::to_owned),
            selection,
            budget,
            own,
            excluded: if own { discovery::own_chain() } else { Vec::new() },
        };
        let hanging = HangingReads::default();
        let reader = SampleReader::new(&source, LeftOut::default(), 0)?;
        Ok(Self {
            source,
            turn: Some(SampleTurn::of(reader)),
            aside: Aside::new(|turn| {
                let SampleTurn { reader, t, uptime_s, sample, result } = &mut **turn;
                *result = reader.sample(*t, *uptime_s, sample);
            }),
            hanging,
            meant: None,
            last: Vec::new(),
            files: 0,
            notes: Vec::new(),
        })
    }

    /// How many processes the selection itself means; the others belong to their trees.
    pub fn matched(&self) -> usize {
        self.reader().map_or(0, |reader| reader.matched().count())
    }

    /// Where these ceilings, all of the last sample and of its memory, were read.
    pub fn sources(&self, ceilings: &[Ceiling]) -> CeilingSources {
        self.reader().map(|reader| reader.sources(ceilings)).unwrap_or_default()
    }

    /// What was refused or killed before the first sample, by the counters that last.
    pub fn past_failures(&self) -> Vec<PastFailures> {
        self.reader().map(|reader| reader.ceilings.past()).unwrap_or_default()
    }

    /// The next sample has all programs once more.
    pub fn tell_again(&mut self) {
        if let Some(reader) = self.reader_mut() {
            reader.tell_again();
        }
    }

    /// What could not be read and what is lost by it; each once.
    pub fn take_notes(&mut self) -> Vec<String> {
        let mut notes = std::mem::take(&mut self.notes);
        if let Some(reader) = self.reader_mut() {
            notes.append(&mut reader.notes);
        }
        notes
    }

    /// Takes a sample at time `t` (Unix seconds) and `uptime_s` after boot into `sample`. A process that
    /// cannot be read without hanging stays in it as it was in the last one, for as long as it exists: to lose
    /// a master would be to lose what its workers belong to.
    ///
    /// # Errors
    /// When the machine's memory or the list of processes cannot be read, or several processes hang. A
    /// process that vanishes or may not be read is left out.
    pub fn sample(&mut self, t: f64, uptime_s: Option<f64>, sample: &mut Sample) -> Result<()> {
        self.take_back();
        let (began, mut late_s) = (Instant::now(), 0.0);
        for _ in 0..MOST_ROUNDS {
            let (mut turn, is_new) = match self.turn.take() {
                Some(turn) => (turn, false),
                None => (self.anew()?, true),
            };
            let most_looks = match turn.reader.is_swapping() {
                true => MANY_LOOKS,
                false => FEW_LOOKS,
            };
            (turn.t, turn.uptime_s) = (t + late_s, uptime_s.map(|uptime_s| uptime_s + late_s));
            std::mem::swap(&mut turn.sample, sample);
            let mark = turn.reader.proc.mark.clone();
            match self.aside.run(turn, &mark, most_looks) {
                Ok(mut turn) => {
                    std::mem::swap(&mut turn.sample, sample);
                    let result = std::mem::replace(&mut turn.result, Ok(()));
                    if self.source.selection.is_by_pid() && self.meant.is_none() {
                        self.meant = Some(turn.reader.matched().collect());
                    }
                    if is_new {
                        // The first reader has said them.
                        turn.reader.notes.clear();
                    }
                    if result.is_ok() {
                        turn.reader.keep_left_out(&self.last, &mut sample.procs);
                        self.last.clone_from(&sample.procs);
                    }
                    self.files = turn.reader.kept_files();
                    self.turn = Some(turn);
                    return result;
                }
                Err(read) => {
                    sample.t = t;
                    let Some(pid) = mark.pid() else {
                        bail!(
                            "a process hangs whoever reads it, and no further thread can be started{}",
                            hint("raise the limit of tasks (TasksMax=, ulimit -u)")
                        )
                    };
                    let proc = ProcDir::open(&self.source.root)?;
                    let Some(note) = self.hanging.add(&proc, pid, read, self.files) else {
                        bail!(
                            "too many processes hang whoever reads them{}",
                            hint("ps hangs as well")
                        )
                    };
                    self.notes.push(note);
                    late_s = began.elapsed().as_secs_f64();
                }
            }
        }
        bail!("several processes hang whoever reads them: the others are read in the next sample")
    }

    /// What is left below the limits on memory now, without a sample: the machine's, and those of the
    /// cgroups of the last sample's trees.
    ///
    /// # Errors
    /// When the machine's memory cannot be read.
    pub fn glance(&mut self, ceilings: &mut Vec<Ceiling>) -> Result<()> {
        match self.reader_mut() {
            Some(reader) => reader.glance(ceilings),
            None => bail!("a process hung, and whoever read it"),
        }
    }

    fn reader(&self) -> Option<&SampleReader> {
        self.turn.as_ref().map(|turn| &turn.reader)
    }

    fn reader_mut(&mut self) -> Option<&mut SampleReader> {
        self.turn.as_mut().map(|turn| &mut turn.reader)
    }

    /// Reads again what hangs no more.
    fn take_back(&mut self) {
        let (over, is_forgotten) = self.hanging.look();
        if over.is_empty() && !is_forgotten {
            return;
        }
        let told = over.iter().map(|pid| format!("process {pid} can be read again"));
        self.notes.extend(told);
        let left_out = self.hanging.left_out(&self.last, self.meant.clone());
        if let Some(reader) = self.reader_mut() {
            reader.left_out = left_out;
        }
    }

    /// After one that hung.
    fn anew(&self) -> Result<Box<SampleTurn>> {
        let left_out = self.hanging.left_out(&self.last, self.meant.clone());
        Ok(SampleTurn::of(SampleReader::new(&self.source, left_out, self.hanging.files())?))
    }
}

/// The second line of a note.
fn hint(text: &str) -> String {
    format!("\n  hint: {text}")
}
