//! Histories: what checks left in a directory, each judged by an engine of its own, for a diagnosis.
//!
//! They are only read, without their locks, so no check ever waits for a diagnosis.

use crate::core::decide::rules::Rules;
use crate::core::engine::EngineSettings;
use crate::core::model::profile::Profile;
use crate::core::model::sample::Sample;
use crate::core::model::units::{Bytes, Seconds};
use crate::diagnose::earlier::series::{
    EarlierSeries, LEAST_SAMPLES, STALE_INTERVALS, SeriesSource, ServiceRoots,
};
use crate::store::history;
use crate::store::history::FoundHistory;
use crate::store::history::lines::HistoryLines;
use crate::store::profiles;
use crate::system::trusted_path;
use anyhow::{Result, bail};
use std::path::Path;

/// Bytes of histories that are read, the latest first: twice what `check` lets one become.
const MOST_BYTES: u64 = 2 * history::SIZE;

/// How the engine judges here: nothing is ever signalled.
pub(crate) fn judge() -> EngineSettings {
    EngineSettings { max_extrapolation: 6.0, rules: Rules { act: false, ..Rules::default() } }
}

/// What was read, and notes on what was not.
#[derive(Default)]
pub(crate) struct CheckHistories {
    pub(crate) earlier: Vec<EarlierSeries>,
    pub(crate) notes: Vec<String>,
}

impl CheckHistories {
    /// Reads all histories of this boot in a directory, which was asked for or is the usual one.
    pub(crate) fn read(
        &mut self,
        dir: &Path,
        asked: bool,
        boot: &str,
        now_t: f64,
        roots: &ServiceRoots,
    ) {
        let found = match history::found(dir) {
            Ok(found) => found,
            // Another user's, which is usual.
            Err(_) if !asked => return,
            Err(error) => return self.note(format!("'{}' cannot be read: {error}", dir.display())),
        };
        if found.is_empty() && asked {
            self.note(format!("there is no history of checks in '{}'", dir.display()));
        }
        // They are parsed with all of leakwatch's rights, so what others could have put there is not.
        if !found.is_empty()
            && let Err(error) = trusted_path::ensure_directory(dir, &trusted_path::owners())
        {
            let why = trusted_path::in_a_line(&error);
            return self.note(format!("the histories of checks were left out: {why}"));
        }
        // What cannot be read there is as if no program was known; a check says so.
        let profiles = profiles::read(dir).unwrap_or_default();
        let (mut left, mut others) = (MOST_BYTES, Vec::new());
        for FoundHistory { name, path, bytes } in found {
            if bytes > left {
                let why = format!(
                    "it has {}, and they are read up to {}",
                    Bytes(bytes),
                    Bytes(MOST_BYTES)
                );
                self.note(format!("the history of {name} was left out: {why} in all"));
                continue;
            }
            left -= bytes;
            match one(&name, &path, boot, &profiles, roots) {
                Ok(Some((earlier, garbled))) => self.add(earlier, garbled, now_t),
                Ok(None) => others.push(name),
                Err(error) => self.note(format!("the history of {name} was left out: {error:#}")),
            }
        }
        if !others.is_empty() {
            let (begin, is) = match others.len() {
                1 => ("the history of ", "is"),
                _ => ("the histories of ", "are"),
            };
            let names = others.join(", ");
            self.note(format!("{begin}{names} {is} of another boot or machine and left out: their pids mean other processes now"));
        }
    }

    fn note(&mut self, text: String) {
        self.notes.push(text);
    }

    fn add(&mut self, earlier: EarlierSeries, garbled: usize, now_t: f64) {
        let about = earlier.summary();
        if garbled > 0 {
            let lines = if garbled == 1 { "line" } else { "lines" };
            self.note(format!(
                "{garbled} garbled {lines} of the history of {} passed over",
                about.name
            ));
        }
        if about.samples == 0 {
            return;
        }
        if about.samples < LEAST_SAMPLES {
            let n = about.samples;
            self.note(format!(
                "the history of {} is too short for a verdict: {n} of the {LEAST_SAMPLES} checks that one needs",
                about.name
            ));
        }
        let ago_s = now_t - about.span.1;
        if ago_s > STALE_INTERVALS * about.interval_s {
            let (ago, every) = (Seconds(ago_s), Seconds(about.interval_s));
            self.note(format!("the history of {} ended {ago} ago, though a check ran every {every}: see whether it still does", about.name));
        }
        self.earlier.push(earlier);
    }
}

/// Judges one, and says how many of its lines are garbled; none if it is of another boot.
fn one(
    name: &str,
    path: &Path,
    boot: &str,
    profiles: &[Profile],
    roots: &ServiceRoots,
) -> Result<Option<(EarlierSeries, usize)>> {
    let mut lines = HistoryLines::open(path)?;
    let header = match lines.header.take() {
        Some((header, of)) if of == boot => header,
        Some(_) => return Ok(None),
        None => bail!("its first line is no header"),
    };
    let mut earlier = EarlierSeries::new((SeriesSource::Checks, name), &header, judge(), profiles);
    let (mut sample, mut past) = (Sample::default(), Vec::new());
    while lines.next(&mut sample, &mut past)? {
        earlier.observe(&sample, roots);
    }
    Ok(Some((earlier, lines.garbled)))
}
