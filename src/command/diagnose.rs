//! Diagnose: a short look at the whole machine, its logs and its servers' settings, beside what earlier
//! checks or a recording saw, and one report.

use super::balance_look::BalanceLook;
use super::listing_look::ListingLook;
use super::{patience, take, terminal};
use crate::cli::options::{DiagnoseOptions, ReportFormat};
use crate::cli::resolve;
use crate::core::engine::Engine;
use crate::core::model::ceiling::{CeilingKind, MemoryFailureKind, PastFailures};
use crate::core::model::event::Severity;
use crate::core::model::sample::Sample;
use crate::diagnose::earlier::histories::{CheckHistories, judge};
use crate::diagnose::earlier::series::{EarlierSeries, ServiceRoots, Source};
use crate::diagnose::evidence::logs;
use crate::diagnose::evidence::logs::LogSources;
use crate::diagnose::findings::{Failure, LogEvent, Logs, MissingResource, Witness};
use crate::diagnose::heaps::LOOKS;
use crate::diagnose::observer::Observer;
use crate::diagnose::report::html;
use crate::diagnose::report::{Times, json, text};
use crate::diagnose::{Diagnosis, Looked, ObservedScope};
use crate::store::recording::Reader;
use crate::system::wait::{Waiter, Wake};
use crate::system::{machine, new_file, rights};
use anyhow::{Context, Result};
use std::io::{IsTerminal, Write};
use std::path::Path;

/// Samples in a look: a verdict needs 120 in one window, which then spans 136, and a second window.
const SAMPLES: f64 = 160.0;
/// Bounds of the time between samples: the probe takes about 2 ms on a machine of 300 processes.
const INTERVAL_S: (f64, f64) = (0.25, 5.0);
/// Seconds that logs may take.
const LOGS_S: f64 = 4.0;
/// Seconds that the settings of all servers may take, and the work of their processes.
const SETTINGS_S: f64 = 4.0;
const WORK_S: f64 = 4.0;
/// Seconds that the costly parts of the balance sheet may take, at the beginning and at the end.
const BALANCE_S: f64 = 3.0;
/// Seconds that one look at the heaps of the largest processes may take: 2 GiB of heap.
const HEAPS_S: f64 = 1.0;
/// A recording is judged beside the look if its boot was at the same time, give or take so much.
const SAME_BOOT_S: f64 = 60.0;

/// Looks, and reports; the status is what was found.
///
/// # Errors
/// Bad options, a procfs or a recording that cannot be read, a file that cannot be written.
pub fn run(
    options: &DiagnoseOptions,
    out: &mut impl Write,
    err: &mut impl Write,
) -> Result<Severity> {
    let talk = !options.quiet && std::io::stderr().is_terminal();
    let mut progress = Progress { err, talk, shown: false };
    let waiter = Waiter::new()?;
    let zone = machine::zone();
    let open = || options.recording.as_deref().map(Recording::open).transpose();
    let recording = waiter.interruptible(open)?;
    let boot_t = waiter.unix_time(0.0);
    let goes_on = |recording: &Recording| recording.goes_on(boot_t);
    let diagnosis = match recording {
        Some(recording) if !goes_on(&recording) => {
            progress.say("reading the recording")?;
            rights::keep_files_only();
            waiter.interruptible(|| recording.judge_alone())?
        }
        recording => look(options, recording, &waiter, &mut progress)?,
    };
    progress.clear()?;
    let times = Times { zone, now_t: diagnosis.t };
    waiter.interruptible(|| write(options, &diagnosis, &times, out))?;
    Ok(diagnosis.status)
}

