//! Look: samples of this machine for as long as was asked for, beside its logs, histories and settings.

use super::progress::Progress;
use super::recording::Recording;
use crate::cli::options::DiagnoseOptions;
use crate::cli::resolve;
use crate::command::balance_look::BalanceLook;
use crate::command::listing_look::ListingLook;
use crate::command::{patience, take};
use crate::core::engine::Engine;
use crate::core::model::ceiling::{CeilingKind, MemoryFailureKind, PastFailures};
use crate::core::model::sample::Sample;
use crate::diagnose::earlier::histories::{CheckHistories, judge};
use crate::diagnose::earlier::series::ServiceRoots;
use crate::diagnose::evidence::logs;
use crate::diagnose::evidence::logs::LogSources;
use crate::diagnose::findings::{Failure, LogEvent, Logs, MissingResource, Witness};
use crate::diagnose::heaps::LOOKS;
use crate::diagnose::observer::Observer;
use crate::diagnose::{Diagnosis, Looked, ObservedScope};
use crate::system::machine;
use crate::system::sampler::Sampler;
use crate::system::wait::{Waiter, Wake};
use anyhow::Result;
use std::io::Write;

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
/// What is looked at.
struct Look<'o> {
    options: &'o DiagnoseOptions,
    waiter: &'o Waiter,
    interval_s: f64,
    sampler: Sampler,
    sample: Sample,
    observer: Observer,
    roots: ServiceRoots,
    histories: CheckHistories,
    balance: BalanceLook,
    counts: ListingLook,
    /// The user wants the report now.
    stopped: bool,
}

/// Looks at this machine.
///
/// # Errors
/// Bad options, a procfs or a recording that cannot be read.
pub(super) fn look(
    options: &DiagnoseOptions,
    recording: Option<Recording>,
    waiter: &Waiter,
    progress: &mut Progress<'_, impl Write>,
) -> Result<Diagnosis> {
    let mut look = Look::begin(options, waiter)?;
    look.read_earlier(recording, progress)?;
    progress.say("reading logs")?;
    let boot_t = waiter.unix_time(0.0);
    let (mut read, fences) = read_logs(options, waiter, &look.observer, boot_t, &mut look.stopped);
    read.log_events.extend(past(&look.sampler.past_failures()));
    let live_s = look.watch(progress)?;
    progress.say("reading settings")?;
    look.diagnose(read, live_s, fences)
}

impl<'o> Look<'o> {
    /// Takes the first sample, and reads the settings of the servers in it.
    fn begin(options: &'o DiagnoseOptions, waiter: &'o Waiter) -> Result<Self> {
        let interval_s = (options.time / SAMPLES).clamp(INTERVAL_S.0, INTERVAL_S.1);
        let header = machine::header(interval_s);
        let mut sampler = resolve::sampler(&options.select, None)?;
        let mut observer =
            Observer::live(Engine::new(&header, judge()), &header, &options.select.procfs);
        let (mut sample, mut stopped) = (Sample::default(), false);
        take(&mut sampler, waiter, &mut sample)?;
        observer.observe(&sample);
        observer.before(&mut patience(waiter, SETTINGS_S, &mut stopped));
        Ok(Self {
            options,
            waiter,
            interval_s,
            roots: observer.service_roots(),
            histories: CheckHistories::default(),
            balance: BalanceLook::new(&options.select, interval_s),
            counts: ListingLook::new(&options.select, options.time)?,
            sampler,
            sample,
            observer,
            stopped,
        })
    }

    /// Reads what earlier checks and a recording saw.
    fn read_earlier(
        &mut self,
        recording: Option<Recording>,
        progress: &mut Progress<'_, impl Write>,
    ) -> Result<()> {
        let Self { options, waiter, sample, roots, histories, .. } = self;
        if let Some(dir) = resolve::state_to_read(&options.memory()) {
            progress.say("reading the history of checks")?;
            let is_named = options.state_dir.is_some();
            let boot = machine::boot(&options.select.procfs);
            waiter.interruptible(|| histories.read(&dir, is_named, &boot, sample.t, roots));
        }
        if let Some(recording) = recording {
            progress.say("reading the recording")?;
            histories.earlier.push(waiter.interruptible(|| recording.judge(sample.t, roots))?);
        }
        self.go_on();
        Ok(())
    }

