//! Diagnose: a short look at the whole machine, its logs and its servers' settings, and one report.

use super::gather::{Gather, Live};
use crate::assessment::Status;
use crate::cli::{Diagnose, Format, Select};
use crate::diagnosis::{Diagnosis, Looked};
use crate::engine::{Engine, Settings};
use crate::evidence::logs::{self, Sources, Stamps};
use crate::policy::Rules;
use crate::probe::Probe;
use crate::recording::Reader;
use crate::report::diagnosis::{Times, json, text};
use crate::report::html;
use crate::sample::{Header, Sample};
use crate::wait::{Waiter, Wake};
use crate::{machine, settings};
use anyhow::{Context, Result, anyhow};
use std::io::{IsTerminal, Write};
use std::path::Path;

/// Samples in a look: a verdict needs 120 in one window, which then spans 136, and a second window.
const SAMPLES: f64 = 160.0;
/// Bounds of the time between samples: the probe takes about 2 ms on a machine of 300 processes.
const INTERVAL_S: (f64, f64) = (0.25, 5.0);
/// Seconds that logs may take.
const LOGS_S: f64 = 4.0;
/// A recording goes on with this look if its boot was at the same time, give or take so much.
const SAME_BOOT_S: f64 = 60.0;

/// How the engine judges here: nothing is ever signalled.
fn judge() -> Settings {
    Settings { caution: 6.0, rules: Rules { act: false, ..Rules::default() } }
}

/// Looks, and reports; the status is what was found.
///
/// # Errors
/// Bad options, a procfs or a recording that cannot be read, a file that cannot be written.
pub fn run(options: &Diagnose, out: &mut impl Write, err: &mut impl Write) -> Result<Status> {
    let talk = !options.quiet && std::io::stderr().is_terminal();
    let mut progress = Progress { err, talk, shown: false };
    let waiter = Waiter::new()?;
    let zone = machine::zone();
    let start_s = waiter.uptime_s();
    let recorded = options.recording.as_deref().map(|path| {
        progress.say("reading the recording")?;
        Recorded::read(path)
    });
    let recorded = recorded.transpose()?;
    let boot_t = waiter.unix_time(0.0);
    let (mut gather, looked, live) = match recorded {
        Some(recorded) if !recorded.goes_on(boot_t, waiter.unix_time(start_s)) => {
            (recorded.gather, recorded.looked, false)
        }
        Some(recorded) => (recorded.gather, recorded.looked, true),
        None => {
            let interval_s = (options.time / SAMPLES).clamp(INTERVAL_S.0, INTERVAL_S.1);
            let header = machine::header(interval_s);
            (Gather::new(Engine::new(&header, judge()), &header), Looked::default(), true)
        }
    };
    let mut stopped = false;
    let mut looked = looked;
    let mut diagnosis = if live {
        let Select { procfs, sysfs, .. } = &options.select;
        let selection = settings::selection(&options.select)?;
        let mut probe = Probe::new(procfs, sysfs.as_deref(), selection, None)?;
        let mut look = Live::new(procfs);
        let mut sample = Sample::default();
        let take = |probe: &mut Probe, sample: &mut Sample| {
            let uptime_s = waiter.uptime_s();
            probe.sample(waiter.unix_time(uptime_s), Some(uptime_s), sample)
        };
        take(&mut probe, &mut sample)?;
        gather.observe(&sample, &mut look);
        look.read_setups(&gather);
        let now_t = sample.t;
        progress.say("reading logs")?;
        let read = read_logs(options, &waiter, &zone, &look, boot_t, &mut stopped);
        look.begin(&gather, waiter.uptime_s());
        let from_s = waiter.uptime_s();
        let until_s = from_s + options.time;
        let interval_s = gather.interval_s(options.time / SAMPLES, INTERVAL_S);
        let mut due_s = from_s + interval_s;
        while !stopped && due_s <= until_s {
            progress.watch(due_s - from_s, options.time)?;
            match waiter.wait_until(due_s) {
                Wake::Tick => {}
                Wake::Stop | Wake::HangUp => stopped = true,
                Wake::ShowState | Wake::Continued => continue,
            }
            take(&mut probe, &mut sample)?;
            gather.observe(&sample, &mut look);
            due_s = (due_s + interval_s).max(waiter.uptime_s());
        }
        looked.live_s = if options.time > 0.0 { waiter.uptime_s() - from_s } else { 0.0 };
        progress.say("reading settings")?;
        look.read_setups(&gather);
        look.end(&gather, waiter.uptime_s());
        let mut diagnosis = gather.diagnose(&look, read, looked);
        diagnosis.uptime_s = Some(waiter.uptime_s());
        diagnosis.unseen.extend(probe.take_notes());
        if stopped && options.time > looked.live_s + 1.0 {
            diagnosis.unseen.push("the look was ended early, by Ctrl-C".to_owned());
        }
        debug_assert!(now_t <= diagnosis.t);
        diagnosis
    } else {
        let mut diagnosis = gather.diagnose(&Live::none(), Default::default(), looked);
        diagnosis.host.1.clear();
        diagnosis.unseen.push("the recording is of another machine or of an earlier boot, so it was judged alone: no logs, no settings".to_owned());
        diagnosis
    };
    if options.select.patterns.is_empty() && !machine::is_root() && live {
        diagnosis.unseen.push(
            "not run as root: what others' workers have to themselves, their settings and some logs cannot be read; sizes are estimates then".to_owned(),
        );
    }
    progress.clear()?;
    let times = Times { zone, now_t: diagnosis.t };
    write(options, &diagnosis, &times, out)?;
    Ok(diagnosis.status)
}