/// Looks at this machine.
fn look(
    options: &DiagnoseOptions,
    recording: Option<Recording>,
    waiter: &Waiter,
    progress: &mut Progress<'_, impl Write>,
) -> Result<Diagnosis> {
    let interval_s = (options.time / SAMPLES).clamp(INTERVAL_S.0, INTERVAL_S.1);
    let header = machine::header(interval_s);
    let procfs = &options.select.procfs;
    let mut sampler = resolve::sampler(&options.select, None)?;
    let mut observer = Observer::live(Engine::new(&header, judge()), &header, procfs);
    let mut sample = Sample::default();
    take(&mut sampler, waiter, &mut sample)?;
    observer.observe(&sample);
    let mut stopped = false;
    observer.before(&mut patience(waiter, SETTINGS_S, &mut stopped));
    let roots = observer.service_roots();
    let mut histories = CheckHistories::default();
    if let Some(dir) = resolve::state_to_read(&options.memory()) {
        progress.say("reading the history of checks")?;
        let (is_named, boot) = (options.state_dir.is_some(), machine::boot(procfs));
        waiter.interruptible(|| histories.read(&dir, is_named, &boot, sample.t, &roots));
    }
    if let Some(recording) = recording {
        progress.say("reading the recording")?;
        histories.earlier.push(waiter.interruptible(|| recording.judge(sample.t, &roots))?);
    }
    let mut go_on = |sample: &Sample| {
        histories.earlier.iter_mut().for_each(|earlier| earlier.observe_live(sample, &roots));
    };
    go_on(&sample);
    progress.say("reading logs")?;
    let boot_t = waiter.unix_time(0.0);
    let (mut read, fences) = read_logs(options, waiter, &observer, boot_t, &mut stopped);
    read.log_events.extend(past(&sampler.past_failures()));
    let mut look = BalanceLook::new(&options.select, interval_s);
    look.read_details(sample.t, &mut patience(waiter, BALANCE_S, &mut stopped));
    look.read(&sample);
    let mut counts = ListingLook::new(&options.select, options.time)?;
    counts.read(sample.t, waiter);
    observer.start(waiter.uptime_s(), &mut patience(waiter, WORK_S, &mut stopped));
    observer.choose_heaps();
    observer.look_at_heaps(&mut patience(waiter, HEAPS_S, &mut stopped));
    observer.watch_requests(options.time);
    observer.look_at_requests(&mut patience(waiter, HEAPS_S, &mut stopped));
    let from_s = waiter.uptime_s();
    let until_s = from_s + options.time;
    let heaps_s = options.time / f64::from(LOOKS);
    let mut heaps_due_s = from_s + heaps_s;
    let mut due_s = from_s + interval_s;
    while !stopped && due_s <= until_s {
        progress.watch(due_s - from_s, options.time)?;
        match waiter.wait_until(due_s) {
            Wake::Tick => {}
            Wake::Stop | Wake::HangUp => stopped = true,
            _ => continue,
        }
        take(&mut sampler, waiter, &mut sample)?;
        observer.observe(&sample);
        go_on(&sample);
        look.read(&sample);
        counts.read(sample.t, waiter);
        if due_s >= heaps_due_s {
            heaps_due_s += heaps_s;
            observer.look_at_heaps(&mut patience(waiter, HEAPS_S, &mut stopped));
        }
        observer.look_at_requests(&mut patience(waiter, HEAPS_S, &mut stopped));
        due_s = (due_s + interval_s).max(waiter.uptime_s());
    }
    let live_s = if options.time > 0.0 { waiter.uptime_s() - from_s } else { 0.0 };
    let looked = Looked { live_s, ..Looked::default() };
    progress.say("reading settings")?;
    observer.finish(waiter.uptime_s(), &mut patience(waiter, WORK_S, &mut stopped));
    if live_s > 0.0 {
        look.read_details(sample.t, &mut patience(waiter, BALANCE_S, &mut false));
    }
    let mut diagnosis =
        waiter.interruptible(|| observer.diagnose(&histories.earlier, read, looked));
    diagnosis.scope = if options.select.is_empty() {
        ObservedScope::Machine
    } else {
        ObservedScope::Selected(resolve::wanted(&options.select))
    };
    diagnosis.take_left_behind(observer.left_behind(&counts.piles));
    diagnosis.take_sheets(look.balance.sheet(), look.balance.cgroups());
    // A stop during the look is no reason to leave it unverified.
    observer.verify(&mut diagnosis, &mut patience(waiter, WORK_S, &mut false));
    diagnosis.uptime_s = Some(waiter.uptime_s());
    diagnosis.unseen.extend(sampler.take_notes());
    diagnosis.unseen.extend(histories.notes);
    diagnosis.unseen.extend(fences);
    diagnosis.unseen.extend(limitations(options, stopped && options.time > looked.live_s + 1.0));
    Ok(diagnosis)
}

/// What was not seen, by the user's choice or for lack of rights.
fn limitations(options: &DiagnoseOptions, ended_early: bool) -> impl Iterator<Item = String> {
    let early = ended_early.then(|| "the watching ended early, by Ctrl-C".to_owned());
    let no_root = options.select.patterns.is_empty() && !machine::is_root();
    let unread = no_root.then(|| {
        "not run as root: the private memory of other users' workers, their settings, some logs and the history of root's checks cannot be read; sizes are estimates then".to_owned()
    });
    early.into_iter().chain(unread)
}

/// What counters tell of failures before the look, of which no log may have a trace.
fn past(failures: &[PastFailures]) -> impl Iterator<Item = LogEvent> {
    failures.iter().map(|past| {
        let failure = match (past.kind, past.ceiling) {
            (MemoryFailureKind::OomKill, _) => Failure::OomKillInCgroup,
            (_, CeilingKind::Pids | CeilingKind::Numproc) => {
                Failure::ForkFailed(MissingResource::Tasks)
            }
            _ => Failure::NoMemory,
        };
        let place = past.place.plain().to_string();
        let who = place.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("container");
        LogEvent {
            failure,
            witness: Witness::Kernel,
            who: who.to_owned(),
            uid: None,
            count: past.count,
            first_t: None,
            last_t: None,
            source: past.file.clone(),
            text: format!("{} since it began, by its counter", past.count),
        }
    })
}

