//! Replay: judges a recording as if it happened now.

use super::write_event;
use crate::assessment::{Status, Verdict};
use crate::cli::{Replay, Target};
use crate::detector::explanation::Explanation;
use crate::engine::Engine;
use crate::recording::Reader;
use crate::report::explain::{self, Occasion};
use crate::report::text::Style;
use crate::sample::{ProcId, Sample};
use crate::settings;
use anyhow::{Result, bail};
use std::io::Write;

/// Prints what watching would have printed; the status is what was found.
///
/// # Errors
/// Bad options, a file that cannot be read or is no recording.
pub fn run(options: &Replay, out: &mut impl Write, err: &mut impl Write) -> Result<Status> {
    let style = settings::style(&options.output, options.judge.dry_run);
    let mut recording = Reader::open(&options.file)?;
    let mut engine = Engine::new(recording.header(), settings::engine(&options.judge, true)?);
    let mut sample = Sample::default();
    let mut explainer = options.explain.map(Explainer::new);
    while recording.read(&mut sample)? {
        if let Some(explainer) = &mut explainer {
            engine.observe(&sample);
            explainer.look(out, sample.t, &engine, style)?;
            continue;
        }
        let assessment = engine.observe(&sample);
        for event in &assessment.events {
            write_event(out, sample.t, event, options.output.format, style)?;
        }
    }
    if recording.is_torn() && !options.output.quiet {
        writeln!(err, "leakwatch: the last line of the recording is torn and was left out")?;
    }
    if let Some(explainer) = explainer {
        explainer.end(out, style)?;
    }
    Ok(engine.found())
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
        let id = detector.standings().map(|standing| standing.id).find(meant);
        let now = id.and_then(|id| detector.explain(id));
        if let Some((t, last)) = self.last.take()
            && Some(last.standing.id) != id
        {
            explain::write(out, t, Occasion::Gone, &last, style)?;
            self.told = None;
        }
        let Some(now) = now else { return Ok(()) };
        if !std::mem::replace(&mut self.seen, true) {
            explain::legend(out)?;
        }
        let (was, is) = (self.told.map(|(_, verdict)| verdict), now.standing.verdict);
        if was != Some(is) {
            // That a process is new needs no explanation.
            if is != Verdict::New {
                explain::write(out, t, Occasion::Changed(was), &now, style)?;
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
            explain::write(out, t, Occasion::End, &last, style)?;
        }
        Ok(())
    }
}
