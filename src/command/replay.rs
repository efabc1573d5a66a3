//! Replay: judges a recording as if it happened now.

use super::terminal;
use crate::cli::options::{ReplayOptions, Target};
use crate::cli::resolve;
use crate::core::detect::explain::Explanation;
use crate::core::engine::Engine;
use crate::core::model::ceiling::MemoryFailureKind;
use crate::core::model::event::{Event, Severity};
use crate::core::model::process::ProcId;
use crate::core::model::sample::Sample;
use crate::core::model::verdict::{Finding, Verdict};
use crate::diagnose::Looked;
use crate::diagnose::findings::Logs;
use crate::diagnose::observer::Observer;
use crate::diagnose::report::Times;
use crate::diagnose::report::html;
use crate::diagnose::report::html::ChartTime;
use crate::report::events::write_event;
use crate::report::explain;
use crate::report::explain::ExplainedAt;
use crate::report::words::Style;
use crate::store::recording::{self, Reader};
use crate::system::new_file::NewFile;
use crate::system::{machine, rights};
use anyhow::{Result, bail};
use jiff::tz::TimeZone;
use std::io::Write;
use std::path::Path;

/// Prints what watching would have printed; the status is what was found.
///
/// # Errors
/// Bad options, a file that cannot be read or is no recording.
pub fn run(
    options: &ReplayOptions,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Severity> {
    let style = terminal::style(&options.output, options.judge.dry_run);
    let settings = resolve::engine(&options.judge, true)?;
    let mut page = options.html.as_deref().map(HtmlPage::at).transpose()?;
    let file = recording::open(&options.file)?;
    // Whoever made it chose what is in it.
    rights::keep_open_files_and(page.as_ref().map(|page| page.file.directory()));
    let mut recording = Reader::of(file, options.file.display().to_string())?;
    let engine = Engine::new(recording.header(), settings);
    let mut observer = Observer::recorded(engine, recording.header());
    let mut sample = Sample::default();
    let mut explainer = options.explain.map(Explainer::new);
    while recording.read(&mut sample)? {
        match &mut page {
            Some(page) => page.observe(&mut observer, &sample),
            None => observer.judge(&sample),
        }
        if let Some(explainer) = &mut explainer {
            explainer.look(out, sample.t, observer.engine(), style)?;
            continue;
        }
        for event in observer.engine().assessment().events() {
            let names = observer.engine().names();
            write_event(out, sample.t, &event, names, options.output.format, style)?;
        }
    }
    if recording.is_torn() && !options.output.quiet {
        writeln!(err, "leakwatch: the last line of the recording is torn and was left out")?;
    }
    if let Some(explainer) = explainer {
        explainer.end(out, style)?;
    }
    if let Some(page) = page {
        page.write(&observer)?;
    }
    Ok(observer.engine().found())
}

/// What a page needs beside the engine.
struct HtmlPage {
    file: NewFile,
    zone: TimeZone,
    moments: Vec<ChartTime>,
    first_t: Option<f64>,
    last_t: f64,
}

/// Moments marked in a page.
const MOST_MOMENTS: usize = 200;

impl HtmlPage {
    /// One to be written there.
    fn at(path: &Path) -> Result<Self> {
        let (file, zone) = (NewFile::at(path)?, machine::zone());
        Ok(Self { file, zone, moments: Vec::new(), first_t: None, last_t: 0.0 })
    }

    fn observe(&mut self, observer: &mut Observer, sample: &Sample) {
        observer.observe(sample);
        self.first_t = self.first_t.or(Some(sample.t));
        self.last_t = sample.t;
        let words = observer.engine().assessment().events().filter_map(|event| moment(&event));
        let room = MOST_MOMENTS - self.moments.len();
        self.moments.extend(words.take(room).map(|text| (sample.t, text)));
    }

    fn write(self, observer: &Observer) -> Result<()> {
        let history_s = self.last_t - self.first_t.unwrap_or(self.last_t);
        let looked = Looked { history_s, ..Looked::default() };
        let mut diagnosis = observer.diagnose(&[], Logs::default(), looked);
        diagnosis.host.1.clear();
        let times = Times { zone: self.zone, now_t: diagnosis.t };
        let mut page = Vec::new();
        html::write(&mut page, &diagnosis, &times, &self.moments)?;
        self.file.write(&page)
    }
}

/// What of an event is worth a mark.
fn moment(event: &Event) -> Option<String> {
    match event {
        Event::Leak(Finding { is_update: false, comm, id, .. }) => {
            Some(format!("leak named: {comm}[{}]", id.pid))
        }
        Event::Order(order) => {
            Some(format!("{} to {}[{}]", order.signal.name(), order.comm, order.victim.pid))
        }
        Event::MemoryFailure(sign) => Some(match sign.kind {
            MemoryFailureKind::OomKill => "OOM kill".to_owned(),
            MemoryFailureKind::Refused => "fork refused".to_owned(),
            MemoryFailureKind::Stalled => "all wait for memory".to_owned(),
        }),
        _ => None,
    }
}

/// Follows one process through the recording.
struct Explainer {
    target: Target,
    /// The last sample that it was in.
    last: Option<(f64, Explanation)>,
    /// The verdict that was last explained, and in which sample.
    told: Option<(f64, Verdict)>,
    seen: bool,
}

impl Explainer {
    fn new(target: Target) -> Self {
        Self { target, last: None, told: None, seen: false }
    }

    /// Explains a change of its verdict, or its exit.
    fn look(&mut self, out: &mut impl Write, t: f64, engine: &Engine, style: Style) -> Result<()> {
        let Target { pid, start } = self.target;
        let meant = |id: &ProcId| id.pid == pid && start.is_none_or(|start| start == id.start);
        let detector = engine.detector();
        let id = detector.process_states().map(|standing| standing.id).find(meant);
        let now = id.and_then(|id| detector.explain(id));
        if let Some((t, last)) = self.last.take()
            && Some(last.state.id) != id
        {
            explain::write(out, t, ExplainedAt::Gone, &last, style)?;
            self.told = None;
        }
        let Some(now) = now else { return Ok(()) };
        if !std::mem::replace(&mut self.seen, true) {
            explain::legend(out)?;
        }
        let (was, is) = (self.told.map(|(_, verdict)| verdict), now.state.verdict);
        if was != Some(is) {
            // That a process is new needs no explanation.
            if is != Verdict::New {
                explain::write(out, t, ExplainedAt::Changed(was), &now, style)?;
            }
            self.told = Some((t, is));
        }
        self.last = Some((t, now));
        Ok(())
    }

    /// Explains how it stands at the end.
    fn end(self, out: &mut impl Write, style: Style) -> Result<()> {
        let Target { pid, .. } = self.target;
        if !self.seen {
            bail!(
                "no such process {pid} in the recording\n  hint: replay it without --explain; what was judged stands there as name[PID]"
            );
        }
        if let Some((t, last)) = self.last {
            explain::write(out, t, ExplainedAt::End, &last, style)?;
        }
        Ok(())
    }
}