fn read_logs(
    options: &DiagnoseOptions,
    waiter: &Waiter,
    observer: &Observer,
    boot_t: f64,
    stopped: &mut bool,
) -> (Logs, Option<String>) {
    let start_s = waiter.uptime_s();
    let now_t = waiter.unix_time(start_s);
    let since_t = now_t - options.since;
    let mut sources = match &options.logs {
        Some(dir) => LogSources::only(dir, since_t),
        None => LogSources::usual(since_t),
    };
    if options.logs.is_none() {
        sources.files.extend(observer.logs());
    }
    let mut patience = patience(waiter, LOGS_S, stopped);
    let (mut found, fences) = logs::read_apart(&sources, (now_t, boot_t), &mut patience);
    found.took_s = waiter.uptime_s() - start_s;
    (found, fences)
}

fn write(
    options: &DiagnoseOptions,
    diagnosis: &Diagnosis,
    times: &Times,
    out: &mut impl Write,
) -> Result<()> {
    match options.format {
        ReportFormat::Text => text::write(out, diagnosis, times, terminal::layout(options.color)),
        ReportFormat::Json => json::write(out, diagnosis, times),
    }
    .context("cannot write the report")?;
    out.flush().context("cannot write the report")?;
    // One that cannot be written does not cost the other.
    let page = options.html.as_deref().map_or(Ok(()), |path| {
        let mut page = Vec::new();
        html::write(&mut page, diagnosis, times, &[])?;
        new_file::replace(path, &page)
    });
    let patch = options.write_advice.as_deref().map_or(Ok(()), |path| {
        let all: String = diagnosis.remedies.iter().map(|remedy| remedy.diff.as_str()).collect();
        new_file::replace(path, all.as_bytes())
    });
    page.and(patch)
}

/// A recording, read as far as its first sample.
struct Recording {
    name: String,
    reader: Reader,
    first: Option<Sample>,
}

impl Recording {
    fn open(path: &Path) -> Result<Self> {
        let mut reader = Reader::open(path)?;
        let mut first = Sample::default();
        let first = reader.read(&mut first)?.then_some(first);
        Ok(Self { name: path.display().to_string(), reader, first })
    }

    /// Whether it is of this machine and of this boot, which began at that time.
    fn goes_on(&self, boot_t: f64) -> bool {
        let first = self.first.as_ref();
        let of = first.and_then(|first| Some(first.t - first.uptime_s?));
        of.is_some_and(|of| (of - boot_t).abs() < SAME_BOOT_S)
            && self.reader.header().hostname == machine::header(1.0).hostname
    }

    /// Hands on its samples.
    fn read(self, mut each: impl FnMut(&Sample)) -> Result<()> {
        let Self { mut reader, first, .. } = self;
        let Some(mut sample) = first else { return Ok(()) };
        each(&sample);
        while reader.read(&mut sample)? {
            each(&sample);
        }
        Ok(())
    }

    /// Judges it beside the look, as far as it was before that.
    fn judge(self, now_t: f64, roots: &ServiceRoots) -> Result<EarlierSeries> {
        let which = (Source::Recording, self.name.as_str());
        let mut earlier = EarlierSeries::new(which, self.reader.header(), judge(), &[]);
        self.read(|sample| {
            if sample.t < now_t {
                earlier.observe(sample, roots);
            }
        })?;
        Ok(earlier)
    }

    /// Judges it without a look.
    fn judge_alone(self) -> Result<Diagnosis> {
        let header = self.reader.header().clone();
        let mut observer = Observer::recorded(Engine::new(&header, judge()), &header);
        let (mut first_t, mut last_t) = (None, 0.0);
        self.read(|sample| {
            observer.observe(sample);
            last_t = sample.t;
            first_t = first_t.or(Some(last_t));
        })?;
        let history_s = first_t.map_or(0.0, |first_t| last_t - first_t);
        let looked = Looked { history_s, ..Looked::default() };
        let mut diagnosis = observer.diagnose(&[], Default::default(), looked);
        diagnosis.host.1.clear();
        diagnosis.unseen.push("the recording is of another machine or of an earlier boot, so it was judged alone: no logs, no settings".to_owned());
        Ok(diagnosis)
    }
}

/// One line on a terminal that says what goes on.
struct Progress<'e, W> {
    err: &'e mut W,
    talk: bool,
    shown: bool,
}

impl<W: Write> Progress<'_, W> {
    fn say(&mut self, what: &str) -> Result<()> {
        if self.talk {
            write!(self.err, "\r\x1b[Kleakwatch: {what} ...")?;
            self.err.flush()?;
            self.shown = true;
        }
        Ok(())
    }

    fn watch(&mut self, now_s: f64, all_s: f64) -> Result<()> {
        let bar = (20.0 * now_s / all_s.max(1e-9)) as usize;
        let bar = format!("{:<20}", "#".repeat(bar.min(20)));
        self.say(&format!(
            "watching [{bar}] {:.0} of {all_s:.0} s, Ctrl-C reports now",
            now_s.floor()
        ))
    }

    fn clear(&mut self) -> Result<()> {
        if std::mem::take(&mut self.shown) {
            write!(self.err, "\r\x1b[K")?;
            self.err.flush()?;
        }
        Ok(())
    }
}