fn read_logs(
    options: &Diagnose,
    waiter: &Waiter,
    zone: &jiff::tz::TimeZone,
    look: &Live,
    boot_t: f64,
    stopped: &mut bool,
) -> crate::facts::Logs {
    let start_s = waiter.uptime_s();
    let now_t = waiter.unix_time(start_s);
    let since_t = now_t - options.since;
    let mut sources = match &options.logs {
        Some(dir) => Sources::only(dir, since_t),
        None => Sources::usual(since_t),
    };
    if options.logs.is_none() {
        sources.files.extend(look.logs().map(Into::into));
    }
    let stamps = Stamps::new(zone.clone(), now_t, boot_t);
    let mut go_on = || {
        *stopped |= matches!(waiter.wait_until(0.0), Wake::Stop);
        !*stopped && waiter.uptime_s() - start_s < LOGS_S
    };
    let mut found = logs::read(&sources, &stamps, &mut go_on);
    found.took_s = waiter.uptime_s() - start_s;
    found
}

fn write(
    options: &Diagnose,
    diagnosis: &Diagnosis,
    times: &Times,
    out: &mut impl Write,
) -> Result<()> {
    let file = |path: &Path, text: &[u8]| {
        std::fs::write(path, text).map_err(|e| anyhow!("cannot write '{}': {e}", path.display()))
    };
    match options.format {
        Format::Text => text::write(out, diagnosis, times, settings::layout(options.color)),
        Format::Json => json::write(out, diagnosis, times),
    }
    .context("cannot write the report")?;
    out.flush().context("cannot write the report")?;
    if let Some(path) = &options.html {
        let mut page = Vec::new();
        html::write(&mut page, diagnosis, times, &[])?;
        file(path, &page)?;
    }
    if let Some(path) = &options.write_advice {
        let all: String = diagnosis.cures.iter().map(|cure| cure.diff.as_str()).collect();
        file(path, all.as_bytes())?;
    }
    Ok(())
}

/// A recording that was judged.
struct Recorded {
    gather: Gather,
    looked: Looked,
    header: Header,
    /// Unix time of its boot, where it tells, and of its last sample.
    boot_t: Option<f64>,
    last_t: f64,
}

impl Recorded {
    fn read(path: &Path) -> Result<Self> {
        let mut reader = Reader::open(path)?;
        let header = reader.header().clone();
        let mut gather = Gather::new(Engine::new(&header, judge()), &header);
        let (mut sample, mut none) = (Sample::default(), Live::none());
        let (mut boot_t, mut first_t, mut last_t) = (None, None, 0.0);
        while reader.read(&mut sample)? {
            gather.observe(&sample, &mut none);
            boot_t = sample.uptime_s.map(|uptime_s| sample.t - uptime_s).or(boot_t);
            first_t = first_t.or(Some(sample.t));
            last_t = sample.t;
        }
        let history_s = first_t.map_or(0.0, |first| last_t - first);
        let looked = Looked { history_s, ..Looked::default() };
        Ok(Self { gather, looked, header, boot_t, last_t })
    }

    /// Whether it is of this machine, of this boot and from before now.
    fn goes_on(&self, boot_t: f64, now_t: f64) -> bool {
        let same = self.boot_t.is_some_and(|of| (of - boot_t).abs() < SAME_BOOT_S);
        same && self.last_t < now_t && self.header.hostname == machine::header(1.0).hostname
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