    /// The histories go on with the live sample.
    fn go_on(&mut self) {
        let Self { sample, roots, histories, .. } = self;
        histories.earlier.iter_mut().for_each(|earlier| earlier.observe_live(sample, roots));
    }

    /// Takes samples for as long as was asked for; returns the seconds that they span.
    fn watch(&mut self, progress: &mut Progress<'_, impl Write>) -> Result<f64> {
        let (waiter, time_s) = (self.waiter, self.options.time);
        self.balance
            .read_details(self.sample.t, &mut patience(waiter, BALANCE_S, &mut self.stopped));
        self.balance.read(&self.sample);
        self.counts.read(self.sample.t, waiter);
        self.observer.start(waiter.uptime_s(), &mut patience(waiter, WORK_S, &mut self.stopped));
        self.observer.choose_heaps();
        self.look_at_heaps();
        self.observer.watch_requests(time_s);
        self.look_at_requests();
        let from_s = waiter.uptime_s();
        let heaps_s = time_s / f64::from(LOOKS);
        let mut heaps_due_s = from_s + heaps_s;
        let mut due_s = from_s + self.interval_s;
        while !self.stopped && due_s <= from_s + time_s {
            progress.watch(due_s - from_s, time_s)?;
            match waiter.wait_until(due_s) {
                Wake::Tick => {}
                Wake::Stop | Wake::HangUp => self.stopped = true,
                _ => continue,
            }
            self.take_sample()?;
            if due_s >= heaps_due_s {
                heaps_due_s += heaps_s;
                self.look_at_heaps();
            }
            self.look_at_requests();
            due_s = (due_s + self.interval_s).max(waiter.uptime_s());
        }
        Ok(if time_s > 0.0 { waiter.uptime_s() - from_s } else { 0.0 })
    }

    fn take_sample(&mut self) -> Result<()> {
        take(&mut self.sampler, self.waiter, &mut self.sample)?;
        self.observer.observe(&self.sample);
        self.go_on();
        self.balance.read(&self.sample);
        self.counts.read(self.sample.t, self.waiter);
        Ok(())
    }

    fn look_at_heaps(&mut self) {
        self.observer.look_at_heaps(&mut patience(self.waiter, HEAPS_S, &mut self.stopped));
    }

    fn look_at_requests(&mut self) {
        self.observer.look_at_requests(&mut patience(self.waiter, HEAPS_S, &mut self.stopped));
    }

    /// What all of it shows. `live_s`: seconds of samples; `fences`: what could not be given up to read logs.
    fn diagnose(mut self, read: Logs, live_s: f64, fences: Option<String>) -> Result<Diagnosis> {
        let (options, waiter) = (self.options, self.waiter);
        let looked = Looked { live_s, ..Looked::default() };
        self.observer.finish(waiter.uptime_s(), &mut patience(waiter, WORK_S, &mut self.stopped));
        if live_s > 0.0 {
            self.balance.read_details(self.sample.t, &mut patience(waiter, BALANCE_S, &mut false));
        }
        let Self { mut observer, histories, balance, counts, mut sampler, stopped, .. } = self;
        let mut diagnosis =
            waiter.interruptible(|| observer.diagnose(&histories.earlier, read, looked));
        diagnosis.scope = if options.select.is_empty() {
            ObservedScope::Machine
        } else {
            ObservedScope::Selected(resolve::wanted(&options.select))
        };
        diagnosis.take_left_behind(observer.left_behind(&counts.piles));
        diagnosis.take_sheets(balance.balance.sheet(), balance.balance.cgroups());
        // A stop during the look is no reason to leave it unverified.
        observer.verify(&mut diagnosis, &mut patience(waiter, WORK_S, &mut false));
        diagnosis.uptime_s = Some(waiter.uptime_s());
        diagnosis.unseen.extend(sampler.take_notes());
        diagnosis.unseen.extend(histories.notes);
        diagnosis.unseen.extend(fences);
        diagnosis.unseen.extend(limitations(options, stopped && options.time > live_s + 1.0));
        Ok(diagnosis)
    }
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
